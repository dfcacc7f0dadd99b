//! Pull requests of which no webhook tells, or whose base changes meanwhile: comparing everything looks at them too.

use std::time::Duration;

use tenantry::sandbox::github::{Fault, Permission};

use crate::pull_request::{PLAN, push, title};
use crate::support::World;

const NO_TENANT: &str = "tenants: []\n";
const ONE_TENANT: &str = "
tenants:
- name: shop%
  namespaces: [{name: shop%}]
  githubTeams: [{name: payments}]
";

fn runs(world: &World, commit: &str) -> usize {
    world.github.check_runs(&world.control(), commit).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_nobody_told_of_is_planned_at_the_next_start() {
    let Some(mut world) = World::new(NO_TENANT).await else {
        return;
    };
    world.stop().await;
    let (number, head) = world.pull("add", ONE_TENANT);
    world.start().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Plan: 1 tenant added"), "{comment}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_interrupted_is_made_at_the_next_start() {
    let Some(mut world) = World::new(NO_TENANT).await else {
        return;
    };
    let look = Fault::on("GET", "/repos/*/*/issues/*/comments");
    world.github.fault(look.delay(Duration::from_secs(10)));
    let (number, head) = world.pull("add", ONE_TENANT);
    while runs(&world, &head) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.crash();
    world.start().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));
    assert!(world.comment(number).is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_follows_its_base_and_one_of_the_present_base_is_left_alone() {
    let Some(mut world) = World::new(NO_TENANT).await else {
        return;
    };
    let (_, head) = world.pull("add", ONE_TENANT);
    world.check(&head, PLAN).await;
    let alice = world.github.as_user("alice");
    let readme = [("README.md", Some("# More\n"))];
    let untouching = alice.commit(&world.control(), "readme", "Say more", &readme);
    alice.open_pull(&world.control(), "main", "readme", "Say more", "");
    world.check(&untouching, PLAN).await;

    world.stop().await;
    push(&world, "main", Some("tenants: [] # nobody yet\n"));
    world.start().await;
    world.last_apply().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Resolve the conflict"));
    world.rests().await;

    world.stop().await;
    push(&world, "main", Some(NO_TENANT));
    world.start().await;
    world.last_apply().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));
    world.rests().await;
    assert_eq!(runs(&world, &untouching), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_the_apply_again_has_everything_compared() {
    let Some(mut world) = World::new(ONE_TENANT).await else {
        return;
    };
    let (repository, alice) = (world.text("acme%/shop%-workspace"), "alice");
    let set = |permission| {
        world
            .github
            .set_team_permission(&repository, "payments", Some(permission));
    };
    let first = world.last_apply().await;
    set(Permission::Pull);
    world.github.as_user(alice).rerequest_check(first.id);
    world.settled().await;
    let corrected = world.last_apply().await;
    assert_eq!(corrected.conclusion.as_deref(), Some("success"));
    assert_ne!(corrected.id, first.id);
    let permission = world.github.team_permission(&repository, "payments");
    assert_eq!(permission, Some(Permission::Push));

    world.github.as_user(alice).rerequest_check(corrected.id);
    world.settled().await;
    let again = world.last_apply().await;
    assert_ne!(again.id, corrected.id, "there is an answer, if nothing new");
    assert_eq!(again.conclusion.as_deref(), Some("success"));
    world.rests().await;
    world.end().await;
}
