//! A store that answers as a Kubernetes API server does, as far as the program asks: labelled lists in pages, objects,
//! server-side apply, and the status of Tenants. It counts, takes its time, and knows nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

pub(crate) struct Cluster {
    url: String,
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    /// As JSON, by kind, namespace and name: as values the objects of ten thousand tenants would fill the memory.
    objects: BTreeMap<Key, Box<str>>,
    requests: usize,
    latency: Duration,
    generation: i64,
}

/// `/apis/rbac.authorization.k8s.io/v1/rolebindings`, namespace (empty where there is none), name.
type Key = (String, String, String);

/// What a path names.
struct Target {
    kind: String,
    namespace: String,
    name: Option<String>,
    is_status: bool,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let store = Arc::<Mutex<Store>>::default();
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
    let (status, text) = lock(&store).answer(
        &head.method,
        head.uri.path(),
        head.uri.query().unwrap_or_default(),
        &body,
    );
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(text))
        .expect("it is well-formed")
}

impl Store {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> (StatusCode, String) {
        let target = Target::of(path);
        if method == Method::POST {
            return (StatusCode::CREATED, self.review(path, body));
        }
        let Some(name) = target.name else {
            return (StatusCode::OK, self.list(&target.kind, &pairs(query)));
        };
        let key = (target.kind, target.namespace, name);
        let sent = || serde_json::from_slice(body).expect("the program sends JSON");
        match (method, target.is_status) {
            (&Method::GET, _) => match self.objects.get(&key) {
                Some(text) => (StatusCode::OK, text.to_string()),
                None => not_found(path),
            },
            (&Method::PATCH, false) => (StatusCode::OK, self.apply(key, sent())),
            (&Method::PATCH, true) => (StatusCode::OK, self.merge_status(&key, &sent())),
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
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"1","continue":"{token}"}},"items":[{}]}}"#,
            items.join(",")
        )
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
        self.generation += 1;
        object["metadata"]["generation"] = json!(self.generation);
        object["metadata"]["managedFields"] = json!([
            { "manager": "tenantry", "operation": "Apply", "apiVersion": object["apiVersion"], "time": "2026-11-25T00:00:00Z",
              "fieldsType": "FieldsV1", "fieldsV1": fields },
        ]);
        let text = object.to_string();
        self.objects.insert(key, text.clone().into());
        text
    }

    fn merge_status(&mut self, key: &Key, sent: &Value) -> String {
        let text = self.objects.get_mut(key).expect("it was applied before");
        let mut object: Value = serde_json::from_str(text).expect("it was written as JSON");
        let mut status = sent["status"].clone();
        // A list by type: the entries of others stay.
        if let Some(told) = status["conditions"].as_array_mut() {
            let before = object["status"]["conditions"].as_array();
            let others = before.into_iter().flatten();
            let others = others.filter(|one| told.iter().all(|other| other["type"] != one["type"]));
            let others: Vec<Value> = others.cloned().collect();
            told.extend(others);
        }
        merge(&mut object["status"], status);
        *text = object.to_string().into();
        text.to_string()
    }

    /// Whoever a RoleBinding names may have Deployments beside it, and nobody anything else.
    fn review(&self, path: &str, body: &[u8]) -> String {
        let mut review: Value = serde_json::from_slice(body).expect("the program sends JSON");
        assert!(
            path.ends_with("/subjectaccessreviews"),
            "{path} is not needed"
        );
        let text = |pointer: &str| review.pointer(pointer).and_then(Value::as_str);
        let user = text("/spec/user").expect("somebody is asked about");
        let mut account = user.rsplit(':');
        let (name, home) = (account.next(), account.next());
        let place = text("/spec/resourceAttributes/namespace");
        let is_named = |binding: &str| {
            let binding: Value = serde_json::from_str(binding).expect("it was written as JSON");
            let mut subjects = binding["subjects"].as_array().into_iter().flatten();
            subjects.any(|one| one["name"].as_str() == name && one["namespace"].as_str() == home)
        };
        let bindings = "/apis/rbac.authorization.k8s.io/v1/rolebindings";
        let from = (
            bindings.to_owned(),
            place.unwrap_or_default().to_owned(),
            String::new(),
        );
        let mut beside = self
            .objects
            .range(from..)
            .take_while(|(key, _)| key.0 == bindings && Some(key.1.as_str()) == place);
        let allowed = text("/spec/resourceAttributes/resource") == Some("deployments")
            && beside.any(|(_, binding)| is_named(binding));
        review["status"] = json!({ "allowed": allowed });
        review.to_string()
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
