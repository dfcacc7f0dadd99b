//! One cluster: a [`Reader`] that cannot write, and a [`Writer`].
//!
//! Everything is plain JSON by server-side apply (KEP-555) with the field manager `tenantry`: only the fields that we
//! set go over the wire, and the server keeps track of which are ours.

pub mod error;
mod flux;
mod list;
pub mod manifests;
pub mod rights;
pub mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub use crate::kubernetes::error::Error;

use crate::names::TenantName;
use crate::object::{FIELD_MANAGER, Kind, ManifestId};

/// Objects in one answer to a list, a few megabytes; the rest follows by `continue`.
const PAGE: u32 = 2000;

/// The mark that every object of ours carries, as a selector.
const OURS: &str = "app.kubernetes.io/managed-by=tenantry";

/// The label that names the tenant.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// An object's metadata alone, as an answer.
const WITHOUT_DATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// No answer within this time is a failure of the request.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads; there is no method here that changes anything.
#[derive(Clone)]
pub struct Reader {
    client: Client,
}

/// Reads and writes. Only what applies a plan is given one.
#[derive(Clone)]
pub struct Writer {
    reader: Reader,
}

/// Whether a field that somebody else set may be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// The object is ours: its fields are as we say.
    Yes,
    /// First contact: a conflict is an answer, and names the other manager.
    No,
}

crate::words::words! {
    /// Whose conditions of a Tenant are told: each is a field manager of its own.
    Teller {
        /// `Accepted`.
        Writing = "tenantry-accepted",
        /// `Fetched`, `Applied`, `Contained`, `Live`.
        Following = "tenantry-live",
    }
}

/// The public side of the `git-auth` Secret; the private key does not leave [`Reader::credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// One line in OpenSSH form, `ssh-ed25519 AAAA…`; empty if the Secret has none.
    pub public_key: String,
    /// The lines of `known_hosts`.
    pub known_hosts: String,
    /// The tenant whose label it carries, if it is one of ours.
    pub tenant: Option<String>,
}

/// A Secret as far as it is read: the private key is passed over.
#[derive(Deserialize)]
struct SecretAnswer {
    metadata: SecretMetadata,
    #[serde(default)]
    data: PublicData,
}

#[derive(Deserialize)]
struct SecretMetadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// In base64.
#[derive(Default, Deserialize)]
struct PublicData {
    #[serde(default, rename = "identity.pub")]
    public_key: String,
    #[serde(default)]
    known_hosts: String,
}

/// Connects as kubectl would: `KUBECONFIG`, `~/.kube/config`, or the pod's own account.
pub async fn connect() -> anyhow::Result<(Reader, Writer)> {
    let config = Config::infer()
        .await
        .context("find the Kubernetes cluster (`KUBECONFIG`, or the pod's account)")?;
    connect_with(config)
}

/// Connects to a cluster that a kubeconfig or a test describes.
pub fn connect_with(mut config: Config) -> anyhow::Result<(Reader, Writer)> {
    // Every request has its own deadline; a watch is silent for longer than any answer takes.
    config.read_timeout = None;
    config.write_timeout = Some(DEADLINE);
    // kube repeats requests up to 15 times by itself; what is repeated is decided in one place, the flow.
    config.default_retry = false;
    let client = Client::try_from(config).context("connect to the Kubernetes cluster")?;
    let reader = Reader { client };
    Ok((reader.clone(), Writer { reader }))
}

impl Reader {
    /// Hands on every object of this kind that carries our mark, page by page; of these tenants only, if any are named.
    /// After an error not all of them were seen.
    pub async fn each(
        &self,
        kind: Kind,
        tenants: Option<&[TenantName]>,
        mut seen: impl FnMut(Value),
    ) -> Result<(), Error> {
        let mut selector = OURS.to_owned();
        if let Some(tenants) = tenants {
            let names: Vec<_> = tenants.iter().map(TenantName::as_str).collect();
            selector = format!("{selector},{INSTANCE} in ({})", names.join(","));
        }
        let mut next = String::new();
        loop {
            let query = format!(
                "?labelSelector={}&limit={PAGE}&continue={}",
                encode(&selector),
                encode(&next)
            );
            let page = self.page(&(collection(kind, None) + &query)).await?;
            let more = list::read(&page, &mut |item| seen(named(item, kind)));
            match more.map_err(|error| unreadable(kind, &error))? {
                Some(more) => next = more,
                None => return Ok(()),
            }
        }
    }

    async fn page(&self, path: &str) -> Result<String, Error> {
        let request = request(Method::GET, path, None)?;
        let what = what(&Method::GET, path);
        within_the_deadline(&what, self.client.request_text(request)).await
    }

    /// The object, whoever it belongs to.
    pub async fn get(&self, id: &ManifestId) -> Result<Option<Value>, Error> {
        match self.send(Method::GET, &path(id), None).await {
            Ok(value) => Ok(Some(value)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The public half of the key in the Secret `git-auth`.
    pub async fn credentials(&self, namespace: &str) -> Result<Option<StoredKey>, Error> {
        self.stored_key(&secret_path(namespace)).await
    }

    /// The public side of a Secret that Flux clones with.
    async fn stored_key(&self, path: &str) -> Result<Option<StoredKey>, Error> {
        let what = what(&Method::GET, path);
        let request = request(Method::GET, path, None)?;
        let answer = within_the_deadline(&what, self.client.request_text(request)).await;
        let secret = match answer {
            Ok(text) => Zeroizing::new(text),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // No word on what is wrong with it: that might quote it.
        let Ok(secret) = serde_json::from_str::<SecretAnswer>(&secret) else {
            let message = format!("{what}: not a Secret");
            return Err(Error::Unexpected { message });
        };
        let text = |encoded: &str| {
            let decoded = STANDARD.decode(encoded).unwrap_or_default();
            String::from_utf8_lossy(&decoded).into_owned()
        };
        Ok(Some(StoredKey {
            public_key: text(&secret.data.public_key).trim().to_owned(),
            known_hosts: text(&secret.data.known_hosts),
            tenant: secret.metadata.labels.get(INSTANCE).cloned(),
        }))
    }

    /// Whether the cluster knows the Tenant kind; nothing works without it.
    pub async fn knows_tenants(&self) -> Result<bool, Error> {
        let path = format!("{}?limit=1", collection(Kind::Tenant, None));
        match self.send(Method::GET, &path, None).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Value, Error> {
        self.send_typed(method, path, body).await
    }

    async fn send_typed<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<T, Error> {
        let what = what(&method, path);
        let request = request(method, path, body)?;
        within_the_deadline(&what, self.client.request::<T>(request)).await
    }
}

fn request(
    method: Method,
    path: &str,
    body: Option<(&str, Vec<u8>)>,
) -> Result<Request<Vec<u8>>, Error> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((content_type, _)) = &body {
        request = request.header(http::header::CONTENT_TYPE, *content_type);
    }
    let request = request.body(body.map(|(_, body)| body).unwrap_or_default());
    request.map_err(|error| Error::Unexpected {
        message: error.to_string(),
    })
}

/// A request in a message.
fn what(method: &Method, path: &str) -> String {
    format!("{method} {}", path.split('?').next().unwrap_or(path))
}

async fn within_the_deadline<T>(
    what: &str,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer.map_err(|error| Error::of(what, error)),
        Err(_) => Err(Error::Unavailable {
            message: format!("{what}: no answer within {DEADLINE:?}"),
        }),
    }
}

fn unreadable(kind: Kind, error: &serde_json::Error) -> Error {
    Error::Unexpected {
        message: format!("a list of {kind}: {error}"),
    }
}

impl Writer {
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Server-side apply of the fields that we own.
    pub async fn apply(
        &self,
        id: &ManifestId,
        manifest: &Value,
        force: Force,
    ) -> Result<Value, Error> {
        let body = serde_json::to_vec(manifest).expect("a manifest is plain data");
        let force = force == Force::Yes;
        let path = format!("{}?fieldManager={FIELD_MANAGER}&force={force}", path(id));
        let content_type = "application/apply-patch+yaml";
        self.reader
            .send(Method::PATCH, &path, Some((content_type, body)))
            .await
    }

    /// Stores a tenant's first key pair. The body holds the private half and is wiped once it is sent.
    pub async fn apply_credentials(
        &self,
        namespace: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(), Error> {
        let query = format!("?fieldManager={FIELD_MANAGER}&force=false");
        let path = secret_path(namespace) + &query;
        self.send_secret(&path, "application/apply-patch+yaml", body)
            .await
    }

    /// Puts another key pair in the place of the one that the Secret holds, and leaves everything else in it.
    pub async fn replace_credentials(
        &self,
        namespace: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(), Error> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", secret_path(namespace));
        self.send_secret(&path, "application/merge-patch+json", body)
            .await
    }

    /// The answer is asked for without the Secret's data, and only looked at where it is a refusal.
    async fn send_secret(
        &self,
        path: &str,
        content_type: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(), Error> {
        let request = Request::patch(path)
            .header(http::header::CONTENT_TYPE, content_type)
            .header(http::header::ACCEPT, WITHOUT_DATA)
            .body(Body::from(Bytes::from_owner(body)));
        let request = request.map_err(|error| Error::Unexpected {
            message: error.to_string(),
        })?;
        let client = &self.reader.client;
        let sent = async {
            let answer = client.send(request).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(());
            }
            let body = answer.into_body().collect().await?.to_bytes();
            let refusal = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
                let reason = status.canonical_reason().unwrap_or_default();
                Status::failure(reason, reason).with_code(status.as_u16())
            });
            Err(kube::Error::Api(Box::new(refusal)))
        };
        within_the_deadline(&what(&Method::PATCH, path), sent).await
    }

    /// Replaces the host keys beside a tenant's key pair.
    pub async fn set_known_hosts(&self, namespace: &str, lines: &str) -> Result<(), Error> {
        let body = json!({ "data": { "known_hosts": STANDARD.encode(lines) } });
        self.merge(&secret_path(namespace), &body).await
    }

    /// Sets one annotation and nothing else.
    pub async fn annotate(&self, id: &ManifestId, key: &str, value: &str) -> Result<(), Error> {
        let body = json!({ "metadata": { "annotations": { key: value } } });
        self.merge(&path(id), &body).await
    }

    /// Merges into a Tenant's status.
    pub async fn remember(&self, tenant: &TenantName, status: &Value) -> Result<(), Error> {
        let id = ManifestId {
            kind: Kind::Tenant,
            namespace: None,
            name: tenant.to_string(),
        };
        let path = format!("{}/status", path(&id));
        self.merge(&path, &json!({ "status": status })).await
    }

    async fn merge(&self, path: &str, change: &Value) -> Result<(), Error> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        let body = serde_json::to_vec(change).expect("a change is plain data");
        let content_type = "application/merge-patch+json";
        self.reader
            .send(Method::PATCH, &path, Some((content_type, body)))
            .await
            .map(|_| ())
    }

    /// Server-side apply of conditions, each a list entry of its own: those of another teller stay as they are.
    pub async fn tell(
        &self,
        tenant: &TenantName,
        teller: Teller,
        conditions: &[Value],
    ) -> Result<(), Error> {
        let id = ManifestId {
            kind: Kind::Tenant,
            namespace: None,
            name: tenant.to_string(),
        };
        let manifest = json!({
            "apiVersion": Kind::Tenant.api_version(),
            "kind": Kind::Tenant,
            "metadata": { "name": tenant },
            "status": { "conditions": conditions },
        });
        let body = serde_json::to_vec(&manifest).expect("a status is plain data");
        let path = format!("{}/status?fieldManager={teller}&force=true", path(&id));
        let content_type = "application/apply-patch+yaml";
        self.reader
            .send(Method::PATCH, &path, Some((content_type, body)))
            .await
            .map(|_| ())
    }
}

/// A list names its kind once; its items, where they are built in, do not.
fn named(mut item: Value, kind: Kind) -> Value {
    item["apiVersion"] = json!(kind.api_version());
    item["kind"] = json!(kind);
    item
}

fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let version = kind.api_version();
    let root = if version.contains('/') {
        "/apis"
    } else {
        "/api"
    };
    let namespace = namespace
        .map(|namespace| format!("/namespaces/{namespace}"))
        .unwrap_or_default();
    format!("{root}/{version}{namespace}/{}", kind.plural())
}

fn path(id: &ManifestId) -> String {
    format!(
        "{}/{}",
        collection(id.kind, id.namespace.as_deref()),
        encode(&id.name)
    )
}

fn secret_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/git-auth")
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
