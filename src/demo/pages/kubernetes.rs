//! The cluster, asked over the Kubernetes API.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use super::trouble::{Side, Trouble};

/// No answer within this time counts as none.
const DEADLINE: Duration = Duration::from_secs(10);

/// Objects in one answer to a list.
const PAGE: u32 = 500;

/// What Tenantry made carries this.
const OURS: &str = "app.kubernetes.io%2Fmanaged-by%3Dtenantry";

/// The tenant that an object is labelled with, if Tenantry made it.
pub(super) fn tenant_of(object: &Value) -> Option<&str> {
    let labels = &object["metadata"]["labels"];
    let ours = labels["app.kubernetes.io/managed-by"] == "tenantry";
    labels["app.kubernetes.io/instance"]
        .as_str()
        .filter(|_| ours)
}

pub(super) struct Cluster {
    client: kube::Client,
}

/// A kind of object that the pages know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
    pub(super) api_version: &'static str,
}

const fn kind(name: &'static str, plural: &'static str, api_version: &'static str) -> Kind {
    Kind {
        name,
        plural,
        api_version,
    }
}

pub(super) const TENANTS: Kind = kind("Tenant", "tenants", "tenantry.dev/v1alpha1");
pub(super) const NAMESPACES: Kind = kind("Namespace", "namespaces", "v1");
pub(super) const SECRETS: Kind = kind("Secret", "secrets", "v1");

/// What stands inside of a namespace, in the order in which it is shown.
pub(super) const INSIDE: [Kind; 8] = [
    kind(
        "GitRepository",
        "gitrepositories",
        "source.toolkit.fluxcd.io/v1",
    ),
    kind(
        "Kustomization",
        "kustomizations",
        "kustomize.toolkit.fluxcd.io/v1",
    ),
    SECRETS,
    kind("ServiceAccount", "serviceaccounts", "v1"),
    kind(
        "RoleBinding",
        "rolebindings",
        "rbac.authorization.k8s.io/v1",
    ),
    kind("ResourceQuota", "resourcequotas", "v1"),
    kind("LimitRange", "limitranges", "v1"),
    kind("NetworkPolicy", "networkpolicies", "networking.k8s.io/v1"),
];

impl Kind {
    /// The kind of this plural name.
    pub(super) fn of(plural: &str) -> Option<Self> {
        [TENANTS, NAMESPACES]
            .into_iter()
            .chain(INSIDE)
            .find(|kind| kind.plural == plural)
    }

    fn is_namespaced(self) -> bool {
        INSIDE.contains(&self)
    }

    fn path(self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') {
            "apis"
        } else {
            "api"
        };
        let namespace = namespace.map(|name| format!("/namespaces/{}", encoded(name)));
        format!(
            "/{root}/{}{}/{}",
            self.api_version,
            namespace.unwrap_or_default(),
            self.plural
        )
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Cluster {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Everything of a kind that Tenantry made; nothing where the cluster does not know the kind.
    pub(super) async fn ours(&self, kind: Kind) -> Result<Vec<Value>, Trouble> {
        self.list(kind, &format!("labelSelector={OURS}&")).await
    }

    /// Everything of a kind.
    pub(super) async fn all(&self, kind: Kind) -> Result<Vec<Value>, Trouble> {
        self.list(kind, "").await
    }

    async fn list(&self, kind: Kind, selection: &str) -> Result<Vec<Value>, Trouble> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let place = encoded(&next);
            let path = kind.path(None);
            let path = format!("{path}?{selection}limit={PAGE}&continue={place}");
            let mut page = match self.get(&path).await {
                Err(Trouble::Missing(_)) => return Ok(items),
                page => page?,
            };
            if let Value::Array(found) = page["items"].take() {
                items.extend(found.into_iter().map(|item| named(item, kind)));
            }
            match page["metadata"]["continue"].as_str() {
                Some(more) if !more.is_empty() => more.clone_into(&mut next),
                _ => return Ok(items),
            }
        }
    }

    pub(super) async fn object(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, Trouble> {
        if kind.is_namespaced() != namespace.is_some() {
            return Err(Trouble::missing("There is no such object in a cluster."));
        }
        let path = format!("{}/{}", kind.path(namespace), encoded(name));
        Ok(named(self.get(&path).await?, kind))
    }

    async fn get(&self, path: &str) -> Result<Value, Trouble> {
        let request = Request::get(path).body(Vec::new());
        let asked = self
            .client
            .request(request.expect("paths are percent-encoded"));
        match tokio::time::timeout(DEADLINE, asked).await {
            Ok(answer) => answer.map_err(trouble),
            Err(_) => Err(Trouble::unavailable(
                Side::Cluster,
                format!("There was no answer within {} seconds.", DEADLINE.as_secs()),
            )),
        }
    }
}

/// A list names its kind once; its items, where they are built in, do not.
fn named(item: Value, kind: Kind) -> Value {
    let mut whole = json!({"apiVersion": kind.api_version, "kind": kind.name});
    if let (Value::Object(whole), Value::Object(item)) = (&mut whole, item) {
        whole.extend(item);
    }
    whole
}

fn trouble(error: kube::Error) -> Trouble {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            Trouble::Missing("The cluster has no such object.".to_owned())
        }
        kube::Error::Api(status) if status.code < 500 => Trouble::Refused {
            side: Side::Cluster,
            status: status.code,
            why: status.message.clone(),
        },
        kube::Error::Api(status) => Trouble::unavailable(
            Side::Cluster,
            format!("It answers {}: {}.", status.code, status.message),
        ),
        error => Trouble::unavailable(Side::Cluster, format!("{error}.")),
    }
}
