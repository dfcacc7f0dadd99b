//! Repositories as they are, a hundred in a request; one that cannot be read hides no other.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Reader;
use super::error::Error;
use super::graphql::{Aliased, Connection, PAGE, PageInfo, PageSize, Partial, Query, QueryError};
use super::repositories::permission;
use crate::names::{BranchName, FullName, Login};
use crate::object::{Permission, Repository, Visibility};

const FRAGMENT: &str = include_str!("queries/repository_state.graphql");

/// What a look for a repository has shown; "cannot see" is not "gone".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Present(Box<RepositoryState>),
    /// GitHub says that there is none of this id or name.
    Absent,
    /// Why nothing can be said about it.
    Unreadable(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryState {
    pub node_id: String,
    pub id: u64,
    pub full_name: FullName,
    pub created_at: Timestamp,
    pub pushed_at: Option<Timestamp>,
    /// Open pull requests; none where they are not ours to see.
    pub open_pulls: Option<u64>,
    /// No commit on any branch.
    pub empty: bool,
    /// The commit at the head of the default branch.
    pub head: Option<String>,
    /// The commit of a default branch that has exactly one.
    pub only_commit: Option<OnlyCommit>,
    pub repository: Repository,
    pub is_template: bool,
    pub keys: Vec<Key>,
    /// People with a permission of their own, not through a team; none where they are not ours to see.
    pub collaborators: Option<Vec<(Login, Permission)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlyCommit {
    pub message: String,
    /// As the commit's author line tells it: nothing proves it. `<slug>[bot]` for an App.
    pub author_login: Option<String>,
}

/// A deploy key, registered or to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub title: String,
    pub read_only: bool,
    /// `<algorithm> <base64>`; GitHub drops the comment.
    pub public_key: String,
    /// None of one that is to be.
    pub created_at: Option<Timestamp>,
}

/// All repositories of an organisation, a page at a time.
pub struct RepositoryPages<'a> {
    reader: &'a Reader,
    query: Query,
    size: PageSize,
    finished: bool,
}

#[derive(Debug, Default)]
pub struct RepositoryPage {
    pub repositories: Vec<RepositoryState>,
    /// Why others of this page could not be read: the page does not show everything.
    pub unreadable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    database_id: u64,
    name_with_owner: FullName,
    created_at: Timestamp,
    description: Option<String>,
    visibility: String,
    is_archived: bool,
    is_empty: bool,
    is_template: bool,
    pushed_at: Option<Timestamp>,
    pull_requests: Option<Count>,
    default_branch_ref: Option<Branch>,
    deploy_keys: Connection<KeyAnswer>,
    collaborators: Option<Connection<Collaborator>>,
}

#[derive(Deserialize)]
struct Branch {
    name: BranchName,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    oid: String,
    history: Option<History>,
}

#[derive(Deserialize)]
struct History {
    nodes: Vec<CommitAnswer>,
}

#[derive(Deserialize)]
struct CommitAnswer {
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    email: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyAnswer {
    title: String,
    read_only: bool,
    key: String,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Collaborator {
    permission: String,
    node: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodesPage {
    nodes: Vec<Value>,
    page_info: PageInfo,
}

impl Reader {
    /// What these node ids are now, whatever they are called.
    pub async fn repositories_by_id(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, Seen>, Error> {
        let mut seen = BTreeMap::new();
        let mut size = self.client.page_size("RepositoriesById", ids.len());
        let mut rest = ids;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(size.get()));
            match self.client.query(&by_id(batch, size.tries())).await {
                Ok(partial) => {
                    let places =
                        (0..batch.len()).map(|index| vec!["nodes".to_owned(), index.to_string()]);
                    let found = self.look(&partial, places).await;
                    seen.extend(batch.iter().cloned().zip(found));
                }
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(seen)
    }

    /// What has these names now; a repository that was renamed away is absent.
    pub async fn repositories_by_name(
        &self,
        names: &[FullName],
    ) -> Result<BTreeMap<FullName, Seen>, Error> {
        let mut seen = BTreeMap::new();
        let mut size = self.client.page_size("RepositoriesByName", names.len());
        let mut rest = names;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(size.get()));
            match self.client.query(&by_name(batch, size.tries())).await {
                Ok(partial) => {
                    let places = (0..batch.len()).map(|index| vec![format!("r{index}")]);
                    let found = self.look(&partial, places).await;
                    seen.extend(batch.iter().cloned().zip(found));
                }
                Err(error) if size.halved_after(&error) => continue,
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(seen)
    }

    /// Every repository of an organisation, oldest first, up to a hundred a page.
    pub fn all_repositories(&self, organization: &Login) -> RepositoryPages<'_> {
        let text = format!(
            "{}{FRAGMENT}",
            include_str!("queries/all_repositories.graphql")
        );
        let variables = json!({ "organization": organization });
        RepositoryPages {
            reader: self,
            query: Query::new("AllRepositories", text, variables),
            size: self.client.page_size("AllRepositories", PAGE),
            finished: false,
        }
    }

    /// What stands at these places of an answer, in their order.
    async fn look(
        &self,
        partial: &Partial,
        places: impl Iterator<Item = Vec<String>>,
    ) -> Vec<Seen> {
        join_all(places.map(|place| self.seen(partial, place))).await
    }

    async fn seen(&self, partial: &Partial, place: Vec<String>) -> Seen {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let value = partial.data.pointer(&format!("/{}", place.join("/")));
        if let Some(not_seen) = not_seen(value, &partial.errors, &place) {
            return not_seen;
        }
        let node = Node::deserialize(value.unwrap_or(&Value::Null));
        match node {
            Ok(node) => match self.state(node).await {
                Ok(state) => Seen::Present(Box::new(state)),
                Err(reason) => Seen::Unreadable(reason),
            },
            Err(error) => Seen::Unreadable(format!("GitHub's answer is not understood: {error}")),
        }
    }

    /// Completes what did not fit into the one query.
    async fn state(&self, node: Node) -> Result<RepositoryState, String> {
        let mut node = node;
        let told = |error: Error| error.to_string();
        if node.deploy_keys.page_info.has_next_page {
            let more = self.more_keys(&node).await.map_err(told)?;
            node.deploy_keys.nodes.extend(more);
        }
        if let Some(people) = &mut node.collaborators
            && people.page_info.has_next_page
        {
            let after = people.page_info.end_cursor.clone();
            let more = self.more_collaborators(&node.id, after).await;
            people.nodes.extend(more.map_err(told)?);
        }
        let default_branch = match &node.default_branch_ref {
            Some(branch) => branch.name.clone(),
            None => self.unborn_branch(&node.name_with_owner).await?,
        };
        node.state(default_branch)
    }
}

impl Reader {
    async fn more_keys(&self, node: &Node) -> Result<Vec<KeyAnswer>, Error> {
        let text = include_str!("queries/deploy_keys.graphql");
        let query = Query::new("DeployKeys", text, json!({ "id": node.id }));
        let after = node.deploy_keys.page_info.end_cursor.clone();
        self.client
            .connection(query, "/node/deployKeys", after)
            .await
    }

    async fn more_collaborators(
        &self,
        id: &str,
        after: Option<String>,
    ) -> Result<Vec<Collaborator>, Error> {
        let text = include_str!("queries/collaborators.graphql");
        let query = Query::new("Collaborators", text, json!({ "id": id }));
        self.client
            .connection(query, "/node/collaborators", after)
            .await
    }

    /// The default branch of an empty repository: only REST names one that has no commit yet.
    async fn unborn_branch(&self, repository: &FullName) -> Result<BranchName, String> {
        let info = self.repository_info(repository).await;
        let info = info.map_err(|error| error.to_string())?;
        let info = info.ok_or("it vanished while it was read")?;
        branch_name(&info.default_branch)
    }
}

fn branch_name(text: &str) -> Result<BranchName, String> {
    text.parse()
        .map_err(|error| format!("its default branch `{text}` {error}"))
}

impl RepositoryPages<'_> {
    /// The next page; none after the last. A page that failed is asked for again.
    pub async fn next(&mut self) -> Result<Option<RepositoryPage>, Error> {
        if self.finished {
            return Ok(None);
        }
        let partial = self.ask().await?;
        let (nodes, info) = nodes_of(&partial)?;
        let places = (0..nodes).map(|index| {
            ["organization", "repositories", "nodes"]
                .map(str::to_owned)
                .into_iter()
                .chain([index.to_string()])
                .collect()
        });
        let mut page = RepositoryPage::default();
        for seen in self.reader.look(&partial, places).await {
            match seen {
                Seen::Present(state) => page.repositories.push(*state),
                Seen::Unreadable(reason) => page.unreadable.push(reason),
                Seen::Absent => page
                    .unreadable
                    .push("it vanished while it was read".to_owned()),
            }
        }
        self.query.variables["after"] = json!(info.end_cursor);
        self.finished = !info.has_next_page;
        Ok(Some(page))
    }

    async fn ask(&mut self) -> Result<Partial, Error> {
        loop {
            self.query.variables["first"] = self.size.get().into();
            self.query.tries = self.size.tries();
            match self.reader.client.query(&self.query).await {
                Err(error) if self.size.halved_after(&error) => {}
                answer => return answer,
            }
        }
    }
}

/// How many nodes a page has, and what follows it.
fn nodes_of(partial: &Partial) -> Result<(usize, PageInfo), Error> {
    let page: NodesPage = partial.read_at("/organization/repositories")?;
    Ok((page.nodes.len(), page.page_info))
}

fn by_id(ids: &[String], tries: u32) -> Query {
    let text = format!(
        "{}{FRAGMENT}",
        include_str!("queries/repositories_by_id.graphql")
    );
    let query = Query::new("RepositoriesById", text, json!({ "ids": ids }));
    Query { tries, ..query }
}

fn by_name(names: &[FullName], tries: u32) -> Query {
    let mut aliased = Aliased::new();
    for (index, name) in names.iter().enumerate() {
        aliased.variable(&format!("owner{index}"), "String!", name.owner.as_str());
        aliased.variable(&format!("name{index}"), "String!", name.name.as_str());
        let place = format!("owner: $owner{index}, name: $name{index}, followRenames: false");
        let field = format!("repository({place}) {{ ...RepositoryState }}");
        aliased.field(&format!("r{index}"), &field);
    }
    let query = aliased.query("RepositoriesByName", None, FRAGMENT);
    Query { tries, ..query }
}

/// Why there is nothing at a place, or nothing whole; none if it can be read.
fn not_seen(value: Option<&Value>, errors: &[QueryError], place: &[&str]) -> Option<Seen> {
    let here = errors.iter().filter(|error| error.is_under(place));
    let missing = value.is_none_or(Value::is_null);
    if missing {
        let error = here.into_iter().next();
        return Some(match error {
            Some(error) if error.is_not_found() && error.is_at(place) => Seen::Absent,
            Some(error) => Seen::Unreadable(error.message.clone()),
            None => Seen::Unreadable("GitHub gave neither it nor a reason".to_owned()),
        });
    }
    // Without collaborators a repository is still worth knowing; without anything else it would look changed.
    let people = [place, &["collaborators"]].concat();
    let mut harmful = here.filter(|error| !error.is_within(&people));
    harmful
        .next()
        .map(|error| Seen::Unreadable(error.message.clone()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: u64,
}

impl Node {
    fn state(self, default_branch: BranchName) -> Result<RepositoryState, String> {
        let repository = Repository {
            visibility: visibility(&self.visibility)?,
            default_branch: Some(default_branch),
            description: Some(self.description.unwrap_or_default()),
            archived: self.is_archived,
            initialized: !self.is_empty,
        };
        let people = self.collaborators.map(|people| people.nodes);
        Ok(RepositoryState {
            node_id: self.id,
            id: self.database_id,
            full_name: self.name_with_owner,
            created_at: self.created_at,
            empty: self.is_empty,
            head: self.default_branch_ref.as_ref().and_then(Branch::head),
            only_commit: self.default_branch_ref.and_then(Branch::only_commit),
            repository,
            is_template: self.is_template,
            pushed_at: self.pushed_at,
            open_pulls: self.pull_requests.map(|pulls| pulls.total_count),
            keys: self.deploy_keys.nodes.into_iter().map(Key::from).collect(),
            collaborators: people
                .map(|people| people.into_iter().map(Collaborator::access).collect())
                .transpose()?,
        })
    }
}

fn visibility(word: &str) -> Result<Visibility, String> {
    let word = word.to_ascii_lowercase();
    let known = Visibility::ALL.iter().find(|known| known.as_str() == word);
    known
        .copied()
        .ok_or_else(|| format!("its visibility `{word}` is not known"))
}

impl Branch {
    fn head(&self) -> Option<String> {
        self.target.as_ref().map(|commit| commit.oid.clone())
    }

    fn only_commit(self) -> Option<OnlyCommit> {
        let commits = self.target?.history?.nodes;
        let [commit]: [CommitAnswer; 1] = commits.try_into().ok()?;
        Some(OnlyCommit {
            message: commit.message,
            author_login: commit.author.and_then(Author::login),
        })
    }
}

impl Author {
    /// GraphQL knows people only; an App shows in its address `<id>+<slug>[bot]@users.noreply.github.com`.
    fn login(self) -> Option<String> {
        if let Some(user) = self.user {
            return Some(user.login);
        }
        let email = self.email?;
        let (local, domain) = email.split_once('@')?;
        let login = local.split_once('+').map_or(local, |(_, login)| login);
        domain
            .starts_with("users.noreply.")
            .then(|| login.to_owned())
    }
}

impl From<KeyAnswer> for Key {
    fn from(answer: KeyAnswer) -> Self {
        Self {
            title: answer.title,
            read_only: answer.read_only,
            public_key: answer.key,
            created_at: Some(answer.created_at),
        }
    }
}

impl Collaborator {
    fn access(self) -> Result<(Login, Permission), String> {
        let login = self.node.login;
        let permission = permission(&self.permission).ok_or_else(|| {
            format!(
                "the permission `{}` of `{login}` is not known",
                self.permission
            )
        })?;
        let login = login
            .parse()
            .map_err(|error| format!("its collaborator `{login}` {error}"))?;
        Ok((login, permission))
    }
}
