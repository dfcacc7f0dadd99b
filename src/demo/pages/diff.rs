//! A changed file: its hunks with numbered lines, and what a check says about them at their place.

use maud::{Markup, html};

use super::github::{Annotation, File};
use super::icon::{Icon, icon};

/// Lines shown around an annotation that no hunk holds.
const CONTEXT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Same,
    Added,
    Removed,
    /// What git says about the line before.
    Note,
}

impl Sign {
    fn of(line: &str) -> Self {
        match line.chars().next() {
            Some('+') => Self::Added,
            Some('-') => Self::Removed,
            Some('\\') => Self::Note,
            _ => Self::Same,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Note => "note",
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Same | Self::Note => " ",
            Self::Added => "+",
            Self::Removed => "−",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    sign: Sign,
    before: Option<usize>,
    after: Option<usize>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hunk {
    /// `@@ -1,3 +1,4 @@`, or nothing for lines that did not change.
    head: String,
    lines: Vec<Line>,
}

/// A file with its annotations; `text` is what it holds now, for those that no hunk reaches.
pub(super) fn shown(file: &File, annotations: &[&Annotation], text: Option<&str>) -> Markup {
    let mut hunks = parsed(file.patch.as_deref().unwrap_or_default());
    let reached = |hunks: &[Hunk], line: usize| {
        let mut lines = hunks.iter().flat_map(|hunk| &hunk.lines);
        lines.any(|shown| shown.after == Some(line))
    };
    for annotation in annotations {
        if !reached(&hunks, annotation.start_line) {
            let around = text.map(|text| around(text, annotation.start_line));
            hunks.extend(around.flatten());
        }
    }
    hunks.sort_by_key(|hunk| hunk.lines.iter().find_map(|line| line.after));
    let elsewhere: Vec<&&Annotation> = annotations
        .iter()
        .filter(|annotation| !reached(&hunks, annotation.start_line))
        .collect();
    html! {
        article class="file" {
            header {
                h3 { (file.filename) }
                span class="counts" {
                    span class="added" { "+" (file.additions) } " "
                    span class="removed" { "−" (file.deletions) }
                    span class="unseen" { " lines added and removed" }
                }
            }
            @if file.patch.is_none() { p class="quiet" { "This file is no text." } }
            @for annotation in elsewhere { (remark(annotation)) }
            div class="scroll" tabindex="0" role="group" aria-label={ "Changes of " (file.filename) } {
                table class="diff" {
                    thead class="unseen" {
                        tr { th scope="col" { "Before" } th scope="col" { "After" } th scope="col" { "Change" } th scope="col" { "Line" } }
                    }
                    @for hunk in &hunks {
                        tbody {
                            @if !hunk.head.is_empty() { tr class="place" { td colspan="4" { (hunk.head) } } }
                            @for line in &hunk.lines { (row(line, annotations)) }
                        }
                    }
                }
            }
        }
    }
}

fn row(line: &Line, annotations: &[&Annotation]) -> Markup {
    let here: Vec<&&Annotation> = annotations
        .iter()
        .filter(|annotation| line.after == Some(annotation.start_line))
        .collect();
    html! {
        tr class=(line.sign.class()) {
            td class="number" { @if let Some(number) = line.before { (number) } }
            td class="number" { @if let Some(number) = line.after { (number) } }
            td class="sign" { (line.sign.shown()) }
            td class="text" { (marked(&line.text, here.first().copied().copied())) }
        }
        @for annotation in here {
            tr class="remark" { td colspan="4" { (remark(annotation)) } }
        }
    }
}

/// The text with the words marked that an annotation is about.
fn marked(text: &str, annotation: Option<&Annotation>) -> Markup {
    let columns = annotation.and_then(|one| Some((one.start_column?, one.end_column?)));
    let Some((start, end)) = columns.filter(|(start, end)| *start >= 1 && end >= start) else {
        return html! { (text) };
    };
    let place = |column: usize| {
        let at = text.char_indices().nth(column).map(|(at, _)| at);
        at.unwrap_or(text.len())
    };
    let (from, to) = (place(start - 1), place(end.max(start)));
    html! { (text[..from]) mark { (text[from..to]) } (text[to..]) }
}

/// What a check says about a line.
fn remark(annotation: &Annotation) -> Markup {
    let (class, word) = match annotation.level.as_str() {
        "failure" => ("annotation bad", "Error"),
        "warning" => ("annotation waiting", "Warning"),
        _ => ("annotation quiet", "Notice"),
    };
    html! {
        div class=(class) {
            p class="what" {
                (icon(Icon::Warning))
                span {
                    (word) " in line " (annotation.start_line)
                    @if let Some(title) = &annotation.title { ": " (title) }
                }
            }
            p class="message" { (annotation.message) }
        }
    }
}

/// The hunks of a unified diff.
fn parsed(patch: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut before, mut after) = (0, 0);
    for line in patch.lines() {
        if line.starts_with("@@") {
            (before, after) = starts(line).unwrap_or((1, 1));
            hunks.push(Hunk {
                head: line.to_owned(),
                lines: Vec::new(),
            });
            continue;
        }
        let Some(hunk) = hunks.last_mut() else {
            continue;
        };
        let sign = Sign::of(line);
        let (old, new) = match sign {
            Sign::Same => (Some(before), Some(after)),
            Sign::Added => (None, Some(after)),
            Sign::Removed => (Some(before), None),
            Sign::Note => (None, None),
        };
        before += usize::from(old.is_some());
        after += usize::from(new.is_some());
        hunk.lines.push(Line {
            sign,
            before: old,
            after: new,
            text: line.get(1..).unwrap_or_default().to_owned(),
        });
    }
    hunks
}

/// The first lines that `@@ -1,3 +1,4 @@` names.
fn starts(head: &str) -> Option<(usize, usize)> {
    let mut parts = head.split(' ').skip(1);
    let mut start = |sign: char| {
        let part = parts.next()?.strip_prefix(sign)?;
        part.split(',').next()?.parse().ok()
    };
    Some((start('-')?, start('+')?))
}

/// Lines of the file that did not change, around one of them.
fn around(text: &str, line: usize) -> Option<Hunk> {
    let lines: Vec<&str> = text.lines().collect();
    let index = line.checked_sub(1).filter(|index| *index < lines.len())?;
    let (from, to) = (
        index.saturating_sub(CONTEXT),
        (index + CONTEXT + 1).min(lines.len()),
    );
    let shown = (from..to).map(|index| Line {
        sign: Sign::Same,
        before: None,
        after: Some(index + 1),
        text: lines[index].to_owned(),
    });
    Some(Hunk {
        head: String::new(),
        lines: shown.collect(),
    })
}

#[cfg(test)]
mod tests;
