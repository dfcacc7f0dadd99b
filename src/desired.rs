//! A tenant's entry, told as every object that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::flux::{self, ControlNamespace};
use crate::names::TenantName;
use crate::object::{
    Access, Credentials, DeployKey, Kind, ManifestId, Object, ObjectId, Repository,
};
use crate::surroundings::Surroundings;
use crate::tenants::diagnostic::Place;
use crate::tenants::{Permission, Tenant};

/// All that a tenant's objects follow from. It is kept in their place: twenty objects are many times as large.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub entry: Arc<Tenant>,
    pub surroundings: Arc<Surroundings>,
    /// The one that last changed the entry.
    pub commit: Arc<str>,
}

pub type Objects = BTreeMap<ObjectId, Object>;

impl Wish {
    pub fn objects(&self) -> Objects {
        of(self).objects
    }
}

/// What is wanted of one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub tenant: TenantName,
    /// None where nothing is wanted.
    pub wish: Option<Wish>,
    pub objects: Objects,
    /// Those that may exist already and then be taken over.
    pub adopts: BTreeSet<ObjectId>,
    /// Where in the file an object comes from, if not from the entry as a whole.
    pub places: BTreeMap<ObjectId, Place>,
}

/// Nothing is wanted: the file has no such entry.
pub fn nothing(tenant: TenantName) -> Desired {
    Desired {
        tenant,
        wish: None,
        objects: BTreeMap::new(),
        adopts: BTreeSet::new(),
        places: BTreeMap::new(),
    }
}

/// Everything that the entry wants.
pub fn of(wish: &Wish) -> Desired {
    let Wish {
        entry: tenant,
        surroundings,
        commit,
    } = wish;
    let mut desired = Desired {
        wish: Some(wish.clone()),
        ..nothing(tenant.name.clone())
    };
    desired.insert_manifests(vec![flux::memory(tenant, surroundings, commit)]);
    add_repository(&mut desired, tenant, surroundings);
    if !tenant.namespaces.is_empty() {
        add_room(&mut desired, tenant, surroundings);
    }
    desired
}

impl Desired {
    fn insert_manifests(&mut self, manifests: Vec<(ManifestId, serde_json::Value)>) {
        let objects = manifests
            .into_iter()
            .map(|(id, value)| (ObjectId::Manifest(id), Object::Manifest(value)));
        self.objects.extend(objects);
    }
}

fn add_repository(desired: &mut Desired, tenant: &Tenant, surroundings: &Surroundings) {
    let repository = surroundings.repository(tenant);
    let id = ObjectId::Repository(repository.clone());
    let settings = &tenant.repository;
    desired.objects.insert(
        id.clone(),
        Object::Repository(Repository {
            visibility: settings.visibility,
            default_branch: Some(settings.branch.clone()),
            description: Some(tenant.description.clone())
                .filter(|description| !description.is_empty()),
            archived: false,
            initialized: true,
        }),
    );
    desired
        .places
        .insert(id.clone(), Place::Repository(tenant.name.clone()));
    if settings.adopt {
        desired.adopts.insert(id);
    }
    for (team, wanted) in &tenant.teams {
        let id = ObjectId::TeamAccess {
            repository: repository.clone(),
            team: team.clone(),
        };
        let permission = if tenant.suspended {
            Permission::Pull
        } else {
            wanted.permission
        };
        desired
            .places
            .insert(id.clone(), Place::Team(tenant.name.clone(), team.clone()));
        desired
            .objects
            .insert(id, Object::TeamAccess(Access { permission }));
    }
}

/// The namespaces and what is in them, and the key with which Flux fetches.
fn add_room(desired: &mut Desired, tenant: &Tenant, surroundings: &Surroundings) {
    let control = ControlNamespace::of(&tenant.name);
    desired.insert_manifests(flux::control_namespace(tenant, surroundings));
    desired.insert_manifests(flux::sync(tenant, surroundings));
    for (name, settings) in &tenant.namespaces {
        desired.insert_manifests(flux::workload_namespace(
            tenant,
            name,
            settings,
            surroundings,
        ));
        let id = ObjectId::Manifest(ManifestId {
            kind: Kind::Namespace,
            namespace: None,
            name: name.to_string(),
        });
        desired.places.insert(
            id.clone(),
            Place::Namespace(tenant.name.clone(), name.clone()),
        );
        if settings.adopt {
            desired.adopts.insert(id);
        }
    }
    desired.objects.insert(
        ObjectId::Credentials {
            namespace: control.to_string(),
        },
        Object::Credentials(Credentials {
            algorithm: tenant.deploy_key.algorithm.to_string(),
            known_hosts: surroundings.host_keys.clone(),
        }),
    );
    desired.objects.insert(
        ObjectId::DeployKey {
            repository: surroundings.repository(tenant),
            title: surroundings.key_title(&tenant.name),
        },
        Object::DeployKey(DeployKey {
            read_only: tenant.deploy_key.read_only,
        }),
    );
}
