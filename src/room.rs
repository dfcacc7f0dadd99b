//! The room of a tenant: what the accounts that Flux applies as may do, and what they must not be able to.
//!
//! RBAC adds up whatever anybody has bound, so that the app's own bindings are right does not show it. The cluster itself
//! is asked, question by question.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Bound;

use crate::flux::{ControlNamespace, NESTED, RECONCILER};
use crate::names::{NamespaceName, TenantName};
use crate::tenants::{Tenant, Tenants};

/// Whether an account may do something, and whether it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub account: Account,
    pub access: Access,
    pub expected: bool,
}

/// A `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub namespace: String,
    pub name: &'static str,
}

/// Something that an account may be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    /// None: in the cluster as a whole, and in every namespace.
    pub namespace: Option<String>,
}

/// What the answers show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    Contained,
    /// The wrong answers; at least one.
    Open(Vec<Question>),
}

const RBAC: &str = "rbac.authorization.k8s.io";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";

/// What to ask the cluster about a tenant's accounts; nothing where it has no namespaces, and so no accounts.
/// `neighbour` is a namespace of another tenant.
pub fn questions(tenant: &Tenant, neighbour: Option<&NamespaceName>) -> Vec<Question> {
    if tenant.namespaces.is_empty() {
        return Vec::new();
    }
    let control = ControlNamespace::of(&tenant.name).to_string();
    let reconciler = Account {
        namespace: control.clone(),
        name: RECONCILER,
    };
    let mut questions = walls(&reconciler, &control, neighbour);
    for namespace in tenant.namespaces.keys() {
        questions.extend(inside(&reconciler, namespace, &tenant.reconciler_role));
        let nested = Account {
            namespace: namespace.to_string(),
            name: NESTED,
        };
        questions.extend(writes(&nested, namespace, &tenant.reconciler_role));
        questions.push(nested.may_not("create", "", "namespaces", None));
        questions.push(nested.may_not("get", "", "secrets", None));
    }
    questions
}

/// What lies outside of the room.
fn walls(reconciler: &Account, control: &str, neighbour: Option<&NamespaceName>) -> Vec<Question> {
    let not =
        |verb, group, resource, namespace| reconciler.may_not(verb, group, resource, namespace);
    let mut questions = vec![
        not("create", "", "namespaces", None),
        not("get", "", "secrets", None),
        not("impersonate", "", "users", None),
        not("create", RBAC, "clusterrolebindings", None),
        not("get", "", "secrets", Some("flux-system")),
        not("create", KUSTOMIZE, "kustomizations", Some("flux-system")),
        not("get", "", "secrets", Some("tenantry-system")),
        not("create", "apps", "deployments", Some("kube-system")),
        // The key, and what Flux is told to apply as whom.
        not("get", "", "secrets", Some(control)),
        not("patch", KUSTOMIZE, "kustomizations", Some(control)),
    ];
    if let Some(neighbour) = neighbour.map(NamespaceName::as_str) {
        questions.push(not("get", "", "secrets", Some(neighbour)));
        questions.push(not("create", "apps", "deployments", Some(neighbour)));
    }
    questions
}

/// A namespace of the tenant's: what is in it is its own, what it is and may use is not.
fn inside(reconciler: &Account, namespace: &NamespaceName, role: &str) -> Vec<Question> {
    let at = Some(namespace.as_str());
    let mut questions = vec![
        reconciler.may_not("patch", "", "namespaces", at),
        reconciler.may_not("patch", "", "resourcequotas", at),
    ];
    questions.extend(writes(reconciler, namespace, role));
    questions
}

/// Another role may be as narrow as its author likes: that it is enough is shown by what Flux applies.
fn writes(account: &Account, namespace: &NamespaceName, role: &str) -> Option<Question> {
    let writes = matches!(role, "admin" | "edit");
    writes.then(|| Question {
        expected: true,
        ..account.may_not("create", "apps", "deployments", Some(namespace.as_str()))
    })
}

/// A namespace of the tenant that comes next in the file, so that each one's walls are tried from the room beside it.
pub fn neighbour<'a>(tenants: &'a Tenants, name: &TenantName) -> Option<&'a NamespaceName> {
    let after = (Bound::Excluded(name), Bound::Unbounded);
    let following = tenants.tenants.range::<TenantName, _>(after);
    let mut others = following.chain(tenants.tenants.range(..name));
    others.find_map(|(_, tenant)| tenant.namespaces.keys().next())
}

/// Judges the answers: whether each thing is allowed.
pub fn review(answers: Vec<(Question, bool)>) -> Review {
    let wrong = answers
        .into_iter()
        .filter(|(question, allowed)| question.expected != *allowed);
    let wrong: Vec<_> = wrong.map(|(question, _)| question).collect();
    if wrong.is_empty() {
        Review::Contained
    } else {
        Review::Open(wrong)
    }
}

impl Account {
    fn may_not(
        &self,
        verb: &'static str,
        group: &'static str,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> Question {
        Question {
            account: self.clone(),
            access: Access {
                verb,
                group,
                resource,
                namespace: namespace.map(str::to_owned),
            },
            expected: false,
        }
    }

    /// As the API server calls it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// Tells it as it was found, the other way round than it should be.
impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            access,
            expected,
        } = self;
        let can = if *expected { "cannot" } else { "can" };
        write!(
            formatter,
            "the account `{}` of `{}` {can} {} `{}` ",
            account.name, account.namespace, access.verb, access.resource
        )?;
        match &access.namespace {
            Some(namespace) => write!(formatter, "in `{namespace}`"),
            None => formatter.write_str("in the whole cluster"),
        }
    }
}
