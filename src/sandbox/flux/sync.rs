//! Looking after a Kustomization.

mod apply;

use std::time::Duration;

use serde_json::{Value, json};

use super::origin::Address;
use super::source::{held, patch};
use super::status::{self, Status};
use super::{Failure, Key, Kind, Shared, build};

use apply::{apply, finalize};

/// How long Flux waits for a source that has nothing yet.
const DEPENDENCY: Duration = Duration::from_secs(30);

/// Why a sync is not Ready.
struct Problem {
    reason: &'static str,
    message: String,
    again: Option<Duration>,
}

impl Problem {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            again: None,
        }
    }
}

/// What came of a look, if not a problem: what is applied.
type Applied = Result<(), Problem>;

/// One look; gives the time until the next one.
pub(super) async fn look_after(
    shared: &Shared,
    key: &Key,
) -> Result<Option<Duration>, kube::Error> {
    let Some(object) = shared.cluster.object(key).await? else {
        shared.forget(key);
        return Ok(None);
    };
    if object["metadata"]["deletionTimestamp"].is_string() {
        return finalize(shared, key, &object).await;
    }
    let object = held(shared, key, object).await?;
    let spec = &object["spec"];
    if spec["suspend"] == true {
        return Ok(None);
    }
    let duration = |name: &str| spec[name].as_str().and_then(status::duration);
    let interval = duration("interval").unwrap_or(Duration::from_mins(10));
    let retry = duration("retryInterval").unwrap_or(interval);
    let mut status = Status::of(&object);
    let applied = work(shared, key, &object, &mut status).await?;
    status.handled(&object);
    let again = match applied {
        Ok(()) => {
            status.unset("Reconciling");
            status.observed();
            shared.has_worked(key);
            interval
        }
        Err(problem) => {
            status.set("Ready", "False", problem.reason, &problem.message);
            let pause = shared.pause(key, retry);
            problem.again.unwrap_or(retry).min(pause)
        }
    };
    if status.value != object["status"] {
        shared
            .cluster
            .set_status(key, &patch(&status, &object))
            .await?;
    }
    Ok(Some(again))
}

async fn work(
    shared: &Shared,
    key: &Key,
    object: &Value,
    status: &mut Status,
) -> Result<Applied, kube::Error> {
    let (address, revision) = match source(shared, key, object).await? {
        Ok(found) => found,
        Err(problem) => return Ok(Err(problem)),
    };
    if let Err(problem) = dependencies(shared, key, object).await? {
        return Ok(Err(problem));
    }
    let was_ready = status.is_ready() && status.value["lastAppliedRevision"] == revision;
    if !was_ready || !status.is_of_this_generation() {
        let message = format!("Fetching manifests for revision {revision}");
        status.set("Reconciling", "True", "Progressing", &message);
        status.set(
            "Ready",
            "Unknown",
            "Progressing",
            "Reconciliation in progress",
        );
        shared.cluster.set_status(key, &status.value).await?;
    }
    let manifests = match manifests(shared, key, object, (&address, &revision), status).await {
        Ok(manifests) => manifests,
        Err(problem) => return Ok(Err(retrying(status, problem))),
    };
    let applied = apply(shared, key, object, &manifests, status).await?;
    if let Err(problem) = applied {
        return Ok(Err(retrying(status, problem)));
    }
    status.value["lastAppliedRevision"] = json!(revision);
    let message = format!("Applied revision: {revision}");
    if object["spec"]["wait"] == true {
        status.set("Healthy", "True", "Succeeded", "Health check passed");
    } else {
        status.unset("Healthy");
    }
    status.set("Ready", "True", "ReconciliationSucceeded", &message);
    Ok(Ok(()))
}

fn retrying(status: &mut Status, problem: Problem) -> Problem {
    status.set(
        "Reconciling",
        "True",
        "ProgressingWithRetry",
        "Reconciliation in progress",
    );
    problem
}

/// Where the source fetches from, and the revision that it offers.
async fn source(
    shared: &Shared,
    key: &Key,
    object: &Value,
) -> Result<Result<(Address, String), Problem>, kube::Error> {
    let reference = &object["spec"]["sourceRef"];
    let failed = |message: String| Ok(Err(Problem::new("ArtifactFailed", message)));
    if reference["kind"] != "GitRepository" {
        let kind = reference["kind"].as_str().unwrap_or_default();
        return failed(format!("source kind '{kind}' not supported"));
    }
    let namespace = reference["namespace"].as_str().unwrap_or(&key.namespace);
    let name = reference["name"].as_str().unwrap_or_default();
    let source = Key::new(Kind::GitRepository, namespace, name);
    let Some(source) = shared.cluster.object(&source).await? else {
        return failed(format!(
            "gitrepositories.source.toolkit.fluxcd.io \"{name}\" not found"
        ));
    };
    let revision = source.pointer("/status/artifact/revision");
    let url = source["spec"]["url"].as_str().unwrap_or_default();
    match (revision.and_then(Value::as_str), Address::parse(url)) {
        (Some(revision), Some(address)) => Ok(Ok((address, revision.to_owned()))),
        _ => Ok(Err(Problem {
            reason: "ArtifactFailed",
            message: "Source artifact not found, retrying in 30s".to_owned(),
            again: Some(DEPENDENCY),
        })),
    }
}

async fn dependencies(shared: &Shared, key: &Key, object: &Value) -> Result<Applied, kube::Error> {
    for needed in object["spec"]["dependsOn"].as_array().into_iter().flatten() {
        let namespace = needed["namespace"].as_str().unwrap_or(&key.namespace);
        let name = needed["name"].as_str().unwrap_or_default();
        let needed = Key::new(Kind::Kustomization, namespace, name);
        let found = shared.cluster.object(&needed).await?;
        let is_ready = found.is_some_and(|found| {
            let status = Status::of(&found);
            status.is_ready() && status.is_of_this_generation()
        });
        if !is_ready {
            return Ok(Err(Problem {
                reason: "DependencyNotReady",
                message: format!("dependency '{namespace}/{name}' is not ready"),
                again: Some(DEPENDENCY),
            }));
        }
    }
    if shared.failure(key) == Some(Failure::DependencyNotReady) {
        let message = format!("dependency '{}/first' is not ready", key.namespace);
        return Ok(Err(Problem::new("DependencyNotReady", message)));
    }
    Ok(Ok(()))
}

/// Fetches and builds what is to be applied.
async fn manifests(
    shared: &Shared,
    key: &Key,
    object: &Value,
    (address, revision): (&Address, &str),
    status: &mut Status,
) -> Result<Vec<Value>, Problem> {
    let failure = shared.failure(key);
    let path = object["spec"]["path"].as_str().unwrap_or_default();
    let directory = path.trim_start_matches("./").trim_matches('/');
    let directory = if directory == "." { "" } else { directory };
    let commit = revision
        .rsplit_once(':')
        .map_or(revision, |(_, commit)| commit);
    let files = shared
        .origin
        .files(&address.repository, commit, directory)
        .await;
    let files = files.map_err(|message| Problem::new("ArtifactFailed", message))?;
    let missing = || {
        let message = format!(
            "kustomization path not found: stat /tmp/kustomization/{directory}: no such file or directory"
        );
        Problem::new("ArtifactFailed", message)
    };
    let files = files.filter(|_| failure != Some(Failure::ArtifactFailed));
    let files = files.ok_or_else(missing)?;
    status.value["lastAttemptedRevision"] = json!(revision);
    if failure == Some(Failure::BuildFailed) {
        let message = "kustomize build failed: accumulating resources: a fault of the sandbox";
        return Err(Problem::new("BuildFailed", message));
    }
    let mut manifests =
        build::manifests(&files).map_err(|message| Problem::new("BuildFailed", message))?;
    for manifest in &mut manifests {
        dress(manifest, key, &object["spec"]);
    }
    // What others stand in comes first.
    manifests.sort_by_key(|manifest| {
        let kind = manifest["kind"].as_str().unwrap_or_default();
        !["Namespace", "CustomResourceDefinition"].contains(&kind)
    });
    Ok(manifests)
}

/// What every manifest is given on its way: marks of its owner, and the spec's own metadata and namespace.
fn dress(manifest: &mut Value, key: &Key, spec: &Value) {
    let common = &spec["commonMetadata"];
    for part in ["labels", "annotations"] {
        for (name, value) in common[part].as_object().into_iter().flatten() {
            manifest["metadata"][part][name] = value.clone();
        }
    }
    let labels = &mut manifest["metadata"]["labels"];
    labels["kustomize.toolkit.fluxcd.io/name"] = json!(key.name);
    labels["kustomize.toolkit.fluxcd.io/namespace"] = json!(key.namespace);
    if let Some(namespace) = spec["targetNamespace"].as_str() {
        manifest["metadata"]["namespace"] = json!(namespace);
    }
}
