//! Making and changing objects.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::kinds::{self, Generation, Resource};
use super::super::object::{Managed, Stored, metadata};
use super::super::status::{Cause, Refusal};
use super::super::store::Store;
use super::super::{clock, names, ownership, rules};
use super::{Done, Order, Patch, metadata_text};

/// Makes an object.
pub(in super::super) fn create(
    store: &mut Store,
    order: &Order,
    body: Value,
) -> Result<Done, Refusal> {
    let mut order = order.clone();
    let mut object = received(&order, body)?;
    if let Some(name) = metadata_text(&object, "name") {
        name.clone_into(&mut order.name);
    } else if let Some(prefix) = metadata_text(&object, "generateName") {
        order.name = format!("{prefix}{}", names::random_suffix());
        metadata(&mut object).insert("name".to_owned(), json!(order.name));
    }
    admit(store, &order)?;
    if metadata_text(&object, "resourceVersion").is_some() {
        return Err(Refusal::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    metadata(&mut object).shift_remove("managedFields");
    let blank = blank(&order.resource);
    let managed_live = Vec::new();
    complete(&order, None, &mut object)?;
    let managed = ownership::update(
        &blank,
        &managed_live,
        &object,
        &order.resource.schema,
        &order.writer(),
    );
    insert(store, &order, &object, managed)
}

/// Replaces an object, or its status.
pub(in super::super) fn replace(
    store: &mut Store,
    order: &Order,
    body: Value,
) -> Result<Done, Refusal> {
    let object = received(order, body)?;
    let old = existing(store, order)?;
    if order.resource.is_custom && metadata_text(&object, "resourceVersion").is_none() {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update".to_owned(),
            field: "metadata.resourceVersion".to_owned(),
        };
        return Err(Refusal::invalid(&order.resource, &order.name, &[cause]));
    }
    change(store, order, &old, object)
}

/// Changes an object, or makes it where the patch is an apply.
pub(in super::super) fn patch(
    store: &mut Store,
    order: &Order,
    patch: &Patch,
) -> Result<Done, Refusal> {
    if let Patch::Apply(config) = patch {
        return apply(store, order, config.clone());
    }
    let old = existing(store, order)?;
    let object = patch.onto(old.full(&order.resource))?;
    let object = received(order, object)?;
    change(store, order, &old, object)
}

fn apply(store: &mut Store, order: &Order, config: Value) -> Result<Done, Refusal> {
    if order.manager.is_empty() {
        return Err(Refusal::without_manager());
    }
    let mut config = received(order, config)?;
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let old = store.get(&order.resource, &order.key());
    let revision = metadata_text(&config, "resourceVersion").map(str::to_owned);
    let uid = metadata_text(&config, "uid").map(str::to_owned);
    for key in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
        metadata(&mut config).shift_remove(key);
    }
    let resource = &order.resource;
    if let Some(field) = resource.schema.unknown_field(&config) {
        return Err(Refusal::untyped(order, &field));
    }
    let Some(old) = old else {
        if order.is_status() {
            return Err(Refusal::not_found(resource, &order.name));
        }
        admit(store, order)?;
        if revision.is_some() {
            return Err(Refusal::modified(resource, &order.name));
        }
        let (mut object, managed) = ownership::apply(
            &blank(resource),
            &[],
            &config,
            &resource.schema,
            &order.writer(),
            order.force,
        )?;
        complete(order, None, &mut object)?;
        return insert(store, order, &object, managed);
    };
    let live = old.bare(resource);
    expect_same(order, &old, &live, revision.as_deref(), uid.as_deref())?;
    let (mut object, managed) = ownership::apply(
        &live,
        &old.managed,
        &config,
        &resource.schema,
        &order.writer(),
        order.force,
    )?;
    complete(order, Some(&live), &mut object)?;
    keep(store, order, &old, &live, &object, managed)
}

/// Writes a changed object over the one that is there.
fn change(
    store: &mut Store,
    order: &Order,
    old: &Arc<Stored>,
    mut object: Value,
) -> Result<Done, Refusal> {
    let live = old.bare(&order.resource);
    let revision = metadata_text(&object, "resourceVersion").map(str::to_owned);
    let uid = metadata_text(&object, "uid").map(str::to_owned);
    expect_same(order, old, &live, revision.as_deref(), uid.as_deref())?;
    let sent = Managed::from_json(&object["metadata"]["managedFields"]);
    let entries = if sent.is_empty() {
        old.managed.to_vec()
    } else {
        sent
    };
    for key in ["resourceVersion", "managedFields"] {
        metadata(&mut object).shift_remove(key);
    }
    complete(order, Some(&live), &mut object)?;
    let schema = &order.resource.schema;
    let managed = ownership::update(&live, &entries, &object, schema, &order.writer());
    keep(store, order, old, &live, &object, managed)
}

/// The body, if it is an object of the kind, place and name that the path says.
fn received(order: &Order, body: Value) -> Result<Value, Refusal> {
    let Value::Object(mut object) = body else {
        return Err(Refusal::bad_request("the body is not an object"));
    };
    let resource = &order.resource;
    let api_version = resource.api_version();
    for (key, expected) in [
        ("apiVersion", api_version.as_str()),
        ("kind", &resource.kind),
    ] {
        match object.get(key).and_then(Value::as_str).unwrap_or_default() {
            "" => {
                object.insert(key.to_owned(), json!(expected));
            }
            given if given != expected => {
                return Err(Refusal::bad_request(format!(
                    "the {key} in the data ({given}) does not match the expected {key} ({expected})"
                )));
            }
            _ => {}
        }
    }
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(metadata) = metadata else {
        return Err(Refusal::bad_request("metadata is not an object"));
    };
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if !order.name.is_empty() && !text("name").is_empty() && text("name") != order.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            text("name"),
            order.name
        )));
    }
    if let Some(namespace) = &order.namespace {
        if !text("namespace").is_empty() && text("namespace") != namespace {
            return Err(Refusal::bad_request("the namespace of the provided object does not match the namespace sent on the request".to_string()));
        }
        metadata.insert("namespace".to_owned(), json!(namespace));
    } else {
        metadata.shift_remove("namespace");
    }
    if !order.name.is_empty() {
        metadata.insert("name".to_owned(), json!(order.name));
    }
    Ok(Value::Object(object))
}

/// Whether something new may stand here: its namespace is there and goes on, and its name is free.
fn admit(store: &Store, order: &Order) -> Result<(), Refusal> {
    let resource = &order.resource;
    if let Some(namespace) = &order.namespace {
        let namespaces = store.kinds.find("", "v1", "namespaces");
        let namespaces = namespaces.expect("namespaces are built in");
        match store.get(&namespaces, namespace) {
            None => return Err(Refusal::not_found(&namespaces, namespace)),
            Some(found) if found.is_ending => {
                return Err(Refusal::namespace_ending(resource, &order.name, namespace));
            }
            Some(_) => {}
        }
    }
    if !order.name.is_empty() && store.get(resource, &order.key()).is_some() {
        return Err(Refusal::already_exists(resource, &order.name));
    }
    Ok(())
}

fn existing(store: &Store, order: &Order) -> Result<Arc<Stored>, Refusal> {
    store
        .get(&order.resource, &order.key())
        .ok_or_else(|| Refusal::not_found(&order.resource, &order.name))
}

/// The object is still the one that the client means.
fn expect_same(
    order: &Order,
    old: &Stored,
    live: &Value,
    revision: Option<&str>,
    uid: Option<&str>,
) -> Result<(), Refusal> {
    if revision.is_some_and(|revision| revision != old.revision.to_string()) {
        return Err(Refusal::modified(&order.resource, &order.name));
    }
    let live = live["metadata"]["uid"].as_str().unwrap_or_default();
    match uid {
        Some(uid) if uid != live => Err(Refusal::conflict(
            &order.resource,
            &order.name,
            &format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {live}"),
        )),
        _ => Ok(()),
    }
}

/// An object before anything is in it.
fn blank(resource: &Resource) -> Value {
    let mut object = json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": {},
    });
    rules::blank(resource, &mut object);
    object
}

/// Fills in what the server fills in, and refuses what is wrong.
fn complete(order: &Order, live: Option<&Value>, object: &mut Value) -> Result<(), Refusal> {
    let resource = &order.resource;
    if order.is_status()
        && let Some(live) = live
    {
        let mut whole = live.clone();
        whole["status"] = object["status"].take();
        *object = whole;
    } else if resource.has_status {
        let status = live.map_or(Value::Null, |live| live["status"].clone());
        set_or_remove(object, "status", status);
    }
    if resource.is_custom {
        resource.schema.prune(object);
    }
    system_metadata(order, live, object);
    rules::prepare(resource, live, object)?;
    resource.schema.fill(object);
    let causes = rules::verify(order, live, object);
    if !causes.is_empty() {
        return Err(Refusal::invalid(resource, &order.name, &causes));
    }
    count_generation(resource, live, object);
    Ok(())
}

fn set_or_remove(object: &mut Value, key: &str, value: Value) {
    let map = object.as_object_mut().expect("an object was received");
    if value.is_null() {
        map.shift_remove(key);
    } else {
        map.insert(key.to_owned(), value);
    }
}

/// What only the server sets.
fn system_metadata(order: &Order, live: Option<&Value>, object: &mut Value) {
    let kept = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    let metadata = metadata(object);
    for key in kept {
        metadata.shift_remove(key);
        if let Some(value) = live.and_then(|live| live["metadata"].get(key)) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    if live.is_none() {
        metadata.insert("uid".to_owned(), json!(names::random_uid()));
        let now = clock::stamp(order.now);
        metadata.insert("creationTimestamp".to_owned(), json!(now));
    }
    for key in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let is_empty = |value: &Value| match value {
            Value::Object(map) => map.is_empty(),
            Value::Array(items) => items.is_empty(),
            other => other.is_null(),
        };
        if metadata.get(key).is_some_and(is_empty) {
            metadata.shift_remove(key);
        }
    }
}

fn count_generation(resource: &Resource, live: Option<&Value>, object: &mut Value) {
    if resource.generation == Generation::None {
        return;
    }
    let Some(live) = live else {
        metadata(object).insert("generation".to_owned(), json!(1));
        return;
    };
    let content = |object: &Value| match resource.generation {
        Generation::None => Value::Null,
        Generation::Spec => object["spec"].clone(),
        Generation::Content => {
            let mut content = object.clone();
            set_or_remove(&mut content, "metadata", Value::Null);
            if resource.has_status {
                set_or_remove(&mut content, "status", Value::Null);
            }
            content
        }
    };
    if content(live) != content(object) {
        let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
        metadata(object).insert("generation".to_owned(), json!(generation + 1));
    }
}

fn insert(
    store: &mut Store,
    order: &Order,
    object: &Value,
    managed: Vec<Managed>,
) -> Result<Done, Refusal> {
    let object = if order.is_dry_run {
        Arc::new(store.made(&order.key(), 0, object, managed))
    } else {
        let stored = store.put(&order.resource, &order.key(), object, managed);
        declare(store, order, object)?;
        stored
    };
    Ok(Done { code: 201, object })
}

fn keep(
    store: &mut Store,
    order: &Order,
    old: &Arc<Stored>,
    live: &Value,
    object: &Value,
    managed: Vec<Managed>,
) -> Result<Done, Refusal> {
    let code = 200;
    if live == object && *old.managed == managed {
        let object = Arc::clone(old);
        return Ok(Done { code, object });
    }
    if order.is_dry_run {
        let object = Arc::new(store.made(&order.key(), old.revision, object, managed));
        return Ok(Done { code, object });
    }
    let stored = store.put(&order.resource, &order.key(), object, managed);
    declare(store, order, object)?;
    super::delete::end_if_released(store, &order.resource, &stored, object);
    Ok(Done {
        code,
        object: stored,
    })
}

/// A definition that was stored declares its kind.
fn declare(store: &mut Store, order: &Order, object: &Value) -> Result<(), Refusal> {
    if !order
        .resource
        .is("apiextensions.k8s.io", "customresourcedefinitions")
    {
        return Ok(());
    }
    let resources = kinds::from_definition(object)
        .map_err(|error| Refusal::bad_request(format!("the definition cannot be used: {error}")))?;
    if let Some(first) = resources.first() {
        let (group, plural) = first.shelf();
        store.kinds.remove(&group, &plural);
    }
    for resource in resources {
        store.kinds.add(resource);
    }
    Ok(())
}
