//! What an object of a kind may hold: a `CustomResourceDefinition`'s OpenAPI schema, or our short notation for a built-in
//! kind. It decides how values merge, which fields stay, what is filled in, and what is refused.

mod check;
mod notation;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

pub(super) use check::check;
pub(super) use notation::noted;

/// The schema of one value.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own about a value"
)]
#[derive(Clone, Debug, Default)]
pub(super) struct Schema {
    pub(super) kind: Kind,
    properties: BTreeMap<String, Schema>,
    additional: Option<Box<Schema>>,
    items: Option<Box<Schema>>,
    pub(super) list: ListType,
    /// An object that is one field as a whole.
    pub(super) is_atomic: bool,
    keeps_unknown: bool,
    /// Fields that are not named here are known all the same: we have not written all of a built-in kind down.
    is_loose: bool,
    /// Holds an object of its own, with apiVersion, kind and metadata.
    pub(super) is_nullable: bool,
    pub(super) default: Option<Value>,
    pub(super) limits: Limits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ListType {
    /// They are not: the list is one field.
    #[default]
    Atomic,
    /// By their value.
    Set,
    /// By the values of these keys.
    Map(Vec<String>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) required: Vec<String>,
    pub(super) values: Vec<Value>,
    pub(super) pattern: Option<Regex>,
    pub(super) format: Option<String>,
    pub(super) length: (Option<u64>, Option<u64>),
    pub(super) count: (Option<u64>, Option<u64>),
    pub(super) range: (Option<f64>, Option<f64>),
}

static ANY: LazyLock<Schema> = LazyLock::new(|| Schema {
    keeps_unknown: true,
    ..Schema::default()
});

static LOOSE: LazyLock<Schema> = LazyLock::new(|| Schema {
    keeps_unknown: true,
    is_loose: true,
    ..Schema::default()
});

impl Schema {
    /// Reads an `openAPIV3Schema`; an error names what cannot be used.
    pub(super) fn from_openapi(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value[key].as_str();
        let number = |key: &str| value[key].as_u64();
        let kind = match text("type") {
            _ if value["x-kubernetes-int-or-string"] == true => Kind::IntOrString,
            None => Kind::Any,
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some(other) => return Err(format!("unknown type `{other}`")),
        };
        let mut properties = BTreeMap::new();
        for (name, property) in value["properties"].as_object().into_iter().flatten() {
            properties.insert(name.clone(), Self::from_openapi(property)?);
        }
        let part = |key: &str| -> Result<Option<Box<Self>>, String> {
            let part = value[key].is_object().then(|| &value[key]);
            part.map(|part| Self::from_openapi(part).map(Box::new))
                .transpose()
        };
        let pattern = text("pattern")
            .map(|pattern| Regex::new(pattern).map_err(|error| error.to_string()))
            .transpose()?;
        let keeps_unknown = value["x-kubernetes-preserve-unknown-fields"] == true
            || value["x-kubernetes-embedded-resource"] == true;
        Ok(Self {
            kind,
            properties,
            additional: part("additionalProperties")?,
            items: part("items")?,
            list: list_type(value),
            is_atomic: text("x-kubernetes-map-type") == Some("atomic"),
            keeps_unknown,
            is_loose: false,
            is_nullable: value["nullable"] == true,
            default: value.get("default").cloned(),
            limits: Limits {
                required: texts(&value["required"]),
                values: value["enum"].as_array().cloned().unwrap_or_default(),
                pattern,
                format: text("format").map(str::to_owned),
                length: (number("minLength"), number("maxLength")),
                count: (number("minItems"), number("maxItems")),
                range: (value["minimum"].as_f64(), value["maximum"].as_f64()),
            },
        })
    }

    /// The schema of a whole custom object: what every object has, and what the definition says.
    pub(super) fn of_custom_object(openapi: &Value) -> Result<Self, String> {
        let mut schema = if openapi.is_null() {
            ANY.clone()
        } else {
            Self::from_openapi(openapi)?
        };
        let text = || Self {
            kind: Kind::String,
            ..Self::default()
        };
        schema.kind = Kind::Object;
        schema.properties.insert("apiVersion".to_owned(), text());
        schema.properties.insert("kind".to_owned(), text());
        schema
            .properties
            .insert("metadata".to_owned(), noted(METADATA));
        Ok(schema)
    }

    /// The schema of a field of this object.
    pub(super) fn property(&self, name: &str) -> &Self {
        match (self.properties.get(name), &self.additional) {
            (Some(property), _) => property,
            (None, Some(additional)) => additional,
            (None, None) if self.is_loose => &LOOSE,
            (None, None) => &ANY,
        }
    }

    /// The schema of an item of this list.
    pub(super) fn item(&self) -> &Self {
        match &self.items {
            Some(items) => items,
            None if self.is_loose => &LOOSE,
            None => &ANY,
        }
    }

    /// Whether this is a field of a structure, and not just a key in a map.
    pub(super) fn names(&self, name: &str) -> bool {
        self.properties.contains_key(name) || (self.is_loose && self.additional.is_none())
    }

    fn knows(&self, name: &str) -> bool {
        self.keeps_unknown || self.properties.contains_key(name) || self.additional.is_some()
    }

    /// Drops what the schema does not know.
    pub(super) fn prune(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|name, _| self.knows(name));
                for (name, child) in map {
                    self.property(name).prune(child);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.item().prune(item);
                }
            }
            _ => {}
        }
    }

    /// The first field that the schema does not know, as `.spec.colour`.
    pub(super) fn unknown_field(&self, value: &Value) -> Option<String> {
        match value {
            Value::Object(map) => map.iter().find_map(|(name, child)| {
                if !self.knows(name) {
                    return Some(format!(".{name}"));
                }
                let below = self.property(name).unknown_field(child)?;
                Some(format!(".{name}{below}"))
            }),
            Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                let below = self.item().unknown_field(item)?;
                Some(format!("[{index}]{below}"))
            }),
            _ => None,
        }
    }

    /// Fills in the defaults of what is missing.
    pub(super) fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.fill_object(map),
            Value::Array(items) => {
                for item in items {
                    self.item().fill(item);
                }
            }
            _ => {}
        }
    }

    fn fill_object(&self, map: &mut Map<String, Value>) {
        for (name, property) in &self.properties {
            let is_missing = map
                .get(name)
                .is_none_or(|value| value.is_null() && !property.is_nullable);
            match &property.default {
                Some(default) if is_missing => {
                    map.insert(name.clone(), default.clone());
                }
                _ => {}
            }
        }
        for (name, child) in map {
            self.property(name).fill(child);
        }
    }
}

fn list_type(value: &Value) -> ListType {
    match value["x-kubernetes-list-type"].as_str() {
        Some("map") => ListType::Map(texts(&value["x-kubernetes-list-map-keys"])),
        Some("set") => ListType::Set,
        _ => ListType::Atomic,
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// What every object's metadata is like.
pub(super) const METADATA: &str = "
labels{}: string
annotations{}: string
finalizers[*]: string

ownerReferences[uid]!
";
