//! The stories: the app against the embedded GitHub and a real Kubernetes API server, or the embedded one.

mod cluster;
mod cluster_works;
mod contract;
mod controllers;
mod demo;
mod embedded;
mod flux;
mod http;
mod support;
mod two_clusters;

mod admission;
mod bootstrap;
mod cli;
mod command;
mod containment;
mod faults;
mod held;
mod keys;
mod live;
mod lockdown;
mod merge;
mod open_pulls;
mod organization;
mod pace;
mod privilege;
mod pull_request;
mod queue;
mod rights;
mod rotation;
mod webhook;
