//! A field's path as people read it: `.spec.containers[name="web"].image`.

use serde_json::Value;

/// The readable form of the steps of `FieldsV1`.
pub(in super::super) fn readable(path: &[&str]) -> String {
    path.iter().map(|step| readable_step(step)).collect()
}

fn readable_step(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Value = serde_json::from_str(keys).unwrap_or_default();
            let keys = keys.as_object().into_iter().flatten();
            let keys: Vec<_> = keys.map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => format!("[{step}]"),
    }
}
