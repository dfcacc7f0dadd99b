//! All objects, by kind and key, with what happened to them lately.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Kinds, Resource, ShelfId};
use super::object::{self, Claim, Managed, Stored};
use super::selector::Selection;

/// Labels by which objects are found without looking at all of their kind.
const INDEXED: &[&str] = &["app.kubernetes.io/instance"];

/// Events that are remembered of each kind: for watches, and for lists that are read page by page.
const REMEMBERED: usize = 8192;

/// A label's name and value.
type Label = (Arc<str>, Arc<str>);

/// Objects as they were, where they are not so any more; nothing for those that came later.
type Then = BTreeMap<Arc<str>, Option<Arc<Stored>>>;

/// Objects, kinds, and the revision that counts every change.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) kinds: Kinds,
    shelves: HashMap<ShelfId, Shelf>,
    pub(super) revision: u64,
    claims: HashSet<Arc<Claim>>,
    words: HashSet<Arc<str>>,
}

/// The objects of one kind.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    objects: BTreeMap<Arc<str>, Arc<Stored>>,
    by_label: HashMap<Label, BTreeSet<Arc<str>>>,
    events: VecDeque<Event>,
    /// The newest revision whose event is not remembered any more.
    forgotten: u64,
}

/// A change of one object: what it was, what it is.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) revision: u64,
    pub(super) key: Arc<str>,
    pub(super) before: Option<Arc<Stored>>,
    pub(super) after: Option<Arc<Stored>>,
}

/// Where and how to read a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) namespace: Option<String>,
    pub(super) selection: Selection,
    /// Only keys behind this one.
    pub(super) after: Option<String>,
    /// As it was at this revision.
    pub(super) at: Option<u64>,
    pub(super) limit: Option<usize>,
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Arc<Stored>>,
    /// How many objects follow, if any do.
    pub(super) remaining: usize,
}

/// The revision is older than what is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooOld {
    pub(super) oldest: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            kinds: Kinds::built_in(),
            shelves: HashMap::new(),
            // Resource versions of zero and one mean something else.
            revision: 1,
            claims: HashSet::new(),
            words: HashSet::new(),
        }
    }

    pub(super) fn get(&self, resource: &Resource, key: &str) -> Option<Arc<Stored>> {
        self.shelves
            .get(&resource.shelf())?
            .objects
            .get(key)
            .cloned()
    }

    pub(super) fn shelf(&self, resource: &Resource) -> Option<&Shelf> {
        self.shelves.get(&resource.shelf())
    }

    /// Makes an object of a value without keeping it.
    pub(super) fn made(
        &mut self,
        key: &str,
        revision: u64,
        value: &Value,
        managed: Vec<Managed>,
    ) -> Stored {
        let labels = value["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        let labels: Vec<_> = labels
            .map(|(name, value)| {
                let value = value.as_str().unwrap_or_default();
                (self.word(name), self.word(value))
            })
            .collect();
        let managed = managed.into_iter();
        let managed = managed.map(|entry| self.shared(entry)).collect();
        Stored::new(
            self.word(key),
            revision,
            value,
            labels.into_boxed_slice(),
            managed,
        )
    }

    /// Keeps an object, in place of what was there.
    pub(super) fn put(
        &mut self,
        resource: &Resource,
        key: &str,
        value: &Value,
        managed: Vec<Managed>,
    ) -> Arc<Stored> {
        self.revision += 1;
        let stored = Arc::new(self.made(key, self.revision, value, managed));
        self.shelves.entry(resource.shelf()).or_default().change(
            self.revision,
            &stored.key,
            Some(&stored),
        );
        stored
    }

    /// Takes an object away and gives it as it was last, with the revision of its end.
    pub(super) fn remove(&mut self, resource: &Resource, key: &str) -> Option<Arc<Stored>> {
        let kept = self.shelves.get_mut(&resource.shelf())?;
        let last = kept.objects.get(key).cloned()?;
        self.revision += 1;
        kept.change(self.revision, &last.key, None);
        self.tidy();
        Some(last)
    }

    /// Reads a list.
    pub(super) fn list(&self, resource: &Resource, reading: &Reading) -> Result<Page, TooOld> {
        match self.shelf(resource) {
            Some(kept) => kept.list(resource, reading),
            None => Ok(Page {
                items: Vec::new(),
                remaining: 0,
            }),
        }
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.words.get(text) {
            return Arc::clone(known);
        }
        let word: Arc<str> = text.into();
        self.words.insert(Arc::clone(&word));
        word
    }

    fn shared(&mut self, entry: Managed) -> Managed {
        let claim = if let Some(known) = self.claims.get(&entry.claim) {
            Arc::clone(known)
        } else {
            self.claims.insert(Arc::clone(&entry.claim));
            entry.claim
        };
        Managed { claim, ..entry }
    }

    /// Forgets words and claims that nothing uses any more, once in a while.
    fn tidy(&mut self) {
        const OFTEN: u64 = 16_384;
        if self.revision.is_multiple_of(OFTEN) {
            self.words.retain(|word| Arc::strong_count(word) > 1);
            self.claims.retain(|claim| Arc::strong_count(claim) > 1);
        }
    }
}

impl Shelf {
    fn change(&mut self, revision: u64, key: &Arc<str>, after: Option<&Arc<Stored>>) {
        let before = match after {
            Some(stored) => self.objects.insert(Arc::clone(key), Arc::clone(stored)),
            None => self.objects.remove(key),
        };
        if let Some(before) = &before {
            self.index(before, false);
        }
        if let Some(after) = after {
            self.index(after, true);
        }
        self.events.push_back(Event {
            revision,
            key: Arc::clone(key),
            before,
            after: after.cloned(),
        });
        if self.events.len() > REMEMBERED
            && let Some(oldest) = self.events.pop_front()
        {
            self.forgotten = oldest.revision;
        }
    }

    fn index(&mut self, stored: &Stored, is_there: bool) {
        let indexed = stored.labels.iter();
        for label in indexed.filter(|(name, _)| INDEXED.contains(&&**name)) {
            let keys = self.by_label.entry(label.clone()).or_default();
            if is_there {
                keys.insert(Arc::clone(&stored.key));
            } else {
                keys.remove(&stored.key);
                if keys.is_empty() {
                    self.by_label.remove(label);
                }
            }
        }
    }

    /// What happened after a revision.
    pub(super) fn events_after(&self, revision: u64) -> Result<Vec<Event>, TooOld> {
        if revision < self.forgotten {
            return Err(TooOld {
                oldest: self.forgotten,
            });
        }
        let first = self
            .events
            .partition_point(|event| event.revision <= revision);
        Ok(self.events.range(first..).cloned().collect())
    }

    fn list(&self, resource: &Resource, reading: &Reading) -> Result<Page, TooOld> {
        let then = match reading.at {
            Some(revision) => self.as_of(revision)?,
            None => Then::new(),
        };
        let found = self.candidates(reading, &then).into_iter();
        let mut items: Vec<_> = found
            .filter(|stored| reading.takes(resource, stored))
            .collect();
        let limit = reading.limit.unwrap_or(usize::MAX);
        let remaining = items.len().saturating_sub(limit);
        items.truncate(limit);
        Ok(Page { items, remaining })
    }

    /// What has changed since a revision, as it was then.
    fn as_of(&self, revision: u64) -> Result<Then, TooOld> {
        let mut then = Then::new();
        for event in self.events_after(revision)? {
            then.entry(event.key).or_insert(event.before);
        }
        Ok(then)
    }

    /// Objects of the namespace behind the key, in order; by a label's index where that is possible.
    fn candidates(&self, reading: &Reading, then: &Then) -> Vec<Arc<Stored>> {
        let prefix = reading.namespace.as_ref().map(|name| format!("{name}/"));
        let is_within = |key: &str| {
            prefix
                .as_ref()
                .is_none_or(|prefix| key.starts_with(prefix.as_str()))
                && reading
                    .after
                    .as_ref()
                    .is_none_or(|after| key > after.as_str())
        };
        let mut found: BTreeMap<Arc<str>, Arc<Stored>> = BTreeMap::new();
        let mut keep = |stored: &Arc<Stored>| {
            found.insert(Arc::clone(&stored.key), Arc::clone(stored));
        };
        let indexed = INDEXED.iter().find_map(|label| {
            let values = reading.selection.values_of(label)?;
            Some((*label, values))
        });
        if let Some((label, values)) = indexed {
            for value in values {
                let label: Label = (label.into(), value.as_str().into());
                let keys = self.by_label.get(&label).into_iter().flatten();
                for key in keys.filter(|key| is_within(key)) {
                    keep(&self.objects[key]);
                }
            }
        } else {
            let start = match (&reading.after, &prefix) {
                (Some(after), Some(prefix)) => Bound::Excluded(after.max(prefix).as_str()),
                (Some(after), None) => Bound::Excluded(after.as_str()),
                (None, Some(prefix)) => Bound::Excluded(prefix.as_str()),
                (None, None) => Bound::Unbounded,
            };
            let range = self.objects.range::<str, _>((start, Bound::Unbounded));
            for (_, stored) in range.take_while(|(key, _)| is_within(key)) {
                keep(stored);
            }
        }
        for (key, was) in then.iter().filter(|(key, _)| is_within(key)) {
            match was {
                Some(was) => found.insert(Arc::clone(key), Arc::clone(was)),
                None => found.remove(key),
            };
        }
        found.into_values().collect()
    }
}

impl Reading {
    /// Whether an object is one of those that are asked for, wherever in the list.
    pub(super) fn takes(&self, resource: &Resource, stored: &Stored) -> bool {
        let (namespace, _) = object::split(&stored.key);
        (self.namespace.is_none() || self.namespace.as_deref() == namespace)
            && self.selection.takes_labels(|name| stored.label(name))
            && self.selection.takes_fields(|| stored.bare(resource))
    }
}
