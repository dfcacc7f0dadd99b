//! From tenants to a plan: which of them need a look, looking, and what differs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::apply::{self, Known};
use crate::desired::{self, Desired, Wish};
use crate::names::TenantName;
use crate::observe::{self, Eyes, Look, Memories, Remembered, Subject};
use crate::observed::{Facts, Problem, Rotation};
use crate::plan::{self, Plan, TenantAction, TenantPlan, Unchanged};
use crate::report::Left;
use crate::surroundings::Surroundings;
use crate::tenants::Tenants;
use crate::tenants::diagnostic::Place;

/// Keys that one comparison finds too old: a fleet that was made in one day is not given new ones at once, and what is
/// wrong with the first is seen before the last has its turn.
const ROTATIONS: usize = 20;

/// Which tenants to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those whose entry changed, or that are unfinished.
    Changed,
    /// All of them: the start, a resync, `tenantry plan`.
    Everything,
    /// As `Changed`, but of the new ones only so many, and none of those that have failed while there are more: the next
    /// slice of a work that goes on for long.
    Slice(usize),
}

/// Whether an entry that the file does not have is gone, or may only have been unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    Sound,
    HasErrors,
}

/// A plan, and what applying it needs to know of the tenants about which there is something to do.
pub struct Draft {
    pub plan: Plan,
    pub known: BTreeMap<TenantName, Known>,
    /// The commits at the heads of the workspaces that were looked at.
    pub heads: BTreeMap<TenantName, String>,
    /// The tenants that were there already, and whose entries the wanted commit was the last to change.
    pub of_commit: BTreeSet<TenantName>,
    /// What a slice does not hold.
    pub left: Left,
}

/// What a file wants, and where it was read.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub tenants: &'a Tenants,
    pub file: File,
    pub commit: &'a str,
    /// To be looked at whatever the scope.
    pub also: &'a BTreeSet<TenantName>,
}

/// Compares what the file wants with what is there; `memories` are those of the same file.
pub async fn tenants(
    eyes: Eyes<'_>,
    wanted: Wanted<'_>,
    memories: Memories,
    scope: Scope,
) -> anyhow::Result<Draft> {
    let mut sorted = sort(eyes.surroundings, wanted, memories);
    let all = sorted.subjects.len();
    sorted.subjects.retain(|name, subject| {
        scope == Scope::Everything || !subject.is_finished() || wanted.also.contains(name)
    });
    sorted.plan.unchanged.tenants += all - sorted.subjects.len();
    let left = match scope {
        Scope::Slice(most) => slice(&mut sorted.subjects, most),
        Scope::Changed | Scope::Everything => Left::default(),
    };
    // Where nothing is to be done, nothing is asked.
    if sorted.subjects.is_empty() {
        return Ok(Draft {
            plan: sorted.plan,
            known: BTreeMap::new(),
            heads: BTreeMap::new(),
            of_commit: sorted.of_commit,
            left,
        });
    }
    let lockdown = async {
        let standing = observe::lockdown(eyes.cluster, wanted.tenants.lockdown).await;
        anyhow::Ok(standing?)
    };
    let (look, lockdown) = tokio::try_join!(observe::look(eyes, &sorted.subjects), lockdown)?;
    sorted.plan.lockdown = lockdown;
    let draft = draft(eyes.surroundings, sorted, &look).await;
    Ok(Draft { left, ..draft })
}

/// Takes out what is for later.
fn slice(subjects: &mut BTreeMap<TenantName, Subject>, most: usize) -> Left {
    let new = |subject: &Subject| subject.memory.is_none();
    let tenants = subjects.values().filter(|subject| new(subject)).count();
    let tenants = tenants.saturating_sub(most);
    if tenants > 0 {
        let mut taken = 0;
        subjects.retain(|_, subject| {
            taken += usize::from(new(subject));
            if new(subject) {
                taken <= most
            } else {
                !subject.has_failed()
            }
        });
    }
    Left {
        tenants,
        creations: tenants * apply::CREATIONS,
        drifted: false,
    }
}

/// The tenants that can be looked at, and what is wrong with those that cannot.
struct Sorted {
    subjects: BTreeMap<TenantName, Subject>,
    plan: Plan,
    of_commit: BTreeSet<TenantName>,
}

fn sort(surroundings: &Arc<Surroundings>, wanted: Wanted<'_>, mut memories: Memories) -> Sorted {
    let mut sorted = Sorted {
        subjects: BTreeMap::new(),
        plan: Plan::default(),
        of_commit: BTreeSet::new(),
    };
    let commit: Arc<str> = wanted.commit.into();
    for (name, entry) in &wanted.tenants.tenants {
        match usable(surroundings, name, memories.remove(name)) {
            Ok(remembered) => {
                let memory = remembered.as_ref().map(|remembered| &remembered.memory);
                if memory.is_some_and(|memory| memory.commit == commit) {
                    sorted.of_commit.insert(name.clone());
                }
                let unchanged = memory.filter(|memory| memory.entry == *entry);
                let wish = Wish {
                    entry: Arc::clone(entry),
                    surroundings: Arc::clone(surroundings),
                    commit: Arc::clone(unchanged.map_or(&commit, |memory| &memory.commit)),
                };
                let subject = Subject::new(Some(wish), remembered);
                sorted.subjects.insert(name.clone(), subject);
            }
            Err(problem) => sorted.plan.add(name.clone(), blocked(problem)),
        }
    }
    // With errors in the file, a missing entry may be one that could not be read.
    if wanted.file == File::HasErrors {
        return sorted;
    }
    for (name, remembered) in memories {
        let Ok(remembered) = remembered else { continue };
        if remembered.memory.control_repository == surroundings.control_repository {
            let subject = Subject::new(None, Some(remembered));
            sorted.subjects.insert(name, subject);
        }
    }
    sorted
}

/// What is remembered of the tenant, if it may be acted on from this control repo.
fn usable(
    surroundings: &Surroundings,
    name: &TenantName,
    remembered: Option<Result<Remembered, String>>,
) -> Result<Option<Remembered>, Problem> {
    let wrong = |message: String, help: &str| Problem {
        place: Place::Tenant(name.clone()),
        message,
        help: Some(help.to_owned()),
    };
    match remembered.transpose() {
        Ok(Some(Remembered { memory, .. }))
            if memory.control_repository != surroundings.control_repository =>
        {
            Err(wrong(
                format!(
                    "tenant `{name}` belongs to the control repo `{}`",
                    memory.control_repository
                ),
                "choose another name: only the control repo that made a tenant may change it",
            ))
        }
        Ok(remembered) => Ok(remembered),
        Err(reason) => Err(wrong(
            format!("the Tenant object `{name}` cannot be understood: {reason}"),
            "restore it as Tenantry wrote it; nothing of this tenant is changed meanwhile",
        )),
    }
}

fn blocked(problem: Problem) -> TenantPlan {
    TenantPlan {
        action: TenantAction::Change,
        wish: None,
        steps: Vec::new(),
        digest: None,
        problems: vec![problem],
        facts: Facts::default(),
        unchanged: Unchanged::default(),
    }
}

/// Goes through the tenants one by one: what is wanted of a tenant, and what was seen of it, is there only meanwhile.
async fn draft(surroundings: &Arc<Surroundings>, sorted: Sorted, look: &Look) -> Draft {
    let Sorted {
        subjects,
        mut plan,
        of_commit,
    } = sorted;
    let (mut known, mut heads) = (BTreeMap::new(), BTreeMap::new());
    let mut aged = 0;
    for (index, (name, subject)) in subjects.into_iter().enumerate() {
        observe::let_others_run(index).await;
        let desired = subject.desired(&name);
        let mut seen = look.at(&name, &subject, &desired);
        if let Some(Rotation::Aged { .. }) = seen.observed.rotation {
            if aged == ROTATIONS {
                seen.observed.rotation = None;
            }
            // Those that cannot be written take nobody's turn.
            let is_tried = seen.observed.problems.is_empty() && !subject.has_failed();
            aged += usize::from(is_tried && aged < ROTATIONS);
        }
        let before = before(&subject, &desired, surroundings);
        let tenant = plan::of_tenant(before.as_deref(), &desired, &seen.observed);
        let Subject { wish, memory, .. } = subject;
        let knowledge = Known {
            entry: wish.map(|wish| wish.entry),
            memory,
            repository: seen.repository,
            offered: seen.offered,
            head: seen.head,
            public_key: seen.public_key,
            known_hosts: seen.known_hosts,
            former: seen.former,
            fetching: seen.fetching,
        };
        if let Some(head) = &knowledge.head {
            heads.insert(name.clone(), head.clone());
        }
        plan.notes.extend(seen.notes);
        if !(tenant.is_empty() && knowledge.is_settled()) {
            known.insert(name.clone(), knowledge);
        }
        plan.add(name, tenant);
    }
    Draft {
        plan,
        known,
        heads,
        of_commit,
        left: Left::default(),
    }
}

/// What was wanted when the tenant was last written.
fn before<'a>(
    subject: &Subject,
    desired: &'a Desired,
    surroundings: &Arc<Surroundings>,
) -> Option<Cow<'a, Desired>> {
    let memory = subject.memory.as_ref()?;
    if subject.is_unchanged() {
        return Some(Cow::Borrowed(desired));
    }
    Some(Cow::Owned(desired::of(&Wish {
        entry: Arc::clone(&memory.entry),
        surroundings: Arc::clone(surroundings),
        commit: Arc::clone(&memory.commit),
    })))
}
