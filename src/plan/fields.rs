//! Which leaf fields differ between what is wanted of an object and what is there.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::object::{Object, quantity};

/// One field, written as in `spec.hard.requests.cpu`; nothing where it is not set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The fields that we set and that are otherwise, and those that we set once and no longer want.
pub fn between(found: &Object, wanted: &Object) -> Vec<FieldChange> {
    let (found, wanted) = (as_value(found), as_value(wanted));
    let mut changes = Vec::new();
    differing("", Some(&found), &wanted, &mut changes);
    no_longer_wanted(&found, &wanted, &mut changes);
    changes.sort_by(|one, two| one.path.cmp(&two.path));
    changes
}

fn as_value(object: &Object) -> Cow<'_, Value> {
    match object {
        Object::Manifest(manifest) => Cow::Borrowed(manifest),
        Object::Repository(_)
        | Object::TeamAccess(_)
        | Object::Collaborator(_)
        | Object::Credentials(_)
        | Object::DeployKey(_)
        | Object::StrangeKey(_)
        | Object::FormerKey(_) => {
            Cow::Owned(serde_json::to_value(object).expect("our objects are plain data"))
        }
    }
}

fn differing(path: &str, found: Option<&Value>, wanted: &Value, changes: &mut Vec<FieldChange>) {
    if let Value::Object(wanted) = wanted {
        for (key, value) in wanted {
            differing(
                &join(path, key),
                found.and_then(|found| found.get(key)),
                value,
                changes,
            );
        }
        return;
    }
    if !found.is_some_and(|found| covers(found, wanted)) {
        changes.push(FieldChange {
            path: path.to_owned(),
            before: found.cloned(),
            after: Some(wanted.clone()),
        });
    }
}

/// Whether everything wanted is found: maps may hold more (defaults of the server), lists may not.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| covers(found, wanted))
        }
        (Value::String(found), Value::String(wanted)) => {
            found == wanted || quantity::same(found, wanted)
        }
        (found, wanted) => found == wanted,
    }
}

/// Fields that `metadata.managedFields` says are ours and that the wanted object does not hold.
fn no_longer_wanted(found: &Value, wanted: &Value, changes: &mut Vec<FieldChange>) {
    let Some(managers) = found
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
    else {
        return;
    };
    let owned = managers
        .iter()
        .filter(|entry| {
            entry["manager"] == crate::object::FIELD_MANAGER && entry["operation"] == "Apply"
        })
        .filter_map(|entry| entry["fieldsV1"].as_object());
    for fields in owned {
        surplus("", fields, Some(found), Some(wanted), changes);
    }
}

fn surplus(
    path: &str,
    fields: &Map<String, Value>,
    found: Option<&Value>,
    wanted: Option<&Value>,
    changes: &mut Vec<FieldChange>,
) {
    for (key, below) in fields {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        let (found, wanted) = (
            found.and_then(|found| found.get(name)),
            wanted.and_then(|wanted| wanted.get(name)),
        );
        let below = below
            .as_object()
            .filter(|below| below.keys().any(|key| key.starts_with("f:")));
        match (below, wanted, found) {
            (Some(below), _, _) => surplus(&join(path, name), below, found, wanted, changes),
            (None, None, Some(found)) => changes.push(FieldChange {
                path: join(path, name),
                before: Some(found.clone()),
                after: None,
            }),
            (None, _, _) => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
