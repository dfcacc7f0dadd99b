//! Who may know whom: the pure core knows no client, and the embedded GitHub knows nothing of the app.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules in layers: each may use those of the layers above it, and those before it in its own.
const LAYERS: &[&[&str]] = &[
    &["words", "names", "object"],
    // The entry is told as objects, and objects are told apart by the entry's places: these know each other's words.
    &[
        "tenants",
        "surroundings",
        "flux",
        "live",
        "desired",
        "observed",
        "plan",
        "report",
        "render",
    ],
    &["https", "keys", "github", "kubernetes"],
    &["observe", "apply", "compare", "bootstrap"],
    &["webhook", "queue"],
    &["bot"],
    // The embedded GitHub and cluster are for the demo alone.
    &["config", "serve", "sandbox", "demo", "cli"],
];

/// What the pure layers must not use: clients, clocks, the environment, the disk.
const IMPURE: &[&str] = &[
    "tokio",
    "octocrab",
    "kube::",
    "axum",
    "reqwest",
    "std::env",
    "std::fs",
    "std::net",
    "Timestamp::now",
    "SystemTime",
];

/// Pairs that know each other across the order above, each with its reason.
const KNOWN: &[(&str, &str)] = &[
    // A word's error is a name's.
    ("words", "names"),
];

#[test]
fn each_module_knows_only_those_above_it() {
    let order: BTreeMap<&str, (usize, usize)> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, modules)| {
            modules
                .iter()
                .enumerate()
                .map(move |(place, module)| (*module, (layer, place)))
        })
        .collect();
    let mut wrong = BTreeSet::new();
    for (module, text) in modules() {
        if module == "sandbox" {
            continue;
        }
        let own = order
            .get(module.as_str())
            .unwrap_or_else(|| panic!("`{module}` stands in no layer"));
        for used in used(&text) {
            let known = KNOWN.contains(&(module.as_str(), used.as_str()));
            let other = order
                .get(used.as_str())
                .unwrap_or_else(|| panic!("`{used}` stands in no layer"));
            if other > own && !known {
                wrong.insert(format!("{module} uses {used}"));
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
}

#[test]
fn the_clients_do_not_know_each_other_nor_the_effects_each_other() {
    let forbidden = [
        ("github", "kubernetes"),
        ("kubernetes", "github"),
        ("observe", "apply"),
        ("apply", "observe"),
    ];
    let found: Vec<_> = modules()
        .into_iter()
        .flat_map(|(module, text)| {
            used(&text)
                .into_iter()
                .map(move |used| (module.clone(), used))
        })
        .filter(|(module, used)| forbidden.contains(&(module.as_str(), used.as_str())))
        .collect();
    assert_eq!(found, []);
}

#[test]
fn the_pure_core_uses_no_client_and_no_clock() {
    let pure: BTreeSet<&str> = LAYERS[0].iter().chain(LAYERS[1]).copied().collect();
    let mut wrong = Vec::new();
    for (module, text) in modules()
        .into_iter()
        .filter(|(module, _)| pure.contains(module.as_str()))
    {
        wrong.extend(
            IMPURE
                .iter()
                .filter(|word| text.contains(**word))
                .map(|word| format!("{module} uses {word}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_sandbox_knows_nothing_of_the_app() {
    let used: BTreeSet<_> = modules()
        .into_iter()
        .filter(|(module, _)| module == "sandbox")
        .flat_map(|(_, text)| used(&text))
        .collect();
    assert_eq!(used, BTreeSet::new());
}

/// Each file's top module and its text; tests inside the modules may use what they like.
fn modules() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    files.sort();
    let texts = files.into_iter().filter_map(|path| {
        let inside = path.strip_prefix("src").ok()?.to_path_buf();
        let is_test = inside
            .components()
            .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
        let module = inside
            .iter()
            .next()?
            .to_str()?
            .trim_end_matches(".rs")
            .to_owned();
        let text = std::fs::read_to_string(&path).expect("a source file is readable");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned();
        (!is_test && module != "lib" && module != "main").then_some((module, text))
    });
    texts.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The modules that a text names by `crate::`, its own left out.
fn used(text: &str) -> BTreeSet<String> {
    let flat = text.replace("use crate::{", "use crate::\u{1}");
    let mut used: BTreeSet<String> = BTreeSet::new();
    for rest in flat.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('\u{1}') {
            let list = list.split("};").next().unwrap_or_default();
            used.extend(list.split(',').map(|item| first_word(item.trim())));
        } else {
            used.insert(first_word(rest));
        }
    }
    used.remove("");
    used
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_ascii_lowercase() || *c == '_')
        .collect()
}
