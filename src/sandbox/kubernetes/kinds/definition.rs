//! A kind from its `CustomResourceDefinition`.

use serde_json::{Value, json};

use super::super::schema::Schema;
use super::{Column, Generation, Resource, Source};

/// One resource for each served version of a definition.
pub(in super::super) fn from_definition(definition: &Value) -> Result<Vec<Resource>, String> {
    let spec = &definition["spec"];
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"] == true)
        .map(|version| resource(spec, version))
        .collect()
}

fn resource(spec: &Value, version: &Value) -> Result<Resource, String> {
    let names = &spec["names"];
    let text = |value: &Value, key: &str| {
        value[key]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("no {key}"))
    };
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let kind = text(names, "kind")?;
    Ok(Resource {
        group: text(spec, "group")?,
        version: text(version, "name")?,
        list_kind: text(names, "listKind").unwrap_or_else(|_| format!("{kind}List")),
        plural: text(names, "plural")?,
        singular: text(names, "singular").unwrap_or_else(|_| kind.to_lowercase()),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        is_namespaced: spec["scope"] == "Namespaced",
        has_status: version["subresources"]["status"].is_object(),
        generation: Generation::Content,
        is_stored: true,
        is_custom: true,
        columns: columns(version),
        schema: Schema::of_custom_object(&version["schema"]["openAPIV3Schema"])?,
        kind,
    })
}

fn columns(version: &Value) -> Vec<Column> {
    let name = Column::name();
    let declared = version["additionalPrinterColumns"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if declared.is_empty() {
        return vec![name, Column::age()];
    }
    let text = |column: &Value, key: &str| column[key].as_str().unwrap_or_default().to_owned();
    let rest = declared.iter().map(|column| Column {
        name: text(column, "name"),
        kind: text(column, "type"),
        format: text(column, "format"),
        description: text(column, "description"),
        priority: column["priority"].as_i64().unwrap_or_default(),
        source: Source::Path(text(column, "jsonPath")),
    });
    std::iter::once(name).chain(rest).collect()
}

/// What the API server adds to a definition that it serves.
pub(in super::super) fn condition(kind: &str, reason: &str, message: &str, now: &str) -> Value {
    json!({
        "type": kind,
        "status": "True",
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    })
}
