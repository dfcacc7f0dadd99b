//! What the app may do in the cluster: what it finds out before it tries, and that it may do no more than it needs.

use tenantry::kubernetes::rights::POLICIES;

use crate::pull_request::{PLAN, annotations, title};
use crate::support::World;

/// Roles that deploy/ knows nothing of.
const OTHER_ROLES: &str = "
tenants:
- name: books%
  githubTeams: [{name: payments}]
  namespaces: [{name: books%}]
  reconcilerRole: books%
  additionalRoleBindings:
  - {clusterRole: view, subjects: [{kind: User, name: ada}]}
  - {clusterRole: books%, subjects: [{kind: User, name: ada}]}
";

/// The role that it names.
const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: books%}
rules: [{apiGroups: [''], resources: [configmaps], verbs: ['*']}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_the_app_may_not_bind_is_said_in_the_plan_with_the_command_that_allows_it() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.create("", ROLE);
    let (number, head) = world.pull("books", OTHER_ROLES);
    let plan = world.check(&head, PLAN).await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    let said = annotations(&world, &plan);
    let (lines, words): (Vec<_>, Vec<_>) = said
        .iter()
        .filter_map(|annotation| annotation.split_once(": "))
        .unzip();
    assert_eq!(lines, ["6", "9"], "{said:#?}");
    let (message, help) = words[0].split_once('\n').expect("what to do");
    assert_eq!(message, "Tenantry may not bind the ClusterRole `books`");

    let command = help.split('`').nth(1).expect("a command");
    for command in command.replace("books", "books%").split(" && ") {
        let words: Vec<_> = command.split(' ').skip(1).collect();
        world.kubectl(&words);
    }
    let alice = world.github.as_user("alice");
    alice.comment(&world.control(), number, "/tenantry plan");
    world.settled().await;
    let plan = world.check(&head, PLAN).await;
    assert_eq!(title(&plan), ("success", "1 tenant added"));
    let apply = world.check(&world.merge(number), "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let binding = world.object("rolebinding", "books%", "books%-reconciler");
    assert_eq!(
        binding.expect("it is bound")["roleRef"]["name"],
        world.text("books%")
    );
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_enforce_the_admission_policies_is_said_to() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    // These tests' cluster has none of them, whether or not its server knows the kind.
    let (status, text) = world.readyz();
    assert_eq!(status, 200, "the app works without them");
    let said = text.strip_prefix("ok\nbut ").expect("there is a but");
    for policy in POLICIES {
        assert!(said.contains(&format!("`{policy}`")), "{said}");
    }
    assert!(
        said.contains("kubectl apply -k deploy/admission/"),
        "{said}"
    );
    assert_eq!(world.log().matches(said.trim()).count(), 1, "once");
    world.end().await;
}
