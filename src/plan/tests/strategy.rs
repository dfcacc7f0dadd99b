//! Entries: the seed's, and any.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use crate::tenants::{
    AdditionalRoleBinding, KeyAlgorithm, NamespaceSettings, NetworkProfile, PodSecurity, Role,
    Subject, SubjectKind, TeamSettings, Tenant,
};

/// The seed's entry, with every default filled in.
pub(crate) fn ai_team() -> Tenant {
    let namespace = json!({
        "adopt": false, "podSecurity": "baseline", "networkPolicy": "isolated",
        "quota": {}, "limits": {}, "labels": {}, "annotations": {},
    });
    let team = |name: &str| {
        json!({
            "permission": "push", "role": "admin", "group": name, "namespaces": ["ai", "logging", "observability"],
        })
    };
    let entry = json!({
        "name": "ai-team",
        "description": "",
        "suspended": false,
        "repository": {
            "name": "ai-team-workspace", "visibility": "private", "branch": "main", "path": "./",
            "adopt": false, "onRemove": "archive",
        },
        "teams": { "ai-team": team("ai-team"), "billing-team": team("billing-team") },
        "namespaces": { "ai": namespace, "logging": namespace, "observability": namespace },
        "reconcilerRole": "admin",
        "deployKey": { "algorithm": "ed25519", "readOnly": true, "rotateAfter": "4320h" },
        "sync": { "interval": "10m", "timeout": "3m", "prune": true, "wait": false },
        "removal": { "holdFor": "168h", "namespaces": "delete", "dataLoss": "forbid" },
        "additionalRoleBindings": [],
    });
    serde_json::from_value(entry).unwrap()
}

pub(crate) fn named(name: &str) -> Tenant {
    let mut tenant = ai_team();
    tenant.name = name.parse().unwrap();
    tenant.repository.name = format!("{name}-workspace").parse().unwrap();
    tenant
}

/// Any entry that could stand in a file.
pub(crate) fn tenant() -> impl Strategy<Value = Tenant> {
    let spaces = btree_map(
        select(vec!["ai", "logging", "prod", "dev"]),
        namespace(),
        0..4,
    );
    let teams = btree_map(select(vec!["ai-team", "sre", "billing_team"]), team(), 0..3);
    let repository = (
        select(crate::object::Visibility::ALL),
        select(vec!["main", "release/1.x"]),
        select(vec!["./", "./clusters/prod"]),
    );
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let rest = (
        text(),
        select(KeyAlgorithm::ALL),
        select(vec!["admin", "edit", "tenant-role"]),
        vec(binding(), 0..3),
    );
    (
        select(vec!["ai-team", "payments"]),
        spaces,
        teams,
        repository,
        switches,
        rest,
    )
        .prop_map(|(name, spaces, teams, repository, switches, rest)| {
            let mut tenant = named(name);
            tenant.namespaces = spaces
                .into_iter()
                .map(|(name, settings)| (name.parse().unwrap(), Box::new(settings)))
                .collect();
            let all: BTreeSet<_> = tenant.namespaces.keys().cloned().collect();
            tenant.teams = teams
                .into_iter()
                .map(|(slug, team)| (slug.parse().unwrap(), team))
                .collect();
            for team in tenant.teams.values_mut() {
                team.namespaces.clone_from(&all);
            }
            (
                tenant.repository.visibility,
                tenant.repository.branch,
                tenant.repository.path,
            ) = (
                repository.0,
                repository.1.parse().unwrap(),
                repository.2.to_owned(),
            );
            (
                tenant.suspended,
                tenant.deploy_key.read_only,
                tenant.sync.prune,
                tenant.sync.wait,
            ) = switches;
            (tenant.description, tenant.deploy_key.algorithm) = (rest.0, rest.1);
            rest.2.clone_into(&mut tenant.reconciler_role);
            tenant.additional_role_bindings = rest.3;
            for binding in &mut tenant.additional_role_bindings {
                binding.namespaces.clone_from(&all);
            }
            tenant
        })
}

fn namespace() -> impl Strategy<Value = NamespaceSettings> {
    let quantity =
        || select(vec!["1", "1000m", "0.5", "1024Mi", "8Gi", "1e3"]).prop_map(str::to_owned);
    let quota = btree_map(
        select(vec!["pods", "requests.cpu", "limits.memory"]).prop_map(str::to_owned),
        quantity(),
        0..3,
    );
    let resources = btree_map(
        select(vec!["cpu", "memory"]).prop_map(str::to_owned),
        quantity(),
        1..3,
    );
    let limits = btree_map(
        select(vec!["default", "max", "defaultRequest"]).prop_map(str::to_owned),
        resources,
        0..3,
    );
    let texts = || {
        btree_map(
            select(vec!["team", "example.com/cost"]).prop_map(str::to_owned),
            text(),
            0..2,
        )
    };
    (
        select(PodSecurity::ALL),
        select(NetworkProfile::ALL),
        quota,
        limits,
        texts(),
        texts(),
    )
        .prop_map(
            |(pod_security, network_policy, quota, limits, labels, annotations)| {
                NamespaceSettings {
                    adopt: false,
                    pod_security,
                    network_policy,
                    quota,
                    limits,
                    labels,
                    annotations,
                }
            },
        )
}

fn team() -> impl Strategy<Value = TeamSettings> {
    let words = (
        select(crate::object::Permission::ALL),
        select(Role::ALL),
        select(vec!["ai-team", "acme:sre"]),
    );
    words.prop_map(|(permission, role, group)| TeamSettings {
        permission,
        role,
        group: group.to_owned(),
        namespaces: BTreeSet::new(),
    })
}

fn binding() -> impl Strategy<Value = AdditionalRoleBinding> {
    let subject = (
        select(SubjectKind::ALL),
        select(vec!["auditor@example.com", "bot"]),
    )
        .prop_map(|(kind, name)| Subject {
            kind,
            name: name.to_owned(),
            namespace: (kind == SubjectKind::ServiceAccount).then(|| "ci".parse().unwrap()),
        });
    (select(vec!["view", "edit"]), vec(subject, 1..3)).prop_map(|(role, subjects)| {
        AdditionalRoleBinding {
            cluster_role: role.to_owned(),
            subjects,
            namespaces: BTreeSet::new(),
        }
    })
}

/// What somebody could write to forge or break a comment, and harmless words between.
pub(crate) const HOSTILE: &[&str] = &[
    "@everyone",
    "</details>",
    "</pre>",
    "```",
    "`",
    "|",
    "\n",
    "\r\n",
    "<!-- tenantry:plan -->",
    "-->",
    "### Plan",
    "<img src=x>",
    "&lt;",
    "&#64;all",
    "[a](http://evil.example)",
    "https://evil.example",
    "www.evil.example",
    "#1",
    "**bold**",
    "\u{202e}",
    "\u{200b}",
    "\u{7}",
    "\t",
    "~~~",
    "\\",
    "> [!CAUTION]",
    "$x$",
    "plain words",
    "é漢🎉",
];

pub(crate) fn text() -> impl Strategy<Value = String> {
    subsequence(HOSTILE.to_vec(), 0..4)
        .prop_shuffle()
        .prop_map(|parts| parts.concat())
}
