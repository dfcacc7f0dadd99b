//! What the program is held to, and what was measured of it.

use std::time::Duration;

use tenantry::sandbox::github::Class;

use crate::operation::{Cost, Operation};
use crate::table::{megabytes, seconds};
use crate::terraform::grouped;
use crate::{Row, Start};

/// At most so much of something.
enum Aim {
    Requests(fn(&Cost) -> usize, usize),
    SlowWall(Duration),
}

struct Held {
    tenants: usize,
    operation: Operation,
    what: &'static str,
    aim: Aim,
}

const fn held(tenants: usize, operation: Operation, what: &'static str, aim: Aim) -> Held {
    Held {
        tenants,
        operation,
        what,
        aim,
    }
}

const AIMS: [Held; 8] = [
    held(
        1_000,
        Operation::NoOp,
        "requests to GitHub",
        Aim::Requests(all, 25),
    ),
    held(
        1_000,
        Operation::NoOp,
        "requests to Kubernetes",
        Aim::Requests(kubernetes, 20),
    ),
    held(
        10_000,
        Operation::NoOp,
        "requests to GitHub",
        Aim::Requests(all, 160),
    ),
    held(
        1_000,
        Operation::AddOne,
        "requests to GitHub",
        Aim::Requests(all, 30),
    ),
    held(
        10_000,
        Operation::AddOne,
        "requests to GitHub",
        Aim::Requests(all, 30),
    ),
    held(
        10_000,
        Operation::AddOne,
        "writes to GitHub",
        Aim::Requests(writes, 5),
    ),
    held(
        10_000,
        Operation::FirstStart,
        "reports",
        Aim::Requests(reports, 20),
    ),
    held(
        300,
        Operation::NoOp,
        "wall, 100 ms",
        Aim::SlowWall(Duration::from_secs(2)),
    ),
];

fn all(cost: &Cost) -> usize {
    cost.github.values().sum()
}

fn kubernetes(cost: &Cost) -> usize {
    cost.kubernetes
}

fn writes(cost: &Cost) -> usize {
    cost.github.get(&Class::Write).copied().unwrap_or_default()
}

fn reports(cost: &Cost) -> usize {
    cost.github.get(&Class::Report).copied().unwrap_or_default()
}

/// As Markdown, those at sizes that were measured.
pub(crate) fn of(rows: &[Row], start: &Start) -> String {
    let lines = AIMS.iter().filter_map(|held| {
        let of = |row: &&Row| row.tenants == held.tenants && row.operation == held.operation;
        let (is_met, aim, measured) = held.aim.verdict(rows.iter().find(of)?)?;
        let (tenants, operation) = (grouped(held.tenants), held.operation.words());
        let what = format!("{operation}, {tenants} tenants: {}", held.what);
        Some(line(&what, &aim, &measured, is_met))
    });
    let lines: String = lines.collect();
    let of_most = rows.iter().filter(|row| row.tenants == 10_000);
    let peak = of_most.map(|row| row.cost.peak).max();
    let ready = Duration::from_millis(200);
    let machine = [
        peak.map(|peak| memory("peak memory, 10,000 tenants", 200, peak)),
        Some(memory("memory at rest without tenants", 30, start.resident)),
        Some(line(
            "start to ready",
            &seconds(ready),
            &seconds(start.ready),
            start.ready < ready,
        )),
    ];
    let machine: String = machine.into_iter().flatten().collect();
    format!("| aim | at most | measured | |\n|:--|--:|--:|:--|\n{lines}{machine}")
}

fn memory(what: &str, most: u64, bytes: u64) -> String {
    let most = most * 1_000_000;
    line(what, &megabytes(most), &megabytes(bytes), bytes < most)
}

impl Aim {
    /// Whether it is met, what it is, and what was measured, if it was.
    fn verdict(&self, row: &Row) -> Option<(bool, String, String)> {
        Some(match *self {
            Self::Requests(count, most) => {
                let count = count(&row.cost);
                (count <= most, grouped(most), grouped(count))
            }
            Self::SlowWall(most) => {
                let wall = row.slow_wall?;
                (wall < most, seconds(most), seconds(wall))
            }
        })
    }
}

fn line(what: &str, aim: &str, measured: &str, is_met: bool) -> String {
    let verdict = if is_met { "met" } else { "**missed**" };
    format!("| {what} | {aim} | {measured} | {verdict} |\n")
}
