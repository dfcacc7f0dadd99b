//! Reading pull requests of a control repo.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::Reader;
use crate::github::error::Error;
use crate::github::graphql::{BATCH, Nodes, PageInfo, of_value};
use crate::names::FullName;

/// A pull request, as far as planning it needs.
#[derive(Debug, Clone)]
pub struct Pull {
    pub number: u64,
    pub open: bool,
    pub base_branch: String,
    /// Where the base branch stands now.
    pub base_tip: String,
    pub head: String,
    pub mergeable: Mergeable,
    /// GitHub's own merge of head and base; it may be of an older head or base.
    pub merge_commit: Option<MergeCommit>,
    /// Paths that differ; none where there are too many to tell.
    pub files: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mergeable {
    Mergeable,
    Conflicting,
    /// GitHub has not worked it out yet; asking makes it begin.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeCommit {
    pub sha: String,
    pub parents: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPull {
    pub number: u64,
    #[serde(rename = "headRefOid")]
    pub head: String,
}

/// A merged pull request that brought a commit to its base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullOfCommit {
    pub number: u64,
    pub head: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePull {
    number: u64,
    state: String,
    base_ref_name: String,
    base_ref_oid: String,
    base_ref: Option<WireRef>,
    head_ref_oid: String,
    mergeable: Mergeable,
    potential_merge_commit: Option<WireMerge>,
    files: Option<WireFiles>,
}

#[derive(Deserialize)]
struct WireRef {
    target: Option<Oid>,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

#[derive(Deserialize)]
struct WireMerge {
    oid: String,
    parents: Nodes<Oid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFiles {
    nodes: Vec<WireFile>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFile {
    path: String,
    /// A renamed file is listed under its new path alone.
    change_type: String,
}

const PULL: &str = include_str!("queries/pull.graphql");

const OPEN_PULLS: &str = "query($owner: String!, $name: String!, $base: String!, $first: Int!, $after: String) { \
     repository(owner: $owner, name: $name) { pullRequests(states: OPEN, baseRefName: $base, first: $first, \
     after: $after) { nodes { number headRefOid } pageInfo { hasNextPage endCursor } } } }";

impl Reader {
    /// The pull request and everything that planning it asks, in one request.
    pub async fn pull(&self, repository: &FullName, number: u64) -> Result<Option<Pull>, Error> {
        let variables =
            json!({ "owner": repository.owner, "name": repository.name, "number": number });
        let mut found = self.page(PULL, variables).await?.field("repository")?;
        let found = found["pullRequest"].take();
        if found.is_null() {
            return Ok(None);
        }
        let wire: WirePull = of_value(found)?;
        let base_tip = wire
            .base_ref
            .and_then(|base| base.target)
            .map_or(wire.base_ref_oid, |tip| tip.oid);
        Ok(Some(Pull {
            number: wire.number,
            open: wire.state == "OPEN",
            base_branch: wire.base_ref_name,
            base_tip,
            head: wire.head_ref_oid,
            mergeable: wire.mergeable,
            merge_commit: wire.potential_merge_commit.map(|merge| MergeCommit {
                sha: merge.oid,
                parents: merge
                    .parents
                    .nodes
                    .into_iter()
                    .map(|parent| parent.oid)
                    .collect(),
            }),
            files: wire.files.and_then(paths),
        }))
    }

    /// The open pull requests onto a branch.
    pub async fn open_pulls(
        &self,
        repository: &FullName,
        base: &str,
    ) -> Result<Vec<OpenPull>, Error> {
        let mut pulls = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let variables = json!({ "owner": repository.owner, "name": repository.name, "base": base, "after": after });
            let mut found = self
                .page(OPEN_PULLS, variables)
                .await?
                .field("repository")?;
            let page: Nodes<OpenPull> = of_value(found["pullRequests"].take())?;
            pulls.extend(page.nodes);
            if !page.page_info.has_next_page {
                return Ok(pulls);
            }
            after = page.page_info.end_cursor;
        }
    }

    /// Whether a branch of the repository itself is the head of an open pull request.
    pub async fn heads_open_pull(
        &self,
        repository: &FullName,
        branch: &str,
    ) -> Result<bool, Error> {
        let query = "query($owner: String!, $name: String!, $ref: String!) { repository(owner: $owner, name: $name) { \
                     ref(qualifiedName: $ref) { associatedPullRequests(states: OPEN, first: 1) { totalCount } } } }";
        let reference = format!("refs/heads/{branch}");
        let variables =
            json!({ "owner": repository.owner, "name": repository.name, "ref": reference });
        let found = self
            .caller
            .ask(query, variables)
            .await?
            .field("repository")?;
        Ok(found
            .pointer("/ref/associatedPullRequests/totalCount")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            > 0)
    }

    /// The merged pull requests that brought each of these commits.
    pub async fn pulls_with(
        &self,
        repository: &FullName,
        commits: &[String],
    ) -> Result<BTreeMap<String, Vec<PullOfCommit>>, Error> {
        let mut pulls = BTreeMap::new();
        for batch in commits.chunks(BATCH) {
            let (query, variables) = by_commit(repository, batch);
            let found = self
                .caller
                .ask(&query, variables)
                .await?
                .field("repository")?;
            for (number, commit) in batch.iter().enumerate() {
                let nodes = found.pointer(&format!("/c{number}/associatedPullRequests/nodes"));
                let nodes = nodes.and_then(Value::as_array).cloned().unwrap_or_default();
                let merged = nodes.into_iter().filter(|pull| pull["merged"] == true);
                let merged = merged
                    .map(of_value::<OpenPull>)
                    .collect::<Result<Vec<_>, _>>()?;
                let merged = merged.into_iter().map(|pull| PullOfCommit {
                    number: pull.number,
                    head: pull.head,
                });
                pulls.insert(commit.clone(), merged.collect());
            }
        }
        Ok(pulls)
    }
}

/// All paths that the pull request may have changed; none where a page is missing or a rename hides one.
fn paths(files: WireFiles) -> Option<Vec<String>> {
    let hidden = files.page_info.has_next_page
        || files.nodes.iter().any(|file| file.change_type == "RENAMED");
    (!hidden).then(|| files.nodes.into_iter().map(|file| file.path).collect())
}

fn by_commit(repository: &FullName, commits: &[String]) -> (String, Value) {
    let (mut declared, mut fields) = ("$owner: String!, $name: String!".to_owned(), String::new());
    let mut variables = json!({ "owner": repository.owner, "name": repository.name });
    for (number, commit) in commits.iter().enumerate() {
        declared += &format!(", $c{number}: GitObjectID!");
        fields += &format!(
            " c{number}: object(oid: $c{number}) {{ ... on Commit {{ associatedPullRequests(first: 10) {{ \
             nodes {{ number headRefOid merged }} }} }} }}"
        );
        variables[format!("c{number}")] = json!(commit);
    }
    (
        format!("query({declared}) {{ repository(owner: $owner, name: $name) {{{fields} }} }}"),
        variables,
    )
}
