//! What is known of one tenant.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use super::{MergeId, Push, later};
use crate::live::course::Leg;
use crate::live::synced::{CONDITIONS, Condition, Remembered, Renewal, Status, Synced, Version};
use crate::live::{Evidence, Nature, Obstacle, Review, Stage, Standing, Traces};
use crate::object::{Fingerprint, Kind};

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) tenant: Option<Remembered>,
    pub(super) source: Option<Synced>,
    pub(super) sync: Option<Synced>,
    /// What was written of its objects: what a watch still shows of before does not count.
    written: BTreeMap<Kind, Version>,
    head: Option<Head>,
    /// What Flux had fetched when GitHub was last asked for the head because of it.
    looked_for: Option<String>,
    /// GitHub has not answered yet.
    looking: bool,
    /// The head that Flux was asked to fetch last.
    asked_for: Option<String>,
    review: Option<Reviewed>,
    /// When the next one is due, whatever the last one has shown.
    pub(super) review_at: Option<Timestamp>,
    /// A new deploy key that was put into the Secret, as long as its `Tenant` object does not show it.
    renewed: Option<Fingerprint>,
    /// The replacement of a deploy key for which a comparison was asked last.
    compared: Option<Box<Renewal>>,
    pub(super) standing: Option<Standing>,
    /// When each stage that is behind it was reached.
    since: BTreeMap<Stage, Timestamp>,
    /// Since when it is on its way to what it is to become now.
    pub(super) on_its_way: Option<Timestamp>,
    /// The conditions as they stand in the `Tenant` object.
    told: [Option<Told>; 4],
    /// A write of them is under way.
    pub(super) writing: bool,
}

/// A condition as it was told, its words as a hash: they are only compared, and there are many tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    status: Status,
    generation: Option<i64>,
    since: Option<Timestamp>,
    words: u64,
}

impl Told {
    fn of(condition: &Condition) -> Self {
        let mut words = DefaultHasher::new();
        (&condition.reason, &condition.message).hash(&mut words);
        Self {
            status: condition.status,
            generation: condition.generation,
            since: condition.since,
            words: words.finish(),
        }
    }

    fn says(&self, condition: &Condition) -> bool {
        let now = Self::of(condition);
        *self
            == Self {
                since: self.since,
                ..now
            }
    }
}

#[derive(Debug)]
struct Head {
    commit: String,
    /// What it replaced, where a push told of it.
    before: Option<String>,
    at: Timestamp,
}

/// What an earlier process has left to do about a tenant that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// People know; a recovery is to be told.
    Told,
    Awaited,
}

/// A review of the tenant as its object was then; none while the first one is under way.
#[derive(Debug)]
struct Reviewed {
    of: Version,
    result: Option<Review>,
}

impl Entry {
    pub(super) fn is_empty(&self) -> bool {
        self.tenant.is_none() && self.source.is_none() && self.sync.is_none()
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::GitRepository => self.source.is_some(),
            Kind::Kustomization => self.sync.is_some(),
            _ => self.tenant.is_some(),
        }
    }

    /// The kinds of which everything must have been seen before the tenant can be judged.
    pub(super) fn needs(&self) -> &'static [Kind] {
        match &self.tenant {
            Some(tenant) if tenant.namespaces.is_empty() => &[Kind::Tenant],
            _ => &super::WATCHED,
        }
    }

    /// In one process the conditions are as they were written here; what was there before it counts at first.
    /// `since` is when it became as it is, if that is known.
    pub(super) fn remember(&mut self, seen: Option<Remembered>, since: Option<Timestamp>) {
        let uid =
            |tenant: &Option<Remembered>| tenant.as_ref().map(|tenant| tenant.version.uid.clone());
        let mut seen = seen;
        let told = seen.as_mut().and_then(|seen| seen.told.take());
        if uid(&self.tenant) != uid(&seen) {
            self.told = told.map(all_told).unwrap_or_default();
            self.standing = None;
            self.since = BTreeMap::new();
            self.on_its_way = None;
            self.review = None;
        }
        self.tenant = seen;
        if self.renewal().is_some() {
            self.renewed = None;
        }
        if !self.tenant.as_ref().is_some_and(Remembered::is_created) {
            self.since.remove(&Stage::Created);
        } else if let Some(since) = since.or_else(|| self.created_at()) {
            self.since.entry(Stage::Created).or_insert(since);
        }
    }

    pub(super) fn branch(&self) -> Option<&str> {
        self.tenant.as_ref().map(|tenant| tenant.branch.as_str())
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        self.tenant.as_ref()?.accepted.as_ref()?.since
    }

    /// The merge that is to be told how the tenant fares.
    pub(super) fn merge(&self) -> Option<MergeId> {
        self.tenant.as_ref().map(|tenant| MergeId {
            repository: tenant.control_repository.clone(),
            commit: tenant.commit.clone(),
        })
    }

    /// Whether people wait for the tenant to become live, or were told that it is not; none if neither.
    pub(super) fn left_over(&self, deadline: SignedDuration, now: Timestamp) -> Option<Left> {
        let tenant = self.tenant.as_ref().filter(|tenant| tenant.is_created())?;
        let [.., live] = &self.told;
        let of_entry = |live: &&Told| live.generation == Some(tenant.version.generation);
        match (live, live.as_ref().filter(of_entry).map(|live| live.status)) {
            (_, Some(Status::True)) => None,
            (_, Some(Status::False)) => Some(Left::Told),
            (_, Some(Status::Unknown)) | (Some(_), None) => Some(Left::Awaited),
            // Never followed: long ago by a version that did not, or a moment ago.
            (None, None) => {
                let given_up = later(self.created_at()?, deadline);
                (given_up > now).then_some(Left::Awaited)
            }
        }
    }

    /// A push; says whether it is news. One told again is not, nor one told after the one that followed it.
    pub(super) fn push(&mut self, push: &Push<'_>, now: Timestamp) -> bool {
        if let Some(Head {
            commit,
            before: Some(before),
            ..
        }) = &self.head
        {
            let again = commit == push.after;
            // One that goes back to where the last one began says so.
            let overtaken = before == push.after && commit != push.before;
            if again || overtaken {
                return false;
            }
        }
        self.head = Some(Head {
            commit: push.after.to_owned(),
            before: Some(push.before.to_owned()),
            at: now,
        });
        self.asked_for = Some(push.after.to_owned());
        true
    }

    /// Whether GitHub is to be asked for the head: Flux has fetched what nobody has told of, and later than the head is
    /// known. A webhook may have been lost, or have gone to another replica.
    pub(super) fn wants_a_look(&self, standing: &Standing) -> bool {
        let (Some(head), Some(source)) = (&self.head, &self.source) else {
            return false;
        };
        let Some(revision) = source.revision.as_ref().filter(|_| standing.is_outdated()) else {
            return false;
        };
        let replaced = head
            .before
            .as_deref()
            .is_some_and(|before| revision.ends_with(before));
        // Flux tells whole seconds.
        let later = source
            .fetched_at
            .is_some_and(|at| at.as_second() >= head.at.as_second());
        later && !replaced && self.looked_for.as_ref() != Some(revision)
    }

    /// Notes for what the look is, at a tenant that is known.
    pub(super) fn begin_look(&mut self) -> Option<&Remembered> {
        self.looked_for.clone_from(&self.source.as_ref()?.revision);
        self.looking = true;
        self.tenant.as_ref()
    }

    pub(super) fn end_look(&mut self) {
        self.looking = false;
    }

    /// Whether Flux is to be asked for a head that it does not know of, because nobody was told of the push. While GitHub
    /// is asked, it may be Flux that knows better.
    pub(super) fn wants_a_fetch(&mut self, standing: &Standing) -> bool {
        let head = self.head.as_ref().map(|head| &head.commit);
        let missed = standing.is_outdated() && !self.looking && self.asked_for.as_ref() != head;
        if missed {
            self.asked_for = head.cloned();
        }
        missed
    }

    /// What a look has shown, unless something newer is known. Says whether it is news.
    pub(super) fn learn_head(&mut self, commit: &str, asked: Timestamp) -> bool {
        match &mut self.head {
            Some(head) if head.at > asked => return false,
            Some(head) if head.commit == commit => {
                head.at = asked;
                return false;
            }
            Some(_) | None => {}
        }
        self.head = Some(Head {
            commit: commit.to_owned(),
            before: None,
            at: asked,
        });
        true
    }

    fn renewal(&self) -> Option<&Renewal> {
        self.tenant.as_ref()?.renewal.as_deref()
    }

    /// The key with which Flux must have fetched, where it has taken the place of another one.
    fn new_key(&self) -> Option<&Fingerprint> {
        let renewal = self.renewal().filter(|renewal| renewal.has_former);
        let shown = renewal.map(|renewal| &renewal.key);
        shown.or(self.renewed.as_ref())
    }

    /// Whether the tenant is to be compared, because somebody has asked for another key, or Flux has fetched with it.
    pub(super) fn wants_a_comparison(&mut self) -> bool {
        let Some(renewal) = self.renewal() else {
            return false;
        };
        // Without it, or while it is suspended, nothing fetches.
        let has_fetched = self
            .source
            .as_ref()
            .is_none_or(|source| source.suspended || source.fetched_with() == Some(&renewal.key));
        let is_due = has_fetched || !renewal.has_former;
        let is_new = self.compared.as_deref() != Some(renewal);
        if is_due && is_new {
            self.compared = Some(Box::new(renewal.clone()));
        }
        is_due && is_new
    }

    /// A merge has written some of its objects since `began`.
    pub(super) fn written(&mut self, traces: &Traces, began: Timestamp) {
        self.written.extend(traces.versions.clone());
        if let Some(head) = &traces.head {
            self.learn_head(head, began);
        }
        if traces.key.is_some() && self.renewal().is_none() {
            self.renewed.clone_from(&traces.key);
        }
        // Its rights may be others now.
        if !traces.versions.is_empty() {
            self.review = None;
        }
    }

    /// Where the tenant stands by what has been seen.
    pub(super) fn judge(&self) -> Option<Standing> {
        let tenant = self.tenant.as_ref()?;
        self.is_new_enough(Kind::Tenant, &tenant.version)
            .then_some(())?;
        let seen = |kind, object: &'_ Option<Synced>| {
            let object = object.as_ref()?;
            self.is_new_enough(kind, &object.version)
                .then(|| object.clone())
        };
        let (source, sync) = (
            seen(Kind::GitRepository, &self.source),
            seen(Kind::Kustomization, &self.sync),
        );
        let evidence = Evidence {
            tenant,
            head: self.head.as_ref().map(|head| head.commit.as_str()),
            source: source.as_ref(),
            sync: sync.as_ref(),
            review: self.reviewed_as(tenant),
            key: self.new_key(),
        };
        Standing::of(&evidence, self.standing.as_ref())
    }

    fn is_new_enough(&self, kind: Kind, version: &Version) -> bool {
        self.written
            .get(&kind)
            .is_none_or(|written| version.is_since(written))
    }

    fn reviewed_as(&self, tenant: &Remembered) -> &Review {
        let result = match &self.review {
            Some(reviewed) if reviewed.of == tenant.version => reviewed.result.as_ref(),
            None if self.was_contained(tenant) => Some(&Review::Contained),
            Some(_) | None => None,
        };
        result.unwrap_or(&Review::Pending)
    }

    /// As an earlier process found and wrote down.
    fn was_contained(&self, tenant: &Remembered) -> bool {
        let [_, _, contained, _] = &self.told;
        contained.as_ref().is_some_and(|contained| {
            contained.status == Status::True
                && contained.generation == Some(tenant.version.generation)
        })
    }

    pub(super) fn wants_a_review(&self, standing: &Standing) -> bool {
        let Some(tenant) = &self.tenant else {
            return false;
        };
        let asked = self
            .review
            .as_ref()
            .is_some_and(|reviewed| reviewed.of == tenant.version);
        let pending = *self.reviewed_as(tenant) == Review::Pending;
        standing.reached == Stage::Applied && pending && !asked
    }

    /// Notes that a review is under way, of a tenant that is known, unless it has been reviewed meanwhile. What the last one
    /// has shown stands until this one is done.
    pub(super) fn begin_review(&mut self, now: Timestamp) -> Option<&Remembered> {
        let tenant = self
            .tenant
            .as_ref()
            .filter(|tenant| tenant.has_accounts())?;
        let shown = self.reviewed_as(tenant);
        let result = (*shown != Review::Pending).then(|| shown.clone());
        if result.is_some() && self.review_at.is_some_and(|at| now < at) {
            return None;
        }
        self.review = Some(Reviewed {
            of: tenant.version.clone(),
            result,
        });
        Some(tenant)
    }

    /// Whether an earlier process has found it within its room, and no review is to come.
    pub(super) fn is_believed(&self) -> bool {
        let remembered = |tenant: &Remembered| tenant.has_accounts() && self.was_contained(tenant);
        self.review.is_none()
            && self.review_at.is_none()
            && self.tenant.as_ref().is_some_and(remembered)
    }

    pub(super) fn reviewed(&mut self, result: Review) {
        if let Some(reviewed) = &mut self.review {
            reviewed.result = Some(result);
        }
    }

    /// Takes in where the tenant stands now.
    pub(super) fn stand(&mut self, standing: Standing, now: Timestamp) {
        let anew = self
            .standing
            .as_ref()
            .is_none_or(|before| before.revision() != standing.revision() || before.is_live());
        for &stage in Stage::ALL {
            if !standing.has(stage) {
                self.since.remove(&stage);
            } else if !self.since.contains_key(&stage) {
                let at = match self.standing {
                    Some(_) => now,
                    None => self.remembered_since(stage).unwrap_or(now),
                };
                self.since.insert(stage, at);
            }
        }
        if standing.is_live() {
            self.on_its_way = None;
        } else if anew || self.on_its_way.is_none() {
            let remembered = self.on_its_way_before();
            self.on_its_way = Some(
                remembered
                    .filter(|_| self.standing.is_none())
                    .unwrap_or(now),
            );
        }
        self.standing = Some(standing);
    }

    /// Since when it was on its way when an earlier process ended; for ever, if that one had given it up.
    fn on_its_way_before(&self) -> Option<Timestamp> {
        let [.., live] = &self.told;
        let live = live.as_ref()?;
        match live.status {
            Status::True => None,
            Status::False => Some(Timestamp::MIN),
            Status::Unknown => live.since,
        }
    }

    fn remembered_since(&self, stage: Stage) -> Option<Timestamp> {
        let place = CONDITIONS.iter().position(|(of, _)| *of == stage)?;
        let told = self.told[place].as_ref()?;
        told.since.filter(|_| told.status == Status::True)
    }

    pub(super) fn leg(&self) -> Leg {
        Leg::of(self.standing.as_ref(), |stage| {
            self.since.get(&stage).copied()
        })
    }

    /// What the `Tenant` object is to say; nothing while that is not known.
    pub(super) fn conditions(
        &self,
        deadline: SignedDuration,
        now: Timestamp,
    ) -> Option<[Condition; 4]> {
        let (tenant, standing) = (self.tenant.as_ref()?, self.standing.as_ref()?);
        let is_late = self
            .on_its_way
            .is_some_and(|since| later(since, deadline) <= now);
        let mut last = None;
        Some(std::array::from_fn(|place| {
            let (stage, name) = CONDITIONS[place];
            let (status, reason, message) = if standing.has(stage) {
                passed(stage, standing)
            } else {
                behind(stage, last, standing, is_late)
            };
            last = last.or((status != Status::True).then_some(name));
            let before = self.told[place]
                .as_ref()
                .filter(|told| told.status == status);
            let since = before.and_then(|told| told.since).or_else(|| {
                let since = self.since.get(&stage).filter(|_| status == Status::True);
                since.copied()
            });
            Condition {
                status,
                reason,
                message,
                generation: Some(tenant.version.generation),
                since: since.or(Some(now)),
            }
        }))
    }

    /// Whether that is something else than what stands there.
    pub(super) fn differs(&self, conditions: &[Condition; 4]) -> bool {
        let mut pairs = self.told.iter().zip(conditions);
        pairs.any(|(told, now)| !told.is_some_and(|told| told.says(now)))
    }

    /// Until when writing can wait: as long as nothing is new but that something is under way, or a review, which takes
    /// no time.
    pub(super) fn not_before(
        &self,
        conditions: &[Condition; 4],
        grace: SignedDuration,
    ) -> Option<Timestamp> {
        let says_something = |(told, now): (&Option<Told>, &Condition)| {
            let before = told.as_ref().map(|told| told.status);
            now.status != Status::Unknown
                && (before != Some(now.status) || now.status == Status::False)
        };
        let reviewing = matches!(&self.review, Some(Reviewed { result: None, .. }));
        let mut pairs = self.told.iter().zip(conditions);
        if !reviewing && pairs.any(says_something) {
            return None;
        }
        self.on_its_way.map(|since| later(since, grace))
    }

    pub(super) fn tell(&mut self, conditions: &[Condition; 4]) {
        self.told = conditions
            .each_ref()
            .map(|condition| Some(Told::of(condition)));
    }
}

fn all_told(conditions: Box<[Option<Condition>; 4]>) -> [Option<Told>; 4] {
    conditions.map(|condition| condition.as_ref().map(Told::of))
}

fn passed(stage: Stage, standing: &Standing) -> (Status, String, String) {
    let revision = standing.revision();
    let (reason, message) = match stage {
        _ if revision.is_empty() && stage != Stage::Live => {
            ("NothingToSync", "the tenant has no namespaces".to_owned())
        }
        Stage::Created => ("Created", String::new()),
        Stage::Fetched => ("Fetched", format!("Flux has fetched `{revision}`")),
        Stage::Applied => ("Applied", format!("Flux has applied `{revision}`")),
        Stage::Contained => (
            "Contained",
            "the tenant's account can write its own namespaces and nothing else".to_owned(),
        ),
        Stage::Live if revision.is_empty() => ("Live", "everything is written".to_owned()),
        Stage::Live => ("Live", format!("`{revision}` is applied")),
    };
    (Status::True, reason.to_owned(), message)
}

/// A stage that is not passed: kept back by the obstacle itself, or by the condition before it.
fn behind(
    stage: Stage,
    last: Option<&str>,
    standing: &Standing,
    is_late: bool,
) -> (Status, String, String) {
    if let Some(before) = last.filter(|_| stage != Stage::Live) {
        let message = format!("waits for `{before}`");
        return (Status::Unknown, "Waiting".to_owned(), message);
    }
    let Some(Obstacle {
        nature,
        reason,
        message,
        ..
    }) = &standing.obstacle
    else {
        return (
            Status::Unknown,
            "Waiting".to_owned(),
            "waits for `Accepted`".to_owned(),
        );
    };
    let status = match nature {
        Nature::Waiting if is_late && stage == Stage::Live => Status::False,
        Nature::Waiting => Status::Unknown,
        Nature::Failing | Nature::Stuck | Nature::Suspended => Status::False,
    };
    (status, reason.clone(), message.clone())
}
