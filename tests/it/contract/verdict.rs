//! The judge: holds everything that was sent against the descriptions, and notes what was used.

use std::collections::BTreeSet;

use tenantry::sandbox::github::{Answered, Credential, Exchange, Traffic, Webhook};

use super::appetite::{Asked, Need, Used, missing, shown};
use super::known::KNOWN;
use super::openapi::Endpoint;
use super::{BY_HAND, PRETEND_FLUX, graphql, openapi, permissions, webhooks};

/// What came of judging.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) faults: BTreeSet<String>,
    pub(crate) used: Used,
}

impl Verdict {
    pub(crate) fn of<'a>(traffic: impl IntoIterator<Item = &'a Traffic>) -> Self {
        let mut verdict = Self::default();
        for sent in traffic {
            verdict.judge(sent);
        }
        verdict
    }

    fn judge(&mut self, sent: &Traffic) {
        match sent {
            Traffic::Exchange(exchange) if exchange.path == "/graphql" => self.graphql(exchange),
            Traffic::Exchange(exchange) => self.rest(exchange),
            Traffic::Webhook(webhook) => self.webhook(webhook),
        }
    }

    /// Notes what is wrong with a part of something, unless it is known to be GitHub's own mistake.
    fn blame(&mut self, at: &str, part: &str, faults: impl IntoIterator<Item = String>) {
        for fault in faults {
            match KNOWN.iter().find(|known| known.explains(at, &fault)) {
                Some(known) => self.used.entries.insert(known.entry()),
                None => self.faults.insert(format!("{at}, {part}: {fault}")),
            };
        }
    }

    fn rest(&mut self, exchange: &Exchange) {
        let asked = format!("{} {}", exchange.request.method, exchange.path);
        let Some((endpoint, values)) = openapi::find(&exchange.request.method, &exchange.path)
        else {
            let fault = "GitHub knows no such endpoint".to_owned();
            return self.blame(&asked, "request", [fault]);
        };
        let name = endpoint.name();
        self.blame(&name, "request", stranger(exchange));
        if is_judged(exchange) {
            let faults = openapi::request_faults(endpoint, &values, exchange);
            self.blame(&name, "request", faults);
        }
        if let Some(answer) = answered(exchange) {
            let faults = openapi::answer_faults(endpoint, exchange, answer);
            self.blame(&name, "answer", faults);
        }
        if is_ours(exchange) {
            self.allowed(endpoint, exchange);
        }
    }

    /// The app asks with the right kind of token, which can do what is asked.
    fn allowed(&mut self, endpoint: &Endpoint, exchange: &Exchange) {
        let name = endpoint.name();
        if !endpoint.is_for_apps() {
            self.blame(&name, "request", ["it is not for Apps".to_owned()]);
        }
        if endpoint.wants_jwt() {
            self.asked_as_app(&name, exchange);
        } else {
            let need = self.need(&name, &name);
            self.asked(&name, exchange, need.into_iter().collect());
        }
    }

    /// What an endpoint takes; a fault of whoever uses it, where nobody says it.
    fn need(&mut self, at: &str, endpoint: &str) -> Option<Need> {
        self.used.entries.insert(permissions::correction(endpoint));
        let need = permissions::of_endpoint(endpoint);
        need.map_err(|fault| self.blame(at, "request", [fault]))
            .ok()
    }

    fn asked_as_app(&mut self, name: &str, exchange: &Exchange) {
        match exchange.request.credential {
            Credential::App | Credential::Invalid => self.asked(name, exchange, Vec::new()),
            // A fault answered before anybody looked.
            Credential::Anonymous if exchange.injected => {}
            Credential::Anonymous
            | Credential::Installation { .. }
            | Credential::PersonalToken(_) => {
                self.blame(name, "request", ["it takes the App's JWT".to_owned()]);
            }
        }
    }

    fn asked(&mut self, endpoint: &str, exchange: &Exchange, needs: Vec<Need>) {
        let token = match &exchange.request.credential {
            Credential::Installation { permissions, .. } => {
                let has = shown(&vec![permissions.clone()]);
                let missing = missing(permissions, &needs).into_iter();
                let faults = missing.map(|need| format!("it takes {need}; its token has {has}"));
                self.blame(endpoint, "request", faults);
                Some(permissions.clone())
            }
            Credential::App | Credential::PersonalToken(_) => None,
            // Nobody looked, or the token is not known any more.
            Credential::Anonymous | Credential::Invalid => return,
        };
        let requests = &mut self.used.requests;
        let same = |other: &&mut Asked| other.endpoint == endpoint && other.token == token;
        if let Some(known) = requests.iter_mut().find(same) {
            known.count += 1;
            return;
        }
        requests.push(Asked {
            endpoint: endpoint.to_owned(),
            token,
            needs,
            count: 1,
        });
    }

    fn graphql(&mut self, exchange: &Exchange) {
        self.blame("POST /graphql", "request", stranger(exchange));
        if !is_judged(exchange) {
            return;
        }
        let (query, faults) = match graphql::request(exchange) {
            Ok(sound) => sound,
            Err(fault) => return self.blame("POST /graphql", "request", [fault]),
        };
        let name = format!("POST /graphql {}", query.name);
        self.blame(&name, "request", faults);
        if let Some(answer) = answered(exchange) {
            self.blame(&name, "answer", graphql::answer_faults(&query, answer));
        }
        if !is_ours(exchange) {
            return;
        }
        let mut needs = Vec::new();
        for way in &query.ways {
            self.used.entries.insert(permissions::entry_of_way(way));
            match permissions::twin(way) {
                Ok(endpoint) => needs.extend(self.need(&name, endpoint)),
                Err(fault) => self.blame(&name, "request", [fault]),
            }
        }
        self.asked(&name, exchange, needs);
    }

    fn webhook(&mut self, webhook: &Webhook) {
        let told = serde_json::from_slice(&webhook.body).map_err(|error| error.to_string());
        let told = told.and_then(|payload| Ok((webhooks::find(webhook, &payload)?, payload)));
        let (told, payload) = match told {
            Ok(told) => told,
            Err(fault) => return self.blame("webhook", "sent", [fault]),
        };
        let name = told.name();
        let faults = webhooks::faults(told, webhook, &payload);
        self.blame(&format!("webhook {name}"), "sent", faults);
        self.used
            .webhooks
            .insert(name, permissions::of_webhook(told));
    }
}

fn agent(exchange: &Exchange) -> &str {
    let agent = exchange.headers.get("user-agent");
    agent.map_or("", String::as_str)
}

/// Whether the app asked.
fn is_ours(exchange: &Exchange) -> bool {
    agent(exchange).starts_with("tenantry/")
}

/// Whoever asks is the app, a story by its own hand, or the pretend Flux; else its requests would go unjudged.
fn stranger(exchange: &Exchange) -> Option<String> {
    let known = is_ours(exchange) || [BY_HAND, PRETEND_FLUX].contains(&agent(exchange));
    (!known).then(|| format!("nobody knows `{}`", agent(exchange)))
}

/// The app never asks wrongly; a story may, but then GitHub does not do it.
fn is_judged(exchange: &Exchange) -> bool {
    let done = answered(exchange).is_some_and(|answer| (200..300).contains(&answer.status));
    is_ours(exchange) || done
}

/// The answer that the embedded GitHub gave, and not a fault in its place.
fn answered(exchange: &Exchange) -> Option<&Answered> {
    exchange.answer.as_ref().filter(|_| !exchange.injected)
}
