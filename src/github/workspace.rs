//! The admin workspace: what is on its branch, the rules of the branch, and commits of several files.

use serde::Deserialize;
use serde_json::json;

use super::error::Error;
use super::state::Key;
use super::transport::{Request, encoded};
use super::{Reader, Writer};
use crate::names::{BranchName, FullName};
use crate::object::Visibility;

/// Where a branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tip {
    Commit(String),
    /// The repository has other branches only.
    NoBranch,
    /// The repository has no commit at all.
    Empty,
}

/// What can be done with rules in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchRules {
    /// The kinds of those that hold, whoever made them: `pull_request`, `deletion`.
    Active(Vec<String>),
    /// The owner's plan, or the server's version, has none.
    NotAvailable,
}

/// How open a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Openness {
    pub visibility: Visibility,
    pub archived: bool,
}

#[derive(Deserialize)]
struct RepositoryAnswer {
    visibility: Option<Visibility>,
    private: bool,
    archived: bool,
}

#[derive(Deserialize)]
struct ReferenceAnswer {
    object: Sha,
}

#[derive(Deserialize)]
struct CommitAnswer {
    tree: Sha,
}

#[derive(Deserialize)]
struct Sha {
    sha: String,
}

#[derive(Deserialize)]
struct KeyAnswer {
    title: String,
    key: String,
    read_only: bool,
}

#[derive(Deserialize)]
struct RuleAnswer {
    r#type: String,
}

impl Reader {
    /// None where GitHub answers 404: it does not exist, or is not to be seen.
    pub async fn openness(&self, repository: &FullName) -> Result<Option<Openness>, Error> {
        let path = format!("/repos/{repository}");
        let answer: Option<RepositoryAnswer> = self.client.find(path).await?;
        Ok(answer.map(|answer| Openness {
            visibility: answer.visibility.unwrap_or(if answer.private {
                Visibility::Private
            } else {
                Visibility::Public
            }),
            archived: answer.archived,
        }))
    }

    /// Of a repository that is known to be there.
    pub async fn tip(&self, repository: &FullName, branch: &BranchName) -> Result<Tip, Error> {
        let path = format!("/repos/{repository}/git/ref/heads/{branch}");
        match self.client.get::<ReferenceAnswer>(path).await {
            Ok(answer) => Ok(Tip::Commit(answer.object.sha)),
            Err(Error::NotFound { .. }) => Ok(Tip::NoBranch),
            Err(Error::Conflict { .. }) => Ok(Tip::Empty),
            Err(error) => Err(error),
        }
    }

    pub async fn deploy_keys(&self, repository: &FullName) -> Result<Vec<Key>, Error> {
        let path = format!("/repos/{repository}/keys?per_page=100");
        let pages: Vec<Vec<KeyAnswer>> = self.client.pages(path).await?;
        let key = |answer: KeyAnswer| Key {
            title: answer.title,
            read_only: answer.read_only,
            public_key: answer.key,
        };
        Ok(pages.into_iter().flatten().map(key).collect())
    }

    /// Of all the rules that hold for a branch, the organisation's too.
    pub async fn rules(
        &self,
        repository: &FullName,
        branch: &BranchName,
    ) -> Result<BranchRules, Error> {
        let branch = encoded(branch.as_str());
        let path = format!("/repos/{repository}/rules/branches/{branch}?per_page=100");
        match self.client.pages::<Vec<RuleAnswer>>(path).await {
            Ok(pages) => {
                let rules = pages.into_iter().flatten().map(|rule| rule.r#type);
                Ok(BranchRules::Active(rules.collect()))
            }
            Err(error) if has_no_rules(&error) => Ok(BranchRules::NotAvailable),
            Err(error) => Err(error),
        }
    }
}

/// GitHub asks for a better plan with 403; an old server does not know the address.
pub fn has_no_rules(error: &Error) -> bool {
    match error {
        Error::Forbidden { message, .. } => message.contains("Upgrade to"),
        Error::NotFound { .. } => true,
        _ => false,
    }
}

impl Writer {
    /// Commits all the files or none, on top of a commit that must still be the branch's tip: the new commit.
    pub async fn commit_files(
        &self,
        repository: &FullName,
        branch: &BranchName,
        parent: &str,
        message: &str,
        files: &[(String, String)],
    ) -> Result<String, Error> {
        let git = format!("/repos/{repository}/git");
        let before: CommitAnswer = self.client.get(format!("{git}/commits/{parent}")).await?;
        let entries: Vec<_> = files
            .iter()
            .map(|(path, text)| json!({ "path": path, "mode": "100644", "type": "blob", "content": text }))
            .collect();
        let tree = json!({ "base_tree": before.tree.sha, "tree": entries });
        let tree: Sha = self.make(format!("{git}/trees"), tree).await?;
        let commit = json!({ "message": message, "tree": tree.sha, "parents": [parent] });
        let commit: Sha = self.make(format!("{git}/commits"), commit).await?;
        let body = json!({ "sha": commit.sha, "force": false });
        let request = Request::patch(format!("{git}/refs/heads/{branch}"), body);
        self.client.send(request).await?;
        Ok(commit.sha)
    }

    /// An object that nothing refers to yet: made twice, it is one to everybody.
    async fn make(&self, path: String, body: serde_json::Value) -> Result<Sha, Error> {
        let request = Request::post(path, body).repeatable();
        self.client.send(request).await?.json()
    }

    /// From now on the branch changes by approved pull requests; owners may merge without the approval, and the App,
    /// if one is given, may push.
    pub async fn protect(
        &self,
        repository: &FullName,
        branch: &BranchName,
        app: Option<u64>,
    ) -> Result<(), Error> {
        let mut bypass = vec![
            json!({ "actor_id": 1, "actor_type": "OrganizationAdmin", "bypass_mode": "pull_request" }),
        ];
        bypass.extend(app.map(
            |app| json!({ "actor_id": app, "actor_type": "Integration", "bypass_mode": "always" }),
        ));
        let review = json!({
            "required_approving_review_count": 1,
            "dismiss_stale_reviews_on_push": true,
            "require_code_owner_review": false,
            "require_last_push_approval": true,
            "required_review_thread_resolution": false,
        });
        let body = json!({
            "name": "tenantry",
            "target": "branch",
            "enforcement": "active",
            "bypass_actors": bypass,
            "conditions": { "ref_name": { "include": [format!("refs/heads/{branch}")], "exclude": [] } },
            "rules": [
                { "type": "deletion" },
                { "type": "non_fast_forward" },
                { "type": "pull_request", "parameters": review },
            ],
        });
        let path = format!("/repos/{repository}/rulesets");
        self.client.send(Request::post(path, body)).await?;
        Ok(())
    }
}
