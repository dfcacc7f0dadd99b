//! Teams and what they may do.

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::{Id, Permission};
use super::super::view;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let organization = call.organization();
    let teams: Vec<Id> = call
        .world
        .teams_of(organization)
        .map(|team| team.id)
        .collect();
    call.page(&teams, |id| {
        view::team(call.world, &call.world.teams[id], None)
    })
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = call.team()?;
    Ok(Reply::ok(view::team_full(
        call.world,
        &call.world.teams[&id],
    )))
}

pub(super) fn members(call: &mut Call<'_>) -> Answer {
    let id = call.team()?;
    let members: Vec<Id> = call.world.teams[&id].members.iter().copied().collect();
    call.page(&members, |id| view::account(call.world, *id))
}

pub(super) fn organization_members(call: &mut Call<'_>) -> Answer {
    let organization = call.world.organization(call.organization());
    let members: Vec<Id> = organization
        .map(|found| found.members.keys().copied().collect())
        .unwrap_or_default();
    call.page(&members, |id| view::account(call.world, *id))
}

pub(super) fn repositories(call: &mut Call<'_>) -> Answer {
    let id = call.team()?;
    let granted: Vec<(Id, Permission)> = call.world.teams[&id]
        .repositories
        .iter()
        .filter(|(repository, _)| call.caller.can_see(call.world, **repository))
        .map(|(repository, permission)| (*repository, *permission))
        .collect();
    call.page(&granted, |(repository, permission)| {
        view::team_repository(call.world, *repository, *permission)
    })
}

pub(super) fn of_repository(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let owner = call.world.repository(repository).owner;
    let granted: Vec<(Id, Permission)> = call
        .world
        .teams_of(owner)
        .filter_map(|team| Some((team.id, *team.repositories.get(&repository)?)))
        .collect();
    call.page(&granted, |(team, permission)| {
        view::team(call.world, &call.world.teams[team], Some(*permission))
    })
}

/// 204, or with the right `Accept` the repository and the team's right on it.
pub(super) fn check_repository(call: &mut Call<'_>) -> Answer {
    let (team, repository) = (call.team()?, call.repository());
    let permission = call.world.teams[&team].repositories.get(&repository);
    let permission = *permission.ok_or_else(Refusal::not_found)?;
    if call.accept.contains("repository+json") {
        let shown = view::team_repository(call.world, repository, permission);
        return Ok(Reply::ok(shown));
    }
    Ok(Reply::no_content())
}

pub(super) fn put_repository(call: &mut Call<'_>) -> Answer {
    let (team, repository) = (call.team()?, call.repository());
    if call.world.repository(repository).owner != call.organization() {
        return Err(Refusal::validation(
            "TeamMember",
            "repository",
            "Only organization-owned repositories can be added",
        ));
    }
    let word = call.text("permission").unwrap_or("push");
    let permission = Permission::named(word).ok_or_else(|| {
        Refusal::unprocessable(format!("Invalid permission: {word} is not a permission"))
    })?;
    let actor = call.actor();
    call.world.grant_team(team, repository, permission, actor);
    Ok(Reply::no_content())
}

pub(super) fn delete_repository(call: &mut Call<'_>) -> Answer {
    let (team, repository) = (call.team()?, call.repository());
    let actor = call.actor();
    call.world.revoke_team(team, repository, actor);
    Ok(Reply::no_content())
}
