//! GitHub's own descriptions of its interfaces, as `tests/descriptions` fetches them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new("tests/descriptions")
        .stderr(Stdio::inherit())
        .output()
        .expect("`tests/descriptions` can be run");
    assert!(
        output.status.success(),
        "GitHub's descriptions are not here and cannot be fetched: `tests/descriptions` says why"
    );
    let text = String::from_utf8(output.stdout).expect("a path is text");
    PathBuf::from(text.lines().last().expect("the folder is printed"))
});

pub(crate) fn text(name: &str) -> String {
    let path = FOLDER.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
