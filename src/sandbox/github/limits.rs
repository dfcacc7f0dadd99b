//! The hourly request budgets, as `x-ratelimit-*` and `/rate_limit` tell them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::Caller;
use super::clock;

/// Requests and points an hour, unless a test sets something else.
const USUAL_LIMIT: u32 = 5_000;

/// Seconds until a budget is whole again.
const WINDOW: i64 = 3_600;

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
    spent: BTreeMap<(String, Resource), Spent>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            core: USUAL_LIMIT,
            graphql: USUAL_LIMIT,
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
    /// Takes `cost` from a budget; it may run out by that.
    pub(super) fn spend(&mut self, caller: &Caller, resource: Resource, cost: u32) -> Budget {
        let limit = match resource {
            Resource::Core => self.core,
            Resource::Graphql => self.graphql,
        };
        let fresh = || Spent {
            used: 0,
            resets_at: clock::in_seconds(WINDOW),
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
