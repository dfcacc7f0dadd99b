//! The room of a tenant: what the account that Flux applies as may do, and what it must not be able to.

use crate::flux::{ControlNamespace, RECONCILER};
use crate::live::Review;
use crate::names::TenantName;

/// A tenant's room, and the door next to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub tenant: TenantName,
    pub namespaces: Vec<String>,
    /// The role of its account there.
    pub role: String,
    /// A namespace of another tenant, if there is one.
    pub neighbour: Option<String>,
}

/// Something that an account may be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    /// None: cluster-wide, or in every namespace.
    pub namespace: Option<String>,
    pub expected: bool,
}

impl Room {
    /// `system:serviceaccount:tenant-ai-team:reconciler`: its namespace and its name.
    pub fn account(&self) -> (String, &'static str) {
        (ControlNamespace::of(&self.tenant).to_string(), RECONCILER)
    }

    /// What to ask the cluster about the account.
    pub fn questions(&self) -> Vec<Question> {
        let (control, _) = self.account();
        // Another role may be as narrow as its author likes: that it is enough is shown by what Flux has applied.
        let writes = matches!(self.role.as_str(), "admin" | "edit");
        let written = self.namespaces.iter().filter(|_| writes);
        let own = written.map(|namespace| may("create", "", "configmaps", namespace));
        let inside = self.namespaces.iter().flat_map(|namespace| {
            [
                may_not("patch", "", "resourcequotas", Some(namespace)),
                may_not("patch", "", "limitranges", Some(namespace)),
                may_not("patch", "", "namespaces", Some(namespace)),
            ]
        });
        let outside = [
            may_not("create", "", "namespaces", None),
            may_not("get", "", "secrets", None),
            may_not(
                "create",
                "rbac.authorization.k8s.io",
                "clusterrolebindings",
                None,
            ),
            may_not("get", "", "secrets", Some("flux-system")),
            may_not(
                "create",
                "kustomize.toolkit.fluxcd.io",
                "kustomizations",
                Some("flux-system"),
            ),
            may_not("create", "apps", "deployments", Some("kube-system")),
            // The key, and what Flux is told to apply as whom.
            may_not("get", "", "secrets", Some(&control)),
            may_not(
                "patch",
                "kustomize.toolkit.fluxcd.io",
                "kustomizations",
                Some(&control),
            ),
        ];
        let next_door = self.neighbour.iter().flat_map(|namespace| {
            [
                may_not("get", "", "secrets", Some(namespace)),
                may_not("create", "apps", "deployments", Some(namespace)),
            ]
        });
        own.chain(inside).chain(outside).chain(next_door).collect()
    }

    /// What the answers show: whether each thing is allowed, in the order of the questions.
    pub fn review(&self, answers: &[(Question, bool)]) -> Review {
        let mut wrong = answers
            .iter()
            .filter(|(question, allowed)| question.expected != *allowed);
        let Some((question, allowed)) = wrong.next() else {
            return Review::Contained;
        };
        let (namespace, name) = self.account();
        let can = if *allowed { "can" } else { "cannot" };
        let more = match wrong.count() {
            0 => String::new(),
            count => format!(", and {count} more"),
        };
        Review::Open {
            message: format!(
                "the account `{name}` of `{namespace}` {can} {} `{}`{}{more}",
                question.verb,
                question.resource,
                question.place(),
            ),
        }
    }
}

impl Question {
    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!(" in `{namespace}`"),
            None => " in the whole cluster".to_owned(),
        }
    }
}

fn may(
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    namespace: &str,
) -> Question {
    Question {
        expected: true,
        ..may_not(verb, group, resource, Some(namespace))
    }
}

fn may_not(
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    namespace: Option<&str>,
) -> Question {
    Question {
        verb,
        group,
        resource,
        namespace: namespace.map(str::to_owned),
        expected: false,
    }
}
