//! `tenantry bootstrap` as an administrator starts it, on the embedded GitHub; with the pretend Flux, which builds from
//! Git what was committed there.

mod export;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tenantry::bootstrap::{self, Hands, Work};
use tenantry::flux::bootstrap::{Decision, Wanted, decide};
use tenantry::flux::components::Components;
use tenantry::github::{self, BranchRules, ContentLimits, Landed, NewCommit};
use tenantry::sandbox::flux::{self, Flux};
use tenantry::sandbox::github::{
    App as Registered, Class, Fault, GitHub, Mark, Membership, Permission, RepositorySelection,
};
use tenantry::sandbox::kubernetes::Kubernetes;

use crate::cluster::Cluster;
use crate::contract::Contract;
use crate::controllers;
use crate::support::{self, client, config};
use export::export;

const ADMIN: &str = "acme/workspace-admin";
const PATIENCE: Duration = Duration::from_secs(30);

/// An organisation with nothing in it but an owner and the App, and an administrator with a folder of files.
struct Stage {
    github: Arc<GitHub>,
    contract: Contract,
    registered: Registered,
    /// Whose cluster; the server's address in it is taken out of what is printed.
    kubeconfig: String,
    folder: TempDir,
    flux: Option<Flux>,
}

/// How a command has ended.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    out: String,
    error: String,
}

/// With whose credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    App,
    Owner,
    /// Who administers the admin workspace, and owns nothing else.
    Bob,
}

impl Stage {
    async fn new(kubeconfig: String) -> Self {
        let github = Arc::new(GitHub::start().await);
        let contract = Contract::of(&github);
        github.organization("acme").user("owner").user("bob");
        github.member("acme", "owner", Membership::Owner);
        github.member("acme", "bob", Membership::Member);
        let manifest = include_str!("../../app-manifest.yml");
        let registered = github.register_app_from_manifest(manifest, "");
        github.install(&registered, "acme", RepositorySelection::All);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Self {
            github,
            contract,
            registered,
            kubeconfig,
            folder,
            flux: None,
        };
        stage.write("kubeconfig", &stage.kubeconfig);
        stage.write("app.pem", &stage.registered.private_key_pem);
        stage.write("flux.yaml", &export("v2.9.4"));
        stage
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("it can be written");
    }

    /// The pretend Flux, in the cluster of this kubeconfig, with every right.
    async fn start_flux(&mut self, kubeconfig: &str) {
        let token = self.github.personal_token("owner");
        let config = config(kubeconfig).await;
        let mut settings = flux::Settings::new(config, self.github.url(), &token);
        settings.retry = Duration::from_millis(50);
        self.flux = Some(Flux::start(settings).expect("a client"));
    }

    fn command(&self, who: As, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .env("KUBECONFIG", "kubeconfig")
            .env("TENANTRY_GITHUB_API_URL", self.github.url())
            .env("TENANTRY_CONTENT_LIMITS", "none")
            .env("TENANTRY_LOG", "warn")
            .args(["bootstrap", "--organization", "acme"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match who {
            As::App => command
                .env("TENANTRY_APP_ID", self.registered.id.to_string())
                .env("TENANTRY_PRIVATE_KEY_FILE", "app.pem"),
            As::Owner => command.env("GITHUB_TOKEN", self.github.personal_token("owner")),
            As::Bob => command.env("GITHUB_TOKEN", self.github.personal_token("bob")),
        };
        command
    }

    /// Runs it with a file of components, and leaves out of what it prints what differs from run to run.
    fn run(&self, who: As, arguments: &[&str]) -> Ended {
        let arguments = [&["--components", "flux.yaml"], arguments].concat();
        let output = tokio::task::block_in_place(|| self.command(who, &arguments).output());
        let ended = self.ended(output.expect("it starts"));
        assert!(!ended.out.contains("PRIVATE KEY"), "{ended:?}");
        assert!(!ended.error.contains("PRIVATE KEY"), "{ended:?}");
        ended
    }

    fn ended(&self, output: Output) -> Ended {
        let server = self.server();
        let plain = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("it prints UTF-8");
            let lines = text.lines().filter(|line| !line.starts_with("waiting: "));
            let lines = lines.map(|line| {
                let line = line.replace(&server, "CLUSTER");
                let line = without(&line, "@sha1:");
                without(&line, ", request ")
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        Ended {
            status: output.status.code(),
            out: plain(output.stdout),
            error: plain(output.stderr),
        }
    }

    fn server(&self) -> String {
        let config: Value = serde_yaml::from_str(&self.kubeconfig).expect("it is YAML");
        let server = config["clusters"][0]["cluster"]["server"].as_str();
        server.expect("a server").to_owned()
    }

    /// What was written to GitHub since then, in what form and order whatever.
    fn writes_since(&self, mark: Mark) -> BTreeSet<String> {
        let requests = self.github.requests_since(mark).into_iter();
        let writes = requests.filter(|request| request.class == Class::Write);
        writes
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    fn file(&self, name: &str) -> Option<String> {
        let path = format!("kubernetes/flux-system/{name}");
        self.github.file(ADMIN, "main", &path)
    }

    /// The messages of the branch's commits, the newest first.
    fn commits(&self) -> Vec<String> {
        let commits = self.github.commits(ADMIN, "main").into_iter();
        commits.map(|(_, message)| message).collect()
    }

    async fn hands(&self) -> Hands {
        let token = SecretString::from(self.github.personal_token("owner"));
        let person = github::GitHub::as_person(self.github.url(), token, ContentLimits::NONE);
        let (reader, writer) = person.expect("the settings are sound");
        Hands {
            reader,
            writer,
            cluster: client(&self.kubeconfig).await,
        }
    }

    fn wanted(&self) -> Wanted {
        let text = fs::read_to_string(self.folder.path().join("flux.yaml")).expect("it is there");
        Wanted {
            repository: ADMIN.parse().expect("a name"),
            branch: "main".parse().expect("a name"),
            folder: "kubernetes".parse().expect("a folder"),
            git_host: "github.com".to_owned(),
            cluster: "default".to_owned(),
            app: None,
            components: Components::read(&text).expect("it is whole"),
        }
    }

    fn end(self) {
        if let Some(flux) = self.flux {
            flux.stop();
        }
        assert_eq!(self.github.unknown_requests(), Vec::<String>::new());
        let github = Arc::into_inner(self.github).expect("nobody else holds it any more");
        github.stop();
        self.contract.judge();
    }
}

/// Without the number, in hexadecimal, that follows a mark.
fn without(line: &str, mark: &str) -> String {
    let Some((before, rest)) = line.split_once(mark) else {
        return line.to_owned();
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == ':');
    format!("{before}{mark}…{after}")
}

/// An administrator of a cluster, told apart from others in the audit log.
fn administrator(cluster: &Cluster) -> String {
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "administrator", "namespace": "default",
    } });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "administrator" },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        },
        "subjects": [{ "kind": "ServiceAccount", "name": "administrator", "namespace": "default" }],
    });
    controllers::apply(cluster, &[account, binding]);
    cluster.kubeconfig_for(&cluster.service_account_token("default", "administrator"))
}

/// What the administrator wrote to the cluster since then.
fn cluster_writes_since(cluster: &Cluster, mark: u64) -> Vec<String> {
    let requests = cluster.requests_since(mark).into_iter();
    let own = requests
        .filter(|request| request.is_write() && request.user.ends_with(":default:administrator"));
    own.map(|request| format!("{} {}", request.verb, request.uri))
        .collect()
}

fn found(cluster: &Cluster, kind: &str, name: &str) -> Value {
    let args = [
        "get",
        kind,
        name,
        "--namespace=flux-system",
        "--output=json",
    ];
    let text = controllers::succeed(cluster, &args, "");
    serde_json::from_str(&text).expect("kubectl prints JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_organization_and_an_empty_cluster_become_a_flux_that_is_locked_down() {
    let Some(cluster) = Cluster::bare_or_skip() else {
        return;
    };
    let mut stage = Stage::new(administrator(cluster)).await;
    stage.start_flux(&cluster.kubeconfig_yaml()).await;

    let (mark, audit) = (stage.github.mark(), cluster.audit_mark());
    let unasked = stage.run(As::App, &[]);
    assert_eq!(unasked.status, Some(1), "{unasked:?}");
    insta::assert_snapshot!(unasked.out, @"
    Flux v2.9.4 from acme/workspace-admin on CLUSTER:
      + create the private repository acme/workspace-admin
      + commit README.md to main, so that there is a branch
      + commit to main: Add Flux v2.9.4, locked down (kubernetes/flux-system/gotk-components.yaml, kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)
      + protect main: it changes by approved pull requests alone; owners of the organisation and this App are above that
      + apply Flux v2.9.4 to the cluster, locked down: 21 objects
      + make a key pair and keep it in the Secret flux-system/flux-system
      + register its public half as a read-only deploy key of acme/workspace-admin
      + have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    ");
    insta::assert_snapshot!(unasked.error, @"error: nothing was done: there is no terminal to ask at; give `--yes` to do all this unasked");
    assert_eq!(stage.writes_since(mark), BTreeSet::new());
    assert_eq!(cluster_writes_since(cluster, audit), Vec::<String>::new());

    let first = stage.run(As::App, &["--yes"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    insta::assert_snapshot!(first.out, @"
    Flux v2.9.4 from acme/workspace-admin on CLUSTER:
      + create the private repository acme/workspace-admin
      + commit README.md to main, so that there is a branch
      + commit to main: Add Flux v2.9.4, locked down (kubernetes/flux-system/gotk-components.yaml, kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)
      + protect main: it changes by approved pull requests alone; owners of the organisation and this App are above that
      + apply Flux v2.9.4 to the cluster, locked down: 21 objects
      + make a key pair and keep it in the Secret flux-system/flux-system
      + register its public half as a read-only deploy key of acme/workspace-admin
      + have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    done: create the private repository acme/workspace-admin
    done: commit README.md to main, so that there is a branch
    done: commit to main: Add Flux v2.9.4, locked down (kubernetes/flux-system/gotk-components.yaml, kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)
    done: protect main: it changes by approved pull requests alone; owners of the organisation and this App are above that
    done: apply Flux v2.9.4 to the cluster, locked down: 21 objects
    done: make a key pair and keep it in the Secret flux-system/flux-system
    done: register its public half as a read-only deploy key of acme/workspace-admin
    done: have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    Flux is Ready at main@sha1:….
    note: `helm-controller` is being rolled out
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is locked down.
    ");
    is_in_git(&stage);
    is_locked_down_in_git(&stage);
    is_in_the_cluster(&stage, cluster);

    let (mark, audit) = (stage.github.mark(), cluster.audit_mark());
    let second = stage.run(As::App, &["--yes"]);
    assert_eq!(second.status, Some(0), "{second:?}");
    insta::assert_snapshot!(second.out, @"
    Flux v2.9.4 from acme/workspace-admin on CLUSTER: nothing to do
    Flux is Ready at main@sha1:….
    note: `helm-controller` is being rolled out
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is locked down.
    ");
    assert_eq!(stage.writes_since(mark), BTreeSet::new());
    assert_eq!(cluster_writes_since(cluster, audit), Vec::<String>::new());

    is_upgraded(&stage, cluster);

    let remove = r#"[{"op": "remove", "path": "/spec/template/spec/containers/0/args/4"}]"#;
    let args = [
        "patch",
        "deployment",
        "kustomize-controller",
        "--namespace=flux-system",
    ];
    let args = [&args[..], &["--type=json", "--patch", remove]].concat();
    controllers::succeed(cluster, &args, "");
    let opened = stage.run(As::App, &["--yes"]);
    assert_eq!(opened.status, Some(1), "{opened:?}");
    insta::assert_snapshot!(opened.out, @"
    Flux v2.9.5 from acme/workspace-admin on CLUSTER: nothing to do
    Flux is Ready at main@sha1:….
    note: `helm-controller` is being rolled out
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is not locked down, so people of a tenant can have it act on the whole cluster:
      - `kustomize-controller` runs without `--no-remote-bases=true`: set them in the `args` of its container, by patches where Flux is installed from
    What Flux says about it: https://fluxcd.io/flux/installation/configuration/multitenancy/
    ");
    stage.end();
}

fn is_in_git(stage: &Stage) {
    assert_eq!(
        stage.commits(),
        [
            "Add Flux v2.9.4, locked down",
            "Say what this repository is"
        ]
    );
    assert_eq!(stage.file("gotk-components.yaml"), Some(export("v2.9.4")));
    insta::assert_snapshot!(stage.file("gotk-sync.yaml").expect("a file"), @"
    # Written by `tenantry bootstrap`.
    ---
    apiVersion: source.toolkit.fluxcd.io/v1
    kind: GitRepository
    metadata:
      name: flux-system
      namespace: flux-system
    spec:
      interval: 1m0s
      ref:
        branch: main
      secretRef:
        name: flux-system
      url: ssh://git@github.com/acme/workspace-admin.git
    ---
    apiVersion: kustomize.toolkit.fluxcd.io/v1
    kind: Kustomization
    metadata:
      name: flux-system
      namespace: flux-system
    spec:
      interval: 10m0s
      path: ./kubernetes
      prune: true
      sourceRef:
        kind: GitRepository
        name: flux-system
    ");
    assert_eq!(stage.github.repository_json(ADMIN)["private"], true);
    let rulesets = stage
        .github
        .edit_repository(ADMIN, |found| found.rulesets.len());
    assert_eq!(rulesets, 1);
}

fn is_locked_down_in_git(stage: &Stage) {
    insta::assert_snapshot!(stage.file("kustomization.yaml").expect("a file"), @"
    # Written by `tenantry bootstrap`.
    # Without these patches a tenant could leave its room.
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
    - gotk-components.yaml
    - gotk-sync.yaml
    patches:
    - target:
        kind: Deployment
        name: kustomize-controller
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-remote-bases=true
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --default-service-account=flux
    - target:
        kind: Deployment
        name: helm-controller
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --default-service-account=flux
    - target:
        kind: Deployment
        name: notification-controller
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
    - target:
        kind: Deployment
        name: image-reflector-controller
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
    - target:
        kind: Deployment
        name: image-automation-controller
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
    - target:
        kind: Deployment
        name: source-watcher
      patch: |
        - op: add
          path: /spec/template/spec/containers/0/args/-
          value: --no-cross-namespace-refs=true
    - patch: |
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata:
          name: flux-system
          namespace: flux-system
        spec:
          serviceAccountName: kustomize-controller
    - patch: |
        apiVersion: v1
        kind: Namespace
        metadata:
          name: flux-system
          annotations:
            kustomize.toolkit.fluxcd.io/prune: disabled
    ");
}

/// The cluster holds the private half of the key that GitHub was given.
fn is_in_the_cluster(stage: &Stage, cluster: &Cluster) {
    let keys = stage.github.deploy_keys(ADMIN);
    let [(title, key, read_only)] = &keys[..] else {
        panic!("one key: {keys:?}");
    };
    assert_eq!(
        (title.as_str(), *read_only),
        ("tenantry/default/flux-system", true)
    );
    let secret = found(cluster, "secret", "flux-system");
    let text = |key: &str| {
        let encoded = secret["data"][key].as_str().expect("it is there");
        String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("text")
    };
    assert_eq!(text("identity.pub"), *key);
    assert!(text("known_hosts").starts_with("github.com ssh-ed25519 "));

    let sync = found(
        cluster,
        "kustomizations.kustomize.toolkit.fluxcd.io",
        "flux-system",
    );
    assert_eq!(sync["spec"]["serviceAccountName"], "kustomize-controller");
    assert_eq!(sync["spec"]["path"], "./kubernetes");
    let namespace = found(cluster, "namespace", "flux-system");
    let annotations = &namespace["metadata"]["annotations"];
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
}

fn is_upgraded(stage: &Stage, cluster: &Cluster) {
    stage.write("flux.yaml", &export("v2.9.5"));
    let (mark, audit) = (stage.github.mark(), cluster.audit_mark());
    let upgrade = stage.run(As::App, &["--yes"]);
    assert_eq!(upgrade.status, Some(0), "{upgrade:?}");
    insta::assert_snapshot!(upgrade.out, @"
    Flux v2.9.5 from acme/workspace-admin on CLUSTER:
      + commit to main: Upgrade Flux from v2.9.4 to v2.9.5 (kubernetes/flux-system/gotk-components.yaml)
    done: commit to main: Upgrade Flux from v2.9.4 to v2.9.5 (kubernetes/flux-system/gotk-components.yaml)
    Flux is Ready at main@sha1:….
    note: `helm-controller` is being rolled out
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is locked down.
    ");
    assert_eq!(stage.commits()[0], "Upgrade Flux from v2.9.4 to v2.9.5");
    assert_eq!(stage.commits().len(), 3);
    insta::assert_snapshot!(Vec::from_iter(stage.writes_since(mark)).join("\n"), @"
    PATCH /repos/acme/workspace-admin/git/refs/heads/main
    POST /repos/acme/workspace-admin/git/blobs
    POST /repos/acme/workspace-admin/git/commits
    POST /repos/acme/workspace-admin/git/trees
    ");
    insta::assert_snapshot!(cluster_writes_since(cluster, audit).join("\n"), @"patch /apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/flux-system?fieldManager=flux");
    let controller = found(cluster, "deployment", "source-controller");
    let labels = &controller["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/version"], "v2.9.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_it_asks_and_takes_a_no() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    let (mark, writes) = (stage.github.mark(), cluster.mark());
    let (status, said) = at_a_terminal(&stage, "n\n");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("Do this? [y/N]"), "{said}");
    assert!(said.contains("error: nothing was done"), "{said}");
    assert_eq!(stage.writes_since(mark), BTreeSet::new());
    assert_eq!(own_writes(&cluster, writes), Vec::<String>::new());

    let (status, said) = at_a_terminal(&stage, "y\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("Flux is locked down."), "{said}");
    stage.end();
}

/// Exit status and all that is shown, where somebody types this.
fn at_a_terminal(stage: &Stage, typed: &str) -> (Option<i32>, String) {
    let program = stage.command(As::Owner, &["--components", "flux.yaml"]);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().expect("text")).collect();
    let mut terminal = Command::new("script");
    terminal
        .args([
            "--quiet",
            "--return",
            "--command",
            &words.join(" "),
            "/dev/null",
        ])
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", "/usr/bin:/bin")
        .current_dir(stage.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let output = tokio::task::block_in_place(|| {
        let mut child = terminal.spawn().expect("it starts");
        let mut keyboard = child.stdin.take().expect("it is piped");
        keyboard.write_all(typed.as_bytes()).expect("it is typed");
        let output = child.wait_with_output();
        drop(keyboard);
        output.expect("it ends")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

/// Each run is stopped after the first step that no earlier one has done, as a crash would, and the next one knows nothing
/// of it but what it finds.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_anywhere_is_taken_up_by_the_next() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    let wanted = stage.wanted();
    let mut done = Vec::new();
    'runs: loop {
        let hands = stage.hands().await;
        let found = bootstrap::look(&hands, &wanted).await.expect("a look");
        let Decision::Work(plan) = decide(&wanted, &found).expect("nothing is refused") else {
            panic!("nobody else keeps Flux");
        };
        let mut work = Work::new(&hands, &wanted, &found);
        for step in &plan.steps {
            work.perform(step).await.expect("a step");
            let what = step.describe(&wanted);
            if !done.contains(&what) {
                done.push(what);
                continue 'runs;
            }
        }
        break;
    }
    insta::assert_snapshot!(done.join("\n"), @"
    create the private repository acme/workspace-admin
    commit README.md to main, so that there is a branch
    commit to main: Add Flux v2.9.4, locked down (kubernetes/flux-system/gotk-components.yaml, kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)
    protect main: it changes by approved pull requests alone; owners of the organisation are above that
    apply Flux v2.9.4 to the cluster, locked down: 21 objects
    make a key pair and keep it in the Secret flux-system/flux-system
    register its public half as a read-only deploy key of acme/workspace-admin
    have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    ");
    assert_eq!(stage.github.deploy_keys(ADMIN).len(), 1);
    assert_eq!(stage.commits().len(), 2);

    stage.start_flux(&cluster.kubeconfig()).await;
    let last = stage.run(As::Owner, &["--yes"]);
    assert_eq!(last.status, Some(0), "{last:?}");
    let (mark, writes) = (stage.github.mark(), cluster.mark());
    let again = stage.run(As::Owner, &["--yes"]);
    assert!(again.out.contains("nothing to do"), "{again:?}");
    assert_eq!(stage.writes_since(mark), BTreeSet::new());
    assert_eq!(own_writes(&cluster, writes), Vec::<String>::new());
    assert_eq!(cluster.unknown_requests(), Vec::<String>::new());
    stage.end();
}

/// All but the pretend Flux's.
fn own_writes(cluster: &Kubernetes, since: tenantry::sandbox::kubernetes::Mark) -> Vec<String> {
    let requests = cluster.requests_since(since).into_iter();
    let own =
        requests.filter(|request| request.is_write() && &*request.user_agent != "pretend-flux");
    own.map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_killed_in_the_middle_of_a_commit_leaves_none() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    let commit = Fault::on("POST", "/repos/*/*/git/commits");
    stage.github.fault(commit.delay(Duration::from_hours(1)));
    let mark = stage.github.mark();
    let arguments = ["--components", "flux.yaml", "--yes"];
    let mut child = stage
        .command(As::App, &arguments)
        .spawn()
        .expect("it starts");
    let started = Instant::now();
    let is_there =
        |request: &tenantry::sandbox::github::Request| request.path.ends_with("/git/commits");
    while !stage.github.requests_since(mark).iter().any(is_there) {
        assert!(started.elapsed() < PATIENCE, "it commits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(stage.commits(), ["Say what this repository is"]);
    assert!(
        cluster
            .object("v1", "Namespace", "", "flux-system")
            .is_none()
    );

    stage.github.clear_faults();
    let next = stage.run(As::App, &["--yes"]);
    assert_eq!(next.status, Some(0), "{next:?}");
    assert!(
        !next.out.contains("create the private repository"),
        "{next:?}"
    );
    assert_eq!(stage.commits().len(), 2);
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_said_and_done_by_the_next_run() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    stage
        .github
        .organization_settings("acme", |found| found.deploy_keys_allowed = false);
    let failed = stage.run(As::Owner, &["--yes"]);
    assert_eq!(failed.status, Some(1), "{failed:?}");
    insta::assert_snapshot!(failed.error, @"
    error: not done: register its public half as a read-only deploy key of acme/workspace-admin; what was done before stays, and running this again goes on from there
      caused by: register the deploy key; where the organisation forbids deploy keys, an owner allows them in its settings (Repository, Deploy keys)
      caused by: GitHub refuses `POST /repos/acme/workspace-admin/keys` (422, request …): Deploy keys are disabled for this repository
    ");
    stage
        .github
        .organization_settings("acme", |found| found.deploy_keys_allowed = true);
    let next = stage.run(As::Owner, &["--yes"]);
    assert_eq!(next.status, Some(0), "{next:?}");
    insta::assert_snapshot!(next.out, @"
    Flux v2.9.4 from acme/workspace-admin on CLUSTER:
      + apply Flux v2.9.4 to the cluster, locked down: 21 objects
      + register its public half as a read-only deploy key of acme/workspace-admin
      + have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    done: apply Flux v2.9.4 to the cluster, locked down: 21 objects
    done: register its public half as a read-only deploy key of acme/workspace-admin
    done: have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    Flux is Ready at main@sha1:….
    note: `helm-controller` is being rolled out
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is locked down.
    ");
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_set_in_the_cluster_stays_and_is_told() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    cluster.apply_yaml(
        "{apiVersion: v1, kind: Namespace, metadata: {name: flux-system, labels: {pod-security.kubernetes.io/warn: privileged}}}",
    );
    let refused = stage.run(As::App, &["--yes"]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    insta::assert_snapshot!(refused.error, @r#"
    error: not done: apply Flux v2.9.4 to the cluster, locked down: 21 objects; what was done before stays, and running this again goes on from there
      caused by: apply Namespace flux-system, of which others than Flux have set fields: those stay as they are
      caused by: PATCH /api/v1/namespaces/flux%2Dsystem: Apply failed with 1 conflict: conflict with "sandbox": .metadata.labels.pod-security.kubernetes.io/warn
    "#);
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_above_the_rules_upgrades_nothing() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    let first = stage.run(As::Owner, &["--yes"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    stage.github.collaborator(ADMIN, "bob", Permission::Admin);
    let same = stage.run(As::Bob, &["--yes"]);
    assert!(same.out.contains("nothing to do"), "{same:?}");

    stage.write("flux.yaml", &export("v2.9.5"));
    let refused = stage.run(As::Bob, &["--yes"]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    insta::assert_snapshot!(refused.error, @"
    error: not done: commit to main: Upgrade Flux from v2.9.4 to v2.9.5 (kubernetes/flux-system/gotk-components.yaml); what was done before stays, and running this again goes on from there
      caused by: where the rules of `main` forbid it, an owner of the organisation can do it
      caused by: GitHub refuses `PATCH /repos/acme/workspace-admin/git/refs/heads/main` (422, request …): Repository rule violations found

    Changes must be made through a pull request.
    ");
    assert_eq!(stage.commits().len(), 2);
    let upgraded = stage.run(As::Owner, &["--yes"]);
    assert_eq!(upgraded.status, Some(0), "{upgraded:?}");
    assert_eq!(stage.commits().len(), 3);
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_waited_for_and_what_is_pushed_meanwhile_too() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    let too_long = stage.run(As::Owner, &["--yes", "--timeout", "1s"]);
    assert_eq!(too_long.status, Some(1), "{too_long:?}");
    insta::assert_snapshot!(too_long.error, @"error: Flux has not applied `main@sha1:…` after 1s: GitRepository flux-system/flux-system: Flux has not looked at it yet");

    let arguments = ["--components", "flux.yaml", "--yes"];
    let child = stage
        .command(As::Owner, &arguments)
        .spawn()
        .expect("it starts");
    let requested = || {
        let source = cluster.object(
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            "flux-system",
            "flux-system",
        );
        source.expect("the first run made it")["metadata"]["resourceVersion"].clone()
    };
    let before = requested();
    let started = Instant::now();
    while requested() == before {
        assert!(started.elapsed() < PATIENCE, "it asks Flux");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let owner = stage.github.as_user("owner");
    let tip = owner.commit(ADMIN, "main", "Meanwhile", &[("notes.md", Some("a"))]);
    stage.start_flux(&cluster.kubeconfig()).await;
    let output = tokio::task::block_in_place(|| child.wait_with_output()).expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains(&format!("Flux is Ready at main@sha1:{tip}.")),
        "{said}"
    );
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_in_the_plan_the_rest_is_done_and_said() {
    let cluster = Kubernetes::start().await;
    let mut stage = Stage::new(cluster.kubeconfig()).await;
    stage.start_flux(&cluster.kubeconfig()).await;
    stage
        .github
        .organization_settings("acme", |found| found.rules_for_private = false);
    let note = "note: GitHub has no rules for private repositories here";
    let first = stage.run(As::Owner, &["--yes"]);
    assert_eq!(first.status, Some(0), "{first:?}");
    assert!(first.out.contains(note), "{first:?}");

    // What Flux needs to take anything from Git is put back; what it brings back itself is not.
    for name in ["source-controller", "helm-controller"] {
        delete(&stage.kubeconfig, name).await;
    }
    let second = stage.run(As::Owner, &["--yes"]);
    assert_eq!(
        second.status,
        Some(1),
        "helm-controller is missing: {second:?}"
    );
    insta::assert_snapshot!(second.out, @"
    Flux v2.9.4 from acme/workspace-admin on CLUSTER:
      + put back what is gone of Flux on the cluster: Deployment source-controller
    note: GitHub has no rules for private repositories here (the organisation's plan, or the server's version), so `main` of `acme/workspace-admin` can be pushed to directly: give write access to the cluster's administrators alone, or get rulesets and run this again
    done: put back what is gone of Flux on the cluster: Deployment source-controller
    Flux is Ready at main@sha1:….
    note: `kustomize-controller` is being rolled out
    note: `notification-controller` is being rolled out
    note: `source-controller` is being rolled out
    Flux is not locked down, so people of a tenant can have it act on the whole cluster:
      - the cluster serves `helm.toolkit.fluxcd.io`, and there is no `helm-controller` in `flux-system`: it may run elsewhere: move it there, or remove the kinds of `helm.toolkit.fluxcd.io` if nothing serves them
    What Flux says about it: https://fluxcd.io/flux/installation/configuration/multitenancy/
    ");
    stage.end();
}

async fn delete(kubeconfig: &str, name: &str) {
    let client = kube::Client::try_from(config(kubeconfig).await).expect("a client");
    let path = format!("/apis/apps/v1/namespaces/flux-system/deployments/{name}");
    let request = http::Request::delete(path)
        .body(Vec::new())
        .expect("a request");
    client
        .request::<Value>(request)
        .await
        .expect("it was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flux_that_somebody_else_keeps_is_only_verified() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    support::installed_once(cluster);
    let stage = Stage::new(administrator(cluster)).await;
    let (mark, audit) = (stage.github.mark(), cluster.audit_mark());
    let ended = stage.run(As::App, &["--yes"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let (keeper, verdict) = ended.out.split_once('\n').expect("two lines");
    assert!(
        keeper.starts_with("Flux on CLUSTER is kept by"),
        "{ended:?}"
    );
    assert!(keeper.contains("`kubectl-client-side-apply`"), "{ended:?}");
    assert_eq!(verdict, "Flux is locked down.");
    assert_eq!(stage.writes_since(mark), BTreeSet::new());
    assert_eq!(cluster_writes_since(cluster, audit), Vec::<String>::new());
    assert!(!stage.github.exists(ADMIN));
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_all_of_flux_or_not_the_file_that_was_meant_is_refused_unasked() {
    let stage =
        Stage::new("{clusters: [{name: a, cluster: {server: 'https://127.0.0.1:9'}}]}".to_owned())
            .await;
    let unlabelled = export("v2.9.4").replace("app.kubernetes.io/version", "version");
    let elsewhere = export("v2.9.4").replace("namespace: flux-system", "namespace: default");
    let cases = [
        (export("v2.9.4"), vec!["--sha256", "00"], "its SHA-256 is `"),
        (String::new(), vec![], "it is empty"),
        ("# nothing\n---\n".to_owned(), vec![], "it is empty"),
        ("a: [".to_owned(), vec![], "it is not YAML"),
        (
            "kind: Pod\n".to_owned(),
            vec![],
            "no `apiVersion`, `kind` or `metadata.name`",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}}".to_owned(),
            vec![],
            "does not hold Namespace `flux-system`",
        ),
        (unlabelled, vec![], "no label `app.kubernetes.io/version`"),
        (elsewhere, vec![], "belongs in `flux-system`"),
    ];
    let mark = stage.github.mark();
    for (text, arguments, said) in cases {
        stage.write("flux.yaml", &text);
        let refused = stage.run(As::App, &[&["--yes"], &arguments[..]].concat());
        assert_eq!(
            (refused.status, refused.out.as_str()),
            (Some(1), ""),
            "{refused:?}"
        );
        assert!(
            refused.error.contains("use flux.yaml as Flux's components"),
            "{refused:?}"
        );
        assert!(refused.error.contains(said), "{said}: {refused:?}");
    }
    assert!(
        stage.github.requests_since(mark).is_empty(),
        "nobody was asked anything"
    );
    stage.end();
}

/// Serves one text at `/flux.yaml`, to which `/latest` leads.
async fn web(text: String) -> String {
    let app = axum::Router::new()
        .route("/flux.yaml", axum::routing::get(|| async { text }))
        .route(
            "/latest",
            axum::routing::get(|| async { axum::response::Redirect::to("/flux.yaml") }),
        )
        .route(
            "/round",
            axum::routing::get(|| async { axum::response::Redirect::to("/round") }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn components_come_from_the_web_with_their_sum() {
    let root = web(export("v2.9.4")).await;
    let latest = bootstrap::download(&format!("{root}/latest"))
        .await
        .expect("a file");
    assert_eq!(latest, export("v2.9.4").into_bytes());
    for (url, said) in [
        (format!("{root}/gone"), "404"),
        (format!("{root}/round"), "more than"),
        (
            "http://example.com/flux.yaml".to_owned(),
            "must begin with `https://`",
        ),
        (
            "ftp://127.0.0.1/flux.yaml".to_owned(),
            "must begin with `https://`",
        ),
    ] {
        let error = bootstrap::download(&url).await.expect_err(&url);
        assert!(format!("{error:#}").contains(said), "{error:#}");
    }

    let cluster = Kubernetes::start().await;
    let stage = Stage::new(cluster.kubeconfig()).await;
    let url = format!("{root}/flux.yaml");
    let sum = hex::encode(Sha256::digest(export("v2.9.4")));
    let run = |arguments: &[&str]| {
        let arguments = [&["--components", url.as_str()], arguments].concat();
        let output = tokio::task::block_in_place(|| stage.command(As::App, &arguments).output());
        stage.ended(output.expect("it starts"))
    };
    let unnamed = run(&["--yes"]);
    assert!(
        unnamed.error.contains("a URL needs `--sha256`"),
        "{unnamed:?}"
    );
    let wrong = run(&["--yes", "--sha256", "00"]);
    assert!(wrong.error.contains("its SHA-256 is"), "{wrong:?}");
    let planned = run(&["--sha256", &sum]);
    assert!(
        planned
            .out
            .contains("Flux v2.9.4 from acme/workspace-admin"),
        "{planned:?}"
    );
    assert!(planned.error.contains("give `--yes`"), "{planned:?}");
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_never_undoes_what_somebody_has_pushed_meanwhile() {
    let stage =
        Stage::new("{clusters: [{name: a, cluster: {server: 'https://127.0.0.1:9'}}]}".to_owned())
            .await;
    stage.github.repository(ADMIN, &[("README.md", "a")]);
    let person = |login: &str| {
        let token = SecretString::from(stage.github.personal_token(login));
        github::GitHub::as_person(stage.github.url(), token, ContentLimits::NONE)
            .expect("sound")
            .1
    };
    stage.github.collaborator(ADMIN, "bob", Permission::Push);
    let (owner, bob) = (person("owner"), person("bob"));
    let (repository, branch) = (
        ADMIN.parse().expect("a name"),
        "main".parse().expect("a name"),
    );
    let old = stage.github.head(ADMIN, "main").expect("a commit");
    let newer =
        stage
            .github
            .as_user("owner")
            .commit(ADMIN, "main", "Meanwhile", &[("b", Some("b"))]);
    let files = [("c".to_owned(), "c".to_owned())];
    let commit = |parent| NewCommit {
        branch: &branch,
        parent,
        message: "Add c",
        files: &files,
    };
    let late = owner.commit_files(&repository, commit(&old)).await;
    assert_eq!(late.expect("an answer"), Landed::TooLate);
    assert_eq!(stage.commits(), ["Meanwhile", "Initial commit"]);

    let rules = owner
        .protect(&repository, &branch, None)
        .await
        .expect("an answer");
    assert!(matches!(rules, BranchRules::Active(_)));
    let refused = bob.commit_files(&repository, commit(&newer)).await;
    let refused = refused.expect_err("the rules forbid it");
    assert!(
        refused
            .to_string()
            .contains("Changes must be made through a pull request"),
        "{refused}"
    );
    let landed = owner
        .commit_files(&repository, commit(&newer))
        .await
        .expect("an answer");
    assert!(matches!(landed, Landed::AtTheTip(_)));
    assert_eq!(stage.github.file(ADMIN, "main", "b").as_deref(), Some("b"));
    assert_eq!(stage.commits()[0], "Add c");
    stage.end();
}
