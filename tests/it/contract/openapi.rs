//! REST by GitHub's OpenAPI description: whether there is such an endpoint, and whether request and answer are like it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tenantry::sandbox::github::{Answered, Exchange};

use super::descriptions;
use super::schema::{Schema, followed};

pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| descriptions::json("openapi.json"));

static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(endpoints);

/// What GitHub may answer to any request at all, so that no endpoint mentions it: moved, not modified, not readable,
/// unauthorized, forbidden, not there or not to be seen, too many.
const ANYWHERE: [u16; 8] = [301, 304, 307, 400, 401, 403, 404, 429];

/// The media types by which JSON is asked for.
const JSON: [&str; 4] = ["", "*/*", "application/json", "application/vnd.github+json"];

/// One method on one path.
pub(crate) struct Endpoint {
    pub(crate) method: String,
    pub(crate) template: &'static str,
    parts: Vec<Part>,
    operation: &'static Value,
    parameters: Vec<&'static Value>,
}

/// What stands between two slashes of a template.
enum Part {
    Word(&'static str),
    /// `{owner}`
    Value(&'static str),
    /// One that may hold slashes.
    Path(&'static str),
}

impl Part {
    fn new(part: &'static str, parameters: &[&'static Value]) -> Self {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        // `{base}...{head}` stands beside `{basehead}` and means the same.
        let Some(name) = name.filter(|name| !name.contains('}')) else {
            return Self::Word(part);
        };
        let long = |one: &&&Value| one["name"] == name && one["x-multi-segment"] == true;
        match parameters.iter().find(long) {
            Some(_) => Self::Path(name),
            None => Self::Value(name),
        }
    }
}

impl Endpoint {
    /// `GET /repos/{owner}/{repo}`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    pub(crate) fn description(&self) -> &'static str {
        self.operation["description"].as_str().unwrap_or_default()
    }

    /// Whether an App may use it, by a token of an installation or by its JWT.
    pub(crate) fn is_for_apps(&self) -> bool {
        self.operation["x-github"]["enabledForGitHubApps"] == true || self.wants_jwt()
    }

    /// Whether only the App itself may ask, not one of its installations. GitHub says it in prose.
    pub(crate) fn wants_jwt(&self) -> bool {
        self.description().contains("must use a [JWT]")
    }

    fn words(&self) -> usize {
        let parts = self.parts.iter();
        parts.filter(|part| matches!(part, Part::Word(_))).count()
    }

    /// The values in a path; none if it is another endpoint's.
    fn values(&self, path: &[&str]) -> Option<Values> {
        let mut values = Values::new();
        let mut rest = path;
        for (index, part) in self.parts.iter().enumerate() {
            let (name, length) = match part {
                Part::Word(word) => {
                    rest = rest.strip_prefix(&[*word])?;
                    continue;
                }
                Part::Value(name) => (name, 1),
                // As far as the next word, or to the end; nothing stands for the root of a repository.
                Part::Path(name) => {
                    let next = self.parts.get(index + 1);
                    let ends = |one: &&str| matches!(next, Some(Part::Word(word)) if word == one);
                    (name, rest.iter().position(ends).unwrap_or(rest.len()))
                }
            };
            let (value, after) = rest.split_at_checked(length)?;
            values.insert(name, decoded(&value.join("/")));
            rest = after;
        }
        rest.is_empty().then_some(values)
    }

    fn parameter(&self, kind: &str, name: &str) -> Option<&'static Value> {
        let mut parameters = self.parameters.iter();
        let found = parameters.find(|one| one["in"] == kind && one["name"] == name);
        found.copied()
    }
}

fn endpoints() -> Vec<Endpoint> {
    let paths = DOCUMENT["paths"].as_object().expect("there are paths");
    let mut endpoints = Vec::new();
    for (template, methods) in paths {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            let parameters = operation["parameters"].as_array();
            let parameters = parameters.into_iter().flatten();
            let parameters: Vec<_> = parameters.map(|one| followed(&DOCUMENT, one)).collect();
            let parts = template.trim_matches('/').split('/');
            endpoints.push(Endpoint {
                method: method.to_uppercase(),
                template,
                parts: parts.map(|part| Part::new(part, &parameters)).collect(),
                operation,
                parameters,
            });
        }
    }
    endpoints
}

/// The values in a path, by the names that the endpoint gives them.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// The endpoint of a request with the values in its path. Of several that fit, the one with the most words and the
/// fewest values.
pub(crate) fn find(method: &str, path: &str) -> Option<(&'static Endpoint, Values)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fitting = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.method == method)
        .filter_map(|endpoint| Some((endpoint, endpoint.values(&parts)?)));
    fitting.max_by_key(|(endpoint, values)| (endpoint.words(), Reverse(values.len())))
}

/// What is wrong with a request.
pub(crate) fn request_faults(
    endpoint: &'static Endpoint,
    values: &Values,
    exchange: &Exchange,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, value) in values {
        let parameter = endpoint.parameter("path", name);
        let parameter = parameter.unwrap_or_else(|| panic!("`{name}` is not described"));
        faults.extend(value_faults(&format!("path {name}"), parameter, value));
    }
    let query = query(&exchange.request.path);
    for (name, value) in &query {
        match endpoint.parameter("query", name) {
            Some(parameter) => {
                faults.extend(value_faults(&format!("query {name}"), parameter, value));
            }
            None => faults.push(format!("query {name}: GitHub knows no such parameter")),
        }
    }
    let required = endpoint
        .parameters
        .iter()
        .filter(|one| one["in"] == "query" && one["required"] == true);
    let missing =
        required.filter(|one| !query.iter().any(|(name, _)| one["name"] == name.as_str()));
    faults.extend(missing.map(|one| format!("query {}: it is missing", one["name"])));
    faults.extend(accept_fault(endpoint, exchange));
    faults.extend(body_faults(endpoint, exchange));
    faults
}

fn query(path: &str) -> Vec<(String, String)> {
    let (_, query) = path.split_once('?').unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.replace('+', " "))
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decoded(name), decoded(value)),
            None => (decoded(&pair), String::new()),
        })
        .collect()
}

/// A value as it stands in a URL, read as its schema wants it.
fn value_faults(what: &str, parameter: &'static Value, text: &str) -> Vec<String> {
    let schema = &parameter["schema"];
    let kind = followed(&DOCUMENT, schema)["type"].as_str();
    let value = match kind {
        Some("integer") => text.parse().ok().map(|number: i64| Value::from(number)),
        Some("boolean") => text.parse().ok().map(Value::Bool),
        Some("array") => Some(text.split(',').map(Value::from).collect()),
        _ => None,
    };
    let value = value.unwrap_or_else(|| Value::from(text));
    compiled(schema).faults(what, &value)
}

/// Whatever but JSON is asked for must be named by the endpoint, as one of its answers or in its prose.
fn accept_fault(endpoint: &Endpoint, exchange: &Exchange) -> Option<String> {
    let accept = header(&exchange.headers, "accept");
    let known = JSON.contains(&accept) || names_media_type(endpoint, accept);
    (!known).then(|| format!("accept: GitHub knows no `{accept}` here"))
}

fn names_media_type(endpoint: &Endpoint, media_type: &str) -> bool {
    let answers = endpoint.operation["responses"].as_object();
    let mut answers = answers.into_iter().flatten();
    endpoint.description().contains(&format!("`{media_type}`"))
        || answers.any(|(_, answer)| {
            followed(&DOCUMENT, answer)["content"]
                .get(media_type)
                .is_some()
        })
}

fn body_faults(endpoint: &'static Endpoint, exchange: &Exchange) -> Vec<String> {
    let body = endpoint
        .operation
        .get("requestBody")
        .map(|body| followed(&DOCUMENT, body));
    if exchange.body.is_empty() {
        let required = body.is_some_and(|body| body["required"] == true);
        return Vec::from_iter(required.then(|| "body: it is missing".to_owned()));
    }
    let Some(body) = body else {
        return vec!["body: GitHub takes none here".to_owned()];
    };
    let media_type = media_type(&exchange.headers);
    let Some(described) = body["content"].get(media_type) else {
        return vec![format!("body: GitHub takes no `{media_type}` here")];
    };
    let Ok(value) = serde_json::from_slice(&exchange.body) else {
        return vec!["body: it is no JSON".to_owned()];
    };
    compiled(&described["schema"]).faults("body", &value)
}

/// What is wrong with an answer.
pub(crate) fn answer_faults(
    endpoint: &'static Endpoint,
    exchange: &Exchange,
    answer: &Answered,
) -> Vec<String> {
    let described = &endpoint.operation["responses"][answer.status.to_string()];
    if described.is_null() {
        return undescribed_faults(answer);
    }
    let described = followed(&DOCUMENT, described);
    let mut faults = header_faults(described, answer);
    let accept = header(&exchange.headers, "accept");
    let Some(contents) = described["content"].as_object() else {
        let empty = answer.body.is_empty();
        faults.extend((!empty).then(|| "body: GitHub sends none here".to_owned()));
        return faults;
    };
    if answer.status != 200 || JSON.contains(&accept) {
        let json = contents.get("application/json");
        faults.extend(json_faults(json.map(|json| &json["schema"]), answer));
    } else if media_type(&answer.headers) == "application/json" {
        // Raw texts and the like have no schema.
        faults.push(format!("body: `{accept}` was asked for, not JSON"));
    }
    faults
}

/// An answer that no endpoint mentions has the form that all errors have, or no body.
fn undescribed_faults(answer: &Answered) -> Vec<String> {
    if !ANYWHERE.contains(&answer.status) {
        return vec![format!(
            "status {}: GitHub does not answer so here",
            answer.status
        )];
    }
    if answer.body.is_empty() {
        return Vec::new();
    }
    json_faults(
        Some(&DOCUMENT["components"]["schemas"]["basic-error"]),
        answer,
    )
}

fn json_faults(schema: Option<&'static Value>, answer: &Answered) -> Vec<String> {
    if media_type(&answer.headers) != "application/json" {
        return vec![format!(
            "body: `{}` is not JSON",
            media_type(&answer.headers)
        )];
    }
    let Ok(value) = serde_json::from_slice(&answer.body) else {
        return vec!["body: it is no JSON".to_owned()];
    };
    let Some(schema) = schema else {
        return vec!["body: GitHub sends no JSON here".to_owned()];
    };
    compiled(schema).faults("body", &value)
}

fn header_faults(described: &'static Value, answer: &Answered) -> Vec<String> {
    let headers = described["headers"].as_object();
    let mut faults = Vec::new();
    for (name, header) in headers.into_iter().flatten() {
        let text = answer.headers.get(&name.to_lowercase());
        let header = followed(&DOCUMENT, header);
        faults.extend(
            text.into_iter()
                .flat_map(|text| value_faults(&format!("header {name}"), header, text)),
        );
    }
    faults
}

/// The compiled schema, which is made once.
pub(crate) fn compiled(schema: &'static Value) -> Arc<Schema> {
    static COMPILED: LazyLock<Mutex<HashMap<usize, Arc<Schema>>>> = LazyLock::new(Mutex::default);
    // The document never moves.
    let place = std::ptr::from_ref(schema).addr();
    let mut compiled = COMPILED.lock().expect("no panic while the lock is held");
    let made = compiled
        .entry(place)
        .or_insert_with(|| Arc::new(Schema::new(&DOCUMENT, schema)));
    Arc::clone(made)
}

fn header<'a>(headers: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    headers.get(name).map_or("", String::as_str)
}

/// `application/json` of `application/json; charset=utf-8`.
fn media_type(headers: &BTreeMap<String, String>) -> &str {
    let whole = header(headers, "content-type");
    whole.split(';').next().unwrap_or_default().trim()
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
