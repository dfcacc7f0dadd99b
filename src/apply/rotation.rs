//! Asking for another deploy key. The app that serves the tenant sees it in the Tenant object, and does it.

use serde_json::{Value, json};

use crate::kubernetes::{self, Reader, Writer};
use crate::names::{FullName, TenantName};
use crate::object::{Fingerprint, Kind, ManifestId};

/// The deploy keys of a tenant, as its Tenant object has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    pub in_use: Fingerprint,
    /// Still registered, until Flux has fetched with the one in use.
    pub former: Vec<Fingerprint>,
}

/// Why no other key can be asked for. The texts are fit for people.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no tenant `{0}`")]
    Unknown(TenantName),
    #[error("tenant `{tenant}` belongs to the control repo `{owner}`")]
    OfAnother { tenant: TenantName, owner: String },
    #[error("tenant `{0}` has no deploy key yet")]
    NoKey(TenantName),
    #[error(
        "the deploy key of `{tenant}` is being replaced already: the one before goes once Flux has fetched with `{in_use}`"
    )]
    UnderWay {
        tenant: TenantName,
        in_use: Fingerprint,
    },
    #[error(transparent)]
    Cluster(#[from] kubernetes::Error),
}

/// Asks for the key in use to be replaced; on behalf of a control repo, only if the tenant is its own.
pub async fn ask(
    cluster: &Writer,
    tenant: &TenantName,
    on_behalf_of: Option<&FullName>,
) -> Result<Fingerprint, Refusal> {
    let object = object(cluster.reader(), tenant).await?;
    let owner = object["spec"]["controlRepository"]
        .as_str()
        .unwrap_or_default();
    if on_behalf_of.is_some_and(|control| !control.is(owner)) {
        return Err(Refusal::OfAnother {
            tenant: tenant.clone(),
            owner: owner.to_owned(),
        });
    }
    let Keys { in_use, former } = Keys::of(tenant, &object)?;
    if !former.is_empty() {
        let tenant = tenant.clone();
        return Err(Refusal::UnderWay { tenant, in_use });
    }
    let status = json!({ "deployKey": { "replace": in_use } });
    cluster.remember(tenant, &status).await?;
    Ok(in_use)
}

/// How they are now.
pub async fn keys(cluster: &Reader, tenant: &TenantName) -> Result<Keys, Refusal> {
    Keys::of(tenant, &object(cluster, tenant).await?)
}

async fn object(cluster: &Reader, tenant: &TenantName) -> Result<Value, Refusal> {
    let id = ManifestId {
        kind: Kind::Tenant,
        namespace: None,
        name: tenant.to_string(),
    };
    let found = cluster.get(&id).await?;
    found.ok_or_else(|| Refusal::Unknown(tenant.clone()))
}

impl Keys {
    fn of(tenant: &TenantName, object: &Value) -> Result<Self, Refusal> {
        let keys = &object["status"]["deployKey"];
        let fingerprint = |value: &Value| Some(Fingerprint(value.as_str()?.to_owned()));
        let in_use = fingerprint(&keys["fingerprint"]);
        let former = keys["former"].as_array().into_iter().flatten();
        Ok(Self {
            in_use: in_use.ok_or_else(|| Refusal::NoKey(tenant.clone()))?,
            former: former.filter_map(fingerprint).collect(),
        })
    }
}
