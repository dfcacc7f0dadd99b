//! A pull request: what was said and done, how its checks stand, what it changes, and the merge.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::github::{
    Account, Annotation, CheckRun, CheckState, Event, File, Look, Protection, Pull, PullState,
    encoded, first_line, short,
};
use super::icon::{Icon, badge, icon};
use super::place::{Place, Told};
use super::time::time;
use super::trouble::Trouble;
use super::{Page, Shared, Site, check, control, diff, markdown};

/// Tries to learn whether a pull request merges, which GitHub finds out in the background.
const LOOKS: usize = 4;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(40);

/// Everything that its page shows.
struct Whole {
    pull: Pull,
    timeline: Vec<Event>,
    /// On its head.
    checks: Vec<CheckRun>,
    /// On the commit that its merge made.
    after: Vec<CheckRun>,
    required: Vec<String>,
    annotations: Vec<Annotation>,
    files: Vec<File>,
    /// The tenants' file as the pull request has it.
    text: Option<String>,
}

pub(super) async fn page(site: &Site, look: &Look<'_>, number: u64) -> Result<Page, Trouble> {
    let whole = read(site, look, number).await?;
    let pull = &whole.pull;
    let body = html! {
        (head(pull))
        div class="pull" {
            section class="talk" aria-labelledby="conversation" {
                h2 id="conversation" class="unseen" { "Conversation" }
                ol class="timeline" {
                    (opening(site, pull))
                    @for event in told(&whole) { (happened(site, event)) }
                }
                (comment_form(pull))
            }
            aside class="merge" aria-labelledby="merge" {
                h2 id="merge" { "Checks and merge" }
                (merge_box(site, &whole))
            }
            section class="changes" aria-labelledby="changes" {
                div class="title" {
                    h2 id="changes" { "Changes" }
                    @if pull.state() == PullState::Open {
                        a class="button" href=(Place::Edit { pull: Some(number) }.address()) { "New commit" }
                    }
                }
                @for file in &whole.files { (file_shown(site, file, &whole)) }
            }
        }
    };
    Ok(Page {
        title: format!("{} #{number}", pull.title),
        body,
    })
}

async fn read(site: &Site, look: &Look<'_>, number: u64) -> Result<Whole, Trouble> {
    let pull = settled(site, look, number).await?;
    let at = site.control(&format!("/pulls/{number}"));
    let protection = site.control(&format!(
        "/branches/{}/protection",
        encoded(&pull.base.branch)
    ));
    let timeline = site.control(&format!("/issues/{number}/timeline"));
    let files = format!("{at}/files");
    let (timeline, files, checks, protection) = tokio::try_join!(
        look.all::<Event>(&timeline),
        look.all::<File>(&files),
        check::of_commit(site, look, &pull.head.sha),
        look.find::<Protection>(&protection),
    )?;
    let after = match pull.merge_commit() {
        Some(commit) => check::of_commit(site, look, commit).await?,
        None => Vec::new(),
    };
    let annotations = check::annotations(site, look, &checks).await?;
    // Only what no hunk shows needs the whole file.
    let text = if annotations.is_empty() {
        None
    } else {
        Some(control::file(site, look, Some(&pull.head.sha)).await?)
    };
    Ok(Whole {
        pull,
        timeline,
        checks,
        after,
        required: protection.map_or_else(Vec::new, |found| found.required().to_vec()),
        annotations,
        files,
        text,
    })
}

/// The pull request once GitHub knows whether it merges, if that does not take long.
async fn settled(site: &Site, look: &Look<'_>, number: u64) -> Result<Pull, Trouble> {
    let path = site.control(&format!("/pulls/{number}"));
    let mut pull: Pull = look.get(&path).await?;
    for _ in 1..LOOKS {
        let unknown = pull.mergeable_state.as_deref() == Some("unknown");
        if pull.state() != PullState::Open || !unknown {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        pull = look.get(&path).await?;
    }
    Ok(pull)
}

fn head(pull: &Pull) -> Markup {
    let (mood, picture, word) = pull.state().shown();
    let commits = match pull.commits {
        Some(1) | None => "1 commit".to_owned(),
        Some(count) => format!("{count} commits"),
    };
    html! {
        header class="head" {
            h1 { (pull.title) " " span class="quiet" { "#" (pull.number) } }
            p class="facts" {
                (badge(mood, picture, word))
                span {
                    strong { (pull.user.login) }
                    @match pull.state() {
                        PullState::Open => " wants to merge ",
                        PullState::Merged => " merged ",
                        PullState::Closed => " wanted to merge ",
                    }
                    (commits) " into " code { (pull.base.branch) } " from " code { (pull.head.branch) }
                }
            }
        }
    }
}

// ── the conversation ──

fn author(account: Option<&Account>) -> Markup {
    html! {
        @match account {
            Some(account) => {
                strong { (account.login.trim_end_matches("[bot]")) }
                @if account.is_bot() { " " span class="bot" { "bot" } }
            },
            None => strong { "somebody" },
        }
    }
}

/// Something that was written.
fn written(site: &Site, by: &Markup, at: &Markup, body: &str) -> Markup {
    html! {
        article class="card" {
            header { (by) span class="quiet" { (at) } }
            @if body.trim().is_empty() {
                p class="padded quiet" { "No description." }
            } @else {
                div class="padded" { (markdown::shown(body, &site.control_repo)) }
            }
        }
    }
}

fn opening(site: &Site, pull: &Pull) -> Markup {
    let by = html! { (author(Some(&pull.user))) " opened this" };
    let body = pull.body.as_deref().unwrap_or_default();
    let at = time(&pull.created_at);
    html! {
        li id="opened" {
            @if body.trim().is_empty() {
                p class="event" { (icon(Icon::Pull)) span { (by) " " span class="quiet" { (at) } } }
            } @else {
                (written(site, &by, &at, body))
            }
        }
    }
}

/// The timeline without what goes without saying: a merge closes.
fn told(whole: &Whole) -> impl Iterator<Item = &Event> {
    let merged = whole.pull.state() == PullState::Merged;
    let events = whole.timeline.iter();
    events.filter(move |event| !(merged && event.kind == "closed"))
}

fn happened(site: &Site, event: &Event) -> Markup {
    let at = event.created_at.as_deref().map(time);
    let (picture, text) = match event.kind.as_str() {
        "commented" => return said(site, event),
        "committed" => return committed(event),
        "head_ref_force_pushed" => (Icon::Commit, html! { " pushed the branch anew" }),
        "renamed" => (Icon::Comment, renamed(event)),
        "base_ref_changed" => (Icon::Pull, html! { " chose another base" }),
        "merged" => (
            Icon::Merge,
            html! {
                " merged this as " code { (short(event.commit_id.as_deref().unwrap_or_default())) }
            },
        ),
        "closed" => (Icon::Cross, html! { " closed this" }),
        "reopened" => (Icon::Pull, html! { " opened this again" }),
        "head_ref_deleted" => (Icon::Dash, html! { " deleted the branch" }),
        other => (Icon::Dots, html! { ": " (other) }),
    };
    html! {
        li id=[event.id.map(|id| format!("event-{id}"))] {
            p class="event" {
                (icon(picture))
                span { (author(event.actor.as_ref())) (text) @if let Some(at) = at { " " span class="quiet" { (at) } } }
            }
        }
    }
}

fn said(site: &Site, event: &Event) -> Markup {
    let edited = event.updated_at != event.created_at;
    let at = html! {
        @if let Some(created) = &event.created_at { (time(created)) }
        @if let (true, Some(updated)) = (edited, &event.updated_at) { ", edited " (time(updated)) }
    };
    html! {
        li id=[event.id.map(|id| format!("comment-{id}"))] {
            (written(site, &author(event.actor.as_ref()), &at, event.body.as_deref().unwrap_or_default()))
        }
    }
}

fn committed(event: &Event) -> Markup {
    let sha = event.sha.as_deref().unwrap_or_default();
    html! {
        li id={ "commit-" (short(sha)) } {
            p class="event" {
                (icon(Icon::Commit))
                span {
                    (first_line(event.message.as_deref().unwrap_or_default())) " " code { (short(sha)) }
                    @if let Some(author) = &event.author {
                        " " span class="quiet" { (author.name) ", " (time(&author.date)) }
                    }
                }
            }
        }
    }
}

fn renamed(event: &Event) -> Markup {
    html! {
        @match &event.rename {
            Some(rename) => { " changed the title from “" (rename.from) "” to “" (rename.to) "”" },
            None => " changed the title",
        }
    }
}

fn comment_form(pull: &Pull) -> Markup {
    html! {
        form method="post" action={ (Place::Pull(pull.number).address()) "/comments" } class="comment" {
            p class="field" {
                label for="body" { "Comment" }
                textarea id="body" name="body" rows="3" required placeholder="/tenantry help" aria-describedby="commands" {}
            }
            p class="deeds" {
                button { "Comment" }
                span class="quiet" id="commands" { "The App answers to " code { "/tenantry plan" } " and " code { "/tenantry help" } "." }
            }
        }
    }
}

// ── checks and merge ──

fn merge_box(site: &Site, whole: &Whole) -> Markup {
    let pull = &whole.pull;
    html! {
        div class="card padded" {
            ul class="checks" {
                @for name in missing(whole) {
                    li { p { strong { (name) } " " (expected()) } }
                }
                @for run in &whole.checks { (check_shown(site, run, whole.required.contains(&run.name))) }
                @for run in &whole.after { (check_shown(site, run, false)) }
            }
            @match pull.state() {
                PullState::Open => (merge_form(whole)),
                PullState::Merged => p class="verdict" { (icon(Icon::Merge)) "Merged. What became of it stands in the App’s comment." },
                PullState::Closed => {
                    p class="verdict" { (icon(Icon::Cross)) "Closed without a merge." }
                    (deed(pull, "reopen", "Reopen"))
                },
            }
        }
    }
}

fn expected() -> Markup {
    let (mood, picture, word) = CheckState::Waiting.shown();
    badge(mood, picture, word)
}

/// Required checks that no run has been begun for.
fn missing(whole: &Whole) -> impl Iterator<Item = &String> {
    let begun = |name: &String| whole.checks.iter().any(|run| run.name == *name);
    whole.required.iter().filter(move |name| !begun(name))
}

fn check_shown(site: &Site, run: &CheckRun, required: bool) -> Markup {
    let (mood, picture, word) = run.state().shown();
    html! {
        li id={ "check-" (run.id) } {
            p {
                a href=(Place::Check(run.id).address()) { strong { (run.name) } } " "
                (badge(mood, picture, word))
                @if required { " " span class="quiet" { "required" } }
            }
            @if let Some(title) = &run.output.title { p class="quiet" { (title) } }
            @if run.output.annotations_count > 0 {
                p { a href="#changes" { "See it at the lines" } }
            }
            div class="more" {
                @if run.output.summary.is_some() {
                    details id={ "output-" (run.id) } {
                        summary { "What it says" span class="unseen" { ": " (run.name) } }
                        (check::output(site, run))
                    }
                }
                (check::rerun_button(run))
            }
        }
    }
}

/// Why the merge has to wait, if it has.
fn obstacle(whole: &Whole) -> Option<String> {
    let standing = |name: &String| {
        let run = whole.checks.iter().find(|run| run.name == *name);
        run.map_or(CheckState::Waiting, CheckRun::state)
    };
    let unmet = whole
        .required
        .iter()
        .map(|name| (name, standing(name)))
        .find(|(_, state)| !state.is_met());
    if let Some((name, state)) = unmet {
        let (_, _, word) = state.shown();
        let how = match state {
            CheckState::Failed => "has",
            CheckState::NeedsAction => "still",
            CheckState::Waiting
            | CheckState::Running
            | CheckState::Passed
            | CheckState::Neutral => "is",
        };
        return Some(format!("{name} must have passed: it {how} {word}."));
    }
    match whole.pull.mergeable_state.as_deref() {
        Some("dirty") => Some("It is in conflict with its base: make a new commit.".to_owned()),
        Some("behind") => Some("Its base has moved on: make a new commit.".to_owned()),
        Some("blocked") => Some("The branch’s protection holds it back.".to_owned()),
        Some("unknown") => Some("GitHub is finding out whether it merges.".to_owned()),
        Some("draft") => Some("It is a draft.".to_owned()),
        Some(_) | None => None,
    }
}

fn merge_form(whole: &Whole) -> Markup {
    let pull = &whole.pull;
    let obstacle = obstacle(whole);
    html! {
        form method="post" action={ (Place::Pull(pull.number).address()) "/merge" } class="deeds" {
            input type="hidden" name="sha" value=(pull.head.sha);
            button class="primary wide" disabled[obstacle.is_some()] aria-describedby="verdict" { "Merge pull request" }
        }
        p class="verdict" id="verdict" {
            @match &obstacle {
                Some(why) => { (icon(Icon::Pause)) span { (why) } },
                None => { (icon(Icon::Check)) span { "It can be merged." } },
            }
        }
        (deed(pull, "close", "Close without a merge"))
    }
}

fn deed(pull: &Pull, what: &str, label: &str) -> Markup {
    html! {
        form method="post" action={ (Place::Pull(pull.number).address()) "/" (what) } {
            button class="small" { (label) }
        }
    }
}

fn file_shown(site: &Site, file: &File, whole: &Whole) -> Markup {
    let annotations: Vec<&Annotation> = whole
        .annotations
        .iter()
        .filter(|one| one.path == file.filename)
        .collect();
    let text = whole.text.as_deref();
    diff::shown(
        file,
        &annotations,
        text.filter(|_| file.filename == site.tenants_file),
    )
}

// ── deeds ──

/// The commit that the person who merges has seen.
#[derive(Deserialize)]
pub(super) struct Seen {
    sha: String,
}

#[derive(Deserialize)]
pub(super) struct Written {
    body: String,
}

impl Site {
    async fn deed_on(
        &self,
        number: u64,
        (method, below): (Method, &str),
        body: Value,
        told: Option<Told>,
    ) -> Response {
        let path = self.control(below);
        let done = self.github.change(method, &path, &body).await;
        let place = Place::Pull(number);
        self.after(done, &place, |_| match told {
            Some(told) => place.telling(told),
            None => place.address(),
        })
        .await
    }
}

pub(super) async fn merge(
    State(site): State<Shared>,
    Path(number): Path<u64>,
    Form(seen): Form<Seen>,
) -> Response {
    let below = format!("/pulls/{number}/merge");
    let body = json!({"sha": seen.sha, "merge_method": "merge"});
    site.deed_on(number, (Method::PUT, &below), body, Some(Told::Merged))
        .await
}

pub(super) async fn close(State(site): State<Shared>, Path(number): Path<u64>) -> Response {
    let below = format!("/pulls/{number}");
    site.deed_on(
        number,
        (Method::PATCH, &below),
        json!({"state": "closed"}),
        None,
    )
    .await
}

pub(super) async fn reopen(State(site): State<Shared>, Path(number): Path<u64>) -> Response {
    let below = format!("/pulls/{number}");
    site.deed_on(
        number,
        (Method::PATCH, &below),
        json!({"state": "open"}),
        None,
    )
    .await
}

pub(super) async fn comment(
    State(site): State<Shared>,
    Path(number): Path<u64>,
    Form(written): Form<Written>,
) -> Response {
    let below = format!("/issues/{number}/comments");
    let body = json!({"body": written.body.replace("\r\n", "\n")});
    site.deed_on(number, (Method::POST, &below), body, None)
        .await
}
