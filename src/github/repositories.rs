//! Reading repositories: the control repo's file, and workspaces by the hundred.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::app::OwnerKind;
use crate::github::error::{Error, ErrorKind};
use crate::github::graphql::{Answered, BATCH, Nodes, Refusal};
use crate::github::{Reader, absent_as_none, escape_path};
use crate::names::{BranchName, FullName, Login};
use crate::object::{Permission, Repository, Visibility};

const FIELDS: &str = include_str!("queries/repository-fields.graphql");

/// A control repo, as far as it matters.
#[derive(Debug, Clone)]
pub struct ControlRepository {
    pub full_name: FullName,
    pub default_branch: String,
    pub owner: OwnerKind,
}

/// A look at one repository among many.
#[derive(Debug, Clone)]
pub enum Seen {
    Present(Box<RepositoryState>),
    Absent,
    Unreadable(String),
}

/// What there is of a repository, read into the fields that we own.
#[derive(Debug, Clone)]
pub struct RepositoryState {
    /// GitHub's global node id.
    pub node_id: String,
    pub full_name: FullName,
    pub created_at: Timestamp,
    pub pushed_at: Option<Timestamp>,
    pub open_pulls: Option<u64>,
    pub empty: bool,
    /// The only commit of the default branch, if there is just one.
    pub only_commit: Option<OnlyCommit>,
    pub is_template: bool,
    pub repository: Repository,
    pub keys: Vec<Key>,
    /// People with a permission of their own; none where that cannot be read.
    pub collaborators: Option<Vec<(Login, Permission)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyCommit {
    pub message: String,
}

/// A deploy key; the public key as GitHub keeps it, without a comment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub title: String,
    pub read_only: bool,
    #[serde(rename = "key")]
    pub public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: String,
    name_with_owner: FullName,
    visibility: String,
    is_archived: bool,
    is_empty: bool,
    is_template: bool,
    description: Option<String>,
    created_at: Timestamp,
    pushed_at: Option<Timestamp>,
    pull_requests: Option<Count>,
    default_branch_ref: Option<Branch>,
    deploy_keys: Nodes<Key>,
    collaborators: Option<Edges>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: u64,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    history: Option<Nodes<OnlyMessage>>,
}

#[derive(Deserialize)]
struct OnlyMessage {
    message: String,
}

#[derive(Deserialize)]
struct Edges {
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    permission: String,
    node: Person,
}

#[derive(Deserialize)]
struct Person {
    login: Login,
}

impl Reader {
    pub async fn control_repository(&self, name: &FullName) -> Result<Option<ControlRepository>, Error> {
        #[derive(Deserialize)]
        struct Found {
            full_name: FullName,
            default_branch: String,
            owner: Owner,
        }
        #[derive(Deserialize)]
        struct Owner {
            #[serde(rename = "type")]
            kind: OwnerKind,
        }
        let found: Option<Found> = absent_as_none(self.get(&format!("/repos/{name}")).await)?;
        Ok(found.map(|Found { full_name, default_branch, owner }| ControlRepository {
            full_name,
            default_branch,
            owner: owner.kind,
        }))
    }

    /// A text file at a commit or branch, up to GitHub's 100 MB; none if there is no such file.
    pub async fn file(&self, repository: &FullName, path: &str, at: &str) -> Result<Option<String>, Error> {
        let url = format!("/repos/{repository}/contents/{}?ref={}", escape_path(path), escape_path(at));
        let raw = self.caller.call_accepting("application/vnd.github.raw+json", Method::GET, &url, None).await;
        match absent_as_none(raw)? {
            None => Ok(None),
            Some(answer) => match String::from_utf8(answer.body.to_vec()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(Error::unexpected("GET", &url, format!("`{path}` is not UTF-8 text"))),
            },
        }
    }

    /// The commit a branch points at; none if there is no such branch, or no commit at all.
    pub async fn branch_tip(&self, repository: &FullName, branch: &str) -> Result<Option<String>, Error> {
        #[derive(Deserialize)]
        struct Reference {
            object: Commit,
        }
        #[derive(Deserialize)]
        struct Commit {
            sha: String,
        }
        let path = format!("/repos/{repository}/git/ref/heads/{}", escape_path(branch));
        match self.get::<Reference>(&path).await {
            Ok(found) => Ok(Some(found.object.sha)),
            // "Git Repository is empty."
            Err(Error { kind: ErrorKind::NotFound | ErrorKind::Conflict { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a person may do on a repository.
    pub async fn permission_of(&self, repository: &FullName, login: &str) -> Result<Option<Permission>, Error> {
        #[derive(Deserialize)]
        struct Found {
            role_name: String,
        }
        let path = format!("/repos/{repository}/collaborators/{}/permission", escape_path(login));
        let found: Option<Found> = absent_as_none(self.get(&path).await)?;
        Ok(found.and_then(|found| permission(&found.role_name)))
    }

    /// Repositories by their node ids, a hundred a request.
    pub async fn repositories_by_id(&self, ids: &[String]) -> Result<BTreeMap<String, Seen>, Error> {
        let query = format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ...RepositoryFields }} }}\n{FIELDS}");
        let mut seen = BTreeMap::new();
        for batch in ids.chunks(BATCH) {
            let mut answered = self.caller.ask(&query, json!({ "ids": batch })).await?;
            let nodes = answered.data.remove("nodes").unwrap_or_default();
            let nodes = nodes.as_array().cloned().unwrap_or_default();
            if nodes.len() != batch.len() {
                return Err(Error::unexpected("POST", "/graphql", "fewer nodes than were asked for".to_owned()));
            }
            for (id, node) in batch.iter().zip(nodes) {
                seen.insert(id.clone(), self.complete(node, None).await?);
            }
        }
        Ok(seen)
    }

    /// Repositories by name, a hundred a request. One that was renamed is absent under its old name.
    pub async fn repositories_by_name(&self, names: &[FullName]) -> Result<BTreeMap<FullName, Seen>, Error> {
        let mut seen = BTreeMap::new();
        for batch in names.chunks(BATCH) {
            let (query, variables) = by_name(batch);
            let Answered { mut data, refused } = self.caller.ask(&query, variables).await?;
            for (number, name) in batch.iter().enumerate() {
                let alias = format!("r{number}");
                let value = data.remove(&alias).unwrap_or_default();
                seen.insert(name.clone(), self.complete(value, refused.get(&alias)).await?);
            }
        }
        Ok(seen)
    }

    async fn complete(&self, value: Value, refused: Option<&Refusal>) -> Result<Seen, Error> {
        let missing = value.is_null();
        match refused {
            Some(refusal) if missing && refusal.kind != "NOT_FOUND" => {
                return Ok(Seen::Unreadable(refusal.message.clone()));
            }
            _ if missing => return Ok(Seen::Absent),
            _ => {}
        }
        let mut wire: Wire = match serde_json::from_value(value) {
            Ok(wire) => wire,
            Err(error) => return Ok(Seen::Unreadable(format!("GitHub's answer lacks something: {error}"))),
        };
        while wire.deploy_keys.page_info.has_next_page {
            let more = self.more_keys(&wire.id, wire.deploy_keys.page_info.end_cursor.as_deref()).await?;
            wire.deploy_keys.nodes.extend(more.nodes);
            wire.deploy_keys.page_info = more.page_info;
        }
        Ok(state(wire))
    }

    async fn more_keys(&self, id: &str, after: Option<&str>) -> Result<Nodes<Key>, Error> {
        let query = "query($id: ID!, $first: Int!, $after: String) { node(id: $id) { ... on Repository { \
                     deployKeys(first: $first, after: $after) { nodes { title key readOnly } \
                     pageInfo { hasNextPage endCursor } } } } }";
        let mut node = self.page(query, json!({ "id": id, "after": after })).await?.field("node")?;
        super::graphql::of_value(node["deployKeys"].take())
    }
}

/// One query with an alias `r0`, `r1`, … for each name; the names travel as variables.
fn by_name(names: &[FullName]) -> (String, Value) {
    let (mut declared, mut fields, mut variables) = (Vec::new(), String::new(), json!({}));
    for (number, name) in names.iter().enumerate() {
        declared.push(format!("$o{number}: String!, $n{number}: String!"));
        fields += &format!(
            "  r{number}: repository(owner: $o{number}, name: $n{number}, followRenames: false) {{ ...RepositoryFields }}\n"
        );
        variables[format!("o{number}")] = json!(name.owner);
        variables[format!("n{number}")] = json!(name.name);
    }
    (format!("query({}) {{\n{fields}}}\n{FIELDS}", declared.join(", ")), variables)
}

fn state(wire: Wire) -> Seen {
    let Some(visibility) = visibility(&wire.visibility) else {
        return Seen::Unreadable(format!("its visibility `{}` is not known", wire.visibility));
    };
    let branch = wire.default_branch_ref;
    let name: Option<BranchName> = match branch.as_ref().map(|branch| branch.name.parse()).transpose() {
        Ok(name) => name,
        Err(error) => return Seen::Unreadable(format!("its default branch {error}")),
    };
    let history = branch.and_then(|branch| branch.target?.history);
    let mut commits = history.map(|history| history.nodes).unwrap_or_default();
    let only_commit = commits.pop().filter(|_| commits.is_empty());
    let people = wire.collaborators.map(|people| {
        let people = people.edges.into_iter();
        people.filter_map(|edge| Some((edge.node.login, permission(&edge.permission)?))).collect()
    });
    Seen::Present(Box::new(RepositoryState {
        node_id: wire.id,
        full_name: wire.name_with_owner,
        created_at: wire.created_at,
        pushed_at: wire.pushed_at,
        open_pulls: wire.pull_requests.map(|count| count.total_count),
        empty: wire.is_empty,
        only_commit: only_commit.map(|commit| OnlyCommit { message: commit.message }),
        is_template: wire.is_template,
        repository: Repository {
            visibility,
            default_branch: name,
            description: Some(wire.description.unwrap_or_default()),
            archived: wire.is_archived,
            initialized: !wire.is_empty,
        },
        keys: wire.deploy_keys.nodes,
        collaborators: people,
    }))
}

fn visibility(word: &str) -> Option<Visibility> {
    Visibility::ALL.iter().copied().find(|visibility| visibility.as_str().eq_ignore_ascii_case(word))
}

/// REST says `push` and `pull` where GraphQL and roles say `WRITE` and `READ`.
pub(super) fn permission(word: &str) -> Option<Permission> {
    match word.to_ascii_lowercase().as_str() {
        "read" | "pull" => Some(Permission::Pull),
        "triage" => Some(Permission::Triage),
        "write" | "push" => Some(Permission::Push),
        "maintain" => Some(Permission::Maintain),
        "admin" => Some(Permission::Admin),
        _ => None,
    }
}
