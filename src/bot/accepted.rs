//! The file that was accepted last: a guard that stands in the file counts as that one has it, until the next merge.
//!
//! The memory is our own check on the default branch's commits, and that Tenants remember the commits they are from.

use super::control::Control;
use super::reporting::conclusion;
use super::{APPLY_CHECK, Bot};
use crate::flux::lockdown::Policy;
use crate::github::{CheckRun, Conclusion, Progress};
use crate::plan::Plan;
use crate::render::check;
use crate::tenants::{Lockdown, Parsed};

/// Commits whose check is looked at; a rebased pull request brings as many as it has.
const LOOKS: usize = 30;

/// Where the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since<'a> {
    /// The commit itself may be the accepted one.
    Commit(&'a str),
    /// The commit is what is to be accepted.
    ParentOf(&'a str),
}

impl<'a> Since<'a> {
    fn commit(self) -> &'a str {
        match self {
            Self::Commit(commit) | Self::ParentOf(commit) => commit,
        }
    }

    fn left_out(self) -> usize {
        match self {
            Self::Commit(_) => 0,
            Self::ParentOf(_) => 1,
        }
    }
}

impl Bot {
    /// The plan, with newcomers shut out if only this change of the file would let them in.
    pub(super) async fn guarded(
        &self,
        control: &Control,
        parsed: &Parsed,
        mut plan: Plan,
        since: Since<'_>,
    ) -> anyhow::Result<Plan> {
        let gaps = plan.lockdown.gaps.len();
        if gaps > 0 {
            tracing::warn!(repository = %control.repository, gaps, "Flux on this cluster is not locked down");
        }
        // Elsewhere it makes no difference, and nothing is asked.
        if plan.lockdown.policy == Policy::Warn && gaps > 0 {
            let accepted = self.accepted_lockdown(control, parsed, since).await?;
            plan.lockdown.policy = plan.lockdown.policy.after(accepted);
        }
        Ok(plan)
    }

    /// What the last accepted file said; the stricter where that cannot be found out.
    async fn accepted_lockdown(
        &self,
        control: &Control,
        parsed: &Parsed,
        since: Since<'_>,
    ) -> anyhow::Result<Lockdown> {
        let reader = self.reader(control);
        let history = reader.history(&control.repository, since.commit()).await?;
        let before = history.commits.iter().skip(since.left_out());
        for commit in before.clone().take(LOOKS) {
            let run = self.check(control, commit, APPLY_CHECK).await?;
            if !run.as_ref().is_some_and(has_accepted) {
                continue;
            }
            let path = &self.shared.setup.tenants_file;
            let text = reader.file(&control.repository, path, commit).await?;
            let accepted = self.parse(control, &text.unwrap_or_default());
            let is_sound = accepted.findings.is_empty();
            return Ok(if is_sound {
                accepted.sound.lockdown
            } else {
                Lockdown::Require
            });
        }
        let is_first = history.is_whole && before.count() <= LOOKS;
        Ok(
            if is_first
                && !self
                    .remembers_another(control, parsed, since.commit())
                    .await?
            {
                Lockdown::Warn
            } else {
                Lockdown::Require
            },
        )
    }

    /// Whether any tenant of this control repo is from another commit than this.
    async fn remembers_another(
        &self,
        control: &Control,
        parsed: &Parsed,
        commit: &str,
    ) -> anyhow::Result<bool> {
        let memories = self.memories(control, parsed).await?;
        let mut of_this_repo = memories
            .into_values()
            .flatten()
            .map(|remembered| remembered.memory)
            .filter(|memory| memory.control_repository == control.repository);
        Ok(of_this_repo.any(|memory| *memory.commit != *commit))
    }
}

/// Whether the check shows that the commit's file was taken, whatever became of its tenants.
fn has_accepted(run: &CheckRun) -> bool {
    match conclusion(run) {
        // Begun once the file is known to be sound.
        None => run.progress == Progress::InProgress,
        Some(Conclusion::Success | Conclusion::ActionRequired) => true,
        Some(Conclusion::Failure) => !check::is_refusal(&run.title),
        // Left to a newer commit, or no check of ours.
        Some(
            Conclusion::Neutral | Conclusion::Cancelled | Conclusion::Skipped | Conclusion::Other,
        ) => false,
    }
}
