//! One place through which every request goes: deadlines, retries, limits, paging.
//!
//! octocrab carries the requests. Its own retry repeats writes and its own paging loses the token on any host but
//! `api.github.com`, so neither is used.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::github::error::{Error, ErrorKind};

/// No answer within this time is a failure of the request.
const DEADLINE: Duration = Duration::from_secs(30);
/// Requests under way at the same time; GitHub's secondary limits count concurrency.
const IN_FLIGHT: usize = 20;
/// Tries of a request that may be repeated.
const TRIES: u32 = 3;
/// A rate limit that ends sooner is waited for; a later one is the caller's to report.
const WORTH_WAITING: Duration = Duration::from_secs(30);
/// GitHub's largest page.
pub(super) const PER_PAGE: usize = 100;

/// One GitHub, and how to reach it.
#[derive(Clone)]
pub(super) struct Transport {
    client: Octocrab,
    root: Uri,
    graphql: Uri,
    in_flight: Arc<Semaphore>,
    /// First wait before a request is repeated; doubled each time.
    backoff: Duration,
}

/// Whether a request that may or may not have been done can simply be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    /// A create: whoever made it looks first whether it exists.
    Never,
}

pub(super) struct Request<'a> {
    pub method: Method,
    /// Path and query, from the REST root on.
    pub path: String,
    pub token: &'a SecretString,
    pub body: Option<&'a Value>,
    pub accept: &'static str,
    pub repeat: Repeat,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: impl Into<String>, token: &'a SecretString) -> Self {
        let accept = "application/vnd.github+json";
        Self { method: Method::GET, path: path.into(), token, body: None, accept, repeat: Repeat::Safe }
    }

    pub(super) fn write(method: Method, path: impl Into<String>, token: &'a SecretString, body: &'a Value) -> Self {
        let repeat = if method == Method::POST { Repeat::Never } else { Repeat::Safe };
        Self { method, repeat, body: Some(body), ..Self::get(path, token) }
    }
}

pub(super) struct Answer {
    pub headers: HeaderMap,
    pub body: bytes::Bytes,
}

impl Transport {
    pub(super) fn new(root: &str, backoff: Duration) -> anyhow::Result<Self> {
        let root: Uri = root.trim_end_matches('/').parse().with_context(|| format!("`{root}` is not a URL"))?;
        check_is_private(&root)?;
        let client = Octocrab::builder()
            .base_uri(root.to_string())?
            .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(DEADLINE))
            .build()
            .context("make a client for GitHub")?;
        let graphql = graphql_url(&root)?;
        Ok(Self { client, root, graphql, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)), backoff })
    }

    /// The answer's JSON, read into what the caller needs of it.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let (method, path) = (request.method.to_string(), request.path.clone());
        let answer = self.send(request).await?;
        read(&method, &path, &answer.body)
    }

    /// All pages of a list; each later page is asked for by the path of GitHub's own link.
    pub(super) async fn pages<T: DeserializeOwned>(&self, path: &str, token: &SecretString) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut next = Some(format!("{path}{}per_page={PER_PAGE}", if path.contains('?') { '&' } else { '?' }));
        while let Some(path) = next {
            let answer = self.send(Request::get(path.clone(), token)).await?;
            items.extend(read::<Vec<T>>("GET", &path, &answer.body)?);
            next = self.next_page(&answer.headers).map_err(|message| Error::unexpected("GET", &path, message))?;
        }
        Ok(items)
    }

    /// Path and query of the next page. A link to another host is refused: it would be given our token.
    fn next_page(&self, headers: &HeaderMap) -> Result<Option<String>, String> {
        let links = headers.get(http::header::LINK).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(link) = links.split(',').find(|link| link.contains("rel=\"next\"")) else { return Ok(None) };
        let url = link.split(['<', '>']).nth(1).unwrap_or_default();
        let uri: Uri = url.parse().map_err(|_| format!("the link `{url}` is not a URL"))?;
        if uri.authority() != self.root.authority() {
            return Err(format!("the next page is on another host: `{url}`"));
        }
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let prefix = self.root.path().trim_end_matches('/');
        Ok(Some(path.strip_prefix(prefix).unwrap_or(&path).to_owned()))
    }

    pub(super) async fn graphql(&self, token: &SecretString, body: &Value) -> Result<Answer, Error> {
        let path = self.graphql.to_string();
        let repeat = Repeat::Safe;
        let accept = "application/vnd.github+json";
        self.send(Request { method: Method::POST, path, token, body: Some(body), accept, repeat }).await
    }

    /// Sends it, again where that is safe and may help.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, Error> {
        let mut wait = self.backoff;
        for _ in 1..TRIES {
            match self.once(&request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => match self.pause(&request, &error, wait) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
            wait *= 4;
        }
        self.once(&request).await
    }

    /// How long to wait before the request is made again; nothing if it is not to be.
    fn pause(&self, request: &Request<'_>, error: &Error, wait: Duration) -> Option<Duration> {
        match &error.kind {
            // Refused before anything was done, so even a create may be repeated.
            ErrorKind::RateLimited { until: Some(until) } => {
                let left = until.duration_since(now());
                Duration::try_from(left).ok().or(Some(Duration::ZERO)).filter(|left| *left <= WORTH_WAITING)
            }
            ErrorKind::Unavailable { .. } if request.repeat == Repeat::Safe => Some(wait),
            _ => None,
        }
    }

    async fn once(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let _permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let fail = |kind| Error {
            method: request.method.to_string(),
            path: shown(&request.path),
            request_id: None,
            kind,
        };
        let unavailable = |message: String| fail(ErrorKind::Unavailable { message });
        let exchange = async {
            let request = self.build(request).map_err(|error| fail(ErrorKind::Unexpected { message: error }))?;
            let response = self.client.execute(request).await;
            let response = response.map_err(|error| unavailable(format!("GitHub cannot be reached: {}", cause(&error))))?;
            let (parts, body) = response.into_parts();
            let body = http_body_util::BodyExt::collect(body).await;
            let body = body.map_err(|error| unavailable(format!("the answer broke off: {}", cause(&error))))?;
            Ok((parts.status, parts.headers, body.to_bytes()))
        };
        let (status, headers, body) = tokio::time::timeout(DEADLINE, exchange)
            .await
            .map_err(|_| unavailable(format!("no answer within {} s", DEADLINE.as_secs())))??;
        tracing::debug!(method = %request.method, path = %shown(&request.path), %status, "GitHub");
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let request_id = header(&headers, "x-github-request-id");
        Err(Error { request_id, ..fail(kind(status, &headers, &body)) })
    }

    fn build(&self, request: &Request<'_>) -> Result<http::Request<octocrab::OctoBody>, String> {
        let url = if request.path.starts_with("http") {
            request.path.clone()
        } else {
            format!("{}{}", self.root.to_string().trim_end_matches('/'), request.path)
        };
        let body = match request.body {
            Some(body) => octocrab::OctoBody::from(body.to_string()),
            None => octocrab::OctoBody::empty(),
        };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", request.token.expose_secret()))
            .map_err(|_| "the token is not a header value".to_owned())?;
        bearer.set_sensitive(true);
        http::Request::builder()
            .method(request.method.clone())
            .uri(url)
            .header(http::header::AUTHORIZATION, bearer)
            .header(http::header::ACCEPT, request.accept)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| error.to_string())
    }
}

/// `http://` would show tokens to the network; only this machine is trusted with them.
fn check_is_private(root: &Uri) -> anyhow::Result<()> {
    let host = root.host().unwrap_or_default();
    let is_loopback = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    match root.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback => Ok(()),
        _ => anyhow::bail!("`{root}`: use https:// (http:// is for loopback addresses alone)"),
    }
}

/// `<root>/graphql`; a GitHub Enterprise Server has it beside its REST root `/api/v3`.
fn graphql_url(root: &Uri) -> anyhow::Result<Uri> {
    let root = root.to_string();
    let root = root.trim_end_matches('/');
    let url = match root.strip_suffix("/api/v3") {
        Some(host) => format!("{host}/api/graphql"),
        None => format!("{root}/graphql"),
    };
    url.parse().with_context(|| format!("`{url}` is not a URL"))
}

pub(super) fn read<T: DeserializeOwned>(method: &str, path: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let start: String = String::from_utf8_lossy(body).chars().take(200).collect();
        Error::unexpected(method, &shown(path), format!("{error} in `{start}`"))
    })
}

fn kind(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ErrorKind {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = message(status, &body);
    let is_limited = header(headers, "retry-after").is_some()
        || header(headers, "x-ratelimit-remaining").as_deref() == Some("0")
        || message.to_ascii_lowercase().contains("rate limit");
    match status.as_u16() {
        429 => ErrorKind::RateLimited { until: limited_until(headers) },
        403 if is_limited => ErrorKind::RateLimited { until: limited_until(headers) },
        401 => ErrorKind::Unauthorized { message },
        403 => ErrorKind::Forbidden { message, needs: header(headers, "x-accepted-github-permissions") },
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict { message },
        500..=599 => ErrorKind::Unavailable { message },
        _ => ErrorKind::Invalid { message },
    }
}

/// GitHub's own words: the message and what it says of each field.
fn message(status: StatusCode, body: &Value) -> String {
    let said = body["message"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    let details = body["errors"].as_array().into_iter().flatten().map(|error| match error["message"].as_str() {
        Some(message) => message.to_owned(),
        None => error.as_str().map_or_else(|| error.to_string(), str::to_owned),
    });
    std::iter::once(said).chain(details).collect::<Vec<_>>().join("; ")
}

fn limited_until(headers: &HeaderMap) -> Option<Timestamp> {
    if let Some(seconds) = header(headers, "retry-after").and_then(|value| value.parse::<i64>().ok()) {
        return now().checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
    }
    let reset = header(headers, "x-ratelimit-reset")?.parse().ok()?;
    Timestamp::from_second(reset).ok()
}

fn header(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let value = headers.get(HeaderName::from_static(name))?;
    value.to_str().ok().map(str::to_owned)
}

/// A GraphQL URL shortened to its name, everything else as it is.
fn shown(path: &str) -> String {
    if path.starts_with("http") { "/graphql".to_owned() } else { path.to_owned() }
}

/// The last of the causes; octocrab's own texts say nothing.
fn cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

#[expect(clippy::disallowed_methods, reason = "tokens and rate limits end at a time of the outside world")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
