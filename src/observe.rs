//! Asks GitHub and the cluster what is there of some tenants. Reads only.
//!
//! The number of requests grows with the number of tenants asked for, in batches: repositories and their keys by a
//! hundred, each Kubernetes kind by one labelled list, teams by whichever is cheaper.

mod cluster;
mod flux;
mod github;
mod mark;
mod memory;
mod organization;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::desired::{self, Desired, Wish};
use crate::names::{NamespaceName, TeamSlug, TenantName};
use crate::object::{Fingerprint, Kind, ObjectId};
use crate::observed::{
    Fetching, Memory, Note, Observed, Problem, Progress, RememberedRepository, Sighting,
};
use crate::surroundings::Surroundings;
use crate::tenants::Tenant;
use crate::tenants::diagnostic::Place;
use crate::{github as hub, kubernetes};

pub use crate::observe::flux::lockdown;
pub use crate::observe::memory::{Memories, Remembered, memories, tenant_of_workspace};

use crate::observe::cluster::Cluster;
use crate::observe::github::GitHub;
use crate::observe::organization::Organization;
use crate::observe::rights::Rights;

/// With what one looks.
#[derive(Clone, Copy)]
pub struct Eyes<'a> {
    pub github: &'a hub::Reader,
    pub cluster: &'a kubernetes::Reader,
    pub surroundings: &'a Arc<Surroundings>,
    pub now: Timestamp,
}

/// A tenant to look at: what the file wants of it (nothing: it is gone from the file) and what is remembered.
pub struct Subject {
    pub wish: Option<Wish>,
    pub memory: Option<Memory>,
    /// The Tenant object, where it is not all that is wanted of it.
    manifest: Option<Box<str>>,
}

/// What GitHub and the cluster answered, for all subjects together.
pub struct Look {
    cluster: Cluster,
    github: GitHub,
    organization: Organization,
    rights: Rights,
}

/// What was seen of one tenant, and what acting on it needs to know.
#[derive(Debug, Default)]
pub struct Seen {
    pub observed: Observed,
    /// The workspace, where it was found and is ours.
    pub repository: Option<RememberedRepository>,
    /// A repository of the workspace's name that is not ours, and may become so.
    pub offered: Option<RememberedRepository>,
    /// The commit at the head of the workspace's branch.
    pub head: Option<String>,
    /// The public key in the tenant's Secret, where it was read.
    pub public_key: Option<String>,
    /// The host keys beside it.
    pub known_hosts: Option<Fingerprint>,
    /// Keys of the tenant that are registered and not in use; none where it is not known which are.
    pub former: Option<BTreeSet<Fingerprint>>,
    /// With which key Flux fetches; none where it fetches nothing.
    pub fetching: Option<Fetching>,
    /// What holds nothing; the same of many tenants is said once.
    pub notes: BTreeSet<Note>,
}

/// Looks at these tenants. A refusal of the whole of GitHub or of the cluster is an error; one object that cannot be
/// read is a sighting.
pub async fn look(
    eyes: Eyes<'_>,
    subjects: &BTreeMap<TenantName, Subject>,
) -> anyhow::Result<Look> {
    let (cluster, github, organization, rights) = tokio::join!(
        cluster::look(eyes.cluster, subjects),
        github::look(eyes, subjects),
        organization::look(eyes.github, eyes.surroundings, subjects),
        rights::look(eyes.cluster, subjects)
    );
    Ok(Look {
        cluster: cluster?,
        github: github?,
        organization: organization?,
        rights: rights?,
    })
}

/// In a long computation over tenants: webhooks are answered on the same thread.
pub async fn let_others_run(index: usize) {
    if index.is_multiple_of(100) {
        tokio::task::yield_now().await;
    }
}

impl Look {
    /// What was seen of one of the subjects.
    pub fn at(&self, name: &TenantName, subject: &Subject, desired: &Desired) -> Seen {
        let mut seen = Seen::default();
        seen.observed.memory.clone_from(&subject.memory);
        self.cluster.tell(name, subject, desired, &mut seen);
        self.github.tell(name, subject, desired, &mut seen);
        self.organization.tell(subject, desired, &mut seen);
        self.rights.tell(subject, &mut seen);
        seen
    }
}

impl Seen {
    fn sight(&mut self, id: ObjectId, sighting: Sighting) {
        self.observed.sightings.insert(id, sighting);
    }

    fn note(&mut self, message: String, help: &str) {
        self.notes.insert(Note {
            message,
            help: Some(help.to_owned()),
        });
    }

    fn problem(&mut self, place: Place, message: String, help: Option<String>) {
        self.observed.problems.push(Problem {
            place,
            message,
            help,
        });
    }
}

impl Subject {
    pub fn new(wish: Option<Wish>, remembered: Option<Remembered>) -> Self {
        let remembered = remembered.map(|remembered| (remembered.memory, remembered.manifest));
        let (memory, manifest) = remembered.unzip();
        Self {
            wish,
            memory,
            manifest: manifest.flatten(),
        }
    }

    pub fn desired(&self, name: &TenantName) -> Desired {
        self.wish
            .as_ref()
            .map_or_else(|| desired::nothing(name.clone()), desired::of)
    }

    /// Whether the file wants what it wanted when the tenant was last written.
    pub fn is_unchanged(&self) -> bool {
        self.entry() == self.memory.as_ref().map(|memory| &memory.entry)
    }

    /// Whether all that the file wants was written once.
    pub fn is_finished(&self) -> bool {
        let finished = |memory: &Memory| memory.progress == Progress::Finished;
        self.is_unchanged() && self.memory.as_ref().is_some_and(finished)
    }

    /// Whether this very entry was tried and could not be written.
    pub fn has_failed(&self) -> bool {
        let failed = |memory: &Memory| memory.has_failed();
        self.is_unchanged() && self.memory.as_ref().is_some_and(failed)
    }

    /// Whether other keys of the tenant may be registered beside the one in use.
    fn has_former_keys(&self) -> bool {
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| !memory.former.is_empty())
    }

    /// Whether the fingerprint of its key is remembered.
    fn has_key(&self) -> bool {
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| memory.key.is_some())
    }

    /// Whether the host keys beside it are those that GitHub has now, as far as GitHub was asked.
    fn has_known_hosts(&self) -> bool {
        let wanted = self
            .wish
            .as_ref()
            .and_then(|wish| wish.surroundings.host_keys.as_ref());
        let memory = self.memory.as_ref();
        wanted.is_none_or(|wanted| {
            memory.is_some_and(|memory| memory.known_hosts.as_ref() == Some(wanted))
        })
    }

    fn entry(&self) -> Option<&Arc<Tenant>> {
        self.wish.as_ref().map(|wish| &wish.entry)
    }

    /// The entry as the file or, for a removed tenant, the memory has it.
    fn any_entry(&self) -> Option<&Tenant> {
        let remembered = self.memory.as_ref().map(|memory| &memory.entry);
        self.entry().or(remembered).map(AsRef::as_ref)
    }

    fn wanted_teams(&self) -> impl Iterator<Item = &TeamSlug> {
        self.entry()
            .into_iter()
            .flat_map(|entry| entry.teams.keys())
    }
}

/// Where the file names the namespace, if it is a workload namespace of the entry.
fn place_of_namespace(tenant: &TenantName, namespace: &str) -> Place {
    match namespace.parse::<NamespaceName>() {
        Ok(namespace) => Place::Namespace(tenant.clone(), namespace),
        Err(_) => Place::Tenant(tenant.clone()),
    }
}

/// The kinds of a tenant that are listed by label; Secrets never are.
const LISTED: [Kind; 8] = [
    Kind::Namespace,
    Kind::LimitRange,
    Kind::ResourceQuota,
    Kind::NetworkPolicy,
    Kind::ServiceAccount,
    Kind::RoleBinding,
    Kind::GitRepository,
    Kind::Kustomization,
];
