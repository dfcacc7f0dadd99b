//! What the rulesets of a repository let an actor do with a branch, and in which words they refuse it.

use super::super::model::{Bypass, Id, Membership, Permission, Ruleset, World};
use super::protection::Blocked;

/// What somebody is about to do with a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Push,
    ForcePush,
    Delete,
    Merge,
}

impl Deed {
    /// The rule that forbids it, and how GitHub says so.
    fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::Push => (
                "pull_request",
                "Changes must be made through a pull request.",
            ),
            Self::ForcePush => ("non_fast_forward", "Cannot force-push to this branch"),
            Self::Delete => ("deletion", "Cannot delete this branch"),
            // Nobody reviews anything here.
            Self::Merge => (
                "pull_request",
                "At least 1 approving review is required by reviewers with write access.",
            ),
        }
    }
}

impl Ruleset {
    /// Whether it is of this branch.
    pub(in super::super) fn covers(&self, branch: &str, is_default: bool) -> bool {
        let full = format!("refs/heads/{branch}");
        self.include.iter().any(|pattern| match pattern.as_str() {
            "~ALL" => true,
            "~DEFAULT_BRANCH" => is_default,
            name => name == full,
        })
    }

    fn forbids(&self, deed: Deed) -> bool {
        let (kind, _) = deed.rule();
        let rules = self.rules.iter().filter(|rule| rule["type"] == kind);
        rules.into_iter().any(|rule| {
            let approvals = &rule["parameters"]["required_approving_review_count"];
            deed != Deed::Merge || approvals.as_u64() > Some(0)
        })
    }
}

impl World {
    /// The rulesets of a branch.
    pub(in super::super) fn rulesets_of<'a>(
        &'a self,
        of: Id,
        branch: &str,
    ) -> impl Iterator<Item = &'a Ruleset> {
        let found = self.repository(of);
        let is_default = found.default_branch == branch;
        let rulesets = found.rulesets.values();
        rulesets.filter(move |ruleset| ruleset.covers(branch, is_default))
    }

    /// Whether the rules of a branch let an actor do this.
    pub(super) fn rules_allow(
        &self,
        of: Id,
        branch: &str,
        deed: Deed,
        actor: Id,
    ) -> Result<(), Blocked> {
        let mut forbidding = self
            .rulesets_of(of, branch)
            .filter(|ruleset| ruleset.forbids(deed));
        if forbidding.all(|ruleset| self.bypasses(ruleset, of, deed, actor)) {
            return Ok(());
        }
        let (_, why) = deed.rule();
        Err(Blocked(format!(
            "Repository rule violations found\n\n{why}\n\n"
        )))
    }

    fn bypasses(&self, ruleset: &Ruleset, of: Id, deed: Deed, actor: Id) -> bool {
        let suffices = |bypass: &&Bypass| bypass.always || deed == Deed::Merge;
        let mut fitting = ruleset.bypasses.iter().filter(suffices);
        fitting.any(|bypass| self.is_meant(bypass, of, actor))
    }

    fn is_meant(&self, bypass: &Bypass, of: Id, actor: Id) -> bool {
        /// GitHub's own id of the role of those who administer a repository.
        const ADMIN: Id = 5;
        match bypass.actor_type.as_str() {
            "OrganizationAdmin" => {
                let owner = self.repository(of).owner;
                self.membership(owner, actor) == Some(Membership::Owner)
            }
            "Integration" => {
                let app = bypass.actor_id.and_then(|id| self.apps.get(&id));
                app.is_some_and(|app| app.bot == actor)
            }
            "RepositoryRole" => {
                let is_admin = self.access_of(actor, of) >= Some(Permission::Admin);
                bypass.actor_id == Some(ADMIN) && is_admin
            }
            _ => false,
        }
    }
}
