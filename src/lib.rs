//! Tenantry: one file, `tenants.yaml`, turned into isolated tenants on GitHub and Kubernetes.

mod words;

pub mod apply;
pub mod bootstrap;
pub mod bot;
pub mod cli;
pub mod compare;
pub mod config;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod desired;
pub mod flux;
pub mod github;
pub mod https;
pub mod keys;
pub mod kubernetes;
pub mod live;
pub mod names;
pub mod object;
pub mod observe;
pub mod observed;
pub mod plan;
pub mod queue;
pub mod render;
pub mod report;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod serve;
pub mod surroundings;
pub mod tenants;
pub mod webhook;
