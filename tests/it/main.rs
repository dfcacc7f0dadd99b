//! The stories: the app against the embedded GitHub and a real Kubernetes API server, or the embedded one.

mod cluster;
mod cluster_works;
mod contract;
mod demo;
mod embedded;
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
mod open_pulls;
mod organization;
mod pace;
mod privilege;
mod pull_request;
mod queue;
mod rights;
mod webhook;
