//! What runs as Flux on the cluster, and which APIs there are.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, Reader, encode};

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Reader {
    /// The Deployments of one namespace that a selector picks. There are few, so that one answer holds them.
    pub async fn deployments(&self, namespace: &str, selector: &str) -> Result<Vec<Value>, Error> {
        let selector = encode(selector);
        let path =
            format!("/apis/apps/v1/namespaces/{namespace}/deployments?labelSelector={selector}");
        let mut list = self.send(Method::GET, &path, None).await?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Error::Unexpected {
                message: "a list of Deployments without items".to_owned(),
            }),
        }
    }

    /// The API groups that the server has, and the versions of each.
    pub async fn served(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let answer = self.send(Method::GET, "/apis", None).await?;
        let groups: Groups = serde_json::from_value(answer).map_err(|error| Error::Unexpected {
            message: format!("a list of API groups: {error}"),
        })?;
        let of_one = |Group { name, versions }| {
            let versions = versions.into_iter().map(|known: Version| known.version);
            (name, versions.collect())
        };
        Ok(groups.groups.into_iter().map(of_one).collect())
    }
}
