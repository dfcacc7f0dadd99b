//! Check suites and check runs.

use serde_json::json;

use super::super::auth::reaches;
use super::super::clock;
use super::super::model::{CheckSuite, Id, World};
use super::super::view;
use super::super::webhooks::About;

impl World {
    /// GitHub opens a suite for each App with `checks: write` at every push.
    pub(super) fn open_check_suites(&mut self, repository: Id, branch: &str, sha: &str, actor: Id) {
        let apps: Vec<Id> = self
            .installations
            .values()
            .filter(|one| one.suspended_at.is_none() && one.covers(self.repository(repository)))
            .filter(|one| reaches(one.permissions.get("checks"), "write"))
            .map(|one| one.app)
            .collect();
        for app in apps {
            if self.suite_of(repository, app, sha).is_some() {
                continue;
            }
            let suite = self.add_suite(repository, app, sha, Some(branch.to_owned()));
            self.emit_suite(suite, "requested", actor);
        }
    }

    fn suite_of(&self, repository: Id, app: Id, sha: &str) -> Option<Id> {
        self.check_suites
            .values()
            .find(|one| one.repository == repository && one.app == app && one.head_sha == sha)
            .map(|one| one.id)
    }

    fn add_suite(&mut self, repository: Id, app: Id, sha: &str, branch: Option<String>) -> Id {
        let id = self.fresh_id();
        let suite = CheckSuite {
            id,
            repository,
            app,
            head_branch: branch,
            head_sha: sha.to_owned(),
            created_at: clock::stamp_now(),
        };
        self.check_suites.insert(id, suite);
        id
    }

    /// The suite that a run of this App on this commit belongs to.
    pub(in super::super) fn suite_for(&mut self, repository: Id, app: Id, sha: &str) -> Id {
        if let Some(id) = self.suite_of(repository, app, sha) {
            return id;
        }
        let branches = &self.repository(repository).branches;
        let branch = branches
            .iter()
            .find(|(_, tip)| *tip == sha)
            .map(|(name, _)| name.clone());
        self.add_suite(repository, app, sha, branch)
    }

    pub(in super::super) fn emit_suite(&mut self, id: Id, action: &str, sender: Id) {
        let suite = &self.check_suites[&id];
        let about = About {
            repository: Some(suite.repository),
            only_app: Some(suite.app),
            account: None,
        };
        let payload = json!({"action": action, "check_suite": view::check_suite(self, suite)});
        self.emit("check_suite", about, sender, &payload);
    }

    /// Tells of a run: every listener of `created` and `completed`, its own App alone of a request.
    pub(in super::super) fn emit_run(&mut self, id: Id, action: &str, sender: Id) {
        let run = &self.check_runs[&id];
        let only_app = (action != "created" && action != "completed").then_some(run.app);
        let about = About {
            repository: Some(run.repository),
            only_app,
            account: None,
        };
        let mut shown = view::check_run(self, run);
        shown["check_suite"] = view::simple_check_suite(self, &self.check_suites[&run.suite]);
        let payload = json!({"action": action, "check_run": shown});
        self.emit("check_run", about, sender, &payload);
    }
}
