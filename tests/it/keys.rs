//! The keys with which Flux fetches: who has them, and who may remove them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tenantry::sandbox::github::CheckRun;

use crate::support::World;

/// A tenant with a key of each kind; the last may push.
pub(crate) const SHOPS: &str = "
tenants:
- name: shop%
  namespaces: [{name: shop%}]
- name: bank%
  deployKey: {algorithm: ecdsa-p256}
  namespaces: [{name: bank%}]
- name: mill%
  deployKey: {algorithm: ecdsa-p384, readOnly: false}
  namespaces: [{name: mill%}]
";

pub(crate) const OUTSIDE_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

pub(crate) async fn converged() -> Option<World> {
    let world = World::new(SHOPS).await?;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    Some(world)
}

pub(crate) fn workspace(world: &World, tenant: &str) -> String {
    world.text(&format!("acme%/{tenant}%-workspace"))
}

pub(crate) fn title(world: &World, tenant: &str) -> String {
    world.text(&format!("tenantry/default/{tenant}%"))
}

/// The keys of a workspace: title, public half, and whether they only read.
pub(crate) fn registered(world: &World, tenant: &str) -> Vec<(String, String, bool)> {
    world.github.deploy_keys(&workspace(world, tenant))
}

/// What a tenant's Secret holds under a name.
pub(crate) fn stored(world: &World, tenant: &str, name: &str) -> String {
    let namespace = format!("tenant-{tenant}%");
    let secret = world.object("secret", &namespace, "git-auth");
    let secret: Value = secret.expect("the Secret is there");
    let text = secret["data"][name].as_str().expect("it is in there");
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

pub(crate) fn is_registered_as_stored(world: &World, tenant: &str, read_only: bool) {
    let public = stored(world, tenant, "identity.pub");
    let expected = (title(world, tenant), public, read_only);
    assert_eq!(registered(world, tenant), [expected]);
}

/// Title and conclusion, and everything that a check says.
pub(crate) fn said(check: CheckRun) -> String {
    let parts = [check.conclusion, check.title, check.summary, check.text];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_has_one_key_of_the_kind_that_its_entry_names() {
    let Some(mut world) = converged().await else {
        return;
    };
    for (tenant, algorithm, read_only) in [
        ("shop", "ssh-ed25519 ", true),
        ("bank", "ecdsa-sha2-nistp256 ", true),
        ("mill", "ecdsa-sha2-nistp384 ", false),
    ] {
        is_registered_as_stored(&world, tenant, read_only);
        let public = stored(&world, tenant, "identity.pub");
        assert!(public.starts_with(algorithm), "{public}");
    }
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_removes_comes_back_as_soon_as_github_tells() {
    let Some(mut world) = converged().await else {
        return;
    };
    let mark = world.github.mark();
    for (tenant, read_only) in [("shop", true), ("mill", false)] {
        let before = stored(&world, tenant, "identity");
        let alice = world.github.as_user("alice");
        alice.remove_deploy_key(&workspace(&world, tenant), &title(&world, tenant));
        world.settled().await;
        is_registered_as_stored(&world, tenant, read_only);
        assert_eq!(stored(&world, tenant, "identity"), before, "the same pair");
    }
    let apply = said(world.last_apply().await);
    assert!(apply.starts_with("success"), "{apply}");
    // Each was looked at alone: no list of all repositories or teams.
    let requests = world.github.requests_since(mark);
    let all = requests
        .iter()
        .find(|one| one.body.to_string().contains("AllTeams"));
    assert!(all.is_none(), "{all:#?}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_adds_is_told_at_once_and_stays() {
    let Some(mut world) = converged().await else {
        return;
    };
    let alice = world.github.as_user("alice");
    alice.add_deploy_key(&workspace(&world, "shop"), "laptop", OUTSIDE_KEY, false);
    world.settled().await;
    let apply = said(world.last_apply().await);
    assert!(apply.starts_with("action_required\nHeld"), "{apply}");
    for part in [
        "laptop",
        "reads and writes",
        "SHA256:",
        "the file does not name it",
    ] {
        assert!(apply.contains(part), "{part}: {apply}");
    }
    assert_eq!(registered(&world, "shop").len(), 2);

    let file = SHOPS.replace("- name: shop%", "- name: shop%\n  description: Shoes");
    let (number, _) = world.pull("describe", &file);
    world.settled().await;
    let comment = world.comment(number).expect("a plan");
    for part in ["laptop", "reads and writes"] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    world.rests().await;

    alice_removes(&world, "laptop").await;
    let apply = said(world.last_apply().await);
    assert!(apply.starts_with("success"), "{apply}");
    world.end().await;
}

async fn alice_removes(world: &World, title: &str) {
    let alice = world.github.as_user("alice");
    alice.remove_deploy_key(&workspace(world, "shop"), title);
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_repository_that_is_no_workspace_makes_no_request() {
    let Some(world) = converged().await else {
        return;
    };
    let mark = world.github.mark();
    let alice = world.github.as_user("alice");
    world
        .github
        .repository(&world.text("acme%/site"), &[("a", "b")]);
    alice.add_deploy_key(&world.text("acme%/site"), "laptop", OUTSIDE_KEY, false);
    world.settled().await;
    assert_eq!(world.github.requests_since(mark).len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_hosts_follow_github_when_it_changes_its_host_keys() {
    let Some(mut world) = converged().await else {
        return;
    };
    let before = stored(&world, "shop", "identity");
    let old = world
        .github
        .edit(|github| std::mem::take(&mut github.host_keys));
    let new = vec![
        OUTSIDE_KEY.to_owned(),
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ".to_owned(),
    ];
    world.github.edit(|github| github.host_keys = new);
    compared_again(&mut world).await;
    let apply = said(world.last_apply().await);
    assert!(apply.contains("host keys have changed"), "{apply}");
    for tenant in ["shop", "bank", "mill"] {
        let lines = stored(&world, tenant, "known_hosts");
        assert_eq!(
            lines,
            format!("github.com {OUTSIDE_KEY}\n"),
            "no RSA, none of the old"
        );
        let source = world.object("gitrepository", &format!("tenant-{tenant}%"), "workspace");
        let annotations = &source.expect("it is there")["metadata"]["annotations"];
        assert!(
            annotations["reconcile.fluxcd.io/requestedAt"].is_string(),
            "Flux is asked"
        );
    }
    assert_eq!(stored(&world, "shop", "identity"), before, "the pair stays");
    world.rests().await;

    // An answer without keys says nothing.
    world.github.edit(|github| github.host_keys.clear());
    compared_again(&mut world).await;
    assert_eq!(stored(&world, "bank", "known_hosts").lines().count(), 1);
    world.github.edit(|github| github.host_keys = old);
    compared_again(&mut world).await;
    assert_eq!(stored(&world, "bank", "known_hosts").lines().count(), 2);
    is_registered_as_stored(&world, "bank", true);
    world.rests().await;
    world.end().await;
}

/// Everything is compared at the start, and once more.
async fn compared_again(world: &mut World) {
    world.restart().await;
    let first =
        |github: &mut tenantry::sandbox::github::World| github.installations.keys().next().copied();
    let installation = world.github.edit(first).expect("the App is installed");
    world.github.suspend(installation);
    world.settled().await;
    world.github.unsuspend(installation);
    world.settled().await;
}
