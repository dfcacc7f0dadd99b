//! Credentials: the App's JWT, and installation tokens that can do no more than their purpose needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{Error, InvalidSettings};
use super::pacer::{Account, Deed, Urgency};
use super::transport::{Answer, Request, Sender, Transport, now};

/// A token that ends sooner than this is not used for another request.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// GitHub's clock may be behind ours: a JWT from its future is refused.
const ISSUED_BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// GitHub takes at most ten minutes, by its own clock.
const ENDS_AFTER: SignedDuration = SignedDuration::from_mins(9);

/// What a token is minted for; it gets the permissions of this purpose and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Looking: planning can do nothing else.
    Read,
    /// Telling the result, in one control repo.
    Report,
    /// Making what a merge asked for.
    Write,
}

impl Purpose {
    pub const ALL: [Self; 3] = [Self::Read, Self::Report, Self::Write];

    /// Names and levels, as `POST /app/installations/{id}/access_tokens` takes them.
    pub const fn permissions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Read => &[
                // Deploy keys and direct collaborators of a workspace.
                ("administration", "read"),
                // The check runs of a commit: which plan a merge had.
                ("checks", "read"),
                // tenants.yaml, merge commits, the first commit of a workspace.
                ("contents", "read"),
                // The teams of the organisation and their repositories.
                ("members", "read"),
                // GitHub asks for it with every other one.
                ("metadata", "read"),
                // What the organisation lets every member do in every repository.
                ("organization_administration", "read"),
                // Pull requests of the control repo, and their files and comments.
                ("pull_requests", "read"),
            ],
            Self::Report => &[
                // `tenantry/plan` and `tenantry/apply`.
                ("checks", "write"),
                ("metadata", "read"),
                // The one comment; on a pull request this permission covers the issues API.
                ("pull_requests", "write"),
            ],
            Self::Write => &[
                // Repositories, their settings, deploy keys, and what a team may do in them.
                ("administration", "write"),
                // The first commit, which holds the directory that Flux syncs.
                ("contents", "write"),
                // A team is named by its slug when it gets its permission.
                ("members", "read"),
                ("metadata", "read"),
            ],
        }
    }
}

/// What tells tokens apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) installation: u64,
    pub(super) purpose: Purpose,
    /// The only repository, by its name without owner; none for all of the installation's.
    pub(super) repository: Option<String>,
}

/// The App's private key, and the tokens that were minted with it.
pub(super) struct Tokens {
    issuer: String,
    key: EncodingKey,
    /// A slot for each scope; who mints holds its lock, so the others wait for that one token.
    slots: Mutex<BTreeMap<Scope, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Clone)]
struct Token {
    token: SecretString,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

impl Tokens {
    pub(super) fn new(app_id: &str, private_key: &SecretString) -> Result<Self, InvalidSettings> {
        let tokens = Self {
            issuer: app_id.trim().to_owned(),
            key: encoding_key(private_key)?,
            slots: Mutex::default(),
        };
        // A key that parses may still be unable to sign; better now than at the first webhook.
        tokens.jwt(Timestamp::UNIX_EPOCH)?;
        Ok(tokens)
    }

    /// What the App shows when it speaks for itself, and when it asks for a token.
    pub(super) fn jwt(&self, now: Timestamp) -> Result<SecretString, InvalidSettings> {
        let claims = Claims {
            iat: (now - ISSUED_BEFORE).as_second(),
            exp: (now + ENDS_AFTER).as_second(),
            iss: &self.issuer,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map(SecretString::from)
            .map_err(|error| InvalidSettings(format!("the App's private key cannot sign: {error}")))
    }

    /// A token for this scope that lasts a while yet.
    pub(super) async fn token(
        &self,
        scope: &Scope,
        transport: &Transport,
    ) -> Result<SecretString, Error> {
        let slot = self.slot(scope);
        let mut held = slot.lock().await;
        if let Some(token) = held
            .as_ref()
            .filter(|token| token.expires_at - MARGIN > now())
        {
            return Ok(token.token.clone());
        }
        let token = self.mint(scope, transport).await?;
        *held = Some(token.clone());
        Ok(token.token)
    }

    /// Drops a token that GitHub no longer takes, unless somebody has replaced it already.
    pub(super) async fn forget(&self, scope: &Scope, refused: &SecretString) {
        let slot = self.slot(scope);
        let mut held = slot.lock().await;
        let is_refused = |token: &Token| token.token.expose_secret() == refused.expose_secret();
        if held.as_ref().is_some_and(is_refused) {
            *held = None;
        }
    }

    fn slot(&self, scope: &Scope) -> Slot {
        let mut slots = self.slots.lock().expect("no panic while the lock is held");
        slots.entry(scope.clone()).or_default().clone()
    }

    async fn mint(&self, scope: &Scope, transport: &Transport) -> Result<Token, Error> {
        let sender = Sender {
            account: Account::App,
            // Whatever is to be done with it waits.
            urgency: Urgency::Awaited,
            token: self.jwt(now()).expect("the key has signed before"),
        };
        let path = format!("/app/installations/{}/access_tokens", scope.installation);
        // A token is no content.
        let request = Request::post(path, scope.body())
            .repeatable()
            .that(Deed::Look);
        match transport.send(&request, &sender).await {
            Ok(answer) => minted(&answer),
            Err(error) => Err(not_granted(error, scope.purpose)),
        }
    }
}

impl Scope {
    fn body(&self) -> Value {
        let permissions: BTreeMap<_, _> = self.purpose.permissions().iter().copied().collect();
        match &self.repository {
            Some(repository) => {
                json!({ "permissions": permissions, "repositories": [repository] })
            }
            None => json!({ "permissions": permissions }),
        }
    }
}

/// Unlike [`Answer::json`] it quotes nothing of a body that may hold a token.
fn minted(answer: &Answer) -> Result<Token, Error> {
    match serde_json::from_slice::<TokenAnswer>(&answer.body) {
        Ok(TokenAnswer { token, expires_at }) => Ok(Token {
            token: token.into(),
            expires_at,
        }),
        Err(_) => Err(Error::Unexpected {
            call: Box::new(answer.call.clone()),
            message: "it holds no token with an end".to_owned(),
        }),
    }
}

/// GitHub answers 422 when a token asks for more than the installation was granted.
fn not_granted(error: Error, purpose: Purpose) -> Error {
    let Error::Invalid {
        call,
        message,
        errors,
    } = error
    else {
        return error;
    };
    let told = format!("{message} {}", errors.join(" "));
    let wanted = purpose.permissions();
    let named: Vec<_> = wanted
        .iter()
        .filter(|(name, _)| told.contains(name))
        .collect();
    let all: Vec<_> = wanted.iter().collect();
    let needs = if named.is_empty() { all } else { named };
    let needs: Vec<_> = needs
        .into_iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    Error::Forbidden {
        call,
        message: format!(
            "the installation has not granted what is needed: {}",
            told.trim()
        ),
        needs: Some(needs.join(", ")),
    }
}

/// Reads the PEM as GitHub gives it, and as an environment variable may have mangled it.
fn encoding_key(private_key: &SecretString) -> Result<EncodingKey, InvalidSettings> {
    let pem = private_key.expose_secret().trim();
    let unescaped = SecretString::from(pem.replace("\\n", "\n"));
    EncodingKey::from_rsa_pem(unescaped.expose_secret().as_bytes()).map_err(|error| {
        InvalidSettings(format!(
            "the App's private key is not an RSA key in PEM form ({error}); \
             it begins with `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN PRIVATE KEY-----`"
        ))
    })
}
