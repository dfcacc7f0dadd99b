//! The Kubernetes objects of a tenant, as server-side apply takes them: only the fields that we own.
//!
//! A control namespace `tenant-<name>` without pods holds what must not belong to the people of the tenant: the
//! ServiceAccount that Flux applies as, the key, and Flux's own two objects. Everybody who can create objects beside a
//! Secret can read it, so it cannot stand in a workload namespace.

pub mod bootstrap;
pub mod components;
pub mod lockdown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::names::{NamespaceName, TenantName};
use crate::object::{Fingerprint, Kind, ManifestId, POD_SECURITY};
use crate::surroundings::Surroundings;
use crate::tenants::{
    AdditionalRoleBinding, NamespaceSettings, NetworkProfile, PodSecurity, Role, Subject,
    SubjectKind, Tenant,
};

pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label by which Flux' own tooling knows a tenant's objects.
pub const FLUX_TENANT: &str = "toolkit.fluxcd.io/tenant";
/// A person sets it on a namespace to say which tenant may take it over.
pub const ADOPT: &str = "tenantry.dev/adopt";

/// Name of the GitRepository and of the Kustomization in a control namespace.
pub const SYNC: &str = "workspace";
/// The annotation by which Flux is asked to look at once; it says in its status what it has handled.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// The ServiceAccount, in the control namespace, that Flux applies as.
pub const RECONCILER: &str = "reconciler";
/// The ServiceAccount, in each workload namespace, of Flux objects that a tenant makes itself.
pub const NESTED: &str = "flux";

/// The message of the commit that puts the sync path into a new workspace.
pub const FIRST_COMMIT: &str = "Add the directory that Flux syncs";

type Manifest = (ManifestId, Value);

/// `tenant-<name>`.
pub struct ControlNamespace(String);

impl ControlNamespace {
    pub fn of(tenant: &TenantName) -> Self {
        Self(format!("tenant-{tenant}"))
    }

    /// The tenant whose control namespace is called so.
    pub fn tenant(namespace: &str) -> Option<TenantName> {
        namespace.strip_prefix("tenant-")?.parse().ok()
    }
}

impl fmt::Display for ControlNamespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where Flux fetches the tenant's workspace from.
pub fn source(tenant: &TenantName) -> ManifestId {
    ManifestId {
        kind: Kind::GitRepository,
        namespace: Some(ControlNamespace::of(tenant).to_string()),
        name: SYNC.to_owned(),
    }
}

/// The deploy key that Flux is asked to fetch with, where a request is about one: it is the key's fingerprint, so that what
/// Flux says it has handled tells which key it has used.
pub fn requested_key(request: &str) -> Option<Fingerprint> {
    let is_key = request.starts_with("SHA256:");
    is_key.then(|| Fingerprint(request.to_owned()))
}

/// The marks that every object of a tenant carries.
pub fn labels(tenant: &TenantName) -> Value {
    json!({ MANAGED_BY: "tenantry", INSTANCE: tenant, FLUX_TENANT: tenant })
}

/// The `Tenant` object: what is remembered of the entry.
pub fn memory(tenant: &Tenant, surroundings: &Surroundings, commit: &str) -> Manifest {
    let entry = json!({
        "controlRepository": surroundings.control_repository,
        "commit": commit,
        "repository": surroundings.repository(tenant),
        "entry": tenant,
    });
    manifest(
        Kind::Tenant,
        None,
        tenant.name.as_str(),
        &tenant.name,
        spec(entry),
    )
}

/// The control namespace and what is in it, except for Flux's objects and the Secret.
pub fn control_namespace(tenant: &Tenant, surroundings: &Surroundings) -> Vec<Manifest> {
    let name = ControlNamespace::of(&tenant.name).to_string();
    let mut manifests = vec![
        namespace(
            tenant,
            &name,
            PodSecurity::Restricted,
            &BTreeMap::new(),
            &BTreeMap::new(),
            surroundings,
        ),
        within(
            tenant,
            Kind::ResourceQuota,
            &name,
            "no-workloads",
            json!({ "spec": { "hard": { "pods": "0" } } }),
        ),
        service_account(tenant, &name, RECONCILER),
    ];
    // Our own rights to Secrets and Flux's objects hold in control namespaces alone (deploy/rbac.yaml).
    let app =
        json!({ "kind": "ServiceAccount", "name": "tenantry", "namespace": "tenantry-system" });
    manifests.push(role_binding(
        tenant,
        &name,
        "tenantry-control",
        "tenantry-control",
        vec![app],
    ));
    // `view` does not include Secrets: people see how their sync is doing, and not the key.
    manifests.extend(tenant.teams.iter().map(|(team, settings)| {
        role_binding(
            tenant,
            &name,
            &format!("{team}-view"),
            Role::View.as_str(),
            vec![group(&settings.group)],
        )
    }));
    manifests
}

/// The file of the first commit, path and text. Flux fails on a path that does not exist, so it must be there first.
pub fn first_file(tenant: &Tenant) -> (String, String) {
    let directory = tenant
        .repository
        .path
        .trim_start_matches("./")
        .trim_end_matches('/');
    let Some(namespace) = tenant.namespaces.keys().next() else {
        let text = format!(
            "# {}\n\nThe workspace of tenant `{}`.\n",
            tenant.repository.name, tenant.name
        );
        return ("README.md".to_owned(), text);
    };
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "tenantry", "namespace": namespace },
        "data": { "tenant": tenant.name },
    });
    let yaml = serde_yaml::to_string(&manifest).expect("a manifest is plain data");
    let comment = "\
# Everything in this directory is applied to the tenant's namespaces by Flux.\n\
# This object shows that it works; remove it whenever you like.\n";
    let path = if directory.is_empty() {
        "tenantry.yaml".to_owned()
    } else {
        format!("{directory}/tenantry.yaml")
    };
    (path, format!("{comment}{yaml}"))
}

/// Where Flux fetches from, and what it applies as whom.
pub fn sync(tenant: &Tenant, surroundings: &Surroundings) -> Vec<Manifest> {
    let name = ControlNamespace::of(&tenant.name).to_string();
    let repository = surroundings.repository(tenant);
    let mut source = json!({
        "url": format!("ssh://git@{}/{repository}.git", surroundings.git_host),
        "interval": tenant.sync.interval,
        "timeout": "60s",
        "ref": { "branch": tenant.repository.branch },
        "secretRef": { "name": "git-auth" },
    });
    // No postBuild: it would substitute variables in the tenant's own manifests.
    let mut sync = json!({
        "interval": tenant.sync.interval,
        "retryInterval": "2m",
        "timeout": tenant.sync.timeout,
        "path": tenant.repository.path,
        "prune": tenant.sync.prune,
        "wait": tenant.sync.wait,
        "force": false,
        "deletionPolicy": "WaitForTermination",
        "serviceAccountName": RECONCILER,
        "sourceRef": { "kind": "GitRepository", "name": SYNC },
        "commonMetadata": { "labels": { FLUX_TENANT: tenant.name } },
    });
    // Left out otherwise, so that `flux suspend` of an operator stays.
    if tenant.suspended {
        source["suspend"] = json!(true);
        sync["suspend"] = json!(true);
    }
    vec![
        within(tenant, Kind::GitRepository, &name, SYNC, spec(source)),
        within(tenant, Kind::Kustomization, &name, SYNC, spec(sync)),
    ]
}

/// A workload namespace and everything of ours in it.
pub fn workload_namespace(
    tenant: &Tenant,
    name: &NamespaceName,
    settings: &NamespaceSettings,
    surroundings: &Surroundings,
) -> Vec<Manifest> {
    let at = name.as_str();
    let mut manifests = vec![namespace(
        tenant,
        at,
        settings.pod_security,
        &settings.labels,
        &settings.annotations,
        surroundings,
    )];
    if !settings.limits.is_empty() {
        let mut limit = json!({ "type": "Container" });
        for (bound, resources) in &settings.limits {
            limit[bound] = json!(resources);
        }
        let body = spec(json!({ "limits": [limit] }));
        manifests.push(within(
            tenant,
            Kind::LimitRange,
            at,
            "tenant-defaults",
            body,
        ));
    }
    if !settings.quota.is_empty() {
        let body = spec(json!({ "hard": settings.quota }));
        manifests.push(within(
            tenant,
            Kind::ResourceQuota,
            at,
            "tenant-quota",
            body,
        ));
    }
    manifests.extend(network_policies(tenant, at, settings.network_policy));
    manifests.push(service_account(tenant, at, NESTED));
    manifests.extend(role_bindings(tenant, name));
    manifests
}

fn role_bindings(tenant: &Tenant, name: &NamespaceName) -> Vec<Manifest> {
    let at = name.as_str();
    let account = |namespace: String, name: &str| json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace });
    let reconcilers = vec![
        account(ControlNamespace::of(&tenant.name).to_string(), RECONCILER),
        account(name.to_string(), NESTED),
    ];
    // The role is in the names because a binding's role cannot be changed. Here it comes first: no team's binding ends so.
    let mut manifests = vec![role_binding(
        tenant,
        at,
        &format!("{}-{RECONCILER}", tenant.reconciler_role),
        &tenant.reconciler_role,
        reconcilers,
    )];
    manifests.extend(
        tenant
            .teams
            .iter()
            .filter(|(_, settings)| settings.namespaces.contains(name))
            .map(|(team, settings)| {
                let role = settings.role.as_str();
                role_binding(
                    tenant,
                    at,
                    &format!("{team}-{role}"),
                    role,
                    vec![group(&settings.group)],
                )
            }),
    );
    let additional = tenant
        .additional_role_bindings
        .iter()
        .filter(|binding| binding.namespaces.contains(name));
    manifests.extend(additional.map(|binding| additional_binding(tenant, at, binding)));
    manifests
}

fn additional_binding(
    tenant: &Tenant,
    namespace: &str,
    binding: &AdditionalRoleBinding,
) -> Manifest {
    let subjects: Vec<_> = binding.subjects.iter().map(subject).collect();
    // Named by what it grants to whom, so that the order of the list says nothing.
    let hash = hex::encode(Sha256::digest(
        json!([binding.cluster_role, subjects]).to_string(),
    ));
    let name = format!("additional-{}", &hash[..12]);
    role_binding(tenant, namespace, &name, &binding.cluster_role, subjects)
}

fn subject(subject: &Subject) -> Value {
    match subject.kind {
        SubjectKind::ServiceAccount => {
            json!({ "kind": subject.kind, "name": subject.name, "namespace": subject.namespace })
        }
        SubjectKind::User | SubjectKind::Group => {
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": subject.kind, "name": subject.name })
        }
    }
}

fn group(name: &str) -> Value {
    json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name })
}

fn role_binding(
    tenant: &Tenant,
    namespace: &str,
    name: &str,
    cluster_role: &str,
    subjects: Vec<Value>,
) -> Manifest {
    let mut body = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role },
    });
    body["subjects"] = Value::Array(subjects);
    within(tenant, Kind::RoleBinding, namespace, name, body)
}

fn service_account(tenant: &Tenant, namespace: &str, name: &str) -> Manifest {
    within(
        tenant,
        Kind::ServiceAccount,
        namespace,
        name,
        json!({ "automountServiceAccountToken": false }),
    )
}

fn network_policies(tenant: &Tenant, namespace: &str, profile: NetworkProfile) -> Vec<Manifest> {
    let directions: &[&str] = match profile {
        NetworkProfile::None => return Vec::new(),
        NetworkProfile::IngressOnly => &["Ingress"],
        NetworkProfile::Isolated => &["Ingress", "Egress"],
    };
    let deny = json!({ "podSelector": {}, "policyTypes": directions });
    let mut allow = deny.clone();
    allow["ingress"] = json!([
        { "from": [{ "namespaceSelector": { "matchLabels": { FLUX_TENANT: tenant.name } } }] },
    ]);
    if profile == NetworkProfile::Isolated {
        allow["egress"] = egress(tenant);
    }
    vec![
        within(
            tenant,
            Kind::NetworkPolicy,
            namespace,
            "tenant-default-deny",
            spec(deny),
        ),
        within(
            tenant,
            Kind::NetworkPolicy,
            namespace,
            "tenant-allow",
            spec(allow),
        ),
    ]
}

/// To the tenant itself, to DNS, and to the internet, but to no private network and no cloud's metadata service.
fn egress(tenant: &Tenant) -> Value {
    json!([
        { "to": [{ "namespaceSelector": { "matchLabels": { FLUX_TENANT: tenant.name } } }] },
        {
            "to": [{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "kube-system" } } }],
            "ports": [{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }],
        },
        {
            "to": [{ "ipBlock": {
                "cidr": "0.0.0.0/0",
                "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"],
            } }],
        },
    ])
}

fn namespace(
    tenant: &Tenant,
    name: &str,
    level: PodSecurity,
    more_labels: &BTreeMap<String, String>,
    more_annotations: &BTreeMap<String, String>,
    surroundings: &Surroundings,
) -> Manifest {
    let (id, mut value) = manifest(Kind::Namespace, None, name, &tenant.name, json!({}));
    let labels = &mut value["metadata"]["labels"];
    for (key, text) in more_labels {
        labels[key] = json!(text);
    }
    labels[POD_SECURITY] = json!(level);
    labels["pod-security.kubernetes.io/warn"] = json!(PodSecurity::Restricted);
    labels["pod-security.kubernetes.io/audit"] = json!(PodSecurity::Restricted);
    let mut annotations = json!(more_annotations);
    annotations["tenantry.dev/source"] = json!(surroundings.control_repository);
    // A Kustomization that applied this namespace too must never remove it.
    annotations["kustomize.toolkit.fluxcd.io/prune"] = json!("disabled");
    value["metadata"]["annotations"] = annotations;
    (id, value)
}

/// `{spec: …}`. A value that `json!` is given inside another is copied with all that is in it; this one is not.
fn spec(spec: Value) -> Value {
    Value::Object(Map::from_iter([("spec".to_owned(), spec)]))
}

fn within(tenant: &Tenant, kind: Kind, namespace: &str, name: &str, body: Value) -> Manifest {
    manifest(kind, Some(namespace), name, &tenant.name, body)
}

fn manifest(
    kind: Kind,
    namespace: Option<&str>,
    name: &str,
    tenant: &TenantName,
    body: Value,
) -> Manifest {
    let mut metadata = json!({ "name": name });
    metadata["labels"] = labels(tenant);
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    let mut value = json!({ "apiVersion": kind.api_version(), "kind": kind });
    value["metadata"] = metadata;
    if let (Value::Object(value), Value::Object(body)) = (&mut value, body) {
        value.extend(body);
    }
    let id = ManifestId {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    (id, value)
}
