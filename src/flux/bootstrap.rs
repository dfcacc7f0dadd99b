//! What it takes to bootstrap Flux, from what is wanted and what is there: steps that may each run twice.
//!
//! Flux keeps itself from Git. So the direct way into the cluster is taken only until Flux has applied itself for the
//! first time; from then on a change is a commit.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::flux::components::{
    self, COMPONENTS_FILE, Components, DEFINITION, FLUX, Identity, KUSTOMIZATION_FILE, Refused,
    SYNC_FILE, Source,
};
use crate::flux::lockdown::Controller;
use crate::flux::{MANAGED_BY, lockdown};
use crate::names::{BranchName, FullName};
use crate::object::Visibility;

/// The field manager of Flux's own tool. What it sets is Flux's, and not a tenant's.
pub const FIELD_MANAGER: &str = "flux";

/// Who sets fields of Flux's own objects, if nobody else meddles: its tool, Flux itself, and Kubernetes.
const OWN_MANAGERS: [&str; 4] = [
    FIELD_MANAGER,
    Controller::Kustomize.as_str(),
    // It puts its finalizer on the GitRepository.
    Controller::Source.as_str(),
    "kube-controller-manager",
];

/// What is to be there at the end.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The admin workspace.
    pub repository: FullName,
    pub branch: BranchName,
    pub folder: Folder,
    pub git_host: String,
    /// `TENANTRY_CLUSTER`: stands in the title of the deploy key.
    pub cluster: String,
    /// The App that bootstraps, where it is not a person: it may commit Flux's own files past the rules.
    pub app: Option<u64>,
    pub components: Components,
}

/// The folder of a cluster in the admin workspace, without a slash at either end; empty for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(String);

impl std::str::FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_start_matches("./").trim_matches('/');
        let is_part = |part: &str| {
            !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if trimmed.is_empty() || trimmed == "." {
            return Ok(Self(String::new()));
        }
        if text.starts_with('/')
            || !trimmed
                .split('/')
                .all(|part| !part.is_empty() && is_part(part))
        {
            return Err("is not a folder in a repository, such as `clusters/prod`".to_owned());
        }
        Ok(Self(trimmed.to_owned()))
    }
}

impl Folder {
    /// As a Kustomization's `path` has it.
    fn of_sync(&self) -> String {
        format!("./{}", self.0)
    }

    /// The path of one of Flux's own files.
    pub fn file(&self, name: &str) -> String {
        if self.0.is_empty() {
            format!("{FLUX}/{name}")
        } else {
            format!("{}/{FLUX}/{name}", self.0)
        }
    }
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub workspace: Option<Workspace>,
    pub cluster: Cluster,
}

/// The admin workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub visibility: Visibility,
    pub archived: bool,
    /// Whether it has a commit on any branch.
    pub is_empty: bool,
    /// The commit that the branch points at.
    pub tip: Option<String>,
    /// Flux's own files at that commit, by their paths.
    pub files: BTreeMap<String, String>,
    pub keys: Vec<Key>,
    pub rules: Rules,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub title: String,
    pub public: String,
    pub read_only: bool,
}

/// Whether the branch can be changed without a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    PullRequests,
    None,
    /// The organisation's plan has no rules for private repositories.
    NotInPlan,
}

/// What runs as Flux on the cluster, and what keeps it.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub deployments: Vec<Value>,
    /// Those objects of the components that are there, in whatever state.
    pub present: Vec<Value>,
    /// Whether flux-operator has been told of a Flux.
    pub has_instance: bool,
    /// The GitRepository and the Kustomization `flux-system`.
    pub source: Option<Value>,
    pub sync: Option<Value>,
    pub secret: Secret,
}

/// The Secret `flux-system`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Secret {
    #[default]
    Absent,
    /// It holds a key pair, whose public half this is.
    Key(String),
    /// It holds something else.
    Other,
}

impl Cluster {
    fn definitions(&self) -> impl Iterator<Item = &Value> {
        let present = self.present.iter();
        present.filter(|object| object["kind"] == DEFINITION)
    }
}

/// What comes of the comparison.
#[derive(Debug)]
pub enum Decision {
    Work(Plan),
    /// Flux is kept by somebody else, who is named; it is only looked at.
    Foreign(String),
}

#[derive(Debug, Default)]
pub struct Plan {
    /// None: everything is there.
    pub steps: Vec<Step>,
    /// What an administrator should know, and nothing is done about.
    pub notes: Vec<String>,
}

/// In the order of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    CreateRepository,
    /// Git's data can be written only where there is a commit.
    FirstCommit,
    Commit(Commit),
    /// From here on the branch changes by pull requests.
    Protect,
    /// Flux's own objects, straight into the cluster.
    Apply,
    /// The same for some that are gone, and without which Flux takes nothing from Git any more.
    Restore(Vec<Value>),
    /// A key pair, into the Secret.
    Credentials,
    DeployKey,
    /// The GitRepository and the Kustomization by which Flux keeps itself.
    Sync,
}

/// One commit, whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub message: String,
    /// Paths and texts.
    pub files: Vec<(String, String)>,
}

impl Wanted {
    pub fn source(&self) -> Source {
        Source {
            url: format!("ssh://git@{}/{}.git", self.git_host, self.repository),
            branch: self.branch.to_string(),
            path: self.folder.of_sync(),
        }
    }

    /// Flux's own three files.
    pub fn paths(&self) -> [String; 3] {
        [COMPONENTS_FILE, SYNC_FILE, KUSTOMIZATION_FILE].map(|name| self.folder.file(name))
    }

    pub fn key_title(&self) -> String {
        format!("tenantry/{}/{FLUX}", self.cluster)
    }

    /// The text that a person finds first in the admin workspace.
    pub fn readme(&self) -> String {
        format!(
            "# {}\n\nFlux applies what is in `{}` to the cluster `{}` as its administrator.\n\
             Whoever can write here can do anything there.\n",
            self.repository.name,
            self.folder.of_sync(),
            self.cluster
        )
    }
}

/// Compares the two.
pub fn decide(wanted: &Wanted, found: &Found) -> Result<Decision, Refused> {
    if let Some(keeper) = foreign(wanted, &found.cluster)? {
        return Ok(Decision::Foreign(keeper));
    }
    check_stored_versions(wanted, &found.cluster)?;
    let mut plan = Plan::default();
    of_git(wanted, found.workspace.as_ref(), &mut plan)?;
    of_cluster(wanted, found, &mut plan)?;
    plan.steps.sort_by_key(Step::place);
    Ok(Decision::Work(plan))
}

/// Who keeps this Flux, if it is not the admin workspace.
fn foreign(wanted: &Wanted, cluster: &Cluster) -> Result<Option<String>, Refused> {
    if cluster.has_instance {
        return Ok(Some("a FluxInstance, and so flux-operator".to_owned()));
    }
    let objects = cluster.deployments.iter().chain(cluster.definitions());
    let mut managers =
        objects.filter_map(|object| object["metadata"]["labels"][MANAGED_BY].as_str());
    if let Some(manager) = managers.next() {
        return Ok(Some(format!("`{manager}`, by the label `{MANAGED_BY}`")));
    }
    let Some(sync) = &cluster.sync else {
        return Ok(installed_by(&cluster.deployments));
    };
    let (path, wanted_path) = (text(&sync["spec"]["path"]), wanted.folder.of_sync());
    let reference = &sync["spec"]["sourceRef"];
    let (kind, name) = (text(&reference["kind"]), text(&reference["name"]));
    if (kind, name) != ("GitRepository", FLUX) {
        return Ok(Some(format!("{kind} `{name}`, path `{path}`")));
    }
    // One that is gone is nobody's, and comes back.
    if let Some(source) = &cluster.source {
        let url = text(&source["spec"]["url"]);
        let branch = text(&source["spec"]["ref"]["branch"]);
        if !is_same_url(url, &wanted.source().url) || branch != wanted.branch.as_str() {
            return Ok(Some(format!("`{url}`, branch `{branch}`, path `{path}`")));
        }
    }
    if !is_same_path(path, &wanted_path) {
        return Err(Refused(format!(
            "Flux on this cluster keeps itself from `{path}` of this repository, not from `{wanted_path}`: give `--path {path}`, or what belongs to another cluster would be put in its place"
        )));
    }
    let mut objects = cluster.source.iter().chain([sync]);
    if objects.any(|object| object["spec"]["suspend"] == true) {
        return Err(Refused(
            "Flux's own sync is suspended: resume it first (`flux resume source git flux-system`, `flux resume kustomization flux-system`)"
                .to_owned(),
        ));
    }
    Ok(None)
}

/// Who installed a Flux that does not keep itself: nobody to respect, if it was Flux's own tool or an earlier run of this.
fn installed_by(deployments: &[Value]) -> Option<String> {
    let managers: BTreeSet<_> = deployments
        .iter()
        .flat_map(managers)
        .filter(|manager| *manager != "kube-controller-manager")
        .collect();
    if managers.is_empty() || managers.contains(FIELD_MANAGER) {
        return None;
    }
    let managers: Vec<_> = managers.iter().map(|name| format!("`{name}`")).collect();
    Some(format!(
        "{}, by the fields that were set",
        managers.join(", ")
    ))
}

/// Whether nobody has meddled with one of Flux's own objects: then whatever stands in it may be set anew.
pub fn is_flux_alone(object: &Value) -> bool {
    managers(object).all(|manager| OWN_MANAGERS.contains(&manager))
}

/// Who has set fields of an object, its status aside.
fn managers(object: &Value) -> impl Iterator<Item = &str> {
    let fields = object["metadata"]["managedFields"].as_array();
    let fields = fields.into_iter().flatten();
    let of_spec = fields.filter(|entry| entry["subresource"].is_null());
    of_spec.map(|entry| text(&entry["manager"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// GitHub ignores case and a missing `.git`.
fn is_same_url(one: &str, other: &str) -> bool {
    let plain = |url: &str| {
        url.trim_end_matches('/')
            .trim_end_matches(".git")
            .to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

fn is_same_path(one: &str, other: &str) -> bool {
    let plain = |path: &str| path.trim_start_matches("./").trim_matches('/').to_owned();
    plain(one) == plain(other)
}

/// A definition cannot lose a version in which objects are still stored; Flux would stop in the middle of its upgrade.
fn check_stored_versions(wanted: &Wanted, cluster: &Cluster) -> Result<(), Refused> {
    let coming: BTreeMap<_, _> = wanted.components.definitions().collect();
    for definition in cluster.definitions() {
        let name = text(&definition["metadata"]["name"]);
        let Some(versions) = coming.get(name) else {
            continue;
        };
        let stored = definition["status"]["storedVersions"].as_array();
        let mut stored = stored.into_iter().flatten().map(text);
        if let Some(lost) = stored.find(|version| !versions.contains(version)) {
            return Err(Refused(format!(
                "`{name}` still has objects stored as `{lost}`, which Flux {} no longer has: run `flux migrate` with the present version first",
                wanted.components.version
            )));
        }
    }
    Ok(())
}

fn of_git(wanted: &Wanted, workspace: Option<&Workspace>, plan: &mut Plan) -> Result<(), Refused> {
    let repository = &wanted.repository;
    let Some(workspace) = workspace else {
        plan.steps = vec![Step::CreateRepository, Step::FirstCommit];
        plan.steps.push(Step::Commit(
            commit(wanted, &BTreeMap::new())?.expect("no file is there"),
        ));
        plan.steps.push(Step::Protect);
        return Ok(());
    };
    if workspace.archived {
        return Err(Refused(format!(
            "the repository `{repository}` is archived"
        )));
    }
    if workspace.is_empty {
        plan.steps.push(Step::FirstCommit);
    } else if workspace.tip.is_none() {
        return Err(Refused(format!(
            "the repository `{repository}` has no branch `{}`: create it, or give another `--branch`",
            wanted.branch
        )));
    }
    plan.steps
        .extend(commit(wanted, &workspace.files)?.map(Step::Commit));
    match workspace.rules {
        Rules::PullRequests => {}
        Rules::None => plan.steps.push(Step::Protect),
        Rules::NotInPlan => plan.notes.push(not_in_plan(wanted)),
    }
    if workspace.visibility != Visibility::Private {
        plan.notes.push(format!(
            "`{repository}` is {}: what runs on the cluster can be read by more than its administrators",
            workspace.visibility
        ));
    }
    Ok(())
}

/// What to do where GitHub protects no branch of a private repository.
pub fn not_in_plan(wanted: &Wanted) -> String {
    format!(
        "GitHub has no rules for private repositories here (the organisation's plan, or the server's version), so `{}` of `{}` can be pushed to directly: give write access to the cluster's administrators alone, or get rulesets and run this again",
        wanted.branch, wanted.repository
    )
}

/// The one commit that makes Flux's own files right; nothing if they are.
pub fn commit(
    wanted: &Wanted,
    files: &BTreeMap<String, String>,
) -> Result<Option<Commit>, Refused> {
    let [components, sync, kustomization] = wanted.paths();
    let existing = |path: &String| files.get(path).map(String::as_str);
    let before = existing(&components);
    let new_components =
        (before != Some(&wanted.components.text)).then(|| wanted.components.text.clone());
    let texts = [
        (components.clone(), new_components),
        (
            sync.clone(),
            components::sync_file(&wanted.source(), existing(&sync)),
        ),
        (
            kustomization.clone(),
            components::kustomization_file(existing(&kustomization))?,
        ),
    ];
    let files: Vec<_> = texts
        .into_iter()
        .filter_map(|(path, text)| Some((path, text?)))
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    let version = &wanted.components.version;
    let message = match before.map(components::version_of) {
        None => format!("Add Flux {version}, locked down"),
        Some(Some(before)) if before != *version => {
            format!("Upgrade Flux from {before} to {version}")
        }
        Some(_) => format!("Correct the manifests of Flux {version}"),
    };
    Ok(Some(Commit { message, files }))
}

fn of_cluster(wanted: &Wanted, found: &Found, plan: &mut Plan) -> Result<(), Refused> {
    let cluster = &found.cluster;
    let has_applied_itself = cluster
        .sync
        .as_ref()
        .is_some_and(|sync| !text(&sync["status"]["lastAppliedRevision"]).is_empty());
    if has_applied_itself {
        let gone = gone(wanted, found);
        if !gone.is_empty() {
            plan.steps.push(Step::Restore(gone));
        }
        if cluster.source.is_none() {
            plan.steps.push(Step::Sync);
        }
    } else {
        plan.steps.extend([Step::Apply, Step::Sync]);
    }
    let keys = found.workspace.iter().flat_map(|workspace| &workspace.keys);
    let public = match &cluster.secret {
        Secret::Absent => {
            plan.steps.extend([Step::Credentials, Step::DeployKey]);
            None
        }
        Secret::Key(public) => {
            if !keys.clone().any(|key| is_same_key(&key.public, public)) {
                plan.steps.push(Step::DeployKey);
            }
            Some(public)
        }
        Secret::Other => {
            return Err(Refused(format!(
                "the Secret `{FLUX}` in `{}` holds no SSH key pair: remove it if nothing else uses it, and run this again",
                lockdown::NAMESPACE
            )));
        }
    };
    plan.notes
        .extend(keys.filter_map(|key| note_of_key(wanted, key, public)));
    Ok(())
}

/// What an administrator should do about a deploy key of the admin workspace, if anything.
fn note_of_key(wanted: &Wanted, key: &Key, public: Option<&String>) -> Option<String> {
    let (title, repository) = (&key.title, &wanted.repository);
    let is_current = public.is_some_and(|public| is_same_key(&key.public, public));
    if *title == wanted.key_title() && !is_current {
        return Some(format!(
            "the deploy key `{title}` of `{repository}` is not the one in this cluster's Secret: if no other cluster has it, remove it in the repository's settings"
        ));
    }
    (!key.read_only).then(|| {
        format!(
            "the deploy key `{title}` of `{repository}` may write, and so do anything on the cluster: replace it with a read-only one in the repository's settings"
        )
    })
}

/// What was committed before and is gone from the cluster, as far as Flux needs it to take anything from Git; the rest
/// it brings back itself.
fn gone(wanted: &Wanted, found: &Found) -> Vec<Value> {
    let [path, _, _] = wanted.paths();
    let files = found.workspace.as_ref().map(|workspace| &workspace.files);
    let committed = files.and_then(|files| files.get(&path));
    let committed = committed.map(|text| components::identities(text));
    let committed = committed.unwrap_or_default();
    let present: Vec<_> = found.cluster.present.iter().map(Identity::of).collect();
    let objects = wanted.components.vital().filter(|object| {
        let identity = Identity::of(object);
        committed.contains(&identity) && !present.contains(&identity)
    });
    objects.cloned().collect()
}

/// GitHub drops the comment of a public key.
fn is_same_key(one: &str, other: &str) -> bool {
    let plain = |key: &str| {
        key.split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    plain(one) == plain(other)
}

impl Step {
    /// Git first, so that Flux finds itself there; the Secret before its key is registered; the sync last.
    fn place(&self) -> u8 {
        match self {
            Self::CreateRepository => 0,
            Self::FirstCommit => 1,
            Self::Commit(_) => 2,
            Self::Protect => 3,
            Self::Apply | Self::Restore(_) => 4,
            Self::Credentials => 5,
            Self::DeployKey => 6,
            Self::Sync => 7,
        }
    }

    /// What it does, for a list.
    pub fn describe(&self, wanted: &Wanted) -> String {
        let (repository, branch) = (&wanted.repository, &wanted.branch);
        match self {
            Self::CreateRepository => format!("create the private repository {repository}"),
            Self::FirstCommit => format!("commit README.md to {branch}, so that there is a branch"),
            Self::Commit(commit) => {
                let files: Vec<_> = commit.files.iter().map(|(path, _)| path.as_str()).collect();
                format!(
                    "commit to {branch}: {} ({})",
                    commit.message,
                    files.join(", ")
                )
            }
            Self::Protect => {
                let app = if wanted.app.is_some() {
                    " and this App"
                } else {
                    ""
                };
                format!(
                    "protect {branch}: it changes by approved pull requests alone; owners of the organisation{app} are above that"
                )
            }
            Self::Apply => format!(
                "apply Flux {} to the cluster, locked down: {} objects",
                wanted.components.version,
                wanted.components.objects.len()
            ),
            Self::Restore(objects) => {
                let objects: Vec<_> = objects
                    .iter()
                    .map(|object| Identity::of(object).to_string())
                    .collect();
                format!(
                    "put back what is gone of Flux on the cluster: {}",
                    objects.join(", ")
                )
            }
            Self::Credentials => format!("make a key pair and keep it in the Secret {FLUX}/{FLUX}"),
            Self::DeployKey => {
                format!("register its public half as a read-only deploy key of {repository}")
            }
            Self::Sync => format!(
                "have Flux keep itself from {} of {repository}: GitRepository and Kustomization {FLUX}/{FLUX}",
                wanted.folder.of_sync()
            ),
        }
    }
}
