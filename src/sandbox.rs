//! An embedded GitHub, an embedded cluster and a pretend Flux for tests and demos: stateful, honest, on loopback HTTP.
//!
//! They import nothing of the app. They are a second, independent reading of the APIs, so that one mistake cannot sit on
//! both sides of a test.

pub mod flux;
pub mod github;
pub mod kubernetes;
mod wire;

pub use flux::Flux;
pub use github::GitHub;
pub use kubernetes::Kubernetes;
