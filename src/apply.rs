//! Does what an approved plan says, and reports what came of it.
//!
//! Tenants run beside each other, the steps of one in order; a failure stops its tenant alone. Every step may run twice:
//! it sets a state, or was found missing a moment ago. What is more than GitHub's limits let through now is left.

mod cluster;
mod github;
mod keys;
pub mod rotation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubernetes::Teller;
use crate::live::Traces;
use crate::names::TenantName;
use crate::object::{Fingerprint, Object, ObjectId};
use crate::observed::{Accepted, Fetching, Memory, Progress, RememberedRepository};
use crate::plan::{ApprovedPlan, Change, Hold, Plan, Step, TenantPlan};
use crate::report::{Left, Outcome, Report, Retry, TenantReport};
use crate::surroundings::Surroundings;
use crate::tenants::Tenant;
use crate::{github as hub, kubernetes};

/// Tenants that are written at the same time.
const AT_ONCE: usize = 8;

/// Things that are created on GitHub for a new tenant: its workspace, the first commit, a key.
pub const CREATIONS: usize = 3;

/// With what one writes.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    pub github: &'a hub::Writer,
    pub reader: &'a hub::Reader,
    pub cluster: &'a kubernetes::Writer,
    pub surroundings: &'a Surroundings,
    /// Lines of `known_hosts` for the Git host.
    pub known_hosts: &'a str,
    /// How many things may be created on GitHub now.
    pub room: usize,
    pub now: Timestamp,
}

/// What was seen of a tenant, as far as its steps need it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub entry: Option<Arc<Tenant>>,
    pub memory: Option<Memory>,
    pub repository: Option<RememberedRepository>,
    /// What an adoption takes over.
    pub offered: Option<RememberedRepository>,
    /// The commit at the head of the workspace's branch.
    pub head: Option<String>,
    pub public_key: Option<String>,
    /// Of the host keys beside it, where they were read or written.
    pub known_hosts: Option<Fingerprint>,
    /// Keys of the tenant that are registered and not in use; none where it is not known which are.
    pub former: Option<BTreeSet<Fingerprint>>,
    /// With which key Flux fetches; none where it fetches nothing.
    pub fetching: Option<Fetching>,
}

/// Runs the plan. `known` may also name tenants in which nothing differs: what is remembered of them is completed.
pub async fn run(
    hands: Hands<'_>,
    plan: ApprovedPlan,
    known: BTreeMap<TenantName, Known>,
) -> Report {
    let plan = plan.into_plan();
    let mut plans = plan.tenants;
    let jobs: Vec<_> = known
        .into_iter()
        .map(|(name, known)| Job {
            plan: plans.remove(&name),
            name,
            known,
        })
        .collect();
    let (jobs, left) = within(hands.room, jobs);
    let mut report = Report {
        unchanged: plan.unchanged,
        lockdown: plan.lockdown,
        notes: plan.notes,
        left,
        ..Report::default()
    };
    let written = futures::stream::iter(jobs.into_iter().map(|job| job.run(hands)));
    let mut written = written.buffer_unordered(AT_ONCE);
    while let Some((name, tenant, left)) = written.next().await {
        report.tenants.extend(tenant.map(|tenant| (name, tenant)));
        report.left.add(left);
    }
    // Nothing was looked at where something is wrong with the tenant as a whole.
    let blocked = plans
        .into_iter()
        .map(|(name, plan)| (name, untouched(plan)));
    report.tenants.extend(blocked);
    report
}

/// Things that a plan creates on GitHub.
pub fn creations(plan: &Plan) -> usize {
    plan.tenants.values().map(creations_of).sum()
}

fn creations_of(plan: &TenantPlan) -> usize {
    plan.steps.iter().map(github::creations).sum()
}

/// One tenant, to be written.
struct Job {
    name: TenantName,
    plan: Option<TenantPlan>,
    known: Known,
}

/// Which of two goes first, where there is no room for both.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Begun,
    New,
    /// It has had its turn.
    Failed,
}

impl Job {
    async fn run(self, hands: Hands<'_>) -> (TenantName, Option<TenantReport>, Left) {
        let work = Work {
            hands,
            tenant: &self.name,
            known: self.known,
            traces: Traces::default(),
        };
        let (report, left) = work.run(self.plan).await;
        (self.name, report, left)
    }

    fn creations(&self) -> usize {
        self.plan.as_ref().map_or(0, creations_of)
    }

    fn rank(&self) -> Rank {
        match &self.known.memory {
            None => Rank::New,
            Some(memory) if memory.has_failed() && self.known.is_unchanged(memory) => Rank::Failed,
            Some(_) => Rank::Begun,
        }
    }

    fn left(&self) -> Left {
        Left {
            tenants: 1,
            creations: self.creations(),
            drifted: self.known.is_finished(),
        }
    }
}

/// Those for which there is room, each as a whole; the first of all even if it needs more than there ever is.
fn within(room: usize, mut jobs: Vec<Job>) -> (Vec<Job>, Left) {
    jobs.sort_by_key(Job::rank);
    let (mut used, mut left) = (0, Left::default());
    jobs.retain(|job| {
        let creations = job.creations();
        let fits = creations == 0 || used + creations <= room || used == 0 && room > 0;
        if fits {
            used += creations;
        } else {
            left.add(job.left());
        }
        fits
    });
    (jobs, left)
}

fn untouched(plan: TenantPlan) -> TenantReport {
    let held = |step: Step| (step, Outcome::Held(Hold::Problem));
    TenantReport {
        action: plan.action,
        wish: plan.wish,
        outcomes: plan.steps.into_iter().map(held).collect(),
        problems: plan.problems,
        facts: plan.facts,
        traces: Traces::default(),
    }
}

/// One tenant, being written.
struct Work<'a> {
    hands: Hands<'a>,
    tenant: &'a TenantName,
    known: Known,
    traces: Traces,
}

/// Why a step was not done.
#[derive(Debug)]
enum Failure {
    /// The text is fit for people.
    Refused { error: String, retry: Retry },
    /// GitHub's limits let it through later.
    Limited(String),
}

impl Known {
    /// Whether there is nothing to complete of what is remembered of a tenant in which nothing differs.
    pub fn is_settled(&self) -> bool {
        let as_before = |memory: &Memory| {
            let condition = verdict(&[], memory.generation);
            self.is_as_remembered(memory, &condition)
        };
        self.memory.as_ref().is_none_or(as_before)
    }

    fn is_unchanged(&self, memory: &Memory) -> bool {
        self.entry.as_ref() == Some(&memory.entry)
    }

    /// Whether all that the entry wants was written once, so that only a look at everything finds what differs.
    fn is_finished(&self) -> bool {
        let finished = |memory: &Memory| memory.progress == Progress::Finished;
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| self.is_unchanged(memory) && finished(memory))
    }

    fn is_as_remembered(&self, memory: &Memory, condition: &Accepted) -> bool {
        let repository = self.repository.as_ref().or(memory.repository.as_ref());
        memory.accepted.as_ref() == Some(condition)
            && memory.key == self.key(memory)
            && memory.former == self.former(memory)
            && !self.is_answered(memory)
            && memory.known_hosts == self.known_hosts(memory)
            && memory.repository.as_ref() == repository
    }

    /// The fingerprint of the key that the tenant's Secret holds.
    fn key(&self, memory: &Memory) -> Option<Fingerprint> {
        let read = self
            .public_key
            .as_deref()
            .and_then(crate::keys::fingerprint);
        read.or_else(|| memory.key.clone())
    }

    /// The keys that may still be registered beside it. One that gives way to another becomes one of them.
    fn former(&self, memory: &Memory) -> BTreeSet<Fingerprint> {
        let mut former = self.former.as_ref().unwrap_or(&memory.former).clone();
        former.extend(memory.key.clone());
        if let Some(held) = self.key(memory) {
            former.remove(&held);
        }
        former
    }

    /// Whether the key that somebody has asked to be replaced is no longer in use.
    fn is_answered(&self, memory: &Memory) -> bool {
        memory.replace.is_some() && memory.replace != self.key(memory)
    }

    fn known_hosts(&self, memory: &Memory) -> Option<Fingerprint> {
        let read = self.known_hosts.clone();
        read.or_else(|| memory.known_hosts.clone())
    }
}

impl Work<'_> {
    /// What came of it, and what is left of it.
    async fn run(mut self, plan: Option<TenantPlan>) -> (Option<TenantReport>, Left) {
        let Some(plan) = plan else {
            if let Err(error) = self.settle(&[]).await {
                tracing::warn!(tenant = %self.tenant, %error, "the Tenant's status was not written");
            }
            return (None, Left::default());
        };
        let (report, left) = self.write(plan).await;
        let has_begun = left.tenants == 0 || report.did_something();
        (has_begun.then_some(report), left)
    }

    async fn write(&mut self, plan: TenantPlan) -> (TenantReport, Left) {
        let wanted = plan.wanted();
        let mut outcomes: Vec<(Step, Outcome)> = Vec::with_capacity(plan.steps.len());
        let mut failed: Option<ObjectId> = None;
        let mut left = Left::default();
        for step in plan.steps {
            let outcome = match (&step.hold, &failed) {
                (Some(hold), _) => Some(Outcome::Held(*hold)),
                (None, Some(because)) => Some(Outcome::Skipped {
                    because: Box::new(because.clone()),
                }),
                (None, None) if left.tenants > 0 => None,
                (None, None) => self.outcome(&step, wanted.get(&step.id)).await,
            };
            let Some(outcome) = outcome else {
                left.tenants = 1;
                left.creations += github::creations(&step);
                left.drifted = self.known.is_finished();
                continue;
            };
            if matches!(outcome, Outcome::Failed { .. }) {
                failed = Some(step.id.clone());
            }
            outcomes.push((step, outcome));
        }
        // Of a tenant that goes on later nothing is told yet, as if the work had been interrupted.
        if left.tenants == 0
            && let Err(failure) = self.settle(&outcomes).await
            && let Some((_, outcome)) = outcomes.last_mut().filter(|_| failed.is_none())
        {
            *outcome = failure.outcome();
        }
        let report = TenantReport {
            action: plan.action,
            wish: plan.wish,
            outcomes,
            problems: plan.problems,
            facts: plan.facts,
            traces: std::mem::take(&mut self.traces),
        };
        (report, left)
    }

    /// Nothing where GitHub's limits leave the step for later.
    async fn outcome(&mut self, step: &Step, wanted: Option<&Object>) -> Option<Outcome> {
        match self.step(step, wanted).await {
            Ok(outcome) => {
                tracing::info!(tenant = %self.tenant, object = %step.id, kind = step.id.noun(), verb = %step.change.verb(), ?outcome, "done");
                Some(outcome)
            }
            Err(Failure::Limited(error)) => {
                tracing::info!(tenant = %self.tenant, object = %step.id, kind = step.id.noun(), error, "left for later");
                None
            }
            Err(failure) => {
                tracing::warn!(tenant = %self.tenant, object = %step.id, kind = step.id.noun(), error = %failure, "failed");
                Some(failure.outcome())
            }
        }
    }

    async fn step(&mut self, step: &Step, wanted: Option<&Object>) -> Result<Outcome, Failure> {
        match (&step.id, &step.change, wanted) {
            (
                ObjectId::DeployKey { repository, title },
                Change::Update(_),
                Some(Object::DeployKey(to)),
            ) => self.rotate(repository, title, to.read_only).await,
            (
                ObjectId::FormerKey {
                    repository,
                    fingerprint,
                    ..
                },
                Change::Remove(_),
                _,
            ) => self.former_key(repository, fingerprint).await,
            _ => self.set(step, wanted).await.map(|()| Outcome::Done),
        }
    }

    async fn set(&mut self, step: &Step, wanted: Option<&Object>) -> Result<(), Failure> {
        let is_new = matches!(step.change, Change::Create | Change::Adopt(_));
        match (&step.id, wanted.filter(|_| step.change.is_wanted())) {
            (ObjectId::Manifest(id), Some(Object::Manifest(manifest))) => {
                self.manifest(id, manifest, is_new).await
            }
            (ObjectId::Credentials { namespace }, Some(_)) => {
                if is_new {
                    self.credentials(namespace).await
                } else {
                    self.known_hosts(namespace).await
                }
            }
            (ObjectId::Repository(name), Some(Object::Repository(to))) => {
                self.repository(name, to, &step.change).await
            }
            (ObjectId::TeamAccess { repository, team }, Some(Object::TeamAccess(to))) => {
                self.team_access(repository, team, to.permission).await
            }
            (ObjectId::DeployKey { repository, title }, Some(Object::DeployKey(to))) => {
                self.deploy_key(repository, title, to.read_only).await
            }
            // Removals are held by the guard, so none of them arrives here.
            (id, _) => Err(Failure::useless(format!(
                "{} `{id}` cannot be changed by this version",
                id.noun()
            ))),
        }
    }

    /// Completes what is remembered of the tenant, if that is not so already.
    async fn settle(&mut self, outcomes: &[(Step, Outcome)]) -> Result<(), Failure> {
        let Some(memory) = &self.known.memory else {
            return Ok(());
        };
        let accepted = verdict(outcomes, memory.generation);
        let cluster = self.hands.cluster;
        let status = self.status(memory, &accepted);
        if status != json!({}) {
            cluster.remember(self.tenant, &status).await?;
        }
        if memory.accepted.as_ref() != Some(&accepted) {
            let condition = self.condition(&accepted, memory);
            cluster
                .tell(self.tenant, Teller::Writing, &[condition])
                .await?;
        }
        Ok(())
    }

    /// What the status is to say beside its conditions, as far as it does not yet.
    fn status(&self, memory: &Memory, accepted: &Accepted) -> Value {
        let mut status = json!({});
        if let Some(repository) = &self.known.repository
            && memory.repository.as_ref() != Some(repository)
        {
            status["repository"] =
                json!({ "nodeId": repository.node_id, "fullName": repository.full_name });
        }
        if let Some(key) = self.known.key(memory)
            && memory.key.as_ref() != Some(&key)
        {
            status["deployKey"]["fingerprint"] = json!(key);
        }
        let former = self.known.former(memory);
        if memory.former != former {
            status["deployKey"]["former"] = keys::listed(&former);
        }
        if self.known.is_answered(memory) {
            status["deployKey"]["replace"] = Value::Null;
        }
        if let Some(known_hosts) = self.known.known_hosts(memory)
            && memory.known_hosts.as_ref() != Some(&known_hosts)
        {
            status["deployKey"]["knownHosts"] = json!(known_hosts);
        }
        if accepted.is_true && memory.progress == Progress::New {
            status["onboardedAt"] = json!(self.hands.now);
        }
        status
    }

    fn condition(&self, condition: &Accepted, memory: &Memory) -> Value {
        let before = memory
            .accepted
            .as_ref()
            .filter(|before| before.is_true == condition.is_true);
        let since = before
            .and_then(|before| before.since)
            .unwrap_or(self.hands.now);
        json!({
            "type": "Accepted",
            "status": if condition.is_true { "True" } else { "False" },
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": condition.generation,
            "lastTransitionTime": whole_seconds(since),
        })
    }
}

/// Kubernetes writes times in whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// What the outcomes make of the condition `Accepted`: whether everything that the entry wants is written.
fn verdict(outcomes: &[(Step, Outcome)], generation: i64) -> Accepted {
    let of = |is_true, reason: &str, message: String| Accepted {
        is_true,
        reason: reason.to_owned(),
        message,
        generation,
        since: None,
    };
    let failed = outcomes.iter().find_map(|(step, outcome)| match outcome {
        Outcome::Failed { error, .. } => Some((step, error)),
        Outcome::Done | Outcome::Skipped { .. } | Outcome::Held(_) | Outcome::Waiting => None,
    });
    if let Some((step, error)) = failed {
        return of(
            false,
            Accepted::FAILED,
            format!("{} {}: {error}", step.id.noun(), step.id),
        );
    }
    let held: Vec<_> = outcomes
        .iter()
        .filter(|(step, outcome)| is_owed(step, outcome))
        .collect();
    match held.first() {
        Some((step, Outcome::Waiting)) => of(
            false,
            "Waiting",
            format!(
                "{} {}: Flux is to fetch first with the key that it has",
                step.id.noun(),
                step.id
            ),
        ),
        Some((step, _)) => of(
            false,
            "Held",
            format!("{} of {} held: {}", step.id.noun(), held.len(), step.id),
        ),
        None => of(
            true,
            "Written",
            "every object of the entry is written".to_owned(),
        ),
    }
}

/// A held step that the entry wants; what people added beside the file is not the entry's concern.
fn is_owed(step: &Step, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Held(Hold::Removal) | Outcome::Waiting => step.change.is_wanted(),
        Outcome::Held(Hold::Narrower | Hold::Unannounced | Hold::NotLockedDown | Hold::Problem) => {
            true
        }
        Outcome::Held(Hold::NotNamed)
        | Outcome::Done
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. } => false,
    }
}

impl Failure {
    fn useless(error: impl Into<String>) -> Self {
        Self::Refused {
            error: error.into(),
            retry: Retry::Useless,
        }
    }

    fn useful(error: impl Into<String>) -> Self {
        Self::Refused {
            error: error.into(),
            retry: Retry::Useful,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Refused { error, retry } => Outcome::Failed { error, retry },
            Self::Limited(error) => Outcome::Failed {
                error,
                retry: Retry::Useful,
            },
        }
    }

    fn new(error: &impl fmt::Display, may_pass: bool) -> Self {
        if may_pass {
            Self::useful(error.to_string())
        } else {
            Self::useless(error.to_string())
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, .. } | Self::Limited(error) => formatter.write_str(error),
        }
    }
}

impl From<hub::Error> for Failure {
    fn from(error: hub::Error) -> Self {
        match error {
            hub::Error::RateLimited { .. } => Self::Limited(error.to_string()),
            error => Self::new(&error, error.is_retryable()),
        }
    }
}

impl From<kubernetes::Error> for Failure {
    fn from(error: kubernetes::Error) -> Self {
        Self::new(&error, error.is_retryable())
    }
}
