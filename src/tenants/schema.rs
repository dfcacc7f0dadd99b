//! The JSON Schema of the file, for editors and for tests: the tables of keys in other words.

use serde_json::{Map, Value, json};

use super::keys::{FILE, Key, Presence, Shape, Table};

/// JSON Schema (draft-07, which every YAML language server reads) of `tenants.yaml`.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tenants.yaml",
        "description": "The tenants of one organisation, read by Tenantry.",
    });
    let object = schema.as_object_mut().expect("it was just made one");
    object.extend(table(&FILE));
    schema
}

fn table(table: &Table) -> Map<String, Value> {
    let properties: Map<String, Value> = table
        .all()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = table
        .all()
        .filter(|key| key.presence == Presence::Required)
        .map(|key| key.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object.insert("properties".to_owned(), Value::Object(properties));
    object
}

fn property(key: &Key) -> Value {
    let mut schema = shape(&key.shape);
    if key.presence != Presence::Required {
        allow_null(&mut schema);
    }
    schema.insert("description".to_owned(), json!(key.doc));
    if let Presence::Default(default) = key.presence {
        schema.insert("default".to_owned(), default_value(&key.shape, default));
    }
    Value::Object(schema)
}

fn default_value(shape: &Shape, default: &str) -> Value {
    match shape {
        Shape::Bool => json!(default == "true"),
        Shape::Count => json!(default.parse::<u32>().ok()),
        Shape::Text(_) | Shape::Word(_) | Shape::Map(_) | Shape::Entries(_) | Shape::List(_) => {
            json!(default)
        }
    }
}

fn shape(shape: &Shape) -> Map<String, Value> {
    let schema = match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Shape::Text(format) if format.takes_numbers() => {
            with_type(json!(["string", "number"]), format.schema())
        }
        Shape::Text(format) => with_type(json!("string"), format.schema()),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Map(inner) => Value::Object(table(inner)),
        Shape::Entries(entries) => {
            let mut value = self::shape(&Shape::Text(entries.value));
            allow_null(&mut value);
            json!({
                "type": "object",
                "propertyNames": entries.key.schema(),
                "additionalProperties": value,
            })
        }
        Shape::List(items) => json!({ "type": "array", "items": self::shape(items) }),
    };
    match schema {
        Value::Object(schema) => schema,
        other => unreachable!("schemas are objects, not {other}"),
    }
}

fn with_type(types: Value, mut schema: Value) -> Value {
    schema["type"] = types;
    schema
}

/// Whatever may be left out may be `null` too.
fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(types) = schema.get_mut("type") {
        *types = match types.take() {
            Value::Array(mut types) => {
                types.push(json!("null"));
                Value::Array(types)
            }
            single => json!([single, "null"]),
        };
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
}
