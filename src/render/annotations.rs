//! Findings as annotations on the lines of the file, in the fields of GitHub's check runs API.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::names::TenantName;
use crate::observed::Problem;
use crate::plan::Plan;
use crate::render::counted;
use crate::render::escape::visible;
use crate::tenants::diagnostic::{Diagnostic, Place};

/// GitHub takes 64 KB of message; more than this nobody reads.
const LONGEST_MESSAGE: usize = 4_000;

/// GitHub takes 50 in a request, and however many there are, the report is not to take many requests.
const MOST: usize = 500;

/// A file that annotations are about.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// In the control repo.
    pub path: &'a str,
    pub text: &'a str,
}

/// Serialises to what GitHub takes in `output.annotations`, 50 of them in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    pub path: String,
    pub start_line: usize,
    pub end_line: usize,
    /// Only where the finding is on one line; GitHub refuses columns otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<usize>,
    #[serde(rename = "annotation_level")]
    pub level: Level,
    pub title: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Failure,
    Warning,
    Notice,
}

/// Line and column from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One for each error in the file.
pub fn of_diagnostics(findings: &[Diagnostic], file: &File) -> Vec<Annotation> {
    let of_one = |finding: &Diagnostic| {
        let related = finding
            .related
            .as_ref()
            .map(|(span, label)| format!("line {}: {label}", file.position(span.start).line));
        let parts = [Some(finding.message.clone()), related, finding.help.clone()];
        file.annotation(&finding.span, "Error in the file", &parts)
    };
    shown(findings.iter(), of_one, "error")
}

/// One for each problem of a plan, at its place in the file; at the first line where the file has no such place.
pub fn of_problems<'a>(
    problems: impl Iterator<Item = (&'a TenantName, &'a Problem)>,
    places: &BTreeMap<Place, Range<usize>>,
    file: &File,
) -> Vec<Annotation> {
    let of_one = |(tenant, problem): (&TenantName, &Problem)| {
        let own = places.get(&problem.place);
        let span = own.or_else(|| places.get(&Place::Tenant(tenant.clone())));
        let parts = [Some(problem.message.clone()), problem.help.clone()];
        file.annotation(
            span.unwrap_or(&(0..0)),
            &format!("{tenant} is held"),
            &parts,
        )
    };
    shown(problems, of_one, "problem")
}

/// As many as there may be; the last one says how many more there are.
fn shown<T>(
    mut all: impl Iterator<Item = T>,
    of_one: impl Fn(T) -> Annotation,
    noun: &str,
) -> Vec<Annotation> {
    let mut shown: Vec<_> = all.by_ref().take(MOST).map(of_one).collect();
    let left = all.count();
    if let (1.., Some(last)) = (left, shown.last_mut()) {
        let more = format!(
            "\nAnd {}, not shown for their number.",
            counted(left, &format!("more {noun}"))
        );
        last.message.push_str(&more);
    }
    shown
}

/// One for all the tenants that wait until Flux is locked down, at the first of them.
pub fn of_lockdown(
    plan: &Plan,
    places: &BTreeMap<Place, Range<usize>>,
    file: &File,
) -> Option<Annotation> {
    let locked_out: Vec<_> = plan.locked_out().collect();
    let spans = locked_out
        .iter()
        .filter_map(|name| places.get(&Place::Tenant((*name).clone())));
    let first = spans.min_by_key(|span| span.start);
    let gaps = plan.lockdown.gaps.iter().map(|gap| Some(gap.message()));
    let parts: Vec<_> = gaps.collect();
    let title = format!(
        "Flux is not locked down: {} held",
        counted(locked_out.len(), "tenant")
    );
    (!locked_out.is_empty()).then(|| file.annotation(first.unwrap_or(&(0..0)), &title, &parts))
}

impl File<'_> {
    pub(super) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |index| index + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }

    fn annotation(&self, span: &Range<usize>, title: &str, parts: &[Option<String>]) -> Annotation {
        // The end is exclusive; a line break at the end belongs to the line before it.
        let (start, end) = (
            self.position(span.start),
            self.position(span.end.max(span.start + 1) - 1),
        );
        let one_line = start.line == end.line && !span.is_empty();
        let message = parts
            .iter()
            .flatten()
            .map(|part| visible(part))
            .collect::<Vec<_>>()
            .join("\n");
        Annotation {
            path: self.path.to_owned(),
            start_line: start.line,
            end_line: end.line,
            start_column: one_line.then_some(start.column),
            end_column: one_line.then_some(end.column),
            level: Level::Failure,
            title: title.to_owned(),
            message: message.chars().take(LONGEST_MESSAGE).collect(),
        }
    }
}
