//! The hourly request budgets, as `x-ratelimit-*` and `/rate_limit` tell them, and the limits on what is created.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::auth::Caller;
use super::clock;

/// Requests and points an hour, unless a test sets something else.
const USUAL_LIMIT: u32 = 5_000;

/// Until a budget is whole again, unless a test sets something else.
const USUAL_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Which budget a request draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Core,
    Graphql,
}

impl Resource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
        }
    }
}

/// Every caller's budgets.
pub(super) struct Budgets {
    pub(super) core: u32,
    pub(super) graphql: u32,
    window: SignedDuration,
    spent: BTreeMap<(String, Resource), Spent>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            core: USUAL_LIMIT,
            graphql: USUAL_LIMIT,
            window: USUAL_WINDOW,
            spent: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy)]
struct Spent {
    used: u32,
    resets_at: Timestamp,
}

/// A budget as a header shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) limit: u32,
    pub(super) used: u32,
    pub(super) reset: Timestamp,
    pub(super) resource: Resource,
}

impl Budget {
    pub(super) fn remaining(self) -> u32 {
        self.limit.saturating_sub(self.used)
    }

    pub(super) fn json(self) -> Value {
        json!({
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining(),
            "reset": self.reset.as_second(),
        })
    }

    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        vec![
            ("x-ratelimit-limit", self.limit.to_string()),
            ("x-ratelimit-remaining", self.remaining().to_string()),
            ("x-ratelimit-used", self.used.to_string()),
            ("x-ratelimit-reset", self.reset.as_second().to_string()),
            ("x-ratelimit-resource", self.resource.name().to_owned()),
        ]
    }
}

impl Budgets {
    pub(super) fn begin_anew(&mut self, window: SignedDuration) {
        self.window = window;
        self.spent.clear();
    }

    /// Takes `cost` from a budget; it may run out by that.
    pub(super) fn spend(&mut self, caller: &Caller, resource: Resource, cost: u32) -> Budget {
        let limit = match resource {
            Resource::Core => self.core,
            Resource::Graphql => self.graphql,
        };
        let window = self.window;
        let fresh = || Spent {
            used: 0,
            resets_at: clock::now() + window,
        };
        let key = (owner_of_budget(caller), resource);
        let spent = self.spent.entry(key).or_insert_with(fresh);
        if spent.resets_at <= clock::now() {
            *spent = fresh();
        }
        spent.used = spent.used.saturating_add(cost);
        Budget {
            limit,
            used: spent.used.min(limit),
            reset: spent.resets_at,
            resource,
        }
    }

    pub(super) fn is_exhausted(&mut self, caller: &Caller, resource: Resource) -> bool {
        self.spend(caller, resource, 0).remaining() == 0
    }
}

/// Tokens of one installation share a budget.
fn owner_of_budget(caller: &Caller) -> String {
    match caller {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::App(id) => format!("app {id}"),
        Caller::Installation(token) => format!("installation {}", token.installation),
        Caller::User(id) => format!("user {id}"),
    }
}

/// What may be created in a while; GitHub says "temporarily blocked from content creation" to more. Without a limit
/// unless a test sets one.
#[derive(Default)]
pub(super) struct Creation {
    pub(super) limits: Vec<(usize, Duration)>,
    created: BTreeMap<String, Vec<Timestamp>>,
}

impl Creation {
    /// Counts a request that creates something, or refuses it and says for how long.
    pub(super) fn admit(&mut self, caller: &Caller) -> Result<(), Refusal> {
        let now = clock::now();
        let created = self.created.entry(owner_of_budget(caller)).or_default();
        let frees_at = self.limits.iter().filter_map(|(limit, window)| {
            let window = SignedDuration::try_from(*window).expect("a short time");
            let first_that_counts = created.iter().nth_back(limit - 1)?;
            Some(*first_that_counts + window).filter(|frees_at| *frees_at > now)
        });
        if let Some(frees_at) = frees_at.max() {
            let pause = frees_at.duration_since(now);
            let seconds = pause.as_secs() + i64::from(pause.subsec_nanos() > 0);
            return Err(Refusal::new(
                403,
                "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.",
            )
            .with_header("retry-after", seconds.to_string()));
        }
        created.push(now);
        Ok(())
    }
}

/// Whether a request makes something that was not there. Tokens are no content, and neither is a question.
pub(super) fn creates(method: &str, path: &str) -> bool {
    match method {
        "POST" => path != "/graphql" && !path.ends_with("/access_tokens"),
        "PUT" => path.contains("/contents/") || path.contains("/collaborators/"),
        _ => false,
    }
}
