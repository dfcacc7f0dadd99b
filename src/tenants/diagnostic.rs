//! What is wrong in the file, where, and what to do about it.

use std::ops::Range;

use crate::names::{NamespaceName, TeamSlug, TenantName};

/// One finding in `tenants.yaml`; the span is in bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub message: String,
    pub span: Range<usize>,
    /// What to do, where the message does not say it.
    pub help: Option<String>,
    /// The text to put in place of the span, where the right one is known.
    pub replacement: Option<String>,
    /// The other place that the finding is about: where the name stood first.
    pub related: Option<(Range<usize>, String)>,
}

/// Something in the file that a finding made elsewhere (by looking at GitHub or the cluster) can point at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The value of a tenant's `name`.
    Tenant(TenantName),
    /// The tenant's `repository.name`, or its name where that is not given.
    Repository(TenantName),
    /// The tenant's (or the defaults') `repository.template`.
    Template(TenantName),
    Namespace(TenantName, NamespaceName),
    Team(TenantName, TeamSlug),
    /// The `groupName` that a team's Kubernetes group came from.
    Group(TenantName, TeamSlug),
    /// The n-th of a tenant's `additionalRoleBindings`.
    RoleBinding(TenantName, usize),
}
