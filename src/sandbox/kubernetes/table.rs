//! Objects as rows, for `kubectl get`.

mod cells;
mod jsonpath;

use serde_json::{Value, json};

use super::clock;
use super::kinds::{Column, Source};

pub(super) use cells::built_in_columns;

/// What of each object goes with its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Everything,
}

/// Whether a table says what its columns are: later ones of a watch do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Shown,
    Left,
}

impl Include {
    /// The `includeObject` parameter.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "None" => Self::Nothing,
            "Object" => Self::Everything,
            _ => Self::Metadata,
        }
    }
}

impl Column {
    pub(super) fn name() -> Self {
        Self {
            name: "Name".to_owned(),
            kind: "string".to_owned(),
            format: "name".to_owned(),
            description: "The name, unique among the objects of its kind and namespace.".to_owned(),
            priority: 0,
            source: Source::Path(".metadata.name".to_owned()),
        }
    }

    /// What a definition without columns of its own shows.
    pub(super) fn age() -> Self {
        Self {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: "When the object was made.".to_owned(),
            priority: 0,
            source: Source::Path(".metadata.creationTimestamp".to_owned()),
        }
    }

    fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    fn cell(&self, object: &Value, now: i64) -> Value {
        match &self.source {
            Source::Built(cell) => cell(object),
            Source::Age => age(object["metadata"]["creationTimestamp"].as_str(), now),
            Source::Path(path) => {
                let Some(value) = jsonpath::first(object, path) else {
                    return Value::Null;
                };
                match self.kind.as_str() {
                    "date" => age(value.as_str(), now),
                    "string" if !value.is_string() => json!(value.to_string()),
                    _ => value.clone(),
                }
            }
        }
    }
}

/// A table of these objects.
pub(super) fn table(
    columns: &[Column],
    objects: &[Value],
    metadata: &Value,
    include: Include,
    header: Header,
) -> Value {
    let now = clock::now();
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let cells: Vec<_> = columns
                .iter()
                .map(|column| column.cell(object, now))
                .collect();
            let mut row = json!({ "cells": cells });
            match include {
                Include::Nothing => {}
                Include::Metadata => {
                    row["object"] = json!({
                        "kind": "PartialObjectMetadata",
                        "apiVersion": "meta.k8s.io/v1",
                        "metadata": object["metadata"],
                    });
                }
                Include::Everything => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let definitions: Vec<_> = match header {
        Header::Shown => columns.iter().map(Column::definition).collect(),
        Header::Left => Vec::new(),
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn age(stamp: Option<&str>, now: i64) -> Value {
    match stamp {
        Some(stamp) => json!(duration(now - clock::seconds(stamp))),
        None => json!("<unknown>"),
    }
}

/// A duration as kubectl writes it, exact where it is short: `45s`, `5m3s`, `26h`, `12d`.
fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 8 * 365 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests;
