//! The control repo: its file, its pull requests and commits, and what one may try.

use futures::future::try_join_all;
use maud::{Markup, html};

use super::github::{
    CheckRun, Commit, Look, Pull, PullState, Repository, encoded, first_line, short,
};
use super::icon::{Icon, badge, icon};
use super::place::Place;
use super::time::time;
use super::trouble::Trouble;
use super::{Page, Site, check, tenants_file, tries, yaml};

/// Commits and pull requests shown; older ones are on GitHub.
const SHOWN: usize = 12;

/// A pull request and the checks on its head.
struct Checked<T> {
    thing: T,
    checks: Vec<CheckRun>,
}

pub(super) async fn page(site: &Site, look: &Look<'_>) -> Result<Page, Trouble> {
    let text = file(site, look, None).await?;
    let commits = checked(site, look, commits(site, look).await?, |commit| &commit.sha).await?;
    let pulls: Vec<Pull> = look
        .get(&site.control(&format!("/pulls?state=all&per_page={SHOWN}")))
        .await?;
    let pulls = checked(site, look, pulls, |pull| &pull.head.sha).await?;
    let workspaces = workspaces(site, look).await?;
    let body = html! {
        header class="head" {
            h1 { (site.control_repo) }
            p class="lead" {
                "One file says which tenants there are. A pull request changes it, the App says what that would do, and the merge makes it so."
            }
        }
        div class="columns" {
            div {
                section {
                    div class="title" {
                        h2 { (site.tenants_file) }
                        a class="button primary" href=(Place::Edit { pull: None }.address()) { "Edit the file" }
                    }
                    (yaml::numbered(&text, &format!("{}, {} lines", site.tenants_file, text.lines().count())))
                }
                (pulls_shown(&pulls))
                (commits_shown(&commits))
            }
            aside aria-labelledby="try" {
                h2 id="try" { "What to try" }
                (tries::buttons(&tenants_file::names(&text), &workspaces))
            }
        }
    };
    Ok(Page {
        title: site.control_repo.clone(),
        body,
    })
}

/// `tenants.yaml` on a branch, or on the default branch.
pub(super) async fn file(
    site: &Site,
    look: &Look<'_>,
    branch: Option<&str>,
) -> Result<String, Trouble> {
    let branch = branch.map(|branch| format!("?ref={}", encoded(branch)));
    let path = format!(
        "/contents/{}{}",
        encoded(&site.tenants_file),
        branch.unwrap_or_default()
    );
    look.text(&site.control(&path)).await
}

async fn commits(site: &Site, look: &Look<'_>) -> Result<Vec<Commit>, Trouble> {
    look.get(&site.control(&format!("/commits?per_page={SHOWN}")))
        .await
}

async fn checked<T>(
    site: &Site,
    look: &Look<'_>,
    things: Vec<T>,
    commit: impl Fn(&T) -> &String,
) -> Result<Vec<Checked<T>>, Trouble> {
    let with_checks = things.into_iter().map(|thing| {
        let sha = commit(&thing).clone();
        async move {
            let checks = check::of_commit(site, look, &sha).await?;
            Ok(Checked { thing, checks })
        }
    });
    try_join_all(with_checks).await
}

/// Repositories from which a deploy key could be taken.
async fn workspaces(site: &Site, look: &Look<'_>) -> Result<Vec<String>, Trouble> {
    let path = format!("/orgs/{}/repos", site.organization);
    let repositories: Vec<Repository> = look.all(&path).await?;
    let workspaces = repositories
        .into_iter()
        .filter(|one| !one.archived && one.full_name != site.control_repo);
    Ok(workspaces.map(|one| one.name).collect())
}

fn pulls_shown(pulls: &[Checked<Pull>]) -> Markup {
    let (open, done): (Vec<_>, Vec<_>) = pulls
        .iter()
        .partition(|pull| pull.thing.state() == PullState::Open);
    html! {
        section {
            h2 { "Pull requests" }
            @if pulls.is_empty() { p class="empty" { "There is none yet. Edit the file and propose the change." } }
            @for (name, list) in [("Open", open), ("Merged and closed", done)] {
                @if !list.is_empty() {
                    h3 class="quiet" { (name) }
                    ul class="rows" { @for pull in list { (pull_row(pull)) } }
                }
            }
        }
    }
}

fn pull_row(pull: &Checked<Pull>) -> Markup {
    let (mood, picture, word) = pull.thing.state().shown();
    html! {
        li id={ "pull-" (pull.thing.number) } {
            p class="name" {
                a href=(Place::Pull(pull.thing.number).address()) { (pull.thing.title) }
                span class="quiet" { "#" (pull.thing.number) }
            }
            p class="facts" {
                (badge(mood, picture, word))
                span class="quiet" { (pull.thing.user.login) ", " (time(&pull.thing.created_at)) }
                @for run in &pull.checks { (check::line(run)) }
            }
        }
    }
}

fn commits_shown(commits: &[Checked<Commit>]) -> Markup {
    html! {
        section {
            h2 { "Commits" }
            ol class="rows" {
                @for commit in commits {
                    @let text = &commit.thing.commit;
                    li id={ "commit-" (short(&commit.thing.sha)) } {
                        p class="name" { (icon(Icon::Commit)) (first_line(&text.message)) }
                        p class="facts" {
                            code { (short(&commit.thing.sha)) }
                            span class="quiet" { (text.author.name) ", " (time(&text.committer.date)) }
                            @for run in &commit.checks { (check::line(run)) }
                        }
                    }
                }
            }
        }
    }
}
