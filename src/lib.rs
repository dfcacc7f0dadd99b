//! Tenantry: one file, `tenants.yaml`, turned into isolated tenants on GitHub and Kubernetes.

mod words;

pub mod names;
pub mod object;
pub mod tenants;
