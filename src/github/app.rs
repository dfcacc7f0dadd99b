//! Who we are to GitHub: the App's JWT, and installation tokens that can do no more than a job needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::github::error::{Error, ErrorKind};
use crate::github::transport::{Request, Transport, now};
use crate::names::{FullName, Login};

/// A token is renewed when it has less than this left; GitHub's last an hour.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// What a token is for, and so what it may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Plans: nothing but reading.
    Read,
    /// Checks and comments on one control repo, and nothing else.
    Report(FullName),
    /// Applying an approved plan.
    Write,
}

impl Purpose {
    fn permissions(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Read => &[
                ("metadata", "read"),
                // The file, and whether a workspace is empty.
                ("contents", "read"),
                // Deploy keys, collaborators and the teams of a workspace.
                ("administration", "read"),
                // Which teams there are.
                ("members", "read"),
                ("pull_requests", "read"),
                // What a plan's check promised.
                ("checks", "read"),
            ],
            Self::Report(_) => &[("metadata", "read"), ("checks", "write"), ("pull_requests", "write")],
            Self::Write => &[
                ("metadata", "read"),
                // The first commit.
                ("contents", "write"),
                // Repositories, team permissions, deploy keys.
                ("administration", "write"),
                ("members", "read"),
            ],
        }
    }

    fn body(&self) -> Value {
        let permissions: BTreeMap<_, _> = self.permissions().iter().copied().collect();
        match self {
            Self::Report(repository) => json!({ "permissions": permissions, "repositories": [repository.name] }),
            Self::Read | Self::Write => json!({ "permissions": permissions }),
        }
    }
}

/// The App's identity, or one person's token.
#[derive(Clone)]
pub(super) enum Identity {
    App { issuer: String, key: EncodingKey, tokens: Tokens },
    Person(SecretString),
}

type Slot = Arc<Mutex<Option<(SecretString, Timestamp)>>>;

/// One slot for each installation and purpose; whoever holds its lock mints, the others wait and share.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<std::sync::Mutex<BTreeMap<(u64, Purpose), Slot>>>);

impl Tokens {
    fn slot(&self, installation: u64, purpose: &Purpose) -> Slot {
        let mut slots = self.0.lock().expect("no code panics while it holds the tokens");
        Arc::clone(slots.entry((installation, purpose.clone())).or_default())
    }
}

/// Reads a PEM key as people store it: PKCS#1 or PKCS#8, and line breaks as `\n` where an environment variable holds it.
pub(super) fn signing_key(pem: &SecretString) -> anyhow::Result<EncodingKey> {
    let pem = zeroize::Zeroizing::new(pem.expose_secret().replace("\\n", "\n"));
    EncodingKey::from_rsa_pem(pem.as_bytes())
        .context("the App's private key is not an RSA key in PEM form (`-----BEGIN RSA PRIVATE KEY-----`)")
}

impl Identity {
    /// A token of the App itself, for the few endpoints about installations.
    pub(super) fn app_token(&self) -> Result<SecretString, Error> {
        let fail = |message: String| Error::unexpected("sign", "the App's token", message);
        match self {
            Self::Person(_) => Err(fail("there is only a person's token here".to_owned())),
            Self::App { issuer, key, .. } => {
                let now = now().as_second();
                // A minute back for clocks that differ; GitHub takes at most ten minutes ahead.
                let claims = json!({ "iat": now - 60, "exp": now + 540, "iss": issuer });
                let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key);
                token.map(SecretString::from).map_err(|error| fail(error.to_string()))
            }
        }
    }

    /// A token for this purpose, minted once however many ask.
    pub(super) async fn token(
        &self,
        transport: &Transport,
        installation: u64,
        purpose: &Purpose,
    ) -> Result<SecretString, Error> {
        let tokens = match self {
            Self::Person(token) => return Ok(token.clone()),
            Self::App { tokens, .. } => tokens,
        };
        let slot = tokens.slot(installation, purpose);
        let mut slot = slot.lock().await;
        if let Some((token, until)) = slot.as_ref()
            && until.duration_since(now()) > RENEW_BEFORE
        {
            return Ok(token.clone());
        }
        let minted = self.mint(transport, installation, purpose).await?;
        Ok(slot.insert(minted).0.clone())
    }

    /// Forgets a token that GitHub no longer takes, unless a newer one has taken its place.
    pub(super) async fn forget(&self, installation: u64, purpose: &Purpose, stale: &SecretString) {
        if let Self::App { tokens, .. } = self {
            let slot = tokens.slot(installation, purpose);
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|(token, _)| token.expose_secret() == stale.expose_secret()) {
                *slot = None;
            }
        }
    }

    async fn mint(
        &self,
        transport: &Transport,
        installation: u64,
        purpose: &Purpose,
    ) -> Result<(SecretString, Timestamp), Error> {
        #[derive(Deserialize)]
        struct Minted {
            token: SecretString,
            expires_at: Timestamp,
        }
        let app = self.app_token()?;
        let body = purpose.body();
        let path = format!("/app/installations/{installation}/access_tokens");
        let minted = transport.json::<Minted>(Request::write(Method::POST, path, &app, &body)).await;
        let minted = minted.map_err(|error| explain_refusal(error, purpose))?;
        Ok((minted.token, minted.expires_at))
    }
}

/// GitHub refuses a token with more rights than the App was granted, and says so in words about tokens.
fn explain_refusal(error: Error, purpose: &Purpose) -> Error {
    let ErrorKind::Invalid { message } = &error.kind else { return error };
    let wanted: Vec<_> = purpose.permissions().iter().map(|(name, level)| format!("{name}: {level}")).collect();
    let message = format!(
        "{message}: the installation must grant {} (accept the App's new permissions in the organisation's settings)",
        wanted.join(", ")
    );
    Error { kind: ErrorKind::Forbidden { message, needs: None }, ..error }
}

/// The App as GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    pub id: u64,
    pub slug: String,
}

impl App {
    /// The login under which the App's comments stand.
    pub fn bot_login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// The App, installed on an account.
#[derive(Debug, Clone)]
pub struct Installation {
    pub id: u64,
    pub account: Login,
    pub owner: OwnerKind,
    pub suspended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum OwnerKind {
    Organization,
    User,
}
