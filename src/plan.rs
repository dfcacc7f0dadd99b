//! The difference between what is wanted and what is there, as steps in the order of work.
//!
//! Planning goes tenant by tenant ([`of_tenant`]) and keeps changes and counts, not the world.
//! [`approve`] alone makes an [`ApprovedPlan`], and only an approved plan can be applied.

pub mod fields;
pub mod fingerprint;
pub mod guard;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

pub use crate::plan::fields::FieldChange;
pub use crate::plan::fingerprint::{Digest, Promise};
pub use crate::plan::guard::{ApprovedPlan, Consent, approve, foresee};

use crate::desired::{Desired, Objects, Wish};
use crate::flux::lockdown::Standing;
use crate::names::TenantName;
use crate::object::{Object, ObjectId, Side};
use crate::observed::{Facts, Note, Observed, Ownership, Problem, Progress, Rotation, Sighting};
use crate::tenants::diagnostic::Place;

/// Of a key that has grown old: when it was made.
pub const MADE: &str = "made";
/// Of a key that somebody has asked to be replaced.
pub const ASKED: &str = "asked";

/// All the changes, tenant by tenant. A tenant in which nothing differs is only counted.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub tenants: BTreeMap<TenantName, TenantPlan>,
    pub unchanged: Unchanged,
    /// Of the cluster as a whole: whether its Flux keeps tenants in their rooms.
    pub lockdown: Standing,
    /// What people should know though it holds nothing.
    pub notes: BTreeSet<Note>,
}

/// What was compared and found as it should be, or not looked at because nothing of its entry changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Unchanged {
    pub tenants: usize,
    pub github: usize,
    pub cluster: usize,
}

#[derive(Debug, Clone)]
pub struct TenantPlan {
    pub action: TenantAction,
    /// From which follows what the steps make of the objects.
    pub wish: Option<Wish>,
    pub steps: Vec<Step>,
    /// Of what the steps do, the `Tenant` object left out; none where they do nothing else.
    pub digest: Option<Digest>,
    /// While there is one, no step of this tenant is done.
    pub problems: Vec<Problem>,
    pub facts: Facts,
    /// Objects of this tenant that are as they should be, by side.
    pub unchanged: Unchanged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantAction {
    /// No `Tenant` object yet, or one whose objects were never all written.
    Add,
    Change,
    /// The file no longer has the entry.
    Remove,
    /// The file wants what it wanted before; somebody changed the objects.
    Drift,
}

/// One difference, and what is to be done about it.
#[derive(Debug, Clone)]
pub struct Step {
    pub id: ObjectId,
    pub change: Change,
    pub cause: Cause,
    pub effect: Effect,
    /// Why it is shown and not done; [`guard`] decides.
    pub hold: Option<Hold>,
}

/// What is done to an object. What becomes of it is as the tenant's [`Wish`] has it: a plan of many tenants keeps the
/// differences and not the objects.
#[derive(Debug, Clone)]
pub enum Change {
    Create,
    /// It exists, is not ours, and the file and its owner say that it may be taken over.
    Adopt(Vec<FieldChange>),
    Update(Vec<FieldChange>),
    Remove(Box<Object>),
}

/// Whether an edit of the file or somebody's hand made the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    Requested,
    Drift,
}

/// What a step does to people's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Harmless,
    Wider,
    /// Somebody loses a right. A step that does both is narrower: the stricter rule holds.
    Narrower,
    Removal,
}

/// Why a step is shown and not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Nothing is removed, archived or revoked yet.
    Removal,
    /// Nothing is narrowed yet.
    Narrower,
    /// Found on a workspace without being named in the file.
    NotNamed,
    /// Wider access that no plan comment has announced.
    Unannounced,
    /// Somebody would gain access to a cluster whose Flux is not locked down.
    NotLockedDown,
    /// Something is wrong with the entry, so nothing of its tenant is done.
    Problem,
}

impl Change {
    /// Whether the object is wanted: everything but a removal.
    pub fn is_wanted(&self) -> bool {
        match self {
            Self::Create | Self::Adopt(_) | Self::Update(_) => true,
            Self::Remove(_) => false,
        }
    }

    /// The fields that change of an object that is there.
    pub fn fields(&self) -> &[FieldChange] {
        match self {
            Self::Adopt(fields) | Self::Update(fields) => fields,
            Self::Create | Self::Remove(_) => &[],
        }
    }

    pub fn verb(&self) -> Verb {
        match self {
            Self::Create => Verb::Create,
            Self::Adopt(_) => Verb::Adopt,
            Self::Update(_) => Verb::Update,
            Self::Remove(_) => Verb::Remove,
        }
    }
}

crate::words::words! {
    /// What a step does to its object.
    Verb {
        Create = "create",
        Adopt = "adopt",
        Update = "update",
        Remove = "remove",
    }
}

impl Plan {
    /// Adds a tenant's plan: kept if anything differs or is wrong, else counted.
    pub fn add(&mut self, name: TenantName, tenant: TenantPlan) {
        self.unchanged.github += tenant.unchanged.github;
        self.unchanged.cluster += tenant.unchanged.cluster;
        if tenant.is_empty() {
            self.unchanged.tenants += 1;
        } else {
            self.tenants.insert(name, tenant);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Every step with its tenant, in the order of work within each tenant.
    pub fn steps(&self) -> impl Iterator<Item = (&TenantName, &Step)> {
        self.tenants
            .iter()
            .flat_map(|(name, tenant)| tenant.steps.iter().map(move |step| (name, step)))
    }

    pub fn problems(&self) -> impl Iterator<Item = (&TenantName, &Problem)> {
        self.tenants
            .iter()
            .flat_map(|(name, tenant)| tenant.problems.iter().map(move |problem| (name, problem)))
    }

    /// The tenants of which something waits until Flux is locked down.
    pub fn locked_out(&self) -> impl Iterator<Item = &TenantName> {
        let waits = |step: &Step| step.hold == Some(Hold::NotLockedDown);
        let tenants = self
            .tenants
            .iter()
            .filter(move |(_, tenant)| tenant.steps.iter().any(waits));
        tenants.map(|(name, _)| name)
    }
}

impl Step {
    /// Whether a plan comment that shows it announces wider access. What waits for Flux's lockdown is done after it,
    /// without being asked again.
    pub fn announces_wider_access(&self) -> bool {
        self.effect == Effect::Wider && matches!(self.hold, None | Some(Hold::NotLockedDown))
    }
}

impl TenantPlan {
    /// What the steps make of the objects.
    pub fn wanted(&self) -> Objects {
        self.wish.as_ref().map(Wish::objects).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.problems.is_empty()
    }

    /// Whether it is a new tenant that waits until Flux is locked down.
    pub fn is_locked_out(&self) -> bool {
        self.action == TenantAction::Add
            && self
                .steps
                .iter()
                .any(|step| step.hold == Some(Hold::NotLockedDown))
    }

    /// How many steps do this on this side.
    pub fn count(&self, side: Side, verb: Verb) -> usize {
        self.steps
            .iter()
            .filter(|step| step.id.side() == side && step.change.verb() == verb)
            .count()
    }
}

/// Compares one tenant's two states.
///
/// `before` is what was wanted until now: it tells a requested change from drift.
/// With `desired` of a tenant that the file no longer has (no objects), everything found of it is a removal.
pub fn of_tenant(before: Option<&Desired>, desired: &Desired, observed: &Observed) -> TenantPlan {
    let mut plan = TenantPlan {
        action: TenantAction::Drift,
        wish: desired.wish.clone(),
        steps: Vec::new(),
        digest: None,
        problems: observed.problems.clone(),
        facts: observed.facts,
        unchanged: Unchanged::default(),
    };
    // One after the other: what an earlier replacement has left goes first.
    let has_former = || observed.sightings.keys().any(is_former_key);
    let rotation = observed.rotation.filter(|_| !has_former());
    let mut rotation: Vec<_> = rotation.map(reason).into_iter().collect();
    for (id, object) in &desired.objects {
        let mut comparison = compare(desired, observed, id, object);
        match (id, &mut comparison) {
            // A pair of another kind comes with the key on GitHub, which has to be there first.
            (ObjectId::Credentials { .. }, Comparison::Differs(Change::Update(fields))) => {
                rotation.extend(fields.extract_if(.., |field| field.path == "algorithm"));
                if fields.is_empty() {
                    continue;
                }
            }
            (ObjectId::DeployKey { .. }, comparison) => rotate(comparison, &mut rotation),
            _ => {}
        }
        match comparison {
            Comparison::Same => *side_count(&mut plan.unchanged, id.side()) += 1,
            Comparison::Wrong(problem) => plan.problems.push(problem),
            Comparison::Differs(change) => {
                plan.steps
                    .push(step(before, Some(object), observed, desired, id, change));
            }
        }
    }
    for (id, sighting) in &observed.sightings {
        if desired.objects.contains_key(id) {
            continue;
        }
        if let Sighting::Present {
            object,
            ownership: Ownership::Ours,
        } = sighting
        {
            let change = Change::Remove(Box::new(object.clone()));
            plan.steps
                .push(step(before, None, observed, desired, id, change));
        }
    }
    plan.problems.sort();
    plan.problems.dedup();
    plan.steps.shrink_to_fit();
    plan.digest = fingerprint::of_steps(&desired.tenant, &plan.steps, &desired.objects);
    plan.action = action(&plan, desired, observed);
    plan
}

fn is_former_key(id: &ObjectId) -> bool {
    matches!(id, ObjectId::FormerKey { .. })
}

/// Why a key pair is replaced, as a field of the key.
fn reason(rotation: Rotation) -> FieldChange {
    let (path, before) = match rotation {
        Rotation::Aged { made } => (MADE, Some(json!(made))),
        Rotation::Asked => (ASKED, None),
    };
    FieldChange {
        path: path.to_owned(),
        before,
        after: None,
    }
}

/// Where there is a reason, or the key on GitHub is not as it is wanted, a new pair takes the place of the one in use:
/// GitHub's keys cannot be edited.
fn rotate(comparison: &mut Comparison, reasons: &mut Vec<FieldChange>) {
    match comparison {
        Comparison::Wrong(_) => return,
        Comparison::Differs(Change::Update(fields)) => reasons.append(fields),
        Comparison::Same | Comparison::Differs(_) => {}
    }
    if !reasons.is_empty() {
        *comparison = Comparison::Differs(Change::Update(std::mem::take(reasons)));
    }
}

enum Comparison {
    Same,
    Differs(Change),
    Wrong(Problem),
}

fn compare(desired: &Desired, observed: &Observed, id: &ObjectId, wanted: &Object) -> Comparison {
    let wrong = |message: String, help: &str| {
        Comparison::Wrong(Problem {
            place: place_of(desired, id),
            message,
            help: Some(help.to_owned()),
        })
    };
    match observed.sightings.get(id) {
        None => wrong(
            format!("{} `{id}` was not looked for", id.noun()),
            "this is an error of Tenantry: please report it",
        ),
        Some(Sighting::Unreadable { reason }) => wrong(
            format!("{} `{id}` cannot be read: {reason}", id.noun()),
            "nothing of this tenant is changed while that is so",
        ),
        Some(Sighting::AsWanted) => Comparison::Same,
        Some(Sighting::Absent) => Comparison::Differs(Change::Create),
        Some(Sighting::Present { object, ownership }) => {
            let fields = fields::between(object, wanted);
            match ownership {
                Ownership::Ours if fields.is_empty() => Comparison::Same,
                Ownership::Ours => Comparison::Differs(Change::Update(fields)),
                Ownership::Offered if desired.adopts.contains(id) => {
                    Comparison::Differs(Change::Adopt(fields))
                }
                Ownership::Offered => wrong(
                    format!(
                        "{} `{id}` exists already and is not this tenant's",
                        id.noun()
                    ),
                    "choose another name, or take it over with `adopt: true`",
                ),
                Ownership::Foreign { whose } => wrong(
                    format!("{} `{id}` exists already and is {whose}", id.noun()),
                    "choose another name, or remove it first",
                ),
            }
        }
    }
}

fn step(
    before: Option<&Desired>,
    wanted: Option<&Object>,
    observed: &Observed,
    desired: &Desired,
    id: &ObjectId,
    change: Change,
) -> Step {
    let wanted_before = before.and_then(|before| before.objects.get(id));
    let finished = observed
        .memory
        .as_ref()
        .is_some_and(|memory| memory.progress == Progress::Finished);
    let cause = if finished && wanted_before == wanted && !comes_by_itself(id, &change) {
        Cause::Drift
    } else {
        Cause::Requested
    };
    let effect = guard::effect(id, &change, observed, desired);
    Step {
        id: id.clone(),
        change,
        cause,
        effect,
        hold: None,
    }
}

/// Host keys change and key pairs grow old without anybody's hand, and what is left of a pair is the App's own.
fn comes_by_itself(id: &ObjectId, change: &Change) -> bool {
    let is_update = matches!(change, Change::Update(_));
    let has_had_its_time = |field: &FieldChange| [MADE, ASKED].contains(&field.path.as_str());
    match id {
        ObjectId::FormerKey { .. } => true,
        ObjectId::Credentials { .. } => is_update,
        ObjectId::DeployKey { .. } => is_update && change.fields().iter().all(has_had_its_time),
        ObjectId::Manifest(_)
        | ObjectId::Repository(_)
        | ObjectId::TeamAccess { .. }
        | ObjectId::Collaborator { .. }
        | ObjectId::StrangeKey { .. } => false,
    }
}

fn action(plan: &TenantPlan, desired: &Desired, observed: &Observed) -> TenantAction {
    let progress = observed.memory.as_ref().map(|memory| memory.progress);
    if desired.objects.is_empty() {
        TenantAction::Remove
    } else if matches!(progress, None | Some(Progress::New)) {
        TenantAction::Add
    } else if plan.steps.iter().all(|step| step.cause == Cause::Drift)
        && progress == Some(Progress::Finished)
    {
        TenantAction::Drift
    } else {
        TenantAction::Change
    }
}

fn side_count(unchanged: &mut Unchanged, side: Side) -> &mut usize {
    match side {
        Side::GitHub => &mut unchanged.github,
        Side::Cluster => &mut unchanged.cluster,
    }
}

fn place_of(desired: &Desired, id: &ObjectId) -> Place {
    desired
        .places
        .get(id)
        .cloned()
        .unwrap_or_else(|| Place::Tenant(desired.tenant.clone()))
}
