//! A check: how it stands, what it says, and the wish to have it made again.

use axum::extract::{Path, State};
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::json;

use super::github::{Annotation, CheckRun, CheckRuns, Look, encoded, short};
use super::icon::badge;
use super::markdown;
use super::place::{Place, Told};
use super::trouble::Trouble;
use super::{Page, Shared, Site};

/// The newest run of each name on a commit.
pub(super) async fn of_commit(
    site: &Site,
    look: &Look<'_>,
    commit: &str,
) -> Result<Vec<CheckRun>, Trouble> {
    let path = site.control(&format!(
        "/commits/{}/check-runs?per_page=100",
        encoded(commit)
    ));
    Ok(look.get::<CheckRuns>(&path).await?.check_runs)
}

/// What runs say about lines.
pub(super) async fn annotations(
    site: &Site,
    look: &Look<'_>,
    runs: &[CheckRun],
) -> Result<Vec<Annotation>, Trouble> {
    let mut all = Vec::new();
    for run in runs.iter().filter(|run| run.output.annotations_count > 0) {
        let path = site.control(&format!("/check-runs/{}/annotations", run.id));
        all.extend(look.all::<Annotation>(&path).await?);
    }
    Ok(all)
}

/// A check in one line, with the way to all of it.
pub(super) fn line(run: &CheckRun) -> Markup {
    let (mood, picture, word) = run.state().shown();
    html! {
        span class="check" {
            a href=(Place::Check(run.id).address()) { (run.name) }
            (badge(mood, picture, word))
        }
    }
}

/// The button that asks for a check again.
pub(super) fn rerun_button(run: &CheckRun) -> Markup {
    html! {
        form method="post" action={ (Place::Check(run.id).address()) "/rerun" } {
            button class="small" { "Re-run" span class="unseen" { " " (run.name) } }
        }
    }
}

/// Summary and text, as the App wrote them.
pub(super) fn output(site: &Site, run: &CheckRun) -> Markup {
    html! {
        @for text in [&run.output.summary, &run.output.text].into_iter().flatten() {
            @if !text.is_empty() { (markdown::shown(text, &site.control_repo)) }
        }
    }
}

pub(super) async fn page(site: &Site, look: &Look<'_>, id: u64) -> Result<Page, Trouble> {
    let run: CheckRun = look
        .get(&site.control(&format!("/check-runs/{id}")))
        .await?;
    let annotations = annotations(site, look, std::slice::from_ref(&run)).await?;
    let (mood, picture, word) = run.state().shown();
    let body = html! {
        header class="head" {
            p class="above" { "Check on commit " code { (short(&run.head_sha)) } }
            h1 { (run.name) }
            div class="facts" {
                (badge(mood, picture, word))
                @if let Some(title) = &run.output.title { span { (title) } }
                (rerun_button(&run))
            }
        }
        @if !annotations.is_empty() {
            section {
                h2 { "At lines of the file" }
                ul class="annotations" {
                    @for one in &annotations {
                        li {
                            code { (one.path) ":" (one.start_line) }
                            @if let Some(title) = &one.title { " " strong { (title) } }
                            p class="message" { (one.message) }
                        }
                    }
                }
            }
        }
        section class="card padded" {
            h2 class="unseen" { "What it says" }
            (output(site, &run))
        }
    };
    Ok(Page {
        title: run.name,
        body,
    })
}

pub(super) async fn rerun(State(site): State<Shared>, Path(id): Path<u64>) -> Response {
    let path = site.control(&format!("/check-runs/{id}/rerequest"));
    let asked = site.github.change(Method::POST, &path, &json!({})).await;
    let place = Place::Check(id);
    site.after(asked, &place, |_| place.telling(Told::Rerun))
        .await
}
