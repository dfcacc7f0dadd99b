//! The cluster as a house: each tenant with its rooms, what stands in them, and any object as YAML.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use maud::{Markup, html};
use serde_json::Value;

use super::icon::{Icon, Mood, badge, icon};
use super::kubernetes::{INSIDE, Kind, NAMESPACES, SECRETS, TENANTS, tenant_of};
use super::place::{ObjectPlace, Place};
use super::trouble::Trouble;
use super::{Page, Site, yaml};

/// Conditions of a Tenant, in the order in which they come true.
const CONDITIONS: [&str; 5] = ["Accepted", "Applied", "Fetched", "Contained", "Live"];

/// Tenants that can be seen without looking for them.
const FEW: usize = 3;

/// A tenant and its namespaces.
#[derive(Default)]
struct Tenant {
    /// Nothing where only its traces are left.
    object: Option<Value>,
    rooms: Vec<Room>,
}

struct Room {
    namespace: Value,
    /// By kind, as listed in [`INSIDE`].
    objects: Vec<Vec<Value>>,
}

pub(super) async fn page(site: &Site) -> Result<Page, Trouble> {
    let cluster = &site.cluster;
    let inside = try_join_all(INSIDE.map(|kind| cluster.ours(kind)));
    let (tenants, namespaces, inside) =
        tokio::try_join!(cluster.all(TENANTS), cluster.all(NAMESPACES), inside,)?;
    let (house, others) = house(tenants, namespaces, &inside);
    let body = html! {
        header class="head" {
            h1 { "Cluster" }
            p class="lead" {
                "Each tenant has its own rooms: a control room where no pod runs, with the key and the Flux objects, and the namespaces that its entry lists."
            }
        }
        @if house.is_empty() { p class="empty" { "No tenant lives here yet." } }
        (index(&house))
        @for (name, tenant) in &house { (tenant_shown(name, tenant)) }
        (others_shown(&others))
    };
    Ok(Page {
        title: "Cluster".to_owned(),
        body,
    })
}

/// The way to each tenant, where there are so many that one would have to look for it.
fn index(house: &BTreeMap<String, Tenant>) -> Markup {
    html! {
        @if house.len() > FEW {
            nav aria-label="Tenants" {
                ul class="index" {
                    @for name in house.keys() { li { a class="chip" href={ "#tenant-" (name) } { (name) } } }
                }
            }
        }
    }
}

/// Tenants by name with their rooms, and the names of namespaces that belong to none.
fn house(
    tenants: Vec<Value>,
    namespaces: Vec<Value>,
    inside: &[Vec<Value>],
) -> (BTreeMap<String, Tenant>, Vec<String>) {
    let mut house: BTreeMap<String, Tenant> = BTreeMap::new();
    let mut others = Vec::new();
    for object in tenants {
        let name = name(&object).to_owned();
        house.entry(name).or_default().object = Some(object);
    }
    for namespace in namespaces {
        let room = name(&namespace).to_owned();
        let Some(owner) = tenant_of(&namespace).map(ToOwned::to_owned) else {
            others.push(room);
            continue;
        };
        let here = |objects: &Vec<Value>| {
            let objects = objects.iter();
            let objects = objects.filter(|one| one["metadata"]["namespace"] == room.as_str());
            objects.cloned().collect()
        };
        let rooms = &mut house.entry(owner).or_default().rooms;
        rooms.push(Room {
            objects: inside.iter().map(here).collect(),
            namespace,
        });
    }
    for (name, tenant) in &mut house {
        let control = control_room(name);
        tenant
            .rooms
            .sort_by_key(|room| (room.name() != control, room.name().to_owned()));
    }
    (house, others)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn control_room(tenant: &str) -> String {
    format!("tenant-{tenant}")
}

impl Room {
    fn name(&self) -> &str {
        name(&self.namespace)
    }
}

fn place(kind: Kind, object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str();
    Place::Object(ObjectPlace {
        plural: kind.plural.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        name: name(object).to_owned(),
    })
    .address()
}

fn tenant_shown(name: &str, tenant: &Tenant) -> Markup {
    let control = control_room(name);
    html! {
        section class="tenant" aria-labelledby={ "tenant-" (name) } {
            div class="title" {
                h2 id={ "tenant-" (name) } { (name) }
                @match &tenant.object {
                    Some(object) => {
                        p class="facts" { (conditions(object)) a href=(place(TENANTS, object)) { "Tenant object" } }
                    },
                    None => (badge(Mood::Waiting, Icon::Dots, "without a Tenant object")),
                }
            }
            div class="rooms" {
                @for room in &tenant.rooms { (room_shown(room, room.name() == control)) }
            }
        }
    }
}

/// The conditions that the Tenant has, in order.
fn conditions(object: &Value) -> Markup {
    let found = object["status"]["conditions"].as_array();
    let find = |kind: &str| found?.iter().find(|one| one["type"] == kind);
    html! {
        @for kind in CONDITIONS {
            @if let Some(condition) = find(kind) {
                span title=(condition["message"].as_str().unwrap_or_default()) {
                    @match condition["status"].as_str() {
                        Some("True") => (badge(Mood::Good, Icon::Check, kind)),
                        Some("False") => (badge(Mood::Bad, Icon::Cross, &format!("not {kind}"))),
                        _ => (badge(Mood::Waiting, Icon::Dots, &format!("{kind} unknown"))),
                    }
                }
            }
        }
    }
}

fn room_shown(room: &Room, control: bool) -> Markup {
    let ending = room.namespace["status"]["phase"] == "Terminating";
    html! {
        article class="card room" id={ "room-" (room.name()) } {
            header {
                h3 { (icon(Icon::Room)) a href=(place(NAMESPACES, &room.namespace)) { (room.name()) } }
                span class="quiet" { @if control { "control room" } @else { "workloads" } }
                @if ending { (badge(Mood::Waiting, Icon::Dots, "ending")) }
            }
            ul {
                @for (kind, objects) in INSIDE.iter().zip(&room.objects) {
                    @for object in objects {
                        li {
                            span class="kind" { (kind.name) }
                            a href=(place(*kind, object)) { (name(object)) }
                            (readiness(object))
                        }
                    }
                }
            }
        }
    }
}

/// What the condition `Ready` says, for what has one.
fn readiness(object: &Value) -> Markup {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
    html! {
        @if let Some(ready) = ready {
            @match ready["status"].as_str() {
                Some("True") => (badge(Mood::Good, Icon::Check, "ready")),
                Some("False") => (badge(Mood::Bad, Icon::Cross, "not ready")),
                _ => (badge(Mood::Waiting, Icon::Dots, "in progress")),
            }
        }
    }
}

fn others_shown(others: &[String]) -> Markup {
    html! {
        @if !others.is_empty() {
            section {
                h2 { "Nobody’s rooms" }
                p class="quiet" { "Namespaces that Tenantry did not make: it neither changes nor removes them." }
                p class="facts" { @for name in others { span class="chip" { (name) } } }
            }
        }
    }
}

// ── one object ──

pub(super) async fn object_page(site: &Site, place: &ObjectPlace) -> Result<Page, Trouble> {
    let kind = Kind::of(&place.plural)
        .ok_or_else(|| Trouble::missing("These pages do not know this kind of object."))?;
    let object = site
        .cluster
        .object(kind, place.namespace.as_deref(), &place.name)
        .await?;
    let text = serde_yaml::to_string(&fit_to_show(object.clone(), kind));
    let text = text.expect("JSON can be written as YAML");
    let messages = object["status"]["conditions"].as_array();
    let body = html! {
        header class="head" {
            p class="above" {
                a href=(Place::Cluster.address()) { "Cluster" }
                @if let Some(namespace) = &place.namespace { " / " (namespace) }
            }
            h1 { (kind.name) " " (place.name) }
        }
        @if let Some(conditions) = messages {
            section {
                h2 { "Conditions" }
                ul class="rows" { @for one in conditions { (condition_row(one)) } }
            }
        }
        section {
            h2 { "YAML" }
            @if kind == SECRETS {
                p class="quiet" { "What is secret is not shown: only which keys there are, and how long." }
            }
            (yaml::numbered(&text, &format!("{} {} as YAML", kind.name, place.name)))
        }
    };
    Ok(Page {
        title: format!("{} {}", kind.name, place.name),
        body,
    })
}

fn condition_row(condition: &Value) -> Markup {
    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    html! {
        li {
            p class="name" {
                strong { (text("type")) }
                @match condition["status"].as_str() {
                    Some("True") => (badge(Mood::Good, Icon::Check, "true")),
                    Some("False") => (badge(Mood::Bad, Icon::Cross, "false")),
                    _ => (badge(Mood::Waiting, Icon::Dots, "unknown")),
                }
                span class="quiet" { (text("reason")) }
            }
            p { (text("message")) }
        }
    }
}

/// Without the server's own book-keeping, and without what is secret.
fn fit_to_show(mut object: Value, kind: Kind) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            // kubectl keeps a copy of all of it there.
            annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    if kind == SECRETS {
        for part in ["data", "stringData"] {
            let values = object.get_mut(part).and_then(Value::as_object_mut);
            for value in values.into_iter().flatten() {
                *value.1 = Value::String(hidden(value.1));
            }
        }
    }
    object
}

/// How much is hidden.
fn hidden(value: &Value) -> String {
    let encoded = value.as_str().unwrap_or_default();
    let length = STANDARD
        .decode(encoded)
        .map_or(encoded.len(), |bytes| bytes.len());
    format!("({length} bytes, hidden)")
}

#[cfg(test)]
mod tests;
