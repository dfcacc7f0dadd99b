//! Asks GitHub and the cluster what is there of some tenants. Reads only.
//!
//! The number of requests grows with the number of tenants asked for, in batches: repositories and their keys by a
//! hundred, each Kubernetes kind by one labelled list, teams by whichever is cheaper.

mod cluster;
mod github;
mod organization;
mod rights;

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::names::{NamespaceName, TeamSlug, TenantName};
use crate::object::{Kind, ManifestId, ObjectId};
use crate::observed::{Memory, Note, Observed, Problem, RememberedRepository, Sighting};
use crate::surroundings::Surroundings;
use crate::tenants::Tenant;
use crate::tenants::diagnostic::Place;
use crate::{github as hub, kubernetes};

pub use crate::observe::cluster::{Memories, memories};

/// With what one looks.
#[derive(Clone, Copy)]
pub struct Eyes<'a> {
    pub github: &'a hub::Reader,
    pub cluster: &'a kubernetes::Reader,
    pub surroundings: &'a Surroundings,
}

/// A tenant to look at: what the file says of it (nothing: it is gone from the file) and what is remembered.
pub struct Subject {
    pub entry: Option<Tenant>,
    pub desired: Desired,
    pub memory: Option<Memory>,
}

/// What was seen, and what acting on it needs to know.
#[derive(Debug, Default)]
pub struct Seen {
    pub observed: Observed,
    /// The workspace, where it was found and is ours.
    pub repository: Option<RememberedRepository>,
    /// A repository of the workspace's name that is not ours, and may become so.
    pub offered: Option<RememberedRepository>,
    /// The public key in the tenant's Secret, where it was read.
    pub public_key: Option<String>,
    /// What holds nothing; the same of many tenants is said once.
    pub notes: BTreeSet<Note>,
}

/// Looks at these tenants. A refusal of the whole of GitHub or of the cluster is an error; one object that cannot be
/// read is a sighting.
pub async fn read(
    eyes: Eyes<'_>,
    subjects: &BTreeMap<TenantName, Subject>,
) -> anyhow::Result<BTreeMap<TenantName, Seen>> {
    let mut seen: BTreeMap<TenantName, Seen> = subjects
        .iter()
        .map(|(name, subject)| (name.clone(), Seen::of(subject)))
        .collect();
    if subjects.is_empty() {
        return Ok(seen);
    }
    let (cluster, github, organization, rights) = tokio::join!(
        cluster::look(eyes.cluster, subjects),
        github::look(eyes.github, eyes.surroundings, subjects),
        organization::look(eyes.github, eyes.surroundings, subjects),
        rights::look(eyes.cluster, subjects)
    );
    let (cluster, github) = (cluster?, github?);
    let (organization, rights) = (organization?, rights?);
    for (name, subject) in subjects {
        let target = seen.get_mut(name).expect("made from the same names");
        cluster.tell(name, subject, target);
        github.tell(name, subject, target);
        organization.tell(subject, target);
        rights.tell(subject, target);
    }
    Ok(seen)
}

impl Seen {
    fn of(subject: &Subject) -> Self {
        let observed = Observed {
            memory: subject.memory.clone(),
            ..Observed::default()
        };
        Self {
            observed,
            ..Self::default()
        }
    }

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
    /// The entry as the file or, for a removed tenant, the memory has it.
    fn any_entry(&self) -> Option<&Tenant> {
        self.entry
            .as_ref()
            .or_else(|| self.memory.as_ref().map(|memory| &memory.entry))
    }

    fn wanted_manifests(&self) -> impl Iterator<Item = &ManifestId> {
        self.desired.objects.keys().filter_map(|id| match id {
            ObjectId::Manifest(id) => Some(id),
            ObjectId::Repository(_)
            | ObjectId::TeamAccess { .. }
            | ObjectId::Collaborator { .. }
            | ObjectId::Credentials { .. }
            | ObjectId::DeployKey { .. }
            | ObjectId::StrangeKey { .. } => None,
        })
    }

    fn wanted_teams(&self) -> impl Iterator<Item = &TeamSlug> {
        self.entry.iter().flat_map(|entry| entry.teams.keys())
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
