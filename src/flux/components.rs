//! Flux's own manifests, as `flux install --export` prints them, and the patches that lock them down.
//!
//! The patches stand in one list. What is applied here has gone through it, and `kustomization.yaml` is made from it, so
//! that Flux builds the same from Git.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::flux::lockdown::{self, Controller, Gap, NAMESPACE, Served, Sight, VERSION};
use crate::object::Kind;

/// The name of Flux's own GitRepository, Kustomization and Secret, and of the folder that holds its manifests.
pub const FLUX: &str = "flux-system";
pub const COMPONENTS_FILE: &str = "gotk-components.yaml";
pub const SYNC_FILE: &str = "gotk-sync.yaml";
pub const KUSTOMIZATION_FILE: &str = "kustomization.yaml";

/// The kind whose objects make others possible.
pub const DEFINITION: &str = "CustomResourceDefinition";

/// Why something of Flux's cannot be used; fit for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Flux's manifests, known to be whole and to be locked down by the patches.
#[derive(Debug, Clone)]
pub struct Components {
    /// As it was given: this is what is committed.
    pub text: String,
    /// `v2.9.4`.
    pub version: String,
    /// Patched: this is what is applied.
    pub objects: Vec<Value>,
}

/// What tells objects of the manifests apart, whatever the version of their kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    kind: String,
    name: String,
}

impl Identity {
    pub fn of(object: &Value) -> Self {
        Self {
            kind: kind(object).to_owned(),
            name: name(object).unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)
    }
}

/// Those of manifests that may not be whole; none where they cannot be read.
pub fn identities(text: &str) -> Vec<Identity> {
    let objects = documents(text).unwrap_or_default();
    objects.iter().map(Identity::of).collect()
}

/// Whether a file has this SHA-256, in hexadecimal.
pub fn check_sum(bytes: &[u8], wanted: &str) -> Result<(), Refused> {
    let found = hex::encode(Sha256::digest(bytes));
    if found.eq_ignore_ascii_case(wanted.trim()) {
        return Ok(());
    }
    Err(Refused(format!(
        "its SHA-256 is `{found}` and should be `{}`",
        wanted.trim()
    )))
}

impl Components {
    /// Reads the manifests and refuses what is not all of Flux, or would not be locked down.
    pub fn read(text: &str) -> Result<Self, Refused> {
        let mut objects = documents(text)?;
        if objects.is_empty() {
            return Err(Refused("it is empty".to_owned()));
        }
        for object in &objects {
            check_object(object)?;
        }
        for patch in patches() {
            patch.apply(&mut objects)?;
        }
        check_whole(&objects)?;
        let version = version(&objects).ok_or_else(|| {
            Refused(format!(
                "its Deployments have no label `{VERSION}`: it must be what `flux install --export` prints"
            ))
        })?;
        Ok(Self {
            text: text.to_owned(),
            version,
            objects,
        })
    }

    /// The versions that each kind has in these manifests, by the name of its definition.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        definitions(&self.objects)
            .filter_map(|definition| Some((name(definition)?, versions(definition))))
    }

    /// What Flux needs to take anything from Git: nobody else would bring these back.
    pub fn vital(&self) -> impl Iterator<Item = &Value> {
        let bindings = self.objects.iter();
        let bindings = bindings.filter(|object| kind(object) == "ClusterRoleBinding");
        let bound: Vec<_> = bindings
            .map(|binding| &binding["roleRef"]["name"])
            .collect();
        let core = [Controller::Source, Controller::Kustomize].map(Controller::as_str);
        let groups = [Kind::GitRepository, Kind::Kustomization].map(Kind::api_version);
        let is_core = move |definition| {
            let served = served_versions(definition);
            served
                .iter()
                .any(|version| groups.contains(&version.as_str()))
        };
        self.objects
            .iter()
            .filter(move |object| match kind(object) {
                "Namespace" | "ClusterRoleBinding" => true,
                DEFINITION => is_core(object),
                "ClusterRole" => bound.contains(&&object["metadata"]["name"]),
                "Deployment" | "Service" | "ServiceAccount" => {
                    name(object).is_some_and(|name| core.contains(&name))
                }
                _ => false,
            })
    }
}

/// The version that manifests say they are of; nothing where they say none.
pub fn version_of(text: &str) -> Option<String> {
    version(&documents(text).ok()?)
}

/// All documents of a YAML stream; duplicate keys are errors.
fn documents(text: &str) -> Result<Vec<Value>, Refused> {
    serde_saphyr::from_multiple::<Value>(text)
        .map_err(|error| Refused(format!("it is not YAML: {}", error.without_snippet())))
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

fn name(object: &Value) -> Option<&str> {
    object["metadata"]["name"].as_str()
}

fn check_object(object: &Value) -> Result<(), Refused> {
    let (Some(_), Some(name), false) = (
        object["apiVersion"].as_str(),
        name(object),
        kind(object).is_empty(),
    ) else {
        return Err(Refused(
            "a document in it has no `apiVersion`, `kind` or `metadata.name`".to_owned(),
        ));
    };
    match object["metadata"]["namespace"].as_str() {
        None | Some(NAMESPACE) => Ok(()),
        Some(namespace) => Err(Refused(format!(
            "{} `{name}` is in the namespace `{namespace}`, and Flux belongs in `{NAMESPACE}`",
            kind(object)
        ))),
    }
}

/// Everything that Flux needs is there, recent enough and locked down: judged as the cluster is.
fn check_whole(objects: &[Value]) -> Result<(), Refused> {
    let is_ours = |object: &&Value| kind(object) == "Namespace" && name(object) == Some(NAMESPACE);
    if !objects.iter().any(|object| is_ours(&object)) {
        return Err(Refused(format!("it does not hold Namespace `{NAMESPACE}`")));
    }
    let (label, value) = lockdown::SELECTOR.split_once('=').unwrap_or_default();
    let labelled = |object: &&Value| {
        kind(object) == "Deployment" && object["metadata"]["labels"][label] == value
    };
    let sight = Sight {
        deployments: Ok(objects.iter().filter(labelled).cloned().collect()),
        served: Ok(served(objects)),
    };
    let gaps = lockdown::gaps(&sight);
    if gaps.is_empty() {
        return Ok(());
    }
    let gaps: Vec<_> = gaps.iter().map(Gap::message).collect();
    Err(Refused(format!(
        "with it Flux would not be whole and locked down: {}",
        gaps.join("; ")
    )))
}

fn definitions(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| kind(object) == DEFINITION)
}

fn versions(definition: &Value) -> Vec<&str> {
    let versions = definition["spec"]["versions"].as_array();
    let versions = versions.into_iter().flatten();
    versions
        .filter_map(|version| version["name"].as_str())
        .collect()
}

/// Group and version of each that a cluster with this definition serves: `source.toolkit.fluxcd.io/v1`.
pub fn served_versions(definition: &Value) -> Vec<String> {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let versions = definition["spec"]["versions"].as_array();
    let versions = versions.into_iter().flatten();
    versions
        .filter(|version| version["served"] == true)
        .filter_map(|version| Some(format!("{group}/{}", version["name"].as_str()?)))
        .collect()
}

/// What a cluster with these definitions serves.
fn served(objects: &[Value]) -> Served {
    let mut served = Served::new();
    for version in definitions(objects).flat_map(served_versions) {
        let (group, version) = version.split_once('/').unwrap_or_default();
        let versions = served.entry(group.to_owned()).or_default();
        versions.insert(version.to_owned());
    }
    served
}

fn version(objects: &[Value]) -> Option<String> {
    let mut deployments = objects.iter().filter(|object| kind(object) == "Deployment");
    deployments.find_map(|object| {
        let version = object["metadata"]["labels"][VERSION].as_str()?;
        Some(version.to_owned())
    })
}

/// One change of Flux's manifests.
enum Patch {
    /// More arguments for a controller's container: of two that contradict each other the last one wins.
    Arguments(Controller),
    /// Fields of one object, whole: what names it, and what is set.
    Fields(Value),
}

/// What locks Flux down, whichever of its controllers are installed.
fn patches() -> Vec<Patch> {
    let controllers = Controller::ALL
        .iter()
        .copied()
        .filter(|controller| !controller.required().is_empty());
    let mut patches: Vec<_> = controllers.map(Patch::Arguments).collect();
    // Nobody but Flux itself applies as an administrator; without an account it would be locked out by its default.
    patches.push(Patch::Fields(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": { "name": FLUX, "namespace": NAMESPACE },
        "spec": { "serviceAccountName": Controller::Kustomize },
    })));
    // Files that are lost from Git must not take Flux with them.
    patches.push(Patch::Fields(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "annotations": { "kustomize.toolkit.fluxcd.io/prune": "disabled" },
        },
    })));
    patches
}

impl Patch {
    /// As an entry of `patches` in a `kustomization.yaml`.
    fn entry(&self) -> Value {
        match self {
            Self::Arguments(controller) => {
                let operations: Vec<_> = arguments(*controller)
                    .map(|argument| {
                        json!({ "op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": argument })
                    })
                    .collect();
                json!({
                    "target": { "kind": "Deployment", "name": controller },
                    "patch": yaml(&json!(operations)),
                })
            }
            Self::Fields(fields) => json!({ "patch": yaml(fields) }),
        }
    }

    /// Does to the objects what kustomize does. A patch whose object is not there does nothing.
    fn apply(&self, objects: &mut [Value]) -> Result<(), Refused> {
        match self {
            Self::Arguments(controller) => {
                let is_target = |object: &&mut Value| {
                    kind(object) == "Deployment" && name(object) == Some(controller.as_str())
                };
                for deployment in objects.iter_mut().filter(is_target) {
                    add_arguments(deployment, *controller)?;
                }
            }
            Self::Fields(fields) => {
                let is_target = |object: &&mut Value| {
                    object["apiVersion"] == fields["apiVersion"]
                        && object["kind"] == fields["kind"]
                        && object["metadata"]["name"] == fields["metadata"]["name"]
                };
                for object in objects.iter_mut().filter(is_target) {
                    merge(object, fields);
                }
            }
        }
        Ok(())
    }
}

fn arguments(controller: Controller) -> impl Iterator<Item = String> {
    let required = controller.required().iter();
    required.map(|(flag, value)| format!("{flag}={value}"))
}

fn add_arguments(deployment: &mut Value, controller: Controller) -> Result<(), Refused> {
    let list = deployment
        .pointer_mut("/spec/template/spec/containers/0/args")
        .and_then(Value::as_array_mut);
    let Some(list) = list else {
        return Err(Refused(format!(
            "Deployment `{controller}` has no `args` to add to: it must be what `flux install --export` prints"
        )));
    };
    list.extend(arguments(controller).map(Value::from));
    Ok(())
}

/// Sets the fields, map by map.
fn merge(object: &mut Value, fields: &Value) {
    match (object, fields) {
        (Value::Object(object), Value::Object(fields)) => {
            for (key, value) in fields {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, fields) => *object = fields.clone(),
    }
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).expect("manifests are plain data")
}

/// Where Flux fetches itself from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `ssh://git@github.com/acme/workspace-admin.git`.
    pub url: String,
    pub branch: String,
    /// Below the repository's root, `./` first.
    pub path: String,
}

/// The GitRepository and the Kustomization by which Flux keeps itself, as `gotk-sync.yaml` has them.
fn unpatched_sync(source: &Source) -> [Value; 2] {
    let metadata = json!({ "name": FLUX, "namespace": NAMESPACE });
    [
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": {
                "interval": "1m0s",
                "ref": { "branch": source.branch },
                "secretRef": { "name": FLUX },
                "url": source.url,
            },
        }),
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": metadata,
            "spec": {
                "interval": "10m0s",
                "path": source.path,
                "prune": true,
                "sourceRef": { "kind": "GitRepository", "name": FLUX },
            },
        }),
    ]
}

/// The same as they are applied.
pub fn sync(source: &Source) -> [Value; 2] {
    let mut objects = unpatched_sync(source);
    for patch in patches() {
        patch
            .apply(&mut objects)
            .expect("no controller is among them");
    }
    objects
}

const WRITTEN_BY: &str = "# Written by `tenantry bootstrap`.\n";

/// The text of `gotk-sync.yaml`; nothing where the file says it already, in whatever form.
pub fn sync_file(source: &Source, existing: Option<&str>) -> Option<String> {
    let wanted = unpatched_sync(source);
    let existing = existing.and_then(|text| documents(text).ok());
    let says = |wanted: &Value| {
        existing.iter().flatten().any(|object| {
            ["apiVersion", "kind"]
                .iter()
                .all(|key| object[key] == wanted[key])
                && name(object) == Some(FLUX)
                && contains(&object["spec"], &said(wanted))
        })
    };
    if wanted.iter().all(says) {
        return None;
    }
    let [source, sync] = wanted.map(|object| yaml(&object));
    Some(format!("{WRITTEN_BY}---\n{source}---\n{sync}"))
}

/// What a sync object says, without how often: that is the administrators' to choose.
fn said(object: &Value) -> Value {
    let mut spec = object["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("interval");
    }
    spec
}

/// Whether everything in one value is also in the other.
pub(super) fn contains(all: &Value, part: &Value) -> bool {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| all.get(key).is_some_and(|found| contains(found, value))),
        (all, part) => all == part,
    }
}

/// The text of `kustomization.yaml`; nothing where the file has the patches already, beside whatever else.
pub fn kustomization_file(existing: Option<&str>) -> Result<Option<String>, Refused> {
    let entries: Vec<_> = patches().iter().map(Patch::entry).collect();
    let wanted = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [COMPONENTS_FILE, SYNC_FILE],
        "patches": entries,
    });
    let text = format!(
        "{WRITTEN_BY}# Without these patches a tenant could leave its room.\n{}",
        yaml(&wanted)
    );
    let Some(existing) = existing else {
        return Ok(Some(text));
    };
    let found: KustomizationFile = serde_saphyr::from_str(existing).map_err(|error| {
        let error = error.without_snippet();
        Refused(format!(
            "`{KUSTOMIZATION_FILE}` in Git cannot be read: {error}"
        ))
    })?;
    let has_all = found.resources.iter().any(|one| one == COMPONENTS_FILE)
        && found.resources.iter().any(|one| one == SYNC_FILE)
        && entries
            .iter()
            .all(|entry| found.patches.iter().any(|one| is_same(one, entry)));
    if has_all {
        return Ok(None);
    }
    let is_plain = found.patches.is_empty()
        && found
            .others
            .keys()
            .all(|key| ["apiVersion", "kind"].contains(&key.as_str()));
    if is_plain {
        return Ok(Some(text));
    }
    Err(Refused(format!(
        "`{KUSTOMIZATION_FILE}` in Git has settings of its own and lacks patches that lock Flux down. Add these to it:\n\n{}",
        yaml(&json!({ "patches": entries }))
    )))
}

#[derive(Deserialize)]
struct KustomizationFile {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    patches: Vec<Value>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// Whether two patches say the same: their inner text is YAML too.
fn is_same(one: &Value, other: &Value) -> bool {
    let inner = |entry: &Value| {
        let text = entry["patch"].as_str()?;
        serde_saphyr::from_str::<Value>(text).ok()
    };
    let inner_of_one = inner(one);
    one["target"] == other["target"] && inner_of_one.is_some() && inner_of_one == inner(other)
}
