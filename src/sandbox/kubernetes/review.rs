//! Access reviews, answered from the bindings that are kept. Nobody logs in here, so whoever asks about itself may do everything.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Resource;
use super::status::Refusal;
use super::store::{Reading, Store};

const RBAC: (&str, &str) = ("rbac.authorization.k8s.io", "v1");

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// Groups of which the built-in roles give everything in a namespace; Flux adds its own to them.
const WORKLOADS: &[&str] = &[
    "apps",
    "autoscaling",
    "batch",
    "policy",
    "networking.k8s.io",
    "source.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "image.toolkit.fluxcd.io",
];

/// What is without a group, and for everybody who may see a namespace.
const PLAIN: &[&str] = &[
    "configmaps",
    "endpoints",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "serviceaccounts",
    "services",
];

/// What a namespace is given: to be seen in it, and not to be changed.
const GIVEN: &[&str] = &["limitranges", "namespaces", "resourcequotas"];

/// Answers a review: the question, with its status.
pub(super) fn answer(
    store: &Store,
    resource: &Resource,
    mut review: Value,
) -> Result<Value, Refusal> {
    let is_allowed = if resource.kind == "SelfSubjectAccessReview" {
        true
    } else {
        let spec = &review["spec"];
        if spec["user"].as_str().is_none() && spec["groups"].as_array().is_none() {
            let message = "spec.user: at least one of user or group must be specified";
            return Err(Refusal::bad_request(message));
        }
        is_allowed(store, spec)
    };
    review["status"] = json!({ "allowed": is_allowed });
    Ok(review)
}

fn is_allowed(store: &Store, spec: &Value) -> bool {
    let asked = &spec["resourceAttributes"];
    let namespace = asked["namespace"].as_str().filter(|name| !name.is_empty());
    let of_namespace = namespace.map(|name| bindings(store, "rolebindings", Some(name)));
    let mut all = bindings(store, "clusterrolebindings", None);
    all.extend(of_namespace.into_iter().flatten());
    let own = all.iter().filter(|binding| names(binding, spec));
    own.map(|binding| &binding["roleRef"])
        .any(|role| gives(store, role, asked))
}

fn kind(store: &Store, plural: &str) -> Option<Arc<Resource>> {
    store.kinds.find(RBAC.0, RBAC.1, plural)
}

fn bindings(store: &Store, plural: &str, namespace: Option<&str>) -> Vec<Value> {
    let Some(resource) = kind(store, plural) else {
        return Vec::new();
    };
    let reading = Reading {
        namespace: namespace.map(str::to_owned),
        ..Reading::default()
    };
    let page = store.list(&resource, &reading);
    let items = page.expect("what is there now is not too old").items;
    items.iter().map(|stored| stored.full(&resource)).collect()
}

/// Whether one of the binding's subjects is whoever is asked about.
fn names(binding: &Value, spec: &Value) -> bool {
    let user = spec["user"].as_str().unwrap_or_default();
    let groups = spec["groups"].as_array();
    let mut subjects = binding["subjects"].as_array().into_iter().flatten();
    subjects.any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("Group") => groups.is_some_and(|groups| groups.iter().any(|group| group == name)),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().unwrap_or_default();
                user == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => user == name,
        }
    })
}

fn gives(store: &Store, role: &Value, asked: &Value) -> bool {
    let name = role["name"].as_str().unwrap_or_default();
    let of = |key: &str| asked[key].as_str().unwrap_or_default();
    let (verb, group, resource) = (of("verb"), of("group"), of("resource"));
    match name {
        "cluster-admin" => true,
        "admin" | "edit" | "view" => built_in(name, verb, group, resource),
        _ => kind(store, "clusterroles")
            .and_then(|roles| Some(store.get(&roles, name)?.full(&roles)))
            .is_some_and(|role| {
                let mut rules = role["rules"].as_array().into_iter().flatten();
                rules.any(|rule| is_met(rule, asked))
            }),
    }
}

fn built_in(role: &str, verb: &str, group: &str, resource: &str) -> bool {
    let verbs = if role == "view" { READ } else { WRITE };
    let is_given = group.is_empty() && GIVEN.contains(&resource) && READ.contains(&verb);
    let is_plain = group.is_empty() && PLAIN.contains(&resource) && verbs.contains(&verb);
    let is_workload = WORKLOADS.contains(&group) && verbs.contains(&verb);
    let is_secret = role != "view" && group.is_empty() && resource == "secrets";
    let is_role =
        role == "admin" && group == RBAC.0 && matches!(resource, "roles" | "rolebindings");
    let acts_as =
        role != "view" && (verb, group, resource) == ("impersonate", "", "serviceaccounts");
    is_given
        || is_plain
        || is_workload
        || acts_as
        || ((is_secret || is_role) && verbs.contains(&verb))
}

fn is_met(rule: &Value, asked: &Value) -> bool {
    let holds = |list: &str, key: &str| {
        let word = asked[key].as_str().unwrap_or_default();
        let mut listed = rule[list].as_array().into_iter().flatten();
        listed.any(|one| one == "*" || one == word)
    };
    let is_named = rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
        || holds("resourceNames", "name");
    holds("verbs", "verb")
        && holds("apiGroups", "group")
        && holds("resources", "resource")
        && is_named
}
