//! What a query can stand on while it walks.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::git::{Entry, Oid, Signature};
use super::super::model::{Id, Permission, World};
use super::super::{clock, view};
use super::connection::Connection;

#[derive(Clone)]
pub(super) enum Thing {
    Query,
    Account(Id),
    Repository(Id),
    Team(Id),
    DeployKey {
        repository: Id,
        key: Id,
    },
    Reference {
        repository: Id,
        /// Full: `refs/heads/main`.
        name: String,
    },
    Commit {
        repository: Id,
        oid: Oid,
    },
    Tree {
        repository: Id,
        oid: Oid,
    },
    Blob {
        repository: Id,
        oid: Oid,
    },
    TreeEntry {
        repository: Id,
        folder: String,
        entry: Entry,
    },
    GitActor(Signature),
    Pull {
        repository: Id,
        number: u64,
    },
    PullCommit {
        repository: Id,
        number: u64,
        oid: Oid,
    },
    ChangedFile(Value),
    CheckSuite(Id),
    CheckRun(Id),
    Comment(Id),
    RateLimit(Value),
    Connection(Rc<Connection>),
    Edge {
        connection: Rc<Connection>,
        index: usize,
    },
    PageInfo(Rc<Connection>),
}

/// Something in a connection, and what its edge says beyond it.
#[derive(Clone)]
pub(super) struct Linked {
    /// Grows along the connection; makes the cursor.
    pub(super) key: u64,
    pub(super) thing: Thing,
    pub(super) permission: Option<Permission>,
}

impl Thing {
    pub(super) fn type_name(&self, world: &World) -> String {
        match self {
            Self::Query => "Query",
            Self::Account(id) => world.account(*id).type_name(),
            Self::Repository(_) => "Repository",
            Self::Team(_) => "Team",
            Self::DeployKey { .. } => "DeployKey",
            Self::Reference { .. } => "Ref",
            Self::Commit { .. } => "Commit",
            Self::Tree { .. } => "Tree",
            Self::Blob { .. } => "Blob",
            Self::TreeEntry { .. } => "TreeEntry",
            Self::GitActor(_) => "GitActor",
            Self::Pull { .. } => "PullRequest",
            Self::PullCommit { .. } => "PullRequestCommit",
            Self::ChangedFile(_) => "PullRequestChangedFile",
            Self::CheckSuite(_) => "CheckSuite",
            Self::CheckRun(_) => "CheckRun",
            Self::Comment(_) => "IssueComment",
            Self::RateLimit(_) => "RateLimit",
            Self::Connection(connection) => connection.type_name,
            Self::Edge { connection, .. } => connection.edge_type_name,
            Self::PageInfo(_) => "PageInfo",
        }
        .to_owned()
    }
}

/// GraphQL's word for a right on a repository.
pub(super) fn permission_word(permission: Permission) -> Value {
    json!(permission.role().to_uppercase())
}

/// Plain values of a pull, by the field that shows them.
pub(super) fn commit_field(world: &World, repository: Id, oid: &str, name: &str) -> Option<Value> {
    let commit = world.objects(repository).commit(oid)?;
    let headline = commit.message.lines().next().unwrap_or_default();
    let page = format!("{}/{}/commit/{oid}", view::WEB, world.full_name(repository));
    Some(match name {
        "message" => json!(commit.message),
        "messageHeadline" => json!(headline),
        "committedDate" => json!(clock::stamp(commit.committer.date)),
        "url" => json!(page),
        _ => return None,
    })
}
