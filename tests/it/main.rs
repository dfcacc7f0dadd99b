//! The stories, against a real Kubernetes API server.

mod cluster;
mod cluster_works;
