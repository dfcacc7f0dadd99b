//! Refusing what a schema does not allow, in the API's words.

use serde_json::Value;

use super::super::status::Cause;
use super::{Kind, Schema};

/// Everything that is wrong with a value, each with its field.
pub(in super::super) fn check(value: &Value, schema: &Schema, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    look(value, schema, path, &mut causes);
    causes
}

fn look(value: &Value, schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema.is_nullable {
        return;
    }
    if !schema.kind.takes(value) {
        let word = schema.kind.word();
        let found = type_of(value);
        let detail = format!("{path} in body must be of type {word}: {found:?}");
        causes.push(Cause::invalid(path, &Value::from(found), &detail));
        return;
    }
    limits(value, schema, path, causes);
    match value {
        Value::Object(map) => {
            for name in &schema.limits.required {
                if !map.contains_key(name) {
                    causes.push(Cause::required(below(path, name), ""));
                }
            }
            for (name, child) in map {
                look(child, schema.property(name), &below(path, name), causes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, schema.item(), &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn limits(value: &Value, schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    let limits = &schema.limits;
    let mut invalid = |detail: &str| {
        causes.push(Cause::invalid(
            path,
            value,
            &format!("{path} in body {detail}"),
        ));
    };
    if let Value::String(text) = value {
        let length = text.chars().count() as u64;
        if let Some(most) = limits.length.1.filter(|most| length > *most) {
            invalid(&format!("should be at most {most} chars long"));
        }
        if let Some(least) = limits.length.0.filter(|least| length < *least) {
            invalid(&format!("should be at least {least} chars long"));
        }
        if let Some(pattern) = limits.pattern.as_ref().filter(|rule| !rule.is_match(text)) {
            invalid(&format!("should match '{pattern}'"));
        }
        if limits.format.as_deref() == Some("date-time") && text.parse::<jiff::Timestamp>().is_err()
        {
            invalid(&format!("must be of type date-time: {text:?}"));
        }
    }
    if let Value::Array(items) = value {
        let count = items.len() as u64;
        if let Some(most) = limits.count.1.filter(|most| count > *most) {
            invalid(&format!("should have at most {most} items"));
        }
        if let Some(least) = limits.count.0.filter(|least| count < *least) {
            invalid(&format!("should have at least {least} items"));
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(most) = limits.range.1.filter(|most| number > *most) {
            invalid(&format!("should be less than or equal to {most}"));
        }
        if let Some(least) = limits.range.0.filter(|least| number < *least) {
            invalid(&format!("should be greater than or equal to {least}"));
        }
    }
    if !limits.values.is_empty() && !limits.values.contains(value) {
        let supported: Vec<_> = limits.values.iter().map(Value::to_string).collect();
        causes.push(Cause::unsupported(path, value, &supported));
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || value.is_i64() || value.is_u64(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
