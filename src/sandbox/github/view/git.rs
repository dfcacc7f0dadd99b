//! Git's objects, in the several forms that GitHub has for a commit.

use serde_json::{Value, json};

use super::super::clock;
use super::super::git::{Commit, Entry, Signature};
use super::super::model::{Id, World};
use super::super::node_id::{Node, ObjectKind};
use super::{WEB, account};

fn address(world: &World, repository: Id) -> String {
    format!("{}/repos/{}", world.root, world.full_name(repository))
}

fn web_address(world: &World, repository: Id) -> String {
    format!("{WEB}/{}", world.full_name(repository))
}

fn node_id(kind: ObjectKind, repository: Id, oid: &str) -> String {
    let oid = oid.to_owned();
    Node::Object {
        kind,
        repository,
        oid,
    }
    .id()
}

fn signature(who: &Signature) -> Value {
    json!({"name": who.name, "email": who.email, "date": clock::stamp(who.date)})
}

fn unverified() -> Value {
    json!({"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null})
}

fn parents(world: &World, repository: Id, commit: &Commit, kind: &str) -> Vec<Value> {
    commit
        .parents
        .iter()
        .map(|oid| {
            json!({
                "sha": oid,
                "url": format!("{}/{kind}/{oid}", address(world, repository)),
                "html_url": format!("{}/commit/{oid}", web_address(world, repository)),
            })
        })
        .collect()
}

fn find<'a>(world: &'a World, repository: Id, oid: &str) -> &'a Commit {
    world
        .objects(repository)
        .commit(oid)
        .expect("only commits that were found are shown")
}

/// `GET …/git/commits/{sha}`.
pub(in super::super) fn git_commit(world: &World, repository: Id, oid: &str) -> Value {
    let commit = find(world, repository, oid);
    let address = address(world, repository);
    json!({
        "sha": oid,
        "node_id": node_id(ObjectKind::Commit, repository, oid),
        "url": format!("{address}/git/commits/{oid}"),
        "html_url": format!("{}/commit/{oid}", web_address(world, repository)),
        "author": signature(&commit.author),
        "committer": signature(&commit.committer),
        "tree": {"sha": commit.tree, "url": format!("{address}/git/trees/{}", commit.tree)},
        "message": commit.message,
        "parents": parents(world, repository, commit, "git/commits"),
        "verification": unverified(),
    })
}

/// `GET …/commits/{ref}`.
pub(in super::super) fn commit(world: &World, repository: Id, oid: &str) -> Value {
    let commit = find(world, repository, oid);
    let address = address(world, repository);
    let person = |who: &Signature| who.account.map(|id| account(world, id));
    json!({
        "sha": oid,
        "node_id": node_id(ObjectKind::Commit, repository, oid),
        "commit": {
            "author": signature(&commit.author),
            "committer": signature(&commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": format!("{address}/git/trees/{}", commit.tree)},
            "url": format!("{address}/git/commits/{oid}"),
            "comment_count": 0,
            "verification": unverified(),
        },
        "url": format!("{address}/commits/{oid}"),
        "html_url": format!("{}/commit/{oid}", web_address(world, repository)),
        "comments_url": format!("{address}/commits/{oid}/comments"),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
        "parents": parents(world, repository, commit, "commits"),
    })
}

/// The form in `check_suite.head_commit` and `merge_group.head_commit`.
pub(in super::super) fn simple_commit(world: &World, repository: Id, oid: &str) -> Value {
    let commit = find(world, repository, oid);
    let person = |who: &Signature| json!({"name": who.name, "email": who.email});
    json!({
        "id": oid,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": clock::stamp(commit.committer.date),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
    })
}

pub(in super::super) fn git_reference(
    world: &World,
    repository: Id,
    name: &str,
    oid: &str,
) -> Value {
    let address = address(world, repository);
    let node = Node::Reference {
        repository,
        name: name.to_owned(),
    };
    json!({
        "ref": name,
        "node_id": node.id(),
        "url": format!("{address}/git/{name}"),
        "object": {"sha": oid, "type": "commit", "url": format!("{address}/git/commits/{oid}")},
    })
}

/// A tree with its entries; `entries` carry paths from the root where it was asked for recursively.
pub(in super::super) fn git_tree(
    world: &World,
    repository: Id,
    oid: &str,
    entries: &[Entry],
) -> Value {
    let address = address(world, repository);
    let line = |entry: &Entry| {
        let kind = entry.kind();
        let mut line = json!({
            "path": entry.name,
            "mode": entry.mode,
            "type": kind,
            "sha": entry.oid,
            "url": format!("{address}/git/{kind}s/{}", entry.oid),
        });
        if let Some(content) = world.objects(repository).blob(&entry.oid) {
            line["size"] = json!(content.len());
        }
        line
    };
    json!({
        "sha": oid,
        "url": format!("{address}/git/trees/{oid}"),
        "tree": entries.iter().map(line).collect::<Vec<_>>(),
        "truncated": false,
    })
}

/// A file or folder in the contents API, without the content of a file.
pub(in super::super) fn contents_entry(
    world: &World,
    repository: Id,
    path: &str,
    entry: &Entry,
    reference: &str,
) -> Value {
    let (address, web) = (address(world, repository), web_address(world, repository));
    let full_name = world.full_name(repository);
    let kind = entry.kind();
    let size = world
        .objects(repository)
        .blob(&entry.oid)
        .map_or(0, <[u8]>::len);
    let own = format!("{address}/contents/{path}?ref={reference}");
    let git = format!("{address}/git/{kind}s/{}", entry.oid);
    let html = format!("{web}/{kind}/{reference}/{path}");
    let download = (kind == "blob")
        .then(|| format!("https://raw.githubusercontent.com/{full_name}/{reference}/{path}"));
    json!({
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": entry.oid,
        "size": size,
        "url": own,
        "html_url": html,
        "git_url": git,
        "download_url": download,
        "type": if kind == "blob" { "file" } else { "dir" },
        "_links": {"self": own, "git": git, "html": html},
    })
}
