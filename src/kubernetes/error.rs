//! What the cluster's refusals mean to a caller.

/// One variant for each way in which a caller reacts. The texts are the server's own and fit for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The object is not there, or the server does not know its kind.
    #[error("{message}")]
    NotFound { message: String },
    /// The app's account lacks a right in the cluster.
    #[error("{message}")]
    Forbidden { message: String },
    /// Somebody else owns a field, or the object has changed.
    #[error("{message}")]
    Conflict { message: String },
    /// The server no longer knows what has changed since the version asked for.
    #[error("{message}")]
    Expired { message: String },
    /// The server understood and will not take it.
    #[error("{message}")]
    Invalid { message: String },
    /// The server could not be reached or could not answer now.
    #[error("{message}")]
    Unavailable { message: String },
    #[error("the cluster answered something unexpected: {message}")]
    Unexpected { message: String },
}

impl Error {
    /// Whether the same request may well succeed in a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Conflict { .. } => true,
            Self::NotFound { .. }
            | Self::Forbidden { .. }
            | Self::Expired { .. }
            | Self::Invalid { .. }
            | Self::Unexpected { .. } => false,
        }
    }

    pub(super) fn of(what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let message = format!("{what}: {}", status.message);
                match status.code {
                    // A namespace that is ending refuses new objects with 403; that passes.
                    403 if status.message.contains("being terminated") => {
                        Self::Unavailable { message }
                    }
                    404 => Self::NotFound { message },
                    401 | 403 => Self::Forbidden { message },
                    409 => Self::Conflict { message },
                    410 => Self::Expired { message },
                    429 | 500..=599 => Self::Unavailable { message },
                    _ => Self::Invalid { message },
                }
            }
            kube::Error::SerdeError(error) => Self::Unexpected {
                message: format!("{what}: {error}"),
            },
            error => Self::Unavailable {
                message: format!("{what}: {}", innermost(&error)),
            },
        }
    }
}

/// The first cause, which says what happened; kube's own texts repeat it at each level.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
