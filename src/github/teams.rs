//! The teams of an organisation, and the repositories each of them can reach.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;

use super::error::Error;
use super::graphql::{Aliased, Connection, Partial, Query};
use super::repositories::permission;
use super::{Reader, lower_case};
use crate::names::{FullName, Login, TeamSlug};
use crate::object::Permission;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamState {
    pub slug: TeamSlug,
    /// By name in lower case; a role of the organisation's own counts as what it is based on.
    pub repositories: BTreeMap<FullName, Permission>,
}

#[derive(Deserialize)]
struct TeamAnswer {
    id: String,
    slug: String,
    repositories: Connection<Access>,
}

#[derive(Deserialize)]
struct Access {
    permission: String,
    node: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name_with_owner: String,
}

#[derive(Deserialize)]
struct Slug {
    slug: String,
}

#[derive(Deserialize)]
struct Existing {
    organization: BTreeMap<String, Option<Slug>>,
}

/// A team as `GET /repos/{owner}/{repo}/teams` tells it.
#[derive(Deserialize)]
struct RepositoryTeam {
    slug: String,
    permission: String,
    #[serde(default)]
    permissions: BTreeMap<String, bool>,
}

impl Reader {
    /// Every team with every repository it can reach.
    pub async fn all_teams(&self, organization: &Login) -> Result<Vec<TeamState>, Error> {
        let text = include_str!("queries/all_teams.graphql");
        let query = Query::new("AllTeams", text, json!({ "organization": organization }));
        let pointer = "/organization/teams";
        let answers: Vec<TeamAnswer> = self.client.connection(query, pointer, None).await?;
        let mut teams = Vec::new();
        for mut answer in answers {
            if answer.repositories.page_info.has_next_page {
                let more = self.more_repositories(&answer).await?;
                answer.repositories.nodes.extend(more);
            }
            teams.extend(TeamState::of(answer));
        }
        Ok(teams)
    }

    async fn more_repositories(&self, team: &TeamAnswer) -> Result<Vec<Access>, Error> {
        let text = include_str!("queries/team_repositories.graphql");
        let query = Query::new("TeamRepositories", text, json!({ "id": team.id }));
        let after = team.repositories.page_info.end_cursor.clone();
        self.client
            .connection(query, "/node/repositories", after)
            .await
    }

    /// Which of these teams exist; an error if the organisation is not to be seen.
    pub async fn teams(
        &self,
        organization: &Login,
        slugs: &[TeamSlug],
    ) -> Result<BTreeSet<TeamSlug>, Error> {
        let mut existing = BTreeSet::new();
        let mut size = self.client.page_size("Teams", slugs.len());
        let mut rest = slugs;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(size.get()));
            let query = teams_query(organization, batch, size.tries());
            match self.client.query(&query).await.and_then(existing_teams) {
                Ok(found) => existing.extend(found),
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(existing)
    }

    /// The slugs of all teams, for 'did you mean'.
    pub async fn team_slugs(&self, organization: &Login) -> Result<BTreeSet<String>, Error> {
        let text = include_str!("queries/team_slugs.graphql");
        let query = Query::new("TeamSlugs", text, json!({ "organization": organization }));
        let pointer = "/organization/teams";
        let teams: Vec<Slug> = self.client.connection(query, pointer, None).await?;
        Ok(teams.into_iter().map(|team| team.slug).collect())
    }

    /// The teams that can reach a repository.
    pub async fn repository_teams(
        &self,
        repository: &FullName,
    ) -> Result<Vec<(TeamSlug, Permission)>, Error> {
        let path = format!("/repos/{repository}/teams?per_page=100");
        let pages: Vec<Vec<RepositoryTeam>> = self.client.pages(path).await?;
        let teams = pages.into_iter().flatten();
        Ok(teams.filter_map(RepositoryTeam::access).collect())
    }
}

fn teams_query(organization: &Login, slugs: &[TeamSlug], tries: u32) -> Query {
    let mut aliased = Aliased::new();
    aliased.variable("organization", "String!", organization.as_str());
    for (index, slug) in slugs.iter().enumerate() {
        aliased.variable(&format!("slug{index}"), "String!", slug.as_str());
        aliased.field(
            &format!("t{index}"),
            &format!("team(slug: $slug{index}) {{ slug }}"),
        );
    }
    let query = aliased.query("Teams", Some("organization(login: $organization)"), "");
    Query { tries, ..query }
}

fn existing_teams(partial: Partial) -> Result<Vec<TeamSlug>, Error> {
    let data: Existing =
        partial.complete_but(|error| error.is_not_found() && !error.is_at(&["organization"]))?;
    let teams = data.organization.into_values().flatten();
    Ok(teams.filter_map(|team| slug(&team.slug)).collect())
}

/// A slug that no file can name does not matter to us, but should not vanish without a word.
fn slug(text: &str) -> Option<TeamSlug> {
    text.parse()
        .inspect_err(|error| tracing::warn!(slug = text, %error, "leaving out a team"))
        .ok()
}

impl TeamState {
    fn of(answer: TeamAnswer) -> Option<Self> {
        let repositories = answer.repositories.nodes.into_iter();
        Some(Self {
            slug: slug(&answer.slug)?,
            repositories: repositories.filter_map(Access::of_repository).collect(),
        })
    }
}

impl Access {
    fn of_repository(self) -> Option<(FullName, Permission)> {
        let repository: FullName = self.node.name_with_owner.parse().ok()?;
        Some((lower_case(&repository), permission(&self.permission)?))
    }
}

impl RepositoryTeam {
    fn access(self) -> Option<(TeamSlug, Permission)> {
        // The word of a role of the organisation's own says nothing; the flags tell what it amounts to.
        let granted = Permission::ALL.iter().rev().copied();
        let highest = granted
            .into_iter()
            .find(|level| self.permissions.get(level.as_str()) == Some(&true));
        let permission = highest.or_else(|| permission(&self.permission))?;
        Some((slug(&self.slug)?, permission))
    }
}
