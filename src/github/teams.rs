//! Reading teams, and what they may do on which repositories.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::Reader;
use crate::github::error::Error;
use crate::github::graphql::{BATCH, Nodes, PageInfo, of_value};
use crate::github::repositories::permission;
use crate::names::{FullName, Login, TeamSlug};
use crate::object::Permission;

#[derive(Debug, Clone)]
pub struct TeamState {
    pub slug: TeamSlug,
    pub repositories: Vec<(FullName, Permission)>,
}

#[derive(Deserialize)]
struct Slug {
    slug: TeamSlug,
}

#[derive(Deserialize)]
struct WireTeam {
    slug: TeamSlug,
    repositories: Repositories,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repositories {
    edges: Vec<Edge>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Edge {
    permission: String,
    node: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name_with_owner: FullName,
}

const TEAMS: &str = "query($login: String!, $first: Int!, $after: String) { organization(login: $login) { \
     teams(first: $first, after: $after) { nodes { slug repositories(first: 100) { \
     edges { permission node { nameWithOwner } } pageInfo { hasNextPage endCursor } } } \
     pageInfo { hasNextPage endCursor } } } }";

const TEAM_REPOSITORIES: &str = "query($login: String!, $slug: String!, $first: Int!, $after: String) { \
     organization(login: $login) { team(slug: $slug) { repositories(first: $first, after: $after) { \
     edges { permission node { nameWithOwner } } pageInfo { hasNextPage endCursor } } } } }";

const SLUGS: &str = "query($login: String!, $first: Int!, $after: String) { organization(login: $login) { \
     teams(first: $first, after: $after) { nodes { slug } pageInfo { hasNextPage endCursor } } } }";

impl Reader {
    /// Those of the named teams that exist, a hundred a request.
    pub async fn teams(
        &self,
        organization: &Login,
        slugs: &[TeamSlug],
    ) -> Result<BTreeSet<TeamSlug>, Error> {
        let mut existing = BTreeSet::new();
        for batch in slugs.chunks(BATCH) {
            let (mut declared, mut fields) = ("$login: String!".to_owned(), String::new());
            let mut variables = json!({ "login": organization });
            for (number, slug) in batch.iter().enumerate() {
                declared += &format!(", $t{number}: String!");
                fields += &format!(" t{number}: team(slug: $t{number}) {{ slug }}");
                variables[format!("t{number}")] = json!(slug);
            }
            let query =
                format!("query({declared}) {{ organization(login: $login) {{{fields} }} }}");
            let found = self.organization(&query, variables).await?;
            let found = found
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, team)| team.clone());
            for team in found.filter(|team| !team.is_null()) {
                existing.insert(of_value::<Slug>(team)?.slug);
            }
        }
        Ok(existing)
    }

    /// The slugs of all teams.
    pub async fn team_slugs(&self, organization: &Login) -> Result<BTreeSet<String>, Error> {
        let mut slugs = BTreeSet::new();
        let mut after = None;
        loop {
            let mut found = self
                .organization(SLUGS, json!({ "login": organization, "after": after }))
                .await?;
            let page: Nodes<Slug> = of_value(found["teams"].take())?;
            slugs.extend(page.nodes.into_iter().map(|team| team.slug.to_string()));
            if !page.page_info.has_next_page {
                return Ok(slugs);
            }
            after = page.page_info.end_cursor;
        }
    }

    /// All teams with their repositories, a hundred teams a request.
    pub async fn all_teams(&self, organization: &Login) -> Result<Vec<TeamState>, Error> {
        let mut teams = Vec::new();
        let mut after = None;
        loop {
            let mut found = self
                .organization(TEAMS, json!({ "login": organization, "after": after }))
                .await?;
            let page: Nodes<WireTeam> = of_value(found["teams"].take())?;
            for team in page.nodes {
                teams.push(self.complete_team(organization, team).await?);
            }
            if !page.page_info.has_next_page {
                return Ok(teams);
            }
            after = page.page_info.end_cursor;
        }
    }

    async fn complete_team(
        &self,
        organization: &Login,
        team: WireTeam,
    ) -> Result<TeamState, Error> {
        let WireTeam {
            slug,
            mut repositories,
        } = team;
        while repositories.page_info.has_next_page {
            let after = repositories.page_info.end_cursor.clone();
            let variables = json!({ "login": organization, "slug": slug, "after": after });
            let mut found = self.organization(TEAM_REPOSITORIES, variables).await?;
            let more: Repositories = of_value(found["team"]["repositories"].take())?;
            repositories.edges.extend(more.edges);
            repositories.page_info = more.page_info;
        }
        let edges = repositories.edges.into_iter();
        let repositories = edges
            .filter_map(|edge| Some((edge.node.name_with_owner, permission(&edge.permission)?)));
        Ok(TeamState {
            slug,
            repositories: repositories.collect(),
        })
    }

    async fn organization(&self, query: &str, variables: Value) -> Result<Value, Error> {
        let login = variables["login"].clone();
        let found = self.page(query, variables).await?.field("organization")?;
        if found.is_null() {
            return Err(Error::unexpected(
                "POST",
                "/graphql",
                format!("organisation {login} cannot be seen"),
            ));
        }
        Ok(found)
    }

    /// The teams of one repository.
    pub async fn repository_teams(
        &self,
        repository: &FullName,
    ) -> Result<Vec<(TeamSlug, Permission)>, Error> {
        #[derive(Deserialize)]
        struct Team {
            slug: TeamSlug,
            permission: String,
        }
        let teams: Vec<Team> = self.pages(&format!("/repos/{repository}/teams")).await?;
        Ok(teams
            .into_iter()
            .filter_map(|team| Some((team.slug, permission(&team.permission)?)))
            .collect())
    }
}
