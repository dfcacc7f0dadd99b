//! The small part of `JSONPath` that printer columns use: `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

/// The first value that a path leads to.
pub(super) fn first<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    follow(object, path)
}

fn follow<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return (!value.is_null()).then_some(value);
    }
    if let Some(inside) = path.strip_prefix('[') {
        let end = closing(inside)?;
        let (inside, rest) = (&inside[..end], &inside[end + 1..]);
        return items(value, inside)
            .into_iter()
            .find_map(|item| follow(item, rest));
    }
    let end = name_end(path);
    // A dot within a name is written `\.`.
    let name = path[..end].replace("\\.", ".");
    follow(value.get(&name)?, &path[end..])
}

/// Where the bracket closes, quotes and inner brackets left aside.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (index, character) in text.char_indices() {
        match quote {
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None => match character {
                '"' | '\'' => quote = Some(character),
                '[' => depth += 1,
                ']' if depth == 0 => return Some(index),
                ']' => depth -= 1,
                _ => {}
            },
        }
    }
    None
}

fn name_end(path: &str) -> usize {
    let mut is_escaped = false;
    for (index, character) in path.char_indices() {
        match character {
            '\\' => is_escaped = true,
            '.' | '[' if !is_escaped => return index,
            _ => is_escaped = false,
        }
    }
    path.len()
}

fn items<'a>(value: &'a Value, inside: &str) -> Vec<&'a Value> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if inside == "*" {
        return list.iter().collect();
    }
    if let Some(name) = unquoted(inside) {
        return value.get(name).into_iter().collect();
    }
    if let Ok(index) = inside.parse::<usize>() {
        return list.get(index).into_iter().collect();
    }
    let Some(filter) = inside
        .strip_prefix("?(")
        .and_then(|rest| rest.strip_suffix(')'))
    else {
        return Vec::new();
    };
    let Some((left, right)) = filter.split_once("==") else {
        return Vec::new();
    };
    let left = left.trim().trim_start_matches('@').to_owned();
    let right = right.trim();
    let wanted = unquoted(right).map_or_else(
        || serde_json::from_str(right).unwrap_or_default(),
        Value::from,
    );
    let fits = |item: &&'a Value| follow(item, &left).is_some_and(|found| *found == wanted);
    list.iter().filter(fits).collect()
}

fn unquoted(text: &str) -> Option<&str> {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\''))
}
