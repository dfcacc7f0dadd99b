//! Unified diffs, as git writes them below the names of the files.

use std::ops::Range;

use super::merge::{Hunk, change_hunks};

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// The hunks that turn one text into the other, without a newline at the end.
pub(in super::super) fn unified(before: &str, after: &str) -> String {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let edits = change_hunks(before, after);
    let mut shown = Vec::new();
    // Lines that the hunks before have added and removed.
    let (mut more, mut less) = (0, 0);
    for group in groups(&edits) {
        let from = group[0].base.start.saturating_sub(CONTEXT);
        let to = (group[group.len() - 1].base.end + CONTEXT).min(lines.len());
        let (added, removed) = sizes(group);
        let other = to - from + added - removed;
        shown.push(format!(
            "@@ -{} +{} @@",
            place(from, to - from),
            place(from + more - less, other)
        ));
        body(&lines, from..to, group, &mut shown);
        (more, less) = (more + added, less + removed);
    }
    shown.join("\n")
}

/// Edits so near to each other that they share a hunk.
fn groups(edits: &[Hunk]) -> impl Iterator<Item = &[Hunk]> {
    edits.chunk_by(|one, next| next.base.start - one.base.end <= 2 * CONTEXT)
}

/// Lines that edits add, and lines that they take.
fn sizes(edits: &[Hunk]) -> (usize, usize) {
    edits.iter().fold((0, 0), |(added, removed), edit| {
        (added + edit.lines.len(), removed + edit.base.len())
    })
}

/// A hunk's place on one side: its first line, or for no lines the one before, and how many.
fn place(from: usize, count: usize) -> String {
    match count {
        0 => format!("{from},0"),
        1 => format!("{}", from + 1),
        _ => format!("{},{count}", from + 1),
    }
}

fn body(lines: &[&str], within: Range<usize>, edits: &[Hunk], shown: &mut Vec<String>) {
    let mut at = within.start;
    for edit in edits {
        show(' ', lines[at..edit.base.start].iter().copied(), shown);
        show('-', lines[edit.base.clone()].iter().copied(), shown);
        show('+', edit.lines.iter().map(String::as_str), shown);
        at = edit.base.end;
    }
    show(' ', lines[at..within.end].iter().copied(), shown);
}

fn show<'a>(sign: char, lines: impl Iterator<Item = &'a str>, shown: &mut Vec<String>) {
    for line in lines {
        let bare = line.strip_suffix('\n');
        shown.push(format!("{sign}{}", bare.unwrap_or(line)));
        if bare.is_none() {
            shown.push("\\ No newline at end of file".to_owned());
        }
    }
}
