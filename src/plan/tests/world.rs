//! An organisation on GitHub and a cluster, as far as a tenant's steps reach: each with a store of its own.
//!
//! It is fed step by step and knows nothing of `desired`; what it shows is read back from the stores, with what the
//! servers add: ids, defaults, rewritten quantities, field owners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::desired::{self, Desired, Objects, Wish};
use crate::names::{FullName, TenantName};
use crate::object::{
    Access, Credentials, DeployKey, FIELD_MANAGER, Fingerprint, Kind, ManifestId, Object, ObjectId,
    Permission, Repository,
};
use crate::observed::{Memory, Observed, Ownership, Progress, Rotation, Sighting};
use crate::plan::{Change, Plan, Step, TenantPlan, Verb, foresee, of_tenant};
use crate::surroundings::Surroundings;
use crate::tenants::Tenant;

#[derive(Debug, Default)]
pub(crate) struct World {
    repositories: BTreeMap<String, Workspace>,
    manifests: BTreeMap<ManifestId, Value>,
    /// The namespace's Secret: algorithm and public half.
    secrets: BTreeMap<String, (String, String)>,
    /// What it held before.
    former: BTreeSet<String>,
    /// Why the keys in use have had their time.
    pub(crate) rotation: Option<Rotation>,
    entries: BTreeMap<TenantName, (Tenant, Progress)>,
    made: usize,
}

#[derive(Debug)]
struct Workspace {
    created_by_app: bool,
    visibility: crate::object::Visibility,
    branches: Vec<String>,
    about: String,
    archived: bool,
    teams: BTreeMap<String, Permission>,
    people: BTreeMap<String, Permission>,
    keys: Vec<Registered>,
}

#[derive(Debug)]
struct Registered {
    title: String,
    public: String,
    writes: bool,
}

pub(crate) fn surroundings() -> Surroundings {
    Surroundings {
        organization: "acme".parse().unwrap(),
        control_repository: "acme/control".parse().unwrap(),
        cluster: "default".to_owned(),
        git_host: "github.com".to_owned(),
        host_keys: None,
    }
}

pub(crate) fn desired(tenant: &Tenant) -> Desired {
    desired::of(&Wish {
        entry: Arc::new(tenant.clone()),
        surroundings: Arc::new(surroundings()),
        commit: "3f2c1ab0000000000000000000000000000000ff".into(),
    })
}

/// Whether the world obeys holds, as every apply does, or does what they hold too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Kept,
    Ignored,
}

impl World {
    /// A world in which the tenant is all there.
    pub(crate) fn with(tenant: &Tenant) -> Self {
        let mut world = Self::default();
        world.apply(tenant, Holds::Kept);
        world
    }

    pub(crate) fn plan(&self, tenant: &Tenant) -> TenantPlan {
        let before = self
            .entries
            .get(&tenant.name)
            .map(|(entry, _)| desired(entry));
        let wanted = desired(tenant);
        of_tenant(before.as_ref(), &wanted, &self.observed(&wanted))
    }

    pub(crate) fn plan_of_removal(&self, name: &TenantName) -> TenantPlan {
        let before = self.entries.get(name).map(|(entry, _)| desired(entry));
        let observed = self.observed(before.as_ref().expect("a removed tenant was there"));
        of_tenant(before.as_ref(), &desired::nothing(name.clone()), &observed)
    }

    pub(crate) fn apply(&mut self, tenant: &Tenant, holds: Holds) {
        let mut plan = Plan::default();
        plan.add(tenant.name.clone(), self.plan(tenant));
        let (mut made, mut removed) = (Vec::new(), Vec::new());
        for (_, step) in foresee(plan)
            .steps()
            .filter(|(_, step)| step.hold.is_none() || holds == Holds::Ignored)
        {
            if step.change.verb() == Verb::Remove {
                removed.push(step.clone());
            } else {
                made.push(step.clone());
            }
        }
        let wanted = desired(tenant).objects;
        for step in &made {
            self.make(step, &wanted);
        }
        for step in removed.iter().rev() {
            self.remove(&step.id);
        }
        self.entries
            .insert(tenant.name.clone(), (tenant.clone(), Progress::Finished));
    }

    /// Somebody gives a team access by hand.
    pub(crate) fn grant(&mut self, repository: &str, team: &str, permission: Permission) {
        self.workspace(repository)
            .teams
            .insert(team.to_owned(), permission);
    }

    pub(crate) fn invite(&mut self, repository: &str, login: &str, permission: Permission) {
        self.workspace(repository)
            .people
            .insert(login.to_owned(), permission);
    }

    pub(crate) fn add_key(&mut self, repository: &str, title: &str) {
        let key = Registered {
            title: title.to_owned(),
            public: "SHA256:strange".to_owned(),
            writes: true,
        };
        self.workspace(repository).keys.push(key);
    }

    /// A repository that somebody made before.
    pub(crate) fn found_repository(&mut self, name: &str) {
        self.repositories.insert(
            name.to_owned(),
            Workspace {
                created_by_app: false,
                ..Workspace::new(crate::object::Visibility::Private)
            },
        );
    }

    pub(crate) fn edit(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        pointer: &str,
        value: Value,
    ) {
        let id = ManifestId {
            kind,
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let manifest = self.manifests.get_mut(&id).expect("it is there");
        *manifest.pointer_mut(pointer).expect("the field is there") = value;
    }

    /// Somebody removes an object by hand.
    pub(crate) fn take(&mut self, kind: Kind, namespace: &str, name: &str) {
        let id = ManifestId {
            kind,
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        self.manifests.remove(&id).expect("it is there");
    }

    pub(crate) fn lose_secret(&mut self, namespace: &str) {
        let lost = self.secrets.remove(namespace);
        self.former.extend(lost.map(|(_, public)| public));
        self.entries
            .values_mut()
            .for_each(|(_, progress)| *progress = Progress::Unfinished);
    }

    fn workspace(&mut self, name: &str) -> &mut Workspace {
        self.repositories
            .get_mut(name)
            .expect("the repository is there")
    }

    fn make(&mut self, step: &Step, wanted: &Objects) {
        match (&step.id, &wanted[&step.id]) {
            (ObjectId::Manifest(id), Object::Manifest(value)) => self.server_side_apply(id, value),
            (ObjectId::Repository(name), Object::Repository(to)) => {
                self.write_repository(name, to, &step.change);
            }
            (ObjectId::TeamAccess { repository, team }, Object::TeamAccess(to)) => {
                self.workspace(&repository.to_string())
                    .teams
                    .insert(team.to_string(), to.permission);
            }
            (ObjectId::Credentials { namespace }, Object::Credentials(to)) => {
                self.new_pair(namespace, to);
            }
            (ObjectId::DeployKey { repository, title }, Object::DeployKey(to)) => {
                if matches!(step.change, Change::Update(_)) {
                    let (namespace, credentials) = credentials(wanted);
                    self.new_pair(namespace, credentials);
                }
                self.register(repository, title, to.read_only);
            }
            (id, _) => panic!("nobody makes {id}"),
        }
    }

    fn new_pair(&mut self, namespace: &str, credentials: &Credentials) {
        self.made += 1;
        let pair = (
            credentials.algorithm.clone(),
            format!("SHA256:{}", self.made),
        );
        let before = self.secrets.insert(namespace.to_owned(), pair);
        self.former.extend(before.map(|(_, public)| public));
        self.rotation = None;
    }

    fn write_repository(&mut self, name: &FullName, to: &Repository, change: &Change) {
        if matches!(change, Change::Create) {
            let clash = self
                .repositories
                .insert(name.to_string(), Workspace::new(to.visibility));
            assert!(clash.is_none(), "422: name already exists on this account");
        }
        let branch = to.default_branch.as_ref().map(ToString::to_string);
        let workspace = self.workspace(&name.to_string());
        workspace.visibility = to.visibility;
        workspace.archived = to.archived;
        if let Some(about) = &to.description {
            workspace.about.clone_from(about);
        }
        if let Some(branch) = branch {
            workspace.branches.retain(|other| *other != branch);
            workspace.branches.insert(0, branch);
        }
    }

    fn register(&mut self, repository: &FullName, title: &str, read_only: bool) {
        let namespace = title
            .rsplit('/')
            .next()
            .map(|tenant| format!("tenant-{tenant}"))
            .unwrap();
        let public = self.secrets[&namespace].1.clone();
        let workspace = self.workspace(&repository.to_string());
        workspace.keys.retain(|key| key.public != public);
        workspace.keys.push(Registered {
            title: title.to_owned(),
            public,
            writes: !read_only,
        });
    }

    fn remove(&mut self, id: &ObjectId) {
        match id {
            ObjectId::Manifest(id) => {
                self.manifests.remove(id);
                if id.kind == Kind::Namespace {
                    self.manifests
                        .retain(|other, _| other.namespace.as_ref() != Some(&id.name));
                    self.secrets.remove(&id.name);
                }
            }
            ObjectId::Repository(name) => self.workspace(&name.to_string()).archived = true,
            ObjectId::TeamAccess { repository, team } => {
                self.workspace(&repository.to_string())
                    .teams
                    .remove(team.as_str());
            }
            ObjectId::Collaborator { repository, login } => {
                self.workspace(&repository.to_string())
                    .people
                    .remove(login.as_str());
            }
            ObjectId::Credentials { namespace } => {
                self.secrets.remove(namespace);
            }
            ObjectId::DeployKey { repository, title } => {
                self.workspace(&repository.to_string())
                    .keys
                    .retain(|key| key.title != *title);
            }
            ObjectId::StrangeKey {
                repository,
                fingerprint,
                ..
            }
            | ObjectId::FormerKey {
                repository,
                fingerprint,
                ..
            } => {
                self.workspace(&repository.to_string())
                    .keys
                    .retain(|key| key.public != fingerprint.0);
            }
        }
    }

    fn server_side_apply(&mut self, id: &ManifestId, applied: &Value) {
        if let Some(namespace) = &id.namespace {
            let parent = ManifestId {
                kind: Kind::Namespace,
                namespace: None,
                name: namespace.clone(),
            };
            assert!(
                self.manifests.contains_key(&parent),
                "404: namespace {namespace} not found"
            );
        }
        let uid = self.made;
        self.made += 1;
        let stored = self.manifests.entry(id.clone()).or_insert_with(|| {
            json!({ "metadata": { "uid": format!("{uid}"), "creationTimestamp": "2026-11-25T00:00:00Z" } })
        });
        let before = stored["metadata"]["managedFields"][0]["fieldsV1"].clone();
        let mut owned = field_set(applied);
        // The names of an object are nobody's.
        for key in ["f:apiVersion", "f:kind"] {
            owned.as_object_mut().unwrap().remove(key);
        }
        for key in ["f:name", "f:namespace"] {
            owned["f:metadata"].as_object_mut().unwrap().remove(key);
        }
        drop_fields(stored, &before, &owned);
        let role = stored["roleRef"].clone();
        merge(stored, applied);
        assert!(
            role.is_null() || role == stored["roleRef"],
            "422: cannot change roleRef"
        );
        defaults(id.kind, stored);
        canonical(stored);
        stored["metadata"]["managedFields"] = json!([
            { "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned },
            { "manager": "kube-controller-manager", "operation": "Update", "fieldsV1": { "f:status": { "f:phase": {} } } },
        ]);
        if let Some(generation) = stored["metadata"].as_object_mut() {
            generation.insert(
                "resourceVersion".to_owned(),
                json!(format!("{}", self.made)),
            );
        }
    }

    /// What somebody sees who looks for everything that is wanted, and for all that carries the tenant's mark.
    pub(crate) fn observed(&self, wanted: &Desired) -> Observed {
        let tenant = wanted.tenant.as_str();
        let mut sightings: BTreeMap<ObjectId, Sighting> = wanted
            .objects
            .keys()
            .map(|id| (id.clone(), Sighting::Absent))
            .collect();
        for (id, value) in &self.manifests {
            let owner = value["metadata"]["labels"]["app.kubernetes.io/instance"].as_str();
            let id = ObjectId::Manifest(id.clone());
            let ours = owner == Some(tenant);
            if ours || sightings.contains_key(&id) {
                let ownership = if ours {
                    Ownership::Ours
                } else {
                    Ownership::Foreign {
                        whose: "another's".to_owned(),
                    }
                };
                sightings.insert(
                    id,
                    Sighting::Present {
                        object: Object::Manifest(value.clone()),
                        ownership,
                    },
                );
            }
        }
        let secret = self.secrets.get(&format!("tenant-{tenant}"));
        if let Some((algorithm, _)) = secret {
            let object = Object::Credentials(Credentials {
                algorithm: algorithm.clone(),
                known_hosts: None,
            });
            sightings.insert(
                ObjectId::Credentials {
                    namespace: format!("tenant-{tenant}"),
                },
                ours(object),
            );
        }
        let names: BTreeSet<FullName> = wanted
            .objects
            .keys()
            .filter_map(|id| match id {
                ObjectId::Repository(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        for name in names {
            if let Some(workspace) = self.repositories.get(&name.to_string()) {
                workspace.show(
                    &name,
                    tenant,
                    (secret.map(|(_, public)| public.as_str()), &self.former),
                    &mut sightings,
                );
            }
        }
        Observed {
            sightings,
            memory: self.memory(&wanted.tenant),
            rotation: self.rotation,
            ..Observed::default()
        }
    }

    fn memory(&self, name: &TenantName) -> Option<Memory> {
        let (entry, progress) = self.entries.get(name)?;
        Some(Memory {
            entry: Arc::new(entry.clone()),
            control_repository: surroundings().control_repository,
            commit: "9d0e4f1".into(),
            created_at: "2026-11-25T00:00:00Z".parse().unwrap(),
            repository: None,
            key: None,
            former: BTreeSet::new(),
            replace: None,
            known_hosts: None,
            progress: *progress,
            generation: 1,
            accepted: None,
        })
    }
}

impl Workspace {
    fn new(visibility: crate::object::Visibility) -> Self {
        Self {
            created_by_app: true,
            visibility,
            branches: Vec::new(),
            about: String::new(),
            archived: false,
            teams: BTreeMap::new(),
            people: BTreeMap::new(),
            keys: Vec::new(),
        }
    }

    fn show(
        &self,
        name: &FullName,
        tenant: &str,
        (held, former): (Option<&str>, &BTreeSet<String>),
        sightings: &mut BTreeMap<ObjectId, Sighting>,
    ) {
        let repository = || name.clone();
        let object = Object::Repository(Repository {
            visibility: self.visibility,
            default_branch: self.branches.first().map(|branch| branch.parse().unwrap()),
            description: Some(self.about.clone()),
            archived: self.archived,
            initialized: !self.branches.is_empty(),
        });
        let ownership = if self.created_by_app {
            Ownership::Ours
        } else {
            Ownership::Offered
        };
        sightings.insert(
            ObjectId::Repository(repository()),
            Sighting::Present { object, ownership },
        );
        for (team, permission) in &self.teams {
            let id = ObjectId::TeamAccess {
                repository: repository(),
                team: team.parse().unwrap(),
            };
            sightings.insert(
                id,
                ours(Object::TeamAccess(Access {
                    permission: *permission,
                })),
            );
        }
        for (login, permission) in &self.people {
            let id = ObjectId::Collaborator {
                repository: repository(),
                login: login.parse().unwrap(),
            };
            sightings.insert(
                id,
                ours(Object::Collaborator(Access {
                    permission: *permission,
                })),
            );
        }
        for key in &self.keys {
            let found = DeployKey {
                read_only: !key.writes,
            };
            let repository = repository();
            let title = format!("tenantry/default/{tenant}");
            let fingerprint = Fingerprint(key.public.clone());
            let (id, object) = if Some(key.public.as_str()) == held {
                let id = ObjectId::DeployKey { repository, title };
                (id, Object::DeployKey(found))
            } else if former.contains(&key.public) {
                let id = ObjectId::FormerKey {
                    repository,
                    title,
                    fingerprint,
                };
                (id, Object::FormerKey(found))
            } else {
                let id = ObjectId::StrangeKey {
                    repository,
                    title: key.title.clone(),
                    fingerprint,
                };
                (id, Object::StrangeKey(found))
            };
            sightings.insert(id, ours(object));
        }
    }
}

fn credentials(wanted: &Objects) -> (&str, &Credentials) {
    let mut objects = wanted.iter();
    let found = objects.find_map(|(id, object)| match (id, object) {
        (ObjectId::Credentials { namespace }, Object::Credentials(to)) => {
            Some((namespace.as_str(), to))
        }
        _ => None,
    });
    found.expect("every tenant has a key pair")
}

fn ours(object: Object) -> Sighting {
    Sighting::Present {
        object,
        ownership: Ownership::Ours,
    }
}

/// Kubernetes' `fieldsV1` of an applied object: lists are atomic, as all of ours are.
fn field_set(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let below = map
                .iter()
                .map(|(key, value)| (format!("f:{key}"), field_set(value)));
            Value::Object(below.collect::<Map<_, _>>())
        }
        _ => json!({}),
    }
}

/// What was owned and is no longer applied goes.
fn drop_fields(stored: &mut Value, before: &Value, now: &Value) {
    for (key, below) in before.as_object().into_iter().flatten() {
        let name = key.strip_prefix("f:").unwrap();
        match now.get(key) {
            Some(still) => {
                if let Some(stored) = stored.get_mut(name) {
                    drop_fields(stored, below, still);
                }
            }
            None => {
                if let Some(map) = stored.as_object_mut() {
                    map.remove(name);
                }
            }
        }
    }
}

fn merge(stored: &mut Value, applied: &Value) {
    match (stored, applied) {
        (Value::Object(stored), Value::Object(applied)) => {
            for (key, value) in applied {
                merge(stored.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (stored, applied) => *stored = applied.clone(),
    }
}

fn defaults(kind: Kind, stored: &mut Value) {
    match kind {
        Kind::Namespace => {
            let name = stored["metadata"]["name"].clone();
            stored["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            stored["spec"] = json!({ "finalizers": ["kubernetes"] });
            stored["status"] = json!({ "phase": "Active" });
        }
        Kind::LimitRange => {
            let limit = &mut stored["spec"]["limits"][0];
            for (from, to) in [("max", "default"), ("default", "defaultRequest")] {
                let values = limit[from].as_object().cloned().unwrap_or_default();
                for (resource, value) in values {
                    if limit[to][&resource].is_null() {
                        limit[to][&resource] = value;
                    }
                }
            }
            let limit = limit.as_object_mut().unwrap();
            limit.retain(|_, value| !value.is_null());
        }
        Kind::ResourceQuota => stored["status"] = json!({ "used": {} }),
        Kind::Kustomization | Kind::GitRepository | Kind::Tenant => {
            stored["metadata"]["generation"] = json!(1);
            stored["status"] = json!({ "observedGeneration": 1 });
        }
        Kind::ServiceAccount => stored["secrets"] = json!([{ "name": "token" }]),
        Kind::NetworkPolicy | Kind::RoleBinding => {}
    }
}

/// The API server's spelling of the quantities that the tests use.
fn canonical(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(canonical),
        Value::Array(list) => list.iter_mut().for_each(canonical),
        Value::String(text) => {
            let rewritten = match text.as_str() {
                "1000m" => "1",
                "0.5" => "500m",
                "1024Mi" => "1Gi",
                "1e3" => "1k",
                _ => return,
            };
            rewritten.clone_into(text);
        }
        _ => {}
    }
}
