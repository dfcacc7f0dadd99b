//! The embedded cluster answers as a real API server does: the same requests go to both, and the real one is the judge.
//!
//! What differs from one server, run or version of Kubernetes to another is taken out on both sides: `plain` says what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tenantry::sandbox::kubernetes::Kubernetes;

use crate::cluster::Cluster;

const PATIENCE: Duration = Duration::from_secs(30);

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Both clusters, and where their answers have differed so far.
struct Both {
    embedded: Kubernetes,
    sides: [Side; 2],
    /// Stands for `%`: cases share the real server.
    suffix: String,
    differences: Vec<String>,
}

/// One cluster, and what it said last of an object, which stands for `{uid}` and the like in later requests.
struct Side {
    client: kube::Client,
    said: BTreeMap<&'static str, String>,
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    body: Value,
}

impl Both {
    /// None where tests that need a real server are left out.
    async fn start() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let cluster = Cluster::shared_or_skip()?;
        crate::support::installed_once(cluster);
        let embedded = Kubernetes::start().await;
        for file in [
            "deploy/crd.yaml",
            "tests/flux-crds/gitrepositories.yaml",
            "tests/flux-crds/kustomizations.yaml",
        ] {
            embedded.apply_yaml(&std::fs::read_to_string(file).expect("it is in the repository"));
        }
        let sides = [
            Side::of(&cluster.kubeconfig_yaml()).await,
            Side::of(&embedded.kubeconfig()).await,
        ];
        let suffix = format!("-both{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut both = Self {
            embedded,
            sides,
            suffix,
            differences: Vec::new(),
        };
        both.make(
            "/api/v1/namespaces",
            &json!({"metadata": {"name": "room%"}}),
        )
        .await;
        Some(both)
    }

    /// The same request to both: the real one's answer, once the other's is compared with it.
    async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut answers = Vec::new();
        for side in &mut self.sides {
            let fill = |text: &str| side.fill(&text.replace('%', &self.suffix));
            let (path, body) = (fill(path), fill(body));
            let answer = side.ask(method, &path, kind, &body).await;
            answers.push(answer);
        }
        let [real, embedded] = answers.try_into().expect("there are two sides");
        if real != embedded {
            self.differences.push(format!(
                "{method} {path} {kind}\n  real     {} {}\n  embedded {} {}",
                real.status, real.body, embedded.status, embedded.body
            ));
        }
        real
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    async fn make(&mut self, path: &str, object: &Value) -> Answer {
        let answer = self
            .ask("POST", path, "application/json", &object.to_string())
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer
    }

    /// Asks each for itself until this is its answer's status.
    async fn wait(&mut self, path: &str, status: u16) {
        let path = path.replace('%', &self.suffix);
        for side in &mut self.sides {
            let started = Instant::now();
            while side.ask("GET", &path, "", "").await.status != status {
                assert!(started.elapsed() < PATIENCE, "{path} is never {status}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn end(self) {
        let differences = self.differences.join("\n");
        assert!(
            differences.is_empty(),
            "the embedded cluster answers otherwise:\n{differences}"
        );
        assert_eq!(self.embedded.unknown_requests(), Vec::<String>::new());
        self.embedded.stop();
    }
}

impl Side {
    async fn of(kubeconfig: &str) -> Self {
        let config = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options).await;
        let client = kube::Client::try_from(config.expect("it names a cluster"));
        Self {
            client: client.expect("a client"),
            said: BTreeMap::new(),
        }
    }

    fn fill(&self, text: &str) -> String {
        self.said
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
    }

    /// `kind` is the content type of what is sent, or what a GET accepts.
    async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", "judge/1");
        if !kind.is_empty() {
            let header = if method == "GET" {
                "accept"
            } else {
                "content-type"
            };
            request = request.header(header, kind);
        }
        let request = request.body(Body::from(body.as_bytes().to_vec()));
        let answer = self.client.send(request.expect("a sound request")).await;
        let answer = answer.expect("it answers");
        let status = answer.status().as_u16();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("the whole answer");
        let text = bytes.to_bytes();
        let mut lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let mut body = match serde_json::from_slice(&text) {
            Ok(body) => body,
            // A watch tells an event a line.
            Err(_) if path.contains("watch=") => lines
                .by_ref()
                .map(|line| serde_json::from_slice::<Value>(line).expect("an event"))
                .collect(),
            Err(_) => json!(String::from_utf8_lossy(&text)),
        };
        for (name, pointer) in [
            ("uid", "/metadata/uid"),
            ("revision", "/metadata/resourceVersion"),
            ("continue", "/metadata/continue"),
        ] {
            if let Some(text) = body.pointer(pointer).and_then(Value::as_str) {
                self.said.insert(name, text.to_owned());
            }
        }
        plain(&mut body);
        Answer { status, body }
    }
}

/// Takes out what may differ: ids, revisions and times; what versions of Kubernetes add or no longer say; the words that
/// describe a column.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(map) => {
            for key in [
                "kubernetes.io/metadata.name",
                "f:kubernetes.io/metadata.name",
                "selfLink",
                "subresource",
                "remainingItemCount",
            ] {
                map.shift_remove(key);
            }
            for key in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "deletionTimestamp",
                "time",
                "continue",
            ] {
                if let Some(text) = map.get_mut(key).filter(|text| text.is_string()) {
                    *text = json!(if text == "" { "" } else { key });
                }
            }
            if map.contains_key("columnDefinitions") {
                plain_table(map);
            }
            map.values_mut().for_each(plain);
            if let Some(Value::String(message)) = map.get_mut("message") {
                *message = without_details(message);
            }
            // The label of its own name, which 1.21 began to set, is all that some namespaces have.
            map.retain(|key, value| match key.as_str() {
                "labels" | "f:metadata" => *value != json!({}),
                "f:labels" => *value != json!({".": {}}),
                _ => true,
            });
        }
        _ => {}
    }
}

/// Objects of the same moment may be some seconds old on one side and some more on the other.
fn plain_table(table: &mut serde_json::Map<String, Value>) {
    let mut ages = Vec::new();
    let columns = table["columnDefinitions"].as_array_mut();
    for (index, column) in columns.into_iter().flatten().enumerate() {
        column["description"] = Value::Null;
        if column["name"] == "Age" {
            ages.push(index);
        }
    }
    for row in table["rows"].as_array_mut().into_iter().flatten() {
        for index in &ages {
            let age = &mut row["cells"][index];
            let seconds = age.as_str().and_then(|age| age.strip_suffix('s'));
            if seconds.is_some_and(|seconds| seconds.parse::<u8>().is_ok()) {
                *age = json!("seconds");
            }
        }
    }
}

/// Without an object's own id or revision, and without what a decoder says of text that it cannot read.
fn without_details(message: &str) -> String {
    let mut plain = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("in record (") {
        plain = plain + before + "in record ";
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    plain += rest;
    match plain.split_once("continue key is not valid") {
        Some((before, _)) => format!("{before}continue key is not valid"),
        None => plain,
    }
}

fn config_map(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "labels": labels },
        "data": { "a": "1", "b": "2" },
    })
}

const MAPS: &str = "/api/v1/namespaces/room%/configmaps";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_selected_and_read_page_by_page() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    for (name, tier) in [("one", "web"), ("two", "web"), ("three", "data")] {
        both.make(
            MAPS,
            &config_map(name, &json!({"tier": tier, "at": "both"})),
        )
        .await;
    }
    for selector in [
        "tier=web",
        "tier!=web,at",
        "tier+in+(web,data)",
        "tier+notin+(web),at==both",
        "at,!tier",
    ] {
        both.get(&format!("{MAPS}?labelSelector=at,{selector}"))
            .await;
    }
    let page = both.get(&format!("{MAPS}?limit=2&labelSelector=at")).await;
    assert_eq!(page.body["metadata"]["continue"], "continue");
    both.get(&format!(
        "{MAPS}?limit=2&labelSelector=at&continue={{continue}}"
    ))
    .await;
    both.get(&format!("{MAPS}?continue=nonsense")).await;
    both.get(&format!("{MAPS}?fieldSelector=metadata.name=two"))
        .await;
    both.get("/api/v1/namespaces/nowhere/configmaps").await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_owns_its_fields() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    let path = format!("{MAPS}/shared");
    let apply = |data: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": data})
            .to_string()
    };
    let by = |manager: &str| format!("{path}?fieldManager={manager}");
    let steps = [
        (by("first"), json!({"a": "1", "b": "2"})),
        (by("first"), json!({"a": "1", "b": "2"})),
        (by("second"), json!({"c": "3"})),
        (by("second"), json!({"a": "9", "c": "3"})),
        (by("second"), json!({"a": "9", "b": "8", "c": "3"})),
        (by("second") + "&force=true&dryRun=All", json!({"a": "9"})),
        (by("second") + "&force=true", json!({"a": "9", "c": "3"})),
        (by("first"), json!({"b": "2"})),
        (path.clone(), json!({"a": "1"})),
    ];
    for (path, data) in steps {
        both.ask("PATCH", &path, APPLY, &apply(data)).await;
        both.get(&format!("{MAPS}/shared")).await;
    }
    for wrong in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}),
        json!({"kind": "ConfigMap", "metadata": {"name": "shared"}}),
    ] {
        both.ask("PATCH", &by("first"), APPLY, &wrong.to_string())
            .await;
    }
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_replaced_and_patched() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    both.make(MAPS, &config_map("thing", &json!({"tier": "web"})))
        .await;
    let path = &format!("{MAPS}/thing");
    let again = config_map("thing", &json!({})).to_string();
    both.ask("POST", MAPS, "application/json", &again).await;
    let nowhere = "/api/v1/namespaces/nowhere/configmaps";
    both.ask("POST", nowhere, "application/json", &again).await;
    let bad = config_map("Not_a_name", &json!({})).to_string();
    both.ask("POST", MAPS, "application/json", &bad).await;
    for (kind, patch) in [
        (MERGE, json!({"data": {"a": null, "c": "3"}})),
        (
            MERGE,
            json!({"metadata": {"labels": {"tier": null}, "annotations": {"x": "y"}}}),
        ),
        (MERGE, json!({"metadata": {"resourceVersion": "1"}})),
        (
            JSON_PATCH,
            json!([{"op": "replace", "path": "/data/c", "value": "4"}]),
        ),
        (
            JSON_PATCH,
            json!([{"op": "test", "path": "/data/c", "value": "5"}]),
        ),
        ("text/plain", json!({})),
    ] {
        both.ask("PATCH", path, kind, &patch.to_string()).await;
        both.get(path).await;
    }
    let mut whole = config_map("thing", &json!({"tier": "data"}));
    whole["metadata"]["resourceVersion"] = json!("{revision}");
    both.ask("PUT", path, "application/json", &whole.to_string())
        .await;
    whole["metadata"]["resourceVersion"] = json!("1");
    both.ask("PUT", path, "application/json", &whole.to_string())
        .await;
    both.ask("POST", path, "application/json", "{}").await;
    both.get(&format!("{MAPS}/missing")).await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_wrong_shape_is_refused_and_the_embedded_cluster_goes_on() {
    let cluster = Kubernetes::start().await;
    let mut side = Side::of(&cluster.kubeconfig()).await;
    for (path, body) in [
        (
            "/api/v1/namespaces",
            json!({"metadata": {"name": "a", "labels": "b"}}),
        ),
        (
            "/api/v1/namespaces",
            json!({"metadata": {"name": "a"}, "status": "b"}),
        ),
        (
            "/api/v1/namespaces/default/secrets",
            json!({"metadata": {"name": "a"}, "data": "b", "stringData": {"c": "d"}}),
        ),
        ("/api/v1/namespaces", json!([])),
    ] {
        let answer = side
            .ask("POST", path, "application/json", &body.to_string())
            .await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.body);
    }
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_held_by_preconditions_and_finalizers() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    let mut held = config_map("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    both.make(MAPS, &held).await;
    let path = &format!("{MAPS}/held");
    for preconditions in [
        json!({"uid": "another"}),
        json!({"resourceVersion": "1"}),
        json!({"uid": "{uid}", "resourceVersion": "{revision}"}),
        json!({"uid": "{uid}"}),
    ] {
        let options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions});
        both.ask("DELETE", path, "application/json", &options.to_string())
            .await;
        both.get(path).await;
    }
    let release = json!({"metadata": {"finalizers": null}}).to_string();
    both.ask("PATCH", path, MERGE, &release).await;
    both.get(path).await;
    both.ask("DELETE", path, "", "").await;
    both.make(MAPS, &config_map("free", &json!({}))).await;
    let path = &format!("{MAPS}/free");
    both.ask("DELETE", &format!("{path}?dryRun=All"), "", "")
        .await;
    both.ask("DELETE", path, "", "").await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_ends_with_all_that_is_in_it() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    both.get("/api/v1/namespaces/room%").await;
    let mut held = config_map("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    both.make(MAPS, &held).await;
    both.make(MAPS, &config_map("free", &json!({}))).await;
    both.ask("DELETE", "/api/v1/namespaces/room%", "", "").await;
    both.wait(&format!("{MAPS}/free"), 404).await;
    let late = config_map("late", &json!({})).to_string();
    both.ask("POST", MAPS, "application/json", &late).await;
    let release = json!({"metadata": {"finalizers": null}}).to_string();
    both.ask("PATCH", &format!("{MAPS}/held"), MERGE, &release)
        .await;
    both.wait("/api/v1/namespaces/room%", 404).await;
    both.get(&format!("{MAPS}/held")).await;
    both.ask("DELETE", "/api/v1/namespaces/default", "", "")
        .await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_happened_since() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    both.make(MAPS, &config_map("seen", &json!({"tier": "web"})))
        .await;
    let since: Vec<_> = both
        .sides
        .iter()
        .map(|side| side.said["revision"].clone())
        .collect();
    let path = &format!("{MAPS}/seen");
    let other = json!({"metadata": {"labels": {"tier": "data"}}}).to_string();
    both.ask("PATCH", path, MERGE, &other).await;
    both.ask("DELETE", path, "", "").await;
    for (side, since) in both.sides.iter_mut().zip(since) {
        side.said.insert("revision", since);
    }
    let watch = "?watch=true&timeoutSeconds=1&resourceVersion={revision}";
    let told = both
        .get(&format!("{MAPS}{watch}&fieldSelector=metadata.name=seen"))
        .await;
    assert_eq!(told.body.as_array().map(Vec::len), Some(2), "{}", told.body);
    both.get(&format!("{MAPS}{watch}&labelSelector=tier=web"))
        .await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_kind_has_a_schema_a_status_and_columns() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    let sources = "/apis/source.toolkit.fluxcd.io/v1/namespaces/room%/gitrepositories";
    let source = |url: &str| {
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "workspace"},
            "spec": {"interval": "1m", "url": url, "suspend": false},
        })
        .to_string()
    };
    let path = &format!("{sources}/workspace");
    let apply = &format!("{path}?fieldManager=first");
    both.ask("PATCH", apply, APPLY, &source("ssh://git@example.com/a"))
        .await;
    both.ask("PATCH", apply, APPLY, &source("ftp://example.com/a"))
        .await;
    both.ask("PATCH", apply, APPLY, &source("ssh://git@example.com/b"))
        .await;
    let status = json!({
        "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded",
            "message": "stored", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    });
    both.ask(
        "PATCH",
        &format!("{path}/status"),
        MERGE,
        &status.to_string(),
    )
    .await;
    both.get(path).await;
    both.ask(
        "PATCH",
        path,
        MERGE,
        &json!({"status": {"observedGeneration": 9}, "nonsense": 1}).to_string(),
    )
    .await;
    both.ask(
        "PATCH",
        path,
        MERGE,
        &json!({"spec": {"interval": 3}}).to_string(),
    )
    .await;
    both.ask("GET", sources, TABLE, "").await;
    both.ask("GET", path, TABLE, "").await;
    both.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_kinds_are_shown_as_rows() {
    let Some(mut both) = Both::start().await else {
        return;
    };
    let room = |rest: &str| format!("/api/v1/namespaces/room%/{rest}");
    both.make(
        &room("secrets"),
        &json!({"metadata": {"name": "key"}, "stringData": {"identity": "none"}}),
    )
    .await;
    both.make(MAPS, &config_map("thing", &json!({}))).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/room%/rolebindings";
    both.make(
        rbac,
        &json!({"metadata": {"name": "team"}, "roleRef": {"kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "Group", "name": "team"}]}),
    )
    .await;
    let policies = "/apis/networking.k8s.io/v1/namespaces/room%/networkpolicies";
    both.make(
        policies,
        &json!({"metadata": {"name": "isolated"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 53}]}]}}),
    )
    .await;
    for path in [
        &room("secrets/key"),
        &room("configmaps/thing"),
        &format!("{rbac}/team"),
        &format!("{policies}/isolated"),
        "/api/v1/namespaces/room%",
    ] {
        both.ask("GET", path, TABLE, "").await;
    }
    both.end();
}
