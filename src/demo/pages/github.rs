//! GitHub, asked over REST.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK,
    USER_AGENT,
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::time::now;
use super::trouble::{Side, Trouble};
use crate::sandbox;

mod things;

pub(super) use things::{
    Account, Annotation, CheckRun, CheckRuns, CheckState, Commit, Delivery, DeployKey, Event, File,
    FullDelivery, Protection, Pull, PullState, Reference, Repository, Team, TeamRepository,
    first_line, short,
};

/// No answer within this time counts as none.
const DEADLINE: Duration = Duration::from_secs(10);

/// Answers kept for `If-None-Match`; beyond, all are forgotten.
const MOST_KEPT: usize = 2_000;

/// The life of the App's own token, in seconds; GitHub takes ten minutes at most.
const JWT_LIFE: i64 = 300;

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";

/// With whose credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Person,
    App,
}

pub(super) struct GitHub {
    octocrab: Octocrab,
    token: SecretString,
    app: sandbox::github::App,
    kept: Mutex<HashMap<(Who, String), Kept>>,
}

/// An answer that GitHub need not send again.
#[derive(Clone)]
struct Kept {
    tag: HeaderValue,
    body: Bytes,
    next: Option<String>,
    at: Timestamp,
}

/// Why what is shown may be old.
#[derive(Clone, Debug)]
pub(super) struct Stale {
    pub(super) why: String,
    pub(super) since: Timestamp,
}

/// One look at GitHub: where it does not answer, what it said before is taken, and that is remembered.
pub(super) struct Look<'a> {
    github: &'a GitHub,
    stale: Mutex<Option<Stale>>,
}

struct Answer {
    body: Bytes,
    next: Option<String>,
}

impl GitHub {
    /// Must be called inside a Tokio runtime.
    pub(super) fn new(url: &str, token: SecretString, app: sandbox::github::App) -> Self {
        let octocrab = Octocrab::builder()
            .base_uri(url)
            .expect("the embedded GitHub has a sound address")
            .add_retry_config(RetryConfig::None)
            .build()
            .expect("a client without settings can be made");
        Self {
            octocrab,
            token,
            app,
            kept: Mutex::default(),
        }
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look {
            github: self,
            stale: Mutex::default(),
        }
    }

    /// Changes something, as the person.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Trouble> {
        self.write(Who::Person, method, path, body).await
    }

    /// Changes something, as the App.
    pub(super) async fn change_as_app(&self, method: Method, path: &str) -> Result<(), Trouble> {
        self.write(Who::App, method, path, &json!({})).await?;
        Ok(())
    }

    async fn write(
        &self,
        who: Who,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Trouble> {
        let request = self.request(who, method, path).header(ACCEPT, JSON);
        let request = request.body(body.to_string());
        let (status, _, body) = self.send(request.expect("paths are encoded")).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn request(&self, who: Who, method: Method, path: &str) -> http::request::Builder {
        let token = match who {
            Who::Person => self.token.clone(),
            Who::App => self.jwt(),
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .expect("a token is plain text");
        bearer.set_sensitive(true);
        http::Request::builder()
            .method(method)
            .uri(path)
            .header(USER_AGENT, "tenantry-demo")
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
    }

    fn jwt(&self) -> SecretString {
        let now = now().as_second();
        let claims = json!({"iss": self.app.client_id, "iat": now - 60, "exp": now + JWT_LIFE});
        let key = EncodingKey::from_rsa_pem(self.app.private_key_pem.as_bytes());
        let key = key.expect("the embedded GitHub makes sound keys");
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
            .expect("a sound key signs")
            .into()
    }

    async fn send<B: Into<octocrab::OctoBody>>(
        &self,
        request: http::Request<B>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Trouble> {
        let exchange = async {
            let (head, body) = self
                .octocrab
                .send(request.map(Into::into))
                .await?
                .into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, octocrab::Error>((head.status, head.headers, body))
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(Ok((status, _, body))) if status.is_server_error() => Err(refusal(status, &body)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Trouble::unavailable(Side::GitHub, "The connection failed.")),
            Err(_) => Err(Trouble::unavailable(
                Side::GitHub,
                format!("There was no answer within {} seconds.", DEADLINE.as_secs()),
            )),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(Who, String), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, sparing GitHub what it has sent before.
    async fn read(&self, who: Who, path: &str, accept: &str) -> Result<Kept, Trouble> {
        let key = (who, path.to_owned());
        let known = self.kept().get(&key).cloned();
        let mut request = self.request(who, Method::GET, path).header(ACCEPT, accept);
        if let Some(known) = &known {
            request = request.header(IF_NONE_MATCH, &known.tag);
        }
        let request = request.body(String::new()).expect("paths are encoded");
        let (status, headers, body) = self.send(request).await?;
        let answer = match (status, known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => Kept { at: now(), ..known },
            (status, _) if !status.is_success() => return Err(refusal(status, &body)),
            _ => Kept {
                tag: headers
                    .get(ETAG)
                    .cloned()
                    .unwrap_or(HeaderValue::from_static("")),
                body,
                next: next_page(&headers),
                at: now(),
            },
        };
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, answer.clone());
        Ok(answer)
    }
}

impl Look<'_> {
    /// Set once something had to be taken from what GitHub said before.
    pub(super) fn stale(&self) -> Option<Stale> {
        self.stale
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask(&self, who: Who, path: &str, accept: &str) -> Result<Answer, Trouble> {
        let answer = match self.github.read(who, path, accept).await {
            Err(Trouble::Unavailable { side, why }) => {
                let key = (who, path.to_owned());
                let known = self.github.kept().get(&key).cloned();
                let Some(known) = known else {
                    return Err(Trouble::Unavailable { side, why });
                };
                self.note(why, known.at);
                known
            }
            other => other?,
        };
        Ok(Answer {
            body: answer.body,
            next: answer.next,
        })
    }

    fn note(&self, why: String, since: Timestamp) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        let since = stale.as_ref().map_or(since, |known| known.since.min(since));
        *stale = Some(Stale { why, since });
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        parsed(&self.ask(Who::Person, path, JSON).await?.body)
    }

    /// None where there is no such thing.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Trouble::Missing(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn get_as_app<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        parsed(&self.ask(Who::App, path, JSON).await?.body)
    }

    /// A file as it is.
    pub(super) async fn text(&self, path: &str) -> Result<String, Trouble> {
        let answer = self.ask(Who::Person, path, RAW).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// All pages of a list.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Trouble> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{path}{separator}per_page=100"));
        let mut list = Vec::new();
        while let Some(path) = next {
            let page = self.ask(Who::Person, &path, JSON).await?;
            list.extend(parsed::<Vec<T>>(&page.body)?);
            next = page.next;
        }
        Ok(list)
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        Trouble::unavailable(
            Side::GitHub,
            format!("Its answer is not what it should be: {error}."),
        )
    })
}

/// The path and query that `Link` names as the next page.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let next = link.split(", ").find(|one| one.ends_with("rel=\"next\""))?;
    let address: http::Uri = next[1..next.find('>')?].parse().ok()?;
    address.path_and_query().map(ToString::to_string)
}

/// What an answer outside of 2xx says, with its details.
fn refusal(status: StatusCode, body: &[u8]) -> Trouble {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut why = body["message"].as_str().unwrap_or_default().to_owned();
    for error in body["errors"].as_array().into_iter().flatten() {
        let text = match (&error["message"], &error["field"], &error["code"]) {
            (Value::String(message), _, _) => message.clone(),
            (_, Value::String(field), Value::String(code)) => format!("`{field}` is {code}"),
            _ => continue,
        };
        why.push_str(": ");
        why.push_str(&text);
    }
    if status.is_server_error() {
        let why = format!("It answers {}.", status.as_u16());
        return Trouble::unavailable(Side::GitHub, why);
    }
    match status {
        StatusCode::NOT_FOUND => Trouble::Missing("GitHub has nothing of this name.".to_owned()),
        status => Trouble::Refused {
            side: Side::GitHub,
            status: status.as_u16(),
            why,
        },
    }
}

/// A part of a path, encoded; slashes stay.
pub(super) fn encoded(text: &str) -> String {
    const PLAIN: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'/');
    percent_encoding::utf8_percent_encode(text, PLAIN).to_string()
}
