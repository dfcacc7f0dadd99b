//! The `patches` of a `kustomization.yaml`: JSON Patch (RFC 6902) for what a target picks, or fields of one object.
//!
//! Of a target kind and name are understood, of JSON Patch the operation `add`, and of fields maps and plain values.
//! Whatever else is asked for fails loudly.

use serde_json::Value;

/// Changes those of the manifests that a patch is for; says what kustomize would, where there is none.
pub(super) fn apply(entry: &Value, manifests: &mut [Value]) -> Result<(), String> {
    let text = entry["patch"].as_str().ok_or("a patch without `patch`")?;
    let patch: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    match (&entry["target"], &patch) {
        (Value::Object(target), Value::Array(operations)) => {
            let known = ["kind", "name"];
            if let Some(other) = target.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(not_understood(&format!("the target's `{other}`")));
            }
            let is_target = |manifest: &&mut Value| {
                let of = |wanted: &str, found: &Value| {
                    target.get(wanted).is_none_or(|pattern| pattern == found)
                };
                of("kind", &manifest["kind"]) && of("name", &manifest["metadata"]["name"])
            };
            for manifest in manifests.iter_mut().filter(is_target) {
                operations
                    .iter()
                    .try_for_each(|operation| add(operation, manifest))?;
            }
            Ok(())
        }
        (Value::Null, Value::Object(_)) => {
            let mut is_found = false;
            for manifest in manifests.iter_mut().filter(|found| is_same(found, &patch)) {
                merge(&patch, manifest)?;
                is_found = true;
            }
            let missing = || format!("no resource matches strategic merge patch {text:?}");
            is_found.then_some(()).ok_or_else(missing)
        }
        _ => Err(not_understood("a patch of this form")),
    }
}

fn not_understood(what: &str) -> String {
    format!("the pretend Flux does not understand {what}")
}

fn is_same(manifest: &Value, patch: &Value) -> bool {
    [
        "/apiVersion",
        "/kind",
        "/metadata/name",
        "/metadata/namespace",
    ]
    .iter()
    .all(|at| manifest.pointer(at) == patch.pointer(at))
}

fn add(operation: &Value, manifest: &mut Value) -> Result<(), String> {
    let path = operation["path"].as_str().unwrap_or_default();
    let (parent, key) = path.rsplit_once('/').unwrap_or_default();
    let value = operation["value"].clone();
    match (operation["op"].as_str(), manifest.pointer_mut(parent)) {
        (Some("add"), Some(Value::Array(list))) if key == "-" => list.push(value),
        (Some("add"), Some(Value::Object(map))) => {
            let key = key.replace("~1", "/").replace("~0", "~");
            map.insert(key, value);
        }
        (Some("add"), None) => {
            return Err(format!(
                "add operation does not apply: doc is missing path: {path:?}"
            ));
        }
        _ => return Err(not_understood(&format!("{operation}"))),
    }
    Ok(())
}

fn merge(patch: &Value, manifest: &mut Value) -> Result<(), String> {
    match patch {
        Value::Object(fields) => {
            if !manifest.is_object() {
                *manifest = Value::Object(serde_json::Map::new());
            }
            fields
                .iter()
                .try_for_each(|(key, value)| merge(value, &mut manifest[key.as_str()]))
        }
        Value::Null | Value::Array(_) => Err(not_understood("a list or a removal in a patch")),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *manifest = patch.clone();
            Ok(())
        }
    }
}
