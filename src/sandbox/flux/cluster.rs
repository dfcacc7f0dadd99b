//! The cluster's API, as far as the controllers need it. Objects are plain JSON.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::Stream;
use http::{HeaderValue, Method, Request, header};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde_json::{Value, json};

use super::{Key, Kind};

/// A client, and what it knows of the kinds that are served.
pub(super) struct Cluster {
    client: Client,
    kinds: Mutex<BTreeMap<(String, String), Served>>,
}

/// How a kind is served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    plural: String,
    pub(super) is_namespaced: bool,
}

/// Whether a write is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earnest {
    Real,
    DryRun,
}

type Answer = Result<Value, kube::Error>;

impl Cluster {
    pub(super) fn new(mut config: Config) -> Result<Self, kube::Error> {
        // Failures are repeated in one place, the queue.
        config.default_retry = false;
        let agent = HeaderValue::from_static("pretend-flux");
        config.headers.push((header::USER_AGENT, agent));
        Ok(Self {
            client: Client::try_from(config)?,
            kinds: Mutex::default(),
        })
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Answer {
        self.client.request(request).await
    }

    /// All objects of a kind, page by page, and the revision to watch from.
    pub(super) async fn list(&self, kind: Kind) -> Result<(Vec<Value>, String), kube::Error> {
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("{}?limit=500&continue={token}", collection(kind, None));
            let mut page = self.send(get(&path)?).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            let metadata = &page["metadata"];
            match metadata["continue"].as_str() {
                Some(more) if !more.is_empty() => more.clone_into(&mut token),
                _ => {
                    let revision = metadata["resourceVersion"].as_str();
                    return Ok((items, revision.unwrap_or_default().to_owned()));
                }
            }
        }
    }

    /// What happens to objects of a kind from a revision on.
    pub(super) async fn watch(
        &self,
        kind: Kind,
        revision: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, kube::Error>> + use<>, kube::Error>
    {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion={revision}",
            collection(kind, None)
        );
        self.client.request_events(get(&path)?).await
    }

    pub(super) async fn object(&self, key: &Key) -> Result<Option<Value>, kube::Error> {
        found(self.send(get(&object(key))?).await)
    }

    pub(super) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, kube::Error> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        found(self.send(get(&path)?).await)
    }

    pub(super) async fn service_account_exists(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<bool, kube::Error> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
        Ok(found(self.send(get(&path)?).await)?.is_some())
    }

    /// Merges into an object's status.
    pub(super) async fn set_status(&self, key: &Key, status: &Value) -> Answer {
        let path = format!("{}/status", object(key));
        self.merge(&path, key.kind, &json!({ "status": status }))
            .await
    }

    /// Replaces an object's finalizers, if it has not changed meanwhile.
    pub(super) async fn set_finalizers(
        &self,
        key: &Key,
        value: &Value,
        finalizers: &[&str],
    ) -> Answer {
        let revision = &value["metadata"]["resourceVersion"];
        let patch =
            json!({ "metadata": { "finalizers": finalizers, "resourceVersion": revision } });
        self.merge(&object(key), key.kind, &patch).await
    }

    async fn merge(&self, path: &str, kind: Kind, change: &Value) -> Answer {
        let request = Request::patch(format!("{path}?fieldManager={}", kind.controller()))
            .header("content-type", "application/merge-patch+json")
            .body(change.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.send(request).await
    }

    /// How a kind is served; nothing where it is not.
    pub(super) async fn served(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Served>, kube::Error> {
        let id = (api_version.to_owned(), kind.to_owned());
        let known = self
            .kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(list) = found(self.send(get(&group(api_version))?).await)? else {
            return Ok(None);
        };
        let resources = list["resources"].as_array().into_iter().flatten();
        let mut resources = resources.filter(|resource| {
            let name = resource["name"].as_str().unwrap_or_default();
            resource["kind"] == kind && !name.contains('/')
        });
        let served = resources.next().map(|resource| Served {
            plural: resource["name"].as_str().unwrap_or_default().to_owned(),
            is_namespaced: resource["namespaced"] == true,
        });
        if let Some(served) = &served {
            let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.insert(id, served.clone());
        }
        Ok(served)
    }

    /// Server-side apply of a manifest, as somebody.
    pub(super) async fn apply(
        &self,
        manifest: &Value,
        served: &Served,
        user: Option<&str>,
        earnest: Earnest,
    ) -> Answer {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let path = path(
            &text(&manifest["apiVersion"]),
            served,
            &text(&manifest["metadata"]["namespace"]),
            &text(&manifest["metadata"]["name"]),
        );
        let dry = match earnest {
            Earnest::Real => "",
            Earnest::DryRun => "&dryRun=All",
        };
        let controller = Kind::Kustomization.controller();
        let request = Request::patch(format!("{path}?fieldManager={controller}&force=true{dry}"))
            .header("content-type", "application/apply-patch+yaml");
        let request = acting(request, user)
            .body(manifest.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.send(request).await
    }

    /// An object that was applied, read as somebody.
    pub(super) async fn applied(
        &self,
        api_version: &str,
        served: &Served,
        place: (&str, &str),
        user: Option<&str>,
    ) -> Result<Option<Value>, kube::Error> {
        let path = path(api_version, served, place.0, place.1);
        let request = acting(Request::get(path), user)
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        found(self.send(request).await)
    }

    /// Deletes an object that was applied, as somebody; that there is none is as good.
    pub(super) async fn delete(
        &self,
        api_version: &str,
        served: &Served,
        place: (&str, &str),
        user: Option<&str>,
    ) -> Result<(), kube::Error> {
        let path = path(api_version, served, place.0, place.1);
        let request = acting(Request::delete(path), user)
            .header("content-type", "application/json")
            .body(br#"{"propagationPolicy":"Background"}"#.to_vec())
            .map_err(kube::Error::HttpError)?;
        found(self.send(request).await).map(|_| ())
    }
}

fn acting(request: http::request::Builder, user: Option<&str>) -> http::request::Builder {
    match user {
        Some(user) => request.header("impersonate-user", user),
        None => request,
    }
}

fn get(path: &str) -> Result<Request<Vec<u8>>, kube::Error> {
    Request::builder()
        .method(Method::GET)
        .uri(path)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)
}

/// That something is not there is an answer.
fn found(answer: Answer) -> Result<Option<Value>, kube::Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn group(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

fn path(api_version: &str, served: &Served, namespace: &str, name: &str) -> String {
    let place = if namespace.is_empty() {
        String::new()
    } else {
        format!("/namespaces/{namespace}")
    };
    format!("{}{place}/{}/{name}", group(api_version), served.plural)
}

fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let place = namespace
        .map(|namespace| format!("/namespaces/{namespace}"))
        .unwrap_or_default();
    format!("/apis/{}{place}/{}", kind.api_version(), kind.plural())
}

fn object(key: &Key) -> String {
    format!(
        "{}/{}",
        collection(key.kind, Some(&key.namespace)),
        key.name
    )
}

/// The text of an error as the API server wrote it.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
