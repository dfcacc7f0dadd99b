//! An object as it is kept: its JSON text, and of what is in it only what finds it again.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::clock;
use super::fields::FieldSet;
use super::kinds::Resource;

/// Who set which fields, without the time: many objects share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    /// `status` where it was set there.
    pub(super) subresource: String,
    /// `FieldsV1` as text.
    pub(super) fields: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Managed {
    pub(super) claim: Arc<Claim>,
    /// Seconds since 1970.
    pub(super) time: i64,
}

/// An object in the store.
#[derive(Debug)]
pub(super) struct Stored {
    /// `namespace/name`, or the name alone.
    pub(super) key: Arc<str>,
    pub(super) revision: u64,
    pub(super) labels: Box<[(Arc<str>, Arc<str>)]>,
    pub(super) managed: Box<[Managed]>,
    pub(super) is_ending: bool,
    /// From `"metadata"` on, without the outermost opening brace.
    body: Box<str>,
    /// Where in the body the metadata's closing brace stands.
    seam: u32,
}

impl Stored {
    /// Takes an object apart; its resourceVersion and managedFields are given beside it.
    pub(super) fn new(
        key: Arc<str>,
        revision: u64,
        object: &Value,
        labels: Box<[(Arc<str>, Arc<str>)]>,
        managed: Vec<Managed>,
    ) -> Self {
        let metadata = object["metadata"].to_string();
        let mut body = format!("\"metadata\":{}", &metadata[..metadata.len() - 1]);
        let seam = u32::try_from(body.len()).expect("an object is smaller than 4 GiB");
        body.push('}');
        let rest = object.as_object().into_iter().flatten();
        for (name, value) in
            rest.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
        {
            body.push(',');
            body.push_str(&Value::from(name.as_str()).to_string());
            body.push(':');
            body.push_str(&value.to_string());
        }
        body.push('}');
        Self {
            key,
            revision,
            labels,
            managed: managed.into_boxed_slice(),
            is_ending: object["metadata"]["deletionTimestamp"].is_string(),
            body: body.into_boxed_str(),
            seam,
        }
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| &**key == name);
        found.map(|(_, value)| &**value)
    }

    /// The object without resourceVersion and managedFields.
    pub(super) fn bare(&self, resource: &Resource) -> Value {
        let text = format!(
            "{{\"apiVersion\":{},\"kind\":{},{}",
            json!(resource.api_version()),
            json!(resource.kind),
            self.body
        );
        serde_json::from_str(&text).expect("it was written by us")
    }

    /// The object as it is answered.
    pub(super) fn full(&self, resource: &Resource) -> Value {
        let text = self.text(resource);
        serde_json::from_str(&text).expect("it was written by us")
    }

    /// The object as it is answered, as text.
    pub(super) fn text(&self, resource: &Resource) -> String {
        self.text_at(resource, self.revision)
    }

    /// The same under another revision: that of its end.
    pub(super) fn text_at(&self, resource: &Resource, revision: u64) -> String {
        let mut text = format!(
            "{{\"apiVersion\":{},\"kind\":{},",
            json!(resource.api_version()),
            json!(resource.kind)
        );
        self.write(revision, &mut text);
        text
    }

    /// The object as it stands in a list: built-in kinds do not repeat what they are.
    pub(super) fn write_item(&self, resource: &Resource, into: &mut String) {
        if resource.is_custom {
            into.push_str(&self.text(resource));
        } else {
            into.push('{');
            self.write(self.revision, into);
        }
    }

    fn write(&self, revision: u64, into: &mut String) {
        let seam = self.seam as usize;
        into.push_str(&self.body[..seam]);
        if revision > 0 {
            into.push_str(&format!(",\"resourceVersion\":\"{revision}\""));
        }
        if !self.managed.is_empty() {
            into.push_str(",\"managedFields\":[");
            for (index, entry) in self.managed.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                entry.write(into);
            }
            into.push(']');
        }
        into.push_str(&self.body[seam..]);
    }
}

impl Managed {
    fn write(&self, into: &mut String) {
        let claim = &self.claim;
        into.push_str(&format!(
            "{{\"manager\":{},\"operation\":{:?},\"apiVersion\":{},\"time\":{:?},\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{}",
            json!(claim.manager),
            claim.operation.word(),
            json!(claim.api_version),
            clock::stamp(self.time),
            claim.fields,
        ));
        if !claim.subresource.is_empty() {
            into.push_str(&format!(",\"subresource\":{}", json!(claim.subresource)));
        }
        into.push('}');
    }

    pub(super) fn set(&self) -> FieldSet {
        let fields: Value = serde_json::from_str(&self.claim.fields).unwrap_or_default();
        FieldSet::from_json(&fields)
    }

    /// Reads entries that a client sent back.
    pub(super) fn from_json(entries: &Value) -> Vec<Self> {
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().into_iter().flatten();
        let read = entries
            .filter(|entry| entry["fieldsV1"].is_object())
            .map(|entry| Self {
                time: clock::seconds(&text(entry, "time")),
                claim: Arc::new(Claim {
                    manager: text(entry, "manager"),
                    operation: match entry["operation"].as_str() {
                        Some("Apply") => Operation::Apply,
                        _ => Operation::Update,
                    },
                    api_version: text(entry, "apiVersion"),
                    subresource: text(entry, "subresource"),
                    fields: entry["fieldsV1"].to_string(),
                }),
            });
        read.collect()
    }
}

impl Operation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// `namespace/name`, or the name alone.
pub(super) fn key(namespace: Option<&str>, name: &str) -> Arc<str> {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}").into(),
        None => name.into(),
    }
}

/// Namespace and name of a key.
pub(super) fn split(key: &str) -> (Option<&str>, &str) {
    match key.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, key),
    }
}

/// The metadata of an object, to change it.
///
/// # Panics
/// Where there is none: every object is given one on its way in.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    object["metadata"]
        .as_object_mut()
        .expect("an object has metadata")
}
