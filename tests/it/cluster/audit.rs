//! What the API server was asked, from its audit log.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use serde::Deserialize;

use super::Cluster;

/// A request that nothing else makes: when it stands in the audit log, all before it do.
const FLUSH: &str = "/version?flush=";

/// A request as the API server's audit log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Kubernetes' verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub(crate) verb: String,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) user: String,
    pub(crate) user_agent: String,
    pub(crate) status: u16,
}

impl Request {
    /// Whether it asked for a change; a dry run, an access review or a token changes nothing.
    pub(crate) fn is_write(&self) -> bool {
        let changes = matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        );
        changes
            && !self.uri.contains("dryRun=All")
            && !self.uri.contains("accessreviews")
            && !self.uri.ends_with("/token")
    }
}

impl Cluster {
    /// A place in the audit log, for `requests_since`.
    pub(crate) fn audit_mark(&self) -> u64 {
        self.flush_audit_log();
        self.read_audit_log(0).len() as u64
    }

    /// Every request answered since the mark, in the order of their answers, from all clients but the controllers.
    pub(crate) fn requests_since(&self, mark: u64) -> Vec<Request> {
        self.flush_audit_log();
        let log = self.read_audit_log(mark);
        log.lines()
            .map(request)
            .filter(|request| !request.uri.starts_with(FLUSH))
            .collect()
    }

    /// Waits until every request answered so far stands in the log.
    fn flush_audit_log(&self) {
        static FLUSHES: AtomicUsize = AtomicUsize::new(0);
        let from = fs::metadata(self.audit_log()).map_or(0, |metadata| metadata.len());
        let marker = format!("{FLUSH}{}", FLUSHES.fetch_add(1, Ordering::Relaxed));
        let needle = format!("\"{marker}\"");
        self.kubectl_checked(&["get", "--raw", &marker], "")
            .expect("the API server answers");
        let written = self.wait("the audit log has a request", || {
            if self.read_audit_log(from).contains(&needle) {
                Ok(())
            } else {
                bail!("{marker} is not there")
            }
        });
        written.expect("the API server keeps an audit log");
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.join("kube-apiserver/audit.log")
    }

    fn read_audit_log(&self, from: u64) -> String {
        complete_lines(&self.audit_log(), from).expect("the API server keeps an audit log")
    }
}

/// Without the line that is being written just now: that one is of a request after ours.
fn complete_lines(log: &Path, from: u64) -> Result<String> {
    let mut file = fs::File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    bytes.truncate(
        bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1),
    );
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn request(line: &str) -> Request {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        verb: String,
        #[serde(rename = "requestURI")]
        request_uri: String,
        user: User,
        #[serde(default)]
        user_agent: String,
        response_status: Option<Status>,
    }
    #[derive(Deserialize)]
    struct User {
        username: String,
    }
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        code: u16,
    }
    let event: Event = serde_json::from_str(line).expect("an audit log has an event a line");
    Request {
        verb: event.verb,
        uri: event.request_uri,
        user: event.user.username,
        user_agent: event.user_agent,
        status: event.response_status.map_or(0, |status| status.code),
    }
}
