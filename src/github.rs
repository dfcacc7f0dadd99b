//! GitHub, told in our own words: what can be read of it, reported to it, and made on it.
//!
//! Three clients, and what a client cannot do has no method: a [`Reader`] cannot write, a [`Reporter`] can only
//! tell results in one repository, a [`Writer`] makes and changes. Their tokens are as narrow as they are.

mod app;
mod checks;
mod client;
mod comments;
mod error;
mod gate;
mod graphql;
mod history;
mod limits;
mod organizations;
mod pacer;
mod pulls;
mod repositories;
mod room;
mod state;
mod teams;
#[cfg(feature = "sandbox")] // It makes the key.
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod workspace;

pub use app::{Account, AccountKind, App, GitHub, Installation, Settings};
pub use checks::{Annotation, CheckRun, Conclusion, Level, NewCheck, Output, Progress, Shown};
pub use comments::Comment;
pub use error::{Call, Error, InvalidSettings};
pub use history::History;
pub use limits::{ContentLimits, InvalidLimits};
pub use organizations::{BasePermission, OrganizationSettings};
pub use pulls::{
    CheckedPull, Checks, Files, MergeCommit, Mergeable, MergedPull, OpenPull, Pull, Tip,
};
pub use repositories::{Created, NewFile, NewRepository, RepositoryChange, RepositoryInfo};
pub use state::{Key, OnlyCommit, RepositoryPage, RepositoryPages, RepositoryState, Seen};
pub use teams::TeamState;
pub use token::Purpose;
pub use transport::Timing;
pub use workspace::{BranchRules, Landed, NewCommit};

use crate::names::FullName;
use client::Client;
use pacer::Urgency;

/// Looks, and has no method that does more; nor has its token.
#[derive(Clone)]
pub struct Reader {
    client: Client,
}

impl Reader {
    /// The same for work that nobody waits for: it lets people's requests go first.
    #[must_use]
    pub fn in_background(mut self) -> Self {
        self.client.urgency = Urgency::Background;
        self
    }
}

/// Check runs and comments in one control repo.
#[derive(Clone)]
pub struct Reporter {
    client: Client,
    repository: FullName,
}

/// Makes and changes repositories, their keys and what teams may do in them; deletes and archives nothing.
#[derive(Clone)]
pub struct Writer {
    client: Client,
}

/// The same repository in lower case: GitHub ignores case, and maps should too.
pub fn lower_case(repository: &FullName) -> FullName {
    repository
        .to_string()
        .to_ascii_lowercase()
        .parse()
        .expect("lower case keeps a name valid")
}
