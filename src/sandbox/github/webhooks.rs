//! Webhooks: who gets which event, signed and delivered in order, or held back by a test.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use serde_json::{Map, Value, json};

use super::super::wire;
use super::auth::reaches;
use super::clock;
use super::model::{AppRecord, Id, Installation, World};
use super::node_id::Node;
use super::traffic::Webhook;
use super::view;

/// GitHub gives a receiver this long to answer.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// One attempt to tell an App about an event.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: Id,
    /// The value of `X-GitHub-Delivery`; the same again in a redelivery.
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    pub payload: Value,
    pub outcome: Outcome,
    pub(super) app: Id,
    pub(super) redelivery: bool,
    /// What was said on the wire; nothing before it was tried.
    pub(super) attempt: Option<Attempt>,
}

/// A delivery on the wire.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) at: String,
    pub(super) took: Duration,
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    /// Nothing where nobody answered.
    pub(super) answer: Option<wire::Response>,
}

impl Delivery {
    /// Whether GitHub's list of deliveries has it.
    pub(super) fn was_attempted(&self) -> bool {
        self.attempt.is_some()
    }

    /// Status and status code as that list shows them.
    pub(super) fn status(&self) -> (&'static str, u16) {
        match self.outcome {
            Outcome::Answered(status @ 200..=299) => ("OK", status),
            Outcome::Answered(status) => ("Invalid HTTP Response", status),
            Outcome::Unreachable => ("failed to connect to host", 502),
            Outcome::Held | Outcome::Pending | Outcome::Dropped => ("timed out", 504),
        }
    }

    pub(super) fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(200..=299))
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A test holds it back.
    Held,
    /// Waits for its turn, or is on its way.
    Pending,
    /// The receiver answered with this status.
    Answered(u16),
    /// Nobody answered within GitHub's ten seconds.
    Unreachable,
    /// A test let it get lost.
    Dropped,
}

/// Everything about deliveries.
#[derive(Default)]
pub(super) struct Webhooks {
    pub(super) deliveries: Vec<Delivery>,
    queue: VecDeque<usize>,
    holding: bool,
    under_way: bool,
    /// The events of which the next delivery gets lost.
    losing: Vec<String>,
}

/// What an event is about, which decides who hears of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    pub(super) account: Option<Id>,
    pub(super) repository: Option<Id>,
    pub(super) only_app: Option<Id>,
}

impl About {
    pub(super) fn repository(id: Id) -> Self {
        Self {
            repository: Some(id),
            ..Self::default()
        }
    }
}

/// A signed request, ready to be sent.
pub(super) struct Parcel {
    index: usize,
    /// Whether it gets lost on the way.
    lost: bool,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// How the sending of a parcel ended.
pub(super) struct Arrived {
    index: usize,
    outcome: Outcome,
    attempt: Attempt,
}

impl Parcel {
    /// What goes over the wire, unless it gets lost.
    pub(super) fn as_sent(&self) -> Option<Webhook> {
        let headers = self.headers.iter();
        (!self.lost).then(|| Webhook {
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body: self.body.clone(),
        })
    }

    /// Sends it, unless it is to be lost.
    pub(super) async fn send(self) -> Arrived {
        let (at, started) = (clock::stamp_now(), Instant::now());
        let (outcome, answer) = if self.lost {
            (Outcome::Dropped, None)
        } else {
            self.try_once().await
        };
        let headers = self.headers.into_iter();
        let attempt = Attempt {
            at,
            took: started.elapsed(),
            url: self.url,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            answer,
        };
        Arrived {
            index: self.index,
            outcome,
            attempt,
        }
    }

    async fn try_once(&self) -> (Outcome, Option<wire::Response>) {
        let sending = wire::send("POST", &self.url, &self.headers, &self.body);
        match tokio::time::timeout(DELIVERY_TIMEOUT, sending).await {
            Ok(Ok(answer)) => (Outcome::Answered(answer.status), Some(answer)),
            Ok(Err(_)) | Err(_) => (Outcome::Unreachable, None),
        }
    }
}

impl Webhooks {
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.under_way
    }

    fn add(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
        if !self.holding {
            self.enqueue(self.deliveries.len() - 1);
        }
    }

    fn enqueue(&mut self, index: usize) {
        self.deliveries[index].outcome = Outcome::Pending;
        self.queue.push_back(index);
    }

    pub(super) fn hold(&mut self) {
        self.holding = true;
    }

    fn held(&self) -> Vec<usize> {
        (0..self.deliveries.len())
            .filter(|index| self.deliveries[*index].outcome == Outcome::Held)
            .collect()
    }

    /// Sends the held deliveries with these ids, in this order and as often as they are named;
    /// the others are lost. New ones flow again.
    pub(super) fn release(&mut self, order: &[Id]) {
        self.holding = false;
        let held = self.held();
        for id in order {
            let index = self.index_of(*id);
            self.enqueue(index);
        }
        for index in held {
            if self.deliveries[index].outcome == Outcome::Held {
                self.deliveries[index].outcome = Outcome::Dropped;
            }
        }
    }

    pub(super) fn release_all(&mut self) {
        self.holding = false;
        for index in self.held() {
            self.enqueue(index);
        }
    }

    pub(super) fn redeliver(&mut self, id: Id, fresh: Id) {
        let mut again = self.deliveries[self.index_of(id)].clone();
        again.id = fresh;
        again.outcome = Outcome::Held;
        again.redelivery = true;
        again.attempt = None;
        self.deliveries.push(again);
        self.enqueue(self.deliveries.len() - 1);
    }

    fn index_of(&self, id: Id) -> usize {
        self.deliveries
            .iter()
            .position(|delivery| delivery.id == id)
            .unwrap_or_else(|| panic!("no delivery has the id {id}"))
    }

    pub(super) fn finished(&mut self, arrived: Arrived) {
        self.under_way = false;
        let delivery = &mut self.deliveries[arrived.index];
        delivery.outcome = arrived.outcome;
        delivery.attempt = Some(arrived.attempt);
    }

    /// Lets the next delivery of an event get lost on its way.
    pub(super) fn lose_next(&mut self, event: &str) {
        self.losing.push(event.to_owned());
    }

    /// Whether this delivery is one that gets lost, which happens once.
    fn loses(&mut self, event: &str) -> bool {
        let place = self.losing.iter().position(|lost| lost == event);
        place.map(|place| self.losing.swap_remove(place)).is_some()
    }
}

impl World {
    /// Tells every App that may know, and asked to, of an event.
    pub(super) fn emit(&mut self, event: &str, about: About, sender: Id, payload: &Value) {
        let account = about
            .account
            .or_else(|| Some(self.repository(about.repository?).owner));
        let action = payload["action"].as_str().unwrap_or_default();
        let listeners: Vec<Id> = self
            .installations
            .values()
            .filter(|one| Some(one.account) == account && self.hears(one, (event, action), about))
            .map(|one| one.id)
            .collect();
        for installation in listeners {
            let payload = self.addressed((event, payload), about, sender, installation);
            self.deliver(self.installations[&installation].app, event, payload);
        }
    }

    fn hears(
        &self,
        installation: &Installation,
        (event, action): (&str, &str),
        about: About,
    ) -> bool {
        let app = &self.apps[&installation.app];
        let repository = about.repository.map(|id| self.repository(id));
        installation.suspended_at.is_none()
            && about.only_app.is_none_or(|only| only == app.id)
            && app.events.iter().any(|one| one == event)
            && repository.is_none_or(|repository| installation.covers(repository))
            && permissions_to_hear(event, action)
                .iter()
                .any(|(name, level)| reaches(installation.permissions.get(*name), level))
    }

    /// The payload with the parts that every event has, in GitHub's order.
    fn addressed(
        &self,
        (event, payload): (&str, &Value),
        about: About,
        sender: Id,
        installation: Id,
    ) -> Value {
        let mut whole = payload.as_object().expect("a payload is an object").clone();
        if let Some(repository) = about.repository {
            let shown = match event {
                "push" => view::pushed_repository(self, repository),
                _ => view::told_repository(self, repository),
            };
            whole.insert("repository".into(), shown);
        }
        let account = self.installations[&installation].account;
        if self.organization(account).is_some() {
            whole.insert(
                "organization".into(),
                view::organization_simple(self, account),
            );
        }
        whole.insert("sender".into(), view::account(self, sender));
        let node_id = Node::Installation(installation).id();
        whole.insert(
            "installation".into(),
            json!({"id": installation, "node_id": node_id}),
        );
        Value::Object(whole)
    }

    /// An event that every App hears about its own installation, subscribed or not.
    pub(super) fn emit_installation(
        &mut self,
        event: &str,
        installation: &Value,
        sender: Id,
        more: Map<String, Value>,
    ) {
        let app = installation["app_id"]
            .as_u64()
            .expect("an installation has an App");
        let mut payload = more;
        payload.insert("installation".into(), installation.clone());
        payload.insert("sender".into(), view::account(self, sender));
        self.deliver(app, event, Value::Object(payload));
    }

    fn deliver(&mut self, app: Id, event: &str, payload: Value) {
        if self.apps[&app].webhook_url.is_empty() {
            return;
        }
        let delivery = Delivery {
            id: self.fresh_id(),
            guid: guid(),
            event: event.to_owned(),
            action: payload["action"].as_str().map(ToOwned::to_owned),
            payload,
            outcome: Outcome::Held,
            app,
            redelivery: false,
            attempt: None,
        };
        self.webhooks.add(delivery);
    }

    /// The next delivery whose turn it is, signed. One at a time.
    pub(super) fn next_parcel(&mut self) -> Option<Parcel> {
        let index = self.webhooks.queue.pop_front()?;
        self.webhooks.under_way = true;
        let event = self.webhooks.deliveries[index].event.clone();
        let lost = self.webhooks.loses(&event);
        let delivery = &self.webhooks.deliveries[index];
        let app = &self.apps[&delivery.app];
        let body = serde_json::to_vec(&delivery.payload).expect("JSON can be written");
        Some(Parcel {
            index,
            lost,
            url: app.webhook_url.clone(),
            headers: headers(delivery, app, &body),
            body,
        })
    }
}

fn headers(delivery: &Delivery, app: &AppRecord, body: &[u8]) -> Vec<(&'static str, String)> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app.webhook_secret.as_bytes());
    let signature = hex::encode(hmac::sign(&key, body).as_ref());
    vec![
        ("user-agent", "GitHub-Hookshot/5a0d0b1".to_owned()),
        ("accept", "*/*".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("x-github-event", delivery.event.clone()),
        ("x-github-delivery", delivery.guid.clone()),
        ("x-github-hook-id", app.hook.to_string()),
        ("x-github-hook-installation-target-id", app.id.to_string()),
        (
            "x-github-hook-installation-target-type",
            "integration".to_owned(),
        ),
        ("x-hub-signature-256", format!("sha256={signature}")),
    ]
}

/// Any one of these lets an App subscribe to an event.
pub(super) fn needed_permissions(event: &str) -> &'static [(&'static str, &'static str)] {
    match event {
        "push" | "create" | "delete" => &[("contents", "read")],
        "pull_request" => &[("pull_requests", "read")],
        "issue_comment" => &[("issues", "read"), ("pull_requests", "read")],
        "check_run" | "check_suite" => &[("checks", "read")],
        "merge_group" => &[("merge_queues", "read")],
        "team" | "team_add" | "membership" | "organization" => &[("members", "read")],
        "member" => &[("members", "read"), ("metadata", "read")],
        _ => &[("metadata", "read")],
    }
}

/// Any one of these lets an App be told: who is asked to check must be able to.
fn permissions_to_hear(event: &str, action: &str) -> &'static [(&'static str, &'static str)] {
    match (event, action) {
        ("check_run" | "check_suite", "requested" | "rerequested" | "requested_action") => {
            &[("checks", "write")]
        }
        _ => needed_permissions(event),
    }
}

/// A random UUID, version 4.
fn guid() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
