//! What goes wrong on the way, and what becomes of it: in the end the same as if nothing had.

use std::time::Duration;

use tenantry::sandbox::github::{Fault, Permission};

use crate::support::World;

/// Where in an onboarding a write is hit.
#[derive(Clone, Copy)]
enum Stage {
    Planning,
    Applying,
}

type Mishap = fn(Fault) -> Fault;

/// What may befall a write: GitHub's own failures, its limits, and the network.
fn mishaps() -> Vec<(&'static str, Mishap)> {
    vec![
        ("502", |fault| fault.respond(502)),
        ("429", |fault| fault.too_many_requests(1)),
        ("403, the secondary limit", |fault| fault.secondary_limit(1)),
        ("no answer", Fault::hang_up),
        ("502 after it was done", |fault| {
            fault.respond(502).after_doing_it()
        }),
        ("429 after it was done", |fault| {
            fault.too_many_requests(1).after_doing_it()
        }),
        ("403 after it was done", |fault| {
            fault.secondary_limit(1).after_doing_it()
        }),
        ("no answer after it was done", |fault| {
            fault.hang_up().after_doing_it()
        }),
    ]
}

/// Tenants `t1` to this one, each with a team and a namespace.
fn tenants(last: usize) -> String {
    let entry = |number| {
        format!(
            "- name: t{number}%\n  githubTeams: [{{name: ai-team}}]\n  namespaces: [{{name: n{number}%}}]\n"
        )
    };
    "tenants:\n".to_owned() + &(1..=last).map(entry).collect::<String>()
}

/// Onboards a tenant for each mishap to such a write: each is complete, and nothing is there twice.
async fn each_mishap_passes(method: &str, path: &str, stage: Stage) {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    for (index, (mishap, fault)) in mishaps().into_iter().enumerate() {
        let number = index + 1;
        let fault = fault(Fault::on(method, path));
        if let Stage::Planning = stage {
            world.github.fault(fault.clone());
        }
        let (pull, head) = world.pull(&format!("add-{number}"), &tenants(number));
        let plan = world
            .check_where(&head, "tenantry/plan", |run| {
                run.conclusion.as_deref() == Some("success")
            })
            .await;
        assert_eq!(plan.title.as_deref(), Some("1 tenant added"), "{mishap}");
        if let Stage::Applying = stage {
            world.github.fault(fault);
        }
        let merged = world.merge(pull);
        world
            .check_where(&merged, "tenantry/apply", |run| {
                run.conclusion.as_deref() == Some("success")
            })
            .await;
        assert_eq!(world.github.waiting_faults(), 0, "{mishap} has happened");
        let comment = world.comment(pull).expect("a comment");
        assert!(comment.contains("### Live"), "{mishap}: {comment}");
        is_complete(&world, &format!("t{number}%"), mishap);
    }
    let mark = world.github.mark();
    world.restart().await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    world.end().await;
}

/// One of everything, on both sides.
fn is_complete(world: &World, tenant: &str, when: &str) {
    let repository = world.text(&format!("{}/{tenant}-workspace", world.organization()));
    let github = &world.github;
    assert!(github.exists(&repository), "{when}");
    assert_eq!(github.commits(&repository, "main").len(), 1, "{when}");
    let permission = github.team_permission(&repository, "ai-team");
    assert_eq!(permission.map(Permission::name), Some("push"), "{when}");
    let keys = github.deploy_keys(&repository);
    assert_eq!(keys.len(), 1, "{when}: {keys:?}");
    let control = format!("tenant-{tenant}");
    let secret = world.object("secret", &control, "git-auth");
    let secret = secret.unwrap_or_else(|| panic!("{when}: the Secret is there"));
    assert_eq!(public_half(&secret), keys[0].1, "{when}");
    for kind in ["gitrepository", "kustomization"] {
        assert!(
            world.object(kind, &control, "workspace").is_some(),
            "{when}"
        );
    }
    let tenant = world.object("tenants.tenantry.dev", "", tenant);
    let tenant = tenant.unwrap_or_else(|| panic!("{when}: the Tenant is there"));
    assert_eq!(
        tenant["status"]["conditions"][0]["status"], "True",
        "{when}"
    );
}

/// The public key in a Secret, without the comment behind it.
fn public_half(secret: &serde_json::Value) -> String {
    use base64::Engine as _;
    let text = secret["data"]["identity.pub"].as_str().expect("a key");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    let line = String::from_utf8(bytes.expect("base64")).expect("a line of text");
    line.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_created_once_whatever_goes_wrong() {
    each_mishap_passes("POST", "/orgs/*/repos", Stage::Applying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_commit_is_made_once_whatever_goes_wrong() {
    each_mishap_passes("PUT", "/repos/*/*/contents/**", Stage::Applying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_gets_its_permission_whatever_goes_wrong() {
    each_mishap_passes("PUT", "/orgs/*/teams/*/repos/*/*", Stage::Applying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_key_is_registered_once_whatever_goes_wrong() {
    each_mishap_passes("POST", "/repos/*/*/keys", Stage::Applying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plans_check_is_made_and_concluded_whatever_goes_wrong() {
    each_mishap_passes("POST", "/repos/*/*/check-runs", Stage::Planning).await;
    each_mishap_passes("PATCH", "/repos/*/*/check-runs/*", Stage::Planning).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applys_check_is_made_and_concluded_whatever_goes_wrong() {
    each_mishap_passes("POST", "/repos/*/*/check-runs", Stage::Applying).await;
    each_mishap_passes("PATCH", "/repos/*/*/check-runs/*", Stage::Applying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_comment_is_written_once_and_edited_whatever_goes_wrong() {
    each_mishap_passes("POST", "/repos/*/*/issues/*/comments", Stage::Planning).await;
    each_mishap_passes("PATCH", "/repos/*/*/issues/comments/*", Stage::Applying).await;
}

/// Hangs each kind of write, before and after GitHub has done it, and kills the app there.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_killed_at_any_write_goes_on_where_it_was() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let writes = [
        ("POST", "/orgs/*/repos"),
        ("PUT", "/repos/*/*/contents/**"),
        ("PUT", "/orgs/*/teams/*/repos/*/*"),
        // Between the Secret and the key that belongs to it.
        ("POST", "/repos/*/*/keys"),
        ("POST", "/repos/*/*/check-runs"),
        ("PATCH", "/repos/*/*/issues/comments/*"),
        ("PATCH", "/repos/*/*/check-runs/*"),
    ];
    let cases = writes
        .iter()
        .flat_map(|write| [(write, false), (write, true)]);
    for (index, ((method, path), done)) in cases.enumerate() {
        let number = index + 1;
        let when = format!("{method} {path}, done: {done}");
        let (pull, head) = world.pull(&format!("add-{number}"), &tenants(number));
        world.check(&head, "tenantry/plan").await;
        let fault = Fault::on(method, path).delay(Duration::from_hours(1));
        let fault = if done { fault.after_doing_it() } else { fault };
        world.github.fault(fault);
        let merged = world.merge(pull);
        until(&when, || world.github.waiting_faults() == 0).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.crash();
        world.start().await;
        world
            .check_where(&merged, "tenantry/apply", |run| {
                run.conclusion.as_deref() == Some("success")
            })
            .await;
        let comment = world.comment(pull).expect("a comment");
        assert!(comment.contains("### Live"), "{when}: {comment}");
        is_complete(&world, &format!("t{number}%"), &when);
    }
    let mark = world.github.mark();
    world.restart().await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    world.end().await;
}

async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to {what}");
}

fn installation(world: &World) -> u64 {
    let first =
        |github: &mut tenantry::sandbox::github::World| github.installations.keys().next().copied();
    world.github.edit(first).expect("the App is installed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_installation_is_told_in_the_log_and_taken_up_when_it_is_back() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let installation = installation(&world);
    world.github.suspend(installation);
    world.settled().await;
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let commit = world.commit(&tenants(1));
    world.settled().await;
    let told = world.text("installation on `acme%` is suspended");
    assert!(world.log().contains(&told), "{}", world.log());
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.github.unsuspend(installation);
    let apply = world.check(&commit, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    is_complete(&world, "t1%", "unsuspended");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_not_installed_says_so_and_writes_nothing() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.github.uninstall(installation(&world));
    world.settled().await;
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    world.restart().await;
    let told = world.text("the App is not installed on `acme%`: install it there");
    assert!(world.log().contains(&told), "{}", world.log());
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_not_granted_is_named() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let installation = installation(&world);
    let administration = |level| world.github.grant(installation, "administration", level);
    administration(Some("read"));
    let (_, plan, apply) = world.change("add", &tenants(1)).await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    let said = apply.summary.unwrap_or_default();
    assert!(said.contains("administration=write"), "{said}");
    administration(Some("write"));
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    is_complete(&world, "t1%", "granted");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_in_the_middle_is_renewed() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    for (number, (method, path)) in [
        ("POST", "/orgs/*/repos"),
        ("POST", "/graphql"),
        ("PATCH", "/repos/*/*/check-runs/*"),
    ]
    .into_iter()
    .enumerate()
    {
        world.github.fault(Fault::on(method, path).revoke_token());
        let (_, plan, apply) = world.change(path, &tenants(number + 1)).await;
        assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
        assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
        is_complete(&world, &format!("t{}%", number + 1), path);
    }
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_github_does_not_know_keeps_the_app_from_being_ready() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.takes_another_key();
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    world.restart().await;
    let (status, text) = world.readyz();
    assert_eq!(status, 503);
    assert!(text.contains("GitHub does not know the App"), "{text}");
    assert!(world.log().contains("check `TENANTRY_APP_ID`"));
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.end().await;
}
