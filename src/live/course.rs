//! What is told of a merge's tenants on their way to live.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::live::{Nature, Obstacle, Stage, Standing};
use crate::names::TenantName;

/// The tenants that a merge touched, and how far each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub legs: BTreeMap<TenantName, Leg>,
    /// When the merge's work began.
    pub began: Timestamp,
    pub turn: Turn,
}

/// One tenant's part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Each stage that is behind it, and since when.
    pub passed: BTreeMap<Stage, Timestamp>,
    /// What keeps it from the next; none for one that is live or not looked at yet.
    pub obstacle: Option<Obstacle>,
}

/// How a course stands as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Underway,
    /// Every tenant is live, or suspended because the file says so.
    Live,
    /// Some tenant needs a person.
    Stuck,
    /// Some tenant was not live at the deadline.
    Late,
    /// A newer merge touched all of its tenants: that one's course goes on.
    Superseded {
        by: String,
    },
}

impl Turn {
    /// Whether nothing more is told of it.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Live | Self::Superseded { .. } => true,
            Self::Underway | Self::Stuck | Self::Late => false,
        }
    }

    /// Whether the check has its conclusion.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Underway => false,
            Self::Live | Self::Stuck | Self::Late | Self::Superseded { .. } => true,
        }
    }
}

impl Leg {
    pub fn is_live(&self) -> bool {
        self.passed.contains_key(&Stage::Live)
    }

    pub fn nature(&self) -> Option<Nature> {
        self.obstacle.as_ref().map(|obstacle| obstacle.nature)
    }

    /// Nothing more is to be waited for, and nothing is wrong.
    pub fn is_done(&self) -> bool {
        self.is_live() || self.nature() == Some(Nature::Suspended)
    }

    /// Flux, or an access review, has said that something is wrong.
    pub fn is_failing(&self) -> bool {
        matches!(self.nature(), Some(Nature::Failing | Nature::Stuck))
    }

    pub(super) fn of(
        standing: Option<&Standing>,
        since: impl Fn(Stage) -> Option<Timestamp>,
    ) -> Self {
        let Some(standing) = standing else {
            return Self {
                passed: BTreeMap::new(),
                obstacle: None,
            };
        };
        let passed = Stage::ALL.iter().filter(|stage| standing.has(**stage));
        Self {
            passed: passed
                .filter_map(|&stage| Some((stage, since(stage)?)))
                .collect(),
            obstacle: standing.obstacle.clone(),
        }
    }
}

impl Course {
    pub fn live(&self) -> usize {
        self.legs.values().filter(|leg| leg.is_live()).count()
    }

    pub fn failing(&self) -> usize {
        self.legs.values().filter(|leg| leg.is_failing()).count()
    }

    pub fn suspended(&self) -> usize {
        let suspended = |leg: &&Leg| leg.nature() == Some(Nature::Suspended);
        self.legs.values().filter(suspended).count()
    }

    /// When a stage was reached in this course; none where that is older than the merge.
    pub fn reached(&self, leg: &Leg, stage: Stage) -> Option<Timestamp> {
        let at = *leg.passed.get(&stage)?;
        // Conditions are told in whole seconds.
        (at.as_second() >= self.began.as_second()).then_some(at)
    }
}
