//! The GitHub half of writing.

use std::time::Duration;

use serde_json::json;

use super::{Failure, Work};
use crate::flux;
use crate::github::{Created, NewFile, NewRepository, RepositoryChange};
use crate::names::{BranchName, FullName, TeamSlug};
use crate::object::{ObjectId, Permission, Repository, Visibility};
use crate::observed::RememberedRepository;
use crate::plan::{Change, FieldChange, Step};

/// How often, and how long apart, a repository made from a template is asked whether its content has arrived.
const TEMPLATE_LOOKS: (u32, Duration) = (10, Duration::from_secs(1));

impl Work<'_> {
    /// Makes the workspace, or makes it what it should be.
    pub(super) async fn repository(
        &mut self,
        name: &FullName,
        to: &Repository,
        change: &Change,
    ) -> Result<(), Failure> {
        match change {
            Change::Create => {
                let default_branch = self.create(name, to).await?;
                self.first_commit(name, to, default_branch.as_deref()).await
            }
            Change::Update(fields) | Change::Adopt(fields) => {
                if let Change::Adopt(_) = change {
                    self.known.repository = self.known.offered.take();
                }
                self.remember_repository().await?;
                let differs = |path: &str| fields.iter().any(|field| field.path == path);
                if differs("initialized") {
                    return self.first_commit(name, to, None).await;
                }
                let change = RepositoryChange {
                    default_branch: to
                        .default_branch
                        .clone()
                        .filter(|_| differs("defaultBranch")),
                    visibility: Some(to.visibility).filter(|_| differs("visibility")),
                    description: to.description.clone().filter(|_| differs("description")),
                    archived: Some(to.archived).filter(|archived| !archived && differs("archived")),
                };
                if change == RepositoryChange::default() {
                    return Ok(());
                }
                Ok(self.hands.github.update_repository(name, &change).await?)
            }
            Change::Remove(_) => Err(Failure::useless("repositories are not removed")),
        }
    }

    /// Makes it and remembers it at once: from then on it is known by its id. Says what its default branch will be.
    async fn create(
        &mut self,
        name: &FullName,
        to: &Repository,
    ) -> Result<Option<String>, Failure> {
        let new = NewRepository {
            full_name: name.clone(),
            visibility: to.visibility,
            description: to.description.clone().unwrap_or_default(),
        };
        let template = self
            .known
            .entry
            .as_ref()
            .and_then(|entry| entry.repository.template.clone());
        let created = match &template {
            Some(template) => self.generate(template, &new).await?,
            None => self.hands.github.create_repository(&new).await?,
        };
        self.known.repository = Some(RememberedRepository {
            node_id: created.node_id,
            full_name: name.clone(),
        });
        self.remember_repository().await?;
        Ok(Some(created.default_branch))
    }

    /// GitHub makes these public or private; `internal` is set afterwards.
    async fn generate(&self, template: &FullName, new: &NewRepository) -> Result<Created, Failure> {
        let created = self.hands.github.generate_repository(template, new).await?;
        if new.visibility == Visibility::Internal {
            let change = RepositoryChange {
                visibility: Some(new.visibility),
                ..RepositoryChange::default()
            };
            self.hands
                .github
                .update_repository(&new.full_name, &change)
                .await?;
        }
        Ok(created)
    }

    async fn remember_repository(&mut self) -> Result<(), Failure> {
        let Some(repository) = &self.known.repository else {
            return Ok(());
        };
        let remembered = self
            .known
            .memory
            .as_ref()
            .and_then(|memory| memory.repository.as_ref());
        if remembered == Some(repository) {
            return Ok(());
        }
        let status = json!({ "repository": { "nodeId": repository.node_id, "fullName": repository.full_name } });
        self.hands.cluster.remember(self.tenant, &status).await?;
        Ok(())
    }

    /// Puts the sync path there, and with it the branch; then makes that branch the default one.
    async fn first_commit(
        &mut self,
        name: &FullName,
        to: &Repository,
        default: Option<&str>,
    ) -> Result<(), Failure> {
        let Some(entry) = &self.known.entry else {
            return Err(Failure::useless("a workspace without an entry"));
        };
        let Some(branch) = &to.default_branch else {
            return Err(Failure::useless("a workspace without a default branch"));
        };
        let (path, text) = flux::first_file(entry);
        let github = self.hands.github;
        let from_template = entry.repository.template.is_some();
        if from_template {
            self.wait_for_content(name, branch).await?;
        }
        // One that was made empty a moment ago needs no look.
        let is_fresh = default.is_some() && !from_template;
        if is_fresh || !self.has_file(name, branch, &path).await? {
            let file = NewFile {
                branch: branch.as_str(),
                path: &path,
                message: flux::FIRST_COMMIT,
                content: text.as_bytes(),
            };
            let head = github.put_file(name, &file, None).await?;
            self.traces.head = Some(head);
        }
        if default.is_some_and(|default| default != branch.as_str()) {
            let change = RepositoryChange {
                default_branch: Some(branch.clone()),
                ..RepositoryChange::default()
            };
            github.update_repository(name, &change).await?;
        }
        Ok(())
    }

    async fn has_file(
        &mut self,
        name: &FullName,
        branch: &BranchName,
        path: &str,
    ) -> Result<bool, Failure> {
        let reader = self.hands.reader;
        match reader.branch_tip(name, branch.as_str()).await? {
            Some(tip) => {
                let found = reader.file(name, path, &tip).await?;
                self.traces.head = Some(tip);
                Ok(found.is_some())
            }
            None => Ok(false),
        }
    }

    /// GitHub copies a template after it has answered.
    async fn wait_for_content(&self, name: &FullName, branch: &BranchName) -> Result<(), Failure> {
        let (looks, apart) = TEMPLATE_LOOKS;
        for _ in 0..looks {
            if self
                .hands
                .reader
                .branch_tip(name, branch.as_str())
                .await?
                .is_some()
            {
                return Ok(());
            }
            tokio::time::sleep(apart).await;
        }
        let error =
            format!("the template's content has not arrived on branch `{branch}` of `{name}`");
        Err(Failure::useful(error))
    }

    pub(super) async fn team_access(
        &self,
        repository: &FullName,
        team: &TeamSlug,
        permission: Permission,
    ) -> Result<(), Failure> {
        let github = self.hands.github;
        Ok(github
            .set_team_permission(team, repository, permission)
            .await?)
    }
}

/// Things that a step creates on GitHub.
pub(super) fn creations(step: &Step) -> usize {
    let initializes = |fields: &[FieldChange]| {
        usize::from(fields.iter().any(|field| field.path == "initialized"))
    };
    match (&step.id, &step.change) {
        _ if step.hold.is_some() => 0,
        // Itself and its first commit.
        (ObjectId::Repository(_), Change::Create) => 2,
        (ObjectId::Repository(_), Change::Adopt(fields) | Change::Update(fields)) => {
            initializes(fields)
        }
        (ObjectId::DeployKey { .. }, Change::Create | Change::Adopt(_) | Change::Update(_)) => 1,
        (
            ObjectId::Repository(_)
            | ObjectId::DeployKey { .. }
            | ObjectId::Manifest(_)
            | ObjectId::TeamAccess { .. }
            | ObjectId::Collaborator { .. }
            | ObjectId::Credentials { .. }
            | ObjectId::StrangeKey { .. }
            | ObjectId::FormerKey { .. },
            _,
        ) => 0,
    }
}
