//! Which permission an endpoint, a field of GraphQL or a webhook takes, by what GitHub says of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::appetite::{Need, Permissions};
use super::descriptions;
use super::webhooks::Told;

/// Endpoints that the list of permissions lacks, or has only in part, as GitHub's reference documents them.
pub(crate) const CORRECTIONS: &[(&str, &str)] = &[
    // Listed with `contents` too, which once was enough to look.
    (
        "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
        "checks=read",
    ),
    // Listed for files of their own permission (`single_file`) alone.
    (
        "PUT /repos/{owner}/{repo}/contents/{path}",
        "contents=write",
    ),
    (
        "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
        "metadata=read",
    ),
    (
        "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls",
        "pull_requests=read",
    ),
    // Listed by the team's id alone.
    ("GET /orgs/{org}/teams/{team_slug}/repos", "members=read"),
    (
        "PUT /orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}",
        "members=read administration=write",
    ),
    // Open to everybody, but for the base permission and whether deploy keys are allowed.
    ("GET /orgs/{org}", "organization_administration=read"),
    // Listed nowhere.
    (
        "GET /repos/{owner}/{repo}/rules/branches/{branch}",
        "metadata=read",
    ),
    (
        "POST /repos/{owner}/{repo}/rulesets",
        "administration=write",
    ),
    // One looks at the template, and makes a repository.
    (
        "POST /repos/{template_owner}/{template_repo}/generate",
        "contents=read administration=write",
    ),
];

/// For GraphQL GitHub lists no permissions. A field that leads to something takes the permission of the endpoint of
/// REST that leads there too; a field that is only a value takes none of its own.
pub(crate) const WAYS: &[(&str, &str)] = &[
    (
        "Commit.associatedPullRequests",
        "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls",
    ),
    ("Commit.author", "GET /repos/{owner}/{repo}/commits/{ref}"),
    (
        "Commit.checkSuites",
        "GET /repos/{owner}/{repo}/commits/{ref}/check-suites",
    ),
    ("Commit.file", "GET /repos/{owner}/{repo}/contents/{path}"),
    ("Commit.history", "GET /repos/{owner}/{repo}/commits"),
    ("Commit.parents", "GET /repos/{owner}/{repo}/commits/{ref}"),
    (
        "CheckSuite.checkRuns",
        "GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs",
    ),
    ("GitActor.user", "GET /users/{username}"),
    ("Organization.repositories", "GET /orgs/{org}/repos"),
    ("Organization.team", "GET /orgs/{org}/teams/{team_slug}"),
    ("Organization.teams", "GET /orgs/{org}/teams"),
    (
        "PullRequest.author",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    ),
    (
        "PullRequest.baseRef",
        "GET /repos/{owner}/{repo}/git/ref/{ref}",
    ),
    (
        "PullRequest.commits",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/commits",
    ),
    (
        "PullRequestCommit.commit",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/commits",
    ),
    (
        "PullRequest.files",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/files",
    ),
    (
        "PullRequest.headRepository",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    ),
    (
        "PullRequest.mergeCommit",
        "GET /repos/{owner}/{repo}/git/commits/{commit_sha}",
    ),
    (
        "PullRequest.potentialMergeCommit",
        "GET /repos/{owner}/{repo}/git/commits/{commit_sha}",
    ),
    // What is behind an id says itself what it takes.
    ("Query.node", "GET /repos/{owner}/{repo}"),
    ("Query.nodes", "GET /repos/{owner}/{repo}"),
    ("Query.organization", "GET /orgs/{org}"),
    ("Query.repository", "GET /repos/{owner}/{repo}"),
    ("Ref.target", "GET /repos/{owner}/{repo}/git/ref/{ref}"),
    (
        "Repository.collaborators",
        "GET /repos/{owner}/{repo}/collaborators",
    ),
    (
        "Repository.defaultBranchRef",
        "GET /repos/{owner}/{repo}/branches/{branch}",
    ),
    ("Repository.deployKeys", "GET /repos/{owner}/{repo}/keys"),
    (
        "Repository.object",
        "GET /repos/{owner}/{repo}/git/commits/{commit_sha}",
    ),
    (
        "Repository.pullRequest",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    ),
    ("Repository.pullRequests", "GET /repos/{owner}/{repo}/pulls"),
    ("Repository.ref", "GET /repos/{owner}/{repo}/git/ref/{ref}"),
    (
        "Team.repositories",
        "GET /orgs/{org}/teams/{team_slug}/repos",
    ),
    (
        "TreeEntry.object",
        "GET /repos/{owner}/{repo}/git/blobs/{file_sha}",
    ),
];

static LISTED: LazyLock<BTreeMap<String, Need>> = LazyLock::new(|| {
    let list = descriptions::json("permissions.json");
    let permissions = list["permissions"]
        .as_object()
        .expect("there are permissions");
    let mut needs: BTreeMap<String, Need> = BTreeMap::new();
    for (name, levels) in permissions {
        for level in ["read", "write"] {
            let endpoints = levels[level].as_array();
            for endpoint in endpoints.into_iter().flatten().filter_map(Value::as_str) {
                let need = needs.entry(anonymous(endpoint)).or_default();
                let one = Permissions::from([(name.clone(), level.to_owned())]);
                if !need.contains(&one) {
                    need.push(one);
                }
            }
        }
    }
    needs
});

/// Entries of both lists, as they are named where they are out of use.
pub(crate) fn entries() -> impl Iterator<Item = String> {
    let corrections = CORRECTIONS.iter().map(|(endpoint, _)| correction(endpoint));
    corrections.chain(WAYS.iter().map(|(way, _)| entry_of_way(way)))
}

pub(crate) fn correction(endpoint: &str) -> String {
    format!("CORRECTIONS {endpoint}")
}

pub(crate) fn entry_of_way(way: &str) -> String {
    format!("WAYS {way}")
}

/// Lists name the values in a path as they like: `{branch}` or `{ref}`.
fn anonymous(endpoint: &str) -> String {
    let parts = endpoint.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// What an endpoint takes; an error where nobody says it.
pub(crate) fn of_endpoint(name: &str) -> Result<Need, String> {
    if let Some((_, need)) = CORRECTIONS.iter().find(|(endpoint, _)| *endpoint == name) {
        return Ok(vec![parsed(need)]);
    }
    LISTED.get(&anonymous(name)).cloned().ok_or_else(|| {
        format!("GitHub's list of permissions lacks `{name}`: say in CORRECTIONS what it takes, by GitHub's reference")
    })
}

/// `members=read administration=write`.
fn parsed(need: &str) -> Permissions {
    let pairs = need.split(' ').filter_map(|one| one.split_once('='));
    pairs
        .map(|(name, level)| (name.to_owned(), level.to_owned()))
        .collect()
}

/// The endpoint of REST that leads where a field of GraphQL leads.
pub(crate) fn twin(way: &str) -> Result<&'static str, String> {
    let twin = WAYS.iter().find(|(field, _)| *field == way);
    twin.map(|(_, endpoint)| *endpoint).ok_or_else(|| {
        format!("say in WAYS which endpoint of REST leads where `{way}` leads: it takes the same permission")
    })
}

/// What a webhook takes, as its prose says it; an App is told about itself without any.
pub(crate) fn of_webhook(told: &Told) -> Need {
    // To subscribe to this event, a GitHub App must have at least read-level access for the "Checks" repository permission.
    // To receive the `rerequested` event type, the app must have at least write-level access for the "Checks" permission.
    let prose = told.prose();
    let own = format!("`{}`", told.action);
    let sentences = || prose.split(". ").flat_map(|part| part.split('\n'));
    let for_action = sentences().find(|one| one.contains("To receive") && one.contains(&own));
    let for_event = || sentences().find(|one| one.contains("To subscribe to this event"));
    let named = for_action.or_else(for_event).and_then(|sentence| {
        let (_, rest) = sentence.split_once("at least ")?;
        let (level, rest) = rest.split_once("-level access for the \"")?;
        let (name, _) = rest.split_once('"')?;
        Some((name.to_lowercase().replace(' ', "_"), level.to_owned()))
    });
    vec![named.into_iter().collect()]
}
