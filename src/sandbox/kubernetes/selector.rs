//! Label and field selectors.

use serde_json::Value;

use super::status::Refusal;

/// Which objects are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) labels: Vec<Requirement>,
    pub(super) fields: Vec<FieldRequirement>,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// `metadata.name=ai`, or `!=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldRequirement {
    pub(super) field: String,
    pub(super) value: String,
    pub(super) is_equal: bool,
}

impl Selection {
    pub(super) fn parse(labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = split_outside_brackets(labels)
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields = fields.split(',').filter(|text| !text.is_empty());
        let fields = fields.map(field_requirement).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn takes_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.takes(&label))
    }

    pub(super) fn takes_fields(&self, object: impl Fn() -> Value) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let object = object();
        self.fields.iter().all(|field| {
            let pointer = format!("/{}", field.field.replace('.', "/"));
            let value = object
                .pointer(&pointer)
                .and_then(Value::as_str)
                .unwrap_or_default();
            (value == field.value) == field.is_equal
        })
    }

    /// The values of this label that alone are asked for.
    pub(super) fn values_of(&self, label: &str) -> Option<&[String]> {
        self.labels
            .iter()
            .find_map(|requirement| match requirement {
                Requirement::In(key, values) if key == label => Some(values.as_slice()),
                Requirement::In(..)
                | Requirement::NotIn(..)
                | Requirement::Exists(_)
                | Requirement::Missing(_) => None,
            })
    }
}

impl Requirement {
    fn takes<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Self::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
            Self::Exists(key) => label(key).is_some(),
            Self::Missing(key) => label(key).is_none(),
        }
    }
}

/// At the commas that are not within brackets.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Missing(key.trim().to_owned()));
    }
    if let Some((head, values)) = text.split_once('(') {
        let unclear = || Refusal::bad_request(format!("unable to parse requirement: {text}"));
        let values = values.strip_suffix(')').ok_or_else(unclear)?;
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Requirement::In(key.to_owned(), values)),
            (Some(key), Some("notin"), None) => Ok(Requirement::NotIn(key.to_owned(), values)),
            _ => Err(unclear()),
        };
    }
    let pair = |(key, value): (&str, &str)| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some(parts) = text.split_once("!=") {
        let (key, values) = pair(parts);
        return Ok(Requirement::NotIn(key, values));
    }
    if let Some(parts) = text.split_once("==").or_else(|| text.split_once('=')) {
        let (key, values) = pair(parts);
        return Ok(Requirement::In(key, values));
    }
    Ok(Requirement::Exists(text.to_owned()))
}

fn field_requirement(text: &str) -> Result<FieldRequirement, Refusal> {
    let parts = [("!=", false), ("==", true), ("=", true)]
        .into_iter()
        .find_map(|(sign, is_equal)| Some((text.split_once(sign)?, is_equal)));
    let Some(((field, value), is_equal)) = parts else {
        return Err(Refusal::bad_request(format!(
            "invalid field selector: '{text}'; can't understand '{text}'"
        )));
    };
    Ok(FieldRequirement {
        field: field.to_owned(),
        value: value.to_owned(),
        is_equal,
    })
}
