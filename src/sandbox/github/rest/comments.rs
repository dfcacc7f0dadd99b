//! Comments on pulls.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::clock;
use super::super::model::{Id, Permission, Reaction};
use super::super::view;

/// The longest comment, in characters.
const LONGEST_BODY: usize = 65_536;

fn checked_body(call: &Call<'_>) -> Result<String, Refusal> {
    let body = call.text("body").unwrap_or_default();
    if body.is_empty() {
        return Err(Refusal::code("IssueComment", "body", "missing_field"));
    }
    if body.chars().count() > LONGEST_BODY {
        let message = format!("Body is too long (maximum is {LONGEST_BODY} characters)");
        let error = json!({"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": message});
        return Err(Refusal::new(422, "Validation Failed").with_error(error));
    }
    Ok(body.to_owned())
}

/// A comment of this repository.
fn find(call: &Call<'_>) -> Result<Id, Refusal> {
    let (repository, id) = (call.repository(), call.number("comment_id")?);
    call.world
        .comments
        .get(&id)
        .filter(|comment| comment.repository == repository)
        .map(|comment| comment.id)
        .ok_or_else(Refusal::not_found)
}

/// A comment that the caller may change: its own, or anybody's for those who write to the repository.
fn find_own(call: &Call<'_>) -> Result<Id, Refusal> {
    let id = find(call)?;
    let actor = call.actor();
    let own = call.world.comments[&id].author == actor;
    let app = call.caller.app(call.world).is_some();
    let writes = app || call.world.access_of(actor, call.repository()) >= Some(Permission::Push);
    if own || writes {
        Ok(id)
    } else {
        Err(Refusal::new(403, "Must have admin rights to Repository."))
    }
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let (repository, number) = (call.repository(), call.pull()?);
    let ids: Vec<Id> = call
        .world
        .comments_on(repository, number)
        .map(|comment| comment.id)
        .collect();
    call.page(&ids, |id| {
        view::comment(call.world, &call.world.comments[id])
    })
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    Ok(Reply::ok(view::comment(
        call.world,
        &call.world.comments[&id],
    )))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let (repository, number) = (call.repository(), call.pull()?);
    let body = checked_body(call)?;
    let (actor, app) = (call.actor(), call.caller.app(call.world));
    let id = call
        .world
        .add_comment(repository, number, actor, app, &body);
    Ok(Reply::created(view::comment(
        call.world,
        &call.world.comments[&id],
    )))
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let id = find_own(call)?;
    let body = checked_body(call)?;
    let actor = call.actor();
    let comment = call.world.comments.get_mut(&id).expect("found just now");
    let before = std::mem::replace(&mut comment.body, body);
    comment.updated_at = clock::stamp_now();
    if before != comment.body {
        let changes = json!({"changes": {"body": {"from": before}}});
        call.world.emit_comment(id, "edited", actor, changes);
    }
    Ok(Reply::ok(view::comment(
        call.world,
        &call.world.comments[&id],
    )))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let id = find_own(call)?;
    let actor = call.actor();
    call.world
        .emit_comment(id, "deleted", actor, Value::Object(serde_json::Map::new()));
    call.world.comments.remove(&id);
    Ok(Reply::no_content())
}

pub(super) fn reactions(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    call.page(&call.world.comments[&id].reactions, |one| {
        view::reaction(call.world, one)
    })
}

/// 201 for a new reaction, 200 for one that was there.
pub(super) fn react(call: &mut Call<'_>) -> Answer {
    const KINDS: [&str; 8] = [
        "+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes",
    ];
    let id = find(call)?;
    let content = call.text("content").unwrap_or_default().to_owned();
    if !KINDS.contains(&content.as_str()) {
        return Err(Refusal::code("Reaction", "content", "invalid"));
    }
    let user = call.actor();
    let existing = call.world.comments[&id]
        .reactions
        .iter()
        .find(|one| one.user == user && one.content == content);
    if let Some(reaction) = existing {
        return Ok(Reply::ok(view::reaction(call.world, reaction)));
    }
    let reaction = Reaction {
        id: call.world.fresh_id(),
        user,
        content,
        created_at: clock::stamp_now(),
    };
    let shown = view::reaction(call.world, &reaction);
    let comment = call.world.comments.get_mut(&id).expect("found just now");
    comment.reactions.push(reaction);
    Ok(Reply::created(shown))
}
