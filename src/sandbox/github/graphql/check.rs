//! What GitHub refuses before it runs a query, and what the query will cost.

use async_graphql_parser::Pos;
use async_graphql_parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use serde_json::{Value, json};

use super::Variables;
use super::schema::schema;

/// The most nodes that a query may ask for.
const MOST_NODES: u64 = 500_000;

/// The most items of a connection.
const LARGEST_PAGE: i64 = 100;

/// What walking over a query found.
pub(super) struct Findings {
    pub(super) errors: Vec<Value>,
    /// Fields that our part of the schema has not.
    pub(super) unknown: Vec<String>,
    /// Requests that GitHub would need to fill every connection.
    requests: u64,
    nodes: u64,
}

impl Findings {
    /// GitHub's formula: a point for a hundred requests, and never none.
    pub(super) fn points(&self) -> u32 {
        u32::try_from((self.requests + 50) / 100)
            .unwrap_or(u32::MAX)
            .max(1)
    }

    pub(super) fn node_count(&self) -> u64 {
        self.nodes
    }
}

pub(super) fn check(
    document: &ExecutableDocument,
    selection: &SelectionSet,
    variables: &Variables,
) -> Findings {
    let mut walk = Walk {
        document,
        variables,
        findings: Findings {
            errors: Vec::new(),
            unknown: Vec::new(),
            requests: 0,
            nodes: 0,
        },
    };
    walk.selection("Query", selection, 1, &["query".to_owned()]);
    let mut findings = walk.findings;
    if findings.nodes > MOST_NODES && findings.errors.is_empty() {
        findings.errors.push(json!({
            "type": "MAX_NODE_LIMIT_EXCEEDED",
            "message": format!("This query requests up to {} possible nodes which exceeds the maximum limit of 500,000.", findings.nodes),
        }));
    }
    findings
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    findings: Findings,
}

impl Walk<'_> {
    fn selection(&mut self, on: &str, selection: &SelectionSet, times: u64, path: &[String]) {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => self.field(on, &field.node, field.pos, times, path),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let on = condition.map_or(on, |one| one.node.on.node.as_str());
                    self.fragment(on, &fragment.node.selection_set.node, times, path, item.pos);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else {
                        self.error(
                            &format!("Fragment {name} was used, but not defined"),
                            item.pos,
                            path,
                            &json!({"code": "useAndDefineFragment", "fragmentName": name.as_str()}),
                        );
                        continue;
                    };
                    let on = fragment.node.type_condition.node.on.node.as_str();
                    self.fragment(on, &fragment.node.selection_set.node, times, path, item.pos);
                }
            }
        }
    }

    fn fragment(
        &mut self,
        on: &str,
        selection: &SelectionSet,
        times: u64,
        path: &[String],
        at: Pos,
    ) {
        if schema().kind(on).is_none() {
            self.findings
                .unknown
                .push(format!("the GraphQL type `{on}`"));
            self.error(
                &format!("No such type {on}, so it can't be a fragment condition"),
                at,
                path,
                &json!({"code": "undefinedType", "typeName": on}),
            );
            return;
        }
        self.selection(on, selection, times, path);
    }

    fn field(&mut self, on: &str, field: &Field, at: Pos, times: u64, path: &[String]) {
        let name = field.name.node.as_str();
        if name == "__typename" {
            return;
        }
        let mut path = path.to_vec();
        path.push(field.response_key().node.to_string());
        let Some(known) = schema().field(on, name) else {
            self.findings
                .unknown
                .push(format!("the GraphQL field `{on}.{name}`"));
            let extensions = json!({"code": "undefinedField", "typeName": on, "fieldName": name});
            let message = format!("Field '{name}' doesn't exist on type '{on}'");
            return self.error(&message, at, &path, &extensions);
        };
        self.arguments(on, field, known, at, &path);
        let is_object = schema()
            .kind(known.type_name())
            .is_some_and(|kind| !kind.fields.is_empty());
        let has_selection = !field.selection_set.node.items.is_empty();
        if is_object != has_selection {
            let message = if is_object {
                format!(
                    "Field must have selections (field '{name}' returns {} but has no selections. Did you mean '{name} {{ ... }}'?)",
                    known.type_name()
                )
            } else {
                format!(
                    "Selections can't be made on scalars (field '{name}' returns {} but has selections)",
                    known.type_name()
                )
            };
            let extensions =
                json!({"code": "selectionMismatch", "nodeName": format!("field '{name}'")});
            return self.error(&message, at, &path, &extensions);
        }
        let below = if known.is_connection() {
            self.connection(name, field, times, &path)
        } else if name == "nodes" && on == "Query" {
            let ids = self.argument(field, "ids");
            times * ids.as_array().map_or(1, |ids| ids.len() as u64)
        } else {
            times
        };
        self.selection(known.type_name(), &field.selection_set.node, below, &path);
    }

    fn arguments(
        &mut self,
        on: &str,
        field: &Field,
        known: &super::schema::Field,
        at: Pos,
        path: &[String],
    ) {
        let name = field.name.node.as_str();
        for (argument, _) in &field.arguments {
            let given = argument.node.as_str();
            if !known.arguments.contains_key(given) {
                self.findings
                    .unknown
                    .push(format!("the GraphQL argument `{on}.{name}({given}:)`"));
                self.error(&format!("Field '{name}' doesn't accept argument '{given}'"), at, path, &json!({"code": "argumentNotAccepted", "name": name, "typeName": "Field", "argumentName": given}));
            }
        }
        let missing: Vec<&str> = known
            .arguments
            .iter()
            .filter(|(wanted, argument)| argument.required && field.get_argument(wanted).is_none())
            .map(|(wanted, _)| wanted.as_str())
            .collect();
        if !missing.is_empty() {
            let list = missing.join(", ");
            self.error(&format!("Field '{name}' is missing required arguments: {list}"), at, path, &json!({"code": "missingRequiredArguments", "className": "Field", "name": name, "arguments": list}));
        }
    }

    fn argument(&self, field: &Field, name: &str) -> Value {
        field.get_argument(name).map_or(Value::Null, |value| {
            super::value(&value.node, self.variables)
        })
    }

    /// Counts a connection and gives how often what is inside of it is asked for.
    fn connection(&mut self, name: &str, field: &Field, times: u64, path: &[String]) -> u64 {
        let (first, last) = (self.argument(field, "first"), self.argument(field, "last"));
        let (which, count) = match (first.as_i64(), last.as_i64()) {
            (Some(count), _) => ("first", count),
            (None, Some(count)) => ("last", count),
            (None, None) => {
                self.findings.errors.push(json!({
                    "type": "MISSING_PAGINATION_BOUNDARIES",
                    "path": path,
                    "locations": [],
                    "message": format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection."),
                }));
                return times;
            }
        };
        if !(0..=LARGEST_PAGE).contains(&count) {
            self.findings.errors.push(json!({
                "type": "EXCESSIVE_PAGINATION",
                "path": path,
                "locations": [],
                "message": format!("Requesting {count} records on the `{name}` connection exceeds the `{which}` limit of {LARGEST_PAGE} records."),
            }));
            return times;
        }
        let below = times * u64::try_from(count).unwrap_or(0);
        self.findings.requests += times;
        self.findings.nodes += below;
        below
    }

    fn error(&mut self, message: &str, at: Pos, path: &[String], extensions: &Value) {
        self.findings.errors.push(json!({
            "path": path,
            "extensions": extensions,
            "locations": [{"line": at.line, "column": at.column}],
            "message": message,
        }));
    }
}
