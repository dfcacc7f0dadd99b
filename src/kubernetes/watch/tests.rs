use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::timeout;

use super::Seen;
use crate::kubernetes::{Reader, connect_with};
use crate::object::Kind;

/// What a server answers to one request, and what the request asked.
#[derive(Clone)]
struct Script(Arc<Mutex<(VecDeque<Answer>, Vec<String>)>>);

enum Answer {
    List {
        names: &'static [&'static str],
        version: &'static str,
        next: &'static str,
    },
    /// Events, one a line; then the connection ends.
    Watch(Vec<Value>),
    /// Events, and then nothing for as long as the test lasts.
    Silent(Vec<Value>),
    /// Something that breaks off in the middle.
    Broken,
    Refused(u16),
}

fn object(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": Kind::Tenant.api_version(), "kind": "Tenant",
        "metadata": { "name": name, "resourceVersion": version },
    })
}

fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let answer = {
        let mut script = script.0.lock().unwrap();
        let query = request.uri().query().unwrap_or_default();
        script.1.push(query.to_owned());
        script.0.pop_front().unwrap_or(Answer::Silent(Vec::new()))
    };
    let body = match answer {
        Answer::List {
            names,
            version,
            next,
        } => {
            let items: Vec<_> = names.iter().map(|name| object(name, version)).collect();
            let metadata = json!({ "resourceVersion": version, "continue": next });
            Body::from(json!({ "metadata": metadata, "items": items }).to_string())
        }
        Answer::Watch(events) => Body::from(lines(&events)),
        Answer::Silent(events) => {
            let first =
                futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(lines(&events)))]);
            Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()))
        }
        Answer::Broken => Body::from("{\"type\": \"ADDED\", \"obj"),
        Answer::Refused(code) => {
            let status = json!({ "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "x" });
            let response = Response::builder()
                .status(code)
                .header("content-type", "application/json");
            return response.body(Body::from(status.to_string())).unwrap();
        }
    };
    Response::builder()
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// A server that answers so, watched.
struct Watched {
    script: Script,
    seen: Receiver<(Kind, Seen)>,
}

impl Watched {
    async fn by(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script(Arc::new(Mutex::new((
            answers.into_iter().collect(),
            Vec::new(),
        ))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = kube::Config::new(url.parse().unwrap());
        let (reader, _): (Reader, _) = connect_with(config).unwrap();
        let (sender, seen) = mpsc::channel(8);
        tokio::spawn(reader.watch(Kind::Tenant, sender));
        Self { script, seen }
    }

    /// The next few things seen, in short: `+a` for one that is there, `-a` for one that is gone.
    async fn sees(&mut self, count: usize) -> String {
        let mut words = Vec::new();
        for _ in 0..count {
            let next = timeout(Duration::from_secs(10), self.seen.recv()).await;
            let (_, seen) = next.expect("it is told in time").unwrap();
            let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
            words.push(match seen {
                Seen::Listing => "[".to_owned(),
                Seen::Listed => "]".to_owned(),
                Seen::Present(object) => format!("+{}", name(&object)),
                Seen::Gone(object) => format!("-{}", name(&object)),
            });
        }
        words.join(" ")
    }

    /// From where each watch went on.
    fn versions(&self) -> Vec<String> {
        let asked = &self.script.0.lock().unwrap().1;
        let watches = asked.iter().filter(|query| query.contains("watch=1"));
        let from = watches.map(|query| query.split_once("resourceVersion=").unwrap().1.to_owned());
        from.collect()
    }
}

#[tokio::test]
async fn all_there_is_is_listed_and_then_each_change_is_told() {
    let mut watched = Watched::by([
        Answer::List {
            names: &["a"],
            version: "7",
            next: "more",
        },
        Answer::List {
            names: &["b"],
            version: "7",
            next: "",
        },
        Answer::Silent(vec![
            event("MODIFIED", &object("a", "8")),
            event("DELETED", &object("b", "9")),
        ]),
    ])
    .await;
    assert_eq!(watched.sees(6).await, "[ +a +b ] +a -b");
    assert_eq!(watched.versions(), ["7"]);
    let asked = watched.script.0.lock().unwrap().1.clone();
    assert!(
        asked
            .iter()
            .all(|query| query.contains("managed%2Dby%3Dtenantry")),
        "{asked:?}"
    );
    assert!(asked[1].contains("continue=more"));
}

#[tokio::test]
async fn a_watch_that_ends_or_breaks_goes_on_where_it_was() {
    let bookmark =
        json!({ "kind": "Tenant", "apiVersion": "v1", "metadata": { "resourceVersion": "20" } });
    let mut watched = Watched::by([
        Answer::List {
            names: &[],
            version: "7",
            next: "",
        },
        Answer::Watch(vec![event("ADDED", &object("a", "8"))]),
        Answer::Broken,
        Answer::Refused(500),
        Answer::Watch(vec![
            event("ADDED", &object("b", "9")),
            event("BOOKMARK", &bookmark),
        ]),
        Answer::Silent(vec![event("ADDED", &object("c", "21"))]),
    ])
    .await;
    assert_eq!(watched.sees(5).await, "[ ] +a +b +c");
    assert_eq!(watched.versions(), ["7", "8", "8", "8", "20"]);
}

#[tokio::test]
async fn where_the_server_has_forgotten_everything_is_listed_anew() {
    let gone = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "message": "too old", "reason": "Expired" });
    let mut watched = Watched::by([
        Answer::List {
            names: &["a"],
            version: "7",
            next: "",
        },
        Answer::Watch(vec![event("ERROR", &gone)]),
        Answer::List {
            names: &["b"],
            version: "30",
            next: "",
        },
        Answer::Refused(410),
        Answer::List {
            names: &["b"],
            version: "40",
            next: "",
        },
        Answer::Silent(Vec::new()),
    ])
    .await;
    assert_eq!(watched.sees(9).await, "[ +a ] [ +b ] [ +b ]");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(watched.versions(), ["7", "30", "40"]);
}

#[tokio::test]
async fn a_kind_that_the_server_does_not_know_is_looked_for_again() {
    let mut watched = Watched::by([
        Answer::Refused(404),
        Answer::List {
            names: &["a"],
            version: "7",
            next: "",
        },
    ])
    .await;
    // The first try had begun to list.
    assert_eq!(watched.sees(4).await, "[ [ +a ]");
}
