//! Sets of an object's fields, as `metadata.managedFields` writes them, and what they do with a value.
//!
//! A step on the way to a field is the very text of `FieldsV1`: `f:spec`, `k:{"name":"web"}`, `v:"a"`.

mod path;
mod walk;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use path::readable;
pub(super) use walk::{compare, merge, of, without};

/// A set of fields, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(BTreeMap<String, Node>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    is_member: bool,
    below: FieldSet,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0
            .values()
            .all(|node| !node.is_member && node.below.is_empty())
    }

    /// Reads `FieldsV1`.
    pub(super) fn from_json(value: &Value) -> Self {
        let steps = value.as_object().into_iter().flatten();
        let nodes = steps.filter(|(step, _)| *step != ".").map(|(step, below)| {
            let children = below.as_object();
            let node = Node {
                is_member: children.is_none_or(|map| map.is_empty() || map.contains_key(".")),
                below: Self::from_json(below),
            };
            (step.clone(), node)
        });
        Self(nodes.collect())
    }

    /// Writes `FieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (step, node) in &self.0 {
            let mut below = Map::new();
            if node.is_member && !node.below.0.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            if let Value::Object(children) = node.below.to_json() {
                below.extend(children);
            }
            map.insert(step.clone(), Value::Object(below));
        }
        Value::Object(map)
    }

    /// Adds a field; its parents become no members by that.
    fn insert(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.0.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.is_member = true;
        } else {
            node.below.insert(rest);
        }
    }

    fn has(&self, step: &str) -> bool {
        self.0.get(step).is_some_and(|node| node.is_member)
    }

    fn below(&self, step: &str) -> Option<&Self> {
        let below = &self.0.get(step)?.below;
        (!below.0.is_empty()).then_some(below)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (step, node) in &other.0 {
            let target = all.0.entry(step.clone()).or_default();
            target.is_member |= node.is_member;
            target.below = target.below.union(&node.below);
        }
        all
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let shared = self.0.iter().filter_map(|(step, node)| {
            let theirs = other.0.get(step)?;
            let both = Node {
                is_member: node.is_member && theirs.is_member,
                below: node.below.intersection(&theirs.below),
            };
            both.counts().then(|| (step.clone(), both))
        });
        Self(shared.collect())
    }

    /// The members that the other set does not have.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let rest = self.0.iter().filter_map(|(step, node)| {
            let Some(theirs) = other.0.get(step) else {
                return Some((step.clone(), node.clone()));
            };
            let left = Node {
                is_member: node.is_member && !theirs.is_member,
                below: node.below.difference(&theirs.below),
            };
            left.counts().then(|| (step.clone(), left))
        });
        Self(rest.collect())
    }

    /// The members under which nobody owns anything: what may go.
    pub(super) fn without_owned(&self, owners: &Self) -> Self {
        let rest = self.0.iter().filter_map(|(step, node)| {
            let Some(theirs) = owners.0.get(step) else {
                return Some((step.clone(), node.clone()));
            };
            let left = Node {
                is_member: false,
                below: node.below.without_owned(&theirs.below),
            };
            left.counts().then(|| (step.clone(), left))
        });
        Self(rest.collect())
    }

    /// Every member, parents before children.
    pub(super) fn paths(&self) -> Vec<Vec<&str>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect<'a>(&'a self, prefix: &mut Vec<&'a str>, paths: &mut Vec<Vec<&'a str>>) {
        for (step, node) in &self.0 {
            prefix.push(step);
            if node.is_member {
                paths.push(prefix.clone());
            }
            node.below.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// A set of top-level fields and of fields one below, written `metadata.name`.
    pub(super) fn named(fields: &[&str]) -> Self {
        let mut set = Self::default();
        for field in fields {
            let steps: Vec<String> = field.split('.').map(|name| format!("f:{name}")).collect();
            set.insert(&steps);
        }
        set
    }
}

impl Node {
    fn counts(&self) -> bool {
        self.is_member || !self.below.0.is_empty()
    }
}
