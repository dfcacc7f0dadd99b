//! What people and Apps do, each with the webhooks that GitHub sends for it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock;
use super::git::{Commit, File, Files, Oid, Signature, ZERO};
use super::model::{DeployKey, Id, Permission, Repository, Visibility, World};
use super::view::{self, WEB};
use super::webhooks::About;

mod checks;
mod installations;
mod protection;
mod pulls;
mod rules;

pub(super) use protection::Blocked;
pub use pulls::MergeMethod;
pub(super) use pulls::{Merge, NewPull};

/// Most commits that a push event lists.
const PUSH_COMMITS: usize = 2_048;

/// What a new repository is made of.
pub(super) struct NewRepository {
    pub(super) owner: Id,
    pub(super) name: String,
    pub(super) visibility: Visibility,
    pub(super) description: Option<String>,
    pub(super) homepage: Option<String>,
    pub(super) is_template: bool,
    pub(super) parent: Option<Id>,
    pub(super) template: Option<Id>,
}

impl NewRepository {
    pub(super) fn named(owner: Id, name: &str, visibility: Visibility) -> Self {
        Self {
            owner,
            name: name.to_owned(),
            visibility,
            description: None,
            homepage: None,
            is_template: false,
            parent: None,
            template: None,
        }
    }
}

/// Files to write (`Some`) and to remove (`None`).
pub(super) type Edits = BTreeMap<String, Option<Vec<u8>>>;

impl World {
    /// A repository without a commit, silently.
    pub(super) fn add_repository(&mut self, new: NewRepository) -> Id {
        let id = self.fresh_id();
        let now = clock::stamp_now();
        let network = new
            .parent
            .map_or(id, |parent| self.repository(parent).network);
        let default_branch = match new.parent {
            Some(parent) => self.repository(parent).default_branch.clone(),
            None => self
                .organization(new.owner)
                .map_or("main", |organization| &organization.default_branch)
                .to_owned(),
        };
        self.insert_repository(Repository {
            id,
            owner: new.owner,
            name: new.name,
            visibility: new.visibility,
            archived: false,
            description: new.description,
            homepage: new.homepage,
            is_template: new.is_template,
            default_branch,
            parent: new.parent,
            template: new.template,
            created_at: now.clone(),
            updated_at: now.clone(),
            pushed_at: now,
            branches: BTreeMap::new(),
            pulls: BTreeMap::new(),
            collaborators: BTreeMap::new(),
            deploy_keys: BTreeMap::new(),
            protections: BTreeMap::new(),
            rulesets: BTreeMap::new(),
            network,
            next_number: 1,
        });
        id
    }

    /// An event of the `repository` kind.
    pub(super) fn emit_repository(&mut self, id: Id, action: &str, sender: Id, changes: Value) {
        let mut payload = json!({"action": action});
        if !changes.is_null() {
            payload["changes"] = changes;
        }
        self.emit("repository", About::repository(id), sender, &payload);
    }

    pub(super) fn signature_of(&self, account: Id) -> Signature {
        let login = self.login(account);
        Signature {
            name: login.to_owned(),
            email: format!("{account}+{login}@users.noreply.github.com"),
            date: clock::now(),
            account: Some(account),
        }
    }

    /// What GitHub signs as the committer of what it makes itself.
    pub(super) fn web_flow() -> Signature {
        Signature {
            name: "GitHub".to_owned(),
            email: "noreply@github.com".to_owned(),
            date: clock::now(),
            account: None,
        }
    }

    /// Writes a commit with these edits on top of `parent`, without moving a branch.
    pub(super) fn write_edits(
        &mut self,
        repository: Id,
        author: Id,
        message: &str,
        parent: Option<&str>,
        edits: &Edits,
    ) -> Oid {
        let who = self.signature_of(author);
        let objects = self.objects_mut(repository);
        let mut files: Files = parent.map(|oid| objects.files_of(oid)).unwrap_or_default();
        for (path, content) in edits {
            match content {
                Some(content) => {
                    let mode = files
                        .get(path)
                        .map_or_else(|| "100644".to_owned(), |file| file.mode.clone());
                    let blob = objects.write_blob(content);
                    files.insert(path.clone(), File { mode, blob });
                }
                None => {
                    files.remove(path);
                }
            }
        }
        let tree = objects.write_files(&files);
        objects.write_commit(Commit {
            tree,
            parents: parent.map(ToOwned::to_owned).into_iter().collect(),
            author: who.clone(),
            committer: who,
            message: message.to_owned(),
        })
    }

    /// Commits edits to a branch (made where the repository is empty) and pushes it.
    pub(super) fn commit_and_push(
        &mut self,
        repository: Id,
        author: Id,
        branch: &str,
        message: &str,
        edits: &Edits,
    ) -> Oid {
        let parent = self.repository(repository).branches.get(branch).cloned();
        let oid = self.write_edits(repository, author, message, parent.as_deref(), edits);
        self.push(repository, author, branch, Some(&oid));
        oid
    }

    /// Moves, makes or (with `None`) removes a branch, and tells everybody.
    pub(super) fn push(&mut self, repository: Id, actor: Id, branch: &str, tip: Option<&str>) {
        let before = self.repository(repository).branches.get(branch).cloned();
        if before.as_deref() == tip {
            return;
        }
        let found = self.repository_mut(repository);
        found.pushed_at = clock::stamp_now();
        found.updated_at = found.pushed_at.clone();
        match tip {
            Some(oid) => found.branches.insert(branch.to_owned(), oid.to_owned()),
            None => found.branches.remove(branch),
        };
        let payload = self.push_payload(repository, actor, branch, before.as_deref(), tip);
        self.emit("push", About::repository(repository), actor, &payload);
        if let Some(tip) = tip {
            self.open_check_suites(repository, branch, tip, actor);
            self.close_contained_pulls(repository, branch, tip, actor);
        }
        self.synchronize_pulls(repository, branch, tip, actor);
    }

    fn push_payload(
        &self,
        repository: Id,
        actor: Id,
        branch: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Value {
        let objects = self.objects(repository);
        let found = self.repository(repository);
        let known = before
            .map(ToOwned::to_owned)
            .or_else(|| found.branches.get(&found.default_branch).cloned())
            .unwrap_or_default();
        let new = after
            .map(|tip| objects.new_commits(tip, &known))
            .unwrap_or_default();
        let commits: Vec<Value> = new
            .iter()
            .take(PUSH_COMMITS)
            .map(|oid| self.push_commit(repository, oid))
            .collect();
        let forced = match (before, after) {
            (Some(before), Some(after)) => !objects.contains(after, before),
            _ => false,
        };
        let login = self.login(actor);
        let (from, to) = (before.unwrap_or(ZERO), after.unwrap_or(ZERO));
        json!({
            "ref": format!("refs/heads/{branch}"),
            "before": from,
            "after": to,
            "base_ref": null,
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": forced,
            "compare": format!("{WEB}/{}/compare/{from}...{to}", self.full_name(repository)),
            "commits": commits,
            "head_commit": after.map(|oid| self.push_commit(repository, oid)),
            "pusher": {"name": login, "email": format!("{actor}+{login}@users.noreply.github.com")},
        })
    }

    fn push_commit(&self, repository: Id, oid: &str) -> Value {
        let objects = self.objects(repository);
        let commit = objects.commit(oid).expect("a pushed commit exists");
        let changes = objects.changed_paths(commit.parents.first().map(String::as_str), oid);
        let paths = |wanted: fn(bool, bool) -> bool| -> Vec<&String> {
            changes
                .iter()
                .filter(|one| wanted(one.before.is_some(), one.after.is_some()))
                .map(|one| &one.path)
                .collect()
        };
        let person = |who: &Signature| {
            let mut person = json!({"name": who.name, "email": who.email});
            if let Some(account) = who.account {
                person["username"] = json!(self.login(account));
            }
            person
        };
        json!({
            "id": oid,
            "tree_id": commit.tree,
            "distinct": true,
            "message": commit.message,
            "timestamp": clock::stamp(commit.committer.date),
            "url": format!("{WEB}/{}/commit/{oid}", self.full_name(repository)),
            "author": person(&commit.author),
            "committer": person(&commit.committer),
            "added": paths(|before, after| !before && after),
            "removed": paths(|before, after| before && !after),
            "modified": paths(|before, after| before && after),
        })
    }

    /// A fork under somebody's own name, with all branches.
    pub(super) fn fork(&mut self, parent: Id, owner: Id, actor: Id) -> Id {
        let source = self.repository(parent);
        let mut new = NewRepository::named(owner, &source.name.clone(), source.visibility);
        new.description.clone_from(&source.description);
        new.parent = Some(parent);
        let branches = source.branches.clone();
        let id = self.add_repository(new);
        self.repository_mut(id).branches = branches;
        let forkee = view::repository(self, id);
        self.emit(
            "fork",
            About::repository(parent),
            actor,
            &json!({"forkee": forkee}),
        );
        id
    }

    /// Gives a team a right on a repository, or another one.
    pub(super) fn grant_team(
        &mut self,
        team: Id,
        repository: Id,
        permission: Permission,
        actor: Id,
    ) {
        let found = self.teams.get_mut(&team).expect("a team found before");
        let before = found.repositories.insert(repository, permission);
        if before == Some(permission) {
            return;
        }
        let shown = view::team(self, &self.teams[&team], Some(permission));
        if before.is_none() {
            self.emit(
                "team_add",
                About::repository(repository),
                actor,
                &json!({"team": shown.clone()}),
            );
        }
        let action = if before.is_none() {
            "added_to_repository"
        } else {
            "edited"
        };
        self.emit(
            "team",
            About::repository(repository),
            actor,
            &json!({"action": action, "team": shown}),
        );
    }

    pub(super) fn revoke_team(&mut self, team: Id, repository: Id, actor: Id) {
        let found = self.teams.get_mut(&team).expect("a team found before");
        if found.repositories.remove(&repository).is_none() {
            return;
        }
        let shown = view::team(self, &self.teams[&team], None);
        self.emit(
            "team",
            About::repository(repository),
            actor,
            &json!({"action": "removed_from_repository", "team": shown}),
        );
    }

    /// Registers a key that no repository has yet.
    pub(super) fn register_deploy_key(&mut self, repository: Id, key: DeployKey, actor: Id) {
        let id = key.id;
        self.insert_deploy_key(repository, key);
        let shown = view::deploy_key(self, repository, id);
        let payload = json!({"action": "created", "key": shown});
        self.emit("deploy_key", About::repository(repository), actor, &payload);
    }

    /// Removes a key, if the repository has it.
    pub(super) fn revoke_deploy_key(&mut self, repository: Id, key: Id, actor: Id) -> bool {
        if !self.repository(repository).deploy_keys.contains_key(&key) {
            return false;
        }
        let shown = view::deploy_key(self, repository, key);
        self.remove_deploy_key(repository, key);
        let payload = json!({"action": "deleted", "key": shown});
        self.emit("deploy_key", About::repository(repository), actor, &payload);
        true
    }
}
