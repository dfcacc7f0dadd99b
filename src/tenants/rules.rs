//! What no JSON Schema can say: one small function for each rule, which returns everything that breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, quoted};
use super::entry::{Entry, items, repository_name};
use super::layers::Layers;
use super::tree::{Map, Node};
use super::{Context, Parsed, SubjectKind, Tenant};
use crate::names::{Login, NamespaceName, TenantName};

/// Namespaces that are nobody's tenant, whatever the file says; `tenant-*` are the control namespaces.
const PROTECTED_NAMESPACES: &[&str] = &[
    "default",
    "kube-*",
    "flux-system",
    "openshift*",
    "tenantry-system",
    "tenant-*",
];

/// The repository that Flux itself is bootstrapped in.
const ADMIN_WORKSPACE: &str = "workspace-admin";

/// Groups and users that Kubernetes itself speaks of: `system:masters` may do everything.
const RESERVED_SUBJECTS: &str = "system:";

/// The file as the rules see it.
pub(super) struct File<'a> {
    pub(super) context: &'a Context,
    pub(super) settings: Layers<'a>,
    pub(super) organization: Login,
    pub(super) protected_namespaces: Vec<String>,
    pub(super) entries: Vec<Entry<'a>>,
}

pub(super) type Rule = fn(&File<'_>) -> Vec<Diagnostic>;

pub(super) const RULES: &[Rule] = &[
    organization_is_allowed,
    no_tenant_twice,
    no_tenant_renamed_from_another,
    repository_names_are_names,
    no_repository_twice,
    no_protected_repository,
    no_team_twice,
    no_group_of_the_system,
    no_namespace_twice,
    no_protected_namespace,
    teams_work_in_own_namespaces,
    bindings_hold_in_own_namespaces,
    no_subject_of_the_system,
    service_accounts_have_a_namespace,
];

fn organization_is_allowed(file: &File<'_>) -> Vec<Diagnostic> {
    let owner = &file.context.control_repository.owner;
    let allowed: Vec<&str> = std::iter::once(owner)
        .chain(&file.context.organizations)
        .map(Login::as_str)
        .collect();
    let is_named = |login: &&str| login.eq_ignore_ascii_case(file.organization.as_str());
    let Some(node) = file.settings.node("organization") else {
        return Vec::new();
    };
    if allowed.iter().any(is_named) {
        return Vec::new();
    }
    let message = format!(
        "the organisation {} is not this control repository's",
        quoted(file.organization.as_str())
    );
    let help = format!(
        "allowed here: `{}`; others are named in TENANTRY_ORGANIZATIONS",
        allowed.join("`, `")
    );
    vec![Diagnostic::new(message, node.span.clone()).help(help)]
}

fn no_tenant_twice(file: &File<'_>) -> Vec<Diagnostic> {
    let names = file
        .entries
        .iter()
        .map(|entry| (entry.tenant.name.to_string(), entry.name_span.clone()));
    twice(names, |name| {
        format!("the tenant {name} stands in the file twice")
    })
}

fn no_tenant_renamed_from_another(file: &File<'_>) -> Vec<Diagnostic> {
    let tenants: BTreeMap<&TenantName, &Range<usize>> = file
        .entries
        .iter()
        .map(|entry| (&entry.tenant.name, &entry.name_span))
        .collect();
    let renamed = file.entries.iter().filter_map(|entry| {
        let node = entry.settings.node("renamedFrom")?;
        Some((entry.tenant.renamed_from.as_ref()?, node.span.clone()))
    });
    let mut findings: Vec<Diagnostic> = renamed
        .clone()
        .filter_map(|(name, span)| {
            let tenant = tenants.get(name)?;
            let message = format!(
                "`renamedFrom` names the tenant {}, which is still there",
                quoted(name.as_str())
            );
            Some(
                Diagnostic::new(message, span)
                    .help("take the old entry out, or leave `renamedFrom` out")
                    .related((*tenant).clone(), "it is here"),
            )
        })
        .collect();
    let names = renamed.map(|(name, span)| (name.to_string(), span));
    findings.extend(twice(names, |name| {
        format!("two tenants are renamed from {name}")
    }));
    findings
}

fn repository_names_are_names(file: &File<'_>) -> Vec<Diagnostic> {
    each_entry(file, |entry| {
        let template = entry.settings.map("repository").text("name");
        let tenant = &entry.tenant.name;
        let reason = repository_name(&template, tenant, &file.organization).err()?;
        let message = format!(
            "the repository name that {} makes of `{tenant}` {reason}",
            quoted(&template)
        );
        Some(Diagnostic::new(message, entry.repository_span()))
    })
}

fn no_repository_twice(file: &File<'_>) -> Vec<Diagnostic> {
    let mut tenants = BTreeSet::new();
    // A tenant that stands there twice is another rule's finding.
    let once = file
        .entries
        .iter()
        .filter(|entry| tenants.insert(&entry.tenant.name));
    let names = once.map(|entry| {
        let name = entry.tenant.repository.name.as_str().to_ascii_lowercase();
        (name, entry.repository_span())
    });
    let findings = twice(names, |name| {
        format!("the repository {name} belongs to two tenants")
    });
    let help = "a `repository.name` with `{tenant}` in it is another for each tenant";
    findings
        .into_iter()
        .map(|finding| finding.help(help))
        .collect()
}

fn no_protected_repository(file: &File<'_>) -> Vec<Diagnostic> {
    let control = &file.context.control_repository;
    each_entry(file, |entry| {
        let name = &entry.tenant.repository.name;
        let full_name = format!("{}/{name}", file.organization);
        let role = if control.is(&full_name) {
            "the control repository"
        } else if name.as_str().eq_ignore_ascii_case(ADMIN_WORKSPACE) {
            "the admin workspace"
        } else {
            return None;
        };
        let message = format!(
            "the repository {} is {role}, no tenant's",
            quoted(name.as_str())
        );
        Some(
            Diagnostic::new(message, entry.repository_span())
                .help("give the tenant another `repository.name`"),
        )
    })
}

fn no_team_twice(file: &File<'_>) -> Vec<Diagnostic> {
    let in_entry = |entry: &Entry<'_>| {
        let names = entry
            .teams
            .iter()
            .map(|team| (team.name.to_string(), team.span.clone()));
        twice(names, |name| {
            format!("the team {name} stands in this tenant twice")
        })
    };
    file.entries.iter().flat_map(in_entry).collect()
}

fn no_group_of_the_system(file: &File<'_>) -> Vec<Diagnostic> {
    let in_entry = |entry: &Entry<'_>| {
        let said = entry
            .settings
            .node("groupName")
            .map(|node| node.span.clone());
        let of_system = entry.teams.iter().filter(|team| {
            let settings = entry.tenant.teams.get(&team.name);
            settings.is_some_and(|team| is_of_the_system(&team.group))
        });
        of_system
            .map(|team| {
                let group = quoted(&entry.tenant.teams[&team.name].group);
                let message = format!("the team's Kubernetes group would be {group}: `{RESERVED_SUBJECTS}` is Kubernetes' own");
                let finding = Diagnostic::new(message, team.span.clone());
                match said.clone() {
                    Some(span) => finding.related(span, "the group's name is made here"),
                    None => finding,
                }
            })
            .collect::<Vec<_>>()
    };
    file.entries.iter().flat_map(in_entry).collect()
}

fn no_namespace_twice(file: &File<'_>) -> Vec<Diagnostic> {
    let namespaces = file.entries.iter().flat_map(|entry| &entry.namespaces);
    let names = namespaces.map(|namespace| (namespace.name.to_string(), namespace.span.clone()));
    twice(names, |name| {
        format!("the namespace {name} stands in the file twice")
    })
}

fn no_protected_namespace(file: &File<'_>) -> Vec<Diagnostic> {
    let own = file.protected_namespaces.iter().map(String::as_str);
    let patterns: Vec<&str> = PROTECTED_NAMESPACES.iter().copied().chain(own).collect();
    let namespaces = file.entries.iter().flat_map(|entry| &entry.namespaces);
    namespaces
        .filter_map(|namespace| {
            let name = namespace.name.as_str();
            let pattern = patterns.iter().find(|pattern| matches(pattern, name))?;
            let message = format!(
                "the namespace {} is protected, by {}",
                quoted(name),
                quoted(pattern)
            );
            Some(Diagnostic::new(message, namespace.span.clone()).help("choose another name"))
        })
        .collect()
}

fn teams_work_in_own_namespaces(file: &File<'_>) -> Vec<Diagnostic> {
    let in_entry = |entry: &Entry<'_>| {
        let teams = entry.teams.iter();
        teams
            .flat_map(|team| foreign_namespaces(entry, team.map))
            .collect::<Vec<_>>()
    };
    file.entries.iter().flat_map(in_entry).collect()
}

fn bindings_hold_in_own_namespaces(file: &File<'_>) -> Vec<Diagnostic> {
    let in_entry = |entry: &Entry<'_>| {
        let bindings = entry
            .items("additionalRoleBindings")
            .filter_map(Node::as_map);
        bindings
            .flat_map(|binding| foreign_namespaces(entry, binding))
            .collect::<Vec<_>>()
    };
    file.entries.iter().flat_map(in_entry).collect()
}

/// What a map's `namespaces` names and the tenant does not have.
fn foreign_namespaces(entry: &Entry<'_>, map: &Map) -> Vec<Diagnostic> {
    let own: Vec<&str> = entry
        .namespaces
        .iter()
        .map(|namespace| namespace.name.as_str())
        .collect();
    let is_foreign =
        |name: &str| name != "*" && !own.contains(&name) && name.parse::<NamespaceName>().is_ok();
    items(map, "namespaces")
        .filter_map(|node| {
            let name = node.scalar().filter(|name| is_foreign(name))?;
            let tenant = &entry.tenant.name;
            let message = format!(
                "{} is not a namespace of the tenant `{tenant}`",
                quoted(name)
            );
            Some(Diagnostic::new(message, node.span.clone()).suggesting(name, &own))
        })
        .collect()
}

fn no_subject_of_the_system(file: &File<'_>) -> Vec<Diagnostic> {
    each_subject(file, |kind, subject| {
        let node = subject.get("name")?;
        let name = node.scalar().filter(|name| is_of_the_system(name))?;
        let message = format!("the {kind} {} is Kubernetes' own", quoted(name));
        let finding = Diagnostic::new(message, node.span.clone());
        Some(match kind {
            SubjectKind::User => {
                finding.help("a service account is of kind `ServiceAccount`, with its `namespace`")
            }
            SubjectKind::Group | SubjectKind::ServiceAccount => finding,
        })
    })
}

fn service_accounts_have_a_namespace(file: &File<'_>) -> Vec<Diagnostic> {
    each_subject(file, |kind, subject| {
        let name = subject.get("name")?;
        let namespace = subject
            .get("namespace")
            .filter(|node| node.scalar().is_some());
        match (kind, namespace) {
            (SubjectKind::ServiceAccount, None) => {
                let message = "a subject of kind `ServiceAccount` has no `namespace`";
                Some(Diagnostic::new(message, name.span.clone()))
            }
            (SubjectKind::User | SubjectKind::Group, Some(namespace)) => {
                let message =
                    format!("a subject of kind `{kind}` has no `namespace`: it holds everywhere");
                Some(Diagnostic::new(message, namespace.span.clone()).help("leave it out"))
            }
            (SubjectKind::ServiceAccount, Some(_))
            | (SubjectKind::User | SubjectKind::Group, None) => None,
        }
    })
}

/// Namespaces that would go from one tenant to another in one merge: the losing tenant's objects in them would be lost.
pub fn moved_namespaces(
    before: &BTreeMap<TenantName, Arc<Tenant>>,
    parsed: &Parsed,
) -> Vec<Diagnostic> {
    let owners: BTreeMap<&NamespaceName, &TenantName> = before
        .values()
        .flat_map(|tenant| tenant.namespaces.keys().map(|name| (name, &tenant.name)))
        .collect();
    let tenants = parsed.sound.tenants.values();
    tenants
        .flat_map(|tenant| tenant.namespaces.keys().map(move |name| (tenant, name)))
        .filter_map(|(tenant, name)| {
            let owner = *owners.get(name)?;
            if *owner == tenant.name || tenant.renamed_from.as_ref() == Some(owner) {
                return None;
            }
            let place = Place::Namespace(tenant.name.clone(), name.clone());
            let message = format!(
                "the namespace `{name}` moves from the tenant `{owner}` to `{}`",
                tenant.name
            );
            Some(
                Diagnostic::new(message, parsed.places.get(&place)?.clone()).help(format!(
                    "take it from `{owner}` in one merge, and give it to `{}` in the next",
                    tenant.name
                )),
            )
        })
        .collect()
}

fn each_entry(
    file: &File<'_>,
    finding: impl Fn(&Entry<'_>) -> Option<Diagnostic>,
) -> Vec<Diagnostic> {
    file.entries.iter().filter_map(finding).collect()
}

fn each_subject(
    file: &File<'_>,
    finding: impl Fn(SubjectKind, &Map) -> Option<Diagnostic>,
) -> Vec<Diagnostic> {
    file.entries
        .iter()
        .flat_map(|entry| entry.items("additionalRoleBindings"))
        .filter_map(Node::as_map)
        .flat_map(|binding| items(binding, "subjects"))
        .filter_map(Node::as_map)
        .filter_map(|subject| {
            let kind = subject.get("kind")?.scalar()?.parse().ok()?;
            finding(kind, subject)
        })
        .collect()
}

/// A finding for each name that was there before, with the place of the first; `message` is given it quoted.
fn twice(
    names: impl Iterator<Item = (String, Range<usize>)>,
    message: impl Fn(&str) -> String,
) -> Vec<Diagnostic> {
    let mut first: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, span) in names {
        match first.get(&name) {
            Some(related) => findings.push(
                Diagnostic::new(message(&quoted(&name)), span)
                    .related(related.clone(), "the first one is here"),
            ),
            None => {
                first.insert(name, span);
            }
        }
    }
    findings
}

fn is_of_the_system(name: &str) -> bool {
    name.starts_with(RESERVED_SUBJECTS)
}

/// Whether the name is one of the pattern's, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(index) => name = &name[index + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}
