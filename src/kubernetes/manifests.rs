//! Objects of any kind, as Flux's own manifests hold them: where each belongs is asked of the server.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use kube::Config;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Error, Reader, Writer, encode};

/// The kinds of each API version that was asked for.
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

    /// The definitions of other kinds that a selector picks.
    pub async fn definitions(&self, selector: &str) -> Result<Vec<Value>, Error> {
        let selector = encode(selector);
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?labelSelector={selector}"
        );
        let mut list = self.send(Method::GET, &path, None).await?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Error::Unexpected {
                message: "a list of definitions without items".to_owned(),
            }),
        }
    }

    /// The public half of the key pair in a Secret; empty if it holds none, and nothing if there is no Secret.
    pub async fn public_key(&self, path: &str) -> Result<Option<String>, Error> {
        let Some(secret) = self.find(path).await? else {
            return Ok(None);
        };
        let encoded = secret.pointer("/data/identity.pub").and_then(Value::as_str);
        let decoded = STANDARD.decode(encoded.unwrap_or_default());
        let public = String::from_utf8_lossy(&decoded.unwrap_or_default())
            .trim()
            .to_owned();
        Ok(Some(public))
    }

    /// Where an object belongs.
    async fn address(&self, object: &Value, apis: &mut Apis) -> Result<String, Error> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let root = if version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        if !apis.0.contains_key(&version) {
            let answer = self
                .send(Method::GET, &format!("{root}/{version}"), None)
                .await?;
            let list: ApiList =
                serde_json::from_value(answer).map_err(|error| Error::Unexpected {
                    message: format!("the kinds of {version}: {error}"),
                })?;
            apis.0.insert(version.clone(), list.resources);
        }
        let found = apis.0[&version]
            .iter()
            .find(|api| api.kind == kind && !api.name.contains('/'));
        let api = found.ok_or_else(|| Error::Invalid {
            message: format!("the cluster does not know {version} `{kind}`"),
        })?;
        let namespace = if api.namespaced {
            format!(
                "/namespaces/{}",
                encode(&text(&object["metadata"]["namespace"]))
            )
        } else {
            String::new()
        };
        let name = encode(&text(&object["metadata"]["name"]));
        Ok(format!("{root}/{version}{namespace}/{}/{name}", api.name))
    }
}

impl Writer {
    /// Server-side apply of an object of any kind, for another manager than the app's own.
    pub async fn apply_any(
        &self,
        manager: &str,
        object: &Value,
        apis: &mut Apis,
    ) -> Result<Value, Error> {
        let path = self.reader.address(object, apis).await?;
        let body = serde_json::to_vec(object).expect("a manifest is plain data");
        self.apply_at(manager, &path, body).await
    }

    /// Server-side apply of a Secret, written by hand so that no copy of it stays behind in a JSON value.
    pub async fn apply_secret(
        &self,
        manager: &str,
        (namespace, name): (&str, &str),
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(), Error> {
        let path = format!(
            "/api/v1/namespaces/{}/secrets/{}",
            encode(namespace),
            encode(name)
        );
        self.apply_at(manager, &path, body.to_vec())
            .await
            .map(|_| ())
    }

    async fn apply_at(&self, manager: &str, path: &str, body: Vec<u8>) -> Result<Value, Error> {
        let path = format!("{path}?fieldManager={manager}&force=false");
        let content = ("application/apply-patch+yaml", body);
        self.reader.send(Method::PATCH, &path, Some(content)).await
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
        self.reader
            .send(Method::PATCH, &path, Some(content))
            .await
            .map(|_| ())
    }
}
