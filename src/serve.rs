//! The running app: two listeners, the queue, and the clock that compares everything now and then.

mod guards;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::bot::{Bot, Follow, Job, Pace, Setup};
use crate::config::ServeArgs;
use crate::github::GitHub;
use crate::queue::Queue;
use crate::serve::guards::Guards;
use crate::{kubernetes, webhook};

/// Webhooks that may wait to be turned into jobs.
const DELIVERIES: usize = 1000;
/// After SIGTERM, work that is under way has this long; Kubernetes kills after 30 s.
const GRACE: Duration = Duration::from_secs(20);
/// Between looks for what the app needs and does not have yet.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Everything that the app is started with.
pub struct Parts {
    pub github: GitHub,
    pub cluster: kubernetes::Writer,
    pub setup: Setup,
    pub webhook_secret: SecretString,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
}

impl Parts {
    /// What the settings say, with a cluster that is connected to once they are found in order.
    pub async fn of(
        args: &ServeArgs,
        cluster: impl Future<Output = anyhow::Result<kubernetes::Writer>>,
    ) -> anyhow::Result<Self> {
        let github = &args.github;
        let setup = Setup {
            control_repos: args.control_repos()?,
            organizations: github.organizations(),
            tenants_file: github.tenants_file.clone(),
            cluster: github.access.cluster.clone(),
            git_host: github.access.git_host(),
            pace: Pace {
                merge_commit: Duration::from_secs(2),
                tries: [Duration::from_secs(2), Duration::from_secs(10)],
                retry: Duration::from_mins(1),
                resync: args.resync,
                progress: Duration::from_mins(1),
                live_deadline: args.live_deadline,
                telling: Duration::from_secs(2),
            },
        };
        Ok(Self {
            github: GitHub::new(&github.access.app()?)?,
            webhook_secret: args.webhook_secret()?,
            cluster: cluster.await?,
            setup,
            listen: args.listen,
            admin_listen: args.admin_listen,
        })
    }
}

/// A running app.
pub struct App {
    /// Where webhooks are taken.
    pub address: SocketAddr,
    pub admin_address: SocketAddr,
    queue: Queue<Job>,
    follow: Follow,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    watching: JoinHandle<()>,
    work: JoinHandle<()>,
}

/// Starts listening, and begins to work once GitHub knows the App and the cluster knows Tenants.
pub async fn start(parts: Parts) -> anyhow::Result<App> {
    let listener = listen(parts.listen).await?;
    let admin = listen(parts.admin_listen).await?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let (deliveries, receiver) = mpsc::channel(DELIVERIES);
    let (stop, stopped) = watch::channel(false);
    let queue = Queue::default();
    let control_repos = parts.setup.control_repos.iter().cloned();
    let follow = Follow::new(parts.setup.pace, control_repos);
    let (readiness, guards) = (Readiness::default(), Guards::default());
    let tasks = vec![
        serve(
            listener,
            webhook::router(parts.webhook_secret, deliveries),
            stopped.clone(),
        ),
        serve(
            admin,
            admin_router(Ready {
                readiness: readiness.clone(),
                guards: guards.clone(),
                cluster: parts.cluster.reader().clone(),
            }),
            stopped.clone(),
        ),
    ];
    let ready = Parts {
        webhook_secret: SecretString::default(),
        ..parts
    };
    let engine = Engine {
        queue: queue.clone(),
        follow: follow.clone(),
    };
    let watching = tokio::spawn(guards.watch(ready.cluster.reader().clone()));
    let work = tokio::spawn(work(ready, engine, receiver, readiness, stopped));
    tracing::info!(%address, %admin_address, "listening");
    Ok(App {
        address,
        admin_address,
        queue,
        follow,
        stop,
        tasks,
        watching,
        work,
    })
}

impl App {
    /// Returns when nothing waits and nothing runs; what Flux is waited for does not count.
    pub async fn idle(&self) {
        loop {
            self.queue.idle().await;
            self.follow.idle().await;
            if self.queue.is_idle() {
                return;
            }
        }
    }

    /// Stops accepting, finishes what is under way, and ends; work that takes too long is left to the next start.
    pub async fn stop(self) {
        // Nobody listens any more only if everything has ended.
        let _ = self.stop.send(true);
        self.watching.abort();
        let finished = async {
            for task in self.tasks {
                let _ = task.await;
            }
            self.queue.close();
            let _ = self.work.await;
        };
        if tokio::time::timeout(GRACE, finished).await.is_err() {
            tracing::warn!("work under way was left; the next start takes it up");
        }
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))
}

fn serve(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let stop = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await
        {
            tracing::error!(%error, "a listener ended");
        }
    })
}

/// What works, and what it has under way.
#[derive(Clone)]
struct Engine {
    queue: Queue<Job>,
    follow: Follow,
}

async fn work(
    parts: Parts,
    engine: Engine,
    mut receiver: mpsc::Receiver<webhook::Delivery>,
    readiness: Readiness,
    mut stopped: watch::Receiver<bool>,
) {
    let bot = tokio::select! {
        bot = meet(parts, engine.clone(), readiness) => bot,
        _ = stopped.wait_for(|stopped| *stopped) => return,
    };
    let resync = tokio::spawn(bot.clone().resync());
    let following = tokio::spawn(bot.clone().follow());
    let taking = tokio::spawn({
        let bot = bot.clone();
        async move {
            while let Some(delivery) = receiver.recv().await {
                bot.take(&delivery);
            }
        }
    });
    engine.queue.run(move |job| bot.clone().handle(job)).await;
    resync.abort();
    following.abort();
    taking.abort();
}

/// Waits for GitHub and the cluster: webhooks are taken meanwhile, and worked on afterwards.
async fn meet(parts: Parts, engine: Engine, readiness: Readiness) -> Bot {
    loop {
        match parts.cluster.reader().knows_tenants().await {
            Ok(true) => match Bot::new(
                parts.github.clone(),
                parts.cluster.clone(),
                parts.setup.clone(),
                engine.queue.clone(),
                engine.follow.clone(),
            )
            .await
            {
                Ok(bot) => {
                    readiness.0.store(true, Ordering::Relaxed);
                    return bot;
                }
                Err(error) => tracing::error!("{error:#}"),
            },
            Ok(false) => tracing::error!("{NO_TENANTS}"),
            Err(error) => tracing::error!("the cluster cannot be read: {error}"),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

const NO_TENANTS: &str =
    "the cluster does not know Tenants: run `tenantry crds | kubectl apply -f -`";

/// Whether GitHub knows the App and work has begun.
#[derive(Clone, Default)]
struct Readiness(Arc<AtomicBool>);

/// What `/readyz` is told by.
#[derive(Clone)]
struct Ready {
    readiness: Readiness,
    guards: Guards,
    cluster: kubernetes::Reader,
}

fn admin_router(ready: Ready) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(self::ready))
        .with_state(ready)
}

async fn ready(State(ready): State<Ready>) -> (StatusCode, String) {
    let unready = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text + "\n");
    match ready.cluster.knows_tenants().await {
        Ok(true) if ready.readiness.0.load(Ordering::Relaxed) => {
            let note = ready.guards.note().map(|note| format!("but {note}\n"));
            (StatusCode::OK, format!("ok\n{}", note.unwrap_or_default()))
        }
        Ok(true) => unready("GitHub does not know the App yet: see the log".to_owned()),
        Ok(false) => unready(NO_TENANTS.to_owned()),
        Err(error) => unready(format!("the cluster cannot be read: {error}")),
    }
}
