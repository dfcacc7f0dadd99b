//! The organisation: repositories with who may do what and which keys there are, and teams with their members.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use maud::{Markup, html};

use super::github::{Account, DeployKey, Look, Repository, Team, TeamRepository, encoded};
use super::icon::{Icon, Mood, badge, icon};
use super::trouble::Trouble;
use super::{Page, Site};

/// A repository and everything on it.
struct Whole {
    repository: Repository,
    keys: Vec<DeployKey>,
    /// Team and permission.
    teams: Vec<(String, String)>,
}

/// A team, who is in it, and what it may work on.
struct WholeTeam {
    team: Team,
    people: Vec<Account>,
    repositories: Vec<TeamRepository>,
}

pub(super) async fn page(site: &Site, look: &Look<'_>) -> Result<Page, Trouble> {
    let organization = encoded(&site.organization);
    let path = format!("/orgs/{organization}/repos");
    let (repositories, teams) =
        tokio::try_join!(look.all::<Repository>(&path), teams(look, &organization),)?;
    let repositories = repositories
        .into_iter()
        .map(|repository| whole(look, repository, &teams));
    let mut repositories = try_join_all(repositories).await?;
    repositories.sort_by(|one, other| {
        let order = |whole: &Whole| (whole.repository.archived, whole.repository.name.clone());
        order(one).cmp(&order(other))
    });
    let body = html! {
        header class="head" {
            h1 { (site.organization) }
            p class="lead" {
                "Each tenant has a workspace here: a repository that its teams may push to, and a deploy key with which Flux reads it. Repositories are archived, never deleted."
            }
        }
        div class="columns" {
            section aria-labelledby="repositories" {
                h2 id="repositories" { "Repositories " span class="quiet" { (repositories.len()) } }
                ul class="rows" { @for one in &repositories { (repository_row(one)) } }
            }
            section aria-labelledby="teams" {
                h2 id="teams" { "Teams " span class="quiet" { (teams.len()) } }
                ul class="rows" { @for one in &teams { (team_row(one)) } }
            }
        }
    };
    Ok(Page {
        title: site.organization.clone(),
        body,
    })
}

async fn teams(look: &Look<'_>, organization: &str) -> Result<Vec<WholeTeam>, Trouble> {
    let teams: Vec<Team> = look.all(&format!("/orgs/{organization}/teams")).await?;
    let teams = teams.into_iter().map(|team| async move {
        let path = format!("/orgs/{organization}/teams/{}", encoded(&team.slug));
        let (people, repositories) = (format!("{path}/members"), format!("{path}/repos"));
        let (people, repositories) = tokio::try_join!(
            look.all::<Account>(&people),
            look.all::<TeamRepository>(&repositories),
        )?;
        Ok(WholeTeam {
            team,
            people,
            repositories,
        })
    });
    try_join_all(teams).await
}

async fn whole(
    look: &Look<'_>,
    repository: Repository,
    teams: &[WholeTeam],
) -> Result<Whole, Trouble> {
    let keys = look
        .all(&format!("/repos/{}/keys", encoded(&repository.full_name)))
        .await?;
    let permission = |team: &WholeTeam| {
        let found = team.repositories.iter();
        let found = found.clone().find(|one| one.name == repository.name)?;
        Some((team.team.slug.clone(), found.permission().to_owned()))
    };
    let teams: BTreeMap<_, _> = teams.iter().filter_map(permission).collect();
    Ok(Whole {
        repository,
        keys,
        teams: teams.into_iter().collect(),
    })
}

fn repository_row(whole: &Whole) -> Markup {
    let repository = &whole.repository;
    html! {
        li id={ "repository-" (repository.name) } {
            p class="name" {
                (icon(Icon::Repository))
                strong { (repository.name) }
                span class="quiet" { (repository.visibility) }
                @if repository.archived { (badge(Mood::Quiet, Icon::Archive, "archived")) }
            }
            @if let Some(text) = &repository.description { p class="quiet" { (text) } }
            p class="facts" {
                @for (team, permission) in &whole.teams {
                    span class="chip" { (icon(Icon::Team)) (team) " " strong { (permission) } } " "
                }
                @for key in &whole.keys { (key_shown(key)) " " }
                @if whole.teams.is_empty() && whole.keys.is_empty() { span class="quiet" { "no team, no deploy key" } }
            }
        }
    }
}

fn key_shown(key: &DeployKey) -> Markup {
    let algorithm = key.key.split(' ').next().unwrap_or_default();
    html! {
        span class="chip" title=(key.title) {
            (icon(Icon::Key)) "deploy key " (algorithm) " "
            strong { @if key.read_only { "read-only" } @else { "read and write" } }
        }
    }
}

fn team_row(whole: &WholeTeam) -> Markup {
    html! {
        li id={ "team-" (whole.team.slug) } {
            p class="name" { (icon(Icon::Team)) strong { (whole.team.name) } }
            p class="facts" {
                @if whole.people.is_empty() { span class="quiet" { "nobody yet" } }
                @for person in &whole.people { span class="chip" { (person.login) } }
            }
            (permissions(whole))
        }
    }
}

/// What a team may do, repository by repository.
fn permissions(whole: &WholeTeam) -> Markup {
    let count = match whole.repositories.len() {
        0 => return html! { p class="facts quiet" { "no repository" } },
        1 => "1 repository".to_owned(),
        count => format!("{count} repositories"),
    };
    html! {
        details id={ "permissions-" (whole.team.slug) } {
            summary { (count) span class="unseen" { " of " (whole.team.name) } }
            ul class="facts" {
                @for one in &whole.repositories {
                    li class="chip" { (one.name) " " strong { (one.permission()) } }
                }
            }
        }
    }
}
