//! What was on a branch before a commit.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Reader;
use super::error::Error;
use super::transport::{Request, encoded};
use crate::names::FullName;

/// A commit and those that its branch pointed at before, newest first: of a merge the first parent alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub commits: Vec<String>,
    /// Whether the last of them is the first of the repository.
    pub is_whole: bool,
}

#[derive(Deserialize)]
struct CommitAnswer {
    sha: String,
    parents: Vec<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    sha: String,
}

impl Reader {
    /// As much as GitHub tells in one answer.
    pub async fn history(&self, repository: &FullName, commit: &str) -> Result<History, Error> {
        let from = encoded(commit);
        let path = format!("/repos/{repository}/commits?sha={from}&per_page=100");
        let answer: Vec<CommitAnswer> = self.client.send(Request::get(path)).await?.json()?;
        let parents: BTreeMap<_, _> = answer
            .into_iter()
            .map(|commit| (commit.sha, commit.parents))
            .collect();
        let mut commits = Vec::new();
        let mut next = Some(commit.to_owned());
        while let Some(known) = next.take().filter(|commit| parents.contains_key(commit)) {
            next = parents[&known].first().map(|parent| parent.sha.clone());
            commits.push(known);
        }
        let last = commits.last().and_then(|commit| parents.get(commit));
        let is_whole = last.is_some_and(Vec::is_empty);
        Ok(History { commits, is_whole })
    }
}
