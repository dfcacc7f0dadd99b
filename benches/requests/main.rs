//! What the program asks of GitHub and of the cluster, and what it takes of the machine: counted and printed as a table.
//!
//! `cargo bench --bench requests`, or with sizes: `cargo bench --bench requests -- 1 100 1000`. The program runs in a
//! process of its own, as users run it, against the embedded GitHub and the embedded cluster, which run in this one.
//! Tenants have two teams and a namespace each; there is a team for every five tenants. Below the table stand the aims
//! that the program is held to, with what was measured.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

mod aims;
mod app;
mod cluster;
#[path = "../fleet.rs"]
mod fleet;
mod flux;
mod operation;
mod table;
mod terraform;
mod world;

use std::time::Duration;

use app::App;
use operation::{Cost, Operation};
use world::World;

const USUAL: [usize; 6] = [1, 10, 100, 300, 1_000, 10_000];

/// What GitHub usually takes to answer.
const SLOW: Duration = Duration::from_millis(100);

/// Above so many tenants their first onboarding is not measured at 100 ms a request: it would take too long.
const SLOWLY_ONBOARDED: usize = 1_000;

/// What was measured of an operation at one size.
pub(crate) struct Row {
    tenants: usize,
    operation: Operation,
    cost: Cost,
    slow_wall: Option<Duration>,
}

#[tokio::main]
async fn main() {
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        USUAL.to_vec()
    } else {
        sizes
    };
    let start = start().await;
    let mut rows = Vec::new();
    for tenants in sizes {
        eprintln!("{tenants} tenants …");
        rows.extend(measured(tenants).await);
    }
    print!("{}\n{}", table::of(&rows, &start), aims::of(&rows, &start));
}

/// A process that has just started, on a file without tenants.
pub(crate) struct Start {
    ready: Duration,
    resident: u64,
}

async fn start() -> Start {
    let world = World::new(0).await;
    let app = App::start(&world, Duration::from_hours(1));
    let ready = app.ready().await;
    world.concluded(&world.tip(), "tenantry/apply").await;
    world.settled().await;
    let resident = app.usage().resident;
    app.stop();
    Start { ready, resident }
}

async fn measured(tenants: usize) -> Vec<Row> {
    let mut world = World::new(tenants).await;
    let (app, first) = operation::first_start(&world, Duration::from_hours(1)).await;
    app.stop();
    let quick = afterwards(&mut world, tenants).await;
    world.set_latency(SLOW);
    let slow = afterwards(&mut world, tenants).await;
    drop(world);
    let mut rows = vec![Row {
        tenants,
        operation: Operation::FirstStart,
        cost: first,
        slow_wall: slow_onboarding(tenants).await,
    }];
    rows.extend(
        quick
            .into_iter()
            .zip(slow)
            .map(|((operation, cost), (_, slow))| Row {
                tenants,
                operation,
                cost,
                slow_wall: Some(slow.wall),
            }),
    );
    rows.sort_by_key(|row| row.operation);
    rows
}

/// Everything but the first onboarding.
async fn afterwards(world: &mut World, tenants: usize) -> Vec<(Operation, Cost)> {
    let resync = resync(tenants, world);
    let (mut app, restart) = operation::restart(world, resync).await;
    let no_op = operation::no_op(world, &mut app).await;
    let add_one = operation::add_one(world, &app).await;
    let drift = operation::drift(world, &app).await;
    app.stop();
    vec![
        (Operation::NoOp, no_op),
        (Operation::AddOne, add_one),
        (Operation::Restart, restart),
        (Operation::Drift, drift),
    ]
}

/// Time enough between two comparisons of everything for one of them and a merge.
fn resync(tenants: usize, world: &World) -> Duration {
    let seconds = 5 + u64::try_from(tenants / 200).expect("few");
    Duration::from_secs(seconds) + 150 * world.latency()
}

async fn slow_onboarding(tenants: usize) -> Option<Duration> {
    if tenants > SLOWLY_ONBOARDED {
        return None;
    }
    let mut world = World::new(tenants).await;
    world.set_latency(SLOW);
    let (app, cost) = operation::first_start(&world, Duration::from_hours(1)).await;
    app.stop();
    Some(cost.wall)
}
