//! A Kubernetes API in memory: start it, furnish it, look at what became of it.
//!
//! ```text
//! kubernetes.rs    the handle: start, furnish, look, log
//!   server.rs        HTTP in and out     call.rs   one request      path.rs  what a path names
//!   verbs.rs         create, change, apply, delete                  rules.rs what is particular to a kind
//!   store.rs         all objects         object.rs how one is kept  kinds.rs which kinds there are
//!   ownership.rs     who set which field fields.rs sets of fields   schema.rs what an object may hold
//!   reviews.rs       who may do what
//!   list.rs watch.rs discovery.rs table.rs selector.rs status.rs names.rs log.rs clock.rs
//! ```
//!
//! Left out on purpose: of a built-in kind only the fields that `kinds/builtin.rs` names are known, so unknown fields and
//! values of another type are taken; messages quote values as JSON, not as Go prints them; a path of a group that nobody
//! declared is answered by a `Status`, not by plain text; no garbage is collected, so owners and propagation policies have no
//! effect; nobody is asked who they are, and nothing is forbidden
//! to them: admission policies are kept like anything else.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod call;
mod clock;
mod discovery;
mod fields;
mod kinds;
mod list;
mod log;
mod names;
mod object;
mod ownership;
mod path;
mod reviews;
mod rules;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod verbs;
mod watch;

pub use log::{Mark, Request};

use server::Hub;
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

    // ── log ──

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
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.end();
    }
}
