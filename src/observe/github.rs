//! The GitHub half of looking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use super::{Eyes, Seen, Subject};
use crate::desired::Desired;
use crate::flux::FIRST_COMMIT;
use crate::github::{Error, Key, Reader, RepositoryState, Seen as Answer, TeamState, lower_case};
use crate::keys;
use crate::names::{FullName, Login, TeamSlug, TenantName};
use crate::object::{Access, DeployKey, Fingerprint, Object, ObjectId, Permission};
use crate::observed::{Memory, Ownership, Progress, RememberedRepository, Rotation, Sighting};
use crate::surroundings::Surroundings;
use crate::tenants::diagnostic::{Place, closest};

/// Above so many workspaces, all teams of the organisation are read instead of the teams of each workspace.
const WORKSPACES_ONE_BY_ONE: usize = 10;

/// What GitHub answered, for all subjects together.
pub(super) struct GitHub {
    repositories: BTreeMap<TenantName, Answer>,
    templates: BTreeMap<FullName, Answer>,
    /// The teams of those workspaces that exist.
    accesses: Accesses,
    /// Those that a tenant names and that exist.
    teams: BTreeSet<TeamSlug>,
    /// Every team of the organisation, read only where a wanted one does not exist.
    all_teams: BTreeSet<String>,
    surroundings: Arc<Surroundings>,
    now: Timestamp,
}

pub(super) async fn look(
    eyes: Eyes<'_>,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<GitHub, Error> {
    let Eyes {
        github,
        surroundings,
        ..
    } = eyes;
    let organization = &surroundings.organization;
    let known = subjects
        .values()
        .filter(|subject| remembered(subject.memory.as_ref()).is_some());
    let one_by_one = known.count() <= WORKSPACES_ONE_BY_ONE;
    let (repositories, templates, teams) = tokio::join!(
        repositories(github, surroundings, subjects),
        templates(github, subjects),
        teams(github, organization, subjects, one_by_one),
    );
    let (repositories, teams) = (repositories?, teams?);
    let present: Vec<FullName> = repositories
        .values()
        .filter_map(present_name)
        .cloned()
        .collect();
    let accesses = match teams.all {
        Some(all) => accesses_by_team(all, &present),
        None if present.len() <= WORKSPACES_ONE_BY_ONE => {
            accesses_one_by_one(github, &present).await?
        }
        None => accesses_by_team(github.all_teams(organization).await?, &present),
    };
    Ok(GitHub {
        accesses,
        repositories,
        templates: templates?,
        teams: teams.existing,
        all_teams: teams.slugs,
        surroundings: Arc::clone(surroundings),
        now: eyes.now,
    })
}

fn present_name(answer: &Answer) -> Option<&FullName> {
    match answer {
        Answer::Present(state) => Some(&state.full_name),
        Answer::Absent | Answer::Unreadable(_) => None,
    }
}

/// Known workspaces by their id, so that a rename on GitHub does not hide them; the others by name.
async fn repositories(
    github: &Reader,
    surroundings: &Surroundings,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<BTreeMap<TenantName, Answer>, Error> {
    let mut by_id: BTreeMap<String, TenantName> = BTreeMap::new();
    let mut by_name: BTreeMap<FullName, TenantName> = BTreeMap::new();
    for (tenant, subject) in subjects {
        match (remembered(subject.memory.as_ref()), subject.any_entry()) {
            (Some(repository), _) => by_id.insert(repository.node_id.clone(), tenant.clone()),
            (None, Some(entry)) => by_name.insert(surroundings.repository(entry), tenant.clone()),
            (None, None) => None,
        };
    }
    let ids: Vec<_> = by_id.keys().cloned().collect();
    let names: Vec<_> = by_name.keys().cloned().collect();
    let (known, new) = tokio::try_join!(
        github.repositories_by_id(&ids),
        github.repositories_by_name(&names)
    )?;
    let known = known
        .into_iter()
        .filter_map(|(id, answer)| Some((by_id.get(&id)?.clone(), answer)));
    let new = new
        .into_iter()
        .filter_map(|(name, answer)| Some((by_name.get(&name)?.clone(), answer)));
    Ok(known.chain(new).collect())
}

fn remembered(memory: Option<&Memory>) -> Option<&RememberedRepository> {
    memory.and_then(|memory| memory.repository.as_ref())
}

/// Only of tenants whose workspace is still to be made from one.
async fn templates(
    github: &Reader,
    subjects: &BTreeMap<TenantName, Subject>,
) -> Result<BTreeMap<FullName, Answer>, Error> {
    let new = subjects
        .values()
        .filter(|subject| remembered(subject.memory.as_ref()).is_none());
    let wanted: BTreeSet<_> = new
        .filter_map(|subject| subject.entry()?.repository.template.clone())
        .collect();
    github
        .repositories_by_name(&wanted.into_iter().collect::<Vec<_>>())
        .await
}

struct Teams {
    existing: BTreeSet<TeamSlug>,
    slugs: BTreeSet<String>,
    /// All of them with what they reach, where that was the cheapest way to ask.
    all: Option<Vec<TeamState>>,
}

async fn teams(
    github: &Reader,
    organization: &Login,
    subjects: &BTreeMap<TenantName, Subject>,
    one_by_one: bool,
) -> Result<Teams, Error> {
    let wanted: BTreeSet<TeamSlug> = subjects
        .values()
        .flat_map(Subject::wanted_teams)
        .cloned()
        .collect();
    if !one_by_one {
        let all = github.all_teams(organization).await?;
        let slugs = all.iter().map(|team| &team.slug);
        return Ok(Teams {
            existing: slugs
                .clone()
                .filter(|slug| wanted.contains(slug))
                .cloned()
                .collect(),
            slugs: slugs.map(ToString::to_string).collect(),
            all: Some(all),
        });
    }
    let existing = github
        .teams(organization, &wanted.iter().cloned().collect::<Vec<_>>())
        .await?;
    let slugs = if wanted.is_subset(&existing) {
        BTreeSet::new()
    } else {
        github.team_slugs(organization).await?
    };
    Ok(Teams {
        existing,
        slugs,
        all: None,
    })
}

type Accesses = BTreeMap<FullName, Vec<(TeamSlug, Permission)>>;

async fn accesses_one_by_one(github: &Reader, present: &[FullName]) -> Result<Accesses, Error> {
    let answers = present.iter().map(|repository| async move {
        let teams = github.repository_teams(repository).await?;
        Ok::<_, Error>((repository.clone(), teams))
    });
    Ok(try_join_all(answers).await?.into_iter().collect())
}

fn accesses_by_team(teams: Vec<TeamState>, present: &[FullName]) -> Accesses {
    let wanted: BTreeMap<FullName, &FullName> = present
        .iter()
        .map(|name| (lower_case(name), name))
        .collect();
    let mut accesses: Accesses = present
        .iter()
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for team in teams {
        for (repository, permission) in team.repositories {
            if let Some(&name) = wanted.get(&repository) {
                accesses
                    .entry(name.clone())
                    .or_default()
                    .push((team.slug.clone(), permission));
            }
        }
    }
    accesses
}

impl GitHub {
    pub(super) fn tell(
        &self,
        name: &TenantName,
        subject: &Subject,
        desired: &Desired,
        seen: &mut Seen,
    ) {
        self.tell_missing_teams(name, subject, seen);
        self.tell_missing_template(name, subject, seen);
        let Some(entry) = subject.any_entry() else {
            return;
        };
        let wanted = self.surroundings.repository(entry);
        let id = ObjectId::Repository(wanted.clone());
        match self.repositories.get(name) {
            Some(Answer::Present(state)) if state.full_name.is(&wanted.to_string()) => {
                let ownership = ownership(subject.memory.as_ref(), state);
                let found = RememberedRepository { node_id: state.node_id.clone(), full_name: wanted.clone() };
                match ownership {
                    Ownership::Ours => seen.repository = Some(found),
                    Ownership::Offered => seen.offered = Some(found),
                    Ownership::Foreign { .. } => {}
                }
                self.tell_accesses(&wanted, state, seen);
                self.tell_keys((name, subject), &wanted, state, seen);
                if state.repository.default_branch.as_ref() == Some(&entry.repository.branch) {
                    seen.head.clone_from(&state.head);
                }
                seen.observed.facts.last_push = state.pushed_at;
                seen.observed.facts.open_pulls = state.open_pulls;
                let object = Object::Repository(state.repository.clone());
                seen.sight(id, Sighting::Present { object, ownership });
            }
            Some(Answer::Present(state)) => seen.problem(
                Place::Repository(name.clone()),
                format!("the workspace of `{name}` is called `{}` on GitHub, and `{wanted}` in the file", state.full_name),
                Some("make both the same: Tenantry does not rename repositories yet".to_owned()),
            ),
            // A repository that we know of is not gone because it cannot be seen.
            Some(Answer::Absent) if remembered(subject.memory.as_ref()).is_some() => {
                let reason = "it is remembered and cannot be seen; was it deleted, or the App's access to it?".to_owned();
                seen.sight(id, Sighting::Unreadable { reason });
            }
            Some(Answer::Absent) => seen.sight(id, Sighting::Absent),
            Some(Answer::Unreadable(reason)) => seen.sight(id, Sighting::Unreadable { reason: reason.clone() }),
            None => seen.sight(id, Sighting::Unreadable { reason: "GitHub did not answer for it".to_owned() }),
        }
        tell_the_rest_absent(desired, seen);
    }

    fn tell_missing_teams(&self, name: &TenantName, subject: &Subject, seen: &mut Seen) {
        for team in subject
            .wanted_teams()
            .filter(|team| !self.teams.contains(team))
        {
            seen.problem(
                Place::Team(name.clone(), team.clone()),
                format!(
                    "team `{team}` does not exist in `{}`",
                    self.surroundings.organization
                ),
                self.did_you_mean(team),
            );
        }
    }

    fn did_you_mean(&self, team: &TeamSlug) -> Option<String> {
        let known: Vec<&str> = self.all_teams.iter().map(String::as_str).collect();
        closest(team.as_str(), &known).map(|name| format!("did you mean `{name}`?"))
    }

    fn tell_missing_template(&self, name: &TenantName, subject: &Subject, seen: &mut Seen) {
        let Some(template) = subject
            .entry()
            .and_then(|entry| entry.repository.template.as_ref())
        else {
            return;
        };
        let wrong = match self.templates.get(template) {
            None => return,
            Some(Answer::Present(state)) if state.is_template => return,
            Some(Answer::Present(_)) => "is not marked as a template on GitHub".to_owned(),
            Some(Answer::Absent) => "does not exist, or the App cannot see it".to_owned(),
            Some(Answer::Unreadable(reason)) => format!("cannot be read: {reason}"),
        };
        seen.problem(
            Place::Template(name.clone()),
            format!("template `{template}` {wrong}"),
            None,
        );
    }

    fn tell_accesses(&self, repository: &FullName, state: &RepositoryState, seen: &mut Seen) {
        for (team, permission) in self.accesses.get(&state.full_name).into_iter().flatten() {
            let id = ObjectId::TeamAccess {
                repository: repository.clone(),
                team: team.clone(),
            };
            seen.sight(
                id,
                ours(Object::TeamAccess(Access {
                    permission: *permission,
                })),
            );
        }
        for (login, permission) in state.collaborators.iter().flatten() {
            let id = ObjectId::Collaborator {
                repository: repository.clone(),
                login: login.clone(),
            };
            seen.sight(
                id,
                ours(Object::Collaborator(Access {
                    permission: *permission,
                })),
            );
        }
    }

    fn tell_keys(
        &self,
        (tenant, subject): (&TenantName, &Subject),
        repository: &FullName,
        state: &RepositoryState,
        seen: &mut Seen,
    ) {
        let held = Held::of(seen);
        let memory = subject.memory.as_ref();
        let is_former =
            |key: &Fingerprint| memory.is_some_and(|memory| memory.former.contains(key));
        // While that is unknown, any of them may be the one in use.
        let may_go = held.was_read || subject.wish.is_none();
        let title = self.surroundings.key_title(tenant);
        let mut former = BTreeSet::new();
        for key in &state.keys {
            let Some(fingerprint) = keys::fingerprint(&key.public_key) else {
                continue;
            };
            let repository = repository.clone();
            let found = DeployKey {
                read_only: key.read_only,
            };
            if Some(&fingerprint) == held.key.as_ref() {
                let is_sure = may_go || !subject.has_former_keys();
                seen.observed.rotation = self
                    .rotation(subject, key, &fingerprint)
                    .filter(|_| is_sure);
                let title = title.clone();
                let id = ObjectId::DeployKey { repository, title };
                seen.sight(id, ours(Object::DeployKey(found)));
            } else if is_former(&fingerprint) {
                former.insert(fingerprint.clone());
                let title = key.title.clone();
                let id = ObjectId::FormerKey {
                    repository,
                    title,
                    fingerprint,
                };
                if may_go {
                    seen.sight(id, ours(Object::FormerKey(found)));
                }
            } else if !is_of_another_cluster(&key.title, &title, tenant) {
                let id = ObjectId::StrangeKey {
                    repository,
                    title: key.title.clone(),
                    fingerprint,
                };
                seen.sight(id, ours(Object::StrangeKey(found)));
            }
        }
        seen.former = may_go.then_some(former);
    }

    /// Why the key in use is to be replaced, if it is. Its age is that of its registration: GitHub tells it unasked.
    fn rotation(
        &self,
        subject: &Subject,
        key: &Key,
        fingerprint: &Fingerprint,
    ) -> Option<Rotation> {
        let entry = subject.entry()?;
        let memory = subject.memory.as_ref();
        if memory.and_then(|memory| memory.replace.as_ref()) == Some(fingerprint) {
            return Some(Rotation::Asked);
        }
        let made = key.created_at?;
        let seconds = i64::try_from(entry.deploy_key.rotate_after.seconds).ok()?;
        let lasts = SignedDuration::from_secs(seconds);
        (self.now.duration_since(made) >= lasts).then_some(Rotation::Aged { made })
    }
}

/// The key that a tenant's Secret holds, as far as that is known.
struct Held {
    key: Option<Fingerprint>,
    /// If not, it is what is remembered.
    was_read: bool,
}

impl Held {
    fn of(seen: &Seen) -> Self {
        let mut sightings = seen.observed.sightings.iter();
        let secret = sightings.find(|(id, _)| matches!(id, ObjectId::Credentials { .. }));
        let memory = seen.observed.memory.as_ref();
        match secret {
            Some((_, Sighting::Absent | Sighting::Present { .. })) => Self {
                key: seen.public_key.as_deref().and_then(keys::fingerprint),
                was_read: true,
            },
            Some((_, Sighting::AsWanted | Sighting::Unreadable { .. })) | None => Self {
                key: memory.and_then(|memory| memory.key.clone()),
                was_read: false,
            },
        }
    }
}

/// Wanted on the workspace and not seen there.
fn tell_the_rest_absent(desired: &Desired, seen: &mut Seen) {
    for id in desired.objects.keys() {
        match id {
            ObjectId::TeamAccess { .. } | ObjectId::DeployKey { .. } => {
                seen.observed
                    .sightings
                    .entry(id.clone())
                    .or_insert(Sighting::Absent);
            }
            ObjectId::Manifest(_)
            | ObjectId::Repository(_)
            | ObjectId::Collaborator { .. }
            | ObjectId::Credentials { .. }
            | ObjectId::StrangeKey { .. }
            | ObjectId::FormerKey { .. } => {}
        }
    }
}

fn ours(object: Object) -> Sighting {
    Sighting::Present {
        object,
        ownership: Ownership::Ours,
    }
}

/// Each cluster's Tenantry registers a key of its own: `tenantry/<cluster>/<tenant>`.
fn is_of_another_cluster(found: &str, title: &str, tenant: &TenantName) -> bool {
    found != title && found.starts_with("tenantry/") && found.ends_with(&format!("/{tenant}"))
}

/// A workspace is ours if its id is remembered, or, the id still missing, if it came after the `Tenant` object and holds
/// nothing, or nothing but our first commit.
fn ownership(memory: Option<&Memory>, state: &RepositoryState) -> Ownership {
    let Some(memory) = memory else {
        return Ownership::Offered;
    };
    if let Some(repository) = &memory.repository {
        let same = repository.node_id == state.node_id;
        return if same {
            Ownership::Ours
        } else {
            Ownership::Offered
        };
    }
    // GitHub's clock and the cluster's may differ by a little.
    let slack = jiff::SignedDuration::from_secs(60);
    let came_after = state.created_at
        >= memory
            .created_at
            .checked_sub(slack)
            .unwrap_or(memory.created_at);
    let untouched = state.empty
        || state
            .only_commit
            .as_ref()
            .is_some_and(|commit| commit.message == FIRST_COMMIT);
    let unfinished = memory.progress != Progress::Finished;
    if came_after && untouched && unfinished {
        Ownership::Ours
    } else {
        Ownership::Offered
    }
}
