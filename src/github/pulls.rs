//! Pull requests of the control repo.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::checks::Checked;
use super::error::Error;
use super::graphql::{Aliased, Connection, Nodes, PAGE, Partial, Query};
use super::{CheckRun, Progress, Reader};
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
    /// The newest check on its head, of those that were asked for.
    pub check: Option<CheckRun>,
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

/// The commit that a branch points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    pub commit: String,
    /// The file that was asked for; none if the commit has no such file.
    pub file: Option<Arc<str>>,
    /// The merged pull requests that brought it, or contain it.
    pub pulls: Vec<MergedPull>,
    /// The newest check on it, of those that were asked for.
    pub check: Option<CheckRun>,
}

/// The checks of one name that one App makes.
#[derive(Debug, Clone, Copy)]
pub struct Checks<'a> {
    pub name: &'a str,
    pub app_id: u64,
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
    base_ref: Option<Ref<Oid>>,
    head_ref_name: String,
    head_ref_oid: String,
    head_repository: Option<Named>,
    mergeable: Mergeable,
    potential_merge_commit: Option<Commit>,
    merge_commit: Option<Oid>,
    changed_files: usize,
    commits: Nodes<PullCommit<LastCommit>>,
    files: Option<Connection<FileAnswer>>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
struct Ref<T> {
    target: Option<T>,
}

#[derive(Deserialize)]
struct RefIn<T> {
    r#ref: Option<Ref<T>>,
}

#[derive(Deserialize)]
struct TipAnswer {
    oid: String,
    file: Option<Entry>,
    #[serde(flatten)]
    pulls: CommitPulls,
    #[serde(flatten)]
    checked: Checked,
}

#[derive(Deserialize)]
struct Entry {
    object: Option<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    byte_size: usize,
    is_truncated: bool,
    text: Option<String>,
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
    commits: Nodes<PullCommit<Checked>>,
}

#[derive(Deserialize)]
struct PullCommit<T> {
    commit: T,
}

#[derive(Deserialize)]
struct LastCommit {
    oid: String,
    #[serde(flatten)]
    checked: Checked,
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
    pub async fn pull(
        &self,
        repository: &FullName,
        number: u64,
        checks: Checks<'_>,
    ) -> Result<Option<Pull>, Error> {
        let text = concat!(
            include_str!("queries/pull.graphql"),
            include_str!("queries/newest_check.graphql")
        );
        let mut variables = of_pull(repository, number);
        checks.add_to(&mut variables);
        let query = Query::new("Pull", text, variables);
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
        checks: Checks<'_>,
    ) -> Result<Vec<CheckedPull>, Error> {
        let text = include_str!("queries/checked_pulls.graphql");
        let mut variables = json!({
            "owner": repository.owner,
            "name": repository.name,
            "base": base,
        });
        checks.add_to(&mut variables);
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

    /// The commit a branch points to, with what is known of it; none if there is no such branch, an error if the
    /// repository is not to be seen.
    pub async fn tip(
        &self,
        repository: &FullName,
        (branch, path): (&str, &str),
        checks: Checks<'_>,
    ) -> Result<Option<Tip>, Error> {
        let text = concat!(
            include_str!("queries/tip.graphql"),
            include_str!("queries/commit_pulls.graphql"),
            include_str!("queries/newest_check.graphql")
        );
        let mut variables = of_branch(repository, branch);
        variables["path"] = json!(path);
        checks.add_to(&mut variables);
        let query = Query::new("Tip", text, variables);
        let data: Data<RefIn<TipAnswer>> = self.client.query(&query).await?.complete()?;
        let Some(tip) = data.repository.r#ref.and_then(|branch| branch.target) else {
            return Ok(None);
        };
        let file = match tip.file.map(Entry::whole) {
            None => None,
            Some(Some(text)) => Some(text),
            Some(None) => self.file(repository, path, &tip.oid).await?,
        };
        Ok(Some(Tip {
            commit: tip.oid,
            file: file.map(Arc::from),
            pulls: tip.pulls.merged(),
            check: tip.checked.newest(),
        }))
    }

    /// The same without what is known of it.
    pub async fn branch_tip(
        &self,
        repository: &FullName,
        branch: &str,
    ) -> Result<Option<String>, Error> {
        let text = include_str!("queries/branch_tip.graphql");
        let query = Query::new("BranchTip", text, of_branch(repository, branch));
        let data: Data<RefIn<Oid>> = self.client.query(&query).await?.complete()?;
        let target = data.repository.r#ref.and_then(|branch| branch.target);
        Ok(target.map(|commit| commit.oid))
    }
}

fn of_pull(repository: &FullName, number: u64) -> Value {
    json!({ "owner": repository.owner, "name": repository.name, "number": number })
}

fn of_branch(repository: &FullName, branch: &str) -> Value {
    json!({
        "owner": repository.owner,
        "name": repository.name,
        "ref": format!("refs/heads/{branch}"),
    })
}

impl Entry {
    /// The text if it is all of the file: of a large one GitHub gives the beginning, of one that is not UTF-8 something else.
    fn whole(self) -> Option<String> {
        let blob = self.object?;
        let (size, is_truncated) = (blob.byte_size, blob.is_truncated);
        blob.text.filter(|text| !is_truncated && text.len() == size)
    }
}

impl Checks<'_> {
    fn add_to(self, variables: &mut Value) {
        variables["check"] = json!(self.name);
        variables["app"] = json!(self.app_id);
    }
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

/// The check on the head; none while the list of commits, which GitHub brings up to date later, ends with another.
fn check_on(head: &str, commits: Nodes<PullCommit<LastCommit>>) -> Option<CheckRun> {
    let mut commits = commits.nodes.into_iter().map(|node| node.commit);
    commits.find(|commit| commit.oid == head)?.checked.newest()
}

impl From<CheckedPullAnswer> for CheckedPull {
    fn from(answer: CheckedPullAnswer) -> Self {
        let mut heads = answer.commits.nodes.into_iter();
        let newest = heads.find_map(|head| head.commit.newest());
        let concluded = newest.filter(|run| matches!(run.progress, Progress::Completed(_)));
        Self {
            number: answer.number,
            concluded: concluded.map(|run| run.external_id),
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
            check: check_on(&answer.head_ref_oid, answer.commits),
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
