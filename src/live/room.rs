//! The room of a tenant: what the accounts that Flux applies as may do, and what they must not be able to.
//!
//! RBAC adds up whatever anybody has bound, so that the app's own bindings are right does not show it. The cluster itself
//! is asked, question by question.

use std::fmt;

use crate::flux::{ControlNamespace, NESTED, RECONCILER};
use crate::live::Review;
use crate::names::TenantName;

/// A tenant's room, and the door next to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub tenant: TenantName,
    pub namespaces: Vec<String>,
    /// The role of its accounts there.
    pub role: String,
    /// A namespace of another tenant, if there is one.
    pub neighbour: Option<String>,
}

/// Whether an account may do something, and whether it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub account: Account,
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    /// None: cluster-wide, or in every namespace.
    pub namespace: Option<String>,
    pub expected: bool,
}

/// A `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub namespace: String,
    pub name: &'static str,
}

const RBAC: &str = "rbac.authorization.k8s.io";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";

impl Room {
    /// What to ask the cluster about the accounts.
    pub fn questions(&self) -> Vec<Question> {
        let reconciler = Account {
            namespace: ControlNamespace::of(&self.tenant).to_string(),
            name: RECONCILER,
        };
        // Another role may be as narrow as its author likes: that it is enough is shown by what Flux has applied.
        let writes = matches!(self.role.as_str(), "admin" | "edit");
        let written = self.namespaces.iter().filter(|_| writes);
        let own = written.map(|namespace| Question {
            expected: true,
            ..reconciler.may_not("create", "", "configmaps", Some(namespace))
        });
        let inside = self.namespaces.iter().flat_map(|namespace| {
            let not = |resource| reconciler.may_not("patch", "", resource, Some(namespace));
            [not("resourcequotas"), not("limitranges"), not("namespaces")]
        });
        let nested = self.namespaces.iter().flat_map(|namespace| {
            let account = Account {
                namespace: namespace.clone(),
                name: NESTED,
            };
            let not = |verb, resource| account.may_not(verb, "", resource, None);
            [not("create", "namespaces"), not("get", "secrets")]
        });
        let outside = outside(&reconciler);
        let next_door = self.neighbour.iter().flat_map(|namespace| {
            let not =
                |verb, group, resource| reconciler.may_not(verb, group, resource, Some(namespace));
            [
                not("get", "", "secrets"),
                not("create", "apps", "deployments"),
            ]
        });
        own.chain(inside)
            .chain(outside)
            .chain(next_door)
            .chain(nested)
            .collect()
    }

    /// What the answers show: whether each thing is allowed, in the order of the questions.
    pub fn review(answers: &[(Question, bool)]) -> Review {
        let mut wrong = answers
            .iter()
            .filter(|(question, allowed)| question.expected != *allowed)
            .map(|(question, _)| question);
        let Some(question) = wrong.next() else {
            return Review::Contained;
        };
        let more = match wrong.count() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        Review::Open {
            message: format!("{question}{more}"),
            command: question.command(),
        }
    }
}

/// What lies outside of every room.
fn outside(reconciler: &Account) -> [Question; 10] {
    let not =
        |verb, group, resource, namespace| reconciler.may_not(verb, group, resource, namespace);
    let control = Some(reconciler.namespace.as_str());
    [
        not("create", "", "namespaces", None),
        not("get", "", "secrets", None),
        not("impersonate", "", "users", None),
        not("create", RBAC, "clusterrolebindings", None),
        not("get", "", "secrets", Some("flux-system")),
        not("create", KUSTOMIZE, "kustomizations", Some("flux-system")),
        not("get", "", "secrets", Some("tenantry-system")),
        not("create", "apps", "deployments", Some("kube-system")),
        // The key, and what Flux is told to apply as whom.
        not("get", "", "secrets", control),
        not("patch", KUSTOMIZE, "kustomizations", control),
    ]
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
            verb,
            group,
            resource,
            namespace: namespace.map(str::to_owned),
            expected: false,
        }
    }
}

impl Question {
    /// Shows by whose leave it is so, as far as kubectl can.
    fn command(&self) -> String {
        let Account { namespace, name } = &self.account;
        let place = match &self.namespace {
            Some(namespace) => format!(" --namespace={namespace}"),
            None => String::new(),
        };
        format!("kubectl auth can-i --list --as=system:serviceaccount:{namespace}:{name}{place}")
    }
}

/// As it is where the answer is not the expected one.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { namespace, name } = &self.account;
        let can = if self.expected { "cannot" } else { "can" };
        let (verb, resource) = (self.verb, self.resource);
        write!(
            f,
            "the account `{name}` of `{namespace}` {can} {verb} `{resource}`"
        )?;
        match &self.namespace {
            Some(namespace) => write!(f, " in `{namespace}`"),
            None => write!(f, " in the whole cluster"),
        }
    }
}
