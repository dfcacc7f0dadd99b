//! Writing workspaces. There is no function here that removes or narrows anything.

use base64::Engine as _;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::error::Error;
use crate::github::{Caller, Reader, escape_path};
use crate::names::{BranchName, FullName, Login, RepositoryName, TeamSlug};
use crate::object::{Permission, Visibility};

/// Writes the repositories of one organisation. Only what applies a plan is given one.
#[derive(Clone)]
pub struct Writer {
    caller: Caller,
    reader: Reader,
}

#[derive(Debug, Clone)]
pub struct NewRepository {
    pub owner: Login,
    pub name: RepositoryName,
    pub visibility: Visibility,
    pub description: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    pub node_id: String,
    /// What it will be: a new repository has no branch.
    pub default_branch: String,
}

/// What is to change; nothing else is sent.
#[derive(Debug, Clone, Default)]
pub struct RepositoryChange {
    pub default_branch: Option<BranchName>,
    pub visibility: Option<Visibility>,
    pub description: Option<String>,
    pub archived: Option<bool>,
}

impl Writer {
    pub(super) fn new(caller: Caller, reader: Reader) -> Self {
        Self { caller, reader }
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Makes an empty repository; the caller has looked that there is none of this name.
    pub async fn create_repository(&self, new: &NewRepository) -> Result<Created, Error> {
        let body = json!({
            "name": new.name,
            "description": new.description,
            "visibility": new.visibility,
            "private": new.visibility != Visibility::Public,
            "auto_init": false,
        });
        self.caller
            .write(Method::POST, &format!("/orgs/{}/repos", new.owner), &body)
            .await
    }

    /// Makes a repository with a template's content, which arrives after the answer.
    pub async fn generate_repository(
        &self,
        template: &FullName,
        new: &NewRepository,
    ) -> Result<Created, Error> {
        let body = json!({
            "owner": new.owner,
            "name": new.name,
            "description": new.description,
            "private": new.visibility != Visibility::Public,
            "include_all_branches": false,
        });
        self.caller
            .write(Method::POST, &format!("/repos/{template}/generate"), &body)
            .await
    }

    /// Commits one new file to a branch; in an empty repository this makes the branch.
    pub async fn put_file(
        &self,
        repository: &FullName,
        branch: &BranchName,
        path: &str,
        message: &str,
        text: &str,
    ) -> Result<(), Error> {
        let content = base64::engine::general_purpose::STANDARD.encode(text);
        let body = json!({ "message": message, "content": content, "branch": branch });
        let path = format!("/repos/{repository}/contents/{}", escape_path(path));
        self.caller
            .write::<Value>(Method::PUT, &path, &body)
            .await
            .map(|_| ())
    }

    pub async fn update_repository(
        &self,
        repository: &FullName,
        change: &RepositoryChange,
    ) -> Result<(), Error> {
        let mut body = json!({});
        if let Some(branch) = &change.default_branch {
            body["default_branch"] = json!(branch);
        }
        if let Some(visibility) = change.visibility {
            body["visibility"] = json!(visibility);
        }
        if let Some(description) = &change.description {
            body["description"] = json!(description);
        }
        if let Some(archived) = change.archived {
            body["archived"] = json!(archived);
        }
        self.caller
            .write::<Value>(Method::PATCH, &format!("/repos/{repository}"), &body)
            .await
            .map(|_| ())
    }

    pub async fn set_team_permission(
        &self,
        organization: &Login,
        team: &TeamSlug,
        repository: &FullName,
        permission: Permission,
    ) -> Result<(), Error> {
        let path = format!("/orgs/{organization}/teams/{team}/repos/{repository}");
        self.caller
            .call(
                Method::PUT,
                &path,
                Some(&json!({ "permission": permission })),
            )
            .await
            .map(|_| ())
    }

    /// Registers a public key; the caller has looked that it is not there.
    pub async fn add_deploy_key(
        &self,
        repository: &FullName,
        title: &str,
        public_key: &str,
        read_only: bool,
    ) -> Result<(), Error> {
        let body = json!({ "title": title, "key": public_key, "read_only": read_only });
        self.caller
            .write::<Value>(Method::POST, &format!("/repos/{repository}/keys"), &body)
            .await
            .map(|_| ())
    }
}
