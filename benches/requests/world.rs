//! The embedded GitHub and the embedded cluster, on loopback, with an organisation of a given size.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenantry::sandbox::github::{
    App as Registered, CheckRun, GitHub, Mark, MergeMethod, Permission, RepositorySelection,
};

use crate::cluster::Cluster;
use crate::fleet;

const CONTROL: &str = "acme/tenants";

/// Longer than any operation takes.
const PATIENCE: Duration = Duration::from_mins(30);

pub(crate) struct World {
    pub(crate) github: Arc<GitHub>,
    cluster: Cluster,
    registered: Registered,
    /// Holds what the program reads from files.
    folder: PathBuf,
    /// Entries in the file.
    tenants: usize,
    /// For how many tenants there are teams.
    size: usize,
    latency: Duration,
}

impl World {
    /// An organisation with its teams, the App installed, and a control repo whose file has so many tenants.
    pub(crate) async fn new(tenants: usize) -> Self {
        let github = Arc::new(GitHub::start().await);
        github.set_rate_limits(u32::MAX, u32::MAX);
        github.set_merge_delay(Duration::ZERO);
        let git = Arc::clone(&github);
        let cluster =
            Cluster::start(Box::new(move |repository| git.head(repository, "main"))).await;
        let manifest = include_str!("../../app-manifest.yml");
        let registered = github.register_app_from_manifest(manifest, "http://127.0.0.1:9/");
        let world = Self {
            folder: folder(),
            github,
            cluster,
            registered,
            tenants,
            size: tenants,
            latency: Duration::ZERO,
        };
        world.furnish();
        world
    }

    fn furnish(&self) {
        let github = &self.github;
        github.organization("acme").user("alice");
        let teams = (0..self.size).flat_map(|number| fleet::teams_of(number, self.size));
        for team in teams.collect::<BTreeSet<_>>() {
            github.team("acme", &fleet::team(team), &[]);
        }
        github.repository(CONTROL, &[("tenants.yaml", &self.file())]);
        github.collaborator(CONTROL, "alice", Permission::Push);
        github.install(&self.registered, "acme", RepositorySelection::All);
        std::fs::write(self.folder.join("kubeconfig"), self.cluster.kubeconfig())
            .expect("the folder is ours");
        std::fs::write(
            self.folder.join("key.pem"),
            &self.registered.private_key_pem,
        )
        .expect("the folder is ours");
    }

    fn file(&self) -> String {
        fleet::file(self.tenants, self.size)
    }

    /// The environment of the program.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("TENANTRY_GITHUB_API_URL", self.github.url().to_owned()),
            ("TENANTRY_APP_ID", self.registered.id.to_string()),
            ("TENANTRY_PRIVATE_KEY_FILE", path("key.pem")),
            (
                "TENANTRY_WEBHOOK_SECRET",
                self.registered.webhook_secret.clone(),
            ),
            ("TENANTRY_CONTROL_REPOS", CONTROL.to_owned()),
            // GitHub's pace for new content would be all that is measured.
            ("TENANTRY_CONTENT_LIMITS", "none".to_owned()),
            ("KUBECONFIG", path("kubeconfig")),
        ]
    }

    pub(crate) fn deliver_to(&self, address: SocketAddr) {
        self.github
            .set_webhook_url(&self.registered, &format!("http://{address}/webhook"));
    }

    /// From here on every request takes so long, on both sides.
    pub(crate) fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
        self.github.set_latency(latency);
        self.cluster.set_latency(latency);
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    pub(crate) fn kubernetes_requests(&self) -> usize {
        self.cluster.request_count()
    }

    pub(crate) fn tip(&self) -> String {
        self.github.head(CONTROL, "main").expect("it was furnished")
    }

    /// Waits until the newest check of this name is concluded, and says when that was.
    pub(crate) async fn concluded(&self, commit: &str, name: &str) -> Instant {
        let started = Instant::now();
        loop {
            let run = self.newest(commit, name);
            if let Some(conclusion) = run.as_ref().and_then(|run| run.conclusion.as_deref()) {
                assert_eq!(conclusion, "success", "{run:#?}");
                return Instant::now();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "`{name}` on {commit}: {run:#?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn newest(&self, commit: &str, name: &str) -> Option<CheckRun> {
        let runs = self.github.check_runs(CONTROL, commit).into_iter();
        runs.filter(|run| run.name == name).max_by_key(|run| run.id)
    }

    pub(crate) fn runs_at_the_tip(&self) -> usize {
        self.github.check_runs(CONTROL, &self.tip()).len()
    }

    /// Waits until the program asks GitHub for something, and says when that was.
    pub(crate) async fn first_request(&self) -> Instant {
        let before = self.requests();
        while self.requests() == before {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Instant::now()
    }

    /// Waits until the program has asked for nothing for a while.
    pub(crate) async fn settled(&self) {
        let quiet = Duration::from_millis(200) + 3 * self.latency;
        let mut before = self.requests();
        loop {
            tokio::time::sleep(quiet).await;
            let now = self.requests();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn requests(&self) -> (Mark, usize) {
        (self.github.mark(), self.kubernetes_requests())
    }

    /// A pull request of Alice's with one more tenant: its number and head.
    pub(crate) fn pull_with_one_more(&mut self) -> (u64, String) {
        self.tenants += 1;
        let (branch, file) = (format!("add-{}", self.tenants), self.file());
        let alice = self.github.as_user("alice");
        let head = alice.commit(
            CONTROL,
            &branch,
            "Add a tenant",
            &[("tenants.yaml", Some(&file))],
        );
        (
            alice.open_pull(CONTROL, "main", &branch, "Add a tenant", ""),
            head,
        )
    }

    pub(crate) fn merge(&self, number: u64) -> String {
        self.github
            .as_user("alice")
            .merge(CONTROL, number, MergeMethod::Merge)
    }

    fn drifting(&self) -> (String, String) {
        let [team, _] = fleet::teams_of(0, self.size);
        (
            format!("acme/{}-workspace", fleet::name(0)),
            fleet::team(team),
        )
    }

    pub(crate) fn lower_a_permission(&self) {
        let (repository, team) = self.drifting();
        self.github
            .set_team_permission(&repository, &team, Some(Permission::Pull));
    }

    pub(crate) fn permission_is_back(&self) -> bool {
        let (repository, team) = self.drifting();
        self.github.team_permission(&repository, &team) == Some(Permission::Push)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Whatever is left in the folder for temporary files goes with the machine.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    folder.keep()
}
