//! Connections: pages by cursor.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::things::{Linked, Thing, permission_word};
use super::{Arguments, Item, Out, Trouble};

/// A page of things, with what was left out on both sides.
pub(super) struct Connection {
    pub(super) type_name: &'static str,
    pub(super) edge_type_name: &'static str,
    total: usize,
    page: Vec<Linked>,
    more_before: bool,
    more_after: bool,
}

/// The page of `all` that the arguments ask for. `all` is sorted by its keys.
pub(super) fn page(
    types: (&'static str, &'static str),
    all: Vec<Linked>,
    arguments: &Arguments,
) -> Result<Out, Trouble> {
    let total = all.len();
    let after = cursor(arguments, "after")?;
    let before = cursor(arguments, "before")?;
    let within = |one: &Linked| {
        after.is_none_or(|after| one.key > after) && before.is_none_or(|before| one.key < before)
    };
    let skipped_before = after.is_some_and(|after| all.iter().any(|one| one.key <= after));
    let skipped_after = before.is_some_and(|before| all.iter().any(|one| one.key >= before));
    let mut page: Vec<Linked> = all.into_iter().filter(within).collect();
    let found = page.len();
    let count = |name: &str| {
        let count = arguments.get(name)?.as_u64()?;
        usize::try_from(count).ok()
    };
    if let Some(first) = count("first") {
        page.truncate(first);
        let more = found > page.len() || skipped_after;
        return Ok(connection(types, total, page, (skipped_before, more)));
    }
    let last = count("last").unwrap_or(found).min(found);
    let page = page.split_off(found - last);
    let more = found > last || skipped_before;
    Ok(connection(types, total, page, (more, skipped_after)))
}

fn connection(
    (type_name, edge_type_name): (&'static str, &'static str),
    total: usize,
    page: Vec<Linked>,
    (more_before, more_after): (bool, bool),
) -> Out {
    Out::One(Thing::Connection(Rc::new(Connection {
        type_name,
        edge_type_name,
        total,
        page,
        more_before,
        more_after,
    })))
}

fn cursor(arguments: &Arguments, name: &str) -> Result<Option<u64>, Trouble> {
    let Some(text) = arguments.get(name).and_then(Value::as_str) else {
        return Ok(None);
    };
    let key = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("cursor:v2:")?.parse().ok());
    match key {
        Some(key) => Ok(Some(key)),
        None => Err(Trouble {
            kind: "INVALID_CURSOR_ARGUMENTS",
            message: format!("`{text}` does not appear to be a valid cursor."),
        }),
    }
}

impl Connection {
    fn cursor_of(&self, index: usize) -> String {
        STANDARD.encode(format!("cursor:v2:{}", self.page[index].key))
    }

    pub(super) fn field(self: &Rc<Self>, name: &str) -> Out {
        match name {
            "totalCount" => Out::Leaf(json!(self.total)),
            "totalDiskUsage" => Out::Leaf(json!(0)),
            "pageInfo" => Out::One(Thing::PageInfo(Rc::clone(self))),
            "nodes" => Out::Many(
                self.page
                    .iter()
                    .map(|one| Item::Thing(one.thing.clone()))
                    .collect(),
            ),
            "edges" => Out::Many(
                (0..self.page.len())
                    .map(|index| {
                        Item::Thing(Thing::Edge {
                            connection: Rc::clone(self),
                            index,
                        })
                    })
                    .collect(),
            ),
            _ => Out::Null,
        }
    }

    pub(super) fn edge_field(&self, index: usize, name: &str) -> Out {
        let linked = &self.page[index];
        match name {
            "cursor" => Out::Leaf(json!(self.cursor_of(index))),
            "node" => Out::One(linked.thing.clone()),
            "permission" => linked.permission.map_or(Out::Null, |permission| {
                Out::Leaf(permission_word(permission))
            }),
            _ => Out::Null,
        }
    }

    pub(super) fn page_info_field(&self, name: &str) -> Out {
        let last = self.page.len().checked_sub(1);
        let first = last.map(|_| 0);
        Out::Leaf(match name {
            "hasNextPage" => json!(self.more_after),
            "hasPreviousPage" => json!(self.more_before),
            "startCursor" => json!(first.map(|index| self.cursor_of(index))),
            "endCursor" => json!(last.map(|index| self.cursor_of(index))),
            _ => Value::Null,
        })
    }
}
