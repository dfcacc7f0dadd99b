//! GraphQL: many things in one request, and what to make of an answer that holds only some of them.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::{self, Error};
use super::transport::{Answer, Request, TRIES, now};

/// The largest page that GitHub gives, and the most aliases or ids we ask for at once.
pub(super) const PAGE: usize = 100;

/// The size below which a page is not halved any more, but asked again.
const SMALLEST_PAGE: usize = 10;

pub(super) struct Query {
    /// For logs and errors.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) variables: Value,
    pub(super) tries: u32,
}

impl Query {
    pub(super) fn new(name: &'static str, text: impl Into<String>, variables: Value) -> Self {
        Self {
            name,
            text: text.into(),
            variables,
            tries: TRIES,
        }
    }
}

/// What came, and what did not.
pub(super) struct Partial {
    pub(super) data: Value,
    pub(super) errors: Vec<QueryError>,
    answer: Answer,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<QueryError>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct QueryError {
    /// `NOT_FOUND`, `FORBIDDEN`, …; GitHub's own failures have none.
    #[serde(rename = "type", default)]
    kind: String,
    /// Keys and indices from the root of the data to the field that is null for this error.
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    pub(super) message: String,
}

impl QueryError {
    pub(super) fn is_not_found(&self) -> bool {
        self.kind == "NOT_FOUND"
    }

    /// Whether it is about this field, something below it, or something around it.
    pub(super) fn is_under(&self, prefix: &[&str]) -> bool {
        self.path
            .iter()
            .zip(prefix)
            .all(|(part, key)| is(part, key))
    }

    /// Whether it is about this field or something below it.
    pub(super) fn is_within(&self, field: &[&str]) -> bool {
        self.path.len() >= field.len() && self.is_under(field)
    }

    /// Whether it is about this very field.
    pub(super) fn is_at(&self, path: &[&str]) -> bool {
        self.path.len() == path.len() && self.is_under(path)
    }
}

fn is(part: &Value, key: &str) -> bool {
    match part {
        Value::String(text) => text == key,
        Value::Number(index) => key.parse().ok() == index.as_u64(),
        _ => false,
    }
}

impl Partial {
    /// The data as a type, if nothing is missing but what `known` explains.
    pub(super) fn complete_but<T: DeserializeOwned>(
        mut self,
        known: impl Fn(&QueryError) -> bool,
    ) -> Result<T, Error> {
        self.errors.retain(|error| !known(error));
        if let Some(error) = self.errors.first() {
            return Err(self.error(error));
        }
        self.read(&self.data)
    }

    pub(super) fn complete<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.complete_but(|_| false)
    }

    fn read<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Error> {
        T::deserialize(value)
            .map_err(|reason| Error::unreadable(&self.answer.call, &self.answer.body, &reason))
    }

    fn error(&self, error: &QueryError) -> Error {
        let call = Box::new(self.answer.call.clone());
        let message = error.message.clone();
        match error.kind.as_str() {
            "NOT_FOUND" => Error::NotFound { call, message },
            "FORBIDDEN" | "INSUFFICIENT_SCOPES" => Error::Forbidden {
                call,
                message,
                needs: None,
            },
            "RATE_LIMITED" | "RATE_LIMIT" => Error::RateLimited {
                call,
                message,
                until: error::reset(&self.answer.headers)
                    .unwrap_or_else(|| now() + error::UNNAMED_PAUSE),
            },
            // A failure of GitHub's own has no type: "Something went wrong while executing your query".
            "" | "TIMEOUT" | "SERVICE_UNAVAILABLE" | "RESOURCE_LIMITS_EXCEEDED" => {
                Error::Unavailable { call, message }
            }
            _ => Error::Unexpected { call, message },
        }
    }
}

/// How many things to ask for at once: fewer, once GitHub had no time for that many.
pub(super) struct PageSize(usize);

impl PageSize {
    pub(super) fn new(wanted: usize) -> Self {
        Self(wanted.clamp(1, PAGE))
    }

    pub(super) fn get(&self) -> usize {
        self.0
    }

    /// A large page is not asked for again, but in halves.
    pub(super) fn tries(&self) -> u32 {
        if self.0 > SMALLEST_PAGE { 1 } else { TRIES }
    }

    /// Whether a smaller page is worth a try after this error.
    pub(super) fn halved_after(&mut self, error: &Error) -> bool {
        if !matches!(error, Error::Unavailable { .. }) || self.0 <= SMALLEST_PAGE {
            return false;
        }
        self.0 = (self.0 / 2).max(SMALLEST_PAGE);
        tracing::debug!(%error, size = self.0, "asking for less at once");
        true
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection<N> {
    /// Or edges, where these carry what is asked for.
    #[serde(alias = "edges")]
    pub(super) nodes: Vec<N>,
    pub(super) page_info: PageInfo,
}

impl Client {
    /// Asks; an answer that names errors is one too, unless there is nothing in it.
    pub(super) async fn query(&self, query: &Query) -> Result<Partial, Error> {
        let body = json!({ "query": query.text, "variables": query.variables });
        let answer = self
            .send(Request::query(query.name, body, query.tries))
            .await?;
        let envelope: Envelope = answer.json()?;
        let partial = Partial {
            data: envelope.data.unwrap_or_default(),
            errors: envelope.errors,
            answer,
        };
        let limited = |error: &&QueryError| error.kind.starts_with("RATE_LIMIT");
        let decisive = match partial.errors.iter().find(limited) {
            Some(error) => Some(error),
            None if partial.data.is_null() => partial.errors.first(),
            None => None,
        };
        match decisive {
            Some(error) => Err(partial.error(error)),
            None => Ok(partial),
        }
    }

    /// Everything in the connection at `pointer`, page after page from `after`; the query takes `$first` and `$after`.
    pub(super) async fn connection<N: DeserializeOwned>(
        &self,
        query: Query,
        pointer: &str,
        after: Option<String>,
    ) -> Result<Vec<N>, Error> {
        let mut all = Vec::new();
        let mut size = PageSize::new(PAGE);
        let mut query = query;
        let mut after = after;
        loop {
            query.variables["first"] = size.get().into();
            query.variables["after"] = json!(after);
            query.tries = size.tries();
            let partial = match self.query(&query).await {
                Ok(partial) => partial,
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            };
            let page: Connection<N> = partial.at(pointer)?;
            all.extend(page.nodes);
            if !page.page_info.has_next_page {
                return Ok(all);
            }
            after = page.page_info.end_cursor;
        }
    }
}

impl Partial {
    /// The value at a JSON pointer, if the answer is complete.
    fn at<T: DeserializeOwned>(&self, pointer: &str) -> Result<T, Error> {
        match self.errors.first() {
            Some(error) => Err(self.error(error)),
            None => self.read_at(pointer),
        }
    }

    /// The value at a JSON pointer, though others may be missing.
    pub(super) fn read_at<T: DeserializeOwned>(&self, pointer: &str) -> Result<T, Error> {
        match (self.data.pointer(pointer), self.errors.first()) {
            (None | Some(Value::Null), Some(error)) => Err(self.error(error)),
            (value, _) => self.read(value.unwrap_or(&Value::Null)),
        }
    }
}

/// A query of many fields of one kind, each with variables of its own: no value stands in its text.
pub(super) struct Aliased {
    declarations: String,
    fields: String,
    variables: Map<String, Value>,
}

impl Aliased {
    pub(super) fn new() -> Self {
        Self {
            declarations: String::new(),
            fields: String::new(),
            variables: Map::new(),
        }
    }

    /// Declares `$name` for a value of a GraphQL type.
    pub(super) fn variable(&mut self, name: &str, kind: &str, value: impl Into<Value>) {
        write!(self.declarations, "${name}: {kind} ").expect("a String takes everything");
        self.variables.insert(name.to_owned(), value.into());
    }

    pub(super) fn field(&mut self, alias: &str, field: &str) {
        writeln!(self.fields, "  {alias}: {field}").expect("a String takes everything");
    }

    /// The query; `within` is the field around them, and `fragments` follow.
    pub(super) fn query(self, name: &'static str, within: Option<&str>, fragments: &str) -> Query {
        let Self {
            declarations,
            fields,
            variables,
        } = self;
        let body = match within {
            Some(parent) => format!("{parent} {{\n{fields}}}"),
            None => fields,
        };
        let text = format!("query {name}({declarations}) {{\n{body}}}\n{fragments}");
        Query::new(name, text, Value::Object(variables))
    }
}
