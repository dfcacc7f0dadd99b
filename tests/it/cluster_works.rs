//! The API server of the tests does what the stories count on.

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::cluster::Cluster;

/// Standard output of what must have succeeded.
fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("kubectl prints text")
}

#[test]
fn a_token_and_the_certificate_are_all_it_takes() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    let mut certificate = tempfile::NamedTempFile::new().unwrap();
    certificate.write_all(cluster.ca_pem().as_bytes()).unwrap();
    let output = Command::new(cluster.assets().join("kubectl"))
        .args([
            "--kubeconfig=/dev/null",
            "--server",
            cluster.url(),
            "--token",
            cluster.admin_token(),
        ])
        .arg("--certificate-authority")
        .arg(certificate.path())
        .args(["get", "--raw", "/readyz"])
        .output();
    assert_eq!(stdout(&output.unwrap()), "ok");
}

#[test]
fn a_deleted_namespace_ends() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    stdout(&cluster.kubectl(&["create", "namespace", "short-lived"]));
    let started = Instant::now();
    stdout(&cluster.kubectl(&["delete", "namespace", "short-lived", "--timeout=60s"]));
    assert!(started.elapsed() < Duration::from_mins(1));
}

#[test]
fn the_role_admin_holds_the_rules_of_edit_and_view() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    let rules = stdout(&cluster.kubectl(&[
        "get",
        "clusterrole",
        "admin",
        "--output",
        "jsonpath={.rules}",
    ]));
    assert!(
        rules.contains("rolebindings") && rules.contains("deployments"),
        "{rules}"
    );
}

#[test]
fn flux_objects_are_stored_and_wrong_ones_refused() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    stdout(&cluster.kubectl(&["create", "namespace", "flux-objects"]));
    let repository = |url: &str| {
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "workspace", "namespace": "flux-objects", "labels": {"one": "1", "two": "2"}},
            "spec": {"url": url, "interval": "10m", "ref": {"branch": "main"}, "secretRef": {"name": "git-auth"}},
        })
        .to_string()
    };
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=tests",
        "--filename",
        "-",
    ];
    stdout(&cluster.kubectl_with_input(&apply, &repository("ssh://git@github.com/acme/a.git")));
    let listed = stdout(&cluster.kubectl(&[
        "get",
        "gitrepositories",
        "--namespace=flux-objects",
        "--output",
        "name",
    ]));
    assert_eq!(listed, "gitrepository.source.toolkit.fluxcd.io/workspace\n");
    let refused = cluster.kubectl_with_input(&apply, &repository("git@github.com:acme/a.git"));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("spec.url"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_audit_log_tells_who_wrote_what() {
    let Some(cluster) = Cluster::shared_or_skip() else {
        return;
    };
    stdout(&cluster.kubectl(&["create", "namespace", "audited"]));
    stdout(&cluster.kubectl(&["create", "serviceaccount", "writer", "--namespace=audited"]));
    stdout(&cluster.kubectl(&[
        "create",
        "rolebinding",
        "writer",
        "--namespace=audited",
        "--clusterrole=admin",
        "--serviceaccount=audited:writer",
    ]));
    let token = cluster.service_account_token("audited", "writer");
    let config = Kubeconfig::from_yaml(&cluster.kubeconfig_for(&token)).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    let client = kube::Client::try_from(config).unwrap();

    let mark = cluster.audit_mark();
    let config_maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(client, "audited");
    config_maps
        .list(&kube::api::ListParams::default())
        .await
        .unwrap();
    let patch = kube::api::Patch::Apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}}),
    );
    config_maps
        .patch("it", &kube::api::PatchParams::apply("tests"), &patch)
        .await
        .unwrap();

    let requests = cluster.requests_since(mark);
    let ours: Vec<_> = requests
        .iter()
        .filter(|request| request.user == "system:serviceaccount:audited:writer")
        .collect();
    assert_eq!(ours.len(), 2, "{requests:#?}");
    assert!(!ours[0].is_write());
    assert!(
        ours[1].is_write()
            && ours[1]
                .uri
                .starts_with("/api/v1/namespaces/audited/configmaps/it?")
    );
    assert_eq!(ours[1].status, 201);
}
