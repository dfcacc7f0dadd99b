//! What the program asks of GitHub and of the cluster, held to its aims. It is counted as in `cargo bench --bench
//! requests`, on the program itself, at a size at which that is quick.

#[path = "../benches/requests/app.rs"]
#[expect(dead_code, reason = "the benchmark measures more")]
mod app;
#[path = "../benches/requests/cluster.rs"]
mod cluster;
#[path = "../benches/fleet.rs"]
mod fleet;
#[path = "../benches/requests/flux.rs"]
mod flux;
#[path = "../benches/requests/operation.rs"]
#[expect(dead_code, reason = "the benchmark tells more")]
mod operation;
#[path = "../benches/requests/world.rs"]
#[expect(dead_code, reason = "the benchmark measures more")]
mod world;

use std::time::Duration;

use app::App;
use operation::Cost;
use tenantry::sandbox::github::{Class, Mark};
use world::World;

const TENANTS: usize = 300;

/// Keys that one comparison replaces because they have grown old.
const ROTATIONS: usize = 20;

fn requests(cost: &Cost) -> usize {
    cost.github.values().sum()
}

fn of(cost: &Cost, class: Class) -> usize {
    cost.github.get(&class).copied().unwrap_or_default()
}

/// All deploy keys were registered long ago.
fn age_all_keys(world: &World) {
    world.github.edit(|github| {
        let repositories = github.repositories.values_mut();
        for key in repositories.flat_map(|found| found.deploy_keys.values_mut()) {
            "2020-01-01T00:00:00Z".clone_into(&mut key.created_at);
        }
    });
}

/// How many keys were registered and how many removed since the mark.
fn keys_since(world: &World, mark: Mark) -> [usize; 2] {
    let requests = world.github.requests_since(mark);
    ["POST", "DELETE"].map(|method| {
        let of_keys = requests.iter().filter(|one| one.method == method);
        of_keys.filter(|one| one.path.contains("/keys")).count()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_grow_with_the_change_and_not_with_the_organisation() {
    let mut world = World::new(TENANTS).await;
    let never = Duration::from_hours(1);
    let (app, first) = operation::first_start(&world, never).await;
    app.stop();
    assert_eq!(of(&first, Class::Write), 5 * TENANTS, "{first:#?}");
    // Beside the writes: tokens, the control repo, and pages of a hundred.
    assert!(requests(&first) <= 5 * TENANTS + 20, "{first:#?}");

    // A comparison of everything, and what a start costs: three pages of repositories, one of teams, and what the control
    // repo says.
    let (mut app, restart) = operation::restart(&world, Duration::from_secs(5)).await;
    assert!(requests(&restart) <= 13, "{restart:#?}");
    // A start lists and begins to watch three kinds beside it, and looks once for the admission policies and their bindings.
    assert!(restart.kubernetes <= 12 + 6 + 2, "{restart:#?}");
    assert_eq!(of(&restart, Class::Write) + of(&restart, Class::Report), 0);

    let no_op = operation::no_op(&world, &mut app).await;
    app.stop();
    assert!(requests(&no_op) <= 13, "{no_op:#?}");
    assert!(no_op.kubernetes <= 12, "{no_op:#?}");
    assert_eq!(of(&no_op, Class::Write) + of(&no_op, Class::Report), 0);

    let (app, _) = operation::restart(&world, never).await;
    let add_one = operation::add_one(&mut world, &app).await;
    app.stop();
    // Two of them ask what the organisation lets everybody do, and two tell that it is live.
    assert!(requests(&add_one) <= 29, "{add_one:#?}");
    assert_eq!(
        of(&add_one, Class::Write),
        5,
        "a repository, its first file, two teams, a key"
    );
    assert!(of(&add_one, Class::Report) <= 20, "{add_one:#?}");

    // Keys that grow old together are replaced a few at a time, and each costs what it takes.
    age_all_keys(&world);
    for start in 1..=2 {
        let (mark, app) = (world.github.mark(), App::start(&world, never));
        while keys_since(&world, mark) != [ROTATIONS; 2] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.settled().await;
        app.stop();
        assert_eq!(keys_since(&world, mark), [ROTATIONS; 2], "start {start}");
        let requests = world.github.requests_since(mark).len();
        assert!(requests <= 7 * ROTATIONS, "{requests}");
    }
}
