//! What the cluster says of itself: versions, groups, resources.

use serde_json::{Value, json};

use super::kinds::{Kinds, Resource};

/// The version that this API is closest to.
const MINOR: &str = "33";

pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+sandbox"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "sandbox",
    })
}

pub(super) fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    })
}

pub(super) fn groups(kinds: &Kinds) -> Value {
    let groups: Vec<_> = group_names(kinds)
        .iter()
        .map(|name| group_entry(kinds, name))
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

pub(super) fn group(kinds: &Kinds, name: &str) -> Option<Value> {
    if !group_names(kinds).iter().any(|known| known == name) {
        return None;
    }
    let mut entry = group_entry(kinds, name);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    Some(entry)
}

fn group_names(kinds: &Kinds) -> Vec<String> {
    let mut names: Vec<_> = kinds.all().map(|resource| resource.group.clone()).collect();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

fn group_entry(kinds: &Kinds, name: &str) -> Value {
    let mut versions: Vec<_> = kinds
        .all()
        .filter(|resource| resource.group == name)
        .map(|resource| resource.version.clone())
        .collect();
    versions.dedup();
    let entry = |version: &String| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let preferred = versions.last().map(entry);
    let versions: Vec<_> = versions.iter().map(entry).collect();
    json!({ "name": name, "versions": versions, "preferredVersion": preferred })
}

/// The resources of a group and version; nothing where there is no such.
pub(super) fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let found: Vec<_> = kinds
        .all()
        .filter(|resource| resource.group == group && resource.version == version)
        .collect();
    let first = found.first()?;
    let entries: Vec<_> = found
        .iter()
        .flat_map(|resource| entries(resource))
        .collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": first.api_version(),
        "resources": entries,
    }))
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": verbs(resource),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let mut all = vec![entry];
    if resource.has_status {
        all.push(json!({
            "name": format!("{}/status", resource.plural),
            "singularName": "",
            "namespaced": resource.is_namespaced,
            "kind": resource.kind,
            "verbs": ["get", "patch", "update"],
        }));
    }
    all
}

pub(super) fn verbs(resource: &Resource) -> &'static [&'static str] {
    match resource.is_stored {
        false => &["create"],
        true if resource.is("", "namespaces") => &[
            "create", "delete", "get", "list", "patch", "update", "watch",
        ],
        true => &[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ],
    }
}
