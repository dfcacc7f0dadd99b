//! Flux, played for one world: whatever is to be synced is, at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serde_json::{Value, json};
use tenantry::kubernetes::watch::Seen;
use tenantry::kubernetes::{self};
use tenantry::object::Kind;
use tenantry::sandbox::github::GitHub;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Ends with what holds it.
pub(crate) struct Flux {
    work: JoinSet<()>,
}

impl Flux {
    /// Syncs the tenants whose names end so.
    pub(crate) fn start(github: Arc<GitHub>, config: kube::Config, suffix: String) -> Self {
        let mut work = JoinSet::new();
        let (reader, _) = kubernetes::connect_with(config.clone()).expect("a client");
        let (seen, mut sights) = mpsc::channel(64);
        for kind in [Kind::GitRepository, Kind::Kustomization] {
            work.spawn(reader.clone().watch(kind, seen.clone()));
        }
        let client = Client::try_from(config).expect("a client");
        work.spawn(async move {
            let mut sources: BTreeMap<String, Value> = BTreeMap::new();
            let mut syncs: BTreeMap<String, Value> = BTreeMap::new();
            while let Some((kind, seen)) = sights.recv().await {
                let Seen::Present(object) = seen else {
                    continue;
                };
                let namespace = object["metadata"]["namespace"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                if !namespace.ends_with(&suffix) {
                    continue;
                }
                if kind == Kind::GitRepository {
                    sources.insert(namespace.clone(), object);
                } else {
                    syncs.insert(namespace.clone(), object);
                }
                let Some(source) = sources.get(&namespace) else {
                    continue;
                };
                let Some(revision) = revision(&github, source) else {
                    continue;
                };
                say(
                    &client,
                    "source",
                    "gitrepositories",
                    source,
                    fetched(source, &revision),
                )
                .await;
                if let Some(sync) = syncs.get(&namespace) {
                    say(
                        &client,
                        "kustomize",
                        "kustomizations",
                        sync,
                        applied(sync, &revision),
                    )
                    .await;
                }
            }
        });
        Self { work }
    }

    pub(crate) async fn stop(mut self) {
        self.work.shutdown().await;
    }
}

fn revision(github: &GitHub, source: &Value) -> Option<String> {
    let url = source["spec"]["url"].as_str()?;
    let repository = url
        .strip_prefix("ssh://git@github.com/")?
        .strip_suffix(".git")?;
    let branch = source["spec"]["ref"]["branch"].as_str()?;
    if source["spec"]["suspend"] == true || !github.exists(repository) {
        return None;
    }
    Some(format!(
        "{branch}@sha1:{}",
        github.head(repository, branch)?
    ))
}

/// What Flux has fetched just now.
pub(crate) fn artifact(revision: &str) -> Value {
    json!({
        "digest": "sha256:00", "lastUpdateTime": now(), "path": "x", "url": "http://x/", "revision": revision,
    })
}

/// As Kubernetes writes it, in whole seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "Flux has a clock of its own, and so has who plays it"
)]
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn status(object: &Value, reason: &str) -> Value {
    let generation = &object["metadata"]["generation"];
    json!({
        "observedGeneration": generation,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": reason, "message": "done",
            "observedGeneration": generation, "lastTransitionTime": "2026-11-25T12:00:00Z",
        }],
    })
}

fn fetched(source: &Value, revision: &str) -> Value {
    let mut status = status(source, "Succeeded");
    let stored = &source["status"]["artifact"];
    status["artifact"] = if stored["revision"] == revision {
        stored.clone()
    } else {
        artifact(revision)
    };
    if let Some(at) = source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].as_str()
    {
        status["lastHandledReconcileAt"] = json!(at);
    }
    status
}

fn applied(sync: &Value, revision: &str) -> Value {
    let mut status = status(sync, "ReconciliationSucceeded");
    status["lastAppliedRevision"] = json!(revision);
    status["lastAttemptedRevision"] = json!(revision);
    status
}

async fn say(client: &Client, group: &str, kind: &str, object: &Value, status: Value) {
    if object["status"] == status {
        return;
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let path = format!(
        "/apis/{group}.toolkit.fluxcd.io/v1/namespaces/{namespace}/{kind}/workspace/status"
    );
    let body = serde_json::to_vec(&json!({ "status": status })).expect("plain data");
    let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
    let request = request.body(body).expect("a request");
    if let Err(error) = client.request::<Value>(request).await {
        panic!("a status is not taken: {error}");
    }
}
