//! Writing what a sync wants, and taking away what it does not want any more.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::super::cluster::{Earnest, Served, words};
use super::super::inventory::{self, Entry};
use super::super::status::Status;
use super::super::{Failure, Key, Shared};
use super::{Applied, Problem};

/// On what a person keeps, or somebody else made: never removed with the sync.
const PRUNE: &str = "/metadata/annotations/kustomize.toolkit.fluxcd.io~1prune";

/// Whom a sync acts as.
fn user(key: &Key, spec: &Value) -> Option<String> {
    let account = spec["serviceAccountName"].as_str()?;
    Some(format!("system:serviceaccount:{}:{account}", key.namespace))
}

/// Tries everything first, so that one wrong manifest leaves all as it was; then applies, then prunes.
pub(super) async fn apply(
    shared: &Shared,
    key: &Key,
    object: &Value,
    manifests: &[Value],
    status: &mut Status,
) -> Result<Applied, kube::Error> {
    let user = user(key, &object["spec"]);
    let mut served = Vec::new();
    for manifest in manifests {
        match place(shared, manifest).await? {
            Ok(found) => served.push(found),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    if shared.failure(key) == Some(Failure::ReconciliationFailed) {
        let message = "ConfigMap/sandbox dry-run failed (Forbidden): a fault of the sandbox";
        return Ok(Err(Problem::new("ReconciliationFailed", message)));
    }
    for earnest in [Earnest::DryRun, Earnest::Real] {
        for (manifest, served) in manifests.iter().zip(&served) {
            let answer = shared
                .cluster
                .apply(manifest, served, user.as_deref(), earnest);
            if let Err(error) = answer.await {
                // What stands in a namespace of the same sync can be tried only once that is there.
                if earnest == Earnest::DryRun && is_waiting(&error, manifest, manifests) {
                    continue;
                }
                return Ok(Err(refused(manifest, &error)));
            }
        }
    }
    let old = inventory::read(&object["status"]);
    let new: BTreeSet<Entry> = manifests.iter().map(Entry::of).collect();
    status.value["inventory"] = inventory::write(&new);
    if object["spec"]["prune"] == true {
        let stale: Vec<&Entry> = old.difference(&new).collect();
        if let Err((entry, message)) = prune(shared, &stale, user.as_deref()).await? {
            let kept = new.iter().chain(stale).cloned().collect();
            status.value["inventory"] = inventory::write(&kept);
            let message = format!("{}/{} delete failed: {message}", entry.kind, entry.name);
            return Ok(Err(Problem::new("PruneFailed", message)));
        }
    }
    match shared.failure(key) {
        Some(Failure::PruneFailed) => {
            let message = "ConfigMap/sandbox delete failed: a fault of the sandbox";
            Ok(Err(Problem::new("PruneFailed", message)))
        }
        Some(Failure::HealthCheckFailed) => {
            let message = "health check failed after 3m0s: timeout waiting for: [Deployment/sandbox status: 'InProgress']";
            status.set("Healthy", "False", "HealthCheckFailed", message);
            Ok(Err(Problem::new("HealthCheckFailed", message)))
        }
        _ => Ok(Ok(())),
    }
}

/// How a manifest's kind is served, and whether the manifest says where it belongs.
async fn place(shared: &Shared, manifest: &Value) -> Result<Result<Served, Problem>, kube::Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
    let what = named(manifest);
    let failed = |message: String| Ok(Err(Problem::new("ReconciliationFailed", message)));
    match shared.cluster.served(&api_version, &kind).await? {
        None => failed(format!(
            "{what} dry-run failed: no matches for kind \"{kind}\" in version \"{api_version}\""
        )),
        Some(served) if served.is_namespaced && manifest["metadata"]["namespace"].is_null() => {
            failed(format!(
                "{what} namespace not specified: the server could not find the requested resource"
            ))
        }
        Some(served) => Ok(Ok(served)),
    }
}

fn is_waiting(error: &kube::Error, manifest: &Value, all: &[Value]) -> bool {
    let is_missing = matches!(error, kube::Error::Api(status) if status.code == 404);
    let namespace = &manifest["metadata"]["namespace"];
    is_missing
        && all
            .iter()
            .any(|other| other["kind"] == "Namespace" && other["metadata"]["name"] == *namespace)
}

fn refused(manifest: &Value, error: &kube::Error) -> Problem {
    let kube::Error::Api(status) = error else {
        return Problem::new("ReconciliationFailed", words(error));
    };
    let reason = match status.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let message = format!(
        "{} dry-run failed{reason}: {}",
        named(manifest),
        status.message
    );
    Problem::new("ReconciliationFailed", message)
}

/// `ConfigMap/ai/settings`.
fn named(manifest: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &manifest["metadata"];
    let parts = [
        text(&manifest["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

type Pruned<'a> = Result<(), (&'a Entry, String)>;

/// Deletes what is not wanted any more, as far as nobody says otherwise.
async fn prune<'a>(
    shared: &Shared,
    stale: &[&'a Entry],
    user: Option<&str>,
) -> Result<Pruned<'a>, kube::Error> {
    for entry in stale {
        let api_version = entry.api_version();
        let Some(served) = shared.cluster.served(&api_version, &entry.kind).await? else {
            continue;
        };
        let place = (entry.namespace.as_str(), entry.name.as_str());
        let found = shared
            .cluster
            .applied(&api_version, &served, place, user)
            .await;
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => return Ok(Err((*entry, words(&error)))),
        };
        if found.pointer(PRUNE).and_then(Value::as_str) == Some("disabled") {
            continue;
        }
        if let Err(error) = shared
            .cluster
            .delete(&api_version, &served, place, user)
            .await
        {
            return Ok(Err((*entry, words(&error))));
        }
    }
    Ok(Ok(()))
}

/// Removes what was applied, as the account that applied it, then lets go. Without that account it lets go all the same.
pub(super) async fn finalize(
    shared: &Shared,
    key: &Key,
    object: &Value,
) -> Result<Option<Duration>, kube::Error> {
    let spec = &object["spec"];
    let prunes = match spec["deletionPolicy"].as_str() {
        Some("Delete" | "WaitForTermination") => true,
        Some("Orphan") => false,
        _ => spec["prune"] == true,
    };
    let has_account = match spec["serviceAccountName"].as_str() {
        Some(account) => {
            shared
                .cluster
                .service_account_exists(&key.namespace, account)
                .await?
        }
        None => true,
    };
    if prunes && has_account && spec["suspend"] != true {
        let entries = inventory::read(&object["status"]);
        let entries: Vec<&Entry> = entries.iter().collect();
        let user = user(key, spec);
        if prune(shared, &entries, user.as_deref()).await?.is_err() {
            return Ok(Some(shared.pause(key, Duration::from_mins(10))));
        }
    }
    shared.cluster.set_finalizers(key, object, &[]).await?;
    Ok(None)
}
