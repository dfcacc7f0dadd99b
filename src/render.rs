//! One plan or report, told to people on GitHub, on a terminal, and to machines. Text out, nothing else.
//!
//! ```text
//! Plan, Report ── rows (what to say of each step) ──┬── comment, check   Markdown within GitHub's limits
//!                                                   ├── tree             terminal
//!                                                   └── annotations      lines of the file
//! Plan, Report ───────────────────────────────────────── json             machines
//! ```
//! What people wrote themselves never goes in without [`escape`]; `phrase` keeps it apart from our words until then.

pub mod annotations;
pub mod check;
pub mod comment;
pub mod escape;
mod fit;
mod headline;
pub mod json;
pub mod live;
mod lockdown;
mod notes;
mod phrase;
mod rows;
#[cfg(test)]
mod tests;
pub mod tree;

use jiff::Timestamp;

/// `1 tenant`, `2 tenants`, `3 NetworkPolicies`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {}", plural(noun))
    }
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

/// The first seven characters, as Git shortens a commit.
fn short_commit(commit: &str) -> &str {
    commit
        .char_indices()
        .nth(7)
        .map_or(commit, |(end, _)| &commit[..end])
}

/// For the beginning of a sentence.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// To the minute; with the day, if it is another one than today.
fn about(at: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| time.as_second().div_euclid(86_400);
    let format = if day(at) == day(now) {
        "%H:%M UTC"
    } else {
        "%b %-d, %H:%M UTC"
    };
    at.strftime(format).to_string()
}

/// How long ago, in the largest unit that fits: `3 hours ago`.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = usize::try_from(now.as_second() - then.as_second()).unwrap_or(0);
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} ago", counted(seconds / 60, "minute")),
        3600..86_400 => format!("{} ago", counted(seconds / 3600, "hour")),
        _ => format!("{} ago", counted(seconds / 86_400, "day")),
    }
}
