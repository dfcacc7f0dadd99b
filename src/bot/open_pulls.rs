//! Open pull requests whose plan is missing, or was made from what is not there any more: they are planned again.

use std::fmt;

use super::control::Control;
use super::job::Key;
use super::{Bot, PLAN_CHECK, Work};
use crate::plan::fingerprint;

/// What a plan was made from, beside the commit that its check is on, which carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Basis(String);

impl Basis {
    /// Nothing else: the pull request leaves the file alone.
    pub(super) fn head() -> Self {
        Self("head".to_owned())
    }

    /// The file on the base branch.
    pub(super) fn file(text: Option<&str>) -> Self {
        Self(format!("file {}", fingerprint::of_base(text)))
    }

    /// All of the base branch: any commit on it may resolve a conflict.
    pub(super) fn tip(commit: &str) -> Self {
        Self(format!("tip {commit}"))
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The default branch as it is now.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) tip: &'a str,
    pub(super) text: Option<&'a str>,
}

/// Which plans are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All that touch the file: what there is has changed, and one that is being made may have begun before.
    All,
    /// Those that are not of the present base, and at which nobody works.
    LeftBehind,
}

impl Bot {
    pub(super) async fn replan(
        &self,
        control: &Control,
        base: Base<'_>,
        which: Which,
    ) -> anyhow::Result<()> {
        let repository = &control.repository;
        let untouching = Some(Basis::head().to_string());
        let current = [Basis::file(base.text), Basis::tip(base.tip)];
        let current = current.map(|basis| Some(basis.to_string()));
        let pulls = self
            .reader(control)
            .in_background()
            .checked_pulls(repository, &control.default_branch, self.checks(PLAN_CHECK))
            .await?;
        let touching = pulls
            .into_iter()
            .filter(|pull| pull.concluded != untouching);
        for pull in touching {
            let number = pull.number;
            let key = Key::Pull(repository.clone(), number);
            let is_wanted = match which {
                Which::All => true,
                Which::LeftBehind => {
                    !current.contains(&pull.concluded) && !self.shared.queue.has_work_on(&key)
                }
            };
            if is_wanted {
                self.push(repository, Work::Plan { number, looks: 0 });
            }
        }
        Ok(())
    }
}
