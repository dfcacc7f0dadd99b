//! `ClusterRoles` that a file names and that the app may bind only if somebody has let it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::{Seen, Subject};
use crate::kubernetes::{Error, Reader};
use crate::names::TenantName;
use crate::tenants::Tenant;
use crate::tenants::diagnostic::Place;

/// What `deploy/rbac.yaml` lets the app bind for people and for Flux.
const GRANTED: [&str; 3] = ["admin", "edit", "view"];

/// Other roles, and whether the app may bind them.
pub(super) struct Rights(BTreeMap<String, bool>);

/// Asks once for each role, however many tenants name it.
pub(super) async fn look(
    cluster: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<Rights, Error> {
    let entries = subjects.values().filter_map(Subject::entry);
    let roles: BTreeSet<&str> = entries
        .flat_map(|entry| roles(entry))
        .map(|(_, role)| role)
        .filter(|role| !GRANTED.contains(role))
        .collect();
    let answers = roles
        .into_iter()
        .map(|role| async move { Ok((role.to_owned(), cluster.may_bind(role).await?)) });
    Ok(Rights(try_join_all(answers).await?.into_iter().collect()))
}

impl Rights {
    pub(super) fn tell(&self, subject: &Subject, seen: &mut Seen) {
        let named = subject.entry().into_iter().flat_map(|entry| roles(entry));
        for (place, role) in named.filter(|(_, role)| self.0.get(*role) == Some(&false)) {
            seen.problem(
                place,
                format!("Tenantry may not bind the ClusterRole `{role}`"),
                Some(format!(
                    "if it is meant, an administrator of the cluster allows it: `{}`",
                    permission(role)
                )),
            );
        }
    }
}

/// The roles that are bound in workload namespaces because the entry names them, and where it does.
fn roles(entry: &Tenant) -> impl Iterator<Item = (Place, &str)> {
    let name = &entry.name;
    let flux = (!entry.namespaces.is_empty()).then(|| {
        let place = Place::ReconcilerRole(name.clone());
        (place, entry.reconciler_role.as_str())
    });
    let bindings = entry.additional_role_bindings.iter().enumerate();
    let bound = bindings.filter(|(_, binding)| !binding.namespaces.is_empty());
    let additional = bound.map(|(index, binding)| {
        let place = Place::RoleBinding(name.clone(), index);
        (place, binding.cluster_role.as_str())
    });
    flux.into_iter().chain(additional)
}

fn permission(role: &str) -> String {
    let name = format!("tenantry-bind-{role}");
    format!(
        "kubectl create clusterrole {name} --verb=bind --resource=clusterroles --resource-name={role} && \
         kubectl create clusterrolebinding {name} --clusterrole={name} --serviceaccount=tenantry-system:tenantry"
    )
}
