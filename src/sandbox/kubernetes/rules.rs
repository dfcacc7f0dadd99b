//! What is particular to a kind: what the server fills in, what may not change, what holds an object at its end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::clock;
use super::kinds::{self, Resource};
use super::names;
use super::object::metadata;
use super::schema;
use super::status::{Cause, Refusal};
use super::verbs::Order;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Parts that a built-in kind has from the beginning, however little was said of it.
pub(super) fn blank(resource: &Resource, object: &mut Value) {
    if resource.is_custom {
        return;
    }
    match resource.kind.as_str() {
        "Secret" | "ConfigMap" | "ServiceAccount" | "Role" | "ClusterRole" | "Event" => {}
        "RoleBinding" | "ClusterRoleBinding" => object["roleRef"] = json!({}),
        "NetworkPolicy" => object["spec"] = json!({ "podSelector": {} }),
        "Deployment" => {
            object["spec"] = json!({ "strategy": {}, "template": { "metadata": {}, "spec": {} } });
        }
        _ => object["spec"] = json!({}),
    }
    if resource.has_status {
        object["status"] = json!({});
    }
}

/// Fills in what the kind's own code fills in.
pub(super) fn prepare(
    resource: &Resource,
    live: Option<&Value>,
    object: &mut Value,
) -> Result<(), Refusal> {
    if resource.is_custom {
        return Ok(());
    }
    match resource.kind.as_str() {
        "Namespace" => namespace(live, object),
        "Secret" => secret(object)?,
        "RoleBinding" | "ClusterRoleBinding" => binding(object),
        "NetworkPolicy" => network_policy(object),
        "CustomResourceDefinition" => definition(live, object),
        _ => {}
    }
    Ok(())
}

fn namespace(live: Option<&Value>, object: &mut Value) {
    if live.is_none() {
        object["spec"] = json!({ "finalizers": ["kubernetes"] });
        object["status"] = json!({ "phase": "Active" });
    }
    let name = object["metadata"]["name"].clone();
    let labels = metadata(object)
        .entry("labels")
        .or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = name;
}

fn secret(object: &mut Value) -> Result<(), Refusal> {
    let Some(plain) = object
        .as_object_mut()
        .and_then(|map| map.shift_remove("stringData"))
    else {
        return Ok(());
    };
    for (name, text) in plain.as_object().into_iter().flatten() {
        let text = text.as_str().ok_or_else(|| {
            Refusal::bad_request(format!("Secret.stringData.{name} is not a string"))
        })?;
        object["data"][name] = json!(STANDARD.encode(text));
    }
    Ok(())
}

fn binding(object: &mut Value) {
    if let Some(role) = object["roleRef"].as_object_mut() {
        role.entry("apiGroup").or_insert_with(|| json!(RBAC));
    }
    let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if subject["apiGroup"].is_null() && subject["kind"] != "ServiceAccount" {
            subject["apiGroup"] = json!(RBAC);
        }
    }
}

fn network_policy(object: &mut Value) {
    let spec = &mut object["spec"];
    if spec["podSelector"].is_null() {
        spec["podSelector"] = json!({});
    }
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        let has_egress = spec["egress"]
            .as_array()
            .is_some_and(|rules| !rules.is_empty());
        spec["policyTypes"] = if has_egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
    }
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            let ports = rule.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                if port["protocol"].is_null() {
                    port["protocol"] = json!("TCP");
                }
            }
        }
    }
}

fn definition(live: Option<&Value>, object: &mut Value) {
    let names = &mut object["spec"]["names"];
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    if names["singular"].is_null() {
        names["singular"] = json!(kind.to_lowercase());
    }
    if names["listKind"].is_null() {
        names["listKind"] = json!(format!("{kind}List"));
    }
    let accepted = names.clone();
    if object["spec"]["conversion"].is_null() {
        object["spec"]["conversion"] = json!({ "strategy": "None" });
    }
    if live.is_some() {
        object["status"]["acceptedNames"] = accepted;
        return;
    }
    let now = clock::stamp(clock::now());
    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
    let stored: Vec<_> = versions
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    object["status"] = json!({
        "conditions": [
            kinds::condition("NamesAccepted", "NoConflicts", "no conflicts found", &now),
            kinds::condition("Established", "InitialNamesAccepted", "the initial names have been accepted", &now),
        ],
        "acceptedNames": accepted,
        "storedVersions": stored,
    });
}

/// Everything that is wrong with an object.
pub(super) fn verify(order: &Order, live: Option<&Value>, object: &Value) -> Vec<Cause> {
    let resource = &order.resource;
    let mut causes = name(resource, object);
    if resource.is_custom {
        causes.extend(schema::check(object, &resource.schema, ""));
        return causes;
    }
    match resource.kind.as_str() {
        "RoleBinding" | "ClusterRoleBinding" => {
            if let Some(live) = live.filter(|live| live["roleRef"] != object["roleRef"]) {
                let _ = live;
                causes.push(Cause::invalid(
                    "roleRef",
                    &object["roleRef"],
                    "cannot change roleRef",
                ));
            }
        }
        _ => {}
    }
    causes
}

fn name(resource: &Resource, object: &Value) -> Vec<Cause> {
    let value = &object["metadata"]["name"];
    let Some(name) = value.as_str().filter(|name| !name.is_empty()) else {
        return vec![Cause::required(
            "metadata.name",
            "name or generateName is required",
        )];
    };
    let is_good = match resource.kind.as_str() {
        _ if resource.group == RBAC => names::is_path_segment(name),
        "Namespace" => names::is_label(name),
        _ => names::is_subdomain(name),
    };
    if is_good {
        return Vec::new();
    }
    let detail = if resource.kind == "Namespace" {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    } else {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    };
    vec![Cause::invalid("metadata.name", value, detail)]
}

/// Why an object may not be deleted at all.
pub(super) fn undeletable(resource: &Resource, name: &str) -> Option<&'static str> {
    let is_lasting =
        resource.is("", "namespaces") && ["default", "kube-system", "kube-public"].contains(&name);
    is_lasting.then_some("this namespace may not be deleted")
}

/// Whether something still holds an object that is to be deleted.
pub(super) fn is_held(resource: &Resource, object: &Value) -> bool {
    let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    is_some(&object["metadata"]["finalizers"])
        || (resource.is("", "namespaces") && is_some(&object["spec"]["finalizers"]))
}

/// A namespace ends by emptying, not by a grace period.
pub(super) fn ends_by_itself(resource: &Resource) -> bool {
    resource.is("", "namespaces")
}

/// How an object that is ending says so.
pub(super) fn begin_end(resource: &Resource, object: &mut Value) {
    if resource.is("", "namespaces") {
        object["status"]["phase"] = json!("Terminating");
    }
}
