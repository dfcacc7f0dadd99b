//! People with a right of their own on a repository.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::{AccountKind, Id, Permission};
use super::super::view;

/// Everybody with access where `affiliation` is not `direct`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let found = call.world.repository(repository);
    let direct = call.query("affiliation") == Some("direct");
    let outside = call.query("affiliation") == Some("outside");
    let people: Vec<(Id, Permission)> = call
        .world
        .accounts
        .values()
        .filter(|one| matches!(one.kind, AccountKind::User))
        .filter(|one| {
            let added = found.collaborators.contains_key(&one.id);
            let member = call.world.membership(found.owner, one.id).is_some();
            match (direct, outside) {
                (true, _) => added,
                (_, true) => added && !member,
                _ => added || member || found.owner == one.id,
            }
        })
        .filter_map(|one| Some((one.id, call.world.access_of(one.id, repository)?)))
        .collect();
    call.page(&people, |(id, permission)| {
        collaborator(call, *id, *permission)
    })
}

fn collaborator(call: &Call<'_>, id: Id, permission: Permission) -> Value {
    let mut shown = view::account(call.world, id);
    shown["permissions"] = view::permission_flags(Some(permission));
    shown["role_name"] = json!(permission.role());
    shown
}

fn person(call: &Call<'_>) -> Result<Id, Refusal> {
    call.world
        .account_id(call.parameter("username"))
        .ok_or_else(Refusal::not_found)
}

pub(super) fn check(call: &mut Call<'_>) -> Answer {
    let (repository, user) = (call.repository(), person(call)?);
    let found = call.world.repository(repository);
    let is_one = found.collaborators.contains_key(&user)
        || found.owner == user
        || call.world.membership(found.owner, user).is_some();
    if is_one {
        Ok(Reply::no_content())
    } else {
        Err(Refusal::not_found())
    }
}

/// The older `permission` knows no `triage` and no `maintain`; `role_name` does.
pub(super) fn permission(call: &mut Call<'_>) -> Answer {
    let (repository, user) = (call.repository(), person(call)?);
    let access = call.world.access_of(user, repository);
    let old_word = match access {
        None => "none",
        Some(Permission::Pull | Permission::Triage) => "read",
        Some(Permission::Push | Permission::Maintain) => "write",
        Some(Permission::Admin) => "admin",
    };
    let role = access.map_or("none", Permission::role);
    let mut shown = view::account(call.world, user);
    shown["permissions"] = view::permission_flags(access);
    shown["role_name"] = json!(role);
    Ok(Reply::ok(
        json!({"permission": old_word, "role_name": role, "user": shown}),
    ))
}

/// Members of the organisation are added at once. Invitations of others are not modelled: they accept at once.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let (repository, user) = (call.repository(), person(call)?);
    let word = call.text("permission").unwrap_or("push");
    let permission = Permission::named(word)
        .ok_or_else(|| Refusal::code("Repository", "permission", "invalid"))?;
    call.world
        .repository_mut(repository)
        .collaborators
        .insert(user, permission);
    Ok(Reply::no_content())
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let (repository, user) = (call.repository(), person(call)?);
    call.world
        .repository_mut(repository)
        .collaborators
        .remove(&user);
    Ok(Reply::no_content())
}
