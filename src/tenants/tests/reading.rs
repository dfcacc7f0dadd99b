use std::time::Instant;

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

use super::{FULL, place_of_tenant, read, shown, tenant, valid};
use crate::tenants::diagnostic::Place;
use crate::tenants::moved_namespaces;

const SEED: &str = "\
tenants:
- name: ai-team
  namespaces:
  - name: ai
  - name: observability
  - name: logging
  githubTeams:
  - name: ai-team
  - name: billing-team
";

#[test]
fn the_seeds_entry_is_valid_with_every_default() {
    let tenant = tenant(SEED);
    let tenant = serde_json::to_string_pretty(&tenant).unwrap();
    insta::assert_snapshot!(tenant);
}

#[test]
fn the_full_example_is_valid() {
    let parsed = valid(FULL);
    let payments = &parsed.sound.tenants[&"payments".parse().unwrap()];
    let payments = serde_json::to_string_pretty(&**payments).unwrap();
    insta::assert_snapshot!(payments);
}

#[test]
fn the_full_examples_defaults_are_the_built_in_ones() {
    let without = FULL.lines().filter(|line| !line.starts_with("  ")).count();
    assert!(without > 5);
    let (head, tenants) = FULL.split_once("defaults:").unwrap();
    let (_, tenants) = tenants.split_once("tenants:\n").unwrap();
    let bare = format!("{head}tenants:\n{tenants}");
    assert_eq!(valid(FULL).sound, valid(&bare).sound);
}

#[test]
fn an_empty_list_of_tenants_is_valid() {
    assert!(valid("tenants: []").sound.tenants.is_empty());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let dos = format!("\u{feff}{}", SEED.replace('\n', "\r\n"));
    assert_eq!(valid(&dos).sound, valid(SEED).sound);
    let wrong = dos.replace("- name: ai\r", "- name: Ai\r");
    assert!(shown(&wrong, &read(&wrong).findings).contains("tenants.yaml:4:11"));
}

#[test]
fn sound_entries_are_kept_though_others_are_wrong() {
    let parsed = read(
        "maxRemovalsPerMerge: x\ntenants: [{name: a}, {name: b, role: no}, {name: c, nope: 1}, {name: d}, {name: a}]",
    );
    let names: Vec<_> = parsed
        .sound
        .tenants
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(parsed.findings.len(), 4);
}

#[test]
fn a_broken_file_has_no_tenants_and_a_finding() {
    let parsed = read("tenants: [{name: a}");
    assert!(parsed.sound.tenants.is_empty());
    assert_eq!(parsed.findings.len(), 1);
}

#[test]
fn a_malformed_default_does_not_reach_a_tenant() {
    let parsed = read("defaults: {reconcilerRole: cluster-admin}\ntenants: [{name: a}]");
    let tenant = parsed.sound.tenants.values().next().unwrap();
    assert_eq!(tenant.reconciler_role, "admin");
}

#[test]
fn places_are_found_again() {
    let text = "\
defaults:
  groupName: '{org}:{team}'
  repository: {template: acme/template}
  reconcilerRole: edit
tenants:
- name: ai
  repository:
    name: ai-home
  githubTeams:
  - name: data
  namespaces:
  - name: models
  additionalRoleBindings:
  - clusterRole: view
    subjects: []
- name: bare
";
    let parsed = valid(text);
    let [ai, bare] = ["ai", "bare"].map(|name| name.parse().unwrap());
    let places = [
        (place_of_tenant("ai"), Some(6)),
        (Place::Repository(ai), Some(8)),
        (Place::Repository(bare), Some(16)),
        (Place::Template("ai".parse().unwrap()), Some(3)),
        (Place::ReconcilerRole("ai".parse().unwrap()), Some(4)),
        (
            Place::Team("ai".parse().unwrap(), "data".parse().unwrap()),
            Some(10),
        ),
        (
            Place::Group("ai".parse().unwrap(), "data".parse().unwrap()),
            Some(2),
        ),
        (
            Place::Namespace("ai".parse().unwrap(), "models".parse().unwrap()),
            Some(12),
        ),
        (Place::RoleBinding("ai".parse().unwrap(), 0), Some(14)),
        (place_of_tenant("gone"), None),
    ];
    for (place, line) in places {
        assert_eq!(parsed.line(&place), line, "{place:?}");
    }
}

#[test]
fn a_namespace_does_not_move_between_tenants_in_one_merge() {
    let before = valid("tenants: [{name: a, namespaces: [{name: logs}, {name: jobs}]}, {name: b}]");
    let text =
        "tenants: [{name: a, namespaces: [{name: jobs}]}, {name: b, namespaces: [{name: logs}]}]";
    let after = valid(text);
    let findings = moved_namespaces(&before.sound.tenants, &after);
    insta::assert_snapshot!(shown(text, &findings), @r"
    error: the namespace `logs` moves from the tenant `a` to `b`
     --> tenants.yaml:1:80
      |
    1 | tenants: [{name: a, namespaces: [{name: jobs}]}, {name: b, namespaces: [{name: logs}]}]
      |                                                                                ^^^^
      = help: take it from `a` in one merge, and give it to `b` in the next
    ");
    assert!(moved_namespaces(&before.sound.tenants, &before).is_empty());
}

#[test]
fn a_renamed_tenant_keeps_its_namespaces() {
    let before = valid("tenants: [{name: a, namespaces: [{name: logs}]}]");
    let after = valid("tenants: [{name: b, renamedFrom: a, namespaces: [{name: logs}]}]");
    assert!(moved_namespaces(&before.sound.tenants, &after).is_empty());
}

fn many(count: usize) -> String {
    let entry = |number: usize| {
        format!(
            "- name: team-{number}\n  description: Tenant number {number}\n  namespaces:\n  - name: team-{number}-app\n    \
             podSecurity: restricted\n    quota: {{requests.cpu: \"4\", pods: 20}}\n  - name: team-{number}-jobs\n  \
             githubTeams:\n  - name: developers-{number}\n    permission: maintain\n  - name: sre\n    role: view\n"
        )
    };
    let entries: String = (0..count).map(entry).collect();
    format!("tenants:\n{entries}")
}

/// Prints how long it takes; `cargo test --release --lib ten_thousand -- --nocapture` for the real figure.
#[test]
fn ten_thousand_tenants_are_read() {
    for count in [1_000, 10_000] {
        let text = many(count);
        let start = Instant::now();
        assert_eq!(valid(&text).sound.tenants.len(), count);
        let bytes = text.len();
        println!("{count} tenants, {bytes} bytes: {:?}", start.elapsed());
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "tenants:",
        "- ",
        "name: ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "&a ",
        "*a",
        "!!str ",
        "<<: ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "\t",
        "# ",
        "---\n",
        "? ",
        "ai",
        "null",
        "yes",
        "12",
        "namespaces: ",
        "defaults:",
        "repository: ",
        "githubTeams: ",
        "%YAML 1.1\n",
        "\u{feff}",
        "ü",
        "\r\n",
        "\\",
        "quota: ",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_is_too_strange_to_be_read(text in pieces()) {
        let parsed = read(&text);
        shown(&text, &parsed.findings);
        for finding in &parsed.findings {
            assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
        }
    }

    #[test]
    fn the_order_of_entries_changes_nothing(order in prop::sample::subsequence((0..8).collect::<Vec<usize>>(), 8).prop_shuffle()) {
        let text = many(8);
        let (head, entries) = text.split_once('\n').unwrap();
        let entries: Vec<&str> = entries.split_inclusive("role: view\n").collect();
        let shuffled: String = order.iter().map(|&index| entries[index]).collect();
        assert_eq!(valid(&format!("{head}\n{shuffled}")).sound, valid(&text).sound);
    }
}
