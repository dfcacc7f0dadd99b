//! Merges that GitHub's limits make long: done in slices, between which newer ones are taken up, and told of meanwhile.
//!
//! Each slice is a reconcile of its own, of the file as it is then. What it does not get to it leaves for the next, which
//! comes when there is room for as much as there ever is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::control::{Control, Target};
use super::job::Reconcile;
use super::merge::Round;
use super::pull_request::lines;
use super::reporting::Saying;
use super::{Bot, Job, Work, now};
use crate::apply;
use crate::compare::Scope;
use crate::names::FullName;
use crate::observe::Memories;
use crate::plan::Plan;
use crate::queue::Next;
use crate::render::{check, comment};
use crate::report::{Left, Progress, Report, Told, Verdict};
use crate::tenants::Parsed;

/// Between two slices at least, whatever the limits say.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// So long after its Tenant object the last thing of a tenant was created, usually.
const TIME_OF_A_TENANT: SignedDuration = SignedDuration::from_secs(10);

/// Longer than any limit looks back.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(25);

/// What the slices so far have done, by control repo; nothing of a control repo that has not been reconciled yet.
#[derive(Default)]
pub(super) struct Merges(Mutex<BTreeMap<FullName, Arc<Report>>>);

impl Merges {
    fn reports(&self) -> MutexGuard<'_, BTreeMap<FullName, Arc<Report>>> {
        self.0
            .lock()
            .expect("no code panics while it holds the reports")
    }

    pub(super) fn so_far(&self, repository: &FullName) -> Arc<Report> {
        self.reports().get(repository).cloned().unwrap_or_default()
    }

    /// With what came next. Whoever still holds what it was before has it copied, and it may be of ten thousand tenants.
    pub(super) fn absorb(&self, repository: &FullName, later: Report) -> Arc<Report> {
        let mut reports = self.reports();
        let report = reports.entry(repository.clone()).or_default();
        Arc::make_mut(report).absorb(later);
        Arc::clone(report)
    }

    /// All of it is told.
    pub(super) fn end(&self, repository: &FullName) {
        self.reports().insert(repository.clone(), Arc::default());
    }

    fn is_first(&self, repository: &FullName) -> bool {
        let mut reports = self.reports();
        let is_first = !reports.contains_key(repository);
        reports.entry(repository.clone()).or_default();
        is_first
    }
}

/// How much there is to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Tenants still to be worked on, and those with which the work is done.
    to_do: usize,
    done: usize,
    /// Of the latter, those of a process before this one.
    pub(super) earlier: usize,
    /// Things still to be created on GitHub.
    pub(super) creations: usize,
}

impl Extent {
    /// `told` is what was told last of the same file.
    pub(super) fn of(plan: &Plan, left: Left, so_far: &Report, told: Option<&Told>) -> Self {
        let runs =
            |plan: &&crate::plan::TenantPlan| plan.steps.iter().any(|step| step.hold.is_none());
        let to_do = plan.tenants.values().filter(runs).count() + left.tenants;
        let elsewhere = |name: &&crate::names::TenantName| !plan.tenants.contains_key(*name);
        let done = so_far.tenants.keys().filter(elsewhere).count();
        let earlier = told.map_or(0, |told| told.progress.of.saturating_sub(to_do + done));
        Self {
            to_do,
            done: done + earlier,
            earlier,
            creations: apply::creations(plan) + left.creations,
        }
    }

    /// With so much of it still to do.
    pub(super) fn progress(self, left: usize, begun: Timestamp, end: Timestamp) -> Progress {
        let of = self.done + self.to_do;
        Progress {
            done: of.saturating_sub(left),
            of,
            begun,
            end,
        }
    }

    pub(super) fn at_the_start(self, begun: Timestamp, end: Timestamp) -> Progress {
        self.progress(self.to_do, begun, end)
    }
}

/// What to look at: of a work that goes on, only as much as there is room for now.
pub(super) fn scope(wanted: &Reconcile, room: usize, so_far: &Report) -> Scope {
    if wanted.everything {
        return Scope::Everything;
    }
    if !wanted.goes_on {
        return Scope::Changed;
    }
    // Some are new for ever, because something is wrong with them: they take no room, and nobody else's place.
    let failed = |verdict: Verdict| verdict == Verdict::Failed;
    let tenants = so_far.tenants.values();
    let wrong = tenants.filter(|tenant| failed(tenant.verdict())).count();
    Scope::Slice((room / apply::CREATIONS).saturating_add(wrong).max(1))
}

impl Bot {
    /// Tells the limits what a process before this one has created: each tenant remembers when it came to be.
    pub(super) fn presume(&self, control: &Control, target: &Target, memories: &Memories) {
        if !self.shared.merges.is_first(&control.repository) {
            return;
        }
        let now = now();
        let memories = memories
            .values()
            .flatten()
            .map(|remembered| &remembered.memory);
        let ours = memories.filter(|memory| memory.control_repository == control.repository);
        let of_late = ours.filter(|memory| now.duration_since(memory.created_at) < LONG_AGO);
        let created = of_late.flat_map(|memory| {
            let at = (memory.created_at + TIME_OF_A_TENANT).min(now);
            std::iter::repeat_n(at, apply::CREATIONS)
        });
        target.writer.presume(&created.collect::<Vec<_>>());
    }

    /// Tells how far it is, if that is worth it.
    pub(super) async fn tell(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        report: &Report,
        (progress, told): (Progress, &Told),
    ) -> anyhow::Result<()> {
        let apart = SignedDuration::try_from(self.shared.setup.pace.progress)?;
        let now = now();
        tracing::info!(repository = %round.control.repository, commit = round.tip, done = progress.done, of = progress.of, end = %progress.end, "a slice is applied");
        if !progress.is_news(told, now, apart) {
            return Ok(());
        }
        let told = Told {
            progress,
            at: now,
            times: told.times + 1,
            owed: round.owed.clone(),
        };
        let lines = lines(parsed);
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::slice_comment(report, &setting, &progress);
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
        }
        self.show_check(round, check::progress_check(&told)).await
    }
}

/// The next slice, at its time.
pub(super) fn go_on(round: &Round<'_>, left: Left, at: Timestamp, wanted: &Reconcile) -> Next<Job> {
    let pause = at.duration_since(now()).try_into().unwrap_or_default();
    let work = Work::Reconcile(Reconcile {
        commits: vec![round.tip.to_owned()],
        owed: round.owed.clone(),
        everything: wanted.everything && left.drifted,
        tenants: wanted.tenants.clone(),
        replan: wanted.replan,
        telling: wanted.telling,
        retries: wanted.retries,
        goes_on: true,
    });
    Next::Again {
        job: Job {
            repository: round.control.repository.clone(),
            work,
            tries: 0,
        },
        after: SHORTEST_PAUSE.max(pause),
    }
}
