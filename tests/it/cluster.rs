//! One real Kubernetes API server for all the tests of this binary: etcd, kube-apiserver and the controllers
//! that end namespaces, collect garbage, aggregate roles and make tokens. No kubelet: pods never run.
//!
//! Everything listens on loopback, lives in one temporary folder, and ends with the test process, however that ends.

mod audit;
mod servers;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use servers::{
    AUDIT_POLICY, api_server_arguments, controller_arguments, etcd_arguments, free_ports, server,
};

/// `1` leaves out the tests that need an API server.
const SKIP: &str = "TENANTRY_TEST_SKIP_CLUSTER";

/// A folder of Flux's own resource definitions, to be used instead of `tests/flux-crds`.
const FLUX_CRDS: &str = "TENANTRY_TEST_FLUX_CRDS";

/// Groups that have a member who can log in, as a team of an identity provider has.
const GROUPS: [&str; 2] = ["room-ai-team", "room-billing-team"];

/// Three seconds are usual; a busy machine takes longer.
const START_DEADLINE: Duration = Duration::from_secs(90);

type Started = LazyLock<Result<Cluster, String>>;

static SHARED: Started = LazyLock::new(started);

/// For stories that change what belongs to the whole cluster, one after the other.
static LENT: Started = LazyLock::new(started);

/// For the one story that installs Flux: nothing of it is there.
static BARE: Started = LazyLock::new(|| Cluster::start().map_err(|error| format!("{error:#}")));

static TURN: Mutex<()> = Mutex::const_new(());

fn started() -> Result<Cluster, String> {
    let started = Cluster::start().and_then(|cluster| {
        cluster.install_flux_kinds()?;
        Ok(cluster)
    });
    started.map_err(|error| format!("{error:#}"))
}

/// A running API server, all but one with Flux's two kinds installed.
pub(crate) struct Cluster {
    assets: PathBuf,
    folder: PathBuf,
    url: String,
    admin_token: String,
    member_tokens: BTreeMap<&'static str, String>,
    ca_pem: String,
    /// Their guards' open stdin keeps the servers running.
    servers: Vec<Child>,
}

impl Cluster {
    /// The server of this test process, started by whoever asks first.
    pub(crate) fn shared() -> &'static Self {
        Self::of(&SHARED)
    }

    fn of(server: &'static Started) -> &'static Self {
        match &**server {
            Ok(cluster) => cluster,
            Err(error) => panic!(
                "no Kubernetes API server to test against: {error}\nhint: {SKIP}=1 leaves these tests out"
            ),
        }
    }

    /// None, and a line on stderr that says so, where the environment asks to skip.
    pub(crate) fn shared_or_skip() -> Option<&'static Self> {
        (!is_skipped()).then(Self::shared)
    }

    /// A server that nobody else has meanwhile: it is given back with the turn. What earlier stories left is there.
    pub(crate) async fn lent_or_skip() -> Option<(&'static Self, MutexGuard<'static, ()>)> {
        if is_skipped() {
            return None;
        }
        let turn = TURN.lock().await;
        Some((Self::of(&LENT), turn))
    }

    /// A server without Flux's kinds, for one story alone.
    pub(crate) fn bare_or_skip() -> Option<&'static Self> {
        (!is_skipped()).then(|| Self::of(&BARE))
    }

    /// `https://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A bearer token of the group `system:masters`.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A bearer token of somebody who is in one of the [`GROUPS`], and in no other group.
    pub(crate) fn member_token(&self, group: &str) -> &str {
        &self.member_tokens[group]
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The folder that holds `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
    pub(crate) fn assets(&self) -> &Path {
        &self.assets
    }

    /// The administrator's.
    pub(crate) fn kubeconfig_yaml(&self) -> String {
        self.kubeconfig_for(&self.admin_token)
    }

    /// For whoever holds the bearer token.
    pub(crate) fn kubeconfig_for(&self, token: &str) -> String {
        kubeconfig(
            &self.url,
            &self
                .folder
                .join("kube-apiserver/certificates/apiserver.crt"),
            token,
        )
    }

    /// The administrator's, in the guise of this user.
    pub(crate) fn kubeconfig_as(&self, user: &str) -> String {
        let config = self.kubeconfig_yaml();
        let mut config: serde_json::Value = serde_json::from_str(&config).expect("it is JSON");
        config["users"][0]["user"]["as"] = json!(user);
        config.to_string()
    }

    /// A token for a `ServiceAccount` that exists, good for an hour.
    pub(crate) fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
        let answer = self
            .kubectl_checked(&["create", "--raw", &path, "-f", "-"], &request.to_string())
            .expect("the service account exists");
        let answer: serde_json::Value =
            serde_json::from_str(&answer).expect("the API server answers in JSON");
        answer["status"]["token"]
            .as_str()
            .expect("a TokenRequest is answered with a token")
            .to_owned()
    }

    /// Runs kubectl as the administrator, in the package's folder.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with_input(arguments, "")
    }

    /// Like `kubectl`, with something to read at `-f -`.
    pub(crate) fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(self.assets.join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.folder.join("kube-apiserver/kubeconfig"))
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            // kubectl caches what a server at this address can do; another run's server may have had the same.
            .env("HOME", self.folder.join("kube-apiserver"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        // A kubectl that does not read, or has failed already, is no error here: the output tells.
        let _ = child
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(input.as_bytes());
        child.wait_with_output().expect("kubectl ends")
    }
}

impl Cluster {
    fn start() -> Result<Self> {
        let assets = assets()?;
        let folder = tempfile::Builder::new()
            .prefix("tenantry-")
            .tempdir()?
            .keep();
        let [etcd_port, peer_port, port] = free_ports()?;
        let admin_token = random_token()?;
        let controller_token = random_token()?;
        let member_tokens = GROUPS
            .into_iter()
            .map(|group| Ok((group, random_token()?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let mut tokens = format!(
            "{admin_token},tests,1,\"system:masters\"\n{controller_token},system:kube-controller-manager,2,\"system:masters\"\n"
        );
        for (group, token) in &member_tokens {
            tokens += &format!("{token},member-of-{group},{group},\"{group}\"\n");
        }

        let etcd = server(&assets, &folder, "etcd", |data| {
            Ok(etcd_arguments(&assets, data, etcd_port, peer_port))
        })?;
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let api_server = server(&assets, &folder, "kube-apiserver", |data| {
            fs::write(data.join("audit-policy.yaml"), AUDIT_POLICY)?;
            fs::write(data.join("tokens.csv"), tokens)?;
            Ok(api_server_arguments(data, port, &etcd_url))
        })?;

        let mut cluster = Self {
            url: format!("https://127.0.0.1:{port}"),
            assets,
            folder,
            admin_token,
            member_tokens,
            ca_pem: String::new(),
            servers: vec![etcd, api_server],
        };
        cluster.wait_until_ready()?;
        let controllers = cluster.start_controllers(&controller_token)?;
        cluster.servers.push(controllers);
        cluster.wait_for_admin("rolebindings")?;
        Ok(cluster)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let certificate = self
            .folder
            .join("kube-apiserver/certificates/apiserver.crt");
        self.wait("the API server is ready", || {
            fs::write(
                self.folder.join("kube-apiserver/kubeconfig"),
                self.kubeconfig_yaml(),
            )?;
            self.kubectl_checked(&["get", "--raw", "/readyz"], "")
        })?;
        self.ca_pem = fs::read_to_string(certificate)?;
        Ok(())
    }

    fn start_controllers(&self, token: &str) -> Result<Child> {
        let api_server = self.folder.join("kube-apiserver");
        server(
            &self.assets,
            &self.folder,
            "kube-controller-manager",
            |data| {
                fs::write(data.join("kubeconfig"), self.kubeconfig_for(token))?;
                Ok(controller_arguments(&self.assets, data, &api_server))
            },
        )
    }

    fn install_flux_kinds(&self) -> Result<()> {
        let folder = env::var_os(FLUX_CRDS).map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flux-crds"),
            PathBuf::from,
        );
        let definitions =
            definitions(&folder).with_context(|| format!("read {}", folder.display()))?;
        self.kubectl_checked(&["create", "--filename", "-"], &definitions)?;
        self.kubectl_checked(
            &[
                "wait",
                "--for=condition=Established",
                "--timeout=30s",
                "customresourcedefinitions",
                "--all",
            ],
            "",
        )?;
        self.kubectl_checked(&["create", "--filename", "tests/flux-roles.yaml"], "")?;
        self.wait_for_admin("kustomize.toolkit.fluxcd.io")
    }

    /// The role `admin` is put together of others by a controller.
    fn wait_for_admin(&self, part: &str) -> Result<()> {
        self.wait(&format!("the role `admin` has {part}"), || {
            let output = "--output=jsonpath={.rules}";
            let rules = self.kubectl_checked(&["get", "clusterrole", "admin", output], "")?;
            if rules.contains(part) {
                Ok(())
            } else {
                bail!("it lacks them yet")
            }
        })
    }

    /// Tries until it works; past the deadline the error ends with what the servers wrote last.
    fn wait<T>(&self, what: &str, attempt: impl Fn() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if started.elapsed() > START_DEADLINE {
                return Err(error.context(format!(
                    "waited {START_DEADLINE:?} until {what}\n{}",
                    self.last_words()
                )));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn last_words(&self) -> String {
        let mut words = String::new();
        for name in ["etcd", "kube-apiserver", "kube-controller-manager"] {
            let log = fs::read_to_string(self.folder.join(name).join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(10)..];
            words = words + "--- " + name + "\n" + &last.join("\n") + "\n";
        }
        words
    }

    /// Standard output of a kubectl that must succeed.
    fn kubectl_checked(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.kubectl_with_input(arguments, input);
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Whether the environment asks to leave out what needs an API server; then a line on stderr says so.
fn is_skipped() -> bool {
    if env::var_os(SKIP).is_none_or(|value| value != "1") {
        return false;
    }
    let current = thread::current();
    let test = current.name().unwrap_or("a test");
    // Not `eprintln!`: the harness shows that only for tests that fail.
    let line = format!("skipped, because {SKIP}=1: {test} (needs a Kubernetes API server)\n");
    io::stderr()
        .write_all(line.as_bytes())
        .expect("stderr is open");
    true
}

/// Asks `tests/apiserver`, which builds the programs the first time; that takes minutes.
fn assets() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apiserver");
    let output = Command::new(&script)
        .output()
        .with_context(|| format!("run {}", script.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}: {}\n{errors}", script.display(), output.status);
    }
    let stdout = String::from_utf8(output.stdout)?;
    let folder = stdout
        .lines()
        .last()
        .context("tests/apiserver printed no folder")?;
    Ok(PathBuf::from(folder))
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(hex::encode(bytes))
}

fn kubeconfig(url: &str, certificate: &Path, token: &str) -> String {
    // JSON is YAML, and needs no quoting rules of ours.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": {"server": url, "certificate-authority": certificate}}],
        "users": [{"name": "tests", "user": {"token": token}}],
    });
    config.to_string()
}

/// All definitions in the folder as one document, without the validation rules that servers before 1.25 refuse.
fn definitions(folder: &Path) -> Result<String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let mut definition: serde_json::Value =
                serde_yaml::from_str(&fs::read_to_string(&path)?)
                    .with_context(|| path.display().to_string())?;
            remove_key(&mut definition, "x-kubernetes-validations");
            files.insert(path, definition);
        }
    }
    if files.is_empty() {
        bail!("no *.yaml in it");
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": files.into_values().collect::<Vec<_>>()});
    Ok(list.to_string())
}

fn remove_key(value: &mut serde_json::Value, key: &str) {
    match value {
        serde_json::Value::Object(map) => {
            map.shift_remove(key);
            map.values_mut().for_each(|value| remove_key(value, key));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| remove_key(item, key)),
        _ => {}
    }
}
