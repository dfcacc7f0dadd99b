//! Access reviews: what somebody may do, as the bindings say that are there.
//!
//! Nobody is kept from anything here: whoever asks the embedded cluster is its administrator.

use serde_json::{Value, json};

use super::kinds::Resource;
use super::store::{Reading, Store};

const RBAC: &str = "rbac.authorization.k8s.io";
/// Whose members may do everything (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/>).
const MASTERS: &str = "system:masters";
/// What limits a tenant is not its own to change, whatever its role there.
const LIMITS: [&str; 3] = ["resourcequotas", "limitranges", "namespaces"];

/// What is asked about.
struct Question<'a> {
    spec: &'a Value,
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
}

/// The review, answered.
pub(super) fn answered(store: &Store, resource: &Resource, mut review: Value) -> Value {
    let is_own = resource.kind == "SelfSubjectAccessReview";
    let allowed = is_own || Question::of(&review["spec"]).is_allowed(store);
    review["status"] = json!({ "allowed": allowed });
    review
}

impl<'a> Question<'a> {
    fn of(spec: &'a Value) -> Self {
        let text = |key: &str| spec["resourceAttributes"][key].as_str().unwrap_or_default();
        Self {
            spec,
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            namespace: text("namespace"),
        }
    }

    fn is_allowed(&self, store: &Store) -> bool {
        if self.is_in(MASTERS) {
            return true;
        }
        let everywhere = objects(store, "ClusterRoleBinding");
        let here = objects(store, "RoleBinding");
        let here = here
            .into_iter()
            .filter(|binding| binding["metadata"]["namespace"] == self.namespace);
        let mut bindings = everywhere.into_iter().chain(here);
        bindings.any(|binding| self.is_meant(&binding) && self.is_granted(store, &binding))
    }

    fn is_in(&self, group: &str) -> bool {
        let mut groups = self.spec["groups"].as_array().into_iter().flatten();
        groups.any(|one| one == group)
    }

    /// Whether the binding is for whom is asked about.
    fn is_meant(&self, binding: &Value) -> bool {
        let mut subjects = binding["subjects"].as_array().into_iter().flatten();
        subjects.any(|subject| {
            let text = |key: &str| subject[key].as_str().unwrap_or_default();
            match text("kind") {
                "ServiceAccount" => {
                    let user = format!(
                        "system:serviceaccount:{}:{}",
                        text("namespace"),
                        text("name")
                    );
                    self.spec["user"] == user
                }
                "Group" => self.is_in(text("name")),
                _ => self.spec["user"] == text("name"),
            }
        })
    }

    fn is_granted(&self, store: &Store, binding: &Value) -> bool {
        let reference = &binding["roleRef"];
        let kind = reference["kind"].as_str().unwrap_or_default();
        let role = objects(store, kind).into_iter().find(|role| {
            role["metadata"]["name"] == reference["name"]
                && (kind == "ClusterRole" || role["metadata"]["namespace"] == self.namespace)
        });
        match (role, reference["name"].as_str().unwrap_or_default()) {
            (Some(role), _) => self.is_in_rules(&role["rules"]),
            (None, "cluster-admin") => true,
            (None, "admin") => self.is_work() || self.reads() && self.is_namespaced(),
            (None, "edit") => {
                self.group != RBAC && (self.is_work() || self.reads() && self.is_namespaced())
            }
            (None, "view") => {
                self.reads() && self.is_namespaced() && self.group != RBAC && !self.is_secret()
            }
            (None, _) => false,
        }
    }

    fn is_in_rules(&self, rules: &Value) -> bool {
        let names = |list: &Value, name: &str| {
            let mut list = list.as_array().into_iter().flatten();
            list.any(|one| one == name || one == "*")
        };
        rules.as_array().into_iter().flatten().any(|rule| {
            names(&rule["verbs"], self.verb)
                && names(&rule["apiGroups"], self.group)
                && names(&rule["resources"], self.resource)
                && rule["resourceNames"].is_null()
        })
    }

    /// What people with a role of their own in a namespace work with there.
    fn is_work(&self) -> bool {
        self.is_namespaced() && !LIMITS.contains(&self.resource)
    }

    /// Whether the three roles that every cluster has say anything of it: Flux adds its own kinds to them.
    fn is_namespaced(&self) -> bool {
        let is_theirs = !self.group.contains('.')
            || ["networking.k8s.io", RBAC].contains(&self.group)
            || self.group.ends_with(".toolkit.fluxcd.io");
        is_theirs && !self.namespace.is_empty()
    }

    fn reads(&self) -> bool {
        ["get", "list", "watch"].contains(&self.verb)
    }

    fn is_secret(&self) -> bool {
        self.resource == "secrets"
    }
}

fn objects(store: &Store, kind: &str) -> Vec<Value> {
    let Some(resource) = store.kinds.of_object(&format!("{RBAC}/v1"), kind) else {
        return Vec::new();
    };
    let page = store.list(&resource, &Reading::default());
    let items = page.expect("the present is never too old").items;
    items.iter().map(|item| item.full(&resource)).collect()
}
