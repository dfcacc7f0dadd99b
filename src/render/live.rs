//! How a merge's tenants fare on their way to live: a title, and a part of the comment and of the check that is replaced
//! in place while the rest stays as the apply wrote it.

use std::fmt::Write as _;
use std::ops::Range;

use crate::live::course::{Course, Leg, Turn};
use crate::live::{Nature, Obstacle, Stage};
use crate::names::TenantName;
use crate::render::check::Conclusion;
use crate::render::{capitalized, clock, counted, escape, short_commit};

/// By which the part is found again; what the merge did stands in it, for the title.
const BEGIN: &str = "<!-- tenantry:live";
const END: &str = "<!-- tenantry:live-end -->";

/// Bytes that the part takes at most.
pub(super) const LONGEST: usize = 11_000;
/// Of which these are what is wrong, and these the tenants.
const OBSTACLES: usize = 6_000;
const ROWS: usize = 4_000;
/// Longest message of Flux's that is shown whole, in characters.
const LONGEST_MESSAGE: usize = 400;

/// How the check ends; none while it is in progress.
pub fn conclusion(turn: &Turn) -> Option<Conclusion> {
    match turn {
        Turn::Underway => None,
        Turn::Live => Some(Conclusion::Success),
        Turn::Stuck | Turn::Late => Some(Conclusion::Failure),
        Turn::Superseded { .. } => Some(Conclusion::Neutral),
    }
}

/// Whether the text has such a part.
pub fn is_followed(text: &str) -> bool {
    find(text).is_some()
}

/// The text of a comment with its part, and its title where that speaks of the course, as they are now.
pub fn retold(text: &str, course: &Course) -> Option<String> {
    let (place, did) = find(text)?;
    let part = part(course, did);
    let before = &text[..place.start];
    let before = match (did, before.find("### ")) {
        (Some(did), Some(start)) => {
            let end = before[start..]
                .find('\n')
                .map_or(before.len(), |length| start + length);
            format!(
                "{}### {}{}",
                &before[..start],
                title(course, did),
                &before[end..]
            )
        }
        _ => before.to_owned(),
    };
    Some(before + &part + &text[place.end..])
}

/// A check's title as it is now, by what its summary says of the merge; none where the check does not speak of it.
pub fn check_title(summary: &str, course: &Course) -> Option<String> {
    let (_, did) = find(summary)?;
    Some(plain_title(course, did?))
}

/// What the merge did (`1 tenant added`), and how far its tenants are.
pub(super) fn title(course: &Course, did: &str) -> String {
    let (word, parts) = words(course, did);
    format!("{word}: {}", parts.join(" · "))
}

/// The same for a check, without marks.
pub(super) fn plain_title(course: &Course, did: &str) -> String {
    let (word, parts) = words(course, did);
    format!("{word}: {}", parts.join(", ").replace("⚠️ ", ""))
}

fn words(course: &Course, did: &str) -> (&'static str, Vec<String>) {
    let total = course.legs.len();
    let (live, failing, suspended) = (course.live(), course.failing(), course.suspended());
    let mut parts = vec![did.to_owned()];
    match &course.turn {
        Turn::Underway => {
            parts.push(format!("{live} of {total} live"));
            if failing > 0 {
                parts.push(format!("⚠️ {failing} failing"));
            }
            ("Applied", parts)
        }
        Turn::Live => {
            parts.extend(took(course));
            if suspended > 0 {
                parts.push(format!("{suspended} suspended"));
            }
            (if live > 0 { "Live" } else { "Applied" }, parts)
        }
        turn @ (Turn::Stuck | Turn::Late) => {
            let missing = total - live - suspended;
            let whole = counted(total, "tenant");
            let which = if total == 1 {
                whole
            } else {
                format!("{missing} of {whole}")
            };
            let late = if *turn == Turn::Late { " in time" } else { "" };
            parts.insert(0, format!("{which} not live{late}"));
            ("Failed", parts)
        }
        Turn::Superseded { by } => {
            parts.push(format!("followed with {}", short_commit(by)));
            ("Applied", parts)
        }
    }
}

/// `9 s`, from the beginning of the apply until the last tenant was live; none where that is older.
fn took(course: &Course) -> Option<String> {
    let live = course
        .legs
        .values()
        .filter_map(|leg| course.reached(leg, Stage::Live));
    let seconds = live.max()?.as_second() - course.began.as_second();
    Some(format!("in {}", span(seconds)))
}

/// The part itself; `did` where the title is to follow the course.
pub(super) fn part(course: &Course, did: Option<&str>) -> String {
    let begin = did.map_or_else(
        || format!("{BEGIN} -->"),
        |did| format!("{BEGIN}: {did} -->"),
    );
    let text = match &course.turn {
        Turn::Superseded { by } => format!(
            "A newer merge has touched the same tenants: that they become live is told with {}.\n\n",
            escape::code(short_commit(by))
        ),
        Turn::Underway | Turn::Live | Turn::Stuck | Turn::Late => {
            obstacles(course) + &table(course)
        }
    };
    format!("{begin}\n{text}{END}\n")
}

fn obstacles(course: &Course) -> String {
    let wrong: Vec<_> = course
        .legs
        .iter()
        .filter(|(_, leg)| leg.is_failing())
        .collect();
    if wrong.is_empty() {
        return String::new();
    }
    let stuck = wrong
        .iter()
        .any(|(_, leg)| leg.nature() == Some(Nature::Stuck));
    let alert = if stuck { "CAUTION" } else { "WARNING" };
    let mut text = format!("> [!{alert}]\n> **Not live**, and why:\n");
    let mut left = wrong.len();
    for (name, leg) in wrong {
        let Some(obstacle) = &leg.obstacle else {
            continue;
        };
        let line = obstacle_line(name, obstacle);
        if text.len() + line.len() > OBSTACLES {
            break;
        }
        text.push_str(&line);
        left -= 1;
    }
    if left > 0 {
        writeln!(text, "> - and {}", counted(left, "more tenant")).expect("writing to a string");
    }
    text + "\n"
}

fn obstacle_line(name: &TenantName, obstacle: &Obstacle) -> String {
    let message: String = obstacle.message.chars().take(LONGEST_MESSAGE).collect();
    let cut = if message.len() < obstacle.message.len() {
        "…"
    } else {
        ""
    };
    let by = obstacle
        .by
        .map(|kind| format!("{kind} "))
        .unwrap_or_default();
    let help = obstacle.help.as_deref();
    let help = help
        .map(|help| format!(" {}.", escape::message(&capitalized(help))))
        .unwrap_or_default();
    let next = match obstacle.nature {
        Nature::Failing if obstacle.by.is_some() => " Flux tries again by itself.",
        Nature::Failing | Nature::Stuck | Nature::Waiting | Nature::Suspended => "",
    };
    format!(
        "> - {}: {by}<b>{}</b>: {}{cut}.{help}{next}\n",
        escape::code(name.as_str()),
        escape::words(&obstacle.reason),
        escape::message(message.trim_end_matches('.')),
    )
}

fn table(course: &Course) -> String {
    let mut legs: Vec<_> = course.legs.iter().collect();
    // What needs a look first; the sort keeps the names in order.
    legs.sort_by_key(|(_, leg)| (!leg.is_failing(), leg.is_done()));
    let mut text = "| | Tenant | created | fetched | applied | contained | live |\n|:--|:--|--:|--:|--:|--:|--:|\n".to_owned();
    let mut shown = 0;
    for (name, leg) in &legs {
        let row = row(course, name, leg);
        if text.len() + row.len() > ROWS {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    let rest = &legs[shown..];
    if !rest.is_empty() {
        let live = rest.iter().filter(|(_, leg)| leg.is_live()).count();
        let count = counted(rest.len(), "more tenant");
        writeln!(text, "\nAnd {count}, {live} of them live.").expect("writing to a string");
    }
    writeln!(
        text,
        "\n<sub>Since {}, when the work began.{}</sub>\n",
        clock(course.began),
        ahead(&course.turn)
    )
    .expect("writing to a string");
    text
}

fn ahead(turn: &Turn) -> &'static str {
    match turn {
        Turn::Underway => " This follows Flux until every tenant is live.",
        Turn::Stuck | Turn::Late => {
            " The check has ended; this changes all the same once every tenant is live."
        }
        Turn::Live | Turn::Superseded { .. } => "",
    }
}

fn row(course: &Course, name: &TenantName, leg: &Leg) -> String {
    let mark = match leg.nature() {
        None if leg.is_live() => "✅",
        None | Some(Nature::Waiting) => "⏳",
        Some(Nature::Failing) => "⚠️",
        Some(Nature::Stuck) => "❌",
        Some(Nature::Suspended) => "⏸️",
    };
    let mut here = Some(mark).filter(|_| !leg.is_live());
    let cells = Stage::ALL.iter().map(|&stage| {
        if !leg.passed.contains_key(&stage) {
            return here.take().unwrap_or_default().to_owned();
        }
        match course.reached(leg, stage) {
            Some(at) => format!("+{}", span(at.as_second() - course.began.as_second())),
            None => "✓".to_owned(),
        }
    });
    let cells: Vec<_> = cells.collect();
    format!(
        "| {mark} | {} | {} |\n",
        escape::code(name.as_str()),
        cells.join(" | ")
    )
}

/// `9 s`, `2 min 5 s`, `1 h 3 min`.
fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Where the part stands, and what it says that the merge did.
fn find(text: &str) -> Option<(Range<usize>, Option<&str>)> {
    let start = text.find(BEGIN)?;
    let head = &text[start + BEGIN.len()..];
    let (did, _) = head.split_once(" -->")?;
    let end = start + text[start..].find(END)? + END.len();
    let end = if text[end..].starts_with('\n') {
        end + 1
    } else {
        end
    };
    Some((start..end, did.strip_prefix(": ")))
}
