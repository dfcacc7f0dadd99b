//! Git's object database, as far as GitHub's API shows it: blobs, trees and commits under their real ids,
//! and the three-way merge behind a pull request's merge commit.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use aws_lc_rs::digest;
use jiff::Timestamp;

mod merge;
mod unified;

pub(super) use merge::{MergeConflict, change_hunks};
pub(super) use unified::unified;

/// A git object id: 40 hex digits.
pub type Oid = String;

/// Every file of a tree by its full path.
pub(super) type Files = BTreeMap<String, File>;

/// The id that git shows where there is nothing: a branch before its creation or after its end.
pub(super) const ZERO: &str = "0000000000000000000000000000000000000000";

/// A file in a tree: mode (`100644`, `100755`, `120000`) and blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) mode: String,
    pub(super) blob: Oid,
}

/// One line of a stored tree.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) mode: String,
    pub(super) oid: Oid,
}

impl Entry {
    /// `blob` or `tree`.
    pub(super) fn kind(&self) -> &'static str {
        if self.mode == "040000" {
            "tree"
        } else {
            "blob"
        }
    }
}

/// Author or committer of a commit.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) date: Timestamp,
    /// The account behind the e-mail address, if GitHub knows one.
    pub(super) account: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) tree: Oid,
    pub(super) parents: Vec<Oid>,
    pub(super) author: Signature,
    pub(super) committer: Signature,
    pub(super) message: String,
}

/// A path that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathChange {
    pub(super) path: String,
    pub(super) before: Option<File>,
    pub(super) after: Option<File>,
}

/// The objects of one fork network: forks see each other's, as on GitHub.
#[derive(Default)]
pub(super) struct Objects {
    blobs: HashMap<Oid, Vec<u8>>,
    trees: HashMap<Oid, Vec<Entry>>,
    commits: HashMap<Oid, Commit>,
}

impl Objects {
    pub(super) fn blob(&self, oid: &str) -> Option<&[u8]> {
        self.blobs.get(oid).map(Vec::as_slice)
    }

    pub(super) fn tree(&self, oid: &str) -> Option<&[Entry]> {
        self.trees.get(oid).map(Vec::as_slice)
    }

    pub(super) fn commit(&self, oid: &str) -> Option<&Commit> {
        self.commits.get(oid)
    }

    pub(super) fn write_blob(&mut self, content: &[u8]) -> Oid {
        let oid = object_id("blob", content);
        self.blobs.insert(oid.clone(), content.to_vec());
        oid
    }

    pub(super) fn write_commit(&mut self, commit: Commit) -> Oid {
        let oid = object_id("commit", commit_text(&commit).as_bytes());
        self.commits.insert(oid.clone(), commit);
        oid
    }

    /// Writes the tree that holds exactly `files`, and the trees below it.
    pub(super) fn write_files(&mut self, files: &Files) -> Oid {
        let mut entries = Vec::new();
        let mut folders: BTreeMap<&str, Files> = BTreeMap::new();
        for (path, file) in files {
            match path.split_once('/') {
                Some((folder, rest)) => {
                    folders
                        .entry(folder)
                        .or_default()
                        .insert(rest.to_owned(), file.clone());
                }
                None => entries.push(Entry {
                    name: path.clone(),
                    mode: file.mode.clone(),
                    oid: file.blob.clone(),
                }),
            }
        }
        for (folder, below) in folders {
            entries.push(Entry {
                name: folder.to_owned(),
                mode: "040000".to_owned(),
                oid: self.write_files(&below),
            });
        }
        self.write_tree(entries)
    }

    fn write_tree(&mut self, mut entries: Vec<Entry>) -> Oid {
        entries.sort_by_key(sort_name);
        let oid = object_id("tree", &tree_bytes(&entries));
        self.trees.insert(oid.clone(), entries);
        oid
    }

    /// Every file below a tree; empty for an unknown tree.
    pub(super) fn files(&self, tree: &str) -> Files {
        let mut files = Files::new();
        self.collect_files(tree, "", &mut files);
        files
    }

    fn collect_files(&self, tree: &str, prefix: &str, into: &mut Files) {
        for entry in self.tree(tree).unwrap_or_default() {
            let path = format!("{prefix}{}", entry.name);
            if entry.kind() == "tree" {
                self.collect_files(&entry.oid, &format!("{path}/"), into);
            } else {
                let file = File {
                    mode: entry.mode.clone(),
                    blob: entry.oid.clone(),
                };
                into.insert(path, file);
            }
        }
    }

    /// Every file of a commit's tree.
    pub(super) fn files_of(&self, commit: &str) -> Files {
        self.commit(commit)
            .map(|found| self.files(&found.tree))
            .unwrap_or_default()
    }

    /// What `path` names in a commit's tree: the root for an empty path.
    pub(super) fn entry_at(&self, commit: &str, path: &str) -> Option<Entry> {
        let mut here = Entry {
            name: String::new(),
            mode: "040000".to_owned(),
            oid: self.commit(commit)?.tree.clone(),
        };
        for name in path.split('/').filter(|name| !name.is_empty()) {
            here = self
                .tree(&here.oid)?
                .iter()
                .find(|entry| entry.name == name)?
                .clone();
        }
        Some(here)
    }

    /// The commit and all before it, newest first, each once.
    pub(super) fn history(&self, tip: &str) -> Vec<Oid> {
        let mut seen = HashSet::from([tip.to_owned()]);
        let mut waiting = VecDeque::from([tip.to_owned()]);
        let mut history = Vec::new();
        while let Some(oid) = waiting.pop_front() {
            let Some(commit) = self.commit(&oid) else {
                continue;
            };
            for parent in &commit.parents {
                if seen.insert(parent.clone()) {
                    waiting.push_back(parent.clone());
                }
            }
            history.push(oid);
        }
        history
    }

    /// Commits that `tip` has and `without` has not, oldest first.
    pub(super) fn new_commits(&self, tip: &str, without: &str) -> Vec<Oid> {
        let known: HashSet<Oid> = self.history(without).into_iter().collect();
        let mut commits: Vec<Oid> = self
            .history(tip)
            .into_iter()
            .filter(|oid| !known.contains(oid))
            .collect();
        commits.reverse();
        commits
    }

    /// Whether `tip` contains `ancestor`.
    pub(super) fn contains(&self, tip: &str, ancestor: &str) -> bool {
        self.history(tip).iter().any(|oid| oid == ancestor)
    }

    /// The newest commit that both histories share.
    pub(super) fn merge_base(&self, one: &str, other: &str) -> Option<Oid> {
        let known: HashSet<Oid> = self.history(one).into_iter().collect();
        self.history(other)
            .into_iter()
            .find(|oid| known.contains(oid))
    }

    /// Paths that differ from one commit to another, sorted.
    pub(super) fn changed_paths(&self, from: Option<&str>, to: &str) -> Vec<PathChange> {
        let before = from.map(|oid| self.files_of(oid)).unwrap_or_default();
        let after = self.files_of(to);
        let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
        paths.sort();
        paths.dedup();
        paths
            .into_iter()
            .filter(|path| before.get(*path) != after.get(*path))
            .map(|path| PathChange {
                path: path.clone(),
                before: before.get(path).cloned(),
                after: after.get(path).cloned(),
            })
            .collect()
    }

    /// The tree that merging `theirs` into `ours` gives, written; or the paths in conflict.
    pub(super) fn merge(&mut self, ours: &str, theirs: &str) -> Result<Oid, MergeConflict> {
        let base = self
            .merge_base(ours, theirs)
            .map(|oid| self.files_of(&oid))
            .unwrap_or_default();
        let files = merge::three_way(self, &base, ours, theirs)?;
        Ok(self.write_files(&files))
    }

    /// Puts commits on top of another, one by one, as a rebase does, and gives the last one.
    pub(super) fn replay(
        &mut self,
        onto: &str,
        commits: &[Oid],
        committer: &Signature,
    ) -> Result<Oid, MergeConflict> {
        let mut tip = onto.to_owned();
        for oid in commits {
            let Some(commit) = self.commit(oid).cloned() else {
                continue;
            };
            let base = commit.parents.first().map(|parent| self.files_of(parent));
            let files = merge::three_way(self, &base.unwrap_or_default(), &tip, oid)?;
            let tree = self.write_files(&files);
            tip = self.write_commit(Commit {
                tree,
                parents: vec![tip],
                committer: committer.clone(),
                ..commit
            });
        }
        Ok(tip)
    }
}

/// Git's id of an object: SHA-1 over kind, length and content.
fn object_id(kind: &str, content: &[u8]) -> Oid {
    let mut hasher = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hasher.update(format!("{kind} {}\0", content.len()).as_bytes());
    hasher.update(content);
    hex::encode(hasher.finish().as_ref())
}

/// Git sorts a folder as if its name ended with a slash.
fn sort_name(entry: &Entry) -> String {
    match entry.kind() {
        "tree" => format!("{}/", entry.name),
        _ => entry.name.clone(),
    }
}

fn tree_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let mode = entry.mode.trim_start_matches('0');
        bytes.extend_from_slice(format!("{mode} {}\0", entry.name).as_bytes());
        bytes.extend(hex::decode(&entry.oid).expect("object ids are hex"));
    }
    bytes
}

fn commit_text(commit: &Commit) -> String {
    let person = |role: &str, who: &Signature| {
        format!(
            "{role} {} <{}> {} +0000\n",
            who.name,
            who.email,
            who.date.as_second()
        )
    };
    let mut text = format!("tree {}\n", commit.tree);
    for parent in &commit.parents {
        text.extend(["parent ", parent, "\n"]);
    }
    text.push_str(&person("author", &commit.author));
    text.push_str(&person("committer", &commit.committer));
    text.push('\n');
    text.push_str(&commit.message);
    text
}

#[cfg(test)]
mod tests;
