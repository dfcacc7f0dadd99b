use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{control_namespace, first_file, memory, sync, workload_namespace};
use crate::object::{Kind, ManifestId, ObjectId};
use crate::surroundings::Surroundings;
use crate::tenants::{Context, Tenant, parse};

/// Every setting that shows in an object, away from its default.
const EVERYTHING: &str = r#"
defaults: {groupName: "{org}:{team}", reconcilerRole: tenant-reconciler}
tenants:
- name: payments
  suspended: true
  repository: {branch: trunk, path: clusters/prod}
  sync: {interval: 5m, timeout: 2m, prune: false, wait: true}
  githubTeams: [{name: payments, role: edit}, {name: sre, role: view, namespaces: [cards]}]
  namespaces:
  - name: cards
    podSecurity: restricted
    networkPolicy: ingress-only
    quota: {requests.cpu: "12", pods: "50"}
    limits: {default: {memory: 256Mi}, defaultRequest: {cpu: 50m}}
    labels: {example.com/tier: gold}
    annotations: {example.com/owner: payments}
  - {name: cards-dev, podSecurity: privileged, networkPolicy: none}
  additionalRoleBindings:
  - clusterRole: view
    namespaces: [cards]
    subjects:
    - {kind: User, name: auditor@example.com}
    - {kind: Group, name: auditors}
    - {kind: ServiceAccount, name: exporter, namespace: monitoring}
"#;

fn surroundings() -> Surroundings {
    Surroundings {
        organization: "acme".parse().unwrap(),
        control_repository: "acme/tenants".parse().unwrap(),
        cluster: "default".to_owned(),
        git_host: "github.com".to_owned(),
        host_keys: None,
    }
}

fn with_tenant<T>(text: &str, look: impl Fn(&Tenant, &Surroundings) -> T) -> T {
    let context = Context {
        control_repository: "acme/tenants".parse().unwrap(),
        organizations: BTreeSet::new(),
    };
    let parsed = parse(text, &context);
    assert_eq!(parsed.findings, []);
    let tenant = parsed.sound.tenants.values().next().unwrap();
    look(tenant, &surroundings())
}

/// Every object of the tenant in the order in which they are made.
fn manifests(text: &str) -> Vec<(ManifestId, Value)> {
    let mut manifests = with_tenant(text, |tenant, surroundings| {
        let mut manifests = vec![memory(tenant, surroundings, "c0ffee")];
        manifests.extend(control_namespace(tenant, surroundings));
        for (name, settings) in &tenant.namespaces {
            manifests.extend(workload_namespace(tenant, name, settings, surroundings));
        }
        manifests.extend(sync(tenant, surroundings));
        manifests
    });
    manifests.sort_by_key(|(id, _)| ObjectId::Manifest(id.clone()));
    manifests
}

/// As YAML, without what remembers the entry itself: that is the tests of the file's to say.
fn shown(text: &str) -> String {
    let documents = manifests(text).into_iter().map(|(_, mut manifest)| {
        if manifest["kind"] == "Tenant" {
            manifest["spec"]["entry"] = json!("…");
        }
        serde_yaml::to_string(&manifest).unwrap()
    });
    documents.collect::<Vec<_>>().join("---\n")
}

fn manifest(text: &str, kind: Kind, namespace: &str, name: &str) -> Value {
    let id = ManifestId {
        kind,
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: name.to_owned(),
    };
    let mut found = manifests(text)
        .into_iter()
        .filter(|(other, _)| *other == id);
    let (_, manifest) = found.next().expect("it is made");
    assert_eq!(found.next(), None, "once");
    manifest
}

#[test]
fn a_tenant_with_every_default() {
    let text = "tenants: [{name: ai-team, namespaces: [{name: ai}], githubTeams: [{name: data}]}]";
    insta::assert_snapshot!(shown(text));
}

#[test]
fn a_tenant_with_every_setting() {
    insta::assert_snapshot!(shown(EVERYTHING));
}

#[test]
fn every_object_says_whose_it_is_and_what_it_is() {
    for (id, manifest) in manifests(EVERYTHING) {
        let labels = &manifest["metadata"]["labels"];
        for (label, value) in [
            ("app.kubernetes.io/managed-by", "tenantry"),
            ("app.kubernetes.io/instance", "payments"),
            ("toolkit.fluxcd.io/tenant", "payments"),
        ] {
            assert_eq!(labels[label], value, "{id:?}");
        }
        assert_eq!(manifest["apiVersion"], id.kind.api_version());
        assert_eq!(manifest["kind"], id.kind.as_str());
        assert_eq!(manifest["metadata"]["name"], id.name);
        assert_eq!(
            manifest["metadata"]["namespace"].as_str(),
            id.namespace.as_deref()
        );
    }
}

#[test]
fn no_object_is_made_before_what_it_needs() {
    let kinds: Vec<Kind> = manifests(EVERYTHING)
        .iter()
        .map(|(id, _)| id.kind)
        .collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    // A quota of cpu or memory refuses pods that say none, so what they say by default comes first.
    assert!(Kind::LimitRange < Kind::ResourceQuota);
    assert!(Kind::Namespace < Kind::LimitRange && Kind::GitRepository < Kind::Kustomization);
}

#[test]
fn no_binding_of_one_kind_can_have_the_name_of_another() {
    // Teams that are called as other bindings begin.
    let text = r"
tenants:
- name: ai-team
  namespaces: [{name: ai}]
  githubTeams: [{name: admin}, {name: additional}, {name: tenantry-control}, {name: reconciler}]
  additionalRoleBindings: [{clusterRole: view, subjects: [{kind: User, name: ada}]}]
";
    let ids: Vec<_> = manifests(text).into_iter().map(|(id, _)| id).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:#?}");
}

#[test]
fn the_order_of_bindings_in_the_file_means_nothing() {
    let bindings = |list: &str| {
        let text = format!(
            "tenants: [{{name: a, namespaces: [{{name: a}}], additionalRoleBindings: [{list}]}}]"
        );
        let of_bindings = manifests(&text).into_iter();
        of_bindings
            .filter(|(id, _)| id.name.starts_with("additional-"))
            .collect::<Vec<_>>()
    };
    let one = "{clusterRole: view, subjects: [{kind: User, name: ada}]}";
    let two = "{clusterRole: edit, subjects: [{kind: User, name: bob}]}";
    let both = bindings(&format!("{one}, {two}"));
    assert_eq!(both.len(), 2);
    assert_eq!(both, bindings(&format!("{two}, {one}")));
}

#[test]
fn an_operators_suspension_is_not_undone() {
    let text = "tenants: [{name: a, namespaces: [{name: a}]}]";
    for kind in [Kind::GitRepository, Kind::Kustomization] {
        let spec = &manifest(text, kind, "tenant-a", "workspace")["spec"];
        assert_eq!(spec.get("suspend"), None, "{kind}");
        assert_eq!(
            manifest(EVERYTHING, kind, "tenant-payments", "workspace")["spec"]["suspend"],
            true
        );
    }
}

#[test]
fn the_first_file_lies_where_flux_looks() {
    let file = |text: &str| with_tenant(text, |tenant, _| first_file(tenant));
    assert_eq!(file(EVERYTHING).0, "clusters/prod/tenantry.yaml");
    let (path, text) = file("tenants: [{name: a, namespaces: [{name: b}]}]");
    assert_eq!(path, "tenantry.yaml");
    let first: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(first["metadata"]["namespace"], "b");
    assert_eq!(file("tenants: [{name: a}]").0, "README.md");
}
