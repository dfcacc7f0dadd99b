//! Merging: built-in < `defaults` < tenant < namespace. Maps merge, lists replace, `null` removes what lies below it.
//!
//! Nothing is copied together: the layers stay what they are in the file, and a look-up goes through them from above.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::keys::{Presence, Shape, Table};
use super::tree::{Map, Node, Value};

/// Maps of the same kind, the most specific first; the table's defaults lie below them all.
#[derive(Debug, Clone)]
pub(super) struct Layers<'a> {
    table: &'static Table,
    maps: Vec<&'a Map>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(table: &'static Table, top: Option<&'a Map>) -> Self {
        Self {
            table,
            maps: top.into_iter().collect(),
        }
    }

    /// The same with a more specific map on top, which may have more keys.
    pub(super) fn under(&self, top: &'a Map, table: &'static Table) -> Self {
        let maps = std::iter::once(top).chain(self.maps.iter().copied());
        Self {
            table,
            maps: maps.collect(),
        }
    }

    /// The value that counts; none where nothing is said or `null` was the last word.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        let said = self.maps.iter().find_map(|map| map.get(key));
        said.filter(|node| node.value != Value::Null)
    }

    /// A scalar as its type, or the built-in default; so too where it is malformed, which was reported.
    pub(super) fn value<T: FromStr>(&self, key: &str) -> T {
        self.optional(key).unwrap_or_else(|| self.built_in(key))
    }

    pub(super) fn optional<T: FromStr>(&self, key: &str) -> Option<T> {
        let text = self.node(key)?.scalar()?;
        match self.table.key(key)?.shape {
            Shape::Text(format) => format.check(text).ok()?,
            Shape::Bool
            | Shape::Count
            | Shape::Word(_)
            | Shape::Map(_)
            | Shape::Entries(_)
            | Shape::List(_) => {}
        }
        text.parse().ok()
    }

    /// The text of a key that has a built-in default.
    pub(super) fn text(&self, key: &str) -> String {
        self.value(key)
    }

    fn built_in<T: FromStr>(&self, key: &str) -> T {
        let presence = self.table.key(key).map(|key| key.presence);
        let Some(Presence::Default(default)) = presence else {
            unreachable!("`{key}` has a default in the table of {}", self.table.what);
        };
        let parsed = default.parse().ok();
        parsed.expect("defaults in the tables are well-formed")
    }

    /// The maps that stand behind a key, as layers themselves.
    pub(super) fn map(&self, key: &str) -> Self {
        let shape = self.table.key(key).map(|key| &key.shape);
        let Some(Shape::Map(table)) = shape else {
            unreachable!("`{key}` is a map in the table of {}", self.table.what);
        };
        Self {
            table,
            maps: self.maps_of(key),
        }
    }

    fn maps_of(&self, key: &str) -> Vec<&'a Map> {
        self.maps
            .iter()
            .filter_map(|map| map.get(key))
            .take_while(|node| node.value != Value::Null)
            .filter_map(Node::as_map)
            .collect()
    }

    /// A map with keys of the user's own: the union of the layers, without what a `null` takes away.
    pub(super) fn entries(&self, key: &str) -> BTreeMap<String, String> {
        let mut merged = BTreeMap::new();
        for pair in self.maps_of(key).into_iter().rev().flat_map(|map| &map.0) {
            match pair.value.scalar() {
                Some(text) => merged.insert(pair.key.clone(), text.to_owned()),
                None => merged.remove(&pair.key),
            };
        }
        merged
    }
}
