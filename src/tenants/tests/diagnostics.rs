//! Bad files, each with the text that a person sees, in `tests/diagnostics`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{read, shown};
use crate::tenants::diagnostic::Source;

/// Set to write the expected texts anew instead of comparing them.
const REWRITE: Option<&str> = option_env!("TENANTRY_TEST_REWRITE");

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: BTreeSet<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.into_iter().collect()
}

#[test]
fn bad_files_are_explained_as_expected() {
    let mut different = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let shown = shown(&text, &read(&text).findings);
        let expected = file.with_extension("txt");
        if REWRITE.is_some() {
            std::fs::write(&expected, &shown).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            different.push(format!("{}\n{shown}", file.display()));
        }
    }
    assert!(
        different.is_empty(),
        "other than expected (build with TENANTRY_TEST_REWRITE=1 to accept):\n\n{}",
        different.join("\n")
    );
}

#[test]
fn every_bad_file_has_an_error() {
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!read(&text).findings.is_empty(), "{}", file.display());
    }
}

#[test]
fn ten_different_errors_are_found_in_one_run() {
    let text = include_str!("../../../tests/diagnostics/ten-errors.yaml");
    assert_eq!(read(text).findings.len(), 10);
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let text = include_str!("../../../tests/diagnostics/team-twice.yaml");
    let source = Source::new("tenants.yaml", text);
    for finding in read(text).findings {
        let mut painted = source.render(&finding, true);
        assert!(painted.contains('\x1b'));
        for code in ["1;31", "1;34", "1;36", "34", "0"] {
            painted = painted.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(painted, source.render(&finding, false));
    }
}
