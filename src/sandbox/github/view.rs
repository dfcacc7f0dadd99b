//! The JSON of each object, one function per type, complete as GitHub's description of its API has it.

use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::call::encoded;
use super::model::{Account, AccountKind, Id, Permission, Permissions, Team, Visibility, World};
use super::node_id::Node;

mod git;
mod pulls;
mod settings;
mod timeline;

pub(super) use git::{commit, contents_entry, git_commit, git_reference, git_tree, simple_commit};
pub(super) use pulls::{
    annotation, check_run, check_suite, check_suite_full, comment, diff_entry, issue, pull,
    pull_simple, reaction, simple_check_suite,
};
pub(super) use settings::{
    delivery, delivery_full, protection, protection_in_branch, rules, ruleset,
};
pub(super) use timeline::timeline;

/// Where people look at things. Only the API is on loopback.
pub(super) const WEB: &str = "https://github.com";

pub(super) fn account(world: &World, id: Id) -> Value {
    let account = world.account(id);
    let login = &account.login;
    let url = format!("{}/users/{}", world.root, encoded(login));
    let html_url = match account.kind {
        AccountKind::Bot => format!("{WEB}/apps/{}", login.trim_end_matches("[bot]")),
        AccountKind::User | AccountKind::Organization(_) => format!("{WEB}/{login}"),
    };
    json!({
        "login": login,
        "id": id,
        "node_id": account_node(account).id(),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
        "gravatar_id": "",
        "url": url,
        "html_url": html_url,
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": account.type_name(),
        "user_view_type": "public",
        "site_admin": false,
    })
}

pub(super) fn account_node(account: &Account) -> Node {
    match account.kind {
        AccountKind::User => Node::User(account.id),
        AccountKind::Bot => Node::Bot(account.id),
        AccountKind::Organization(_) => Node::Organization(account.id),
    }
}

/// `GET /users/{login}`.
pub(super) fn public_user(world: &World, id: Id) -> Value {
    let created_at = &world.account(id).created_at;
    let mut user = account(world, id);
    let public_repos = world
        .repositories
        .values()
        .filter(|one| one.owner == id && one.visibility == Visibility::Public)
        .count();
    extend(
        &mut user,
        json!({
            "name": null, "company": null, "blog": "", "location": null, "email": null,
            "hireable": null, "bio": null, "twitter_username": null,
            "public_repos": public_repos, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": created_at, "updated_at": created_at,
        }),
    );
    user
}

pub(super) fn organization_simple(world: &World, id: Id) -> Value {
    let login = world.login(id);
    let url = format!("{}/orgs/{login}", world.root);
    json!({
        "login": login,
        "id": id,
        "node_id": Node::Organization(id).id(),
        "url": url,
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events"),
        "hooks_url": format!("{url}/hooks"),
        "issues_url": format!("{url}/issues"),
        "members_url": format!("{url}/members{{/member}}"),
        "public_members_url": format!("{url}/public_members{{/member}}"),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
        "description": null,
    })
}

/// `GET /orgs/{org}`; the settings are there only for those who may administer it.
pub(super) fn organization_full(world: &World, id: Id, settings: bool) -> Value {
    let created_at = &world.account(id).created_at;
    let mut full = organization_simple(world, id);
    extend(
        &mut full,
        json!({
            "is_verified": false,
            "has_organization_projects": true, "has_repository_projects": true,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "html_url": format!("{WEB}/{}", world.login(id)),
            "type": "Organization",
            "created_at": created_at, "updated_at": created_at, "archived_at": null,
        }),
    );
    if let (true, Some(found)) = (settings, world.organization(id)) {
        extend(
            &mut full,
            json!({
                "default_repository_permission": found.base_permission.map_or("none", Permission::role),
                "default_repository_branch": found.default_branch,
                "members_can_create_repositories": found.members_can_create_repositories,
                "deploy_keys_enabled_for_repositories": found.deploy_keys_allowed,
                "two_factor_requirement_enabled": false,
                "plan": {"name": "team", "space": 976_562_499, "private_repos": 999_999, "filled_seats": found.members.len(), "seats": 100},
            }),
        );
    }
    full
}

/// The `*_url` properties of a repository that differ from its address by a suffix.
const REPOSITORY_URLS: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    (
        "notifications_url",
        "/notifications{?since,all,participating}",
    ),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// A repository inside of something else: a pull, a suite, its own copy.
pub(super) fn repository(world: &World, id: Id) -> Value {
    let found = world.repository(id);
    let full_name = world.full_name(id);
    let mut shown = json!({
        "id": id,
        "node_id": Node::Repository(id).id(),
        "name": found.name,
        "full_name": full_name,
        "private": found.is_private(),
        "owner": account(world, found.owner),
        "html_url": format!("{WEB}/{full_name}"),
        "description": found.description,
        "fork": found.parent.is_some(),
    });
    let address = format!("{}/repos/{full_name}", world.root);
    for (name, suffix) in REPOSITORY_URLS {
        shown[name] = json!(format!("{address}{suffix}"));
    }
    let forks = world
        .repositories
        .values()
        .filter(|one| one.parent == Some(id))
        .count();
    extend(
        &mut shown,
        json!({
            "created_at": found.created_at, "updated_at": found.updated_at, "pushed_at": found.pushed_at,
            "git_url": format!("git://github.com/{full_name}.git"),
            "ssh_url": format!("git@github.com:{full_name}.git"),
            "clone_url": format!("{WEB}/{full_name}.git"),
            "svn_url": format!("{WEB}/{full_name}"),
            "homepage": found.homepage, "size": 0, "stargazers_count": 0, "watchers_count": 0,
            "language": null, "has_issues": true, "has_projects": true, "has_downloads": true,
            "has_wiki": true, "has_pages": false, "has_discussions": false,
            "forks_count": forks, "mirror_url": null, "archived": found.archived, "disabled": false,
            "open_issues_count": 0, "license": null, "allow_forking": true,
            "is_template": found.is_template, "web_commit_signoff_required": false, "topics": [],
            "visibility": if found.is_private() { "private" } else { "public" },
            "forks": forks, "open_issues": 0, "watchers": 0,
            "default_branch": found.default_branch,
        }),
    );
    shown
}

/// A repository as webhooks show it.
pub(super) fn told_repository(world: &World, id: Id) -> Value {
    let mut shown = repository(world, id);
    shown["custom_properties"] = json!({});
    shown
}

/// A repository in a `push` event, which has kept some habits of its own: times as numbers, and more of the owner.
pub(super) fn pushed_repository(world: &World, id: Id) -> Value {
    let found = world.repository(id);
    let mut shown = told_repository(world, id);
    for name in ["created_at", "pushed_at"] {
        let time: Option<jiff::Timestamp> = shown[name].as_str().and_then(|text| text.parse().ok());
        shown[name] = json!(time.map(jiff::Timestamp::as_second));
    }
    shown["owner"]["name"] = json!(world.login(found.owner));
    shown["owner"]["email"] = Value::Null;
    shown["stargazers"] = json!(0);
    shown["master_branch"] = json!(found.default_branch);
    if world.organization(found.owner).is_some() {
        shown["organization"] = json!(world.login(found.owner));
    }
    shown
}

/// A repository as it is shown to somebody, with what they may do.
pub(super) fn repository_for(world: &World, id: Id, caller: &Caller) -> Value {
    let mut shown = repository(world, id);
    let permissions = match caller {
        Caller::Anonymous | Caller::App(_) => None,
        Caller::User(user) => Some(permission_flags(world.access_of(*user, id))),
        Caller::Installation(token) => Some(token_flags(&token.permissions)),
    };
    if let Some(permissions) = permissions {
        shown["permissions"] = permissions;
    }
    shown
}

/// `GET /repos/{owner}/{repo}`.
pub(super) fn repository_full(world: &World, id: Id, caller: &Caller) -> Value {
    let found = world.repository(id);
    let mut full = repository_for(world, id, caller);
    extend(
        &mut full,
        json!({
            "temp_clone_token": null, "allow_squash_merge": true, "allow_merge_commit": true,
            "allow_rebase_merge": true, "allow_auto_merge": false, "delete_branch_on_merge": false,
            "allow_update_branch": false, "use_squash_pr_title_as_default": false,
            "squash_merge_commit_message": "COMMIT_MESSAGES", "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
            "merge_commit_message": "PR_TITLE", "merge_commit_title": "MERGE_MESSAGE",
            "network_count": 0, "subscribers_count": 1, "custom_properties": {},
        }),
    );
    if world.organization(found.owner).is_some() {
        full["organization"] = account(world, found.owner);
    }
    if let Some(template) = found
        .template
        .filter(|id| world.repositories.contains_key(id))
    {
        full["template_repository"] = repository(world, template);
    }
    if let Some(parent) = found.parent {
        full["parent"] = repository(world, parent);
        full["source"] = repository(world, parent);
    }
    full
}

pub(super) fn permission_flags(granted: Option<Permission>) -> Value {
    let mut flags = Map::new();
    for one in Permission::ALL.into_iter().rev() {
        flags.insert(one.name().into(), json!(granted >= Some(one)));
    }
    Value::Object(flags)
}

/// GitHub shows an App's own rights as flags that have little to do with its permissions.
fn token_flags(permissions: &Permissions) -> Value {
    let writes = permissions
        .get("contents")
        .is_some_and(|level| level == "write");
    json!({"admin": false, "maintain": false, "push": writes, "triage": writes, "pull": true})
}

pub(super) fn team(world: &World, team: &Team, permission: Option<Permission>) -> Value {
    let organization = world.login(team.organization);
    let address = format!(
        "{}/organizations/{}/team/{}",
        world.root, team.organization, team.id
    );
    json!({
        "name": team.name,
        "id": team.id,
        "node_id": Node::Team(team.id).id(),
        "slug": team.slug,
        "description": team.description,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "url": address,
        "html_url": format!("{WEB}/orgs/{organization}/teams/{}", team.slug),
        "members_url": format!("{address}/members{{/member}}"),
        "repositories_url": format!("{address}/repos"),
        "type": "organization",
        "organization_id": team.organization,
        "permission": permission.map_or("pull", Permission::name),
        "permissions": permission_flags(permission.or(Some(Permission::Pull))),
        "parent": null,
    })
}

/// `GET /orgs/{org}/teams/{slug}`.
pub(super) fn team_full(world: &World, found: &Team) -> Value {
    let mut full = team(world, found, None);
    if let Value::Object(full) = &mut full {
        full.shift_remove("permissions");
    }
    extend(
        &mut full,
        json!({
            "created_at": found.created_at,
            "updated_at": found.created_at,
            "members_count": found.members.len(),
            "repos_count": found.repositories.len(),
            "organization": organization_full(world, found.organization, false),
        }),
    );
    full
}

/// A team's repository, with what the team may do there.
pub(super) fn team_repository(world: &World, id: Id, permission: Permission) -> Value {
    let mut shown = repository(world, id);
    shown["permissions"] = permission_flags(Some(permission));
    shown["role_name"] = json!(permission.role());
    shown
}

pub(super) fn deploy_key(world: &World, repository: Id, id: Id) -> Value {
    let key = &world.repository(repository).deploy_keys[&id];
    json!({
        "id": id,
        "key": key.key,
        "url": format!("{}/repos/{}/keys/{id}", world.root, world.full_name(repository)),
        "title": key.title,
        "verified": true,
        "created_at": key.created_at,
        "read_only": key.read_only,
        "added_by": key.added_by,
        "last_used": null,
        "enabled": true,
    })
}

pub(super) fn app(world: &World, id: Id) -> Value {
    let app = &world.apps[&id];
    json!({
        "id": id,
        "client_id": app.client_id(),
        "slug": app.slug,
        "node_id": Node::App(id).id(),
        "owner": account(world, app.owner),
        "name": app.name,
        "description": "",
        "external_url": "https://example.com",
        "html_url": format!("{WEB}/apps/{}", app.slug),
        "created_at": app.created_at,
        "updated_at": app.created_at,
        "permissions": app.permissions,
        "events": app.events,
    })
}

pub(super) fn installation(world: &World, id: Id) -> Value {
    let found = &world.installations[&id];
    let app = &world.apps[&found.app];
    let account_type = world.account(found.account).type_name();
    let login = world.login(found.account);
    let html_url = match world.organization(found.account) {
        Some(_) => format!("{WEB}/organizations/{login}/settings/installations/{id}"),
        None => format!("{WEB}/settings/installations/{id}"),
    };
    let selection = match found.selection {
        super::model::Selection::All => "all",
        super::model::Selection::Selected(_) => "selected",
    };
    json!({
        "id": id,
        "client_id": app.client_id(),
        "account": account(world, found.account),
        "repository_selection": selection,
        "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", world.root),
        "repositories_url": format!("{}/installation/repositories", world.root),
        "html_url": html_url,
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": found.account,
        "target_type": account_type,
        "permissions": found.permissions,
        "events": app.events,
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": found.suspended_at.as_ref().map(|_| account(world, app.owner)),
        "suspended_at": found.suspended_at,
    })
}

/// The short form in `installation` events.
pub(super) fn repository_mention(world: &World, id: Id) -> Value {
    let found = world.repository(id);
    json!({
        "id": id,
        "node_id": Node::Repository(id).id(),
        "name": found.name,
        "full_name": world.full_name(id),
        "private": found.is_private(),
    })
}

/// Puts the properties of one object behind those of another.
pub(super) fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
