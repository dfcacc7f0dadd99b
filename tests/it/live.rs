//! From merged to live: what Flux says is in the comment, the check and the Tenant within seconds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenantry::sandbox::github::CheckRun;

use crate::support::World;

/// Tenants of these names, each with a team and a namespace.
fn tenants(names: &[&str]) -> String {
    let entry = |name: &&str| {
        format!(
            "- name: {name}%\n  githubTeams: [{{name: ai-team}}]\n  namespaces: [{{name: n-{name}%}}]\n"
        )
    };
    "tenants:\n".to_owned() + &names.iter().map(entry).collect::<String>()
}

/// Flux, played by hand: writes what it would say of one tenant's objects.
struct Flux<'a> {
    world: &'a World,
    tenant: &'a str,
}

impl Flux<'_> {
    fn revision(&self) -> String {
        let repository = format!("acme%/{}%-workspace", self.tenant);
        let head = self
            .world
            .github
            .head(&self.world.text(&repository), "main");
        format!("main@sha1:{}", head.expect("the workspace has a commit"))
    }

    fn say(&self, kind: &str, group: &str, status: &Value) {
        let namespace = self.world.text(&format!("tenant-{}%", self.tenant));
        let object = self.world.object(kind, &namespace, "workspace");
        let mut object = object.expect("it is there");
        let generation = object["metadata"]["generation"].clone();
        let mut status = status.clone();
        status["observedGeneration"] = generation.clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = generation.clone();
            condition["lastTransitionTime"] = json!("2026-11-25T12:00:00Z");
        }
        object["status"] = status;
        let path = format!(
            "/apis/{group}.toolkit.fluxcd.io/v1/namespaces/{namespace}/{kind}/workspace/status"
        );
        let args = ["replace", "--raw", &path, "-f", "-"];
        let output = self
            .world
            .cluster
            .kubectl_with_input(&args, &object.to_string());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn fetches(&self) {
        let artifact = json!({
            "digest": "sha256:00", "lastUpdateTime": "2026-11-25T12:00:00Z", "path": "x", "url": "http://x/",
            "revision": self.revision(),
        });
        let ready = json!([{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact" }]);
        self.say(
            "gitrepositories",
            "source",
            &json!({ "conditions": ready, "artifact": artifact }),
        );
    }

    fn applies(&self) {
        let revision = self.revision();
        let ready = json!([{ "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied" }]);
        let status = json!({ "conditions": ready, "lastAppliedRevision": revision, "lastAttemptedRevision": revision });
        self.say("kustomizations", "kustomize", &status);
    }

    fn fails(&self, kind: &str, group: &str, reason: &str, message: &str) {
        let ready =
            json!([{ "type": "Ready", "status": "False", "reason": reason, "message": message }]);
        self.say(
            kind,
            group,
            &json!({ "conditions": ready, "lastAttemptedRevision": self.revision() }),
        );
    }
}

/// Waits until the comment has this, and says how long that took.
async fn comment_with(world: &World, number: u64, text: &str) -> Duration {
    let started = Instant::now();
    loop {
        let comment = world.comment(number).unwrap_or_default();
        if comment.contains(text) {
            return started.elapsed();
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "no `{text}` in:\n{comment}\n{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The status of each condition, and the reason of `Live`.
fn conditions(world: &World, tenant: &str) -> (Vec<String>, String) {
    let tenant = world
        .object("tenants.tenantry.dev", "", tenant)
        .expect("the Tenant");
    let conditions = tenant["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let told = |condition: &Value| {
        format!("{}={}", condition["type"], condition["status"]).replace('"', "")
    };
    let live = conditions
        .iter()
        .find(|condition| condition["type"] == "Live");
    let reason = live.map(|live| live["reason"].as_str().unwrap_or_default().to_owned());
    let mut all: Vec<_> = conditions.iter().map(told).collect();
    all.sort();
    (all, reason.unwrap_or_default())
}

fn is_concluded(run: &CheckRun, conclusion: &str) -> bool {
    run.conclusion.as_deref() == Some(conclusion)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_followed_from_created_to_live() {
    let Some(mut world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(&["a", "b"]));
    world.check(&head, "tenantry/plan").await;
    let merged = world.merge(number);
    comment_with(&world, number, "### Applied: 2 tenants added · 0 of 2 live").await;
    let (a, b) = (
        Flux {
            world: &world,
            tenant: "a",
        },
        Flux {
            world: &world,
            tenant: "b",
        },
    );
    a.fetches();
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    a.applies();
    comment_with(&world, number, "### Applied: 2 tenants added · 1 of 2 live").await;
    b.fetches();
    b.applies();
    let took = comment_with(&world, number, "### Live: 2 tenants added").await;
    println!(
        "Flux's last word → `Live` in the comment: {} ms",
        took.as_millis()
    );
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    assert!(
        check
            .title
            .unwrap_or_default()
            .starts_with("Live: 2 tenants added")
    );
    let all = [
        "Accepted=True",
        "Applied=True",
        "Contained=True",
        "Fetched=True",
        "Live=True",
    ];
    assert_eq!(
        conditions(&world, "a%"),
        (all.map(str::to_owned).to_vec(), "Live".to_owned())
    );
    let listed = world
        .cluster
        .kubectl(&["get", "tenants.tenantry.dev", &world.text("a%")]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(
        listed.contains("READY") && listed.contains("REVISION") && listed.contains("True"),
        "{listed}"
    );
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_says_is_told_within_seconds_and_the_recovery_edits_comment_and_check() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(&["a"]));
    world.check(&head, "tenantry/plan").await;
    let merged = world.merge(number);
    comment_with(&world, number, "0 of 1 live").await;
    let flux = Flux {
        world: &world,
        tenant: "a",
    };
    flux.fetches();
    flux.fails(
        "kustomizations",
        "kustomize",
        "BuildFailed",
        "accumulating <b>resources</b> for @all",
    );
    let took = comment_with(&world, number, "BuildFailed").await;
    println!("Flux's failure → the comment: {} ms", took.as_millis());
    let comment = world.comment(number).unwrap_or_default();
    assert!(
        comment.contains("accumulating &#60;b&#62;resources") && !comment.contains("@all"),
        "{comment}"
    );
    world.settled().await;
    assert_eq!(conditions(&world, "a%").1, "BuildFailed");
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "Flux tries again: {check:#?}");

    // Only a person mends this, so the check ends.
    flux.fails(
        "gitrepositories",
        "source",
        "AuthenticationFailed",
        "failed to get secret",
    );
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "failure"), "{check:#?}");
    let title = check.title.unwrap_or_default();
    assert!(title.starts_with("Failed: 1 tenant not live"), "{title}");
    assert!(
        world
            .comment(number)
            .unwrap_or_default()
            .contains("### Failed: 1 tenant not live")
    );

    flux.fetches();
    flux.applies();
    comment_with(&world, number, "### Live: 1 tenant added").await;
    let check = world
        .check_where(&merged, "tenantry/apply", |run| {
            is_concluded(run, "success")
        })
        .await;
    assert!(
        !check
            .summary
            .unwrap_or_default()
            .contains("AuthenticationFailed")
    );
    assert_eq!(
        world.github.check_runs(&world.control(), &merged).len(),
        1,
        "the check is edited"
    );
    world.end().await;
}
