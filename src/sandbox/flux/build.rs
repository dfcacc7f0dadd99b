//! From the files of a directory to manifests: with a `kustomization.yaml` what it names, else every YAML file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::patches;

type Files = BTreeMap<String, String>;

const NAMES: &[&str] = &["kustomization.yaml", "kustomization.yml"];

/// What of a `kustomization.yaml` is understood here.
const UNDERSTOOD: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "namespace",
    "patches",
    "resources",
];

/// The manifests of a directory, or what kustomize would say against it.
pub(super) fn manifests(files: &Files) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    directory(files, "", &mut found)?;
    let mut known = BTreeSet::new();
    for manifest in &found {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = (
            text(&manifest["apiVersion"]),
            text(&manifest["kind"]),
            text(&manifest["metadata"]["namespace"]),
            text(&manifest["metadata"]["name"]),
        );
        if !known.insert(id.clone()) {
            return Err(format!(
                "kustomize build failed: may not add resource with an already registered id: {}.{}/{}.{}",
                id.1, id.0, id.3, id.2
            ));
        }
    }
    Ok(found)
}

fn directory(files: &Files, at: &str, found: &mut Vec<Value>) -> Result<(), String> {
    for name in NAMES {
        if let Some(text) = files.get(&format!("{at}{name}")) {
            return overlay(files, at, text, found);
        }
    }
    // Directories with a file of their own are taken as they say; the others file by file.
    let own: BTreeSet<&str> = files
        .keys()
        .filter_map(|path| {
            let (folder, name) = path.rsplit_once('/')?;
            (NAMES.contains(&name) && path.starts_with(at)).then_some(folder)
        })
        .collect();
    let is_own = |path: &str| {
        own.iter()
            .any(|folder| path.starts_with(&format!("{folder}/")))
    };
    for (path, text) in files
        .iter()
        .filter(|(path, _)| path.starts_with(at) && !is_own(path))
    {
        documents(path, text, found)?;
    }
    let is_inner = |folder: &&&str| {
        !own.iter()
            .any(|other| folder.starts_with(&format!("{other}/")))
    };
    for folder in own.iter().filter(is_inner) {
        directory(files, &format!("{folder}/"), found)?;
    }
    Ok(())
}

fn overlay(files: &Files, at: &str, text: &str, found: &mut Vec<Value>) -> Result<(), String> {
    let failed = |detail: &str| format!("kustomize build failed: {at}kustomization.yaml: {detail}");
    let overlay: Value = serde_yaml::from_str(text).map_err(|error| failed(&error.to_string()))?;
    let keys = overlay.as_object().into_iter().flatten();
    if let Some((key, _)) = keys
        .into_iter()
        .find(|(key, _)| !UNDERSTOOD.contains(&key.as_str()))
    {
        return Err(failed(&format!(
            "the pretend Flux does not understand `{key}`"
        )));
    }
    let first = found.len();
    for resource in overlay["resources"].as_array().into_iter().flatten() {
        let resource = resource.as_str().unwrap_or_default();
        let path =
            joined(at, resource).ok_or_else(|| failed(&format!("`{resource}` leads out of it")))?;
        let folder = format!("{path}/");
        match files.get(&path) {
            Some(text) => documents(&path, text, found)?,
            None if files.keys().any(|file| file.starts_with(&folder)) => {
                directory(files, &folder, found)?;
            }
            None => {
                let detail =
                    format!("accumulating resources: open {path}: no such file or directory");
                return Err(failed(&detail));
            }
        }
    }
    for patch in overlay["patches"].as_array().into_iter().flatten() {
        patches::apply(patch, &mut found[first..]).map_err(|detail| failed(&detail))?;
    }
    if let Some(namespace) = overlay["namespace"].as_str() {
        for manifest in &mut found[first..] {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
    }
    Ok(())
}

/// A path relative to a directory; none where it leads out of all.
fn joined(at: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = at.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn documents(path: &str, text: &str, found: &mut Vec<Value>) -> Result<(), String> {
    let failed = |detail: String| format!("failed to decode Kubernetes YAML from {path}: {detail}");
    for document in serde_yaml::Deserializer::from_str(text) {
        let value: Value = serde::Deserialize::deserialize(document)
            .map_err(|error: serde_yaml::Error| failed(error.to_string()))?;
        match value["items"].as_array() {
            _ if value.is_null() => {}
            Some(items)
                if value["kind"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with("List")) =>
            {
                for item in items {
                    found.push(checked(item.clone()).map_err(failed)?);
                }
            }
            _ => found.push(checked(value).map_err(failed)?),
        }
    }
    Ok(())
}

fn checked(manifest: Value) -> Result<Value, String> {
    for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
        let is_there = manifest.pointer(pointer).and_then(Value::as_str);
        if is_there.is_none_or(str::is_empty) {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            return Err(format!("missing {field} in object"));
        }
    }
    Ok(manifest)
}
