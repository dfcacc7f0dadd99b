//! A GitHub that answers what a test tells it to, and remembers what it was asked.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::github::{ContentLimits, GitHub, Reader, Reporter, Settings, Timing, Writer};

/// Made for this run of the tests: no private key stands in the repository.
pub(super) static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub(super) fn private_key() -> String {
    pem("PRIVATE KEY", KEY.as_der().unwrap().as_ref())
}

#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Received {
    pub(super) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    fn mints(&self) -> bool {
        self.path.ends_with("/access_tokens")
    }

    pub(super) fn token(&self) -> &str {
        let value = self.headers["authorization"].to_str().unwrap();
        value.strip_prefix("Bearer ").unwrap()
    }
}

pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
}

pub(super) fn ok(body: Value) -> Answer {
    status(200, body)
}

pub(super) fn status(status: u16, body: Value) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: match body {
            Value::String(text) => text,
            other => other.to_string(),
        },
        after: Duration::ZERO,
    }
}

impl Answer {
    pub(super) fn header(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

pub(super) struct Server {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Mints tokens without a word; `answer` gets every other request.
    pub(super) async fn start(
        answer: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::bare(move |request, before| {
            if request.mints() {
                token(before)
            } else {
                answer(request, before)
            }
        })
        .await
    }

    /// `answer` sees the request and how many like it (method and path) came before.
    pub(super) async fn bare(
        answer: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (received.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request<Body>| {
            let (log, answer) = (log.clone(), answer.clone());
            async move { respond(request, &log, answer.as_ref()).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    /// Answers every request alike.
    pub(super) async fn always(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |_, _| answer()).await
    }

    pub(super) fn github(&self) -> GitHub {
        GitHub::new(&self.settings()).unwrap()
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            api_url: self.url.clone(),
            app_id: "12".to_owned(),
            private_key: private_key().into(),
            limits: ContentLimits::NONE,
            timing: Timing {
                backoff: Duration::from_millis(10),
                // Only a test that is about it may reach it, however busy the machine is.
                deadline: Duration::from_secs(30),
            },
        }
    }

    pub(super) fn reader(&self) -> Reader {
        self.github().reader(7)
    }

    pub(super) fn reporter(&self) -> Reporter {
        self.github().reporter(7, &"acme/control".parse().unwrap())
    }

    pub(super) fn writer(&self) -> Writer {
        self.github().writer(7)
    }

    /// What was asked, without the minting of tokens.
    pub(super) fn asked(&self) -> Vec<Received> {
        let mut asked = self.received.lock().unwrap().clone();
        asked.retain(|request| !request.mints());
        asked
    }

    pub(super) fn minted(&self) -> Vec<Received> {
        let mut minted = self.received.lock().unwrap().clone();
        minted.retain(Received::mints);
        minted
    }
}

async fn respond(
    request: Request<Body>,
    log: &Mutex<Vec<Received>>,
    answer: &(impl Fn(&Received, usize) -> Answer + Send + Sync),
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let received = Received {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let before = remember(log, &received);
    let answer = answer(&received, before);
    tokio::time::sleep(answer.after).await;
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap())
        .header("x-github-request-id", "ABCD:1");
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}

fn remember(log: &Mutex<Vec<Received>>, received: &Received) -> usize {
    let mut log = log.lock().unwrap();
    let like = |known: &&Received| known.is(received.method.as_str(), &received.path);
    let before = log.iter().filter(like).count();
    log.push(received.clone());
    before
}

/// The usual answer to a request for an installation token: good for an hour, another each time.
pub(super) fn token(before: usize) -> Answer {
    token_until(before, "2999-01-01T00:00:00Z")
}

pub(super) fn token_until(before: usize, end: &str) -> Answer {
    let token = format!("ghs_secret{before}");
    status(201, json!({ "token": token, "expires_at": end }))
}
