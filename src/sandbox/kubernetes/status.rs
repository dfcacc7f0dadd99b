//! An answer outside of 2xx, in the words of the API: a `Status` object.

use serde_json::{Value, json};

use super::kinds::Resource;
use super::verbs::Order;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    /// Empty where the server itself gives none.
    reason: &'static str,
    pub(super) message: String,
    details: Option<Value>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) field: String,
}

impl Cause {
    pub(super) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = match detail {
            "" => "Required value".to_owned(),
            detail => format!("Required value: {detail}"),
        };
        Self {
            reason: "FieldValueRequired",
            message,
            field: field.into(),
        }
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {detail}"),
            field: field.into(),
        }
    }

    pub(super) fn unsupported(
        field: impl Into<String>,
        value: &Value,
        supported: &[String],
    ) -> Self {
        Self {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                supported.join(", ")
            ),
            field: field.into(),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        details["kind"] = json!(resource.plural);
        self.details = Some(details);
        self
    }

    fn with_causes(mut self, causes: &[Cause]) -> Self {
        let details = self.details.get_or_insert_with(|| json!({}));
        details["causes"] = causes.iter().map(Cause::to_json).collect();
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// There is no such path, kind or version.
    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        let mut refusal = Self::new(404, "NotFound", message);
        refusal.details = Some(json!({}));
        refusal
    }

    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(super) fn conflict(resource: &Resource, name: &str, detail: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {detail}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// Another manager owns fields that an apply wants to change.
    pub(super) fn apply_conflict(causes: &[Cause], text: &str) -> Self {
        let count = causes.len();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("Apply failed with {count} conflict{plural}: {text}");
        Self::new(409, "Conflict", message).with_causes(causes)
    }

    pub(super) fn forbidden(resource: &Resource, name: &str, detail: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {detail}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// Nothing can be made in a namespace that is ending.
    pub(super) fn namespace_ending(resource: &Resource, name: &str, namespace: &str) -> Self {
        let detail = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        };
        Self::forbidden(resource, name, &detail).with_causes(&[cause])
    }

    pub(super) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let told: Vec<_> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let text = match told.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind = resource.qualified_kind();
        let message = format!("{kind} {name:?} is invalid: {text}");
        let mut refusal = Self::new(422, "Invalid", message).about(resource, name);
        if let Some(details) = &mut refusal.details {
            details["kind"] = json!(resource.kind);
        }
        refusal.with_causes(causes)
    }

    pub(super) fn gone(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(super) fn unsupported_media_type(given: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml; not `{given}`"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut refusal = Self::new(405, "MethodNotAllowed", message);
        refusal.details = Some(json!({}));
        refusal
    }

    /// The object is another one than the client has read.
    pub(super) fn modified(resource: &Resource, name: &str) -> Self {
        let detail = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, detail)
    }

    /// An apply says who applies.
    pub(super) fn without_manager() -> Self {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        let message = format!(
            "PatchOptions.meta.k8s.io \"\" is invalid: {}: {}",
            cause.field, cause.message
        );
        let mut refusal = Self::new(422, "Invalid", message);
        refusal.details = Some(json!({ "group": "meta.k8s.io", "kind": "PatchOptions" }));
        refusal.with_causes(&[cause])
    }

    /// An apply sets a field that the schema does not have.
    pub(super) fn untyped(order: &Order, field: &str) -> Self {
        let namespace = order.namespace.as_deref().unwrap_or_default();
        let message = format!(
            "failed to create typed patch object ({namespace}/{}; {}, Kind={}): {field}: field not declared in schema",
            order.name,
            order.resource.api_version(),
            order.resource.kind
        );
        Self::new(500, "", message)
    }

    /// The `Status` object.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body["code"] = json!(self.code);
        body
    }
}
