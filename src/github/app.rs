//! One App on one GitHub: who it is, and where it is installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use super::client::{Client, Credentials};
use super::error::{Error, InvalidSettings};
use super::limits::ContentLimits;
use super::pacer::Urgency;
use super::token::{Purpose, Scope, Tokens};
use super::transport::{Timing, Transport};
use super::{Reader, Reporter, Writer};
use crate::names::{FullName, Login};

pub struct Settings {
    /// Root of the REST API: `https://api.github.com`, or `https://host/api/v3` on a GHES.
    pub api_url: String,
    /// The App's id or its client id.
    pub app_id: String,
    /// RSA key in PEM form, PKCS#1 or PKCS#8.
    pub private_key: SecretString,
    /// How fast things may be created.
    pub limits: ContentLimits,
    pub timing: Timing,
}

/// The App; it can look up its installations and make clients for them, and nothing else.
#[derive(Clone)]
pub struct GitHub {
    client: Client,
    tokens: Arc<Tokens>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    pub id: u64,
    /// The last part of the App's URL: its login as an author is `<slug>[bot]`.
    pub slug: String,
}

impl App {
    pub fn bot_login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub id: u64,
    pub account: Account,
    /// Name of a permission to its level: `administration` to `write`.
    pub permissions: BTreeMap<String, String>,
    pub suspended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    pub login: Login,
    #[serde(rename = "type")]
    pub kind: AccountKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum AccountKind {
    Organization,
    /// Anything else: a person, a bot, an enterprise.
    #[serde(other)]
    User,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
    account: Account,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    suspended_at: Option<String>,
}

impl GitHub {
    /// Checks the settings without asking GitHub. Must be called inside a Tokio runtime.
    pub fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let Settings {
            api_url,
            limits,
            timing,
            ..
        } = settings;
        let transport = Arc::new(Transport::new(api_url, limits.clone(), *timing)?);
        let tokens = Arc::new(Tokens::new(&settings.app_id, &settings.private_key)?);
        let credentials = Credentials::App(tokens.clone());
        let client = Client {
            transport,
            credentials,
            urgency: Urgency::Awaited,
        };
        Ok(Self { client, tokens })
    }

    /// Reads as the owner of a token that was made elsewhere; the command line has no App.
    pub fn with_token(api_url: &str, token: SecretString) -> Result<Reader, InvalidSettings> {
        // Nothing is created with it.
        let client = Self::client_with(api_url, token, ContentLimits::default())?;
        Ok(Reader { client })
    }

    /// Reads and writes as the owner of such a token: what it can do is for its owner to know.
    pub fn as_person(
        api_url: &str,
        token: SecretString,
        limits: ContentLimits,
    ) -> Result<(Reader, Writer), InvalidSettings> {
        let client = Self::client_with(api_url, token, limits)?;
        let reader = Reader {
            client: client.clone(),
        };
        Ok((reader, Writer { client }))
    }

    fn client_with(
        api_url: &str,
        token: SecretString,
        limits: ContentLimits,
    ) -> Result<Client, InvalidSettings> {
        let transport = Transport::new(api_url, limits, Timing::default())?;
        let credentials = Credentials::Fixed(Arc::new(token));
        Ok(Client {
            transport: Arc::new(transport),
            credentials,
            urgency: Urgency::Awaited,
        })
    }

    pub async fn app(&self) -> Result<App, Error> {
        self.client.get("/app".to_owned()).await
    }

    /// The App's installation on an account; none if it is not installed there.
    pub async fn installation(&self, owner: &Login) -> Result<Option<Installation>, Error> {
        let organization = format!("/orgs/{owner}/installation");
        let user = format!("/users/{owner}/installation");
        let mut answer = self.client.find::<InstallationAnswer>(organization).await?;
        if answer.is_none() {
            answer = self.client.find(user).await?;
        }
        Ok(answer.map(|answer| Installation {
            id: answer.id,
            account: answer.account,
            permissions: answer.permissions,
            suspended: answer.suspended_at.is_some(),
        }))
    }

    pub fn reader(&self, installation: u64) -> Reader {
        Reader {
            client: self.client_for(installation, Purpose::Read, None),
        }
    }

    /// Reports in this control repo and can reach no other.
    pub fn reporter(&self, installation: u64, repository: &FullName) -> Reporter {
        let only = Some(repository.name.to_string());
        Reporter {
            client: self.client_for(installation, Purpose::Report, only),
            repository: repository.clone(),
        }
    }

    pub fn writer(&self, installation: u64) -> Writer {
        Writer {
            client: self.client_for(installation, Purpose::Write, None),
        }
    }

    fn client_for(
        &self,
        installation: u64,
        purpose: Purpose,
        repository: Option<String>,
    ) -> Client {
        let scope = Scope {
            installation,
            purpose,
            repository,
        };
        Client {
            transport: self.client.transport.clone(),
            credentials: Credentials::Installation(self.tokens.clone(), Arc::new(scope)),
            urgency: match purpose {
                Purpose::Read => Urgency::Awaited,
                Purpose::Report => Urgency::Report,
                Purpose::Write => Urgency::Background,
            },
        }
    }
}
