//! Follows tenants until they are live: watches in, conditions, comments and checks out.
//!
//! Three watches, however many tenants there are. What is decided is decided by [`Following`]; here it is done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::control::Control;
use super::reporting::{Beginning, Written, in_api_words, is_completed, underway};
use super::{APPLY_CHECK, Bot, Pace, Work, now};
use crate::flux::REQUESTED_AT;
use crate::flux::{ControlNamespace, SYNC};
use crate::github::{Error, Progress, Shown};
use crate::kubernetes::rights::{Access, Account};
use crate::kubernetes::watch::Seen;
use crate::kubernetes::{self, Teller};
use crate::live::following::{Applied, Finished, Task, Telling, WATCHED};
use crate::live::room::Room;
use crate::live::synced::{CONDITIONS, Condition};
use crate::live::{Course, Following, MergeId, Patience, Push, Review, Workspace};
use crate::names::{FullName, TenantName};
use crate::object::{Kind, ManifestId};
use crate::render::check::Underway;
use crate::render::comment::MARKER;
use crate::render::live;

/// Tasks that are done at the same time.
const AT_ONCE: usize = 8;
/// Questions about one tenant's accounts that are asked at the same time.
const QUESTIONS: usize = 8;
/// Objects that the watches may be ahead by.
const SIGHTS: usize = 64;

/// What is followed, shared by the flows and by the loop that acts on it.
#[derive(Clone)]
pub struct Follow {
    state: Arc<Mutex<Following>>,
    /// Something is new for the loop.
    changed: Arc<Notify>,
    /// The loop has done something.
    acted: Arc<Notify>,
}

impl Follow {
    pub fn new(pace: Pace, control_repos: impl IntoIterator<Item = FullName>) -> Self {
        let signed =
            |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let patience = Patience {
            deadline: signed(pace.live_deadline),
            telling: signed(pace.telling),
        };
        Self {
            state: Arc::new(Mutex::new(Following::new(patience, control_repos))),
            changed: Arc::default(),
            acted: Arc::default(),
        }
    }

    /// Whether nothing is to be told or written, and nothing is being.
    pub fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }

    /// Returns when that is so.
    pub async fn idle(&self) {
        loop {
            let acted = self.acted.notified();
            tokio::pin!(acted);
            // Registered before the look, so that nothing between the two is missed.
            acted.as_mut().enable();
            if self.is_idle() {
                return;
            }
            acted.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Following> {
        self.state
            .lock()
            .expect("no code panics while it holds what is followed")
    }

    /// Something is new.
    fn take<T>(&self, news: impl FnOnce(&mut Following, Timestamp) -> T) -> T {
        let told = news(&mut self.lock(), now());
        self.changed.notify_waiters();
        told
    }

    /// The heads of workspaces, as GitHub was asked for them at some time.
    pub(super) fn heads(&self, heads: &BTreeMap<TenantName, String>, asked: Timestamp) {
        self.take(|following, now| {
            for (tenant, commit) in heads {
                following.head(tenant, commit, asked, now);
            }
        });
    }

    pub(super) fn pushed(&self, push: &Push<'_>) -> bool {
        self.take(|following, now| following.pushed(push, now))
    }

    /// Follows what a merge has written, once nobody else is telling of it; the first telling is the caller's.
    pub(super) async fn begin(&self, applied: Applied) -> Telling {
        loop {
            let acted = self.acted.notified();
            tokio::pin!(acted);
            acted.as_mut().enable();
            if !self.lock().is_telling(&applied.id) {
                return self.take(|following, now| following.follow(applied, now));
            }
            acted.await;
        }
    }

    pub(super) fn told(&self, telling: Telling, done: bool) {
        self.finished(Finished::Told { telling, done });
    }

    fn finished(&self, finished: Finished) {
        self.take(|following, now| following.finished(finished, now));
    }
}

impl Bot {
    /// Watches and acts, for as long as the app runs.
    pub async fn follow(self) {
        let (seen, mut sights) = mpsc::channel(SIGHTS);
        let mut watches = JoinSet::new();
        for kind in WATCHED {
            let reader = self.shared.cluster.reader().clone();
            watches.spawn(reader.watch(kind, seen.clone()));
        }
        let follow = self.shared.follow.clone();
        let mut work = JoinSet::new();
        let mut waiting = VecDeque::new();
        let mut batch = Vec::with_capacity(SIGHTS);
        loop {
            let changed = follow.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            waiting.extend(follow.lock().tasks(now()));
            while work.len() < AT_ONCE {
                let Some(task) = waiting.pop_front() else {
                    break;
                };
                work.spawn(self.clone().perform(task));
            }
            follow.acted.notify_waiters();
            let next = follow.lock().next();
            tokio::select! {
                () = changed => {}
                () = until(next) => {}
                Some(done) = work.join_next() => if let Err(error) = done {
                    tracing::error!(%error, "a task ended early");
                },
                _ = sights.recv_many(&mut batch, SIGHTS) => {
                    let mut following = follow.lock();
                    batch.drain(..).for_each(|(kind, seen)| see(&mut following, kind, seen));
                }
            }
        }
    }

    async fn perform(self, task: Task) {
        let finished = match task {
            Task::Write { tenant, conditions } => {
                let done = self.write(&tenant, &conditions).await;
                Finished::Written {
                    tenant,
                    conditions,
                    done,
                }
            }
            Task::Review(room) => {
                let review = self.review(&room).await;
                let tenant = room.tenant;
                Finished::Reviewed { tenant, review }
            }
            Task::Sync { tenant } => {
                self.ask_flux(&tenant).await;
                Finished::Asked
            }
            Task::Look(workspace) => {
                let asked = now();
                let head = self.head(&workspace).await;
                let tenant = workspace.tenant;
                Finished::Looked {
                    tenant,
                    asked,
                    head,
                }
            }
            Task::Compare {
                tenant,
                control_repository,
            } => {
                tracing::info!(%tenant, "its deploy key is being replaced: to be compared");
                self.push(&control_repository, Work::compare(tenant));
                Finished::Asked
            }
            Task::Tell(telling) => {
                let told = self.tell_course(&telling).await;
                if let Err(error) = &told {
                    let commit = &telling.merge.commit;
                    tracing::error!(commit, "that tenants become live was not told: {error:#}");
                }
                Finished::Told {
                    telling,
                    done: told.is_ok(),
                }
            }
        };
        self.shared.follow.finished(finished);
    }

    async fn write(&self, tenant: &TenantName, conditions: &[Condition; 4]) -> bool {
        let conditions: Vec<_> = CONDITIONS
            .iter()
            .zip(conditions)
            .map(|((_, name), condition)| told(name, condition))
            .collect();
        let cluster = &self.shared.cluster;
        let written = cluster.tell(tenant, Teller::Following, &conditions).await;
        if let Err(error) = &written {
            tracing::warn!(%tenant, %error, "the Tenant's status was not written");
        }
        written.is_ok()
    }

    /// Asks the cluster what the tenant's accounts may do.
    async fn review(&self, room: &Room) -> Review {
        let cluster = self.shared.cluster.reader();
        let answers = room.questions().into_iter().map(|question| async move {
            let account = Account {
                namespace: &question.account.namespace,
                name: question.account.name,
            };
            let access = Access {
                verb: question.verb,
                group: question.group,
                resource: question.resource,
                namespace: question.namespace.as_deref(),
            };
            let allowed = cluster.may(account, access).await?;
            Ok::<_, kubernetes::Error>((question, allowed))
        });
        let answers = futures::stream::iter(answers).buffered(QUESTIONS);
        match answers.try_collect::<Vec<_>>().await {
            Ok(answers) => {
                let review = Room::review(&answers);
                if let Review::Open { message, .. } = &review {
                    tracing::warn!(tenant = %room.tenant, "a tenant is not kept in its room: {message}");
                }
                review
            }
            Err(error) => {
                tracing::warn!(tenant = %room.tenant, %error, "what the tenant's accounts may do was not told");
                Review::Untold {
                    message: error.to_string(),
                }
            }
        }
    }

    /// Flux fetches at once instead of at the next interval.
    async fn ask_flux(&self, tenant: &TenantName) {
        let source = ManifestId {
            kind: Kind::GitRepository,
            namespace: Some(ControlNamespace::of(tenant).to_string()),
            name: SYNC.to_owned(),
        };
        let at = now().to_string();
        match self
            .shared
            .cluster
            .annotate(&source, REQUESTED_AT, &at)
            .await
        {
            Ok(()) => tracing::info!(%tenant, "Flux is asked to fetch"),
            // It does so by itself at the next interval.
            Err(error) => tracing::warn!(%tenant, %error, "Flux could not be asked to fetch"),
        }
    }

    /// Asks GitHub for the head of the branch; nothing, where it does not say or there is none.
    async fn head(&self, workspace: &Workspace) -> Option<String> {
        let Workspace {
            tenant,
            control_repository,
            repository,
            branch,
        } = workspace;
        let tip = async {
            let control = self.control(control_repository).await?;
            let target = self.target(&control, &repository.owner).await?;
            let tip = target.reader.branch_tip(repository, branch.as_str());
            anyhow::Ok(tip.await?)
        };
        match tip.await {
            Ok(head) => head,
            Err(error) => {
                tracing::warn!(%tenant, "where the workspace stands was not told: {error:#}");
                None
            }
        }
    }

    async fn tell_course(&self, telling: &Telling) -> anyhow::Result<()> {
        let Telling {
            merge,
            pulls,
            course,
            concludes,
        } = telling;
        let control = self.control(&merge.repository).await?;
        let pulls = match pulls {
            Some(pulls) => pulls.clone(),
            None => self.pulls_of(&control, &merge.commit).await?,
        };
        for number in &pulls {
            self.retell_comment(&control, *number, course).await?;
        }
        if *concludes || pulls.is_empty() {
            self.retell_check(&control, merge, course).await?;
        }
        tracing::info!(
            commit = merge.commit,
            live = course.live(),
            of = course.legs.len(),
            "told"
        );
        Ok(())
    }

    async fn pulls_of(&self, control: &Control, commit: &str) -> anyhow::Result<Vec<u64>> {
        let reader = self.reader(control);
        let commits = [commit.to_owned()];
        let pulls = reader.pulls_with(&control.repository, &commits).await?;
        Ok(pulls
            .into_values()
            .flatten()
            .map(|pull| pull.number)
            .collect())
    }

    /// Brings the comment to where the course is; says whether it speaks of one.
    pub(super) async fn retell_comment(
        &self,
        control: &Control,
        number: u64,
        course: &Course,
    ) -> anyhow::Result<bool> {
        let comments = &self.shared.comments;
        if let Some(Written {
            id,
            text: Some(text),
        }) = comments.of(control, number)
        {
            match self.retell(control, (number, id), &text, course).await {
                // Somebody has deleted it.
                Err(Error::NotFound { .. }) => {}
                told => return Ok(told?),
            }
        }
        let bot = self.shared.app.bot_login();
        let reporter = self.reporter(control);
        let Some(comment) = reporter.find_comment(number, MARKER, &bot).await? else {
            return Ok(false);
        };
        let at = (number, comment.id);
        Ok(self.retell(control, at, &comment.body, course).await?)
    }

    /// The same with a comment that says this so far.
    async fn retell(
        &self,
        control: &Control,
        (number, id): (u64, u64),
        so_far: &str,
        course: &Course,
    ) -> Result<bool, Error> {
        let Some(text) = live::retold(so_far, course) else {
            return Ok(false);
        };
        if text != so_far {
            self.reporter(control).update_comment(id, &text).await?;
        }
        let text = Some(text).filter(|_| !course.turn.is_over());
        let written = Written { id, text };
        self.shared.comments.keep(control, number, written);
        Ok(true)
    }

    /// Brings the check to where the course is, unless it speaks of something else by now.
    async fn retell_check(
        &self,
        control: &Control,
        merge: &MergeId,
        course: &Course,
    ) -> anyhow::Result<()> {
        let begun = &self.shared.begun;
        let run = match begun.shown(&control.repository, &merge.commit, APPLY_CHECK) {
            Some(run) => Some(run),
            None => self.check(control, &merge.commit, APPLY_CHECK).await?,
        };
        let Some(run) = run else {
            return Ok(());
        };
        let (Some(title), Some(summary)) = (
            live::check_title(&run.summary, course),
            live::retold(&run.summary, course),
        ) else {
            return Ok(());
        };
        let progress = match live::conclusion(&course.turn) {
            Some(conclusion) => Progress::Completed(in_api_words(conclusion)),
            None => run.progress,
        };
        if (progress, &title, &summary) == (run.progress, &run.title, &run.summary) {
            return Ok(());
        }
        let shown = Underway {
            title,
            summary,
            text: run.text.clone(),
        };
        if !is_completed(progress) {
            let beginning = Beginning {
                name: APPLY_CHECK,
                head: &merge.commit,
                shown,
            };
            return self.show(control, beginning, Some(&run)).await;
        }
        self.reporter(control)
            .update_check(
                run.id,
                &Shown {
                    progress,
                    ..underway(shown)
                },
            )
            .await?;
        begun.forget(&control.repository, &merge.commit, APPLY_CHECK);
        Ok(())
    }
}

fn see(following: &mut Following, kind: Kind, seen: Seen) {
    match seen {
        Seen::Listing => following.list_begins(kind),
        Seen::Present(object) => following.see(kind, &object, now()),
        Seen::Gone(object) => following.lose(kind, &object, now()),
        Seen::Listed => following.list_ends(kind, now()),
    }
}

/// As it stands in the status.
fn told(name: &str, condition: &Condition) -> Value {
    let since = condition.since.map(super::whole_seconds);
    json!({
        "type": name,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.generation,
        "lastTransitionTime": since,
    })
}

/// For ever, if there is no such time.
async fn until(time: Option<Timestamp>) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    let wait = time.duration_since(now());
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
}
