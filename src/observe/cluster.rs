//! The Kubernetes half of looking.
//!
//! Each kind is listed, and each object of it is compared with what is wanted as it comes: one that is so is ticked off,
//! any other is kept. So room is needed for the differences, however many tenants there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::mark::{self, Mark};
use super::{LISTED, Seen, Subject, let_others_run, place_of_namespace};
use crate::desired::Desired;
use crate::flux::{ADOPT, ControlNamespace, INSTANCE, MANAGED_BY, SYNC};
use crate::kubernetes::{Error, Reader, StoredKey};
use crate::live::synced::Synced;
use crate::names::TenantName;
use crate::object::{Credentials, Kind, ManifestId, Object, ObjectId};
use crate::observed::{Fetching, Ownership, Sighting};
use crate::tenants::NamespaceSettings;
use crate::tenants::diagnostic::Place;
use crate::{flux, keys};

/// Above so many tenants a kind is listed whole instead of by name: the selector travels in the URL.
const NAMED_AT_MOST: usize = 50;

/// Objects of which each is asked for by itself, at the same time.
const AT_ONCE: usize = 16;

const UNPOISONED: &str = "no code panics while it holds the lists";

/// What the cluster answered, for all subjects together.
pub(super) struct Cluster {
    lists: Lists,
    /// Objects that no list held, though a tenant wants one of that name.
    unmarked: BTreeMap<ManifestId, Result<Value, String>>,
    /// Kinds that the server does not know: Flux is not installed.
    missing_kinds: Vec<Kind>,
    secrets: BTreeMap<TenantName, Result<Option<StoredKey>, String>>,
}

/// What the lists held, compared with what is wanted.
struct Lists {
    /// Every wanted object of the kinds that are listed, and whether it was there as it is wanted.
    wanted: HashMap<Mark, bool>,
    tenants: BTreeMap<TenantName, Found>,
}

/// What the lists held of one tenant.
#[derive(Default)]
struct Found {
    /// How many objects are wanted, and how many of them are as they are wanted.
    wanted: usize,
    as_wanted: usize,
    /// The others, as JSON.
    otherwise: BTreeMap<ManifestId, Box<str>>,
    has_control_namespace: bool,
    ending_namespaces: Vec<String>,
    /// How many objects the tenant's Kustomization owns.
    inventory: Option<usize>,
    fetching: Option<Fetching>,
}

pub(super) async fn look(
    cluster: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> anyhow::Result<Cluster> {
    let (lists, missing_kinds) = lists(cluster, subjects).await?;
    let mut result = Cluster {
        lists,
        unmarked: BTreeMap::new(),
        missing_kinds,
        secrets: BTreeMap::new(),
    };
    let (mut secrets, mut objects) = (Vec::new(), Vec::new());
    for (index, (name, subject)) in subjects.iter().enumerate() {
        let_others_run(index).await;
        match result.secret(name, subject) {
            Secret::AsRemembered => {}
            Secret::Absent => {
                result.secrets.insert(name.clone(), Ok(None));
            }
            Secret::ToBeRead => secrets.push((name.clone(), subject.has_key())),
        }
        objects.extend(result.worth_a_second_look(name, subject));
    }
    let secrets = stream::iter(secrets)
        .map(|(name, has_key)| read_secret(cluster, name, has_key))
        .buffer_unordered(AT_ONCE);
    let objects = stream::iter(objects)
        .map(async |id| (cluster.get(&id).await, id))
        .buffer_unordered(AT_ONCE);
    let (secrets, objects) =
        tokio::join!(secrets.try_collect::<Vec<_>>(), objects.collect::<Vec<_>>());
    result.secrets.extend(secrets?.into_iter().flatten());
    for (answer, id) in objects {
        match answer {
            Ok(Some(value)) => result.unmarked.insert(id, Ok(value)),
            Ok(None) => None,
            Err(error) => result.unmarked.insert(id, Err(error.to_string())),
        };
    }
    Ok(result)
}

/// Lists every kind, and says which of them the server does not know.
async fn lists(
    cluster: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<(Lists, Vec<Kind>), Error> {
    let names: Vec<TenantName> = subjects.keys().cloned().collect();
    let selected = Some(names.as_slice()).filter(|names| names.len() <= NAMED_AT_MOST);
    let lists = Mutex::new(Lists::before(subjects).await);
    let answers = LISTED.iter().map(|&kind| {
        let lists = &lists;
        let take = move |object| {
            let mut lists = lists.lock().expect(UNPOISONED);
            lists.take(kind, &object);
        };
        async move {
            match cluster.each(kind, selected, take).await {
                Err(Error::NotFound { .. }) => Ok(Some(kind)),
                answer => answer.map(|()| None),
            }
        }
    });
    let missing = try_join_all(answers).await?.into_iter().flatten().collect();
    let lists = lists.into_inner().expect(UNPOISONED);
    let otherwise: usize = lists
        .tenants
        .values()
        .map(|found| found.otherwise.len())
        .sum();
    tracing::debug!(wanted = lists.wanted.len(), otherwise, "listed");
    Ok((lists, missing))
}

impl Lists {
    /// What is wanted, and nothing found yet.
    async fn before(subjects: &BTreeMap<TenantName, Subject>) -> Self {
        let (mut wanted, mut tenants) = (HashMap::new(), BTreeMap::new());
        for (index, (name, subject)) in subjects.iter().enumerate() {
            let_others_run(index).await;
            let desired = subject.desired(name);
            let marks = marks(&desired).map(|(_, mark)| (mark, false));
            let before = wanted.len();
            wanted.extend(marks);
            let found = Found {
                wanted: wanted.len() - before,
                ..Found::default()
            };
            tenants.insert(name.clone(), found);
        }
        Self { wanted, tenants }
    }

    fn take(&mut self, kind: Kind, object: &Value) {
        let labels = &object["metadata"]["labels"];
        let tenant = labels[INSTANCE]
            .as_str()
            .and_then(|tenant| tenant.parse().ok());
        let Some(tenant): Option<TenantName> = tenant else {
            return;
        };
        let (Some(found), Some(id)) = (self.tenants.get_mut(&tenant), manifest_id(kind, object))
        else {
            return;
        };
        found.note(&tenant, &id, object);
        let mark = Mark::of_found(&id, object);
        match mark.and_then(|mark| self.wanted.get_mut(&mark)) {
            Some(is_there) => {
                found.as_wanted += usize::from(!*is_there);
                *is_there = true;
            }
            None => {
                found.otherwise.insert(id, kept(object));
            }
        }
    }

    /// Whether everything that is wanted of the tenant was listed as it is wanted.
    fn is_complete(&self, tenant: &TenantName) -> bool {
        let found = self.tenants.get(tenant);
        found.is_some_and(|found| found.as_wanted == found.wanted)
    }

    fn holds(&self, tenant: &TenantName, id: &ManifestId, mark: Mark) -> bool {
        let found = self.tenants.get(tenant);
        self.is_as_wanted(mark) || found.is_some_and(|found| found.otherwise.contains_key(id))
    }

    fn has_control_namespace(&self, tenant: &TenantName) -> bool {
        let found = self.tenants.get(tenant);
        found.is_some_and(|found| found.has_control_namespace)
    }

    fn is_as_wanted(&self, mark: Mark) -> bool {
        self.wanted.get(&mark) == Some(&true)
    }
}

impl Found {
    /// Facts of an object that matter though nothing of it differs.
    fn note(&mut self, tenant: &TenantName, id: &ManifestId, object: &Value) {
        let control = ControlNamespace::of(tenant).to_string();
        match id.kind {
            Kind::Namespace => {
                self.has_control_namespace |= id.name == control;
                // Nothing can be made in a namespace that is ending.
                if object["metadata"]["deletionTimestamp"].is_string() {
                    self.ending_namespaces.push(id.name.clone());
                }
            }
            Kind::Kustomization if id.name == SYNC && id.namespace.as_ref() == Some(&control) => {
                let entries = object.pointer("/status/inventory/entries");
                self.inventory = entries.and_then(Value::as_array).map(Vec::len);
            }
            Kind::GitRepository if id.name == SYNC && id.namespace.as_ref() == Some(&control) => {
                self.fetching = Some(fetching(object));
            }
            Kind::Tenant
            | Kind::LimitRange
            | Kind::ResourceQuota
            | Kind::NetworkPolicy
            | Kind::ServiceAccount
            | Kind::RoleBinding
            | Kind::GitRepository
            | Kind::Kustomization => {}
        }
    }
}

fn fetching(source: &Value) -> Fetching {
    let asked = source["metadata"]["annotations"][flux::REQUESTED_AT].as_str();
    let synced = Synced::of(source);
    Fetching {
        asked: asked.and_then(flux::requested_key),
        fetched: synced.fetched_with().cloned(),
        suspended: synced.suspended,
    }
}

/// The wanted objects of the kinds that are listed.
fn marks(desired: &Desired) -> impl Iterator<Item = (&ManifestId, Mark)> {
    desired
        .objects
        .iter()
        .filter_map(|(id, object)| match (id, object) {
            (ObjectId::Manifest(id), Object::Manifest(manifest)) if LISTED.contains(&id.kind) => {
                Some((id, Mark::of_wanted(id, manifest)))
            }
            _ => None,
        })
}

fn manifests(desired: &Desired) -> impl Iterator<Item = &ManifestId> {
    desired.objects.keys().filter_map(|id| match id {
        ObjectId::Manifest(id) => Some(id),
        ObjectId::Repository(_)
        | ObjectId::TeamAccess { .. }
        | ObjectId::Collaborator { .. }
        | ObjectId::Credentials { .. }
        | ObjectId::DeployKey { .. }
        | ObjectId::StrangeKey { .. }
        | ObjectId::FormerKey { .. } => None,
    })
}

fn manifest_id(kind: Kind, object: &Value) -> Option<ManifestId> {
    let metadata = &object["metadata"];
    Some(ManifestId {
        kind,
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        name: metadata["name"].as_str()?.to_owned(),
    })
}

/// An object as far as it is compared with what is wanted: without its status, and without what others own of it.
pub(super) fn kept(object: &Value) -> Box<str> {
    let mut kept = object.clone();
    if let Value::Object(kept) = &mut kept {
        kept.remove("status");
    }
    if let Some(Value::Array(managers)) = kept.pointer_mut("/metadata/managedFields") {
        managers.retain(mark::is_ours);
    }
    kept.to_string().into()
}

fn restored(kept: &str) -> Value {
    serde_json::from_str(kept).expect("it was written as JSON")
}

/// What has to be done to know a tenant's Secret.
enum Secret {
    /// None is wanted, or what is remembered of it stands.
    AsRemembered,
    Absent,
    ToBeRead,
}

/// A Secret is readable only in a control namespace that is ours and therefore has our binding.
async fn read_secret(
    cluster: &Reader,
    name: TenantName,
    has_key: bool,
) -> Result<Option<(TenantName, Result<Option<StoredKey>, String>)>, Error> {
    let namespace = ControlNamespace::of(&name).to_string();
    match cluster.credentials(&namespace).await {
        Ok(key) => Ok(Some((name, Ok(key)))),
        // Without our binding, which the plan restores: then what is remembered has to do.
        Err(Error::Forbidden { .. }) if has_key => Ok(None),
        Err(Error::Forbidden { .. }) => Ok(Some((name, Ok(None)))),
        Err(error @ Error::Unavailable { .. }) => Err(error),
        Err(error) => Ok(Some((name, Err(error.to_string())))),
    }
}

impl Cluster {
    fn secret(&self, name: &TenantName, subject: &Subject) -> Secret {
        let wants_one = |desired: &Desired| {
            let mut ids = desired.objects.keys();
            ids.any(|id| matches!(id, ObjectId::Credentials { .. }))
        };
        // Which of several keys is in use, the Secret alone tells for sure.
        let is_known = subject.has_key() && subject.has_known_hosts() && !subject.has_former_keys();
        if is_known && subject.is_finished() || !wants_one(&subject.desired(name)) {
            Secret::AsRemembered
        } else if self.lists.has_control_namespace(name) {
            Secret::ToBeRead
        } else {
            Secret::Absent
        }
    }

    /// Wanted objects that no list held, where there may be one of the same name that is not ours.
    fn worth_a_second_look(&self, name: &TenantName, subject: &Subject) -> Vec<ManifestId> {
        if self.lists.is_complete(name) && subject.memory.is_some() {
            return Vec::new();
        }
        let desired = subject.desired(name);
        let listed: BTreeSet<&ManifestId> = marks(&desired)
            .filter(|(id, mark)| self.lists.holds(name, id, *mark))
            .map(|(id, _)| id)
            .collect();
        let namespace_is_there = |namespace: &str| {
            let adopted = |settings: &NamespaceSettings| settings.adopt;
            let entry = subject.entry().and_then(|entry| {
                let mut namespaces = entry.namespaces.iter();
                namespaces.find(|(name, _)| name.as_str() == namespace)
            });
            entry.is_some_and(|(_, settings)| adopted(settings))
                || listed
                    .iter()
                    .any(|id| id.kind == Kind::Namespace && id.name == namespace)
        };
        let is_known = |id: &ManifestId| match id.kind {
            Kind::Tenant => subject.memory.is_some(),
            _ => listed.contains(id),
        };
        let absent = manifests(&desired)
            .filter(|id| !is_known(id) && !self.missing_kinds.contains(&id.kind));
        absent
            .filter(|id| id.namespace.as_deref().is_none_or(namespace_is_there))
            .cloned()
            .collect()
    }

    pub(super) fn tell(
        &self,
        name: &TenantName,
        subject: &Subject,
        desired: &Desired,
        seen: &mut Seen,
    ) {
        self.tell_missing_kinds(name, desired, seen);
        self.tell_memory(name, subject, desired, seen);
        if self.lists.is_complete(name) {
            for id in manifests(desired).filter(|id| LISTED.contains(&id.kind)) {
                seen.sight(ObjectId::Manifest(id.clone()), Sighting::AsWanted);
            }
        } else {
            for (id, mark) in marks(desired) {
                let sighting = if self.lists.is_as_wanted(mark) {
                    Sighting::AsWanted
                } else {
                    self.unmarked_sighting(name, id)
                };
                seen.sight(ObjectId::Manifest(id.clone()), sighting);
            }
        }
        if let Some(found) = self.lists.tenants.get(name) {
            found.tell(name, seen);
        }
        self.tell_credentials(name, desired, seen);
    }

    /// The Tenant object, which was read before everything else.
    fn tell_memory(
        &self,
        name: &TenantName,
        subject: &Subject,
        desired: &Desired,
        seen: &mut Seen,
    ) {
        let id = ManifestId {
            kind: Kind::Tenant,
            namespace: None,
            name: name.to_string(),
        };
        let is_wanted = desired.wish.is_some();
        let sighting = match (&subject.memory, subject.manifest.as_deref().map(restored)) {
            (None, _) if is_wanted => self.unmarked_sighting(name, &id),
            (Some(_), None) if is_wanted => Sighting::AsWanted,
            (Some(_), Some(manifest)) => Sighting::Present {
                ownership: ownership(name, &manifest),
                object: Object::Manifest(manifest),
            },
            (None | Some(_), _) => return,
        };
        seen.sight(ObjectId::Manifest(id), sighting);
    }

    fn unmarked_sighting(&self, tenant: &TenantName, id: &ManifestId) -> Sighting {
        match self.unmarked.get(id) {
            None => Sighting::Absent,
            Some(Err(reason)) => Sighting::Unreadable {
                reason: reason.clone(),
            },
            Some(Ok(value)) => Sighting::Present {
                object: Object::Manifest(value.clone()),
                ownership: ownership(tenant, value),
            },
        }
    }

    fn tell_missing_kinds(&self, name: &TenantName, desired: &Desired, seen: &mut Seen) {
        let wanted = manifests(desired).map(|id| id.kind);
        let mut missing: Vec<_> = wanted
            .filter(|kind| self.missing_kinds.contains(kind))
            .collect();
        missing.dedup();
        for kind in missing {
            seen.problem(
                Place::Tenant(name.clone()),
                format!(
                    "the cluster does not know {} `{kind}`: Flux is not installed",
                    kind.api_version()
                ),
                Some("install Flux (at least 2.7) before tenants are onboarded".to_owned()),
            );
        }
    }

    fn tell_credentials(&self, name: &TenantName, desired: &Desired, seen: &mut Seen) {
        let mut objects = desired.objects.iter();
        let Some((id, _)) = objects.find(|(id, _)| matches!(id, ObjectId::Credentials { .. }))
        else {
            return;
        };
        let sighting = match self.secrets.get(name) {
            // Finished and unchanged: what is remembered stands.
            None => Sighting::AsWanted,
            Some(Err(reason)) => Sighting::Unreadable {
                reason: reason.clone(),
            },
            Some(Ok(None)) => Sighting::Absent,
            Some(Ok(Some(stored))) => {
                seen.public_key =
                    keys::fingerprint(&stored.public_key).map(|_| stored.public_key.clone());
                seen.known_hosts = Some(keys::fingerprint_of_hosts(&stored.known_hosts));
                stored_key(name, stored)
            }
        };
        seen.sight(id.clone(), sighting);
    }
}

impl Found {
    fn tell(&self, name: &TenantName, seen: &mut Seen) {
        for (id, kept) in &self.otherwise {
            let sighting = Sighting::Present {
                object: Object::Manifest(restored(kept)),
                ownership: Ownership::Ours,
            };
            seen.sight(ObjectId::Manifest(id.clone()), sighting);
        }
        for namespace in &self.ending_namespaces {
            let message = format!("namespace `{namespace}` is being deleted");
            let help = "it is made again once it has ended".to_owned();
            seen.problem(place_of_namespace(name, namespace), message, Some(help));
        }
        seen.observed.facts.inventory = self.inventory;
        seen.fetching.clone_from(&self.fetching);
    }
}

fn stored_key(tenant: &TenantName, stored: &StoredKey) -> Sighting {
    let ownership = match &stored.tenant {
        Some(owner) if owner == tenant.as_str() => Ownership::Ours,
        Some(owner) => Ownership::Foreign {
            whose: format!("that of tenant `{owner}`"),
        },
        None => Ownership::Foreign {
            whose: "not made by Tenantry".to_owned(),
        },
    };
    let credentials = |algorithm: String| {
        Object::Credentials(Credentials {
            algorithm,
            known_hosts: Some(keys::fingerprint_of_hosts(&stored.known_hosts)),
        })
    };
    match keys::algorithm(&stored.public_key) {
        Some(algorithm) => Sighting::Present {
            object: credentials(algorithm.to_string()),
            ownership,
        },
        // A Secret of ours without a whole key in it is as good as none.
        None if ownership == Ownership::Ours => Sighting::Absent,
        None => Sighting::Present {
            object: credentials("unknown".to_owned()),
            ownership,
        },
    }
}

/// Whose an object is that our list did not hold.
fn ownership(tenant: &TenantName, value: &Value) -> Ownership {
    let labels = &value["metadata"]["labels"];
    if labels[ADOPT] == tenant.as_str() && labels[MANAGED_BY] != "tenantry" {
        return Ownership::Offered;
    }
    let whose = match (labels[MANAGED_BY].as_str(), labels[INSTANCE].as_str()) {
        (Some("tenantry"), Some(owner)) if owner == tenant.as_str() => return Ownership::Ours,
        (Some("tenantry"), Some(owner)) => format!("that of tenant `{owner}`"),
        (Some(manager), _) => format!("managed by `{manager}`"),
        (None, _) => "not this tenant's".to_owned(),
    };
    Ownership::Foreign { whose }
}
