//! Batched reads. A partial answer keeps what it holds: one repository that cannot be read must not hide 99 others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::github::error::{Error, ErrorKind};
use crate::github::{Caller, Reader, transport};

/// Things asked for in one query.
pub(super) const BATCH: usize = 100;
/// A page is never made smaller than this, however slow GitHub is.
const SMALLEST_PAGE: usize = 10;

/// What GitHub answered, by the names (aliases) that the query gave.
#[derive(Debug)]
pub(super) struct Answered {
    pub data: Map<String, Value>,
    /// The error of each top-level field that has one.
    pub refused: BTreeMap<String, Refusal>,
}

#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// `NOT_FOUND`, `FORBIDDEN`, …
    pub kind: String,
    pub message: String,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Map<String, Value>>,
    #[serde(default)]
    errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    path: Vec<Value>,
}

impl Caller {
    /// Asks; an error that is not about one field of the answer is an error of the whole.
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Result<Answered, Error> {
        let answer = self.graphql(&json!({ "query": query, "variables": variables })).await?;
        let envelope: Envelope = transport::read("POST", "/graphql", &answer.body)?;
        if envelope.errors.iter().any(|error| error.kind == "RATE_LIMITED") {
            let mut error = Error::unexpected("POST", "/graphql", String::new());
            error.kind = ErrorKind::RateLimited { until: None };
            return Err(error);
        }
        let mut refused = BTreeMap::new();
        for WireError { kind, message, path } in envelope.errors {
            let Some(Value::String(field)) = path.into_iter().next() else {
                return Err(Error::unexpected("POST", "/graphql", message));
            };
            refused.entry(field).or_insert(Refusal { kind, message });
        }
        let data = envelope.data.ok_or_else(|| Error::unexpected("POST", "/graphql", "there is no `data`".to_owned()))?;
        Ok(Answered { data, refused })
    }
}

impl Reader {
    /// Asks for a page, and for a smaller one when GitHub has not the time for it.
    pub(super) async fn page(&self, query: &str, mut variables: Value) -> Result<Answered, Error> {
        let mut size = BATCH;
        loop {
            variables["first"] = json!(size);
            match self.caller.ask(query, variables.clone()).await {
                Err(Error { kind: ErrorKind::Unavailable { .. }, .. }) if size > SMALLEST_PAGE => size /= 2,
                answer => return answer,
            }
        }
    }
}

impl Answered {
    /// The value of a field that was asked for once; an error if GitHub refused it.
    pub(super) fn field(mut self, name: &str) -> Result<Value, Error> {
        match self.refused.remove(name) {
            Some(Refusal { kind, .. }) if kind == "NOT_FOUND" => Ok(Value::Null),
            Some(Refusal { message, .. }) => Err(Error::unexpected("POST", "/graphql", message)),
            None => Ok(self.data.remove(name).unwrap_or_default()),
        }
    }
}

/// Reads a value of an answer into what the caller needs of it.
pub(super) fn of_value<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| Error::unexpected("POST", "/graphql", error.to_string()))
}

/// `{nodes: […]}` of a connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nodes<T> {
    pub nodes: Vec<T>,
    #[serde(default)]
    pub page_info: PageInfo,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub has_next_page: bool,
    pub end_cursor: Option<String>,
}
