//! Status as Flux' controllers write it: conditions, what was observed, what was asked for.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// Asks for a look now, whatever the interval; its value comes back in the status.
const REQUESTED: &str = "/metadata/annotations/reconcile.fluxcd.io~1requestedAt";

/// A status under way.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) value: Value,
    generation: i64,
}

impl Status {
    /// What an object's status is now.
    pub(super) fn of(object: &Value) -> Self {
        let mut value = object["status"].clone();
        if !value.is_object() {
            value = json!({});
        }
        Self {
            value,
            generation: object["metadata"]["generation"]
                .as_i64()
                .unwrap_or_default(),
        }
    }

    /// Sets a condition; its time stays where its status does.
    pub(super) fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let mut conditions = self.conditions();
        let before = conditions.iter().position(|one| one["type"] == kind);
        let before = before.map(|index| conditions.remove(index));
        let since = match &before {
            Some(before) if before["status"] == status => before["lastTransitionTime"].clone(),
            _ => json!(now()),
        };
        conditions.push(json!({
            "type": kind,
            "status": status,
            "observedGeneration": self.generation,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
        }));
        // Ready comes first, the others by their names.
        conditions.sort_by_key(|one| {
            let kind = one["type"].as_str().unwrap_or_default().to_owned();
            (kind != "Ready", kind)
        });
        self.value["conditions"] = json!(conditions);
    }

    pub(super) fn unset(&mut self, kind: &str) {
        let mut conditions = self.conditions();
        conditions.retain(|one| one["type"] != kind);
        self.value["conditions"] = json!(conditions);
    }

    fn conditions(&self) -> Vec<Value> {
        let conditions = self.value["conditions"].as_array();
        conditions.cloned().unwrap_or_default()
    }

    /// The look is over: what was asked for is handled.
    pub(super) fn handled(&mut self, object: &Value) {
        if let Some(asked) = object.pointer(REQUESTED) {
            self.value["lastHandledReconcileAt"] = asked.clone();
        }
    }

    /// What was seen is the object as it is now; said only of what is Ready or will never be.
    pub(super) fn observed(&mut self) {
        self.value["observedGeneration"] = json!(self.generation);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.conditions()
            .iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
    }

    pub(super) fn observed_generation(&self) -> i64 {
        self.value["observedGeneration"].as_i64().unwrap_or(-1)
    }

    pub(super) fn is_of_this_generation(&self) -> bool {
        self.observed_generation() == self.generation
    }
}

/// The value that asks for a look.
pub(super) fn requested(object: &Value) -> Option<&str> {
    object.pointer(REQUESTED).and_then(Value::as_str)
}

/// `2026-11-25T10:00:00Z`.
#[expect(
    clippy::disallowed_methods,
    reason = "Flux is outside of the app, and has a clock of its own"
)]
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `300ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let seconds = match &unit[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(total)
}
