//! What people do with a token of their own: pulls, protected branches, rulesets, timelines, deliveries.

use serde_json::{Value, json};

use super::{Client, MergeMethod, Outcome, World, receiver};

const PULLS: &str = "/repos/acme/tenants/pulls";
const PROTECTION: &str = "/repos/acme/tenants/branches/main/protection";

/// Alice, who owns the organisation.
fn alice(world: &World) -> Client {
    world.client(&world.github.personal_token("alice"))
}

/// A branch with one more tenant.
fn branch(world: &World, name: &str) -> String {
    let text = format!("- name: one\n- name: {name}\n");
    let edit = [("tenants.yaml", Some(text.as_str()))];
    let alice = world.github.as_user("alice");
    alice.commit("acme/tenants", name, &format!("Add {name}"), &edit)
}

async fn open(client: &Client, branch: &str) -> Value {
    let wish = json!({"title": format!("Add {branch}"), "head": branch, "base": "main"});
    let opened = client.ask("POST", PULLS, wish).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    opened.body
}

async fn conclude(world: &World, head: &str, conclusion: Option<&str>) {
    let app = world.everything().await;
    let mut run = json!({"name": "tenantry/plan", "head_sha": head, "status": "in_progress"});
    if let Some(conclusion) = conclusion {
        run["status"] = json!("completed");
        run["conclusion"] = json!(conclusion);
    }
    let made = app.ask("POST", "/repos/acme/tenants/check-runs", run).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn a_pull_is_opened_over_rest_and_what_is_none_is_refused() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    world.github.set_webhook_url(&world.app, &url);
    let alice = alice(&world);
    branch(&world, "two");
    let pull = open(&alice, "two").await;
    assert_eq!(pull["number"], 1);
    assert_eq!(pull["user"]["login"], "alice");
    world.github.wait_for_deliveries().await;
    let mut actions = Vec::new();
    while let Ok((_, body)) = received.try_recv() {
        let payload: Value = serde_json::from_slice(&body).unwrap();
        actions.push(payload["action"].clone());
    }
    assert_eq!(actions.last(), Some(&json!("opened")));

    let wishes = [
        (
            json!({"title": "x", "head": "two", "base": "main"}),
            "A pull request already exists for acme:two.",
        ),
        (
            json!({"title": "x", "head": "main", "base": "main"}),
            "No commits between main and main",
        ),
        (
            json!({"title": "x", "head": "gone", "base": "main"}),
            "head",
        ),
        (json!({"title": "x", "head": "two", "base": "gone"}), "base"),
        (json!({"head": "two", "base": "main"}), "title"),
    ];
    for (wish, why) in wishes {
        let refused = alice.ask("POST", PULLS, wish).await;
        assert_eq!(refused.status, 422);
        let error = &refused.body["errors"][0];
        assert!(
            error["message"] == why || error["field"] == why,
            "{error} instead of {why}"
        );
    }
    let mallory = world.client(&world.github.personal_token("mallory"));
    let wish = json!({"title": "x", "head": "two", "base": "main"});
    assert_eq!(mallory.ask("POST", PULLS, wish).await.status, 404);
}

#[tokio::test]
async fn a_pull_is_closed_reopened_and_retitled_by_those_who_may() {
    let world = World::new().await;
    let client = alice(&world);
    branch(&world, "two");
    open(&client, "two").await;
    let path = format!("{PULLS}/1");
    let change = async |wish: Value| client.ask("PATCH", &path, wish).await;
    assert_eq!(change(json!({"title": "Two"})).await.body["title"], "Two");
    assert_eq!(change(json!({"title": " "})).await.status, 422);
    assert_eq!(
        change(json!({"state": "closed"})).await.body["state"],
        "closed"
    );
    assert_eq!(change(json!({"state": "open"})).await.body["state"], "open");
    let alice = world.github.as_user("alice");
    alice.merge("acme/tenants", 1, MergeMethod::Merge);
    let refused = change(json!({"state": "open"})).await;
    assert_eq!(refused.status, 422);
    alice.commit("acme/tenants", "three", "Three", &[("b", Some("b"))]);
    let wish = json!({"title": "Three", "head": "three", "base": "main"});
    client.ask("POST", PULLS, wish).await;
    alice.close("acme/tenants", 2);
    alice.delete_branch("acme/tenants", "three");
    let wish = json!({"state": "open"});
    let gone = client.ask("PATCH", &format!("{PULLS}/2"), wish).await;
    assert_eq!(
        gone.body["errors"][0]["message"],
        "state cannot be changed. The three branch has been deleted."
    );
}

#[tokio::test]
async fn a_protected_branch_takes_a_merge_only_with_its_checks() {
    let world = World::new().await;
    world
        .github
        .protect("acme/tenants", "main", &["tenantry/plan"]);
    let alice = alice(&world);
    let head = branch(&world, "two");
    open(&alice, "two").await;
    let path = format!("{PULLS}/1");
    let merge = async |sha: &str| {
        let wish = json!({"sha": sha});
        let answer = alice.ask("PUT", &format!("{path}/merge"), wish).await;
        let message = answer.body["message"].as_str().unwrap().to_owned();
        (answer.status, message)
    };
    let state = async || alice.get(&path).await.body["mergeable_state"].clone();

    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert_eq!(state().await, "blocked");
    let refusal = |how: &str| {
        (
            405,
            format!("Required status check \"tenantry/plan\" is {how}."),
        )
    };
    assert_eq!(merge(&head).await, refusal("expected"));
    conclude(&world, &head, None).await;
    assert_eq!(merge(&head).await, refusal("in progress"));
    conclude(&world, &head, Some("failure")).await;
    assert_eq!(merge(&head).await, refusal("failing"));
    conclude(&world, &head, Some("success")).await;
    assert_eq!(state().await, "clean");
    let (status, message) = merge(&"0".repeat(40)).await;
    assert_eq!(
        (status, message.as_str()),
        (
            409,
            "Head branch was modified. Review and try the merge again."
        )
    );
    assert_eq!(merge(&head).await.0, 200);
    assert_eq!(merge(&head).await.0, 405, "it is merged already");
    let text = world.github.file("acme/tenants", "main", "tenants.yaml");
    assert_eq!(text.as_deref(), Some("- name: one\n- name: two\n"));
}

#[tokio::test]
async fn a_protected_branch_takes_no_direct_push() {
    let world = World::new().await;
    world
        .github
        .protect("acme/tenants", "main", &["tenantry/plan", "tests"]);
    let alice = alice(&world);
    let file = json!({"message": "x", "content": "eAo="});
    let put = alice
        .ask("PUT", "/repos/acme/tenants/contents/new.txt", file.clone())
        .await;
    assert_eq!(put.status, 409);
    assert_eq!(
        put.body["message"],
        "Could not create file: 2 of 2 required status checks are expected."
    );
    let head = branch(&world, "two");
    let reference = "/repos/acme/tenants/git/refs/heads/main";
    let forward = alice.ask("PATCH", reference, json!({"sha": head})).await;
    assert_eq!(forward.status, 422);
    conclude(&world, &head, Some("failure")).await;
    let forward = alice.ask("PATCH", reference, json!({"sha": head})).await;
    assert_eq!(
        forward.body["message"],
        "2 of 2 required status checks have not succeeded: 1 expected, 1 failing."
    );
    assert_eq!(
        alice.ask("DELETE", reference, Value::Null).await.status,
        422
    );
    assert_eq!(
        alice.ask("DELETE", PROTECTION, Value::Null).await.status,
        204
    );
    let put = alice
        .ask("PUT", "/repos/acme/tenants/contents/new.txt", file)
        .await;
    assert_eq!(put.status, 201);
}

#[tokio::test]
async fn protection_is_what_was_put_and_no_more_can_be_put_than_is_kept() {
    let world = World::new().await;
    let alice = alice(&world);
    assert_eq!(
        alice.get(PROTECTION).await.body["message"],
        "Branch not protected"
    );
    let wish = json!({
        "required_status_checks": {"strict": true, "contexts": [], "checks": [{"context": "tenantry/plan", "app_id": world.app.id}]},
        "enforce_admins": true,
        "required_pull_request_reviews": null,
        "restrictions": null,
    });
    let put = alice.ask("PUT", PROTECTION, wish.clone()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let shown = alice.get(PROTECTION).await.body;
    assert_eq!(
        shown["required_status_checks"]["checks"],
        json!([{"context": "tenantry/plan", "app_id": world.app.id}])
    );
    let branch = alice.get("/repos/acme/tenants/branches/main").await.body;
    assert_eq!(branch["protected"], true);

    let mut more = wish.clone();
    more["required_linear_history"] = json!(true);
    assert_eq!(alice.ask("PUT", PROTECTION, more).await.status, 501);
    let mut less = wish;
    less.as_object_mut().unwrap().remove("restrictions");
    assert_eq!(alice.ask("PUT", PROTECTION, less).await.status, 422);
    assert_eq!(
        world.github.unknown_requests(),
        ["the branch protection `required_linear_history`"]
    );
}

#[tokio::test]
async fn a_strict_branch_takes_no_pull_that_is_behind() {
    let world = World::new().await;
    let alice = alice(&world);
    let head = branch(&world, "two");
    open(&alice, "two").await;
    world
        .github
        .as_user("alice")
        .commit("acme/tenants", "main", "Meanwhile", &[("b", Some("b"))]);
    let wish = json!({
        "required_status_checks": {"strict": true, "contexts": []},
        "enforce_admins": true, "required_pull_request_reviews": null, "restrictions": null,
    });
    alice.ask("PUT", PROTECTION, wish).await;
    let path = format!("{PULLS}/1/merge");
    let refused = alice.ask("PUT", &path, json!({"sha": head})).await;
    assert_eq!(refused.status, 405);
}

#[tokio::test]
async fn a_pulls_timeline_tells_everything_in_order() {
    let world = World::new().await;
    let client = alice(&world);
    branch(&world, "two");
    open(&client, "two").await;
    let app = world.everything().await;
    let comments = "/repos/acme/tenants/issues/1/comments";
    app.ask("POST", comments, json!({"body": "plan"})).await;
    branch(&world, "two");
    let alice = world.github.as_user("alice");
    alice.retitle("acme/tenants", 1, "Two");
    alice.close("acme/tenants", 1);
    alice.reopen("acme/tenants", 1);
    let first = client.get("/repos/acme/tenants/pulls/1/commits").await.body[0]["sha"].clone();
    alice.force_push("acme/tenants", "two", first.as_str().unwrap());
    alice.merge("acme/tenants", 1, MergeMethod::Squash);
    alice.delete_branch("acme/tenants", "two");
    let lines = client.get("/repos/acme/tenants/issues/1/timeline").await;
    let events: Vec<&str> = lines
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "committed",
            "commented",
            "renamed",
            "closed",
            "reopened",
            "head_ref_force_pushed",
            "merged",
            "closed",
            "head_ref_deleted",
        ],
        "the second commit was pushed away"
    );
    assert_eq!(lines.body[1]["user"]["login"], "tenantry[bot]");
    assert_eq!(lines.body[2]["rename"]["to"], "Two");
}

#[tokio::test]
async fn a_changed_file_comes_with_its_patch() {
    let world = World::new().await;
    let client = alice(&world);
    branch(&world, "two");
    open(&client, "two").await;
    let files = client.get("/repos/acme/tenants/pulls/1/files").await.body;
    assert_eq!(
        files[0]["patch"],
        "@@ -1 +1,2 @@\n - name: one\n+- name: two"
    );
}

#[tokio::test]
async fn a_lost_delivery_is_listed_and_sent_again() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    world.github.set_webhook_url(&world.app, &url);
    world.github.lose_next_webhook("push");
    branch(&world, "two");
    branch(&world, "three");
    world.github.wait_for_deliveries().await;
    let app = world.jwt(540);
    let failed = app.get("/app/hook/deliveries?status=failure").await.body;
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&failed[0]["event"], &failed[0]["status"]),
        (&json!("push"), &json!("timed out"))
    );
    let id = failed[0]["id"].as_u64().unwrap();
    let attempts = format!("/app/hook/deliveries/{id}/attempts");
    assert_eq!(app.ask("POST", &attempts, Value::Null).await.status, 202);
    world.github.wait_for_deliveries().await;
    assert!(
        world
            .github
            .deliveries()
            .iter()
            .any(|one| one.outcome == Outcome::Dropped)
    );

    let newest = app.get("/app/hook/deliveries?per_page=2").await;
    assert_eq!(newest.body[0]["redelivery"], true);
    assert_eq!(newest.body[0]["guid"], failed[0]["guid"]);
    let link = &newest.headers["link"];
    let next = app.get(&link[1..link.find('>').unwrap()]).await.body;
    assert_ne!(next[0]["id"], newest.body[1]["id"]);
    let path = format!("/app/hook/deliveries/{}", newest.body[0]["id"]);
    let whole = app.get(&path).await.body;
    assert_eq!(whole["request"]["headers"]["x-github-event"], "push");
    assert_eq!(whole["request"]["payload"]["ref"], "refs/heads/two");
    assert_eq!(whole["status_code"], 202);
    let mut pushes = 0;
    while let Ok((headers, _)) = received.try_recv() {
        pushes += usize::from(headers["x-github-event"] == "push");
    }
    assert_eq!(pushes, 2);
    assert_eq!(alice(&world).get("/app/hook/deliveries").await.status, 401);
}

#[tokio::test]
async fn a_check_is_asked_for_again() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    let head = world.github.head("acme/tenants", "main").unwrap();
    conclude(&world, &head, Some("failure")).await;
    world.github.set_webhook_url(&world.app, &url);
    let id = world.github.check_runs("acme/tenants", &head)[0].id;
    let path = format!("/repos/acme/tenants/check-runs/{id}/rerequest");
    assert_eq!(
        alice(&world).ask("POST", &path, Value::Null).await.status,
        201
    );
    world.github.wait_for_deliveries().await;
    let (_, body) = received.try_recv().unwrap();
    let payload: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(payload["action"], "rerequested");
}

const RULESETS: &str = "/repos/acme/tenants/rulesets";

/// What is kept of the default branch, and who is above it.
fn ruleset(bypasses: &Value) -> Value {
    json!({
        "name": "kept",
        "enforcement": "active",
        "bypass_actors": bypasses,
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "pull_request", "parameters": {"required_approving_review_count": 1}},
        ],
    })
}

#[tokio::test]
async fn a_ruleset_keeps_a_branch_from_all_but_those_above_it() {
    let world = World::new().await;
    let (alice, app) = (alice(&world), world.everything().await);
    let head = branch(&world, "two");
    open(&alice, "two").await;
    let above = json!([
        {"actor_type": "OrganizationAdmin", "bypass_mode": "pull_request"},
        {"actor_type": "Integration", "actor_id": world.app.id, "bypass_mode": "always"},
    ]);
    let made = alice.ask("POST", RULESETS, ruleset(&above)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let rules = alice.get("/repos/acme/tenants/rules/branches/main").await;
    let kinds: Vec<_> = rules
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["type"].clone())
        .collect();
    assert_eq!(kinds, ["deletion", "non_fast_forward", "pull_request"]);
    let other = alice.get("/repos/acme/tenants/rules/branches/two").await;
    assert_eq!(other.body, json!([]));

    let reference = "/repos/acme/tenants/git/refs/heads/main";
    let push = json!({"sha": head});
    let refused = alice.ask("PATCH", reference, push.clone()).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.body["message"],
        "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"
    );
    let file = json!({"message": "x", "content": "eAo="});
    let put = alice
        .ask("PUT", "/repos/acme/tenants/contents/new.txt", file)
        .await;
    assert_eq!(put.status, 409);
    assert_eq!(
        alice.ask("DELETE", reference, Value::Null).await.status,
        422
    );
    assert_eq!(app.ask("PATCH", reference, push).await.status, 200);
}

#[tokio::test]
async fn a_pull_into_a_kept_branch_is_merged_by_those_above_it_alone() {
    let world = World::new().await;
    let alice = alice(&world);
    branch(&world, "two");
    open(&alice, "two").await;
    let none = alice.ask("POST", RULESETS, ruleset(&json!([]))).await;
    let merge = async || {
        let merged = alice
            .ask("PUT", &format!("{PULLS}/1/merge"), json!({}))
            .await;
        merged.status
    };
    assert_eq!(merge().await, 405);
    let twice = alice.ask("POST", RULESETS, ruleset(&json!([]))).await;
    assert_eq!(twice.body["errors"][0]["message"], "Name must be unique");
    let own = format!("{RULESETS}/{}", none.body["id"]);
    assert_eq!(alice.ask("DELETE", &own, Value::Null).await.status, 204);
    assert_eq!(alice.get(&own).await.status, 404);
    let owners = json!([{"actor_type": "OrganizationAdmin", "bypass_mode": "pull_request"}]);
    alice.ask("POST", RULESETS, ruleset(&owners)).await;
    assert_eq!(merge().await, 200);
}

#[tokio::test]
async fn rulesets_that_are_not_kept_here_or_not_in_the_plan_are_refused() {
    let world = World::new().await;
    let alice = alice(&world);
    for (name, value) in [
        ("enforcement", json!("evaluate")),
        ("rules", json!([{"type": "required_signatures"}])),
        (
            "conditions",
            json!({"ref_name": {"include": ["refs/heads/*"], "exclude": []}}),
        ),
        (
            "bypass_actors",
            json!([{"actor_type": "Team", "actor_id": 1}]),
        ),
    ] {
        let mut wish = ruleset(&json!([]));
        wish[name] = value;
        assert_eq!(
            alice.ask("POST", RULESETS, wish).await.status,
            501,
            "{name}"
        );
    }
    assert_eq!(world.github.unknown_requests().len(), 4);

    world
        .github
        .organization_settings("acme", |found| found.rules_for_private = false);
    let refused = alice.ask("POST", RULESETS, ruleset(&json!([]))).await;
    assert_eq!(refused.status, 403);
    let refused = alice.get("/repos/acme/tenants/rules/branches/main").await;
    assert_eq!(refused.status, 403);
}
