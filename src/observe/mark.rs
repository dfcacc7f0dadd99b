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
mod tests;
