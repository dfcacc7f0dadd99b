//! Pull requests of the control repo.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Reader;
use super::error::Error;
use super::graphql::{Aliased, Connection, PAGE, Partial, Query};
use crate::names::FullName;

/// A pull request as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    /// Login; `<slug>[bot]` for an App, `ghost` for an account that is gone.
    pub author: String,
    pub open: bool,
    pub merged: bool,
    pub base_branch: String,
    /// Where the base branch is now, not where it was when the pull request was opened.
    pub base_tip: String,
    pub head_sha: String,
    pub head_branch: String,
    /// `owner/name`; none when the fork is gone.
    pub head_repository: Option<String>,
    pub mergeable: Mergeable,
    /// What merging would give; its parents tell for which base and head GitHub made it.
    pub merge_commit: Option<MergeCommit>,
    /// The commit on the base branch that the merge made.
    pub merged_as: Option<String>,
    pub files: Files,
}

/// Unknown: GitHub is still trying; this question made it try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Mergeable {
    #[serde(rename = "MERGEABLE")]
    Yes,
    #[serde(rename = "CONFLICTING")]
    No,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeCommit {
    pub sha: String,
    /// Base first, then head.
    pub parents: Vec<String>,
}

/// The paths that a pull request changes, as far as GitHub tells them (3,000 at most).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    paths: BTreeSet<String>,
    complete: bool,
}

impl Files {
    /// Whether this path may be changed: yes too where the list is cut, or names a rename without its old path.
    pub fn touches(&self, path: &str) -> bool {
        !self.complete || self.paths.contains(path)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPull {
    pub number: u64,
    pub head_sha: String,
}

/// An open pull request, and the newest check of one name on its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPull {
    pub number: u64,
    /// The check's `external_id`; none if there is no such check, or it is in progress.
    pub concluded: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPull {
    pub number: u64,
    pub head_sha: String,
    pub merged_as: Option<String>,
}

#[derive(Deserialize)]
struct Data<T> {
    repository: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullIn {
    pull_request: Option<PullAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullAnswer {
    number: u64,
    title: String,
    state: String,
    merged: bool,
    author: Option<Actor>,
    base_ref_name: String,
    base_ref_oid: String,
    base_ref: Option<Ref>,
    head_ref_name: String,
    head_ref_oid: String,
    head_repository: Option<Named>,
    mergeable: Mergeable,
    potential_merge_commit: Option<Commit>,
    merge_commit: Option<Oid>,
    changed_files: usize,
    files: Option<Connection<FileAnswer>>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
struct Ref {
    target: Option<Oid>,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name_with_owner: String,
}

#[derive(Deserialize)]
struct Commit {
    oid: String,
    parents: Nodes<Oid>,
}

#[derive(Deserialize)]
struct Nodes<N> {
    nodes: Vec<N>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAnswer {
    path: String,
    change_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenPullAnswer {
    number: u64,
    head_ref_oid: String,
    is_cross_repository: bool,
}

#[derive(Deserialize)]
struct CheckedPullAnswer {
    number: u64,
    commits: Nodes<PullCommit>,
}

#[derive(Deserialize)]
struct PullCommit {
    commit: Suites,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suites {
    check_suites: Option<Nodes<Runs>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Runs {
    check_runs: Option<Nodes<RunAnswer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunAnswer {
    status: String,
    external_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitPulls {
    associated_pull_requests: Option<Nodes<MergedPullAnswer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergedPullAnswer {
    number: u64,
    merged: bool,
    head_ref_oid: String,
    merge_commit: Option<Oid>,
}

impl Reader {
    /// None if the repository has no pull request of this number; an error if the repository is not to be seen.
    pub async fn pull(&self, repository: &FullName, number: u64) -> Result<Option<Pull>, Error> {
        let text = include_str!("queries/pull.graphql");
        let query = Query::new("Pull", text, of_pull(repository, number));
        let partial = self.client.query(&query).await?;
        let data: Data<PullIn> = partial.complete_but(|error| {
            error.is_not_found() && error.is_at(&["repository", "pullRequest"])
        })?;
        let Some(mut answer) = data.repository.pull_request else {
            return Ok(None);
        };
        if let Some(files) = answer
            .files
            .as_mut()
            .filter(|files| files.page_info.has_next_page)
        {
            let after = files.page_info.end_cursor.clone();
            files
                .nodes
                .extend(self.more_files(repository, number, after).await?);
        }
        Ok(Some(Pull::from(answer)))
    }

    async fn more_files(
        &self,
        repository: &FullName,
        number: u64,
        after: Option<String>,
    ) -> Result<Vec<FileAnswer>, Error> {
        let text = include_str!("queries/pull_files.graphql");
        let query = Query::new("PullFiles", text, of_pull(repository, number));
        let pointer = "/repository/pullRequest/files";
        self.client.connection(query, pointer, after).await
    }

    /// The open pull requests into a branch.
    pub async fn open_pulls(
        &self,
        repository: &FullName,
        base: &str,
    ) -> Result<Vec<OpenPull>, Error> {
        let pulls = self.open(repository, json!({ "base": base })).await?;
        Ok(pulls.into_iter().map(OpenPull::from).collect())
    }

    /// The open pull requests into a branch, each with this App's newest check of a name on its head.
    pub async fn checked_pulls(
        &self,
        repository: &FullName,
        base: &str,
        (check, app_id): (&str, u64),
    ) -> Result<Vec<CheckedPull>, Error> {
        let text = include_str!("queries/checked_pulls.graphql");
        let variables = json!({
            "owner": repository.owner,
            "name": repository.name,
            "base": base,
            "check": check,
            "app": app_id,
        });
        let query = Query::new("CheckedPulls", text, variables);
        let pointer = "/repository/pullRequests";
        let pulls: Vec<CheckedPullAnswer> = self.client.connection(query, pointer, None).await?;
        Ok(pulls.into_iter().map(CheckedPull::from).collect())
    }

    /// The open pull requests from a branch of the repository itself; a fork's branch of that name is another.
    pub async fn open_pulls_of_branch(
        &self,
        repository: &FullName,
        branch: &str,
    ) -> Result<Vec<OpenPull>, Error> {
        let pulls = self.open(repository, json!({ "head": branch })).await?;
        let own = pulls.into_iter().filter(|pull| !pull.is_cross_repository);
        Ok(own.map(OpenPull::from).collect())
    }

    async fn open(
        &self,
        repository: &FullName,
        filter: Value,
    ) -> Result<Vec<OpenPullAnswer>, Error> {
        let mut variables = filter;
        variables["owner"] = json!(repository.owner);
        variables["name"] = json!(repository.name);
        let text = include_str!("queries/open_pulls.graphql");
        let query = Query::new("OpenPulls", text, variables);
        self.client
            .connection(query, "/repository/pullRequests", None)
            .await
    }

    /// The merged pull requests that brought these commits, or contain them; a commit that does not exist is left out.
    pub async fn pulls_with(
        &self,
        repository: &FullName,
        shas: &[String],
    ) -> Result<BTreeMap<String, Vec<MergedPull>>, Error> {
        let mut found = BTreeMap::new();
        let mut size = self.client.page_size("PullsWith", shas.len().min(PAGE / 2));
        let mut rest = shas;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(size.get()));
            let query = pulls_with_query(repository, batch, size.tries());
            match self.client.query(&query).await.and_then(Partial::complete) {
                Ok(data) => found.extend(merged_pulls(batch, data)),
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(found)
    }
}

fn of_pull(repository: &FullName, number: u64) -> Value {
    json!({ "owner": repository.owner, "name": repository.name, "number": number })
}

fn pulls_with_query(repository: &FullName, shas: &[String], tries: u32) -> Query {
    let mut aliased = Aliased::new();
    aliased.variable("owner", "String!", repository.owner.as_str());
    aliased.variable("name", "String!", repository.name.as_str());
    for (index, sha) in shas.iter().enumerate() {
        aliased.variable(&format!("oid{index}"), "GitObjectID!", sha.as_str());
        let field = format!("object(oid: $oid{index}) {{ ...Pulls }}");
        aliased.field(&format!("c{index}"), &field);
    }
    let within = "repository(owner: $owner, name: $name, followRenames: false)";
    let fragments = include_str!("queries/commit_pulls.graphql");
    let query = aliased.query("PullsWith", Some(within), fragments);
    Query { tries, ..query }
}

fn merged_pulls(
    shas: &[String],
    data: Data<BTreeMap<String, Option<CommitPulls>>>,
) -> Vec<(String, Vec<MergedPull>)> {
    let mut commits = data.repository;
    let mut found = Vec::new();
    for (index, sha) in shas.iter().enumerate() {
        if let Some(commit) = commits.remove(&format!("c{index}")).flatten() {
            found.push((sha.clone(), commit.merged()));
        }
    }
    found
}

impl CommitPulls {
    fn merged(self) -> Vec<MergedPull> {
        let pulls = self.associated_pull_requests.map(|pulls| pulls.nodes);
        let merged = pulls
            .unwrap_or_default()
            .into_iter()
            .filter(|pull| pull.merged);
        merged
            .map(|pull| MergedPull {
                number: pull.number,
                head_sha: pull.head_ref_oid,
                merged_as: pull.merge_commit.map(|commit| commit.oid),
            })
            .collect()
    }
}

impl From<OpenPullAnswer> for OpenPull {
    fn from(answer: OpenPullAnswer) -> Self {
        Self {
            number: answer.number,
            head_sha: answer.head_ref_oid,
        }
    }
}

impl From<CheckedPullAnswer> for CheckedPull {
    fn from(answer: CheckedPullAnswer) -> Self {
        let suites = answer.commits.nodes.into_iter();
        let suites = suites.filter_map(|head| head.commit.check_suites);
        let suites = suites.flat_map(|suites| suites.nodes);
        let runs = suites.filter_map(|suite| suite.check_runs);
        let newest = runs.flat_map(|runs| runs.nodes).next();
        let concluded = newest.filter(|run| run.status == "COMPLETED");
        Self {
            number: answer.number,
            concluded: concluded.map(|run| run.external_id.unwrap_or_default()),
        }
    }
}

impl From<PullAnswer> for Pull {
    fn from(answer: PullAnswer) -> Self {
        let base_tip = answer.base_ref.and_then(|branch| branch.target);
        Self {
            number: answer.number,
            title: answer.title,
            author: answer
                .author
                .map_or_else(|| "ghost".to_owned(), Actor::rest_login),
            open: answer.state == "OPEN",
            merged: answer.merged,
            base_branch: answer.base_ref_name,
            base_tip: base_tip.map_or(answer.base_ref_oid, |commit| commit.oid),
            head_sha: answer.head_ref_oid,
            head_branch: answer.head_ref_name,
            head_repository: answer.head_repository.map(|found| found.name_with_owner),
            mergeable: answer.mergeable,
            merge_commit: answer.potential_merge_commit.map(MergeCommit::from),
            merged_as: answer
                .merge_commit
                .filter(|_| answer.merged)
                .map(|commit| commit.oid),
            files: Files::from(answer.files.map(|files| files.nodes), answer.changed_files),
        }
    }
}

impl From<Commit> for MergeCommit {
    fn from(commit: Commit) -> Self {
        Self {
            sha: commit.oid,
            parents: commit
                .parents
                .nodes
                .into_iter()
                .map(|parent| parent.oid)
                .collect(),
        }
    }
}

impl Files {
    fn from(answer: Option<Vec<FileAnswer>>, changed: usize) -> Self {
        let files = answer.unwrap_or_default();
        // GraphQL tells a renamed file's new path alone; the old one may be anything.
        let renamed = files.iter().any(|file| file.change_type == "RENAMED");
        Self {
            complete: !renamed && files.len() >= changed,
            paths: files.into_iter().map(|file| file.path).collect(),
        }
    }
}

impl Actor {
    /// REST and GraphQL name Apps differently; we use REST's way.
    fn rest_login(self) -> String {
        match self.kind.as_str() {
            "Bot" => format!("{}[bot]", self.login),
            _ => self.login,
        }
    }
}
