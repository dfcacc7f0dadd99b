//! What a protected branch demands of a merge or a push, and in which words it refuses.

use super::super::model::{Id, Permission, Protection, Pull, RequiredChecks, World};
use super::rules::Deed;

/// Why a protected branch does not take a commit, as GitHub says it.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Blocked(pub(in super::super) String);

/// How a required check stands on a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Passed,
    Expected,
    InProgress,
    Failing,
}

impl Standing {
    const UNMET: [Self; 3] = [Self::Expected, Self::InProgress, Self::Failing];

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Expected => "expected",
            Self::InProgress => "in progress",
            Self::Failing => "failing",
        }
    }
}

impl World {
    pub(in super::super) fn protection(&self, of: Id, branch: &str) -> Option<&Protection> {
        self.repository(of).protections.get(branch)
    }

    /// The branch's protection, unless this actor is above it.
    fn binding(&self, of: Id, branch: &str, actor: Id) -> Option<&Protection> {
        let protection = self.protection(of, branch)?;
        let is_admin = self.access_of(actor, of) >= Some(Permission::Admin);
        (protection.enforce_admins || !is_admin).then_some(protection)
    }

    /// Whether an actor may put a commit at the tip of a branch without a pull; nothing is known about one that is only
    /// being made.
    pub(in super::super) fn may_push(
        &self,
        of: Id,
        branch: &str,
        commit: Option<&str>,
        actor: Id,
    ) -> Result<(), Blocked> {
        self.rules_allow(of, branch, Deed::Push, actor)?;
        let Some(protection) = self.binding(of, branch, actor) else {
            return Ok(());
        };
        let required = protection.checks.as_ref();
        required.map_or(Ok(()), |required| self.passed(of, commit, required))
    }

    /// Whether a branch may be thrown back to a commit, or removed, by this actor.
    pub(in super::super) fn may_rewrite(
        &self,
        of: Id,
        branch: &str,
        commit: Option<&str>,
        actor: Id,
    ) -> Result<(), Blocked> {
        let deed = match commit {
            Some(_) => Deed::ForcePush,
            None => Deed::Delete,
        };
        self.rules_allow(of, branch, deed, actor)?;
        match self.binding(of, branch, actor) {
            Some(_) => Err(Blocked("Cannot change a protected branch".to_owned())),
            None => Ok(()),
        }
    }

    /// Whether an actor may merge a pull, as far as the protection of its base goes.
    pub(in super::super) fn may_merge(
        &self,
        of: Id,
        pull: &Pull,
        actor: Id,
    ) -> Result<(), Blocked> {
        self.rules_allow(of, &pull.base_branch, Deed::Merge, actor)?;
        match self.binding(of, &pull.base_branch, actor) {
            Some(protection) => self.meets(of, pull, protection),
            None => Ok(()),
        }
    }

    /// Whether a pull meets the protection of its base, whoever merges it.
    pub(in super::super) fn meets_protection(&self, of: Id, pull: &Pull) -> Result<(), Blocked> {
        match self.protection(of, &pull.base_branch) {
            Some(protection) => self.meets(of, pull, protection),
            None => Ok(()),
        }
    }

    /// Whether the base moved on, and its protection minds.
    pub(in super::super) fn is_behind(&self, of: Id, pull: &Pull) -> bool {
        let protection = self.protection(of, &pull.base_branch);
        let strict = protection
            .and_then(|protection| protection.checks.as_ref())
            .is_some_and(|required| required.strict);
        let tip = self.repository(of).branches.get(&pull.base_branch);
        strict && tip.is_some_and(|tip| !self.objects(of).contains(&pull.head_sha, tip))
    }

    fn meets(&self, of: Id, pull: &Pull, protection: &Protection) -> Result<(), Blocked> {
        let Some(required) = &protection.checks else {
            return Ok(());
        };
        self.passed(of, Some(&pull.head_sha), required)?;
        if self.is_behind(of, pull) {
            return Err(Blocked(
                "Head branch is out of date. Review and try the merge again.".to_owned(),
            ));
        }
        Ok(())
    }

    fn passed(
        &self,
        of: Id,
        commit: Option<&str>,
        required: &RequiredChecks,
    ) -> Result<(), Blocked> {
        let standing = |(name, app): &(String, Option<Id>)| {
            commit.map_or(Standing::Expected, |commit| {
                self.standing(of, commit, name, *app)
            })
        };
        let unmet: Vec<(&str, Standing)> = required
            .checks
            .iter()
            .map(|check| (check.0.as_str(), standing(check)))
            .filter(|(_, standing)| *standing != Standing::Passed)
            .collect();
        match unmet.as_slice() {
            [] => Ok(()),
            [(name, standing)] => Err(Blocked(format!(
                "Required status check \"{name}\" is {}.",
                standing.word()
            ))),
            several => Err(Blocked(sum(several, required.checks.len()))),
        }
    }

    /// What the newest run of this name says about a commit.
    fn standing(&self, of: Id, commit: &str, name: &str, app: Option<Id>) -> Standing {
        let newest = self
            .check_runs
            .values()
            .filter(|run| run.repository == of && run.head_sha == commit && run.name == name)
            .rfind(|run| app.is_none_or(|app| run.app == app));
        let Some(run) = newest else {
            return Standing::Expected;
        };
        match (run.status.as_str(), run.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => Standing::Passed,
            ("completed", _) => Standing::Failing,
            _ => Standing::InProgress,
        }
    }
}

/// Several checks that have not passed, told in one sentence.
fn sum(unmet: &[(&str, Standing)], all: usize) -> String {
    let counts: Vec<(usize, &str)> = Standing::UNMET
        .into_iter()
        .map(|kind| {
            let count = unmet.iter().filter(|(_, one)| *one == kind).count();
            (count, kind.word())
        })
        .filter(|(count, _)| *count > 0)
        .collect();
    let unmet = unmet.len();
    match counts.as_slice() {
        [(_, word)] => format!("{unmet} of {all} required status checks are {word}."),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            format!(
                "{unmet} of {all} required status checks have not succeeded: {}.",
                parts.join(", ")
            )
        }
    }
}
