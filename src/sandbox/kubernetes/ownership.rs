//! Who set which fields: what an apply and an update do to an object and to `metadata.managedFields`.

use std::sync::Arc;

use serde_json::Value;

use super::clock;
use super::fields::{self, FieldSet};
use super::object::{Claim, Managed, Operation};
use super::schema::Schema;
use super::status::{Cause, Refusal};

/// Who writes, how, and when.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) manager: String,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) now: i64,
}

/// Fields that nobody owns.
const UNOWNED: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.clusterName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.deletionTimestamp",
    "metadata.deletionGracePeriodSeconds",
];

/// An entry taken apart.
#[derive(Clone, Debug)]
struct Share {
    claim: Arc<Claim>,
    time: i64,
    set: FieldSet,
}

impl Share {
    fn of(entry: &Managed) -> Self {
        Self {
            claim: Arc::clone(&entry.claim),
            time: entry.time,
            set: entry.set(),
        }
    }

    fn new(writer: &Writer, operation: Operation, set: FieldSet) -> Self {
        Self {
            claim: Arc::new(Claim {
                manager: writer.manager.clone(),
                operation,
                api_version: writer.api_version.clone(),
                subresource: writer.subresource.clone(),
                fields: String::new(),
            }),
            time: writer.now,
            set,
        }
    }

    fn is_of(&self, writer: &Writer, operation: Operation) -> bool {
        self.claim.manager == writer.manager
            && self.claim.operation == operation
            && self.claim.subresource == writer.subresource
            && (operation == Operation::Apply || self.claim.api_version == writer.api_version)
    }

    fn into_entry(self) -> Managed {
        Managed {
            claim: Arc::new(Claim {
                fields: self.set.to_json().to_string(),
                ..(*self.claim).clone()
            }),
            time: self.time,
        }
    }
}

/// Server-side apply: the live object with the configuration written over it, without what the same manager applied
/// before and does not any more.
pub(super) fn apply(
    live: &Value,
    entries: &[Managed],
    config: &Value,
    schema: &Schema,
    writer: &Writer,
    force: bool,
) -> Result<(Value, Vec<Managed>), Refusal> {
    let mut shares: Vec<Share> = entries.iter().map(Share::of).collect();
    let set = owned(&fields::of(config, schema));
    let mine = shares
        .iter()
        .position(|share| share.is_of(writer, Operation::Apply));
    let last = mine.map(|index| shares[index].set.clone());
    let new = fields::merge(live.clone(), config, schema);
    match mine {
        Some(index) => shares[index].set.clone_from(&set),
        None => shares.push(Share::new(writer, Operation::Apply, set.clone())),
    }
    let mine = mine.unwrap_or(shares.len() - 1);
    let new = match &last {
        Some(last) => pruned(new, last, &shares, schema),
        None => new,
    };
    let comparison = fields::compare(live, &new, schema);
    let written = owned(&comparison.written());
    let conflicts: Vec<(usize, FieldSet)> = shares
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != mine)
        .map(|(index, share)| (index, share.set.intersection(&written)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(refused(&shares, &conflicts));
    }
    for (index, set) in conflicts {
        shares[index].set = shares[index].set.difference(&set);
    }
    for (index, share) in shares.iter_mut().enumerate() {
        if index != mine {
            share.set = share.set.difference(&comparison.removed);
        }
    }
    let has_changed = !comparison.is_same() || last.as_ref() != Some(&set);
    if has_changed {
        shares[mine].time = writer.now;
        shares[mine].claim = Share::new(writer, Operation::Apply, FieldSet::default()).claim;
    }
    Ok((new, entries_of(shares)))
}

/// Takes away what was applied last time by this manager and is in nobody's set now.
fn pruned(merged: Value, last: &FieldSet, shares: &[Share], schema: &Schema) -> Value {
    let everybody = shares
        .iter()
        .fold(FieldSet::default(), |all, share| all.union(&share.set));
    let dropped = last.without_owned(&everybody);
    fields::without(merged, &dropped, schema).unwrap_or_default()
}

/// Any other write: what it changed is the writer's from here on.
pub(super) fn update(
    live: &Value,
    entries: &[Managed],
    new: &Value,
    schema: &Schema,
    writer: &Writer,
) -> Vec<Managed> {
    let mut shares: Vec<Share> = entries.iter().map(Share::of).collect();
    let comparison = fields::compare(live, new, schema);
    let written = owned(&comparison.written());
    for share in shares
        .iter_mut()
        .filter(|share| !share.is_of(writer, Operation::Update))
    {
        share.set = share
            .set
            .difference(&written)
            .difference(&comparison.removed);
    }
    let mine = shares
        .iter_mut()
        .find(|share| share.is_of(writer, Operation::Update));
    match mine {
        Some(share) => {
            let set = share.set.union(&written).difference(&comparison.removed);
            if set != share.set || !written.is_empty() {
                share.time = writer.now;
            }
            share.set = set;
        }
        None => shares.push(Share::new(writer, Operation::Update, written)),
    }
    entries_of(shares)
}

/// Without the fields that nobody owns.
fn owned(set: &FieldSet) -> FieldSet {
    set.difference(&FieldSet::named(UNOWNED))
}

fn entries_of(mut shares: Vec<Share>) -> Vec<Managed> {
    shares.retain(|share| !share.set.is_empty());
    shares.sort_by(|one, two| {
        let rank = |share: &Share| {
            (
                share.claim.operation,
                share.time,
                share.claim.manager.clone(),
            )
        };
        rank(one).cmp(&rank(two))
    });
    shares.into_iter().map(Share::into_entry).collect()
}

fn refused(shares: &[Share], conflicts: &[(usize, FieldSet)]) -> Refusal {
    let mut causes = Vec::new();
    let mut texts = Vec::new();
    for (index, set) in conflicts {
        let who = described(&shares[*index]);
        let paths = set.paths();
        let paths: Vec<String> = paths.iter().map(|path| fields::readable(path)).collect();
        texts.push((who.clone(), paths.clone()));
        causes.extend(paths.into_iter().map(|path| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {who}"),
            field: path,
        }));
    }
    let text = if let [one] = causes.as_slice() {
        format!("{}: {}", one.message, one.field)
    } else {
        texts.sort();
        let told = texts.iter().map(|(who, paths)| {
            let paths: String = paths.iter().map(|path| format!("\n- {path}")).collect();
            format!("conflicts with {who}:{paths}")
        });
        told.collect::<Vec<_>>().join("\n")
    };
    Refusal::apply_conflict(&causes, &text)
}

/// A manager as a conflict names it.
fn described(share: &Share) -> String {
    let claim = &share.claim;
    match claim.operation {
        Operation::Apply => format!("{:?}", claim.manager),
        Operation::Update => format!(
            "{:?} using {} at {}",
            claim.manager,
            claim.api_version,
            clock::stamp(share.time)
        ),
    }
}
