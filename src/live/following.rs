//! Following tenants until they are live, as a state machine: what was seen goes in, what is to be done comes out.
//!
//! ```text
//! watches, pushes, merges ──► Following ──► Task: write conditions, review, look, sync, tell a merge's people
//! ```
//! The time is given, nothing is asked and nothing waits here. A merge is followed under the commit that last changed
//! its tenants' entries, which their `Tenant` objects remember: so following goes on after a restart, and the newest
//! merge that touches a tenant takes it over.

mod entry;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::live::room::Room;
use crate::live::synced::{Condition, Remembered, Synced, tenant_of};
use crate::live::{Course, Nature, Review, Standing, Traces, Turn};
use crate::names::{BranchName, FullName, TenantName};
use crate::object::Kind;

use entry::{Entry, Left};
use merge::{Merge, News};

/// The kinds that are watched.
pub const WATCHED: [Kind; 3] = [Kind::Tenant, Kind::GitRepository, Kind::Kustomization];

/// What is only under way is written into a `Tenant` after this long: most syncs are over before.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// After this long, a status that could not be written is written again.
const WRITE_AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// After this long, a head that could not be read is asked for again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// After this long, an account that could not be reviewed, or was found outside its room, is reviewed again.
const REVIEW_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// An account within its room is reviewed again after this long at most, and half of it at least: somebody may have let
/// it out. Of many tenants each has its own time.
const REVIEW_ANYWAY: SignedDuration = SignedDuration::from_hours(6);

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a merge's check concludes though not every tenant is live.
    pub deadline: SignedDuration,
    /// Between the first tellings of a merge; doubled each time.
    pub telling: SignedDuration,
}

/// A merge, by the commit that it left on the default branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergeId {
    pub repository: FullName,
    pub commit: String,
}

/// What is to be done; [`Following::finished`] is told of the outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Write these conditions into the tenant's status.
    Write {
        tenant: TenantName,
        conditions: Box<[Condition; 4]>,
    },
    /// Look at what the tenant's account may do.
    Review(Room),
    /// Ask Flux to fetch the workspace now.
    Sync {
        tenant: TenantName,
    },
    /// Ask GitHub where the workspace's branch stands.
    Look(Workspace),
    /// Compare what is wanted of the tenant with what is there: the replacement of its deploy key goes on.
    Compare {
        tenant: TenantName,
        control_repository: FullName,
    },
    Tell(Telling),
}

/// The branch of a tenant's workspace that Flux fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    pub tenant: TenantName,
    pub control_repository: FullName,
    pub repository: FullName,
    pub branch: BranchName,
}

/// What is to be told of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    pub merge: MergeId,
    /// Its pull requests; none where they are to be looked up, after a restart.
    pub pulls: Option<Vec<u64>>,
    pub course: Course,
    /// The course has come to an end that the check does not show yet.
    pub concludes: bool,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Finished {
    Written {
        tenant: TenantName,
        conditions: Box<[Condition; 4]>,
        done: bool,
    },
    Reviewed {
        tenant: TenantName,
        review: Review,
    },
    /// Flux was asked to sync, or a comparison for.
    Asked,
    /// The head as it was at some time; none where that could not be read.
    Looked {
        tenant: TenantName,
        asked: Timestamp,
        head: Option<String>,
    },
    Told {
        telling: Telling,
        done: bool,
    },
}

/// A merge that has been applied.
#[derive(Debug, Clone)]
pub struct Applied {
    pub id: MergeId,
    pub pulls: Vec<u64>,
    pub began: Timestamp,
    /// The tenants that it wrote, and what it knows of each.
    pub tenants: BTreeMap<TenantName, Traces>,
    /// Whether all of it was done: then its check concludes when they are live.
    pub concludes: bool,
}

/// The state of all that is followed.
#[derive(Debug)]
pub struct Following {
    patience: Patience,
    /// Whose tenants are followed.
    control_repos: BTreeSet<FullName>,
    /// Boxed: the nodes of a map are half empty.
    entries: BTreeMap<TenantName, Box<Entry>>,
    /// Lower-case `owner/name` of each workspace.
    workspaces: BTreeMap<String, TenantName>,
    merges: BTreeMap<MergeId, Merge>,
    /// The kinds of which everything was seen at least once.
    listed: BTreeSet<Kind>,
    /// The tenants that a list under way has held so far, by kind.
    listing: BTreeMap<Kind, BTreeSet<TenantName>>,
    tasks: BTreeSet<Due>,
    timers: BTreeSet<(Timestamp, Due)>,
    /// Tasks that were handed out and not finished.
    under_way: usize,
}

/// Something to look at, now or at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    // First: what it shows is written and told with the rest.
    Review(TenantName),
    Write(TenantName),
    Look(TenantName),
    Sync(TenantName),
    Compare(TenantName),
    /// The tenant may have been on its way for too long.
    Late(TenantName),
    Tell(MergeId),
}

impl Following {
    pub fn new(patience: Patience, control_repos: impl IntoIterator<Item = FullName>) -> Self {
        Self {
            patience,
            control_repos: control_repos.into_iter().collect(),
            entries: BTreeMap::new(),
            workspaces: BTreeMap::new(),
            merges: BTreeMap::new(),
            listed: BTreeSet::new(),
            listing: BTreeMap::new(),
            tasks: BTreeSet::new(),
            timers: BTreeSet::new(),
            under_way: 0,
        }
    }

    /// A list of all that there is of a kind begins.
    pub fn list_begins(&mut self, kind: Kind) {
        self.listing.insert(kind, BTreeSet::new());
    }

    /// An object of a watched kind, as it is now.
    pub fn see(&mut self, kind: Kind, object: &Value, now: Timestamp) {
        let Some(tenant) = tenant_of(kind, object) else {
            return;
        };
        if let Some(held) = self.listing.get_mut(&kind) {
            held.insert(tenant.clone());
        }
        // What a list holds may be long as it is.
        let since = (!self.listing.contains_key(&kind)).then_some(now);
        self.put(kind, &tenant, Some(object), since);
        self.judge(&tenant, now);
    }

    /// An object that is gone, as it was last.
    pub fn lose(&mut self, kind: Kind, object: &Value, now: Timestamp) {
        if let Some(tenant) = tenant_of(kind, object) {
            self.put(kind, &tenant, None, None);
            self.judge(&tenant, now);
        }
    }

    fn put(
        &mut self,
        kind: Kind,
        tenant: &TenantName,
        object: Option<&Value>,
        since: Option<Timestamp>,
    ) {
        let entry = self.entries.entry(tenant.clone()).or_default();
        match kind {
            Kind::GitRepository => entry.source = object.map(Synced::of),
            Kind::Kustomization => entry.sync = object.map(Synced::of),
            _ => {
                if let Some(known) = &entry.tenant {
                    self.workspaces.remove(&key(&known.repository.to_string()));
                }
                let ours =
                    |seen: &Remembered| self.control_repos.contains(&seen.control_repository);
                entry.remember(object.and_then(Remembered::of).filter(ours), since);
                if let Some(known) = &entry.tenant {
                    let workspace = key(&known.repository.to_string());
                    self.workspaces.insert(workspace, tenant.clone());
                }
            }
        }
        if entry.is_empty() {
            self.entries.remove(tenant);
            let mut of_it = self.merges.values_mut();
            while let Some(merge) = of_it.find(|merge| merge.tenants().contains(tenant)) {
                merge.place(tenant, None);
            }
        }
    }

    /// The list is complete: what it did not hold is gone.
    pub fn list_ends(&mut self, kind: Kind, now: Timestamp) {
        let held = self.listing.remove(&kind).unwrap_or_default();
        let lost: Vec<_> = self
            .entries
            .iter()
            .filter(|(name, entry)| entry.has(kind) && !held.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        for tenant in lost {
            self.put(kind, &tenant, None, None);
            self.judge(&tenant, now);
        }
        if self.listed.insert(kind) {
            if kind == Kind::Tenant {
                self.resume(now);
            }
            let all: Vec<_> = self.entries.keys().cloned().collect();
            for tenant in &all {
                self.judge(tenant, now);
            }
        }
    }

    /// Takes the merges up again whose tenants were on their way when the last process ended.
    fn resume(&mut self, now: Timestamp) {
        let deadline = self.patience.deadline;
        let mut left: BTreeMap<MergeId, Left> = BTreeMap::new();
        for entry in self.entries.values() {
            if let (Some(id), Some(what)) = (entry.merge(), entry.left_over(deadline, now)) {
                let worst = left.entry(id).or_insert(what);
                *worst = what.max(*worst);
            }
        }
        for (id, what) in left {
            if self.merges.contains_key(&id) {
                continue;
            }
            let tenants: BTreeSet<_> = self.tenants_of(&id).map(|(name, _)| name.clone()).collect();
            let created = self
                .tenants_of(&id)
                .filter_map(|(_, entry)| entry.created_at());
            let began = created.max().unwrap_or(now);
            let merge = Merge::resumed(tenants, began, self.patience, what == Left::Told, now);
            self.timers.insert((merge.deadline, Due::Tell(id.clone())));
            self.merges.insert(id.clone(), merge);
            self.place(&id);
        }
    }

    /// Tells a merge where its tenants stand.
    fn place(&mut self, id: &MergeId) {
        let Some(merge) = self.merges.get_mut(id) else {
            return;
        };
        for tenant in merge.tenants().clone() {
            let standing = self
                .entries
                .get(&tenant)
                .and_then(|entry| entry.standing.as_ref());
            merge.place(&tenant, standing);
        }
    }

    /// The tenants whose entries this commit was the last to change.
    fn tenants_of(&self, id: &MergeId) -> impl Iterator<Item = (&TenantName, &Entry)> {
        let entries = self.entries.iter().map(|(name, entry)| (name, &**entry));
        entries.filter(|(_, entry)| entry.merge().as_ref() == Some(id))
    }

    /// Somebody has pushed to a workspace: Flux is asked to fetch it. Says whether it is one.
    pub fn pushed(&mut self, push: &Push<'_>, now: Timestamp) -> bool {
        let Some(tenant) = self.workspaces.get(&key(push.repository)).cloned() else {
            return false;
        };
        let entry = self.entries.entry(tenant.clone()).or_default();
        if entry.branch() != Some(push.branch) {
            return false;
        }
        if entry.push(push, now) {
            self.tasks.insert(Due::Sync(tenant.clone()));
            self.judge(&tenant, now);
        }
        true
    }

    /// The head of a tenant's workspace, as GitHub was asked for it at some time.
    pub fn head(&mut self, tenant: &TenantName, commit: &str, asked: Timestamp, now: Timestamp) {
        let entry = self.entries.entry(tenant.clone()).or_default();
        if entry.learn_head(commit, asked) {
            self.judge(tenant, now);
        }
    }

    /// Follows what a merge has written. Its first telling is the caller's, who says so by [`Following::finished`].
    pub fn follow(&mut self, applied: Applied, now: Timestamp) -> Telling {
        let Applied {
            id,
            pulls,
            began,
            tenants,
            concludes,
        } = applied;
        for (tenant, traces) in &tenants {
            let entry = self.entries.entry(tenant.clone()).or_default();
            entry.written(traces, began);
        }
        let mut names: BTreeSet<_> = tenants.into_keys().collect();
        // What was written of the same merge before: in an earlier try, or by an earlier process.
        if let Some(earlier) = self.merges.get(&id) {
            names.extend(earlier.tenants().iter().cloned());
        }
        self.take_over(&id, &names);
        let merge = Merge::new(names.clone(), pulls, began, self.patience, concludes, now);
        self.timers.insert((merge.deadline, Due::Tell(id.clone())));
        self.merges.insert(id.clone(), merge);
        for tenant in &names {
            self.judge(tenant, now);
        }
        self.place(&id);
        self.under_way += 1;
        self.telling(&id, now)
    }

    /// The newest merge that touches a tenant is the one that follows it.
    fn take_over(&mut self, newest: &MergeId, tenants: &BTreeSet<TenantName>) {
        for (id, merge) in &mut self.merges {
            if id.repository != newest.repository || id == newest {
                continue;
            }
            for tenant in tenants {
                merge.leave(tenant);
            }
            if merge.tenants().is_empty() && merge.superseded_by.is_none() {
                merge.superseded_by = Some(newest.commit.clone());
                merge.news = Some(News::Failure);
                self.tasks.insert(Due::Tell(id.clone()));
            }
        }
    }

    /// Takes in what came of a task.
    pub fn finished(&mut self, finished: Finished, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        match finished {
            Finished::Written {
                tenant,
                conditions,
                done,
            } => {
                if let Some(entry) = self.entries.get_mut(&tenant) {
                    entry.writing = false;
                    if done {
                        entry.tell(&conditions);
                        self.plan_write(&tenant, now);
                    } else {
                        self.timers
                            .insert((later(now, WRITE_AGAIN), Due::Write(tenant)));
                    }
                }
            }
            Finished::Reviewed { tenant, review } => {
                let wait = match review {
                    Review::Contained => by_itself(&tenant),
                    Review::Pending | Review::Untold { .. } | Review::Open { .. } => REVIEW_AGAIN,
                };
                if let Some(entry) = self.entries.get_mut(&tenant) {
                    entry.reviewed(review);
                    self.review_at(&tenant, later(now, wait));
                    self.judge(&tenant, now);
                }
            }
            Finished::Asked => {}
            Finished::Looked {
                tenant,
                asked,
                head,
            } => match head {
                Some(head) => {
                    if let Some(entry) = self.entries.get_mut(&tenant) {
                        entry.end_look();
                    }
                    self.head(&tenant, &head, asked, now);
                    self.judge(&tenant, now);
                }
                None => {
                    self.timers
                        .insert((later(now, LOOK_AGAIN), Due::Look(tenant)));
                }
            },
            Finished::Told { telling, done } => self.told(&telling, done, now),
        }
    }

    fn told(&mut self, telling: &Telling, done: bool, now: Timestamp) {
        let id = &telling.merge;
        let Some(merge) = self.merges.get_mut(id) else {
            return;
        };
        merge.told(telling, done, now);
        let tenants = merge.tenants().clone();
        if merge.is_over() {
            self.merges.remove(id);
        } else {
            self.tasks.insert(Due::Tell(id.clone()));
        }
        // Those that waited for the telling.
        for tenant in &tenants {
            self.plan_write(tenant, now);
        }
    }

    /// What is to be done now.
    pub fn tasks(&mut self, now: Timestamp) -> Vec<Task> {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let (_, due) = self.timers.pop_first().expect("there is a first one");
            self.tasks.insert(due);
        }
        let due = std::mem::take(&mut self.tasks);
        let tasks: Vec<_> = due
            .into_iter()
            .filter_map(|due| self.task(due, now))
            .collect();
        self.under_way += tasks.len();
        tasks
    }

    /// When to ask for tasks again, if nothing new comes.
    pub fn next(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Nothing is to be done, and nothing is being done; what is due later does not count, but for a telling.
    pub fn is_idle(&self) -> bool {
        let untold = |merge: &Merge| merge.news.is_some() && merge.may_tell();
        self.tasks.is_empty() && self.under_way == 0 && !self.merges.values().any(untold)
    }

    fn task(&mut self, due: Due, now: Timestamp) -> Option<Task> {
        match due {
            Due::Write(tenant) => self.write(tenant, now),
            Due::Review(tenant) => {
                let neighbour = self.neighbour(&tenant);
                let entry = self.entries.get_mut(&tenant)?;
                let known = entry.begin_review(now)?;
                Some(Task::Review(Room {
                    namespaces: known.namespaces.clone(),
                    role: known.role.clone(),
                    neighbour,
                    tenant,
                }))
            }
            Due::Look(tenant) => {
                let entry = self.entries.get_mut(&tenant)?;
                let known = entry.begin_look()?;
                Some(Task::Look(Workspace {
                    control_repository: known.control_repository.clone(),
                    repository: known.repository.clone(),
                    branch: known.branch.clone(),
                    tenant,
                }))
            }
            Due::Sync(tenant) => {
                let entry = self.entries.get(&tenant)?;
                entry.source.is_some().then_some(Task::Sync { tenant })
            }
            Due::Compare(tenant) => {
                let known = self.entries.get(&tenant)?.tenant.as_ref()?;
                Some(Task::Compare {
                    control_repository: known.control_repository.clone(),
                    tenant,
                })
            }
            Due::Late(tenant) => {
                self.plan_write(&tenant, now);
                None
            }
            Due::Tell(id) => self.tell(&id, now),
        }
    }

    fn review_at(&mut self, tenant: &TenantName, at: Timestamp) {
        if let Some(entry) = self.entries.get_mut(tenant) {
            entry.review_at = Some(at);
            self.timers.insert((at, Due::Review(tenant.clone())));
        }
    }

    /// A namespace of the tenant that follows in the order of names; after the last comes the first.
    fn neighbour(&self, tenant: &TenantName) -> Option<String> {
        let after = self
            .entries
            .range((Bound::Excluded(tenant), Bound::Unbounded));
        let before = self.entries.range(..tenant);
        let mut namespaces = after.chain(before).filter_map(|(_, entry)| {
            let other = entry.tenant.as_ref()?;
            other.namespaces.first().cloned()
        });
        namespaces.next()
    }

    fn write(&mut self, tenant: TenantName, now: Timestamp) -> Option<Task> {
        let waits = self.waits_for_a_telling(&tenant, now);
        let entry = self.entries.get_mut(&tenant)?;
        let conditions = entry.conditions(self.patience.deadline, now)?;
        if waits || entry.writing || !entry.differs(&conditions) {
            return None;
        }
        if let Some(at) = entry.not_before(&conditions, GRACE)
            && at > now
        {
            self.timers.insert((at, Due::Write(tenant)));
            return None;
        }
        entry.writing = true;
        Some(Task::Write {
            tenant,
            conditions: Box::new(conditions),
        })
    }

    /// That a merge's last tenant is live is told to people first: a process that ends between the two then finds a
    /// tenant to go on with.
    fn waits_for_a_telling(&self, tenant: &TenantName, now: Timestamp) -> bool {
        let mut of_it = self
            .merges
            .values()
            .filter(|merge| merge.tenants().contains(tenant) && merge.holds_back());
        of_it.any(|merge| merge.turn(now) == Turn::Live)
    }

    fn tell(&mut self, id: &MergeId, now: Timestamp) -> Option<Task> {
        let merge = self.merges.get(id)?;
        match merge.due(now) {
            Some(at) if at <= now => Some(Task::Tell(self.telling(id, now))),
            Some(at) => {
                self.timers.insert((at, Due::Tell(id.clone())));
                None
            }
            None => None,
        }
    }

    fn telling(&mut self, id: &MergeId, now: Timestamp) -> Telling {
        let merge = self.merges.get(id).expect("it is followed");
        let nothing = Entry::default();
        let legs = merge.tenants().iter().map(|tenant| {
            let entry = self.entries.get(tenant).map_or(&nothing, |entry| &**entry);
            (tenant.clone(), entry.leg())
        });
        let course = Course {
            legs: legs.collect(),
            began: merge.began,
            turn: merge.turn(now),
        };
        let telling = Telling {
            merge: id.clone(),
            pulls: merge.pulls.clone(),
            concludes: merge.concludes_with(&course.turn),
            course,
        };
        let merge = self.merges.get_mut(id).expect("it is followed");
        merge.begin_telling();
        telling
    }

    /// Whether people are being told of a merge just now.
    pub fn is_telling(&self, id: &MergeId) -> bool {
        self.merges.get(id).is_some_and(Merge::is_telling)
    }

    /// Looks at a tenant again after something about it has changed.
    fn judge(&mut self, tenant: &TenantName, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(tenant) else {
            return;
        };
        let needs = entry.needs();
        if !needs.iter().all(|kind| self.listed.contains(kind)) {
            return;
        }
        if entry.wants_a_comparison() {
            self.tasks.insert(Due::Compare(tenant.clone()));
        }
        let Some(standing) = entry.judge() else {
            return;
        };
        if entry.wants_a_look(&standing) {
            self.tasks.insert(Due::Look(tenant.clone()));
        } else if entry.wants_a_fetch(&standing) {
            self.tasks.insert(Due::Sync(tenant.clone()));
        }
        if entry.wants_a_review(&standing) {
            self.tasks.insert(Due::Review(tenant.clone()));
        }
        if entry.standing.as_ref() != Some(&standing) {
            let news = standing.news_after(entry.standing.as_ref());
            let is_first = entry.standing.is_none();
            entry.stand(standing, now);
            if let Some(since) = entry.on_its_way {
                let late = later(since, self.patience.deadline);
                self.timers.insert((late, Due::Late(tenant.clone())));
            }
            // What an earlier process has told already is no news.
            let conditions = entry.conditions(self.patience.deadline, now);
            let is_news = !is_first || conditions.is_some_and(|now| entry.differs(&now));
            let of_it = self.merges.iter_mut();
            for (id, merge) in of_it.filter(|(_, merge)| merge.tenants().contains(tenant)) {
                merge.place(tenant, entry.standing.as_ref());
                if is_news {
                    merge.hear(news);
                    self.tasks.insert(Due::Tell(id.clone()));
                }
            }
        }
        self.plan_write(tenant, now);
        if self.entries[tenant].is_believed() {
            self.review_at(tenant, later(now, by_itself(tenant)));
        }
    }

    fn plan_write(&mut self, tenant: &TenantName, now: Timestamp) {
        let Some(entry) = self.entries.get(tenant) else {
            return;
        };
        let conditions = entry.conditions(self.patience.deadline, now);
        if conditions.is_some_and(|conditions| entry.differs(&conditions)) {
            self.tasks.insert(Due::Write(tenant.clone()));
        }
    }
}

/// A push to some repository.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    pub repository: &'a str,
    pub branch: &'a str,
    pub before: &'a str,
    pub after: &'a str,
}

impl Standing {
    /// Whether something is wrong that was not wrong before.
    fn news_after(&self, before: Option<&Self>) -> News {
        let wrong = |standing: &Self| {
            let obstacle = standing.obstacle.clone()?;
            matches!(obstacle.nature, Nature::Failing | Nature::Stuck).then_some(obstacle)
        };
        let now = wrong(self);
        if now.is_some() && now != before.and_then(wrong) {
            News::Failure
        } else {
            News::Progress
        }
    }
}

/// How long the account of this tenant is believed to be within its room.
fn by_itself(tenant: &TenantName) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    tenant.hash(&mut hasher);
    let half = REVIEW_ANYWAY.as_secs() / 2;
    let share = i64::try_from(hasher.finish() % half.unsigned_abs());
    SignedDuration::from_secs(half + share.expect("it is less than some hours"))
}

/// GitHub compares names without regard to case.
fn key(repository: &str) -> String {
    repository.to_ascii_lowercase()
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
