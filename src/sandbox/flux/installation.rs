//! What there is of Flux to be looked at: Deployments of its controllers, with the arguments that lock them down.

use serde_json::{Value, json};

use super::Kind;
use super::cluster::{Cluster, Earnest};

/// Where Flux is installed.
const NAMESPACE: &str = "flux-system";
/// The release whose manners this is a play of, and its controllers'.
const RELEASE: &str = "v2.9.4";
const VERSION: &str = "v1.9.4";

/// The arguments that Flux's page on multi-tenancy asks for.
fn arguments(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::GitRepository => &[],
        Kind::Kustomization => &[
            "--no-cross-namespace-refs=true",
            "--no-remote-bases=true",
            "--default-service-account=flux",
        ],
    }
}

/// Installs them. Of `pods` of each it is said that they run.
pub(super) async fn install(cluster: &Cluster, pods: u32) -> Result<(), kube::Error> {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    apply(cluster, &namespace).await?;
    for kind in [Kind::GitRepository, Kind::Kustomization] {
        let installed = apply(cluster, &deployment(kind, pods)).await?;
        if pods > 0 {
            let status = json!({
                "observedGeneration": installed["metadata"]["generation"],
                "replicas": pods,
                "updatedReplicas": pods,
                "readyReplicas": pods,
                "availableReplicas": pods,
            });
            cluster
                .set_deployment_status((NAMESPACE, kind), &status)
                .await?;
        }
    }
    Ok(())
}

async fn apply(cluster: &Cluster, object: &Value) -> Result<Value, kube::Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let served = cluster.served(&api_version, &kind).await?;
    let served = served.expect("every cluster has namespaces and Deployments");
    cluster.apply(object, &served, None, Earnest::Real).await
}

fn deployment(kind: Kind, pods: u32) -> Value {
    let name = kind.controller();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/component": name,
                "app.kubernetes.io/instance": NAMESPACE,
                "app.kubernetes.io/part-of": "flux",
                "app.kubernetes.io/version": RELEASE,
            },
        },
        "spec": {
            "replicas": pods,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "containers": [{
                        "name": "manager",
                        "image": format!("ghcr.io/fluxcd/{name}:{VERSION}"),
                        "args": arguments(kind),
                    }],
                },
            },
        },
    })
}
