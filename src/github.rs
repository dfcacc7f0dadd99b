//! One App on one GitHub: a [`Reader`] that cannot write, a [`Reporter`] for checks and comments, a [`Writer`] for
//! workspaces. Each carries a token that can do no more than that.

mod app;
mod error;
mod graphql;
mod pulls;
mod reports;
mod repositories;
mod teams;
mod transport;
mod workspaces;

use std::time::Duration;

use http::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::github::app::{App, Installation, OwnerKind};
pub use crate::github::error::{Error, ErrorKind};
pub use crate::github::pulls::{MergeCommit, Mergeable, OpenPull, Pull, PullOfCommit};
pub use crate::github::reports::{CheckRun, Comment, NewCheck, Reporter};
pub use crate::github::repositories::{ControlRepository, Key, OnlyCommit, RepositoryState, Seen};
pub use crate::github::teams::TeamState;
pub use crate::github::workspaces::{Created, NewRepository, RepositoryChange, Writer};

use crate::github::app::{Identity, Purpose, Tokens, signing_key};
use crate::github::transport::{Answer, Request, Transport};
use crate::names::{FullName, Login};

/// First wait before a read that failed is repeated.
const BACKOFF: Duration = Duration::from_millis(250);

/// The App, or a person, on one GitHub.
#[derive(Clone)]
pub struct GitHub {
    transport: Transport,
    identity: Identity,
}

impl GitHub {
    /// `issuer` is the App's id or client id; the key is checked here, and the network is not touched.
    pub fn new(api_url: &str, issuer: &str, private_key: &SecretString) -> anyhow::Result<Self> {
        let key = signing_key(private_key)?;
        let identity = Identity::App {
            issuer: issuer.to_owned(),
            key,
            tokens: Tokens::default(),
        };
        Ok(Self {
            transport: Transport::new(api_url, BACKOFF)?,
            identity,
        })
    }

    /// With a person's token; what it may do is not narrowed.
    pub fn with_token(api_url: &str, token: SecretString) -> anyhow::Result<Self> {
        Ok(Self {
            transport: Transport::new(api_url, BACKOFF)?,
            identity: Identity::Person(token),
        })
    }

    pub async fn app(&self) -> Result<App, Error> {
        let token = self.identity.app_token()?;
        self.transport.json(Request::get("/app", &token)).await
    }

    /// The App's installation on an account; none where it is not installed.
    pub async fn installation(&self, account: &Login) -> Result<Option<Installation>, Error> {
        #[derive(Deserialize)]
        struct Wire {
            id: u64,
            account: Account,
            suspended_at: Option<String>,
        }
        #[derive(Deserialize)]
        struct Account {
            login: Login,
            #[serde(rename = "type")]
            kind: OwnerKind,
        }
        if let Identity::Person(_) = self.identity {
            let owner = OwnerKind::Organization;
            return Ok(Some(Installation {
                id: 0,
                account: account.clone(),
                owner,
                suspended: false,
            }));
        }
        let token = self.identity.app_token()?;
        // Works for organisations as well as for users.
        let path = format!("/users/{account}/installation");
        let found: Option<Wire> =
            absent_as_none(self.transport.json(Request::get(path, &token)).await)?;
        Ok(found.map(|found| Installation {
            id: found.id,
            account: found.account.login,
            owner: found.account.kind,
            suspended: found.suspended_at.is_some(),
        }))
    }

    /// GitHub's SSH host keys as `known_hosts` lines for this host: Ed25519 and ECDSA. RSA is left out because Flux may
    /// then offer its SHA-1 form first.
    pub async fn known_hosts(&self, host: &str, installation: u64) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Meta {
            #[serde(default)]
            ssh_keys: Vec<String>,
        }
        let meta: Meta = self.reader(installation).get("/meta").await?;
        let keys = meta
            .ssh_keys
            .iter()
            .filter(|key| key.starts_with("ssh-ed25519 ") || key.starts_with("ecdsa-"));
        Ok(keys.map(|key| format!("{host} {key}\n")).collect())
    }

    pub fn reader(&self, installation: u64) -> Reader {
        Reader {
            caller: self.caller(installation, Purpose::Read),
        }
    }

    /// A reporter for one control repo; its token sees no other.
    pub fn reporter(&self, installation: u64, repository: &FullName) -> Reporter {
        Reporter::new(
            self.caller(installation, Purpose::Report(repository.clone())),
            repository.clone(),
        )
    }

    pub fn writer(&self, installation: u64) -> Writer {
        Writer::new(
            self.caller(installation, Purpose::Write),
            self.reader(installation),
        )
    }

    fn caller(&self, installation: u64, purpose: Purpose) -> Caller {
        Caller {
            github: self.clone(),
            installation,
            purpose,
        }
    }
}

/// Reads; there is no method here that changes anything, and the token could not.
#[derive(Clone)]
pub struct Reader {
    caller: Caller,
}

impl Reader {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.caller.call(Method::GET, path, None).await?;
        transport::read("GET", path, &answer.body)
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        self.caller.pages(path).await
    }
}

/// Makes requests with the token of one installation and purpose.
#[derive(Clone)]
struct Caller {
    github: GitHub,
    installation: u64,
    purpose: Purpose,
}

impl Caller {
    async fn token(&self) -> Result<SecretString, Error> {
        self.github
            .identity
            .token(&self.github.transport, self.installation, &self.purpose)
            .await
    }

    /// Sends it; with a new token once more if GitHub no longer takes the one we have.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        self.call_accepting("application/vnd.github+json", method, path, body)
            .await
    }

    async fn call_accepting(
        &self,
        accept: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let transport = &self.github.transport;
        let send = async |token: &SecretString| {
            let request = match body {
                Some(body) => Request::write(method.clone(), path, token, body),
                None => Request::get(path, token),
            };
            transport
                .send(Request {
                    accept,
                    method: method.clone(),
                    ..request
                })
                .await
        };
        let token = self.token().await?;
        match send(&token).await {
            Err(Error {
                kind: ErrorKind::Unauthorized { .. },
                ..
            }) => send(&self.renewed(&token).await?).await,
            answer => answer,
        }
    }

    async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let transport = &self.github.transport;
        let token = self.token().await?;
        match transport.pages(path, &token).await {
            Err(Error {
                kind: ErrorKind::Unauthorized { .. },
                ..
            }) => transport.pages(path, &self.renewed(&token).await?).await,
            answer => answer,
        }
    }

    async fn graphql(&self, body: &Value) -> Result<Answer, Error> {
        let transport = &self.github.transport;
        let token = self.token().await?;
        match transport.graphql(&token, body).await {
            Err(Error {
                kind: ErrorKind::Unauthorized { .. },
                ..
            }) => transport.graphql(&self.renewed(&token).await?, body).await,
            answer => answer,
        }
    }

    async fn renewed(&self, stale: &SecretString) -> Result<SecretString, Error> {
        self.github
            .identity
            .forget(self.installation, &self.purpose, stale)
            .await;
        self.token().await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, Error> {
        let answer = self.call(method.clone(), path, Some(body)).await?;
        transport::read(method.as_str(), path, &answer.body)
    }
}

/// Not found is an answer.
fn absent_as_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error {
            kind: ErrorKind::NotFound,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path with the slashes kept and everything else escaped that a URL's path cannot hold.
fn escape_path(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}
