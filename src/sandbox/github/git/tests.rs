use super::{Commit, File, Files, MergeConflict, Objects, Oid, Signature};
use jiff::Timestamp;

fn write(objects: &mut Objects, files: &[(&str, &str)], parents: &[&Oid]) -> Oid {
    let files: Files = files
        .iter()
        .map(|(path, text)| {
            let file = File {
                mode: "100644".to_owned(),
                blob: objects.write_blob(text.as_bytes()),
            };
            ((*path).to_owned(), file)
        })
        .collect();
    let who = Signature {
        name: "Alice".to_owned(),
        email: "alice@example.com".to_owned(),
        date: Timestamp::UNIX_EPOCH,
        account: None,
    };
    let commit = Commit {
        tree: objects.write_files(&files),
        parents: parents.iter().map(|oid| (*oid).clone()).collect(),
        author: who.clone(),
        committer: who,
        message: "message\n".to_owned(),
    };
    objects.write_commit(commit)
}

#[test]
fn ids_are_those_of_git_itself() {
    let mut objects = Objects::default();
    assert_eq!(
        objects.write_blob(b"hello\n"),
        "ce013625030ba8dba906f756967f9e9ca394464a"
    );
    assert_eq!(
        objects.write_files(&Files::new()),
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    );
}

#[test]
fn edits_far_apart_in_one_file_merge() {
    let mut objects = Objects::default();
    let base = write(&mut objects, &[("f", "1\n2\n3\n4\n5\n")], &[]);
    let ours = write(&mut objects, &[("f", "one\n2\n3\n4\n5\n")], &[&base]);
    let theirs = write(
        &mut objects,
        &[("f", "1\n2\n3\n4\n5\nsix\n"), ("g", "new")],
        &[&base],
    );
    let tree = objects.merge(&ours, &theirs).unwrap();
    let files = objects.files(&tree);
    assert_eq!(
        objects.blob(&files["f"].blob).unwrap(),
        b"one\n2\n3\n4\n5\nsix\n"
    );
    assert!(files.contains_key("g"));
}

#[test]
fn edits_of_the_same_line_conflict() {
    let mut objects = Objects::default();
    let base = write(&mut objects, &[("d/f", "1\n2\n")], &[]);
    let ours = write(&mut objects, &[("d/f", "1\ntwo\n")], &[&base]);
    let theirs = write(&mut objects, &[("d/f", "1\nzwei\n")], &[&base]);
    assert_eq!(
        objects.merge(&ours, &theirs),
        Err(MergeConflict(vec!["d/f".to_owned()]))
    );
}
