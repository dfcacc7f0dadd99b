//! What can go wrong with GitHub: one variant for each thing a caller can do about it.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::pacer::{Heard, Refusal, Told, UNNAMED_PAUSE};

/// Longest quotation of a body that could not be read, in characters.
const LONGEST_QUOTE: usize = 300;

/// A setting that no client can be made of; the message says which and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(pub String);

/// The request that failed: no header and no body of it, and so no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    /// Path and query below the API's root; for GraphQL the name of the query as well.
    pub path: String,
    /// None where no answer came.
    pub status: Option<StatusCode>,
    /// `X-GitHub-Request-Id`, which GitHub's support asks for.
    pub request_id: Option<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{} {}`", self.method, self.path)?;
        match (self.status, &self.request_id) {
            (Some(status), Some(id)) => write!(formatter, " ({}, request {id})", status.as_u16()),
            (Some(status), None) => write!(formatter, " ({})", status.as_u16()),
            (None, _) => Ok(()),
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It does not exist, or this App may not know that it does.
    #[error("GitHub has not found what {call} asks for: {message}")]
    NotFound { call: Box<Call>, message: String },
    #[error("GitHub does not accept the credentials of {call}: {message}")]
    Unauthorized { call: Box<Call>, message: String },
    #[error("GitHub forbids {call}: {message}{}", hint(needs.as_deref()))]
    Forbidden {
        call: Box<Call>,
        message: String,
        /// The permissions that would do, in the form of `X-Accepted-GitHub-Permissions`: `administration=write`.
        needs: Option<String>,
    },
    /// GitHub understood the request and will not do it as it is.
    #[error("GitHub refuses {call}: {message}{}", listed(errors))]
    Invalid {
        call: Box<Call>,
        message: String,
        errors: Vec<String>,
    },
    /// The world changed in between, or is not ready for it.
    #[error("{call} conflicts with the present state on GitHub: {message}")]
    Conflict { call: Box<Call>, message: String },
    #[error("GitHub's rate limit lets {call} wait until {until}: {message}")]
    RateLimited {
        call: Box<Call>,
        message: String,
        until: Timestamp,
    },
    /// No answer, or a failure of GitHub's own: whether the request was done is not known.
    #[error("GitHub is not available for {call}: {message}")]
    Unavailable { call: Box<Call>, message: String },
    /// An answer that this program does not understand.
    #[error("unexpected answer of GitHub to {call}: {message}")]
    Unexpected { call: Box<Call>, message: String },
}

fn hint(needs: Option<&str>) -> String {
    match needs {
        Some(needs) => format!("\nhint: the App needs the permission `{needs}`"),
        None => String::new(),
    }
}

fn listed(errors: &[String]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    format!(" ({})", errors.join("; "))
}

impl Error {
    /// Whether the same request may succeed later without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Conflict { .. } => true,
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Invalid { .. }
            | Self::Unexpected { .. } => false,
        }
    }

    /// A repeat may be refused because an earlier try was done after all: then a new look tells what is to be done.
    pub(super) fn of_a_repeat(self) -> Self {
        match self {
            Self::Invalid { call, message, .. } => Self::Conflict { call, message },
            other => other,
        }
    }

    /// Whether GitHub had no time for what was asked: it gives a query ten seconds.
    pub(super) fn is_timeout(&self) -> bool {
        // A query that runs out of time may be answered with 200, and errors.
        let too_late = |status: StatusCode| matches!(status.as_u16(), 200 | 502 | 504);
        matches!(self, Self::Unavailable { call, .. } if call.status.is_some_and(too_late))
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub fn call(&self) -> &Call {
        match self {
            Self::NotFound { call, .. }
            | Self::Unauthorized { call, .. }
            | Self::Forbidden { call, .. }
            | Self::Invalid { call, .. }
            | Self::Conflict { call, .. }
            | Self::RateLimited { call, .. }
            | Self::Unavailable { call, .. }
            | Self::Unexpected { call, .. } => call,
        }
    }

    /// What a body that could not be read looks like: the reason and its beginning.
    pub(super) fn unreadable(call: &Call, body: &[u8], reason: &dyn std::error::Error) -> Self {
        let text = String::from_utf8_lossy(body);
        let quote: String = text.chars().take(LONGEST_QUOTE).collect();
        let cut = if quote.len() < text.len() { "…" } else { "" };
        Self::Unexpected {
            call: Box::new(call.clone()),
            message: format!("{reason} in `{quote}{cut}`"),
        }
    }

    /// What a refusal by a limit is.
    pub(super) fn limited(
        call: Call,
        headers: &HeaderMap,
        message: String,
        now: Timestamp,
    ) -> Self {
        let budget = told_budget(headers, now);
        let pause = match (refusal(headers, budget), budget) {
            (Refusal::Budget, Some(told)) => told.resets_in,
            (Refusal::Secondary(pause), _) => pause.unwrap_or(UNNAMED_PAUSE),
            (Refusal::Budget, None) => UNNAMED_PAUSE,
        };
        Self::RateLimited {
            call: Box::new(call),
            message,
            until: now + SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX),
        }
    }

    /// The error that an answer outside 2xx is.
    pub(super) fn of_answer(
        call: Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let (message, errors) = told(body, status);
        if is_limit(status, headers, &message) {
            return Self::limited(call, headers, message, now);
        }
        let call = Box::new(call);
        match status.as_u16() {
            401 => Self::Unauthorized { call, message },
            403 | 423 | 451 => Self::Forbidden {
                call,
                message,
                needs: text(headers, "x-accepted-github-permissions"),
            },
            404 | 410 => Self::NotFound { call, message },
            409 => Self::Conflict { call, message },
            422 => Self::Invalid {
                call,
                message,
                errors,
            },
            408 | 500.. => Self::Unavailable { call, message },
            _ => Self::Unexpected { call, message },
        }
    }
}

/// GitHub's `message` and `errors`, or the beginning of whatever else stands in the body.
fn told(body: &[u8], status: StatusCode) -> (String, Vec<String>) {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        let reason = status.canonical_reason().unwrap_or("no reason given");
        return (reason.to_owned(), Vec::new());
    };
    let message = answer.get("message").and_then(Value::as_str);
    let errors = match answer.get("errors") {
        Some(Value::Array(errors)) => errors.iter().map(one_error).collect(),
        Some(Value::String(error)) => vec![error.clone()],
        _ => Vec::new(),
    };
    (message.unwrap_or("no message").to_owned(), errors)
}

/// An entry of `errors`: a text, or an object with `resource`, `field`, `code` and perhaps `message`.
fn one_error(error: &Value) -> String {
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    let word = |key: &str| error.get(key).and_then(Value::as_str);
    match (word("message"), word("field"), word("code")) {
        (Some(message), _, _) => message.to_owned(),
        (None, Some(field), Some(code)) => format!("`{field}`: {code}"),
        _ => error.to_string(),
    }
}

/// Whether this refusal is a rate limit's.
fn is_limit(status: StatusCode, headers: &HeaderMap, message: &str) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        // A secondary limit may come as a 403 that only its message gives away.
        StatusCode::FORBIDDEN => {
            headers.contains_key("retry-after")
                || number(headers, "x-ratelimit-remaining") == Some(0)
                || message.to_ascii_lowercase().contains("rate limit")
        }
        _ => false,
    }
}

impl Heard {
    /// What an answer says of the limits: its headers, and whether it is a refusal.
    pub(super) fn of(headers: &HeaderMap, error: Option<&Error>, now: Timestamp) -> Self {
        let budget = told_budget(headers, now);
        let limited = matches!(error, Some(Error::RateLimited { .. }));
        Self {
            budget,
            refusal: limited.then(|| refusal(headers, budget)),
        }
    }
}

fn refusal(headers: &HeaderMap, budget: Option<Told>) -> Refusal {
    match (pause(headers), budget) {
        (None, Some(Told { remaining: 0, .. })) => Refusal::Budget,
        (pause, _) => Refusal::Secondary(pause),
    }
}

/// `Retry-After`, in seconds.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "retry-after").map(Duration::from_secs)
}

fn told_budget(headers: &HeaderMap, now: Timestamp) -> Option<Told> {
    let small = |name: &str| number(headers, name).and_then(|number| u32::try_from(number).ok());
    let reset = i64::try_from(number(headers, "x-ratelimit-reset")?).ok()?;
    let resets_at = Timestamp::from_second(reset).ok()?;
    // Whole seconds of GitHub's clock, both of them: the end may be almost a second later.
    let sent_at = date(headers).unwrap_or(now);
    let resets_in = resets_at.duration_since(sent_at) + SignedDuration::from_secs(1);
    Some(Told {
        limit: small("x-ratelimit-limit")?,
        remaining: small("x-ratelimit-remaining")?,
        reset,
        resets_in: Duration::try_from(resets_in).unwrap_or_default(),
    })
}
/// `Date`: when GitHub answered, by its own clock.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text(headers, "date")?)
        .ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
