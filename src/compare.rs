//! From tenants to a plan: which of them need a look, looking, and what differs.

use std::collections::BTreeMap;

use crate::apply::Known;
use crate::desired::{self, Desired};
use crate::names::TenantName;
use crate::observe::{self, Eyes, Memories, Seen, Subject};
use crate::observed::{Facts, Memory, Problem, Progress};
use crate::plan::{self, Plan, TenantAction, TenantPlan, Unchanged};
use crate::tenants::diagnostic::Place;
use crate::tenants::{Tenant, Tenants};

/// Which tenants to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those whose entry changed, or that are unfinished.
    Changed,
    /// All of them: the start, a resync, `tenantry plan`.
    Everything,
}

/// Whether an entry that the file does not have is gone, or may only have been unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    Sound,
    HasErrors,
}

/// A plan, and what applying it needs to know of each tenant that was looked at.
pub struct Draft {
    pub plan: Plan,
    pub known: BTreeMap<TenantName, Known>,
}

/// Compares what the file wants with what is there. `commit` is where the file was read.
pub async fn tenants(
    eyes: Eyes<'_>,
    tenants: &Tenants,
    file: File,
    scope: Scope,
    commit: &str,
) -> anyhow::Result<Draft> {
    let memories = observe::memories(eyes.cluster).await?;
    let mut sorted = sort(eyes, tenants, file, &memories, commit);
    if scope == Scope::Changed {
        let all = sorted.subjects.len();
        sorted.subjects.retain(|_, subject| needs_a_look(subject));
        sorted.plan.unchanged.tenants += all - sorted.subjects.len();
    }
    let seen = observe::read(eyes, &sorted.subjects).await?;
    Ok(draft(eyes, sorted, seen))
}

/// The tenants that can be looked at, and what is wrong with those that cannot.
struct Sorted {
    subjects: BTreeMap<TenantName, Subject>,
    plan: Plan,
}

fn sort(
    eyes: Eyes<'_>,
    tenants: &Tenants,
    file: File,
    memories: &Memories,
    commit: &str,
) -> Sorted {
    let mut sorted = Sorted {
        subjects: BTreeMap::new(),
        plan: Plan::default(),
    };
    for (name, entry) in &tenants.tenants {
        match usable(eyes, name, memories) {
            Ok(memory) => {
                let desired = desired_of(eyes, entry, memory, commit);
                let subject = Subject {
                    entry: Some(entry.clone()),
                    desired,
                    memory: memory.cloned(),
                };
                sorted.subjects.insert(name.clone(), subject);
            }
            Err(problem) => sorted.plan.add(name.clone(), blocked(problem)),
        }
    }
    // With errors in the file, a missing entry may be one that could not be read.
    if file == File::HasErrors {
        return sorted;
    }
    for (name, memory) in memories {
        let Ok(memory) = memory else { continue };
        let is_ours = memory.control_repository == eyes.surroundings.control_repository;
        if is_ours && !tenants.tenants.contains_key(name) {
            let desired = desired::nothing(name.clone());
            let subject = Subject {
                entry: None,
                desired,
                memory: Some(memory.clone()),
            };
            sorted.subjects.insert(name.clone(), subject);
        }
    }
    sorted
}

/// What is remembered of the tenant, if it may be acted on from this control repo.
fn usable<'a>(
    eyes: Eyes<'_>,
    name: &TenantName,
    memories: &'a Memories,
) -> Result<Option<&'a Memory>, Problem> {
    let wrong = |message: String, help: &str| Problem {
        place: Place::Tenant(name.clone()),
        message,
        help: Some(help.to_owned()),
    };
    match memories.get(name) {
        None => Ok(None),
        Some(Ok(memory)) if memory.control_repository == eyes.surroundings.control_repository => {
            Ok(Some(memory))
        }
        Some(Ok(memory)) => Err(wrong(
            format!(
                "tenant `{name}` belongs to the control repo `{}`",
                memory.control_repository
            ),
            "choose another name: only the control repo that made a tenant may change it",
        )),
        Some(Err(reason)) => Err(wrong(
            format!("the Tenant object `{name}` cannot be understood: {reason}"),
            "restore it as Tenantry wrote it; nothing of this tenant is changed meanwhile",
        )),
    }
}

fn blocked(problem: Problem) -> TenantPlan {
    TenantPlan {
        action: TenantAction::Change,
        steps: Vec::new(),
        problems: vec![problem],
        facts: Facts::default(),
        unchanged: Unchanged::default(),
    }
}

fn desired_of(eyes: Eyes<'_>, entry: &Tenant, memory: Option<&Memory>, commit: &str) -> Desired {
    let unchanged = memory.filter(|memory| memory.entry == *entry);
    desired::of(
        entry,
        eyes.surroundings,
        unchanged.map_or(commit, |memory| &memory.commit),
    )
}

fn needs_a_look(subject: &Subject) -> bool {
    match (&subject.entry, &subject.memory) {
        (Some(entry), Some(memory)) => {
            memory.entry != *entry || memory.progress != Progress::Finished
        }
        (Some(_), None) | (None, _) => true,
    }
}

fn draft(eyes: Eyes<'_>, sorted: Sorted, mut seen: BTreeMap<TenantName, Seen>) -> Draft {
    let Sorted { subjects, mut plan } = sorted;
    let mut known = BTreeMap::new();
    for (name, subject) in subjects {
        let Some(seen) = seen.remove(&name) else {
            continue;
        };
        let before = subject
            .memory
            .as_ref()
            .map(|memory| desired::of(&memory.entry, eyes.surroundings, &memory.commit));
        plan.add(
            name.clone(),
            plan::of_tenant(before.as_ref(), &subject.desired, &seen.observed),
        );
        plan.notes.extend(seen.notes);
        let Subject { entry, memory, .. } = subject;
        known.insert(
            name,
            Known {
                entry,
                memory,
                repository: seen.repository,
                offered: seen.offered,
                public_key: seen.public_key,
            },
        );
    }
    Draft { plan, known }
}
