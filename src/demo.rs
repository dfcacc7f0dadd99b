//! The demo: everything in one process.

pub mod pages;
