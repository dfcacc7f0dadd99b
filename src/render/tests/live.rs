use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Scene, added, check_markup, removed, report_of, text};
use crate::live::course::{Course, Leg, Turn};
use crate::live::{Nature, Obstacle, Stage};
use crate::names::TenantName;
use crate::object::Kind;
use crate::plan::tests::strategy::HOSTILE;
use crate::render::{check, comment, live};

const BEGAN: &str = "2026-11-25T12:04:31Z";

fn began() -> Timestamp {
    BEGAN.parse().unwrap()
}

/// A tenant that reached each stage so many seconds after the apply began.
fn leg(seconds: &[i64], obstacle: Option<Obstacle>) -> Leg {
    let passed = Stage::ALL
        .iter()
        .zip(seconds)
        .map(|(stage, seconds)| (*stage, began() + SignedDuration::from_secs(*seconds)));
    Leg {
        passed: passed.collect(),
        obstacle,
    }
}

fn waiting() -> Obstacle {
    Obstacle {
        nature: Nature::Waiting,
        by: Some(Kind::GitRepository),
        reason: "Progressing".to_owned(),
        message: "Flux is to fetch it".to_owned(),
        help: None,
    }
}

fn missing_path() -> Obstacle {
    Obstacle {
        nature: Nature::Failing,
        by: Some(Kind::Kustomization),
        reason: "ArtifactFailed".to_owned(),
        message: "kustomization path not found: stat /tmp/kustomization-12/prod: no such file or directory".to_owned(),
        help: Some("commit that directory to the workspace, or correct `repository.path` in the file".to_owned()),
    }
}

fn stuck() -> Obstacle {
    Obstacle {
        nature: Nature::Stuck,
        by: Some(Kind::GitRepository),
        reason: "AuthenticationFailed".to_owned(),
        message: "failed to get secret 'tenant-payments/git-auth'".to_owned(),
        help: Some("look".to_owned()),
    }
}

fn course(turn: Turn, legs: Vec<(&str, Leg)>) -> Course {
    let legs = legs
        .into_iter()
        .map(|(name, leg)| (name.parse().unwrap(), leg));
    Course {
        legs: legs.collect(),
        began: began(),
        turn,
    }
}

fn live_leg() -> Leg {
    leg(&[2, 3, 7, 7, 7], None)
}

fn underway() -> Course {
    course(
        Turn::Underway,
        vec![
            ("ai-team", live_leg()),
            ("payments", leg(&[2, 4], Some(missing_path()))),
            ("search", leg(&[64], Some(waiting()))),
        ],
    )
}

fn told(course: &Course) -> String {
    let report = report_of(added(), None);
    let names: Vec<TenantName> = report.tenants.keys().cloned().collect();
    comment::report_comment(&report, Some(course), &Scene::of(&names).setting())
}

/// The title, and the part that follows the tenants.
fn shown(course: &Course) -> String {
    let text = told(course);
    let title = text.lines().find(|line| line.starts_with("### ")).unwrap();
    let (_, part) = text.split_once("<!-- tenantry:live").unwrap();
    let (part, _) = part.split_once("<!-- tenantry:live-end -->").unwrap();
    let (_, part) = part.split_once("-->\n").unwrap();
    format!("{title}\n\n{part}")
}

#[test]
fn tenants_on_their_way() {
    insta::assert_snapshot!(shown(&underway()));
}

#[test]
fn all_tenants_are_live() {
    let course = course(
        Turn::Live,
        vec![
            ("ai-team", live_leg()),
            ("payments", leg(&[2, 3, 9, 9, 9], None)),
        ],
    );
    insta::assert_snapshot!(shown(&course));
}

#[test]
fn a_tenant_that_needs_a_person() {
    let course = course(
        Turn::Stuck,
        vec![
            ("ai-team", live_leg()),
            ("payments", leg(&[3], Some(stuck()))),
        ],
    );
    insta::assert_snapshot!(shown(&course));
}

#[test]
fn titles_say_how_far_it_is() {
    let suspended = Obstacle {
        nature: Nature::Suspended,
        ..waiting()
    };
    let title = |turn: Turn, legs: Vec<Leg>| {
        let names = ["a", "b", "c"];
        let course = course(turn, names.into_iter().zip(legs).collect());
        let text = told(&course);
        let title = text
            .lines()
            .find_map(|line| line.strip_prefix("### "))
            .unwrap()
            .to_owned();
        let report = report_of(added(), None);
        let check = check::report_check(&report, Some(&course), &Scene::of([]).setting());
        assert_eq!(check.title, title.replace(" · ", ", ").replace("⚠️ ", ""));
        title
    };
    let waits = || leg(&[2], Some(waiting()));
    let before = || leg(&[-86_400, -86_400, -86_400, -86_400, -86_400], None);
    let titles = [
        title(Turn::Underway, vec![waits()]),
        title(
            Turn::Underway,
            vec![live_leg(), leg(&[2, 3], Some(missing_path())), waits()],
        ),
        title(Turn::Live, vec![live_leg()]),
        // Live long before, and untouched by Flux since: there is no time to tell.
        title(Turn::Live, vec![before()]),
        title(
            Turn::Live,
            vec![live_leg(), leg(&[2], Some(suspended.clone()))],
        ),
        title(Turn::Live, vec![leg(&[2], Some(suspended))]),
        title(Turn::Stuck, vec![live_leg(), leg(&[2], Some(stuck()))]),
        title(Turn::Late, vec![leg(&[2, 3], Some(missing_path()))]),
        title(
            Turn::Superseded {
                by: "3f2c1ab0000".to_owned(),
            },
            vec![],
        ),
    ];
    insta::assert_snapshot!(titles.join("\n"), @"
    Applied: 1 tenant added · 0 of 1 live
    Applied: 1 tenant added · 1 of 3 live · ⚠️ 1 failing
    Live: 1 tenant added · in 7 s
    Live: 1 tenant added
    Live: 1 tenant added · in 7 s · 1 suspended
    Applied: 1 tenant added · 1 suspended
    Failed: 1 of 2 tenants not live · 1 tenant added
    Failed: 1 tenant not live in time · 1 tenant added
    Applied: 1 tenant added · followed with 3f2c1ab
    ");
}

#[test]
fn a_report_with_something_worse_to_say_keeps_its_title() {
    let report = report_of(removed(), None);
    let setting = Scene::of([]);
    let text = comment::report_comment(&report, Some(&underway()), &setting.setting());
    assert!(text.contains("### Held: "), "{text}");
    let done = course(Turn::Live, vec![("ai-team", live_leg())]);
    let again = live::retold(&text, &done).unwrap();
    assert!(
        again.contains("### Held: ") && !again.contains("ArtifactFailed"),
        "{again}"
    );
    let check = check::report_check(&report, Some(&underway()), &setting.setting());
    assert_eq!(check.conclusion, check::Conclusion::ActionRequired);
    assert_eq!(
        live::check_title(&check.summary, &done),
        None,
        "it speaks of something else"
    );
}

#[test]
fn what_is_retold_is_what_would_have_been_told() {
    let done = course(Turn::Live, vec![("ai-team", live_leg())]);
    let first = told(&underway());
    assert_eq!(live::retold(&first, &done), Some(told(&done)));
    assert_eq!(live::retold(&told(&done), &underway()), Some(first.clone()));
    assert_eq!(live::retold(&first, &underway()), Some(first));
    assert_eq!(live::retold("### Applied: 1 tenant added\n", &done), None);

    let setting = Scene::of([]);
    let report = report_of(added(), None);
    let check = |course: &Course| check::report_check(&report, Some(course), &setting.setting());
    let (before, after) = (check(&underway()), check(&done));
    assert_eq!(live::retold(&before.summary, &done), Some(after.summary));
    assert_eq!(live::check_title(&before.summary, &done), Some(after.title));
}

#[test]
fn a_thousand_tenants_that_all_fail_at_length_fit() {
    let long = Obstacle {
        message: "<@>&`|".repeat(300),
        ..missing_path()
    };
    let legs: BTreeMap<TenantName, Leg> = (0..1000)
        .map(|number| {
            (
                format!("tenant-{number}").parse().unwrap(),
                leg(&[2], Some(long.clone())),
            )
        })
        .collect();
    let many = Course { legs, ..underway() };
    let text = told(&many);
    assert!(text.len() <= comment::LONGEST, "{}", text.len());
    assert!(
        text.contains("more tenants") && text.contains("ArtifactFailed"),
        "{text}"
    );
    // Also where the rest of the comment leaves no room: what is replaced was smaller.
    let short = told(&course(
        Turn::Underway,
        vec![("ai-team", leg(&[2], Some(waiting())))],
    ));
    let filler = "x".repeat(comment::LONGEST - live::LONGEST - short.len() + 800);
    let again = live::retold(&(short + &filler), &many).unwrap();
    assert!(again.len() <= comment::LONGEST + 500, "{}", again.len());
}

fn says(text: &str) -> Course {
    let obstacle = Obstacle {
        reason: text.to_owned(),
        message: text.to_owned(),
        help: Some(text.to_owned()),
        ..missing_path()
    };
    course(
        Turn::Underway,
        vec![("ai-team", leg(&[2, 3], Some(obstacle)))],
    )
}

fn check_told(course: &Course) {
    let text = told(course);
    assert_eq!(text.matches("<!-- tenantry:live").count(), 2, "{text}");
    let text = text.replace("<!-- tenantry:live-end -->", "");
    let (before, rest) = text.split_once("<!-- tenantry:live").unwrap();
    let (_, after) = rest.split_once("-->").unwrap();
    check_markup(&(before.to_owned() + after));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_flux_says_never_shows_raw(text in text()) {
        check_told(&says(&text));
    }
}

#[test]
fn hostile_words_of_flux_are_harmless() {
    for text in HOSTILE {
        check_told(&says(text));
    }
    check_told(&says("<!-- tenantry:live-end -->\n### Live: everything"));
}
