//! What the cluster was asked, without bodies: a Secret is in some of them.

use std::collections::VecDeque;
use std::sync::Arc;

/// Requests that are remembered; older ones are forgotten.
const REMEMBERED: usize = 100_000;

/// One request as the cluster saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Arc<str>,
    /// With its query, as it was sent.
    pub path: String,
    pub user_agent: Arc<str>,
    /// 0 while it is under way.
    pub status: u16,
}

impl Request {
    /// Whether it asked for a change; a dry run and a review change nothing.
    pub fn is_write(&self) -> bool {
        &*self.method != "GET"
            && !self.path.contains("dryRun=All")
            && !self.path.contains("accessreviews")
    }
}

/// A place in the log, to ask for what came after it.
#[derive(Clone, Copy, Debug)]
pub struct Mark(pub(super) u64);

/// Everything that came in lately.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<Request>,
    forgotten: u64,
    unknown: Vec<String>,
}

impl Log {
    /// Notes a request at its arrival and gives its number.
    pub(super) fn arrived(&mut self, method: &str, path: &str, user_agent: &str) -> u64 {
        let last = self.requests.back();
        // Most come from the same client, one after the other.
        let shared = |before: Option<&Arc<str>>, text: &str| match before {
            Some(before) if **before == *text => Arc::clone(before),
            _ => text.into(),
        };
        let request = Request {
            method: shared(last.map(|last| &last.method), method),
            path: path.to_owned(),
            user_agent: shared(last.map(|last| &last.user_agent), user_agent),
            status: 0,
        };
        self.requests.push_back(request);
        if self.requests.len() > REMEMBERED {
            self.requests.pop_front();
            self.forgotten += 1;
        }
        self.forgotten + self.requests.len() as u64
    }

    pub(super) fn answered(&mut self, number: u64, status: u16) {
        let index = (number - 1).checked_sub(self.forgotten);
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| self.requests.get_mut(index)) {
            request.status = status;
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.forgotten + self.requests.len() as u64)
    }

    /// # Panics
    /// Where some of them are forgotten.
    pub(super) fn since(&self, mark: Mark) -> Vec<Request> {
        let from = mark.0.checked_sub(self.forgotten);
        let from = from.unwrap_or_else(|| panic!("more than {REMEMBERED} requests since the mark"));
        let from = usize::try_from(from).expect("the log fits into memory");
        self.requests.range(from..).cloned().collect()
    }

    /// Notes something that the sandbox does not know and a real cluster may well.
    pub(super) fn unknown(&mut self, what: String) {
        self.unknown.push(what);
    }

    pub(super) fn unknown_requests(&self) -> Vec<String> {
        self.unknown.clone()
    }
}
