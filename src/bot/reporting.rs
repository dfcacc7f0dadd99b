//! Checks and the one comment, as GitHub is told of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::Bot;
use super::control::Control;
use super::open_pulls::Basis;
use crate::github::{
    Annotation, CheckRun, Checks, Conclusion, Error, Level, NewCheck, Output, Progress, Shown,
};
use crate::names::FullName;
use crate::render::annotations::{self, Level as Wanted};
use crate::render::check::{self, CheckText, Underway};
use crate::render::comment::MARKER;
use crate::render::live;

/// A check that has come to an end.
pub(super) struct Concluded<'a> {
    pub name: &'static str,
    pub head: &'a str,
    pub text: CheckText,
    /// What it was made from, if that may change without another commit.
    pub basis: Option<Basis>,
    pub annotations: Vec<annotations::Annotation>,
}

/// A check that is to be shown in progress.
pub(super) struct Beginning<'a> {
    pub name: &'static str,
    pub head: &'a str,
    pub shown: Underway,
}

impl Beginning<'_> {
    fn check(&self) -> NewCheck {
        NewCheck {
            name: self.name.to_owned(),
            head_sha: self.head.to_owned(),
            shown: underway(self.shown.clone()),
        }
    }
}

pub(super) fn underway(shown: Underway) -> Shown {
    Shown {
        external_id: None,
        progress: Progress::InProgress,
        output: Output {
            title: shown.title,
            summary: shown.summary,
            text: Some(shown.text).filter(|text| !text.is_empty()),
            annotations: Vec::new(),
        },
    }
}

/// What there is to say on a pull request.
pub(super) enum Saying {
    /// Worth a comment.
    New(String),
    /// Worth no comment of its own: changes the one that is there.
    Quiet(String),
    Nothing,
}

/// The check runs in progress that this process began, so that it need not ask for them again.
#[derive(Default)]
pub(super) struct Begun(Mutex<BTreeMap<(FullName, String, &'static str), Run>>);

struct Run {
    id: u64,
    /// None where it was begun before this process.
    shown: Option<Underway>,
}

impl Begun {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<(FullName, String, &'static str), Run>> {
        self.0
            .lock()
            .expect("no code panics while it holds the check runs")
    }

    /// It has come to an end elsewhere.
    pub(super) fn forget(&self, repository: &FullName, head: &str, name: &'static str) {
        let key = (repository.clone(), head.to_owned(), name);
        self.runs().remove(&key);
    }

    /// A run in progress as this process has shown it last.
    pub(super) fn shown(
        &self,
        repository: &FullName,
        head: &str,
        name: &'static str,
    ) -> Option<CheckRun> {
        let runs = self.runs();
        let run = runs.get(&(repository.clone(), head.to_owned(), name))?;
        let shown = run.shown.clone()?;
        Some(CheckRun {
            id: run.id,
            progress: Progress::InProgress,
            external_id: String::new(),
            title: shown.title,
            summary: shown.summary,
            text: shown.text,
        })
    }
}

/// The comments that this process has written or found, so that it need not look for them again.
#[derive(Default)]
pub(super) struct Comments(Mutex<BTreeMap<(FullName, u64), Written>>);

#[derive(Clone)]
pub(super) struct Written {
    pub id: u64,
    /// What it says, if that is to be changed in part later on.
    pub text: Option<String>,
}

impl Comments {
    fn of_pulls(&self) -> MutexGuard<'_, BTreeMap<(FullName, u64), Written>> {
        self.0
            .lock()
            .expect("no code panics while it holds the comments")
    }

    pub(super) fn of(&self, control: &Control, number: u64) -> Option<Written> {
        let pull = (control.repository.clone(), number);
        self.of_pulls().get(&pull).cloned()
    }

    pub(super) fn keep(&self, control: &Control, number: u64, written: Written) {
        let pull = (control.repository.clone(), number);
        self.of_pulls().insert(pull, written);
    }
}

impl<'a> Concluded<'a> {
    pub(super) fn new(name: &'static str, head: &'a str, text: CheckText) -> Self {
        Self {
            name,
            head,
            text,
            basis: None,
            annotations: Vec::new(),
        }
    }
}

impl Bot {
    /// The newest of our check runs of this name on a commit.
    pub(super) async fn check(
        &self,
        control: &Control,
        head: &str,
        name: &str,
    ) -> anyhow::Result<Option<CheckRun>> {
        let runs = self
            .reader(control)
            .check_runs(&control.repository, head, name, self.shared.app.id)
            .await?;
        Ok(runs.into_iter().max_by_key(|run| run.id))
    }

    pub(super) fn checks<'a>(&self, name: &'a str) -> Checks<'a> {
        let app_id = self.shared.app.id;
        Checks { name, app_id }
    }

    /// Shows a check in progress, unless it is shown already; `existing` is the newest one before it.
    pub(super) async fn begin(
        &self,
        control: &Control,
        beginning: Beginning<'_>,
        existing: Option<&CheckRun>,
    ) -> anyhow::Result<()> {
        if self.begun(control, &beginning).is_some() {
            return Ok(());
        }
        let Beginning { head, name, .. } = beginning;
        let run = if let Some(run) = existing.filter(|run| !is_completed(run.progress)) {
            Run {
                id: run.id,
                shown: None,
            }
        } else {
            let reporter = self.reporter(control);
            Run {
                id: reporter.create_check(&beginning.check()).await?,
                shown: Some(beginning.shown),
            }
        };
        let key = (control.repository.clone(), head.to_owned(), name);
        self.shared.begun.runs().insert(key, run);
        Ok(())
    }

    /// Changes what a check shows that is in progress, or begins one.
    pub(super) async fn show(
        &self,
        control: &Control,
        beginning: Beginning<'_>,
        existing: Option<&CheckRun>,
    ) -> anyhow::Result<()> {
        let run = existing.filter(|run| !is_completed(run.progress));
        let begun = self.begun(control, &beginning).or(run.map(|run| run.id));
        let Some(id) = begun else {
            return self.begin(control, beginning, existing).await;
        };
        let Beginning { name, head, shown } = beginning;
        let reporter = self.reporter(control);
        reporter.update_check(id, &underway(shown.clone())).await?;
        let run = Run {
            id,
            shown: Some(shown),
        };
        let key = (control.repository.clone(), head.to_owned(), name);
        self.shared.begun.runs().insert(key, run);
        Ok(())
    }

    fn begun(&self, control: &Control, beginning: &Beginning<'_>) -> Option<u64> {
        let Beginning { head, name, .. } = *beginning;
        let key = (control.repository.clone(), head.to_owned(), name);
        self.shared.begun.runs().get(&key).map(|run| run.id)
    }

    /// The run in progress that is to be concluded, if there is one.
    async fn in_progress(
        &self,
        control: &Control,
        head: &str,
        name: &'static str,
    ) -> anyhow::Result<Option<u64>> {
        let key = (control.repository.clone(), head.to_owned(), name);
        let begun = self.shared.begun.runs().remove(&key);
        if begun.is_some() {
            return Ok(begun.map(|run| run.id));
        }
        let existing = self.check(control, head, name).await?;
        Ok(existing
            .filter(|run| !is_completed(run.progress))
            .map(|run| run.id))
    }

    /// Concludes the check that is in progress. A concluded one is followed by a new one: GitHub would add the new
    /// annotations to the old.
    pub(super) async fn conclude_check(
        &self,
        control: &Control,
        check: Concluded<'_>,
    ) -> anyhow::Result<()> {
        let in_progress = self.in_progress(control, check.head, check.name).await?;
        let Concluded {
            name,
            head,
            text,
            basis,
            annotations,
        } = check;
        let CheckText {
            conclusion,
            title,
            summary,
            text,
        } = text;
        let shown = Shown {
            external_id: basis.map(|basis| basis.to_string()),
            progress: Progress::Completed(in_api_words(conclusion)),
            output: Output {
                title,
                summary,
                text: Some(text).filter(|text| !text.is_empty()),
                annotations: annotations.into_iter().map(annotation).collect(),
            },
        };
        let reporter = self.reporter(control);
        if let Some(id) = in_progress {
            reporter.update_check(id, &shown).await?;
            return Ok(());
        }
        let check = NewCheck {
            name: name.to_owned(),
            head_sha: head.to_owned(),
            shown,
        };
        reporter.create_check(&check).await?;
        Ok(())
    }

    /// Writes the one comment of a pull request.
    pub(super) async fn say(
        &self,
        control: &Control,
        number: u64,
        saying: &Saying,
    ) -> anyhow::Result<()> {
        let (text, create) = match saying {
            Saying::New(text) => (text, true),
            Saying::Quiet(text) => (text, false),
            Saying::Nothing => return Ok(()),
        };
        let reporter = self.reporter(control);
        let comments = &self.shared.comments;
        let written = |id| Written {
            id,
            text: live::is_followed(text).then(|| text.clone()),
        };
        if let Some(Written { id, .. }) = comments.of(control, number) {
            match reporter.update_comment(id, text).await {
                // Somebody has deleted it.
                Err(Error::NotFound { .. }) => {}
                answer => {
                    answer?;
                    comments.keep(control, number, written(id));
                    return Ok(());
                }
            }
        }
        let found = reporter
            .find_comment(number, MARKER, &self.shared.app.bot_login())
            .await?;
        let id = match found {
            Some(comment) if comment.body == *text => comment.id,
            Some(comment) => {
                reporter.update_comment(comment.id, text).await?;
                comment.id
            }
            None if create => reporter.create_comment(number, text).await?,
            None => return Ok(()),
        };
        comments.keep(control, number, written(id));
        Ok(())
    }
}

pub(super) fn is_completed(progress: Progress) -> bool {
    matches!(progress, Progress::Completed(_))
}

/// How a check run ended, if it did.
pub(super) fn conclusion(run: &CheckRun) -> Option<Conclusion> {
    match run.progress {
        Progress::Completed(conclusion) => Some(conclusion),
        Progress::Queued | Progress::InProgress => None,
    }
}

pub(super) fn in_api_words(conclusion: check::Conclusion) -> Conclusion {
    match conclusion {
        check::Conclusion::Success => Conclusion::Success,
        check::Conclusion::Failure => Conclusion::Failure,
        check::Conclusion::ActionRequired => Conclusion::ActionRequired,
        check::Conclusion::Neutral => Conclusion::Neutral,
    }
}

fn annotation(from: annotations::Annotation) -> Annotation {
    // GitHub counts lines in 32 bits; a file that long is refused before.
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Annotation {
        path: from.path,
        start_line: small(from.start_line),
        end_line: small(from.end_line),
        start_column: from.start_column.map(small),
        end_column: from.end_column.map(small),
        level: match from.level {
            Wanted::Failure => Level::Failure,
            Wanted::Warning => Level::Warning,
            Wanted::Notice => Level::Notice,
        },
        title: from.title,
        message: from.message,
    }
}
