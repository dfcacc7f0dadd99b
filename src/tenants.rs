//! `tenants.yaml`, read: the tenants as they are wanted, with every default filled in.
//!
//! ```text
//! text ── parse ──► tree with spans ── rules ──► Parsed { sound: Tenants, findings: Vec<Diagnostic>, places }
//! ```
//! A [`Tenant`] is the *entry* that the rest of the program works from; its serialised form is what the `Tenant`
//! object in Kubernetes remembers as the entry last accepted.

pub mod diagnostic;
mod entry;
mod format;
mod keys;
mod layers;
mod parse;
mod rules;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::{
    BranchName, FullName, InvalidName, Login, NamespaceName, RepositoryName, TeamSlug, TenantName,
};
pub use crate::object::{Permission, Visibility};
use crate::words::words;
pub use parse::{Context, Parsed, parse};
pub use rules::moved_namespaces;
pub use schema::schema;

/// The whole file. Only sound entries are in it: an entry with an error of its own is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenants {
    pub organization: Login,
    /// Glob patterns (`*` only) that the file adds to the built-in protected namespaces.
    pub protected_namespaces: Vec<String>,
    pub max_removals_per_merge: usize,
    pub lockdown: Lockdown,
    pub tenants: BTreeMap<TenantName, Arc<Tenant>>,
}

words! {
    /// What to do when Flux on the cluster is not locked down.
    Lockdown {
        Require = "require",
        Warn = "warn",
    }
}

/// One entry, merged with the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    pub name: TenantName,
    pub description: String,
    /// Flux suspended, teams reduced to `pull`.
    pub suspended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<TenantName>,
    pub repository: RepositorySettings,
    pub teams: BTreeMap<TeamSlug, TeamSettings>,
    /// Boxed, because the smallest map has room for eleven.
    pub namespaces: BTreeMap<NamespaceName, Box<NamespaceSettings>>,
    /// `ClusterRole` of Flux in workload namespaces: `admin`, `edit` or another; never `cluster-admin`.
    pub reconciler_role: String,
    pub deploy_key: DeployKeySettings,
    pub sync: SyncSettings,
    pub removal: RemovalSettings,
    pub additional_role_bindings: Vec<AdditionalRoleBinding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySettings {
    /// Already expanded: `{tenant}-workspace` is `ai-team-workspace` here.
    pub name: RepositoryName,
    pub visibility: Visibility,
    pub branch: BranchName,
    /// Directory that Flux syncs, relative to the root, `./` first: `./` or `./clusters/prod`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<FullName>,
    /// The repository exists already and may be taken over.
    pub adopt: bool,
    pub on_remove: OnRemove,
}

words! {
    OnRemove {
        Archive = "archive",
        Keep = "keep",
    }
}

/// What a team may do on its workspace and in its namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamSettings {
    pub permission: Permission,
    pub role: Role,
    /// The Kubernetes group, `groupName` expanded: `ai-team` or `acme:ai-team`.
    pub group: String,
    /// The workload namespaces the role holds in: those named, or all of the tenant's.
    pub namespaces: BTreeSet<NamespaceName>,
}

words! {
    /// The ClusterRole of people in a workload namespace, from least to most.
    Role {
        View = "view",
        Edit = "edit",
        Admin = "admin",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSettings {
    /// The namespace exists already and may be taken over once a person has labelled it.
    pub adopt: bool,
    pub pod_security: PodSecurity,
    pub network_policy: NetworkProfile,
    /// `ResourceQuota.spec.hard`; no quota when empty.
    pub quota: BTreeMap<String, String>,
    /// The maps of a `LimitRange` item of type Container: `default`, `defaultRequest`, `max`, `min`; none when empty.
    pub limits: BTreeMap<String, BTreeMap<String, String>>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

words! {
    /// A Pod Security Standard, enforced by the namespace's label.
    PodSecurity {
        Privileged = "privileged",
        Baseline = "baseline",
        Restricted = "restricted",
    }
}

words! {
    NetworkProfile {
        /// Traffic within the tenant, DNS, and the internet; nothing else in or out.
        Isolated = "isolated",
        /// Only traffic into the namespace is limited.
        IngressOnly = "ingress-only",
        None = "none",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployKeySettings {
    pub algorithm: KeyAlgorithm,
    pub read_only: bool,
    pub rotate_after: Period,
}

words! {
    KeyAlgorithm {
        Ed25519 = "ed25519",
        EcdsaP256 = "ecdsa-p256",
        EcdsaP384 = "ecdsa-p384",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSettings {
    pub interval: Period,
    pub timeout: Period,
    pub prune: bool,
    pub wait: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovalSettings {
    pub hold_for: Period,
    pub namespaces: NamespaceRemoval,
    pub data_loss: DataLoss,
}

words! {
    NamespaceRemoval {
        Delete = "delete",
        Retain = "retain",
    }
}

words! {
    DataLoss {
        Forbid = "forbid",
        Accept = "accept",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdditionalRoleBinding {
    pub cluster_role: String,
    pub subjects: Vec<Subject>,
    /// `"*"` in the file is all of the tenant's workload namespaces here.
    pub namespaces: BTreeSet<NamespaceName>,
}

/// A subject of a `RoleBinding`; `namespace` only for a `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceName>,
}

words! {
    SubjectKind {
        User = "User",
        Group = "Group",
        ServiceAccount = "ServiceAccount",
    }
}

/// A length of time in whole seconds, written `90s`, `10m`, `1h30m`, `180d`; displayed without `d`, as Go and Flux read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    pub seconds: u64,
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.seconds / 3600, 'h'),
            (self.seconds % 3600 / 60, 'm'),
            (self.seconds % 60, 's'),
        ];
        if self.seconds == 0 {
            return formatter.write_str("0s");
        }
        parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, unit)| write!(formatter, "{count}{unit}"))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is not a duration like `90s`, `10m`, `1h30m` or `180d`".to_owned();
        let mut seconds = 0_u64;
        let mut digits = String::new();
        for character in text.chars() {
            let factor = match character {
                '0'..='9' => {
                    digits.push(character);
                    continue;
                }
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                _ => return Err(wrong()),
            };
            let count: u64 = digits.parse().map_err(|_| wrong())?;
            seconds = count
                .checked_mul(factor)
                .and_then(|part| seconds.checked_add(part))
                .ok_or_else(wrong)?;
            digits.clear();
        }
        if digits.is_empty() && !text.is_empty() {
            Ok(Self { seconds })
        } else {
            Err(wrong())
        }
    }
}
