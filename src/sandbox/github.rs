//! GitHub in memory: start it, furnish it, let people act, look at what became of it.
//!
//! ```text
//! github.rs        the handle: start, furnish, look, faults, webhooks, log
//!   people.rs        what a person does (with the webhooks that follow)
//!   server.rs        HTTP in and out     rest.rs  the table of routes   graphql.rs  the executor
//!   actions.rs       deeds on the model  model.rs what GitHub knows     git.rs      its objects
//!   view.rs          the JSON of each object
//!   auth.rs limits.rs faults.rs log.rs traffic.rs webhooks.rs
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod actions;
mod answer;
mod auth;
mod call;
mod clock;
mod faults;
mod git;
mod graphql;
mod limits;
mod log;
mod model;
mod node_id;
mod people;
mod rest;
mod server;
mod traffic;
mod view;
mod webhooks;

#[cfg(test)]
mod tests;

pub use actions::MergeMethod;
pub use faults::Fault;
pub use git::Oid;
pub use log::{Class, Credential, Mark, Request};
pub use model::{
    Account, AccountKind, AppRecord, Bypass, CheckRun, CheckSuite, Comment, DeployKey, Id,
    Installation, Membership, Organization, Permission, Permissions, Protection, Pull, PullState,
    Reaction, Repository, RequiredChecks, Ruleset, Selection, Team, Visibility, World,
};
pub use people::Person;
pub use traffic::{Answered, Exchange, Traffic, Webhook};
pub use webhooks::{Delivery, Outcome};

use actions::{Edits, NewRepository};
use server::Hub;

/// A running GitHub on a loopback port of its own. Dropping it ends it.
pub struct GitHub {
    hub: Arc<Hub>,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    deliveries: JoinHandle<()>,
}

/// A registered GitHub App, with the secrets that its owner downloads once.
#[derive(Clone)]
pub struct App {
    pub id: Id,
    pub client_id: String,
    pub slug: String,
    /// PKCS#8 in PEM.
    pub private_key_pem: String,
    pub webhook_secret: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("App")
            .field("id", &self.id)
            .field("slug", &self.slug)
            .finish_non_exhaustive()
    }
}

/// Which repositories an App is installed on.
#[derive(Clone, Copy, Debug)]
pub enum RepositorySelection<'a> {
    All,
    /// By their names without the owner.
    Selected(&'a [&'a str]),
}

impl GitHub {
    /// Starts on a free port of 127.0.0.1. Needs a Tokio runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let url = format!("http://{address}");
        let hub = Arc::new(Hub::new(url.clone()));
        let router = axum::Router::new()
            .fallback(server::answer)
            .with_state(Arc::clone(&hub));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            let ended = async move {
                let _ = stopped.await;
            };
            let _ = axum::serve(listener, router)
                .with_graceful_shutdown(ended)
                .await;
        });
        let post = Arc::clone(&hub);
        let deliveries = tokio::spawn(async move { post.deliver_for_ever().await });
        Self {
            hub,
            url,
            stop: Some(stop),
            deliveries,
        }
    }

    /// The REST root, `http://127.0.0.1:PORT`; GraphQL is below it at `/graphql`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it: the port closes, nothing is delivered any more.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.deliveries.abort();
    }

    /// Looks at, or silently changes, anything: no webhook is sent for what happens here.
    pub fn edit<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.hub.with(act)
    }

    // ── furnishing: people and places, silently ──

    /// A person's account.
    pub fn user(&self, login: &str) -> &Self {
        self.edit(|world| world.add_account(login, AccountKind::User));
        self
    }

    /// An organisation whose new repositories have the default branch `main` and whose members may read.
    pub fn organization(&self, login: &str) -> &Self {
        let organization = Organization {
            members: BTreeMap::new(),
            base_permission: Some(Permission::Pull),
            deploy_keys_allowed: true,
            rules_for_private: true,
            members_can_create_repositories: true,
            default_branch: "main".to_owned(),
        };
        self.edit(|world| world.add_account(login, AccountKind::Organization(organization)));
        self
    }

    /// Changes an organisation's settings.
    pub fn organization_settings(&self, login: &str, change: impl FnOnce(&mut Organization)) {
        self.edit(|world| {
            let id = world.account_id(login);
            let found = id.and_then(|id| world.organization_mut(id));
            change(found.unwrap_or_else(|| panic!("there is no organisation `{login}`")));
        });
    }

    pub fn member(&self, organization: &str, user: &str, membership: Membership) -> &Self {
        let user = self.account_id(user);
        self.organization_settings(organization, |found| {
            found.members.insert(user, membership);
        });
        self
    }

    /// A team with these members, who become members of the organisation if they are not yet.
    pub fn team(&self, organization: &str, name: &str, members: &[&str]) -> &Self {
        for login in members {
            let user = self.account_id(login);
            self.organization_settings(organization, |found| {
                found.members.entry(user).or_insert(Membership::Member);
            });
        }
        let organization = self.account_id(organization);
        let members = members.iter().map(|login| self.account_id(login)).collect();
        self.edit(|world| {
            let team = Team {
                id: world.fresh_id(),
                organization,
                name: name.to_owned(),
                slug: name.to_lowercase().replace(' ', "-"),
                description: None,
                members,
                repositories: BTreeMap::new(),
                created_at: clock::stamp_now(),
            };
            world.insert_team(team);
        });
        self
    }

    /// A private repository `owner/name` whose first commit holds these files; empty without files.
    pub fn repository(&self, full_name: &str, files: &[(&str, &str)]) -> &Self {
        self.new_repository(full_name, Visibility::Private, files);
        self
    }

    pub fn public_repository(&self, full_name: &str, files: &[(&str, &str)]) -> &Self {
        self.new_repository(full_name, Visibility::Public, files);
        self
    }

    fn new_repository(&self, full_name: &str, visibility: Visibility, files: &[(&str, &str)]) {
        let (owner, name) = full_name.split_once('/').expect("a name like acme/tenants");
        let owner = self.account_id(owner);
        let edits: Edits = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec())))
            .collect();
        self.edit(|world| {
            let taken = world.repository_id(full_name);
            assert!(taken.is_none(), "the repository `{full_name}` exists");
            let id = world.add_repository(NewRepository::named(owner, name, visibility));
            if !edits.is_empty() {
                let branch = world.repository(id).default_branch.clone();
                let tip = world.write_edits(id, owner, "Initial commit", None, &edits);
                world.repository_mut(id).branches.insert(branch, tip);
            }
        });
    }

    pub fn collaborator(&self, repository: &str, user: &str, permission: Permission) -> &Self {
        let user = self.account_id(user);
        self.edit_repository(repository, |found| {
            found.collaborators.insert(user, permission);
        });
        self
    }

    /// Protects a branch: these checks must have passed on the head of a pull before anybody, its owner too, merges it.
    pub fn protect(&self, repository: &str, branch: &str, checks: &[&str]) -> &Self {
        let checks = checks.iter().map(|name| ((*name).to_owned(), None));
        let protection = Protection {
            checks: Some(RequiredChecks {
                strict: false,
                checks: checks.collect(),
            }),
            enforce_admins: true,
        };
        self.edit_repository(repository, |found| {
            found.protections.insert(branch.to_owned(), protection);
        });
        self
    }

    /// Silently changes a repository's own fields.
    pub fn edit_repository<T>(
        &self,
        full_name: &str,
        change: impl FnOnce(&mut Repository) -> T,
    ) -> T {
        let id = self.repository_id(full_name);
        self.edit(|world| change(world.repository_mut(id)))
    }

    // ── Apps ──

    /// Registers an App owned by the first organisation (or by nobody in particular), with a fresh key pair.
    ///
    /// # Panics
    /// Where GitHub's form would refuse: an event without the permission that it needs.
    pub fn register_app(
        &self,
        slug: &str,
        permissions: &[(&str, &str)],
        events: &[&str],
        webhook_url: &str,
    ) -> App {
        let mut granted: Permissions = permissions
            .iter()
            .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
            .collect();
        granted
            .entry("metadata".to_owned())
            .or_insert_with(|| "read".to_owned());
        for event in events {
            let needed = webhooks::needed_permissions(event);
            let allowed = needed
                .iter()
                .any(|(name, level)| auth::reaches(granted.get(*name), level));
            assert!(
                allowed,
                "GitHub: default events unsupported: `{event}` needs one of {needed:?}"
            );
        }
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("the system has randomness");
        let webhook_secret = auth::random_text(40);
        self.edit(|world| {
            let bot = world.add_account(&format!("{slug}[bot]"), AccountKind::Bot);
            let owner = world
                .accounts
                .values()
                .find(|one| matches!(one.kind, AccountKind::Organization(_)))
                .map_or(bot, |one| one.id);
            let app = AppRecord {
                id: world.fresh_id(),
                slug: slug.to_owned(),
                name: slug.to_owned(),
                owner,
                bot,
                permissions: granted,
                events: events.iter().map(ToString::to_string).collect(),
                created_at: clock::stamp_now(),
                public_keys: vec![pair.public_key().as_ref().to_vec()],
                webhook_url: webhook_url.to_owned(),
                webhook_secret: webhook_secret.clone(),
                hook: world.fresh_id(),
            };
            let shown = App {
                id: app.id,
                client_id: app.client_id(),
                slug: app.slug.clone(),
                private_key_pem: pem(&pair),
                webhook_secret,
            };
            world.apps.insert(app.id, app);
            shown
        })
    }

    /// Registers the App that a manifest describes, in YAML: its name, `default_permissions` and `default_events`.
    /// <https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
    ///
    /// # Panics
    /// Where it is no manifest, and as [`GitHub::register_app`] does.
    pub fn register_app_from_manifest(&self, manifest: &str, webhook_url: &str) -> App {
        let manifest: Value = serde_yaml::from_str(manifest).expect("the manifest is YAML");
        let permissions = manifest["default_permissions"].as_object();
        let permissions: Vec<(&str, &str)> = permissions
            .expect("permissions are a map")
            .iter()
            .map(|(name, level)| (name.as_str(), word(level)))
            .collect();
        let events = manifest["default_events"].as_array();
        let events: Vec<&str> = events
            .expect("events are a list")
            .iter()
            .map(word)
            .collect();
        self.register_app(word(&manifest["name"]), &permissions, &events, webhook_url)
    }

    /// Installs an App on an account and tells it so.
    pub fn install(&self, app: &App, account: &str, selection: RepositorySelection<'_>) -> Id {
        let selection = match selection {
            RepositorySelection::All => Selection::All,
            RepositorySelection::Selected(names) => Selection::Selected(
                names
                    .iter()
                    .map(|name| self.repository_id(&format!("{account}/{name}")))
                    .collect(),
            ),
        };
        let account = self.account_id(account);
        self.edit(|world| {
            let actor = world.apps[&app.id].owner;
            world.install(app.id, account, selection, actor)
        })
    }

    /// Adds a repository to an installation's selection, or takes it out.
    pub fn select(&self, installation: Id, full_name: &str, chosen: bool) {
        let repository = self.repository_id(full_name);
        self.with_owner(installation, |world, owner| {
            world.select(installation, repository, chosen, owner);
        });
    }

    pub fn suspend(&self, installation: Id) {
        self.with_owner(installation, |world, owner| {
            world.suspend(installation, true, owner);
        });
    }

    pub fn unsuspend(&self, installation: Id) {
        self.with_owner(installation, |world, owner| {
            world.suspend(installation, false, owner);
        });
    }

    pub fn uninstall(&self, installation: Id) {
        self.with_owner(installation, |world, owner| {
            world.uninstall(installation, owner);
        });
    }

    fn with_owner(&self, installation: Id, act: impl FnOnce(&mut World, Id)) {
        self.edit(|world| {
            let account = world.installations[&installation].account;
            act(world, account);
        });
    }

    /// What an installation was granted: a person accepts, or takes back, permissions.
    pub fn grant(&self, installation: Id, permission: &str, level: Option<&str>) {
        self.edit(|world| {
            let found = world.installations.get_mut(&installation);
            let granted = &mut found.expect("it is installed").permissions;
            match level {
                Some(level) => granted.insert(permission.to_owned(), level.to_owned()),
                None => granted.remove(permission),
            };
        });
    }

    pub fn set_webhook_url(&self, app: &App, url: &str) {
        self.edit(|world| {
            let found = world.apps.get_mut(&app.id).expect("it is registered");
            url.clone_into(&mut found.webhook_url);
        });
    }

    /// A token that acts as this person.
    pub fn personal_token(&self, login: &str) -> String {
        let user = self.account_id(login);
        self.edit(|world| world.tokens.mint_personal(user))
    }

    /// Makes every installation token worthless, as GitHub does in an incident.
    pub fn revoke_tokens(&self) {
        self.edit(|world| world.tokens.revoke(None));
    }

    /// Acts as a person, with all webhooks that follow.
    pub fn as_user(&self, login: &str) -> Person<'_> {
        Person::new(self, self.account_id(login))
    }

    // ── looking ──

    fn account_id(&self, login: &str) -> Id {
        self.edit(|world| world.account_id(login))
            .unwrap_or_else(|| panic!("there is no account `{login}`"))
    }

    /// The database id of `owner/name`.
    pub fn repository_id(&self, full_name: &str) -> Id {
        self.edit(|world| world.repository_id(full_name))
            .unwrap_or_else(|| panic!("there is no repository `{full_name}`"))
    }

    pub fn exists(&self, full_name: &str) -> bool {
        self.edit(|world| world.repository_id(full_name).is_some())
    }

    /// A repository as REST shows it to its owner.
    pub fn repository_json(&self, full_name: &str) -> Value {
        let id = self.repository_id(full_name);
        self.edit(|world| view::repository_full(world, id, &auth::Caller::Anonymous))
    }

    /// Comments of a pull: author and text, oldest first.
    pub fn comments(&self, repository: &str, number: u64) -> Vec<(String, String)> {
        let id = self.repository_id(repository);
        self.edit(|world| {
            world
                .comments_on(id, number)
                .map(|one| (world.login(one.author).to_owned(), one.body.clone()))
                .collect()
        })
    }

    /// Check runs on a commit, oldest first, replaced ones too.
    pub fn check_runs(&self, repository: &str, sha: &str) -> Vec<CheckRun> {
        let id = self.repository_id(repository);
        self.edit(|world| {
            world
                .check_runs
                .values()
                .filter(|run| run.repository == id && run.head_sha == sha)
                .cloned()
                .collect()
        })
    }

    /// What a team may do with a repository of its organisation.
    pub fn team_permission(&self, repository: &str, team: &str) -> Option<Permission> {
        let id = self.repository_id(repository);
        self.edit(|world| {
            let team = world.team_id(world.repository(id).owner, team)?;
            world.teams[&team].repositories.get(&id).copied()
        })
    }

    /// Silently gives a team a right, or takes it.
    pub fn set_team_permission(
        &self,
        repository: &str,
        team: &str,
        permission: Option<Permission>,
    ) {
        let id = self.repository_id(repository);
        self.edit(|world| {
            let team = world
                .team_id(world.repository(id).owner, team)
                .unwrap_or_else(|| panic!("there is no team `{team}`"));
            let granted = &mut world.teams.get_mut(&team).expect("found").repositories;
            match permission {
                Some(permission) => granted.insert(id, permission),
                None => granted.remove(&id),
            };
        });
    }

    /// A repository's deploy keys: title, key, whether it only reads.
    pub fn deploy_keys(&self, repository: &str) -> Vec<(String, String, bool)> {
        self.edit_repository(repository, |found| {
            found
                .deploy_keys
                .values()
                .map(|key| (key.title.clone(), key.key.clone(), key.read_only))
                .collect()
        })
    }

    /// Silently removes all deploy keys of this title.
    pub fn remove_deploy_key(&self, repository: &str, title: &str) {
        let id = self.repository_id(repository);
        self.edit(|world| {
            let keys: Vec<Id> = world
                .repository(id)
                .deploy_keys
                .values()
                .filter(|key| key.title == title)
                .map(|key| key.id)
                .collect();
            for key in keys {
                world.remove_deploy_key(id, key);
            }
        });
    }

    /// Silently adds a deploy key that nobody asked for.
    pub fn add_deploy_key(&self, repository: &str, title: &str, key: &str, read_only: bool) {
        let repository = self.repository_id(repository);
        self.edit(|world| {
            let key = DeployKey {
                id: world.fresh_id(),
                title: title.to_owned(),
                key: World::key_material(key),
                read_only,
                created_at: clock::stamp_now(),
                added_by: "somebody".to_owned(),
            };
            world.insert_deploy_key(repository, key);
        });
    }

    pub fn rename_repository(&self, full_name: &str, name: &str) {
        let id = self.repository_id(full_name);
        self.edit(|world| world.rename_repository(id, name));
    }

    pub fn delete_repository(&self, full_name: &str) {
        let id = self.repository_id(full_name);
        self.edit(|world| world.delete_repository(id));
    }

    /// The text of a file at the tip of a branch.
    pub fn file(&self, repository: &str, branch: &str, path: &str) -> Option<String> {
        let id = self.repository_id(repository);
        self.edit(|world| {
            let commit = world.resolve(id, branch)?;
            let objects = world.objects(id);
            let entry = objects.entry_at(&commit, path)?;
            Some(String::from_utf8_lossy(objects.blob(&entry.oid)?).into_owned())
        })
    }

    /// Commits of a branch, newest first: id and message.
    pub fn commits(&self, repository: &str, branch: &str) -> Vec<(Oid, String)> {
        let id = self.repository_id(repository);
        self.edit(|world| {
            let objects = world.objects(id);
            let tip = world.resolve(id, branch).unwrap_or_default();
            objects
                .history(&tip)
                .into_iter()
                .filter_map(|oid| Some((oid.clone(), objects.commit(&oid)?.message.clone())))
                .collect()
        })
    }

    /// The commit at the tip of a branch, or behind any name such as `refs/pull/1/merge`.
    pub fn head(&self, repository: &str, name: &str) -> Option<Oid> {
        let id = self.repository_id(repository);
        self.edit(|world| world.resolve(id, name))
    }

    // ── webhooks ──

    /// Every delivery so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.edit(|world| world.webhooks.deliveries.clone())
    }

    /// Sends a delivery again, as the button in the App's settings does: same GUID, same payload.
    pub fn redeliver(&self, id: Id) {
        self.edit(|world| {
            let fresh = world.fresh_id();
            world.webhooks.redeliver(id, fresh);
        });
    }

    /// From here on events are noted and not sent.
    pub fn hold_webhooks(&self) {
        self.edit(|world| world.webhooks.hold());
    }

    /// Sends the held deliveries with these ids, in this order, as often as they are named. Those
    /// not named are lost. Later events are sent at once again.
    pub fn release(&self, order: &[Id]) {
        self.edit(|world| world.webhooks.release(order));
    }

    /// Sends everything held, as if nothing had been.
    pub fn release_all(&self) {
        self.edit(|world| world.webhooks.release_all());
    }

    /// The deliveries that are held back.
    pub fn held(&self) -> Vec<Delivery> {
        let held = |one: &Delivery| one.outcome == Outcome::Held;
        self.deliveries().into_iter().filter(held).collect()
    }

    /// Lets the next delivery of an event (`pull_request`, …) get lost: GitHub's list shows it as timed out.
    pub fn lose_next_webhook(&self, event: &str) {
        self.edit(|world| world.webhooks.lose_next(event));
    }

    /// Returns once everything that is not held has been answered, or has failed.
    pub async fn wait_for_deliveries(&self) {
        self.hub.all_delivered().await;
    }

    // ── log, faults, speed ──

    pub fn requests(&self) -> Vec<Request> {
        self.requests_since(Mark(0))
    }

    pub fn mark(&self) -> Mark {
        self.hub.lock().log.mark()
    }

    pub fn requests_since(&self, mark: Mark) -> Vec<Request> {
        self.hub.lock().log.since(mark)
    }

    /// From here on the observer is told of every request once it is answered, and of every webhook before it is sent.
    /// There can be one.
    pub fn observe(&self, observer: impl Fn(Traffic) + Send + Sync + 'static) {
        let first = self.hub.observer.set(Box::new(observer));
        assert!(first.is_ok(), "somebody observes already");
    }

    /// Method and path of every endpoint of REST, `{…}` for what varies, `{*…}` where that may hold slashes.
    pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
        rest::routes()
    }

    /// Requests and GraphQL fields that the sandbox does not know; a test should end with none.
    pub fn unknown_requests(&self) -> Vec<String> {
        self.hub.lock().log.unknown_requests()
    }

    /// The most requests that were under way at the same time.
    pub fn most_at_once(&self) -> usize {
        self.hub.crowd.most()
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.hub.lock().faults.add(fault);
    }

    pub fn clear_faults(&self) {
        self.hub.lock().faults.clear();
    }

    /// How many faults have not happened to the full yet.
    pub fn waiting_faults(&self) -> usize {
        self.hub.lock().faults.waiting()
    }

    /// How long every request takes at least.
    pub fn set_latency(&self, latency: Duration) {
        self.hub.lock().latency = latency;
    }

    /// How long GitHub takes until it knows whether a pull merges (20 ms unless told otherwise).
    pub fn set_merge_delay(&self, delay: Duration) {
        self.edit(|world| world.merge_delay = delay);
    }

    /// Requests and GraphQL points an hour (5,000 each unless told otherwise).
    pub fn set_rate_limits(&self, requests: u32, points: u32) {
        self.edit(|world| {
            world.budgets.core = requests;
            world.budgets.graphql = points;
        });
    }

    /// How long that hour is; each begins anew.
    pub fn set_rate_window(&self, window: Duration) {
        let window = window.try_into().expect("a short time");
        self.edit(|world| world.budgets.begin_anew(window));
    }

    /// How many things an installation may create in a while; without a limit unless told otherwise.
    pub fn set_content_limits(&self, limits: &[(usize, Duration)]) {
        assert!(limits.iter().all(|(limit, _)| *limit > 0), "{limits:?}");
        self.edit(|world| world.creation.limits = limits.to_vec());
    }

    /// GitHub gives up on queries that reach more nodes than this; on none unless told otherwise.
    pub fn set_most_nodes(&self, nodes: u64) {
        self.edit(|world| world.most_nodes = Some(nodes));
    }

    /// The requests that a rate limit has refused, real or by a fault.
    pub fn limited_requests(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.limited);
        requests
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.end();
    }
}

/// A text in a manifest.
fn word(value: &Value) -> &str {
    value.as_str().expect("the manifest says a word")
}

fn pem(pair: &KeyPair) -> String {
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(pair)
        .expect("a generated key can be written");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}
