//! Looking after a GitRepository.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::origin::Address;
use super::status::{self, Status};
use super::{Failure, Key, Shared};

/// Holds an object until its controller has let go of it.
pub(super) const FINALIZER: &str = "finalizers.fluxcd.io";

/// Why a source cannot be fetched.
struct Problem {
    reason: &'static str,
    message: String,
}

impl Problem {
    fn authentication(message: String) -> Self {
        Self {
            reason: "AuthenticationFailed",
            message,
        }
    }

    fn clone(url: &str, detail: &str) -> Self {
        Self {
            reason: "GitOperationFailed",
            message: format!(
                "failed to checkout and determine revision: unable to clone '{url}': {detail}"
            ),
        }
    }
}

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
        shared.cluster.set_finalizers(key, &object, &[]).await?;
        return Ok(None);
    }
    let object = held(shared, key, object).await?;
    if object["spec"]["suspend"] == true {
        return Ok(None);
    }
    let interval = object["spec"]["interval"]
        .as_str()
        .and_then(status::duration);
    let interval = interval.unwrap_or(Duration::from_mins(1));
    let before = Status::of(&object);
    let object = if before.is_of_this_generation() {
        object
    } else {
        say_progressing(shared, key, &object).await?
    };
    let mut status = Status::of(&object);
    let failed = match fetch(shared, key, &object).await? {
        Ok(commit) => {
            succeed(&mut status, key, &object, &commit);
            false
        }
        Err(problem) => {
            fail(&mut status, &problem);
            true
        }
    };
    status.handled(&object);
    if status.value != object["status"] {
        shared
            .cluster
            .set_status(key, &patch(&status, &object))
            .await?;
    }
    if failed {
        return Ok(Some(shared.pause(key, interval)));
    }
    shared.has_worked(key);
    Ok(Some(interval))
}

/// The object with our finalizer on it.
pub(super) async fn held(shared: &Shared, key: &Key, object: Value) -> Result<Value, kube::Error> {
    let finalizers = object["metadata"]["finalizers"].as_array();
    let finalizers: Vec<&str> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if finalizers.contains(&FINALIZER) {
        return Ok(object);
    }
    let mut wanted = finalizers.clone();
    wanted.push(FINALIZER);
    shared.cluster.set_finalizers(key, &object, &wanted).await
}

/// A merge patch of a status: what is not in it any more is said to be gone.
pub(super) fn patch(status: &Status, object: &Value) -> Value {
    let mut patch = status.value.clone();
    for name in object["status"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        if patch.get(name).is_none() {
            patch[name] = Value::Null;
        }
    }
    patch
}

async fn say_progressing(shared: &Shared, key: &Key, object: &Value) -> Result<Value, kube::Error> {
    let mut status = Status::of(object);
    let generation = object["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default();
    let message = format!(
        "processing object: new generation {} -> {generation}",
        status.observed_generation()
    );
    status.set("Reconciling", "True", "Progressing", &message);
    status.set(
        "Ready",
        "Unknown",
        "Progressing",
        "reconciliation in progress",
    );
    shared.cluster.set_status(key, &status.value).await
}

fn succeed(status: &mut Status, key: &Key, object: &Value, commit: &str) {
    let branch = branch(object);
    let revision = format!("{branch}@sha1:{commit}");
    if status.value["artifact"]["revision"] != revision {
        let path = format!(
            "gitrepository/{}/{}/{commit}.tar.gz",
            key.namespace, key.name
        );
        status.value["artifact"] = json!({
            "digest": format!("sha256:{}", hex::encode(Sha256::digest(commit))),
            "lastUpdateTime": status::now(),
            "path": path,
            "revision": revision,
            "url": format!("http://source-controller.flux-system.svc.cluster.local./{path}"),
        });
    }
    let message = format!("stored artifact for revision '{revision}'");
    status.unset("FetchFailed");
    status.unset("Reconciling");
    status.set("ArtifactInStorage", "True", "Succeeded", &message);
    status.set("Ready", "True", "Succeeded", &message);
    status.observed();
}

/// The artifact stays: what was fetched once is still there.
fn fail(status: &mut Status, problem: &Problem) {
    let what = if status.value["artifact"].is_object() {
        "reconciliation in progress"
    } else {
        "building artifact"
    };
    status.set("FetchFailed", "True", problem.reason, &problem.message);
    status.set("Reconciling", "True", "ProgressingWithRetry", what);
    status.set("Ready", "False", problem.reason, &problem.message);
}

fn branch(object: &Value) -> &str {
    object["spec"]["ref"]["branch"].as_str().unwrap_or("master")
}

/// The commit at the tip of the branch, if the Secret opens the repository.
async fn fetch(
    shared: &Shared,
    key: &Key,
    object: &Value,
) -> Result<Result<String, Problem>, kube::Error> {
    let url = object["spec"]["url"].as_str().unwrap_or_default();
    match shared.failure(key) {
        Some(Failure::AuthenticationFailed) => {
            let message = "failed to configure authentication options: invalid 'ssh' auth option: 'identity' is required";
            return Ok(Err(Problem::authentication(message.to_owned())));
        }
        Some(_) => return Ok(Err(Problem::clone(url, "dial tcp: i/o timeout"))),
        None => {}
    }
    let name = object["spec"]["secretRef"]["name"]
        .as_str()
        .unwrap_or_default();
    let secret = if name.is_empty() {
        None
    } else {
        let secret = shared.cluster.secret(&key.namespace, name).await?;
        let Some(secret) = secret else {
            let place = format!("{}/{name}", key.namespace);
            let message = format!("failed to get secret '{place}': secrets \"{name}\" not found");
            return Ok(Err(Problem::authentication(message)));
        };
        Some(secret)
    };
    let address = Address::parse(url);
    let public = match identity(secret.as_ref(), address.as_ref()) {
        Ok(public) => public,
        Err(detail) => {
            let message = format!("failed to configure authentication options: {detail}");
            return Ok(Err(Problem::authentication(message)));
        }
    };
    let Some(address) = address.filter(|address| shared.origin.is_at(&address.host)) else {
        return Ok(Err(Problem::clone(url, "dial tcp: lookup: no such host")));
    };
    let fetched = clone(shared, &address, &public, branch(object)).await;
    Ok(fetched.map_err(|detail| Problem::clone(url, &detail)))
}

/// The public half of the key pair in a Secret that is fit for SSH with this host.
fn identity(secret: Option<&Value>, address: Option<&Address>) -> Result<String, String> {
    let text = |key: &str| -> Result<String, String> {
        let encoded = secret.and_then(|secret| secret["data"][key].as_str());
        let bytes = STANDARD
            .decode(encoded.unwrap_or_default())
            .unwrap_or_default();
        if bytes.is_empty() {
            return Err(format!("invalid 'ssh' auth option: '{key}' is required"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (private, public, hosts) = (
        text("identity")?,
        text("identity.pub")?,
        text("known_hosts")?,
    );
    let private =
        ssh_key::PrivateKey::from_openssh(&private).map_err(|_| "ssh: no key found".to_owned())?;
    let own = private.public_key().to_openssh();
    let own = own.map_err(|error| error.to_string())?;
    let material = |text: &str| {
        text.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    if material(&own) != material(&public) {
        return Err("'identity.pub' is not the public half of 'identity'".to_owned());
    }
    let host = address
        .map(|address| address.host.as_str())
        .unwrap_or_default();
    let is_known = hosts
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .any(|names| names.split(',').any(|name| name == host));
    if !is_known {
        return Err("ssh: handshake failed: knownhosts: key is unknown".to_owned());
    }
    Ok(own)
}

async fn clone(
    shared: &Shared,
    address: &Address,
    public: &str,
    branch: &str,
) -> Result<String, String> {
    if !shared.origin.opens(&address.repository, public).await? {
        return Err("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain".to_owned());
    }
    let tip = shared.origin.tip(&address.repository, branch).await?;
    tip.ok_or_else(|| format!("couldn't find remote ref \"refs/heads/{branch}\""))
}
