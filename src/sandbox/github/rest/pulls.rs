//! Pull requests.

use serde_json::json;

use super::super::actions::{Blocked, Merge, MergeMethod, NewPull};
use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::{Id, Permission, Pull, PullState};
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

/// What the message of a refused pull says, without a field.
fn refused(message: &str) -> Refusal {
    let error = json!({"resource": "PullRequest", "code": "custom", "message": message});
    Refusal::new(422, "Validation Failed").with_error(error)
}

fn required(call: &Call<'_>, name: &str) -> Result<String, Refusal> {
    call.text(name)
        .filter(|text| !text.is_empty())
        .map(ToOwned::to_owned)
        .ok_or_else(|| Refusal::code("PullRequest", name, "missing_field"))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let of = call.repository();
    let title = required(call, "title")?;
    let (base_branch, head) = (required(call, "base")?, required(call, "head")?);
    let (head_repository, head_branch) = side(call, of, &head)?;
    let new = NewPull {
        base_branch,
        head_repository,
        head_branch,
        title,
        body: call.text("body").unwrap_or_default().to_owned(),
        draft: call.flag("draft") == Some(true),
    };
    check_new(call, of, &new)?;
    let author = call.actor();
    let number = call.world.open_pull(of, author, new);
    let pull = &call.world.repository(of).pulls[&number];
    let shown = view::pull(call.world, of, pull);
    let location = shown["url"].as_str().unwrap_or_default().to_owned();
    Ok(Reply::created(shown).with_header("location", location))
}

/// The repository and branch that `branch` or `owner:branch` means.
fn side(call: &Call<'_>, of: Id, head: &str) -> Result<(Id, String), Refusal> {
    let invalid = || Refusal::code("PullRequest", "head", "invalid");
    let Some((owner, branch)) = head.split_once(':') else {
        return Ok((of, head.to_owned()));
    };
    let owner = call.world.account_id(owner).ok_or_else(invalid)?;
    let network = call.world.repository(of).network;
    let found = call.world.repositories.values().find(|one| {
        one.owner == owner && one.network == network && call.caller.can_see(call.world, one.id)
    });
    found
        .map(|one| (one.id, branch.to_owned()))
        .ok_or_else(invalid)
}

/// What GitHub refuses to open.
fn check_new(call: &Call<'_>, of: Id, new: &NewPull) -> Result<(), Refusal> {
    let tip = |repository: Id, branch: &str| {
        let branches = &call.world.repository(repository).branches;
        branches.get(branch).cloned()
    };
    let invalid = |field: &str| Refusal::code("PullRequest", field, "invalid");
    let base = tip(of, &new.base_branch).ok_or_else(|| invalid("base"))?;
    let head = tip(new.head_repository, &new.head_branch).ok_or_else(|| invalid("head"))?;
    let owner = call.world.repository(new.head_repository).owner;
    let label = format!("{}:{}", call.world.login(owner), new.head_branch);
    let exists = call.world.repository(of).pulls.values().any(|pull| {
        pull.state == PullState::Open
            && pull.base_branch == new.base_branch
            && pull.head_repository == Some(new.head_repository)
            && pull.head_branch == new.head_branch
    });
    if exists {
        return Err(refused(&format!(
            "A pull request already exists for {label}."
        )));
    }
    if call.world.objects(of).contains(&base, &head) {
        let shown = if new.head_repository == of {
            &new.head_branch
        } else {
            &label
        };
        return Err(refused(&format!(
            "No commits between {} and {shown}",
            new.base_branch
        )));
    }
    Ok(())
}

/// Closes, reopens, retitles, describes or retargets; for its author, and for those who may push.
pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let (of, number) = (call.repository(), call.pull()?);
    let actor = call.actor();
    check_editor(call, of, number)?;
    if let Some(title) = call.text("title").map(ToOwned::to_owned) {
        if title.trim().is_empty() {
            return Err(Refusal::code("PullRequest", "title", "missing_field"));
        }
        if call.world.pull_mut(of, number).title != title {
            call.world.retitle_pull(of, number, &title, actor);
        }
    }
    if let Some(body) = call.text("body").map(ToOwned::to_owned)
        && call.world.pull_mut(of, number).body != body
    {
        call.world.describe_pull(of, number, &body, actor);
    }
    if let Some(base) = call.text("base").map(ToOwned::to_owned) {
        if !call.world.repository(of).branches.contains_key(&base) {
            return Err(Refusal::code("PullRequest", "base", "invalid"));
        }
        if call.world.pull_mut(of, number).base_branch != base {
            call.world.retarget_pull(of, number, &base, actor);
        }
    }
    if let Some(state) = call.text("state").map(ToOwned::to_owned) {
        set_state(call, of, number, &state)?;
    }
    let pull = &call.world.repository(of).pulls[&number];
    Ok(Reply::ok(view::pull(call.world, of, pull)))
}

fn check_editor(call: &Call<'_>, of: Id, number: u64) -> Result<(), Refusal> {
    let actor = call.actor();
    let app = call.caller.app(call.world).is_some();
    let own = call.world.repository(of).pulls[&number].author == actor;
    if app || own || call.world.access_of(actor, of) >= Some(Permission::Push) {
        Ok(())
    } else {
        Err(Refusal::new(403, "Must have admin rights to Repository."))
    }
}

fn set_state(call: &mut Call<'_>, of: Id, number: u64, wanted: &str) -> Result<(), Refusal> {
    let actor = call.actor();
    let pull = &call.world.repository(of).pulls[&number];
    match (wanted, pull.state) {
        ("open", PullState::Open) | ("closed", PullState::Closed | PullState::Merged) => Ok(()),
        ("closed", PullState::Open) => {
            call.world.close_pull(of, number, actor);
            Ok(())
        }
        ("open", PullState::Closed) => {
            check_reopen(call, of, pull)?;
            call.world.reopen_pull(of, number, actor);
            Ok(())
        }
        ("open", PullState::Merged) => Err(state_stays("The pull request is merged.")),
        _ => Err(Refusal::code("PullRequest", "state", "invalid")),
    }
}

fn state_stays(why: &str) -> Refusal {
    Refusal::validation(
        "PullRequest",
        "state",
        &format!("state cannot be changed. {why}"),
    )
}

fn check_reopen(call: &Call<'_>, of: Id, pull: &Pull) -> Result<(), Refusal> {
    let branch = pull.head_repository.and_then(|repository| {
        let branches = &call.world.repository(repository).branches;
        branches.get(&pull.head_branch)
    });
    if branch.is_none() {
        return Err(state_stays(&format!(
            "The {} branch has been deleted.",
            pull.head_branch
        )));
    }
    let taken = call.world.repository(of).pulls.values().find(|other| {
        other.state == PullState::Open
            && other.head_repository == pull.head_repository
            && other.head_branch == pull.head_branch
            && other.base_branch == pull.base_branch
    });
    match taken {
        Some(other) => Err(state_stays(&format!(
            "There is already an open pull request (#{}) from this branch.",
            other.number
        ))),
        None => Ok(()),
    }
}

/// `PUT …/pulls/{number}/merge`: 405 where it cannot be merged, 409 where its head is another one by now.
pub(super) fn merge(call: &mut Call<'_>) -> Answer {
    let (of, number) = (call.repository(), call.pull()?);
    let actor = call.actor();
    call.world.look_at_merge(of, number);
    let pull = &call.world.repository(of).pulls[&number];
    let not_now = |message: &str| Refusal::new(405, message);
    if pull.state != PullState::Open {
        return Err(not_now("Pull Request is not mergeable"));
    }
    if pull.draft {
        return Err(not_now("Pull Request is still a draft"));
    }
    if call.text("sha").is_some_and(|sha| sha != pull.head_sha) {
        return Err(Refusal::new(
            409,
            "Head branch was modified. Review and try the merge again.",
        ));
    }
    call.world
        .may_merge(of, pull, actor)
        .map_err(|Blocked(why)| not_now(&why))?;
    let merge = wanted_merge(call)?;
    let commit = call.world.merge_pull(of, number, &merge, actor);
    let commit = commit.map_err(|_| not_now("Pull Request is not mergeable"))?;
    Ok(Reply::ok(json!({
        "sha": commit,
        "merged": true,
        "message": "Pull Request successfully merged",
    })))
}

fn wanted_merge(call: &Call<'_>) -> Result<Merge, Refusal> {
    let method = match call.text("merge_method") {
        None | Some("merge") => MergeMethod::Merge,
        Some("squash") => MergeMethod::Squash,
        Some("rebase") => MergeMethod::Rebase,
        Some(_) => return Err(Refusal::code("PullRequest", "merge_method", "invalid")),
    };
    let text = |name: &str| call.text(name).map(ToOwned::to_owned);
    Ok(Merge {
        method,
        title: text("commit_title"),
        message: text("commit_message"),
    })
}

/// What happened to a pull, oldest first: events, commits and comments.
pub(super) fn timeline(call: &mut Call<'_>) -> Answer {
    let (of, number) = (call.repository(), call.pull()?);
    let lines = view::timeline(call.world, of, number);
    call.page(&lines, Clone::clone)
}
