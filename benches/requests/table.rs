//! The table, as Markdown.

use std::time::Duration;

use tenantry::sandbox::github::Class;

use crate::operation::Cost;
use crate::terraform::{self, grouped};
use crate::{Row, Start};

const HEAD: &str = "\
| tenants | operation | GitHub | read | GraphQL (points) | write | report | token | Kubernetes | wall, 0 ms | wall, 100 ms | CPU | peak memory | Terraform: GitHub | wall, 100 ms, tuned / default |
|--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

pub(crate) fn of(rows: &[Row], start: &Start) -> String {
    let lines: String = rows.iter().map(line).collect();
    format!(
        "\n{HEAD}{lines}\nStart to ready {}, memory at rest without tenants {}.\n\n{}",
        seconds(start.ready),
        megabytes(start.resident),
        NOTES
    )
}

const NOTES: &str = "\
Requests are those of one operation, all reports included; walls are with every answer of both servers delayed by so much.
First onboarding is measured at 100 ms up to 1,000 tenants, and without GitHub's limits on new content.
Terraform: `c` is computed from what was measured at up to 300 tenants; it does not run between two plans.
";

fn line(row: &Row) -> String {
    let Row {
        tenants,
        operation,
        cost,
        slow_wall,
    } = row;
    let Cost {
        points,
        kubernetes,
        wall,
        cpu,
        peak,
        ..
    } = cost;
    let of = |class| grouped(cost.github.get(&class).copied().unwrap_or_default());
    let total = grouped(cost.github.values().sum());
    let dash = || "–".to_owned();
    let slow_wall = slow_wall.map_or_else(dash, seconds);
    let terraform = terraform::requests(*operation, *tenants).unwrap_or_else(dash);
    let terraform_wall = terraform::wall(*operation, *tenants).map_or_else(dash, str::to_owned);
    format!(
        "| {} | {} | **{total}** | {} | {} ({points}) | {} | {} | {} | {} | {} | {slow_wall} | {:.2} s | {} | {terraform} | {terraform_wall} |\n",
        grouped(*tenants),
        operation.words(),
        of(Class::Read),
        of(Class::Graphql),
        of(Class::Write),
        of(Class::Report),
        of(Class::Auth),
        grouped(*kubernetes),
        seconds(*wall),
        cpu.as_secs_f32(),
        megabytes(*peak),
    )
}

pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.2} s", time.as_secs_f32())
    } else {
        format!("{:.0} s", time.as_secs_f32())
    }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
