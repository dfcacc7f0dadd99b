//! Going through values by their schema: which fields they set, what differs, merging, taking away.

use serde_json::{Map, Value};

use super::super::schema::{ListType, Schema};
use super::FieldSet;

/// What differs between two values.
#[derive(Debug, Default)]
pub(in super::super) struct Comparison {
    pub(in super::super) added: FieldSet,
    pub(in super::super) modified: FieldSet,
    pub(in super::super) removed: FieldSet,
}

impl Comparison {
    pub(in super::super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// What is there and was not so before.
    pub(in super::super) fn written(&self) -> FieldSet {
        self.added.union(&self.modified)
    }
}

/// How a value is gone through.
enum Shape<'a> {
    /// One field, whatever is in it.
    Leaf,
    Object(&'a Map<String, Value>),
    /// A list whose items are told apart by this.
    Items(&'a [Value], &'a ListType),
}

fn shape<'a>(value: &'a Value, schema: &'a Schema) -> Shape<'a> {
    match value {
        Value::Object(map) if !schema.is_atomic => Shape::Object(map),
        Value::Array(items) if schema.list != ListType::Atomic => Shape::Items(items, &schema.list),
        _ => Shape::Leaf,
    }
}

/// The step to an item of a list of this type.
fn item_step(item: &Value, list: &ListType, schema: &Schema) -> String {
    let ListType::Map(keys) = list else {
        return format!("v:{item}");
    };
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort();
    let mut named = Map::new();
    for key in keys {
        let default = schema.property(key).default.as_ref();
        if let Some(value) = item.get(key).or(default) {
            named.insert(key.clone(), value.clone());
        }
    }
    format!("k:{}", Value::Object(named))
}

fn field_step(name: &str) -> String {
    format!("f:{name}")
}

/// The fields that a value sets.
pub(in super::super) fn of(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, schema, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, schema: &Schema, path: &mut Vec<String>, set: &mut FieldSet) {
    match shape(value, schema) {
        Shape::Leaf => set.insert(path),
        Shape::Object(map) => {
            for (name, child) in map {
                path.push(field_step(name));
                collect(child, schema.property(name), path, set);
                let is_empty = child.is_null() || child.as_object().is_some_and(Map::is_empty);
                if is_empty || !schema.names(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::Items(items, list) => {
            for item in items {
                path.push(item_step(item, list, schema.item()));
                collect(item, schema.item(), path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}

/// What differs between what was and what is.
pub(in super::super) fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    let mut comparison = Comparison::default();
    differ(
        Some(old),
        Some(new),
        schema,
        &mut Vec::new(),
        &mut comparison,
    );
    comparison
}

fn differ(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: &Schema,
    path: &mut Vec<String>,
    into: &mut Comparison,
) {
    let nothing = Value::Null;
    let (left, right) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    let is_bare = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let children = if is_bare(left) && is_bare(right) {
        None
    } else {
        pairs(left, right, schema)
    };
    let Some(children) = children else {
        match (old, new) {
            (None, _) => into.added.insert(path),
            (_, None) => into.removed.insert(path),
            (Some(old), Some(new)) if old != new => into.modified.insert(path),
            _ => {}
        }
        return;
    };
    for (step, old, new, schema) in children {
        path.push(step);
        differ(old, new, schema, path, into);
        path.pop();
    }
    match (old, new) {
        (None, _) => into.added.insert(path),
        (_, None) => into.removed.insert(path),
        _ => {}
    }
}

type Pair<'a> = (String, Option<&'a Value>, Option<&'a Value>, &'a Schema);

/// The children of two values side by side; none where one of them is a leaf.
fn pairs<'a>(left: &'a Value, right: &'a Value, schema: &'a Schema) -> Option<Vec<Pair<'a>>> {
    let example = if left.is_null() { right } else { left };
    match shape(example, schema) {
        Shape::Leaf => None,
        Shape::Object(_) => {
            if !(left.is_object() || left.is_null()) || !(right.is_object() || right.is_null()) {
                return None;
            }
            let (old, new) = (left.as_object(), right.as_object());
            let mut pairs: Vec<Pair<'_>> = Vec::new();
            for (name, value) in old.into_iter().flatten() {
                let theirs = new.and_then(|map| map.get(name));
                pairs.push((field_step(name), Some(value), theirs, schema.property(name)));
            }
            for (name, value) in new.into_iter().flatten() {
                if old.is_none_or(|map| !map.contains_key(name)) {
                    pairs.push((field_step(name), None, Some(value), schema.property(name)));
                }
            }
            Some(pairs)
        }
        Shape::Items(_, list) => {
            let index = |value: &'a Value| -> Vec<(String, &'a Value)> {
                let items = value.as_array().into_iter().flatten();
                items
                    .map(|item| (item_step(item, list, schema.item()), item))
                    .collect()
            };
            let (old, new) = (index(left), index(right));
            let find = |items: &[(String, &'a Value)], step: &str| {
                items
                    .iter()
                    .find(|(other, _)| other == step)
                    .map(|(_, item)| *item)
            };
            let mut pairs: Vec<Pair<'_>> = Vec::new();
            for (step, item) in &old {
                pairs.push((step.clone(), Some(*item), find(&new, step), schema.item()));
            }
            for (step, item) in &new {
                if find(&old, step).is_none() {
                    pairs.push((step.clone(), None, Some(*item), schema.item()));
                }
            }
            Some(pairs)
        }
    }
}

/// The live value with what the configuration says written over it.
pub(in super::super) fn merge(live: Value, config: &Value, schema: &Schema) -> Value {
    match (live, config) {
        (Value::Object(mut live), Value::Object(config)) if !schema.is_atomic => {
            for (name, wanted) in config {
                let was = live.get_mut(name).map_or(Value::Null, Value::take);
                live.insert(name.clone(), merge(was, wanted, schema.property(name)));
            }
            Value::Object(live)
        }
        (Value::Array(live), Value::Array(config)) if schema.list != ListType::Atomic => {
            Value::Array(merge_items(live, config, schema))
        }
        (_, config) => config.clone(),
    }
}

/// Items that both have stand in the configuration's order; others keep their place before them.
fn merge_items(live: Vec<Value>, config: &[Value], schema: &Schema) -> Vec<Value> {
    let step = |item: &Value| item_step(item, &schema.list, schema.item());
    let wanted: Vec<(String, &Value)> = config.iter().map(|item| (step(item), item)).collect();
    let is_wanted = |key: &str| wanted.iter().any(|(other, _)| other == key);
    let live: Vec<(String, Value)> = live.into_iter().map(|item| (step(&item), item)).collect();
    let shared: Vec<&str> = wanted
        .iter()
        .map(|(key, _)| key.as_str())
        .filter(|key| live.iter().any(|(other, _)| other == key))
        .collect();
    let (mut merged, mut next, mut shared) = (Vec::new(), 0, shared.into_iter().peekable());
    let take = |key: &str, item: &Value| {
        let was = live.iter().find(|(other, _)| other == key);
        let was = was.map_or(Value::Null, |(_, item)| item.clone());
        merge(was, item, schema.item())
    };
    for (key, item) in &live {
        if !is_wanted(key) {
            merged.push(item.clone());
            continue;
        }
        if shared.peek() != Some(&key.as_str()) {
            continue;
        }
        // Everything new that the configuration puts before this shared item comes before it here too.
        while let Some((wanted_key, wanted_item)) = wanted.get(next) {
            next += 1;
            merged.push(take(wanted_key, wanted_item));
            if shared.peek() == Some(&wanted_key.as_str()) {
                shared.next();
            }
            if wanted_key == key {
                break;
            }
        }
    }
    merged.extend(wanted[next..].iter().map(|(key, item)| take(key, item)));
    merged
}

/// The value without these fields; nothing where nothing is left of an object or list.
pub(in super::super) fn without(value: Value, fields: &FieldSet, schema: &Schema) -> Option<Value> {
    match value {
        Value::Object(map) if !schema.is_atomic && !map.is_empty() => {
            let mut left = Map::new();
            for (name, child) in map {
                let step = field_step(&name);
                if fields.has(&step) {
                    continue;
                }
                let child = match fields.below(&step) {
                    Some(below) => without(child, below, schema.property(&name)),
                    None => Some(child),
                };
                if let Some(child) = child {
                    left.insert(name, child);
                }
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        Value::Array(items) if schema.list != ListType::Atomic && !items.is_empty() => {
            let mut left = Vec::new();
            for item in items {
                let step = item_step(&item, &schema.list, schema.item());
                if fields.has(&step) {
                    continue;
                }
                match fields.below(&step) {
                    Some(below) => left.extend(without(item, below, schema.item())),
                    None => left.push(item),
                }
            }
            (!left.is_empty()).then_some(Value::Array(left))
        }
        leaf => Some(leaf),
    }
}
