//! What the organisation lets everybody do, whatever the file says: the GitHub half of a tenant's walls.

use std::collections::BTreeMap;

use super::{Seen, Subject};
use crate::desired::Desired;
use crate::github::{BasePermission, Error, OrganizationSettings, Reader};
use crate::names::{Login, TenantName};
use crate::object::{ObjectId, Permission, Visibility};
use crate::surroundings::Surroundings;
use crate::tenants::Tenant;
use crate::tenants::diagnostic::Place;

/// The settings, asked for once where any tenant is wanted.
pub(super) struct Organization {
    name: Login,
    settings: Option<OrganizationSettings>,
}

pub(super) async fn look(
    github: &Reader,
    surroundings: &Surroundings,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<Organization, Error> {
    let name = surroundings.organization.clone();
    let settings = if subjects.values().any(|subject| subject.entry().is_some()) {
        Some(github.organization_settings(&name).await?)
    } else {
        None
    };
    Ok(Organization { name, settings })
}

impl Organization {
    pub(super) fn tell(&self, subject: &Subject, desired: &Desired, seen: &mut Seen) {
        let (Some(entry), Some(settings)) = (subject.entry(), self.settings) else {
            return;
        };
        self.tell_base_permission(entry, settings.base, seen);
        let wants_key = |id: &ObjectId| matches!(id, ObjectId::DeployKey { .. });
        if settings.deploy_keys == Some(false) && desired.objects.keys().any(wants_key) {
            seen.problem(
                Place::Repository(entry.name.clone()),
                format!(
                    "the organisation `{}` forbids deploy keys: Flux cannot clone the workspace",
                    self.name
                ),
                Some("an owner allows them in its settings, under `Deploy keys`".to_owned()),
            );
        }
    }

    fn tell_base_permission(&self, entry: &Tenant, base: BasePermission, seen: &mut Seen) {
        let organization = &self.name;
        let cure =
            "an owner sets its base permission to `No permission`, under `Member privileges`";
        match base {
            BasePermission::Nothing => {}
            BasePermission::Is(Permission::Pull | Permission::Triage) => {
                if entry.repository.visibility == Visibility::Private {
                    seen.note(
                        format!("every member of `{organization}` can read every workspace"),
                        cure,
                    );
                }
            }
            BasePermission::Is(Permission::Push | Permission::Maintain | Permission::Admin) => {
                seen.problem(
                    Place::Repository(entry.name.clone()),
                    format!("every member of `{organization}` can write to every workspace"),
                    Some(cure.to_owned()),
                );
            }
            BasePermission::NotShown => seen.note(
                format!(
                    "what every member of `{organization}` may do in every workspace is not shown"
                ),
                "allow `organization_administration: read`",
            ),
        }
    }
}
