//! How far a tenant is on its way: from written to live, judged from what Flux's own objects say.
//!
//! ```text
//! created ─► fetched ─► applied ─► contained ─► live
//! Tenant     GitRepository  Kustomization  access reviews
//! ```
//! Nothing is called live that was not read back: a word of Flux counts only if it is about the object's present
//! generation and about the workspace's head.

pub mod course;
pub mod following;
pub mod room;
pub mod synced;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::object::{Fingerprint, Kind};
use crate::words::words;

pub use crate::live::course::{Course, Leg, Turn};
pub use crate::live::following::{Following, MergeId, Patience, Push, Task, Workspace};
pub use crate::live::synced::{Remembered, Synced, Version};

use crate::live::synced::{Condition, Status};

words! {
    /// The stages of a tenant's way; each needs those before it.
    Stage {
        /// Everything that the entry wants is written.
        Created = "created",
        /// Flux has cloned the workspace's head.
        Fetched = "fetched",
        /// Flux has applied it, as the tenant's own account.
        Applied = "applied",
        /// Its accounts can write the tenant's namespaces and nothing else.
        Contained = "contained",
        Live = "live",
    }
}

words! {
    /// What may come of an obstacle by itself.
    Nature {
        /// Nothing is wrong yet.
        Waiting = "waiting",
        /// Flux says what is wrong, and tries again.
        Failing = "failing",
        /// Trying again does not help: a person is needed.
        Stuck = "stuck",
        /// The file says so.
        Suspended = "suspended",
    }
}

/// What keeps a tenant from its next stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub nature: Nature,
    /// The object that says so, if Flux does.
    pub by: Option<Kind>,
    /// One word, Flux's own where Flux says it.
    pub reason: String,
    pub message: String,
    /// What a person does about it.
    pub help: Option<String>,
}

/// The reason of what is not the head.
const OUTDATED: &str = "Outdated";

/// Where a tenant stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub created: bool,
    /// The last stage passed of those between `created` and `live`.
    pub reached: Stage,
    pub obstacle: Option<Obstacle>,
    /// What it was judged by; another word about the same changes nothing while Flux only repeats its work.
    basis: Basis,
    /// The obstacle is a reconciliation under way, about which there is no word yet.
    in_progress: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Basis {
    revision: String,
    generations: [Option<i64>; 2],
}

/// Whether the tenant's accounts were found to be within their room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    Pending,
    /// The cluster did not say.
    Untold {
        message: String,
    },
    Contained,
    Open {
        message: String,
        /// Shows more of it.
        command: String,
    },
}

/// What an apply leaves behind of a tenant for those who follow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// The objects that it wrote, as they were then: what a watch still shows of before does not count.
    pub versions: BTreeMap<Kind, Version>,
    /// The workspace's head, if it was read or made.
    pub head: Option<String>,
    /// The key that has taken the place of another one.
    pub key: Option<Fingerprint>,
}

impl Traces {
    /// A later apply's take the place of an earlier one's.
    pub fn absorb(&mut self, later: Self) {
        self.versions.extend(later.versions);
        self.head = later.head.or(self.head.take());
        self.key = later.key.or(self.key.take());
    }
}

/// What a tenant is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub tenant: &'a Remembered,
    /// The commit at the head of the workspace's branch.
    pub head: Option<&'a str>,
    pub source: Option<&'a Synced>,
    pub sync: Option<&'a Synced>,
    pub review: &'a Review,
    /// The key with which it must have been fetched, where it has taken the place of another one.
    pub key: Option<&'a Fingerprint>,
}

impl Standing {
    /// What the evidence shows; nothing while the workspace's head is not known. Flux takes its word back while it
    /// looks again, so until then its last word about the same revision stands.
    pub fn of(evidence: &Evidence, before: Option<&Self>) -> Option<Self> {
        let tenant = evidence.tenant;
        if !tenant.has_accounts() {
            return Some(Self {
                created: tenant.is_created(),
                reached: Stage::Contained,
                obstacle: tenant.unwritten(),
                basis: Basis {
                    revision: String::new(),
                    generations: [None, None],
                },
                in_progress: false,
            });
        }
        let revision = format!("{}@sha1:{}", tenant.branch, evidence.head?);
        let (reached, obstacle, in_progress) = match way(evidence, &revision) {
            Ok(()) => (Stage::Contained, tenant.unwritten(), false),
            Err((reached, word)) => (reached, Some(word.obstacle), word.in_progress),
        };
        let generation = |synced: Option<&Synced>| synced.map(|synced| synced.version.generation);
        let basis = Basis {
            revision,
            generations: [generation(evidence.source), generation(evidence.sync)],
        };
        let now = Self {
            created: tenant.is_created(),
            reached,
            obstacle,
            basis,
            in_progress,
        };
        Some(before.and_then(|before| before.stands(&now)).unwrap_or(now))
    }

    pub fn is_live(&self) -> bool {
        self.created && self.obstacle.is_none()
    }

    /// Nothing more is to be waited for, and nothing is wrong.
    pub fn is_done(&self) -> bool {
        self.is_live() || self.nature() == Some(Nature::Suspended)
    }

    pub fn nature(&self) -> Option<Nature> {
        self.obstacle.as_ref().map(|obstacle| obstacle.nature)
    }

    /// Whether the stage is behind the tenant.
    pub fn has(&self, stage: Stage) -> bool {
        match stage {
            Stage::Created => self.created,
            Stage::Fetched | Stage::Applied | Stage::Contained => stage <= self.reached,
            Stage::Live => self.is_live(),
        }
    }

    /// The revision that Flux was to fetch and apply; empty for a tenant that Flux has nothing to do with.
    pub fn revision(&self) -> &str {
        &self.basis.revision
    }

    /// Flux has fetched something, and it is not the head.
    pub(super) fn is_outdated(&self) -> bool {
        let obstacle = self.obstacle.as_ref();
        obstacle.is_some_and(|obstacle| {
            obstacle.by == Some(Kind::GitRepository) && obstacle.reason == OUTDATED
        })
    }

    /// This, once more, if what is new is only that Flux is at it again.
    fn stands(&self, now: &Self) -> Option<Self> {
        let again = now.in_progress && !self.in_progress && self.basis == now.basis;
        let had_a_word = self.is_live() || self.obstacle.as_ref().is_some_and(Obstacle::is_of_flux);
        (again && had_a_word && self.created == now.created).then(|| self.clone())
    }
}

impl Obstacle {
    fn waiting(by: Kind, reason: &str, message: String) -> Self {
        Self {
            nature: Nature::Waiting,
            by: Some(by),
            reason: reason.to_owned(),
            message,
            help: None,
        }
    }

    fn is_of_flux(&self) -> bool {
        self.by.is_some() && matches!(self.nature, Nature::Failing | Nature::Stuck)
    }
}

/// An obstacle, and whether it is there only because Flux has not spoken yet.
struct Word {
    obstacle: Obstacle,
    in_progress: bool,
}

impl From<Obstacle> for Word {
    fn from(obstacle: Obstacle) -> Self {
        Self {
            obstacle,
            in_progress: false,
        }
    }
}

/// From `created` to `contained`: where it ends, and why.
fn way(evidence: &Evidence, revision: &str) -> Result<(), (Stage, Word)> {
    let by_file = evidence.tenant.suspended;
    let source = Look {
        kind: Kind::GitRepository,
        revision,
        by_file,
        // A word of an older fetch is told by its generation alone.
        fetched_at: None,
    };
    let found = source
        .at(evidence.source)
        .map_err(|word| (Stage::Created, word))?;
    if let Some(key) = evidence.key
        && found.fetched_with() != Some(key)
    {
        let message = format!("Flux is to fetch with the new deploy key `{key}`");
        let obstacle = Obstacle::waiting(Kind::GitRepository, "NewKey", message);
        return Err((Stage::Created, obstacle.into()));
    }
    let sync = Look {
        kind: Kind::Kustomization,
        fetched_at: found.fetched_at,
        ..source
    };
    let workloads = match sync.at(evidence.sync) {
        Ok(_) => Ok(()),
        Err(word) if sync.has_applied(evidence.sync) => Err((Stage::Contained, word)),
        Err(word) => return Err((Stage::Fetched, word)),
    };
    match evidence.review.obstacle() {
        None => workloads,
        Some(obstacle) => Err((Stage::Applied, obstacle.into())),
    }
}

impl Review {
    fn obstacle(&self) -> Option<Obstacle> {
        let (nature, reason, message, help) = match self {
            Self::Contained => return None,
            Self::Pending => (
                Nature::Waiting,
                "Reviewing",
                "what the tenant's accounts may do is being looked at".to_owned(),
                None,
            ),
            Self::Untold { message } => (
                Nature::Failing,
                "NotReviewed",
                format!("the cluster does not say what the tenant's accounts may do: {message}"),
                Some("it is asked again each minute".to_owned()),
            ),
            Self::Open { message, command } => (
                Nature::Stuck,
                "NotContained",
                message.clone(),
                Some(format!(
                    "see what it may do with `{command}`, and take away what lets it; it is looked at again each minute"
                )),
            ),
        };
        Some(Obstacle {
            nature,
            by: None,
            reason: reason.to_owned(),
            message,
            help,
        })
    }
}

/// How one of Flux's two objects is looked at.
#[derive(Clone, Copy)]
struct Look<'a> {
    kind: Kind,
    /// What it must have fetched or applied.
    revision: &'a str,
    /// The file suspends the tenant.
    by_file: bool,
    /// When what is to be applied was fetched.
    fetched_at: Option<jiff::Timestamp>,
}

impl Look<'_> {
    fn at<'o>(&self, object: Option<&'o Synced>) -> Result<&'o Synced, Word> {
        let Some(object) = object else {
            return Err(self.waiting("Missing", format!("the {} is not there yet", self.kind)));
        };
        if object.is_ending {
            return Err(self.waiting("Ending", format!("the {} is being deleted", self.kind)));
        }
        if object.suspended {
            return Err(self.suspended().into());
        }
        if let Some(stalled) = object.now(object.stalled.as_deref())
            && stalled.status == Status::True
        {
            return Err(self.fault(Nature::Stuck, stalled).into());
        }
        match object.now(object.ready.as_ref()) {
            Some(ready) if ready.status == Status::False && self.concerns(object, ready) => {
                Err(self.fault(nature(self.kind, &ready.reason), ready).into())
            }
            Some(ready) if ready.status == Status::True && object.is_settled() => {
                if object.revision.as_deref() == Some(self.revision) {
                    return Ok(object);
                }
                Err(self.waiting(OUTDATED, self.outdated(object)))
            }
            _ => Err(Word {
                obstacle: Obstacle::waiting(self.kind, "Progressing", self.at_work(object)),
                in_progress: true,
            }),
        }
    }

    /// Whether the revision is applied, and what Flux waits for or complains of is the health of the workloads: only then
    /// does it look at that, and only where the file says `wait: true`.
    fn has_applied(&self, object: Option<&Synced>) -> bool {
        let Some(object) = object else {
            return false;
        };
        let tried = object.attempted.as_deref() == Some(self.revision);
        let unhealthy = object.now(object.ready.as_ref()).is_some_and(|ready| {
            ready.status == Status::False && ready.reason == "HealthCheckFailed"
        });
        let checking = object.now(object.reconciling.as_deref()).is_some_and(|at| {
            at.status == Status::True && at.message.starts_with("Running health checks")
        });
        tried && !object.suspended && !object.is_ending && (unhealthy || checking)
    }

    /// A failure from before the artifact was fetched is about an earlier one, if about any.
    fn concerns(&self, object: &Synced, ready: &Condition) -> bool {
        let earlier = match (ready.since, self.fetched_at) {
            (Some(said), Some(fetched)) => said < fetched,
            _ => false,
        };
        !earlier || object.attempted.as_deref() == Some(self.revision)
    }

    fn waiting(&self, reason: &str, message: String) -> Word {
        Obstacle::waiting(self.kind, reason, message).into()
    }

    fn at_work(&self, object: &Synced) -> String {
        let revision = self.revision;
        if self.has_applied(Some(object)) {
            return format!(
                "Flux has applied `{revision}`, and waits for the workloads to become healthy"
            );
        }
        match self.kind {
            Kind::GitRepository => format!("Flux is to fetch `{revision}`"),
            _ => format!("Flux is to apply `{revision}`"),
        }
    }

    fn outdated(&self, object: &Synced) -> String {
        let has = object.revision.as_deref().unwrap_or("nothing");
        let verb = if self.kind == Kind::GitRepository {
            "fetched"
        } else {
            "applied"
        };
        format!(
            "Flux has {verb} `{has}`; the workspace's head is `{}`",
            self.revision
        )
    }

    fn suspended(&self) -> Obstacle {
        let kind = self.kind;
        if self.by_file {
            return Obstacle {
                nature: Nature::Suspended,
                by: Some(kind),
                reason: "Suspended".to_owned(),
                message: "Flux is suspended, as the file says".to_owned(),
                help: None,
            };
        }
        Obstacle {
            nature: Nature::Stuck,
            by: Some(kind),
            reason: "Suspended".to_owned(),
            message: format!("somebody has suspended the {kind}, and the file has not"),
            help: Some(
                "resume it with `flux resume`, or set `suspended: true` in the file".to_owned(),
            ),
        }
    }

    fn fault(&self, nature: Nature, condition: &Condition) -> Obstacle {
        Obstacle {
            nature,
            by: Some(self.kind),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            help: help(&condition.reason, &condition.message),
        }
    }
}

/// Flux calls it stalled where trying again is useless, but for a key that the Secret does not hold: the app has made
/// and registered the pair before it made the GitRepository, so waiting mends nothing.
fn nature(kind: Kind, reason: &str) -> Nature {
    match (kind, reason) {
        (Kind::GitRepository, "AuthenticationFailed") => Nature::Stuck,
        _ => Nature::Failing,
    }
}

/// What to do about a reason of Flux's.
fn help(reason: &str, message: &str) -> Option<String> {
    let text = match reason {
        "AuthenticationFailed" => {
            "compare the Secret `git-auth` of the control namespace with the deploy keys of the workspace".to_owned()
        }
        "GitOperationFailed" if message.contains("unable to authenticate") => {
            "see whether the deploy key still stands on the workspace, and whether the organisation allows deploy keys".to_owned()
        }
        "ArtifactFailed" if message.contains("path not found") => {
            "commit that directory to the workspace, or correct `repository.path` in the file".to_owned()
        }
        "BuildFailed" => "correct the manifests in the workspace: each push is tried at once".to_owned(),
        "ReconciliationFailed" => match forbidden(message) {
            Some(what) => format!(
                "the tenant's account may not {what}: leave that out of the workspace, or grant it with `reconcilerRole`"
            ),
            None => "correct the manifests in the workspace: each push is tried at once".to_owned(),
        },
        "HealthCheckFailed" => "look at the workloads: Flux has applied them, and they do not become ready".to_owned(),
        "PruneFailed" => "see what keeps the objects that left the workspace from being deleted".to_owned(),
        "DependencyNotReady" => "make what it depends on ready, or take `dependsOn` away".to_owned(),
        "AccessDenied" => "Flux is locked down: a tenant's objects may refer to nothing outside their namespace".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// What the account may not do, from the API server's `cannot create resource "deployments" in API group "apps"`.
fn forbidden(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once('"')?;
    let group = rest.split_once(" in API group \"")?.1.split_once('"')?.0;
    let simple = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-./".contains(c))
    };
    if ![verb, resource, group].into_iter().all(simple) {
        return None;
    }
    Some(match group {
        "" => format!("{verb} `{resource}`"),
        group => format!("{verb} `{resource}.{group}`"),
    })
}
