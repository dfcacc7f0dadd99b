//! What a tenant is made of, read from both APIs: for people as a tree, and to tell whether anything has changed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use http::Request;
use serde_json::Value;

use super::stage::{ORGANIZATION, Stage};

/// Where the objects of each kind are listed, in the order in which they are shown.
const KINDS: [(&str, &str); 10] = [
    ("Tenant", "/apis/tenantry.dev/v1alpha1/tenants"),
    ("Namespace", "/api/v1/namespaces"),
    ("LimitRange", "/api/v1/limitranges"),
    ("ResourceQuota", "/api/v1/resourcequotas"),
    (
        "NetworkPolicy",
        "/apis/networking.k8s.io/v1/networkpolicies",
    ),
    ("ServiceAccount", "/api/v1/serviceaccounts"),
    (
        "RoleBinding",
        "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    ),
    ("Secret", "/api/v1/secrets"),
    (
        "GitRepository",
        "/apis/source.toolkit.fluxcd.io/v1/gitrepositories",
    ),
    (
        "Kustomization",
        "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations",
    ),
];

/// The kinds whose status Flux writes.
const SYNCED: [&str; 2] = ["GitRepository", "Kustomization"];

/// A tenant's objects on GitHub and in the cluster.
#[derive(Debug)]
pub(super) struct Inventory {
    repository: String,
    /// Teams and deploy keys, in words.
    github: Vec<String>,
    objects: BTreeMap<Id, Found>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    /// Empty for what belongs to no namespace.
    namespace: String,
    /// Index into [`KINDS`].
    kind: usize,
    name: String,
}

#[derive(Debug)]
struct Found {
    /// Differs once somebody has written to the object; its generation alone where Flux writes the status.
    version: String,
    /// The condition `Ready`: its status and message.
    ready: Option<(bool, String)>,
}

/// Reads everything that carries the tenant's mark.
pub(super) async fn of(stage: &Stage, tenant: &str) -> anyhow::Result<Inventory> {
    let mut objects = BTreeMap::new();
    for (kind, (word, path)) in KINDS.into_iter().enumerate() {
        let query = format!("{path}?labelSelector=app.kubernetes.io%2Finstance%3D{tenant}");
        let request = Request::get(query)
            .body(Vec::new())
            .expect("a path of ours is a URI");
        let list: Value = stage
            .cluster
            .client
            .request(request)
            .await
            .with_context(|| format!("list {word} objects"))?;
        for item in list["items"].as_array().into_iter().flatten() {
            let text = |pointer: &str| {
                let value = item.pointer(pointer).and_then(Value::as_str);
                value.unwrap_or_default().to_owned()
            };
            let id = Id {
                namespace: text("/metadata/namespace"),
                kind,
                name: text("/metadata/name"),
            };
            let found = Found {
                version: version(word, item),
                ready: ready(item),
            };
            objects.insert(id, found);
        }
    }
    let repository = format!("{ORGANIZATION}/{tenant}-workspace");
    Ok(Inventory {
        github: github(stage, &repository),
        repository,
        objects,
    })
}

fn version(kind: &str, item: &Value) -> String {
    let metadata = &item["metadata"];
    let counter = if SYNCED.contains(&kind) {
        &metadata["generation"]
    } else {
        &metadata["resourceVersion"]
    };
    format!("{} {counter}", metadata["uid"])
}

fn ready(item: &Value) -> Option<(bool, String)> {
    let conditions = item.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
    let message = ready["message"].as_str().unwrap_or_default().to_owned();
    Some((ready["status"] == "True", message))
}

fn github(stage: &Stage, repository: &str) -> Vec<String> {
    let github = &stage.github;
    if !github.exists(repository) {
        return Vec::new();
    }
    let teams = super::stage::TEAMS.into_iter().filter_map(|team| {
        let permission = github.team_permission(repository, team)?;
        Some(format!("team {team}: {}", permission.name()))
    });
    let keys = github.deploy_keys(repository).into_iter();
    let keys = keys.map(|(title, _, read_only)| {
        let rights = if read_only { "read-only" } else { "read-write" };
        format!("deploy key {title}: {rights}")
    });
    teams.chain(keys).collect()
}

impl Inventory {
    /// Whether Flux has fetched the workspace and applied it.
    pub(super) fn is_synced(&self) -> bool {
        let synced = |kind: &str| {
            let mut objects = self.objects.iter();
            objects.any(|(id, found)| {
                KINDS[id.kind].0 == kind && matches!(found.ready, Some((true, _)))
            })
        };
        SYNCED.into_iter().all(synced)
    }

    /// Whether nobody has written to anything of it since the other was read.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let versions = |one: &Self| -> Vec<(Id, String)> {
            let found = one.objects.iter();
            found
                .map(|(id, found)| (id.clone(), found.version.clone()))
                .collect()
        };
        self.github == other.github && versions(self) == versions(other)
    }

    /// Lines of text: the repository with what hangs on it, then each namespace with what is in it.
    pub(super) fn tree(&self) -> Vec<String> {
        let mut lines = vec![format!("GitHub: repository {}", self.repository)];
        lines.extend(branches(&self.github));
        for (namespace, objects) in self.rooms() {
            lines.push(if namespace.is_empty() {
                "Cluster".to_owned()
            } else {
                format!("Cluster: in namespace {namespace}")
            });
            lines.extend(branches(&objects));
        }
        lines
    }

    /// The objects of each namespace, in words, those of a kind together.
    fn rooms(&self) -> BTreeMap<&str, Vec<String>> {
        let mut names: BTreeMap<(&str, usize), Vec<String>> = BTreeMap::new();
        for (id, found) in &self.objects {
            let state = match &found.ready {
                Some((true, message)) => format!(" ✓ {message}"),
                Some((false, message)) => format!(" ✗ {message}"),
                None => String::new(),
            };
            let room = names.entry((&id.namespace, id.kind)).or_default();
            room.push(format!("{}{state}", id.name));
        }
        let mut rooms: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((namespace, kind), names) in names {
            let line = format!("{} {}", KINDS[kind].0, names.join(", "));
            rooms.entry(namespace).or_default().push(line);
        }
        rooms
    }
}

fn branches(items: &[String]) -> Vec<String> {
    let last = items.len().saturating_sub(1);
    let line = |(index, item)| {
        let branch = if index == last { "└─" } else { "├─" };
        format!("{branch} {item}")
    };
    items.iter().enumerate().map(line).collect()
}
