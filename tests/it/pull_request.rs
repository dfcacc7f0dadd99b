//! What a pull request is told.

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_leaves_the_file_alone_gets_a_green_check_and_no_comment() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let alice = world.github.as_user("alice");
    let head = alice.commit(
        &world.control(),
        "readme",
        "Say more",
        &[("README.md", Some("# More\n"))],
    );
    let number = alice.open_pull(&world.control(), "main", "readme", "Say more", "");
    let check = world.check(&head, "tenantry/plan").await;
    assert_eq!(check.conclusion.as_deref(), Some("success"));
    assert_eq!(world.comment(number), None);
    world.end().await;
}
