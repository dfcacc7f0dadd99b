//! What people wrote, made harmless: it can forge no mention, fence, table cell, HTML or line of a plan.
//!
//! In Markdown it stands in `<code>` with numeric entities, not in a code span: a span would show the entities as they
//! are. Entities alone would not do either, because GitHub looks for mentions and references in the text that the
//! entities stand for; inside `<code>` it does not look.

use std::fmt::Write as _;

/// Longest value that is shown whole, in characters.
const LONGEST_VALUE: usize = 160;
/// Longest sentence of a finding that is shown whole, in characters.
const LONGEST_MESSAGE: usize = 1000;

/// On one line and without anything invisible: for terminals and for GitHub's plain text.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_invisible(c) => {
                write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string");
            }
            c => shown.push(c),
        }
    }
    shown
}

/// A name or value, as code: `<code>acme/ai-team-workspace</code>`.
pub fn code(text: &str) -> String {
    format!("<code>{}</code>", entities(&shortened(text, LONGEST_VALUE)))
}

/// A finding's sentence: what it has in backticks becomes [`code`], the rest is words.
pub fn message(text: &str) -> String {
    let text = shortened(text, LONGEST_MESSAGE);
    let mut parts = text.split('`').enumerate().peekable();
    let mut html = String::new();
    while let Some((index, part)) = parts.next() {
        // A backtick without its partner opens nothing.
        let quoted = index % 2 == 1 && parts.peek().is_some();
        match (quoted, part) {
            (_, "") => {}
            (true, part) => html.push_str(&code(part)),
            (false, part) => html.push_str(&words(part)),
        }
    }
    html
}

/// Text for the inside of a `<pre>`, with its line breaks; each line must have gone through [`visible`].
pub(super) fn preformatted(lines: &str) -> String {
    lines
        .split('\n')
        .map(entities)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Text outside `<code>`: what could begin a mention or a reference stands in one of its own.
pub(super) fn words(text: &str) -> String {
    entities(text)
        .replace("&#64;", "<code>&#64;</code>")
        .replace("&#35;", "<code>&#35;</code>")
}

fn entities(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let text = visible(text);
    for (index, character) in text.char_indices() {
        if is_markup(character) || begins_link(&text[index..]) {
            write!(html, "&#{};", u32::from(character)).expect("writing to a string");
        } else {
            html.push(character);
        }
    }
    html
}

fn is_markup(character: char) -> bool {
    matches!(
        character,
        '@' | '<'
            | '>'
            | '|'
            | '`'
            | '&'
            | '*'
            | '_'
            | '['
            | ']'
            | '!'
            | '#'
            | '~'
            | '\\'
            | '"'
            | '\''
            | '$'
    )
}

/// Markdown on GitHub makes links of bare addresses.
fn begins_link(rest: &str) -> bool {
    rest.starts_with("://")
        || rest
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("www."))
}

/// Control characters, and those that reorder, join or hide what is around them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => {
            let left = text[end..].chars().count();
            format!("{}… ({left} characters more)", &text[..end])
        }
    }
}
