//! Flux's controllers as far as a cluster without a kubelet has them: Deployments with their arguments, said to run.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const OWN_NAMESPACE: &str = "--no-cross-namespace-refs=true";
const OWN_ACCOUNT: &str = "--default-service-account=flux";
const NO_REMOTE_BASES: &str = "--no-remote-bases=true";

/// Each controller, the version of its image, and the arguments that lock it down.
pub(crate) const ALL: [(&str, &str, &[&str]); 7] = [
    ("source-controller", "v1.9.4", &[]),
    (
        "kustomize-controller",
        "v1.9.4",
        &[OWN_NAMESPACE, NO_REMOTE_BASES, OWN_ACCOUNT],
    ),
    ("helm-controller", "v1.6.3", &[OWN_NAMESPACE, OWN_ACCOUNT]),
    ("notification-controller", "v1.9.3", &[OWN_NAMESPACE]),
    ("image-reflector-controller", "v1.2.1", &[OWN_NAMESPACE]),
    ("image-automation-controller", "v1.2.1", &[OWN_NAMESPACE]),
    ("source-watcher", "v2.2.1", &[OWN_NAMESPACE]),
];

/// A Deployment as Flux's own manifests have it.
pub(crate) fn deployment(name: &str, version: &str, arguments: &[&str]) -> Value {
    let labels = json!({
        "app.kubernetes.io/component": name,
        "app.kubernetes.io/instance": "flux-system",
        "app.kubernetes.io/part-of": "flux",
        "app.kubernetes.io/version": "v2.9.4",
        "control-plane": "controller",
    });
    let mut all = vec![
        "--watch-all-namespaces=true",
        "--log-level=info",
        "--enable-leader-election",
    ];
    all.extend(arguments);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": "flux-system", "labels": labels },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "serviceAccountName": name,
                    "containers": [{
                        "name": "manager",
                        "image": format!("ghcr.io/fluxcd/{name}:{version}"),
                        "args": all,
                    }],
                },
            },
        },
    })
}

/// Installs all of them locked down, and running.
pub(crate) fn lock_down(cluster: &Cluster) {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "flux-system" } });
    let all = ALL
        .iter()
        .map(|(name, version, arguments)| deployment(name, version, arguments));
    let items: Vec<_> = std::iter::once(namespace).chain(all).collect();
    apply(cluster, &items);
    run(cluster);
}

pub(crate) fn apply(cluster: &Cluster, items: &[Value]) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    succeed(cluster, &["apply", "--filename", "-"], &list.to_string());
}

/// Says of every Deployment that its Pods run as it wants them: there is nothing that would run them.
pub(crate) fn run(cluster: &Cluster) {
    let args = [
        "get",
        "deployments",
        "--namespace=flux-system",
        "--output=json",
    ];
    let found: Value = serde_json::from_str(&succeed(cluster, &args, "")).expect("it prints JSON");
    for mut deployment in found["items"].as_array().cloned().unwrap_or_default() {
        deployment["status"] = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
        });
        let name = deployment["metadata"]["name"].as_str().expect("a name");
        let path = format!("/apis/apps/v1/namespaces/flux-system/deployments/{name}/status");
        let args = ["replace", "--raw", path.as_str(), "--filename", "-"];
        succeed(cluster, &args, &deployment.to_string());
    }
}

/// Standard output of a kubectl that must succeed.
pub(crate) fn succeed(cluster: &Cluster, args: &[&str], input: &str) -> String {
    let output = cluster.kubectl_with_input(args, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}
