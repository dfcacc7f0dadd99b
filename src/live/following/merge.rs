//! One merge whose tenants are followed: when to tell people what.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Patience, Telling, later};
use crate::live::course::Turn;
use crate::live::{Nature, Standing};
use crate::names::TenantName;

/// Tellings of a merge beside its end: each writes a comment, and GitHub limits those.
const TELLINGS: u32 = 10;
/// So many failures are told at once; later ones wait as progress does.
const FAILURES_AT_ONCE: u32 = 6;
/// After a start, no merge is given up before everything can have been looked at.
const FIRST_LOOK: SignedDuration = SignedDuration::from_mins(1);
/// The time between two tellings is doubled so often at most.
const DOUBLINGS: u32 = 6;

#[derive(Debug)]
pub(super) struct Merge {
    tenants: BTreeSet<TenantName>,
    /// Those of them that are not live.
    on_their_way: BTreeSet<TenantName>,
    /// Those of these that need a person.
    stuck: BTreeSet<TenantName>,
    pub(super) pulls: Option<Vec<u64>>,
    pub(super) began: Timestamp,
    pub(super) deadline: Timestamp,
    /// Whether the check is concluded with the course.
    concludes: bool,
    pub(super) superseded_by: Option<String>,
    pub(super) news: Option<News>,
    /// A telling is under way.
    telling: bool,
    tellings: u32,
    /// When the last telling was.
    last: Timestamp,
    gap: SignedDuration,
    /// The end that was told.
    end: Option<Turn>,
    /// People could not be told, so nobody waits for it.
    unheard: bool,
}

/// What has changed since the last telling; the worst of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    Progress,
    Failure,
}

impl Merge {
    pub(super) fn new(
        tenants: BTreeSet<TenantName>,
        pulls: Vec<u64>,
        began: Timestamp,
        patience: Patience,
        concludes: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            on_their_way: tenants.clone(),
            tenants,
            stuck: BTreeSet::new(),
            pulls: Some(pulls),
            began,
            deadline: later(now, patience.deadline),
            concludes,
            superseded_by: None,
            news: None,
            telling: false,
            tellings: 0,
            last: now,
            gap: patience.telling,
            end: None,
            unheard: false,
        }
    }

    /// Of an earlier process; `was_told` if it had told an end that is not `Live`.
    pub(super) fn resumed(
        tenants: BTreeSet<TenantName>,
        began: Timestamp,
        patience: Patience,
        was_told: bool,
        now: Timestamp,
    ) -> Self {
        // A look at everything comes first.
        let soon = later(now, patience.deadline.min(FIRST_LOOK));
        Self {
            pulls: None,
            deadline: later(began, patience.deadline).max(soon),
            end: was_told.then_some(Turn::Late),
            ..Self::new(tenants, Vec::new(), began, patience, true, now)
        }
    }

    pub(super) fn tenants(&self) -> &BTreeSet<TenantName> {
        &self.tenants
    }

    /// One of its tenants stands so now.
    pub(super) fn place(&mut self, tenant: &TenantName, standing: Option<&Standing>) {
        let mut set = |set: fn(&mut Self) -> &mut BTreeSet<TenantName>, is_in: bool| {
            if is_in {
                set(self).insert(tenant.clone());
            } else {
                set(self).remove(tenant);
            }
        };
        let nature = standing.and_then(Standing::nature);
        set(
            |merge| &mut merge.on_their_way,
            !standing.is_some_and(Standing::is_done),
        );
        set(|merge| &mut merge.stuck, nature == Some(Nature::Stuck));
    }

    /// Another merge follows the tenant from now on.
    pub(super) fn leave(&mut self, tenant: &TenantName) {
        for set in [&mut self.tenants, &mut self.on_their_way, &mut self.stuck] {
            set.remove(tenant);
        }
    }

    /// How it stands as a whole.
    pub(super) fn turn(&self, now: Timestamp) -> Turn {
        match &self.superseded_by {
            Some(by) => Turn::Superseded { by: by.clone() },
            None if self.on_their_way.is_empty() => Turn::Live,
            None if !self.stuck.is_empty() => Turn::Stuck,
            None if now >= self.deadline => Turn::Late,
            None => Turn::Underway,
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        self.news = self.news.max(Some(news));
    }

    pub(super) fn may_tell(&self) -> bool {
        self.tellings < TELLINGS
    }

    /// When to tell how its tenants stand; none if there is nothing to tell.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.telling {
            return None;
        }
        if self.is_new_end(&self.turn(now)) {
            let soon = if self.unheard {
                later(self.last, 5 * self.gap)
            } else {
                now
            };
            return Some(soon);
        }
        let news = self.news.filter(|_| self.may_tell())?;
        let at_once = news == News::Failure && self.tellings < FAILURES_AT_ONCE;
        let gap = if at_once {
            self.gap
        } else {
            self.gap * (1 << self.tellings.min(DOUBLINGS))
        };
        Some(later(self.last, gap))
    }

    /// After an end, only a better one is news: that all is well, or that a newer merge goes on.
    fn is_new_end(&self, turn: &Turn) -> bool {
        match turn {
            Turn::Underway => false,
            Turn::Stuck | Turn::Late => self.end.is_none(),
            turn @ (Turn::Live | Turn::Superseded { .. }) => self.end.as_ref() != Some(turn),
        }
    }

    pub(super) fn concludes_with(&self, turn: &Turn) -> bool {
        self.concludes && self.is_new_end(turn)
    }

    pub(super) fn is_telling(&self) -> bool {
        self.telling
    }

    pub(super) fn begin_telling(&mut self) {
        self.telling = true;
        self.news = None;
    }

    pub(super) fn told(&mut self, telling: &Telling, done: bool, now: Timestamp) {
        self.telling = false;
        self.last = now;
        self.unheard = !done;
        if !done {
            self.hear(News::Progress);
        } else if self.is_new_end(&telling.course.turn) {
            self.end = Some(telling.course.turn.clone());
        } else {
            self.tellings += 1;
        }
    }

    /// Whether what is written of its tenants waits for people to be told.
    pub(super) fn holds_back(&self) -> bool {
        !self.unheard && self.end != Some(Turn::Live)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.as_ref().is_some_and(Turn::is_over)
    }
}
