//! Recognises objects that are as they are wanted, when both are never at hand together.
//!
//! Objects are listed kind by kind, and wanted tenant by tenant; of ten thousand tenants neither side fits into memory.
//! So a hash of each wanted object is kept, and what is listed is compared with that at once.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::object::{FIELD_MANAGER, ManifestId};

/// The name of an object and all that we set in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 16]);

impl Mark {
    pub(super) fn of_wanted(id: &ManifestId, manifest: &Value) -> Self {
        let mut text = Vec::with_capacity(1024);
        write_wanted(manifest, &["apiVersion", "kind"], &mut text);
        Self::of(id, &text)
    }

    /// That of the wanted object if all that is ours in the one found, by `metadata.managedFields`, is what is wanted.
    /// Where it is another, or none, the two may still be the same to the server: `1` and `1000m`.
    pub(super) fn of_found(id: &ManifestId, manifest: &Value) -> Option<Self> {
        let mut text = Vec::with_capacity(1024);
        write_owned(manifest, owned(manifest)?, &mut text);
        Some(Self::of(id, &text))
    }

    fn of(id: &ManifestId, text: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        for part in [
            id.kind.as_str(),
            id.namespace.as_deref().unwrap_or_default(),
            &id.name,
        ] {
            hasher.update(part);
            hasher.update([0]);
        }
        hasher.update(text);
        let mut mark = [0; 16];
        mark.copy_from_slice(&hasher.finalize()[..16]);
        Self(mark)
    }
}

/// The fields that we have applied, in the notation of `fieldsV1`.
fn owned(manifest: &Value) -> Option<&Map<String, Value>> {
    let managers = manifest.pointer("/metadata/managedFields")?.as_array()?;
    let mut ours = managers.iter().filter(|entry| is_ours(entry));
    let first = ours.next()?;
    // Applied under two API versions: too rare to be put together.
    ours.next()
        .is_none()
        .then(|| first["fieldsV1"].as_object())
        .flatten()
}

/// Whether an entry of `managedFields` tells of our own server-side apply.
pub(super) fn is_ours(entry: &Value) -> bool {
    entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply"
}

/// The object with its keys in order, but without `identity` and the names below `metadata`, which nobody owns.
fn write_wanted(value: &Value, identity: &[&str], text: &mut Vec<u8>) {
    let Value::Object(map) = value else {
        return write(value, text);
    };
    let pairs = map
        .iter()
        .filter(|(key, _)| !identity.contains(&key.as_str()));
    write_map(pairs, text, |key, value, text| {
        if key == "metadata" && identity.contains(&"kind") {
            write_wanted(value, &["name", "namespace"], text);
        } else {
            write(value, text);
        }
    });
}

fn write_owned(found: &Value, fields: &Map<String, Value>, text: &mut Vec<u8>) {
    let pairs = fields.iter().filter_map(|(key, below)| {
        let key = key.strip_prefix("f:")?;
        Some((key, (found.get(key)?, below)))
    });
    write_map(pairs, text, |_, (found, below), text| {
        match below.as_object() {
            Some(below) if below.keys().any(|key| key.starts_with("f:")) => {
                write_owned(found, below, text);
            }
            // A leaf, or a list of which we own items: compared whole.
            _ => write(found, text),
        }
    });
}

/// JSON with the keys of every map in order.
fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(map) => write_map(map, text, |_, value, text| write(value, text)),
        Value::Array(items) => {
            text.push(b'[');
            for item in items {
                write(item, text);
                text.push(b',');
            }
            text.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write_scalar(value, text);
        }
    }
}

fn write_map<K: AsRef<str> + Ord, V>(
    pairs: impl IntoIterator<Item = (K, V)>,
    text: &mut Vec<u8>,
    mut value: impl FnMut(&str, V, &mut Vec<u8>),
) {
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
    text.push(b'{');
    for (key, inner) in pairs {
        let key = key.as_ref();
        write_scalar(&key, text);
        text.push(b':');
        value(key, inner, text);
        text.push(b',');
    }
    text.push(b'}');
}

fn write_scalar(value: &impl serde::Serialize, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("writing to memory");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Mark;
    use crate::object::{Kind, ManifestId};

    fn id() -> ManifestId {
        ManifestId {
            kind: Kind::ResourceQuota,
            namespace: Some("ai".to_owned()),
            name: "quota".to_owned(),
        }
    }

    fn wanted() -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": { "name": "quota", "namespace": "ai", "labels": { "b": "1", "a": "2" }, "annotations": {} },
            "spec": { "hard": { "pods": "5" }, "list": [{ "y": 1, "x": 2 }], "empty": {} },
        })
    }

    /// As the server answers: keys in another order, with what it and others added.
    fn found() -> Value {
        json!({
            "metadata": {
                "annotations": { "theirs": "x" },
                "labels": { "a": "2", "b": "1", "theirs": "x" },
                "managedFields": [
                    { "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:metadata": { "f:labels": { "f:theirs": {} } } } },
                    { "manager": "tenantry", "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { ".": {}, "f:a": {}, "f:b": {} } },
                        "f:spec": { "f:hard": { "f:pods": {} }, "f:list": {}, "f:empty": {} },
                    } },
                ],
                "name": "quota",
                "namespace": "ai",
                "uid": "7",
            },
            "spec": { "empty": {}, "hard": { "pods": "5" }, "list": [{ "x": 2, "y": 1 }], "theirs": true },
            "status": { "used": {} },
            "kind": "ResourceQuota",
            "apiVersion": "v1",
        })
    }

    #[test]
    fn what_others_added_does_not_matter() {
        let mut wanted = wanted();
        wanted["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        let mark = Mark::of_wanted(&id(), &wanted);
        assert_eq!(Mark::of_found(&id(), &found()), Some(mark));
    }

    #[test]
    fn whatever_of_ours_is_otherwise_is_not_recognised() {
        let mut wanted = wanted();
        wanted["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        let mark = Mark::of_wanted(&id(), &wanted);
        let edits: &[fn(&mut Value)] = &[
            |found| found["metadata"]["labels"]["a"] = json!("3"),
            |found| found["spec"]["hard"]["pods"] = json!(5),
            |found| found["spec"]["list"] = json!([]),
            |found| found["spec"]["list"][0]["z"] = json!(1),
            |found| {
                found["metadata"]["labels"]
                    .as_object_mut()
                    .unwrap()
                    .remove("b");
            },
            // Somebody else has taken the field over, though its value is the same.
            |found| {
                found
                    .pointer_mut("/metadata/managedFields/1/fieldsV1/f:spec")
                    .and_then(Value::as_object_mut)
                    .unwrap()
                    .remove("f:hard");
            },
            // We wanted more before.
            |found| {
                found["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:theirs"] = json!({});
            },
            |found| found["metadata"]["managedFields"] = json!([]),
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut found = found();
            edit(&mut found);
            assert_ne!(Mark::of_found(&id(), &found), Some(mark), "edit {index}");
        }
    }

    #[test]
    fn objects_of_other_names_have_other_marks() {
        let other = ManifestId {
            name: "other".to_owned(),
            ..id()
        };
        assert_ne!(
            Mark::of_wanted(&id(), &wanted()),
            Mark::of_wanted(&other, &wanted())
        );
    }
}
