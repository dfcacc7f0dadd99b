//! The editor of `tenants.yaml`: a change on a branch of its own and a pull request, or another commit of one.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::github::{Look, Pull, PullState, Reference, Repository, encoded};
use super::layout::Frame;
use super::place::{Place, Told};
use super::trouble::Trouble;
use super::{Page, Shared, Site, control};

/// Empty lines below the file, to write in.
const ROOM: usize = 8;

/// What the editor sends.
#[derive(Deserialize)]
pub(super) struct Change {
    title: String,
    text: String,
    /// The file's blob when the editor was opened: nobody's change in between is lost.
    blob: String,
    /// The pull request that gets another commit.
    pull: Option<u64>,
}

/// Where a change goes.
struct Target {
    branch: String,
    pull: Option<Pull>,
}

pub(super) async fn page(site: &Site, look: &Look<'_>, pull: Option<u64>) -> Result<Page, Trouble> {
    let target = target(site, look, pull).await?;
    let text = control::file(site, look, Some(&target.branch)).await?;
    let change = Change {
        title: String::new(),
        text,
        blob: blob(site, look, &target.branch).await?,
        pull,
    };
    Ok(form(site, &change, target.pull.as_ref()))
}

async fn target(site: &Site, look: &Look<'_>, pull: Option<u64>) -> Result<Target, Trouble> {
    let Some(number) = pull else {
        let repository: Repository = look.get(&site.control("")).await?;
        return Ok(Target {
            branch: repository.default_branch,
            pull: None,
        });
    };
    let pull: Pull = look.get(&site.control(&format!("/pulls/{number}"))).await?;
    if pull.state() != PullState::Open {
        return Err(Trouble::Impossible(format!(
            "Pull request #{number} is not open any more: propose a new change instead."
        )));
    }
    Ok(Target {
        branch: pull.head.branch.clone(),
        pull: Some(pull),
    })
}

async fn blob(site: &Site, look: &Look<'_>, branch: &str) -> Result<String, Trouble> {
    let path = format!(
        "/contents/{}?ref={}",
        encoded(&site.tenants_file),
        encoded(branch)
    );
    let file: Reference = look.get(&site.control(&path)).await?;
    Ok(file.sha)
}

fn form(site: &Site, change: &Change, pull: Option<&Pull>) -> Page {
    let (title, label, button) = match pull {
        Some(pull) => (
            format!("New commit for #{}", pull.number),
            "Commit message",
            "Commit",
        ),
        None => (
            format!("Edit {}", site.tenants_file),
            "Title",
            "Propose change",
        ),
    };
    let lines = change.text.lines().count() + ROOM;
    let body = html! {
        header class="head" {
            h1 { (title) }
            p class="lead" {
                @match pull {
                    Some(pull) => { "Another commit on the branch " code { (pull.head.branch) } " of “" (pull.title) "”." },
                    None => "The change goes on a branch of its own, and a pull request proposes it. Nothing is done before its merge.",
                }
            }
        }
        form method="post" action="/edit" class="editor" {
            input type="hidden" name="blob" value=(change.blob);
            @if let Some(number) = change.pull { input type="hidden" name="pull" value=(number); }
            p class="field" {
                label for="title" { (label) }
                input id="title" name="title" value=(change.title) required maxlength="120" autocomplete="off"
                    placeholder="Add ai-team";
            }
            div class="field" {
                label for="text" { (site.tenants_file) }
                div class="sheet" {
                    (gutter(lines))
                    textarea id="text" name="text" rows=(lines) wrap="off" spellcheck="false" autocapitalize="off"
                        autocomplete="off" { "\n" (change.text) }
                }
            }
            p class="deeds" {
                button class="primary" { (button) }
                a class="button" href=(back(change.pull).address()) { "Cancel" }
            }
        }
    };
    Page { title, body }
}

/// The numbers beside the lines.
fn gutter(lines: usize) -> Markup {
    html! {
        div class="gutter" id="gutter" aria-hidden="true" {
            @for number in 1..=lines { (number) "\n" }
        }
    }
}

fn back(pull: Option<u64>) -> Place {
    pull.map_or(Place::Control, Place::Pull)
}

pub(super) async fn propose(State(site): State<Shared>, Form(change): Form<Change>) -> Response {
    let change = Change {
        text: tidied(&change.text),
        ..change
    };
    let place = Place::Edit { pull: change.pull };
    let told = match change.pull {
        Some(_) => Told::Committed,
        None => Told::Proposed,
    };
    match site.put(&change).await {
        Ok(number) => {
            let next = Place::Pull(number).telling(told);
            axum::response::Redirect::to(&next).into_response()
        }
        // The text stays in the editor.
        Err(trouble) => {
            let frame = Frame {
                place: &place,
                notice: Some(trouble.notice()),
                stale: None,
            };
            let pull = match change.pull {
                Some(number) => site.pull(number).await.ok(),
                None => None,
            };
            let page = form(&site, &change, pull.as_ref());
            (trouble.status(), frame.around(&page)).into_response()
        }
    }
}

/// As a file is written: lines end with `\n`, the last one too. A form sends `\r\n`.
fn tidied(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    format!("{}\n", text.trim_end())
}

impl Site {
    pub(super) async fn pull(&self, number: u64) -> Result<Pull, Trouble> {
        let look = self.github.look();
        look.get(&self.control(&format!("/pulls/{number}"))).await
    }

    /// Puts a change where it belongs and gives the number of its pull request.
    async fn put(&self, change: &Change) -> Result<u64, Trouble> {
        let look = self.github.look();
        let target = target(self, &look, change.pull).await?;
        if tidied(&control::file(self, &look, Some(&target.branch)).await?) == change.text {
            return Err(Trouble::Impossible(
                "The text is the same as before: change something, then propose it.".to_owned(),
            ));
        }
        match target.pull {
            Some(pull) => {
                self.commit(&target.branch, change).await?;
                Ok(pull.number)
            }
            None => self.open(&target.branch, change).await,
        }
    }

    /// A branch, a commit on it, a pull request.
    async fn open(&self, base: &str, change: &Change) -> Result<u64, Trouble> {
        let branch = self.new_branch(base, &change.title).await?;
        if let Err(trouble) = self.commit(&branch, change).await {
            // A branch without a change helps nobody; that it stays is less than what is reported.
            let path = self.control(&format!("/git/refs/heads/{}", encoded(&branch)));
            let removed = self.github.change(Method::DELETE, &path, &json!({})).await;
            if let Err(error) = removed {
                tracing::warn!(?error, branch, "a branch without a change is left");
            }
            return Err(trouble);
        }
        let pull = json!({"title": change.title, "head": branch, "base": base, "body": ""});
        let path = self.control("/pulls");
        let opened = self.github.change(Method::POST, &path, &pull).await?;
        opened["number"].as_u64().ok_or_else(|| {
            Trouble::Impossible("GitHub opened the pull request and did not say its number.".into())
        })
    }

    /// Proposes a text of the file, as the editor does.
    pub(super) async fn propose(&self, title: &str, text: String) -> Result<u64, Trouble> {
        let look = self.github.look();
        let base = target(self, &look, None).await?.branch;
        let change = Change {
            title: title.to_owned(),
            text,
            blob: blob(self, &look, &base).await?,
            pull: None,
        };
        self.open(&base, &change).await
    }

    async fn commit(&self, branch: &str, change: &Change) -> Result<(), Trouble> {
        let body = json!({
            "message": change.title,
            "content": STANDARD.encode(&change.text),
            "sha": change.blob,
            "branch": branch,
        });
        let path = self.control(&format!("/contents/{}", encoded(&self.tenants_file)));
        match self.github.change(Method::PUT, &path, &body).await {
            Ok(_) => Ok(()),
            Err(Trouble::Refused { status: 409, .. }) => Err(Trouble::Impossible(
                "Somebody has changed the file since this editor was opened. Copy your change, open the editor anew, and make it there."
                    .to_owned(),
            )),
            Err(trouble) => Err(trouble),
        }
    }

    /// A branch at the tip of another one, named after the change.
    async fn new_branch(&self, base: &str, title: &str) -> Result<String, Trouble> {
        let look = self.github.look();
        let path = self.control(&format!("/git/ref/heads/{}", encoded(base)));
        let tip: Value = look.get(&path).await?;
        let slug = slug(title);
        for number in 1.. {
            let branch = if number == 1 {
                slug.clone()
            } else {
                format!("{slug}-{number}")
            };
            let wish = json!({"ref": format!("refs/heads/{branch}"), "sha": tip["object"]["sha"]});
            let path = self.control("/git/refs");
            match self.github.change(Method::POST, &path, &wish).await {
                Ok(_) => return Ok(branch),
                Err(Trouble::Refused {
                    status: 422, why, ..
                }) if why.contains("exists") => {}
                Err(trouble) => return Err(trouble),
            }
        }
        unreachable!("numbers do not end")
    }
}

/// `Add ai-team!` becomes `add-ai-team`.
fn slug(title: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let words: String = title.chars().map(plain).collect();
    let parts: Vec<&str> = words.split('-').filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(50).collect();
    if slug.is_empty() {
        "change".to_owned()
    } else {
        slug
    }
}
