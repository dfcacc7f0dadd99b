//! Who is calling, and what they may do: App JWTs, installation tokens, personal tokens.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use super::answer::Refusal;
use super::clock;
use super::model::{Id, Permission, Permissions, Repository, World};

/// The longest life of an App's JWT, in seconds.
const LONGEST_JWT: i64 = 600;

/// How far a JWT's `iat` may lie ahead of GitHub's clock, in seconds.
const CLOCK_SKEW: i64 = 60;

/// Who sent a request, as the sandbox checked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Anonymous,
    App(Id),
    Installation(InstallationToken),
    User(Id),
}

/// An installation token's own limits, which may be narrower than its installation's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InstallationToken {
    pub(super) installation: Id,
    pub(super) permissions: Permissions,
    /// Only these, if the token was asked for so.
    pub(super) repositories: Option<BTreeSet<Id>>,
    pub(super) expires_at: Timestamp,
}

/// Every token that was handed out.
#[derive(Default)]
pub(super) struct Tokens {
    installation: HashMap<String, InstallationToken>,
    personal: HashMap<String, Id>,
}

impl Tokens {
    pub(super) fn mint(&mut self, token: InstallationToken) -> String {
        let text = format!("ghs_{}", random_text(36));
        self.installation.insert(text.clone(), token);
        text
    }

    pub(super) fn mint_personal(&mut self, user: Id) -> String {
        let text = format!("ghp_{}", random_text(36));
        self.personal.insert(text.clone(), user);
        text
    }

    /// Makes one token, or with `None` all of them, worthless.
    pub(super) fn revoke(&mut self, token: Option<&str>) {
        match token {
            Some(token) => {
                self.installation.remove(token);
                self.personal.remove(token);
            }
            None => self.installation.clear(),
        }
    }

    pub(super) fn revoke_installation(&mut self, id: Id) {
        self.installation
            .retain(|_, token| token.installation != id);
    }
}

/// Letters and digits that nobody can guess.
pub(super) fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = vec![0_u8; length];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes
        .into_iter()
        .map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .collect()
}

/// The bare token of an `Authorization` header: `Bearer x` and `token x` mean the same.
pub(super) fn bare_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
        .then(|| token.trim())
}

/// Finds out who sends this `Authorization` header.
pub(super) fn authenticate(world: &World, header: Option<&str>) -> Result<Caller, Refusal> {
    let Some(header) = header else {
        return Ok(Caller::Anonymous);
    };
    let token = bare_token(header).ok_or_else(Refusal::bad_credentials)?;
    if token.split('.').count() == 3 {
        return app_of_jwt(world, token).map(Caller::App);
    }
    if let Some(user) = world.tokens.personal.get(token) {
        return Ok(Caller::User(*user));
    }
    let found = world.tokens.installation.get(token);
    let found = found.ok_or_else(Refusal::bad_credentials)?;
    let installation = world.installations.get(&found.installation);
    let installation = installation.ok_or_else(Refusal::bad_credentials)?;
    if clock::now() >= found.expires_at {
        return Err(Refusal::bad_credentials());
    }
    if installation.suspended_at.is_some() {
        return Err(Refusal::new(403, "This installation has been suspended"));
    }
    Ok(Caller::Installation(found.clone()))
}

/// Checks an App's JWT as GitHub does and gives the App's id.
fn app_of_jwt(world: &World, jwt: &str) -> Result<Id, Refusal> {
    let undecodable = || Refusal::new(401, "A JSON web token could not be decoded");
    let (signed, signature) = jwt.rsplit_once('.').ok_or_else(undecodable)?;
    let (header, claims) = signed.split_once('.').ok_or_else(undecodable)?;
    let header = decoded(header).ok_or_else(undecodable)?;
    let claims = decoded(claims).ok_or_else(undecodable)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| undecodable())?;
    if header["alg"] != "RS256" {
        return Err(undecodable());
    }
    let issuer = match &claims["iss"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let app = world
        .apps
        .values()
        .find(|app| app.id.to_string() == issuer || app.client_id() == issuer)
        .ok_or_else(|| Refusal::new(404, "Integration not found"))?;
    let signed_by = |key: &Vec<u8>| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(signed.as_bytes(), &signature)
            .is_ok()
    };
    if !app.public_keys.iter().any(signed_by) {
        return Err(undecodable());
    }
    check_times(&claims).map(|()| app.id)
}

fn check_times(claims: &Value) -> Result<(), Refusal> {
    let now = clock::now().as_second();
    let numeric = |name: &str| {
        claims[name].as_i64().ok_or_else(|| {
            Refusal::new(
                401,
                format!(
                    "'{}' claim ('{name}') must be a numeric value representing the {} time at which the assertion {}",
                    if name == "exp" { "Expiration time" } else { "Issued at" },
                    if name == "exp" { "future" } else { "past" },
                    if name == "exp" { "expires" } else { "was issued" },
                ),
            )
        })
    };
    let (expires, issued) = (numeric("exp")?, numeric("iat")?);
    if expires <= now {
        return Err(Refusal::new(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ));
    }
    if expires > now + LONGEST_JWT {
        return Err(Refusal::new(
            401,
            "'Expiration time' claim ('exp') is too far in the future",
        ));
    }
    if issued > now + CLOCK_SKEW {
        return Err(Refusal::new(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    Ok(())
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Whether `granted` (`write`) is enough for `wanted` (`read`).
pub(super) fn reaches(granted: Option<&String>, wanted: &str) -> bool {
    let rank = |level: &str| match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    };
    granted.is_some_and(|granted| rank(granted) >= rank(wanted))
}

/// Whether the permissions meet a need in the notation of `x-accepted-github-permissions`:
/// alternatives by `;`, each a list by `,` of `name=level`.
pub(super) fn meets(permissions: &Permissions, need: &str) -> bool {
    need.split(';').any(|alternative| {
        alternative.split(',').all(|one| {
            let (name, level) = one.trim().split_once('=').expect("a need is name=level");
            name == "metadata" || reaches(permissions.get(name), level)
        })
    })
}

/// Permissions of an organisation, not of a repository.
const ORGANIZATION_PERMISSIONS: [&str; 2] = ["members", "organization_administration"];

impl Caller {
    /// The account that acts: the user, or the App's bot.
    pub(super) fn actor(&self, world: &World) -> Option<Id> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(*user),
            Self::App(app) => Some(world.apps[app].bot),
            Self::Installation(_) => Some(world.apps[&self.app(world)?].bot),
        }
    }

    /// The App behind the credential.
    pub(super) fn app(&self, world: &World) -> Option<Id> {
        match self {
            Self::Anonymous | Self::User(_) => None,
            Self::App(app) => Some(*app),
            Self::Installation(token) => Some(world.installations.get(&token.installation)?.app),
        }
    }

    /// Whether an installation token reaches this repository, as opposed to merely seeing it in public.
    pub(super) fn covers(&self, world: &World, repository: &Repository) -> bool {
        let Self::Installation(token) = self else {
            return false;
        };
        world.installations[&token.installation].covers(repository)
            && token
                .repositories
                .as_ref()
                .is_none_or(|chosen| chosen.contains(&repository.id))
    }

    pub(super) fn can_see(&self, world: &World, repository: Id) -> bool {
        let found = world.repository(repository);
        !found.is_private()
            || match self {
                Self::Anonymous | Self::App(_) => false,
                Self::Installation(_) => self.covers(world, found),
                Self::User(user) => world.access_of(*user, repository).is_some(),
            }
    }

    /// Whether the caller may do what `need` says to this repository (which it can see).
    pub(super) fn may(&self, world: &World, repository: Id, need: &str) -> bool {
        let found = world.repository(repository);
        match self {
            Self::Anonymous | Self::App(_) => reads_public_data(need),
            Self::Installation(token) if self.covers(world, found) => {
                meets(&token.permissions, need)
            }
            Self::Installation(_) => !found.is_private() && reads_public_data(need),
            Self::User(user) => {
                let access = world.access_of(*user, repository);
                need.split(';')
                    .any(|alternative| user_meets(access, alternative))
            }
        }
    }

    /// Whether the caller may do what `need` says to this organisation.
    pub(super) fn may_in(&self, world: &World, organization: Id, need: &str) -> bool {
        match self {
            Self::Anonymous | Self::App(_) => false,
            Self::Installation(token) => {
                world.installations[&token.installation].account == organization
                    && meets(&token.permissions, need)
            }
            Self::User(user) => world.membership(organization, *user).is_some(),
        }
    }
}

/// What everybody may read of a public repository, whatever the token's permissions.
fn reads_public_data(need: &str) -> bool {
    const PUBLIC: [&str; 5] = ["metadata", "contents", "pull_requests", "issues", "checks"];
    need.split(';').any(|alternative| {
        alternative.split(',').all(|one| {
            let (name, level) = one.trim().split_once('=').expect("a need is name=level");
            level == "read" && PUBLIC.contains(&name)
        })
    })
}

/// A person's role in a repository, against what an App would need.
fn user_meets(access: Option<Permission>, alternative: &str) -> bool {
    alternative.split(',').all(|one| {
        let (name, level) = one.trim().split_once('=').expect("a need is name=level");
        if ORGANIZATION_PERMISSIONS.contains(&name) {
            return true;
        }
        let wanted = match (name, level) {
            ("administration", _) => Permission::Admin,
            ("contents", "write") => Permission::Push,
            _ => Permission::Pull,
        };
        access >= Some(wanted)
    })
}
