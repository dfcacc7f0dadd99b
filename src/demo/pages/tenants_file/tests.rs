use super::{free_name, names, with, with_a_slip, without};
use crate::tenants::{Context, parse};

const FILE: &str = "\
# Who works here.
organization: acme
tenants:
- name: payments   # cards
  description: Card payments
  namespaces: [{name: payments}]
  githubTeams: [{name: payments, permission: maintain}]

# The newest.
- description: Invoices
  name: \"billing\"
  namespaces:
  - name: billing
  githubTeams:
  - name: billing-team
protectedNamespaces: [\"istio-*\"]
";

/// What the product itself finds in a file: the names, or that it is wrong.
fn read(text: &str) -> Result<Vec<String>, usize> {
    let parsed = parse(text, &Context::unknown(text));
    if parsed.findings.is_empty() {
        let tenants = parsed.sound.tenants.keys();
        Ok(tenants.map(ToString::to_string).collect())
    } else {
        Err(parsed.findings.len())
    }
}

#[test]
fn entries_are_found_by_their_own_names() {
    assert_eq!(names(FILE), ["payments", "billing"]);
    assert_eq!(names("- name: one\n- name: two\n"), ["one", "two"]);
    assert_eq!(names("tenants: []\n"), Vec::<String>::new());
    assert_eq!(names("tenants: [{name: one}]\n"), Vec::<String>::new());
}

#[test]
fn an_entry_is_added_behind_the_last_one() {
    let text = with(FILE, &["night".to_owned()], "ai-team").unwrap();
    let added = "  - name: billing-team\n- name: night\n  namespaces: [{name: night}]\n  githubTeams: [{name: ai-team}]\nprotected";
    assert!(text.contains(added), "{text}");
    assert_eq!(
        read(&text),
        Ok(vec!["billing".into(), "night".into(), "payments".into()])
    );
    let first = with("tenants: []\n", &["one".to_owned()], "ai-team").unwrap();
    assert_eq!(read(&first), Ok(vec!["one".into()]));
}

#[test]
fn an_entry_is_taken_with_its_lines_alone() {
    let text = without(FILE, "payments").unwrap();
    assert!(text.contains("tenants:\n\n# The newest.\n"), "{text}");
    assert_eq!(read(&text), Ok(vec!["billing".into()]));
    let empty = without(&text, "billing").unwrap();
    assert_eq!(read(&empty), Ok(Vec::new()));
    assert_eq!(without("- name: one\n", "one").unwrap(), "[]\n");
    assert_eq!(without(FILE, "nobody"), None);
}

#[test]
fn a_slip_of_the_pen_hits_a_team_and_nothing_else() {
    let (text, slip) = with_a_slip(FILE).unwrap();
    assert_eq!(slip, "paymetns");
    assert_eq!(
        text,
        FILE.replace(
            "githubTeams: [{name: payments,",
            "githubTeams: [{name: paymetns,"
        )
    );
    let block = without(FILE, "payments").unwrap();
    let (text, slip) = with_a_slip(&block).unwrap();
    assert_eq!(slip, "billing-taem");
    assert!(text.contains("  - name: billing-taem\n"), "{text}");
    assert_eq!(with_a_slip("- name: one\n"), None);
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    assert_eq!(free_name(FILE, "night"), "night");
    assert_eq!(free_name(FILE, "billing"), "billing-2");
}
