//! An embedded GitHub and an embedded cluster for tests and demos: stateful, honest, on loopback HTTP.
//!
//! They import nothing of the app. They are a second, independent reading of the APIs, so that one mistake cannot sit on
//! both sides of a test.

pub mod github;
pub mod kubernetes;

pub use github::GitHub;
pub use kubernetes::Kubernetes;
