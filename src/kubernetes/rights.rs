//! What the app itself may do in the cluster. A question changes nothing, so a [`Reader`] may ask it.

use http::Method;
use serde_json::{Value, json};

use super::{Error, Reader};

impl Reader {
    /// Whether whoever we are may bind this `ClusterRole` in any namespace (a `SelfSubjectAccessReview`).
    pub async fn may_bind(&self, cluster_role: &str) -> Result<bool, Error> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "group": "rbac.authorization.k8s.io",
                "resource": "clusterroles",
                "verb": "bind",
                "name": cluster_role,
            } },
        });
        let body = serde_json::to_vec(&review).expect("a question is plain data");
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self
            .send(Method::POST, path, Some(("application/json", body)))
            .await?;
        let allowed = answer.pointer("/status/allowed").and_then(Value::as_bool);
        allowed.ok_or_else(|| Error::Unexpected {
            message: "an access review without an answer".to_owned(),
        })
    }
}
