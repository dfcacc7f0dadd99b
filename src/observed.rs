//! What is there of one tenant, as far as we can see. *Cannot see* is not *gone*.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::names::FullName;
use crate::object::{Fingerprint, Object, ObjectId};
use crate::tenants::Tenant;
use crate::tenants::diagnostic::Place;

#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Every object that was looked for, and every one found that carries our mark.
    pub sightings: BTreeMap<ObjectId, Sighting>,
    pub memory: Option<Memory>,
    /// What only looking shows to be wrong with the entry; it holds the whole tenant.
    pub problems: Vec<Problem>,
    pub facts: Facts,
    /// Why a new key pair is to take the place of the one in use.
    pub rotation: Option<Rotation>,
}

/// Why a key pair has had its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Older than the file lets it become.
    Aged { made: Timestamp },
    /// Somebody has asked for it.
    Asked,
}

/// With which deploy key Flux fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetching {
    /// It was last asked to fetch with this one.
    pub asked: Option<Fingerprint>,
    /// And could.
    pub fetched: Option<Fingerprint>,
    pub suspended: bool,
}

/// One look at one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    Present {
        object: Object,
        ownership: Ownership,
    },
    /// It is ours, and all that is wanted of it is so. The object itself is not kept: of a whole organisation they
    /// would be too many.
    AsWanted,
    Absent,
    Unreadable {
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    Ours,
    /// A person marked it for this tenant (a namespace's label), or the file alone can decide (a repository).
    Offered,
    /// Somebody else's; says whose, as far as it can be told.
    Foreign {
        whose: String,
    },
}

/// What the `Tenant` object remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The entry last accepted.
    pub entry: Arc<Tenant>,
    pub control_repository: FullName,
    /// The commit of the control repo that last changed this entry.
    pub commit: Arc<str>,
    pub created_at: Timestamp,
    pub repository: Option<RememberedRepository>,
    pub key: Option<Fingerprint>,
    /// Keys that were made for the tenant, are not in use, and may still be registered.
    pub former: BTreeSet<Fingerprint>,
    /// A key that somebody has asked to be replaced.
    pub replace: Option<Fingerprint>,
    /// Of the host keys beside that key.
    pub known_hosts: Option<Fingerprint>,
    pub progress: Progress,
    /// `metadata.generation`: changes with the entry.
    pub generation: i64,
    pub accepted: Option<Accepted>,
}

/// The condition `Accepted` of a `Tenant` object.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub is_true: bool,
    pub reason: String,
    pub message: String,
    /// The generation that it speaks of.
    pub generation: i64,
    /// `lastTransitionTime`; two that differ in it alone say the same.
    pub since: Option<Timestamp>,
}

impl Accepted {
    /// The reason where an object could not be written.
    pub const FAILED: &'static str = "Failed";
}

impl Memory {
    /// Whether the entry that is remembered was tried, and an object of it could not be written.
    pub fn has_failed(&self) -> bool {
        let of_this_entry = |accepted: &Accepted| accepted.generation == self.generation;
        let failed = |accepted: &Accepted| accepted.reason == Accepted::FAILED;
        self.accepted
            .as_ref()
            .is_some_and(|accepted| of_this_entry(accepted) && failed(accepted))
    }
}

impl PartialEq for Accepted {
    fn eq(&self, other: &Self) -> bool {
        let said = |condition: &Self| (condition.is_true, condition.generation);
        said(self) == said(other) && self.reason == other.reason && self.message == other.message
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedRepository {
    /// GitHub's global node id.
    pub node_id: String,
    pub full_name: FullName,
}

/// How far the writing of a tenant's objects has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Never was everything written: whatever there is of it came with its entry.
    New,
    /// Everything was written once; the entry has changed since, or a write failed.
    Unfinished,
    /// Everything that the remembered entry wants was written.
    Finished,
}

/// Something wrong with an entry that only looking shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub place: Place,
    pub message: String,
    pub help: Option<String>,
}

/// Something that holds nothing, and that people should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub message: String,
    pub help: Option<String>,
}

/// Live facts that a person who is about to remove a tenant wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Objects that the tenant's Kustomization owns, by its `status.inventory`.
    pub inventory: Option<usize>,
    pub last_push: Option<Timestamp>,
    pub open_pulls: Option<u64>,
}
