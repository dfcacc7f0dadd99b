//! Whether a value is what its key's table says: exactly what the JSON Schema can say too.

use std::ops::Range;

use super::diagnostic::{Diagnostic, quoted};
use super::format::Format;
use super::keys::{Entries, Key, Presence, Shape, Table};
use super::tree::{Map, Node, Pair, Value};

/// Everything that is wrong in the file's shape, anywhere in it.
pub(super) fn check(file: &Node, table: &'static Table, findings: &mut Vec<Diagnostic>) {
    let mut checker = Checker { findings };
    checker.map(table.what, file, table);
}

struct Checker<'a> {
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// `what` is the value in a message: the key it stands behind, in backticks.
    fn value(&mut self, what: &str, node: &Node, shape: &'static Shape) {
        if node.value == Value::Unreadable {
            return;
        }
        match shape {
            Shape::Bool => self.boolean(what, node),
            Shape::Count => self.count(what, node),
            Shape::Text(format) => self.text(what, node, *format),
            Shape::Word(words) => self.word(what, node, words),
            Shape::Map(table) => self.map(what, node, table),
            Shape::Entries(entries) => self.entries(what, node, entries),
            Shape::List(items) => self.list(what, node, items),
        }
    }

    fn map(&mut self, what: &str, node: &Node, table: &'static Table) {
        let Value::Map(map) = &node.value else {
            let names: Vec<_> = table.all().map(|key| key.name).take(3).collect();
            let help = format!("write keys and values, such as `{}: …`", names[0]);
            return self.wrong_type(what, node, "a map", Some(help));
        };
        for pair in &map.0 {
            match table.key(&pair.key) {
                Some(key) => self.pair(pair, key),
                None => self.unknown_key(pair, map, table),
            }
        }
        for key in table.all() {
            if key.presence == Presence::Required && map.get(key.name).is_none() {
                let message = format!("{} has no `{}`", table.what, key.name);
                self.findings.push(Diagnostic::new(message, node.head()));
            }
        }
    }

    fn pair(&mut self, pair: &Pair, key: &'static Key) {
        let removed = pair.value.value == Value::Null;
        if !removed {
            return self.value(&format!("`{}`", key.name), &pair.value, &key.shape);
        }
        if key.presence == Presence::Required {
            let message = format!("`{}` is empty", key.name);
            let diagnostic = Diagnostic::new(message, pair.key_span.clone());
            self.findings.push(match key.shape {
                Shape::List(_) => {
                    diagnostic.help(format!("an empty list is written `{}: []`", key.name))
                }
                _ => diagnostic,
            });
        }
    }

    fn unknown_key(&mut self, pair: &Pair, map: &Map, table: &Table) {
        let span = pair.key_span.clone();
        if pair.key == "<<" {
            let message = "YAML's merge key `<<` is not read here";
            let help = "write the keys out, or put what entries share under `defaults`";
            return self
                .findings
                .push(Diagnostic::new(message, span).help(help));
        }
        let free: Vec<_> = table
            .all()
            .map(|key| key.name)
            .filter(|name| map.get(name).is_none())
            .collect();
        let message = format!("unknown key {} in {}", quoted(&pair.key), table.what);
        let diagnostic = Diagnostic::new(message, span).suggesting(&pair.key, &free);
        self.findings.push(diagnostic);
    }

    fn entries(&mut self, what: &str, node: &Node, entries: &'static Entries) {
        let Value::Map(map) = &node.value else {
            return self.wrong_type(what, node, "a map", Some("write `key: value`".to_owned()));
        };
        for pair in &map.0 {
            self.format(what, &pair.key, &pair.key_span, entries.key);
            if pair.value.value != Value::Null {
                self.text(&quoted(&pair.key), &pair.value, entries.value);
            }
        }
    }

    fn list(&mut self, what: &str, node: &Node, items: &'static Shape) {
        let Value::List(list) = &node.value else {
            let help = match node.scalar() {
                Some(scalar) => format!("write `[{}]`", quoted(scalar).trim_matches('`')),
                None => "begin each item with `- `".to_owned(),
            };
            return self.wrong_type(what, node, "a list", Some(help));
        };
        let item = match items {
            Shape::Map(table) => table.what.to_owned(),
            _ => format!("an item of {what}"),
        };
        for node in list {
            self.value(&item, node, items);
        }
    }

    fn boolean(&mut self, what: &str, node: &Node) {
        if matches!(node.value, Value::Bool(_)) {
            return;
        }
        let meant = match node.scalar().map(str::to_ascii_lowercase).as_deref() {
            Some("yes" | "y" | "on" | "true" | "1") => Some("true"),
            Some("no" | "n" | "off" | "false" | "0") => Some("false"),
            _ => None,
        };
        let help = meant.map(|meant| format!("write `{meant}`, without quotes"));
        self.wrong_type(what, node, "`true` or `false`", help);
        if let (Some(meant), Some(last)) = (meant, self.findings.last_mut()) {
            last.replacement = Some(meant.to_owned());
        }
    }

    fn count(&mut self, what: &str, node: &Node) {
        let count = match &node.value {
            Value::Number(number) => number.parse::<u32>().ok(),
            _ => None,
        };
        if count.is_none() {
            self.wrong_type(what, node, "a whole number from 0", None);
        }
    }

    fn word(&mut self, what: &str, node: &Node, words: &'static [&'static str]) {
        let Some(word) = self.string(what, node) else {
            return;
        };
        if !words.contains(&word.as_str()) {
            let message = format!("{what} cannot be {}", quoted(&word));
            let diagnostic = Diagnostic::new(message, node.span.clone());
            self.findings.push(diagnostic.suggesting(&word, words));
        }
    }

    fn text(&mut self, what: &str, node: &Node, format: Format) {
        let written = match &node.value {
            Value::Number(number) if format.takes_numbers() => Some(number.clone()),
            Value::Number(_) | Value::Bool(_) => malformed_even_in_quotes(node, format),
            _ => None,
        };
        if let Some(text) = written.or_else(|| self.string(what, node)) {
            self.format(what, &text, &node.span, format);
        }
    }

    fn format(&mut self, what: &str, text: &str, span: &Range<usize>, format: Format) {
        let Err(reason) = format.check(text) else {
            return;
        };
        let message = match text {
            "" => format!("{what} {reason}"),
            text => format!("{what}: {} {reason}", quoted(text)),
        };
        let diagnostic = Diagnostic::new(message, span.clone());
        let words = format.words();
        let likely = likely_name(text, format);
        self.findings.push(match likely {
            Some(name) => diagnostic
                .help(format!("perhaps `{name}`"))
                .replacement(name),
            None if words.is_empty() => diagnostic,
            None => diagnostic.suggesting(text, words),
        });
    }

    /// The text of a node that has to be text; anything else is reported.
    fn string(&mut self, what: &str, node: &Node) -> Option<String> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        self.wrong_type(what, node, "text", None);
        if let (Some(scalar), Some(last)) = (node.scalar(), self.findings.last_mut()) {
            last.help = Some(format!("put it into quotes: `\"{scalar}\"`"));
            last.replacement = Some(format!("\"{scalar}\""));
        }
        None
    }

    fn wrong_type(&mut self, what: &str, node: &Node, expected: &str, help: Option<String>) {
        let found = match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Number(number) => format!("the number {}", quoted(number)),
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Unreadable => return,
        };
        let message = format!("{what} must be {expected}, not {found}");
        let mut diagnostic = Diagnostic::new(message, node.head());
        diagnostic.help = help;
        self.findings.push(diagnostic);
    }
}

/// The name that somebody meant who wrote `AI_Team` where capitals and underscores are not allowed.
fn likely_name(text: &str, format: Format) -> Option<String> {
    let is_name = matches!(
        format,
        Format::TenantName | Format::NamespaceName | Format::NamespaceOrAll | Format::TeamSlug
    );
    let name = text.trim().to_lowercase().replace(['_', ' ', '.'], "-");
    (is_name && format.check(&name).is_ok()).then_some(name)
}

/// A number or a boolean where quotes would not help: what is wrong is the format, not the type.
fn malformed_even_in_quotes(node: &Node, format: Format) -> Option<String> {
    let text = node.scalar()?;
    format.check(text).is_err().then(|| text.to_owned())
}
