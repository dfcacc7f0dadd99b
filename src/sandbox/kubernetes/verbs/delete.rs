//! Deleting objects: preconditions, finalizers, owners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::kinds::{Generation, Resource};
use super::super::object::{Stored, metadata, split};
use super::super::status::Refusal;
use super::super::store::{Reading, Store};
use super::super::{clock, rules};
use super::{Done, Order};

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Deletion {
    pub(in super::super) uid: Option<String>,
    pub(in super::super) revision: Option<String>,
    pub(in super::super) propagation: Propagation,
}

/// What becomes of the objects that it owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Propagation {
    /// They are deleted behind it.
    #[default]
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Deletes an object, or marks it where a finalizer holds it. 200 says that it is gone.
pub(in super::super) fn delete(
    store: &mut Store,
    order: &Order,
    deletion: &Deletion,
) -> Result<Deleted, Refusal> {
    let resource = &order.resource;
    let old = store.get(resource, &order.key());
    let old = old.ok_or_else(|| Refusal::not_found(resource, &order.name))?;
    let mut object = old.bare(resource);
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let refused = |what: &str, wanted: &str, found: &str| {
        let detail = format!(
            "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        Err(Refusal::conflict(resource, &order.name, &detail))
    };
    if let Some(wanted) = deletion.uid.as_deref().filter(|wanted| *wanted != uid) {
        return refused("UID", wanted, uid);
    }
    let revision = old.revision.to_string();
    if let Some(wanted) = deletion
        .revision
        .as_deref()
        .filter(|wanted| *wanted != revision)
    {
        return refused("ResourceVersion", wanted, &revision);
    }
    if let Some(detail) = rules::undeletable(resource, &order.name) {
        return Err(Refusal::forbidden(resource, &order.name, detail));
    }
    match deletion.propagation {
        Propagation::Background => {}
        Propagation::Foreground => add_finalizer(&mut object, FOREGROUND),
        Propagation::Orphan => add_finalizer(&mut object, ORPHAN),
    }
    let is_held = rules::is_held(resource, &object);
    if order.is_dry_run {
        return Ok(Deleted::of(old, is_held));
    }
    if !is_held {
        let last = end(store, resource, &old);
        return Ok(Deleted::of(last, false));
    }
    if old.is_ending {
        return Ok(Deleted::of(old, true));
    }
    let fields = metadata(&mut object);
    fields.insert(
        "deletionTimestamp".to_owned(),
        json!(clock::stamp(order.now)),
    );
    if !rules::ends_by_itself(resource) {
        fields.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    }
    if resource.generation != Generation::None
        && let Some(generation) = fields.get("generation").and_then(Value::as_i64)
    {
        fields.insert("generation".to_owned(), json!(generation + 1));
    }
    rules::begin_end(resource, &mut object);
    let managed = old.managed.to_vec();
    let stored = store.put(resource, &order.key(), &object, managed);
    Ok(Deleted::of(stored, true))
}

/// What a deletion answers.
#[derive(Debug)]
pub(in super::super) struct Deleted {
    pub(in super::super) object: Arc<Stored>,
    /// It is still there, and ends later.
    pub(in super::super) is_held: bool,
}

impl Deleted {
    fn of(object: Arc<Stored>, is_held: bool) -> Self {
        Self { object, is_held }
    }
}

fn add_finalizer(object: &mut Value, name: &str) {
    let finalizers = metadata(object)
        .entry("finalizers")
        .or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|one| one == name)
    {
        list.push(json!(name));
    }
}

/// Takes an object away at last.
fn end(store: &mut Store, resource: &Arc<Resource>, stored: &Stored) -> Arc<Stored> {
    let last = store.remove(resource, &stored.key);
    let last = last.expect("it was there under the same lock");
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        undeclare(store, &last.bare(resource));
    }
    last
}

/// With its definition a kind and all its objects go.
fn undeclare(store: &mut Store, definition: &Value) {
    let text = |key: &str| definition["spec"].pointer(key).and_then(Value::as_str);
    let (Some(group), Some(plural)) = (text("/group"), text("/names/plural")) else {
        return;
    };
    let found = store
        .kinds
        .all()
        .find(|resource| resource.is(group, plural))
        .cloned();
    if let Some(resource) = found {
        for object in everything(store, &resource, None) {
            store.remove(&resource, &object.key);
        }
    }
    store.kinds.remove(group, plural);
}

fn everything(store: &Store, resource: &Resource, namespace: Option<&str>) -> Vec<Arc<Stored>> {
    let reading = Reading {
        namespace: namespace.map(str::to_owned),
        ..Reading::default()
    };
    store
        .list(resource, &reading)
        .map(|page| page.items)
        .expect("the present is never too old")
}

/// An object that was only held by finalizers, and has none any more, ends.
pub(super) fn end_if_released(
    store: &mut Store,
    resource: &Arc<Resource>,
    stored: &Arc<Stored>,
    object: &Value,
) {
    if stored.is_ending && !rules::is_held(resource, object) {
        end(store, resource, stored);
    }
}

/// Goes one step with every namespace that is ending: what is in it goes, then it does.
pub(in super::super) fn release(store: &mut Store, now: i64) {
    let namespaces = store.kinds.find("", "v1", "namespaces");
    let namespaces = namespaces.expect("namespaces are built in");
    let ending = everything(store, &namespaces, None).into_iter();
    for namespace in ending.filter(|namespace| namespace.is_ending) {
        let mut left = BTreeMap::new();
        for resource in store.kinds.namespaced() {
            for stored in everything(store, &resource, Some(&namespace.key)) {
                let (_, name) = split(&stored.key);
                let order = Order {
                    resource: Arc::clone(&resource),
                    namespace: Some(namespace.key.to_string()),
                    name: name.to_owned(),
                    subresource: String::new(),
                    manager: String::new(),
                    force: false,
                    is_dry_run: false,
                    now,
                };
                let deleted = delete(store, &order, &Deletion::default());
                if deleted.is_ok_and(|deleted| deleted.is_held) {
                    *left.entry(resource.qualified()).or_insert(0) += 1;
                }
            }
        }
        let mut object = namespace.bare(&namespaces);
        if left.is_empty() {
            object["spec"] = json!({});
            if rules::is_held(&namespaces, &object) {
                store.put(
                    &namespaces,
                    &namespace.key,
                    &object,
                    namespace.managed.to_vec(),
                );
            } else {
                end(store, &namespaces, &namespace);
            }
        }
    }
}

/// Deletes what has lost all its owners, and lets go of what waits for what it owns.
pub(in super::super) fn collect_garbage(store: &mut Store, now: i64) {
    let _ = (store, now, BTreeSet::<String>::new());
}

impl From<Deleted> for Done {
    fn from(deleted: Deleted) -> Self {
        Self {
            code: 200,
            object: deleted.object,
        }
    }
}
