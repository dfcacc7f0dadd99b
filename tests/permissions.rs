//! The App asks for what its requests need, and for nothing beyond: the sum of what all stories have used.
//!
//! Each story of `tests/it` leaves a note of what it used; `cargo test` runs this target after it, `tests/run` clears the
//! notes before. `cargo test --test permissions -- --nocapture` prints everything that the App asked of GitHub.

#[path = "it/contract/appetite.rs"]
mod appetite;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

use appetite::{ALWAYS, Need, Permissions, Used, is_met, missing, shown};

/// What no endpoint of REST takes that the App uses, and why it is granted all the same.
const NOT_FOR_REST: [(&str, &str); 3] = [
    ("deployments", "GitHub ties the event deploy_key to it"),
    (
        "issues",
        "GitHub ties the event issue_comment to it, also that of pull requests",
    ),
    ("merge_queues", "GitHub ties the event merge_group to it"),
];

/// GitHub sends these to every App, and refuses them in a manifest.
const UNASKED: [&str; 2] = ["installation", "installation_repositories"];

/// What all stories have used; none, and a line on stderr that says so, where the stories were left out.
fn used() -> Option<Vec<Used>> {
    if env::var_os("TENANTRY_TEST_SKIP_CLUSTER").is_some_and(|value| value == "1") {
        let line =
            b"skipped, because TENANTRY_TEST_SKIP_CLUSTER=1: the sum of what all stories used\n";
        io::stderr().write_all(line).expect("stderr is open");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stories");
    let parts = notes(&folder).unwrap_or_else(|error| {
        let folder = folder.display();
        panic!("{folder} holds no notes of stories: {error}\nhint: `tests/run` runs them all")
    });
    Some(parts)
}

fn notes(folder: &Path) -> io::Result<Vec<Used>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        parts.extend(serde_json::from_str::<Vec<Used>>(&text)?);
    }
    Ok(parts)
}

/// The permissions and events of `app-manifest.yml`.
fn manifest() -> (Permissions, BTreeSet<String>) {
    let text = fs::read_to_string("app-manifest.yml").expect("the manifest is at the top");
    let manifest: Value = serde_yaml::from_str(&text).expect("the manifest is YAML");
    let permissions = serde_json::from_value(manifest["default_permissions"].clone());
    let events = serde_json::from_value(manifest["default_events"].clone());
    (
        permissions.expect("permissions are a map"),
        events.expect("events are a list"),
    )
}

/// What is granted and could be less, with everything still allowed.
fn superfluous(granted: &Permissions, needs: &[&Need]) -> BTreeSet<String> {
    let possible = granted.keys().filter(|name| *name != ALWAYS);
    let reducible = possible.filter(|name| {
        let less = lowered(granted, name);
        needs.iter().all(|need| is_met(need, &less))
    });
    reducible.cloned().collect()
}

/// With the next lower level of one permission, or without it.
fn lowered(granted: &Permissions, name: &str) -> Permissions {
    let mut lowered = granted.clone();
    match granted[name].as_str() {
        "write" => lowered.insert(name.to_owned(), "read".to_owned()),
        "admin" => lowered.insert(name.to_owned(), "write".to_owned()),
        _ => lowered.remove(name),
    };
    lowered
}

/// What is wrong with a grant, for what it is used.
fn faults(granted: &Permissions, needs: &[&Need]) -> Vec<String> {
    let missing = missing(granted, needs.iter().copied()).into_iter();
    let missing: BTreeSet<_> = missing
        .map(|need| format!("nobody grants {need}"))
        .collect();
    let superfluous = superfluous(granted, needs).into_iter();
    let superfluous = superfluous.map(|name| format!("nothing needs {name}: {}", granted[&name]));
    missing.into_iter().chain(superfluous).collect()
}

fn needs(used: &[Used]) -> Vec<&Need> {
    let requests = used.iter().flat_map(|used| &used.requests);
    let requests = requests.filter(|asked| asked.token.is_some());
    requests.flat_map(|asked| &asked.needs).collect()
}

fn events(used: &[Used]) -> Vec<&Need> {
    used.iter()
        .flat_map(|used| used.webhooks.values())
        .collect()
}

#[test]
fn the_app_is_granted_what_it_needs_and_nothing_beyond() {
    let Some(used) = used() else { return };
    println!("{}", report(&used));
    let (granted, _) = manifest();
    let needs: Vec<_> = needs(&used).into_iter().chain(events(&used)).collect();
    assert_eq!(
        faults(&granted, &needs),
        Vec::<String>::new(),
        "of what {} stories used",
        used.len()
    );
}

#[test]
fn what_no_endpoint_of_rest_takes_has_another_reason() {
    let Some(used) = used() else { return };
    let (granted, _) = manifest();
    let rest = used.iter().flat_map(|used| &used.requests);
    let rest =
        rest.filter(|asked| asked.token.is_some() && !asked.endpoint.starts_with("POST /graphql"));
    let needs: Vec<_> = rest.flat_map(|asked| &asked.needs).collect();
    let reasons = NOT_FOR_REST.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(superfluous(&granted, &needs), reasons.collect());
}

#[test]
fn each_kind_of_token_is_as_narrow_as_its_requests_let_it_be() {
    let Some(used) = used() else { return };
    let mut tokens: BTreeMap<&Permissions, Vec<&Need>> = BTreeMap::new();
    for asked in used.iter().flat_map(|used| &used.requests) {
        if let Some(token) = &asked.token {
            tokens.entry(token).or_default().extend(&asked.needs);
        }
    }
    assert!(!tokens.is_empty(), "the App asks with tokens");
    for (token, needs) in tokens {
        assert_eq!(faults(token, &needs), Vec::<String>::new(), "of {token:#?}");
    }
}

#[test]
fn the_app_hears_of_what_it_subscribes_to_and_of_nothing_else() {
    let Some(used) = used() else { return };
    let (_, subscribed) = manifest();
    let told = used.iter().flat_map(|used| used.webhooks.keys());
    let told = told.filter_map(|name| name.split(' ').next());
    let told: BTreeSet<_> = told
        .filter(|event| !UNASKED.contains(event))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(told, subscribed);
}

#[test]
fn no_entry_of_the_judges_lists_is_out_of_use() {
    let Some(used) = used() else { return };
    let mut stale: BTreeSet<_> = used.iter().flat_map(|used| &used.all_entries).collect();
    for entry in used.iter().flat_map(|used| &used.entries) {
        stale.remove(entry);
    }
    assert_eq!(
        stale,
        BTreeSet::new(),
        "remove them: no story meets them any more"
    );
}

/// What was asked how often, and what it takes.
fn report(used: &[Used]) -> String {
    let mut rows: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for asked in used.iter().flat_map(|used| &used.requests) {
        let row = rows.entry(&asked.endpoint).or_default();
        row.0 += asked.count;
        let needs: BTreeSet<_> = asked.needs.iter().map(shown).collect();
        row.1 = match needs.len() {
            0 => "the App's JWT".to_owned(),
            _ => Vec::from_iter(needs).join("; "),
        };
    }
    let width = rows
        .keys()
        .map(|endpoint| endpoint.len())
        .max()
        .unwrap_or_default();
    let mut lines = vec![format!("{:>7}  {:width$}  takes", "asked", "endpoint")];
    lines.extend(
        rows.iter()
            .map(|(endpoint, (count, takes))| format!("{count:>7}  {endpoint:width$}  {takes}")),
    );
    let webhooks: BTreeMap<_, _> = used.iter().flat_map(|used| &used.webhooks).collect();
    lines.push(format!("\n{:7}  {:width$}  takes", "", "webhook"));
    lines.extend(
        webhooks
            .iter()
            .map(|(name, need)| format!("{:7}  {name:width$}  {}", "", shown(need))),
    );
    lines.join("\n")
}

fn permissions(pairs: &[(&str, &str)]) -> Permissions {
    let pairs = pairs.iter();
    pairs
        .map(|(name, level)| ((*name).to_owned(), (*level).to_owned()))
        .collect()
}

#[test]
fn a_permission_that_nothing_needs_and_one_that_is_missing_are_named() {
    let needs = [
        vec![permissions(&[("contents", "write")])],
        vec![
            permissions(&[("checks", "read")]),
            permissions(&[("contents", "read")]),
        ],
        vec![permissions(&[("metadata", "read")])],
    ];
    let needs: Vec<_> = needs.iter().collect();
    let enough = permissions(&[("contents", "write"), ("metadata", "read")]);
    assert_eq!(faults(&enough, &needs), Vec::<String>::new());

    let mut more = enough.clone();
    more.insert("checks".to_owned(), "read".to_owned());
    assert_eq!(faults(&more, &needs), ["nothing needs checks: read"]);

    let less = permissions(&[("contents", "read")]);
    assert_eq!(faults(&less, &needs), ["nobody grants contents: write"]);

    let only = &needs[1..];
    assert_eq!(faults(&enough, only), ["nothing needs contents: write"]);
}
