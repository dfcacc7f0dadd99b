//! What happens when a pull request is merged.

use tenantry::sandbox::github::Permission;

use crate::support::World;

/// The seed's own entry.
pub(crate) const AI_TEAM: &str = "
tenants:
- name: ai-team%
  namespaces: [{name: ai%}, {name: observability%}, {name: logging%}]
  githubTeams: [{name: ai-team}, {name: billing-team}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_pull_request_makes_a_tenant_and_a_second_reconcile_writes_nothing() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("add-ai-team", AI_TEAM);
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    let comment = world.comment(number).expect("the plan is commented");
    assert!(comment.contains("### Plan: 1 tenant added"), "{comment}");
    assert!(
        !world.github.exists(&world.text("acme%/ai-team%-workspace")),
        "a plan writes nothing"
    );
    assert!(
        world
            .object("tenants.tenantry.dev", "", "ai-team%")
            .is_none(),
        "a plan writes nothing"
    );

    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world
        .comment(number)
        .expect("the outcome is in the comment");
    assert!(comment.contains("### Live"), "{comment}");

    ai_team_is_complete(&world);
    world.rests().await;
    world.end().await;
}

/// Everything that the seed's entry is made of, on both sides.
fn ai_team_is_complete(world: &World) {
    let repository = world.text("acme%/ai-team%-workspace");
    let (github, text) = (&world.github, |text: &str| world.text(text));
    assert_eq!(github.repository_json(&repository)["visibility"], "private");
    assert_eq!(
        github.repository_json(&repository)["default_branch"],
        "main"
    );
    assert!(
        github.file(&repository, "main", "tenantry.yaml").is_some(),
        "the sync path is there"
    );
    for team in ["ai-team", "billing-team"] {
        let permission = github
            .team_permission(&repository, team)
            .map(Permission::name);
        assert_eq!(permission, Some("push"), "{team}");
    }
    let keys = github.deploy_keys(&repository);
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].0.as_str(), keys[0].2),
        (text("tenantry/default/ai-team%").as_str(), true)
    );
    let secret = world
        .object("secret", "tenant-ai-team%", "git-auth")
        .expect("the Secret");
    assert_eq!(
        secret["data"]
            .as_object()
            .map(|data| data.keys().collect::<Vec<_>>()),
        Some(vec![
            &"identity".to_owned(),
            &"identity.pub".to_owned(),
            &"known_hosts".to_owned()
        ])
    );
    for namespace in ["ai%", "observability%", "logging%"] {
        assert!(
            world
                .object("rolebinding", namespace, "admin-reconciler")
                .is_some()
        );
        assert!(
            world
                .object("rolebinding", namespace, "ai-team-admin")
                .is_some()
        );
        assert!(world.object("serviceaccount", namespace, "flux").is_some());
        assert!(
            world
                .object("networkpolicy", namespace, "tenant-default-deny")
                .is_some()
        );
    }
    let source = world
        .object("gitrepository", "tenant-ai-team%", "workspace")
        .expect("the GitRepository");
    assert_eq!(
        source["spec"]["url"],
        format!("ssh://git@github.com/{repository}.git")
    );
    assert!(
        world
            .object("kustomization", "tenant-ai-team%", "workspace")
            .is_some()
    );
    assert!(
        world
            .object("resourcequota", "tenant-ai-team%", "no-workloads")
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_is_made_from_a_template_has_what_is_in_it() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let template = world.text("acme%/skeleton");
    let github = &world.github;
    github.repository(&template, &[("guide.md", "# How we work\n")]);
    github.edit_repository(&template, |found| found.is_template = true);
    let file = "
tenants:
- name: shop%
  repository: {template: acme%/skeleton}
  namespaces: [{name: shop%}]
";
    let (_, _, apply) = world.change("add", file).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let workspace = world.text("acme%/shop%-workspace");
    for path in ["guide.md", "tenantry.yaml"] {
        let text = world.github.file(&workspace, "main", path);
        assert!(text.is_some(), "{path} is there");
    }
    world.rests().await;
    world.end().await;
}
