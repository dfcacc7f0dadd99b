//! What there is to do, and what becomes of it when something newer comes.

use std::time::Duration;

use crate::bot::command::Command;
use crate::names::FullName;
use crate::queue::{self, Followed, Urgency};
use crate::report::Retry;

/// A plan that has ended so often in an error that somebody has to do something about is left to the next comparison of
/// everything.
const TRIES: u32 = 5;

/// Work on one control repo.
#[derive(Debug, Clone)]
pub struct Job {
    pub repository: FullName,
    pub work: Work,
    /// How often it has ended in an error.
    pub tries: u32,
}

#[derive(Debug, Clone)]
pub enum Work {
    /// Plan a pull request as it is now; `looks` counts the waits for GitHub's merge commit.
    Plan { number: u64, looks: u32 },
    /// Plan a commit that is no pull request's: of another branch, or of a merge group.
    PlanCommit { head: String },
    /// Something was pushed; whether it is to be applied or planned depends on the branch.
    Pushed {
        branch: String,
        commit: String,
        may_touch: bool,
    },
    /// Make live what the default branch wants.
    Reconcile(Reconcile),
    /// Somebody asks for a check again.
    Recheck { head: String },
    Answer {
        number: u64,
        author: String,
        command: Command,
    },
}

#[derive(Debug, Clone, Default)]
pub struct Reconcile {
    /// Commits pushed to the default branch whose checks and pull requests wait for the outcome, oldest first.
    pub commits: Vec<String>,
    /// Earlier ones, whose checks have given way to a later commit's and whose pull requests wait.
    pub owed: Vec<String>,
    /// Compare every tenant, not only those whose entry changed.
    pub everything: bool,
    /// Plan the open pull requests again afterwards: the file they start from may have changed.
    pub replan: bool,
    pub telling: Telling,
    /// How often this has been tried again.
    pub retries: u32,
    /// Only the next slice of what was begun, and nothing has come since.
    pub goes_on: bool,
}

/// Whether the check is written again though nothing in it is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Telling {
    #[default]
    News,
    /// Somebody asks for it.
    Everything,
}

/// What a job works on; jobs of one key run one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Control(FullName),
    Pull(FullName, u64),
    Commit(FullName, String),
}

impl Work {
    pub fn resync() -> Self {
        Self::Reconcile(Reconcile {
            everything: true,
            ..Reconcile::default()
        })
    }

    /// Somebody asks for the check on the tip again.
    pub fn asked(tip: &str) -> Self {
        Self::Reconcile(Reconcile {
            commits: vec![tip.to_owned()],
            everything: true,
            telling: Telling::Everything,
            ..Reconcile::default()
        })
    }

    pub fn merged(commit: &str, replan: bool) -> Self {
        Self::Reconcile(Reconcile {
            commits: vec![commit.to_owned()],
            replan,
            ..Reconcile::default()
        })
    }
}

impl Job {
    /// The job, after a pause that is nobody's fault; nothing where somebody would be answered late, or twice.
    pub fn later(self) -> Option<Self> {
        match self.work {
            Work::Answer { .. } => None,
            Work::Plan { .. }
            | Work::PlanCommit { .. }
            | Work::Pushed { .. }
            | Work::Recheck { .. }
            | Work::Reconcile(_) => Some(self),
        }
    }

    /// The job for another try after an error. One that passes by itself is waited for, and what the default branch
    /// wants is never given up.
    pub fn again(self, retry: Retry) -> Option<Self> {
        let tries = self.tries + 1;
        let worth_it = match self.work {
            // Somebody would be answered late, or twice.
            Work::Answer { .. } => false,
            Work::Reconcile(_) => true,
            Work::Plan { .. }
            | Work::PlanCommit { .. }
            | Work::Pushed { .. }
            | Work::Recheck { .. } => retry == Retry::Useful || tries < TRIES,
        };
        worth_it.then_some(Self { tries, ..self })
    }
}

/// How long until something is tried again: twice as long each time, at most `longest`.
pub(super) fn pause(first: Duration, tries: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << tries.min(16)).min(longest)
}

impl queue::Job for Job {
    type Key = Key;

    fn key(&self) -> Key {
        let repository = self.repository.clone();
        match &self.work {
            Work::Plan { number, .. } | Work::Answer { number, .. } => {
                Key::Pull(repository, *number)
            }
            Work::PlanCommit { head } | Work::Recheck { head } => {
                Key::Commit(repository, head.clone())
            }
            Work::Pushed { commit, .. } => Key::Commit(repository, commit.clone()),
            Work::Reconcile(_) => Key::Control(repository),
        }
    }

    fn urgency(&self) -> Urgency {
        match self.work {
            Work::Plan { .. }
            | Work::PlanCommit { .. }
            | Work::Pushed { .. }
            | Work::Recheck { .. }
            | Work::Answer { .. } => Urgency::Awaited,
            Work::Reconcile(_) => Urgency::Background,
        }
    }

    fn followed_by(self, newer: Self) -> Followed<Self> {
        match (self.work, newer.work) {
            (Work::Plan { .. }, work @ Work::Plan { .. })
            | (Work::PlanCommit { .. }, work @ Work::PlanCommit { .. }) => {
                Followed::ByOne(Self { work, ..newer })
            }
            (Work::Reconcile(older), Work::Reconcile(work)) => {
                let work = Work::Reconcile(older.joined_with(work));
                Followed::ByOne(Self { work, ..newer })
            }
            (older, work) => Followed::InTurn(
                Self {
                    work: older,
                    ..self
                },
                Self { work, ..newer },
            ),
        }
    }
}

impl Reconcile {
    /// The newer one does for both, and owes what the older one owed.
    fn joined_with(mut self, newer: Self) -> Self {
        for commit in newer.commits {
            self.commits.retain(|owed| *owed != commit);
            self.commits.push(commit);
        }
        self.owed.extend(newer.owed);
        Self {
            commits: self.commits,
            owed: self.owed,
            everything: self.everything || newer.everything,
            replan: self.replan || newer.replan,
            telling: self.telling.max(newer.telling),
            retries: newer.retries,
            goes_on: self.goes_on && newer.goes_on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Job, TRIES, Work};
    use crate::report::Retry;

    fn tried(work: Work, retry: Retry) -> u32 {
        let mut job = Job {
            repository: "acme/tenants".parse().unwrap(),
            work,
            tries: 0,
        };
        while job.tries < 100
            && let Some(again) = job.clone().again(retry)
        {
            job = again;
        }
        job.tries + 1
    }

    #[test]
    fn what_passes_by_itself_is_waited_for_and_what_does_not_is_given_up() {
        let plan = || Work::Plan {
            number: 1,
            looks: 0,
        };
        assert_eq!(tried(plan(), Retry::Useful), 101);
        assert_eq!(tried(plan(), Retry::Useless), TRIES);
        assert_eq!(tried(Work::resync(), Retry::Useless), 101);
    }
}
