//! The HTTP side: takes a request in, notes it, answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::call::Call;
use super::clock;
use super::log::Log;
use super::status::Refusal;
use super::store::Store;
use super::verbs::release;

/// The largest request body, in bytes.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// How long a namespace is ending at least.
const ENDING: Duration = Duration::from_millis(200);

/// Everything behind the lock.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) store: Store,
    pub(super) log: Log,
}

/// What the handle and the server share.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<Shelf>,
    /// The newest revision, for whoever waits for a change.
    revision: watch::Sender<u64>,
    is_stopped: AtomicBool,
}

/// What is answered.
pub(super) enum Answer {
    Json(u16, Value),
    Text(u16, &'static str, String),
    Stream(Body),
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(Shelf {
                store: Store::new(),
                log: Log::default(),
            }),
            revision: watch::Sender::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the store, and says so to whoever waits.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.store);
        let revision = state.store.revision;
        self.revision.send_if_modified(|known| {
            let is_newer = *known < revision;
            *known = revision;
            is_newer
        });
        result
    }

    /// Wakes at every change of an object.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Watches end.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.revision.send_modify(|_| {});
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Ends what is ending, for ever.
    pub(super) async fn tend_for_ever(&self) {
        let mut changes = self.revision.subscribe();
        while changes.changed().await.is_ok() {
            tokio::time::sleep(ENDING).await;
            self.with(|store| release(store, clock::now()));
        }
    }
}

/// Answers any request at all.
pub(super) async fn answer(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts
        .uri
        .path_and_query()
        .map_or("/", |whole| whole.as_str());
    let agent = text(&parts.headers, header::USER_AGENT.as_str());
    let number = hub.lock().log.arrived(parts.method.as_str(), asked, agent);
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let call = Call {
        hub: &hub,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: query.map(|Query(query)| query).unwrap_or_default(),
        accept: text(&parts.headers, header::ACCEPT.as_str()),
        content_type: text(&parts.headers, header::CONTENT_TYPE.as_str()),
        user_agent: agent,
        body: &body,
    };
    let response = build(call.answer().unwrap_or_else(std::convert::Into::into));
    hub.lock().log.answered(number, response.status().as_u16());
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Json(refusal.code, refusal.body())
    }
}

fn build(answer: Answer) -> Response {
    let (status, content_type, body) = match answer {
        Answer::Json(status, value) => (status, "application/json", Body::from(value.to_string())),
        Answer::Text(status, content_type, text) => (status, content_type, Body::from(text)),
        Answer::Stream(body) => (200, "application/json", body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// A deletion that has nothing left to show.
pub(super) fn success(details: &Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}
