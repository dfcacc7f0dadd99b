//! What Terraform's GitHub provider 6.11 (which Pulumi's bridges) takes for the same, the teams themselves left out.
//!
//! Measured against a local server with the same five resources a tenant (repository, default branch, deploy key, two
//! teams): requests exactly, at up to 300 tenants; they are linear in the tenants, so the formulas hold beyond. Walls
//! are at 100 ms a request, `tuned` without the provider's pauses and with ten requests at a time, `default` as it is
//! installed.

use crate::operation::Operation;

/// Requests to GitHub for an operation among so many tenants, and how that is known.
pub(crate) fn requests(operation: Operation, tenants: usize) -> Option<String> {
    let (count, known) = match operation {
        Operation::FirstStart => (13 * tenants + 2, Known::Measured),
        Operation::NoOp => (6 * tenants + 2, Known::Measured),
        // A plan on the pull request, one on the merge, and its apply.
        Operation::AddOne => (12 * tenants + 19, Known::Computed),
        // A plan finds it, and puts it right with one write at least.
        Operation::Drift => (6 * tenants + 3, Known::Computed),
        // It does not run in between.
        Operation::Restart => return None,
    };
    // Beyond what was tried, the measured formula is still only a formula.
    Some(match known {
        Known::Measured if tenants <= 300 => grouped(count),
        Known::Measured | Known::Computed => format!("{} c", grouped(count)),
    })
}

enum Known {
    Measured,
    Computed,
}

/// Seconds at 100 ms a request, tuned and by default, where they were measured.
pub(crate) fn wall(operation: Operation, tenants: usize) -> Option<&'static str> {
    match (operation, tenants) {
        (Operation::FirstStart, 1) => Some("1.3 / 7.8"),
        (Operation::FirstStart, 10) => Some("2.1 / 74"),
        (Operation::FirstStart, 100) => Some("19.8 / 740 c"),
        (Operation::FirstStart, 300) => Some("74 / 2,200 c"),
        (Operation::NoOp, 1) => Some("0.6 / 0.9"),
        (Operation::NoOp, 10) => Some("1.0 / 5.7"),
        (Operation::NoOp, 100) => Some("7.1 / 52"),
        (Operation::NoOp, 300) => Some("20.7 / 153"),
        (Operation::AddOne, 300) => Some("22 / 162"),
        _ => None,
    }
}

/// `6,002`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, mut rest) = digits.split_at(first);
    let mut text = head.to_owned();
    while !rest.is_empty() {
        let (group, later) = rest.split_at(3);
        text = format!("{text},{group}");
        rest = later;
    }
    text
}
