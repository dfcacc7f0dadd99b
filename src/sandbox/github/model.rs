//! What this GitHub knows: accounts, repositories, teams, pulls, checks, comments, apps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clock;
use super::git::{Objects, Oid};
use super::webhooks::Webhooks;

/// GitHub's database id of an object.
pub type Id = u64;

/// What somebody may do with a repository, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Pull,
    Triage,
    Push,
    Maintain,
    Admin,
}

impl Permission {
    pub(super) const ALL: [Self; 5] = [
        Self::Pull,
        Self::Triage,
        Self::Push,
        Self::Maintain,
        Self::Admin,
    ];

    /// The word that REST takes and gives in `permissions`: `pull`, `push`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Triage => "triage",
            Self::Push => "push",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The word of `role_name`, and of GraphQL in capitals: `read`, `write`, …
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::Pull => "read",
            Self::Triage => "triage",
            Self::Push => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == name || one.role() == name)
    }
}

/// What somebody is in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Member,
    Owner,
}

/// Who can see a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Public,
    Private,
}

pub struct Account {
    pub id: Id,
    pub login: String,
    pub kind: AccountKind,
    pub created_at: String,
}

pub enum AccountKind {
    User,
    Bot,
    Organization(Organization),
}

impl Account {
    /// `User`, `Bot` or `Organization`.
    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            AccountKind::User => "User",
            AccountKind::Bot => "Bot",
            AccountKind::Organization(_) => "Organization",
        }
    }
}

/// What an organisation has beyond an account.
pub struct Organization {
    pub members: BTreeMap<Id, Membership>,
    /// What every member may do with every repository; `None` is GitHub's `none`.
    pub base_permission: Option<Permission>,
    pub deploy_keys_allowed: bool,
    /// Whether its plan has rulesets for private repositories, too.
    pub rules_for_private: bool,
    pub members_can_create_repositories: bool,
    /// The name of a new repository's default branch.
    pub default_branch: String,
}

pub struct Repository {
    pub id: Id,
    pub owner: Id,
    pub name: String,
    pub visibility: Visibility,
    pub archived: bool,
    pub description: Option<String>,
    pub homepage: Option<String>,
    pub is_template: bool,
    pub default_branch: String,
    pub parent: Option<Id>,
    pub template: Option<Id>,
    pub created_at: String,
    pub updated_at: String,
    pub pushed_at: String,
    pub branches: BTreeMap<String, Oid>,
    pub pulls: BTreeMap<u64, Pull>,
    pub collaborators: BTreeMap<Id, Permission>,
    pub deploy_keys: BTreeMap<Id, DeployKey>,
    /// By the branch's name.
    pub protections: BTreeMap<String, Protection>,
    pub rulesets: BTreeMap<Id, Ruleset>,
    /// The repository at the root of its forks, whose git objects all of them share.
    pub(super) network: Id,
    pub(super) next_number: u64,
}

impl Repository {
    pub(super) fn is_private(&self) -> bool {
        self.visibility == Visibility::Private
    }

    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }
}

pub struct DeployKey {
    pub id: Id,
    pub title: String,
    /// Algorithm and material, without the comment, as GitHub keeps it.
    pub key: String,
    pub read_only: bool,
    pub created_at: String,
    pub added_by: String,
}

pub struct Team {
    pub id: Id,
    pub organization: Id,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub members: BTreeSet<Id>,
    pub repositories: BTreeMap<Id, Permission>,
    pub created_at: String,
}

/// What a branch demands of a merge or a push, as far as the sandbox knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// None where no check is required.
    pub checks: Option<RequiredChecks>,
    /// Whether it binds those who may administer the repository, too.
    pub enforce_admins: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredChecks {
    /// Whether the head must hold the base's tip.
    pub strict: bool,
    /// Names of checks, each with the App that must give it, if it matters which.
    pub checks: Vec<(String, Option<Id>)>,
}

/// Rules for branches, as far as the sandbox knows them: they hold, and no name is a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    pub id: Id,
    pub name: String,
    /// `refs/heads/main`, `~DEFAULT_BRANCH`, `~ALL`.
    pub include: Vec<String>,
    /// Each as it was sent: its `type`, and `parameters`.
    pub rules: Vec<Value>,
    pub bypasses: Vec<Bypass>,
    pub created_at: String,
}

/// Somebody who is above the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    pub actor_type: String,
    pub actor_id: Option<Id>,
    /// Or only where a pull is merged.
    pub always: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    Open,
    Closed,
    Merged,
}

pub struct Pull {
    pub id: Id,
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: Id,
    pub state: PullState,
    pub draft: bool,
    pub base_branch: String,
    /// The base's tip: at the last look while the pull is open, at its end afterwards.
    pub base_sha: Oid,
    /// `None` when the fork is gone.
    pub head_repository: Option<Id>,
    pub head_branch: String,
    pub head_sha: Oid,
    pub created_at: String,
    pub updated_at: String,
    pub closed_at: Option<String>,
    pub merged_at: Option<String>,
    pub merged_by: Option<Id>,
    /// The commit that the merge made on the base.
    pub merge_commit: Option<Oid>,
    /// What happened to it, oldest first; its comments are kept elsewhere.
    pub(super) events: Vec<PullEvent>,
    pub(super) test_merge: TestMerge,
}

/// A line of a pull's timeline.
pub(super) struct PullEvent {
    /// Counts up over everything, comments too: it tells the order.
    pub(super) id: Id,
    pub(super) actor: Id,
    pub(super) created_at: String,
    pub(super) deed: Deed,
}

pub(super) enum Deed {
    Committed(Oid),
    ForcePushed(Oid),
    Renamed { from: String, to: String },
    Retargeted,
    Merged(Oid),
    Closed,
    Reopened,
    HeadDeleted,
}

/// GitHub's own try to merge a pull, made in the background.
#[derive(Default)]
pub(super) struct TestMerge {
    /// Head and base of the last finished try.
    pub(super) tried: Option<(Oid, Oid)>,
    /// Its commit; none when the pull is in conflict.
    pub(super) commit: Option<Oid>,
    /// Since when the next one is under way.
    pub(super) started: Option<Instant>,
}

pub struct Comment {
    pub id: Id,
    pub repository: Id,
    pub number: u64,
    pub author: Id,
    pub app: Option<Id>,
    pub body: String,
    pub created_at: String,
    pub updated_at: String,
    pub reactions: Vec<Reaction>,
}

pub struct Reaction {
    pub id: Id,
    pub user: Id,
    pub content: String,
    pub created_at: String,
}

pub struct CheckSuite {
    pub id: Id,
    pub repository: Id,
    pub app: Id,
    pub head_branch: Option<String>,
    pub head_sha: Oid,
    pub created_at: String,
}

/// A check run as it is kept; the fields are GitHub's.
#[derive(Clone, Debug)]
pub struct CheckRun {
    pub id: Id,
    pub repository: Id,
    pub suite: Id,
    pub app: Id,
    pub name: String,
    pub head_sha: Oid,
    pub external_id: String,
    pub details_url: Option<String>,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: Option<String>,
    pub completed_at: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    /// In the order of their arrival, each as GitHub lists it.
    pub annotations: Vec<Value>,
}

/// Permissions of an App or a token: `contents` → `write`, …
pub type Permissions = BTreeMap<String, String>;

pub struct AppRecord {
    pub id: Id,
    pub slug: String,
    pub name: String,
    pub owner: Id,
    pub bot: Id,
    pub permissions: Permissions,
    pub events: Vec<String>,
    pub created_at: String,
    pub(super) public_keys: Vec<Vec<u8>>,
    pub(super) webhook_url: String,
    pub(super) webhook_secret: String,
    pub(super) hook: Id,
}

impl AppRecord {
    /// `Iv23li…`, the other name that a JWT's `iss` may carry.
    pub(super) fn client_id(&self) -> String {
        format!("Iv23li{:014}", self.id)
    }
}

/// Which repositories of an account an installation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    Selected(BTreeSet<Id>),
}

pub struct Installation {
    pub id: Id,
    pub app: Id,
    pub account: Id,
    pub selection: Selection,
    pub permissions: Permissions,
    pub created_at: String,
    pub suspended_at: Option<String>,
}

impl Installation {
    pub(super) fn covers(&self, repository: &Repository) -> bool {
        repository.owner == self.account
            && match &self.selection {
                Selection::All => true,
                Selection::Selected(chosen) => chosen.contains(&repository.id),
            }
    }
}

/// Everything. Tests reach it through [`super::GitHub::edit`] to make drift without a webhook.
pub struct World {
    pub accounts: BTreeMap<Id, Account>,
    pub repositories: BTreeMap<Id, Repository>,
    pub teams: BTreeMap<Id, Team>,
    pub comments: BTreeMap<Id, Comment>,
    pub check_runs: BTreeMap<Id, CheckRun>,
    pub check_suites: BTreeMap<Id, CheckSuite>,
    pub apps: BTreeMap<Id, AppRecord>,
    pub installations: BTreeMap<Id, Installation>,
    /// How long GitHub takes to try a pull's merge.
    pub merge_delay: Duration,
    /// The public keys of GitHub's SSH servers, as `/meta` tells them.
    pub host_keys: Vec<String>,
    pub(super) root: String,
    pub(super) objects: HashMap<Id, Objects>,
    pub(super) webhooks: Webhooks,
    pub(super) tokens: super::auth::Tokens,
    pub(super) budgets: super::limits::Budgets,
    pub(super) creation: super::limits::Creation,
    /// What a GraphQL query may reach in the time that it has.
    pub(super) most_nodes: Option<u64>,
    login_index: HashMap<String, Id>,
    name_index: HashMap<String, Id>,
    team_index: HashMap<(Id, String), Id>,
    renamed: HashMap<String, Id>,
    key_index: HashMap<String, Id>,
    next_id: Id,
}

impl World {
    pub(super) fn new(root: String) -> Self {
        Self {
            accounts: BTreeMap::new(),
            repositories: BTreeMap::new(),
            teams: BTreeMap::new(),
            comments: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            check_suites: BTreeMap::new(),
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            merge_delay: Duration::from_millis(20),
            host_keys: super::rest::HOST_KEYS.map(ToOwned::to_owned).into(),
            root,
            objects: HashMap::new(),
            webhooks: Webhooks::default(),
            tokens: super::auth::Tokens::default(),
            budgets: super::limits::Budgets::default(),
            creation: super::limits::Creation::default(),
            most_nodes: None,
            login_index: HashMap::new(),
            name_index: HashMap::new(),
            team_index: HashMap::new(),
            renamed: HashMap::new(),
            key_index: HashMap::new(),
            next_id: 1_000,
        }
    }

    /// A fresh database id; no two objects share one, whatever their kind.
    pub(super) fn fresh_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    // ── accounts ──

    pub(super) fn add_account(&mut self, login: &str, kind: AccountKind) -> Id {
        let id = self.fresh_id();
        let account = Account {
            id,
            login: login.to_owned(),
            kind,
            created_at: clock::stamp_now(),
        };
        let taken = self.login_index.insert(login.to_lowercase(), id);
        assert!(taken.is_none(), "the login `{login}` is taken");
        self.accounts.insert(id, account);
        id
    }

    pub fn account_id(&self, login: &str) -> Option<Id> {
        self.login_index.get(&login.to_lowercase()).copied()
    }

    pub fn account(&self, id: Id) -> &Account {
        &self.accounts[&id]
    }

    pub(super) fn login(&self, id: Id) -> &str {
        &self.account(id).login
    }

    pub fn organization(&self, id: Id) -> Option<&Organization> {
        match &self.accounts.get(&id)?.kind {
            AccountKind::Organization(organization) => Some(organization),
            AccountKind::User | AccountKind::Bot => None,
        }
    }

    pub fn organization_mut(&mut self, id: Id) -> Option<&mut Organization> {
        match &mut self.accounts.get_mut(&id)?.kind {
            AccountKind::Organization(organization) => Some(organization),
            AccountKind::User | AccountKind::Bot => None,
        }
    }

    pub(super) fn membership(&self, organization: Id, user: Id) -> Option<Membership> {
        self.organization(organization)?.members.get(&user).copied()
    }

    // ── repositories ──

    /// The id behind `owner/name`, in any case; a former name does not count.
    pub fn repository_id(&self, full_name: &str) -> Option<Id> {
        self.name_index.get(&full_name.to_lowercase()).copied()
    }

    /// The repository that once had this name, if none has it now.
    pub(super) fn renamed_id(&self, full_name: &str) -> Option<Id> {
        self.renamed.get(&full_name.to_lowercase()).copied()
    }

    pub fn full_name(&self, id: Id) -> String {
        let repository = &self.repositories[&id];
        format!("{}/{}", self.login(repository.owner), repository.name)
    }

    pub(super) fn repository(&self, id: Id) -> &Repository {
        &self.repositories[&id]
    }

    pub(super) fn repository_mut(&mut self, id: Id) -> &mut Repository {
        self.repositories
            .get_mut(&id)
            .expect("a repository id handed around inside exists")
    }

    pub(super) fn insert_repository(&mut self, repository: Repository) {
        let full_name = format!("{}/{}", self.login(repository.owner), repository.name);
        self.renamed.remove(&full_name.to_lowercase());
        self.name_index
            .insert(full_name.to_lowercase(), repository.id);
        self.objects.entry(repository.network).or_default();
        self.repositories.insert(repository.id, repository);
    }

    /// Gives a repository another name; the old one leads to it until it is taken again.
    pub fn rename_repository(&mut self, id: Id, name: &str) {
        let before = self.full_name(id).to_lowercase();
        self.name_index.remove(&before);
        name.clone_into(&mut self.repository_mut(id).name);
        let after = self.full_name(id).to_lowercase();
        self.renamed.remove(&after);
        self.name_index.insert(after, id);
        self.renamed.insert(before, id);
    }

    pub fn delete_repository(&mut self, id: Id) {
        let name = self.full_name(id).to_lowercase();
        self.name_index.remove(&name);
        self.renamed.retain(|_, target| *target != id);
        self.key_index.retain(|_, owner| *owner != id);
        for team in self.teams.values_mut() {
            team.repositories.remove(&id);
        }
        self.comments.retain(|_, comment| comment.repository != id);
        self.check_runs.retain(|_, run| run.repository != id);
        self.check_suites.retain(|_, suite| suite.repository != id);
        self.repositories.remove(&id);
        for repository in self.repositories.values_mut() {
            if repository.parent == Some(id) {
                repository.parent = None;
            }
            for pull in repository.pulls.values_mut() {
                if pull.head_repository == Some(id) {
                    pull.head_repository = None;
                }
            }
        }
    }

    pub(super) fn objects(&self, repository: Id) -> &Objects {
        &self.objects[&self.repository(repository).network]
    }

    pub(super) fn objects_mut(&mut self, repository: Id) -> &mut Objects {
        let network = self.repository(repository).network;
        self.objects.entry(network).or_default()
    }

    // ── deploy keys: one key, one repository, in all of GitHub ──

    /// Algorithm and material of a public key, its comment cut off.
    pub(super) fn key_material(key: &str) -> String {
        key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn key_is_used(&self, material: &str) -> bool {
        self.key_index.contains_key(material)
    }

    pub(super) fn insert_deploy_key(&mut self, repository: Id, key: DeployKey) {
        self.key_index.insert(key.key.clone(), repository);
        self.repository_mut(repository)
            .deploy_keys
            .insert(key.id, key);
    }

    pub fn remove_deploy_key(&mut self, repository: Id, key: Id) -> bool {
        let Some(removed) = self.repository_mut(repository).deploy_keys.remove(&key) else {
            return false;
        };
        self.key_index.remove(&removed.key);
        true
    }

    // ── teams ──

    pub(super) fn insert_team(&mut self, team: Team) {
        self.team_index
            .insert((team.organization, team.slug.clone()), team.id);
        self.teams.insert(team.id, team);
    }

    pub fn team_id(&self, organization: Id, slug: &str) -> Option<Id> {
        self.team_index
            .get(&(organization, slug.to_lowercase()))
            .copied()
    }

    pub fn delete_team(&mut self, id: Id) {
        if let Some(team) = self.teams.remove(&id) {
            self.team_index.remove(&(team.organization, team.slug));
        }
    }

    pub(super) fn teams_of(&self, organization: Id) -> impl Iterator<Item = &Team> {
        self.teams
            .values()
            .filter(move |team| team.organization == organization)
    }

    /// What a user may do with a repository, all sources taken together.
    pub(super) fn access_of(&self, user: Id, repository: Id) -> Option<Permission> {
        let found = self.repository(repository);
        let public = (!found.is_private()).then_some(Permission::Pull);
        if found.owner == user {
            return Some(Permission::Admin);
        }
        let direct = found.collaborators.get(&user).copied();
        let from_organization = self.organization(found.owner).and_then(|organization| {
            match organization.members.get(&user)? {
                Membership::Owner => Some(Permission::Admin),
                Membership::Member => organization.base_permission,
            }
        });
        let from_teams = self
            .teams_of(found.owner)
            .filter(|team| team.members.contains(&user))
            .filter_map(|team| team.repositories.get(&repository).copied())
            .max();
        [public, direct, from_organization, from_teams]
            .into_iter()
            .flatten()
            .max()
    }

    // ── pulls ──

    pub(super) fn pull(&self, repository: Id, number: u64) -> Option<&Pull> {
        self.repositories.get(&repository)?.pulls.get(&number)
    }

    pub(super) fn pull_mut(&mut self, repository: Id, number: u64) -> &mut Pull {
        self.repository_mut(repository)
            .pulls
            .get_mut(&number)
            .expect("a pull's number handed around inside exists")
    }

    /// The commit that a name means in a repository: a full id, a branch, `refs/pull/N/merge`, …
    pub(super) fn resolve(&self, repository: Id, name: &str) -> Option<Oid> {
        let found = self.repository(repository);
        if name == "HEAD" {
            return found.branches.get(&found.default_branch).cloned();
        }
        if name.len() == 40 && self.objects(repository).commit(name).is_some() {
            return Some(name.to_owned());
        }
        let short = name.strip_prefix("refs/").unwrap_or(name);
        if let Some(pull) = short.strip_prefix("pull/") {
            let (number, which) = pull.split_once('/')?;
            let pull = found.pulls.get(&number.parse().ok()?)?;
            return match which {
                "head" => Some(pull.head_sha.clone()),
                "merge" => pull.test_merge.commit.clone(),
                _ => None,
            };
        }
        let branch = short.strip_prefix("heads/").unwrap_or(short);
        found.branches.get(branch).cloned()
    }
}
