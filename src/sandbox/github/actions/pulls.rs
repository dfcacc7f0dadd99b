//! Pulls: opening, merging, closing, their test merges and comments.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::clock;
use super::super::git::{Commit, MergeConflict, Oid, PathChange, Signature};
use super::super::model::{
    AccountKind, Comment, Deed, Id, Membership, Pull, PullEvent, PullState, TestMerge, World,
};
use super::super::view;
use super::super::webhooks::About;

/// How a pull's commits get onto its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

/// How a pull is to be merged, and what its commit says where that is not GitHub's usual text.
pub(in super::super) struct Merge {
    pub(in super::super) method: MergeMethod,
    pub(in super::super) title: Option<String>,
    pub(in super::super) message: Option<String>,
}

impl From<MergeMethod> for Merge {
    fn from(method: MergeMethod) -> Self {
        Self {
            method,
            title: None,
            message: None,
        }
    }
}

impl Merge {
    /// The commit's message: the given words in place of the usual ones.
    fn words(&self, title: String, message: &str) -> String {
        let title = self.title.clone().unwrap_or(title);
        match self.message.as_deref().unwrap_or(message) {
            "" => title,
            message => format!("{title}\n\n{message}"),
        }
    }
}

/// What a new pull is made of.
pub(in super::super) struct NewPull {
    pub(in super::super) base_branch: String,
    pub(in super::super) head_repository: Id,
    pub(in super::super) head_branch: String,
    pub(in super::super) title: String,
    pub(in super::super) body: String,
    pub(in super::super) draft: bool,
}

impl World {
    fn base_tip(&self, of: Id, pull: &Pull) -> Option<&Oid> {
        self.repository(of).branches.get(&pull.base_branch)
    }

    /// `OWNER`, `MEMBER`, `COLLABORATOR`, `CONTRIBUTOR` or `NONE`.
    pub(in super::super) fn association(&self, repository: Id, account: Id) -> &'static str {
        let found = self.repository(repository);
        if found.owner == account {
            return "OWNER";
        }
        if matches!(self.account(account).kind, AccountKind::Bot) {
            return "NONE";
        }
        match self.membership(found.owner, account) {
            Some(Membership::Owner | Membership::Member) => return "MEMBER",
            None => {}
        }
        if found.collaborators.contains_key(&account) {
            return "COLLABORATOR";
        }
        let merged = |pull: &Pull| pull.author == account && pull.state == PullState::Merged;
        if found.pulls.values().any(merged) {
            return "CONTRIBUTOR";
        }
        "NONE"
    }

    /// Whether an open pull merges; nothing while GitHub does not know yet.
    pub(in super::super) fn mergeable(&self, of: Id, pull: &Pull) -> Option<bool> {
        if pull.state != PullState::Open {
            return None;
        }
        let (head, base) = pull.test_merge.tried.as_ref()?;
        (*head == pull.head_sha && Some(base) == self.base_tip(of, pull))
            .then_some(pull.test_merge.commit.is_some())
    }

    /// Starts a test merge where one is due, or finishes one whose time is over.
    pub(in super::super) fn look_at_merge(&mut self, of: Id, number: u64) {
        let Some(pull) = self.pull(of, number) else {
            return;
        };
        if pull.state != PullState::Open || self.mergeable(of, pull).is_some() {
            return;
        }
        let started = *self
            .pull_mut(of, number)
            .test_merge
            .started
            .get_or_insert_with(Instant::now);
        if started.elapsed() >= self.merge_delay {
            self.finish_test_merge(of, number);
        }
    }

    fn finish_test_merge(&mut self, of: Id, number: u64) {
        let pull = &self.repository(of).pulls[&number];
        let Some(base) = self.base_tip(of, pull).cloned() else {
            return;
        };
        let head = pull.head_sha.clone();
        let message = format!("Merge {head} into {base}");
        let author = self.signature_of(pull.author);
        let commit = self.write_merge(of, &base, &head, message, author).ok();
        self.pull_mut(of, number).test_merge = TestMerge {
            tried: Some((head, base)),
            commit,
            started: None,
        };
    }

    fn write_merge(
        &mut self,
        of: Id,
        base: &str,
        head: &str,
        message: String,
        author: Signature,
    ) -> Result<Oid, MergeConflict> {
        let objects = self.objects_mut(of);
        let tree = objects.merge(base, head)?;
        Ok(objects.write_commit(Commit {
            tree,
            parents: vec![base.to_owned(), head.to_owned()],
            author,
            committer: World::web_flow(),
            message,
        }))
    }

    /// The commits of a pull, oldest first.
    pub(in super::super) fn pull_commits(&self, of: Id, pull: &Pull) -> Vec<Oid> {
        self.objects(of).new_commits(&pull.head_sha, &pull.base_sha)
    }

    /// The paths that a pull changes since it left its base.
    pub(in super::super) fn pull_changes(&self, of: Id, pull: &Pull) -> Vec<PathChange> {
        let objects = self.objects(of);
        let base = objects.merge_base(&pull.base_sha, &pull.head_sha);
        objects.changed_paths(base.as_deref(), &pull.head_sha)
    }

    pub(in super::super) fn emit_pull(
        &mut self,
        of: Id,
        number: u64,
        action: &str,
        sender: Id,
        more: Value,
    ) {
        let shown = view::pull(self, of, &self.repository(of).pulls[&number]);
        let mut payload = json!({"action": action, "number": number, "pull_request": shown});
        view::extend(&mut payload, more);
        self.emit("pull_request", About::repository(of), sender, &payload);
    }

    pub(in super::super) fn open_pull(&mut self, of: Id, author: Id, new: NewPull) -> u64 {
        let tip = |repository: Id, branch: &str| {
            self.repository(repository)
                .branches
                .get(branch)
                .unwrap_or_else(|| {
                    panic!("{} has no branch `{branch}`", self.full_name(repository))
                })
                .clone()
        };
        let base_sha = tip(of, &new.base_branch);
        let head_sha = tip(new.head_repository, &new.head_branch);
        let id = self.fresh_id();
        let now = clock::stamp_now();
        let found = self.repository_mut(of);
        let number = found.next_number;
        found.next_number += 1;
        let pull = Pull {
            id,
            number,
            title: new.title,
            body: new.body,
            author,
            state: PullState::Open,
            draft: new.draft,
            base_branch: new.base_branch,
            base_sha,
            head_repository: Some(new.head_repository),
            head_branch: new.head_branch,
            head_sha,
            created_at: now.clone(),
            updated_at: now,
            closed_at: None,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
            events: Vec::new(),
            test_merge: TestMerge {
                started: Some(Instant::now()),
                ..TestMerge::default()
            },
        };
        found.pulls.insert(number, pull);
        self.note_commits(of, number, author);
        self.emit_pull(of, number, "opened", author, json!({}));
        number
    }

    /// Merges as a person does with the button.
    pub(in super::super) fn merge_pull(
        &mut self,
        of: Id,
        number: u64,
        merge: &Merge,
        actor: Id,
    ) -> Result<Oid, MergeConflict> {
        let pull = &self.repository(of).pulls[&number];
        let base = self.base_tip(of, pull).cloned().unwrap_or_default();
        let head = pull.head_sha.clone();
        let (title, branch) = (pull.title.clone(), pull.base_branch.clone());
        let author = self.signature_of(actor);
        let commit = match merge.method {
            MergeMethod::Merge => {
                let from = pull.head_repository.map_or_else(
                    || "unknown".to_owned(),
                    |id| self.login(self.repository(id).owner).to_owned(),
                );
                let usual = format!(
                    "Merge pull request #{number} from {from}/{}",
                    pull.head_branch
                );
                let message = merge.words(usual, &title);
                self.write_merge(of, &base, &head, message, author)?
            }
            MergeMethod::Squash => {
                let objects = self.objects_mut(of);
                let tree = objects.merge(&base, &head)?;
                objects.write_commit(Commit {
                    tree,
                    parents: vec![base],
                    author,
                    committer: World::web_flow(),
                    message: merge.words(format!("{title} (#{number})"), ""),
                })
            }
            MergeMethod::Rebase => {
                let commits = self.pull_commits(of, pull);
                self.objects_mut(of)
                    .replay(&base, &commits, &World::web_flow())?
            }
        };
        self.mark_merged(of, number, &commit, actor);
        self.push(of, actor, &branch, Some(&commit));
        self.emit_pull(of, number, "closed", actor, json!({}));
        Ok(commit)
    }

    fn mark_merged(&mut self, of: Id, number: u64, commit: &str, actor: Id) {
        let now = clock::stamp_now();
        let pull = self.pull_mut(of, number);
        pull.state = PullState::Merged;
        pull.merge_commit = Some(commit.to_owned());
        pull.merged_at = Some(now.clone());
        pull.closed_at = Some(now.clone());
        pull.updated_at = now;
        pull.merged_by = Some(actor);
        self.note(of, number, actor, Deed::Merged(commit.to_owned()));
        self.note(of, number, actor, Deed::Closed);
    }

    /// Adds a line to a pull's timeline.
    fn note(&mut self, of: Id, number: u64, actor: Id, deed: Deed) {
        let event = PullEvent {
            id: self.fresh_id(),
            actor,
            created_at: clock::stamp_now(),
            deed,
        };
        self.pull_mut(of, number).events.push(event);
    }

    /// Notes the commits of a pull that its timeline does not hold yet.
    fn note_commits(&mut self, of: Id, number: u64, actor: Id) {
        let pull = &self.repository(of).pulls[&number];
        let known = |oid: &Oid| {
            let mut deeds = pull.events.iter().map(|event| &event.deed);
            deeds.any(|deed| matches!(deed, Deed::Committed(known) if known == oid))
        };
        let mut new = self.pull_commits(of, pull);
        new.retain(|oid| !known(oid));
        for oid in new {
            self.note(of, number, actor, Deed::Committed(oid));
        }
    }

    /// Pulls whose head a push brought into their base are merged, whoever pushed.
    pub(super) fn close_contained_pulls(&mut self, of: Id, branch: &str, tip: &str, actor: Id) {
        let objects = self.objects(of);
        let contained: Vec<u64> = self
            .repository(of)
            .pulls
            .values()
            .filter(|pull| pull.state == PullState::Open && pull.base_branch == branch)
            .filter(|pull| objects.contains(tip, &pull.head_sha))
            .map(|pull| pull.number)
            .collect();
        for number in contained {
            self.mark_merged(of, number, tip, actor);
            self.emit_pull(of, number, "closed", actor, json!({}));
        }
    }

    /// Open pulls whose head branch was pushed: they follow it, or are closed when it is gone.
    pub(super) fn synchronize_pulls(
        &mut self,
        head_repository: Id,
        branch: &str,
        tip: Option<&str>,
        actor: Id,
    ) {
        let Some(tip) = tip else {
            return self.lose_head(head_repository, branch, actor);
        };
        for (of, number) in self.pulls_from(head_repository, branch, PullState::Open) {
            let pull = &self.repository(of).pulls[&number];
            let before = pull.head_sha.clone();
            let base = self.base_tip(of, pull).cloned();
            let forced = !self.objects(of).contains(tip, &before);
            let pull = self.pull_mut(of, number);
            tip.clone_into(&mut pull.head_sha);
            pull.base_sha = base.unwrap_or_else(|| pull.base_sha.clone());
            pull.updated_at = clock::stamp_now();
            pull.test_merge.started = Some(Instant::now());
            if forced {
                self.note(of, number, actor, Deed::ForcePushed(tip.to_owned()));
            }
            self.note_commits(of, number, actor);
            let more = json!({"before": before, "after": tip});
            self.emit_pull(of, number, "synchronize", actor, more);
        }
    }

    /// What becomes of pulls whose head branch is removed: the open ones are closed.
    fn lose_head(&mut self, head_repository: Id, branch: &str, actor: Id) {
        for state in [PullState::Open, PullState::Closed, PullState::Merged] {
            for (of, number) in self.pulls_from(head_repository, branch, state) {
                self.note(of, number, actor, Deed::HeadDeleted);
                if state == PullState::Open {
                    self.close_pull(of, number, actor);
                }
            }
        }
    }

    fn pulls_from(&self, head_repository: Id, branch: &str, state: PullState) -> Vec<(Id, u64)> {
        let network = self.repository(head_repository).network;
        self.repositories
            .values()
            .filter(|one| one.network == network)
            .flat_map(|one| one.pulls.values().map(move |pull| (one.id, pull)))
            .filter(|(_, pull)| {
                pull.state == state
                    && pull.head_repository == Some(head_repository)
                    && pull.head_branch == branch
            })
            .map(|(id, pull)| (id, pull.number))
            .collect()
    }

    pub(in super::super) fn close_pull(&mut self, of: Id, number: u64, actor: Id) {
        let now = clock::stamp_now();
        let pull = self.pull_mut(of, number);
        pull.state = PullState::Closed;
        pull.closed_at = Some(now.clone());
        pull.updated_at = now;
        self.note(of, number, actor, Deed::Closed);
        self.emit_pull(of, number, "closed", actor, json!({}));
    }

    /// Gives a pull another title.
    pub(in super::super) fn retitle_pull(&mut self, of: Id, number: u64, title: &str, actor: Id) {
        let pull = self.pull_mut(of, number);
        let from = std::mem::replace(&mut pull.title, title.to_owned());
        pull.updated_at = clock::stamp_now();
        let changes = json!({"changes": {"title": {"from": from}}});
        let to = title.to_owned();
        self.note(of, number, actor, Deed::Renamed { from, to });
        self.emit_pull(of, number, "edited", actor, changes);
    }

    /// Gives a pull another description.
    pub(in super::super) fn describe_pull(&mut self, of: Id, number: u64, body: &str, actor: Id) {
        let pull = self.pull_mut(of, number);
        let from = std::mem::replace(&mut pull.body, body.to_owned());
        pull.updated_at = clock::stamp_now();
        let changes = json!({"changes": {"body": {"from": from}}});
        self.emit_pull(of, number, "edited", actor, changes);
    }

    /// Aims a pull at another base branch, which exists.
    pub(in super::super) fn retarget_pull(&mut self, of: Id, number: u64, base: &str, actor: Id) {
        let tip = self.repository(of).branches[base].clone();
        let pull = self.pull_mut(of, number);
        let before = std::mem::replace(&mut pull.base_branch, base.to_owned());
        let sha = std::mem::replace(&mut pull.base_sha, tip);
        pull.updated_at = clock::stamp_now();
        self.note(of, number, actor, Deed::Retargeted);
        self.note_commits(of, number, actor);
        let changes = json!({"changes": {"base": {"ref": {"from": before}, "sha": {"from": sha}}}});
        self.emit_pull(of, number, "edited", actor, changes);
    }

    pub(in super::super) fn reopen_pull(&mut self, of: Id, number: u64, actor: Id) {
        let pull = self.pull_mut(of, number);
        pull.state = PullState::Open;
        pull.closed_at = None;
        pull.updated_at = clock::stamp_now();
        self.note(of, number, actor, Deed::Reopened);
        self.emit_pull(of, number, "reopened", actor, json!({}));
    }

    /// Puts a pull's merge at the end of the merge queue's branch and gives that commit.
    pub(in super::super) fn queue_pull(
        &mut self,
        of: Id,
        number: u64,
        actor: Id,
    ) -> Result<Oid, MergeConflict> {
        let pull = &self.repository(of).pulls[&number];
        let base = self.base_tip(of, pull).cloned().unwrap_or_default();
        let head = pull.head_sha.clone();
        let base_branch = pull.base_branch.clone();
        let message = format!("Merge pull request #{number}\n\n{}", pull.title);
        let author = self.signature_of(actor);
        let commit = self.write_merge(of, &base, &head, message, author)?;
        let branch = format!("gh-readonly-queue/{base_branch}/pr-{number}-{base}");
        self.push(of, actor, &branch, Some(&commit));
        let group = json!({
            "head_sha": commit,
            "head_ref": format!("refs/heads/{branch}"),
            "base_sha": base,
            "base_ref": format!("refs/heads/{base_branch}"),
            "head_commit": view::simple_commit(self, of, &commit),
        });
        let payload = json!({"action": "checks_requested", "merge_group": group});
        self.emit("merge_group", About::repository(of), actor, &payload);
        Ok(commit)
    }

    // ── comments ──

    pub(in super::super) fn comments_on(
        &self,
        repository: Id,
        number: u64,
    ) -> impl Iterator<Item = &Comment> {
        self.comments
            .values()
            .filter(move |one| one.repository == repository && one.number == number)
    }

    pub(in super::super) fn add_comment(
        &mut self,
        repository: Id,
        number: u64,
        author: Id,
        app: Option<Id>,
        body: &str,
    ) -> Id {
        let id = self.fresh_id();
        let now = clock::stamp_now();
        let comment = Comment {
            id,
            repository,
            number,
            author,
            app,
            body: body.to_owned(),
            created_at: now.clone(),
            updated_at: now,
            reactions: Vec::new(),
        };
        self.comments.insert(id, comment);
        self.emit_comment(id, "created", author, json!({}));
        id
    }

    /// Tells of a comment that still is there.
    pub(in super::super) fn emit_comment(
        &mut self,
        id: Id,
        action: &str,
        sender: Id,
        changes: Value,
    ) {
        let comment = &self.comments[&id];
        let repository = comment.repository;
        let pull = &self.repository(repository).pulls[&comment.number];
        let mut payload = json!({
            "action": action,
            "issue": view::issue(self, repository, pull),
            "comment": view::comment(self, comment),
        });
        view::extend(&mut payload, changes);
        self.emit(
            "issue_comment",
            About::repository(repository),
            sender,
            &payload,
        );
    }
}

impl World {
    /// Pulls that a commit belongs to: as one of theirs, or as the merge that they became.
    pub(in super::super) fn pulls_with(&self, of: Id, oid: &str) -> Vec<&Pull> {
        self.repository(of)
            .pulls
            .values()
            .filter(|pull| {
                pull.merge_commit.as_deref() == Some(oid)
                    || pull.head_sha == oid
                    || self.pull_commits(of, pull).iter().any(|one| one == oid)
            })
            .collect()
    }
}
