//! What a Kustomization has applied: `<namespace>_<name>_<group>_<kind>`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// An object that was applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) version: String,
}

impl Entry {
    pub(super) fn of(manifest: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let api_version = text(&manifest["apiVersion"]);
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        Self {
            namespace: text(&manifest["metadata"]["namespace"]),
            name: text(&manifest["metadata"]["name"]),
            group: group.to_owned(),
            kind: text(&manifest["kind"]),
            version: version.to_owned(),
        }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// A colon in a name, which RBAC allows, is written as two underscores.
    fn id(&self) -> String {
        let name = self.name.replace(':', "__");
        format!("{}_{name}_{}_{}", self.namespace, self.group, self.kind)
    }

    fn parse(entry: &Value) -> Option<Self> {
        let id = entry["id"].as_str()?;
        let (namespace, rest) = id.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
            group: group.to_owned(),
            kind: kind.to_owned(),
            version: entry["v"].as_str()?.to_owned(),
        })
    }
}

/// The entries of a status.
pub(super) fn read(status: &Value) -> BTreeSet<Entry> {
    let entries = status["inventory"]["entries"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter_map(Entry::parse)
        .collect()
}

/// Entries as a status holds them.
pub(super) fn write(entries: &BTreeSet<Entry>) -> Value {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| json!({ "id": entry.id(), "v": entry.version }))
        .collect();
    json!({ "entries": entries })
}
