//! What an organisation lets all its members do.

use serde::Deserialize;

use super::Reader;
use super::error::Error;
use super::repositories::permission;
use crate::names::Login;
use crate::object::Permission;

/// The settings that decide who can reach a workspace beside those whom the file names. GitHub shows them to owners, and
/// to an App with the permission `organization_administration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationSettings {
    pub base: BasePermission,
    /// None where GitHub does not say.
    pub deploy_keys: Option<bool>,
}

/// What every member may do in every repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasePermission {
    NotShown,
    Nothing,
    Is(Permission),
}

#[derive(Deserialize)]
struct OrganizationAnswer {
    default_repository_permission: Option<String>,
    deploy_keys_enabled_for_repositories: Option<bool>,
}

impl Reader {
    pub async fn organization_settings(
        &self,
        organization: &Login,
    ) -> Result<OrganizationSettings, Error> {
        let answer: OrganizationAnswer = self.client.get(format!("/orgs/{organization}")).await?;
        let base = match answer.default_repository_permission.as_deref() {
            None => BasePermission::NotShown,
            Some("none") => BasePermission::Nothing,
            // A word that is not known is not taken for harmless.
            Some(word) => permission(word).map_or(BasePermission::NotShown, BasePermission::Is),
        };
        Ok(OrganizationSettings {
            base,
            deploy_keys: answer.deploy_keys_enabled_for_repositories,
        })
    }
}
