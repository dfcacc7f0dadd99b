//! From the text to what is sound in it and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Lines, Place};
use super::entry::Entry;
use super::format::Format;
use super::keys::{DEFAULTS, FILE};
use super::layers::Layers;
use super::rules::{self, File};
use super::tree::{self, Node};
use super::{Tenants, shape};
use crate::names::{FullName, Login};

/// What the file is read for: the same text can be right in one control repo and wrong in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub control_repository: FullName,
    /// Organisations other than the control repo's owner that the file may name.
    pub organizations: BTreeSet<Login>,
}

impl Context {
    /// For a file that belongs to no control repo yet: it may name any one organisation.
    pub fn unknown(text: &str) -> Self {
        let organization = tree::read(text, &mut Vec::new()).and_then(|file| {
            let organization: Option<Login> =
                Layers::new(&FILE, file.as_map()).optional("organization");
            organization
        });
        let parsed = "organization/control-repository-yet-unknown".parse();
        let placeholder: FullName = parsed.expect("the placeholder is a repository's name");
        Self {
            control_repository: FullName {
                owner: organization.unwrap_or(placeholder.owner),
                name: placeholder.name,
            },
            organizations: BTreeSet::new(),
        }
    }
}

/// A file, read. With any finding, nothing of the file may be applied: `sound` is there to be looked up.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub sound: Tenants,
    /// In the order of the file; empty if the file is valid.
    pub findings: Vec<Diagnostic>,
    /// Spans in bytes, of unsound entries too.
    pub places: BTreeMap<Place, Range<usize>>,
    lines: Lines,
}

impl Parsed {
    /// The line, from 1, that a place of this file is in.
    pub fn line(&self, place: &Place) -> Option<usize> {
        let span = self.places.get(place)?;
        Some(self.lines.line(span.start))
    }
}

/// Reads the file and finds everything that is wrong in it, without looking anywhere else.
pub fn parse(text: &str, context: &Context) -> Parsed {
    let mut findings = Vec::new();
    let root = tree::read(text, &mut findings);
    if let Some(root) = &root {
        shape::check(root, &FILE, &mut findings);
    }
    let file = file(root.as_ref(), context);
    findings.extend(rules::RULES.iter().flat_map(|rule| rule(&file)));
    findings.sort_by(|one, other| order(one).cmp(&order(other)));
    findings.dedup();
    Parsed {
        places: places(&file.entries),
        lines: Lines::of(text),
        sound: sound(file, &findings),
        findings,
    }
}

fn order(diagnostic: &Diagnostic) -> (usize, usize, &str) {
    let Range { start, end } = diagnostic.span;
    (start, end, &diagnostic.message)
}

fn file<'a>(root: Option<&'a Node>, context: &'a Context) -> File<'a> {
    let map = root.and_then(Node::as_map);
    let settings = Layers::new(&FILE, map);
    let named: Option<Login> = settings.optional("organization");
    let organization = named.unwrap_or_else(|| context.control_repository.owner.clone());
    let defaults = map
        .and_then(|map| map.get("defaults"))
        .and_then(Node::as_map);
    let defaults = Layers::new(&DEFAULTS, defaults);
    let nodes = settings.node("tenants").map_or(&[][..], Node::items);
    let entries = nodes
        .iter()
        .filter_map(|node| Entry::read(node, &defaults, &organization));
    File {
        context,
        entries: entries.collect(),
        protected_namespaces: protected_namespaces(&settings),
        organization,
        settings,
    }
}

fn protected_namespaces(settings: &Layers<'_>) -> Vec<String> {
    let patterns = settings
        .node("protectedNamespaces")
        .map_or(&[][..], Node::items);
    patterns
        .iter()
        .filter_map(Node::scalar)
        .filter(|pattern| Format::NamespacePattern.check(pattern).is_ok())
        .map(str::to_owned)
        .collect()
}

fn sound(file: File<'_>, findings: &[Diagnostic]) -> Tenants {
    let is_sound = |entry: &Entry<'_>| {
        let first = findings.partition_point(|finding| finding.span.start < entry.span.start);
        findings
            .get(first)
            .is_none_or(|finding| finding.span.start >= entry.span.end)
    };
    Tenants {
        max_removals_per_merge: file.settings.value("maxRemovalsPerMerge"),
        lockdown: file.settings.map("flux").value("lockdown"),
        organization: file.organization,
        protected_namespaces: file.protected_namespaces,
        tenants: file
            .entries
            .into_iter()
            .filter(is_sound)
            .map(|entry| (entry.tenant.name.clone(), Arc::new(entry.tenant)))
            .collect(),
    }
}

fn places(entries: &[Entry<'_>]) -> BTreeMap<Place, Range<usize>> {
    // Of two entries with one name the first counts, as in `sound`.
    entries.iter().rev().flat_map(places_of).collect()
}

fn places_of(entry: &Entry<'_>) -> Vec<(Place, Range<usize>)> {
    let tenant = &entry.tenant.name;
    let mut places = vec![
        (Place::Tenant(tenant.clone()), entry.name_span.clone()),
        (Place::Repository(tenant.clone()), entry.repository_span()),
    ];
    if let Some(template) = entry.settings.map("repository").node("template") {
        places.push((Place::Template(tenant.clone()), template.span.clone()));
    }
    if let Some(role) = entry.settings.node("reconcilerRole") {
        places.push((Place::ReconcilerRole(tenant.clone()), role.span.clone()));
    }
    for namespace in entry.namespaces.iter().rev() {
        let place = Place::Namespace(tenant.clone(), namespace.name.clone());
        places.push((place, namespace.span.clone()));
    }
    let group = entry.settings.node("groupName").map(|node| &node.span);
    for team in entry.teams.iter().rev() {
        let [team_place, group_place] =
            [Place::Team, Place::Group].map(|place| place(tenant.clone(), team.name.clone()));
        places.push((team_place, team.span.clone()));
        places.push((group_place, group.unwrap_or(&team.span).clone()));
    }
    let bindings = entry.items("additionalRoleBindings").enumerate();
    places.extend(
        bindings.map(|(index, node)| (Place::RoleBinding(tenant.clone(), index), node.head())),
    );
    places
}
