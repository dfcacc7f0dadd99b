//! What is measured: five operations, each told by what people do to cause it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tenantry::sandbox::github::{Class, Mark};

use crate::app::App;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    FirstStart,
    NoOp,
    AddOne,
    Restart,
    Drift,
}

impl Operation {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::FirstStart => "first onboarding",
            Self::NoOp => "no-op reconcile",
            Self::AddOne => "add one: pull request and merge",
            Self::Restart => "restart",
            Self::Drift => "one tenant drifted",
        }
    }
}

/// What an operation took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    pub(crate) github: BTreeMap<Class, usize>,
    /// Of GraphQL, by GitHub's formula.
    pub(crate) points: u32,
    pub(crate) kubernetes: usize,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Bytes.
    pub(crate) peak: u64,
}

/// An operation under way.
pub(crate) struct Measurement {
    mark: Mark,
    kubernetes: usize,
    cpu: Duration,
}

impl Measurement {
    /// Of a process that is about to start.
    pub(crate) fn of_a_start(world: &World) -> Self {
        Self {
            mark: world.github.mark(),
            kubernetes: world.kubernetes_requests(),
            cpu: Duration::ZERO,
        }
    }

    /// Of a process that rests.
    pub(crate) fn of(world: &World, app: &App) -> Self {
        app.forget_peak();
        Self {
            cpu: app.usage().cpu,
            ..Self::of_a_start(world)
        }
    }

    /// Counts what comes after the outcome too: open pull requests are looked at last.
    pub(crate) async fn end(self, world: &World, app: &App, wall: Duration) -> Cost {
        world.settled().await;
        let mut cost = Cost {
            kubernetes: world.kubernetes_requests() - self.kubernetes,
            wall,
            cpu: app.usage().cpu.saturating_sub(self.cpu),
            peak: app.usage().peak,
            ..Cost::default()
        };
        for request in world.github.requests_since(self.mark) {
            *cost.github.entry(request.class).or_default() += 1;
            cost.points += request.points;
        }
        cost
    }
}

/// Starts the program on a file of which nothing is there yet.
pub(crate) async fn first_start(world: &World, resync: Duration) -> (App, Cost) {
    let measurement = Measurement::of_a_start(world);
    let app = App::start(world, resync);
    world.concluded(&world.tip(), "tenantry/apply").await;
    let wall = app.started.elapsed();
    let cost = measurement.end(world, &app, wall).await;
    (app, cost)
}

/// Starts the program where all is done.
pub(crate) async fn restart(world: &World, resync: Duration) -> (App, Cost) {
    let measurement = Measurement::of_a_start(world);
    let mut app = App::start(world, resync);
    let started = app.started;
    let ended = app.says("nothing new", started).await;
    let cost = measurement.end(world, &app, ended - started).await;
    (app, cost)
}

/// Waits for the next comparison of everything, in which nothing differs.
pub(crate) async fn no_op(world: &World, app: &mut App) -> Cost {
    let measurement = Measurement::of(world, app);
    let begun = world.first_request().await;
    let ended = app.says("nothing new", begun).await;
    measurement.end(world, app, ended - begun).await
}

/// A pull request that adds a tenant, and its merge as soon as it is planned.
pub(crate) async fn add_one(world: &mut World, app: &App) -> Cost {
    let measurement = Measurement::of(world, app);
    let begun = Instant::now();
    let (number, head) = world.pull_with_one_more();
    world.concluded(&head, "tenantry/plan").await;
    let merged = world.merge(number);
    world.concluded(&merged, "tenantry/apply").await;
    let wall = begun.elapsed();
    let compared = app.said("nothing new", begun);
    assert_eq!(compared, None, "a comparison of everything came in between");
    measurement.end(world, app, wall).await
}

/// Somebody lowers a team's permission by hand; the next comparison puts it back.
pub(crate) async fn drift(world: &World, app: &App) -> Cost {
    let measurement = Measurement::of(world, app);
    let before = world.runs_at_the_tip();
    world.lower_a_permission();
    let begun = world.first_request().await;
    while world.runs_at_the_tip() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.concluded(&world.tip(), "tenantry/apply").await;
    let wall = begun.elapsed();
    assert!(world.permission_is_back());
    measurement.end(world, app, wall).await
}
