//! The program as a person starts it: what it prints, and how it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenantry::sandbox::github::Membership;

use crate::support::World;

const GOOD: &str = "
tenants:
- name: shop%
  namespaces: [{name: shop%}]
  githubTeams: [{name: payments}]
";

const BAD: &str = "
tenants:
- name: Shop
  namespace: [{name: shop}]
";

/// The program in a folder of its own, without anything of this process's environment.
fn tenantry(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .env_clear()
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Exit status, and what stood on stdout and stderr.
pub(crate) fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(tenantry(folder, arguments).output().expect("it starts"))
}

pub(crate) fn folder(file: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("tenants.yaml"), file).expect("it can be written");
    folder
}

/// Like `tenantry`, with what the world's App and cluster need.
pub(crate) fn in_world(world: &World, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = tenantry(folder, arguments);
    let kubeconfig = folder.join("kubeconfig");
    fs::write(&kubeconfig, world.cluster.kubeconfig_yaml()).expect("it can be written");
    command
        .env("KUBECONFIG", kubeconfig)
        .env("TENANTRY_GITHUB_API_URL", world.github.url());
    command
}

pub(crate) fn with_key(world: &World, folder: &Path, arguments: &[&str]) -> Command {
    let key = folder.join("app.pem");
    fs::write(&key, &world.registered().private_key_pem).expect("it can be written");
    let mut command = in_world(world, folder, arguments);
    command
        .env("TENANTRY_APP_ID", world.registered().id.to_string())
        .env("TENANTRY_PRIVATE_KEY_FILE", key);
    command
}

fn serving(world: &World, folder: &Path) -> Command {
    let mut command = with_key(world, folder, &["serve"]);
    command
        .env(
            "TENANTRY_WEBHOOK_SECRET",
            &world.registered().webhook_secret,
        )
        .env("TENANTRY_CONTROL_REPOS", world.control())
        .env("TENANTRY_LISTEN", "127.0.0.1:0")
        .env("TENANTRY_ADMIN_LISTEN", "127.0.0.1:0");
    command
}

#[test]
fn validate_says_that_a_file_is_good() {
    let (status, out, error) = run(folder(&GOOD.replace('%', "")).path(), &["validate"]);
    assert_eq!((status, error.as_str()), (Some(0), ""));
    insta::assert_snapshot!(out, @"tenants.yaml: valid, 1 tenant with 1 namespace");
}

#[test]
fn validate_shows_each_error_at_its_line() {
    let (status, out, error) = run(folder(BAD).path(), &["validate"]);
    assert_eq!((status, error.as_str()), (Some(1), ""));
    insta::assert_snapshot!(out, @"
    error: `name`: `Shop` is not a DNS label: it contains 'S'
     --> tenants.yaml:3:9
      |
    3 | - name: Shop
      |         ^^^^
      = help: perhaps `shop`

    error: `namespace` must be a map, not a list
     --> tenants.yaml:4:16
      |
    4 |   namespace: [{name: shop}]
      |                ^^^^
      = help: write keys and values, such as `podSecurity: …`

    tenants.yaml: 2 errors
    ");
}

#[test]
fn validate_tells_a_program_in_json() {
    let arguments = ["validate", "--output", "json"];
    let (status, out, _) = run(folder(BAD).path(), &arguments);
    assert_eq!(status, Some(1));
    let found: serde_json::Value = serde_json::from_str(&out).expect("it prints JSON");
    assert_eq!(found["valid"], false);
    let lines = found["findings"].as_array().expect("a list").iter();
    let lines: Vec<_> = lines.map(|one| one["line"].as_u64()).collect();
    assert_eq!(lines, [Some(3), Some(4)]);

    let (status, out, _) = run(folder("tenants: []\n").path(), &arguments);
    assert_eq!(status, Some(0));
    let found: serde_json::Value = serde_json::from_str(&out).expect("it prints JSON");
    assert_eq!(found, serde_json::json!({"valid": true, "findings": []}));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let (status, out, error) = run(folder("").path(), &["validate", "other.yaml"]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    insta::assert_snapshot!(error, @"
    error: read other.yaml
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn wrong_usage_ends_with_64_and_a_question_with_0() {
    let folder = folder("");
    for arguments in [
        &["validate", "--colour"][..],
        &["conquer"],
        &["plan"],
        &["serve", "--resync", "soon"],
        &[],
    ] {
        let (status, out, error) = run(folder.path(), arguments);
        assert_eq!((status, out.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
    for question in ["--help", "--version"] {
        let (status, out, error) = run(folder.path(), &[question]);
        assert_eq!((status, error.as_str()), (Some(0), ""), "{question}");
        assert!(out.contains("tenantry"), "{out}");
    }
}

#[test]
fn schema_and_crds_print_what_they_promise() {
    let folder = folder("");
    let (status, schema, _) = run(folder.path(), &["schema"]);
    assert_eq!(status, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("it prints JSON");
    assert!(schema["properties"]["tenants"].is_object(), "{schema:#}");

    let (status, kind, _) = run(folder.path(), &["crds"]);
    assert_eq!(status, Some(0));
    let kind: serde_json::Value = serde_yaml::from_str(&kind).expect("it prints YAML");
    assert_eq!(kind["metadata"]["name"], "tenants.tenantry.dev");
}

#[test]
fn serve_says_which_setting_is_missing() {
    let folder = folder("");
    let mut command = tenantry(folder.path(), &["serve"]);
    let mut errors = String::new();
    for (name, value) in [
        ("TENANTRY_CONTROL_REPOS", "acme/tenants"),
        ("TENANTRY_APP_ID", "1"),
        ("TENANTRY_PRIVATE_KEY", "not a key: hunter2"),
    ] {
        let (status, _, error) = ended(command.output().expect("it starts"));
        assert_eq!(status, Some(1), "{error}");
        errors.push_str(&error);
        command.env(name, value);
    }
    let (status, _, error) = ended(command.output().expect("it starts"));
    assert_eq!(status, Some(1), "{error}");
    errors.push_str(&error);
    assert!(!errors.contains("hunter2"), "{errors}");
    insta::assert_snapshot!(errors, @"
    error: `TENANTRY_CONTROL_REPOS` is not set: the control repos, as `owner/repo`, comma-separated
    error: `TENANTRY_APP_ID` is not set: the id or client id of the GitHub App
    error: neither `TENANTRY_PRIVATE_KEY` nor `TENANTRY_PRIVATE_KEY_FILE` is set
    error: the App's private key is not an RSA key in PEM form (InvalidKeyFormat); it begins with `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN PRIVATE KEY-----`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_on_a_terminal_what_a_merge_would_do() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let folder = folder(&world.text(GOOD));
    let control = world.control();
    let arguments = ["plan", "--detailed-exitcode", "--repository", &control];
    let plan = || {
        ended(
            with_key(&world, folder.path(), &arguments)
                .output()
                .unwrap(),
        )
    };
    let (status, out, error) = plan();
    assert_eq!((status, error.as_str()), (Some(2), ""));
    insta::assert_snapshot!(steady(&world.plain(&out)), @"
    shop  add
    ├─ + create Namespace shop  Pod Security baseline
    ├─ + create Namespace tenant-shop  Pod Security restricted
    ├─ + create ResourceQuota tenant-shop/no-workloads  pods 0
    ├─ + create NetworkPolicy shop/tenant-allow  allows traffic within the tenant, DNS and the internet
    ├─ + create NetworkPolicy shop/tenant-default-deny  closes what nothing allows
    ├─ + create ServiceAccount shop/flux  mounts no token
    ├─ + create ServiceAccount tenant-shop/reconciler  mounts no token
    ├─ + create RoleBinding shop/admin-reconciler  ServiceAccount tenant-shop/reconciler, ServiceAccount flux get admin
    ├─ + create RoleBinding shop/payments-admin  group payments gets admin
    ├─ + create RoleBinding tenant-shop/payments-view  group payments gets view
    ├─ + create RoleBinding tenant-shop/tenantry-control  ServiceAccount tenantry-system/tenantry gets tenantry-control
    ├─ + create repository acme/shop-workspace  private, branch main
    ├─ + create team payments  gets push on acme/shop-workspace
    ├─ + create Secret tenant-shop/git-auth  a key pair that is made here and shown nowhere
    ├─ + create deploy key on acme/shop-workspace  read-only
    ├─ + create GitRepository tenant-shop/workspace  fetches branch main every 10m
    └─ + create Kustomization tenant-shop/workspace  applies ./ as ServiceAccount reconciler, prunes

    Plan: 1 tenant added.
    GitHub: 3 to create, 0 to change, 0 held
    Cluster: 14 to create, 0 to change, 0 held
    Fingerprint FINGERPRINT
    ");

    let (number, _) = world.pull("shop", GOOD);
    world.settled().await;
    world.merge(number);
    world.settled().await;
    let (status, out, error) = plan();
    assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
    insta::assert_snapshot!(steady(&world.plain(&out)), @"Plan: nothing to change.");
    world.end().await;
}

/// A token of Carol's, who owns the organisation and so sees all of it.
fn owners_token(world: &World) -> String {
    world.github.user("carol");
    let organization = world.organization();
    world
        .github
        .member(&organization, "carol", Membership::Owner);
    world.github.personal_token("carol")
}

/// Without a fingerprint, which differs with this world's suffix.
fn steady(text: &str) -> String {
    let is_fingerprint =
        |word: &str| word.len() == 14 && word.split('-').all(|part| part.len() == 4);
    let words = text.split(' ').map(|word| {
        if is_fingerprint(word.trim()) {
            word.replace(word.trim(), "FINGERPRINT")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_takes_a_persons_token_too() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let folder = folder(&world.text(GOOD));
    let control = world.control();
    let token = owners_token(&world);
    let mark = world.github.mark();
    for output in ["tree", "markdown", "json"] {
        let arguments = ["plan", "--repository", &control, "--output", output];
        let mut command = in_world(&world, folder.path(), &arguments);
        let (status, out, error) = ended(command.env("GITHUB_TOKEN", &token).output().unwrap());
        assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
        assert!(out.contains(&world.text("shop%-workspace")), "{out}");
        assert!(!out.contains(&token), "{out}");
    }
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_says_what_is_wrong() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let control = world.control();
    let arguments = ["plan", "--repository", &control];
    let unplanned = |file: &str, token: Option<&str>| {
        let folder = folder(&world.text(file));
        let mut command = in_world(&world, folder.path(), &arguments);
        if let Some(token) = token {
            command.env("GITHUB_TOKEN", token);
        }
        let (status, out, error) = ended(command.output().unwrap());
        assert_eq!(status, Some(1), "{out}{error}");
        world.plain(&(out + &error))
    };
    insta::assert_snapshot!(unplanned(BAD, None), @"
    error: tenants.yaml cannot be planned

    error: `name`: `Shop` is not a DNS label: it contains 'S'
     --> tenants.yaml:3:9
      |
    3 | - name: Shop
      |         ^^^^
      = help: perhaps `shop`

    error: `namespace` must be a map, not a list
     --> tenants.yaml:4:16
      |
    4 |   namespace: [{name: shop}]
      |                ^^^^
      = help: write keys and values, such as `podSecurity: …`
    ");
    insta::assert_snapshot!(unplanned(GOOD, None), @"
    error: give the App's id and key, or a token in `GITHUB_TOKEN`
      caused by: `TENANTRY_APP_ID` is not set: the id or client id of the GitHub App
    ");
    let refused = unplanned(GOOD, Some("ghp_wrong"));
    assert!(
        refused.contains("GitHub does not accept the credentials"),
        "{refused}"
    );
    assert!(!refused.contains("ghp_wrong"), "{refused}");
    let carol = owners_token(&world);
    let unknown_team = unplanned(&GOOD.replace("payments", "paymnets"), Some(&carol));
    assert!(
        unknown_team.contains("team `paymnets` does not exist in `acme`"),
        "{unknown_team}"
    );
    world.end().await;
}

/// Ended with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, longest: Duration, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < longest, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_works_until_sigterm_and_then_ends_well() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.stop().await;
    let folder = folder("");
    let log = folder.path().join("log");
    let mut command = serving(&world, folder.path());
    let command = command.stderr(fs::File::create(&log).unwrap());
    let mut app = Running(command.spawn().expect("it starts"));
    let told = |what: &str| fs::read_to_string(&log).unwrap().contains(what);
    until("it works", Duration::from_secs(30), || {
        told("nothing new") || told("applied")
    });

    let stop = format!("kill -TERM {}", app.0.id());
    let asked = Command::new("sh").args(["-c", &stop]).status().unwrap();
    assert!(asked.success());
    let mut status = None;
    until("it ends", Duration::from_secs(25), || {
        status = app.0.try_wait().unwrap();
        status.is_some()
    });
    let log = fs::read_to_string(&log).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{log}");
    let key = world.registered().private_key_pem.lines().nth(1).unwrap();
    assert!(!log.contains(key), "no secret in the log");
    assert!(
        !log.contains(&world.registered().webhook_secret),
        "no secret in the log"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_with_the_key_of_another_app_says_what_to_check() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.stop().await;
    let folder = folder("");
    let log = folder.path().join("log");
    let mut command = serving(&world, folder.path());
    let command = command
        .env("TENANTRY_APP_ID", "999999")
        .stderr(fs::File::create(&log).unwrap());
    let app = Running(command.spawn().expect("it starts"));
    until("it says so", Duration::from_secs(30), || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("GitHub does not know the App: check `TENANTRY_APP_ID`")
    });
    drop(app);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_what_is_wrong_with_a_control_repo() {
    let Some(mut world) = World::new("tenants: []\n").await else {
        return;
    };
    world.stop().await;
    let solo = world.text("solo%/tenants");
    let (user, _) = solo.split_once('/').expect("an owner and a name");
    world.github.user(user);
    world
        .github
        .repository(&solo, &[("tenants.yaml", "tenants: []\n")]);
    let selection = tenantry::sandbox::github::RepositorySelection::All;
    world.github.install(world.registered(), user, selection);
    let missing = world.text("acme%/nothing");
    for (repository, wanted) in [
        (solo.as_str(), "an App cannot create a user's repositories"),
        (
            "elsewhere/tenants",
            "the App is not installed on `elsewhere`",
        ),
        (
            missing.as_str(),
            "does not exist, or the App's installation does not include it",
        ),
    ] {
        let folder = folder("");
        let log = folder.path().join("log");
        let mark = world.github.mark();
        let mut command = serving(&world, folder.path());
        let command = command
            .env("TENANTRY_CONTROL_REPOS", repository)
            .stderr(fs::File::create(&log).unwrap());
        let app = Running(command.spawn().expect("it starts"));
        until("it says so", Duration::from_secs(30), || {
            fs::read_to_string(&log).unwrap().contains(wanted)
        });
        drop(app);
        assert_eq!(world.writes_since(mark), Vec::<String>::new());
    }
    world.end().await;
}
