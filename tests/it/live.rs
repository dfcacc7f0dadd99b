//! From merged to live: what Flux says is in the comment, the check and the Tenant within seconds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenantry::sandbox::github::{CheckRun, Fault};

use crate::flux::{artifact, now};
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

impl<'a> Flux<'a> {
    fn of(world: &'a World, tenant: &'a str) -> Self {
        Self { world, tenant }
    }

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
        if status["observedGeneration"].is_null() {
            status["observedGeneration"] = generation.clone();
        }
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = generation.clone();
            condition["lastTransitionTime"] = json!(now());
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
        let artifact = artifact(&self.revision());
        let ready = json!([{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact" }]);
        self.say(
            "gitrepositories",
            "source",
            &json!({ "conditions": ready, "artifact": artifact }),
        );
    }

    fn applies(&self) {
        self.has_applied(&self.revision());
    }

    fn has_applied(&self, revision: &str) {
        let ready = json!([{ "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied" }]);
        let status = json!({ "conditions": ready, "lastAppliedRevision": revision, "lastAttemptedRevision": revision });
        self.say("kustomizations", "kustomize", &status);
    }

    /// Flux goes on trying, so the status as a whole is not of this generation yet.
    fn fails(&self, kind: &str, group: &str, reason: &str, message: &str) {
        let conditions = json!([
            { "type": "Ready", "status": "False", "reason": reason, "message": message },
            { "type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry", "message": message },
        ]);
        let status = json!({
            "observedGeneration": -1, "conditions": conditions, "lastAttemptedRevision": self.revision(),
        });
        self.say(kind, group, &status);
    }

    /// Flux has given up, until the object changes.
    fn stalls(&self, kind: &str, group: &str, reason: &str, message: &str) {
        let conditions = json!([
            { "type": "Ready", "status": "False", "reason": reason, "message": message },
            { "type": "Stalled", "status": "True", "reason": reason, "message": message },
        ]);
        self.say(kind, group, &json!({ "conditions": conditions }));
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
    let (number, merged) = world.merged("add", &tenants(&["a", "b"])).await;
    comment_with(&world, number, "### Applied: 2 tenants added · 0 of 2 live").await;
    let (a, b) = (Flux::of(&world, "a"), Flux::of(&world, "b"));
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
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    let flux = Flux::of(&world, "a");
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

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_goes_wrong_stands_in_the_comment_with_what_to_do() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    let flux = Flux::of(&world, "a");
    let key = "unable to clone: ssh: handshake failed: ssh: unable to authenticate";
    flux.fails("gitrepositories", "source", "GitOperationFailed", key);
    comment_with(&world, number, "ssh: unable to authenticate").await;
    comment_with(
        &world,
        number,
        "See whether the deploy key still stands on the workspace",
    )
    .await;
    flux.fetches();
    let path =
        "kustomization path not found: stat /tmp/kustomization-1/prod: no such file or directory";
    flux.fails("kustomizations", "kustomize", "ArtifactFailed", path);
    comment_with(&world, number, "Commit that directory to the workspace").await;
    let forbidden = "Widget/n-a/w dry-run failed: widgets.example.com \"w\" is forbidden: User \"x\" cannot patch resource \"widgets\" in API group \"example.com\" in the namespace \"n-a\"";
    flux.fails(
        "kustomizations",
        "kustomize",
        "ReconciliationFailed",
        forbidden,
    );
    comment_with(
        &world,
        number,
        "may not patch <code>widgets.example.com</code>",
    )
    .await;
    let comment = world.comment(number).unwrap_or_default();
    assert!(
        !comment.contains("path not found"),
        "only what is so now: {comment}"
    );
    assert!(
        comment.contains("### Applied: 1 tenant added · 0 of 1 live · ⚠️ 1 failing"),
        "{comment}"
    );
    flux.applies();
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    world.end().await;
}

const SOURCE: (&str, &str) = ("gitrepositories", "source");
const SYNC: (&str, &str) = ("kustomizations", "kustomize");

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_tries_again_is_told_and_the_check_waits() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    let flux = Flux::of(&world, "a");
    // What Flux says, and the stage that the tenant has reached all the same.
    let reasons = [
        (
            SOURCE,
            "GitOperationFailed",
            "failed to checkout",
            "created",
        ),
        (SYNC, "ArtifactFailed", "no such directory", "fetched"),
        (SYNC, "BuildFailed", "accumulating resources", "fetched"),
        (SYNC, "ReconciliationFailed", "dry-run failed", "fetched"),
        (SYNC, "PruneFailed", "delete failed", "fetched"),
        (
            SYNC,
            "DependencyNotReady",
            "dependency is not ready",
            "fetched",
        ),
        (SYNC, "HealthCheckFailed", "timeout waiting", "contained"),
    ];
    for ((kind, group), reason, message, stage) in reasons {
        if group == "kustomize" {
            flux.fetches();
        }
        flux.fails(kind, group, reason, message);
        comment_with(&world, number, &format!("<b>{reason}</b>: {message}")).await;
        world.settled().await;
        let (conditions, live) = conditions(&world, "a%");
        assert_eq!(live, reason);
        let passed = |name: &str| conditions.contains(&format!("{name}=True"));
        let passed = ["Accepted", "Fetched", "Applied", "Contained"].map(passed);
        let reached = passed.iter().filter(|passed| **passed).count();
        let stages = ["created", "fetched", "applied", "contained"];
        assert_eq!(stages[reached - 1], stage, "{reason}: {conditions:?}");
        let check = world.newest(&merged, "tenantry/apply").expect("a check");
        assert_eq!(check.conclusion, None, "{reason}: {check:#?}");
    }
    flux.applies();
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_gives_up_ends_the_check_at_once_and_the_next_merge_mends_it() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let flux = Flux::of(&world, "a");
    let reasons = [
        (SYNC, "AccessDenied", "can't access 'GitRepository/b/b'"),
        (SYNC, "InvalidCELExpression", "failed to parse expression"),
        (SYNC, "FeatureGateDisabled", "the feature gate is off"),
        (SOURCE, "URLInvalid", "scheme not supported"),
        (SOURCE, "AuthenticationFailed", "failed to get secret"),
    ];
    for (minutes, ((kind, group), reason, message)) in (11..).zip(reasons) {
        // Both of Flux's objects are others with each merge.
        let changed = format!("- name: a%\n  sync: {{interval: {minutes}m}}");
        let file = tenants(&["a"]).replace("- name: a%", &changed);
        let (number, merged) = world.merged(&reason.to_lowercase(), &file).await;
        let written = |run: &CheckRun| {
            run.title
                .as_deref()
                .is_some_and(|title| title.contains("live"))
        };
        world.check_where(&merged, "tenantry/apply", written).await;
        if group == "kustomize" {
            flux.fetches();
        }
        if reason == "AuthenticationFailed" {
            flux.fails(kind, group, reason, message);
        } else {
            flux.stalls(kind, group, reason, message);
        }
        let failed = |run: &CheckRun| is_concluded(run, "failure");
        let check = world.check_where(&merged, "tenantry/apply", failed).await;
        let title = check.title.unwrap_or_default();
        assert!(
            title.starts_with("Failed: 1 tenant not live"),
            "{reason}: {title}"
        );
        let comment = world.comment(number).unwrap_or_default();
        let told = format!("<b>{reason}</b>: {}", message.replace('\'', "&#39;"));
        assert!(
            comment.contains(&told) && comment.contains("> [!CAUTION]"),
            "{reason}: {comment}"
        );
        flux.fetches();
        flux.applies();
        comment_with(&world, number, "### Live: 1 tenant").await;
        let well = |run: &CheckRun| is_concluded(run, "success");
        world.check_where(&merged, "tenantry/apply", well).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_before_is_not_live() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, _) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    let flux = Flux::of(&world, "a");
    flux.fetches();
    flux.applies();
    comment_with(&world, number, "### Live: 1 tenant added").await;
    // The Kustomization is another one now, and what stands there is true of the one before.
    let slower = tenants(&["a"]).replace("- name: a%", "- name: a%\n  sync: {timeout: 4m}");
    let (second, merged) = world.merged("slower", &slower).await;
    comment_with(&world, second, "0 of 1 live").await;
    world.settled().await;
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    // Somebody pushes meanwhile: what is applied now is not the head.
    let before = flux.revision();
    let bob = world.github.as_user("bob");
    let workspace = world.text("acme%/a%-workspace");
    let files = [("app.yaml", Some("kind: ConfigMap\n"))];
    bob.commit(&workspace, "main", "Change it", &files);
    world.settled().await;
    flux.has_applied(&before);
    world.settled().await;
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    flux.fetches();
    flux.applies();
    comment_with(&world, second, "### Live: 1 tenant changed").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_deadline_the_check_ends_and_meanwhile_nothing_else_waits() {
    let Some(mut world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    world.live_deadline = Duration::from_secs(6);
    world.restart().await;
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    // A merge without anything to follow, and a plan, while the first one is followed.
    let (second, head) = world.pull("describe", &format!("# For all of us\n{}", tenants(&["a"])));
    world.check(&head, "tenantry/plan").await;
    let apply = world.check(&world.merge(second), "tenantry/apply").await;
    assert!(is_concluded(&apply, "success"), "{apply:#?}");
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");

    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "failure"), "{check:#?}");
    assert_eq!(
        check.title.as_deref(),
        Some("Failed: 1 tenant not live in time, 1 tenant added")
    );
    let comment = world.comment(number).unwrap_or_default();
    assert!(
        comment.contains("### Failed: 1 tenant not live in time"),
        "{comment}"
    );
    assert_eq!(
        conditions(&world, "a%").0.last().map(String::as_str),
        Some("Live=False")
    );
    world.rests().await;

    let flux = Flux::of(&world, "a");
    flux.fetches();
    flux.applies();
    comment_with(&world, number, "### Live: 1 tenant added").await;
    world
        .check_where(&merged, "tenantry/apply", |run| {
            is_concluded(run, "success")
        })
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_following_goes_on() {
    let Some(mut world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, number, "0 of 1 live").await;
    Flux::of(&world, "a").fetches();
    world.settled().await;
    // Another merge meanwhile: the one that is followed is not the newest.
    let (second, newer) = world.merged("more", &tenants(&["a", "b"])).await;
    comment_with(&world, second, "0 of 1 live").await;
    world.crash();
    let before = world.comment(number).unwrap_or_default();
    // While nobody looks, the first becomes live.
    Flux::of(&world, "a").applies();
    world.start().await;
    comment_with(&world, number, "### Live: 1 tenant added").await;
    let after = world.comment(number).unwrap_or_default();
    let rest = |text: &str| {
        text.split_once("<!-- tenantry:live-end -->")
            .map(|(_, rest)| rest.to_owned())
    };
    assert_eq!(rest(&after), rest(&before), "what the apply said stays");
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    let check = world.newest(&newer, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    let flux = Flux::of(&world, "b");
    flux.fetches();
    flux.applies();
    let check = world.check(&newer, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    assert!(
        world
            .comment(second)
            .unwrap_or_default()
            .contains("### Live: 1 tenant added")
    );
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_merge_that_touches_a_tenant_follows_it() {
    let Some(world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (first, older) = world.merged("add", &tenants(&["a"])).await;
    comment_with(&world, first, "0 of 1 live").await;
    let described = tenants(&["a"]).replace("- name: a%", "- name: a%\n  description: Ours");
    let (second, newer) = world.merged("describe", &described).await;
    let check = world.check(&older, "tenantry/apply").await;
    assert!(is_concluded(&check, "neutral"), "{check:#?}");
    let told = format!(
        "### Applied: 1 tenant added · followed with {}",
        &newer[..7]
    );
    comment_with(&world, first, &told).await;
    let flux = Flux::of(&world, "a");
    flux.fetches();
    flux.applies();
    comment_with(&world, second, "### Live: 1 tenant changed").await;
    let check = world.check(&newer, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_workspace_is_fetched_at_once_and_github_is_not_asked() {
    let Some(mut world) = World::new(&tenants(&["a"])).await else {
        return;
    };
    let requested = |world: &World| {
        let source = world
            .object("gitrepository", "tenant-a%", "workspace")
            .expect("it is there");
        source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(requested(&world), None);
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let workspace = world.text("acme%/a%-workspace");
    let bob = world.github.as_user("bob");
    let started = Instant::now();
    let head = bob.commit(
        &workspace,
        "main",
        "Change it",
        &[("app.yaml", Some("kind: ConfigMap\n"))],
    );
    let live = format!("`main@sha1:{head}` is applied");
    loop {
        let tenant = world
            .object("tenants.tenantry.dev", "", "a%")
            .expect("the Tenant")
            .to_string();
        if tenant.contains(&live) {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{tenant}\n{}",
            world.log()
        );
    }
    println!(
        "push to a workspace → read back as live: {} ms",
        started.elapsed().as_millis()
    );
    world.settled().await;
    assert!(requested(&world).is_some());
    let asked = world.github.requests_since(mark);
    assert!(asked.is_empty(), "{asked:#?}");
    let writes = world.cluster_writes_since(audit);
    assert_eq!(
        writes.len(),
        2,
        "one to ask Flux, and one to tell that it is live again: {writes:#?}"
    );
    // Other branches are none of Flux's business.
    bob.commit(
        &workspace,
        "topic",
        "Try it",
        &[("app.yaml", Some("kind: Secret\n"))],
    );
    world.settled().await;
    assert_eq!(world.cluster_writes_since(audit).len(), 2);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tenants_are_told_in_few_writes() {
    let Some(mut world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let names: Vec<_> = (1..=20).map(|number| format!("t{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (number, head) = world.pull("add", &tenants(&names));
    world.check(&head, "tenantry/plan").await;
    let mark = world.github.mark();
    let merged = world.merge(number);
    comment_with(&world, number, "0 of 20 live").await;
    for name in &names {
        let flux = Flux::of(&world, name);
        flux.fails(
            "gitrepositories",
            "source",
            "GitOperationFailed",
            &format!("{name} cannot be cloned"),
        );
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    world.start_flux().await;
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    let reports = world.writes_since(mark);
    let reports: Vec<_> = reports
        .iter()
        .filter(|line| line.contains("/check-runs") || line.contains("/comments"))
        .collect();
    println!(
        "20 tenants that all fail and recover: {} writes of reports",
        reports.len()
    );
    assert!(reports.len() <= 20, "{reports:#?}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_merge_to_live() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(&["a"]));
    world.check(&head, "tenantry/plan").await;
    let started = Instant::now();
    world.merge(number);
    comment_with(&world, number, "### Live: 1 tenant added").await;
    println!(
        "merge → `Live` in the comment: {} ms",
        started.elapsed().as_millis()
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_killed_before_it_told_what_it_has_done_does_not_call_it_live() {
    let Some(mut world) = World::without_flux("tenants: []\n").await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(&["a"]));
    world.check(&head, "tenantry/plan").await;
    let told = Fault::on("PATCH", "/repos/*/*/check-runs/*").delay(Duration::from_hours(1));
    world.github.fault(told);
    let merged = world.merge(number);
    let started = Instant::now();
    while world.github.waiting_faults() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.crash();
    world.start().await;
    comment_with(&world, number, "0 of 1 live").await;
    let check = world.newest(&merged, "tenantry/apply").expect("a check");
    assert_eq!(check.conclusion, None, "{check:#?}");
    let flux = Flux::of(&world, "a");
    flux.fetches();
    flux.applies();
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_account_can_leave_its_room_is_not_live_until_the_door_is_shut() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    let account = "--serviceaccount=tenant-a%:reconciler";
    world.kubectl(&[
        "create",
        "clusterrolebinding",
        "open%",
        "--clusterrole=view",
        account,
    ]);
    world.kubectl(&[
        "create",
        "clusterrole",
        "peeping%",
        "--verb=get",
        "--resource=secrets",
    ]);
    world.kubectl(&[
        "create",
        "clusterrolebinding",
        "peeping%",
        "--clusterrole=peeping%",
        account,
    ]);
    let (number, merged) = world.merged("add", &tenants(&["a"])).await;
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "failure"), "{check:#?}");
    let comment = world.comment(number).unwrap_or_default();
    for told in [
        "NotContained",
        "can get <code>secrets</code> in the whole cluster",
        &world.text(
            "kubectl auth can-i --list --as=system:serviceaccount:tenant-a%:reconciler</code>",
        ),
    ] {
        assert!(comment.contains(told), "{told}: {comment}");
    }
    let all = [
        "Accepted=True",
        "Applied=True",
        "Contained=False",
        "Fetched=True",
        "Live=False",
    ];
    assert_eq!(conditions(&world, "a%").0, all);

    world.kubectl(&["delete", "clusterrolebinding", "peeping%"]);
    world.restart().await;
    comment_with(&world, number, "### Live: 1 tenant added").await;
    world.settled().await;
    let all = all.map(|condition| condition.replace("False", "True"));
    assert_eq!(conditions(&world, "a%").0, all);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_agrees_on_what_is_live() {
    let Some(mut world) = World::new(&tenants(&["a"])).await else {
        return;
    };
    world.start_another().await;
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    // Only the second one is told of it; the first one sees what Flux has fetched, and asks whether it is the head.
    let workspace = world.text("acme%/a%-workspace");
    let files = [("app.yaml", Some("kind: ConfigMap\n"))];
    let bob = world.github.as_user("bob");
    let head = bob.commit(&workspace, "main", "Change it", &files);
    let applied = format!("`main@sha1:{head}` is applied");
    let started = Instant::now();
    let asked = |world: &World| {
        let requests = world.github.requests_since(mark).into_iter();
        requests.map(|request| request.path).collect::<Vec<_>>()
    };
    while asked(&world).is_empty() || !live_message(&world, "a%").contains(&applied) {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.settled().await;
    assert!(live_message(&world, "a%").contains(&applied));
    assert_eq!(asked(&world), ["/graphql"], "one look, of one replica");
    let writes = world.cluster_writes_since(audit);
    assert_eq!(
        writes.len(),
        3,
        "one asks Flux, and each tells: {writes:#?}"
    );

    let (number, merged) = world.merged("add", &tenants(&["a", "b"])).await;
    let check = world.check(&merged, "tenantry/apply").await;
    assert!(is_concluded(&check, "success"), "{check:#?}");
    comment_with(&world, number, "### Live: 1 tenant added").await;
    world.settled().await;
    let audit = world.cluster.audit_mark();
    let runs = world.github.check_runs(&world.control(), &merged);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    // Neither undoes what the other has said.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.cluster_writes_since(audit), Vec::<String>::new());
    world.rests().await;
    world.end().await;
}

/// What the condition `Live` says.
fn live_message(world: &World, tenant: &str) -> String {
    let tenant = world.object("tenants.tenantry.dev", "", tenant);
    let tenant = tenant.expect("the Tenant");
    let conditions = tenant["status"]["conditions"].as_array().cloned();
    let conditions = conditions.unwrap_or_default();
    let live = conditions
        .iter()
        .find(|condition| condition["type"] == "Live");
    live.map(|live| live["message"].to_string())
        .unwrap_or_default()
}
