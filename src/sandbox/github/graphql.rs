//! `POST /graphql`: a small, real executor over our part of GitHub's schema. Variables, aliases,
//! fragments, nullability and partial errors work as the language has them.

use std::collections::BTreeMap;

use async_graphql_parser::parse_query;
use async_graphql_parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition,
    OperationType, Selection, SelectionSet, Type,
};
use async_graphql_parser::{Pos, Positioned};
use async_graphql_value::{ConstValue, Value as QueryValue};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::auth::Caller;
use super::call::Call;

mod check;
mod connection;
mod fields;
mod schema;
mod things;

use schema::schema;
use things::Thing;

/// The variables that came with a query, defaults filled in.
type Variables = BTreeMap<String, Value>;

/// The arguments of one field.
type Arguments = BTreeMap<String, Value>;

/// What a field gave.
enum Out {
    Null,
    Leaf(Value),
    One(Thing),
    Many(Vec<Item>),
}

/// A place in a list: something, nothing, or nothing for a reason.
enum Item {
    Thing(Thing),
    Failed(Trouble),
}

/// An error at one field; the rest of the query goes on.
#[derive(Debug)]
struct Trouble {
    kind: &'static str,
    message: String,
}

impl Trouble {
    fn forbidden() -> Self {
        Self {
            kind: "FORBIDDEN",
            message: "Resource not accessible by integration".to_owned(),
        }
    }

    fn not_found(message: String) -> Self {
        Self {
            kind: "NOT_FOUND",
            message,
        }
    }
}

/// A `null` that is not allowed where it stands, on its way to somebody who may be null.
struct Nulled;

/// What GitHub answers a query when the hourly points are used up.
pub(super) fn rate_limited() -> Reply {
    let error = json!({"type": "RATE_LIMITED", "message": "API rate limit exceeded"});
    Reply::ok(json!({"errors": [error]}))
}

pub(super) fn answer(call: &mut Call<'_>) -> Answer {
    if *call.caller == Caller::Anonymous {
        return Err(Refusal::new(
            401,
            "This endpoint requires you to be authenticated.",
        ));
    }
    let Some(query) = call.text("query").map(ToOwned::to_owned) else {
        return Ok(failed(
            "A query attribute must be specified and must be a string.",
        ));
    };
    call.points = 1;
    let document = match parse_query(&query) {
        Ok(document) => document,
        Err(error) => return Ok(failed(&format!("Parse error: {error}"))),
    };
    let Some(operation) = chosen_operation(&document, call.text("operationName")) else {
        return Ok(failed("An operation name is required"));
    };
    if operation.ty != OperationType::Query {
        call.unknown.push("a GraphQL mutation".to_owned());
        return Ok(failed("The sandbox answers queries only."));
    }
    let variables = match variables(operation, &call.body["variables"]) {
        Ok(variables) => variables,
        Err(message) => return Ok(failed(&message)),
    };
    let selection = &operation.selection_set.node;
    let findings = check::check(&document, selection, &variables);
    call.points = findings.points();
    call.unknown.extend(findings.unknown.iter().cloned());
    if !findings.errors.is_empty() {
        return Ok(Reply::ok(json!({"errors": findings.errors})));
    }
    if call
        .world
        .most_nodes
        .is_some_and(|most| findings.node_count() > most)
    {
        return Err(Refusal::new(
            502,
            "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug.",
        ));
    }
    let mut run = Run {
        call,
        document: &document,
        variables: &variables,
        node_count: findings.node_count(),
        errors: Vec::new(),
    };
    let data = run.selection(&Thing::Query, &[selection], &[]);
    let data = data.unwrap_or(Value::Null);
    let mut whole = json!({"data": data});
    if !run.errors.is_empty() {
        whole["errors"] = Value::Array(run.errors);
    }
    Ok(Reply::ok(whole))
}

fn failed(message: &str) -> Reply {
    Reply::ok(json!({"errors": [{"message": message}]}))
}

fn chosen_operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a OperationDefinition> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&operation.node),
        (DocumentOperations::Multiple(all), Some(name)) => {
            all.get(name).map(|operation| &operation.node)
        }
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => {
            all.values().next().map(|operation| &operation.node)
        }
        (DocumentOperations::Multiple(_), None) => None,
    }
}

fn variables(operation: &OperationDefinition, given: &Value) -> Result<Variables, String> {
    let mut variables = Variables::new();
    for definition in &operation.variable_definitions {
        let name = definition.node.name.node.as_str();
        let kind = &definition.node.var_type.node;
        let value = match given.get(name) {
            Some(value) => value.clone(),
            None => match definition.node.default_value() {
                Some(default) => json_of(default.clone()),
                None => Value::Null,
            },
        };
        if value.is_null() && !kind.nullable {
            return Err(format!(
                "Variable ${name} of type {kind} was provided invalid value"
            ));
        }
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn json_of(value: ConstValue) -> Value {
    value.into_json().expect("a GraphQL value is JSON")
}

/// A value in a query, its variables filled in.
fn value(value: &QueryValue, variables: &Variables) -> Value {
    let filled = value.clone().into_const_with(|name| {
        let found = variables.get(name.as_str()).cloned().unwrap_or_default();
        ConstValue::from_json(found)
    });
    filled.map_or(Value::Null, json_of)
}

/// A query that is being answered.
struct Run<'a, 'c> {
    call: &'a mut Call<'c>,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    node_count: u64,
    errors: Vec<Value>,
}

/// The fields to answer, by response key, in the order of the query; each with all its occurrences.
type Collected<'q> = Vec<(String, Vec<&'q Positioned<Field>>)>;

impl Run<'_, '_> {
    fn selection(
        &mut self,
        on: &Thing,
        selections: &[&SelectionSet],
        path: &[Value],
    ) -> Result<Value, Nulled> {
        let type_name = on.type_name(self.call.world);
        let document = self.document;
        let mut fields = Collected::new();
        for selection in selections {
            collect(document, self.variables, &type_name, selection, &mut fields);
        }
        let mut object = Map::new();
        for (key, occurrences) in fields {
            let mut path = path.to_vec();
            path.push(json!(key));
            let value = self.field(on, &type_name, &occurrences, &path)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    fn field(
        &mut self,
        on: &Thing,
        type_name: &str,
        occurrences: &[&Positioned<Field>],
        path: &[Value],
    ) -> Result<Value, Nulled> {
        let field = &occurrences[0].node;
        let name = field.name.node.as_str();
        if name == "__typename" {
            return Ok(json!(type_name));
        }
        let known = schema()
            .field(type_name, name)
            .expect("the query was checked against the schema");
        let arguments: Arguments = field
            .arguments
            .iter()
            .map(|(name, given)| (name.node.to_string(), value(&given.node, self.variables)))
            .collect();
        let below: Vec<&SelectionSet> = occurrences
            .iter()
            .map(|one| &one.node.selection_set.node)
            .collect();
        let at = occurrences[0].pos;
        let out = match self.resolve(on, name, &arguments) {
            Ok(out) => out,
            Err(trouble) => {
                self.report(&trouble, path, at);
                Out::Null
            }
        };
        let completed = self.complete(&known.result, out, &below, path, at);
        completed.or_else(|Nulled| nothing(&known.result))
    }

    fn complete(
        &mut self,
        wanted: &Type,
        out: Out,
        below: &[&SelectionSet],
        path: &[Value],
        at: Pos,
    ) -> Result<Value, Nulled> {
        match out {
            Out::Null | Out::Leaf(Value::Null) => nothing(wanted),
            Out::Leaf(value) => Ok(value),
            Out::One(thing) => self.selection(&thing, below, path),
            Out::Many(items) => {
                let BaseType::List(inner) = &wanted.base else {
                    unreachable!("the schema has a list where a resolver gives one");
                };
                let mut list = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    let mut path = path.to_vec();
                    path.push(json!(index));
                    list.push(self.item(inner, item, below, &path, at)?);
                }
                Ok(Value::Array(list))
            }
        }
    }

    fn item(
        &mut self,
        wanted: &Type,
        item: Item,
        below: &[&SelectionSet],
        path: &[Value],
        at: Pos,
    ) -> Result<Value, Nulled> {
        match item {
            Item::Thing(thing) => self
                .selection(&thing, below, path)
                .or_else(|Nulled| nothing(wanted)),
            Item::Failed(trouble) => {
                self.report(&trouble, path, at);
                nothing(wanted)
            }
        }
    }

    fn report(&mut self, trouble: &Trouble, path: &[Value], at: Pos) {
        self.errors.push(json!({
            "type": trouble.kind,
            "path": path,
            "locations": [{"line": at.line, "column": at.column}],
            "message": trouble.message,
        }));
    }
}

fn nothing(wanted: &Type) -> Result<Value, Nulled> {
    if wanted.nullable {
        Ok(Value::Null)
    } else {
        Err(Nulled)
    }
}

fn collect<'q>(
    document: &'q ExecutableDocument,
    variables: &Variables,
    type_name: &str,
    selection: &'q SelectionSet,
    fields: &mut Collected<'q>,
) {
    for item in &selection.items {
        if !included(item.node.directives(), variables) {
            continue;
        }
        match &item.node {
            Selection::Field(field) => {
                let key = field.node.response_key().node.to_string();
                match fields.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, occurrences)) => occurrences.push(field),
                    None => fields.push((key, vec![field])),
                }
            }
            Selection::InlineFragment(fragment) => {
                let condition = fragment.node.type_condition.as_ref();
                let wanted = condition.map_or(type_name, |one| one.node.on.node.as_str());
                if schema().is_a(type_name, wanted) {
                    let below = &fragment.node.selection_set.node;
                    collect(document, variables, type_name, below, fields);
                }
            }
            Selection::FragmentSpread(spread) => {
                let fragment = &document.fragments[&spread.node.fragment_name.node].node;
                if schema().is_a(type_name, fragment.type_condition.node.on.node.as_str()) {
                    let below = &fragment.selection_set.node;
                    collect(document, variables, type_name, below, fields);
                }
            }
        }
    }
}

/// `@include(if:)` and `@skip(if:)`.
fn included(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().all(|directive| {
        let condition = directive
            .node
            .get_argument("if")
            .map(|given| value(&given.node, variables) == json!(true));
        match directive.node.name.node.as_str() {
            "include" => condition != Some(false),
            "skip" => condition != Some(true),
            _ => true,
        }
    })
}
