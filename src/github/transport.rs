//! Requests to one GitHub: where they go, how long they may take, when they are repeated.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LINK, LOCATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{self, Call, Error, InvalidSettings};
use super::gate::Gate;
use super::graphql::{self, PageSizes};
use super::limits::ContentLimits;
use super::pacer::{Account, Api, Deed, Errand, Heard, Urgency};
use crate::https;

/// How often a request is sent at most, if it may be repeated.
pub(super) const TRIES: u32 = 3;

/// How often a request is followed to another place.
const REDIRECTS: u32 = 3;

/// To have a connection at all.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

const JSON: &str = "application/vnd.github+json";

/// How patient the client is.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Pause before the second try; it doubles for the third.
    pub backoff: Duration,
    /// From sending a request to the last byte of its answer; for each try.
    pub deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
        }
    }
}

/// The connection pool of one GitHub; knows no credentials of its own.
pub(super) struct Transport {
    /// Only sends: its retries, its paging, its redirects and its token cache do not do what is needed here.
    octocrab: Octocrab,
    root: Root,
    pub(super) gate: Arc<Gate>,
    pub(super) pages: Arc<PageSizes>,
    timing: Timing,
}

/// On whose behalf a request is sent.
pub(super) struct Sender {
    pub(super) account: Account,
    pub(super) urgency: Urgency,
    pub(super) token: SecretString,
}

/// Where the REST API begins: `https://api.github.com`, `https://host/api/v3`.
#[derive(Debug, PartialEq, Eq)]
struct Root {
    scheme: Scheme,
    authority: String,
    /// Without a slash at its end: empty, or `/api/v3`.
    path: String,
}

/// One request, as its caller means it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    target: Target,
    accept: &'static str,
    body: Option<Value>,
    deed: Deed,
    /// How often it may be sent when GitHub fails; once, if doing it twice is not the same as once.
    tries: u32,
    /// How often when GitHub has no time for it; less often, if it can be asked for in halves.
    tries_in_time: u32,
    /// How often it may be sent when GitHub's limit refuses it.
    tries_within_limits: u32,
}

#[derive(Debug, Clone)]
enum Target {
    /// Path and query below the root of REST.
    Rest(String),
    /// GraphQL, with the name of the query.
    GraphQl(&'static str),
}

impl Request {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::rest(Method::GET, path.into(), None, Deed::Look)
    }

    /// Makes something; never repeated after a failure: it may have been done.
    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self::rest(Method::POST, path.into(), Some(body), Deed::Create).once()
    }

    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::rest(Method::PATCH, path.into(), Some(body), Deed::Change)
    }

    pub(super) fn put(path: impl Into<String>, body: Value) -> Self {
        Self::rest(Method::PUT, path.into(), Some(body), Deed::Change)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::rest(Method::DELETE, path.into(), None, Deed::Change)
    }

    pub(super) fn query(name: &'static str, body: Value, tries_in_time: u32) -> Self {
        Self {
            method: Method::POST,
            target: Target::GraphQl(name),
            accept: JSON,
            body: Some(body),
            deed: Deed::Look,
            tries: TRIES,
            tries_in_time,
            tries_within_limits: TRIES,
        }
    }

    /// What it does, where its method does not say so.
    pub(super) fn that(self, deed: Deed) -> Self {
        Self { deed, ..self }
    }

    pub(super) fn once(self) -> Self {
        Self { tries: 1, ..self }
    }

    /// For what GitHub would take twice: whoever asks has to look before it is sent again.
    pub(super) fn strictly_once(self) -> Self {
        Self {
            tries: 1,
            tries_within_limits: 1,
            ..self
        }
    }

    /// For a request that may be done twice though its method does not say so.
    pub(super) fn repeatable(self) -> Self {
        Self {
            tries: TRIES,
            ..self
        }
    }

    pub(super) fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    fn rest(method: Method, path: String, body: Option<Value>, deed: Deed) -> Self {
        Self {
            method,
            target: Target::Rest(path),
            accept: JSON,
            body,
            deed,
            tries: TRIES,
            tries_in_time: TRIES,
            tries_within_limits: TRIES,
        }
    }

    /// What the limits see of it.
    fn errand(&self, sender: &Sender) -> Errand {
        Errand {
            account: sender.account,
            api: match self.target {
                Target::Rest(_) => Api::Rest,
                Target::GraphQl(_) => Api::GraphQl,
            },
            deed: self.deed,
            urgency: sender.urgency,
        }
    }

    fn call(&self) -> Call {
        let path = match &self.target {
            Target::Rest(path) => path.clone(),
            Target::GraphQl(name) => format!("/graphql {name}"),
        };
        Call {
            method: self.method.clone(),
            path,
            status: None,
            request_id: None,
        }
    }
}

/// An answer of 2xx.
pub(super) struct Answer {
    pub(super) call: Call,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|reason| Error::unreadable(&self.call, &self.body, &reason))
    }

    pub(super) fn text(&self) -> Result<String, Error> {
        String::from_utf8(self.body.to_vec())
            .map_err(|reason| Error::unreadable(&self.call, &self.body, &reason))
    }
}

impl Transport {
    /// Must be called inside a Tokio runtime, and dies with it.
    pub(super) fn new(
        api_url: &str,
        limits: ContentLimits,
        timing: Timing,
    ) -> Result<Self, InvalidSettings> {
        let root = Root::parse(api_url)?;
        let octocrab = client(&root).map_err(|error| {
            InvalidSettings(format!(
                "cannot make a client for `{api_url}`: {}",
                chain(&error)
            ))
        })?;
        Ok(Self {
            octocrab,
            root,
            gate: Arc::new(Gate::new(limits)),
            pages: Arc::default(),
            timing,
        })
    }

    /// Sends a request until it is answered, refused, or has failed as often as it may.
    pub(super) async fn send(&self, request: &Request, sender: &Sender) -> Result<Answer, Error> {
        let mut tried = 1;
        loop {
            let error = match self.attempt(request, sender).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = self.pause(request, &error, tried) else {
                return Err(if tried > 1 {
                    error.of_a_repeat()
                } else {
                    error
                });
            };
            tracing::debug!(%error, tried, ?pause, "trying again");
            tokio::time::sleep(pause).await;
            tried += 1;
        }
    }

    /// How long to wait before the next try; none if there must not be one.
    fn pause(&self, request: &Request, error: &Error, tried: u32) -> Option<Duration> {
        match error {
            // What the limit refuses was not done, so any method may be sent again: the gate knows when.
            Error::RateLimited { call, .. } if call.status.is_some() => {
                (tried < request.tries_within_limits).then_some(Duration::ZERO)
            }
            Error::Unavailable { .. } => {
                let most = if error.is_timeout() {
                    request.tries.min(request.tries_in_time)
                } else {
                    request.tries
                };
                (tried < most).then(|| self.timing.backoff * 2_u32.pow(tried - 1))
            }
            _ => None,
        }
    }

    async fn attempt(&self, request: &Request, sender: &Sender) -> Result<Answer, Error> {
        let turn = self.gate.turn(request.errand(sender)).await;
        let turn = turn.map_err(|until| Error::RateLimited {
            call: Box::new(request.call()),
            message: "it was not sent, because GitHub would refuse it".to_owned(),
            until: clock_time(until),
        })?;
        let unavailable = |message| Error::Unavailable {
            call: Box::new(request.call()),
            message,
        };
        let exchange = self.exchange(request, &sender.token);
        match tokio::time::timeout(self.timing.deadline, exchange).await {
            Ok(Ok(response)) => {
                let headers = response.headers().clone();
                let answer = answer(request, response);
                turn.answered(Some(Heard::of(&headers, answer.as_ref().err(), now())));
                answer
            }
            Ok(Err(error)) => Err(unavailable(chain(&error))),
            Err(_) => Err(unavailable(format!(
                "no answer within {} seconds",
                self.timing.deadline.as_secs_f32()
            ))),
        }
    }

    /// Follows GitHub to where a repository is that was renamed.
    async fn exchange(
        &self,
        request: &Request,
        token: &SecretString,
    ) -> octocrab::Result<http::Response<Bytes>> {
        let mut response = self.exchange_once(request, token).await?;
        for _ in 0..REDIRECTS {
            let Some(target) = self.root.elsewhere(&request.method, &response) else {
                break;
            };
            let request = Request {
                target,
                ..request.clone()
            };
            response = self.exchange_once(&request, token).await?;
        }
        Ok(response)
    }

    async fn exchange_once(
        &self,
        request: &Request,
        token: &SecretString,
    ) -> octocrab::Result<http::Response<Bytes>> {
        let body = request.body.as_ref().map(Value::to_string);
        let request = http::Request::builder()
            .method(&request.method)
            .uri(self.root.path_of(&request.target))
            .header(USER_AGENT, concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, request.accept)
            .header(AUTHORIZATION, bearer(token))
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header(CONTENT_TYPE, "application/json")
            .body(body.unwrap_or_default().into())
            .expect("paths are percent-encoded and headers are ours");
        let (head, body) = self.octocrab.send(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(http::Response::from_parts(head, body))
    }

    /// The path below the root of the page that follows, as `Link` names it: never on another host.
    pub(super) fn next_page(&self, answer: &Answer) -> Result<Option<String>, Error> {
        let Some(link) = next_link(&answer.headers) else {
            return Ok(None);
        };
        match self.root.path_below(&link) {
            Some(path) => Ok(Some(path)),
            None => Err(Error::Unexpected {
                call: Box::new(answer.call.clone()),
                message: format!("the next page is on another server: `{link}`"),
            }),
        }
    }
}

/// Octocrab on connections of our own: those that it makes itself send its name as a second `User-Agent`.
fn client(root: &Root) -> std::io::Result<Octocrab> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(LONGEST_CONNECT));
    let tls = https::connector(tcp)?;
    let connections = Client::builder(TokioExecutor::new()).build::<_, OctoBody>(tls);
    let Ok(client) = OctocrabBuilder::new_empty()
        .with_service(connections)
        .with_layer(&BaseUriLayer::new(root.origin()))
        .with_auth(AuthState::None)
        .build();
    Ok(client)
}

fn answer(request: &Request, response: http::Response<Bytes>) -> Result<Answer, Error> {
    let (head, body) = response.into_parts();
    let call = Call {
        status: Some(head.status),
        request_id: error::text(&head.headers, "x-github-request-id"),
        ..request.call()
    };
    if !head.status.is_success() {
        return Err(Error::of_answer(
            call,
            head.status,
            &head.headers,
            &body,
            now(),
        ));
    }
    if let Target::GraphQl(_) = request.target
        && let Some(message) = graphql::refusal(&body)
    {
        return Err(Error::limited(call, &head.headers, message, now()));
    }
    Ok(Answer {
        call,
        headers: head.headers,
        body,
    })
}

fn bearer(token: &SecretString) -> HeaderValue {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    header.set_sensitive(true);
    header
}

fn next_link(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    let (link, _) = rest.split_once('>')?;
    Some(link.to_owned())
}

impl Root {
    fn parse(api_url: &str) -> Result<Self, InvalidSettings> {
        let wrong = |what: &str| InvalidSettings(format!("`{api_url}` is no API root: {what}"));
        let uri: Uri = api_url
            .trim()
            .parse()
            .map_err(|_| wrong("it is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(InvalidSettings(
                "the API root must not contain credentials".to_owned(),
            ));
        }
        let scheme = uri.scheme().ok_or_else(|| wrong("it has no scheme"))?;
        let safe =
            *scheme == Scheme::HTTPS || *scheme == Scheme::HTTP && is_loopback(authority.host());
        if !safe {
            return Err(wrong(
                "its scheme must be `https://`, or `http://` on a loopback address",
            ));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        Ok(Self {
            scheme: scheme.clone(),
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    fn origin(&self) -> Uri {
        let origin = format!("{}://{}", self.scheme, self.authority);
        origin.parse().expect("it was part of a URL")
    }

    fn path_of(&self, target: &Target) -> String {
        match target {
            Target::Rest(path) => format!("{}{path}", self.path),
            Target::GraphQl(_) => self.graphql_path(),
        }
    }

    /// GitHub Enterprise Server has `/api/v3` and `/api/graphql`; everybody else `/graphql` below the root.
    fn graphql_path(&self) -> String {
        match self.path.strip_suffix("/v3") {
            Some(parent) => format!("{parent}/graphql"),
            None => format!("{}/graphql", self.path),
        }
    }

    /// Where to ask instead, below this root alone: the credentials are for nobody else.
    fn elsewhere(&self, method: &Method, response: &http::Response<Bytes>) -> Option<Target> {
        let may_follow = match response.status().as_u16() {
            301 | 302 => method == Method::GET,
            307 | 308 => true,
            _ => false,
        };
        let location = response.headers().get(LOCATION).filter(|_| may_follow)?;
        self.path_below(location.to_str().ok()?).map(Target::Rest)
    }

    /// Path and query of a link below this root; none if it leads anywhere else.
    fn path_below(&self, link: &str) -> Option<String> {
        let uri: Uri = link.parse().ok()?;
        let here = uri.scheme() == Some(&self.scheme)
            && uri.authority()?.as_str() == self.authority.as_str();
        let path = uri.path_and_query()?.as_str().strip_prefix(&self.path)?;
        (here && path.starts_with('/')).then(|| path.to_owned())
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// An error with its causes on one line; octocrab's own text is `GitHub` or `Service Error`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "the ends of tokens and of rate limits are told in the time of day"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The time of day of a moment to come.
pub(super) fn clock_time(moment: Instant) -> Timestamp {
    let pause = moment.saturating_duration_since(Instant::now());
    now() + SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}

/// Percent-encodes what is not safe in a path or a query; slashes too.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

/// Like [`encoded`], but slashes separate.
pub(super) fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}
