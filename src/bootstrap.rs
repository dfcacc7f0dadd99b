//! Bootstraps Flux: looks at GitHub and the cluster, does the steps that [`decide`] found, and waits for Flux.
//!
//! ```text
//! Wanted ─┬─ look ─► Found ── decide ─► Plan ─► (a person agrees) ── perform, step by step ── wait ─► Standing
//! ```

mod download;

use std::collections::BTreeMap;
use std::slice;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use download::download;

use crate::flux::REQUESTED_AT;
use crate::flux::bootstrap::{
    Cluster, FIELD_MANAGER, Found, Key, Rules, Secret, Step, Wanted, Workspace, commit,
    is_flux_alone, not_in_plan,
};
use crate::flux::components::{self, DEFINITION, FLUX, Identity};
use crate::flux::lockdown::{NAMESPACE, SELECTOR, Standing};
use crate::github::{
    self, BranchRules, Landed, NewCommit, NewFile, NewRepository, Reader, Seen, Writer,
};
use crate::keys::{self, KeyPair};
use crate::kubernetes::Force;
use crate::kubernetes::manifests::Apis;
use crate::object::Visibility;
use crate::tenants::{KeyAlgorithm, Lockdown};
use crate::{kubernetes, observe};

/// How long the server may take to serve new kinds.
const ESTABLISHED: Duration = Duration::from_mins(1);
/// Between looks at what is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Between questions to GitHub for the tip that Flux should be at, while it is at another one.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How often a commit is made again because somebody else was faster.
const COMMITS: u32 = 3;

const SOURCE: &str =
    "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/flux-system";
const SYNC: &str =
    "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/flux-system";
const SECRET: &str = "/api/v1/namespaces/flux-system/secrets/flux-system";
const INSTANCES: &str = "/apis/fluxcd.controlplane.io/v1/fluxinstances";

/// With what one looks and writes.
pub struct Hands {
    pub reader: Reader,
    pub writer: Writer,
    pub cluster: kubernetes::Writer,
}

/// Looks at everything that a bootstrap is about.
pub async fn look(hands: &Hands, wanted: &Wanted) -> anyhow::Result<Found> {
    let (workspace, cluster) = tokio::try_join!(
        workspace(&hands.reader, wanted),
        cluster(hands.cluster.reader(), wanted)
    )?;
    Ok(Found { workspace, cluster })
}

async fn workspace(github: &Reader, wanted: &Wanted) -> anyhow::Result<Option<Workspace>> {
    let repository = &wanted.repository;
    let seen = github.repositories_by_name(slice::from_ref(repository));
    let state = match seen.await?.remove(repository) {
        Some(Seen::Present(state)) => state,
        Some(Seen::Absent) => return Ok(None),
        Some(Seen::Unreadable(reason)) => bail!("`{repository}` cannot be read: {reason}"),
        None => bail!("GitHub says nothing about `{repository}`"),
    };
    let tip = github
        .branch_tip(repository, wanted.branch.as_str())
        .await?;
    let files = match &tip {
        Some(commit) => files(github, wanted, commit).await?,
        None => BTreeMap::new(),
    };
    let rules = github.rules(repository, &wanted.branch).await?;
    let key = |key: github::Key| Key {
        title: key.title,
        public: key.public_key,
        read_only: key.read_only,
    };
    Ok(Some(Workspace {
        visibility: state.repository.visibility,
        archived: state.repository.archived,
        is_empty: state.empty,
        tip,
        files,
        keys: state.keys.into_iter().map(key).collect(),
        rules: match rules {
            BranchRules::Active(rules) if rules.iter().any(|rule| rule == "pull_request") => {
                Rules::PullRequests
            }
            BranchRules::Active(_) => Rules::None,
            BranchRules::NotAvailable => Rules::NotInPlan,
        },
    }))
}

/// Flux's own files at a commit, as far as they are there.
async fn files(
    github: &Reader,
    wanted: &Wanted,
    commit: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in wanted.paths() {
        if let Some(text) = github.file(&wanted.repository, &path, commit).await? {
            files.insert(path, text);
        }
    }
    Ok(files)
}

async fn cluster(cluster: &kubernetes::Reader, wanted: &Wanted) -> anyhow::Result<Cluster> {
    let (deployments, present, instances, source, sync, secret) = tokio::try_join!(
        cluster.deployments(NAMESPACE, SELECTOR),
        present(cluster, &wanted.components.objects),
        cluster.find(INSTANCES),
        cluster.find(SOURCE),
        cluster.find(SYNC),
        cluster.public_key(SECRET),
    )?;
    let instances = instances.as_ref().and_then(|list| list["items"].as_array());
    Ok(Cluster {
        deployments,
        present,
        has_instance: instances.is_some_and(|items| !items.is_empty()),
        source,
        sync,
        secret: match secret {
            None => Secret::Absent,
            Some(public) if keys::fingerprint(&public).is_some() => Secret::Key(public),
            Some(_) => Secret::Other,
        },
    })
}

/// Those of the objects that are there.
async fn present(
    cluster: &kubernetes::Reader,
    objects: &[Value],
) -> Result<Vec<Value>, kubernetes::Error> {
    let (mut apis, mut present) = (Apis::default(), Vec::new());
    for object in objects {
        present.extend(cluster.find_object(object, &mut apis).await?);
    }
    Ok(present)
}

/// A bootstrap under way.
pub struct Work<'a> {
    hands: &'a Hands,
    wanted: &'a Wanted,
    /// The public half of the key pair in the Secret.
    public_key: Option<String>,
    /// The commit that was made; GitHub may tell of the one before for a moment yet.
    committed: Option<String>,
}

impl<'a> Work<'a> {
    pub fn new(hands: &'a Hands, wanted: &'a Wanted, found: &Found) -> Self {
        let public_key = match &found.cluster.secret {
            Secret::Key(public) => Some(public.clone()),
            Secret::Absent | Secret::Other => None,
        };
        Self {
            hands,
            wanted,
            public_key,
            committed: None,
        }
    }

    /// Does one step; a note, where it could not be done and the rest goes on all the same.
    pub async fn perform(&mut self, step: &Step) -> anyhow::Result<Option<String>> {
        match step {
            Step::CreateRepository => self.create_repository().await?,
            Step::FirstCommit => self.first_commit().await?,
            Step::Commit(_) => self.commit().await?,
            Step::Protect => return self.protect().await,
            Step::Apply => self.apply(&self.wanted.components.objects).await?,
            Step::Restore(objects) => self.apply(objects).await?,
            Step::Credentials => self.credentials().await?,
            Step::DeployKey => self.deploy_key().await?,
            Step::Sync => self.sync().await?,
        }
        Ok(None)
    }

    async fn create_repository(&self) -> anyhow::Result<()> {
        let new = NewRepository {
            full_name: self.wanted.repository.clone(),
            visibility: Visibility::Private,
            description: "What Flux applies as the cluster's administrator".to_owned(),
        };
        self.hands.writer.create_repository(&new).await?;
        Ok(())
    }

    async fn first_commit(&self) -> anyhow::Result<()> {
        let readme = self.wanted.readme();
        let file = NewFile {
            branch: self.wanted.branch.as_str(),
            path: "README.md",
            message: "Say what this repository is",
            content: readme.as_bytes(),
        };
        let writer = &self.hands.writer;
        writer
            .put_file(&self.wanted.repository, &file, None)
            .await?;
        Ok(())
    }

    /// Looks again first: somebody may have pushed meanwhile, and what they pushed stays.
    async fn commit(&mut self) -> anyhow::Result<()> {
        let Wanted {
            repository, branch, ..
        } = self.wanted;
        for _ in 0..COMMITS {
            let tip = self.tip().await?;
            let files = files(&self.hands.reader, self.wanted, &tip).await?;
            let Some(commit) = commit(self.wanted, &files)? else {
                return Ok(());
            };
            let new = NewCommit {
                branch,
                parent: &tip,
                message: &commit.message,
                files: &commit.files,
            };
            let landed = self.hands.writer.commit_files(repository, new).await;
            match landed {
                Ok(Landed::AtTheTip(commit)) => {
                    self.committed = Some(commit);
                    return Ok(());
                }
                Ok(Landed::TooLate) => {}
                Err(error @ github::Error::Invalid { .. }) => {
                    return Err(error).context(format!(
                        "where the rules of `{branch}` forbid it, an owner of the organisation can do it"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        bail!("somebody keeps pushing to `{branch}` of `{repository}`: run this again")
    }

    async fn protect(&self) -> anyhow::Result<Option<String>> {
        let Wanted {
            repository,
            branch,
            app,
            ..
        } = self.wanted;
        let protected = self.hands.writer.protect(repository, branch, *app).await;
        let protected = protected.with_context(|| {
            format!("protect `{branch}`, which takes an administrator of `{repository}`")
        })?;
        Ok(match protected {
            BranchRules::Active(_) => None,
            BranchRules::NotAvailable => Some(not_in_plan(self.wanted)),
        })
    }

    /// First what makes other objects possible, then those.
    async fn apply(&self, objects: &[Value]) -> anyhow::Result<()> {
        let comes_first =
            |object: &&Value| object["kind"] == DEFINITION || object["kind"] == "Namespace";
        let (first, others): (Vec<_>, Vec<_>) = objects.iter().partition(comes_first);
        let mut apis = Apis::default();
        for object in &first {
            self.apply_one(object, &mut apis).await?;
        }
        for object in first.iter().filter(|object| object["kind"] == DEFINITION) {
            self.established(object).await?;
        }
        for object in others {
            self.apply_one(object, &mut apis).await?;
        }
        Ok(())
    }

    async fn apply_one(&self, object: &Value, apis: &mut Apis) -> anyhow::Result<()> {
        let cluster = &self.hands.cluster;
        let live = cluster.reader().find_object(object, apis).await?;
        // What others have set stays, and is told: it may be what keeps this cluster alive.
        let force = if live.as_ref().is_none_or(is_flux_alone) {
            Force::Yes
        } else {
            Force::No
        };
        let applied = cluster.apply_any(FIELD_MANAGER, object, force, apis).await;
        applied.with_context(|| {
            let others = match force {
                Force::Yes => "",
                Force::No => ", of which others than Flux have set fields: those stay as they are",
            };
            format!("apply {}{others}", Identity::of(object))
        })
    }

    /// Waits until the server serves a new kind.
    async fn established(&self, definition: &Value) -> anyhow::Result<()> {
        let cluster = self.hands.cluster.reader();
        let name = Identity::of(definition);
        let mut served = components::served_versions(definition);
        let since = Instant::now();
        loop {
            let live = cluster
                .find_object(definition, &mut Apis::default())
                .await?;
            let established = live.is_some_and(|live| is_true(&live, "Established"));
            // The one may be told a moment before the other.
            while established && let Some(version) = served.last() {
                if cluster.find(&format!("/apis/{version}")).await?.is_none() {
                    break;
                }
                served.pop();
            }
            if established && served.is_empty() {
                return Ok(());
            }
            if since.elapsed() > ESTABLISHED {
                bail!("the cluster does not serve `{name}` after {ESTABLISHED:?}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The private half lives from here to the end of this function.
    async fn credentials(&mut self) -> anyhow::Result<()> {
        let host_keys = self.hands.reader.host_keys().await?;
        let known_hosts = keys::known_hosts(&self.wanted.git_host, &host_keys);
        let pair = KeyPair::generate(KeyAlgorithm::Ed25519)?;
        let metadata = json!({ "name": FLUX, "namespace": NAMESPACE });
        let body = keys::secret(&metadata, &pair, &known_hosts);
        self.hands
            .cluster
            .apply_secret(FIELD_MANAGER, SECRET, body)
            .await?;
        self.public_key = Some(pair.public);
        Ok(())
    }

    async fn deploy_key(&self) -> anyhow::Result<()> {
        let public_key = self.public_key.clone();
        let key = github::Key {
            title: self.wanted.key_title(),
            read_only: true,
            public_key: public_key.context("the Secret holds no key pair")?,
            created_at: None,
        };
        let writer = &self.hands.writer;
        let added = writer.add_deploy_key(&self.wanted.repository, &key).await;
        added.context(
            "register the deploy key; where the organisation forbids deploy keys, an owner allows them in its settings (Repository, Deploy keys)",
        )?;
        Ok(())
    }

    async fn sync(&self) -> anyhow::Result<()> {
        let mut apis = Apis::default();
        for object in components::sync(&self.wanted.source()) {
            self.apply_one(&object, &mut apis).await?;
        }
        Ok(())
    }

    /// Asks Flux to fetch at once what it would fetch within its interval.
    pub async fn ask_flux(&self, now: Timestamp) -> anyhow::Result<()> {
        let request = (REQUESTED_AT, &*now.to_string());
        let cluster = &self.hands.cluster;
        cluster.annotate_at(FIELD_MANAGER, SOURCE, request).await?;
        Ok(())
    }

    async fn tip(&self) -> anyhow::Result<String> {
        let (repository, branch) = (&self.wanted.repository, &self.wanted.branch);
        let tip = self.hands.reader.branch_tip(repository, branch.as_str());
        let tip = tip.await?;
        tip.with_context(|| format!("the branch `{branch}` of `{repository}` is gone"))
    }

    /// A commit of the branch, as Flux calls it.
    fn revision(&self, commit: &str) -> String {
        format!("{}@sha1:{commit}", self.wanted.branch)
    }

    /// Waits until Flux has applied the branch's tip, and tells what it says meanwhile.
    pub async fn wait(
        &self,
        patience: Duration,
        mut tell: impl FnMut(&str),
    ) -> anyhow::Result<String> {
        let (since, mut said) = (Instant::now(), String::new());
        let mut asked = since;
        let mut revision = match &self.committed {
            Some(commit) => self.revision(commit),
            None => self.revision(&self.tip().await?),
        };
        loop {
            let waits = match self.synced().await {
                Ok([source, sync]) => {
                    let is_there = source["status"]["artifact"]["revision"] == *revision;
                    if !is_there && asked.elapsed() > ASK_AGAIN {
                        // Somebody may have pushed meanwhile, and Flux passes over what has been overtaken.
                        revision = self.revision(&self.tip().await?);
                        asked = Instant::now();
                    }
                    waits(&source, &sync, &revision)
                }
                Err(error) if error.is_retryable() => Some(error.to_string()),
                Err(error) => return Err(error.into()),
            };
            let Some(waits) = waits else {
                return Ok(revision);
            };
            if waits != said {
                tell(&waits);
                said = waits;
            }
            if since.elapsed() > patience {
                bail!("Flux has not applied `{revision}` after {patience:?}: {said}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The GitRepository and the Kustomization; null where there is none.
    async fn synced(&self) -> Result<[Value; 2], kubernetes::Error> {
        let cluster = self.hands.cluster.reader();
        let (source, sync) = tokio::try_join!(cluster.find(SOURCE), cluster.find(SYNC))?;
        Ok([source, sync].map(Option::unwrap_or_default))
    }
}

/// What Flux still has to do, in its own words where it has some; nothing if it is Ready at this revision.
fn waits(source: &Value, sync: &Value, revision: &str) -> Option<String> {
    let fetched = source.pointer("/status/artifact/revision") == Some(&json!(revision));
    let applied = sync.pointer("/status/lastAppliedRevision") == Some(&json!(revision));
    let steps = [
        (source, "GitRepository", fetched),
        (sync, "Kustomization", applied),
    ];
    steps.into_iter().find_map(|(object, kind, has_come)| {
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if has_come && current && is_true(object, "Ready") {
            return None;
        }
        let message = condition(object, "Ready").and_then(|ready| ready["message"].as_str());
        Some(format!(
            "{kind} {FLUX}/{FLUX}: {}",
            message.unwrap_or("Flux has not looked at it yet")
        ))
    })
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == name)
}

fn is_true(object: &Value, name: &str) -> bool {
    condition(object, name).is_some_and(|condition| condition["status"] == "True")
}

/// How the Flux that runs is locked down.
pub async fn verify(cluster: &kubernetes::Reader) -> anyhow::Result<Standing> {
    Ok(observe::lockdown(cluster, Lockdown::Require).await?)
}
