//! The stories: the app against the embedded GitHub and a real Kubernetes API server.

mod cluster;
mod cluster_works;
mod contract;
mod http;
mod room;
mod support;

mod admission;
mod cli;
mod command;
mod containment;
mod faults;
mod held;
mod merge;
mod organization;
mod pace;
mod privilege;
mod pull_request;
mod queue;
mod rights;
mod webhook;
