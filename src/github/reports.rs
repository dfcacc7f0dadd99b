//! Checks and comments on one control repo.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::error::Error;
use crate::github::{Caller, Reader};
use crate::names::FullName;

/// GitHub takes so many annotations in one request.
const ANNOTATIONS: usize = 50;
/// Characters of a check's summary or text; in bytes we stay below for certain.
const LONGEST_TEXT: usize = 65_000;

/// Writes checks and comments, and can do nothing else.
#[derive(Clone)]
pub struct Reporter {
    caller: Caller,
    repository: FullName,
}

/// A check run as it is to be; in progress where there is no conclusion.
#[derive(Debug, Clone, Default)]
pub struct NewCheck {
    pub name: &'static str,
    pub head: String,
    /// GitHub's word: `success`, `failure`, …
    pub conclusion: Option<&'static str>,
    pub title: String,
    pub summary: String,
    pub text: String,
    /// The fingerprint of the plan that it shows.
    pub external_id: Option<String>,
    /// In the form that GitHub takes; any number.
    pub annotations: Vec<Value>,
}

/// A check run as it is.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckRun {
    pub id: u64,
    pub status: String,
    pub conclusion: Option<String>,
    pub external_id: Option<String>,
    pub output: Output,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Output {
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    pub id: u64,
    pub body: String,
}

impl Reader {
    /// The newest of this App's check runs of this name on a commit.
    pub async fn check_run(
        &self,
        repository: &FullName,
        commit: &str,
        name: &str,
        app_id: u64,
    ) -> Result<Option<CheckRun>, Error> {
        #[derive(Deserialize)]
        struct Found {
            check_runs: Vec<CheckRun>,
        }
        let name = super::escape_path(name).replace('/', "%2F");
        let path = format!(
            "/repos/{repository}/commits/{commit}/check-runs?check_name={name}&app_id={app_id}&filter=latest"
        );
        let found: Found = self.get(&path).await?;
        Ok(found.check_runs.into_iter().max_by_key(|run| run.id))
    }
}

impl Reporter {
    pub(super) fn new(caller: Caller, repository: FullName) -> Self {
        Self { caller, repository }
    }

    pub async fn create_check(&self, check: &NewCheck) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Created {
            id: u64,
        }
        let mut body = body(check, first_annotations(check));
        body["name"] = json!(check.name);
        body["head_sha"] = json!(check.head);
        let path = format!("/repos/{}/check-runs", self.repository);
        let created: Created = self.caller.write(Method::POST, &path, &body).await?;
        self.add_annotations(created.id, check).await?;
        Ok(created.id)
    }

    pub async fn update_check(&self, id: u64, check: &NewCheck) -> Result<(), Error> {
        let body = body(check, first_annotations(check));
        self.patch_check(id, &body).await?;
        self.add_annotations(id, check).await
    }

    /// Those that did not fit in the first request; GitHub adds them to what is there.
    async fn add_annotations(&self, id: u64, check: &NewCheck) -> Result<(), Error> {
        for batch in check.annotations.chunks(ANNOTATIONS).skip(1) {
            self.patch_check(id, &body(check, batch)).await?;
        }
        Ok(())
    }

    async fn patch_check(&self, id: u64, body: &Value) -> Result<(), Error> {
        let path = format!("/repos/{}/check-runs/{id}", self.repository);
        self.caller
            .write::<Value>(Method::PATCH, &path, body)
            .await
            .map(|_| ())
    }

    /// Our one comment on a pull request: written by this App, with the marker.
    pub async fn find_comment(
        &self,
        pull: u64,
        marker: &str,
        bot_login: &str,
    ) -> Result<Option<Comment>, Error> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
            body: Option<String>,
            user: Option<User>,
        }
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        let path = format!("/repos/{}/issues/{pull}/comments", self.repository);
        let comments: Vec<Found> = self.caller.pages(&path).await?;
        let by_us = |comment: &Found| {
            comment
                .user
                .as_ref()
                .is_some_and(|user| user.login == bot_login)
        };
        let ours = comments.into_iter().find(|comment| {
            by_us(comment)
                && comment
                    .body
                    .as_deref()
                    .is_some_and(|body| body.contains(marker))
        });
        Ok(ours.map(|comment| Comment {
            id: comment.id,
            body: comment.body.unwrap_or_default(),
        }))
    }

    pub async fn create_comment(&self, pull: u64, body: &str) -> Result<(), Error> {
        let path = format!("/repos/{}/issues/{pull}/comments", self.repository);
        self.caller
            .write::<Value>(Method::POST, &path, &json!({ "body": body }))
            .await
            .map(|_| ())
    }

    pub async fn update_comment(&self, id: u64, body: &str) -> Result<(), Error> {
        let path = format!("/repos/{}/issues/comments/{id}", self.repository);
        self.caller
            .write::<Value>(Method::PATCH, &path, &json!({ "body": body }))
            .await
            .map(|_| ())
    }
}

fn first_annotations(check: &NewCheck) -> &[Value] {
    check
        .annotations
        .chunks(ANNOTATIONS)
        .next()
        .unwrap_or_default()
}

fn body(check: &NewCheck, annotations: &[Value]) -> Value {
    let mut output = json!({
        "title": check.title,
        "summary": shortened(&check.summary),
        "annotations": annotations,
    });
    if !check.text.is_empty() {
        output["text"] = json!(shortened(&check.text));
    }
    let mut body = json!({ "output": output });
    match check.conclusion {
        Some(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
        None => body["status"] = json!("in_progress"),
    }
    if let Some(id) = &check.external_id {
        body["external_id"] = json!(id);
    }
    body
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let end = (0..=LONGEST_TEXT)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or_default();
    format!("{}\n… cut here: GitHub takes no longer text", &text[..end])
}
