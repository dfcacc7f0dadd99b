//! What a cluster shows of a Flux that is locked down: the two controllers without which nothing is synced, and the
//! API groups that they serve.

use serde_json::{Value, json};

pub(crate) const GROUPS: &str = "/apis";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/flux-system/deployments";

pub(crate) fn groups() -> Value {
    let group = |name: &str| json!({ "name": name, "versions": [{ "groupVersion": format!("{name}/v1"), "version": "v1" }] });
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [
        group("source.toolkit.fluxcd.io"),
        group("kustomize.toolkit.fluxcd.io"),
    ] })
}

pub(crate) fn deployments() -> Value {
    json!({ "kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": [
        deployment("source-controller", &[]),
        deployment("kustomize-controller", &[
            "--no-cross-namespace-refs=true",
            "--no-remote-bases=true",
            "--default-service-account=flux",
        ]),
    ] })
}

fn deployment(name: &str, arguments: &[&str]) -> Value {
    json!({
        "metadata": {
            "name": name,
            "namespace": "flux-system",
            "generation": 1,
            "labels": { "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.4" },
        },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [{ "name": "manager", "args": arguments }] } } },
        "status": { "observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1 },
    })
}
