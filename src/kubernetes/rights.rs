//! What the app and others may do in the cluster, and what keeps them from more. A question changes nothing, so a [`Reader`] may
//! ask it.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{Error, PAGE, Reader};

/// A `ServiceAccount`.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Something that an account may be able to do.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    /// None: cluster-wide, or in every namespace.
    pub namespace: Option<&'a str>,
}

/// The policies of `deploy/admission`; each is bound under its own name.
pub const POLICIES: [&str; 5] = [
    "tenantry-app-namespaces",
    "tenantry-app-writes",
    "tenantry-objects",
    "tenantry-registries",
    "tenantry-sources",
];

impl Reader {
    /// Whether whoever we are may bind this `ClusterRole` in any namespace.
    pub async fn may_bind(&self, cluster_role: &str) -> Result<bool, Error> {
        let spec = json!({ "resourceAttributes": {
            "group": "rbac.authorization.k8s.io",
            "resource": "clusterroles",
            "verb": "bind",
            "name": cluster_role,
        } });
        self.review("SelfSubjectAccessReview", &spec).await
    }

    /// Whether an account may do something, as the cluster's own authorization has it.
    pub async fn may(&self, account: Account<'_>, access: Access<'_>) -> Result<bool, Error> {
        let Account { namespace, name } = account;
        let groups = [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ];
        let spec = json!({
            "user": format!("system:serviceaccount:{namespace}:{name}"),
            "groups": groups,
            "resourceAttributes": {
                "verb": access.verb,
                "group": access.group,
                "resource": access.resource,
                "namespace": access.namespace.unwrap_or_default(),
            },
        });
        self.review("SubjectAccessReview", &spec).await
    }

    async fn review(&self, kind: &str, spec: &Value) -> Result<bool, Error> {
        let version = "authorization.k8s.io/v1";
        let review = json!({ "apiVersion": version, "kind": kind, "spec": spec });
        let body = serde_json::to_vec(&review).expect("a question is plain data");
        let path = format!("/apis/{version}/{}s", kind.to_ascii_lowercase());
        let answer = self
            .send(Method::POST, &path, Some(("application/json", body)))
            .await?;
        let allowed = answer.pointer("/status/allowed").and_then(Value::as_bool);
        allowed.ok_or_else(|| Error::Unexpected {
            message: "an access review without an answer".to_owned(),
        })
    }

    /// The admission policies that the cluster does not enforce: all of them where it does not know the kind.
    pub async fn missing_policies(&self) -> Result<Vec<&'static str>, Error> {
        let (policies, bindings) =
            tokio::try_join!(self.admission("policies"), self.admission("policybindings"))?;
        let missing = POLICIES.into_iter().filter(|name| {
            let [policy, binding] = [&policies, &bindings].map(|found| found.get(*name));
            !is_enforced(policy, binding)
        });
        Ok(missing.collect())
    }

    /// Those that carry our name, by theirs.
    async fn admission(&self, kind: &str) -> Result<BTreeMap<String, Value>, Error> {
        let path = format!(
            "/apis/admissionregistration.k8s.io/v1/validatingadmission{kind}?labelSelector=app.kubernetes.io%2Fname%3Dtenantry&limit={PAGE}"
        );
        let mut list = match self.send(Method::GET, &path, None).await {
            Ok(list) => list,
            Err(Error::NotFound { .. }) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let items = list["items"].as_array_mut().map(std::mem::take);
        let items = items.into_iter().flatten();
        let named = items.filter_map(|item| {
            let name = item["metadata"]["name"].as_str()?.to_owned();
            Some((name, item))
        });
        Ok(named.collect())
    }
}

/// Whether the policy is there, whole, and bound so that it refuses everywhere.
fn is_enforced(policy: Option<&Value>, binding: Option<&Value>) -> bool {
    let (Some(policy), Some(binding)) = (policy, binding) else {
        return false;
    };
    let (policy, name) = (&policy["spec"], &policy["metadata"]["name"]);
    let binding = &binding["spec"];
    let actions = binding["validationActions"].as_array();
    let denies = actions.is_some_and(|actions| actions.iter().any(|action| action == "Deny"));
    let is_everywhere = binding["matchResources"].is_null() && binding["paramRef"].is_null();
    let fails = policy["failurePolicy"].as_str() != Some("Ignore");
    denies && is_everywhere && fails && binding["policyName"] == *name
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::is_enforced;

    fn policy() -> Value {
        json!({ "metadata": { "name": "p" }, "spec": { "failurePolicy": "Fail" } })
    }

    fn binding() -> Value {
        json!({ "spec": { "policyName": "p", "validationActions": ["Deny"] } })
    }

    #[test]
    fn a_policy_that_is_bound_and_refuses_is_enforced() {
        assert!(is_enforced(Some(&policy()), Some(&binding())));
        let both = json!({ "spec": { "policyName": "p", "validationActions": ["Audit", "Deny"] } });
        assert!(is_enforced(Some(&policy()), Some(&both)));
    }

    #[test]
    fn a_policy_that_somebody_has_weakened_is_not() {
        assert!(!is_enforced(None, Some(&binding())));
        assert!(!is_enforced(Some(&policy()), None));
        for (path, weaker) in [
            ("/spec/validationActions", json!(["Warn"])),
            ("/spec/validationActions", json!(null)),
            ("/spec/policyName", json!("other")),
            (
                "/spec/matchResources",
                json!({ "namespaceSelector": { "matchLabels": { "a": "b" } } }),
            ),
        ] {
            let mut binding = binding();
            let (parent, key) = path.rsplit_once('/').unwrap();
            binding.pointer_mut(parent).unwrap()[key] = weaker;
            assert!(!is_enforced(Some(&policy()), Some(&binding)), "{path}");
        }
        let mut policy = policy();
        policy["spec"]["failurePolicy"] = json!("Ignore");
        assert!(!is_enforced(Some(&policy), Some(&binding())));
    }
}
