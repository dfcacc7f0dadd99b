//! What people ask for in comments, and what does not count as asking.

use crate::pull_request::{PLAN, title};
use crate::support::World;

const UNKNOWN_TEAM: &str = "
tenants:
- name: shop%
  githubTeams: [{name: sre}]
";

/// The texts of the App's comments, oldest first.
fn said(world: &World, number: u64) -> Vec<String> {
    let comments = world.github.comments(&world.control(), number).into_iter();
    let ours = comments.filter(|(author, _)| author == "tenantry[bot]");
    ours.map(|(_, text)| text).collect()
}

async fn comment(world: &World, person: &str, number: u64, text: &str) {
    let person = world.github.as_user(person);
    person.comment(&world.control(), number, text);
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_write_access_has_a_pull_request_planned_again_and_nobody_else() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("shop", UNKNOWN_TEAM);
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    world.github.team(&world.organization(), "sre", &["bob"]);

    for outsider in ["mallory", "bob"] {
        comment(&world, outsider, number, "/tenantry plan").await;
        let unchanged = world.check(&head, PLAN).await;
        assert_eq!(unchanged.id, check.id, "{outsider} may not write");
    }
    comment(&world, "alice", number, "please /tenantry plan").await;
    let unchanged = world.check(&head, PLAN).await;
    assert_eq!(unchanged.id, check.id, "a command begins its comment");

    comment(
        &world,
        "alice",
        number,
        "/tenantry plan\r\nThe team is there.",
    )
    .await;
    let again = world.check(&head, PLAN).await;
    assert_eq!(title(&again), ("success", "1 tenant added"));
    let comment = world.comment(number).expect("still one comment");
    assert!(comment.contains("### Plan: 1 tenant added\n"), "{comment}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_answers_and_so_does_a_command_that_is_not_known() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let (number, _) = world.pull("readme", "tenants: []\n# More to come.\n");
    comment(&world, "mallory", number, "/tenantry help").await;
    assert_eq!(said(&world, number), Vec::<String>::new());

    for question in ["/tenantry help", "/tenantry destroy", "/tenantry"] {
        comment(&world, "alice", number, question).await;
    }
    let answers = said(&world, number);
    assert_eq!(answers.len(), 3, "{answers:#?}");
    insta::assert_snapshot!(answers[0], @"<code>/tenantry plan</code> plans again · <code>/tenantry rotate TENANT</code> replaces the deploy key of a tenant · <code>/tenantry help</code> shows this. All are for people with write access to this repository.");
    assert_eq!(answers[1..], [answers[0].clone(), answers[0].clone()]);

    comment(&world, "tenantry[bot]", number, "/tenantry help").await;
    assert_eq!(said(&world, number).len(), 4, "it does not answer itself");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_a_closed_pull_request_changes_nothing() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("shop", UNKNOWN_TEAM);
    let check = world.check(&head, PLAN).await;
    world
        .github
        .as_user("alice")
        .close(&world.control(), number);
    comment(&world, "alice", number, "/tenantry plan").await;
    assert_eq!(world.check(&head, PLAN).await.id, check.id);
    assert_eq!(said(&world, number).len(), 1, "the plan it had");
    world.end().await;
}
