//! A Kubernetes API in memory: start it, furnish it, look at what became of it.
//!
//! ```text
//! kubernetes.rs    the handle: start, furnish, look, faults, log
//!   server.rs        HTTP in and out     call.rs   one request      path.rs  what a path names
//!   verbs.rs         create, change, apply, delete                  rules.rs what is particular to a kind
//!   store.rs         all objects         object.rs how one is kept  kinds.rs which kinds there are
//!   ownership.rs     who set which field fields.rs sets of fields   schema.rs what an object may hold
//!   list.rs watch.rs discovery.rs table.rs selector.rs status.rs names.rs faults.rs log.rs clock.rs
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod call;
mod clock;
mod discovery;
mod faults;
mod fields;
mod kinds;
mod list;
mod log;
mod names;
mod object;
mod ownership;
mod path;
mod rules;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod verbs;
mod watch;

pub use faults::Fault;
pub use log::{Mark, Request};

use server::Hub;
use store::Reading;
use verbs::{Order, Patch};

/// Who furnishes.
const FURNISHER: &str = "sandbox";

/// A running cluster API on a loopback port of its own. Dropping it ends it.
pub struct Kubernetes {
    hub: Arc<Hub>,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    tending: JoinHandle<()>,
}

impl Kubernetes {
    /// Starts on a free port of 127.0.0.1, with the namespaces that every cluster has. Needs a Tokio runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let hub = Arc::new(Hub::new());
        let router = axum::Router::new()
            .fallback(server::answer)
            .with_state(Arc::clone(&hub));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            let ended = async move {
                let _ = stopped.await;
            };
            let _ = axum::serve(listener, router)
                .with_graceful_shutdown(ended)
                .await;
        });
        let tended = Arc::clone(&hub);
        let tending = tokio::spawn(async move { tended.tend_for_ever().await });
        let cluster = Self {
            hub,
            url: format!("http://{address}"),
            stop: Some(stop),
            tending,
        };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            cluster.apply(&namespace);
        }
        cluster
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig that kubectl and other clients take.
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sandbox",
            "contexts": [{ "name": "sandbox", "context": { "cluster": "sandbox", "user": "sandbox" } }],
            "clusters": [{ "name": "sandbox", "cluster": { "server": self.url } }],
            "users": [{ "name": "sandbox", "user": {} }],
        });
        serde_yaml::to_string(&config).expect("a kubeconfig is plain data")
    }

    /// Ends it: the port closes.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.hub.stop();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.tending.abort();
    }

    /// Applies every document of a YAML text, as an administrator would, without a request.
    ///
    /// # Panics
    /// Where the cluster refuses one.
    pub fn apply_yaml(&self, text: &str) -> &Self {
        for document in serde_yaml::Deserializer::from_str(text) {
            let value: Value = serde::Deserialize::deserialize(document)
                .unwrap_or_else(|error| panic!("the YAML cannot be read: {error}"));
            match value["items"].as_array() {
                Some(items) if value["kind"] == "List" => {
                    for item in items {
                        self.apply(item);
                    }
                }
                _ if value.is_null() => {}
                _ => self.apply(&value),
            }
        }
        self
    }

    fn apply(&self, value: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&value["apiVersion"]), text(&value["kind"]));
        let metadata = &value["metadata"];
        self.hub.with(|store| {
            let resource = store.kinds.of_object(&api_version, &kind);
            let resource =
                resource.unwrap_or_else(|| panic!("there is no kind {api_version} {kind}"));
            let namespace = match metadata["namespace"].as_str() {
                Some(namespace) => namespace.to_owned(),
                None => "default".to_owned(),
            };
            let order = Order {
                namespace: resource.is_namespaced.then_some(namespace),
                resource,
                name: text(&metadata["name"]),
                subresource: String::new(),
                manager: FURNISHER.to_owned(),
                force: true,
                is_dry_run: false,
                now: clock::now(),
            };
            let done = verbs::patch(store, &order, &Patch::Apply(value.clone()));
            if let Err(refusal) = done {
                panic!("{kind} {}: {}", order.name, refusal.message);
            }
        });
    }

    // ── looking ──

    /// An object, `api_version` and `kind` as they stand in it; an empty namespace for what is in none.
    pub fn object(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let state = self.hub.lock();
        let resource = state.store.kinds.of_object(api_version, kind)?;
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        let found = state.store.get(&resource, &object::key(namespace, name))?;
        Some(found.full(&resource))
    }

    /// All objects of a kind.
    pub fn objects(&self, api_version: &str, kind: &str) -> Vec<Value> {
        let state = self.hub.lock();
        let Some(resource) = state.store.kinds.of_object(api_version, kind) else {
            return Vec::new();
        };
        let page = state.store.list(&resource, &Reading::default());
        let items = page.expect("the present is never too old").items;
        items.iter().map(|item| item.full(&resource)).collect()
    }

    /// How many objects there are, and how much memory they take, in bytes, about.
    pub fn weight(&self) -> (usize, usize) {
        self.hub.lock().store.weight()
    }

    // ── log, faults, speed ──

    pub fn mark(&self) -> Mark {
        self.hub.lock().log.mark()
    }

    pub fn requests_since(&self, mark: Mark) -> Vec<Request> {
        self.hub.lock().log.since(mark)
    }

    /// Requests that the sandbox does not know and a real cluster may; a test should end with none.
    pub fn unknown_requests(&self) -> Vec<String> {
        self.hub.lock().log.unknown_requests()
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.hub.lock().faults.add(fault);
    }

    pub fn clear_faults(&self) {
        self.hub.lock().faults.clear();
    }

    /// How many faults have not happened to the full yet.
    pub fn waiting_faults(&self) -> usize {
        self.hub.lock().faults.waiting()
    }

    /// How long every request takes at least.
    pub fn set_latency(&self, latency: Duration) {
        self.hub.lock().latency = latency;
    }

    /// How long a namespace is ending at least (200 ms unless told otherwise).
    pub fn set_ending(&self, ending: Duration) {
        self.hub.lock().ending = ending;
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.end();
    }
}
