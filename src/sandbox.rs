//! An embedded GitHub for tests and demos: stateful, honest, on loopback HTTP.
//!
//! It imports nothing of the app. It is a second, independent reading of GitHub's API, so that one
//! mistake cannot sit on both sides of a test.

pub mod github;

pub use github::GitHub;
