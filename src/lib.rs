//! Tenantry: one file, `tenants.yaml`, turned into isolated tenants on GitHub and Kubernetes.

mod words;

pub mod desired;
pub mod flux;
pub mod names;
pub mod object;
pub mod observed;
pub mod plan;
pub mod render;
pub mod report;
pub mod tenants;
