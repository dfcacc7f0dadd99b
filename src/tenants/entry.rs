//! An entry of the file as a [`Tenant`], with the nodes beside it that findings point at.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;

use super::format::{directory, expand};
use super::keys::{self, NAMESPACE, ROLE_BINDING, TEAM, TENANT};
use super::layers::Layers;
use super::tree::{Map, Node};
use super::{
    AdditionalRoleBinding, DeployKeySettings, InvalidName, NamespaceSettings, Permission,
    RemovalSettings, RepositorySettings, Role, Subject, SyncSettings, TeamSettings, Tenant,
};
use crate::names::{Login, NamespaceName, RepositoryName, TeamSlug, TenantName};

/// One item of `tenants`. What is malformed in it is as if it had not been said: it was reported already.
pub(super) struct Entry<'a> {
    pub(super) span: Range<usize>,
    pub(super) name_span: Range<usize>,
    pub(super) map: &'a Map,
    pub(super) settings: Layers<'a>,
    pub(super) teams: Vec<Named<'a, TeamSlug>>,
    pub(super) namespaces: Vec<Named<'a, NamespaceName>>,
    pub(super) tenant: Tenant,
}

/// An item of a list whose items have names.
pub(super) struct Named<'a, Name> {
    pub(super) name: Name,
    pub(super) span: Range<usize>,
    pub(super) map: &'a Map,
}

impl<'a> Entry<'a> {
    /// None without a name: nothing can be said about a tenant that has none.
    pub(super) fn read(
        node: &'a Node,
        defaults: &Layers<'a>,
        organization: &Login,
    ) -> Option<Self> {
        let Named { name, span, map } = named(node)?;
        let settings = defaults.under(map, &TENANT);
        let teams: Vec<_> = items(map, "githubTeams").filter_map(named).collect();
        let namespaces: Vec<_> = items(map, "namespaces").filter_map(named).collect();
        let tenant = Resolver {
            name,
            organization,
            settings: &settings,
            teams: &teams,
            namespaces: &namespaces,
        }
        .tenant(map);
        Some(Self {
            span: node.span.clone(),
            name_span: span,
            map,
            settings,
            teams,
            namespaces,
            tenant,
        })
    }

    /// The nodes of a list of the entry's own.
    pub(super) fn items(&self, key: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
        items(self.map, key)
    }

    /// Where the repository's name was said for this tenant, or else its own name.
    pub(super) fn repository_span(&self) -> Range<usize> {
        let repository = self.map.get("repository").and_then(Node::as_map);
        let name = repository.and_then(|repository| repository.get("name"));
        name.map_or_else(|| self.name_span.clone(), |node| node.span.clone())
    }
}

/// The nodes of a list in a map; none where it is absent.
pub(super) fn items<'a>(map: &'a Map, key: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    map.get(key).map_or(&[][..], Node::items).iter()
}

fn named<Name: FromStr>(node: &Node) -> Option<Named<'_, Name>> {
    let map = node.as_map()?;
    let name = map.get("name")?;
    Some(Named {
        name: name.scalar()?.parse().ok()?,
        span: name.span.clone(),
        map,
    })
}

/// The repository's name, its placeholders filled in.
pub(super) fn repository_name(
    template: &str,
    tenant: &TenantName,
    organization: &Login,
) -> Result<RepositoryName, InvalidName> {
    let values = [("org", organization.as_str()), ("tenant", tenant.as_str())];
    expand(template, &values)?.parse()
}

/// Where each part of a tenant comes from.
struct Resolver<'a, 'file> {
    name: TenantName,
    organization: &'a Login,
    settings: &'a Layers<'file>,
    teams: &'a [Named<'file, TeamSlug>],
    namespaces: &'a [Named<'file, NamespaceName>],
}

impl Resolver<'_, '_> {
    fn tenant(self, map: &Map) -> Tenant {
        let settings = self.settings;
        Tenant {
            description: settings.text("description"),
            suspended: settings.value("suspended"),
            renamed_from: settings.optional("renamedFrom"),
            repository: self.repository(&settings.map("repository")),
            teams: self.team_settings(),
            namespaces: self.namespace_settings(),
            reconciler_role: settings.text("reconcilerRole"),
            deploy_key: deploy_key(&settings.map("deployKey")),
            sync: sync(&settings.map("sync")),
            removal: removal(&settings.map("removal")),
            additional_role_bindings: self.role_bindings(map),
            name: self.name,
        }
    }

    fn repository(&self, settings: &Layers<'_>) -> RepositorySettings {
        let name = |template: &str| repository_name(template, &self.name, self.organization);
        let built_in = Layers::new(&keys::REPOSITORY, None).text("name");
        let path: String = settings.text("path");
        RepositorySettings {
            name: name(&settings.text("name"))
                .or_else(|_| name(&built_in))
                .expect("the built-in name of a repository is one"),
            visibility: settings.value("visibility"),
            branch: settings.value("branch"),
            path: directory(&path).expect("layers hand out what the format takes"),
            template: settings.optional("template"),
            adopt: settings.value("adopt"),
            on_remove: settings.value("onRemove"),
        }
    }

    fn team_settings(&self) -> BTreeMap<TeamSlug, TeamSettings> {
        let permission: Permission = self.settings.value("teamPermission");
        let role: Role = self.settings.value("role");
        let settings = |team: &Named<'_, TeamSlug>| {
            let own = Layers::new(&TEAM, Some(team.map));
            TeamSettings {
                permission: own.optional("permission").unwrap_or(permission),
                role: own.optional("role").unwrap_or(role),
                group: self.group(&team.name),
                namespaces: self.chosen_namespaces(team.map),
            }
        };
        let teams = self.teams.iter().rev();
        teams
            .map(|team| (team.name.clone(), settings(team)))
            .collect()
    }

    fn group(&self, team: &TeamSlug) -> String {
        let values = [
            ("org", self.organization.as_str()),
            ("team", team.as_str()),
            ("tenant", self.name.as_str()),
        ];
        let template = self.settings.text("groupName");
        expand(&template, &values).expect("layers hand out what the format takes")
    }

    /// The workload namespaces that a map's `namespaces` names; all without it or with `*`.
    fn chosen_namespaces(&self, map: &Map) -> BTreeSet<NamespaceName> {
        let chosen: Option<Vec<&str>> = map
            .get("namespaces")
            .filter(|node| node.value != super::tree::Value::Null)
            .map(|node| node.items().iter().filter_map(Node::scalar).collect());
        let is_chosen = |name: &str| match &chosen {
            None => true,
            Some(names) => names.contains(&"*") || names.contains(&name),
        };
        let names = self.namespaces.iter().map(|namespace| &namespace.name);
        names
            .filter(|name| is_chosen(name.as_str()))
            .cloned()
            .collect()
    }

    fn namespace_settings(&self) -> BTreeMap<NamespaceName, Box<NamespaceSettings>> {
        let common = self.settings.map("namespace");
        let settings = |namespace: &Named<'_, NamespaceName>| {
            Box::new(namespace_settings(&common.under(namespace.map, &NAMESPACE)))
        };
        let namespaces = self.namespaces.iter().rev();
        namespaces
            .map(|namespace| (namespace.name.clone(), settings(namespace)))
            .collect()
    }

    fn role_bindings(&self, map: &Map) -> Vec<AdditionalRoleBinding> {
        items(map, "additionalRoleBindings")
            .filter_map(Node::as_map)
            .filter_map(|binding| {
                Some(AdditionalRoleBinding {
                    cluster_role: Layers::new(&ROLE_BINDING, Some(binding))
                        .optional("clusterRole")?,
                    subjects: items(binding, "subjects").filter_map(subject).collect(),
                    namespaces: self.chosen_namespaces(binding),
                })
            })
            .collect()
    }
}

fn namespace_settings(settings: &Layers<'_>) -> NamespaceSettings {
    let limits = settings.map("limits");
    let kinds = ["default", "defaultRequest", "max", "min"];
    NamespaceSettings {
        adopt: settings.value("adopt"),
        pod_security: settings.value("podSecurity"),
        network_policy: settings.value("networkPolicy"),
        quota: settings.entries("quota"),
        limits: kinds
            .iter()
            .map(|kind| ((*kind).to_owned(), limits.entries(kind)))
            .filter(|(_, limits)| !limits.is_empty())
            .collect(),
        labels: settings.entries("labels"),
        annotations: settings.entries("annotations"),
    }
}

fn deploy_key(settings: &Layers<'_>) -> DeployKeySettings {
    DeployKeySettings {
        algorithm: settings.value("algorithm"),
        read_only: settings.value("readOnly"),
        rotate_after: settings.value("rotateAfter"),
    }
}

fn sync(settings: &Layers<'_>) -> SyncSettings {
    SyncSettings {
        interval: settings.value("interval"),
        timeout: settings.value("timeout"),
        prune: settings.value("prune"),
        wait: settings.value("wait"),
    }
}

fn removal(settings: &Layers<'_>) -> RemovalSettings {
    RemovalSettings {
        hold_for: settings.value("holdFor"),
        namespaces: settings.value("namespaces"),
        data_loss: settings.value("dataLoss"),
    }
}

fn subject(node: &Node) -> Option<Subject> {
    let settings = Layers::new(&keys::SUBJECT, Some(node.as_map()?));
    Some(Subject {
        kind: settings.optional("kind")?,
        name: settings.optional("name")?,
        namespace: settings.optional("namespace"),
    })
}
