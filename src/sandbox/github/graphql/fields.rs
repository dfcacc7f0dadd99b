//! The value of every field, type by type.

#![expect(
    clippy::unnecessary_wraps,
    reason = "every field has the same type, though some cannot fail"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::clock;
use super::super::git::{Entry, Oid, PathChange, Signature};
use super::super::limits::Resource;
use super::super::model::{AccountKind, Id, Permission, Pull, PullState};
use super::super::node_id::{Node, ObjectKind};
use super::super::view;
use super::connection;
use super::things::{Linked, Thing, commit_field, permission_word};
use super::{Arguments, Item, Out, Run, Trouble};

/// GitHub gives at most this much of a blob's text, in bytes.
const LONGEST_TEXT: usize = 512_000;

type Resolved = Result<Out, Trouble>;

fn leaf(value: impl Into<Value>) -> Resolved {
    Ok(Out::Leaf(value.into()))
}

fn one(thing: Option<Thing>) -> Resolved {
    Ok(thing.map_or(Out::Null, Out::One))
}

fn text<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

/// Things whose own id orders them.
fn linked(key: u64, thing: Thing) -> Linked {
    Linked {
        key,
        thing,
        permission: None,
    }
}

/// Things that are ordered by their place in a list.
fn numbered(things: impl Iterator<Item = Thing>) -> Vec<Linked> {
    things
        .zip(1..)
        .map(|(thing, key)| linked(key, thing))
        .collect()
}

impl Run<'_, '_> {
    pub(super) fn resolve(&mut self, on: &Thing, name: &str, arguments: &Arguments) -> Resolved {
        match on {
            Thing::Query => self.query(name, arguments),
            Thing::Account(id) => self.account(*id, name, arguments),
            Thing::Repository(id) => self.repository(*id, name, arguments),
            Thing::Team(id) => self.team(*id, name, arguments),
            Thing::DeployKey { repository, key } => self.deploy_key(*repository, *key, name),
            Thing::Reference {
                repository,
                name: reference,
            } => self.reference(*repository, reference, name, arguments),
            Thing::Commit { repository, oid } => self.commit(*repository, oid, name, arguments),
            Thing::Tree { repository, oid } => self.tree(*repository, oid, name),
            Thing::Blob { repository, oid } => self.blob(*repository, oid, name),
            Thing::TreeEntry { .. } => self.tree_entry(on, name),
            Thing::GitActor(who) => self.git_actor(who, name),
            Thing::Pull { repository, number } => self.pull(*repository, *number, name, arguments),
            Thing::PullCommit {
                repository,
                number,
                oid,
            } => pull_commit(*repository, *number, oid, name),
            Thing::CheckSuite(id) => self.check_suite(*id, name, arguments),
            Thing::CheckRun(id) => self.check_run(*id, name),
            Thing::ChangedFile(value) | Thing::RateLimit(value) => leaf(value[name].clone()),
            Thing::Comment(id) => self.comment(*id, name),
            Thing::Connection(connection) => Ok(connection.field(name)),
            Thing::Edge { connection, index } => Ok(connection.edge_field(*index, name)),
            Thing::PageInfo(connection) => Ok(connection.page_info_field(name)),
        }
    }

    // ── who may ──

    fn sees(&self, repository: Id) -> bool {
        self.call.world.repositories.contains_key(&repository)
            && self.call.caller.can_see(self.call.world, repository)
    }

    fn need(&self, repository: Id, need: &str) -> Result<(), Trouble> {
        if self.call.caller.may(self.call.world, repository, need) {
            Ok(())
        } else {
            Err(Trouble::forbidden())
        }
    }

    fn need_in(&self, organization: Id, need: &str) -> Result<(), Trouble> {
        if self.call.caller.may_in(self.call.world, organization, need) {
            Ok(())
        } else {
            Err(Trouble::forbidden())
        }
    }

    // ── the root ──

    fn query(&mut self, name: &str, arguments: &Arguments) -> Resolved {
        match name {
            "repository" => {
                let owner = text(arguments, "owner").unwrap_or_default();
                let repository = text(arguments, "name").unwrap_or_default();
                self.repository_named(&format!("{owner}/{repository}"), arguments)
            }
            "organization" => self.account_named(text(arguments, "login"), "Organization"),
            "user" => self.account_named(text(arguments, "login"), "User"),
            "viewer" => one(self.call.caller.actor(self.call.world).map(Thing::Account)),
            "rateLimit" => self.rate_limit(),
            "node" => {
                let id = text(arguments, "id").unwrap_or_default();
                self.node(id).map(Out::One)
            }
            "nodes" => {
                let ids = arguments["ids"].as_array().cloned().unwrap_or_default();
                let find = |id: &Value| match self.node(id.as_str().unwrap_or_default()) {
                    Ok(thing) => Item::Thing(thing),
                    Err(trouble) => Item::Failed(trouble),
                };
                Ok(Out::Many(ids.iter().map(find).collect()))
            }
            _ => Ok(Out::Null),
        }
    }

    fn repository_named(&self, full_name: &str, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        let follow = arguments.get("followRenames") != Some(&json!(false));
        let former = || world.renamed_id(full_name).filter(|_| follow);
        let id = world.repository_id(full_name).or_else(former);
        match id.filter(|id| self.sees(*id)) {
            Some(id) => Ok(Out::One(Thing::Repository(id))),
            None => Err(Trouble::not_found(format!(
                "Could not resolve to a Repository with the name '{full_name}'."
            ))),
        }
    }

    fn account_named(&self, login: Option<&str>, kind: &str) -> Resolved {
        let login = login.unwrap_or_default();
        let world = &self.call.world;
        let found = world
            .account_id(login)
            .filter(|id| world.account(*id).type_name() == kind);
        match found {
            Some(id) => Ok(Out::One(Thing::Account(id))),
            None => Err(Trouble::not_found(format!(
                "Could not resolve to {} {kind} with the login of '{login}'.",
                if kind == "User" { "a" } else { "an" }
            ))),
        }
    }

    fn rate_limit(&mut self) -> Resolved {
        let cost = self.call.points;
        let caller = self.call.caller;
        let budgets = &mut self.call.world.budgets;
        let budget = budgets.spend(caller, Resource::Graphql, 0);
        let value = json!({
            "cost": cost,
            "limit": budget.limit,
            "remaining": budget.remaining().saturating_sub(cost),
            "used": budget.used + cost,
            "resetAt": clock::stamp(budget.reset),
            "nodeCount": self.node_count,
        });
        Ok(Out::One(Thing::RateLimit(value)))
    }

    fn node(&self, id: &str) -> Result<Thing, Trouble> {
        Node::parse(id)
            .and_then(|node| self.visible_node(node))
            .ok_or_else(|| {
                Trouble::not_found(format!(
                    "Could not resolve to a node with the global id of '{id}'"
                ))
            })
    }

    fn visible_node(&self, node: Node) -> Option<Thing> {
        let world = &self.call.world;
        match node {
            Node::Repository(id) => self.sees(id).then_some(Thing::Repository(id)),
            Node::User(id) | Node::Bot(id) | Node::Organization(id) => world
                .accounts
                .contains_key(&id)
                .then_some(Thing::Account(id)),
            Node::Team(id) => {
                let team = world.teams.get(&id)?;
                self.need_in(team.organization, "members=read").ok()?;
                Some(Thing::Team(id))
            }
            Node::PullRequest(id) => world
                .repositories
                .values()
                .flat_map(|one| one.pulls.values().map(move |pull| (one.id, pull)))
                .find(|(repository, pull)| pull.id == id && self.sees(*repository))
                .map(|(repository, pull)| Thing::Pull {
                    repository,
                    number: pull.number,
                }),
            Node::IssueComment(id) => {
                let comment = world.comments.get(&id)?;
                self.sees(comment.repository).then_some(Thing::Comment(id))
            }
            Node::DeployKey(key) => {
                let found = world
                    .repositories
                    .values()
                    .find(|one| one.deploy_keys.contains_key(&key))?;
                self.need(found.id, "administration=read").ok()?;
                let repository = found.id;
                Some(Thing::DeployKey { repository, key })
            }
            Node::Object {
                kind,
                repository,
                oid,
            } => {
                let _ = kind;
                self.sees(repository)
                    .then(|| self.object(repository, &oid))
                    .flatten()
            }
            Node::Reference { repository, name } => self
                .sees(repository)
                .then(|| self.find_reference(repository, &name))
                .flatten(),
            Node::Reaction(_)
            | Node::CheckSuite(_)
            | Node::CheckRun(_)
            | Node::App(_)
            | Node::Event { .. }
            | Node::Installation(_) => None,
        }
    }

    // ── accounts and teams ──

    fn account(&self, id: Id, name: &str, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        let account = world.account(id);
        match name {
            "id" => leaf(view::account_node(account).id()),
            "databaseId" => leaf(id),
            "login" => leaf(account.login.clone()),
            "createdAt" => leaf(account.created_at.clone()),
            "url" => leaf(format!("{}/{}", view::WEB, account.login)),
            "avatarUrl" => leaf(format!("https://avatars.githubusercontent.com/u/{id}?v=4")),
            "repository" => {
                let name = text(arguments, "name").unwrap_or_default();
                self.repository_named(&format!("{}/{name}", account.login), arguments)
            }
            "repositories" => self.repositories_of(id, arguments),
            "team" => {
                self.need_in(id, "members=read")?;
                let slug = text(arguments, "slug").unwrap_or_default();
                one(world.team_id(id, slug).map(Thing::Team))
            }
            "teams" => self.teams_of(id, arguments),
            _ => Ok(Out::Null),
        }
    }

    fn repositories_of(&self, owner: Id, arguments: &Arguments) -> Resolved {
        let flag = |name: &str| arguments.get(name).and_then(Value::as_bool);
        let private = match (text(arguments, "privacy"), text(arguments, "visibility")) {
            (Some(word), _) | (None, Some(word)) => Some(word != "PUBLIC"),
            (None, None) => None,
        };
        let all = self
            .call
            .world
            .repositories
            .values()
            .filter(|one| one.owner == owner && self.sees(one.id))
            .filter(|one| flag("isArchived").is_none_or(|wanted| one.archived == wanted))
            .filter(|one| flag("isFork").is_none_or(|wanted| one.parent.is_some() == wanted))
            .filter(|one| private.is_none_or(|wanted| one.is_private() == wanted))
            .map(|one| linked(one.id, Thing::Repository(one.id)))
            .collect();
        connection::page(("RepositoryConnection", "RepositoryEdge"), all, arguments)
    }

    fn teams_of(&self, organization: Id, arguments: &Arguments) -> Resolved {
        self.need_in(organization, "members=read")?;
        let wanted = text(arguments, "query").map(str::to_lowercase);
        let all = self
            .call
            .world
            .teams_of(organization)
            .filter(|team| {
                wanted.as_ref().is_none_or(|text| {
                    team.slug.contains(text.as_str()) || team.name.to_lowercase().contains(text)
                })
            })
            .map(|team| linked(team.id, Thing::Team(team.id)))
            .collect();
        connection::page(("TeamConnection", "TeamEdge"), all, arguments)
    }

    fn team(&self, id: Id, name: &str, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        let team = &world.teams[&id];
        match name {
            "id" => leaf(Node::Team(id).id()),
            "databaseId" => leaf(id),
            "slug" => leaf(team.slug.clone()),
            "name" => leaf(team.name.clone()),
            "description" => leaf(team.description.clone()),
            "createdAt" => leaf(team.created_at.clone()),
            "privacy" => leaf("VISIBLE"),
            "url" => leaf(format!(
                "{}/orgs/{}/teams/{}",
                view::WEB,
                world.login(team.organization),
                team.slug
            )),
            "organization" => one(Some(Thing::Account(team.organization))),
            "members" => {
                let people = team.members.iter();
                let all = people.map(|id| linked(*id, Thing::Account(*id))).collect();
                connection::page(("TeamMemberConnection", "TeamMemberEdge"), all, arguments)
            }
            "repositories" => self.repositories_of_team(id, arguments),
            _ => Ok(Out::Null),
        }
    }

    fn repositories_of_team(&self, id: Id, arguments: &Arguments) -> Resolved {
        let wanted = text(arguments, "query").map(str::to_lowercase);
        let world = &self.call.world;
        let all = world.teams[&id]
            .repositories
            .iter()
            .filter(|(repository, _)| self.sees(**repository))
            .filter(|(repository, _)| {
                let name = world.repository(**repository).name.to_lowercase();
                wanted
                    .as_ref()
                    .is_none_or(|text| name.contains(text.as_str()))
            })
            .map(|(repository, permission)| Linked {
                key: *repository,
                thing: Thing::Repository(*repository),
                permission: Some(*permission),
            })
            .collect();
        connection::page(
            ("TeamRepositoryConnection", "TeamRepositoryEdge"),
            all,
            arguments,
        )
    }

    // ── repositories ──

    fn repository(&mut self, id: Id, name: &str, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        let found = world.repository(id);
        match name {
            "id" => leaf(Node::Repository(id).id()),
            "databaseId" => leaf(id),
            "name" => leaf(found.name.clone()),
            "nameWithOwner" => leaf(world.full_name(id)),
            "owner" => one(Some(Thing::Account(found.owner))),
            "visibility" => leaf(if found.is_private() {
                "PRIVATE"
            } else {
                "PUBLIC"
            }),
            "isPrivate" => leaf(found.is_private()),
            "isArchived" => leaf(found.archived),
            "isEmpty" => leaf(found.is_empty()),
            "isTemplate" => leaf(found.is_template),
            "isFork" => leaf(found.parent.is_some()),
            "isInOrganization" => leaf(world.organization(found.owner).is_some()),
            "isDisabled" | "isLocked" => leaf(false),
            "createdAt" => leaf(found.created_at.clone()),
            "updatedAt" => leaf(found.updated_at.clone()),
            "pushedAt" => leaf(found.pushed_at.clone()),
            "description" => leaf(found.description.clone()),
            "homepageUrl" => leaf(found.homepage.clone()),
            "url" => leaf(format!("{}/{}", view::WEB, world.full_name(id))),
            "sshUrl" => leaf(format!("git@github.com:{}.git", world.full_name(id))),
            "viewerPermission" => leaf(self.viewer_permission(id)),
            "parent" => one(found
                .parent
                .filter(|id| self.sees(*id))
                .map(Thing::Repository)),
            "templateRepository" => one(found
                .template
                .filter(|id| self.sees(*id))
                .map(Thing::Repository)),
            "defaultBranchRef" => {
                self.need(id, "contents=read")?;
                one(self.find_reference(id, &format!("refs/heads/{}", found.default_branch)))
            }
            "ref" => {
                self.need(id, "contents=read")?;
                let name = text(arguments, "qualifiedName").unwrap_or_default();
                one(self.find_reference(id, name))
            }
            "object" => self.object_asked(id, arguments),
            "deployKeys" => {
                self.need(id, "administration=read")?;
                let all = found.deploy_keys.keys().map(|key| {
                    let (repository, key) = (id, *key);
                    linked(key, Thing::DeployKey { repository, key })
                });
                connection::page(
                    ("DeployKeyConnection", "DeployKeyEdge"),
                    all.collect(),
                    arguments,
                )
            }
            "collaborators" => self.collaborators(id, arguments),
            "pullRequest" => self.pull_numbered(id, arguments),
            "pullRequests" => self.pulls(id, arguments, |_| true),
            _ => Ok(Out::Null),
        }
    }

    fn viewer_permission(&self, id: Id) -> Value {
        match self.call.caller {
            Caller::User(user) => self
                .call
                .world
                .access_of(*user, id)
                .map_or(Value::Null, permission_word),
            Caller::Installation(_) | Caller::App(_) | Caller::Anonymous => Value::Null,
        }
    }

    fn deploy_key(&self, repository: Id, id: Id, name: &str) -> Resolved {
        let key = &self.call.world.repository(repository).deploy_keys[&id];
        match name {
            "id" => leaf(Node::DeployKey(id).id()),
            "title" => leaf(key.title.clone()),
            "key" => leaf(key.key.clone()),
            "readOnly" => leaf(key.read_only),
            "createdAt" => leaf(key.created_at.clone()),
            "verified" | "enabled" => leaf(true),
            _ => Ok(Out::Null),
        }
    }

    fn collaborators(&self, id: Id, arguments: &Arguments) -> Resolved {
        self.need(id, "administration=read")?;
        let world = &self.call.world;
        let found = world.repository(id);
        let affiliation = text(arguments, "affiliation").unwrap_or("ALL");
        let belongs = |user: Id| {
            let added = found.collaborators.contains_key(&user);
            let member = world.membership(found.owner, user).is_some();
            match affiliation {
                "DIRECT" => added,
                "OUTSIDE" => added && !member,
                _ => added || member || found.owner == user,
            }
        };
        let access = |user: Id| -> Option<Permission> {
            match affiliation {
                "DIRECT" => found.collaborators.get(&user).copied(),
                _ => world.access_of(user, id),
            }
        };
        let all = world
            .accounts
            .values()
            .filter(|one| matches!(one.kind, AccountKind::User) && belongs(one.id))
            .filter_map(|one| {
                Some(Linked {
                    key: one.id,
                    thing: Thing::Account(one.id),
                    permission: Some(access(one.id)?),
                })
            })
            .collect();
        connection::page(
            (
                "RepositoryCollaboratorConnection",
                "RepositoryCollaboratorEdge",
            ),
            all,
            arguments,
        )
    }

    // ── git ──

    fn find_reference(&self, repository: Id, name: &str) -> Option<Thing> {
        let full = match name {
            full if full.starts_with("refs/") => full.to_owned(),
            short if short.starts_with("heads/") || short.starts_with("pull/") => {
                format!("refs/{short}")
            }
            short => format!("refs/heads/{short}"),
        };
        self.call.world.resolve(repository, &full)?;
        Some(Thing::Reference {
            repository,
            name: full,
        })
    }

    fn reference(&self, repository: Id, full: &str, name: &str, arguments: &Arguments) -> Resolved {
        let short = full.splitn(3, '/').nth(2).unwrap_or_default();
        match name {
            "id" => {
                let name = full.to_owned();
                leaf(Node::Reference { repository, name }.id())
            }
            "name" => leaf(short),
            "prefix" => leaf(full.trim_end_matches(short)),
            "repository" => one(Some(Thing::Repository(repository))),
            "target" => one(self
                .call
                .world
                .resolve(repository, full)
                .map(|oid| Thing::Commit { repository, oid })),
            "associatedPullRequests" => self.pulls(repository, arguments, |pull| {
                pull.head_repository == Some(repository) && pull.head_branch == short
            }),
            _ => Ok(Out::Null),
        }
    }

    /// `object(oid:)` or `object(expression:)`, which is `REV` or `REV:path`.
    fn object_asked(&self, repository: Id, arguments: &Arguments) -> Resolved {
        self.need(repository, "contents=read")?;
        if let Some(oid) = text(arguments, "oid") {
            return one(self.object(repository, oid));
        }
        let expression = text(arguments, "expression").unwrap_or_default();
        let (revision, path) = match expression.split_once(':') {
            Some((revision, path)) => (revision, Some(path)),
            None => (expression, None),
        };
        let world = &self.call.world;
        let Some(commit) = world.resolve(repository, revision) else {
            return one(path
                .is_none()
                .then(|| self.object(repository, revision))
                .flatten());
        };
        let Some(path) = path else {
            return one(Some(Thing::Commit {
                repository,
                oid: commit,
            }));
        };
        let entry = world.objects(repository).entry_at(&commit, path);
        one(entry.and_then(|entry| self.object(repository, &entry.oid)))
    }

    fn object(&self, repository: Id, oid: &str) -> Option<Thing> {
        let objects = self.call.world.objects(repository);
        let oid = oid.to_owned();
        if objects.commit(&oid).is_some() {
            Some(Thing::Commit { repository, oid })
        } else if objects.tree(&oid).is_some() {
            Some(Thing::Tree { repository, oid })
        } else {
            objects.blob(&oid)?;
            Some(Thing::Blob { repository, oid })
        }
    }

    /// The fields that all git objects share.
    fn git_object(&self, repository: Id, kind: ObjectKind, oid: &Oid, name: &str) -> Resolved {
        match name {
            "oid" => leaf(oid.clone()),
            "abbreviatedOid" => leaf(oid[..7].to_owned()),
            "id" => leaf(
                Node::Object {
                    kind,
                    repository,
                    oid: oid.clone(),
                }
                .id(),
            ),
            "repository" => one(Some(Thing::Repository(repository))),
            "commitUrl" => leaf(format!(
                "{}/{}/commit/{oid}",
                view::WEB,
                self.call.world.full_name(repository)
            )),
            _ => Ok(Out::Null),
        }
    }

    fn commit(&mut self, repository: Id, oid: &Oid, name: &str, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        if let Some(value) = commit_field(world, repository, oid, name) {
            return leaf(value);
        }
        let objects = world.objects(repository);
        let commit = objects.commit(oid).expect("it was found before");
        let commits = |oids: Vec<Oid>| {
            numbered(
                oids.into_iter()
                    .map(|oid| Thing::Commit { repository, oid }),
            )
        };
        match name {
            "tree" => one(Some(Thing::Tree {
                repository,
                oid: commit.tree.clone(),
            })),
            "author" => one(Some(Thing::GitActor(commit.author.clone()))),
            "committer" => one(Some(Thing::GitActor(commit.committer.clone()))),
            "parents" => connection::page(
                ("CommitConnection", "CommitEdge"),
                commits(commit.parents.clone()),
                arguments,
            ),
            "history" => {
                let path = text(arguments, "path").map(|path| path.trim_matches('/'));
                let touches = |oid: &Oid| {
                    path.is_none_or(|path| {
                        let parent = objects.commit(oid).and_then(|one| one.parents.first());
                        let before = parent.and_then(|parent| objects.entry_at(parent, path));
                        let after = objects.entry_at(oid, path);
                        before.map(|one| one.oid) != after.map(|one| one.oid)
                    })
                };
                let history = objects.history(oid).into_iter().filter(touches).collect();
                connection::page(
                    ("CommitHistoryConnection", "CommitEdge"),
                    commits(history),
                    arguments,
                )
            }
            "file" => {
                let path = text(arguments, "path").unwrap_or_default();
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                one(objects.entry_at(oid, path).map(|entry| Thing::TreeEntry {
                    repository,
                    folder: folder.to_owned(),
                    entry,
                }))
            }
            "associatedPullRequests" => {
                self.need(repository, "pull_requests=read")?;
                let found = world.pulls_with(repository, oid);
                let all = found
                    .into_iter()
                    .map(|pull| pull_link(repository, pull.number))
                    .collect();
                connection::page(("PullRequestConnection", "PullRequestEdge"), all, arguments)
            }
            "checkSuites" => self.check_suites(repository, oid, arguments),
            _ => self.git_object(repository, ObjectKind::Commit, oid, name),
        }
    }

    fn tree(&self, repository: Id, oid: &Oid, name: &str) -> Resolved {
        if name != "entries" {
            return self.git_object(repository, ObjectKind::Tree, oid, name);
        }
        let entries = self.call.world.objects(repository).tree(oid);
        let item = |entry: &Entry| {
            Item::Thing(Thing::TreeEntry {
                repository,
                folder: String::new(),
                entry: entry.clone(),
            })
        };
        Ok(Out::Many(
            entries.unwrap_or_default().iter().map(item).collect(),
        ))
    }

    fn tree_entry(&self, on: &Thing, name: &str) -> Resolved {
        let Thing::TreeEntry {
            repository,
            folder,
            entry,
        } = on
        else {
            return Ok(Out::Null);
        };
        let content = self.call.world.objects(*repository).blob(&entry.oid);
        match name {
            "name" => leaf(entry.name.clone()),
            "type" => leaf(entry.kind()),
            "oid" => leaf(entry.oid.clone()),
            "mode" => leaf(i64::from_str_radix(&entry.mode, 8).unwrap_or_default()),
            "size" => leaf(content.map_or(0, <[u8]>::len)),
            "path" => leaf(match folder.as_str() {
                "" => entry.name.clone(),
                folder => format!("{folder}/{}", entry.name),
            }),
            "object" => one(self.object(*repository, &entry.oid)),
            _ => Ok(Out::Null),
        }
    }

    fn blob(&self, repository: Id, oid: &Oid, name: &str) -> Resolved {
        let content = self.call.world.objects(repository).blob(oid);
        let content = content.unwrap_or_default();
        let binary = content.contains(&0);
        match name {
            "byteSize" => leaf(content.len()),
            "isBinary" => leaf(binary),
            "isTruncated" => leaf(content.len() > LONGEST_TEXT),
            "text" if binary => Ok(Out::Null),
            "text" => {
                let shown = &content[..content.len().min(LONGEST_TEXT)];
                leaf(String::from_utf8_lossy(shown).into_owned())
            }
            _ => self.git_object(repository, ObjectKind::Blob, oid, name),
        }
    }

    fn git_actor(&self, who: &Signature, name: &str) -> Resolved {
        let person = |id: &Id| matches!(self.call.world.account(*id).kind, AccountKind::User);
        match name {
            "name" => leaf(who.name.clone()),
            "email" => leaf(who.email.clone()),
            "date" => leaf(clock::stamp(who.date)),
            "avatarUrl" => leaf("https://avatars.githubusercontent.com/u/0?v=4"),
            "user" => one(who.account.filter(person).map(Thing::Account)),
            _ => Ok(Out::Null),
        }
    }

    // ── pulls ──

    fn pull_numbered(&mut self, repository: Id, arguments: &Arguments) -> Resolved {
        self.need(repository, "pull_requests=read")?;
        let number = arguments["number"].as_u64().unwrap_or_default();
        match self.call.world.pull(repository, number) {
            Some(_) => Ok(Out::One(Thing::Pull { repository, number })),
            None => Err(Trouble::not_found(format!(
                "Could not resolve to a PullRequest with the number of {number}."
            ))),
        }
    }

    fn pulls(
        &self,
        repository: Id,
        arguments: &Arguments,
        fits: impl Fn(&Pull) -> bool,
    ) -> Resolved {
        self.need(repository, "pull_requests=read")?;
        // A value that stands alone is a list of one.
        let states = arguments.get("states").map(|states| match states {
            Value::Array(states) => states.clone(),
            state => vec![state.clone()],
        });
        let base = text(arguments, "baseRefName");
        let head = text(arguments, "headRefName");
        let all = self
            .call
            .world
            .repository(repository)
            .pulls
            .values()
            .filter(|pull| fits(pull))
            .filter(|pull| {
                states
                    .as_ref()
                    .is_none_or(|all| all.contains(&state_word(pull.state)))
            })
            .filter(|pull| base.is_none_or(|base| pull.base_branch == base))
            .filter(|pull| head.is_none_or(|head| pull.head_branch == head))
            .map(|pull| pull_link(repository, pull.number))
            .collect();
        connection::page(("PullRequestConnection", "PullRequestEdge"), all, arguments)
    }

    fn pull(&mut self, of: Id, number: u64, name: &str, arguments: &Arguments) -> Resolved {
        if matches!(name, "mergeable" | "potentialMergeCommit") {
            self.call.world.look_at_merge(of, number);
        }
        let world = &self.call.world;
        let pull = &world.repository(of).pulls[&number];
        let commit = |oid: &Oid| Thing::Commit {
            repository: of,
            oid: oid.clone(),
        };
        match name {
            "id" => leaf(Node::PullRequest(pull.id).id()),
            "fullDatabaseId" => leaf(pull.id.to_string()),
            "number" => leaf(number),
            "title" => leaf(pull.title.clone()),
            "body" => leaf(pull.body.clone()),
            "state" => leaf(state_word(pull.state)),
            "merged" => leaf(pull.state == PullState::Merged),
            "closed" => leaf(pull.state != PullState::Open),
            "isDraft" => leaf(pull.draft),
            "headRefOid" => leaf(pull.head_sha.clone()),
            "headRefName" => leaf(pull.head_branch.clone()),
            "baseRefOid" => leaf(pull.base_sha.clone()),
            "baseRefName" => leaf(pull.base_branch.clone()),
            "isCrossRepository" => leaf(pull.head_repository != Some(of)),
            "createdAt" => leaf(pull.created_at.clone()),
            "updatedAt" => leaf(pull.updated_at.clone()),
            "closedAt" => leaf(pull.closed_at.clone()),
            "mergedAt" => leaf(pull.merged_at.clone()),
            "url" => leaf(format!(
                "{}/{}/pull/{number}",
                view::WEB,
                world.full_name(of)
            )),
            "authorAssociation" => leaf(world.association(of, pull.author)),
            "mergeable" => leaf(match world.mergeable(of, pull) {
                Some(true) => "MERGEABLE",
                Some(false) => "CONFLICTING",
                None => "UNKNOWN",
            }),
            "potentialMergeCommit" => one(match pull.state {
                PullState::Open => pull.test_merge.commit.as_ref().map(commit),
                PullState::Closed | PullState::Merged => None,
            }),
            "mergeCommit" => one(pull.merge_commit.as_ref().map(commit)),
            "author" => one(Some(Thing::Account(pull.author))),
            "repository" | "baseRepository" => one(Some(Thing::Repository(of))),
            "headRepository" => one(pull
                .head_repository
                .filter(|id| self.sees(*id))
                .map(Thing::Repository)),
            "headRepositoryOwner" => one(pull
                .head_repository
                .map(|id| Thing::Account(world.repository(id).owner))),
            "baseRef" => one(self.find_reference(of, &format!("refs/heads/{}", pull.base_branch))),
            "headRef" => one(pull.head_repository.and_then(|id| {
                self.find_reference(id, &format!("refs/heads/{}", pull.head_branch))
            })),
            "changedFiles" => leaf(world.pull_changes(of, pull).len()),
            "files" => self.changed_files(of, number, arguments),
            "commits" => {
                let commit = |oid| Thing::PullCommit {
                    repository: of,
                    number,
                    oid,
                };
                let commits = world.pull_commits(of, pull).into_iter().map(commit);
                connection::page(
                    ("PullRequestCommitConnection", "PullRequestCommitEdge"),
                    numbered(commits),
                    arguments,
                )
            }
            "comments" => {
                let all = world
                    .comments_on(of, number)
                    .map(|one| linked(one.id, Thing::Comment(one.id)))
                    .collect();
                connection::page(
                    ("IssueCommentConnection", "IssueCommentEdge"),
                    all,
                    arguments,
                )
            }
            _ => Ok(Out::Null),
        }
    }

    fn changed_files(&self, of: Id, number: u64, arguments: &Arguments) -> Resolved {
        let world = &self.call.world;
        let pull = &world.repository(of).pulls[&number];
        let file = |change: &PathChange| {
            let entry = view::diff_entry(world, of, &pull.head_sha, change);
            let kind = match entry["status"].as_str() {
                Some("added") => "ADDED",
                Some("removed") => "DELETED",
                _ => "MODIFIED",
            };
            Thing::ChangedFile(json!({
                "path": change.path,
                "changeType": kind,
                "additions": entry["additions"],
                "deletions": entry["deletions"],
            }))
        };
        let changes = world.pull_changes(of, pull);
        connection::page(
            (
                "PullRequestChangedFileConnection",
                "PullRequestChangedFileEdge",
            ),
            numbered(changes.iter().map(file)),
            arguments,
        )
    }

    // ── checks ──

    fn check_suites(&self, repository: Id, oid: &Oid, arguments: &Arguments) -> Resolved {
        self.need(repository, "checks=read")?;
        let filter = arguments.get("filterBy").unwrap_or(&Value::Null);
        let suites = self.call.world.check_suites.values();
        let all = suites
            .filter(|one| one.repository == repository && one.head_sha == *oid)
            .filter(|one| filter["appId"].as_u64().is_none_or(|app| one.app == app))
            .map(|one| linked(one.id, Thing::CheckSuite(one.id)))
            .collect();
        connection::page(("CheckSuiteConnection", "CheckSuiteEdge"), all, arguments)
    }

    fn check_suite(&self, id: Id, name: &str, arguments: &Arguments) -> Resolved {
        let suite = &self.call.world.check_suites[&id];
        let (repository, oid) = (suite.repository, suite.head_sha.clone());
        match name {
            "id" => leaf(Node::CheckSuite(id).id()),
            "databaseId" => leaf(id),
            "createdAt" => leaf(suite.created_at.clone()),
            "repository" => one(Some(Thing::Repository(repository))),
            "commit" => one(Some(Thing::Commit { repository, oid })),
            "checkRuns" => self.check_runs(id, arguments),
            _ => Ok(Out::Null),
        }
    }

    fn check_runs(&self, suite: Id, arguments: &Arguments) -> Resolved {
        let filter = arguments.get("filterBy").unwrap_or(&Value::Null);
        let runs = self.call.world.check_runs.values();
        let mut runs: Vec<_> = runs
            .filter(|run| run.suite == suite)
            .filter(|run| filter["appId"].as_u64().is_none_or(|app| run.app == app))
            .filter(|run| {
                filter["checkName"]
                    .as_str()
                    .is_none_or(|name| run.name == name)
            })
            .collect();
        if filter["checkType"] == "LATEST" {
            let latest: BTreeMap<_, _> = runs.iter().map(|run| (&run.name, run.id)).collect();
            runs.retain(|run| latest[&run.name] == run.id);
        }
        let all = runs
            .iter()
            .map(|run| linked(run.id, Thing::CheckRun(run.id)));
        let all = all.collect();
        connection::page(("CheckRunConnection", "CheckRunEdge"), all, arguments)
    }

    fn check_run(&self, id: Id, name: &str) -> Resolved {
        let run = &self.call.world.check_runs[&id];
        match name {
            "id" => leaf(Node::CheckRun(id).id()),
            "databaseId" => leaf(id),
            "name" => leaf(run.name.clone()),
            "externalId" => leaf(run.external_id.clone()),
            "status" => leaf(run.status.to_uppercase()),
            "conclusion" => leaf(run.conclusion.as_ref().map(|word| word.to_uppercase())),
            "title" => leaf(run.title.clone()),
            "summary" => leaf(run.summary.clone()),
            "text" => leaf(run.text.clone()),
            "startedAt" => leaf(run.started_at.clone()),
            "completedAt" => leaf(run.completed_at.clone()),
            "repository" => one(Some(Thing::Repository(run.repository))),
            "checkSuite" => one(Some(Thing::CheckSuite(run.suite))),
            _ => Ok(Out::Null),
        }
    }

    fn comment(&self, id: Id, name: &str) -> Resolved {
        let world = &self.call.world;
        let comment = &world.comments[&id];
        match name {
            "id" => leaf(Node::IssueComment(id).id()),
            "databaseId" => leaf(id),
            "fullDatabaseId" => leaf(id.to_string()),
            "body" => leaf(comment.body.clone()),
            "author" => one(Some(Thing::Account(comment.author))),
            "createdAt" => leaf(comment.created_at.clone()),
            "updatedAt" => leaf(comment.updated_at.clone()),
            "authorAssociation" => leaf(world.association(comment.repository, comment.author)),
            "viewerDidAuthor" => leaf(self.call.caller.actor(world) == Some(comment.author)),
            "url" => leaf(format!(
                "{}/{}/pull/{}#issuecomment-{id}",
                view::WEB,
                world.full_name(comment.repository),
                comment.number
            )),
            _ => Ok(Out::Null),
        }
    }
}

fn pull_commit(repository: Id, number: u64, oid: &Oid, name: &str) -> Resolved {
    let oid = oid.clone();
    match name {
        "commit" => one(Some(Thing::Commit { repository, oid })),
        "pullRequest" => one(Some(Thing::Pull { repository, number })),
        _ => Ok(Out::Null),
    }
}

fn pull_link(repository: Id, number: u64) -> Linked {
    linked(number, Thing::Pull { repository, number })
}

fn state_word(state: PullState) -> Value {
    json!(match state {
        PullState::Open => "OPEN",
        PullState::Closed => "CLOSED",
        PullState::Merged => "MERGED",
    })
}
