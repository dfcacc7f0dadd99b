//! Tenantry: one file, `tenants.yaml`, turned into isolated tenants on GitHub and Kubernetes.

pub mod cli;
pub mod names;
pub mod tenants;
