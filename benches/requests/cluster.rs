//! A store that answers as a Kubernetes API server does, as far as the program asks: labelled lists in pages, watches,
//! objects, server-side apply, and the status of Tenants. It counts, takes its time, knows nobody, and syncs at once what
//! Flux is to sync.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

const TENANTS: &str = "/apis/tenantry.dev/v1alpha1/tenants";
const SOURCES: &str = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories";
const SYNCS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// The commit at the head of a repository.
pub(crate) type Head = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

use crate::flux;

pub(crate) struct Cluster {
    url: String,
    store: Arc<Mutex<Store>>,
}

struct Store {
    /// As JSON, by kind, namespace and name: as values the objects of ten thousand tenants would fill the memory.
    objects: BTreeMap<Key, Box<str>>,
    requests: usize,
    latency: Duration,
    /// Grows with each change; the newest object has it as its resource version.
    version: u64,
    /// What was changed of the kinds that are watched, and by which version.
    changes: Vec<(u64, Key)>,
    changed: watch::Sender<u64>,
    head: Head,
}

/// `/apis/rbac.authorization.k8s.io/v1/rolebindings`, namespace (empty where there is none), name.
type Key = (String, String, String);

/// A request that is answered at once.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a BTreeMap<String, String>,
    /// A merge patch, and no server-side apply.
    merges: bool,
    body: &'a [u8],
}

/// What a path names.
struct Target {
    kind: String,
    namespace: String,
    name: Option<String>,
    is_status: bool,
}

impl Cluster {
    pub(crate) async fn start(head: Head) -> Self {
        let store = Arc::new(Mutex::new(Store {
            objects: BTreeMap::new(),
            requests: 0,
            latency: Duration::ZERO,
            version: 0,
            changes: Vec::new(),
            changed: watch::Sender::default(),
            head,
        }));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&store));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{address}"),
            store,
        }
    }

    pub(crate) fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "c", "cluster": { "server": self.url } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "c",
        });
        config.to_string()
    }

    pub(crate) fn request_count(&self) -> usize {
        lock(&self.store).requests
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        lock(&self.store).latency = latency;
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().expect("nobody panics with the store")
}

async fn answer(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    let latency = {
        let mut store = lock(&store);
        store.requests += 1;
        store.latency
    };
    tokio::time::sleep(latency).await;
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let query = pairs(head.uri.query().unwrap_or_default());
    let (status, body) = if query.contains_key("watch") {
        let kind = Target::of(head.uri.path()).kind;
        (StatusCode::OK, watched(store, kind, &query))
    } else {
        let content_type = head.headers.get("content-type");
        let request = Asked {
            method: &head.method,
            path: head.uri.path(),
            query: &query,
            merges: content_type.is_some_and(|kind| kind == "application/merge-patch+json"),
            body: &body,
        };
        let (status, text) = lock(&store).answer(&request);
        (status, Body::from(text))
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .expect("it is well-formed")
}

/// Each change of a kind as it comes, until the time is up that was asked for.
fn watched(store: Arc<Mutex<Store>>, kind: String, query: &BTreeMap<String, String>) -> Body {
    let number = |key: &str| query[key].parse::<u64>().expect("a number");
    let end = Instant::now() + Duration::from_secs(number("timeoutSeconds"));
    let since = number("resourceVersion");
    let changed = lock(&store).changed.subscribe();
    let events = futures::stream::unfold((since, changed), move |(since, mut changed)| {
        let (store, kind) = (Arc::clone(&store), kind.clone());
        async move {
            loop {
                let (events, until) = lock(&store).events(&kind, since);
                if !events.is_empty() {
                    return Some((Ok::<_, Infallible>(events), (until, changed)));
                }
                timeout_at(end, changed.changed()).await.ok()?.ok()?;
            }
        }
    });
    Body::from_stream(events)
}

impl Store {
    fn answer(&mut self, asked: &Asked<'_>) -> (StatusCode, String) {
        let Asked { path, body, .. } = *asked;
        match path {
            flux::GROUPS => return (StatusCode::OK, flux::groups().to_string()),
            flux::DEPLOYMENTS => return (StatusCode::OK, flux::deployments().to_string()),
            _ => {}
        }
        let sent = || serde_json::from_slice(body).expect("the program sends JSON");
        if path == REVIEWS {
            return (StatusCode::CREATED, reviewed(sent()));
        }
        let target = Target::of(path);
        let Some(name) = target.name else {
            return (StatusCode::OK, self.list(&target.kind, asked.query));
        };
        let key = (target.kind, target.namespace, name);
        match (asked.method, target.is_status) {
            (&Method::GET, _) => match self.objects.get(&key) {
                Some(text) => (StatusCode::OK, text.to_string()),
                None => not_found(path),
            },
            (&Method::PATCH, false) if asked.merges => {
                (StatusCode::OK, self.merge_object(key, sent()))
            }
            (&Method::PATCH, false) => (StatusCode::OK, self.apply(key, sent())),
            (&Method::PATCH, true) => (StatusCode::OK, self.merge_status(key, &sent())),
            (method, _) => panic!("{method} {path} is not needed"),
        }
    }

    fn list(&self, kind: &str, query: &BTreeMap<String, String>) -> String {
        let limit: usize = query["limit"]
            .parse()
            .expect("lists are asked for in pages");
        let tenants = query
            .get("labelSelector")
            .and_then(|selector| named(selector));
        let after = query.get("continue").filter(|token| !token.is_empty());
        let after: (String, String) = match after.and_then(|token| token.split_once('/')) {
            Some((namespace, name)) => (namespace.to_owned(), format!("{name}\0")),
            None => Default::default(),
        };
        let from = (kind.to_owned(), after.0, after.1);
        let (mut items, mut next, mut more) = (Vec::new(), String::new(), false);
        for ((other, namespace, name), text) in self.objects.range(from..) {
            if other != kind {
                break;
            }
            if tenants
                .as_ref()
                .is_none_or(|tenants| tenants.iter().any(|tenant| text.contains(tenant)))
            {
                more = items.len() == limit;
                if more {
                    break;
                }
                items.push(&**text);
                next = format!("{namespace}/{name}");
            }
        }
        let token = if more { next } else { String::new() };
        format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"{}","continue":"{token}"}},"items":[{}]}}"#,
            self.version,
            items.join(",")
        )
    }

    /// What has changed of a kind since a version, and up to which version that is.
    fn events(&self, kind: &str, since: u64) -> (String, u64) {
        let first = self
            .changes
            .partition_point(|(version, _)| *version <= since);
        let changes = self.changes[first..].iter();
        let keys = changes.filter(|(_, key)| key.0 == kind);
        let events = keys.map(|(_, key)| {
            let object = &self.objects[key];
            format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n")
        });
        (events.collect(), self.version)
    }

    /// Keeps the object as it is from now on, and tells those who watch.
    fn keep(&mut self, key: Key, mut object: Value) -> String {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = object.to_string();
        if [TENANTS, SOURCES, SYNCS].contains(&key.0.as_str()) {
            self.changes.push((self.version, key.clone()));
            self.changed.send_replace(self.version);
        }
        self.objects.insert(key, text.clone().into());
        text
    }

    /// Flux's part: a repository is fetched as soon as it is to be, and applied as soon as that is so.
    fn sync(&mut self, namespace: &str) {
        let [source, sync] = [SOURCES, SYNCS].map(|kind| {
            (
                kind.to_owned(),
                namespace.to_owned(),
                "workspace".to_owned(),
            )
        });
        let read = |store: &Self, key: &Key| {
            let text = store.objects.get(key)?;
            Some(serde_json::from_str::<Value>(text).expect("it was written as JSON"))
        };
        let Some(mut repository) = read(self, &source) else {
            return;
        };
        let url = repository["spec"]["url"].as_str().expect("it has one");
        let name = url
            .trim_start_matches("ssh://git@github.com/")
            .trim_end_matches(".git");
        let Some(head) = (self.head)(name) else {
            return;
        };
        let revision = format!("main@sha1:{head}");
        repository["status"] = ready(&repository, "Succeeded");
        repository["status"]["artifact"] = json!({ "revision": revision });
        let asked = &repository["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"];
        repository["status"]["lastHandledReconcileAt"] = asked.clone();
        self.keep(source, repository);
        if let Some(mut applied) = read(self, &sync) {
            applied["status"] = ready(&applied, "ReconciliationSucceeded");
            applied["status"]["lastAppliedRevision"] = json!(revision);
            self.keep(sync, applied);
        }
    }

    /// Server-side apply, with the fields that were set noted as the applier's.
    fn apply(&mut self, key: Key, applied: Value) -> String {
        let before = self
            .objects
            .get(&key)
            .map(|text| serde_json::from_str(text).expect("it was written as JSON"));
        let mut object: Value = before.unwrap_or_else(|| {
            json!({ "metadata": { "creationTimestamp": "2026-11-25T00:00:00Z", "uid": uid(&key), "resourceVersion": "1" } })
        });
        let mut fields = fields_of(&applied);
        for key in ["f:apiVersion", "f:kind"] {
            fields.remove(key);
        }
        for key in ["f:name", "f:namespace"] {
            fields["f:metadata"]
                .as_object_mut()
                .expect("it has labels")
                .remove(key);
        }
        merge(&mut object, applied);
        object["metadata"]["generation"] = json!(self.version + 1);
        object["metadata"]["managedFields"] = json!([
            { "manager": "tenantry", "operation": "Apply", "apiVersion": object["apiVersion"], "time": "2026-11-25T00:00:00Z",
              "fieldsType": "FieldsV1", "fieldsV1": fields },
        ]);
        let (kind, namespace) = (key.0.clone(), key.1.clone());
        let text = self.keep(key, object);
        if [SOURCES, SYNCS].contains(&kind.as_str()) {
            self.sync(&namespace);
        }
        text
    }

    /// Whose fields they are stays as it was.
    fn merge_object(&mut self, key: Key, sent: Value) -> String {
        let text = self.objects.get(&key).expect("it was applied before");
        let mut object: Value = serde_json::from_str(text).expect("it was written as JSON");
        merge(&mut object, sent);
        let (kind, namespace) = (key.0.clone(), key.1.clone());
        let text = self.keep(key, object);
        if kind == SOURCES {
            self.sync(&namespace);
        }
        text
    }

    /// Conditions are a list by type: those that are not sent stay.
    fn merge_status(&mut self, key: Key, sent: &Value) -> String {
        let text = self.objects.get(&key).expect("it was applied before");
        let mut object: Value = serde_json::from_str(text).expect("it was written as JSON");
        let mut status = sent["status"].clone();
        if let Some(conditions) = status["conditions"].as_array_mut() {
            let before = object["status"]["conditions"].as_array();
            let mut kept: Vec<_> = before.cloned().unwrap_or_default();
            kept.retain(|old| conditions.iter().all(|new| new["type"] != old["type"]));
            conditions.append(&mut kept);
        }
        merge(&mut object["status"], status);
        self.keep(key, object)
    }
}

impl Target {
    fn of(path: &str) -> Self {
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let version = parts
            .drain(..if parts[0] == "api" { 2 } else { 3 })
            .collect::<Vec<_>>()
            .join("/");
        let namespaced = parts.len() > 2 && parts[0] == "namespaces";
        let namespace = if namespaced {
            parts.drain(..2).nth(1).unwrap_or_default()
        } else {
            ""
        };
        Self {
            kind: format!("/{version}/{}", parts[0]),
            namespace: namespace.to_owned(),
            name: parts.get(1).map(ToString::to_string),
            is_status: parts.get(2) == Some(&"status"),
        }
    }
}

/// As Flux says that all is well.
fn ready(object: &Value, reason: &str) -> Value {
    let generation = &object["metadata"]["generation"];
    json!({
        "observedGeneration": generation,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": reason, "message": "done",
            "observedGeneration": generation, "lastTransitionTime": "2026-11-25T00:00:00Z",
        }],
    })
}

/// Whoever is asked about may write in its namespaces, and nothing else.
fn reviewed(mut review: Value) -> String {
    let asked = &review["spec"]["resourceAttributes"];
    let allowed = asked["verb"] == "create" && asked["resource"] == "configmaps";
    review["status"] = json!({ "allowed": allowed });
    review.to_string()
}

fn not_found(path: &str) -> (StatusCode, String) {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": format!("{path} not found"), "reason": "NotFound", "code": 404 });
    (StatusCode::NOT_FOUND, status.to_string())
}

/// The tenants that a selector names, each as it stands in an object.
fn named(selector: &str) -> Option<Vec<String>> {
    let (_, names) = selector.split_once("app.kubernetes.io/instance in (")?;
    let names = names.trim_end_matches(')').split(',');
    Some(
        names
            .map(|name| format!(r#""app.kubernetes.io/instance":"{name}""#))
            .collect(),
    )
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

fn uid((kind, namespace, name): &Key) -> String {
    format!("{kind}/{namespace}/{name}")
}

/// `fieldsV1` of an applied object: maps field by field, lists as a whole.
fn fields_of(applied: &Value) -> Map<String, Value> {
    let map = applied.as_object().into_iter().flatten();
    map.map(|(key, value)| (format!("f:{key}"), Value::Object(fields_of(value))))
        .collect()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
