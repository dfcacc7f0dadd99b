//! The vocabulary in which both worlds are told: what is wanted and what is found, on GitHub and in Kubernetes.
//!
//! Only what we own is in it: GitHub's other settings and Kubernetes' other fields cannot show up as a difference.
//! No secret is: a key pair is the fingerprint of its public half.

pub mod quantity;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{BranchName, FullName, Login, TeamSlug};
use crate::words::words;

words! {
    /// Who sees a repository, from fewest to most.
    Visibility {
        Private = "private",
        Internal = "internal",
        Public = "public",
    }
}

words! {
    /// A team's permission on a repository, from least to most, in REST's words.
    Permission {
        Pull = "pull",
        Triage = "triage",
        Push = "push",
        Maintain = "maintain",
        Admin = "admin",
    }
}

/// The field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "tenantry";

/// The label by which the API server enforces a Pod Security Standard (KEP-2579).
pub const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

/// What identifies an object. Their order is the order in which a tenant's objects are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectId {
    Manifest(ManifestId),
    Repository(FullName),
    TeamAccess {
        repository: FullName,
        team: TeamSlug,
    },
    /// A person with a permission of their own on a workspace; never wanted, only found.
    Collaborator {
        repository: FullName,
        login: Login,
    },
    /// The `git-auth` Secret of a control namespace.
    Credentials {
        namespace: String,
    },
    /// The key that belongs to the tenant's credentials, under the title that the file's rules give it.
    DeployKey {
        repository: FullName,
        title: String,
    },
    /// A deploy key whose private half the tenant's Secret does not hold; never wanted, only found.
    StrangeKey {
        repository: FullName,
        title: String,
        fingerprint: Fingerprint,
    },
    /// A key of ours that the tenant's Secret no longer holds, or never did; never wanted, only found.
    FormerKey {
        repository: FullName,
        title: String,
        fingerprint: Fingerprint,
    },
}

/// A Kubernetes object; no namespace for what is cluster-scoped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId {
    pub kind: Kind,
    pub namespace: Option<String>,
    pub name: String,
}

words! {
    /// The kinds of Kubernetes objects that a tenant is made of, in the order in which they are made.
    Kind {
        Tenant = "Tenant",
        Namespace = "Namespace",
        LimitRange = "LimitRange",
        ResourceQuota = "ResourceQuota",
        NetworkPolicy = "NetworkPolicy",
        ServiceAccount = "ServiceAccount",
        RoleBinding = "RoleBinding",
        GitRepository = "GitRepository",
        Kustomization = "Kustomization",
    }
}

/// What is owned of an object: as it is wanted, or as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Object {
    Repository(Repository),
    TeamAccess(Access),
    Collaborator(Access),
    Credentials(Credentials),
    DeployKey(DeployKey),
    StrangeKey(DeployKey),
    FormerKey(DeployKey),
    /// Only the keys that we set.
    Manifest(Value),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    pub visibility: Visibility,
    /// None where there is no commit yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<BranchName>,
    /// None is wanted where the file has no description: then GitHub's stays what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub archived: bool,
    /// Has a first commit, and with it the directory that Flux syncs.
    pub initialized: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    pub permission: Permission,
}

/// Whether the tenant's Secret holds a key pair that works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    pub algorithm: String,
    /// Of GitHub's host keys; none is wanted where GitHub was not asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployKey {
    pub read_only: bool,
}

/// `SHA256:` and the unpadded base64 of a hash: of a public key's, as `ssh-keygen -l` prints it, or of host keys'.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Kind {
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Tenant => "tenantry.dev/v1alpha1",
            Self::Namespace | Self::LimitRange | Self::ResourceQuota | Self::ServiceAccount => "v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::RoleBinding => "rbac.authorization.k8s.io/v1",
            Self::GitRepository => "source.toolkit.fluxcd.io/v1",
            Self::Kustomization => "kustomize.toolkit.fluxcd.io/v1",
        }
    }

    pub const fn plural(self) -> &'static str {
        match self {
            Self::Tenant => "tenants",
            Self::Namespace => "namespaces",
            Self::LimitRange => "limitranges",
            Self::ResourceQuota => "resourcequotas",
            Self::NetworkPolicy => "networkpolicies",
            Self::ServiceAccount => "serviceaccounts",
            Self::RoleBinding => "rolebindings",
            Self::GitRepository => "gitrepositories",
            Self::Kustomization => "kustomizations",
        }
    }
}

/// On which side of the world an object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    GitHub,
    Cluster,
}

impl ObjectId {
    pub fn side(&self) -> Side {
        match self {
            Self::Manifest(_) | Self::Credentials { .. } => Side::Cluster,
            Self::Repository(_)
            | Self::TeamAccess { .. }
            | Self::Collaborator { .. }
            | Self::DeployKey { .. }
            | Self::StrangeKey { .. }
            | Self::FormerKey { .. } => Side::GitHub,
        }
    }

    /// The word for its kind, as people read it: `Namespace`, `repository`, `team`.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Manifest(id) => id.kind.as_str(),
            Self::Repository(_) => "repository",
            Self::TeamAccess { .. } => "team",
            Self::Collaborator { .. } => "collaborator",
            Self::Credentials { .. } => "Secret",
            Self::DeployKey { .. } | Self::StrangeKey { .. } | Self::FormerKey { .. } => {
                "deploy key"
            }
        }
    }

    /// The repository or namespace that this object is in or about.
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Manifest(ManifestId {
                kind: Kind::Namespace,
                ..
            })
            | Self::Repository(_) => Some(self.clone()),
            Self::Manifest(ManifestId { namespace, .. }) => {
                namespace.as_deref().map(Self::namespace)
            }
            Self::Credentials { namespace } => Some(Self::namespace(namespace)),
            Self::TeamAccess { repository, .. }
            | Self::Collaborator { repository, .. }
            | Self::DeployKey { repository, .. }
            | Self::StrangeKey { repository, .. }
            | Self::FormerKey { repository, .. } => Some(Self::Repository(repository.clone())),
        }
    }

    pub fn namespace(name: &str) -> Self {
        Self::Manifest(ManifestId {
            kind: Kind::Namespace,
            namespace: None,
            name: name.to_owned(),
        })
    }

    /// What tells objects of one stage apart, the most telling first.
    fn names(&self) -> [&str; 4] {
        match self {
            Self::Manifest(id) => [
                id.namespace.as_deref().unwrap_or_default(),
                &id.name,
                "",
                "",
            ],
            Self::Repository(name) => [name.owner.as_str(), name.name.as_str(), "", ""],
            Self::TeamAccess { repository, team } => [
                team.as_str(),
                repository.owner.as_str(),
                repository.name.as_str(),
                "",
            ],
            Self::Collaborator { repository, login } => [
                login.as_str(),
                repository.owner.as_str(),
                repository.name.as_str(),
                "",
            ],
            Self::Credentials { namespace } => [namespace, "", "", ""],
            Self::DeployKey { repository, title } => [
                title,
                repository.owner.as_str(),
                repository.name.as_str(),
                "",
            ],
            Self::StrangeKey {
                repository,
                title,
                fingerprint,
            }
            | Self::FormerKey {
                repository,
                title,
                fingerprint,
            } => [
                title,
                &fingerprint.0,
                repository.owner.as_str(),
                repository.name.as_str(),
            ],
        }
    }

    /// Position in the order of work: what Flux needs comes before Flux, a key's Secret before the key.
    fn stage(&self) -> u8 {
        match self {
            Self::Manifest(id) => match id.kind {
                Kind::Tenant => 0,
                Kind::Namespace => 1,
                Kind::LimitRange => 2,
                Kind::ResourceQuota => 3,
                Kind::NetworkPolicy => 4,
                Kind::ServiceAccount => 5,
                Kind::RoleBinding => 6,
                Kind::GitRepository => 13,
                Kind::Kustomization => 14,
            },
            Self::Repository(_) => 7,
            Self::TeamAccess { .. } => 8,
            Self::Collaborator { .. } => 9,
            Self::Credentials { .. } => 10,
            Self::DeployKey { .. } => 11,
            Self::StrangeKey { .. } => 12,
            // Flux must have fetched with the new key before the former one goes.
            Self::FormerKey { .. } => 15,
        }
    }
}

impl fmt::Display for ObjectId {
    /// What identifies the object, without its noun: `acme/ai-team-workspace`, `ai/admin-reconciler`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(ManifestId {
                namespace: Some(namespace),
                name,
                ..
            }) => {
                write!(formatter, "{namespace}/{name}")
            }
            Self::Manifest(ManifestId {
                namespace: None,
                name,
                ..
            }) => formatter.write_str(name),
            Self::Repository(repository) => write!(formatter, "{repository}"),
            Self::TeamAccess { repository, team } => write!(formatter, "{team} on {repository}"),
            Self::Collaborator { repository, login } => {
                write!(formatter, "{login} on {repository}")
            }
            Self::Credentials { namespace } => write!(formatter, "{namespace}/git-auth"),
            Self::DeployKey { repository, title } => write!(formatter, "{title} on {repository}"),
            Self::StrangeKey {
                repository,
                title,
                fingerprint,
            }
            | Self::FormerKey {
                repository,
                title,
                fingerprint,
            } => {
                write!(formatter, "{title} ({fingerprint}) on {repository}")
            }
        }
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.stage()
            .cmp(&other.stage())
            .then_with(|| self.names().cmp(&other.names()))
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{} {self}", self.noun()))
    }
}
