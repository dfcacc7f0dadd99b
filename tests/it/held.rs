//! What waits for a person, what is put back without one, and what is none of ours.

use tenantry::sandbox::github::Permission;

use crate::support::World;

/// A tenant with a team and a namespace.
const DATA: &str = "
tenants:
- name: data%
  githubTeams: [{name: payments}]
  namespaces: [{name: lake%, quota: {pods: '10'}}]
";

/// The world with that tenant in it, whole.
async fn converged() -> Option<World> {
    let world = World::new(DATA).await?;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    Some(world)
}

fn workspace(world: &World) -> String {
    world.text("acme%/data%-workspace")
}

fn permission(world: &World, team: &str) -> Option<&'static str> {
    world
        .github
        .team_permission(&workspace(world), team)
        .map(Permission::name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_tenant_is_held_and_everything_of_it_stays() {
    let Some(mut world) = converged().await else {
        return;
    };
    let (number, plan, apply) = world.change("remove-data", "tenants: []\n").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    assert_eq!(plan.title.as_deref(), Some("1 removal held"));
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let title = apply.title.unwrap_or_default();
    assert!(title.starts_with("Held"), "{title}");
    let comment = world.comment(number).expect("a comment");
    for part in [
        "### Held",
        "data",
        "data-workspace",
        "nothing is removed yet",
    ] {
        assert!(world.plain(&comment).contains(part), "{part}: {comment}");
    }
    assert!(world.github.exists(&workspace(&world)));
    assert_eq!(permission(&world, "payments"), Some("push"));
    assert_eq!(world.github.deploy_keys(&workspace(&world)).len(), 1);
    for (kind, namespace, name) in [
        ("tenants.tenantry.dev", "", "data%"),
        ("namespace", "", "lake%"),
        ("rolebinding", "lake%", "payments-admin"),
        ("kustomization", "tenant-data%", "workspace"),
        ("secret", "tenant-data%", "git-auth"),
    ] {
        assert!(world.object(kind, namespace, name).is_some(), "{name}");
    }
    world.rests().await;

    let (_, plan, apply) = world.change("data-again", DATA).await;
    assert_eq!(plan.title.as_deref(), Some("Nothing to change"));
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_added_by_hand_is_shown_and_stays() {
    let Some(mut world) = converged().await else {
        return;
    };
    let github = &world.github;
    github.set_team_permission(&workspace(&world), "ai-team", Some(Permission::Admin));
    github.collaborator(&workspace(&world), "mallory", Permission::Push);
    github.add_deploy_key(&workspace(&world), "laptop", OUTSIDE_KEY, false);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let said = apply.summary.unwrap_or_default() + &apply.text.unwrap_or_default();
    for part in ADDED {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Whoever changes the tenant reads it in the plan, and again after the merge.
    let larger = DATA.replace("pods: '10'", "pods: '20'");
    let (number, head) = world.pull("larger", &larger);
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    let planned = world.comment(number).expect("a comment");
    let apply = world.check(&world.merge(number), "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let applied = world.comment(number).expect("a comment");
    for said in [planned, applied] {
        for part in ADDED {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert_eq!(permission(&world, "ai-team"), Some("admin"));
    assert_eq!(world.github.deploy_keys(&workspace(&world)).len(), 2);
    world.rests().await;
    world.end().await;
}

/// What is said of it: a team, a person and a key, and why they are held.
const ADDED: [&str; 4] = ["ai-team", "mallory", "laptop", "the file does not name it"];

const OUTSIDE_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_permission_is_held_and_the_wider_one_stays() {
    let Some(mut world) = converged().await else {
        return;
    };
    let narrower = DATA.replace("{name: payments}", "{name: payments, permission: pull}");
    let (number, _, apply) = world.change("narrower", &narrower).await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("no right is narrowed yet"), "{comment}");
    assert_eq!(permission(&world, "payments"), Some("push"));
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_access_that_the_comment_announced_is_given_at_the_merge() {
    let Some(mut world) = converged().await else {
        return;
    };
    let wider = DATA
        .replace("{name: payments}", "{name: payments, permission: maintain}")
        .replace(
            "- name: data%",
            "- name: data%\n  repository: {visibility: public}",
        );
    let (number, head) = world.pull("wider", &wider);
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("wider access in 2 places"), "{comment}");
    assert_eq!(permission(&world, "payments"), Some("push"), "not yet");
    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(permission(&world, "payments"), Some("maintain"));
    let repository = world.github.repository_json(&workspace(&world));
    assert_eq!(repository["visibility"], "public");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_access_pushed_without_a_plan_is_held() {
    let Some(mut world) = converged().await else {
        return;
    };
    let wider = DATA
        .replace("{name: payments}", "{name: payments, permission: admin}")
        .replace(
            "- name: data%",
            "- name: data%\n  repository: {visibility: public}",
        )
        .replace("'10'", "'20'");
    let apply = world.push(&wider).await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let said = apply.summary.unwrap_or_default();
    assert!(said.contains("no plan comment announced"), "{said}");
    assert_eq!(permission(&world, "payments"), Some("push"));
    let repository = world.github.repository_json(&workspace(&world));
    assert_eq!(repository["visibility"], "private");
    let quota = quota(&world);
    assert_eq!(quota, "20", "what is harmless is done");
    world.rests().await;
    world.end().await;
}

fn quota(world: &World) -> String {
    let list = world.cluster.kubectl(&[
        "get",
        "resourcequota",
        "-n",
        &world.text("lake%"),
        "-o",
        "jsonpath={.items[0].spec.hard.pods}",
    ]);
    String::from_utf8_lossy(&list.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_is_put_back() {
    let Some(mut world) = converged().await else {
        return;
    };
    let title = world.text("tenantry/default/data%");
    world.github.remove_deploy_key(&workspace(&world), &title);
    world.kubectl(&[
        "patch",
        "resourcequota",
        "tenant-quota",
        "-n",
        "lake%",
        "--type=merge",
        "-p",
        r#"{"spec":{"hard":{"pods":"99"}}}"#,
    ]);
    world.kubectl(&[
        "delete",
        "networkpolicy",
        "-n",
        "lake%",
        "tenant-default-deny",
    ]);
    world.kubectl(&["delete", "serviceaccount", "-n", "lake%", "flux"]);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(world.github.deploy_keys(&workspace(&world)).len(), 1);
    assert_eq!(quota(&world), "10");
    for (kind, name) in [
        ("networkpolicy", "tenant-default-deny"),
        ("serviceaccount", "flux"),
    ] {
        assert!(world.object(kind, "lake%", name).is_some(), "{name}");
    }
    world.rests().await;
    world.end().await;
}

/// Putting back would give somebody more than they have, and no plan comment has said so.
#[tokio::test(flavor = "multi_thread")]
async fn access_that_was_taken_by_hand_is_given_back_and_a_hidden_repository_is_not_shown() {
    let Some(mut world) = converged().await else {
        return;
    };
    world
        .github
        .set_team_permission(&workspace(&world), "payments", Some(Permission::Pull));
    world.kubectl(&["delete", "rolebinding", "-n", "lake%", "payments-admin"]);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(permission(&world, "payments"), Some("push"));
    assert!(
        world
            .object("rolebinding", "lake%", "payments-admin")
            .is_some()
    );
    world.rests().await;

    world
        .github
        .edit_repository(&workspace(&world), |repository| repository.archived = true);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    assert_eq!(
        world.github.repository_json(&workspace(&world))["archived"],
        true
    );
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_file_on_the_default_branch_changes_nothing_until_it_is_corrected() {
    let Some(mut world) = converged().await else {
        return;
    };
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let broken = DATA.replace("githubTeams", "gitHubTeams");
    let (number, head) = world.pull("break", &DATA.replace("'10'", "'11'"));
    world.check(&head, "tenantry/plan").await;
    let files = [("tenants.yaml", Some(world.text(&broken)))];
    let files = [(files[0].0, files[0].1.as_deref())];
    let alice = world.github.as_user("alice");
    let head = alice.commit(&world.control(), "break", "Break it", &files);
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert_eq!(apply.annotations.len(), 1, "{apply:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Failed"), "{comment}");
    let reports = |write: &String| write.contains("/check-runs") || write.contains("/comments");
    assert!(world.writes_since(mark).iter().all(reports));
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.rests().await;

    let apply = world.push(&DATA.replace("'10'", "'12'")).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(quota(&world), "12");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_exists_is_taken_over_only_if_its_owner_and_the_file_say_so() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.kubectl(&["create", "namespace", "lake%"]);
    let adopting = DATA.replace("{name: lake%,", "{name: lake%, adopt: true,");
    for (branch, file) in [("plain", DATA), ("adopting", &adopting)] {
        let (_, plan, apply) = world.change(branch, file).await;
        assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{branch}");
        assert_eq!(plan.annotations.len(), 1, "{plan:#?}");
        assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{branch}");
        assert!(!world.github.exists(&workspace(&world)), "{branch}");
        let namespace = world.object("namespace", "", "lake%").expect("it stays");
        let labels = &namespace["metadata"]["labels"];
        assert!(labels["app.kubernetes.io/managed-by"].is_null(), "{labels}");
    }
    world.kubectl(&["label", "namespace", "lake%", "tenantry.dev/adopt=data%"]);
    world.restart().await;
    let (_, plan, apply) = world
        .change("touch", &adopting.replace("'10'", "'11'"))
        .await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let namespace = world.object("namespace", "", "lake%").expect("it stays");
    let owner = &namespace["metadata"]["labels"]["app.kubernetes.io/instance"];
    assert_eq!(owner.as_str(), Some(world.text("data%").as_str()));
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_exists_is_taken_over_only_if_the_file_says_so() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let workspace = workspace(&world);
    world
        .github
        .repository(&workspace, &[("app.yaml", "kind: App\n")]);
    let before = world.github.head(&workspace, "main");
    let (_, plan, apply) = world.change("plain", DATA).await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert_eq!(permission(&world, "payments"), None);
    assert!(world.object("tenants.tenantry.dev", "", "data%").is_none());

    let adopting = DATA.replace(
        "- name: data%",
        "- name: data%\n  repository: {adopt: true}",
    );
    let (number, plan, apply) = world.change("adopting", &adopting).await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Live"), "{comment}");
    assert_eq!(permission(&world, "payments"), Some("push"));
    assert_eq!(
        world.github.head(&workspace, "main"),
        before,
        "not a commit"
    );
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_another_control_repo_is_left_alone() {
    let Some(mut world) = converged().await else {
        return;
    };
    let theirs = r#"{"spec":{"controlRepository":"globex/tenants"}}"#;
    world.kubectl(&[
        "patch",
        "tenants.tenantry.dev",
        "data%",
        "--type=merge",
        "-p",
        theirs,
    ]);
    let audit = world.cluster.audit_mark();
    let (_, plan, apply) = world.change("take", &DATA.replace("'10'", "'11'")).await;
    for check in [plan, apply] {
        assert_eq!(check.conclusion.as_deref(), Some("failure"), "{check:#?}");
        let said = check.text.unwrap_or_default();
        assert!(said.contains("globex/tenants"), "{said}");
        assert_eq!(check.annotations.len(), 1, "at the entry");
    }
    assert_eq!(quota(&world), "10");
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_one_tenant_stops_no_other() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let two = DATA.to_owned()
        + "- {name: web%, namespaces: [{name: shop%}], githubTeams: [{name: ai-team}]}\n";
    let (number, head) = world.pull("two", &two);
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    // Somebody is faster than the merge.
    let taken = [("theirs.txt", "theirs")];
    world.github.repository(&workspace(&world), &taken);
    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    let comment = world.plain(&world.comment(number).expect("a comment"));
    for part in [
        "### Failed: 1 of 2 tenants, 1 applied",
        "data-workspace",
        "adopt: true",
    ] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    assert!(world.github.exists(&world.text("acme%/web%-workspace")));
    assert!(
        world
            .object("kustomization", "tenant-web%", "workspace")
            .is_some()
    );
    assert_eq!(world.github.deploy_keys(&workspace(&world)).len(), 0);
    assert_eq!(permission(&world, "payments"), None);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_moves_between_tenants_in_one_push_stops_the_whole_push() {
    let Some(mut world) = World::new(
        "
tenants:
- name: from%
  namespaces: [{name: moving%}, {name: staying%}]
- name: to%
",
    )
    .await
    else {
        return;
    };
    assert_eq!(
        world.last_apply().await.conclusion.as_deref(),
        Some("success")
    );
    let apply = world
        .push(
            "
tenants:
- name: from%
  namespaces: [{name: staying%}]
- name: to%
  namespaces: [{name: moving%}]
- name: third%
",
        )
        .await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert_eq!(apply.annotations.len(), 1);
    assert!(!world.github.exists(&world.text("acme%/third%-workspace")));
    let namespace = world.object("namespace", "", "moving%").expect("it stays");
    let owner = &namespace["metadata"]["labels"]["app.kubernetes.io/instance"];
    assert_eq!(*owner, world.text("from%"));
    world.rests().await;
    world.end().await;
}
