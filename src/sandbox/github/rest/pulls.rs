//! Pull requests, read.

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::{Pull, PullState};
use super::super::view;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let state = call.query("state").unwrap_or("open");
    let label = |pull: &Pull| {
        let owner = pull
            .head_repository
            .map(|id| call.world.login(call.world.repository(id).owner));
        format!("{}:{}", owner.unwrap_or_default(), pull.head_branch)
    };
    let mut found: Vec<&Pull> = call
        .world
        .repository(repository)
        .pulls
        .values()
        .filter(|pull| state == "all" || (pull.state == PullState::Open) == (state == "open"))
        .filter(|pull| {
            call.query("base")
                .is_none_or(|base| pull.base_branch == base)
        })
        .filter(|pull| call.query("head").is_none_or(|head| label(pull) == head))
        .collect();
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    call.page(&found, |pull| {
        view::pull_simple(call.world, repository, pull)
    })
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let (repository, number) = (call.repository(), call.pull()?);
    call.world.look_at_merge(repository, number);
    let pull = &call.world.repository(repository).pulls[&number];
    Ok(Reply::ok(view::pull(call.world, repository, pull)))
}

pub(super) fn files(call: &mut Call<'_>) -> Answer {
    let (repository, number) = (call.repository(), call.pull()?);
    let pull = &call.world.repository(repository).pulls[&number];
    let changes = call.world.pull_changes(repository, pull);
    call.page(&changes, |change| {
        view::diff_entry(call.world, repository, &pull.head_sha, change)
    })
}

pub(super) fn commits(call: &mut Call<'_>) -> Answer {
    let (repository, number) = (call.repository(), call.pull()?);
    let pull = &call.world.repository(repository).pulls[&number];
    let commits = call.world.pull_commits(repository, pull);
    call.page(&commits, |oid| view::commit(call.world, repository, oid))
}

/// The merged pull that brought a commit to the default branch, or the open ones that hold it.
pub(super) fn of_commit(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let oid = call.world.resolve(repository, call.parameter("ref"));
    let oid = oid.ok_or_else(|| {
        Refusal::unprocessable(format!(
            "No commit found for SHA: {}",
            call.parameter("ref")
        ))
    })?;
    let found = call.world.pulls_with(repository, &oid);
    call.page(&found, |pull| {
        view::pull_simple(call.world, repository, pull)
    })
}
