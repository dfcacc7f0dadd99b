//! Built-in < `defaults` < tenant < namespace.

use super::{tenant, valid};
use crate::tenants::{
    NamespaceSettings, NetworkProfile, OnRemove, Permission, PodSecurity, Role, Tenant, Visibility,
};

fn only_namespace(tenant: &Tenant) -> &NamespaceSettings {
    assert_eq!(tenant.namespaces.len(), 1);
    tenant.namespaces.values().next().unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_more_specific_layer_wins_key_by_key() {
    let tenant = tenant(
        "
defaults:
  repository: {visibility: internal, onRemove: keep, branch: trunk}
  sync: {interval: 1m, wait: true}
  removal: {holdFor: 1h30m}
tenants:
- name: ai
  repository: {visibility: public}
  sync: {interval: 2m}
",
    );
    assert_eq!(tenant.repository.visibility, Visibility::Public);
    assert_eq!(tenant.repository.on_remove, OnRemove::Keep);
    assert_eq!(tenant.repository.branch.as_str(), "trunk");
    assert_eq!(tenant.sync.interval.seconds, 120);
    assert!(tenant.sync.wait && tenant.sync.prune);
    assert_eq!(tenant.removal.hold_for.seconds, 5400);
}

#[test]
fn a_namespace_lies_over_its_tenant_and_the_tenant_over_the_defaults() {
    let tenant = tenant(
        "
defaults:
  namespace:
    podSecurity: privileged
    networkPolicy: none
    quota: {pods: 10, requests.cpu: 4}
    labels: {a: default, b: default, c: default}
    limits: {default: {cpu: 1, memory: 1Gi}, max: {cpu: 2}}
tenants:
- name: ai
  namespace: {podSecurity: baseline, labels: {b: tenant, c: tenant}, limits: {default: {cpu: 500m}}}
  namespaces:
  - {name: ai, podSecurity: restricted, quota: {pods: \"20\"}, labels: {c: namespace}}
",
    );
    let namespace = only_namespace(&tenant);
    assert_eq!(namespace.pod_security, PodSecurity::Restricted);
    assert_eq!(namespace.network_policy, NetworkProfile::None);
    assert_eq!(
        namespace.quota,
        pairs(&[("pods", "20"), ("requests.cpu", "4")])
    );
    let labels = pairs(&[("a", "default"), ("b", "tenant"), ("c", "namespace")]);
    assert_eq!(namespace.labels, labels);
    assert_eq!(
        namespace.limits["default"],
        pairs(&[("cpu", "500m"), ("memory", "1Gi")])
    );
    assert_eq!(namespace.limits["max"], pairs(&[("cpu", "2")]));
}

#[test]
fn null_removes_what_a_lower_layer_said() {
    let tenant = tenant(
        "
defaults:
  repository: {template: acme/template, visibility: public}
  role: view
  sync: {interval: 1m}
  namespace: {quota: {pods: 10, secrets: 5}, labels: {a: x}, limits: {max: {cpu: 1}}}
tenants:
- name: ai
  repository: {template: null, visibility: null}
  role: null
  sync: null
  namespaces:
  - {name: ai, quota: {pods: null}, labels: null, limits: {max: null}}
  githubTeams: [{name: ai, role: ~}]
",
    );
    assert_eq!(tenant.repository.template, None);
    assert_eq!(tenant.repository.visibility, Visibility::Private);
    assert_eq!(tenant.sync.interval.seconds, 600);
    assert_eq!(tenant.teams.values().next().unwrap().role, Role::Admin);
    let namespace = only_namespace(&tenant);
    assert_eq!(namespace.quota, pairs(&[("secrets", "5")]));
    assert!(namespace.labels.is_empty() && namespace.limits.is_empty());
}

#[test]
fn a_layer_above_a_null_counts_again() {
    let tenant = tenant(
        "
defaults: {namespace: {labels: {a: x, b: x}}}
tenants:
- name: ai
  namespace: {labels: {a: null}}
  namespaces: [{name: ai, labels: {a: y}}]
",
    );
    assert_eq!(
        only_namespace(&tenant).labels,
        pairs(&[("a", "y"), ("b", "x")])
    );
}

#[test]
fn teams_take_the_tenants_permission_and_role() {
    let tenant = tenant(
        "
defaults: {teamPermission: pull, role: view}
tenants:
- name: ai
  role: edit
  namespaces: [{name: models}, {name: logs}]
  githubTeams: [{name: one}, {name: two, permission: admin, role: view, namespaces: [logs]}, {name: three, namespaces: []}]
",
    );
    let shown: Vec<String> = tenant
        .teams
        .iter()
        .map(|(name, team)| {
            let namespaces: Vec<_> = team.namespaces.iter().map(ToString::to_string).collect();
            format!(
                "{name} {} {} {}",
                team.permission,
                team.role,
                namespaces.join("+")
            )
        })
        .collect();
    let expected = [
        "one pull edit logs+models",
        "three pull edit ",
        "two admin view logs",
    ];
    assert_eq!(shown, expected);
    assert_eq!(Permission::ALL.len(), Permission::WORDS.len());
}

#[test]
fn placeholders_are_filled_in() {
    let tenant = tenant(
        "
defaults: {groupName: \"{org}:{team}\", repository: {name: \"{org}-{tenant}.git-ops\", path: clusters//prod/./eu/}}
tenants: [{name: ai, githubTeams: [{name: data}]}]
",
    );
    assert_eq!(tenant.repository.name.as_str(), "acme-ai.git-ops");
    assert_eq!(tenant.repository.path, "./clusters/prod/eu");
    assert_eq!(tenant.teams.values().next().unwrap().group, "acme:data");
}

#[test]
fn the_file_says_what_guards_it() {
    let parsed = valid(
        "maxRemovalsPerMerge: 0\nflux: {lockdown: warn}\norganization: ACME-labs\nprotectedNamespaces: [\"a*\"]\ntenants: []",
    );
    let file = parsed.sound;
    assert_eq!(
        (file.max_removals_per_merge, file.lockdown.as_str()),
        (0, "warn")
    );
    assert_eq!(file.organization.as_str(), "ACME-labs");
    assert_eq!(file.protected_namespaces, ["a*"]);
}
