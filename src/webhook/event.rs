//! GitHub's payloads, reduced to what somebody acts on.
//!
//! Every event is a hint: it says where to look, never what is there.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// GitHub lists at most this many commits in a push, and says nothing about the others.
const MOST_COMMITS: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Delivery`: the same for an event that GitHub delivers again.
    pub id: String,
    pub event: Event,
    /// Login of whoever caused the event; `<slug>[bot]` for an App.
    pub sender: Option<String>,
    pub installation: Option<u64>,
    /// `owner/name`, as GitHub writes it.
    pub repository: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    PullRequest {
        number: u64,
        head: String,
        change: PullRequestChange,
    },
    /// A branch was pushed to, made or deleted.
    Push {
        branch: String,
        /// Forty zeros for a new branch.
        before: String,
        /// Forty zeros for a deleted branch.
        after: String,
        created: bool,
        deleted: bool,
        forced: bool,
        paths: Paths,
    },
    /// A merge queue waits for the checks of this commit.
    MergeGroup {
        head_sha: String,
        base_sha: String,
        /// `refs/heads/main`.
        base_ref: String,
    },
    /// Somebody pressed 're-run', for one check run or (no name) for all of a commit's.
    CheckRerequested {
        name: Option<String>,
        head_sha: String,
        app_id: u64,
    },
    /// A new comment; edits are no commands.
    Comment {
        number: u64,
        author: String,
        body: String,
        on_pull: bool,
    },
    /// A deploy key of the repository was registered or removed.
    DeployKey,
    /// What the App may see or do on an account has changed.
    Installation { owner: String, action: Action },
    /// Nothing of ours: another event, another action, a tag.
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestChange {
    Opened,
    /// Its head has new commits.
    Updated,
    /// Its title, its text, or its base branch.
    Edited,
    Reopened,
    Closed {
        merged: bool,
    },
}

/// The files that a push may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    Known(BTreeSet<String>),
    /// The payload does not say it: treat every file as changed.
    Unknown,
}

impl Paths {
    pub fn touch(&self, path: &str) -> bool {
        match self {
            Self::Known(paths) => paths.contains(path),
            Self::Unknown => true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Installed, or no longer suspended.
    Available,
    /// Uninstalled, or suspended.
    Gone,
    /// Other repositories, or other permissions.
    Changed,
}

/// What stands in every payload, at most.
#[derive(Deserialize)]
struct Envelope {
    action: Option<String>,
    sender: Option<Account>,
    installation: Option<Identified>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// Reads a payload; only what claims to be an event of ours must have that event's fields.
pub(super) fn read(id: &str, name: &str, body: &[u8]) -> serde_json::Result<Delivery> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let action = envelope.action.as_deref().unwrap_or_default();
    let event = event(name, action, body)?;
    Ok(Delivery {
        id: id.to_owned(),
        event,
        sender: envelope.sender.map(|sender| sender.login),
        installation: envelope.installation.map(|installation| installation.id),
        repository: envelope.repository.map(|repository| repository.full_name),
    })
}

fn event(name: &str, action: &str, body: &[u8]) -> serde_json::Result<Event> {
    match (name, action) {
        ("pull_request", "opened" | "synchronize" | "edited" | "reopened" | "closed") => {
            parse(body, |pull: PullRequest| pull.event(action))
        }
        ("push", _) => parse(body, Push::event),
        ("merge_group", "checks_requested") => parse(body, MergeGroup::event),
        ("check_run", "rerequested") => parse(body, CheckRun::event),
        ("check_suite", "rerequested") => parse(body, CheckSuite::event),
        ("issue_comment", "created") => parse(body, IssueComment::event),
        ("deploy_key", "created" | "deleted") => Ok(Event::DeployKey),
        ("installation" | "installation_repositories", _) => {
            parse(body, |payload: Installation| payload.event(action))
        }
        _ => Ok(Event::Ignored),
    }
}

fn parse<T: DeserializeOwned>(
    body: &[u8],
    event: impl FnOnce(T) -> Event,
) -> serde_json::Result<Event> {
    serde_json::from_slice(body).map(event)
}

#[derive(Deserialize)]
struct PullRequest {
    pull_request: PullRequestFields,
}

#[derive(Deserialize)]
struct PullRequestFields {
    number: u64,
    head: Commit,
    #[serde(default)]
    merged: bool,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

impl PullRequest {
    fn event(self, action: &str) -> Event {
        let merged = self.pull_request.merged;
        let change = match action {
            "opened" => PullRequestChange::Opened,
            "synchronize" => PullRequestChange::Updated,
            "edited" => PullRequestChange::Edited,
            "reopened" => PullRequestChange::Reopened,
            "closed" => PullRequestChange::Closed { merged },
            _ => return Event::Ignored,
        };
        Event::PullRequest {
            number: self.pull_request.number,
            head: self.pull_request.head.sha,
            change,
        }
    }
}

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    before: String,
    after: String,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<PushedCommit>,
    head_commit: Option<HeadCommit>,
}

#[derive(Deserialize)]
struct PushedCommit {
    id: String,
    added: Option<Vec<String>>,
    modified: Option<Vec<String>>,
    removed: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
}

impl Push {
    fn event(self) -> Event {
        let Some(branch) = self.r#ref.strip_prefix("refs/heads/") else {
            return Event::Ignored;
        };
        Event::Push {
            branch: branch.to_owned(),
            paths: self.paths().map_or(Paths::Unknown, Paths::Known),
            before: self.before,
            after: self.after,
            created: self.created,
            deleted: self.deleted,
            forced: self.forced,
        }
    }

    /// The paths of all commits; none where some commit or the way from `before` is not told.
    fn paths(&self) -> Option<BTreeSet<String>> {
        let told = self.commits.len() < MOST_COMMITS && self.ends_with_its_head();
        if self.created || self.deleted || self.forced || !told {
            return None;
        }
        let mut paths = BTreeSet::new();
        for commit in &self.commits {
            for changed in [&commit.added, &commit.modified, &commit.removed] {
                paths.extend(changed.as_ref()?.iter().cloned());
            }
        }
        Some(paths)
    }

    /// A list that was cut does not hold the last commit, or holds none at all.
    fn ends_with_its_head(&self) -> bool {
        let last = self.commits.last().map(|commit| &commit.id);
        let head = self.head_commit.as_ref().map(|commit| &commit.id);
        last == Some(&self.after) && head.is_none_or(|id| *id == self.after)
    }
}

#[derive(Deserialize)]
struct MergeGroup {
    merge_group: MergeGroupFields,
}

#[derive(Deserialize)]
struct MergeGroupFields {
    head_sha: String,
    base_sha: String,
    base_ref: String,
}

impl MergeGroup {
    fn event(self) -> Event {
        Event::MergeGroup {
            head_sha: self.merge_group.head_sha,
            base_sha: self.merge_group.base_sha,
            base_ref: self.merge_group.base_ref,
        }
    }
}

#[derive(Deserialize)]
struct CheckRun {
    check_run: CheckRunFields,
}

#[derive(Deserialize)]
struct CheckRunFields {
    name: String,
    head_sha: String,
    app: Option<Identified>,
}

impl CheckRun {
    fn event(self) -> Event {
        let check = self.check_run;
        let Some(app) = check.app else {
            return Event::Ignored;
        };
        Event::CheckRerequested {
            name: Some(check.name),
            head_sha: check.head_sha,
            app_id: app.id,
        }
    }
}

#[derive(Deserialize)]
struct CheckSuite {
    check_suite: CheckSuiteFields,
}

#[derive(Deserialize)]
struct CheckSuiteFields {
    head_sha: String,
    app: Option<Identified>,
}

impl CheckSuite {
    fn event(self) -> Event {
        let suite = self.check_suite;
        let Some(app) = suite.app else {
            return Event::Ignored;
        };
        Event::CheckRerequested {
            name: None,
            head_sha: suite.head_sha,
            app_id: app.id,
        }
    }
}

#[derive(Deserialize)]
struct IssueComment {
    issue: Issue,
    comment: CommentFields,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only a pull request has it.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct CommentFields {
    user: Option<Account>,
    body: Option<String>,
}

impl IssueComment {
    fn event(self) -> Event {
        let author = self.comment.user.map(|user| user.login);
        Event::Comment {
            number: self.issue.number,
            author: author.unwrap_or_else(|| "ghost".to_owned()),
            body: self.comment.body.unwrap_or_default(),
            on_pull: self.issue.pull_request.is_some(),
        }
    }
}

#[derive(Deserialize)]
struct Installation {
    installation: InstallationFields,
}

#[derive(Deserialize)]
struct InstallationFields {
    account: Account,
}

impl Installation {
    fn event(self, action: &str) -> Event {
        let action = match action {
            "created" | "unsuspend" => Action::Available,
            "deleted" | "suspend" => Action::Gone,
            "new_permissions_accepted" | "added" | "removed" => Action::Changed,
            _ => return Event::Ignored,
        };
        Event::Installation {
            owner: self.installation.account.login,
            action,
        }
    }
}
