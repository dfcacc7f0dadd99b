//! The App, its installations and their tokens.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, Reply};
use super::super::auth::{Caller, InstallationToken, reaches};
use super::super::call::Call;
use super::super::clock;
use super::super::model::{Id, Installation, Permissions, Selection};
use super::super::view;

/// How long an installation token lives, in seconds.
const TOKEN_LIFE: i64 = 3_600;

fn own_app(call: &Call<'_>) -> Id {
    call.caller
        .app(call.world)
        .expect("a route for Apps is reached with a JWT")
}

pub(super) fn app(call: &mut Call<'_>) -> Answer {
    let id = own_app(call);
    let mut shown = view::app(call.world, id);
    shown["installations_count"] = json!(own_installations(call).len());
    Ok(Reply::ok(shown))
}

fn own_installations(call: &Call<'_>) -> Vec<Id> {
    let app = own_app(call);
    call.world
        .installations
        .values()
        .filter(|one| one.app == app)
        .map(|one| one.id)
        .collect()
}

pub(super) fn installations(call: &mut Call<'_>) -> Answer {
    call.page(&own_installations(call), |id| {
        view::installation(call.world, *id)
    })
}

fn find(call: &Call<'_>) -> Result<Id, Refusal> {
    let id = call.number("installation_id")?;
    own_installations(call)
        .contains(&id)
        .then_some(id)
        .ok_or_else(Refusal::not_found)
}

pub(super) fn installation(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    Ok(Reply::ok(view::installation(call.world, id)))
}

fn installation_where(call: &Call<'_>, fits: impl Fn(&Installation) -> bool) -> Answer {
    let app = own_app(call);
    let found = call
        .world
        .installations
        .values()
        .find(|one| one.app == app && fits(one))
        .ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view::installation(call.world, found.id)))
}

pub(super) fn repository_installation(call: &mut Call<'_>) -> Answer {
    let name = format!("{}/{}", call.parameter("owner"), call.parameter("repo"));
    let id = call.world.repository_id(&name);
    let id = id.ok_or_else(Refusal::not_found)?;
    let repository = call.world.repository(id);
    installation_where(call, |one| one.covers(repository))
}

pub(super) fn organization_installation(call: &mut Call<'_>) -> Answer {
    let account = call.world.account_id(call.parameter("org"));
    let account = account.filter(|id| call.world.organization(*id).is_some());
    installation_where(call, |one| Some(one.account) == account)
}

pub(super) fn user_installation(call: &mut Call<'_>) -> Answer {
    let account = call.world.account_id(call.parameter("username"));
    installation_where(call, |one| Some(one.account) == account)
}

/// `POST /app/installations/{id}/access_tokens`: as wide as the installation, or narrower.
pub(super) fn mint(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    let installation = &call.world.installations[&id];
    if installation.suspended_at.is_some() {
        return Err(Refusal::new(403, "This installation has been suspended"));
    }
    let permissions = wanted_permissions(call, installation)?;
    let repositories = wanted_repositories(call, installation)?;
    let selection = match (&installation.selection, &repositories) {
        (Selection::All, None) => "all",
        (Selection::Selected(_), _) | (_, Some(_)) => "selected",
    };
    let expires_at = clock::in_seconds(TOKEN_LIFE);
    let token = call.world.tokens.mint(InstallationToken {
        installation: id,
        permissions: permissions.clone(),
        repositories: repositories.clone(),
        expires_at,
    });
    let mut shown = json!({
        "token": token,
        "expires_at": clock::stamp(expires_at),
        "permissions": permissions,
        "repository_selection": selection,
    });
    if let Some(repositories) = repositories {
        shown["repositories"] = repositories
            .iter()
            .map(|id| view::repository(call.world, *id))
            .collect();
    }
    Ok(Reply::created(shown))
}

fn wanted_permissions(
    call: &Call<'_>,
    installation: &Installation,
) -> Result<Permissions, Refusal> {
    let Some(wanted) = call.body["permissions"].as_object() else {
        return Ok(installation.permissions.clone());
    };
    let mut permissions = Permissions::new();
    for (name, level) in wanted {
        let level = level.as_str().unwrap_or_default();
        if !reaches(installation.permissions.get(name), level) {
            return Err(Refusal::unprocessable(
                "The permissions requested are not granted to this installation.",
            ));
        }
        permissions.insert(name.clone(), level.to_owned());
    }
    permissions
        .entry("metadata".to_owned())
        .or_insert_with(|| "read".to_owned());
    Ok(permissions)
}

fn wanted_repositories(
    call: &Call<'_>,
    installation: &Installation,
) -> Result<Option<BTreeSet<Id>>, Refusal> {
    let owner = call.world.login(installation.account);
    let by_name = call.body["repositories"].as_array().map(|names| {
        names
            .iter()
            .map(|name| {
                let name = name.as_str().unwrap_or_default();
                call.world.repository_id(&format!("{owner}/{name}"))
            })
            .collect::<Vec<_>>()
    });
    let by_id = call.body["repository_ids"]
        .as_array()
        .map(|ids| ids.iter().map(Value::as_u64).collect::<Vec<_>>());
    let Some(wanted) = by_name.or(by_id) else {
        return Ok(None);
    };
    let covered = |id: Option<Id>| {
        id.filter(|id| {
            let found = call.world.repositories.get(id);
            found.is_some_and(|repository| installation.covers(repository))
        })
    };
    wanted
        .into_iter()
        .map(covered)
        .collect::<Option<BTreeSet<Id>>>()
        .map(Some)
        .ok_or_else(|| {
            Refusal::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        })
}

/// `GET /installation/repositories`.
pub(super) fn repositories(call: &mut Call<'_>) -> Answer {
    let visible: Vec<Id> = call
        .world
        .repositories
        .values()
        .filter(|one| call.caller.covers(call.world, one))
        .map(|one| one.id)
        .collect();
    let narrowed = match call.caller {
        Caller::Installation(token) => {
            token.repositories.is_some()
                || call.world.installations[&token.installation].selection != Selection::All
        }
        Caller::Anonymous | Caller::App(_) | Caller::User(_) => false,
    };
    let mut answer = call.counted_page("repositories", &visible, |id| {
        view::repository_for(call.world, *id, call.caller)
    })?;
    if let super::super::answer::Body::Json(body) = &mut answer.body {
        body["repository_selection"] = json!(if narrowed { "selected" } else { "all" });
    }
    Ok(answer)
}

/// `DELETE /installation/token`: the token itself is taken from the header by the server.
pub(super) fn revoke(_: &mut Call<'_>) -> Answer {
    Ok(Reply::no_content())
}
