//! What GitHub's refusals mean to a caller.

use std::fmt;

use jiff::Timestamp;

/// A request that did not give what was asked for. `Display` is fit for people and holds no token.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {path}: {kind}{}", request_note(.request_id))]
pub struct Error {
    pub method: String,
    pub path: String,
    /// GitHub's `x-github-request-id`, which its support asks for.
    pub request_id: Option<String>,
    pub kind: ErrorKind,
}

/// One variant for each way in which a caller reacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    NotFound,
    /// The App's key, or a token, is not taken.
    Unauthorized { message: String },
    /// A permission is missing; `needs` names it, in GitHub's own words.
    Forbidden { message: String, needs: Option<String> },
    /// GitHub understood and will not take it.
    Invalid { message: String },
    Conflict { message: String },
    /// Refused for the number of requests; the same request may be made after that time.
    RateLimited { until: Option<Timestamp> },
    /// No answer, or one that says that GitHub cannot now. A write may have been done all the same.
    Unavailable { message: String },
    /// An answer that is not what GitHub describes.
    Unexpected { message: String },
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("not found, or not visible to the App"),
            Self::Unauthorized { message } => {
                write!(formatter, "GitHub does not accept the credentials: {message}")
            }
            Self::Forbidden { message, needs: Some(needs) } => {
                write!(formatter, "{message}; the App needs the permission `{needs}`")
            }
            Self::Forbidden { message, needs: None }
            | Self::Invalid { message }
            | Self::Conflict { message }
            | Self::Unavailable { message } => formatter.write_str(message),
            Self::RateLimited { until: Some(until) } => write!(formatter, "rate limit reached until {until}"),
            Self::RateLimited { until: None } => formatter.write_str("rate limit reached"),
            Self::Unexpected { message } => write!(formatter, "unexpected answer: {message}"),
        }
    }
}

fn request_note(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default()
}

impl Error {
    /// Whether the same may well succeed after a while, without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::RateLimited { .. } | ErrorKind::Unavailable { .. } | ErrorKind::Conflict { .. } => true,
            ErrorKind::NotFound
            | ErrorKind::Unauthorized { .. }
            | ErrorKind::Forbidden { .. }
            | ErrorKind::Invalid { .. }
            | ErrorKind::Unexpected { .. } => false,
        }
    }

    pub(super) fn unexpected(method: &str, path: &str, message: String) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), request_id: None, kind: ErrorKind::Unexpected { message } }
    }
}
