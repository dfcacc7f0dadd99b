//! Schemas of OpenAPI 3.0 as JSON Schema, and beyond it: a field that no schema names is a fault too.
//!
//! GitHub ignores what it does not know in a request, so a wrong name would do nothing and look right; and a field
//! that only the embedded GitHub sends would be missed on the real one.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// What is said of one value is cut after so many characters.
const LONGEST: usize = 300;

/// Keywords that say something about a value and hold no schema.
const PLAIN: [&str; 13] = [
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "type",
    "uniqueItems",
];

pub(crate) struct Schema {
    /// The whole description, which references lead into.
    document: &'static Value,
    described: &'static Value,
    validator: Validator,
}

impl Schema {
    pub(crate) fn new(document: &'static Value, schema: &'static Value) -> Self {
        let mut referenced = BTreeSet::new();
        let mut whole = translated(schema, &mut referenced);
        whole["$defs"] = definitions(document, referenced);
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            // The crate takes no percent sign in one.
            .with_format("uri-template", |_| true)
            .build(&whole)
            .expect("GitHub's schemas are sound");
        Self {
            document,
            described: schema,
            validator,
        }
    }

    /// What is wrong with a value, each with its place in it.
    pub(crate) fn faults(&self, what: &str, value: &Value) -> Vec<String> {
        let mut faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .map(|error| format!("{what}{}: {}", error.instance_path, cut(&error)))
            .collect();
        self.unnamed(&[self.described], value, what, &mut faults);
        faults
    }

    /// Fields that none of the schemas for this value names.
    fn unnamed(
        &self,
        schemas: &[&'static Value],
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let leaves: Vec<_> = schemas
            .iter()
            .flat_map(|schema| self.leaves(schema))
            .collect();
        match value {
            Value::Object(fields) => {
                let open = leaves.iter().any(|leaf| is_open(leaf));
                for (name, field) in fields {
                    let at = format!("{at}/{name}");
                    let named: Vec<_> = leaves
                        .iter()
                        .filter_map(|leaf| field_of(leaf, name))
                        .collect();
                    if !named.is_empty() {
                        self.unnamed(&named, field, &at, faults);
                    } else if !open {
                        faults.push(format!("{at}: GitHub knows no such field"));
                    }
                }
            }
            Value::Array(items) => {
                let schemas: Vec<_> = leaves.iter().filter_map(|leaf| leaf.get("items")).collect();
                for (index, item) in items.iter().enumerate() {
                    self.unnamed(&schemas, item, &format!("{at}/{index}"), faults);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The schemas that a schema is made of, references followed.
    fn leaves(&self, schema: &'static Value) -> Vec<&'static Value> {
        let schema = followed(self.document, schema);
        let mut leaves = vec![schema];
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(keyword).and_then(Value::as_array);
            leaves.extend(
                parts
                    .into_iter()
                    .flatten()
                    .flat_map(|part| self.leaves(part)),
            );
        }
        leaves
    }
}

/// What a reference leads to; anything else is itself.
pub(crate) fn followed(document: &'static Value, mut value: &'static Value) -> &'static Value {
    while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        value = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("`{reference}` leads nowhere"));
    }
    value
}

/// Whether an object may have any fields: nothing is said about them, or that they are free.
fn is_open(schema: &Value) -> bool {
    let silent = schema.get("properties").is_none() && schema.get("additionalProperties").is_none();
    let composed = ["allOf", "anyOf", "oneOf"]
        .iter()
        .any(|keyword| schema.get(keyword).is_some());
    let object = schema.get("type").is_none_or(|kind| kind == "object");
    (silent && object && !composed)
        || schema.get("additionalProperties") == Some(&Value::Bool(true))
}

fn field_of(schema: &'static Value, name: &str) -> Option<&'static Value> {
    let named = schema.get("properties").and_then(|fields| fields.get(name));
    named.or_else(|| {
        schema
            .get("additionalProperties")
            .filter(|other| other.is_object())
    })
}

/// Every component that is referred to, directly or by others.
fn definitions(document: &'static Value, mut missing: BTreeSet<String>) -> Value {
    let mut definitions = BTreeMap::new();
    while let Some(name) = missing.pop_first() {
        let schema = &document["components"]["schemas"][&name];
        assert!(schema.is_object(), "there is no schema `{name}`");
        let mut referenced = BTreeSet::new();
        let translation = translated(schema, &mut referenced);
        definitions.insert(name, translation);
        missing.extend(
            referenced
                .into_iter()
                .filter(|name| !definitions.contains_key(name)),
        );
    }
    json!(definitions)
}

/// In the words of JSON Schema: what may be null says so in its type.
fn translated(schema: &Value, referenced: &mut BTreeSet<String>) -> Value {
    let Some(keywords) = schema.as_object() else {
        return schema.clone();
    };
    let mut translation = Map::new();
    for (keyword, value) in keywords {
        let value = match keyword.as_str() {
            "$ref" => reference(value, referenced),
            "properties" => mapped(value, referenced),
            "items" | "additionalProperties" | "not" => translated(value, referenced),
            "allOf" | "anyOf" | "oneOf" => {
                let parts = value.as_array().into_iter().flatten();
                parts.map(|part| translated(part, referenced)).collect()
            }
            plain if PLAIN.contains(&plain) => value.clone(),
            // Prose, examples, and what is for generators.
            _ => continue,
        };
        translation.insert(keyword.clone(), value);
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        or_null(translation)
    } else {
        Value::Object(translation)
    }
}

fn or_null(mut schema: Map<String, Value>) -> Value {
    let Some(kind) = schema.get("type").cloned() else {
        return json!({"anyOf": [{"type": "null"}, schema]});
    };
    schema.insert("type".to_owned(), json!([kind, "null"]));
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    Value::Object(schema)
}

fn mapped(fields: &Value, referenced: &mut BTreeSet<String>) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    fields
        .map(|(name, schema)| (name.clone(), translated(schema, referenced)))
        .collect::<Map<_, _>>()
        .into()
}

fn reference(value: &Value, referenced: &mut BTreeSet<String>) -> Value {
    let path = value.as_str().unwrap_or_default();
    let name = path
        .strip_prefix("#/components/schemas/")
        .unwrap_or_else(|| panic!("`{path}` is no schema"));
    referenced.insert(name.to_owned());
    json!(format!("#/$defs/{name}"))
}

fn cut(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
