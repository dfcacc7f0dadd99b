//! What happens on a cluster whose Flux is not locked down, or is not seen to be.

use tenantry::sandbox::github::Permission;
use tokio::sync::MutexGuard;

use crate::cluster::Cluster;
use crate::controllers;
use crate::support::{self, World};

const TWO: &str = "
tenants:
- name: old%
  namespaces: [{name: old%, quota: {pods: '10'}}]
  githubTeams: [{name: payments}]
- name: new%
  namespaces: [{name: new%}]
  githubTeams: [{name: ai-team}]
";

const OLD: &str = "
tenants:
- name: old%
  namespaces: [{name: old%, quota: {pods: '10'}}]
  githubTeams: [{name: payments}]
";

/// A cluster of the story's own in which all is well, and the right to it for as long as the story lasts.
async fn cluster() -> Option<(&'static Cluster, MutexGuard<'static, ()>)> {
    let (cluster, turn) = Cluster::lent_or_skip().await?;
    controllers::lock_down(cluster);
    support::install(cluster);
    Some((cluster, turn))
}

/// One controller is started with these arguments from now on.
fn start_with(cluster: &Cluster, controller: &str, arguments: &[&str]) {
    controllers::apply(
        cluster,
        &[controllers::deployment(controller, "v1.9.4", arguments)],
    );
    controllers::run(cluster);
}

fn quota(world: &World) -> String {
    let quota = world.object("resourcequota", "old%", "tenant-quota");
    quota.expect("a quota")["spec"]["hard"]["pods"].to_string()
}

/// Nothing of the new tenant is there, on either side.
fn is_not_there(world: &World) {
    assert!(!world.github.exists(&world.text("acme%/new%-workspace")));
    for (kind, name) in [
        ("tenants.tenantry.dev", "new%"),
        ("namespace", "new%"),
        ("namespace", "tenant-new%"),
    ] {
        assert!(world.object(kind, "", name).is_none(), "{kind} {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tenant_waits_until_flux_is_locked_down() {
    let Some((cluster, _turn)) = cluster().await else {
        return;
    };
    let mut world = World::on(cluster, OLD).await;
    start_with(
        cluster,
        "kustomize-controller",
        &[
            "--no-remote-bases=true",
            "--default-service-account=default",
        ],
    );
    let (number, head) = world.pull("add", &TWO.replace("'10'", "'11'"));
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    assert_eq!(plan.annotations.len(), 1, "{plan:#?}");
    assert_eq!(plan.annotations[0]["start_line"], 6, "at the new tenant");
    let comment = world.comment(number).expect("a comment");
    let (said, _) = comment.split_once("| |").expect("a table");
    insta::assert_snapshot!(world.plain(said), @"
    <!-- tenantry:plan -->
    ### Plan: 1 tenant changed · ⛔ 1 tenant waits for Flux's lockdown

    > [!CAUTION]
    > **Flux on this cluster is not locked down**, so no tenant is onboarded and nobody gains access until it is:
    > - <code>kustomize-controller</code> runs without <code>--no-cross-namespace-refs=true</code>, and with <code>--default-service-account=default</code> in place of <code>--default-service-account=flux</code>. Set them in the <code>args</code> of its container, by patches where Flux is installed from.
    > 
    > People of a tenant can have such a Flux act on the whole cluster. [What Flux says about it](https://fluxcd.io/flux/installation/configuration/multitenancy/). What waits is done by itself once Flux is locked down.
    ");

    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let comment = world.comment(number).expect("a comment");
    let title = "### Held: 1 of 2 tenants, until Flux is locked down, 1 applied";
    assert!(comment.contains(title), "{comment}");
    is_not_there(&world);
    assert_eq!(quota(&world), r#""11""#, "what is harmless is done");
    world.rests().await;

    controllers::lock_down(cluster);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/new%-workspace")));
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Live"), "{comment}");
    assert!(!comment.contains("locked down"), "{comment}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gains_access_until_flux_is_locked_down() {
    let Some((cluster, _turn)) = cluster().await else {
        return;
    };
    let mut world = World::on(cluster, OLD).await;
    start_with(
        cluster,
        "helm-controller",
        &["--no-cross-namespace-refs=true"],
    );
    let wider = OLD
        .replace("{name: payments}", "{name: payments, permission: maintain}")
        .replace("'10'", "'12'");
    let (number, plan, apply) = world.change("wider", &wider).await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    let permission = |world: &World| {
        let workspace = world.text("acme%/old%-workspace");
        world
            .github
            .team_permission(&workspace, "payments")
            .map(Permission::name)
    };
    assert_eq!(permission(&world), Some("push"));
    assert_eq!(quota(&world), r#""12""#);
    world.rests().await;

    // The comment announced it, so nobody is asked again.
    controllers::lock_down(cluster);
    world.restart().await;
    assert_eq!(permission(&world), Some("maintain"));
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Live"), "{comment}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flux_that_cannot_be_seen_is_not_locked_down() {
    let Some((cluster, _turn)) = cluster().await else {
        return;
    };
    let world = World::on(cluster, "tenants: []\n").await;
    let said = async |branch: &str| {
        let (number, head) = world.pull(branch, TWO);
        let plan = world.check(&head, "tenantry/plan").await;
        assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
        let comment = world.comment(number).expect("a comment");
        let first = comment.lines().find(|line| line.starts_with("> - "));
        world.plain(first.expect("a reason"))
    };
    let delete = |args: &[&str]| {
        let args = [&["delete", "--namespace=flux-system"], args].concat();
        controllers::succeed(cluster, &args, "");
    };
    delete(&["rolebinding", "tenantry"]);
    insta::assert_snapshot!(said("unreadable").await, @"> - the Deployments in <code>flux-system</code> cannot be read: GET /apis/apps/v1/namespaces/flux-system/deployments: deployments.apps is forbidden: User &#34;system:serviceaccount:tenantry-system:tenantry&#34; cannot list resource &#34;deployments&#34; in API group &#34;apps&#34; in the namespace &#34;flux-system&#34;. Let Tenantry&#39;s account read them: <code>kubectl apply -k deploy/</code> gives it the right where <code>flux-system</code> exists.");
    support::install(cluster);
    delete(&["deployment", "helm-controller", "source-controller"]);
    insta::assert_snapshot!(said("incomplete").await, @"> - there is no <code>source-controller</code> in <code>flux-system</code>. Install Flux 2.7 or later there.");
    delete(&["deployments", "--all"]);
    insta::assert_snapshot!(said("none").await, @"> - no Deployment in <code>flux-system</code> has the label <code>app.kubernetes.io/part-of: flux</code>. Install Flux 2.7 or later there.");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_warn_the_work_goes_on_and_each_comment_says_so() {
    let Some((cluster, _turn)) = cluster().await else {
        return;
    };
    start_with(cluster, "kustomize-controller", &[]);
    let warn = |file: &str| "flux: {lockdown: warn}".to_owned() + file;
    // The first file that there is was never stricter.
    let mut world = World::on(cluster, &warn(OLD)).await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let (number, head) = world.pull("add", &warn(TWO));
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    let said = "<code>kustomize-controller</code> runs without <code>--no-cross-namespace-refs=true</code>";
    let comment = world.comment(number).expect("a comment");
    assert!(
        comment.contains("> [!WARNING]") && comment.contains(said),
        "{comment}"
    );
    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(
        comment.contains("### Live") && comment.contains(said),
        "{comment}"
    );
    assert!(apply.summary.is_some_and(|summary| summary.contains(said)));
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockdown_that_is_given_up_counts_from_the_next_merge_on() {
    let Some((cluster, _turn)) = cluster().await else {
        return;
    };
    start_with(cluster, "kustomize-controller", &[]);
    let mut world = World::on(cluster, "tenants: []\n").await;
    let warn = "flux: {lockdown: warn}".to_owned() + TWO;
    // Two commits in one push: the weaker file is the parent of the one that would profit from it.
    let files = |text: &str| world.text(text);
    let alice = world.github.as_user("alice");
    alice.branch(&world.control(), "both", "main");
    for text in ["flux: {lockdown: warn}\ntenants: []\n", &warn] {
        let text = files(text);
        alice.commit(
            &world.control(),
            "both",
            "Change the tenants",
            &[("tenants.yaml", Some(&text))],
        );
    }
    let number = alice.open_pull(&world.control(), "main", "both", "Both", "");
    let head = world
        .github
        .head(&world.control(), "both")
        .expect("a branch");
    let plan = world.check(&head, "tenantry/plan").await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    let said = "counts from the next merge on";
    assert!(
        world
            .comment(number)
            .is_some_and(|comment| comment.contains(said))
    );
    let merged = alice.merge(
        &world.control(),
        number,
        tenantry::sandbox::github::MergeMethod::Rebase,
    );
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("action_required"));
    assert!(
        world
            .comment(number)
            .is_some_and(|comment| comment.contains(said))
    );
    is_not_there(&world);
    world.rests().await;
    is_not_there(&world);

    let apply = world.push(&(warn + "# The next one\n")).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/new%-workspace")));
    world.rests().await;
    world.end().await;
}
