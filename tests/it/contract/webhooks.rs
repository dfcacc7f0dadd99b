//! Webhooks by GitHub's description of each event and action.

use std::sync::LazyLock;

use serde_json::Value;
use tenantry::sandbox::github::Webhook;

use super::openapi::{DOCUMENT, compiled};
use super::schema::followed;

/// What an App may be told of, and how.
pub(crate) struct Told {
    pub(crate) event: String,
    /// Empty where an event has none.
    pub(crate) action: String,
    operation: &'static Value,
}

impl Told {
    pub(crate) fn name(&self) -> String {
        if self.action.is_empty() {
            self.event.clone()
        } else {
            format!("{} {}", self.event, self.action)
        }
    }

    /// GitHub's words about it.
    pub(crate) fn prose(&self) -> &'static str {
        self.operation["summary"].as_str().unwrap_or_default()
    }
}

static ALL: LazyLock<Vec<Told>> = LazyLock::new(|| {
    let webhooks = DOCUMENT["x-webhooks"].as_object();
    let webhooks = webhooks.expect("there are webhooks").values();
    webhooks.map(|methods| told(&methods["post"])).collect()
});

fn told(operation: &'static Value) -> Told {
    // `check-run/requested-action`
    let id = operation["operationId"].as_str().expect("it has an id");
    let id = id.replace('-', "_");
    let (event, action) = id.split_once('/').unwrap_or((&id, ""));
    Told {
        event: event.to_owned(),
        action: action.to_owned(),
        operation,
    }
}

/// The description of a webhook; an error where GitHub sends no such one.
pub(crate) fn find(webhook: &Webhook, payload: &Value) -> Result<&'static Told, String> {
    let event = webhook.headers.get("x-github-event");
    let event = event.map_or("", String::as_str);
    let action = payload["action"].as_str().unwrap_or_default();
    ALL.iter()
        .find(|told| told.event == event && told.action == action)
        .ok_or_else(|| format!("GitHub sends no webhook `{event}` with the action `{action}`"))
}

/// What is wrong with a webhook.
pub(crate) fn faults(told: &Told, webhook: &Webhook, payload: &Value) -> Vec<String> {
    let schema = &followed(&DOCUMENT, &told.operation["requestBody"])["content"]["application/json"]
        ["schema"];
    let mut faults = compiled(schema).faults("payload", payload);
    let described = told.operation["parameters"].as_array();
    for parameter in described.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let sent = webhook.headers.contains_key(&name.to_lowercase());
        faults.extend((!sent).then(|| format!("header {name}: it is missing")));
    }
    faults
}
