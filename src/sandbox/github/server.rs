//! The HTTP side: takes a request in, notes it, lets faults happen, answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};

use super::answer::{Body, Refusal, Reply};
use super::auth::{self, Caller};
use super::call::Call;
use super::faults::{Effect, Fault, Faults, Moment};
use super::limits::{self, Resource};
use super::log::{Credential, Log};
use super::model::World;
use super::traffic::{Answered, Exchange, Observer, Traffic};
use super::{graphql, rest};

/// The largest request body, in bytes.
const LARGEST_BODY: usize = 120 * 1024 * 1024;

/// Everything behind the lock.
pub(super) struct Shelf {
    pub(super) world: World,
    pub(super) log: Log,
    pub(super) faults: Faults,
    pub(super) latency: Duration,
}

/// What the handle, the server and the delivery of webhooks share.
pub(super) struct Hub {
    state: Mutex<Shelf>,
    mail: Notify,
    idle: watch::Sender<bool>,
    pub(super) crowd: Crowd,
    pub(super) observer: OnceLock<Observer>,
}

/// How many requests are under way.
#[derive(Default)]
pub(super) struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them; it leaves when its answer goes out, or when nobody waits for that any more.
struct Present<'a>(&'a Crowd);

impl Crowd {
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Present<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Present(self)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hub {
    pub(super) fn new(root: String) -> Self {
        Self {
            state: Mutex::new(Shelf {
                world: World::new(root),
                log: Log::default(),
                faults: Faults::default(),
                latency: Duration::ZERO,
            }),
            mail: Notify::new(),
            idle: watch::Sender::new(true),
            crowd: Crowd::default(),
            observer: OnceLock::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Does something to the world; the webhooks that it causes go out behind.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.world);
        self.idle.send_replace(state.world.webhooks.is_idle());
        drop(state);
        self.mail.notify_one();
        result
    }

    /// Sends deliveries, one after the other, for ever.
    pub(super) async fn deliver_for_ever(&self) {
        loop {
            let parcel = self.lock().world.next_parcel();
            let Some(parcel) = parcel else {
                self.mail.notified().await;
                continue;
            };
            if let (Some(observer), Some(webhook)) = (self.observer.get(), parcel.as_sent()) {
                observer(Traffic::Webhook(webhook));
            }
            let arrived = parcel.send().await;
            self.with(|world| world.webhooks.finished(arrived));
        }
    }

    pub(super) async fn all_delivered(&self) {
        let mut idle = self.idle.subscribe();
        idle.wait_for(|idle| *idle)
            .await
            .expect("the hub holds the sender");
    }

    /// Tells the observer, if there is one, how a request ended.
    fn tell(&self, arrival: &Arrival, answer: Option<&Outgoing>) {
        let Some(observer) = self.observer.get() else {
            return;
        };
        let mut headers = readable(&arrival.headers);
        headers.remove("authorization");
        let request = self.lock().log.entry(arrival.sequence).clone();
        observer(Traffic::Exchange(Box::new(Exchange {
            request,
            path: arrival.path.clone(),
            headers,
            body: arrival.body.clone(),
            answer: answer.map(Outgoing::as_sent),
            injected: answer.is_none_or(|answer| answer.injected),
        })));
    }
}

/// Headers by their names, as far as they are text; one that came more than once has all its values, with commas.
fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let values = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        let texts: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (name.as_str().to_owned(), texts.join(", "))
    };
    headers.keys().map(values).collect()
}

/// A request as far as it is needed after its arrival.
struct Arrival {
    sequence: u64,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    fault: Option<Fault>,
    latency: Duration,
}

impl Arrival {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer on its way out.
struct Outgoing {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Whether a fault made it up.
    injected: bool,
}

impl Outgoing {
    fn as_sent(&self) -> Answered {
        Answered {
            status: self.status.as_u16(),
            headers: readable(&self.headers),
            body: self.body.clone(),
        }
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(HttpBody::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Answers any request at all.
pub(super) async fn answer(State(hub): State<Arc<Hub>>, request: HttpRequest) -> Response {
    let _present = hub.crowd.enter();
    let arrival = arrive(&hub, request).await;
    tokio::time::sleep(arrival.latency).await;
    let outgoing = outgoing(&hub, &arrival).await;
    hub.tell(&arrival, Some(&outgoing));
    outgoing.into_response()
}

async fn outgoing(hub: &Hub, arrival: &Arrival) -> Outgoing {
    if let Some(fault) = &arrival.fault {
        let done = (fault.moment == Moment::AfterDoingIt).then(|| work(hub, arrival));
        if let Some(made_up) = suffer(hub, arrival, &fault.effect).await {
            return Outgoing {
                injected: true,
                ..made_up
            };
        }
        if let Some(done) = done {
            return done;
        }
    }
    work(hub, arrival)
}

async fn arrive(hub: &Hub, request: HttpRequest) -> Arrival {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    let asked = parts
        .uri
        .path_and_query()
        .map_or("/", |whole| whole.as_str());
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map(|Query(query)| query)
        .unwrap_or_default();
    let method = parts.method.as_str().to_owned();
    let logged = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut state = hub.lock();
    let sequence = state.log.arrived(&method, asked, logged);
    let path = named_path(&state.world, parts.uri.path());
    let text = String::from_utf8_lossy(&body);
    let fault = state.faults.take(&method, &path, &text);
    Arrival {
        sequence,
        method,
        path,
        query,
        headers: parts.headers,
        fault,
        latency: state.latency,
        body: body.to_vec(),
    }
}

/// `/repositories/1001/keys` is `/repos/acme/tenants/keys`.
fn named_path(world: &World, path: &str) -> String {
    let mut parts = path.splitn(4, '/').skip(1);
    let (kind, id, rest) = (parts.next(), parts.next(), parts.next());
    let id = id.and_then(|text| text.parse().ok());
    let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
    match (kind, id) {
        (Some("repositories"), Some(id)) if world.repositories.contains_key(&id) => {
            format!("/repos/{}{rest}", world.full_name(id))
        }
        (Some("organizations"), Some(id)) if world.organization(id).is_some() => {
            format!("/orgs/{}{rest}", world.login(id))
        }
        _ => path.to_owned(),
    }
}

/// What the client sees of a fault; nothing where it was a delay alone.
async fn suffer(hub: &Hub, arrival: &Arrival, effect: &Effect) -> Option<Outgoing> {
    match effect {
        Effect::Delay(by) => {
            tokio::time::sleep(*by).await;
            None
        }
        // A connection's task that ends by unwinding closes its socket without an answer. Nothing is
        // printed: the panic hook is not called for a resumed unwind.
        Effect::HangUp => {
            hub.lock().log.entry(arrival.sequence).status = 0;
            hub.tell(arrival, None);
            std::panic::resume_unwind(Box::new("the connection is dropped by a fault"))
        }
        Effect::RevokeToken => {
            let token = arrival.header("authorization").and_then(auth::bare_token);
            let mut state = hub.lock();
            state.world.tokens.revoke(Some(token.unwrap_or_default()));
            Some(refuse(&mut state, arrival, &Refusal::bad_credentials()))
        }
        Effect::Respond {
            status,
            message,
            headers,
        } => {
            let mut refusal = Refusal::new(*status, message.as_str());
            refusal.headers.clone_from(headers);
            Some(refuse(&mut hub.lock(), arrival, &refusal))
        }
    }
}

fn refuse(state: &mut Shelf, arrival: &Arrival, refusal: &Refusal) -> Outgoing {
    let entry = state.log.entry(arrival.sequence);
    entry.status = refusal.status;
    entry.limited = refusal.is_limit();
    build(
        refusal.status,
        &Body::Json(refusal.body()),
        &refusal.headers,
        arrival,
    )
}

/// Does what the request asks for.
fn work(hub: &Hub, arrival: &Arrival) -> Outgoing {
    let mut state = hub.lock();
    let response = answered(&mut state, arrival);
    // Said under the lock: a word said later could be older than what the delivery has said meanwhile.
    hub.idle.send_replace(state.world.webhooks.is_idle());
    drop(state);
    hub.mail.notify_one();
    response
}

fn answered(state: &mut Shelf, arrival: &Arrival) -> Outgoing {
    let caller = match recognise(state, arrival) {
        Ok(caller) => caller,
        Err(refusal) => return refuse(state, arrival, &refusal),
    };
    let resource = if arrival.path == "/graphql" {
        Resource::Graphql
    } else {
        Resource::Core
    };
    let (answer, cost) = dispatch(state, arrival, &caller, resource);
    let mut outgoing = finish(state, arrival, answer);
    // What has not changed costs nothing, for those who say who they are.
    let unchanged = outgoing.status == StatusCode::NOT_MODIFIED && caller != Caller::Anonymous;
    let cost = if unchanged { 0 } else { cost };
    let budget = state.world.budgets.spend(&caller, resource, cost);
    for (name, value) in budget.headers() {
        let value = HeaderValue::try_from(value).expect("numbers and names are plain text");
        outgoing.headers.insert(name, value);
    }
    outgoing
}

fn recognise(state: &mut Shelf, arrival: &Arrival) -> Result<Caller, Refusal> {
    if arrival.header("user-agent").is_none_or(str::is_empty) {
        return Err(Refusal::new(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes.",
        ));
    }
    let found = auth::authenticate(&state.world, arrival.header("authorization"));
    state.log.entry(arrival.sequence).credential = match &found {
        Ok(caller) => credential(&state.world, caller),
        Err(_) => Credential::Invalid,
    };
    found
}

fn credential(world: &World, caller: &Caller) -> Credential {
    match caller {
        Caller::Anonymous => Credential::Anonymous,
        Caller::App(_) => Credential::App,
        Caller::Installation(token) => Credential::Installation {
            id: token.installation,
            permissions: token.permissions.clone(),
        },
        Caller::User(id) => Credential::PersonalToken(world.login(*id).to_owned()),
    }
}

type Outcome = Result<Reply, Refusal>;

/// The answer and what it costs of the hourly budget.
fn dispatch(
    state: &mut Shelf,
    arrival: &Arrival,
    caller: &Caller,
    resource: Resource,
) -> (Outcome, u32) {
    if arrival.path != "/rate_limit" && state.world.budgets.is_exhausted(caller, resource) {
        state.log.entry(arrival.sequence).limited = true;
        let answer = match resource {
            Resource::Core => Err(Refusal::new(403, "API rate limit exceeded")),
            Resource::Graphql => Ok(graphql::rate_limited()),
        };
        return (answer, 0);
    }
    if limits::creates(&arrival.method, &arrival.path)
        && let Err(refusal) = state.world.creation.admit(caller)
    {
        state.log.entry(arrival.sequence).limited = true;
        return (Err(refusal), 1);
    }
    let Some(found) = rest::find(&arrival.method, &arrival.path) else {
        let what = format!("{} {}", arrival.method, arrival.path);
        let message = format!(
            "The sandbox has no route for `{what}`. Add it to the table in src/sandbox/github/rest.rs."
        );
        state.log.unknown(what);
        return (Err(Refusal::new(501, message)), 1);
    };
    let Ok(body) = parsed_body(&arrival.body) else {
        return (Err(Refusal::new(400, "Problems parsing JSON")), 1);
    };
    let mut call = Call {
        world: &mut state.world,
        caller,
        parameters: found.parameters,
        query: arrival.query.clone(),
        body,
        accept: arrival.header("accept").unwrap_or_default().to_owned(),
        path: arrival.path.clone(),
        points: 0,
        unknown: Vec::new(),
    };
    let answer = moved(&call, arrival)
        .map_or_else(|| found.route.admit(&call), Err)
        .and_then(|()| (found.route.answer)(&mut call));
    let (points, unknown) = (call.points, std::mem::take(&mut call.unknown));
    for what in unknown {
        state.log.unknown(what);
    }
    state.log.entry(arrival.sequence).points = points;
    if arrival.path == "/installation/token" && answer.is_ok() {
        let token = arrival.header("authorization").and_then(auth::bare_token);
        state.world.tokens.revoke(Some(token.unwrap_or_default()));
    }
    let cost = match resource {
        Resource::Core => u32::from(arrival.path != "/rate_limit"),
        Resource::Graphql => points,
    };
    (answer, cost)
}

fn parsed_body(body: &[u8]) -> serde_json::Result<Value> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body)
}

/// A renamed repository's old name leads to its id.
fn moved(call: &Call<'_>, arrival: &Arrival) -> Option<Refusal> {
    let full_name = format!("{}/{}", call.parameter("owner"), call.parameter("repo"));
    if call.world.repository_id(&full_name).is_some() || arrival.path.starts_with("/orgs/") {
        return None;
    }
    let id = call.world.renamed_id(&full_name)?;
    if !call.caller.can_see(call.world, id) {
        return None;
    }
    let rest = arrival.path.splitn(5, '/').nth(4);
    let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
    let url = format!("{}/repositories/{id}{rest}", call.world.root);
    let (status, message) = match arrival.method.as_str() {
        "GET" => (301, "Moved Permanently"),
        _ => (307, "Temporary Redirect"),
    };
    Some(
        Refusal::new(status, message)
            .with("url", json!(url))
            .with_header("location", url),
    )
}

fn finish(state: &mut Shelf, arrival: &Arrival, answer: Outcome) -> Outgoing {
    let (status, body, headers) = match answer {
        Ok(reply) => (reply.status, reply.body, reply.headers),
        Err(refusal) => (refusal.status, Body::Json(refusal.body()), refusal.headers),
    };
    let outgoing = build(status, &body, &headers, arrival);
    state.log.entry(arrival.sequence).status = outgoing.status.as_u16();
    outgoing
}

fn build(
    status: u16,
    body: &Body,
    headers: &[(&'static str, String)],
    arrival: &Arrival,
) -> Outgoing {
    let (content_type, bytes) = match body {
        Body::Empty => (None, Vec::new()),
        Body::Json(value) => (
            Some("application/json; charset=utf-8"),
            serde_json::to_vec(value).expect("JSON can be written"),
        ),
        Body::Raw {
            content_type,
            bytes,
        } => (Some(*content_type), bytes.clone()),
    };
    let mut outgoing = Outgoing {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        headers: HeaderMap::new(),
        body: bytes,
        injected: false,
    };
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).expect("our headers are plain text");
        outgoing
            .headers
            .insert(HeaderName::from_static(name), value);
    };
    set("x-github-request-id", &request_id(arrival.sequence));
    set("x-github-media-type", "github.v3; format=json");
    for (name, value) in headers {
        set(name, value);
    }
    if let Some(content_type) = content_type {
        set("content-type", content_type);
    }
    if arrival.method == "GET" && status == 200 {
        let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&outgoing.body)));
        set("etag", &tag);
        if arrival.header("if-none-match") == Some(&tag) {
            outgoing.status = StatusCode::NOT_MODIFIED;
            outgoing.body.clear();
        }
    }
    outgoing
}

/// `0BAD:1F:…`-like, and unique.
fn request_id(sequence: u64) -> String {
    format!("5A4D:{sequence:X}:C0FFEE:{sequence:08X}:00000001")
}
