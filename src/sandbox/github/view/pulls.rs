//! Pulls, their comments and checks.

use serde_json::{Value, json};

use super::super::git::{File, PathChange, change_hunks, unified};
use super::super::model::{CheckRun, CheckSuite, Comment, Id, Pull, PullState, Reaction, World};
use super::super::node_id::Node;
use super::{WEB, account, app, extend, repository, simple_commit};

fn address(world: &World, repository: Id) -> String {
    format!("{}/repos/{}", world.root, world.full_name(repository))
}

fn state(pull: &Pull) -> &'static str {
    match pull.state {
        PullState::Open => "open",
        PullState::Closed | PullState::Merged => "closed",
    }
}

fn side(world: &World, of: Option<Id>, branch: &str, sha: &str) -> Value {
    let owner = of.map(|id| world.repository(id).owner);
    let label = owner.map_or_else(
        || format!("unknown repository:{branch}"),
        |id| format!("{}:{branch}", world.login(id)),
    );
    json!({
        "label": label,
        "ref": branch,
        "sha": sha,
        "user": owner.map(|id| account(world, id)),
        "repo": of.map(|id| repository(world, id)),
    })
}

/// What `merge_commit_sha` says: the merge, or the last try of one.
fn merge_commit(pull: &Pull) -> Option<&String> {
    match pull.state {
        PullState::Merged => pull.merge_commit.as_ref(),
        PullState::Open | PullState::Closed => pull.test_merge.commit.as_ref(),
    }
}

/// A pull as lists show it.
pub(in super::super) fn pull_simple(world: &World, of: Id, pull: &Pull) -> Value {
    let address = address(world, of);
    let number = pull.number;
    let own = format!("{address}/pulls/{number}");
    let issue = format!("{address}/issues/{number}");
    let html = format!("{WEB}/{}/pull/{number}", world.full_name(of));
    let statuses = format!("{address}/statuses/{}", pull.head_sha);
    let mut shown = json!({
        "url": own,
        "id": pull.id,
        "node_id": Node::PullRequest(pull.id).id(),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "number": number,
        "state": state(pull),
        "locked": false,
        "title": pull.title,
        "user": account(world, pull.author),
        "body": pull.body,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": merge_commit(pull),
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": null,
        "draft": pull.draft,
    });
    let links = json!({
        "commits_url": format!("{own}/commits"),
        "review_comments_url": format!("{own}/comments"),
        "review_comment_url": format!("{address}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"),
        "statuses_url": statuses,
        "head": side(world, pull.head_repository, &pull.head_branch, &pull.head_sha),
        "base": side(world, Some(of), &pull.base_branch, &pull.base_sha),
        "_links": {
            "self": {"href": own},
            "html": {"href": html},
            "issue": {"href": issue},
            "comments": {"href": format!("{issue}/comments")},
            "review_comments": {"href": format!("{own}/comments")},
            "review_comment": {"href": format!("{address}/pulls/comments{{/number}}")},
            "commits": {"href": format!("{own}/commits")},
            "statuses": {"href": statuses},
        },
        "author_association": world.association(of, pull.author),
        "auto_merge": null,
        "active_lock_reason": null,
    });
    extend(&mut shown, links);
    shown
}

/// `GET …/pulls/{number}` and the `pull_request` of an event.
pub(in super::super) fn pull(world: &World, of: Id, pull: &Pull) -> Value {
    let mergeable = world.mergeable(of, pull);
    let changes = world.pull_changes(of, pull);
    let (additions, deletions) = changes.iter().fold((0, 0), |sum, change| {
        let (added, removed) = line_counts(world, of, change);
        (sum.0 + added, sum.1 + removed)
    });
    let comments = world.comments_on(of, pull.number).count();
    let mut shown = pull_simple(world, of, pull);
    let state = mergeable_state(world, of, pull, mergeable);
    extend(
        &mut shown,
        json!({
            "merged": pull.state == PullState::Merged,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": state,
            "merged_by": pull.merged_by.map(|id| account(world, id)),
            "comments": comments,
            "review_comments": 0,
            "maintainer_can_modify": false,
            "commits": world.pull_commits(of, pull).len(),
            "additions": additions,
            "deletions": deletions,
            "changed_files": changes.len(),
        }),
    );
    shown
}

fn mergeable_state(world: &World, of: Id, pull: &Pull, mergeable: Option<bool>) -> &'static str {
    match (pull.state, mergeable) {
        (PullState::Closed | PullState::Merged, _) | (_, None) => "unknown",
        (PullState::Open, Some(false)) => "dirty",
        (PullState::Open, Some(true)) if pull.draft => "draft",
        (PullState::Open, Some(true)) if world.is_behind(of, pull) => "behind",
        (PullState::Open, Some(true)) => match world.meets_protection(of, pull) {
            Ok(()) => "clean",
            Err(_) => "blocked",
        },
    }
}

/// The form in a check's `pull_requests`.
fn pull_minimal(world: &World, of: Id, pull: &Pull) -> Value {
    let side = |id: Id, branch: &str, sha: &str| {
        json!({
            "ref": branch,
            "sha": sha,
            "repo": {"id": id, "url": address(world, id), "name": world.repository(id).name},
        })
    };
    json!({
        "url": format!("{}/pulls/{}", address(world, of), pull.number),
        "id": pull.id,
        "number": pull.number,
        "head": side(of, &pull.head_branch, &pull.head_sha),
        "base": side(of, &pull.base_branch, &pull.base_sha),
    })
}

fn line_counts(world: &World, of: Id, change: &PathChange) -> (usize, usize) {
    let text = |side: &Option<File>| {
        side.as_ref()
            .and_then(|file| world.objects(of).blob(&file.blob))
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .unwrap_or_default()
    };
    let (before, after) = (text(&change.before), text(&change.after));
    change_hunks(&before, &after)
        .iter()
        .fold((0, 0), |sum, hunk| {
            (sum.0 + hunk.lines.len(), sum.1 + hunk.base.len())
        })
}

/// A changed file of a pull.
pub(in super::super) fn diff_entry(world: &World, of: Id, sha: &str, change: &PathChange) -> Value {
    let (additions, deletions) = line_counts(world, of, change);
    let status = match (&change.before, &change.after) {
        (None, _) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "modified",
    };
    let path = &change.path;
    let web = format!("{WEB}/{}", world.full_name(of));
    let mut shown = json!({
        "sha": change.after.as_ref().or(change.before.as_ref()).map(|file| &file.blob),
        "filename": path,
        "status": status,
        "additions": additions,
        "deletions": deletions,
        "changes": additions + deletions,
        "blob_url": format!("{web}/blob/{sha}/{path}"),
        "raw_url": format!("{web}/raw/{sha}/{path}"),
        "contents_url": format!("{}/contents/{path}?ref={sha}", address(world, of)),
    });
    if let Some(patch) = patch(world, of, change) {
        shown["patch"] = json!(patch);
    }
    shown
}

/// The change as a unified diff without its head; none where a side is no text.
fn patch(world: &World, of: Id, change: &PathChange) -> Option<String> {
    let text = |side: &Option<File>| {
        let blob = side.as_ref().map_or(Some([].as_slice()), |file| {
            world.objects(of).blob(&file.blob)
        })?;
        String::from_utf8(blob.to_vec()).ok()
    };
    Some(unified(&text(&change.before)?, &text(&change.after)?))
}

/// A pull seen as an issue, as `issue_comment` shows it.
pub(in super::super) fn issue(world: &World, of: Id, pull: &Pull) -> Value {
    let address = address(world, of);
    let number = pull.number;
    let own = format!("{address}/issues/{number}");
    let html = format!("{WEB}/{}/pull/{number}", world.full_name(of));
    json!({
        "url": own,
        "repository_url": address,
        "labels_url": format!("{own}/labels{{/name}}"),
        "comments_url": format!("{own}/comments"),
        "events_url": format!("{own}/events"),
        "timeline_url": format!("{own}/timeline"),
        "html_url": html,
        "id": pull.id,
        "node_id": Node::PullRequest(pull.id).id(),
        "number": number,
        "title": pull.title,
        "user": account(world, pull.author),
        "labels": [],
        "state": state(pull),
        "state_reason": null,
        "locked": false,
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "comments": world.comments_on(of, number).count(),
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "author_association": world.association(of, pull.author),
        "active_lock_reason": null,
        "draft": pull.draft,
        "pull_request": {
            "url": format!("{address}/pulls/{number}"),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "merged_at": pull.merged_at,
        },
        "body": pull.body,
        "reactions": rollup(&own, &[]),
        "performed_via_github_app": null,
    })
}

pub(in super::super) fn comment(world: &World, comment: &Comment) -> Value {
    let of = comment.repository;
    let own = format!("{}/issues/comments/{}", address(world, of), comment.id);
    json!({
        "url": own,
        "html_url": format!("{WEB}/{}/pull/{}#issuecomment-{}", world.full_name(of), comment.number, comment.id),
        "issue_url": format!("{}/issues/{}", address(world, of), comment.number),
        "id": comment.id,
        "node_id": Node::IssueComment(comment.id).id(),
        "user": account(world, comment.author),
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "author_association": world.association(of, comment.author),
        "body": comment.body,
        "reactions": rollup(&own, &comment.reactions),
        "performed_via_github_app": comment.app.map(|id| app(world, id)),
    })
}

fn rollup(address: &str, reactions: &[Reaction]) -> Value {
    let mut shown = json!({"url": format!("{address}/reactions"), "total_count": reactions.len()});
    for kind in [
        "+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes",
    ] {
        let count = reactions.iter().filter(|one| one.content == kind).count();
        shown[kind] = json!(count);
    }
    shown
}

pub(in super::super) fn reaction(world: &World, reaction: &Reaction) -> Value {
    json!({
        "id": reaction.id,
        "node_id": Node::Reaction(reaction.id).id(),
        "user": account(world, reaction.user),
        "content": reaction.content,
        "created_at": reaction.created_at,
    })
}

fn pulls_of_commit(world: &World, of: Id, sha: &str) -> Vec<Value> {
    world
        .repository(of)
        .pulls
        .values()
        .filter(|pull| pull.state == PullState::Open)
        .filter(|pull| pull.head_repository == Some(of) && pull.head_sha == sha)
        .map(|pull| pull_minimal(world, of, pull))
        .collect()
}

pub(in super::super) fn check_run(world: &World, run: &CheckRun) -> Value {
    let address = address(world, run.repository);
    let own = format!("{address}/check-runs/{}", run.id);
    let html = format!("{WEB}/{}/runs/{}", world.full_name(run.repository), run.id);
    json!({
        "id": run.id,
        "name": run.name,
        "node_id": Node::CheckRun(run.id).id(),
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": own,
        "html_url": html,
        "details_url": run.details_url.as_ref().unwrap_or(&html),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": run.annotations.len(),
            "annotations_url": format!("{own}/annotations"),
        },
        "check_suite": {"id": run.suite},
        "app": app(world, run.app),
        "pull_requests": pulls_of_commit(world, run.repository, &run.head_sha),
    })
}

/// An annotation as it is listed, from one as it was sent.
pub(in super::super) fn annotation(world: &World, run: &CheckRun, sent: &Value) -> Value {
    json!({
        "path": sent["path"],
        "blob_href": format!("{WEB}/{}/blob/{}/{}", world.full_name(run.repository), run.head_sha, sent["path"].as_str().unwrap_or_default()),
        "start_line": sent["start_line"],
        "start_column": sent["start_column"],
        "end_line": sent["end_line"],
        "end_column": sent["end_column"],
        "annotation_level": sent["annotation_level"],
        "title": sent["title"],
        "message": sent["message"],
        "raw_details": sent["raw_details"],
    })
}

/// A check suite inside of a check run.
pub(in super::super) fn simple_check_suite(world: &World, suite: &CheckSuite) -> Value {
    let of = suite.repository;
    let runs = runs_of(world, suite);
    let status = match runs.as_slice() {
        [] => "queued",
        runs if runs.iter().all(|run| run.status == "completed") => "completed",
        _ => "in_progress",
    };
    let conclusion = (status == "completed").then(|| {
        let failed = runs
            .iter()
            .find(|run| run.conclusion.as_deref() != Some("success"));
        failed.map_or("success", |run| {
            run.conclusion.as_deref().unwrap_or("neutral")
        })
    });
    json!({
        "id": suite.id,
        "node_id": Node::CheckSuite(suite.id).id(),
        "head_branch": suite.head_branch,
        "head_sha": suite.head_sha,
        "status": status,
        "conclusion": conclusion,
        "url": format!("{}/check-suites/{}", address(world, of), suite.id),
        "before": null,
        "after": suite.head_sha,
        "pull_requests": pulls_of_commit(world, of, &suite.head_sha),
        "app": app(world, suite.app),
        "created_at": suite.created_at,
        "updated_at": suite.created_at,
    })
}

fn runs_of<'a>(world: &'a World, suite: &CheckSuite) -> Vec<&'a CheckRun> {
    let runs = world.check_runs.values();
    runs.filter(|run| run.suite == suite.id).collect()
}

/// A check suite as a webhook tells of it; the repository stands beside it.
pub(in super::super) fn check_suite(world: &World, suite: &CheckSuite) -> Value {
    let of = suite.repository;
    let mut shown = simple_check_suite(world, suite);
    extend(
        &mut shown,
        json!({
            "rerequestable": true,
            "runs_rerequestable": true,
            "latest_check_runs_count": runs_of(world, suite).len(),
            "check_runs_url": format!("{}/check-suites/{}/check-runs", address(world, of), suite.id),
            "head_commit": simple_commit(world, of, &suite.head_sha),
        }),
    );
    shown
}

/// A check suite as REST shows it.
pub(in super::super) fn check_suite_full(world: &World, suite: &CheckSuite) -> Value {
    let mut full = check_suite(world, suite);
    full["repository"] = repository(world, suite.repository);
    full
}
