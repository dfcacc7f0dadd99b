use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Source};
use super::{Context, Parsed, Tenant, parse};

mod diagnostics;
mod merging;
mod reading;
mod schema;

/// The example of the file's reference, with every key in it.
const FULL: &str = include_str!("tests/full.yaml");

fn context() -> Context {
    Context {
        control_repository: "acme/control".parse().unwrap(),
        organizations: BTreeSet::from(["acme-labs".parse().unwrap()]),
    }
}

fn read(text: &str) -> Parsed {
    parse(text, &context())
}

/// A file that must be valid.
fn valid(text: &str) -> Parsed {
    let parsed = read(text);
    let shown = shown(text, &parsed.findings);
    assert!(parsed.findings.is_empty(), "{shown}");
    parsed
}

/// The one tenant of a valid file.
fn tenant(text: &str) -> Tenant {
    let mut tenants = valid(text).sound.tenants;
    let (_, tenant) = tenants.pop_first().unwrap();
    assert!(tenants.is_empty());
    Arc::unwrap_or_clone(tenant)
}

fn shown(text: &str, findings: &[Diagnostic]) -> String {
    let source = Source::new("tenants.yaml", text);
    let findings = findings.iter().map(|finding| source.render(finding, false));
    findings.collect::<Vec<_>>().join("\n")
}

fn place_of_tenant(name: &str) -> Place {
    Place::Tenant(name.parse().unwrap())
}
