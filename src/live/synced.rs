//! What is read of a tenant's three objects: little enough to be kept for ten thousand of them.

use jiff::Timestamp;
use serde_json::Value;

use crate::flux::{self, ControlNamespace, SYNC};
use crate::live::{Nature, Obstacle, Stage};
use crate::names::{BranchName, FullName, TenantName};
use crate::object::{Fingerprint, Kind};
use crate::tenants::Tenant;

/// Longest message that is kept, in characters: Flux may quote whole manifests.
const LONGEST_MESSAGE: usize = 1000;

/// Which state of which object: generations grow while the uid stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub uid: String,
    pub generation: i64,
}

impl Version {
    pub fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        Self {
            uid: text(&metadata["uid"]),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
        }
    }

    /// Whether this is what was written, or newer.
    pub fn is_since(&self, written: &Self) -> bool {
        self.uid == written.uid && self.generation >= written.generation
    }
}

/// A GitRepository or Kustomization of Flux's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub version: Version,
    pub is_ending: bool,
    pub suspended: bool,
    /// The generation that the status speaks of.
    pub observed: Option<i64>,
    pub ready: Option<Condition>,
    // Hardly ever there.
    pub stalled: Option<Box<Condition>>,
    pub reconciling: Option<Box<Condition>>,
    /// Fetched and stored, or applied; such as `main@sha1:<commit>`.
    pub revision: Option<String>,
    /// When the artifact was stored; of a GitRepository.
    pub fetched_at: Option<Timestamp>,
    /// The revision last tried; of a Kustomization.
    pub attempted: Option<String>,
    /// The deploy key with which it was last asked to fetch, if it has tried and was asked for nothing else since.
    pub tried_key: Option<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub status: Status,
    pub reason: String,
    pub message: String,
    pub generation: Option<i64>,
    pub since: Option<Timestamp>,
}

crate::words::words! {
    /// Of a condition, in Kubernetes' words.
    Status {
        True = "True",
        False = "False",
        Unknown = "Unknown",
    }
}

/// What a `Tenant` object says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    pub version: Version,
    pub control_repository: FullName,
    /// The commit of the control repo that last changed the entry.
    pub commit: String,
    pub repository: FullName,
    pub branch: BranchName,
    pub suspended: bool,
    /// Without any, Flux has nothing to do for the tenant.
    pub namespaces: Vec<String>,
    /// The role of its account in them.
    pub role: String,
    pub accepted: Option<Condition>,
    /// Only where its deploy key is being replaced, or is to be.
    pub renewal: Option<Box<Renewal>>,
    /// `Fetched`, `Applied`, `Contained` and `Live`, as they were told last; until somebody takes them.
    pub told: Option<Box<[Option<Condition>; 4]>>,
}

/// Where the replacement of a deploy key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The key that the Secret holds.
    pub key: Fingerprint,
    /// Another key is still registered: it goes once Flux has fetched with this one.
    pub has_former: bool,
    /// Somebody has asked for this one to be replaced.
    pub is_asked: bool,
}

impl Renewal {
    fn of(keys: &Value) -> Option<Self> {
        let key = keys["fingerprint"].as_str()?;
        let former = keys["former"].as_array();
        let renewal = Self {
            key: Fingerprint(key.to_owned()),
            has_former: former.is_some_and(|former| !former.is_empty()),
            is_asked: keys["replace"] == key,
        };
        (renewal.has_former || renewal.is_asked).then_some(renewal)
    }
}

/// The conditions that following a tenant sets, with the stage of each.
pub const CONDITIONS: [(Stage, &str); 4] = [
    (Stage::Fetched, "Fetched"),
    (Stage::Applied, "Applied"),
    (Stage::Contained, "Contained"),
    (Stage::Live, "Live"),
];

/// The tenant that an object is the one of, going by where it stands: labels can be had by anybody who may write
/// Flux's kinds in some namespace, and those of control namespaces are ours alone.
pub fn tenant_of(kind: Kind, object: &Value) -> Option<TenantName> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str()?;
    match kind {
        Kind::Tenant => name.parse().ok(),
        Kind::GitRepository | Kind::Kustomization => {
            let tenant = ControlNamespace::tenant(metadata["namespace"].as_str()?)?;
            (name == SYNC).then_some(tenant)
        }
        Kind::Namespace
        | Kind::LimitRange
        | Kind::ResourceQuota
        | Kind::NetworkPolicy
        | Kind::ServiceAccount
        | Kind::RoleBinding => None,
    }
}

impl Condition {
    /// What is well needs no words, and it is what most say.
    fn without_good_news(self) -> Self {
        let message = if self.status == Status::True {
            String::new()
        } else {
            self.message
        };
        Self { message, ..self }
    }
}

impl Synced {
    pub fn of(object: &Value) -> Self {
        let status = &object["status"];
        let stated = |path: &str| status.pointer(path).and_then(Value::as_str);
        Self {
            version: Version::of(object),
            is_ending: object["metadata"]["deletionTimestamp"].is_string(),
            suspended: object["spec"]["suspend"] == true,
            observed: status["observedGeneration"].as_i64(),
            ready: condition(status, "Ready").map(Condition::without_good_news),
            stalled: condition(status, "Stalled").map(Box::new),
            reconciling: condition(status, "Reconciling").map(Box::new),
            revision: stated("/artifact/revision")
                .or_else(|| stated("/lastAppliedRevision"))
                .map(str::to_owned),
            fetched_at: stated("/artifact/lastUpdateTime").and_then(|at| at.parse().ok()),
            attempted: stated("/lastAttemptedRevision").map(str::to_owned),
            tried_key: stated("/lastHandledReconcileAt").and_then(flux::requested_key),
        }
    }

    /// The deploy key with which it was asked to fetch, if it could.
    pub fn fetched_with(&self) -> Option<&Fingerprint> {
        let ready = self.now(self.ready.as_ref());
        let is_ready = ready.is_some_and(|ready| ready.status == Status::True);
        self.tried_key
            .as_ref()
            .filter(|_| is_ready && self.is_settled())
    }

    /// The condition, if it is about the present generation: while Flux fails, only the condition's own tells.
    pub(super) fn now<'a>(&self, condition: Option<&'a Condition>) -> Option<&'a Condition> {
        let present = Some(self.version.generation);
        condition.filter(|condition| condition.generation.or(self.observed) == present)
    }

    /// The whole status is about the present generation, and nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        let at_work = self
            .reconciling
            .as_ref()
            .is_some_and(|condition| condition.status == Status::True);
        self.observed == Some(self.version.generation) && !at_work
    }
}

impl Remembered {
    /// Without namespaces there are none.
    pub fn has_accounts(&self) -> bool {
        !self.namespaces.is_empty()
    }

    /// None where it is not as we write it: then nothing is said of its tenant.
    pub fn of(object: &Value) -> Option<Self> {
        let (spec, status) = (&object["spec"], &object["status"]);
        let entry: Tenant = serde_json::from_value(spec["entry"].clone()).ok()?;
        Some(Self {
            version: Version::of(object),
            control_repository: spec["controlRepository"].as_str()?.parse().ok()?,
            commit: spec["commit"].as_str()?.to_owned(),
            repository: spec["repository"].as_str()?.parse().ok()?,
            branch: entry.repository.branch,
            suspended: entry.suspended,
            namespaces: entry.namespaces.keys().map(ToString::to_string).collect(),
            role: entry.reconciler_role,
            accepted: condition(status, "Accepted").map(Condition::without_good_news),
            renewal: Renewal::of(&status["deployKey"]).map(Box::new),
            told: Some(Box::new(
                CONDITIONS.map(|(_, name)| condition(status, name)),
            )),
        })
    }

    /// `Accepted`, if it is about the entry as it is now.
    fn accepted(&self) -> Option<&Condition> {
        let present = Some(self.version.generation);
        let accepted = self.accepted.as_ref();
        accepted.filter(|accepted| accepted.generation == present)
    }

    pub(super) fn is_created(&self) -> bool {
        self.accepted()
            .is_some_and(|accepted| accepted.status == Status::True)
    }

    /// What keeps the tenant from being `created`.
    pub(super) fn unwritten(&self) -> Option<Obstacle> {
        let (nature, reason, message) = match self.accepted() {
            Some(accepted) if accepted.status == Status::True => return None,
            Some(accepted) => (
                Nature::Failing,
                "NotAccepted".to_owned(),
                accepted.message.clone(),
            ),
            None => (
                Nature::Waiting,
                "Writing".to_owned(),
                "its objects are being written".to_owned(),
            ),
        };
        Some(Obstacle {
            nature,
            by: None,
            reason,
            message,
            help: None,
        })
    }
}

fn condition(status: &Value, name: &str) -> Option<Condition> {
    let conditions = status["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == name)?;
    Some(Condition {
        status: found["status"].as_str()?.parse().unwrap_or(Status::Unknown),
        reason: text(&found["reason"]),
        message: text(&found["message"])
            .chars()
            .take(LONGEST_MESSAGE)
            .collect(),
        generation: found["observedGeneration"].as_i64(),
        since: found["lastTransitionTime"]
            .as_str()
            .and_then(|at| at.parse().ok()),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
