//! Objects of any kind, as Flux's own manifests hold them: where each belongs is asked of the server.

use std::collections::BTreeMap;

use anyhow::Context as _;
use http::Method;
use kube::Config;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Error, Force, Reader, Writer, encode};

/// What is known of the API versions that were asked for.
#[derive(Debug, Default)]
pub struct Apis(BTreeMap<String, Vec<Api>>);

#[derive(Debug, Clone, Deserialize)]
struct Api {
    kind: String,
    /// The plural; `pods/status` is no place for an object of its own.
    name: String,
    namespaced: bool,
}

#[derive(Deserialize)]
struct ApiList {
    resources: Vec<Api>,
}

/// Connects as kubectl would, and tells where to: the server's address.
pub async fn connect_and_tell() -> anyhow::Result<(Writer, String)> {
    let config = Config::infer()
        .await
        .context("find the Kubernetes cluster (`KUBECONFIG`, or the pod's account)")?;
    let address = config.cluster_url.to_string();
    let (_, writer) = super::connect_with(config)?;
    Ok((writer, address.trim_end_matches('/').to_owned()))
}

impl Reader {
    /// Whatever is at an address of the API; nothing where nothing is.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.send(Method::GET, path, None).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The object that a manifest is of; nothing where there is none, or where the server does not know its kind.
    pub async fn find_object(
        &self,
        manifest: &Value,
        apis: &mut Apis,
    ) -> Result<Option<Value>, Error> {
        match self.address(manifest, apis).await? {
            Some(path) => self.find(&path).await,
            None => Ok(None),
        }
    }

    /// The public half of the key pair in a Secret; empty if it holds none, and nothing if there is no Secret.
    pub async fn public_key(&self, path: &str) -> Result<Option<String>, Error> {
        let stored = self.stored_key(path).await?;
        Ok(stored.map(|stored| stored.public_key))
    }

    /// Where an object belongs, if the server knows its kind.
    async fn address(&self, manifest: &Value, apis: &mut Apis) -> Result<Option<String>, Error> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
        let root = if version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        if !apis.0.contains_key(&version) {
            let Some(answer) = self.find(&format!("{root}/{version}")).await? else {
                return Ok(None);
            };
            let list: ApiList =
                serde_json::from_value(answer).map_err(|error| Error::Unexpected {
                    message: format!("the kinds of {version}: {error}"),
                })?;
            apis.0.insert(version.clone(), list.resources);
        }
        let is_it = |api: &&Api| api.kind == kind && !api.name.contains('/');
        let Some(api) = apis.0[&version].iter().find(is_it) else {
            return Ok(None);
        };
        let metadata = &manifest["metadata"];
        let namespace = if api.namespaced {
            format!("/namespaces/{}", encode(&text(&metadata["namespace"])))
        } else {
            String::new()
        };
        let name = encode(&text(&metadata["name"]));
        Ok(Some(format!(
            "{root}/{version}{namespace}/{}/{name}",
            api.name
        )))
    }
}

impl Writer {
    /// Server-side apply of an object of any kind, for another manager than the app's own.
    pub async fn apply_any(
        &self,
        manager: &str,
        manifest: &Value,
        force: Force,
        apis: &mut Apis,
    ) -> Result<(), Error> {
        let Some(path) = self.reader.address(manifest, apis).await? else {
            let (version, kind) = (&manifest["apiVersion"], &manifest["kind"]);
            return Err(Error::Invalid {
                message: format!("the cluster does not know {version} {kind}"),
            });
        };
        let body = serde_json::to_vec(manifest).expect("a manifest is plain data");
        self.apply_at(manager, &path, force, body).await
    }

    /// Stores a key pair where there is none. The body holds the private key and is wiped once it is sent.
    pub async fn apply_secret(
        &self,
        manager: &str,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(), Error> {
        let path = format!("{path}?fieldManager={manager}&force=false");
        self.send_secret(&path, "application/apply-patch+yaml", body)
            .await
    }

    async fn apply_at(
        &self,
        manager: &str,
        path: &str,
        force: Force,
        body: Vec<u8>,
    ) -> Result<(), Error> {
        let force = force == Force::Yes;
        let path = format!("{path}?fieldManager={manager}&force={force}");
        let content = ("application/apply-patch+yaml", body);
        let applied = self.reader.send(Method::PATCH, &path, Some(content)).await;
        applied.map(|_| ())
    }

    /// Sets one annotation of an object and nothing else.
    pub async fn annotate_at(
        &self,
        manager: &str,
        path: &str,
        (key, value): (&str, &str),
    ) -> Result<(), Error> {
        let body = json!({ "metadata": { "annotations": { key: value } } });
        let body = serde_json::to_vec(&body).expect("an annotation is plain data");
        let path = format!("{path}?fieldManager={manager}");
        let content = ("application/merge-patch+json", body);
        let annotated = self.reader.send(Method::PATCH, &path, Some(content)).await;
        annotated.map(|_| ())
    }
}
