//! Another deploy key in the place of the one in use: when it has grown old, when somebody asks, when the file wants
//! another. Both are registered until Flux has fetched with the new one, and whatever happens, one is left that works.

use std::process::Output;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tenantry::keys::{KeyPair, fingerprint};
use tenantry::sandbox::github::{CheckRun, Fault};
use tenantry::tenants::KeyAlgorithm;

use crate::cli::{ended, folder, in_world, with_key};
use crate::flux::now;
use crate::keys::{
    OUTSIDE_KEY, SHOPS, converged, is_registered_as_stored, registered, said, stored, title,
    workspace,
};
use crate::support::{World, config};

const APPLY: &str = "tenantry/apply";

/// The public halves on a workspace, oldest first.
fn public(world: &World, tenant: &str) -> Vec<String> {
    let keys = registered(world, tenant).into_iter();
    keys.map(|(_, public, _)| public).collect()
}

fn fingerprint_of(public: &str) -> String {
    fingerprint(public).expect("it is a key").to_string()
}

/// Makes all keys of a workspace so old that the next comparison replaces them.
fn ages(world: &World, tenant: &str) {
    let workspace = workspace(world, tenant);
    world.github.edit_repository(&workspace, |found| {
        for key in found.deploy_keys.values_mut() {
            "2026-01-01T00:00:00Z".clone_into(&mut key.created_at);
        }
    });
}

/// What the Tenant remembers of keys.
fn remembered(world: &World, tenant: &str) -> Value {
    let object = world.object("tenants.tenantry.dev", "", &format!("{tenant}%"));
    object.expect("the Tenant is there")["status"]["deployKey"].clone()
}

/// Merges into a status, as an administrator may.
async fn set_status(world: &World, path: &str, status: &Value) {
    let config = config(&world.cluster.kubeconfig_yaml()).await;
    let client = kube::Client::try_from(config).expect("a client");
    let body = serde_json::to_vec(&json!({ "status": status })).expect("plain data");
    let request = http::Request::patch(world.text(path) + "/status")
        .header("content-type", "application/merge-patch+json");
    let request = request.body(body).expect("a request");
    let answer = client.request::<Value>(request).await;
    answer.expect("the status is taken");
}

async fn remember(world: &World, tenant: &str, keys: &Value) {
    let path = format!("/apis/tenantry.dev/v1alpha1/tenants/{tenant}%");
    set_status(world, &path, &json!({ "deployKey": keys })).await;
}

/// Asks for another key, as `tenantry rotate` does.
async fn ask(world: &World, tenant: &str) {
    let in_use = remembered(world, tenant)["fingerprint"].clone();
    remember(world, tenant, &json!({ "replace": in_use })).await;
}

/// What Flux says of a fetch that it was asked for.
async fn flux_says(world: &World, tenant: &str, status: &str, reason: &str, message: &str) {
    let namespace = format!("tenant-{tenant}%");
    let source = world.object("gitrepository", &namespace, "workspace");
    let source = source.expect("it is there");
    let generation = &source["metadata"]["generation"];
    let condition = json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": now(),
    });
    let path = format!(
        "/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/gitrepositories/workspace"
    );
    let status = json!({
        "observedGeneration": generation,
        "lastHandledReconcileAt": source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"],
        "conditions": [condition],
    });
    set_status(world, &path, &status).await;
}

async fn until(world: &World, what: &str, so: impl Fn() -> bool) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to {what}: {}", world.log());
}

/// There is one key, another than before, and nothing is left to be done.
async fn is_replaced(world: &World, tenant: &str, before: &str, when: &str) {
    let done = || {
        let keys = remembered(world, tenant);
        let is_new = stored(world, tenant, "identity.pub") != before;
        is_new
            && public(world, tenant).len() == 1
            && keys["former"].is_null()
            && keys["replace"].is_null()
    };
    until(world, when, done).await;
    world.settled().await;
    is_registered_as_stored(world, tenant, true);
    let now = stored(world, tenant, "identity.pub");
    let in_use = &remembered(world, tenant)["fingerprint"];
    assert_eq!(in_use, &fingerprint_of(&now), "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_grown_old_is_replaced_and_the_others_stay() {
    let Some(mut world) = converged().await else {
        return;
    };
    let old = stored(&world, "shop", "identity.pub");
    let others = [public(&world, "bank"), public(&world, "mill")];
    let known_hosts = stored(&world, "shop", "known_hosts");
    ages(&world, "shop");
    world.restart().await;
    is_replaced(&world, "shop", &old, "grown old").await;
    assert_eq!([public(&world, "bank"), public(&world, "mill")], others);
    assert_eq!(stored(&world, "shop", "known_hosts"), known_hosts);
    let apply = said(world.last_apply().await);
    assert!(apply.starts_with("success\nLive"), "{apply}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_are_registered_until_flux_has_fetched_with_the_new_one() {
    let Some(mut world) = converged().await else {
        return;
    };
    world.stop_flux().await;
    let old = stored(&world, "shop", "identity.pub");
    ages(&world, "shop");
    world.restart().await;
    let new = stored(&world, "shop", "identity.pub");
    assert_ne!(new, old);
    assert_eq!(public(&world, "shop"), [old.clone(), new.clone()]);
    let tip = world.github.head(&world.control(), "main").expect("a tip");
    let underway = world.newest(&tip, APPLY).expect("a check");
    assert_eq!(underway.conclusion, None, "{underway:#?}");
    let told = said(underway);
    assert!(told.contains("another takes its place"), "{told}");

    // Flux cannot: the former key stays, and people are told what Flux says.
    let refused = "failed to checkout: ssh: unable to authenticate";
    flux_says(&world, "shop", "False", "GitOperationFailed", refused).await;
    let tells = |run: &CheckRun| {
        run.summary
            .as_deref()
            .is_some_and(|text| text.contains("unable to authenticate"))
    };
    world.check_where(&tip, APPLY, tells).await;
    world.rests().await;
    assert_eq!(public(&world, "shop"), [old.clone(), new.clone()]);

    // A request that is about something else says nothing of the key.
    let source = ["gitrepository", "workspace", "-n", "tenant-shop%"];
    let other = [
        "reconcile.fluxcd.io/requestedAt=2026-11-26T00:00:00Z",
        "--overwrite",
    ];
    world.kubectl(&[&["annotate"], &source[..], &other[..]].concat());
    flux_says(&world, "shop", "True", "Succeeded", "stored artifact").await;
    world.settled().await;
    assert_eq!(public(&world, "shop").len(), 2);
    world.restart().await;
    assert_eq!(public(&world, "shop").len(), 2, "it is asked again");

    flux_says(&world, "shop", "True", "Succeeded", "stored artifact").await;
    is_replaced(&world, "shop", &old, "fetched").await;
    let apply = said(world.check(&tip, APPLY).await);
    assert!(apply.starts_with("success\nLive"), "{apply}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_killed_at_any_write_to_github_leaves_one_key() {
    let Some(mut world) = converged().await else {
        return;
    };
    for (method, path) in [("POST", "/repos/*/*/keys"), ("DELETE", "/repos/*/*/keys/*")] {
        for done in [false, true] {
            let when = format!("{method} {path}, done: {done}");
            let old = stored(&world, "shop", "identity.pub");
            let fault = Fault::on(method, path).delay(Duration::from_hours(1));
            let fault = if done { fault.after_doing_it() } else { fault };
            world.github.fault(fault);
            ask(&world, "shop").await;
            until(&world, &when, || world.github.waiting_faults() == 0).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            world.crash();
            world.start().await;
            is_replaced(&world, "shop", &old, &when).await;
        }
    }
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_killed_between_writes_to_the_cluster_leaves_one_key() {
    let Some(mut world) = converged().await else {
        return;
    };
    // How far it has come, each with what was done before.
    for came in ["remembered", "registered", "stored", "told"] {
        world.stop().await;
        let old = stored(&world, "shop", "identity.pub");
        let pair = KeyPair::generate(KeyAlgorithm::Ed25519).expect("a pair");
        let [before, new] = [&old, &pair.public].map(|public| fingerprint_of(public));
        remember(&world, "shop", &json!({ "former": [before, new] })).await;
        if came != "remembered" {
            let alice = world.github.as_user("alice");
            let title = title(&world, "shop");
            alice.add_deploy_key(&workspace(&world, "shop"), &title, &pair.public, true);
        }
        let is_stored = ["stored", "told"].contains(&came);
        if is_stored {
            let [private, public] =
                [pair.private.as_str(), &pair.public].map(|half| STANDARD.encode(half));
            let data = json!({ "data": { "identity": private, "identity.pub": public } });
            let patch = data.to_string();
            let secret = ["patch", "secret", "git-auth", "-n", "tenant-shop%"];
            world.kubectl(&[&secret[..], &["--type=merge", "-p", &patch]].concat());
        }
        if came == "told" {
            remember(
                &world,
                "shop",
                &json!({ "fingerprint": new, "former": [before] }),
            )
            .await;
        }
        world.start().await;
        let done =
            || public(&world, "shop").len() == 1 && remembered(&world, "shop")["former"].is_null();
        until(&world, came, done).await;
        world.settled().await;
        is_registered_as_stored(&world, "shop", true);
        let now = stored(&world, "shop", "identity.pub");
        assert_eq!(now, if is_stored { &*pair.public } else { &*old }, "{came}");
        world.rests().await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_written_costs_one_key_at_most() {
    let Some(mut world) = converged().await else {
        return;
    };
    let old = stored(&world, "shop", "identity.pub");
    // While GitHub answers, the app loses its right to the Secret.
    let fault = Fault::on("POST", "/repos/*/*/keys")
        .delay(Duration::from_secs(1))
        .after_doing_it();
    world.github.fault(fault);
    ask(&world, "shop").await;
    until(&world, "the key", || public(&world, "shop").len() == 2).await;
    let binding = world.object("rolebinding", "tenant-shop%", "tenantry-control");
    let mut binding = binding.expect("it is there");
    let name = ["rolebinding", "tenantry-control", "-n", "tenant-shop%"];
    world.kubectl(&[&["delete"], &name[..]].concat());
    let tip = world.github.head(&world.control(), "main").expect("a tip");
    let failed = |run: &CheckRun| run.conclusion.as_deref() == Some("failure");
    let told = said(world.check_where(&tip, APPLY, failed).await);
    assert!(told.contains("git-auth"), "{told}");
    assert_eq!(stored(&world, "shop", "identity.pub"), old);
    // Without it, it is not known which key is in use: there is no third one.
    world.restart().await;
    assert_eq!(public(&world, "shop").len(), 2);
    binding["metadata"]["resourceVersion"].take();
    let create = ["create", "-f", "-"];
    let created = world
        .cluster
        .kubectl_with_input(&create, &binding.to_string());
    assert!(created.status.success(), "{created:?}");
    world.restart().await;
    is_replaced(&world, "shop", &old, "refused once").await;
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_asks_for_a_key_of_another_kind_and_with_other_rights() {
    let Some(world) = converged().await else {
        return;
    };
    let old = stored(&world, "shop", "identity.pub");
    let key = "- name: shop%\n  deployKey: {algorithm: ecdsa-p384, readOnly: false}";
    let file = SHOPS.replace("- name: shop%", key);
    let (number, head) = world.pull("writes", &file);
    world.check(&head, "tenantry/plan").await;
    let comment = world.comment(number).expect("a plan");
    for part in ["another takes its place", "readOnly", "algorithm", "wider"] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    let merged = world.merge(number);
    let apply = said(world.check(&merged, APPLY).await);
    assert!(apply.starts_with("success\n"), "{apply}");
    until(&world, "one key", || public(&world, "shop").len() == 1).await;
    world.settled().await;
    is_registered_as_stored(&world, "shop", false);
    let new = stored(&world, "shop", "identity.pub");
    assert!(
        new.starts_with("ecdsa-sha2-nistp384 ") && new != old,
        "{new}"
    );

    // A right that no comment has announced is not given.
    world.push(SHOPS).await;
    until(&world, "one key", || public(&world, "shop").len() == 1).await;
    is_registered_as_stored(&world, "shop", true);
    let apply = said(world.push(&file).await);
    assert!(apply.starts_with("action_required\nHeld"), "{apply}");
    is_registered_as_stored(&world, "shop", true);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_under_our_title_that_is_not_remembered_stays() {
    let Some(mut world) = converged().await else {
        return;
    };
    // Another cluster that calls itself the same.
    let alice = world.github.as_user("alice");
    let title = title(&world, "shop");
    alice.add_deploy_key(&workspace(&world, "shop"), &title, OUTSIDE_KEY, true);
    world.settled().await;
    let old = public(&world, "shop");
    ask(&world, "shop").await;
    until(&world, "another key", || {
        let keys = public(&world, "shop");
        keys.len() == 2 && !keys.contains(&old[0])
    })
    .await;
    world.settled().await;
    let new = stored(&world, "shop", "identity.pub");
    assert_eq!(public(&world, "shop"), [OUTSIDE_KEY.to_owned(), new]);
    let apply = said(world.last_apply().await);
    assert!(apply.contains("the file does not name it"), "{apply}");
    world.rests().await;
    world.end().await;
}

fn rotate(world: &World, arguments: &[&str]) -> Output {
    let folder = folder("");
    let arguments: Vec<_> = arguments.iter().map(|one| world.text(one)).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut command = in_world(
        world,
        folder.path(),
        &[&["rotate"], &arguments[..]].concat(),
    );
    command.output().expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn tenantry_rotate_replaces_the_key_and_waits_until_it_is_the_only_one() {
    let Some(mut world) = converged().await else {
        return;
    };
    let old = stored(&world, "shop", "identity.pub");
    let (status, out, error) = ended(rotate(&world, &["shop%", "--output", "json"]));
    assert_eq!(status, Some(0), "{out}{error}");
    let new = stored(&world, "shop", "identity.pub");
    let told: Value = serde_json::from_str(&out).expect("it prints JSON");
    assert_eq!(
        told,
        json!({
            "tenant": world.text("shop%"),
            "deployKey": fingerprint_of(&new),
            "before": fingerprint_of(&old),
        })
    );
    is_replaced(&world, "shop", &old, "asked for").await;
    let (status, out, _) = ended(rotate(&world, &["shop%"]));
    assert_eq!(status, Some(0));
    let now = fingerprint_of(&stored(&world, "shop", "identity.pub"));
    let before = fingerprint_of(&new);
    let expected = format!("shop%: deploy key {now} in the place of {before}\n");
    assert_eq!(out, world.text(&expected));
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenantry_rotate_says_what_it_waits_for() {
    let Some(mut world) = converged().await else {
        return;
    };
    let failed = |world: &World, arguments: &[&str]| {
        let (status, out, error) = ended(rotate(world, arguments));
        assert_eq!((status, out.as_str()), (Some(1), ""), "{error}");
        world.plain(error.lines().last().unwrap_or_default())
    };
    let unknown = failed(&world, &["ship%"]);
    assert_eq!(unknown, "error: there is no tenant `ship`");
    let old = fingerprint_of(&stored(&world, "shop", "identity.pub"));

    world.stop_flux().await;
    let waits = failed(&world, &["shop%", "--timeout", "3s"]);
    let expected = format!(
        "error: not done after 3s: Flux has not fetched with the new key, and `{old}` stays registered until it has: see `kubectl -n tenant-shop describe gitrepository workspace`"
    );
    assert_eq!(waits, expected);
    let new = fingerprint_of(&stored(&world, "shop", "identity.pub"));
    let again = failed(&world, &["shop%"]);
    let expected = format!(
        "error: the deploy key of `shop` is being replaced already: the one before goes once Flux has fetched with `{new}`"
    );
    assert_eq!(again, expected);

    world.stop().await;
    let nobody = failed(&world, &["bank%", "--timeout", "1s"]);
    let expected = "error: not done after 1s: `tenantry serve` has not replaced the deploy key of `bank`; it does as soon as it can, and says in the check `tenantry/apply` what keeps it";
    assert_eq!(nobody, expected);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_write_access_ask_for_another_key_in_a_comment_and_nobody_else() {
    let Some(mut world) = converged().await else {
        return;
    };
    let Some(other) = World::new("tenants:\n- name: shop%\n  namespaces: [{name: shop%}]\n").await
    else {
        return;
    };
    let (number, _) = world.pull("readme", &format!("{SHOPS}# More to come.\n"));
    let fork = world.github.as_user("mallory").fork(&world.control());
    let mallory = world.github.as_user("mallory");
    let file = world.text(SHOPS) + "# Mine.\n";
    mallory.commit(&fork, "mine", "Mine", &[("tenants.yaml", Some(&file))]);
    let foreign = mallory.open_pull(&world.control(), "main", "mallory:mine", "Mine", "");
    world.settled().await;
    let old = stored(&world, "shop", "identity.pub");
    let text = world.text("/tenantry rotate shop%");
    let mark = world.github.mark();
    for (person, number) in [("mallory", foreign), ("mallory", number), ("bob", number)] {
        world
            .github
            .as_user(person)
            .comment(&world.control(), number, &text);
    }
    world.settled().await;
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    assert_eq!(stored(&world, "shop", "identity.pub"), old);

    let alice = world.github.as_user("alice");
    let answered = async |text: &str| {
        alice.comment(&world.control(), number, text);
        world.settled().await;
        let comments = world.github.comments(&world.control(), number);
        let ours = comments
            .into_iter()
            .filter(|(author, _)| author == "tenantry[bot]");
        ours.map(|(_, text)| text).next_back().expect("an answer")
    };
    let unknown = answered("/tenantry rotate ship").await;
    assert_eq!(unknown, "Not done: there is no tenant <code>ship</code>.\n");
    let theirs = answered(&other.text("/tenantry rotate shop%")).await;
    assert!(theirs.contains("belongs to the control repo"), "{theirs}");
    let done = answered(&text).await;
    let expected = format!(
        "A new deploy key takes the place of <code>{}</code> of <code>shop</code>, which goes once Flux has fetched with the new one. <code>tenantry/apply</code> on the last commit of <code>main</code> says how far it is.\n",
        fingerprint_of(&old)
    );
    assert_eq!(world.plain(&done), expected);
    is_replaced(&world, "shop", &old, "asked for").await;
    let their_key = public(&other, "shop");
    other.end().await;
    assert_eq!(their_key.len(), 1);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_half_is_anywhere_but_in_the_secret() {
    let Some(mut world) = converged().await else {
        return;
    };
    let mark = world.github.mark();
    let mut private = vec![stored(&world, "shop", "identity")];
    let (number, _) = world.pull("readme", &format!("{SHOPS}# More to come.\n"));
    let alice = world.github.as_user("alice");
    alice.comment(
        &world.control(),
        number,
        &world.text("/tenantry rotate shop%"),
    );
    let old = stored(&world, "shop", "identity.pub");
    is_replaced(&world, "shop", &old, "asked for").await;
    private.push(stored(&world, "shop", "identity"));
    let (_, out, error) = ended(rotate(&world, &["shop%"]));
    private.push(stored(&world, "shop", "identity"));
    let file = folder(&world.text(SHOPS));
    let control = world.control();
    let plan = ["plan", "--repository", &control, "--output", "json"];
    let (_, planned, failed) = ended(
        with_key(&world, file.path(), &plan)
            .output()
            .expect("it starts"),
    );
    private.dedup();
    assert_eq!(private.len(), 3, "each is another");

    let sent = world.github.requests_since(mark);
    let tip = world.github.head(&world.control(), "main").expect("a tip");
    let checks = world.github.check_runs(&world.control(), &tip);
    let comments = world.github.comments(&world.control(), number);
    let tenants = world.object("tenants.tenantry.dev", "", "shop%");
    let everything = [
        ("the log", world.log()),
        ("what GitHub was sent", format!("{sent:#?}")),
        ("the checks", format!("{checks:#?}")),
        ("the comments", format!("{comments:#?}")),
        ("the Tenant", format!("{tenants:#?}")),
        ("`tenantry rotate`", out + &error),
        ("`tenantry plan`", planned + &failed),
    ];
    for (place, text) in everything {
        assert!(!text.is_empty(), "{place} says something");
        assert!(!text.contains("PRIVATE KEY"), "{place}");
        for half in &private {
            // Whole, in the Secret's base64, or a line of it.
            let encoded = STANDARD.encode(half);
            let line = half.lines().nth(2).expect("it has several");
            assert!(line.len() > 40);
            for secret in [half, encoded.as_str(), line] {
                assert!(!text.contains(secret), "{place}");
            }
        }
    }
    world.rests().await;
    world.end().await;
}
