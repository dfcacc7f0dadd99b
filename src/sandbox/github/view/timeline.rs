//! What happened to a pull, line by line.

use serde_json::{Value, json};

use super::super::model::{Comment, Deed, Id, PullEvent, World};
use super::super::node_id::Node;
use super::{account, comment, git_commit};

/// A pull's events, commits and comments, oldest first.
pub(in super::super) fn timeline(world: &World, of: Id, number: u64) -> Vec<Value> {
    let pull = &world.repository(of).pulls[&number];
    let present = world.pull_commits(of, pull);
    let events = pull
        .events
        .iter()
        .filter(|event| match &event.deed {
            Deed::Committed(oid) => present.contains(oid),
            _ => true,
        })
        .map(|event| (event.id, pull_event(world, of, event)));
    let comments = world
        .comments_on(of, number)
        .map(|one| (one.id, timeline_comment(world, one)));
    let mut lines: Vec<(Id, Value)> = events.chain(comments).collect();
    lines.sort_by_key(|(id, _)| *id);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn timeline_comment(world: &World, of: &Comment) -> Value {
    let mut shown = comment(world, of);
    shown["event"] = json!("commented");
    shown["actor"] = account(world, of.author);
    shown
}

fn pull_event(world: &World, of: Id, event: &PullEvent) -> Value {
    let (name, prefix, commit) = match &event.deed {
        Deed::Committed(oid) => {
            let mut shown = git_commit(world, of, oid);
            shown["event"] = json!("committed");
            return shown;
        }
        Deed::ForcePushed(oid) => ("head_ref_force_pushed", "HRFPE", Some(oid)),
        Deed::Renamed { .. } => ("renamed", "RTE", None),
        Deed::Retargeted => ("base_ref_changed", "BRCE", None),
        Deed::Merged(oid) => ("merged", "ME", Some(oid)),
        Deed::Closed => ("closed", "CE", None),
        Deed::Reopened => ("reopened", "REE", None),
        Deed::HeadDeleted => ("head_ref_deleted", "HRDE", None),
    };
    let address = format!("{}/repos/{}", world.root, world.full_name(of));
    let mut shown = json!({
        "id": event.id,
        "node_id": Node::Event { prefix, id: event.id }.id(),
        "url": format!("{address}/issues/events/{}", event.id),
        "actor": account(world, event.actor),
        "event": name,
        "commit_id": commit,
        "commit_url": commit.map(|oid| format!("{address}/commits/{oid}")),
        "created_at": event.created_at,
        "performed_via_github_app": null,
    });
    match &event.deed {
        Deed::Renamed { from, to } => shown["rename"] = json!({"from": from, "to": to}),
        Deed::Closed | Deed::Reopened => shown["state_reason"] = Value::Null,
        Deed::Committed(_)
        | Deed::ForcePushed(_)
        | Deed::Retargeted
        | Deed::Merged(_)
        | Deed::HeadDeleted => {}
    }
    shown
}
