//! A pretend Flux: it looks after GitRepository and Kustomization objects in any cluster as Flux' controllers do, and
//! fetches from the embedded GitHub, over the APIs of both.
//!
//! A source becomes Ready only if its Secret holds a key pair whose public half is a deploy key of the very repository
//! that its URL names. Instead of cloning by SSH, keys and files are read by GitHub's REST API with a token.
//!
//! ```text
//! flux.rs          the handle: start, fail on purpose, look again, come to rest
//!   watching.rs      what changes in the cluster → what is to be looked after
//!   queue.rs         when                      source.rs  GitRepository     sync.rs  Kustomization
//!   build.rs         files → manifests         patches.rs  changes of manifests     status.rs  conditions, and when to look again
//!   cluster.rs       the cluster's API         origin.rs  GitHub's     installation.rs  Deployments to look at
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

mod build;
mod cluster;
mod installation;
mod inventory;
mod origin;
mod patches;
mod queue;
mod source;
mod status;
mod sync;
mod watching;

#[cfg(test)]
mod tests;

use cluster::Cluster;
use origin::Origin;
use queue::Queue;

/// How many objects are looked after at the same time.
const WORKERS: usize = 8;

/// What a pretend Flux is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster that it works in, and as whom.
    pub cluster: kube::Config,
    /// The REST root of the embedded GitHub.
    pub github: String,
    /// A token that may read every repository, its deploy keys too.
    pub token: String,
    /// The host that the sources' URLs name.
    pub git_host: String,
    /// The longest time between two looks, whatever an object's own interval says.
    pub longest_interval: Duration,
    /// The time until the first repetition of what failed; it doubles from then on.
    pub retry: Duration,
}

impl Settings {
    /// As Flux itself does it: intervals are those of the objects.
    pub fn new(cluster: kube::Config, github: &str, token: &str) -> Self {
        Self {
            cluster,
            github: github.to_owned(),
            token: token.to_owned(),
            git_host: "github.com".to_owned(),
            longest_interval: Duration::MAX,
            retry: Duration::from_secs(5),
        }
    }
}

/// Why an object is not Ready, in Flux' own words. The first two are of a GitRepository, the others of a Kustomization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    AuthenticationFailed,
    GitOperationFailed,
    ArtifactFailed,
    DependencyNotReady,
    BuildFailed,
    ReconciliationFailed,
    PruneFailed,
    HealthCheckFailed,
}

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    GitRepository,
    Kustomization,
}

/// An object that is looked after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    kind: Kind,
    namespace: String,
    name: String,
}

/// What all tasks share.
struct Shared {
    settings: Settings,
    cluster: Cluster,
    origin: Origin,
    queue: Queue,
    notes: Mutex<Notes>,
}

/// What is known between two looks.
#[derive(Default)]
struct Notes {
    /// What fails on purpose.
    failures: BTreeMap<Key, Failure>,
    /// How often in a row something has failed.
    failed: BTreeMap<Key, u32>,
    /// Which Kustomizations take their manifests from a source.
    users: BTreeMap<Key, BTreeSet<Key>>,
}

/// A running pretend Flux. Dropping it ends it.
pub struct Flux {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Flux {
    /// Starts the controllers. Needs a Tokio runtime, and Flux' two kinds in the cluster.
    ///
    /// # Errors
    /// Where there is no client for such a cluster.
    pub fn start(settings: Settings) -> Result<Self, kube::Error> {
        let shared = Arc::new(Shared {
            cluster: Cluster::new(settings.cluster.clone())?,
            origin: Origin::new(&settings.github, &settings.token, &settings.git_host),
            settings,
            queue: Queue::default(),
            notes: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for kind in [Kind::GitRepository, Kind::Kustomization] {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move { watching::watch_for_ever(&shared, kind).await });
        }
        for _ in 0..WORKERS {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move { shared.work_for_ever().await });
        }
        Ok(Self { shared, tasks })
    }

    /// Installs Deployments of the controllers, locked down as Flux's page on multi-tenancy asks for. What they would run
    /// is this program; of `pods` of each it is said that they run.
    ///
    /// # Errors
    /// Where the cluster refuses one.
    pub async fn install(&self, pods: u32) -> Result<(), kube::Error> {
        installation::install(&self.shared.cluster, pods).await
    }

    /// From here on this object fails for this reason, at once and at every look.
    pub fn fail(&self, namespace: &str, name: &str, failure: Failure) {
        let key = Key::new(failure.kind(), namespace, name);
        self.shared.notes().failures.insert(key.clone(), failure);
        self.shared.queue.add(key, Duration::ZERO);
    }

    /// Takes back what was to fail of this name.
    pub fn recover(&self, namespace: &str, name: &str) {
        for kind in [Kind::GitRepository, Kind::Kustomization] {
            let key = Key::new(kind, namespace, name);
            if self.shared.notes().failures.remove(&key).is_some() {
                self.shared.queue.add(key, Duration::ZERO);
            }
        }
    }

    /// Looks at the source and then at the sync of this name now, without waiting for their intervals.
    pub fn look(&self, namespace: &str, name: &str) {
        for kind in [Kind::GitRepository, Kind::Kustomization] {
            self.shared
                .queue
                .add(Key::new(kind, namespace, name), Duration::ZERO);
        }
    }

    /// Returns once nothing is under way or due. What the cluster has not told yet is not waited for.
    pub async fn idle(&self) {
        self.shared.queue.idle().await;
    }

    /// Ends it; what is under way is left where it is.
    pub fn stop(mut self) {
        self.tasks.abort_all();
    }
}

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work_for_ever(&self) {
        loop {
            let key = self.queue.next().await;
            let again = match key.kind {
                Kind::GitRepository => source::look_after(self, &key).await,
                Kind::Kustomization => sync::look_after(self, &key).await,
            };
            let again = match again {
                Ok(again) => again.map(|again| again.min(self.settings.longest_interval)),
                Err(error) => {
                    tracing::debug!(?key, %error, "the cluster did not answer the pretend Flux");
                    Some(self.pause(&key, self.settings.longest_interval))
                }
            };
            self.queue.done(&key, again);
        }
    }

    fn failure(&self, key: &Key) -> Option<Failure> {
        self.notes().failures.get(key).copied()
    }

    /// Counts a failure and says how long to wait after it.
    fn pause(&self, key: &Key, longest: Duration) -> Duration {
        let mut notes = self.notes();
        let count = notes.failed.entry(key.clone()).or_insert(0);
        let pause = self.settings.retry.saturating_mul(1 << (*count).min(10));
        *count += 1;
        pause.min(longest)
    }

    fn has_worked(&self, key: &Key) {
        self.notes().failed.remove(key);
    }

    fn forget(&self, key: &Key) {
        self.queue.forget(key);
        let mut notes = self.notes();
        notes.failed.remove(key);
        notes.users.values_mut().for_each(|users| {
            users.remove(key);
        });
        notes.users.retain(|_, users| !users.is_empty());
    }
}

impl Key {
    fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl Kind {
    fn api_version(self) -> &'static str {
        match self {
            Self::GitRepository => "source.toolkit.fluxcd.io/v1",
            Self::Kustomization => "kustomize.toolkit.fluxcd.io/v1",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::GitRepository => "gitrepositories",
            Self::Kustomization => "kustomizations",
        }
    }

    /// The controller, which is also the field manager of what it writes.
    fn controller(self) -> &'static str {
        match self {
            Self::GitRepository => "source-controller",
            Self::Kustomization => "kustomize-controller",
        }
    }
}

impl Failure {
    fn kind(self) -> Kind {
        match self {
            Self::AuthenticationFailed | Self::GitOperationFailed => Kind::GitRepository,
            Self::ArtifactFailed
            | Self::DependencyNotReady
            | Self::BuildFailed
            | Self::ReconciliationFailed
            | Self::PruneFailed
            | Self::HealthCheckFailed => Kind::Kustomization,
        }
    }
}
