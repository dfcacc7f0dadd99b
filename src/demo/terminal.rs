//! Markdown as GitHub shows it, on a terminal: headings, tables, folded parts unfolded, alerts.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};
use unicode_width::UnicodeWidthStr as _;

/// Narrowest column that is still worth wrapping text in.
const NARROWEST: usize = 16;

/// How text stands out; the numbers are those of SGR in ECMA-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Style {
    bold: bool,
    dim: bool,
    code: bool,
}

/// A word, or the space between two, in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    style: Style,
}

/// Lines of at most `width` columns, without an end of line.
pub(super) fn lines(markdown: &str, width: usize, color: bool) -> Vec<String> {
    let arena = Arena::new();
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.alerts = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    let mut page = Page {
        lines: Vec::new(),
        width,
        color,
    };
    for block in parse_document(&arena, markdown, &options).children() {
        page.block(block, "");
    }
    while page.lines.last().is_some_and(String::is_empty) {
        page.lines.pop();
    }
    page.lines
}

struct Page {
    lines: Vec<String>,
    width: usize,
    color: bool,
}

impl Page {
    fn block<'a>(&mut self, node: &'a AstNode<'a>, indent: &str) {
        match &node.data().value {
            NodeValue::Heading(_) => {
                let strong = Style {
                    bold: true,
                    ..Style::default()
                };
                self.text(&inlines(node, strong), indent);
                self.gap();
            }
            NodeValue::Paragraph => {
                self.text(&inlines(node, Style::default()), indent);
                self.gap();
            }
            NodeValue::Table(_) => self.table(node, indent),
            NodeValue::CodeBlock(code) => {
                for line in code.literal.lines() {
                    self.lines.push(format!("{indent}    {line}"));
                }
                self.gap();
            }
            NodeValue::HtmlBlock(html) => self.html(&html.literal, indent),
            NodeValue::Alert(alert) => {
                let title = alert.alert_type.default_title().to_uppercase();
                self.lines
                    .push(format!("{indent}{}", self.painted(&title, "1;33")));
                for child in node.children() {
                    self.block(child, &format!("{indent}│ "));
                }
            }
            NodeValue::Item(_) | NodeValue::TaskItem(_) => {
                let first = self.lines.len();
                for child in node.children() {
                    self.block(child, &format!("{indent}  "));
                }
                // The gap after an item's paragraph would take lists apart.
                while self.lines.len() > first && self.lines.last().is_some_and(String::is_empty) {
                    self.lines.pop();
                }
                if let Some(line) = self.lines.get_mut(first) {
                    line.replace_range(indent.len()..indent.len() + 2, "• ");
                }
            }
            NodeValue::List(_) => {
                for child in node.children() {
                    self.block(child, indent);
                }
                self.gap();
            }
            NodeValue::ThematicBreak => self.lines.push("─".repeat(self.width.min(40))),
            _ => {
                for child in node.children() {
                    self.block(child, indent);
                }
            }
        }
    }

    /// A `<summary>` becomes a heading; a comment and the ends of what is folded are not seen.
    fn html(&mut self, html: &str, indent: &str) {
        let pieces = markup(html, &mut Style::default());
        if pieces.iter().all(|piece| piece.text.trim().is_empty()) {
            return;
        }
        let mark = if html.contains("<summary>") {
            "▾ "
        } else {
            ""
        };
        let pieces = [vec![plain(mark)], pieces].concat();
        self.text(&pieces, indent);
        self.gap();
    }

    fn table<'a>(&mut self, node: &'a AstNode<'a>, indent: &str) {
        let rows: Vec<Vec<Vec<Piece>>> = node
            .children()
            .map(|row| {
                row.children()
                    .map(|cell| inlines(cell, Style::default()))
                    .collect()
            })
            .collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| width(cell)).max().unwrap_or_default()
            })
            .collect();
        fit(&mut widths, self.width.saturating_sub(indent.len()));
        for row in &rows {
            self.row(row, &widths, indent);
        }
        self.gap();
    }

    fn row(&mut self, row: &[Vec<Piece>], widths: &[usize], indent: &str) {
        let cells: Vec<Vec<Vec<Piece>>> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrapped(cell, *width))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for index in 0..height {
            let mut line = indent.to_owned();
            for (cell, &column) in cells.iter().zip(widths) {
                let pieces = cell.get(index).map(Vec::as_slice).unwrap_or_default();
                line.push_str(&self.shown(pieces));
                line.push_str(&" ".repeat(column.saturating_sub(width(pieces)) + 2));
            }
            self.lines.push(line.trim_end().to_owned());
        }
    }

    fn text(&mut self, pieces: &[Piece], indent: &str) {
        let room = self.width.saturating_sub(indent.width());
        for line in wrapped(pieces, room) {
            let line = format!("{indent}{}", self.shown(&line));
            self.lines.push(line.trim_end().to_owned());
        }
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn shown(&self, pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece.style.number() {
                Some(number) => self.painted(&piece.text, number),
                None => piece.text.clone(),
            })
            .collect()
    }

    fn painted(&self, text: &str, number: &str) -> String {
        painted(text, number, self.color)
    }
}

/// Text in a style by its number in SGR.
pub(super) fn painted(text: &str, number: &str, color: bool) -> String {
    if color {
        format!("\u{1b}[{number}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

impl Style {
    fn number(self) -> Option<&'static str> {
        match self {
            Self { code: true, .. } => Some("36"),
            Self { bold: true, .. } => Some("1"),
            Self { dim: true, .. } => Some("2"),
            Self { .. } => None,
        }
    }

    /// After a tag such as `<b>` or `</code>`; other tags change nothing that a terminal could show.
    fn after(self, tag: &str) -> Self {
        let (name, on) = match tag.strip_prefix('/') {
            Some(name) => (name, false),
            None => (tag, true),
        };
        match name.split_whitespace().next().unwrap_or_default() {
            "b" | "strong" => Self { bold: on, ..self },
            "sub" => Self { dim: on, ..self },
            "code" => Self { code: on, ..self },
            _ => self,
        }
    }
}

/// The text of a block, in words.
fn inlines<'a>(node: &'a AstNode<'a>, style: Style) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut style = style;
    for child in node.children() {
        match &child.data().value {
            NodeValue::Text(text) => pieces.extend(words(text, style)),
            NodeValue::SoftBreak => pieces.push(plain(" ")),
            NodeValue::LineBreak => pieces.push(plain("\n")),
            NodeValue::Code(code) => pieces.extend(words(&code.literal, style.after("code"))),
            NodeValue::HtmlInline(html) => pieces.extend(markup(html, &mut style)),
            NodeValue::Strong => pieces.extend(inlines(child, style.after("b"))),
            _ => pieces.extend(inlines(child, style)),
        }
    }
    pieces
}

/// The text between tags, and what the tags make of the style.
fn markup(html: &str, style: &mut Style) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while let Some((text, after)) = rest.split_once('<') {
        pieces.extend(words(&unescaped(text), *style));
        let Some((tag, after)) = after.split_once('>') else {
            return pieces;
        };
        *style = style.after(tag);
        if tag.starts_with("br") {
            pieces.push(plain("\n"));
        }
        rest = after;
    }
    pieces.extend(words(&unescaped(rest), *style));
    pieces
}

/// Numeric entities, which is what the comment has for characters that mean something to Markdown, and HTML's own four.
fn unescaped(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        shown.push_str(before);
        let found = after
            .split_once(';')
            .and_then(|(name, after)| Some((entity(name)?, after)));
        if let Some((character, after)) = found {
            shown.push(character);
            rest = after;
        } else {
            shown.push('&');
            rest = after;
        }
    }
    shown + rest
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        number => number
            .strip_prefix('#')
            .and_then(|number| char::from_u32(number.parse().ok()?)),
    }
}

/// Each word, and each run of white space as one space.
fn words(text: &str, style: Style) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end_matches(char::is_whitespace);
        if !word.is_empty() {
            pieces.push(Piece {
                text: word.to_owned(),
                style,
            });
        }
        if word.len() < part.len() {
            pieces.push(Piece {
                text: " ".to_owned(),
                style,
            });
        }
    }
    pieces
}

fn plain(text: &str) -> Piece {
    Piece {
        text: text.to_owned(),
        style: Style::default(),
    }
}

fn width(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.text.width()).sum()
}

/// Breaks between words; a word that is wider than the line has one of its own.
fn wrapped(pieces: &[Piece], room: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = vec![Vec::new()];
    for word in together(pieces) {
        let is_space = word.iter().all(|piece| piece.text == " ");
        let line = lines.last_mut().expect("there is always a line");
        if word[0].text == "\n" {
            lines.push(Vec::new());
        } else if is_space && line.is_empty() {
        } else if !line.is_empty() && width(line) + width(&word) > room {
            trim(line);
            lines.push(if is_space { Vec::new() } else { word });
        } else {
            line.extend(word);
        }
    }
    trim(lines.last_mut().expect("there is always a line"));
    lines
}

fn trim(line: &mut Vec<Piece>) {
    while line.last().is_some_and(|piece| piece.text == " ") {
        line.pop();
    }
}

/// Pieces without a space between them belong together: a name and the comma after it.
fn together(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let breaks = |piece: &Piece| matches!(piece.text.as_str(), " " | "\n");
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        match groups.last_mut() {
            Some(group) if !breaks(piece) && !group.last().is_some_and(breaks) => {
                group.push(piece.clone());
            }
            _ => groups.push(vec![piece.clone()]),
        }
    }
    groups
}

/// Takes from the widest column until all fit beside each other, two columns apart.
fn fit(widths: &mut [usize], room: usize) {
    let gaps = 2 * widths.len();
    while widths.iter().sum::<usize>() + gaps > room {
        let Some(widest) = widths.iter_mut().max() else {
            return;
        };
        if *widest <= NARROWEST {
            return;
        }
        *widest -= 1;
    }
}

#[cfg(test)]
mod tests;
