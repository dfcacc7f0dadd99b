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
    let payments = serde_json::to_string_pretty(payments).unwrap();
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
