//! Edits of `tenants.yaml` by lines, so that nothing else in it changes: an entry more, one less, a slip of the pen.

use std::ops::Range;

/// An entry of the list, where each begins on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Its lines, from zero.
    lines: Range<usize>,
}

/// The file as a list of entries with lines before it.
struct List<'a> {
    lines: Vec<&'a str>,
    entries: Vec<Entry>,
    /// The spaces before each `-`.
    indent: usize,
    /// The line of `tenants: []`, where there is no entry.
    empty: Option<usize>,
}

/// Names of the tenants, in the order of the file.
pub(super) fn names(text: &str) -> Vec<String> {
    let entries = List::of(text).map(|list| list.entries);
    let names = entries.unwrap_or_default().into_iter();
    names.map(|entry| entry.name).collect()
}

/// A name that no entry has: the wished one, or with the first number that is free.
pub(super) fn free_name(text: &str, wish: &str) -> String {
    let taken = names(text);
    let numbered = (2..).map(|number| format!("{wish}-{number}"));
    let mut candidates = std::iter::once(wish.to_owned()).chain(numbered);
    let free = candidates.find(|name| !taken.contains(name));
    free.expect("numbers do not end")
}

/// The file with one more entry for each name, each with a namespace of the same name and one team.
pub(super) fn with(text: &str, names: &[String], team: &str) -> Option<String> {
    let list = List::of(text)?;
    let indent = " ".repeat(list.indent);
    let more: Vec<String> = names
        .iter()
        .map(|name| {
            format!("{indent}- name: {name}\n{indent}  namespaces: [{{name: {name}}}]\n{indent}  githubTeams: [{{name: {team}}}]")
        })
        .collect();
    let mut lines: Vec<&str> = list.lines.clone();
    if let Some(empty) = list.empty {
        lines[empty] = "tenants:";
    }
    let at = list
        .entries
        .last()
        .map_or(lines.len(), |entry| entry.lines.end);
    lines.splice(at..at, more.iter().map(String::as_str));
    Some(joined(&lines))
}

/// The file without an entry.
pub(super) fn without(text: &str, name: &str) -> Option<String> {
    let list = List::of(text)?;
    let entry = list.entries.iter().find(|entry| entry.name == name)?;
    let mut lines = list.lines.clone();
    lines.drain(entry.lines.clone());
    if list.entries.len() == 1 {
        let head = lines.iter().rposition(|line| line.trim_end() == "tenants:");
        match head {
            Some(head) => lines[head] = "tenants: []",
            None => lines.push("[]"),
        }
    }
    Some(joined(&lines))
}

/// The file with two letters of the first team's name changed round, and that name.
pub(super) fn with_a_slip(text: &str) -> Option<(String, String)> {
    let list = List::of(text)?;
    let mut lines: Vec<String> = list.lines.iter().map(ToString::to_string).collect();
    let mut in_teams = false;
    let inside = list.entries.first()?.lines.start..list.entries.last()?.lines.end;
    for line in &mut lines[inside] {
        in_teams |= line.contains("githubTeams:");
        let Some(name) = in_teams.then(|| first_name(line, "githubTeams:")).flatten() else {
            continue;
        };
        let slip = slipped(&line[name.clone()])?;
        line.replace_range(name, &slip);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        return Some((joined(&lines), slip));
    }
    None
}

/// Where the first value of `name:` stands in a line, behind `after` if the line has it.
fn first_name(line: &str, after: &str) -> Option<Range<usize>> {
    let from = line.find(after).map_or(0, |at| at + after.len());
    let value = from + line[from..].find("name:")? + "name:".len();
    let start = value + line[value..].find(|letter: char| letter != ' ')?;
    let ends = |letter: char| matches!(letter, ',' | '}' | ' ' | '#');
    let end = line[start..].find(ends).map_or(line.len(), |at| start + at);
    (start < end).then_some(start..end)
}

/// `ai-team` becomes `ai-taem`: the last two letters that differ change places.
fn slipped(name: &str) -> Option<String> {
    let mut letters: Vec<char> = name.chars().collect();
    let swaps = |pair: &[char]| pair[0] != pair[1] && pair.iter().all(char::is_ascii_alphanumeric);
    let at = letters.windows(2).rposition(swaps)?;
    let at = if at > 0 && swaps(&letters[at - 1..=at]) {
        at - 1
    } else {
        at
    };
    letters.swap(at, at + 1);
    Some(letters.into_iter().collect())
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

impl<'a> List<'a> {
    /// Nothing where the file is not a list of entries that each begin on a line of their own.
    fn of(text: &'a str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let bare = |line: &str| {
            line.split(" #")
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned()
        };
        let empty = lines.iter().position(|line| bare(line) == "tenants: []");
        if empty.is_some() {
            return Some(Self {
                lines,
                entries: Vec::new(),
                indent: 0,
                empty,
            });
        }
        let head = lines.iter().position(|line| bare(line) == "tenants:");
        let from = head.map_or(0, |head| head + 1);
        let first = from + lines[from..].iter().position(|line| says_something(line))?;
        let indent = indent_of(lines[first]);
        let begins = |line: &str| indent_of(line) == indent && line[indent..].starts_with("- ");
        if !begins(lines[first]) {
            return None;
        }
        let over = |line: &&str| {
            says_something(line)
                && (indent_of(line) < indent || indent_of(line) == indent && !begins(line))
        };
        let end = lines[first..].iter().position(over);
        let end = end.map_or(lines.len(), |end| first + end);
        let starts: Vec<usize> = (first..end).filter(|at| begins(lines[*at])).collect();
        let ends = starts.iter().skip(1).copied().chain([end]);
        let entries = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| entry(&lines, indent, *start..end))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            lines,
            entries,
            indent,
            empty: None,
        })
    }
}

/// The entry in these lines, without what is only said before the next one.
fn entry(lines: &[&str], indent: usize, within: Range<usize>) -> Option<Entry> {
    let name = lines[within.clone()].iter().find_map(|line| {
        let inside = line.get(indent..)?;
        let key = inside.strip_prefix("- ").or(inside.strip_prefix("  "))?;
        let value = key.strip_prefix("name:")?;
        let value = value.split(" #").next().unwrap_or_default();
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    })?;
    let last = lines[within.clone()]
        .iter()
        .rposition(|line| says_something(line))?;
    Some(Entry {
        name,
        lines: within.start..within.start + last + 1,
    })
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Whether a line is more than space or a comment.
fn says_something(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with("---")
}

#[cfg(test)]
mod tests;
