//! The bot: events become jobs, and each job is one of three flows.
//!
//! ```text
//! Delivery ── jobs_for ──► Job ── handle ──► pull_request · merge · command
//! ```

mod accepted;
mod command;
mod control;
mod follow;
mod job;
mod merge;
mod open_pulls;
mod pull_request;
mod reporting;
mod slices;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

pub use crate::bot::follow::Follow;
pub use crate::bot::job::{Job, Work};

use crate::bot::control::{Control, KnownHosts, LastFiles};
use crate::bot::reporting::{Begun, Comments};
use crate::bot::slices::Merges;
use crate::github::{App, GitHub};
use crate::live::Push;
use crate::names::{FullName, Login};
use crate::observe;
use crate::queue::{Next, Queue};
use crate::report::Retry;
use crate::webhook::{Delivery, Event, PullRequestChange};
use crate::{github, kubernetes};

/// Name of the check on what a merge would do.
pub const PLAN_CHECK: &str = "tenantry/plan";
/// Name of the check on what a merge has done.
pub const APPLY_CHECK: &str = "tenantry/apply";

/// How long to wait, and when to give up.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between looks at a pull request that GitHub has not merged for trial yet.
    pub merge_commit: Duration,
    /// Waits between the tries of one merge; their number is that of the tries after the first.
    pub tries: [Duration; 2],
    /// Until a merge that failed is tried again; doubled each time up to `resync`.
    pub retry: Duration,
    pub resync: Duration,
    /// Between two words on how far a long merge is.
    pub progress: Duration,
    /// How long a merge's check waits for its tenants to become live.
    pub live_deadline: Duration,
    /// Between the first tellings of how far they are; doubled each time.
    pub telling: Duration,
}

/// Everything that the flows need; cheap to clone.
#[derive(Clone)]
pub struct Bot {
    shared: Arc<Shared>,
}

struct Shared {
    github: GitHub,
    app: App,
    cluster: kubernetes::Writer,
    setup: Setup,
    queue: Queue<Job>,
    controls: Mutex<BTreeMap<FullName, Control>>,
    begun: Begun,
    comments: Comments,
    known_hosts: KnownHosts,
    follow: Follow,
    merges: Merges,
    last_files: LastFiles,
}

/// What the settings say.
#[derive(Debug, Clone)]
pub struct Setup {
    pub control_repos: BTreeSet<FullName>,
    pub organizations: BTreeSet<Login>,
    pub tenants_file: String,
    pub cluster: String,
    pub git_host: String,
    pub pace: Pace,
}

impl Bot {
    /// Asks GitHub who we are; a key that it does not take is found out here.
    pub async fn new(
        github: GitHub,
        cluster: kubernetes::Writer,
        setup: Setup,
        queue: Queue<Job>,
        follow: Follow,
    ) -> anyhow::Result<Self> {
        let app = github.app().await.context(
            "GitHub does not know the App: check `TENANTRY_APP_ID`, the private key, and this machine's clock",
        )?;
        tracing::info!(app = app.slug, id = app.id, "GitHub knows the App");
        let controls = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared {
                github,
                app,
                cluster,
                setup,
                queue,
                controls,
                begun: Begun::default(),
                comments: Comments::default(),
                known_hosts: KnownHosts::default(),
                follow,
                merges: Merges::default(),
                last_files: LastFiles::default(),
            }),
        })
    }

    /// Compares everything, now and each time the resync interval has passed.
    pub async fn resync(self) {
        loop {
            for repository in &self.shared.setup.control_repos {
                self.push(repository, Work::resync());
            }
            tokio::time::sleep(self.shared.setup.pace.resync).await;
        }
    }

    /// Turns what GitHub tells into work. Of what happens outside a control repo, a push to a workspace is Flux's to fetch
    /// at once, and deploy keys are looked at.
    pub fn take(&self, delivery: &Delivery) {
        if delivery.sender.as_deref() == Some(&self.shared.app.bot_login()) {
            return;
        }
        if let Event::Installation { owner, .. } = &delivery.event {
            let of_owner =
                |repository: &&FullName| repository.owner.as_str().eq_ignore_ascii_case(owner);
            for repository in self.shared.setup.control_repos.iter().filter(of_owner) {
                self.forget(repository);
                self.push(repository, Work::resync());
            }
            return;
        }
        let Some(full_name) = &delivery.repository else {
            return;
        };
        let repository = self
            .shared
            .setup
            .control_repos
            .iter()
            .find(|control| control.is(full_name));
        let Some(repository) = repository else {
            self.take_elsewhere(delivery, full_name);
            return;
        };
        if let Some(work) = self.work(&delivery.event) {
            tracing::info!(delivery = delivery.id, %repository, ?work, "to do");
            self.push(repository, work);
        }
    }

    /// Outside the control repos: a push to a workspace is fetched at once, and somebody may have removed the key of a
    /// workspace, or added one.
    fn take_elsewhere(&self, delivery: &Delivery, repository: &str) {
        let delivery_id = &delivery.id;
        if let Event::Push {
            branch,
            before,
            after,
            deleted: false,
            ..
        } = &delivery.event
        {
            let push = Push {
                repository,
                branch,
                before,
                after,
            };
            if self.shared.follow.pushed(&push) {
                tracing::info!(delivery = delivery_id, repository, after, "a workspace");
                return;
            }
        }
        if delivery.event != Event::DeployKey {
            tracing::debug!(delivery = delivery_id, repository, "not a control repo");
            return;
        }
        for control in &self.shared.setup.control_repos {
            let work = Work::KeysChanged {
                repository: repository.to_owned(),
            };
            tracing::info!(delivery = delivery_id, %control, ?work, "to do");
            self.push(control, work);
        }
    }

    fn work(&self, event: &Event) -> Option<Work> {
        match event {
            Event::PullRequest {
                change: PullRequestChange::Closed { .. },
                ..
            }
            | Event::Push { deleted: true, .. }
            | Event::Comment { on_pull: false, .. }
            | Event::DeployKey
            | Event::Installation { .. }
            | Event::Ignored => None,
            Event::PullRequest { number, .. } => Some(Work::Plan {
                number: *number,
                looks: 0,
            }),
            Event::Push {
                branch,
                after,
                paths,
                ..
            } => Some(Work::Pushed {
                branch: branch.clone(),
                commit: after.clone(),
                may_touch: paths.touch(&self.shared.setup.tenants_file),
            }),
            Event::MergeGroup { head_sha, .. } => Some(Work::PlanCommit {
                head: head_sha.clone(),
            }),
            Event::CheckRerequested { app_id, .. } if *app_id != self.shared.app.id => None,
            Event::CheckRerequested { head_sha, .. } => Some(Work::Recheck {
                head: head_sha.clone(),
            }),
            Event::Comment {
                number,
                author,
                body,
                ..
            } => {
                let command = command::parse(body)?;
                Some(Work::Answer {
                    number: *number,
                    author: author.clone(),
                    command,
                })
            }
        }
    }

    fn push(&self, repository: &FullName, work: Work) {
        self.shared.queue.push(Job {
            repository: repository.clone(),
            work,
            tries: 0,
        });
    }

    /// Does one job. What goes wrong is logged here, once, with its causes.
    pub async fn handle(self, job: Job) -> Next<Job> {
        match self.flow(&job).await {
            Ok(next) => next,
            Err(error) if let Some(until) = limited_until(&error) => {
                tracing::info!(repository = %job.repository, work = ?job.work, %until, "{error:#}");
                job.later().map_or(Next::Done, |job| {
                    let pause = until.duration_since(now()).try_into();
                    let after = pause.unwrap_or_default();
                    Next::Again { job, after }
                })
            }
            Err(error) => {
                tracing::error!(repository = %job.repository, work = ?job.work, "{error:#}");
                // Whatever refused the control repo may have been cured by then.
                self.forget(&job.repository);
                let pace = self.shared.setup.pace;
                let after = job::pause(pace.retry, job.tries, pace.resync);
                job.again(retry(&error))
                    .map_or(Next::Done, |job| Next::Again { job, after })
            }
        }
    }

    async fn flow(&self, job: &Job) -> anyhow::Result<Next<Job>> {
        let control = self.control(&job.repository).await?;
        match &job.work {
            Work::Plan { number, looks } => self.plan_pull(&control, *number, *looks).await,
            Work::PlanCommit { head } => {
                let next = self.plan_commit(&control, head).await?;
                // Opened meanwhile: its result is more than the commit alone, so it has the last word.
                if let Some(number) = self.pull_with_head(&control, head).await? {
                    self.push(&job.repository, Work::Plan { number, looks: 0 });
                }
                Ok(next)
            }
            Work::Pushed {
                branch,
                commit,
                may_touch,
            } => {
                if *branch == control.default_branch {
                    self.push(&job.repository, Work::merged(commit, *may_touch));
                } else if *may_touch
                    && self.heads_no_pull(&control, branch).await?
                    && self.changes_the_file(&control, commit).await?
                {
                    self.push(
                        &job.repository,
                        Work::PlanCommit {
                            head: commit.clone(),
                        },
                    );
                }
                Ok(Next::Done)
            }
            Work::Reconcile(reconcile) => self.reconcile(&control, reconcile).await,
            Work::KeysChanged { repository } => self.keys_changed(&control, repository).await,
            Work::Recheck { head } => self.recheck(&control, head).await,
            Work::Answer {
                number,
                author,
                command,
            } => self.answer(&control, *number, author, command).await,
        }
    }

    /// Compares the tenant whose workspace this is, if it is one of this control repo's.
    async fn keys_changed(&self, control: &Control, repository: &str) -> anyhow::Result<Next<Job>> {
        let cluster = self.shared.cluster.reader();
        let tenant = observe::tenant_of_workspace(cluster, &control.repository, repository).await?;
        if let Some(tenant) = tenant {
            self.push(&control.repository, Work::compare(tenant));
        }
        Ok(Next::Done)
    }

    /// The pull request's own event plans its result, which is more than the branch alone.
    async fn heads_no_pull(&self, control: &Control, branch: &str) -> anyhow::Result<bool> {
        let pulls = self
            .reader(control)
            .open_pulls_of_branch(&control.repository, branch)
            .await?;
        Ok(pulls.is_empty())
    }

    /// The open pull request that this commit is the head of. A check on the head of a fork does not name it, so all
    /// open ones are looked through.
    async fn pull_with_head(&self, control: &Control, head: &str) -> anyhow::Result<Option<u64>> {
        let pulls = self
            .reader(control)
            .open_pulls(&control.repository, &control.default_branch)
            .await?;
        let found = pulls.into_iter().find(|pull| pull.head_sha == head);
        Ok(found.map(|pull| pull.number))
    }

    /// Does again what a check on this commit shows.
    async fn recheck(&self, control: &Control, head: &str) -> anyhow::Result<Next<Job>> {
        let reader = self.reader(control);
        let repository = &control.repository;
        if reader
            .branch_tip(repository, &control.default_branch)
            .await?
            .as_deref()
            == Some(head)
        {
            self.push(repository, Work::asked(head));
            return Ok(Next::Done);
        }
        match self.pull_with_head(control, head).await? {
            Some(number) => self.push(repository, Work::Plan { number, looks: 0 }),
            None => self.push(
                repository,
                Work::PlanCommit {
                    head: head.to_owned(),
                },
            ),
        }
        Ok(Next::Done)
    }
}

/// Kubernetes writes times in whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Until when GitHub's limits let this wait, if it is that which went wrong.
fn limited_until(error: &anyhow::Error) -> Option<Timestamp> {
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<github::Error>()? {
            github::Error::RateLimited { until, .. } => Some(*until),
            _ => None,
        })
}

/// Whether this may pass without anybody doing anything.
fn retry(error: &anyhow::Error) -> Retry {
    let passes = error.chain().any(|cause| {
        let github = cause.downcast_ref::<github::Error>();
        let cluster = cause.downcast_ref::<kubernetes::Error>();
        github.is_some_and(github::Error::is_retryable)
            || cluster.is_some_and(kubernetes::Error::is_retryable)
    });
    if passes {
        Retry::Useful
    } else {
        Retry::Useless
    }
}

/// The present; everything below is given it.
#[expect(
    clippy::disallowed_methods,
    reason = "flows are where the clock is read"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
