//! The built-in kinds that the app, Flux and the demo meet.

use super::super::schema::{METADATA, noted};
use super::super::table;
use super::{Generation, Resource};

/// A built-in kind, as far as it differs from others.
struct Built {
    api_version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    is_namespaced: bool,
    has_status: bool,
    generation: Generation,
    fields: &'static [&'static str],
}

/// In a namespace, without status and generation.
const PLAIN: Built = Built {
    api_version: "v1",
    kind: "",
    plural: "",
    short_names: &[],
    categories: &[],
    is_namespaced: true,
    has_status: false,
    generation: Generation::None,
    fields: &[],
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "admissionregistration.k8s.io/v1";

const KINDS: &[Built] = &[
    Built {
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        is_namespaced: false,
        has_status: true,
        fields: &["spec.finalizers", "status.conditions[type]"],
        ..PLAIN
    },
    Built {
        kind: "Secret",
        plural: "secrets",
        fields: &["data{}", "stringData{}", "type = \"Opaque\""],
        ..PLAIN
    },
    Built {
        kind: "ConfigMap",
        plural: "configmaps",
        short_names: &["cm"],
        fields: &["data{}: string", "binaryData{}"],
        ..PLAIN
    },
    Built {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short_names: &["sa"],
        fields: &["secrets[name]", "automountServiceAccountToken: boolean"],
        ..PLAIN
    },
    Built {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        short_names: &["quota"],
        has_status: true,
        fields: &["spec.hard{}", "status.hard{}", "status.used{}"],
        ..PLAIN
    },
    Built {
        kind: "LimitRange",
        plural: "limitranges",
        short_names: &["limits"],
        ..PLAIN
    },
    Built {
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        ..PLAIN
    },
    Built {
        kind: "Pod",
        plural: "pods",
        short_names: &["po"],
        categories: &["all"],
        has_status: true,
        ..PLAIN
    },
    Built {
        kind: "Service",
        plural: "services",
        short_names: &["svc"],
        categories: &["all"],
        has_status: true,
        fields: &[
            "spec.selector!",
            "spec.ports[port,protocol].protocol: string = \"TCP\"",
            "status.conditions[type]",
        ],
        ..PLAIN
    },
    Built {
        api_version: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        short_names: &["netpol"],
        generation: Generation::Spec,
        ..PLAIN
    },
    Built {
        api_version: RBAC,
        kind: "Role",
        plural: "roles",
        ..PLAIN
    },
    Built {
        api_version: RBAC,
        kind: "RoleBinding",
        plural: "rolebindings",
        ..PLAIN
    },
    Built {
        api_version: RBAC,
        kind: "ClusterRole",
        plural: "clusterroles",
        is_namespaced: false,
        fields: &["aggregationRule!"],
        ..PLAIN
    },
    Built {
        api_version: RBAC,
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        is_namespaced: false,
        ..PLAIN
    },
    Built {
        api_version: "apps/v1",
        kind: "Deployment",
        plural: "deployments",
        short_names: &["deploy"],
        categories: &["all"],
        has_status: true,
        generation: Generation::Spec,
        fields: &[
            "spec.selector!",
            "spec.replicas: integer = 1",
            "status.conditions[type]",
        ],
        ..PLAIN
    },
    Built {
        api_version: "coordination.k8s.io/v1",
        kind: "Lease",
        plural: "leases",
        ..PLAIN
    },
    Built {
        api_version: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        is_namespaced: false,
        has_status: true,
        generation: Generation::Spec,
        fields: &["status.conditions[type]"],
    },
    Built {
        api_version: ADMISSION,
        kind: "ValidatingAdmissionPolicy",
        plural: "validatingadmissionpolicies",
        is_namespaced: false,
        has_status: true,
        fields: &["spec.matchConditions[name]", "spec.variables[name]"],
        ..PLAIN
    },
    Built {
        api_version: ADMISSION,
        kind: "ValidatingAdmissionPolicyBinding",
        plural: "validatingadmissionpolicybindings",
        is_namespaced: false,
        ..PLAIN
    },
];

/// Kinds that are asked and not kept.
const REVIEWS: &[Built] = &[
    Built {
        api_version: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        is_namespaced: false,
        ..PLAIN
    },
    Built {
        api_version: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        is_namespaced: false,
        ..PLAIN
    },
];

pub(super) fn all() -> impl Iterator<Item = Resource> {
    let kept = KINDS.iter().map(|built| resource(built, true));
    kept.chain(REVIEWS.iter().map(|built| resource(built, false)))
}

fn resource(built: &Built, is_stored: bool) -> Resource {
    let (group, version) = built
        .api_version
        .rsplit_once('/')
        .unwrap_or(("", built.api_version));
    let metadata: Vec<_> = METADATA
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("metadata.{line}"))
        .collect();
    let fields = metadata.join("\n") + "\n" + &built.fields.join("\n");
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: built.kind.to_owned(),
        list_kind: format!("{}List", built.kind),
        plural: built.plural.to_owned(),
        singular: built.kind.to_lowercase(),
        short_names: texts(built.short_names),
        categories: texts(built.categories),
        is_namespaced: built.is_namespaced,
        has_status: built.has_status,
        generation: built.generation,
        is_stored,
        is_custom: false,
        columns: table::built_in_columns(built.kind),
        schema: noted(&fields),
    }
}
