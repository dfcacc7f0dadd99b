//! GraphQL by GitHub's public schema: queries with their variables, and the data that comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Map, Value};
use tenantry::sandbox::github::{Answered, Exchange};

use super::descriptions;

/// Two of its fields stand in it twice, which makes it invalid as a whole.
static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    let text = descriptions::text("schema.graphql");
    let schema = Schema::parse(text, "schema.graphql");
    Valid::assume_valid(schema.unwrap_or_else(|error| error.partial))
});

/// A query that GitHub would take.
pub(crate) struct Query {
    document: Valid<ExecutableDocument>,
    /// `Repository.deployKeys`: each field that leads to something, by the type that has it. What only pages through it
    /// is no field of its own.
    pub(crate) ways: BTreeSet<String>,
    pub(crate) name: String,
}

type Checked = Result<Arc<Query>, String>;

/// Checks a query's text, each text once.
pub(crate) fn query(text: &str) -> Checked {
    static QUERIES: LazyLock<Mutex<HashMap<String, Checked>>> = LazyLock::new(Mutex::default);
    let mut queries = QUERIES.lock().expect("no panic while the lock is held");
    if let Some(checked) = queries.get(text) {
        return checked.clone();
    }
    let checked = Query::new(text).map(Arc::new);
    queries.insert(text.to_owned(), checked.clone());
    checked
}

impl Query {
    fn new(text: &str) -> Result<Self, String> {
        let document = ExecutableDocument::parse_and_validate(&SCHEMA, text, "query")
            .map_err(|error| told(&error.errors))?;
        let mut ways = BTreeSet::new();
        let fragments = document
            .fragments
            .values()
            .map(|fragment| &fragment.selection_set);
        let operations = document
            .operations
            .iter()
            .map(|operation| &operation.selection_set);
        for set in operations.chain(fragments) {
            collect_ways(set, &mut ways);
        }
        let operation = document.operations.iter().next();
        let name = operation.and_then(|operation| operation.name.as_ref());
        let name = name.map(ToString::to_string).unwrap_or_default();
        Ok(Self {
            document,
            ways,
            name,
        })
    }

    fn operation(&self) -> &Operation {
        self.document
            .operations
            .iter()
            .next()
            .expect("a valid document has one")
    }
}

/// Each error on a line of its own, with its place in the query.
fn told(errors: &DiagnosticList) -> String {
    let lines = errors.iter().map(|error| {
        let error = error.to_json();
        let place = error.locations.first();
        let place = place.map(|place| format!("{}:{}: ", place.line, place.column));
        format!("{}{}", place.unwrap_or_default(), error.message)
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn collect_ways(set: &SelectionSet, ways: &mut BTreeSet<String>) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) if !field.selection_set.is_empty() => {
                let pages = set.ty.ends_with("Connection") || set.ty.ends_with("Edge");
                if !pages {
                    ways.insert(format!("{}.{}", set.ty, field.name));
                }
                collect_ways(&field.selection_set, ways);
            }
            Selection::InlineFragment(fragment) => collect_ways(&fragment.selection_set, ways),
            Selection::Field(_) | Selection::FragmentSpread(_) => {}
        }
    }
}

/// The query of a request, or what is wrong with it.
pub(crate) fn request(exchange: &Exchange) -> Result<(Arc<Query>, Vec<String>), String> {
    let body: Map<String, Value> =
        serde_json::from_slice(&exchange.body).map_err(|error| format!("body: {error}"))?;
    let text = body
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let query = query(text)?;
    let known = ["query", "variables", "operationName"];
    let unknown = body.keys().filter(|key| !known.contains(&key.as_str()));
    let mut faults: Vec<_> = unknown
        .map(|key| format!("body /{key}: GitHub knows no such field"))
        .collect();
    let variables = body.get("variables").cloned().unwrap_or_default();
    faults.extend(variable_faults(&query, &variables));
    Ok((query, faults))
}

fn variable_faults(query: &Query, variables: &Value) -> Vec<String> {
    let variables = variables.as_object().cloned().unwrap_or_default();
    let declared = &query.operation().variables;
    let undeclared = variables
        .keys()
        .filter(|name| !declared.iter().any(|one| one.name == name.as_str()));
    let mut faults: Vec<_> = undeclared
        .map(|name| format!("variable {name}: the query declares none"))
        .collect();
    let values: JsonMap = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let coerced = coerce_variable_values(&SCHEMA, query.operation(), &values);
    faults.extend(
        coerced
            .err()
            .map(|error| format!("variables: {}", error.message())),
    );
    faults
}

/// What is wrong with the answer to a query.
pub(crate) fn answer_faults(query: &Query, answer: &Answered) -> Vec<String> {
    // Refused before anybody looked at the query: bad credentials, a limit.
    if answer.status != 200 {
        return Vec::new();
    }
    let body: Map<String, Value> = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(error) => return vec![format!("body: {error}")],
    };
    let mut faults = Vec::new();
    for key in body
        .keys()
        .filter(|key| !["data", "errors"].contains(&key.as_str()))
    {
        faults.push(format!("body /{key}: GitHub knows no such field"));
    }
    match body.get("errors") {
        None => {}
        Some(Value::Array(errors)) if !errors.is_empty() => {
            let silent = errors.iter().filter(|error| !error["message"].is_string());
            faults.extend(silent.map(|error| format!("errors: {error} has no message")));
        }
        Some(other) => faults.push(format!("errors: {other} is no list with something in it")),
    }
    match body.get("data") {
        None | Some(Value::Null) => {
            let told = body.contains_key("errors");
            faults.extend((!told).then(|| "there is neither data nor an error".to_owned()));
        }
        Some(data) => Reading { query }.object(
            &[&query.operation().selection_set],
            data,
            "data",
            &mut faults,
        ),
    }
    faults
}

/// Data, held against the query that asked for it.
struct Reading<'a> {
    query: &'a Query,
}

/// A field that was asked for, and whether the object must have it: one of another type than the fragment's has not.
type Wanted<'a> = (&'a Field, bool);

impl<'a> Reading<'a> {
    fn object(&self, sets: &[&'a SelectionSet], value: &Value, at: &str, faults: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            faults.push(format!("{at}: {value} is no object"));
            return;
        };
        let mut wanted: BTreeMap<&str, (Vec<&Field>, bool)> = BTreeMap::new();
        for set in sets {
            let mut fields = Vec::new();
            self.collect(set, object, true, &mut fields);
            for (field, must) in fields {
                let entry = wanted.entry(field.response_key().as_str()).or_default();
                entry.0.push(field);
                entry.1 |= must;
            }
        }
        for key in object
            .keys()
            .filter(|key| !wanted.contains_key(key.as_str()))
        {
            faults.push(format!("{at}.{key}: nobody asked for it"));
        }
        for (key, (fields, must)) in wanted {
            let at = format!("{at}.{key}");
            match object.get(key) {
                Some(value) => self.value(fields[0].ty(), &fields, value, &at, faults),
                None if must => faults.push(format!("{at}: it is missing")),
                None => {}
            }
        }
    }

    fn collect(
        &self,
        set: &'a SelectionSet,
        object: &Map<String, Value>,
        must: bool,
        fields: &mut Vec<Wanted<'a>>,
    ) {
        for selection in &set.selections {
            let inner = match selection {
                Selection::Field(field) => {
                    fields.push((field, must));
                    continue;
                }
                Selection::InlineFragment(fragment) => &fragment.selection_set,
                Selection::FragmentSpread(spread) => {
                    let fragment = spread.fragment_def(&self.query.document);
                    &fragment
                        .expect("a valid query has its fragments")
                        .selection_set
                }
            };
            let surely = inner.ty == set.ty
                || SCHEMA.is_subtype(&inner.ty, &set.ty)
                || object
                    .get("__typename")
                    .is_some_and(|name| name == inner.ty.as_str());
            self.collect(inner, object, must && surely, fields);
        }
    }

    fn value(
        &self,
        kind: &Type,
        fields: &[&'a Field],
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        match (kind, value) {
            (Type::NonNullNamed(_) | Type::NonNullList(_), Value::Null) => {
                faults.push(format!("{at}: it is null, and `{kind}` never is"));
            }
            (_, Value::Null) => {}
            (Type::List(inner) | Type::NonNullList(inner), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(inner, fields, item, &format!("{at}[{index}]"), faults);
                }
            }
            (Type::List(_) | Type::NonNullList(_), _) => {
                faults.push(format!("{at}: {value} is no `{kind}`"));
            }
            (Type::Named(name) | Type::NonNullNamed(name), _) => match SCHEMA.types.get(name) {
                Some(ExtendedType::Enum(words)) => {
                    let known = value
                        .as_str()
                        .is_some_and(|word| words.values.contains_key(word));
                    faults.extend((!known).then(|| format!("{at}: {value} is no `{name}`")));
                }
                Some(ExtendedType::Scalar(_)) => {
                    let fits = is_scalar(name, value);
                    faults.extend((!fits).then(|| format!("{at}: {value} is no `{name}`")));
                }
                _ => {
                    let sets: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
                    self.object(&sets, value, at, faults);
                }
            },
        }
    }
}

fn is_scalar(name: &str, value: &Value) -> bool {
    match name {
        "Int" => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        "Float" => value.is_number(),
        "Boolean" => value.is_boolean(),
        "DateTime" => value
            .as_str()
            .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        "GitObjectID" => {
            let hex =
                |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            value.as_str().is_some_and(hex)
        }
        "BigInt" => value.is_string() || value.is_number(),
        _ => value.is_string(),
    }
}

/// What a schema has and GitHub's has not, or has otherwise.
pub(crate) fn deviations(text: &str) -> Vec<String> {
    let own = Schema::parse(text, "schema.graphql").unwrap_or_else(|error| error.partial);
    let mut deviations = Vec::new();
    for (name, kind) in own.types.iter().filter(|(_, kind)| !kind.is_built_in()) {
        let Some(theirs) = SCHEMA.types.get(name) else {
            deviations.push(format!("{name}: GitHub has no such type"));
            continue;
        };
        let own = parts(kind);
        let theirs = parts(theirs);
        let other = own.into_iter().filter(|part| !theirs.contains(part));
        deviations.extend(other.map(|part| format!("{name}: GitHub has no `{part}`")));
    }
    deviations
}

/// Each field with its type, each argument of it, each word of an enumeration.
fn parts(kind: &ExtendedType) -> BTreeSet<String> {
    let fields = match kind {
        ExtendedType::Object(object) => &object.fields,
        ExtendedType::Interface(interface) => &interface.fields,
        ExtendedType::Enum(words) => return words.values.keys().map(ToString::to_string).collect(),
        ExtendedType::Union(union) => {
            return union.members.iter().map(ToString::to_string).collect();
        }
        ExtendedType::InputObject(input) => {
            let fields = input.fields.values();
            return fields
                .map(|field| format!("{}: {}", field.name, field.ty))
                .collect();
        }
        ExtendedType::Scalar(_) => return BTreeSet::new(),
    };
    let mut parts = BTreeSet::new();
    for (name, field) in fields {
        parts.insert(format!("{name}: {}", field.ty));
        let arguments = field.arguments.iter();
        parts.extend(
            arguments.map(|argument| format!("{name}({}: {})", argument.name, argument.ty)),
        );
    }
    parts
}
