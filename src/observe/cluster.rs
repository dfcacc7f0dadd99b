//! The Kubernetes half of looking.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use jiff::Timestamp;
use serde_json::Value;

use super::{LISTED, Seen, Subject, place_of_namespace};
use crate::flux::{ADOPT, ControlNamespace, INSTANCE, MANAGED_BY, SYNC};
use crate::keys;
use crate::kubernetes::{Error, Reader, StoredKey};
use crate::names::TenantName;
use crate::object::{Credentials, Fingerprint, Kind, ManifestId, Object, ObjectId};
use crate::observed::{Accepted, Memory, Ownership, Progress, RememberedRepository, Sighting};
use crate::tenants::diagnostic::Place;

/// Above so many tenants a kind is listed whole instead of by name: the selector travels in the URL.
const NAMED_AT_MOST: usize = 50;

/// Every tenant that is remembered in the cluster, by whichever control repo.
pub type Memories = BTreeMap<TenantName, Result<Memory, String>>;

/// Reads all Tenant objects. One that cannot be understood is kept as the reason why.
pub async fn memories(cluster: &Reader) -> Result<Memories, Error> {
    let found = cluster.list(Kind::Tenant, None).await?;
    let named = found.into_iter().filter_map(|value| {
        let name: TenantName = value["metadata"]["name"].as_str()?.parse().ok()?;
        Some((name, memory(&value)))
    });
    Ok(named.collect())
}

fn memory(value: &Value) -> Result<Memory, String> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("it has no {what}"))
    };
    let accepted = accepted(status);
    let generation = value["metadata"]["generation"].as_i64();
    let progress = match &accepted {
        Some(accepted) if accepted.is_true && Some(accepted.generation) == generation => {
            Progress::Finished
        }
        _ if status["onboardedAt"].is_string() => Progress::Unfinished,
        _ => Progress::New,
    };
    let created = text(&value["metadata"]["creationTimestamp"], "creationTimestamp")?;
    Ok(Memory {
        entry: serde_json::from_value(spec["entry"].clone())
            .map_err(|error| format!("spec.entry: {error}"))?,
        control_repository: text(&spec["controlRepository"], "spec.controlRepository")?
            .parse()
            .map_err(|error| format!("spec.controlRepository {error}"))?,
        commit: text(&spec["commit"], "spec.commit")?,
        created_at: created
            .parse::<Timestamp>()
            .map_err(|error| format!("creationTimestamp: {error}"))?,
        repository: repository(status),
        key: status
            .pointer("/deployKey/fingerprint")
            .and_then(Value::as_str)
            .map(|key| Fingerprint(key.to_owned())),
        progress,
        generation: generation.unwrap_or_default(),
        accepted,
    })
}

fn repository(status: &Value) -> Option<RememberedRepository> {
    let full_name = status
        .pointer("/repository/fullName")?
        .as_str()?
        .parse()
        .ok()?;
    let node_id = status.pointer("/repository/nodeId")?.as_str()?.to_owned();
    Some(RememberedRepository { node_id, full_name })
}

fn accepted(status: &Value) -> Option<Accepted> {
    let condition = status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == "Accepted")?;
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    Some(Accepted {
        is_true: condition["status"] == "True",
        reason: text("reason"),
        message: text("message"),
        generation: condition["observedGeneration"].as_i64().unwrap_or_default(),
        since: text("lastTransitionTime").parse().ok(),
    })
}

/// What the cluster answered, for all subjects together.
pub(super) struct Cluster {
    found: BTreeMap<TenantName, BTreeMap<ManifestId, Value>>,
    /// Objects that do not carry our mark for the tenant, though the tenant wants one of that name.
    unmarked: BTreeMap<ManifestId, Result<Value, String>>,
    /// Kinds that the server does not know: Flux is not installed.
    missing_kinds: Vec<Kind>,
    secrets: BTreeMap<TenantName, Result<Option<StoredKey>, String>>,
}

pub(super) async fn look(
    cluster: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> anyhow::Result<Cluster> {
    let (lists, secrets) = tokio::join!(
        lists(cluster, subjects),
        try_join_all(subjects.iter().map(|subject| secret(cluster, subject)))
    );
    let (found, missing_kinds) = lists?;
    let mut result = Cluster {
        found,
        unmarked: BTreeMap::new(),
        missing_kinds,
        secrets: BTreeMap::new(),
    };
    result.secrets.extend(secrets?.into_iter().flatten());
    let wanted: Vec<_> = subjects
        .iter()
        .flat_map(|(name, subject)| result.worth_a_second_look(name, subject))
        .collect();
    let looks = wanted.into_iter().map(|id| async move {
        let answer = cluster.get(&id).await;
        (id, answer)
    });
    for (id, answer) in futures::future::join_all(looks).await {
        match answer {
            Ok(Some(value)) => result.unmarked.insert(id, Ok(value)),
            Ok(None) => None,
            Err(error) => result.unmarked.insert(id, Err(error.to_string())),
        };
    }
    Ok(result)
}

type Found = BTreeMap<TenantName, BTreeMap<ManifestId, Value>>;

async fn lists(
    cluster: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<(Found, Vec<Kind>), Error> {
    let names: Vec<TenantName> = subjects.keys().cloned().collect();
    let selected = Some(names.as_slice()).filter(|names| names.len() <= NAMED_AT_MOST);
    let kinds = LISTED.iter().chain([&Kind::Tenant]);
    let answers = kinds.map(|&kind| async move {
        match cluster.list(kind, selected).await {
            Err(Error::NotFound { .. }) => Ok((kind, None)),
            answer => answer.map(|values| (kind, Some(values))),
        }
    });
    let (mut found, mut missing) = (Found::new(), Vec::new());
    for (kind, values) in try_join_all(answers).await? {
        let Some(values) = values else {
            missing.push(kind);
            continue;
        };
        for value in values {
            let Some((tenant, id)) = identify(kind, &value) else {
                continue;
            };
            if subjects.contains_key(&tenant) {
                found.entry(tenant).or_default().insert(id, value);
            }
        }
    }
    Ok((found, missing))
}

fn identify(kind: Kind, value: &Value) -> Option<(TenantName, ManifestId)> {
    let metadata = &value["metadata"];
    let tenant = metadata["labels"][INSTANCE].as_str()?.parse().ok()?;
    let namespace = metadata["namespace"].as_str().map(str::to_owned);
    Some((
        tenant,
        ManifestId {
            kind,
            namespace,
            name: metadata["name"].as_str()?.to_owned(),
        },
    ))
}

/// The Secret of a tenant that wants one and whose Secret is not known to be in order.
async fn secret(
    cluster: &Reader,
    (name, subject): (&TenantName, &Subject),
) -> Result<Option<(TenantName, Result<Option<StoredKey>, String>)>, Error> {
    let wants_one = subject
        .desired
        .objects
        .keys()
        .any(|id| matches!(id, ObjectId::Credentials { .. }));
    let known = subject
        .memory
        .as_ref()
        .is_some_and(|memory| memory.key.is_some() && memory.progress == Progress::Finished);
    let unchanged = subject.memory.as_ref().map(|memory| &memory.entry) == subject.entry.as_ref();
    if !wants_one || (known && unchanged) {
        return Ok(None);
    }
    let namespace = ControlNamespace::of(name).to_string();
    // A Secret is readable only in a control namespace that is ours and therefore has our binding.
    match cluster.credentials(&namespace).await {
        Ok(key) => Ok(Some((name.clone(), Ok(key)))),
        // Without our binding, which the plan restores: then what is remembered has to do.
        Err(Error::Forbidden { .. })
            if subject
                .memory
                .as_ref()
                .is_some_and(|memory| memory.key.is_some()) =>
        {
            Ok(None)
        }
        Err(Error::Forbidden { .. }) => Ok(Some((name.clone(), Ok(None)))),
        Err(error @ Error::Unavailable { .. }) => Err(error),
        Err(error) => Ok(Some((name.clone(), Err(error.to_string())))),
    }
}

impl Cluster {
    /// Wanted objects that no list held, where there may be one of the same name that is not ours.
    fn worth_a_second_look(&self, name: &TenantName, subject: &Subject) -> Vec<ManifestId> {
        let found = self.found.get(name);
        let has = |id: &ManifestId| found.is_some_and(|found| found.contains_key(id));
        let namespace_is_there = |namespace: &str| {
            has(&ManifestId {
                kind: Kind::Namespace,
                namespace: None,
                name: namespace.to_owned(),
            }) || subject.entry.as_ref().is_some_and(|entry| {
                entry
                    .namespaces
                    .iter()
                    .any(|(name, settings)| settings.adopt && name.as_str() == namespace)
            })
        };
        let absent = subject
            .wanted_manifests()
            .filter(|id| !has(id) && !self.missing_kinds.contains(&id.kind));
        absent
            .filter(|id| id.namespace.as_deref().is_none_or(namespace_is_there))
            .cloned()
            .collect()
    }

    pub(super) fn tell(&self, name: &TenantName, subject: &Subject, seen: &mut Seen) {
        self.tell_missing_kinds(name, subject, seen);
        for id in subject.wanted_manifests() {
            seen.sight(
                ObjectId::Manifest(id.clone()),
                self.unmarked_sighting(name, id),
            );
        }
        for (id, value) in self.found.get(name).into_iter().flatten() {
            let sighting = Sighting::Present {
                object: Object::Manifest(value.clone()),
                ownership: Ownership::Ours,
            };
            seen.sight(ObjectId::Manifest(id.clone()), sighting);
        }
        self.tell_ending_namespaces(name, seen);
        self.tell_credentials(name, subject, seen);
        seen.observed.facts.inventory = self.inventory(name);
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

    fn tell_missing_kinds(&self, name: &TenantName, subject: &Subject, seen: &mut Seen) {
        let wanted = subject.wanted_manifests().map(|id| id.kind);
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

    /// Nothing can be made in a namespace that is ending.
    fn tell_ending_namespaces(&self, name: &TenantName, seen: &mut Seen) {
        for (id, value) in self.found.get(name).into_iter().flatten() {
            if id.kind == Kind::Namespace && value["metadata"]["deletionTimestamp"].is_string() {
                let message = format!("namespace `{}` is being deleted", id.name);
                let help = "it is made again once it has ended".to_owned();
                seen.problem(place_of_namespace(name, &id.name), message, Some(help));
            }
        }
    }

    fn tell_credentials(&self, name: &TenantName, subject: &Subject, seen: &mut Seen) {
        let Some(id) = subject
            .desired
            .objects
            .keys()
            .find(|id| matches!(id, ObjectId::Credentials { .. }))
        else {
            return;
        };
        let sighting = match self.secrets.get(name) {
            // Finished and unchanged: what is remembered stands.
            None => Sighting::Present {
                object: subject.desired.objects[id].clone(),
                ownership: Ownership::Ours,
            },
            Some(Err(reason)) => Sighting::Unreadable {
                reason: reason.clone(),
            },
            Some(Ok(None)) => Sighting::Absent,
            Some(Ok(Some(stored))) => {
                seen.public_key =
                    keys::fingerprint(&stored.public_key).map(|_| stored.public_key.clone());
                stored_key(name, stored)
            }
        };
        seen.sight(id.clone(), sighting);
    }

    /// How many objects the tenant's Kustomization owns.
    fn inventory(&self, name: &TenantName) -> Option<usize> {
        let id = ManifestId {
            kind: Kind::Kustomization,
            namespace: Some(ControlNamespace::of(name).to_string()),
            name: SYNC.to_owned(),
        };
        let sync = self.found.get(name)?.get(&id)?;
        sync.pointer("/status/inventory/entries")
            .and_then(Value::as_array)
            .map(Vec::len)
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
    match keys::algorithm(&stored.public_key) {
        Some(algorithm) => {
            let object = Object::Credentials(Credentials {
                algorithm: algorithm.to_string(),
            });
            Sighting::Present { object, ownership }
        }
        // A Secret of ours without a whole key in it is as good as none.
        None if ownership == Ownership::Ours => Sighting::Absent,
        None => Sighting::Present {
            object: Object::Credentials(Credentials {
                algorithm: "unknown".to_owned(),
            }),
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
