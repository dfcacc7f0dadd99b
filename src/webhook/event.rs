//! A payload, read into what happened. An event or action that we do not know is [`Event::Ignored`], never an error.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

/// GitHub lists at most this many commits in a push.
const LISTED_COMMITS: usize = 2048;

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Delivery`: the same when GitHub sends it again.
    pub id: String,
    pub event: Event,
    /// Login of who caused it; an App's is `slug[bot]`.
    pub sender: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Pull {
        number: u64,
        action: PullAction,
    },
    Push {
        branch: String,
        before: String,
        after: String,
        deleted: bool,
        paths: Paths,
    },
    /// A merge queue asks for the checks of a group.
    MergeGroup {
        head: String,
        base_branch: String,
    },
    /// Somebody asks for a check again; no name where all of a suite are meant.
    CheckRerequested {
        name: Option<String>,
        head: String,
    },
    /// A new comment on a pull request.
    Comment {
        number: u64,
        author: String,
        body: String,
    },
    /// The App was installed, or may see more or less than before.
    Installation {
        owner: String,
    },
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullAction {
    /// Opened, reopened, its head moved, or its base changed.
    Changed,
    Closed,
}

/// The paths that a push touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    Known(BTreeSet<String>),
    /// The payload does not say: a new branch, a forced push, too many commits.
    Unknown,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    action: Option<String>,
    sender: Option<Account>,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    created: bool,
    deleted: bool,
    forced: bool,
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Deserialize)]
struct MergeGroup {
    head_sha: String,
    base_ref: String,
}

/// Reads a payload whose signature is right.
pub fn read(id: &str, name: &str, body: &[u8]) -> Result<Delivery, serde_json::Error> {
    let value: Value = serde_json::from_slice(body)?;
    let Envelope {
        action,
        sender,
        repository,
    } = Envelope::deserialize(&value)?;
    let event = event(name, action.as_deref().unwrap_or_default(), &value)?;
    Ok(Delivery {
        id: id.to_owned(),
        event,
        sender: sender.map(|sender| sender.login),
        repository: repository.map(|repository| repository.full_name),
    })
}

fn event(name: &str, action: &str, value: &Value) -> Result<Event, serde_json::Error> {
    Ok(match (name, action) {
        ("pull_request", "opened" | "reopened" | "synchronize" | "edited" | "ready_for_review") => {
            pull(value, PullAction::Changed)?
        }
        ("pull_request", "closed") => pull(value, PullAction::Closed)?,
        ("push", _) => push(Push::deserialize(value)?),
        ("merge_group", "checks_requested") => {
            let MergeGroup { head_sha, base_ref } = MergeGroup::deserialize(&value["merge_group"])?;
            Event::MergeGroup {
                head: head_sha,
                base_branch: branch(&base_ref).to_owned(),
            }
        }
        ("check_run", "rerequested") => Event::CheckRerequested {
            name: Some(text(&value["check_run"]["name"])?),
            head: text(&value["check_run"]["head_sha"])?,
        },
        ("check_suite", "rerequested") => Event::CheckRerequested {
            name: None,
            head: text(&value["check_suite"]["head_sha"])?,
        },
        ("issue_comment", "created") if value["issue"]["pull_request"].is_object() => {
            Event::Comment {
                number: u64::deserialize(&value["issue"]["number"])?,
                author: text(&value["comment"]["user"]["login"])?,
                body: text(&value["comment"]["body"])?,
            }
        }
        ("installation", "created" | "unsuspend" | "new_permissions_accepted") => {
            Event::Installation {
                owner: text(&value["installation"]["account"]["login"])?,
            }
        }
        ("installation_repositories", "added") => Event::Installation {
            owner: text(&value["installation"]["account"]["login"])?,
        },
        _ => Event::Ignored,
    })
}

fn pull(value: &Value, action: PullAction) -> Result<Event, serde_json::Error> {
    Ok(Event::Pull {
        number: u64::deserialize(&value["number"])?,
        action,
    })
}

fn push(push: Push) -> Event {
    let Some(branch) = push.reference.strip_prefix("refs/heads/") else {
        return Event::Ignored;
    };
    let unknown = push.created || push.forced || push.commits.len() >= LISTED_COMMITS;
    let paths = push
        .commits
        .into_iter()
        .flat_map(|commit| [commit.added, commit.modified, commit.removed])
        .flatten();
    let paths = if unknown {
        Paths::Unknown
    } else {
        Paths::Known(paths.collect())
    };
    let branch = branch.to_owned();
    Event::Push {
        branch,
        before: push.before,
        after: push.after,
        deleted: push.deleted,
        paths,
    }
}

fn text(value: &Value) -> Result<String, serde_json::Error> {
    String::deserialize(value)
}

fn branch(reference: &str) -> &str {
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

impl Paths {
    /// Whether the path may be among them.
    pub fn may_hold(&self, path: &str) -> bool {
        match self {
            Self::Known(paths) => paths.contains(path),
            Self::Unknown => true,
        }
    }
}
