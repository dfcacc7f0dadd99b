//! What GitHub shows, as far as the pages need it.

use serde::Deserialize;
use serde_json::Value;

use crate::demo::pages::icon::{Icon, Mood};

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Account {
    pub(in super::super) login: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Account {
    pub(in super::super) fn is_bot(&self) -> bool {
        self.kind == "Bot"
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Side {
    #[serde(rename = "ref")]
    pub(in super::super) branch: String,
    pub(in super::super) sha: String,
}

/// A pull request; the last fields only where it is asked for alone.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Pull {
    pub(in super::super) number: u64,
    pub(in super::super) title: String,
    pub(in super::super) body: Option<String>,
    pub(in super::super) user: Account,
    state: String,
    pub(in super::super) created_at: String,
    merged_at: Option<String>,
    pub(in super::super) merge_commit_sha: Option<String>,
    pub(in super::super) head: Side,
    pub(in super::super) base: Side,
    pub(in super::super) mergeable_state: Option<String>,
    pub(in super::super) commits: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PullState {
    Open,
    Merged,
    Closed,
}

impl Pull {
    pub(in super::super) fn state(&self) -> PullState {
        match (self.merged_at.is_some(), self.state.as_str()) {
            (true, _) => PullState::Merged,
            (false, "open") => PullState::Open,
            (false, _) => PullState::Closed,
        }
    }

    /// The commit that the merge made.
    pub(in super::super) fn merge_commit(&self) -> Option<&str> {
        let commit = self.merge_commit_sha.as_deref();
        commit.filter(|_| self.state() == PullState::Merged)
    }
}

impl PullState {
    pub(in super::super) fn shown(self) -> (Mood, Icon, &'static str) {
        match self {
            Self::Open => (Mood::Good, Icon::Pull, "Open"),
            Self::Merged => (Mood::Done, Icon::Merge, "Merged"),
            Self::Closed => (Mood::Bad, Icon::Cross, "Closed"),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Signature {
    pub(in super::super) name: String,
    pub(in super::super) date: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct CommitText {
    pub(in super::super) message: String,
    pub(in super::super) committer: Signature,
    pub(in super::super) author: Signature,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Commit {
    pub(in super::super) sha: String,
    pub(in super::super) commit: CommitText,
}

/// The first seven digits of a commit, as people name it.
pub(in super::super) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

pub(in super::super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct CheckRuns {
    pub(in super::super) check_runs: Vec<CheckRun>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct CheckRun {
    pub(in super::super) id: u64,
    pub(in super::super) name: String,
    pub(in super::super) head_sha: String,
    status: String,
    conclusion: Option<String>,
    pub(in super::super) output: Output,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Output {
    pub(in super::super) title: Option<String>,
    pub(in super::super) summary: Option<String>,
    pub(in super::super) text: Option<String>,
    pub(in super::super) annotations_count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum CheckState {
    Waiting,
    Running,
    Passed,
    /// Concluded, and neither good nor bad.
    Neutral,
    NeedsAction,
    Failed,
}

impl CheckRun {
    pub(in super::super) fn state(&self) -> CheckState {
        match (self.status.as_str(), self.conclusion.as_deref()) {
            ("completed", Some("success")) => CheckState::Passed,
            ("completed", Some("neutral" | "skipped")) => CheckState::Neutral,
            ("completed", Some("action_required")) => CheckState::NeedsAction,
            ("completed", _) => CheckState::Failed,
            ("in_progress", _) => CheckState::Running,
            _ => CheckState::Waiting,
        }
    }
}

impl CheckState {
    pub(in super::super) fn shown(self) -> (Mood, Icon, &'static str) {
        match self {
            Self::Waiting => (Mood::Waiting, Icon::Dots, "expected"),
            Self::Running => (Mood::Waiting, Icon::Dots, "in progress"),
            Self::Passed => (Mood::Good, Icon::Check, "passed"),
            Self::Neutral => (Mood::Quiet, Icon::Dash, "neutral"),
            Self::NeedsAction => (Mood::Waiting, Icon::Pause, "needs a decision"),
            Self::Failed => (Mood::Bad, Icon::Cross, "failed"),
        }
    }

    /// Whether a merge may rely on it.
    pub(in super::super) fn is_met(self) -> bool {
        matches!(self, Self::Passed | Self::Neutral)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Annotation {
    pub(in super::super) path: String,
    pub(in super::super) start_line: usize,
    pub(in super::super) start_column: Option<usize>,
    pub(in super::super) end_column: Option<usize>,
    #[serde(rename = "annotation_level")]
    pub(in super::super) level: String,
    pub(in super::super) title: Option<String>,
    pub(in super::super) message: String,
}

/// A changed file of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct File {
    pub(in super::super) filename: String,
    pub(in super::super) additions: u64,
    pub(in super::super) deletions: u64,
    /// None where it is no text.
    pub(in super::super) patch: Option<String>,
}

/// A line of a pull request's timeline: what it has depends on what it is.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Event {
    #[serde(rename = "event")]
    pub(in super::super) kind: String,
    pub(in super::super) id: Option<u64>,
    pub(in super::super) actor: Option<Account>,
    pub(in super::super) created_at: Option<String>,
    pub(in super::super) updated_at: Option<String>,
    pub(in super::super) body: Option<String>,
    pub(in super::super) sha: Option<String>,
    pub(in super::super) message: Option<String>,
    pub(in super::super) author: Option<Signature>,
    pub(in super::super) commit_id: Option<String>,
    pub(in super::super) rename: Option<Rename>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Rename {
    pub(in super::super) from: String,
    pub(in super::super) to: String,
}

/// What a branch demands of a merge.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Protection {
    required_status_checks: Option<Required>,
}

#[derive(Clone, Debug, Deserialize)]
struct Required {
    contexts: Vec<String>,
}

impl Protection {
    /// Names of the checks that must have passed.
    pub(in super::super) fn required(&self) -> &[String] {
        let required = self.required_status_checks.as_ref();
        required.map_or(&[], |required| &required.contexts)
    }
}

/// A file or branch by its id.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Reference {
    pub(in super::super) sha: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Repository {
    pub(in super::super) name: String,
    pub(in super::super) full_name: String,
    pub(in super::super) description: Option<String>,
    pub(in super::super) visibility: String,
    pub(in super::super) archived: bool,
    pub(in super::super) default_branch: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Team {
    pub(in super::super) name: String,
    pub(in super::super) slug: String,
}

/// A repository that a team may work on.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct TeamRepository {
    pub(in super::super) name: String,
    role_name: String,
}

impl TeamRepository {
    /// The permission in the words of `tenants.yaml`.
    pub(in super::super) fn permission(&self) -> &str {
        match self.role_name.as_str() {
            "read" => "pull",
            "write" => "push",
            other => other,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct DeployKey {
    pub(in super::super) id: u64,
    pub(in super::super) title: String,
    pub(in super::super) key: String,
    pub(in super::super) read_only: bool,
}

/// A delivery of the App's webhook.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Delivery {
    pub(in super::super) id: u64,
    pub(in super::super) guid: String,
    pub(in super::super) delivered_at: String,
    pub(in super::super) redelivery: bool,
    pub(in super::super) duration: f64,
    pub(in super::super) status: String,
    pub(in super::super) status_code: u16,
    pub(in super::super) event: String,
    pub(in super::super) action: Option<String>,
}

impl Delivery {
    pub(in super::super) fn arrived(&self) -> bool {
        self.status == "OK"
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct FullDelivery {
    #[serde(flatten)]
    pub(in super::super) delivery: Delivery,
    pub(in super::super) request: Message,
    pub(in super::super) response: Message,
}

/// One side of a delivery.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Message {
    pub(in super::super) headers: Option<serde_json::Map<String, Value>>,
    pub(in super::super) payload: Value,
}
