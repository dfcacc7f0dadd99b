//! What to say of each step: a mark and a word, the object, what happens to it, the fields.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::desired::Objects;
use crate::object::{
    Access, DeployKey, Kind, ManifestId, Object, ObjectId, POD_SECURITY, Repository,
};
use crate::plan::{self, Change, Effect, FieldChange, Hold, Step, Verb};
use crate::render::phrase::Phrase;
use crate::report::Outcome;

/// One line of a tenant's plan: a step, or several that say the same of objects in different namespaces.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) object: Phrase,
    pub(super) says: Phrase,
    pub(super) fields: Vec<Phrase>,
    /// It widens somebody's access, and is not held.
    pub(super) wider: bool,
}

/// What becomes, or became, of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Planned(Verb),
    Held(Verb),
    Done(Verb),
    Failed(Verb),
    Skipped(Verb),
    Waiting(Verb),
}

impl Mark {
    pub(super) fn of(step: &Step) -> Self {
        match step.hold {
            Some(_) => Self::Held(step.change.verb()),
            None => Self::Planned(step.change.verb()),
        }
    }

    fn of_outcome(step: &Step, outcome: &Outcome) -> Self {
        let verb = step.change.verb();
        match outcome {
            Outcome::Done => Self::Done(verb),
            Outcome::Failed { .. } => Self::Failed(verb),
            Outcome::Skipped { .. } => Self::Skipped(verb),
            Outcome::Held(_) => Self::Held(verb),
            Outcome::Waiting => Self::Waiting(verb),
        }
    }

    pub(super) fn emoji(self) -> &'static str {
        match self {
            Self::Planned(Verb::Create) => "➕",
            Self::Planned(Verb::Adopt) => "🤝",
            Self::Planned(Verb::Update) => "✏️",
            Self::Planned(Verb::Remove) | Self::Held(_) => "⛔",
            Self::Done(_) => "✅",
            Self::Failed(_) => "❌",
            Self::Skipped(_) => "⏸️",
            Self::Waiting(_) => "⏳",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Planned(verb) => planned_word(verb),
            Self::Held(Verb::Create) => "held create",
            Self::Held(Verb::Adopt) => "held adopt",
            Self::Held(Verb::Update) => "held change",
            Self::Held(Verb::Remove) => "held removal",
            Self::Done(Verb::Create) => "created",
            Self::Done(Verb::Adopt) => "adopted",
            Self::Done(Verb::Update) => "changed",
            Self::Done(Verb::Remove) => "removed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "not tried",
            Self::Waiting(_) => "waits",
        }
    }

    /// One character, for terminals.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Planned(Verb::Create) | Self::Held(Verb::Create) => '+',
            Self::Planned(Verb::Adopt) | Self::Held(Verb::Adopt) => '=',
            Self::Planned(Verb::Update) | Self::Held(Verb::Update) => '~',
            Self::Planned(Verb::Remove) | Self::Held(Verb::Remove) => '-',
            Self::Done(_) => '✓',
            Self::Failed(_) => '✗',
            Self::Skipped(_) => '·',
            Self::Waiting(_) => '…',
        }
    }
}

fn planned_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Adopt => "adopt",
        Verb::Update => "change",
        Verb::Remove => "remove",
    }
}

/// A row for each step.
pub(super) fn each<'a>(steps: impl IntoIterator<Item = &'a Step>, wanted: &Objects) -> Vec<Row> {
    let spoken = steps.into_iter().map(|step| Spoken::of_step(step, wanted));
    spoken.map(Spoken::into_row).collect()
}

/// The object of a step, as its row names it.
pub(super) fn object(step: &Step) -> Phrase {
    Spoken::with(step, Mark::of(step), Phrase::new())
        .into_row()
        .object
}

/// The same with what is alike in several namespaces told once.
pub(super) fn grouped<'a>(steps: impl IntoIterator<Item = &'a Step>, wanted: &Objects) -> Vec<Row> {
    merged(steps.into_iter().map(|step| Spoken::of_step(step, wanted)))
}

pub(super) fn each_outcome<'a>(
    outcomes: impl IntoIterator<Item = &'a (Step, Outcome)>,
    wanted: &Objects,
) -> Vec<Row> {
    let spoken = outcomes
        .into_iter()
        .map(|outcome| Spoken::of_outcome(outcome, wanted));
    spoken.map(Spoken::into_row).collect()
}

pub(super) fn grouped_outcomes<'a>(
    outcomes: impl IntoIterator<Item = &'a (Step, Outcome)>,
    wanted: &Objects,
) -> Vec<Row> {
    merged(
        outcomes
            .into_iter()
            .map(|outcome| Spoken::of_outcome(outcome, wanted)),
    )
}

/// The steps that people see: the `Tenant` object is bookkeeping, unless nothing else changes.
pub(super) fn shown<'a>(steps: impl Iterator<Item = &'a Step> + Clone) -> Vec<&'a Step> {
    let others: Vec<_> = steps.clone().filter(|step| !is_memory(&step.id)).collect();
    if others.is_empty() {
        steps.collect()
    } else {
        others
    }
}

/// The same of what was done.
pub(super) fn shown_outcomes(outcomes: &[(Step, Outcome)]) -> Vec<&(Step, Outcome)> {
    let others: Vec<_> = outcomes
        .iter()
        .filter(|(step, _)| !is_memory(&step.id))
        .collect();
    let failed = |(_, outcome): &&(Step, Outcome)| matches!(outcome, Outcome::Failed { .. });
    if others.is_empty()
        || outcomes
            .iter()
            .any(|one| is_memory(&one.0.id) && failed(&one))
    {
        outcomes.iter().collect()
    } else {
        others
    }
}

pub(super) fn is_memory(id: &ObjectId) -> bool {
    matches!(
        id,
        ObjectId::Manifest(ManifestId {
            kind: Kind::Tenant,
            ..
        })
    )
}

/// How many steps, and on which side: `repository, 2 teams, 3 Namespaces`, in the order of work.
pub(super) fn order_of_work<'a>(
    steps: impl Iterator<Item = &'a Step>,
) -> Vec<(usize, &'static str)> {
    let mut nouns: BTreeMap<&'static str, (&ObjectId, usize)> = BTreeMap::new();
    for step in steps {
        let entry = nouns.entry(step.id.noun()).or_insert((&step.id, 0));
        entry.0 = entry.0.min(&step.id);
        entry.1 += 1;
    }
    let mut counts: Vec<_> = nouns
        .into_iter()
        .map(|(noun, (first, count))| (first, count, noun))
        .collect();
    counts.sort();
    counts
        .into_iter()
        .map(|(_, count, noun)| (count, noun))
        .collect()
}

/// What is said of one step, with the part that may differ between rows of one group kept apart.
struct Spoken {
    mark: Mark,
    noun: &'static str,
    /// Cluster-scoped: the name is what differs. In a namespace: the namespace is.
    name: String,
    namespace: Option<String>,
    groups: bool,
    says: Phrase,
    fields: Vec<Phrase>,
    wider: bool,
}

impl Spoken {
    fn of_step(step: &Step, wanted: &Objects) -> Self {
        let says = step
            .hold
            .and_then(reason)
            .into_iter()
            .fold(says(step, wanted), Phrase::aside);
        Self::with(step, Mark::of(step), says)
    }

    fn of_outcome((step, outcome): &(Step, Outcome), wanted: &Objects) -> Self {
        let says = match outcome {
            Outcome::Done => says(step, wanted),
            Outcome::Waiting => says(step, wanted).aside(waits_for(step)),
            Outcome::Failed { error, .. } => Phrase::new().message(error),
            Outcome::Skipped { because } => Phrase::new()
                .words(format!("because {} ", because.noun()))
                .name(because)
                .words(" failed"),
            Outcome::Held(hold) => reason(*hold)
                .into_iter()
                .fold(says(step, wanted), Phrase::aside),
        };
        Self::with(step, Mark::of_outcome(step, outcome), says)
    }

    fn with(step: &Step, mark: Mark, says: Phrase) -> Self {
        let (name, namespace, groups) = match &step.id {
            ObjectId::Manifest(ManifestId {
                namespace, name, ..
            }) => (name.clone(), namespace.clone(), true),
            ObjectId::TeamAccess { team, .. } => (team.to_string(), None, false),
            ObjectId::Collaborator { login, .. } => (login.to_string(), None, false),
            ObjectId::DeployKey { repository, .. } => (repository.to_string(), None, false),
            ObjectId::StrangeKey { title, .. } | ObjectId::FormerKey { title, .. } => {
                (title.clone(), None, false)
            }
            ObjectId::Repository(_) | ObjectId::Credentials { .. } => {
                (step.id.to_string(), None, false)
            }
        };
        Self {
            mark,
            noun: noun(&step.id),
            name,
            namespace,
            groups,
            says,
            fields: fields(step),
            wider: step.effect == Effect::Wider && matches!(mark, Mark::Planned(_)),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.groups
            && self.noun == other.noun
            && self.mark == other.mark
            && self.namespace.is_some() == other.namespace.is_some()
            && (self.namespace.is_none() || self.name == other.name)
            && self.says == other.says
            && self.fields == other.fields
            && self.wider == other.wider
    }

    fn into_row(self) -> Row {
        let name = match self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name,
        };
        Row {
            mark: self.mark,
            object: Phrase::new().words(self.noun).words(" ").name(name),
            says: self.says,
            fields: self.fields,
            wider: self.wider,
        }
    }
}

fn merged(spoken: impl Iterator<Item = Spoken>) -> Vec<Row> {
    let mut groups: Vec<Vec<Spoken>> = Vec::new();
    for one in spoken {
        // Alike steps stand near each other in the order of work, so few groups are looked through.
        match groups
            .iter_mut()
            .rev()
            .take(30)
            .find(|group| group[0].is_like(&one))
        {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.into_iter().map(row_of_group).collect()
}

fn row_of_group(mut group: Vec<Spoken>) -> Row {
    if group.len() == 1 {
        return group.remove(0).into_row();
    }
    let namespaces: Vec<_> = group
        .iter()
        .filter_map(|one| one.namespace.clone())
        .collect();
    let names: Vec<_> = group.iter().map(|one| one.name.clone()).collect();
    let first = group.swap_remove(0);
    let object = Phrase::new().words(first.noun).words(" ");
    Row {
        mark: first.mark,
        object: if namespaces.is_empty() {
            object.names(&names)
        } else {
            object.name(first.name).words(" in ").names(&namespaces)
        },
        says: first.says,
        fields: first.fields,
        wider: first.wider,
    }
}

/// Why it is held, where mark and tenant do not say it already.
fn reason(hold: Hold) -> Option<&'static str> {
    match hold {
        Hold::Problem => None,
        Hold::Removal => Some("stays"),
        Hold::Narrower => Some("stays: no right is narrowed yet"),
        Hold::NotNamed => Some("stays: the file does not name it"),
        Hold::Unannounced => Some("waits: no plan comment announced this wider access"),
        Hold::NotLockedDown => Some("waits: Flux is not locked down"),
    }
}

/// What is held for this reason, and what a person does about it.
pub(super) fn hold_words(hold: Hold) -> &'static str {
    match hold {
        Hold::Removal => "no longer wanted by the file; nothing is removed yet",
        Hold::Narrower => "less access than before; no right is narrowed yet",
        Hold::NotNamed => "not named by the file; nothing is revoked yet",
        Hold::Unannounced => "wider access that no plan comment announced",
        Hold::NotLockedDown => "access to a cluster whose Flux is not locked down",
        Hold::Problem => "something is wrong with the entry",
    }
}

/// What a person does about it.
pub(super) fn way_out(hold: Hold) -> &'static str {
    match hold {
        Hold::Removal => {
            "To keep it, put it back into the file; to be rid of it now, a person removes it by hand."
        }
        Hold::Narrower => "To narrow a right now, a person does it by hand, to what the file says.",
        Hold::NotNamed => "Name it in the file to keep it, or take it away by hand.",
        Hold::Unannounced => {
            "Wider access needs a plan comment first: undo the entry's change, and make it again in a pull request."
        }
        Hold::NotLockedDown => "It is done by itself once Flux is locked down.",
        Hold::Problem => "Correct the entry, or what the problem names; then it is done.",
    }
}

fn noun(id: &ObjectId) -> &'static str {
    match id {
        id if is_memory(id) => "the remembered entry of",
        ObjectId::DeployKey { .. } => "deploy key on",
        id => id.noun(),
    }
}

fn says(step: &Step, wanted: &Objects) -> Phrase {
    match &step.change {
        Change::Create => of_object(&step.id, wanted),
        Change::Adopt(_) => of_object(&step.id, wanted).aside("exists and is taken over"),
        Change::Update(fields) => of_update(&step.id, fields),
        Change::Remove(from) => of_found(&step.id, from),
    }
}

fn of_object(id: &ObjectId, wanted: &Objects) -> Phrase {
    let Some(object) = wanted.get(id) else {
        return Phrase::new();
    };
    match (id, object) {
        (_, Object::Repository(repository)) => of_repository(repository),
        (
            ObjectId::TeamAccess { repository, .. } | ObjectId::Collaborator { repository, .. },
            Object::TeamAccess(Access { permission }) | Object::Collaborator(Access { permission }),
        ) => gets(permission.as_str()).words(" on ").name(repository),
        (_, Object::Credentials(_)) => {
            Phrase::new().words("a key pair that is made here and shown nowhere")
        }
        (_, Object::DeployKey(key) | Object::StrangeKey(key) | Object::FormerKey(key)) => {
            of_key(key)
        }
        (ObjectId::Manifest(id), Object::Manifest(value)) => of_manifest(id, value),
        _ => Phrase::new(),
    }
}

fn of_found(id: &ObjectId, found: &Object) -> Phrase {
    match (id, found) {
        (
            ObjectId::TeamAccess { repository, .. } | ObjectId::Collaborator { repository, .. },
            Object::TeamAccess(Access { permission }) | Object::Collaborator(Access { permission }),
        ) => Phrase::new()
            .words("has ")
            .strong(permission)
            .words(" on ")
            .name(repository),
        (
            ObjectId::StrangeKey {
                repository,
                fingerprint,
                ..
            },
            Object::StrangeKey(key),
        ) => of_key(key)
            .words(" on ")
            .name(repository)
            .aside("another's, with fingerprint ")
            .name(fingerprint),
        (
            ObjectId::FormerKey {
                repository,
                fingerprint,
                ..
            },
            Object::FormerKey(key),
        ) => of_key(key)
            .words(" on ")
            .name(repository)
            .aside("not in use any more, with fingerprint ")
            .name(fingerprint),
        _ => Phrase::new(),
    }
}

fn waits_for(step: &Step) -> &'static str {
    if step.change.is_wanted() {
        "once the key before it is gone"
    } else {
        "once Flux has fetched with the one in use"
    }
}

/// What the fields alone would say less well.
fn of_update(id: &ObjectId, fields: &[FieldChange]) -> Phrase {
    let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), shown_value);
    match (id, fields) {
        (ObjectId::TeamAccess { repository, .. }, [field]) if field.path == "permission" => {
            gets(&text(&field.after))
                .words(" instead of ")
                .strong(text(&field.before))
                .words(" on ")
                .name(repository)
        }
        (ObjectId::DeployKey { .. }, fields) => {
            let phrase = Phrase::new()
                .words("another takes its place; it goes once Flux has fetched with the new one");
            fields
                .iter()
                .fold(phrase, |phrase, field| match field.path.as_str() {
                    plan::MADE => phrase.aside("registered ").name(text(&field.before)),
                    plan::ASKED => phrase.aside("somebody has asked for it"),
                    _ => phrase,
                })
        }
        (ObjectId::Credentials { .. }, [field]) if field.path == "knownHosts" => {
            Phrase::new().words("GitHub's host keys have changed")
        }
        _ => Phrase::new(),
    }
}

fn fields(step: &Step) -> Vec<Phrase> {
    // The sentence says it already, or the file that changed does.
    let said = matches!(step.id, ObjectId::TeamAccess { .. }) || is_memory(&step.id);
    let reasons = [plan::MADE, plan::ASKED];
    let said = |field: &&FieldChange| said || reasons.contains(&field.path.as_str());
    let fields = step.change.fields().iter().filter(|field| !said(field));
    fields.map(of_field).collect()
}

fn of_field(field: &FieldChange) -> Phrase {
    let value = |phrase: Phrase, value: &Option<Value>| match value {
        Some(Value::String(text)) if text.is_empty() => phrase.words("empty"),
        Some(value) => phrase.name(shown_value(value)),
        None => phrase.words("not set"),
    };
    let phrase = value(Phrase::new().name(&field.path).words(": "), &field.before);
    value(phrase.words(" → "), &field.after)
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn gets(permission: &str) -> Phrase {
    Phrase::new().words("gets ").strong(permission)
}

fn of_repository(repository: &Repository) -> Phrase {
    let mut phrase = Phrase::new().words(repository.visibility);
    if let Some(branch) = &repository.default_branch {
        phrase = phrase.words(", branch ").name(branch);
    }
    match &repository.description {
        Some(description) => phrase.words(", described as ").name(description),
        None => phrase,
    }
}

fn of_key(key: &DeployKey) -> Phrase {
    if key.read_only {
        Phrase::new().words("read-only")
    } else {
        Phrase::new().strong("reads and writes")
    }
}

fn of_manifest(id: &ManifestId, manifest: &Value) -> Phrase {
    let spec = &manifest["spec"];
    match id.kind {
        Kind::Namespace => of_namespace(manifest),
        Kind::LimitRange => settings(&spec["limits"][0]),
        Kind::ResourceQuota => settings(&spec["hard"]),
        Kind::NetworkPolicy => of_network_policy(spec),
        Kind::RoleBinding => of_binding(manifest, id.namespace.as_deref()),
        Kind::GitRepository => of_source(spec),
        Kind::Kustomization => of_sync(spec),
        Kind::ServiceAccount => Phrase::new().words("mounts no token"),
        Kind::Tenant => Phrase::new(),
    }
}

fn of_namespace(namespace: &Value) -> Phrase {
    match namespace["metadata"]["labels"][POD_SECURITY].as_str() {
        Some(level) => Phrase::new().words("Pod Security ").name(level),
        None => Phrase::new(),
    }
}

/// `pods` `0`, `requests.cpu` `12`.
fn settings(map: &Value) -> Phrase {
    let mut phrase = Phrase::new();
    for (key, value) in map
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "type")
    {
        if !phrase.is_empty() {
            phrase = phrase.words(", ");
        }
        phrase = phrase.name(key);
        phrase = if value.is_object() {
            phrase.words(": ").then(settings(value))
        } else {
            phrase.words(" ").name(shown_value(value))
        };
    }
    phrase
}

fn of_network_policy(spec: &Value) -> Phrase {
    let has = |direction: &str| spec[direction].is_array();
    let words = match (has("ingress"), has("egress")) {
        (_, true) => "allows traffic within the tenant, DNS and the internet",
        (true, false) => "allows traffic from within the tenant",
        (false, false) => "closes what nothing allows",
    };
    Phrase::new().words(words)
}

fn of_binding(binding: &Value, namespace: Option<&str>) -> Phrase {
    let mut phrase = Phrase::new();
    for subject in binding["subjects"].as_array().into_iter().flatten() {
        if !phrase.is_empty() {
            phrase = phrase.words(", ");
        }
        let (kind, name) = (
            subject["kind"].as_str(),
            subject["name"].as_str().unwrap_or_default(),
        );
        let elsewhere = subject["namespace"]
            .as_str()
            .filter(|own| Some(*own) != namespace);
        phrase = match kind {
            Some("Group") => phrase.words("group "),
            Some("User") => phrase.words("user "),
            _ => phrase.words("ServiceAccount "),
        };
        phrase = match elsewhere {
            Some(elsewhere) => phrase.name(format!("{elsewhere}/{name}")),
            None => phrase.name(name),
        };
    }
    let role = binding["roleRef"]["name"].as_str().unwrap_or_default();
    let verb = if binding["subjects"]
        .as_array()
        .is_some_and(|subjects| subjects.len() > 1)
    {
        " get "
    } else {
        " gets "
    };
    phrase.words(verb).name(role)
}

fn of_source(spec: &Value) -> Phrase {
    let text = |pointer: &str| spec.pointer(pointer).map(shown_value).unwrap_or_default();
    Phrase::new()
        .words("fetches branch ")
        .name(text("/ref/branch"))
        .words(" every ")
        .words(duration(&text("/interval")))
        .then(suspended(spec))
}

fn of_sync(spec: &Value) -> Phrase {
    let text = |pointer: &str| spec.pointer(pointer).map(shown_value).unwrap_or_default();
    let prune = if spec["prune"] == true {
        ", prunes"
    } else {
        ""
    };
    Phrase::new()
        .words("applies ")
        .name(text("/path"))
        .words(" as ServiceAccount ")
        .name(text("/serviceAccountName"))
        .words(prune)
        .then(suspended(spec))
}

/// Our own spelling of a duration is digits and letters; anything else came from elsewhere and is not words.
fn duration(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn suspended(spec: &Value) -> Phrase {
    if spec["suspend"] == true {
        Phrase::new().words(", ").strong("suspended")
    } else {
        Phrase::new()
    }
}
