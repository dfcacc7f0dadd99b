//! Files, read and written one at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::actions::{Blocked, Edits};
use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::git::{Entry, Oid};
use super::super::model::{Id, Permission};
use super::super::view;

/// Above this size GitHub leaves `content` empty (and `encoding` is `none`), in bytes.
const LARGEST_INLINE: usize = 1_048_576;

/// Above this size the contents API refuses altogether, in bytes.
const LARGEST_FILE: usize = 104_857_600;

fn asked_commit(call: &Call<'_>) -> Result<(Oid, String), Refusal> {
    let repository = call.repository();
    let found = call.world.repository(repository);
    if found.is_empty() {
        return Err(Refusal::new(404, "This repository is empty."));
    }
    let reference = call
        .query("ref")
        .unwrap_or(&found.default_branch)
        .to_owned();
    call.world
        .resolve(repository, &reference)
        .map(|oid| (oid, reference.clone()))
        .ok_or_else(|| Refusal::new(404, format!("No commit found for the ref {reference}")))
}

/// A file's or folder's place at a commit.
struct Place<'a> {
    reference: &'a str,
    path: &'a str,
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let (commit, reference) = asked_commit(call)?;
    let path = call.parameter("path").trim_matches('/');
    let objects = call.world.objects(repository);
    let entry = objects.entry_at(&commit, path);
    let entry = entry.ok_or_else(Refusal::not_found)?;
    let place = Place {
        reference: &reference,
        path,
    };
    if entry.kind() == "tree" {
        return folder(call, &place, &entry);
    }
    let content = objects.blob(&entry.oid).unwrap_or_default();
    if content.len() > LARGEST_FILE {
        return Err(Refusal::new(
            403,
            "This API returns blobs up to 100 MB in size. The requested blob is too large to fetch via the API, but you can always clone the repository via Git in order to obtain this file.",
        ));
    }
    if call.accept.contains("raw") {
        return Ok(Reply::raw(
            "application/vnd.github.raw+json; charset=utf-8",
            content.to_vec(),
        ));
    }
    Ok(Reply::ok(file(call, &place, &entry)))
}

fn file(call: &Call<'_>, place: &Place<'_>, entry: &Entry) -> Value {
    let repository = call.repository();
    let content = call
        .world
        .objects(repository)
        .blob(&entry.oid)
        .unwrap_or_default();
    let mut shown =
        view::contents_entry(call.world, repository, place.path, entry, place.reference);
    let fits = content.len() <= LARGEST_INLINE;
    shown["content"] = json!(if fits {
        wrapped(content)
    } else {
        String::new()
    });
    shown["encoding"] = json!(if fits { "base64" } else { "none" });
    shown
}

/// Base64 in lines of 60, as GitHub sends it.
fn wrapped(content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    text.as_bytes()
        .chunks(60)
        .flat_map(|line| line.iter().chain(b"\n"))
        .map(|byte| char::from(*byte))
        .collect()
}

fn folder(call: &Call<'_>, place: &Place<'_>, entry: &Entry) -> Answer {
    let repository = call.repository();
    let entries = call
        .world
        .objects(repository)
        .tree(&entry.oid)
        .unwrap_or_default();
    let shown = entries
        .iter()
        .map(|one| {
            let path = match place.path {
                "" => one.name.clone(),
                folder => format!("{folder}/{}", one.name),
            };
            view::contents_entry(call.world, repository, &path, one, place.reference)
        })
        .collect();
    Ok(Reply::ok(Value::Array(shown)))
}

/// What both writing calls need to know.
struct Change {
    repository: Id,
    branch: String,
    path: String,
    message: String,
    before: Option<Entry>,
}

fn change(call: &Call<'_>) -> Result<Change, Refusal> {
    let repository = call.repository();
    let found = call.world.repository(repository);
    let missing = |name: &str| {
        Refusal::unprocessable(format!("Invalid request.\n\n\"{name}\" wasn't supplied."))
    };
    let message = call.text("message").ok_or_else(|| missing("message"))?;
    let branch = call.text("branch").unwrap_or(&found.default_branch);
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let tip = found.branches.get(branch);
    if tip.is_none() && !found.is_empty() {
        return Err(Refusal::new(404, format!("Branch {branch} not found")));
    }
    let path = call.parameter("path").trim_matches('/').to_owned();
    let before = tip.and_then(|tip| call.world.objects(repository).entry_at(tip, &path));
    Ok(Change {
        repository,
        branch: branch.to_owned(),
        path,
        message: message.to_owned(),
        before,
    })
}

/// The `sha` of the request must be the file's present one.
fn check_sha(call: &Call<'_>, change: &Change) -> Result<(), Refusal> {
    match (&change.before, call.text("sha")) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::unprocessable(
            "Invalid request.\n\n\"sha\" wasn't supplied.",
        )),
        (Some(before), Some(sha)) if before.oid == sha => Ok(()),
        (_, Some(sha)) => Err(Refusal::new(
            409,
            format!("{} does not match {sha}", change.path),
        )),
    }
}

fn check_workflow_path(call: &Call<'_>, change: &Change) -> Result<(), Refusal> {
    let workflow = change.path.starts_with(".github/workflows/");
    if workflow && call.caller.app(call.world).is_some() && !call.may("workflows=write") {
        return Err(Refusal::not_accessible().with_header(
            "x-accepted-github-permissions",
            "contents=write,workflows=write",
        ));
    }
    Ok(())
}

fn push_allowed(call: &Call<'_>, change: &Change) -> Result<(), Refusal> {
    let actor = call.actor();
    let person = call.caller.app(call.world).is_none();
    let access = call.world.access_of(actor, change.repository);
    if person && access < Some(Permission::Push) {
        return Err(Refusal::not_found());
    }
    let what = match change.before {
        Some(_) => "update",
        None => "create",
    };
    call.world
        .may_push(change.repository, &change.branch, None, actor)
        .map_err(|Blocked(why)| Refusal::new(409, format!("Could not {what} file: {why}")))
}

/// `PUT …/contents/{path}`: the first one in an empty repository makes its branch.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let change = change(call)?;
    push_allowed(call, &change)?;
    check_workflow_path(call, &change)?;
    let Some(text) = call.text("content") else {
        return Err(Refusal::unprocessable(
            "Invalid request.\n\n\"content\" wasn't supplied.",
        ));
    };
    let compact: String = text.split_whitespace().collect();
    let content = STANDARD
        .decode(compact)
        .map_err(|_| Refusal::unprocessable("content is not valid Base64"))?;
    check_sha(call, &change)?;
    let existed = change.before.is_some();
    let commit = commit(call, &change, Some(content));
    let entry = call
        .world
        .objects(change.repository)
        .entry_at(&commit, &change.path)
        .expect("it was written just now");
    let shown = json!({
        "content": view::contents_entry(call.world, change.repository, &change.path, &entry, &change.branch),
        "commit": view::git_commit(call.world, change.repository, &commit),
    });
    Ok(if existed {
        Reply::ok(shown)
    } else {
        Reply::created(shown)
    })
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    for name in ["message", "sha"] {
        if let (None, Some(value)) = (call.text(name), call.query(name)) {
            call.body[name] = json!(value);
        }
    }
    let change = change(call)?;
    push_allowed(call, &change)?;
    if change.before.is_none() {
        return Err(Refusal::not_found());
    }
    check_sha(call, &change)?;
    let commit = commit(call, &change, None);
    Ok(Reply::ok(json!({
        "content": null,
        "commit": view::git_commit(call.world, change.repository, &commit),
    })))
}

fn commit(call: &mut Call<'_>, change: &Change, content: Option<Vec<u8>>) -> Oid {
    let actor = call.actor();
    let edits = Edits::from([(change.path.clone(), content)]);
    call.world.commit_and_push(
        change.repository,
        actor,
        &change.branch,
        &change.message,
        &edits,
    )
}
