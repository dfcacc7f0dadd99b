use super::{Commit, File, Files, MergeConflict, Objects, Oid, Signature, unified};
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

#[test]
fn a_unified_diff_is_gits() {
    let lines = |from: usize, to: usize| -> String {
        (from..=to).map(|line| format!("{line}\n")).collect()
    };
    let cases = [
        ("", "a\nb\n".to_owned(), "@@ -0,0 +1,2 @@\n+a\n+b"),
        ("a\n", String::new(), "@@ -1 +0,0 @@\n-a"),
        (
            "a",
            "a\n".to_owned(),
            "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a",
        ),
        (
            &lines(1, 20),
            format!("0\n{}{}", lines(1, 9), lines(11, 20)),
            "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -7,7 +8,6 @@\n 7\n 8\n 9\n-10\n 11\n 12\n 13",
        ),
        (
            &lines(1, 7),
            format!("{}x\n", lines(2, 7)),
            "@@ -1,7 +1,7 @@\n-1\n 2\n 3\n 4\n 5\n 6\n 7\n+x",
        ),
    ];
    for (before, after, wanted) in cases {
        assert_eq!(unified(before, &after), wanted);
    }
}
