//! What the App asked for, and what one must be granted to be answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Names and levels, as an App's manifest has them.
pub(crate) type Permissions = BTreeMap<String, String>;

/// What lets a request through: any one of these sets, wholly granted.
pub(crate) type Need = Vec<Permissions>;

/// Every App has it: GitHub does not let go of it.
pub(crate) const ALWAYS: &str = "metadata";

/// Everything that one story used.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) requests: Vec<Asked>,
    /// Webhooks that the App was sent, with the permission that each takes.
    pub(crate) webhooks: BTreeMap<String, Need>,
    /// Entries of the judge's lists that were of use.
    pub(crate) entries: BTreeSet<String>,
    /// All of them.
    pub(crate) all_entries: BTreeSet<String>,
}

/// Requests of one kind with one kind of token.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `GET /repos/{owner}/{repo}`, or `POST /graphql` and the name of the query.
    pub(crate) endpoint: String,
    /// What the token was narrowed to; none for the App's own JWT, and for somebody's own token.
    pub(crate) token: Option<Permissions>,
    /// All of them.
    pub(crate) needs: Vec<Need>,
    pub(crate) count: usize,
}

/// What is needed and not granted.
pub(crate) fn missing<'a>(
    granted: &Permissions,
    needs: impl IntoIterator<Item = &'a Need>,
) -> Vec<String> {
    let unmet = needs.into_iter().filter(|need| !is_met(need, granted));
    unmet.map(shown).collect()
}

/// Whether a grant is enough.
pub(crate) fn is_met(need: &Need, granted: &Permissions) -> bool {
    let rank = |level: &str| match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    };
    let reached = |(name, level): (&String, &String)| {
        name == ALWAYS
            || granted
                .get(name)
                .is_some_and(|granted| rank(granted) >= rank(level))
    };
    need.iter().any(|all| all.iter().all(reached))
}

/// `contents: read and members: read, or administration: read`.
pub(crate) fn shown(need: &Need) -> String {
    let all = |all: &Permissions| {
        if all.is_empty() {
            return "nothing".to_owned();
        }
        let each: Vec<_> = all
            .iter()
            .map(|(name, level)| format!("{name}: {level}"))
            .collect();
        each.join(" and ")
    };
    need.iter().map(all).collect::<Vec<_>>().join(", or ")
}
