//! Tenantry: one file, `tenants.yaml`, turned into isolated tenants on GitHub and Kubernetes.

pub mod names;
pub mod tenants;
