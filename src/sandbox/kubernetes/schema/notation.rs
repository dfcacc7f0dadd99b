//! Our short notation for built-in kinds. A line says something about one field; all else is as it comes:
//!
//! ```text
//! spec.selector!                           one field as a whole (lists without brackets are)
//! data{}: string                           a map with any keys
//! finalizers[*]                            a set
//! spec.containers[name].ports[containerPort,protocol].protocol = "TCP"
//! spec.replicas: integer = 1               a type, and what is filled in
//! ```

use serde_json::Value;

use super::{Kind, LOOSE, ListType, Schema};

/// Reads the notation.
///
/// # Panics
/// Where it is wrong: it is part of the program.
pub(in super::super) fn noted(text: &str) -> Schema {
    let mut schema = LOOSE.clone();
    schema.kind = Kind::Object;
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        note(&mut schema, line);
    }
    schema
}

fn note(schema: &mut Schema, line: &str) {
    let (rest, default) = match line.split_once(" = ") {
        Some((rest, default)) => (rest, Some(default)),
        None => (line, None),
    };
    let (path, kind) = match rest.split_once(": ") {
        Some((path, kind)) => (path, kind),
        None => (rest, ""),
    };
    let mut target = schema;
    for step in path.split('.') {
        target = descend(target, step);
    }
    if !kind.is_empty() {
        target.kind = kind_of(kind);
    }
    if let Some(default) = default {
        let value: Value = serde_json::from_str(default)
            .unwrap_or_else(|error| panic!("the default in `{line}`: {error}"));
        target.default = Some(value);
    }
}

fn descend<'a>(schema: &'a mut Schema, step: &str) -> &'a mut Schema {
    let end = step.find(['[', '{', '!']).unwrap_or(step.len());
    let (name, mark) = step.split_at(end);
    let field = schema
        .properties
        .entry(name.to_owned())
        .or_insert_with(|| LOOSE.clone());
    match mark.as_bytes().first() {
        Some(b'!') => {
            field.is_atomic = true;
            field
        }
        Some(b'{') => {
            field.kind = Kind::Object;
            field
                .additional
                .get_or_insert_with(|| Box::new(LOOSE.clone()))
        }
        Some(b'[') => {
            let (inside, after) = mark[1..].split_once(']').expect("a bracket closes");
            field.kind = Kind::Array;
            field.list = match inside {
                "" => ListType::Atomic,
                "*" => ListType::Set,
                keys => ListType::Map(keys.split(',').map(str::to_owned).collect()),
            };
            let item = field.items.get_or_insert_with(|| Box::new(LOOSE.clone()));
            item.is_atomic |= after == "!";
            item
        }
        _ => field,
    }
}

fn kind_of(word: &str) -> Kind {
    match word {
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "object" => Kind::Object,
        "array" => Kind::Array,
        "int-or-string" => Kind::IntOrString,
        other => panic!("the notation knows no type `{other}`"),
    }
}
