//! Validated names: a value of one of these types is a name that GitHub or Kubernetes takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not the name it should be; the message continues ``"`text` "``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a tenant: a DNS label of at most 50 characters, so that `tenant-<name>` is one too.
    TenantName,
    |text| dns_label(text, 50)
);
name!(
    /// The name of a Kubernetes namespace: a DNS label (RFC 1123) of at most 63 characters.
    NamespaceName,
    |text| dns_label(text, 63)
);
name!(
    /// The login of a GitHub organisation or user: letters, digits and hyphens, at most 39 characters.
    Login,
    |text| of_characters(text, 39, "a GitHub login", |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
);
name!(
    /// The name of a repository without its owner: letters, digits, `.`, `_` and `-`, at most 100 characters.
    RepositoryName,
    |text| {
        if text == "." || text == ".." || text.to_ascii_lowercase().ends_with(".git") {
            return Err(InvalidName("is reserved by GitHub".to_owned()));
        }
        of_characters(text, 100, "a repository name", |c| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
        })
    }
);
name!(
    /// The slug of a GitHub team, as in `@organisation/slug`: lower-case letters, digits, `_` and `-`.
    TeamSlug,
    |text| of_characters(text, 255, "a team's slug", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
    })
);
name!(
    /// A Git branch name that needs no escaping in a URL or a ref (a subset of `git check-ref-format`).
    BranchName,
    branch
);

/// `owner/name` of a repository; GitHub compares both without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FullName {
    pub owner: Login,
    pub name: RepositoryName,
}

impl FromStr for FullName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (owner, name) = text
            .split_once('/')
            .ok_or_else(|| InvalidName("is not of the form `owner/repository`".to_owned()))?;
        Ok(Self {
            owner: owner.parse()?,
            name: name.parse()?,
        })
    }
}

impl TryFrom<String> for FullName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<FullName> for String {
    fn from(name: FullName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.owner, self.name)
    }
}

impl FullName {
    /// Whether both name the same repository: GitHub ignores case.
    pub fn is(&self, other: &str) -> bool {
        self.to_string().eq_ignore_ascii_case(other)
    }
}

fn dns_label(text: &str, longest: usize) -> Result<(), InvalidName> {
    of_characters(text, longest, "a DNS label", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    })?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(InvalidName("begins or ends with a hyphen".to_owned()));
    }
    Ok(())
}

fn of_characters(
    text: &str,
    longest: usize,
    what: &str,
    allowed: fn(char) -> bool,
) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName("is empty".to_owned()));
    }
    if text.chars().count() > longest {
        return Err(InvalidName(format!("is longer than {longest} characters")));
    }
    match text.chars().find(|&c| !allowed(c)) {
        Some(character) => Err(InvalidName(format!(
            "is not {what}: it contains {character:?}"
        ))),
        None => Ok(()),
    }
}

fn branch(text: &str) -> Result<(), InvalidName> {
    of_characters(text, 200, "a branch name", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/')
    })?;
    let malformed = text.starts_with(['/', '.', '-'])
        || text.ends_with(['/', '.'])
        || text.contains("..")
        || text.contains("//")
        || text.split('/').any(|part| {
            part.starts_with('.')
                || std::path::Path::new(part)
                    .extension()
                    .is_some_and(|end| end == "lock")
        });
    if malformed {
        return Err(InvalidName(
            "is not a branch name that Git takes".to_owned(),
        ));
    }
    Ok(())
}
