//! Repositories, one at a time: facts, files, and everything that is made or changed in one.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::{Account, AccountKind};
use super::client::found;
use super::error::Error;
use super::pacer::Deed;
use super::transport::{Request, encoded, encoded_path};
use super::{Reader, Writer};
use crate::names::{BranchName, FullName, TeamSlug};
use crate::object::{Permission, Visibility};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryInfo {
    pub id: u64,
    pub node_id: String,
    /// As GitHub writes it: after a rename or a transfer not what was asked for.
    pub full_name: String,
    /// Said of an empty repository too, where no such branch exists yet.
    pub default_branch: String,
    pub owner_kind: AccountKind,
    pub visibility: Visibility,
}

#[derive(Debug, Clone)]
pub struct NewRepository {
    pub full_name: FullName,
    pub visibility: Visibility,
    pub description: String,
}

/// What GitHub has made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Created {
    pub id: u64,
    pub node_id: String,
    pub default_branch: String,
}

/// Only what is set is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepositoryChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<BranchName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Only ever false: out of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
}

#[derive(Deserialize)]
struct RepositoryAnswer {
    id: u64,
    node_id: String,
    full_name: String,
    default_branch: String,
    owner: Account,
    visibility: Option<Visibility>,
    private: bool,
}

#[derive(Deserialize)]
struct PermissionAnswer {
    permission: String,
    role_name: Option<String>,
}

#[derive(Deserialize)]
struct CommitAnswer {
    commit: Sha,
}

#[derive(Deserialize)]
struct Sha {
    sha: String,
}

#[derive(Deserialize)]
struct KeyAnswer {
    id: u64,
    key: String,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    ssh_keys: Vec<String>,
}

impl Reader {
    /// None where GitHub answers 404: it does not exist, or is not this installation's to see.
    pub async fn repository_info(
        &self,
        repository: &FullName,
    ) -> Result<Option<RepositoryInfo>, Error> {
        let path = format!("/repos/{repository}");
        let answer: Option<RepositoryAnswer> = self.client.find(path).await?;
        Ok(answer.map(RepositoryInfo::from))
    }

    /// A file's text at a commit or branch; none if that commit has no such file, an error if it cannot be seen.
    pub async fn file(
        &self,
        repository: &FullName,
        path: &str,
        at: &str,
    ) -> Result<Option<String>, Error> {
        let (path, reference) = (encoded_path(path), encoded(at));
        let path = format!("/repos/{repository}/contents/{path}?ref={reference}");
        // Without `raw` GitHub gives no content of files above 1 MB.
        let request = Request::get(path).accept("application/vnd.github.raw+json");
        if let Some(answer) = found(self.client.send(request).await)? {
            return answer.text().map(Some);
        }
        self.must_see(repository, at).await?;
        Ok(None)
    }

    /// A 404 on a file says nothing unless the commit around it can be seen.
    async fn must_see(&self, repository: &FullName, at: &str) -> Result<(), Error> {
        let path = format!("/repos/{repository}/commits/{}", encoded(at));
        let request = Request::get(path).accept("application/vnd.github.sha");
        match self.client.send(request).await {
            // 409: the repository is empty, and so is every branch of it.
            Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What a person may do in a repository, by whatever way; none for nothing.
    pub async fn permission_of(
        &self,
        repository: &FullName,
        login: &str,
    ) -> Result<Option<Permission>, Error> {
        let login = encoded(login);
        let path = format!("/repos/{repository}/collaborators/{login}/permission");
        let answer: Option<PermissionAnswer> = self.client.find(path).await?;
        Ok(answer.and_then(|answer| {
            // A role of the organisation's own has a name that we cannot know; `permission` is what it is based on.
            let role = answer.role_name.as_deref().and_then(permission);
            role.or_else(|| permission(&answer.permission))
        }))
    }

    /// The public keys of GitHub's SSH servers, `<algorithm> <base64>`: only those that Flux can pin.
    pub async fn host_keys(&self) -> Result<Vec<String>, Error> {
        let meta: Meta = self.client.get("/meta".to_owned()).await?;
        let kept = |key: &String| key.starts_with("ssh-ed25519 ") || key.starts_with("ecdsa-");
        Ok(meta.ssh_keys.into_iter().filter(kept).collect())
    }
}

/// A permission in the words of REST or GraphQL: `push`, `write`, `WRITE`.
pub(super) fn permission(word: &str) -> Option<Permission> {
    match word.to_ascii_lowercase().as_str() {
        "pull" | "read" => Some(Permission::Pull),
        "triage" => Some(Permission::Triage),
        "push" | "write" => Some(Permission::Push),
        "maintain" => Some(Permission::Maintain),
        "admin" => Some(Permission::Admin),
        _ => None,
    }
}

impl From<RepositoryAnswer> for RepositoryInfo {
    fn from(answer: RepositoryAnswer) -> Self {
        // An old GHES knows only private and public.
        let otherwise = if answer.private {
            Visibility::Private
        } else {
            Visibility::Public
        };
        Self {
            id: answer.id,
            node_id: answer.node_id,
            full_name: answer.full_name,
            default_branch: answer.default_branch,
            owner_kind: answer.owner.kind,
            visibility: answer.visibility.unwrap_or(otherwise),
        }
    }
}

impl Writer {
    /// An empty repository: its first commit is ours to make.
    pub async fn create_repository(&self, new: &NewRepository) -> Result<Created, Error> {
        let path = format!("/orgs/{}/repos", new.full_name.owner);
        let body = json!({
            "name": new.full_name.name,
            "description": new.description,
            "visibility": new.visibility,
            "private": new.visibility != Visibility::Public,
            "auto_init": false,
        });
        self.client.send(Request::post(path, body)).await?.json()
    }

    /// A copy of a template's default branch; GitHub fills it a moment after it answered.
    /// It is private or public: `internal` is for [`Self::update_repository`] to set.
    pub async fn generate_repository(
        &self,
        template: &FullName,
        new: &NewRepository,
    ) -> Result<Created, Error> {
        let path = format!("/repos/{template}/generate");
        let body = json!({
            "owner": new.full_name.owner,
            "name": new.full_name.name,
            "description": new.description,
            "private": new.visibility != Visibility::Public,
        });
        self.client.send(Request::post(path, body)).await?.json()
    }

    /// Writes a file as a commit of its own and gives that commit; `replaces` is the blob there now, none for a new file.
    pub async fn put_file(
        &self,
        repository: &FullName,
        file: &NewFile<'_>,
        replaces: Option<&str>,
    ) -> Result<String, Error> {
        let path = format!("/repos/{repository}/contents/{}", encoded_path(file.path));
        let mut body = json!({
            "branch": file.branch,
            "message": file.message,
            "content": BASE64_STANDARD.encode(file.content),
        });
        if let Some(sha) = replaces {
            body["sha"] = json!(sha);
        }
        // A second one would be refused for what the first has written.
        let request = Request::put(path, body).that(Deed::Create).once();
        let answer: CommitAnswer = self.client.send(request).await?.json()?;
        Ok(answer.commit.sha)
    }

    pub async fn update_repository(
        &self,
        repository: &FullName,
        change: &RepositoryChange,
    ) -> Result<(), Error> {
        let body = serde_json::to_value(change).expect("plain strings");
        let request = Request::patch(format!("/repos/{repository}"), body);
        self.client.send(request).await?;
        Ok(())
    }

    /// Gives a team of the repository's organisation this permission, whatever it had.
    pub async fn set_team_permission(
        &self,
        team: &TeamSlug,
        repository: &FullName,
        permission: Permission,
    ) -> Result<(), Error> {
        let organization = &repository.owner;
        let path = format!("/orgs/{organization}/teams/{team}/repos/{repository}");
        let body: Value = json!({ "permission": permission });
        self.client.send(Request::put(path, body)).await?;
        Ok(())
    }

    /// Registers a public key in OpenSSH's form; GitHub refuses (`Invalid`) one that is in use anywhere.
    pub async fn add_deploy_key(
        &self,
        repository: &FullName,
        key: &super::Key,
    ) -> Result<u64, Error> {
        let path = format!("/repos/{repository}/keys");
        let body = json!({
            "title": key.title,
            "key": key.public_key,
            "read_only": key.read_only,
        });
        let answer: Identified = self.client.send(Request::post(path, body)).await?.json()?;
        Ok(answer.id)
    }

    /// Removes the deploy keys of a repository that fit; GraphQL does not tell the ids that this takes.
    pub async fn remove_deploy_keys(
        &self,
        repository: &FullName,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let path = format!("/repos/{repository}/keys?per_page=100");
        let pages: Vec<Vec<KeyAnswer>> = self.client.pages(path).await?;
        for key in pages.into_iter().flatten().filter(|key| fits(&key.key)) {
            let path = format!("/repos/{repository}/keys/{}", key.id);
            // Somebody else may have been quicker.
            found(self.client.send(Request::delete(path)).await)?;
        }
        Ok(())
    }
}

/// A file of a commit that [`Writer::put_file`] makes.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// In an empty repository the commit makes it.
    pub branch: &'a str,
    pub path: &'a str,
    pub message: &'a str,
    pub content: &'a [u8],
}
