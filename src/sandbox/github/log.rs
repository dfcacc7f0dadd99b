//! What GitHub was asked: every request with its outcome, and never a credential.

use jiff::Timestamp;
use serde_json::Value;

use super::clock;
use super::model::{Id, Permissions};

/// One request as GitHub saw it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts up from 1 over the life of the server.
    pub sequence: u64,
    /// When it came.
    pub at: Timestamp,
    pub method: String,
    /// With its query, as it was sent.
    pub path: String,
    /// `Null` where there was no body.
    pub body: Value,
    pub credential: Credential,
    /// 0 while it is under way and where a fault dropped the connection.
    pub status: u16,
    pub class: Class,
    /// What a GraphQL query cost, by GitHub's formula; 0 for REST.
    pub points: u32,
    /// Whether a rate limit has refused it.
    pub limited: bool,
}

/// What stood in `Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Anonymous,
    /// Something that GitHub did not accept.
    Invalid,
    App,
    Installation {
        id: Id,
        permissions: Permissions,
    },
    PersonalToken(String),
}

/// What kind of work a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// An installation token was minted.
    Auth,
    Read,
    Graphql,
    /// Something else than a report was created, changed or removed, or was to be.
    Write,
    /// Check runs and comments.
    Report,
}

impl Class {
    pub(super) fn of(method: &str, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        if path == "/graphql" {
            Self::Graphql
        } else if method == "GET" || method == "HEAD" {
            Self::Read
        } else if path.ends_with("/access_tokens") {
            Self::Auth
        } else if path.contains("/check-runs") || path.contains("/comments") {
            Self::Report
        } else {
            Self::Write
        }
    }
}

/// A place in the log, to ask for what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub(super) u64);

/// Everything that came in.
#[derive(Default)]
pub(super) struct Log {
    requests: Vec<Request>,
    unknown: Vec<String>,
}

impl Log {
    /// Notes a request at its arrival and gives its number.
    pub(super) fn arrived(&mut self, method: &str, path: &str, body: Value) -> u64 {
        let sequence = self.requests.len() as u64 + 1;
        self.requests.push(Request {
            sequence,
            at: clock::now(),
            method: method.to_owned(),
            path: path.to_owned(),
            body,
            credential: Credential::Anonymous,
            status: 0,
            class: Class::of(method, path),
            points: 0,
            limited: false,
        });
        sequence
    }

    pub(super) fn entry(&mut self, sequence: u64) -> &mut Request {
        let index = usize::try_from(sequence - 1).expect("the log fits into memory");
        &mut self.requests[index]
    }

    pub(super) fn since(&self, mark: Mark) -> Vec<Request> {
        let from = usize::try_from(mark.0).expect("the log fits into memory");
        self.requests[from..].to_vec()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.requests.len() as u64)
    }

    /// Notes something that the sandbox does not know and GitHub may well.
    pub(super) fn unknown(&mut self, what: String) {
        self.unknown.push(what);
    }

    pub(super) fn unknown_requests(&self) -> Vec<String> {
        self.unknown.clone()
    }
}
