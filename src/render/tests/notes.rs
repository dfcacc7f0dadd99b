use super::{changed, check_markup, reported, shown};
use crate::observed::Note;
use crate::plan::Plan;
use crate::render::tree::{self, Color};
use crate::render::{check, json as machine};
use crate::report::Report;

/// With words that would call everybody.
fn noted() -> Plan {
    let mut plan = changed();
    plan.notes.insert(Note {
        message: "every member of `acme` can read every workspace @all".to_owned(),
        help: Some("an owner changes that".to_owned()),
    });
    plan
}

const SAID: &str = "> [!WARNING]\n> - Every member of <code>acme</code> can read every workspace <code>&#64;</code>all. An owner changes that\n\n";

#[test]
fn a_note_is_read_before_anything_else() {
    let plan = shown(&noted());
    check_markup(&plan);
    let (title, body) = plan.split_once("\n\n").unwrap();
    assert!(title.contains("### Plan: "), "{title}");
    assert!(body.starts_with(SAID), "{body}");
    assert!(check::plan_check(&noted()).summary.starts_with(SAID));
    let report = Report {
        notes: noted().notes,
        ..Report::default()
    };
    assert!(reported(&report).contains(SAID));
}

#[test]
fn a_note_holds_nothing() {
    let (with, without) = (check::plan_check(&noted()), check::plan_check(&changed()));
    assert_eq!(
        (with.conclusion, with.title),
        (without.conclusion, without.title)
    );
    let machine = machine::of_plan(&noted());
    let fingerprint = &machine::of_plan(&changed())["fingerprint"];
    assert_eq!(machine["fingerprint"], *fingerprint);
    assert_eq!(machine["notes"][0]["help"], "an owner changes that");
}

#[test]
fn on_a_terminal_it_is_a_warning() {
    let text = tree::of_plan(&noted(), Color::Never);
    let said = "warning: every member of `acme` can read every workspace @all\n  hint: an owner changes that\n";
    assert!(text.starts_with(said), "{text}");
}
