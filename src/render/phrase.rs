//! A piece of a sentence in which our words and people's own text are told apart until somebody prints it.

use std::fmt::Display;

use crate::render::escape;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Phrase(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Ours: goes in as it is, so it holds no markup.
    Words(String),
    /// Ours too, and to be seen: a permission, a role.
    Strong(String),
    /// Somebody's: a name, a value.
    Name(String),
    /// A sentence of both, with names in backticks: an error, a finding.
    Message(String),
}

impl Phrase {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn words(mut self, words: impl Display) -> Self {
        self.0.push(Part::Words(words.to_string()));
        self
    }

    pub(super) fn strong(mut self, word: impl Display) -> Self {
        self.0.push(Part::Strong(word.to_string()));
        self
    }

    pub(super) fn name(mut self, name: impl Display) -> Self {
        self.0.push(Part::Name(name.to_string()));
        self
    }

    pub(super) fn message(mut self, text: impl Display) -> Self {
        self.0.push(Part::Message(text.to_string()));
        self
    }

    /// Set off from what stands there already, if anything does.
    pub(super) fn aside(self, words: &str) -> Self {
        let dash = if self.is_empty() { "" } else { " · " };
        self.words(format!("{dash}{words}"))
    }

    /// `a`, `b`, `c`.
    pub(super) fn names<'a>(mut self, names: impl IntoIterator<Item = &'a String>) -> Self {
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                self = self.words(", ");
            }
            self = self.name(name);
        }
        self
    }

    pub(super) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For Markdown, in a table cell and inside HTML as well.
    pub(super) fn html(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Strong(word) => format!("<b>{}</b>", escape::words(word)),
            Part::Name(name) => escape::code(name),
            Part::Message(text) => escape::message(text),
        });
        parts.collect()
    }

    pub(super) fn plain(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Strong(text) | Part::Name(text) | Part::Message(text) => escape::visible(text),
        });
        parts.collect()
    }
}
