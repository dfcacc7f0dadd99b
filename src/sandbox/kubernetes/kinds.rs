//! The kinds that the cluster knows: the built-in ones, and those that a `CustomResourceDefinition` declares.

mod builtin;
mod definition;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::schema::Schema;

pub(super) use definition::{condition, from_definition};

/// One kind in one version: where it is served, how it is shown, what it may hold.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own about a kind"
)]
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) plural: String,
    pub(super) singular: String,
    pub(super) short_names: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) is_namespaced: bool,
    pub(super) has_status: bool,
    pub(super) generation: Generation,
    /// Whether objects are kept; a review is only answered.
    pub(super) is_stored: bool,
    pub(super) is_custom: bool,
    pub(super) columns: Vec<Column>,
    pub(super) schema: Schema,
}

/// What makes `metadata.generation` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// The kind has none.
    None,
    /// A change of the spec alone.
    Spec,
    /// A change of anything but metadata, and of status where that is a subresource.
    Content,
}

/// A column of `kubectl get`.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) format: String,
    pub(super) description: String,
    pub(super) priority: i64,
    pub(super) source: Source,
}

/// Where a cell comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A definition's `jsonPath`.
    Path(String),
    /// One of our own, for built-in kinds.
    Built(fn(&Value) -> Value),
    /// The time since it was made.
    Age,
}

/// Which objects stand together: `(group, plural)`, whatever the version.
pub(super) type ShelfId = (String, String);

impl Resource {
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `rolebindings.rbac.authorization.k8s.io`.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `RoleBinding.rbac.authorization.k8s.io`.
    pub(super) fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.clone()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    pub(super) fn shelf(&self) -> ShelfId {
        (self.group.clone(), self.plural.clone())
    }

    pub(super) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// All kinds, by group, version and plural.
#[derive(Debug)]
pub(super) struct Kinds(BTreeMap<(String, String, String), Arc<Resource>>);

impl Kinds {
    pub(super) fn built_in() -> Self {
        let mut kinds = Self(BTreeMap::new());
        for resource in builtin::all() {
            kinds.add(resource);
        }
        kinds
    }

    pub(super) fn add(&mut self, resource: Resource) {
        let key = (
            resource.group.clone(),
            resource.version.clone(),
            resource.plural.clone(),
        );
        self.0.insert(key, Arc::new(resource));
    }

    /// Takes away all versions of a kind.
    pub(super) fn remove(&mut self, group: &str, plural: &str) {
        self.0.retain(|_, resource| !resource.is(group, plural));
    }

    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.0.get(&key).cloned()
    }

    /// The resource of an object by its own apiVersion and kind.
    pub(super) fn of_object(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let found = self.0.values().find(|resource| {
            resource.kind == kind && resource.group == group && resource.version == version
        });
        found.cloned()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.0.values()
    }

    /// One resource for each shelf of objects in namespaces.
    pub(super) fn namespaced(&self) -> Vec<Arc<Resource>> {
        let mut found: Vec<Arc<Resource>> = Vec::new();
        for resource in self.all() {
            let is_known = found
                .iter()
                .any(|other| other.is(&resource.group, &resource.plural));
            if resource.is_namespaced && resource.is_stored && !is_known {
                found.push(Arc::clone(resource));
            }
        }
        found
    }
}
