//! What a step does to people's access, and whether it may run.
//!
//! *Wider*: somebody gains a higher right on a repo or namespace that existed before, or a repo becomes more visible.
//! What came into being together with its tenant did not exist before, so a new tenant is not wider.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::desired::{Desired, Objects};
use crate::names::TenantName;
use crate::object::{Access, DeployKey, Kind, ManifestId, Object, ObjectId, Repository};
use crate::observed::{Observed, Progress, Sighting};
use crate::plan::fingerprint::{self, Promise};
use crate::plan::{Cause, Change, Effect, Hold, Plan, Step, TenantAction, Verb};
use crate::tenants::PodSecurity;

/// What people have agreed to.
#[derive(Debug, Clone)]
pub enum Consent {
    /// A pull request's plan comment announced these steps, and it was merged.
    Announced(Vec<Promise>),
    /// No plan covers this: the first start, a direct push, drift.
    None,
}

/// A plan in which every step that may not run is held; only [`approve`] makes one.
#[derive(Debug, Clone)]
pub struct ApprovedPlan {
    plan: Plan,
}

impl ApprovedPlan {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

/// Holds what the consent does not cover.
pub fn approve(plan: Plan, consent: &Consent) -> ApprovedPlan {
    let announced: BTreeSet<_> = match consent {
        Consent::Announced(promises) => promises
            .iter()
            .flat_map(|promise| promise.wider.iter().cloned())
            .collect(),
        Consent::None => BTreeSet::new(),
    };
    ApprovedPlan {
        plan: hold(plan, |tenant, step, wanted| {
            announced.contains(&fingerprint::of_step(tenant, step, wanted))
        }),
    }
}

/// Steps that one plan can announce: their digests have to fit into a check run's text.
const MOST_ANNOUNCED: usize = 500;

/// The same plan as a merge would find it, if its comment announces as much of what is wider as one comment can.
pub fn foresee(plan: Plan) -> Plan {
    let mut room = MOST_ANNOUNCED;
    hold(plan, |_, _, _| {
        let fits = room > 0;
        room = room.saturating_sub(1);
        fits
    })
}

fn hold(mut plan: Plan, mut announced: impl FnMut(&TenantName, &Step, &Objects) -> bool) -> Plan {
    let shut = plan.lockdown.shuts_out();
    for (name, tenant) in &mut plan.tenants {
        let wanted = if tenant.steps.iter().any(|step| step.effect == Effect::Wider) {
            tenant.wanted()
        } else {
            Objects::new()
        };
        let problem = !tenant.problems.is_empty();
        let goes = tenant.action == TenantAction::Remove;
        let comes = tenant.action == TenantAction::Add;
        for step in &mut tenant.steps {
            step.hold = match step.effect {
                _ if problem => Some(Hold::Problem),
                Effect::Harmless => None,
                Effect::Wider if gives_back(step) || announced(name, step, &wanted) => None,
                Effect::Wider => Some(Hold::Unannounced),
                Effect::Narrower => Some(Hold::Narrower),
                Effect::Removal if !goes && is_not_named(&step.id) => Some(Hold::NotNamed),
                Effect::Removal => Some(Hold::Removal),
            };
            if step.hold.is_none() && shut && (comes || lets_in(step)) {
                step.hold = Some(Hold::NotLockedDown);
            }
        }
    }
    plan
}

/// Access that the accepted entry grants and that was given once: people agreed to it at that merge, and somebody took
/// it away on the side. What a repo shows to whom, and what a key that is there may do, stays as it was made by hand.
fn gives_back(step: &Step) -> bool {
    let is_key = matches!(step.id, ObjectId::DeployKey { .. });
    let was_given = is_access(&step.id) || is_key && matches!(step.change, Change::Create);
    was_given && step.cause == Cause::Drift
}

/// Access that somebody has not had before, be it to something new: without Flux's lockdown it leads further.
fn lets_in(step: &Step) -> bool {
    let is_new = matches!(step.change.verb(), Verb::Create | Verb::Adopt);
    let is_gained = step.effect == Effect::Wider || is_new && is_access(&step.id);
    is_gained && !gives_back(step)
}

fn is_access(id: &ObjectId) -> bool {
    match id {
        ObjectId::TeamAccess { .. } => true,
        ObjectId::Manifest(id) => id.kind == Kind::RoleBinding,
        ObjectId::Repository(_)
        | ObjectId::Collaborator { .. }
        | ObjectId::Credentials { .. }
        | ObjectId::DeployKey { .. }
        | ObjectId::StrangeKey { .. }
        | ObjectId::FormerKey { .. } => false,
    }
}

/// Things that people add to a workspace by hand, beside what the file names.
fn is_not_named(id: &ObjectId) -> bool {
    match id {
        ObjectId::TeamAccess { .. }
        | ObjectId::Collaborator { .. }
        | ObjectId::StrangeKey { .. } => true,
        ObjectId::Manifest(_)
        | ObjectId::Repository(_)
        | ObjectId::Credentials { .. }
        | ObjectId::DeployKey { .. }
        | ObjectId::FormerKey { .. } => false,
    }
}

/// What the change does to people's access.
pub fn effect(id: &ObjectId, change: &Change, observed: &Observed, desired: &Desired) -> Effect {
    let existing = existed_before(id, observed, desired);
    let Some(to) = desired.objects.get(id) else {
        // A tenant that is to stay has no use for it, nor has anybody else.
        return match id {
            ObjectId::FormerKey { .. } if desired.wish.is_some() => Effect::Harmless,
            _ => Effect::Removal,
        };
    };
    match (change, found(id, observed)) {
        (Change::Remove(_), _) => Effect::Removal,
        (Change::Create, _) | (Change::Update(_), None) if existing => of_creation(to, id),
        (Change::Adopt(_), Some(from)) => of_update(from, to, id).max(of_creation(to, id)),
        (Change::Update(_), Some(from)) => of_update(from, to, id),
        (Change::Create | Change::Adopt(_) | Change::Update(_), _) => Effect::Harmless,
    }
}

fn found<'a>(id: &ObjectId, observed: &'a Observed) -> Option<&'a Object> {
    match observed.sightings.get(id) {
        Some(Sighting::Present { object, .. }) => Some(object),
        Some(Sighting::AsWanted | Sighting::Absent | Sighting::Unreadable { .. }) | None => None,
    }
}

fn is_there(id: &ObjectId, observed: &Observed) -> bool {
    match observed.sightings.get(id) {
        Some(Sighting::Present { .. } | Sighting::AsWanted) => true,
        Some(Sighting::Absent | Sighting::Unreadable { .. }) | None => false,
    }
}

/// Whether the repo or namespace that the object is about was there before this entry came to be.
fn existed_before(id: &ObjectId, observed: &Observed, desired: &Desired) -> bool {
    let Some(parent) = id.parent() else {
        return false;
    };
    let came_with_the_entry = observed
        .memory
        .as_ref()
        .is_none_or(|memory| memory.progress == Progress::New)
        && !desired.adopts.contains(&parent);
    is_there(&parent, observed) && !came_with_the_entry
}

fn of_creation(to: &Object, id: &ObjectId) -> Effect {
    match to {
        Object::TeamAccess(_) | Object::Collaborator(_) | Object::Repository(_) => Effect::Wider,
        Object::DeployKey(DeployKey { read_only })
        | Object::StrangeKey(DeployKey { read_only })
            if !read_only =>
        {
            Effect::Wider
        }
        Object::Manifest(_) if kind(id) == Some(Kind::RoleBinding) => Effect::Wider,
        Object::DeployKey(_)
        | Object::StrangeKey(_)
        | Object::FormerKey(_)
        | Object::Credentials(_)
        | Object::Manifest(_) => Effect::Harmless,
    }
}

fn of_update(from: &Object, to: &Object, id: &ObjectId) -> Effect {
    match (from, to) {
        (Object::Repository(from), Object::Repository(to)) => of_repository(from, to),
        (
            Object::TeamAccess(Access { permission: from }),
            Object::TeamAccess(Access { permission: to }),
        ) => direction(from, to),
        // A key that may no longer push takes nothing away from people.
        (Object::DeployKey(from), Object::DeployKey(to)) if from.read_only && !to.read_only => {
            Effect::Wider
        }
        (Object::Manifest(from), Object::Manifest(to)) => match kind(id) {
            Some(Kind::RoleBinding) => of_binding(from, to),
            Some(Kind::Namespace) => of_namespace(from, to),
            Some(
                Kind::Tenant
                | Kind::LimitRange
                | Kind::ResourceQuota
                | Kind::NetworkPolicy
                | Kind::ServiceAccount
                | Kind::GitRepository
                | Kind::Kustomization,
            )
            | None => Effect::Harmless,
        },
        _ => Effect::Harmless,
    }
}

fn of_repository(from: &Repository, to: &Repository) -> Effect {
    // Out of the archive, everybody who could push before can push again.
    direction(&from.visibility, &to.visibility).max(direction(&!from.archived, &!to.archived))
}

fn direction<T: Ord>(from: &T, to: &T) -> Effect {
    match from.cmp(to) {
        std::cmp::Ordering::Less => Effect::Wider,
        std::cmp::Ordering::Equal => Effect::Harmless,
        std::cmp::Ordering::Greater => Effect::Narrower,
    }
}

fn of_binding(from: &Value, to: &Value) -> Effect {
    let subjects = |binding: &Value| binding["subjects"].as_array().cloned().unwrap_or_default();
    let (from, to) = (subjects(from), subjects(to));
    if from.iter().any(|subject| !to.contains(subject)) {
        Effect::Narrower
    } else if to.iter().any(|subject| !from.contains(subject)) {
        Effect::Wider
    } else {
        Effect::Harmless
    }
}

/// A weaker Pod Security Standard lets people do more in a namespace that exists.
fn of_namespace(from: &Value, to: &Value) -> Effect {
    let level = |namespace: &Value| {
        let enforced = namespace["metadata"]["labels"][crate::object::POD_SECURITY].as_str();
        PodSecurity::ALL
            .iter()
            .position(|level| Some(level.as_str()) == enforced)
    };
    match (level(from), level(to)) {
        (Some(from), Some(to)) if to < from => Effect::Wider,
        _ => Effect::Harmless,
    }
}

fn kind(id: &ObjectId) -> Option<Kind> {
    match id {
        ObjectId::Manifest(ManifestId { kind, .. }) => Some(*kind),
        _ => None,
    }
}
