//! Does what an approved plan says, and reports what came of it.
//!
//! Tenants run beside each other, the steps of one in order; a failure stops its tenant alone. Every step may run twice:
//! it sets a state, or was found missing a moment ago.

mod cluster;
mod github;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubernetes::Teller;
use crate::names::TenantName;
use crate::object::{Fingerprint, Object, ObjectId};
use crate::observed::{Condition, Facts, Memory, Progress, RememberedRepository};
use crate::plan::{ApprovedPlan, Change, Hold, Step, TenantAction, TenantPlan};
use crate::report::{Outcome, Report, Retry, TenantReport};
use crate::surroundings::Surroundings;
use crate::tenants::{Tenant, Tenants};
use crate::{github as hub, keys, kubernetes};

/// Tenants that are written at the same time.
const AT_ONCE: usize = 8;

/// With what one writes.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    pub github: &'a hub::Writer,
    pub reader: &'a hub::Reader,
    pub cluster: &'a kubernetes::Writer,
    pub surroundings: &'a Surroundings,
    /// Lines of `known_hosts` for the Git host.
    pub known_hosts: &'a str,
    pub now: Timestamp,
    /// Of the whole file: each is asked about the room beside it.
    pub tenants: &'a Tenants,
}

/// What was seen of a tenant, as far as its steps need it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub entry: Option<Arc<Tenant>>,
    pub memory: Option<Memory>,
    pub repository: Option<RememberedRepository>,
    /// What an adoption takes over.
    pub offered: Option<RememberedRepository>,
    pub public_key: Option<String>,
}

/// Runs the plan. `known` may also name tenants in which nothing differs: what is remembered of them is completed.
pub async fn run(
    hands: Hands<'_>,
    plan: ApprovedPlan,
    known: BTreeMap<TenantName, Known>,
) -> Report {
    let plan = plan.into_plan();
    let (unchanged, notes) = (plan.unchanged, plan.notes);
    let mut plans = plan.tenants;
    let jobs: Vec<_> = known
        .into_iter()
        .map(|(name, known)| (plans.remove(&name), name, known))
        .collect();
    let reports = futures::stream::iter(jobs.into_iter().map(|(plan, name, known)| async move {
        let report = Work {
            hands,
            tenant: &name,
            known,
        }
        .run(plan)
        .await;
        report.map(|report| (name, report))
    }));
    let mut tenants: BTreeMap<_, _> = reports
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    // Nothing was looked at where something is wrong with the tenant as a whole.
    let blocked = plans
        .into_iter()
        .map(|(name, plan)| (name, untouched(plan)));
    tenants.extend(blocked);
    Report {
        tenants,
        unchanged,
        notes,
    }
}

fn untouched(plan: TenantPlan) -> TenantReport {
    let held = |step: Step| (step, Outcome::Held(Hold::Problem));
    TenantReport {
        action: plan.action,
        wish: plan.wish,
        outcomes: plan.steps.into_iter().map(held).collect(),
        problems: plan.problems,
        facts: plan.facts,
    }
}

/// One tenant, being written.
struct Work<'a> {
    hands: Hands<'a>,
    tenant: &'a TenantName,
    known: Known,
}

/// A step that could not be done; the text is fit for people.
#[derive(Debug)]
struct Failure {
    error: String,
    retry: Retry,
}

impl Known {
    /// Whether there is nothing to complete of what is remembered of a tenant in which nothing differs.
    pub fn is_settled(&self) -> bool {
        let as_before = |memory: &Memory| {
            let condition = verdict(&[], memory.generation);
            self.is_as_remembered(memory, &condition) && memory.is_contained()
        };
        self.memory.as_ref().is_none_or(as_before)
    }

    fn is_as_remembered(&self, memory: &Memory, condition: &Condition) -> bool {
        let repository = self.repository.as_ref().or(memory.repository.as_ref());
        memory.accepted.as_ref() == Some(condition)
            && memory.key == self.key(memory)
            && memory.repository.as_ref() == repository
    }

    /// The fingerprint of the key that the tenant's Secret holds.
    fn key(&self, memory: &Memory) -> Option<Fingerprint> {
        let read = self.public_key.as_deref().and_then(keys::fingerprint);
        read.or_else(|| memory.key.clone())
    }
}

impl Work<'_> {
    async fn run(mut self, plan: Option<TenantPlan>) -> Option<TenantReport> {
        let Some(plan) = plan else {
            return self.complete().await;
        };
        let wanted = plan.wanted();
        let mut outcomes: Vec<(Step, Outcome)> = Vec::with_capacity(plan.steps.len());
        let mut failed: Option<ObjectId> = None;
        for step in plan.steps {
            let outcome = match (&step.hold, &failed) {
                (Some(hold), _) => Outcome::Held(*hold),
                (None, Some(because)) => Outcome::Skipped {
                    because: Box::new(because.clone()),
                },
                (None, None) => self.outcome(&step, wanted.get(&step.id)).await,
            };
            if matches!(outcome, Outcome::Failed { .. }) {
                failed = Some(step.id.clone());
            }
            outcomes.push((step, outcome));
        }
        if let Err(Failure { error, retry }) = self.settle(&outcomes).await
            && let Some((_, outcome)) = outcomes.last_mut().filter(|_| failed.is_none())
        {
            *outcome = Outcome::Failed { error, retry };
        }
        let mut problems = plan.problems;
        problems.extend(self.review(&outcomes).await);
        Some(TenantReport {
            action: plan.action,
            wish: plan.wish,
            outcomes,
            problems,
            facts: plan.facts,
        })
    }

    /// Nothing differs, but what is remembered is not complete.
    async fn complete(self) -> Option<TenantReport> {
        if let Err(Failure { error, .. }) = self.settle(&[]).await {
            tracing::warn!(tenant = %self.tenant, error, "the Tenant's status was not written");
            return None;
        }
        let problem = self.review(&[]).await?;
        Some(TenantReport {
            action: TenantAction::Change,
            wish: None,
            outcomes: Vec::new(),
            problems: vec![problem],
            facts: Facts::default(),
        })
    }

    async fn outcome(&mut self, step: &Step, wanted: Option<&Object>) -> Outcome {
        match self.step(step, wanted).await {
            Ok(()) => {
                tracing::info!(tenant = %self.tenant, object = %step.id, kind = step.id.noun(), verb = %step.change.verb(), "done");
                Outcome::Done
            }
            Err(Failure { error, retry }) => {
                tracing::warn!(tenant = %self.tenant, object = %step.id, kind = step.id.noun(), error, "failed");
                Outcome::Failed { error, retry }
            }
        }
    }

    async fn step(&mut self, step: &Step, wanted: Option<&Object>) -> Result<(), Failure> {
        let is_new = matches!(step.change, Change::Create | Change::Adopt(_));
        match (&step.id, wanted.filter(|_| step.change.is_wanted())) {
            (ObjectId::Manifest(id), Some(Object::Manifest(manifest))) => {
                self.manifest(id, manifest, is_new).await
            }
            (ObjectId::Credentials { namespace }, Some(_)) => self.credentials(namespace).await,
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
            (id, _) => Err(Failure {
                error: format!("{} `{id}` cannot be changed by this version", id.noun()),
                retry: Retry::Useless,
            }),
        }
    }

    /// Completes what is remembered of the tenant, if that is not so already.
    async fn settle(&self, outcomes: &[(Step, Outcome)]) -> Result<(), Failure> {
        let Some(memory) = &self.known.memory else {
            return Ok(());
        };
        let accepted = verdict(outcomes, memory.generation);
        let cluster = self.hands.cluster;
        let status = self.status(memory, &accepted);
        if status != json!({}) {
            cluster.remember(self.tenant, &status).await?;
        }
        let before = memory.accepted.as_ref();
        if before != Some(&accepted) {
            let condition = told("Accepted", &accepted, before, self.hands.now);
            let teller = Teller::Writing;
            cluster.tell(self.tenant, teller, &[condition]).await?;
        }
        Ok(())
    }

    /// What the status is to say beside its conditions, as far as it does not yet.
    fn status(&self, memory: &Memory, accepted: &Condition) -> Value {
        let mut status = json!({});
        if let Some(repository) = &self.known.repository
            && memory.repository.as_ref() != Some(repository)
        {
            status["repository"] =
                json!({ "nodeId": repository.node_id, "fullName": repository.full_name });
        }
        let key = self.known.key(memory);
        if let Some(Fingerprint(fingerprint)) =
            key.as_ref().filter(|key| memory.key.as_ref() != Some(key))
        {
            status["deployKey"] = json!({ "fingerprint": fingerprint });
        }
        if accepted.is_true && memory.progress == Progress::New {
            status["onboardedAt"] = json!(self.hands.now);
        }
        status
    }
}

/// A condition as the Tenant has it; `before` is what it says now.
fn told(name: &str, condition: &Condition, before: Option<&Condition>, now: Timestamp) -> Value {
    let as_before = before.filter(|before| before.is_true == condition.is_true);
    let since = as_before.and_then(|before| before.since).unwrap_or(now);
    json!({
        "type": name,
        "status": if condition.is_true { "True" } else { "False" },
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.generation,
        "lastTransitionTime": whole_seconds(since),
    })
}

/// Kubernetes writes times in whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// What the outcomes make of the condition `Accepted`: whether everything that the entry wants is written.
fn verdict(outcomes: &[(Step, Outcome)], generation: i64) -> Condition {
    let of = |is_true, reason: &str, message: String| Condition {
        is_true,
        reason: reason.to_owned(),
        message,
        generation,
        since: None,
    };
    let failed = outcomes.iter().find_map(|(step, outcome)| match outcome {
        Outcome::Failed { error, .. } => Some((step, error)),
        Outcome::Done | Outcome::Skipped { .. } | Outcome::Held(_) => None,
    });
    if let Some((step, error)) = failed {
        return of(
            false,
            "Failed",
            format!("{} {}: {error}", step.id.noun(), step.id),
        );
    }
    let held: Vec<_> = outcomes
        .iter()
        .filter(|(step, outcome)| is_owed(step, outcome))
        .collect();
    match held.first() {
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
        Outcome::Held(Hold::Removal) => step.change.is_wanted(),
        Outcome::Held(Hold::Narrower | Hold::Unannounced | Hold::Problem) => true,
        Outcome::Held(Hold::NotNamed)
        | Outcome::Done
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. } => false,
    }
}

impl Failure {
    fn new(error: &impl std::fmt::Display, may_pass: bool) -> Self {
        let retry = if may_pass {
            Retry::Useful
        } else {
            Retry::Useless
        };
        Self {
            error: error.to_string(),
            retry,
        }
    }
}

impl From<hub::Error> for Failure {
    fn from(error: hub::Error) -> Self {
        Self::new(&error, error.is_retryable())
    }
}

impl From<kubernetes::Error> for Failure {
    fn from(error: kubernetes::Error) -> Self {
        Self::new(&error, error.is_retryable())
    }
}
