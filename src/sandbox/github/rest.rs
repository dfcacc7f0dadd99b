//! The table of routes: method, path, what it needs, and the function that answers.
//! To add an endpoint, add a line here and its function to the file of its topic.

#![expect(
    clippy::unnecessary_wraps,
    reason = "every route has the same type, though some cannot fail"
)]

use super::answer::{Answer, Refusal};
use super::auth::Caller;
use super::call::{Call, decoded};
use super::graphql;
use super::model::World;

mod apps;
mod checks;
mod collaborators;
mod comments;
mod contents;
mod git_data;
mod hook;
mod keys;
mod meta;
mod protection;
mod pulls;
mod repositories;
mod rulesets;
mod teams;

pub(super) use meta::HOST_KEYS;

/// What a route asks of the caller. Needs are in the notation of `x-accepted-github-permissions`.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Anyone,
    /// An App's JWT.
    App,
    /// An installation token.
    Installation,
    /// This, on `{owner}/{repo}`.
    Repository(&'static str),
    /// As `Repository`, and allowed although it is archived.
    ArchivedToo(&'static str),
    /// This, in `{org}`.
    Organization(&'static str),
    /// The first in `{org}`, the second on `{owner}/{repo}`.
    Both(&'static str, &'static str),
}

pub(super) struct Route {
    method: &'static str,
    pattern: &'static str,
    access: Access,
    pub(super) answer: fn(&mut Call<'_>) -> Answer,
}

const fn route(
    method: &'static str,
    pattern: &'static str,
    access: Access,
    answer: fn(&mut Call<'_>) -> Answer,
) -> Route {
    Route {
        method,
        pattern,
        access,
        answer,
    }
}

use Access::{Anyone, App, ArchivedToo, Both, Installation, Organization, Repository};

const COMMENTING: &str = "issues=write; pull_requests=write";
const READING_COMMENTS: &str = "issues=read; pull_requests=read";

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    route("POST", "/graphql", Anyone, graphql::answer),
    route("GET", "/meta", Anyone, meta::meta),
    route("GET", "/rate_limit", Anyone, meta::rate_limit),
    route("GET", "/users/{username}", Anyone, meta::user),
    route("GET", "/user", Anyone, meta::myself),

    route("GET", "/app", App, apps::app),
    route("GET", "/app/installations", App, apps::installations),
    route("GET", "/app/installations/{installation_id}", App, apps::installation),
    route("POST", "/app/installations/{installation_id}/access_tokens", App, apps::mint),
    route("GET", "/app/hook/deliveries", App, hook::deliveries),
    route("GET", "/app/hook/deliveries/{delivery_id}", App, hook::delivery),
    route("POST", "/app/hook/deliveries/{delivery_id}/attempts", App, hook::redeliver),
    route("GET", "/repos/{owner}/{repo}/installation", App, apps::repository_installation),
    route("GET", "/orgs/{org}/installation", App, apps::organization_installation),
    route("GET", "/users/{username}/installation", App, apps::user_installation),
    route("GET", "/installation/repositories", Installation, apps::repositories),
    route("DELETE", "/installation/token", Installation, apps::revoke),

    route("GET", "/orgs/{org}", Anyone, meta::organization),
    route("GET", "/orgs/{org}/repos", Anyone, repositories::of_organization),
    route("POST", "/orgs/{org}/repos", Organization("administration=write"), repositories::create),
    route("POST", "/user/repos", Anyone, repositories::create_own),
    route("GET", "/repos/{owner}/{repo}", Repository("metadata=read"), repositories::get),
    route("PATCH", "/repos/{owner}/{repo}", ArchivedToo("administration=write"), repositories::update),
    route("DELETE", "/repos/{owner}/{repo}", ArchivedToo("administration=write"), repositories::delete),
    route("POST", "/repos/{owner}/{repo}/generate", Repository("contents=read"), repositories::generate),
    route("POST", "/repos/{owner}/{repo}/forks", ArchivedToo("contents=read"), repositories::fork),

    route("GET", "/repos/{owner}/{repo}/contents", Repository("contents=read"), contents::get),
    route("GET", "/repos/{owner}/{repo}/contents/{*path}", Repository("contents=read"), contents::get),
    route("PUT", "/repos/{owner}/{repo}/contents/{*path}", Repository("contents=write"), contents::put),
    route("DELETE", "/repos/{owner}/{repo}/contents/{*path}", Repository("contents=write"), contents::delete),
    route("GET", "/repos/{owner}/{repo}/branches", Repository("contents=read"), git_data::branches),
    route("GET", "/repos/{owner}/{repo}/branches/{branch}/protection", Repository("administration=read"), protection::get),
    route("PUT", "/repos/{owner}/{repo}/branches/{branch}/protection", Repository("administration=write"), protection::put),
    route("DELETE", "/repos/{owner}/{repo}/branches/{branch}/protection", Repository("administration=write"), protection::delete),
    route("GET", "/repos/{owner}/{repo}/rulesets", Repository("metadata=read"), rulesets::list),
    route("POST", "/repos/{owner}/{repo}/rulesets", Repository("administration=write"), rulesets::create),
    route("GET", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", Repository("metadata=read"), rulesets::get),
    route("DELETE", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", Repository("administration=write"), rulesets::delete),
    route("GET", "/repos/{owner}/{repo}/rules/branches/{*branch}", Repository("metadata=read"), rulesets::of_branch),
    route("GET", "/repos/{owner}/{repo}/branches/{*branch}", Repository("contents=read"), git_data::branch),
    route("GET", "/repos/{owner}/{repo}/commits", Repository("contents=read"), git_data::commits),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}", Repository("contents=read"), git_data::commit),
    route("GET", "/repos/{owner}/{repo}/compare/{*range}", Repository("contents=read"), git_data::compare),
    route("GET", "/repos/{owner}/{repo}/git/ref/{*ref}", Repository("contents=read"), git_data::reference),
    route("GET", "/repos/{owner}/{repo}/git/matching-refs/{*ref}", Repository("contents=read"), git_data::matching),
    route("POST", "/repos/{owner}/{repo}/git/refs", Repository("contents=write"), git_data::create_reference),
    route("PATCH", "/repos/{owner}/{repo}/git/refs/{*ref}", Repository("contents=write"), git_data::move_reference),
    route("DELETE", "/repos/{owner}/{repo}/git/refs/{*ref}", Repository("contents=write"), git_data::delete_reference),
    route("GET", "/repos/{owner}/{repo}/git/commits/{sha}", Repository("contents=read"), git_data::git_commit),
    route("POST", "/repos/{owner}/{repo}/git/commits", Repository("contents=write"), git_data::create_commit),
    route("GET", "/repos/{owner}/{repo}/git/trees/{sha}", Repository("contents=read"), git_data::tree),
    route("POST", "/repos/{owner}/{repo}/git/trees", Repository("contents=write"), git_data::create_tree),
    route("GET", "/repos/{owner}/{repo}/git/blobs/{sha}", Repository("contents=read"), git_data::blob),
    route("POST", "/repos/{owner}/{repo}/git/blobs", Repository("contents=write"), git_data::create_blob),

    route("GET", "/repos/{owner}/{repo}/pulls", Repository("pull_requests=read"), pulls::list),
    route("POST", "/repos/{owner}/{repo}/pulls", Repository("pull_requests=write"), pulls::create),
    route("PATCH", "/repos/{owner}/{repo}/pulls/{number}", Repository("pull_requests=write"), pulls::update),
    route("PUT", "/repos/{owner}/{repo}/pulls/{number}/merge", Repository("contents=write"), pulls::merge),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}", Repository("pull_requests=read"), pulls::get),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/files", Repository("pull_requests=read"), pulls::files),
    route("GET", "/repos/{owner}/{repo}/pulls/{number}/commits", Repository("pull_requests=read"), pulls::commits),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/pulls", Repository("pull_requests=read"), pulls::of_commit),

    route("GET", "/repos/{owner}/{repo}/issues/{number}/timeline", Repository(READING_COMMENTS), pulls::timeline),
    route("GET", "/repos/{owner}/{repo}/issues/{number}/comments", Repository(READING_COMMENTS), comments::list),
    route("POST", "/repos/{owner}/{repo}/issues/{number}/comments", Repository(COMMENTING), comments::create),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Repository(READING_COMMENTS), comments::get),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Repository(COMMENTING), comments::update),
    route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Repository(COMMENTING), comments::delete),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", Repository(READING_COMMENTS), comments::reactions),
    route("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", Repository(COMMENTING), comments::react),

    route("POST", "/repos/{owner}/{repo}/check-runs", Repository("checks=write"), checks::create),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Repository("checks=read"), checks::get),
    route("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Repository("checks=write"), checks::update),
    route("POST", "/repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest", Repository("checks=write"), checks::rerequest),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", Repository("checks=read"), checks::annotations),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", Repository("checks=read"), checks::of_commit),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-suites", Repository("checks=read"), checks::suites_of_commit),
    route("GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}", Repository("checks=read"), checks::suite),

    route("GET", "/repos/{owner}/{repo}/collaborators", Repository("metadata=read"), collaborators::list),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}", Repository("metadata=read"), collaborators::check),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", Repository("metadata=read"), collaborators::permission),
    route("PUT", "/repos/{owner}/{repo}/collaborators/{username}", Repository("administration=write"), collaborators::put),
    route("DELETE", "/repos/{owner}/{repo}/collaborators/{username}", Repository("administration=write"), collaborators::delete),

    route("GET", "/repos/{owner}/{repo}/keys", Repository("administration=read"), keys::list),
    route("POST", "/repos/{owner}/{repo}/keys", Repository("administration=write"), keys::create),
    route("GET", "/repos/{owner}/{repo}/keys/{key_id}", Repository("administration=read"), keys::get),
    route("DELETE", "/repos/{owner}/{repo}/keys/{key_id}", Repository("administration=write"), keys::delete),

    route("GET", "/repos/{owner}/{repo}/teams", Repository("administration=read"), teams::of_repository),
    route("GET", "/orgs/{org}/teams", Organization("members=read"), teams::list),
    route("GET", "/orgs/{org}/teams/{team_slug}", Organization("members=read"), teams::get),
    route("GET", "/orgs/{org}/teams/{team_slug}/members", Organization("members=read"), teams::members),
    route("GET", "/orgs/{org}/teams/{team_slug}/repos", Organization("members=read"), teams::repositories),
    route("GET", "/orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}", Both("members=read", "metadata=read"), teams::check_repository),
    route("PUT", "/orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}", Both("members=read", "administration=write"), teams::put_repository),
    route("DELETE", "/orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}", Both("members=read", "administration=write"), teams::delete_repository),
    route("GET", "/orgs/{org}/members", Organization("members=read"), teams::organization_members),
];

/// What a path matched.
pub(super) struct Found {
    pub(super) route: &'static Route,
    pub(super) parameters: Vec<(&'static str, String)>,
}

pub(super) fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| (route.method, route.pattern))
}

/// The route for a request, if the sandbox has one.
pub(super) fn find(method: &str, path: &str) -> Option<Found> {
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| {
            let parameters = matched(route.pattern, path)?;
            Some(Found { route, parameters })
        })
}

fn matched(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parameters = Vec::new();
    let mut rest = path.trim_end_matches('/');
    for wanted in pattern.split('/').skip(1) {
        rest = rest.strip_prefix('/')?;
        if let Some(name) = parameter_name(wanted, "{*") {
            parameters.push((name, decoded(rest)));
            return (!rest.is_empty()).then_some(parameters);
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        match parameter_name(wanted, "{") {
            Some(_) if part.is_empty() => return None,
            Some(name) => parameters.push((name, decoded(part))),
            None if part != wanted => return None,
            None => {}
        }
        rest = after;
    }
    rest.is_empty().then_some(parameters)
}

fn parameter_name(part: &'static str, opening: &str) -> Option<&'static str> {
    part.strip_prefix(opening)?.strip_suffix('}')
}

impl Route {
    /// Lets the call through or says why not.
    pub(super) fn admit(&self, call: &Call<'_>) -> Result<(), Refusal> {
        match self.access {
            Anyone => Ok(()),
            App => match call.caller {
                Caller::App(_) => Ok(()),
                Caller::Anonymous | Caller::Installation(_) | Caller::User(_) => {
                    Err(Refusal::new(401, "A JSON web token could not be decoded"))
                }
            },
            Installation => match call.caller {
                Caller::Installation(_) => Ok(()),
                Caller::Anonymous => Err(requires_authentication()),
                Caller::App(_) | Caller::User(_) => Err(Refusal::not_accessible()),
            },
            Repository(need) => self.admit_to_repository(call, need, Archived::Refused),
            ArchivedToo(need) => self.admit_to_repository(call, need, Archived::Fine),
            Organization(need) => admit_to_organization(call, need),
            Both(organization, repository) => {
                admit_to_organization(call, organization)?;
                self.admit_to_repository(call, repository, Archived::Refused)
            }
        }
    }

    fn admit_to_repository(
        &self,
        call: &Call<'_>,
        need: &'static str,
        archived: Archived,
    ) -> Result<(), Refusal> {
        let full_name = format!("{}/{}", call.parameter("owner"), call.parameter("repo"));
        let id = call
            .world
            .repository_id(&full_name)
            .filter(|id| call.caller.can_see(call.world, *id))
            .ok_or_else(Refusal::not_found)?;
        if self.method != "GET" && *call.caller == Caller::Anonymous {
            return Err(requires_authentication());
        }
        if !call.caller.may(call.world, id, need) {
            return Err(refused(call, need));
        }
        let writes = self.method != "GET" && archived == Archived::Refused;
        if writes && call.world.repository(id).archived {
            return Err(Refusal::archived());
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Archived {
    Refused,
    Fine,
}

fn admit_to_organization(call: &Call<'_>, need: &'static str) -> Result<(), Refusal> {
    let organization = organization_named(call.world, call.parameter("org"))?;
    if *call.caller == Caller::Anonymous {
        return Err(requires_authentication());
    }
    if call.caller.may_in(call.world, organization, need) {
        Ok(())
    } else {
        Err(refused(call, need))
    }
}

fn organization_named(world: &World, login: &str) -> Result<super::model::Id, Refusal> {
    world
        .account_id(login)
        .filter(|id| world.organization(*id).is_some())
        .ok_or_else(Refusal::not_found)
}

fn requires_authentication() -> Refusal {
    Refusal::new(401, "Requires authentication")
}

fn refused(call: &Call<'_>, need: &'static str) -> Refusal {
    match call.caller {
        Caller::Installation(_) => {
            Refusal::not_accessible().with_header("x-accepted-github-permissions", need)
        }
        Caller::User(_) => Refusal::new(403, "Must have admin rights to Repository."),
        Caller::App(_) => Refusal::new(401, "A JSON web token could not be decoded"),
        Caller::Anonymous => requires_authentication(),
    }
}
