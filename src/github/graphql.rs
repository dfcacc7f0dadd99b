//! GraphQL: many things in one request, and what to make of an answer that holds only some of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::Error;
use super::transport::{Answer, Request, TRIES, now};

/// The largest page that GitHub gives, and the most aliases or ids we ask for at once.
pub(super) const PAGE: usize = 100;

/// The size below which a page is not halved any more, but asked again.
const SMALLEST_PAGE: usize = 10;

/// After so long without a page that was too large, half as much again is asked for at once.
const GROWS_AFTER: Duration = Duration::from_mins(10);

/// A refusal holds no data; a longer answer is none.
const LONGEST_REFUSAL: usize = 4096;

pub(super) struct Query {
    /// For logs, errors, and the size of its pages.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) variables: Value,
    /// How often it may be asked when GitHub has no time for it.
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
    fn is_limit(&self) -> bool {
        self.kind.starts_with("RATE_LIMIT")
    }

    /// Whether less of the same would have been answered.
    fn is_too_much(&self) -> bool {
        matches!(self.kind.as_str(), "TIMEOUT" | "RESOURCE_LIMITS_EXCEEDED")
    }

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

/// What GitHub says in an answer of 200 that is a rate limit's refusal.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    if body.len() > LONGEST_REFUSAL {
        return None;
    }
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let limit = envelope.errors.into_iter().find(QueryError::is_limit)?;
    Some(limit.message)
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
            "RATE_LIMITED" | "RATE_LIMIT" => {
                Error::limited(*call, &self.answer.headers, message, now())
            }
            // A failure of GitHub's own has no type: "Something went wrong while executing your query".
            "" | "TIMEOUT" | "SERVICE_UNAVAILABLE" | "RESOURCE_LIMITS_EXCEEDED" => {
                Error::Unavailable { call, message }
            }
            _ => Error::Unexpected { call, message },
        }
    }
}

/// How much of each query GitHub had time for, as it was found out by all who asked.
#[derive(Default)]
pub(super) struct PageSizes(Mutex<BTreeMap<&'static str, Fitting>>);

#[derive(Clone, Copy)]
struct Fitting {
    size: usize,
    since: Instant,
}

impl PageSizes {
    /// What to ask for now: after a while a little more than what was answered last.
    fn of(&self, query: &'static str, now: Instant) -> usize {
        let mut sizes = self
            .0
            .lock()
            .expect("no code panics while it holds the sizes");
        let Some(fitting) = sizes.get_mut(query) else {
            return PAGE;
        };
        if now.saturating_duration_since(fitting.since) >= GROWS_AFTER {
            *fitting = Fitting {
                size: (fitting.size + fitting.size.div_ceil(2)).min(PAGE),
                since: now,
            };
        }
        fitting.size
    }

    fn fits(&self, query: &'static str, size: usize, now: Instant) {
        let mut sizes = self
            .0
            .lock()
            .expect("no code panics while it holds the sizes");
        sizes.insert(query, Fitting { size, since: now });
    }
}

/// How many things to ask for at once: fewer, once GitHub had no time for that many.
pub(super) struct PageSize {
    query: &'static str,
    size: usize,
    all: Arc<PageSizes>,
}

impl PageSize {
    pub(super) fn get(&self) -> usize {
        self.size
    }

    /// A large page is not asked for again, but in halves.
    pub(super) fn tries(&self) -> u32 {
        if self.size > SMALLEST_PAGE { 1 } else { TRIES }
    }

    /// Whether a smaller page is worth a try after this error.
    pub(super) fn halved_after(&mut self, error: &Error) -> bool {
        if !error.is_timeout() || self.size <= SMALLEST_PAGE {
            return false;
        }
        self.size = (self.size / 2).max(SMALLEST_PAGE);
        self.all.fits(self.query, self.size, Instant::now());
        tracing::info!(%error, query = self.query, size = self.size, "asking for less at once");
        true
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

/// A connection of which one page is all.
#[derive(Debug, Deserialize)]
pub(super) struct Nodes<N> {
    pub(super) nodes: Vec<N>,
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
    /// For a query of this name that wants so many things.
    pub(super) fn page_size(&self, query: &'static str, wanted: usize) -> PageSize {
        let all = Arc::clone(&self.transport.pages);
        PageSize {
            query,
            size: wanted.clamp(1, all.of(query, Instant::now())),
            all,
        }
    }

    /// Asks; an answer that names errors is one too, unless there is nothing in it, or less would have been answered.
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
        let decisive = |error: &&QueryError| error.is_limit() || error.is_too_much();
        let decisive = match partial.errors.iter().find(decisive) {
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
        let mut size = self.page_size(query.name, PAGE);
        let mut query = query;
        let mut after = after;
        loop {
            query.variables["first"] = size.get().into();
            query.variables["after"] = json!(after);
            query.tries = size.tries();
            let answer = self.query(&query).await;
            let page: Connection<N> = match answer.and_then(|partial| partial.at(pointer)) {
                Ok(page) => page,
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            };
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{GROWS_AFTER, PAGE, PageSizes};

    #[test]
    fn a_size_that_fitted_is_remembered_and_grows_slowly() {
        let sizes = PageSizes::default();
        let mut now = Instant::now();
        assert_eq!(sizes.of("Teams", now), PAGE);
        sizes.fits("Teams", 12, now);
        assert_eq!(sizes.of("Repositories", now), PAGE);
        let mut seen = Vec::new();
        for _ in 0..7 {
            assert_eq!(sizes.of("Teams", now), sizes.of("Teams", now));
            seen.push(sizes.of("Teams", now));
            let almost = GROWS_AFTER.saturating_sub(Duration::from_secs(1));
            assert_eq!(Some(&sizes.of("Teams", now + almost)), seen.last());
            now += GROWS_AFTER;
        }
        assert_eq!(seen, [12, 18, 27, 41, 62, 93, 100]);
    }
}
