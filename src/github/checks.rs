//! Check runs: reading what was told before, telling what is new.

use serde::de::{IntoDeserializer as _, value};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::Error;
use super::graphql::Nodes;
use super::transport::{Request, encoded};
use super::{Reader, Reporter};
use crate::names::FullName;

/// Annotations that GitHub takes in one request; each further request adds as many.
const ANNOTATIONS_A_REQUEST: usize = 50;

/// Bytes that GitHub takes in a summary, a text and a comment (it counts characters; bytes are never fewer).
pub(super) const LONGEST_TEXT: usize = 65_535;

/// Bytes that GitHub takes in the title of an annotation.
const LONGEST_TITLE: usize = 255;

/// How a check ended; `action_required` waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Success,
    Failure,
    Neutral,
    ActionRequired,
    Cancelled,
    Skipped,
    /// Never written here: GitHub's or another program's.
    #[serde(other)]
    Other,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Queued,
    InProgress,
    Completed(Conclusion),
}

/// A check run as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    pub id: u64,
    pub progress: Progress,
    pub external_id: String,
    pub title: String,
    pub summary: String,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct NewCheck {
    pub name: String,
    pub head_sha: String,
    pub shown: Shown,
}

/// How far a check run is, and what it tells of it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Ours to choose and to find again; GitHub does not show it. None leaves it as it is.
    pub external_id: Option<String>,
    pub progress: Progress,
    pub output: Output,
}

/// What a check run shows; Markdown in `summary` and `text`.
#[derive(Debug, Clone, Default)]
pub struct Output {
    pub title: String,
    pub summary: String,
    pub text: Option<String>,
    /// Added to those that the run has already.
    pub annotations: Vec<Annotation>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Annotation {
    pub path: String,
    /// Lines and columns count from one.
    pub start_line: u32,
    pub end_line: u32,
    /// Only where both lines are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    #[serde(rename = "annotation_level")]
    pub level: Level,
    pub title: String,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Notice,
    Warning,
    Failure,
}

#[derive(Deserialize)]
struct CheckRunsPage {
    check_runs: Vec<CheckRunAnswer>,
}

#[derive(Deserialize)]
struct CheckRunAnswer {
    id: u64,
    status: String,
    conclusion: Option<Conclusion>,
    external_id: Option<String>,
    #[serde(default)]
    output: OutputAnswer,
}

#[derive(Default, Deserialize)]
struct OutputAnswer {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
}

/// A commit with our check runs on it, in GraphQL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checked {
    check_suites: Option<Nodes<Suite>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    check_runs: Option<Nodes<RunNode>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunNode {
    /// The schema says `Int`; real ones have long been larger than 32 bits.
    database_id: Option<u64>,
    status: String,
    conclusion: Option<String>,
    external_id: Option<String>,
    #[serde(flatten)]
    output: OutputAnswer,
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

impl Reader {
    /// The latest check run of each suite with this name on a commit, made by this App.
    pub async fn check_runs(
        &self,
        repository: &FullName,
        sha: &str,
        name: &str,
        app_id: u64,
    ) -> Result<Vec<CheckRun>, Error> {
        let (sha, name) = (encoded(sha), encoded(name));
        let path = format!(
            "/repos/{repository}/commits/{sha}/check-runs?check_name={name}&app_id={app_id}&per_page=100"
        );
        let pages: Vec<CheckRunsPage> = self.client.pages(path).await?;
        let runs = pages.into_iter().flat_map(|page| page.check_runs);
        Ok(runs.map(CheckRun::from).collect())
    }
}

impl Checked {
    /// The newest check run, of those that were asked for.
    pub(super) fn newest(self) -> Option<CheckRun> {
        let suites = self.check_suites.into_iter().flat_map(|all| all.nodes);
        let runs = suites.filter_map(|suite| suite.check_runs);
        let runs = runs.flat_map(|all| all.nodes);
        runs.filter_map(RunNode::into_rest)
            .map(CheckRun::from)
            .max_by_key(|run| run.id)
    }
}

impl RunNode {
    /// GraphQL has REST's words in capitals.
    fn into_rest(self) -> Option<CheckRunAnswer> {
        let conclusion = self.conclusion.map(|word| {
            let word = word.to_lowercase();
            let known: Result<_, value::Error> = Conclusion::deserialize(word.into_deserializer());
            known.unwrap_or(Conclusion::Other)
        });
        Some(CheckRunAnswer {
            id: self.database_id?,
            status: self.status.to_lowercase(),
            conclusion,
            external_id: self.external_id,
            output: self.output,
        })
    }
}

impl From<CheckRunAnswer> for CheckRun {
    fn from(answer: CheckRunAnswer) -> Self {
        let progress = match (answer.status.as_str(), answer.conclusion) {
            ("completed", conclusion) => {
                Progress::Completed(conclusion.unwrap_or(Conclusion::Other))
            }
            ("in_progress", _) => Progress::InProgress,
            _ => Progress::Queued,
        };
        Self {
            id: answer.id,
            progress,
            external_id: answer.external_id.unwrap_or_default(),
            title: answer.output.title.unwrap_or_default(),
            summary: answer.output.summary.unwrap_or_default(),
            text: answer.output.text.unwrap_or_default(),
        }
    }
}

impl Reporter {
    /// Makes a check run and gives its id; it concludes only when all its annotations are there.
    pub async fn create_check(&self, check: &NewCheck) -> Result<u64, Error> {
        let (first, rest) = split(&check.shown.output.annotations);
        let mut body = told(&check.shown, first, rest.is_empty());
        body["name"] = json!(check.name);
        body["head_sha"] = json!(check.head_sha);
        let path = format!("/repos/{}/check-runs", self.repository);
        let created: Identified = self.client.send(Request::post(path, body)).await?.json()?;
        if !rest.is_empty() {
            self.add(created.id, &check.shown, rest).await?;
        }
        Ok(created.id)
    }

    /// Changes what a check run shows; its annotations are added to those it has.
    pub async fn update_check(&self, id: u64, shown: &Shown) -> Result<(), Error> {
        self.add(id, shown, &shown.output.annotations).await
    }

    /// One request for every 50 annotations; the last one brings the progress.
    async fn add(&self, id: u64, shown: &Shown, annotations: &[Annotation]) -> Result<(), Error> {
        let mut rest = annotations;
        loop {
            let (now, later) = split(rest);
            let done = later.is_empty();
            let body = told(shown, now, done);
            let path = format!("/repos/{}/check-runs/{id}", self.repository);
            // Annotations are appended, so only a request without any may be repeated.
            let request = Request::patch(path, body);
            let request = if now.is_empty() {
                request
            } else {
                request.once()
            };
            self.client.send(request).await?;
            if done {
                return Ok(());
            }
            rest = later;
        }
    }
}

fn split(annotations: &[Annotation]) -> (&[Annotation], &[Annotation]) {
    annotations.split_at(annotations.len().min(ANNOTATIONS_A_REQUEST))
}

/// Until the last of the annotations is told, the check is in progress.
fn told(shown: &Shown, annotations: &[Annotation], is_last: bool) -> Value {
    let Shown {
        external_id,
        progress,
        output,
    } = shown;
    let annotations: Vec<_> = annotations.iter().map(Annotation::fitted).collect();
    let mut texts = json!({
        "title": fitted(&output.title, LONGEST_TITLE),
        "summary": fitted(&output.summary, LONGEST_TEXT),
        "annotations": annotations,
    });
    if let Some(text) = &output.text {
        texts["text"] = json!(fitted(text, LONGEST_TEXT));
    }
    let mut body = match progress {
        Progress::Completed(conclusion) if is_last => {
            json!({ "status": "completed", "conclusion": conclusion })
        }
        Progress::Queued => json!({ "status": "queued" }),
        Progress::InProgress | Progress::Completed(_) => json!({ "status": "in_progress" }),
    };
    body["output"] = texts;
    if let Some(external_id) = external_id {
        body["external_id"] = json!(external_id);
    }
    body
}

impl Annotation {
    /// As GitHub takes it: within its limits, columns only on a single line.
    fn fitted(&self) -> Self {
        let single = self.start_line == self.end_line;
        Self {
            start_column: self.start_column.filter(|_| single),
            end_column: self.end_column.filter(|_| single),
            title: fitted(&self.title, LONGEST_TITLE),
            message: fitted(&self.message, LONGEST_TEXT),
            ..self.clone()
        }
    }
}

/// The text itself, or its beginning and a word that there was more, in at most `longest` bytes.
pub(super) fn fitted(text: &str, longest: usize) -> String {
    const NOTE: &str = "… (cut)";
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest - NOTE.len());
    format!("{}{NOTE}", &text[..end])
}
