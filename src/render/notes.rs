//! What people should know though it holds nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::observed::Note;
use crate::render::{capitalized, escape};

pub(super) fn section(notes: &BTreeSet<Note>) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let of_one = |note: &Note| {
        let help = note.help.as_deref().map(capitalized).unwrap_or_default();
        format!(
            "> - {}. {}\n",
            escape::message(&capitalized(&note.message)),
            escape::message(&help)
        )
    };
    let list: String = notes.iter().map(of_one).collect();
    format!("> [!WARNING]\n{list}\n")
}

/// The same for a terminal, line by line, without the word that each begins with.
pub(super) fn lines(note: &Note) -> Vec<String> {
    let help = note.help.as_deref().map(escape::visible);
    let message = Some(escape::visible(&note.message));
    let help = help.map(|help| format!("  hint: {help}"));
    message.into_iter().chain(help).collect()
}

/// For machines.
pub(super) fn json(notes: &BTreeSet<Note>) -> Value {
    let of_one = |note: &Note| {
        let mut value = json!({ "message": note.message });
        if let Some(help) = &note.help {
            value["help"] = json!(help);
        }
        value
    };
    notes.iter().map(of_one).collect()
}
