//! The stories: the app against the embedded GitHub and a real Kubernetes API server, or the embedded one.

mod cluster;
mod cluster_works;
mod contract;
mod controllers;
mod demo;
mod embedded;
mod http;
mod support;

mod cli;
mod command;
mod faults;
mod held;
mod lockdown;
mod merge;
mod open_pulls;
mod pace;
mod pull_request;
mod queue;
mod webhook;
