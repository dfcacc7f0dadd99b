//! What a route gives back: a reply, or a refusal in GitHub's words.

use serde_json::{Value, json};

/// The result of every route.
pub(super) type Answer = Result<Reply, Refusal>;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Raw {
        content_type: &'static str,
        bytes: Vec<u8>,
    },
}

impl Reply {
    fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Body::Json(body),
            headers: Vec::new(),
        }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::json(201, body)
    }

    pub(super) fn accepted(body: Value) -> Self {
        Self::json(202, body)
    }

    pub(super) fn no_content() -> Self {
        Self {
            status: 204,
            body: Body::Empty,
            headers: Vec::new(),
        }
    }

    pub(super) fn raw(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            status: 200,
            body: Body::Raw {
                content_type,
                bytes,
            },
            headers: Vec::new(),
        }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An answer outside of 2xx.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    errors: Vec<Value>,
    extra: Vec<(&'static str, Value)>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            extra: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// Whether it tells to come again later.
    pub(super) fn is_limit(&self) -> bool {
        self.status == 429 || self.headers.iter().any(|(name, _)| *name == "retry-after")
    }

    pub(super) fn bad_credentials() -> Self {
        Self::new(401, "Bad credentials")
    }

    pub(super) fn not_accessible() -> Self {
        Self::new(403, "Resource not accessible by integration")
    }

    pub(super) fn archived() -> Self {
        Self::new(403, "Repository was archived so is read-only.")
    }

    pub(super) fn empty_repository() -> Self {
        Self::new(409, "Git Repository is empty.")
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    /// `Validation Failed` with one entry of `errors`, as `resource.field: message`.
    pub(super) fn validation(resource: &str, field: &str, message: &str) -> Self {
        let error =
            json!({"resource": resource, "code": "custom", "field": field, "message": message});
        Self::new(422, "Validation Failed").with_error(error)
    }

    /// `Validation Failed` with a code alone: `missing_field`, `invalid`, `already_exists`.
    pub(super) fn code(resource: &str, field: &str, code: &str) -> Self {
        Self::new(422, "Validation Failed")
            .with_error(json!({"resource": resource, "code": code, "field": field}))
    }

    /// The form that the checks API uses for input it cannot take.
    pub(super) fn invalid_request(detail: &str) -> Self {
        Self::new(422, format!("Invalid request.\n\n{detail}"))
    }

    pub(super) fn with_error(mut self, error: Value) -> Self {
        self.errors.push(error);
        self
    }

    pub(super) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.extra.push((key, value));
        self
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({"message": self.message});
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors.clone());
        }
        for (key, value) in &self.extra {
            body[*key] = value.clone();
        }
        body["documentation_url"] = json!("https://docs.github.com/rest");
        body["status"] = json!(self.status.to_string());
        body
    }
}
