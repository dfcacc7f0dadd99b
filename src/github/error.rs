//! What can go wrong with GitHub: one variant for each thing a caller can do about it.

use std::fmt;

use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// GitHub asks to wait at least this long after a secondary limit that names no time.
pub(super) const UNNAMED_PAUSE: SignedDuration = SignedDuration::from_secs(60);

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
    #[error("GitHub's rate limit refuses {call} until {until}: {message}")]
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

    /// The error that an answer outside 2xx is.
    pub(super) fn of_answer(
        call: Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let (message, errors) = told(body, status);
        let call = Box::new(call);
        if let Some(until) = limited_until(status, headers, &message, now) {
            return Self::RateLimited {
                call,
                message,
                until,
            };
        }
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

/// Until when GitHub wants to hear nothing, if this answer is a rate limit's.
fn limited_until(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let refused = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FORBIDDEN;
    if !refused {
        return None;
    }
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(now + SignedDuration::from_secs(seconds));
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        return reset(headers).or(Some(now + UNNAMED_PAUSE));
    }
    // A secondary limit may come as a 403 that only its message gives away.
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || message.to_ascii_lowercase().contains("rate limit");
    limited.then(|| now + UNNAMED_PAUSE)
}

/// When the budget of this token is full again: `X-RateLimit-Reset`, in seconds since 1970.
pub(super) fn reset(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_second(number(headers, "x-ratelimit-reset")?).ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.trim().parse().ok()
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
