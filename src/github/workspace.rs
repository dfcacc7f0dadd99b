//! The admin workspace: the rules of its branch, and commits of several files.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Error;
use super::transport::{Request, encoded};
use super::{Reader, Writer};
use crate::names::{BranchName, FullName};

/// What can be done with rules in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchRules {
    /// The kinds of those that hold, whoever made them: `pull_request`, `deletion`.
    Active(Vec<String>),
    /// The owner's plan, or the server's version, has none.
    NotAvailable,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// It is the branch's tip now.
    AtTheTip(String),
    /// The branch had moved on before: nothing has changed.
    TooLate,
}

/// One commit, whole or not at all.
#[derive(Debug, Clone, Copy)]
pub struct NewCommit<'a> {
    pub branch: &'a BranchName,
    /// The branch's tip, as far as its maker knows.
    pub parent: &'a str,
    pub message: &'a str,
    /// Paths and texts.
    pub files: &'a [(String, String)],
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
struct RuleAnswer {
    r#type: String,
}

impl Reader {
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
            // A server that is too old does not know the address.
            Err(Error::NotFound { .. }) => Ok(BranchRules::NotAvailable),
            Err(error) if is_not_in_plan(&error) => Ok(BranchRules::NotAvailable),
            Err(error) => Err(error),
        }
    }
}

/// GitHub tells a plan without rules from a missing permission by these words alone.
fn is_not_in_plan(error: &Error) -> bool {
    matches!(error, Error::Forbidden { message, .. } if message.contains("Upgrade to"))
}

impl Writer {
    /// Commits all the files or none, on top of a commit that must still be the branch's tip.
    pub async fn commit_files(
        &self,
        repository: &FullName,
        new: NewCommit<'_>,
    ) -> Result<Landed, Error> {
        let git = format!("/repos/{repository}/git");
        let mut tree = Vec::new();
        for (path, text) in new.files {
            let blob = json!({ "content": text, "encoding": "utf-8" });
            let blob = self.make(format!("{git}/blobs"), blob).await?;
            tree.push(json!({ "path": path, "mode": "100644", "type": "blob", "sha": blob.sha }));
        }
        let parent = format!("{git}/commits/{}", new.parent);
        let parent: CommitAnswer = self.client.get(parent).await?;
        let tree = json!({ "base_tree": parent.tree.sha, "tree": tree });
        let tree = self.make(format!("{git}/trees"), tree).await?;
        let commit = json!({ "message": new.message, "tree": tree.sha, "parents": [new.parent] });
        let commit = self.make(format!("{git}/commits"), commit).await?;
        self.advance(repository, new, commit.sha).await
    }

    /// An object that nothing refers to yet: made twice, it harms nobody.
    async fn make(&self, path: String, body: Value) -> Result<Sha, Error> {
        let request = Request::post(path, body).repeatable();
        self.client.send(request).await?.json()
    }

    async fn advance(
        &self,
        repository: &FullName,
        new: NewCommit<'_>,
        commit: String,
    ) -> Result<Landed, Error> {
        let path = format!("/repos/{repository}/git/refs/heads/{}", new.branch);
        let request = Request::patch(path, json!({ "sha": commit, "force": false }));
        let refused = match self.client.send(request).await {
            Ok(_) => return Ok(Landed::AtTheTip(commit)),
            Err(error @ (Error::Invalid { .. } | Error::Conflict { .. })) => error,
            Err(error) => return Err(error),
        };
        // A branch that has moved and one whose rules forbid this are refused alike: where it is now tells them apart.
        let reader = Reader {
            client: self.client.clone(),
        };
        let tip = reader.branch_tip(repository, new.branch.as_str()).await?;
        match tip.as_deref() {
            Some(tip) if tip == commit => Ok(Landed::AtTheTip(commit)),
            Some(tip) if tip != new.parent => Ok(Landed::TooLate),
            Some(_) | None => Err(refused),
        }
    }

    /// From now on the branch changes by approved pull requests. Those who own the organisation are above that, and so
    /// is the App, if one is given; where there are no rules nothing is done.
    pub async fn protect(
        &self,
        repository: &FullName,
        branch: &BranchName,
        app: Option<u64>,
    ) -> Result<BranchRules, Error> {
        let mut above = vec![json!({ "actor_type": "OrganizationAdmin", "bypass_mode": "always" })];
        above.extend(app.map(
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
            "bypass_actors": above,
            "conditions": {
                "ref_name": { "include": [format!("refs/heads/{branch}")], "exclude": [] },
            },
            "rules": [
                { "type": "deletion" },
                { "type": "non_fast_forward" },
                { "type": "pull_request", "parameters": review },
            ],
        });
        let path = format!("/repos/{repository}/rulesets");
        match self.client.send(Request::post(path, body)).await {
            Ok(_) => {
                let kinds = ["deletion", "non_fast_forward", "pull_request"];
                Ok(BranchRules::Active(kinds.map(str::to_owned).to_vec()))
            }
            Err(error) if is_not_in_plan(&error) => Ok(BranchRules::NotAvailable),
            Err(error) => Err(error),
        }
    }
}
