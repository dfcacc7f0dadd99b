//! Installations: what the App hears about itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::clock;
use super::super::model::{Id, Installation, Selection, World};
use super::super::view;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl World {
    fn covered_mentions(&self, installation: Id) -> Vec<Value> {
        let installation = &self.installations[&installation];
        self.repositories
            .values()
            .filter(|one| installation.covers(one))
            .map(|one| view::repository_mention(self, one.id))
            .collect()
    }

    pub(in super::super) fn install(
        &mut self,
        app: Id,
        account: Id,
        selection: Selection,
        actor: Id,
    ) -> Id {
        let id = self.fresh_id();
        let installation = Installation {
            id,
            app,
            account,
            selection,
            permissions: self.apps[&app].permissions.clone(),
            created_at: clock::stamp_now(),
            suspended_at: None,
        };
        self.installations.insert(id, installation);
        self.emit_own(id, "created", actor);
        id
    }

    fn emit_own(&mut self, id: Id, action: &str, actor: Id) {
        let shown = view::installation(self, id);
        let repositories = self.covered_mentions(id);
        let more = json!({"action": action, "repositories": repositories, "requester": null});
        self.emit_installation("installation", &shown, actor, object(more));
    }

    pub(in super::super) fn suspend(&mut self, id: Id, suspended: bool, actor: Id) {
        let installation = self.installations.get_mut(&id).expect("it is installed");
        installation.suspended_at = suspended.then(clock::stamp_now);
        self.emit_own(id, if suspended { "suspend" } else { "unsuspend" }, actor);
    }

    pub(in super::super) fn uninstall(&mut self, id: Id, actor: Id) {
        self.emit_own(id, "deleted", actor);
        self.installations.remove(&id);
        self.tokens.revoke_installation(id);
    }

    /// Adds to, or takes from, a selection of repositories.
    pub(in super::super) fn select(&mut self, id: Id, repository: Id, chosen: bool, actor: Id) {
        let installation = self.installations.get_mut(&id).expect("it is installed");
        let changed = match &mut installation.selection {
            Selection::All => false,
            Selection::Selected(set) if chosen => set.insert(repository),
            Selection::Selected(set) => set.remove(&repository),
        };
        if !changed {
            return;
        }
        let shown = view::installation(self, id);
        let mention = view::repository_mention(self, repository);
        let (action, added, removed) = if chosen {
            ("added", vec![mention], vec![])
        } else {
            ("removed", vec![], vec![mention])
        };
        let more = json!({
            "action": action,
            "repository_selection": "selected",
            "repositories_added": added,
            "repositories_removed": removed,
            "requester": null,
        });
        self.emit_installation("installation_repositories", &shown, actor, object(more));
    }

    /// What an App creates belongs to its installation, even where only some repositories are selected.
    pub(in super::super) fn adopt_created(&mut self, repository: Id, app: Id, actor: Id) {
        let owner = self.repository(repository).owner;
        let own: BTreeSet<Id> = self
            .installations
            .values()
            .filter(|one| one.app == app && one.account == owner)
            .map(|one| one.id)
            .collect();
        for id in own {
            self.select(id, repository, true, actor);
        }
    }
}
