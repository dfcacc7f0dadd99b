//! Following what changes in the cluster, to look after it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;

use super::status::requested;
use super::{Key, Kind, Shared};

/// What of an object, when it changes, asks for a look.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glimpse {
    generation: i64,
    requested: Option<String>,
    is_ending: bool,
    /// Of a source: what it offers.
    revision: Option<String>,
}

type Known = BTreeMap<Key, Glimpse>;

/// Lists and watches, and begins again whenever the watch breaks.
pub(super) async fn watch_for_ever(shared: &Shared, kind: Kind) {
    let mut known = Known::new();
    let mut failed = 0;
    loop {
        match watch(shared, kind, &mut known).await {
            Ok(()) => failed = 0,
            Err(error) => {
                tracing::debug!(?kind, %error, "the pretend Flux lists again");
                failed = (failed + 1).min(6);
            }
        }
        tokio::time::sleep(Duration::from_millis(50) * (1 << failed)).await;
    }
}

/// One list, and the watch from there, for as long as it lasts.
async fn watch(shared: &Shared, kind: Kind, known: &mut Known) -> Result<(), kube::Error> {
    let (objects, revision) = shared.cluster.list(kind).await?;
    let mut present = Known::new();
    for object in &objects {
        let key = key(kind, object);
        saw(shared, known, object);
        if let Some(glimpse) = known.get(&key) {
            present.insert(key, glimpse.clone());
        }
    }
    for key in known.keys().filter(|key| !present.contains_key(*key)) {
        shared.forget(key);
    }
    *known = present;
    let mut events = std::pin::pin!(shared.cluster.watch(kind, &revision).await?);
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => saw(shared, known, &object),
            WatchEvent::Deleted(object) => {
                let key = key(kind, &object);
                known.remove(&key);
                shared.forget(&key);
                wake_users(shared, &key);
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}

fn saw(shared: &Shared, known: &mut Known, object: &Value) {
    let kind = match object["kind"].as_str() {
        Some("GitRepository") => Kind::GitRepository,
        _ => Kind::Kustomization,
    };
    let key = key(kind, object);
    let metadata = &object["metadata"];
    let revision = object.pointer("/status/artifact/revision");
    let glimpse = Glimpse {
        generation: metadata["generation"].as_i64().unwrap_or_default(),
        requested: requested(object).map(str::to_owned),
        is_ending: metadata["deletionTimestamp"].is_string(),
        revision: revision.and_then(Value::as_str).map(str::to_owned),
    };
    let before = known.insert(key.clone(), glimpse.clone());
    if kind == Kind::Kustomization {
        note_source(shared, &key, object);
    }
    let has_new_revision =
        before.as_ref().map(|before| &before.revision) != Some(&glimpse.revision);
    if has_new_revision && glimpse.revision.is_some() {
        wake_users(shared, &key);
    }
    let is_same = before.is_some_and(|before| {
        let revision = glimpse.revision.clone();
        Glimpse { revision, ..before } == glimpse
    });
    if !is_same {
        shared.queue.add(key, Duration::ZERO);
    }
}

/// Remembers which source a Kustomization uses.
fn note_source(shared: &Shared, key: &Key, object: &Value) {
    let reference = &object["spec"]["sourceRef"];
    let namespace = reference["namespace"].as_str().unwrap_or(&key.namespace);
    let name = reference["name"].as_str().unwrap_or_default();
    let source = Key::new(Kind::GitRepository, namespace, name);
    let mut notes = shared.notes();
    notes.users.entry(source).or_default().insert(key.clone());
}

/// A source has changed: what uses it is to be looked after.
fn wake_users(shared: &Shared, source: &Key) {
    let users = shared.notes().users.get(source).cloned();
    for user in users.into_iter().flatten() {
        shared.queue.add(user, Duration::ZERO);
    }
}

fn key(kind: Kind, object: &Value) -> Key {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    Key::new(kind, text("namespace"), text("name"))
}
