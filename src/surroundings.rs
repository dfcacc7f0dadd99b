//! What a tenant's objects depend on beside its entry.

use crate::names::{FullName, Login, TenantName};
use crate::object::Fingerprint;
use crate::tenants::Tenant;

/// The same for all tenants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    pub organization: Login,
    pub control_repository: FullName,
    /// `TENANTRY_CLUSTER`: stands in the title of deploy keys.
    pub cluster: String,
    /// Host that Flux clones from over SSH, such as `github.com`.
    pub git_host: String,
    /// The fingerprint of that host's keys; none where nobody has asked for them.
    pub host_keys: Option<Fingerprint>,
}

impl Surroundings {
    pub fn repository(&self, tenant: &Tenant) -> FullName {
        FullName {
            owner: self.organization.clone(),
            name: tenant.repository.name.clone(),
        }
    }

    pub fn key_title(&self, tenant: &TenantName) -> String {
        format!("tenantry/{}/{tenant}", self.cluster)
    }
}
