//! Three-way merge by lines, with git's rule: edits that touch or overlap are a conflict.

use std::ops::Range;

use super::{File, Files, Objects};

/// Beyond this many cells the comparison gives up and calls the whole middle one edit.
const LARGEST_TABLE: usize = 16_000_000;

/// The paths that both sides changed in ways that do not fit together.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct MergeConflict(pub(in super::super) Vec<String>);

/// An edit of one side: these lines of the base become those lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Hunk {
    pub(in super::super) base: Range<usize>,
    pub(in super::super) lines: Vec<String>,
}

/// Merges two commits' files over those of their base.
pub(super) fn three_way(
    objects: &mut Objects,
    base: &Files,
    ours: &str,
    theirs: &str,
) -> Result<Files, MergeConflict> {
    let ours = objects.files_of(ours);
    let theirs = objects.files_of(theirs);
    let mut merged = Files::new();
    let mut conflicts = Vec::new();
    let mut paths: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let sides = (base.get(path), ours.get(path), theirs.get(path));
        match merge_file(objects, sides) {
            Ok(Some(file)) => {
                merged.insert(path.clone(), file);
            }
            Ok(None) => {}
            Err(()) => conflicts.push(path.clone()),
        }
    }
    if conflicts.is_empty() {
        Ok(merged)
    } else {
        Err(MergeConflict(conflicts))
    }
}

type Sides<'a> = (Option<&'a File>, Option<&'a File>, Option<&'a File>);

fn merge_file(objects: &mut Objects, sides: Sides<'_>) -> Result<Option<File>, ()> {
    match sides {
        (_, ours, theirs) if ours == theirs => Ok(ours.cloned()),
        (base, ours, theirs) if base == ours => Ok(theirs.cloned()),
        (base, ours, theirs) if base == theirs => Ok(ours.cloned()),
        (Some(base), Some(ours), Some(theirs)) => {
            let text = |file: &File| -> Result<String, ()> {
                let bytes = objects.blob(&file.blob).ok_or(())?;
                String::from_utf8(bytes.to_vec()).map_err(|_| ())
            };
            let merged = merge_text(&text(base)?, &text(ours)?, &text(theirs)?).ok_or(())?;
            Ok(Some(File {
                mode: ours.mode.clone(),
                blob: objects.write_blob(merged.as_bytes()),
            }))
        }
        _ => Err(()),
    }
}

/// The text with both sides' edits, or nothing where they clash.
fn merge_text(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let lines = split(base);
    let mut hunks = change_hunks(base, ours);
    for hunk in change_hunks(base, theirs) {
        if hunks.contains(&hunk) {
            continue;
        }
        if hunks.iter().any(|other| touch(&other.base, &hunk.base)) {
            return None;
        }
        hunks.push(hunk);
    }
    hunks.sort_by_key(|hunk| hunk.base.start);
    let mut merged = String::new();
    let mut at = 0;
    for hunk in hunks {
        merged.extend(lines[at..hunk.base.start].iter().copied());
        merged.extend(hunk.lines.iter().map(String::as_str));
        at = hunk.base.end;
    }
    merged.extend(lines[at..].iter().copied());
    Some(merged)
}

fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The edits that turn `base` into `other`, in order.
pub(in super::super) fn change_hunks(base: &str, other: &str) -> Vec<Hunk> {
    let (before, after) = (split(base), split(other));
    let mut hunks = Vec::new();
    let (mut left, mut right) = (0, 0);
    for (same_left, same_right) in common_lines(&before, &after)
        .into_iter()
        .chain([(before.len(), after.len())])
    {
        if same_left > left || same_right > right {
            hunks.push(Hunk {
                base: left..same_left,
                lines: after[right..same_right]
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            });
        }
        (left, right) = (same_left + 1, same_right + 1);
    }
    hunks
}

/// Positions of a longest common subsequence; common ends are cut off first, so large files stay cheap.
fn common_lines(before: &[&str], after: &[&str]) -> Vec<(usize, usize)> {
    let head = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other)
        .count();
    let tail = before[head..]
        .iter()
        .rev()
        .zip(after[head..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    let middle_before = &before[head..before.len() - tail];
    let middle_after = &after[head..after.len() - tail];
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    pairs.extend(
        longest_common(middle_before, middle_after)
            .into_iter()
            .map(|(left, right)| (left + head, right + head)),
    );
    pairs.extend((0..tail).map(|at| (before.len() - tail + at, after.len() - tail + at)));
    pairs
}

fn longest_common(before: &[&str], after: &[&str]) -> Vec<(usize, usize)> {
    if before.len() * after.len() > LARGEST_TABLE {
        return Vec::new();
    }
    let width = after.len() + 1;
    let mut length = vec![0_u32; (before.len() + 1) * width];
    for left in (0..before.len()).rev() {
        for right in (0..after.len()).rev() {
            length[left * width + right] = if before[left] == after[right] {
                length[(left + 1) * width + right + 1] + 1
            } else {
                length[(left + 1) * width + right].max(length[left * width + right + 1])
            };
        }
    }
    let (mut left, mut right, mut pairs) = (0, 0, Vec::new());
    while left < before.len() && right < after.len() {
        if before[left] == after[right] {
            pairs.push((left, right));
            (left, right) = (left + 1, right + 1);
        } else if length[(left + 1) * width + right] >= length[left * width + right + 1] {
            left += 1;
        } else {
            right += 1;
        }
    }
    pairs
}
