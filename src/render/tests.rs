mod keys;
mod live;
mod lockdown;
mod notes;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use crate::live::Traces;
use crate::names::TenantName;
use crate::object::{Kind, Permission};
use crate::observed::{Facts, Problem};
use crate::plan::guard::Consent;
use crate::plan::tests::strategy::{HOSTILE, ai_team, named, text};
use crate::plan::tests::world::World;
use crate::plan::{Plan, Promise, TenantAction, TenantPlan, approve, foresee};
use crate::render::annotations::{self, File};
use crate::render::check;
use crate::render::comment::{self, Setting};
use crate::render::tree::{self, Color};
use crate::render::{escape, json as machine};
use crate::report::{Outcome, Report, Retry, TenantReport};
use crate::tenants::Tenant;
use crate::tenants::diagnostic::{Diagnostic, Place};

/// A pull request on `acme/control`, in which every tenant stands at line 12.
struct Scene {
    lines: BTreeMap<TenantName, usize>,
}

impl Scene {
    fn of<'a>(names: impl IntoIterator<Item = &'a TenantName>) -> Self {
        Self {
            lines: names.into_iter().map(|name| (name.clone(), 12)).collect(),
        }
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            file: "tenants.yaml",
            pull: Some(7),
            head: "3f2c1ab0000000000000000000000000000000ff",
            base_branch: "main",
            base: "9d0e4f10000000000000000000000000000000ff",
            at: "2026-11-25T12:04:31Z".parse().unwrap(),
            lines: &self.lines,
            base_lines: &self.lines,
            details: Some("https://github.com/acme/control/runs/1"),
            before: None,
            retry_at: None,
        }
    }
}

fn plan_of(tenants: impl IntoIterator<Item = (TenantName, TenantPlan)>) -> Plan {
    let mut plan = Plan::default();
    for (name, tenant) in tenants {
        plan.add(name, tenant);
    }
    foresee(plan)
}

fn shown(plan: &Plan) -> String {
    comment::plan_comment(plan, &Scene::of(plan.tenants.keys()).setting()).unwrap()
}

fn reported(report: &Report) -> String {
    comment::report_comment(report, None, &Scene::of(report.tenants.keys()).setting())
}

fn added() -> Plan {
    let tenant = ai_team();
    let mut plan = plan_of([(tenant.name.clone(), World::default().plan(&tenant))]);
    plan.unchanged.tenants = 37;
    plan
}

fn changed() -> Plan {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    tenant.description = "Models and their keepers".to_owned();
    tenant.teams.values_mut().next().unwrap().permission = Permission::Maintain;
    for space in tenant.namespaces.values_mut() {
        space
            .quota
            .insert("requests.cpu".to_owned(), "12".to_owned());
    }
    let mut plan = plan_of([(tenant.name.clone(), world.plan(&tenant))]);
    plan.unchanged.tenants = 36;
    plan
}

fn removed() -> Plan {
    let tenant = named("legacy-shop");
    let mut steps = World::with(&tenant).plan_of_removal(&tenant.name);
    steps.facts = Facts {
        inventory: Some(41),
        last_push: Some("2026-11-23T09:00:00Z".parse().unwrap()),
        open_pulls: Some(3),
    };
    plan_of([(tenant.name.clone(), steps)])
}

fn drifted() -> Plan {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.grant("acme/ai-team-workspace", "interns", Permission::Admin);
    world.add_key("acme/ai-team-workspace", "laptop");
    world.edit(
        Kind::ResourceQuota,
        "tenant-ai-team",
        "no-workloads",
        "/spec/hard/pods",
        json!("7"),
    );
    plan_of([(tenant.name.clone(), world.plan(&tenant))])
}

fn with_problem() -> Plan {
    let tenant = ai_team();
    let mut steps = World::default().plan(&tenant);
    steps.problems.push(Problem {
        place: Place::Team(tenant.name.clone(), "billing-team".parse().unwrap()),
        message: "team `billing-team` does not exist in `acme`".to_owned(),
        help: Some("did you mean `billing`?".to_owned()),
    });
    let healthy = named("payments");
    plan_of([
        (tenant.name.clone(), steps),
        (healthy.name.clone(), World::default().plan(&healthy)),
    ])
}

/// Does everything that is not held, except for what fails on the given object.
fn report_of(plan: Plan, failing: Option<&str>) -> Report {
    let mut report = Report {
        unchanged: plan.unchanged,
        lockdown: plan.lockdown,
        ..Report::default()
    };
    for (name, tenant) in plan.tenants {
        let mut failed = None;
        let mut outcomes = Vec::new();
        for step in tenant.steps {
            let outcome = match (&step.hold, &failed) {
                (Some(hold), _) => Outcome::Held(*hold),
                (None, Some(because)) => Outcome::Skipped {
                    because: Box::new(Clone::clone(because)),
                },
                (None, None) if failing == Some(step.id.noun()) => {
                    failed = Some(step.id.clone());
                    let error = "GitHub answered 502 to `PUT /orgs/acme/teams/ai-team`".to_owned();
                    Outcome::Failed {
                        error,
                        retry: Retry::Useful,
                    }
                }
                (None, None) => Outcome::Done,
            };
            outcomes.push((step, outcome));
        }
        let tenant = TenantReport {
            action: tenant.action,
            wish: tenant.wish,
            outcomes,
            problems: tenant.problems,
            facts: tenant.facts,
            traces: Traces::default(),
        };
        report.tenants.insert(name, tenant);
    }
    report
}

const TEN_ERRORS: &str = "tenants:\n- name: a\n- name: b\n- name: c\n- name: d\n- name: e\n- name: f\n- name: g\n- name: h\n- name: i\n- name: j\n";

fn ten_errors() -> Vec<Diagnostic> {
    let error = |(index, (start, _)): (usize, (usize, &str))| Diagnostic {
        message: format!("unknown key `nmae{index}`"),
        span: start + 2..start + 6,
        help: Some("did you mean `name`?".to_owned()),
        replacement: Some("name".to_owned()),
        related: (index == 9).then(|| (2..3, "the first one".to_owned())),
    };
    TEN_ERRORS
        .match_indices("- name")
        .enumerate()
        .map(error)
        .collect()
}

fn file() -> File<'static> {
    File {
        path: "tenants.yaml",
        text: TEN_ERRORS,
    }
}

/// Our own markup, in all that GitHub shows; whatever else is left of it may hold nothing that could be taken for some.
const TAGS: &[&str] = &["code", "b", "sub", "details", "summary", "pre"];

/// Reads Markdown as suspiciously as a reviewer would: every markup character in it must be one of ours.
fn check_markup(text: &str) {
    for tag in TAGS {
        let (open, close) = (
            text.matches(&format!("<{tag}>")).count(),
            text.matches(&format!("</{tag}>")).count(),
        );
        assert_eq!(open, close, "<{tag}> in:\n{text}");
    }
    assert!(text.matches("<!-- tenantry:plan -->").count() <= 1);
    assert!(text.matches("<!--").count() <= 1);
    let mut columns = None;
    for line in text.lines() {
        let mut rest = line
            .replace("<!-- tenantry:plan -->", "")
            .replace("<br>", "");
        for tag in TAGS {
            rest = rest
                .replace(&format!("<{tag}>"), "")
                .replace(&format!("</{tag}>"), "");
        }
        let rest = rest.strip_prefix("> ").unwrap_or(&rest);
        assert!(!rest.contains(['@', '<', '>', '`']), "{line}");
        assert!(!rest.chars().any(char::is_control), "{line:?}");
        let pipes = rest.matches('|').count();
        columns = if pipes == 0 {
            None
        } else {
            Some(columns.unwrap_or(pipes))
        };
        assert!(
            columns.is_none_or(|columns| columns == pipes && rest.starts_with('|')),
            "{line}"
        );
    }
    assert!(!text.contains("```") && !text.contains('\r') && !text.contains("://evil"));
}

/// With every name and value taken out: what text must not be able to change.
fn skeleton(text: &str) -> String {
    let mut parts = text.split("<code>");
    let mut skeleton = parts.next().unwrap().to_owned();
    for part in parts {
        skeleton.push('·');
        skeleton.push_str(part.split_once("</code>").unwrap().1);
    }
    skeleton
}

/// A tenant whose people have written `text` wherever the file lets them.
fn written_by(text: &str) -> Plan {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    text.clone_into(&mut tenant.description);
    text.clone_into(&mut tenant.reconciler_role);
    for team in tenant.teams.values_mut() {
        text.clone_into(&mut team.group);
    }
    for space in tenant.namespaces.values_mut() {
        space.quota.insert(text.to_owned(), text.to_owned());
        space
            .annotations
            .insert(format!("a{text}"), text.to_owned());
    }
    let new = Tenant {
        name: "new".parse().unwrap(),
        ..tenant.clone()
    };
    let mut stray = world.plan(&tenant);
    stray.problems.clear();
    plan_of([
        (tenant.name.clone(), stray),
        (new.name.clone(), World::default().plan(&new)),
    ])
}

fn wrong_with(text: &str) -> Plan {
    let mut plan = written_by(text);
    for (name, tenant) in &mut plan.tenants {
        tenant.problems.push(Problem {
            place: Place::Tenant(name.clone()),
            message: format!("team `{text}` does not exist"),
            help: Some(text.to_owned()),
        });
    }
    foresee(plan)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_people_wrote_never_shows_raw(text in text()) {
        for plan in [written_by(&text), wrong_with(&text)] {
            check_markup(&shown(&plan));
            check_markup(&comment::progress_comment(&plan, &Scene::of([]).setting(), None));
            let check = check::plan_check(&plan);
            let (_, below) = check.text.split_once("-->").unwrap();
            prop_assert!(!below.contains(['@', '|', '`']) && check.text.matches("</pre>").count() == 1);
            let mut report = report_of(plan, None);
            for tenant in report.tenants.values_mut() {
                tenant.outcomes[0].1 = Outcome::Failed { error: format!("said `{text}` and {text}"), retry: Retry::Useless };
            }
            check_markup(&reported(&report));
        }
    }

    #[test]
    fn what_people_wrote_cannot_change_the_shape_of_a_plan(text in text()) {
        prop_assume!(!text.is_empty());
        let harmless = skeleton(&shown(&written_by("harmless")));
        let hostile = skeleton(&shown(&written_by(&text)));
        // The fingerprint is a name too; only the rows' order may follow the names in them.
        let lines = |text: &str| { let mut lines: Vec<_> = text.lines().map(str::to_owned).collect(); lines.sort(); lines };
        prop_assert_eq!(lines(&hostile), lines(&harmless));
    }

    #[test]
    fn nothing_people_wrote_moves_a_terminal(text in text()) {
        let tree = tree::of_plan(&written_by(&text), Color::Never);
        let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        prop_assert!(!tree.chars().any(moves));
    }
}

#[test]
fn every_hostile_text_is_harmless() {
    for text in HOSTILE {
        check_markup(&shown(&written_by(text)));
        check_markup(&shown(&wrong_with(text)));
    }
    let everything = HOSTILE.concat();
    check_markup(&shown(&wrong_with(&everything)));
}

/// Tenants of every kind, many times over, each with a name of its own.
fn crowd(kinds: &[usize], longest: bool) -> Plan {
    let of = |plan: Plan| plan.tenants.into_values().next().unwrap();
    let long = HOSTILE.concat().repeat(2);
    let mut templates = [
        of(added()),
        of(changed()),
        of(removed()),
        of(drifted()),
        of(with_problem()),
        of(written_by(&long)),
        of(wrong_with(&long)),
    ];
    // So many blocks do not fit anyway, and the tests are to be quick.
    if kinds.len() > 1000 {
        for tenant in &mut templates {
            tenant.steps.truncate(3);
        }
    }
    let mut plan = Plan::default();
    for (index, kind) in kinds.iter().enumerate() {
        let name = if longest {
            format!("t-{index:04}-{}", "x".repeat(43))
        } else {
            format!("t-{index}")
        };
        plan.add(
            name.parse().unwrap(),
            templates[kind % templates.len()].clone(),
        );
    }
    foresee(plan)
}

/// How many of these are to be found by name, and how many the text says it does not name.
fn named_and_counted(text: &str, plan: &Plan, group: &str) -> (usize, usize) {
    let section = text.split("**Not listed here").next().unwrap();
    let codes: BTreeSet<_> = section
        .split("<code>")
        .filter_map(|part| part.split_once("</code>"))
        .map(|(code, _)| code)
        .collect();
    let removed = plan
        .tenants
        .iter()
        .filter(|(_, tenant)| tenant.action == TenantAction::Remove);
    let named = removed
        .filter(|(name, _)| codes.contains(name.as_str()))
        .count();
    let rest = text
        .split("**Not listed here, for want of room:**")
        .nth(1)
        .unwrap_or_default();
    let rest = rest
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let counted = rest
        .split(", ")
        .filter_map(|part| part.trim().split_once(" × "))
        .find(|(_, word)| *word == group);
    (
        named,
        counted.map_or(0, |(count, _)| count.parse().unwrap()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 4, ..ProptestConfig::default() })]

    #[test]
    fn a_comment_fits_and_names_or_counts_every_removal(
        kinds in prop_oneof![
            proptest::collection::vec(0_usize..7, 1..60),
            proptest::collection::vec(0_usize..7, 300..700),
            (0_usize..7).prop_map(|kind| vec![kind; 5000]),
        ],
        longest in any::<bool>(),
    ) {
        let plan = crowd(&kinds, longest);
        let text = shown(&plan);
        prop_assert!(text.len() <= 60_000, "{}", text.len());
        check_markup(&text);
        let removed = plan.tenants.values().filter(|tenant| tenant.action == TenantAction::Remove).count();
        let (named, counted) = named_and_counted(&text, &plan, "⛔ held removal");
        prop_assert_eq!(named + counted, removed);
        let check = check::plan_check(&plan);
        prop_assert!(check.text.len() <= 65_535 && check.title.chars().count() <= 100);
        prop_assert_eq!(Promise::from_marker(&check.text), Some(Promise::of(&plan)));
        let report = report_of(plan, Some("team"));
        let text = reported(&report);
        prop_assert!(text.len() <= 60_000, "{}", text.len());
        check_markup(&text);
        prop_assert!(check::report_check(&report, None, &Scene::of([]).setting()).summary.len() <= 65_535);
    }
}

#[test]
fn each_tenant_stands_there_once() {
    for size in [1, 30, 500, 1500] {
        let plan = crowd(&vec![0; size], false);
        let text = shown(&plan);
        for name in plan.tenants.keys() {
            assert!(
                text.matches(&format!("<code>{name}</code>")).count() <= 1,
                "{name} of {size}"
            );
        }
    }
}

#[test]
fn a_single_huge_tenant_is_cut_between_rows_and_says_so() {
    let mut tenant = ai_team();
    let settings = tenant.namespaces.values().next().unwrap().clone();
    for index in 0..400_u32 {
        let mut settings = settings.clone();
        settings.quota.insert("pods".to_owned(), index.to_string());
        tenant
            .namespaces
            .insert(format!("ns-{index}").parse().unwrap(), settings);
    }
    let text = shown(&plan_of([(
        tenant.name.clone(),
        World::default().plan(&tenant),
    )]));
    assert!(
        text.contains("more lines") && text.len() <= 60_000,
        "{}",
        text.len()
    );
    check_markup(&text);
}

#[test]
fn escaping_shows_what_it_makes_harmless() {
    for (raw, html) in [
        ("acme/ai-team", "<code>acme/ai-team</code>"),
        ("@everyone", "<code>&#64;everyone</code>"),
        ("a|b`c", "<code>a&#124;b&#96;c</code>"),
        ("one\ntwo", "<code>one&#92;ntwo</code>"),
        ("\u{202e}evil", "<code>&#92;u{202e}evil</code>"),
        ("&lt;", "<code>&#38;lt;</code>"),
        ("https://x", "<code>https&#58;//x</code>"),
    ] {
        assert_eq!(escape::code(raw), html);
    }
    assert_eq!(
        escape::message("team `a` by @b"),
        "team <code>a</code> by <code>&#64;</code>b"
    );
    assert_eq!(
        escape::message("an odd ` and #1"),
        "an odd  and <code>&#35;</code>1"
    );
    assert!(escape::code(&"x".repeat(500)).contains("… (340 characters more)"));
}

#[test]
fn a_thousand_errors_are_not_a_thousand_annotations() {
    let many: Vec<_> = ten_errors().into_iter().cycle().take(1_000).collect();
    let annotations = annotations::of_diagnostics(&many, &file());
    assert_eq!(annotations.len(), 500);
    let last = &annotations[499].message;
    assert!(
        last.ends_with("And 500 more errors, not shown for their number."),
        "{last}"
    );
}

#[test]
fn annotations_stand_at_the_words_they_are_about() {
    let annotations = annotations::of_diagnostics(&ten_errors(), &file());
    assert_eq!(annotations.len(), 10);
    insta::assert_snapshot!(serde_json::to_string_pretty(&annotations[9]).unwrap());

    let plan = with_problem();
    let place = Place::Team("ai-team".parse().unwrap(), "billing-team".parse().unwrap());
    let at = annotations::of_problems(plan.problems(), &BTreeMap::from([(place, 9..14)]), &file());
    assert_eq!(
        (at[0].start_line, at[0].start_column, at[0].end_column),
        (2, Some(1), Some(5))
    );
    let nowhere = annotations::of_problems(plan.problems(), &BTreeMap::new(), &file());
    assert_eq!((nowhere[0].start_line, nowhere[0].start_column), (1, None));

    let over_lines = annotations::of_problems(
        plan.problems(),
        &BTreeMap::from([(Place::Tenant("ai-team".parse().unwrap()), 0..30)]),
        &file(),
    );
    assert_eq!(
        (
            over_lines[0].start_line,
            over_lines[0].end_line,
            over_lines[0].start_column
        ),
        (1, 4, None)
    );
}

#[test]
fn a_tenant_is_added() {
    insta::assert_snapshot!(shown(&added()));
}

#[test]
fn a_tenant_is_changed() {
    insta::assert_snapshot!(shown(&changed()));
}

#[test]
fn a_removal_is_held_and_says_what_is_in_there() {
    insta::assert_snapshot!(shown(&removed()));
}

#[test]
fn drift_is_told_apart() {
    insta::assert_snapshot!(shown(&drifted()));
}

#[test]
fn a_problem_holds_its_own_tenant() {
    insta::assert_snapshot!(shown(&with_problem()));
}

#[test]
fn ten_errors_make_no_plan() {
    insta::assert_snapshot!(comment::impossible_comment(
        &ten_errors(),
        &Scene::of([]).setting(),
        &file()
    ));
}

#[test]
fn an_apply_is_told() {
    insta::assert_snapshot!(reported(&report_of(added(), None)));
}

#[test]
fn what_is_held_says_who_decides() {
    insta::assert_snapshot!(reported(&report_of(removed(), None)));
}

#[test]
fn wider_access_without_an_announcement_is_held() {
    let plan = approve(changed(), &Consent::None).into_plan();
    insta::assert_snapshot!(reported(&report_of(plan, None)));
}

#[test]
fn a_failure_says_when_it_is_tried_again() {
    let report = report_of(with_problem(), Some("team"));
    let scene = Scene::of(report.tenants.keys());
    let setting = Setting {
        retry_at: Some("2026-11-25T12:20:00Z".parse().unwrap()),
        ..scene.setting()
    };
    insta::assert_snapshot!(comment::report_comment(&report, None, &setting));
}

#[test]
fn a_plan_that_came_to_nothing_says_so() {
    let scene = Scene::of([]);
    assert_eq!(
        comment::plan_comment(&Plan::default(), &scene.setting()),
        None
    );
    insta::assert_snapshot!(comment::nothing_comment(&scene.setting()));
}

#[test]
fn five_hundred_tenants_fit() {
    let kinds: Vec<_> = (0..500)
        .map(|index| if index % 8 == 0 { 2 } else { 0 })
        .collect();
    let text = shown(&crowd(&kinds, false));
    let shape = |line: &str| {
        line.split_once("</code>")
            .map_or(line, |(start, _)| start.split_once("<code>").unwrap().0)
            .to_owned()
    };
    let mut shapes: BTreeMap<String, usize> = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("| ") || line.starts_with("<details>"))
    {
        *shapes.entry(shape(line)).or_default() += 1;
    }
    let head: Vec<_> = text.lines().take(8).collect();
    insta::assert_snapshot!(format!("{}\n…\n{shapes:#?}", head.join("\n")));
}

#[test]
fn the_check_of_a_plan() {
    let check = check::plan_check(&drifted());
    insta::assert_snapshot!(format!(
        "{} / {}\n{}\n\n{}",
        check.conclusion, check.title, check.summary, check.text
    ));
}

#[test]
fn checks_conclude_as_people_would_say() {
    let scene = Scene::of([]);
    let report = |plan| check::report_check(&report_of(plan, None), None, &scene.setting());
    for (check, conclusion, title) in [
        (check::plan_check(&added()), "success", "1 tenant added"),
        (check::plan_check(&removed()), "success", "1 removal held"),
        (
            check::plan_check(&with_problem()),
            "failure",
            "1 tenant added, 1 tenant held by a problem",
        ),
        (
            check::plan_check(&Plan::default()),
            "success",
            "Nothing to change",
        ),
        (
            check::impossible_check(&ten_errors(), &file()),
            "failure",
            "Not possible: 10 errors",
        ),
        (
            check::untouched_check("tenants.yaml"),
            "success",
            "The file is not touched",
        ),
        (
            check::superseded_check("3f2c1ab000"),
            "neutral",
            "Superseded by 3f2c1ab",
        ),
        (report(added()), "success", "Applied: 1 tenant added"),
        (
            report(removed()),
            "action_required",
            "Held: 1 tenant, for a person to decide",
        ),
        (
            report(with_problem()),
            "failure",
            "Failed: 1 of 2 tenants, 1 applied",
        ),
    ] {
        assert_eq!(
            (check.conclusion.as_str(), check.title.as_str()),
            (conclusion, title)
        );
        check_markup(&check.summary);
    }
}

#[test]
fn the_tree_of_a_change() {
    insta::assert_snapshot!(tree::of_plan(&changed(), Color::Never));
}

#[test]
fn the_json_of_a_change() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&machine::of_plan(&changed())).unwrap());
}

#[test]
fn only_the_remembered_entry_changes() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    tenant.removal.hold_for = "1h".parse().unwrap();
    let plan = plan_of([(tenant.name.clone(), world.plan(&tenant))]);
    assert!(shown(&plan).contains("the remembered entry of <code>ai-team</code>"));
}

#[test]
fn no_command_is_named_that_does_not_exist() {
    for text in [
        shown(&added()),
        shown(&removed()),
        reported(&report_of(removed(), None)),
    ] {
        let commands: BTreeSet<_> = text
            .split("/tenantry ")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap())
            .collect();
        assert_eq!(commands, BTreeSet::from(["plan", "help"]));
    }
}
