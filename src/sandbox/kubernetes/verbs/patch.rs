//! Patches of an object: merge (RFC 7396) and JSON (RFC 6902).

use serde_json::Value;

use super::super::status::Refusal;

/// What a PATCH request brings.
#[derive(Clone, Debug)]
pub(in super::super) enum Patch {
    Apply(Value),
    Merge(Value),
    /// Kubernetes' own form; like a merge wherever no list is in it.
    Strategic(Value),
    Json(Vec<Value>),
}

impl Patch {
    /// Reads a body by its content type.
    pub(in super::super) fn parse(content_type: &str, body: &[u8]) -> Result<Self, Refusal> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let json = || -> Result<Value, Refusal> {
            serde_json::from_slice(body)
                .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))
        };
        match kind {
            "application/apply-patch+yaml" => Ok(Self::Apply(yaml(body)?)),
            "application/merge-patch+json" => Ok(Self::Merge(json()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(json()?)),
            "application/json-patch+json" => match json()? {
                Value::Array(operations) => Ok(Self::Json(operations)),
                _ => Err(Refusal::bad_request("a JSON patch is a list of operations")),
            },
            other => Err(Refusal::unsupported_media_type(other)),
        }
    }

    /// The object with the patch in it. An apply is done elsewhere.
    pub(super) fn onto(&self, object: Value) -> Result<Value, Refusal> {
        match self {
            Self::Apply(_) => Ok(object),
            Self::Merge(patch) => Ok(merged(object, patch)),
            Self::Strategic(patch) => {
                if let Some(what) = special(patch) {
                    return Err(Refusal::unsupported_media_type(&format!(
                        "application/strategic-merge-patch+json with {what}"
                    )));
                }
                Ok(merged(object, patch))
            }
            Self::Json(operations) => operations.iter().try_fold(object, operated),
        }
    }
}

/// YAML, of which JSON is a part.
pub(in super::super) fn yaml(body: &[u8]) -> Result<Value, Refusal> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    serde_yaml::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
}

fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut map = match target {
        Value::Object(map) => map,
        _ => serde_json::Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            map.shift_remove(name);
        } else {
            let was = map.get_mut(name).map_or(Value::Null, Value::take);
            map.insert(name.clone(), merged(was, change));
        }
    }
    Value::Object(map)
}

/// What in a strategic patch a merge would do otherwise.
fn special(patch: &Value) -> Option<&'static str> {
    match patch {
        Value::Object(map) => {
            if map.keys().any(|key| key.starts_with('$')) {
                return Some("directives");
            }
            map.values().find_map(special)
        }
        Value::Array(items) if items.iter().any(Value::is_object) => Some("lists of objects"),
        _ => None,
    }
}

fn operated(object: Value, operation: &Value) -> Result<Value, Refusal> {
    let text = |key: &str| operation[key].as_str().unwrap_or_default();
    let (kind, path) = (text("op"), text("path"));
    let failed = |detail: &str| {
        let message = format!("JSON patch: {kind} `{path}`: {detail}");
        Refusal::new(422, "Invalid", message)
    };
    let mut object = object;
    let missing = || failed("there is no such value");
    match kind {
        "add" => put(&mut object, path, operation["value"].clone(), true).ok_or_else(missing)?,
        "replace" => {
            put(&mut object, path, operation["value"].clone(), false).ok_or_else(missing)?;
        }
        "remove" => {
            take(&mut object, path).ok_or_else(missing)?;
        }
        "test" => {
            if object.pointer(path) != Some(&operation["value"]) {
                return Err(failed("the value is another one"));
            }
        }
        "copy" | "move" => {
            let from = text("from");
            let value = if kind == "move" {
                take(&mut object, from)
            } else {
                object.pointer(from).cloned()
            };
            put(&mut object, path, value.ok_or_else(missing)?, true).ok_or_else(missing)?;
        }
        _ => return Err(failed("there is no such operation")),
    }
    Ok(object)
}

/// The container of what a pointer names, and the last word.
fn parent<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Some((object.pointer_mut(parent)?, last))
}

fn put(object: &mut Value, path: &str, value: Value, may_be_new: bool) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    let (parent, last) = parent(object, path)?;
    match parent {
        Value::Object(map) => {
            if !may_be_new && !map.contains_key(&last) {
                return None;
            }
            map.insert(last, value);
        }
        Value::Array(items) if may_be_new => {
            let index = if last == "-" {
                items.len()
            } else {
                last.parse().ok()?
            };
            if index > items.len() {
                return None;
            }
            items.insert(index, value);
        }
        Value::Array(items) => *items.get_mut(last.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

fn take(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = parent(object, path)?;
    match parent {
        Value::Object(map) => map.shift_remove(&last),
        Value::Array(items) => {
            let index: usize = last.parse().ok()?;
            (index < items.len()).then(|| items.remove(index))
        }
        _ => None,
    }
}
