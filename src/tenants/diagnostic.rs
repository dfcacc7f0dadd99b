//! What is wrong in the file, where, and what to do about it.

use std::fmt::Write as _;
use std::ops::Range;

use crate::names::{NamespaceName, TeamSlug, TenantName};

/// One finding in `tenants.yaml`; the span is in bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub message: String,
    pub span: Range<usize>,
    /// What to do, where the message does not say it.
    pub help: Option<String>,
    /// The text to put in place of the span, where the right one is known.
    pub replacement: Option<String>,
    /// The other place that the finding is about: where the name stood first.
    pub related: Option<(Range<usize>, String)>,
}

impl Diagnostic {
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
            replacement: None,
            related: None,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn replacement(mut self, replacement: impl Into<String>) -> Self {
        self.replacement = Some(replacement.into());
        self
    }

    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// Offers the likely word, or else lists the possible ones.
    #[must_use]
    pub(super) fn suggesting(self, wrong: &str, possible: &[&str]) -> Self {
        match closest(wrong, possible) {
            Some(right) => self
                .help(format!("did you mean `{right}`?"))
                .replacement(right),
            None if possible.is_empty() => self,
            None => self.help(format!("one of `{}`", possible.join("`, `"))),
        }
    }
}

/// Something in the file that a finding made elsewhere (by looking at GitHub or the cluster) can point at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The value of a tenant's `name`.
    Tenant(TenantName),
    /// The tenant's `repository.name`, or its name where that is not given.
    Repository(TenantName),
    /// The tenant's (or the defaults') `repository.template`.
    Template(TenantName),
    Namespace(TenantName, NamespaceName),
    Team(TenantName, TeamSlug),
    /// The `groupName` that a team's Kubernetes group came from.
    Group(TenantName, TeamSlug),
    /// The tenant's (or the defaults') `reconcilerRole`.
    ReconcilerRole(TenantName),
    /// The n-th of a tenant's `additionalRoleBindings`.
    RoleBinding(TenantName, usize),
}

/// The possible word that a wrong one was probably meant to be: one letter off, or a part of it.
pub fn closest<'a>(wrong: &str, possible: &[&'a str]) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let likeness = |word: &str| {
        let word = word.to_lowercase();
        let contained = wrong.len() >= 4 && word.contains(&wrong);
        let likeness = strsim::normalized_damerau_levenshtein(&wrong, &word);
        if contained {
            likeness.max(0.6)
        } else {
            likeness
        }
    };
    possible
        .iter()
        .map(|word| (likeness(word), *word))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

/// Text that somebody wrote, in backticks: one line, nothing invisible, at most 100 characters of it.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut characters = text.chars();
    let shown: String = characters.by_ref().take(LONGEST).map(visible).collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("`{shown}{more}`")
}

/// The character, escaped if it is a backtick or would not show as itself on one line.
fn visible(character: char) -> String {
    match character {
        '`' => "\\u{60}".to_owned(),
        '"' | '\'' | '\\' => character.to_string(),
        other => other.escape_debug().to_string(),
    }
}

/// A place in a text as editors count: lines and characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Where each line of a text begins, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let breaks = text.match_indices('\n').map(|(index, _)| index + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    /// The line, from 1, that holds the byte.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|&start| start <= offset).max(1)
    }

    fn start(&self, line: usize) -> usize {
        self.0[line - 1]
    }
}

/// A file that diagnostics are about, as it is shown to people.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
    lines: Lines,
}

impl<'a> Source<'a> {
    pub fn new(path: &'a str, text: &'a str) -> Self {
        Self {
            path,
            text,
            lines: Lines::of(text),
        }
    }

    /// Of the character that holds the byte, or of the end of the text.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.boundary(offset);
        let line = self.lines.line(offset);
        let before = &self.text[self.lines.start(line)..offset];
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// As rustc shows it: the message, the line with the words underlined, what to do, and the other place.
    pub fn render(&self, diagnostic: &Diagnostic, color: bool) -> String {
        let style = Style { color };
        let width = self.number_width(diagnostic);
        let pad = " ".repeat(width);
        let mut shown = format!("{}: {}\n", style.error("error"), diagnostic.message);
        shown += &self.snippet(&diagnostic.span, '^', width, &style);
        if let Some((span, label)) = &diagnostic.related {
            let _ = writeln!(shown, "{}: {label}", style.note("note"));
            shown += &self.snippet(span, '-', width, &style);
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(
                shown,
                "{pad} {} {}: {help}",
                style.frame("="),
                style.help("help")
            );
        }
        shown
    }

    fn number_width(&self, diagnostic: &Diagnostic) -> usize {
        let related = diagnostic.related.iter().map(|(span, _)| span.start);
        std::iter::once(diagnostic.span.start)
            .chain(related)
            .map(|offset| self.position(offset).line.to_string().len())
            .max()
            .unwrap_or(1)
    }

    fn snippet(&self, span: &Range<usize>, mark: char, width: usize, style: &Style) -> String {
        let Position { line, column } = self.position(span.start);
        let pad = " ".repeat(width);
        let excerpt = self.excerpt(line, span);
        let marks = mark.to_string().repeat(excerpt.marked);
        let marks = match mark {
            '^' => style.error(&marks),
            _ => style.note(&marks),
        };
        let [arrow, bar] = ["-->", "|"].map(|sign| style.frame(sign));
        let number = style.frame(&format!("{line:>width$}"));
        let path: String = self.path.chars().map(visible).collect();
        let blank = " ".repeat(excerpt.before);
        format!(
            "{pad}{arrow} {path}:{line}:{column}\n{pad} {bar}\n{number} {bar} {}\n{pad} {bar} {blank}{marks}\n",
            excerpt.text
        )
    }

    /// The part of the line around the span that fits a terminal; a span over several lines is marked on its first.
    fn excerpt(&self, line: usize, span: &Range<usize>) -> Excerpt {
        const WIDEST: usize = 120;
        const LEAD: usize = 40;
        let start = self.lines.start(line);
        let content = self.text[start..].lines().next().unwrap_or("");
        let marked_from = self.boundary(span.start) - start;
        let marked_to = (self.boundary(span.end).max(span.start) - start).min(content.len());
        let marked_from = marked_from.min(content.len());
        let column = content[..marked_from].chars().count();
        let skipped = if content.chars().count() > WIDEST {
            column.saturating_sub(LEAD)
        } else {
            0
        };
        let shown = |part: &str| part.chars().map(on_terminal).collect::<String>();
        let lead: String = content[..marked_from].chars().skip(skipped).collect();
        let lead = shown(&lead);
        let room = WIDEST.saturating_sub(column - skipped).max(LEAD);
        let tail: String = content[marked_from..].chars().take(room).collect();
        let marked = shown(&content[marked_from..marked_to.max(marked_from)]);
        Excerpt {
            before: lead.chars().count(),
            marked: marked.chars().count().clamp(1, room),
            text: format!("{lead}{}", shown(&tail)).trim_end().to_owned(),
        }
    }

    fn boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset)
    }
}

struct Excerpt {
    text: String,
    /// Characters before the first mark.
    before: usize,
    marked: usize,
}

fn on_terminal(character: char) -> String {
    match character {
        '\t' => " ".to_owned(),
        '`' => "`".to_owned(),
        other => visible(other),
    }
}

/// ANSI colours, or nothing.
struct Style {
    color: bool,
}

impl Style {
    fn error(&self, text: &str) -> String {
        self.painted("1;31", text)
    }

    fn note(&self, text: &str) -> String {
        self.painted("1;34", text)
    }

    fn help(&self, text: &str) -> String {
        self.painted("1;36", text)
    }

    fn frame(&self, text: &str) -> String {
        self.painted("34", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
