//! A world to tell a story in: an organisation with a control repo on the embedded GitHub, the real API server, and the
//! app, which talks to both over HTTP as its own ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use secrecy::SecretString;
use serde_json::Value;
use tenantry::bot::{Pace, Setup};
use tenantry::github::{ContentLimits, GitHub as Client, Settings, Timing};
use tenantry::kubernetes;
use tenantry::sandbox::github::CheckRun;
use tenantry::sandbox::github::{App as Registered, GitHub, MergeMethod, RepositorySelection};
use tenantry::serve::{self, App, Parts};

use crate::cluster::Cluster;
use crate::contract::Contract;
use crate::controllers;
use crate::flux::Flux;

/// Longer than anything in a story takes.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    pub(crate) github: Arc<GitHub>,
    pub(crate) cluster: &'static Cluster,
    registered: Registered,
    app: Option<Process>,
    others: Vec<Process>,
    contract: Contract,
    flux: Option<Flux>,
    /// Whom the app is in the cluster, if not its own ServiceAccount.
    pub(crate) user: Option<String>,
    log: Log,
    /// Makes names of this world differ from those of others, which share the API server.
    number: u32,
    pub(crate) resync: Duration,
    /// How fast the app creates things.
    pub(crate) limits: ContentLimits,
    pub(crate) live_deadline: Duration,
}

/// Who plays Flux.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Played {
    AtOnce,
    ByTheStory,
}

impl World {
    /// An organisation with teams, the App installed, and a control repo that holds this file. `%` in texts stands for
    /// this world's own suffix. Nothing without an API server, if that is allowed.
    pub(crate) async fn new(file: &str) -> Option<Self> {
        let cluster = Cluster::shared_or_skip()?;
        installed_once(cluster);
        Some(Self::begin(cluster, file, Played::AtOnce).await)
    }

    /// The same on a cluster of the story's own, in which the App is installed.
    pub(crate) async fn on(cluster: &'static Cluster, file: &str) -> Self {
        Self::begin(cluster, file, Played::AtOnce).await
    }

    /// The same in which the app is still to be started.
    pub(crate) async fn furnished(file: &str) -> Option<Self> {
        let cluster = Cluster::shared_or_skip()?;
        installed_once(cluster);
        Some(Self::before(cluster, file, Played::AtOnce).await)
    }

    async fn begin(cluster: &'static Cluster, file: &str, flux: Played) -> Self {
        let mut world = Self::before(cluster, file, flux).await;
        world.start().await;
        // Until the start has been worked off, nothing waits, and yet the app is not at rest.
        let tip = world.github.head(&world.control(), "main");
        world
            .check(&tip.expect("it was furnished"), "tenantry/apply")
            .await;
        world
    }

    /// A world without the app.
    async fn before(cluster: &'static Cluster, file: &str, flux: Played) -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(1);
        let github = Arc::new(GitHub::start().await);
        github.set_merge_delay(Duration::from_millis(20));
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let manifest = include_str!("../../app-manifest.yml");
        let mut world = Self {
            registered: github.register_app_from_manifest(manifest, "http://127.0.0.1:9/"),
            contract: Contract::of(&github),
            github,
            cluster,
            app: None,
            others: Vec::new(),
            flux: None,
            user: None,
            log: Log::default(),
            number,
            resync: Duration::from_hours(1),
            live_deadline: Duration::from_mins(10),
            limits: ContentLimits::NONE,
        };
        world.furnish(file);
        if flux == Played::AtOnce {
            world.start_flux().await;
        }
        world
    }

    /// The same where the story plays Flux itself.
    pub(crate) async fn without_flux(file: &str) -> Option<Self> {
        let cluster = Cluster::shared_or_skip()?;
        installed_once(cluster);
        Some(Self::begin(cluster, file, Played::ByTheStory).await)
    }

    /// From now on whatever is to be synced is.
    pub(crate) async fn start_flux(&mut self) {
        let config = config(&self.cluster.kubeconfig_yaml()).await;
        self.flux = Some(Flux::start(self.github.clone(), config, self.text("%")));
    }

    /// From now on nothing is synced but what the story says.
    pub(crate) async fn stop_flux(&mut self) {
        if let Some(flux) = self.flux.take() {
            flux.stop().await;
        }
    }

    fn furnish(&mut self, file: &str) {
        let organization = self.organization();
        let github = &self.github;
        github.organization(&organization);
        github.organization_settings(&organization, |settings| settings.base_permission = None);
        for person in ["alice", "bob"] {
            github.user(person);
            github.member(
                &organization,
                person,
                tenantry::sandbox::github::Membership::Member,
            );
        }
        github.user("mallory");
        for team in ["ai-team", "billing-team", "payments"] {
            github.team(&organization, team, &["bob"]);
        }
        github.repository(
            &self.control(),
            &[
                ("tenants.yaml", &self.text(file)),
                ("README.md", "# Tenants\n"),
            ],
        );
        github.collaborator(
            &self.control(),
            "alice",
            tenantry::sandbox::github::Permission::Push,
        );
        github.install(&self.registered, &organization, RepositorySelection::All);
    }

    pub(crate) async fn start(&mut self) {
        let process = self.process().await;
        self.app = Some(process);
        self.ready().await;
        self.settled().await;
    }

    /// A replica of the app beside the one that runs; from now on it is the one that is told of everything.
    pub(crate) async fn start_another(&mut self) {
        self.others.extend(self.app.take());
        self.start().await;
    }

    async fn process(&self) -> Process {
        let (settings, setup) = (self.settings(), self.setup());
        let kubeconfig = match &self.user {
            None => kubeconfig(self.cluster),
            Some(user) => self.cluster.kubeconfig_as(user),
        };
        let webhook_secret = self.registered.webhook_secret.clone();
        let process = Process::start(self.log.clone(), async move {
            let anywhere: SocketAddr = "127.0.0.1:0".parse().expect("an address");
            let parts = Parts {
                github: Client::new(&settings).expect("the App's key is sound"),
                cluster: client(&kubeconfig).await,
                setup,
                webhook_secret: SecretString::from(webhook_secret),
                listen: anywhere,
                admin_listen: anywhere,
            };
            serve::start(parts).await.expect("loopback has free ports")
        });
        let process = process.await;
        self.github.set_webhook_url(
            &self.registered,
            &format!("http://{}/webhook", process.app.address),
        );
        process
    }

    /// Waits until the app has begun its work; not for ever, because a story may be of one that cannot.
    async fn ready(&self) {
        for _ in 0..100 {
            if self.readyz().0 == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What `/readyz` answers: the status and the text.
    pub(crate) fn readyz(&self) -> (u16, String) {
        let address = self.app.as_ref().expect("the app runs").app.admin_address;
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        let request = "GET /readyz HTTP/1.1\r\nhost: tenantry\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let (_, text) = answer.split_once("\r\n\r\n").expect("a body");
        (status.expect("a status"), text.to_owned())
    }

    fn settings(&self) -> Settings {
        Settings {
            api_url: self.github.url().to_owned(),
            app_id: self.registered.id.to_string(),
            private_key: SecretString::from(self.registered.private_key_pem.clone()),
            limits: self.limits.clone(),
            timing: Timing {
                backoff: Duration::from_millis(5),
                ..Timing::default()
            },
        }
    }

    fn setup(&self) -> Setup {
        let soon = Duration::from_millis(50);
        Setup {
            control_repos: BTreeSet::from([self.control().parse().expect("a name")]),
            organizations: BTreeSet::new(),
            tenants_file: "tenants.yaml".to_owned(),
            cluster: "default".to_owned(),
            git_host: "github.com".to_owned(),
            pace: Pace {
                // Shorter than the pauses of `settled`, which would end between two looks.
                merge_commit: Duration::from_millis(10),
                tries: [soon, soon],
                retry: 4 * soon,
                resync: self.resync,
                live_deadline: self.live_deadline,
                telling: soon,
                progress: 10 * soon,
            },
        }
    }

    /// Ends the app; the world goes on without it.
    pub(crate) async fn stop(&mut self) {
        for process in self.others.drain(..).chain(self.app.take()) {
            process.stop().await;
        }
    }

    /// Ends the app in the middle of whatever it is doing, as SIGKILL does.
    pub(crate) fn crash(&mut self) {
        self.app = None;
    }

    /// From its next start the app is given the private key of another one.
    pub(crate) fn takes_another_key(&mut self) {
        let other = self
            .github
            .register_app("other", &[], &[], "http://127.0.0.1:9/");
        self.registered.private_key_pem = other.private_key_pem;
    }

    /// Everything is compared again, as at each start.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Where the running app takes webhooks, and where it tells how it is.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let app = self.app.as_ref().expect("the app runs");
        (app.app.address, app.app.admin_address)
    }

    /// The App with its secrets, as its owner has them.
    pub(crate) fn registered(&self) -> &Registered {
        &self.registered
    }

    pub(crate) fn organization(&self) -> String {
        self.text("acme%")
    }

    /// `owner/name` of the control repo.
    pub(crate) fn control(&self) -> String {
        self.text("acme%/tenants")
    }

    /// With this world's suffix for each `%`.
    pub(crate) fn text(&self, text: &str) -> String {
        text.replace('%', &format!("-w{}", self.number))
    }

    /// Without this world's suffix, and without what differs from run to run.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&format!("-w{}", self.number), "")
    }

    /// Waits until GitHub has told everything and the app has nothing to do.
    pub(crate) async fn settled(&self) {
        let wait = async {
            for _ in 0..3 {
                self.github.wait_for_deliveries().await;
                for process in self.others.iter().chain(&self.app) {
                    process.app.idle().await;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        let rests = tokio::time::timeout(PATIENCE, wait).await;
        let told = self.github.deliveries().into_iter().last();
        assert!(
            rests.is_ok(),
            "the app does not come to rest after {told:?}: {}",
            self.log()
        );
    }

    /// A pull request of Alice's that makes the file this text: its number and head.
    pub(crate) fn pull(&self, branch: &str, file: &str) -> (u64, String) {
        let alice = self.github.as_user("alice");
        let file = self.text(file);
        let head = alice.commit(
            &self.control(),
            branch,
            "Change the tenants",
            &[("tenants.yaml", Some(&file))],
        );
        let number = alice.open_pull(&self.control(), "main", branch, "Change the tenants", "");
        (number, head)
    }

    /// Merges and gives the commit on the default branch.
    pub(crate) fn merge(&self, number: u64) -> String {
        self.github
            .as_user("alice")
            .merge(&self.control(), number, MergeMethod::Merge)
    }

    /// Merges a pull request of Alice's once it is planned: its number, and the commit on the default branch.
    pub(crate) async fn merged(&self, branch: &str, file: &str) -> (u64, String) {
        let (number, head) = self.pull(branch, file);
        self.check(&head, "tenantry/plan").await;
        (number, self.merge(number))
    }

    /// The newest check run of this name on a commit, once it is concluded.
    pub(crate) async fn check(&self, commit: &str, name: &str) -> CheckRun {
        self.check_where(commit, name, |run| run.conclusion.is_some())
            .await
    }

    pub(crate) async fn check_where(
        &self,
        commit: &str,
        name: &str,
        wanted: impl Fn(&CheckRun) -> bool,
    ) -> CheckRun {
        let started = Instant::now();
        loop {
            match self.newest(commit, name) {
                Some(run) if wanted(&run) => {
                    self.settled().await;
                    // What came meanwhile may have made a newer one.
                    return self.newest(commit, name).filter(wanted).unwrap_or(run);
                }
                newest => assert!(
                    started.elapsed() < PATIENCE,
                    "no such check `{name}` on {commit}: {newest:#?}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The newest check run of this name at the tip of the default branch, if there is one.
    pub(crate) fn newest_at_tip(&self, name: &str) -> Option<CheckRun> {
        let tip = self.github.head(&self.control(), "main");
        self.newest(&tip.expect("there is a commit"), name)
    }

    pub(crate) fn newest(&self, commit: &str, name: &str) -> Option<CheckRun> {
        let runs = self.github.check_runs(&self.control(), commit).into_iter();
        runs.filter(|run| run.name == name).max_by_key(|run| run.id)
    }

    /// The App's one comment on a pull request.
    pub(crate) fn comment(&self, number: u64) -> Option<String> {
        let comments = self.github.comments(&self.control(), number);
        let mut ours = comments
            .into_iter()
            .filter(|(author, _)| author == "tenantry[bot]")
            .map(|(_, body)| body);
        let first = ours.next();
        assert_eq!(ours.next(), None, "there is one comment of the App");
        first
    }

    /// An object in the cluster, read as an administrator.
    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let (namespace, name) = (self.text(namespace), self.text(name));
        let mut args = vec![
            "get",
            kind,
            name.as_str(),
            "-o",
            "json",
            "--ignore-not-found",
        ];
        if !namespace.is_empty() {
            args.extend(["-n", namespace.as_str()]);
        }
        let output = self.cluster.kubectl(&args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        (!output.stdout.is_empty())
            .then(|| serde_json::from_slice(&output.stdout).expect("kubectl prints JSON"))
    }

    /// What the embedded GitHub was asked to change since the mark, reports included; minting a token changes nothing.
    pub(crate) fn writes_since(&self, mark: tenantry::sandbox::github::Mark) -> Vec<String> {
        use tenantry::sandbox::github::Class;
        let requests = self.github.requests_since(mark).into_iter();
        let writes =
            requests.filter(|request| matches!(request.class, Class::Write | Class::Report));
        writes
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    /// What the app wrote to the cluster since the mark, as far as it is about this world.
    pub(crate) fn cluster_writes_since(&self, mark: u64) -> Vec<String> {
        let requests = self.cluster.requests_since(mark).into_iter();
        let ours = requests.filter(|request| {
            request.is_write()
                && request.user.ends_with(":tenantry")
                // In names of cluster-wide objects the hyphen comes escaped.
                && request.uri.replace("%2D", "-").contains(&self.text("%"))
        });
        ours.map(|request| format!("{} {}", request.verb, request.uri))
            .collect()
    }

    /// Compares everything again, and nothing is written on either side.
    pub(crate) async fn rests(&mut self) {
        let (mark, audit) = (self.github.mark(), self.cluster.audit_mark());
        self.restart().await;
        assert!(
            !self.github.requests_since(mark).is_empty(),
            "everything was compared"
        );
        let writes = self.writes_since(mark);
        assert_eq!(
            writes,
            Vec::<String>::new(),
            "{:#?}",
            self.last_apply().await
        );
        assert_eq!(self.cluster_writes_since(audit), Vec::<String>::new());
    }

    /// Merges a pull request of Alice's and waits for the apply: its number, the plan's check, the apply's check.
    pub(crate) async fn change(&self, branch: &str, file: &str) -> (u64, CheckRun, CheckRun) {
        let (number, head) = self.pull(branch, file);
        let plan = self.check(&head, "tenantry/plan").await;
        let merged = self.merge(number);
        (number, plan, self.check(&merged, "tenantry/apply").await)
    }

    /// Alice pushes the file to the default branch: its commit.
    pub(crate) fn commit(&self, file: &str) -> String {
        let file = self.text(file);
        let files = [("tenants.yaml", Some(file.as_str()))];
        let alice = self.github.as_user("alice");
        alice.commit(&self.control(), "main", "Change the tenants", &files)
    }

    /// The same, and then the apply's check.
    pub(crate) async fn push(&self, file: &str) -> CheckRun {
        self.check(&self.commit(file), "tenantry/apply").await
    }

    /// The newest apply check at the tip of the default branch.
    pub(crate) async fn last_apply(&self) -> CheckRun {
        let tip = self.github.head(&self.control(), "main");
        self.check(&tip.expect("there is a commit"), "tenantry/apply")
            .await
    }

    /// What the app has logged so far.
    pub(crate) fn log(&self) -> String {
        let log = self.log.0.lock().expect("nobody panics with the log");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Does something to the cluster as an administrator.
    pub(crate) fn kubectl(&self, args: &[&str]) {
        let args: Vec<_> = args.iter().map(|arg| self.text(arg)).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let output = self.cluster.kubectl(&args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Makes objects as an administrator, in this namespace or their own; what is there already is made the same.
    pub(crate) fn create(&self, namespace: &str, objects: &str) {
        let namespace = format!("--namespace={}", self.text(namespace));
        let mut args = vec!["apply", "--filename", "-"];
        if !namespace.ends_with('=') {
            args.push(&namespace);
        }
        let output = self.cluster.kubectl_with_input(&args, &self.text(objects));
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The end of each story: nothing asked that the embedded GitHub does not know, and all as GitHub describes it.
    pub(crate) async fn end(mut self) {
        self.settled().await;
        self.stop().await;
        assert_eq!(self.github.unknown_requests(), Vec::<String>::new());
        self.stop_flux().await;
        let github = Arc::into_inner(self.github).expect("nobody else holds it any more");
        github.stop();
        self.contract.judge();
    }
}

/// The app with a runtime of its own, and so with nothing of it left once this is dropped.
struct Process {
    app: App,
    runtime: Runtime,
}

/// A runtime may not be dropped by a story, which runs on another one, except in this way.
struct Runtime(Option<tokio::runtime::Runtime>);

impl Process {
    async fn start(log: Log, app: impl Future<Output = App> + Send + 'static) -> Self {
        let log = log.dispatch();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&log)))
            .build()
            .expect("threads can be had");
        let app = runtime.spawn(app).await.expect("the app starts");
        let runtime = Runtime(Some(runtime));
        Self { app, runtime }
    }

    async fn stop(self) {
        self.app.stop().await;
        drop(self.runtime);
    }
}

/// What the app has logged, in all its lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn dispatch(self) -> tracing::Dispatch {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || self.clone());
        subscriber.finish().into()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().expect("nobody panics with the log");
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) async fn client(kubeconfig: &str) -> kubernetes::Writer {
    let (_, writer) = kubernetes::connect_with(config(kubeconfig).await).expect("a client");
    writer
}

pub(crate) async fn config(kubeconfig: &str) -> kube::Config {
    let config = Kubeconfig::from_yaml(kubeconfig).expect("the cluster's kubeconfig is whole");
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await;
    config.expect("the kubeconfig names a cluster")
}

/// What an administrator does once, on a cluster with a Flux that is locked down.
pub(crate) fn installed_once(cluster: &Cluster) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        controllers::lock_down(cluster);
        install(cluster);
    });
}

/// What an administrator does once Flux is there: `kubectl apply -k deploy/`.
pub(crate) fn install(cluster: &Cluster) {
    let output = cluster.kubectl(&["apply", "-k", "deploy/"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let args = [
        "wait",
        "--for=condition=Established",
        "crd/tenants.tenantry.dev",
        "--timeout=30s",
    ];
    assert!(
        cluster.kubectl(&args).status.success(),
        "the Tenant kind is served"
    );
}

/// As the app's own ServiceAccount.
fn kubeconfig(cluster: &Cluster) -> String {
    static TOKENS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut tokens = TOKENS.lock().expect("nobody panics with the tokens");
    let token = tokens
        .entry(cluster.url().to_owned())
        .or_insert_with(|| cluster.service_account_token("tenantry-system", "tenantry"));
    cluster.kubeconfig_for(token)
}
