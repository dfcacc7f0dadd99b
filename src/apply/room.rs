//! Whether what was written keeps a tenant in its room: the cluster is asked, and the Tenant remembers the answer.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};

use super::{Work, told, verdict};
use crate::kubernetes::rights::{Access, Account};
use crate::kubernetes::{Error, Reader, Teller};
use crate::observed::{Condition, Memory, Problem};
use crate::plan::Step;
use crate::report::Outcome;
use crate::room::{self, Question, Review};
use crate::tenants::diagnostic::Place;

/// Questions that are asked at the same time.
const AT_ONCE: usize = 8;

/// The server that is asked may not know yet of a binding that was made a moment ago: it is asked again.
const LOOKS: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1500),
];

/// Wrong answers that a message names.
const NAMED: usize = 3;

impl Work<'_> {
    /// Asks where something was written, or was not found to be contained before; and only if all is written.
    pub(super) async fn review(&self, outcomes: &[(Step, Outcome)]) -> Option<Problem> {
        let (entry, memory) = (self.known.entry.as_ref()?, self.known.memory.as_ref()?);
        let written = |(_, outcome): &(Step, Outcome)| *outcome == Outcome::Done;
        let is_due = outcomes.iter().any(written) || !memory.is_contained();
        if !is_due || !verdict(outcomes, memory.generation).is_true {
            return None;
        }
        let neighbour = room::neighbour(self.hands.tenants, self.tenant);
        let questions = room::questions(entry, neighbour);
        if questions.is_empty() {
            return None;
        }
        tracing::debug!(tenant = %self.tenant, questions = questions.len(), "asking what its accounts may do");
        let review = contained(self.hands.cluster.reader(), questions).await;
        let (condition, problem) = self.judge(review, memory.generation);
        self.remember_review(memory, &condition).await;
        problem
    }

    fn judge(
        &self,
        review: Result<Review, Error>,
        generation: i64,
    ) -> (Condition, Option<Problem>) {
        let (is_true, reason, message, help) = match review {
            Ok(Review::Contained) => (
                true,
                "Contained",
                "its accounts can write its namespaces and nothing else".to_owned(),
                None,
            ),
            Ok(Review::Open(wrong)) => (false, "Open", told_of(&wrong), help(&wrong)),
            Err(error) => (
                false,
                "NotAsked",
                format!("what the tenant's accounts may do is not known: {error}"),
                Some("it is asked again at the next comparison".to_owned()),
            ),
        };
        let problem = (!is_true).then(|| Problem {
            place: Place::Tenant(self.tenant.clone()),
            message: message.clone(),
            help,
        });
        let condition = Condition {
            is_true,
            reason: reason.to_owned(),
            message,
            generation,
            since: None,
        };
        (condition, problem)
    }

    async fn remember_review(&self, memory: &Memory, condition: &Condition) {
        let before = memory.contained.as_ref();
        if before == Some(condition) {
            return;
        }
        let conditions = [told("Contained", condition, before, self.hands.now)];
        let cluster = self.hands.cluster;
        let written = cluster.tell(self.tenant, Teller::Reviewing, &conditions);
        if let Err(error) = written.await {
            tracing::warn!(tenant = %self.tenant, %error, "the Tenant's status was not written");
        }
    }
}

/// Asks until the answers are right, or for long enough.
async fn contained(cluster: &Reader, questions: Vec<Question>) -> Result<Review, Error> {
    let mut review = room::review(answers(cluster, questions).await?);
    for pause in LOOKS {
        match review {
            Review::Contained => break,
            Review::Open(wrong) => {
                tokio::time::sleep(pause).await;
                review = room::review(answers(cluster, wrong).await?);
            }
        }
    }
    Ok(review)
}

async fn answers(
    cluster: &Reader,
    questions: Vec<Question>,
) -> Result<Vec<(Question, bool)>, Error> {
    let answers = questions.into_iter().map(|question| async move {
        let account = Account {
            namespace: &question.account.namespace,
            name: question.account.name,
        };
        let access = Access {
            verb: question.access.verb,
            group: question.access.group,
            resource: question.access.resource,
            namespace: question.access.namespace.as_deref(),
        };
        let allowed = cluster.may(account, access).await?;
        Ok((question, allowed))
    });
    let answers = futures::stream::iter(answers);
    answers.buffered(AT_ONCE).try_collect().await
}

fn told_of(wrong: &[Question]) -> String {
    let named: Vec<_> = wrong.iter().take(NAMED).map(Question::to_string).collect();
    let more = match wrong.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

fn help(wrong: &[Question]) -> Option<String> {
    let first = wrong.first()?;
    let place = match &first.access.namespace {
        Some(namespace) => format!(" --namespace={namespace}"),
        None => String::new(),
    };
    Some(format!(
        "find the binding that nobody meant, or the one that is missing: `kubectl auth can-i --list --as={}{place}`",
        first.account.user()
    ))
}
