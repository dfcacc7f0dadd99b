//! Branches, commits and git's own objects.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::actions::Blocked;
use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::git::{Commit, Entry, File, Files, Oid};
use super::super::model::Id;
use super::super::node_id::{Node, ObjectKind};
use super::super::view;

/// The repository, unless it is empty: then git's data cannot even be written.
fn filled_repository(call: &Call<'_>) -> Result<Id, Refusal> {
    let id = call.repository();
    if call.world.repository(id).is_empty() {
        Err(Refusal::empty_repository())
    } else {
        Ok(id)
    }
}

fn commit_named(call: &Call<'_>, repository: Id, name: &str) -> Result<Oid, Refusal> {
    call.world
        .resolve(repository, name)
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))
}

pub(super) fn commit(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let oid = commit_named(call, repository, call.parameter("ref"))?;
    if call.accept.contains("sha") {
        return Ok(Reply::raw(
            "application/vnd.github.sha; charset=utf-8",
            oid.into_bytes(),
        ));
    }
    let mut shown = view::commit(call.world, repository, &oid);
    let objects = call.world.objects(repository);
    let parent = objects
        .commit(&oid)
        .and_then(|commit| commit.parents.first().cloned());
    let files: Vec<Value> = objects
        .changed_paths(parent.as_deref(), &oid)
        .iter()
        .map(|change| view::diff_entry(call.world, repository, &oid, change))
        .collect();
    let sum = |name: &str| -> u64 { files.iter().filter_map(|file| file[name].as_u64()).sum() };
    shown["stats"] = json!({"total": sum("changes"), "additions": sum("additions"), "deletions": sum("deletions")});
    shown["files"] = Value::Array(files);
    Ok(Reply::ok(shown))
}

pub(super) fn commits(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let name = call.query("sha").unwrap_or("HEAD");
    let tip = call
        .world
        .resolve(repository, name)
        .ok_or_else(Refusal::not_found)?;
    let history = call.world.objects(repository).history(&tip);
    call.page(&history, |oid| view::commit(call.world, repository, oid))
}

/// `GET …/compare/{base}...{head}`.
pub(super) fn compare(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let (base, head) = call
        .parameter("range")
        .split_once("...")
        .ok_or_else(Refusal::not_found)?;
    let find = |name: &str| {
        call.world
            .resolve(repository, name)
            .ok_or_else(Refusal::not_found)
    };
    let (base, head) = (find(base)?, find(head)?);
    let objects = call.world.objects(repository);
    let merge_base = objects
        .merge_base(&base, &head)
        .ok_or_else(Refusal::not_found)?;
    let ahead = objects.new_commits(&head, &base);
    let behind = objects.new_commits(&base, &head).len();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let files: Vec<Value> = objects
        .changed_paths(Some(&merge_base), &head)
        .iter()
        .map(|change| view::diff_entry(call.world, repository, &head, change))
        .collect();
    let show = |oid: &Oid| view::commit(call.world, repository, oid);
    let url = format!("{}{}", call.world.root, call.path);
    let html = format!(
        "{}/{}/compare/{base}...{head}",
        view::WEB,
        call.world.full_name(repository)
    );
    Ok(Reply::ok(json!({
        "url": url, "html_url": html, "permalink_url": html,
        "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "base_commit": show(&base),
        "merge_base_commit": show(&merge_base),
        "status": status,
        "ahead_by": ahead.len(),
        "behind_by": behind,
        "total_commits": ahead.len(),
        "commits": ahead.iter().map(show).collect::<Vec<_>>(),
        "files": files,
    })))
}

pub(super) fn branches(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let branches: Vec<(String, Oid)> = call
        .world
        .repository(repository)
        .branches
        .iter()
        .map(|(name, oid)| (name.clone(), oid.clone()))
        .collect();
    call.page(&branches, |(name, oid)| {
        let url = format!(
            "{}/repos/{}/commits/{oid}",
            call.world.root,
            call.world.full_name(repository)
        );
        let protected = call.world.protection(repository, name).is_some();
        json!({"name": name, "commit": {"sha": oid, "url": url}, "protected": protected})
    })
}

pub(super) fn branch(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let name = call.parameter("branch");
    let oid = call.world.repository(repository).branches.get(name);
    let oid = oid.ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    let full_name = call.world.full_name(repository);
    let own = format!("{}/repos/{full_name}/branches/{name}", call.world.root);
    let protection = call.world.protection(repository, name);
    Ok(Reply::ok(json!({
        "name": name,
        "commit": view::commit(call.world, repository, oid),
        "_links": {"self": own, "html": format!("{}/{full_name}/tree/{name}", view::WEB)},
        "protected": protection.is_some(),
        "protection": view::protection_in_branch(protection),
        "protection_url": format!("{own}/protection"),
    })))
}

// ── references ──

/// A reference by its full name; `heads/main` in the path means `refs/heads/main`.
fn full_reference(name: &str) -> String {
    format!("refs/{}", name.strip_prefix("refs/").unwrap_or(name))
}

pub(super) fn reference(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let name = full_reference(call.parameter("ref"));
    let known = name.starts_with("refs/heads/") || name.starts_with("refs/pull/");
    let oid = call.world.resolve(repository, &name).filter(|_| known);
    let oid = oid.ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view::git_reference(
        call.world, repository, &name, &oid,
    )))
}

pub(super) fn matching(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let prefix = full_reference(call.parameter("ref"));
    let found: Vec<(String, Oid)> = call
        .world
        .repository(repository)
        .branches
        .iter()
        .map(|(name, oid)| (format!("refs/heads/{name}"), oid.clone()))
        .filter(|(name, _)| name.starts_with(&prefix))
        .collect();
    call.page(&found, |(name, oid)| {
        view::git_reference(call.world, repository, name, oid)
    })
}

fn wanted_commit(call: &Call<'_>, repository: Id) -> Result<Oid, Refusal> {
    let sha = call.text("sha").unwrap_or_default();
    if call.world.objects(repository).commit(sha).is_some() {
        Ok(sha.to_owned())
    } else {
        Err(Refusal::unprocessable("Object does not exist"))
    }
}

fn branch_name(reference: &str) -> Result<String, Refusal> {
    reference
        .strip_prefix("refs/heads/")
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .ok_or_else(|| Refusal::unprocessable(format!("{reference} is not a valid ref name.")))
}

pub(super) fn create_reference(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let reference = call.text("ref").unwrap_or_default().to_owned();
    let branch = branch_name(&reference)?;
    let oid = wanted_commit(call, repository)?;
    if call
        .world
        .repository(repository)
        .branches
        .contains_key(&branch)
    {
        return Err(Refusal::unprocessable("Reference already exists"));
    }
    let actor = call.actor();
    call.world.push(repository, actor, &branch, Some(&oid));
    Ok(Reply::created(view::git_reference(
        call.world, repository, &reference, &oid,
    )))
}

pub(super) fn move_reference(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let reference = full_reference(call.parameter("ref"));
    let branch = branch_name(&reference)?;
    let before = call.world.repository(repository).branches.get(&branch);
    let before = before
        .cloned()
        .ok_or_else(|| Refusal::unprocessable("Reference does not exist"))?;
    let oid = wanted_commit(call, repository)?;
    let forward = call.world.objects(repository).contains(&oid, &before);
    if !forward && call.flag("force") != Some(true) {
        return Err(Refusal::unprocessable("Update is not a fast forward"));
    }
    let actor = call.actor();
    let allowed = if forward {
        call.world.may_push(repository, &branch, Some(&oid), actor)
    } else {
        call.world
            .may_rewrite(repository, &branch, Some(&oid), actor)
    };
    allowed.map_err(|Blocked(why)| Refusal::unprocessable(why))?;
    call.world.push(repository, actor, &branch, Some(&oid));
    Ok(Reply::ok(view::git_reference(
        call.world, repository, &reference, &oid,
    )))
}

pub(super) fn delete_reference(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let branch = branch_name(&full_reference(call.parameter("ref")))?;
    if !call
        .world
        .repository(repository)
        .branches
        .contains_key(&branch)
    {
        return Err(Refusal::unprocessable("Reference does not exist"));
    }
    let actor = call.actor();
    call.world
        .may_rewrite(repository, &branch, None, actor)
        .map_err(|Blocked(why)| Refusal::unprocessable(why))?;
    call.world.push(repository, actor, &branch, None);
    Ok(Reply::no_content())
}

// ── objects ──

pub(super) fn git_commit(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let oid = call.parameter("sha");
    if call.world.objects(repository).commit(oid).is_none() {
        return Err(Refusal::not_found());
    }
    Ok(Reply::ok(view::git_commit(call.world, repository, oid)))
}

pub(super) fn create_commit(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let tree = call.text("tree").unwrap_or_default().to_owned();
    let objects = call.world.objects(repository);
    if objects.tree(&tree).is_none() {
        return Err(Refusal::unprocessable("Tree SHA does not exist"));
    }
    let parents: Vec<Oid> = call.body["parents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|parent| parent.as_str().map(ToOwned::to_owned))
        .collect();
    if parents.iter().any(|oid| objects.commit(oid).is_none()) {
        return Err(Refusal::unprocessable(
            "Parent SHA does not exist or is not a commit object",
        ));
    }
    let who = call.world.signature_of(call.actor());
    let commit = Commit {
        tree,
        parents,
        author: who.clone(),
        committer: who,
        message: call.text("message").unwrap_or_default().to_owned(),
    };
    let oid = call.world.objects_mut(repository).write_commit(commit);
    Ok(Reply::created(view::git_commit(
        call.world, repository, &oid,
    )))
}

/// A tree by its own id, or by that of a commit, or by a branch.
fn tree_named(call: &Call<'_>, repository: Id, name: &str) -> Option<Oid> {
    let objects = call.world.objects(repository);
    if objects.tree(name).is_some() {
        return Some(name.to_owned());
    }
    let commit = call.world.resolve(repository, name)?;
    Some(objects.commit(&commit)?.tree.clone())
}

pub(super) fn tree(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let oid = tree_named(call, repository, call.parameter("sha"));
    let oid = oid.ok_or_else(Refusal::not_found)?;
    let objects = call.world.objects(repository);
    let entries: Vec<Entry> = if call.query("recursive").is_some() {
        let file = |(path, file): (String, File)| Entry {
            name: path,
            mode: file.mode,
            oid: file.blob,
        };
        objects.files(&oid).into_iter().map(file).collect()
    } else {
        objects.tree(&oid).unwrap_or_default().to_vec()
    };
    Ok(Reply::ok(view::git_tree(
        call.world, repository, &oid, &entries,
    )))
}

pub(super) fn create_tree(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let mut files = match call.text("base_tree") {
        Some(base) => {
            let base = tree_named(call, repository, base);
            let base = base.ok_or_else(|| Refusal::new(404, "Not Found"))?;
            call.world.objects(repository).files(&base)
        }
        None => Files::new(),
    };
    let lines = call.body["tree"].as_array().cloned().unwrap_or_default();
    for line in &lines {
        apply_line(call, repository, &mut files, line)?;
    }
    let objects = call.world.objects_mut(repository);
    let oid = objects.write_files(&files);
    let entries = objects.tree(&oid).unwrap_or_default().to_vec();
    Ok(Reply::created(view::git_tree(
        call.world, repository, &oid, &entries,
    )))
}

fn apply_line(
    call: &mut Call<'_>,
    repository: Id,
    files: &mut Files,
    line: &Value,
) -> Result<(), Refusal> {
    let objects = call.world.objects_mut(repository);
    let path = line["path"].as_str().unwrap_or_default().to_owned();
    let mode = line["mode"].as_str().unwrap_or("100644").to_owned();
    let blob = match (line["content"].as_str(), line["sha"].as_str()) {
        (Some(content), _) => objects.write_blob(content.as_bytes()),
        (None, Some(sha)) if objects.blob(sha).is_some() => sha.to_owned(),
        (None, Some(sha)) => {
            return Err(Refusal::unprocessable(format!(
                "tree.sha {sha} is not a valid blob"
            )));
        }
        (None, None) => {
            files.remove(&path);
            return Ok(());
        }
    };
    files.insert(path, File { mode, blob });
    Ok(())
}

pub(super) fn blob(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let oid = call.parameter("sha");
    let content = call.world.objects(repository).blob(oid);
    let content = content.ok_or_else(Refusal::not_found)?;
    if call.accept.contains("raw") {
        return Ok(Reply::raw(
            "application/vnd.github.raw+json; charset=utf-8",
            content.to_vec(),
        ));
    }
    let node = Node::Object {
        kind: ObjectKind::Blob,
        repository,
        oid: oid.to_owned(),
    };
    Ok(Reply::ok(json!({
        "sha": oid,
        "node_id": node.id(),
        "size": content.len(),
        "url": blob_address(call, oid),
        "content": STANDARD.encode(content),
        "encoding": "base64",
    })))
}

fn blob_address(call: &Call<'_>, oid: &str) -> String {
    let full_name = call.world.full_name(call.repository());
    format!("{}/repos/{full_name}/git/blobs/{oid}", call.world.root)
}

pub(super) fn create_blob(call: &mut Call<'_>) -> Answer {
    let repository = filled_repository(call)?;
    let text = call.text("content").unwrap_or_default();
    let content = if call.text("encoding") == Some("base64") {
        let compact: String = text.split_whitespace().collect();
        STANDARD
            .decode(compact)
            .map_err(|_| Refusal::unprocessable("content is not valid Base64"))?
    } else {
        text.as_bytes().to_vec()
    };
    let oid = call.world.objects_mut(repository).write_blob(&content);
    let url = blob_address(call, &oid);
    Ok(Reply::created(json!({"sha": oid, "url": url})))
}
