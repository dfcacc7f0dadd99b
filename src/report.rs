//! What an apply did, step by step.

mod progress;

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::{Objects, Wish};
use crate::flux::lockdown::Standing;
use crate::live::Traces;
use crate::names::TenantName;
use crate::object::ObjectId;
use crate::observed::{Facts, Note, Problem};
use crate::plan::{Hold, Step, TenantAction, Unchanged};

pub use crate::report::progress::{Progress, Told};

#[derive(Debug, Clone, Default)]
pub struct Report {
    pub tenants: BTreeMap<TenantName, TenantReport>,
    pub unchanged: Unchanged,
    /// How Flux stood when it was looked at last.
    pub lockdown: Standing,
    /// What people should know though it holds nothing.
    pub notes: BTreeSet<Note>,
    pub left: Left,
    /// Tenants of the same work with which a process before this one was done.
    pub earlier: usize,
}

/// What GitHub's limits have left for later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    pub tenants: usize,
    /// Things to be created on GitHub for them.
    pub creations: usize,
    /// Whether some of them are finished but for drift, so that only a look at everything finds them.
    pub drifted: bool,
}

#[derive(Debug, Clone)]
pub struct TenantReport {
    pub action: TenantAction,
    /// From which follows what was made of the objects.
    pub wish: Option<Wish>,
    /// In the order of work.
    pub outcomes: Vec<(Step, Outcome)>,
    pub problems: Vec<Problem>,
    pub facts: Facts,
    pub traces: Traces,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The outside said no; the text is fit for people and holds no secret.
    Failed {
        error: String,
        retry: Retry,
    },
    /// Not tried, because an earlier step of the same tenant failed.
    Skipped {
        because: Box<ObjectId>,
    },
    Held(Hold),
    /// Not done before Flux has fetched with the key that is in use.
    Waiting,
}

/// Whether trying again can help without a person doing something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Useful,
    Useless,
}

crate::words::words! {
    /// The one word that a check and a comment begin with, from best to worst.
    Verdict {
        Applied = "applied",
        Held = "held",
        Failed = "failed",
    }
}

impl Report {
    /// The worst that happened to any tenant.
    pub fn verdict(&self) -> Verdict {
        self.tenants
            .values()
            .map(TenantReport::verdict)
            .max()
            .unwrap_or(Verdict::Applied)
    }

    /// Later tries replace what earlier ones said of a tenant. What was to be done then and no longer is was done;
    /// unless the later one has left something, which may be this.
    pub fn absorb(&mut self, mut later: Report) {
        for (name, earlier) in &mut self.tenants {
            match later.tenants.remove(name) {
                Some(again) => earlier.absorb(again),
                None if later.left.tenants > 0 => {}
                None => earlier
                    .outcomes
                    .iter_mut()
                    .for_each(|(_, outcome)| outcome.turn_out_done()),
            }
        }
        self.tenants.append(&mut later.tenants);
        self.unchanged = later.unchanged;
        self.lockdown = later.lockdown;
        self.notes.append(&mut later.notes);
        self.left = later.left;
        self.earlier = self.earlier.max(later.earlier);
    }

    pub fn problems(&self) -> impl Iterator<Item = (&TenantName, &Problem)> {
        let of_one = |(name, tenant)| {
            let tenant: &TenantReport = tenant;
            tenant.problems.iter().map(move |problem| (name, problem))
        };
        self.tenants.iter().flat_map(of_one)
    }

    /// Whether anything was written.
    pub fn did_something(&self) -> bool {
        self.tenants.values().any(TenantReport::did_something)
    }

    /// The tenants of which something failed, and trying again may help.
    pub fn worth_retrying(&self) -> impl Iterator<Item = &TenantName> {
        let useful = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Failed {
                    retry: Retry::Useful,
                    ..
                }
            )
        };
        self.tenants
            .iter()
            .filter(move |(_, tenant)| tenant.outcomes.iter().any(|(_, outcome)| useful(outcome)))
            .map(|(name, _)| name)
    }
}

impl Left {
    pub fn add(&mut self, other: Self) {
        self.tenants += other.tenants;
        self.creations += other.creations;
        self.drifted |= other.drifted;
    }
}

impl Outcome {
    /// A write that was refused or lost may have been done all the same.
    fn turn_out_done(&mut self) {
        match self {
            Self::Failed { .. } | Self::Skipped { .. } | Self::Waiting => *self = Self::Done,
            Self::Done | Self::Held(_) => {}
        }
    }
}

impl TenantReport {
    pub fn did_something(&self) -> bool {
        let mut outcomes = self.outcomes.iter();
        outcomes.any(|(_, outcome)| *outcome == Outcome::Done)
    }

    fn absorb(&mut self, again: TenantReport) {
        self.outcomes
            .retain(|(step, _)| again.outcomes.iter().all(|(other, _)| other.id != step.id));
        self.outcomes
            .iter_mut()
            .for_each(|(_, outcome)| outcome.turn_out_done());
        self.outcomes.extend(again.outcomes);
        self.outcomes
            .sort_by(|(one, _), (two, _)| one.id.cmp(&two.id));
        self.problems = again.problems;
        self.wish = again.wish;
        self.traces.absorb(again.traces);
    }

    /// What the steps make of the objects.
    pub fn wanted(&self) -> Objects {
        self.wish.as_ref().map(Wish::objects).unwrap_or_default()
    }

    /// Whether it is a new tenant that waits until Flux is locked down.
    pub fn is_locked_out(&self) -> bool {
        let waits = |outcome: &Outcome| *outcome == Outcome::Held(Hold::NotLockedDown);
        self.action == TenantAction::Add && self.outcomes.iter().any(|(_, outcome)| waits(outcome))
    }

    pub fn verdict(&self) -> Verdict {
        let outcomes = self.outcomes.iter().map(|(_, outcome)| match outcome {
            Outcome::Done | Outcome::Waiting => Verdict::Applied,
            Outcome::Held(_) => Verdict::Held,
            Outcome::Failed { .. } | Outcome::Skipped { .. } => Verdict::Failed,
        });
        let problems = self.problems.iter().map(|_| Verdict::Failed);
        outcomes.chain(problems).max().unwrap_or(Verdict::Applied)
    }
}
