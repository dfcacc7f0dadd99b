//! A control repo, looked up: its default branch, and the installations that act for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{APPLY_CHECK, Bot};
use crate::github::{AccountKind, Reader, Reporter, Tip, Writer};
use crate::keys;
use crate::names::{FullName, Login};
use crate::observe::Eyes;
use crate::surroundings::Surroundings;
use crate::tenants::{Context, Parsed};

/// What is known of a control repo; forgotten when something goes wrong.
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub repository: FullName,
    pub default_branch: String,
    pub installation: u64,
}

/// The organisation that a file names, and with what it is read and written.
pub(super) struct Target {
    pub reader: Reader,
    pub writer: Writer,
    pub surroundings: Arc<Surroundings>,
}

impl Target {
    /// For work that nobody waits for.
    pub(super) fn in_background(self) -> Self {
        Self {
            reader: self.reader.in_background(),
            ..self
        }
    }
}

/// GitHub's host keys as lines of `known_hosts`. They change once in years, and are asked for again after a while.
#[derive(Default)]
pub(super) struct KnownHosts {
    told: Mutex<Option<(Instant, String)>>,
    has_been_compared: AtomicBool,
}

impl KnownHosts {
    const FRESH: Duration = Duration::from_hours(1);

    pub(super) async fn of(&self, target: &Target) -> anyhow::Result<String> {
        if let Some((_, lines)) = self
            .told()
            .as_ref()
            .filter(|(at, _)| at.elapsed() < Self::FRESH)
        {
            return Ok(lines.clone());
        }
        let answer = target.reader.host_keys().await;
        let answer = answer.context("ask GitHub for its SSH host keys")?;
        let host = &target.surroundings.git_host;
        let lines = keys::known_hosts(host, &answer);
        *self.told() = Some((Instant::now(), lines.clone()));
        Ok(lines)
    }

    fn told(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.told
            .lock()
            .expect("no code panics while it holds the host keys")
    }
}

/// The file of a control repo as the default branch had it last: most pull requests start there, and a commit's file never
/// changes.
#[derive(Default)]
pub(super) struct LastFiles(Mutex<BTreeMap<FullName, LastFile>>);

struct LastFile {
    commit: String,
    text: Arc<str>,
}

impl LastFiles {
    fn at(&self, repository: &FullName, commit: &str) -> Option<Arc<str>> {
        let files = self.all();
        let last = files.get(repository).filter(|file| file.commit == commit)?;
        Some(Arc::clone(&last.text))
    }

    fn keep(&self, repository: &FullName, commit: &str, text: &Arc<str>) {
        let last = LastFile {
            commit: commit.to_owned(),
            text: Arc::clone(text),
        };
        self.all().insert(repository.clone(), last);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<FullName, LastFile>> {
        self.0
            .lock()
            .expect("no code panics while it holds the files")
    }
}

impl Bot {
    /// The tenants file at a commit, if that has one.
    pub(super) async fn file(
        &self,
        control: &Control,
        commit: &str,
    ) -> anyhow::Result<Option<Arc<str>>> {
        let repository = &control.repository;
        let last = self.shared.last_files.at(repository, commit);
        if last.is_some() {
            return Ok(last);
        }
        let path = &self.shared.setup.tenants_file;
        let text = self.reader(control).file(repository, path, commit).await?;
        Ok(text.map(Arc::from))
    }

    /// The tip of the default branch, and the tenants file there.
    pub(super) async fn tip(&self, control: &Control) -> anyhow::Result<Tip> {
        let repository = &control.repository;
        let at = (
            control.default_branch.as_str(),
            self.shared.setup.tenants_file.as_str(),
        );
        let checks = self.checks(APPLY_CHECK);
        let tip = self.reader(control).tip(repository, at, checks).await?;
        let tip =
            tip.with_context(|| format!("the control repo `{repository}` has no commit yet"))?;
        if let Some(text) = &tip.file {
            self.shared.last_files.keep(repository, &tip.commit, text);
        }
        Ok(tip)
    }

    pub(super) async fn control(&self, repository: &FullName) -> anyhow::Result<Control> {
        if let Some(control) = self.controls().get(repository) {
            return Ok(control.clone());
        }
        let installation = self.installation(&repository.owner).await?;
        let reader = self.shared.github.reader(installation);
        let found = reader.repository_info(repository).await?;
        let Some(found) = found else {
            bail!(
                "the control repo `{repository}` does not exist, or the App's installation does not include it"
            );
        };
        if found.owner_kind == AccountKind::User {
            bail!(
                "the control repo `{repository}` belongs to a user: an App cannot create a user's repositories, so move it to an organisation"
            );
        }
        if !repository.is(&found.full_name) {
            bail!(
                "the control repo `{repository}` is called `{}` now: correct `TENANTRY_CONTROL_REPOS`",
                found.full_name
            );
        }
        let control = Control {
            repository: repository.clone(),
            default_branch: found.default_branch,
            installation,
        };
        self.controls().insert(repository.clone(), control.clone());
        Ok(control)
    }

    pub(super) fn forget(&self, repository: &FullName) {
        self.controls().remove(repository);
    }

    fn controls(&self) -> MutexGuard<'_, BTreeMap<FullName, Control>> {
        self.shared
            .controls
            .lock()
            .expect("no code panics while it holds the control repos")
    }

    async fn installation(&self, owner: &Login) -> anyhow::Result<u64> {
        let found = self
            .shared
            .github
            .installation(owner)
            .await
            .context("look for the App's installation")?;
        match found {
            None => bail!(
                "the App is not installed on `{owner}`: install it there, on all repositories"
            ),
            Some(found) if found.suspended => {
                bail!("the App's installation on `{owner}` is suspended")
            }
            Some(found) if found.account.kind == AccountKind::User => {
                bail!(
                    "`{owner}` is a user: an App cannot create a user's repositories, so use an organisation"
                )
            }
            Some(found) => Ok(found.id),
        }
    }

    pub(super) fn reader(&self, control: &Control) -> Reader {
        self.shared.github.reader(control.installation)
    }

    pub(super) fn reporter(&self, control: &Control) -> Reporter {
        self.shared
            .github
            .reporter(control.installation, &control.repository)
    }

    pub(super) fn parse(&self, control: &Control, text: &str) -> Parsed {
        let context = Context {
            control_repository: control.repository.clone(),
            organizations: self.shared.setup.organizations.clone(),
        };
        crate::tenants::parse(text, &context)
    }

    /// Where the tenants of this file live.
    pub(super) async fn target(
        &self,
        control: &Control,
        organization: &Login,
    ) -> anyhow::Result<Target> {
        let installation = if *organization == control.repository.owner {
            control.installation
        } else {
            self.installation(organization).await?
        };
        Ok(Target {
            reader: self.shared.github.reader(installation),
            writer: self.shared.github.writer(installation),
            surroundings: self.surroundings(control, organization),
        })
    }

    /// Knowing GitHub's host keys as they are now, if GitHub tells them. A start is not made dearer by it: the first
    /// comparison goes without.
    pub(super) async fn with_host_keys(&self, target: Target) -> Target {
        let compared = &self.shared.known_hosts.has_been_compared;
        if !compared.swap(true, Ordering::Relaxed) {
            return target;
        }
        let known_hosts = match self.shared.known_hosts.of(&target).await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!("GitHub's host keys are not compared this time: {error:#}");
                return target;
            }
        };
        let surroundings = Surroundings {
            // No answer is no reason to forget what was there.
            host_keys: Some(known_hosts)
                .filter(|lines| !lines.is_empty())
                .map(|lines| keys::fingerprint_of_hosts(&lines)),
            ..Surroundings::clone(&target.surroundings)
        };
        Target {
            surroundings: Arc::new(surroundings),
            ..target
        }
    }

    pub(super) fn surroundings(
        &self,
        control: &Control,
        organization: &Login,
    ) -> Arc<Surroundings> {
        Arc::new(Surroundings {
            organization: organization.clone(),
            control_repository: control.repository.clone(),
            cluster: self.shared.setup.cluster.clone(),
            git_host: self.shared.setup.git_host.clone(),
            host_keys: None,
        })
    }

    pub(super) fn eyes<'a>(&'a self, target: &'a Target) -> Eyes<'a> {
        Eyes {
            github: &target.reader,
            cluster: self.shared.cluster.reader(),
            surroundings: &target.surroundings,
            now: super::now(),
        }
    }
}
