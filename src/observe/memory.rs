//! What the `Tenant` objects remember.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::cluster::kept;
use super::mark::Mark;
use crate::flux;
use crate::kubernetes::{Error, Reader};
use crate::names::{FullName, TenantName};
use crate::object::{Fingerprint, Kind};
use crate::observed::{Accepted, Memory, Progress, RememberedRepository};
use crate::surroundings::Surroundings;
use crate::tenants::{Tenant, Tenants};

/// Every tenant that is remembered in the cluster, by whichever control repo; or why it cannot be understood.
pub type Memories = BTreeMap<TenantName, Result<Remembered, String>>;

#[derive(Debug, Clone)]
pub struct Remembered {
    pub memory: Memory,
    /// The object, where it is not all that a tenant of the file wants of it.
    pub(super) manifest: Option<Box<str>>,
}

/// Reads all Tenant objects. An entry that is in the file as it is remembered is there only once.
pub async fn memories(
    cluster: &Reader,
    surroundings: &Surroundings,
    file: &Tenants,
) -> Result<Memories, Error> {
    let mut memories = Memories::new();
    let mut add = |object: Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if let Ok(name) = name.parse() {
            let remembered = remembered(&object, surroundings, file.tenants.get(&name));
            memories.insert(name, remembered);
        }
    };
    cluster.each(Kind::Tenant, None, &mut add).await?;
    Ok(memories)
}

/// The tenant of this control repo whose workspace has this name, `owner/name`.
pub async fn tenant_of_workspace(
    cluster: &Reader,
    control_repository: &FullName,
    workspace: &str,
) -> Result<Option<TenantName>, Error> {
    let mut found = None;
    let mut look = |object: Value| {
        let control = object["spec"]["controlRepository"].as_str();
        let is_ours = control.is_some_and(|control| control_repository.is(control));
        let repository = repository(&object["status"]);
        if is_ours && repository.is_some_and(|repository| repository.full_name.is(workspace)) {
            found = object["metadata"]["name"]
                .as_str()
                .and_then(|name| name.parse().ok());
        }
    };
    cluster.each(Kind::Tenant, None, &mut look).await?;
    Ok(found)
}

fn remembered(
    object: &Value,
    surroundings: &Surroundings,
    wanted: Option<&Arc<Tenant>>,
) -> Result<Remembered, String> {
    let memory = memory(object, wanted)?;
    let is_of_interest = memory.control_repository == surroundings.control_repository
        && !is_as_wanted(object, &memory, surroundings, wanted);
    Ok(Remembered {
        manifest: is_of_interest.then(|| kept(object)),
        memory,
    })
}

/// Whether the object is what the tenant's entry, unchanged, would make of it.
fn is_as_wanted(
    object: &Value,
    memory: &Memory,
    surroundings: &Surroundings,
    wanted: Option<&Arc<Tenant>>,
) -> bool {
    let Some(wanted) = wanted.filter(|wanted| ***wanted == *memory.entry) else {
        return false;
    };
    let (id, manifest) = flux::memory(wanted, surroundings, &memory.commit);
    Mark::of_found(&id, object) == Some(Mark::of_wanted(&id, &manifest))
}

fn memory(object: &Value, wanted: Option<&Arc<Tenant>>) -> Result<Memory, String> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("it has no {what}"))
    };
    let accepted = accepted(status);
    let generation = object["metadata"]["generation"].as_i64();
    let progress = match &accepted {
        Some(accepted) if accepted.is_true && Some(accepted.generation) == generation => {
            Progress::Finished
        }
        _ if status["onboardedAt"].is_string() => Progress::Unfinished,
        _ => Progress::New,
    };
    let created = text(
        &object["metadata"]["creationTimestamp"],
        "creationTimestamp",
    )?;
    Ok(Memory {
        entry: entry(&spec["entry"], wanted)?,
        control_repository: text(&spec["controlRepository"], "spec.controlRepository")?
            .parse()
            .map_err(|error| format!("spec.controlRepository {error}"))?,
        commit: text(&spec["commit"], "spec.commit")?.into(),
        created_at: created
            .parse::<Timestamp>()
            .map_err(|error| format!("creationTimestamp: {error}"))?,
        repository: repository(status),
        key: fingerprint(&status["deployKey"]["fingerprint"]),
        former: fingerprints(&status["deployKey"]["former"]),
        replace: fingerprint(&status["deployKey"]["replace"]),
        known_hosts: fingerprint(&status["deployKey"]["knownHosts"]),
        progress,
        generation: generation.unwrap_or_default(),
        accepted,
    })
}

fn fingerprint(value: &Value) -> Option<Fingerprint> {
    value.as_str().map(|text| Fingerprint(text.to_owned()))
}

fn fingerprints(value: &Value) -> BTreeSet<Fingerprint> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(fingerprint).collect()
}

/// The entry remembered; the file's own, if it is the same.
fn entry(value: &Value, wanted: Option<&Arc<Tenant>>) -> Result<Arc<Tenant>, String> {
    let entry = Tenant::deserialize(value).map_err(|error| format!("spec.entry: {error}"))?;
    Ok(match wanted {
        Some(wanted) if **wanted == entry => Arc::clone(wanted),
        Some(_) | None => Arc::new(entry),
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
