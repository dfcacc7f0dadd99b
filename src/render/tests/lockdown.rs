use insta::assert_snapshot;

use super::{check_markup, plan_of, report_of, reported, shown};
use crate::flux::lockdown::{Controller, Gap, Policy, Standing};
use crate::plan::tests::strategy::{ai_team, named};
use crate::plan::tests::world::World;
use crate::plan::{Plan, foresee};
use crate::render::annotations::{self, File, Level};
use crate::render::tree::{self, Color};
use crate::render::{check, json};
use crate::tenants::diagnostic::Place;

fn gaps() -> Vec<Gap> {
    vec![
        Gap::NotFound {
            controller: Controller::Helm,
            group: Some("helm.toolkit.fluxcd.io"),
        },
        Gap::Arguments {
            deployment: "kustomize-controller".to_owned(),
            missing: vec![
                "--no-cross-namespace-refs=true".to_owned(),
                "--no-remote-bases=true".to_owned(),
            ],
            wrong: vec![(
                "--default-service-account=@all".to_owned(),
                "--default-service-account=flux".to_owned(),
            )],
        },
        Gap::TooOld {
            version: "v2.6.4".to_owned(),
            deployments: vec!["kustomize-controller".to_owned()],
        },
    ]
}

fn standing(policy: Policy) -> Standing {
    Standing {
        policy,
        gaps: gaps(),
        unready: vec!["`source-controller` has 0 of 1 Pods ready".to_owned()],
    }
}

/// A new tenant beside one whose description changes.
fn plan(policy: Policy) -> Plan {
    let (new, mut old) = (named("payments"), ai_team());
    let world = World::with(&old);
    "Models".clone_into(&mut old.description);
    let mut plan = plan_of([
        (new.name.clone(), World::default().plan(&new)),
        (old.name.clone(), world.plan(&old)),
    ]);
    plan.lockdown = standing(policy);
    foresee(plan)
}

fn head(comment: &str) -> String {
    check_markup(comment);
    let (head, _) = comment.split_once("<details>").unwrap();
    head.to_owned()
}

#[test]
fn what_lacks_is_the_first_thing_that_a_plan_says() {
    let text = shown(&plan(Policy::Require));
    assert!(text.contains("waits for Flux's lockdown <b><code>payments</code></b>"));
    assert_snapshot!(head(&text), @"
    <!-- tenantry:plan -->
    ### Plan: 1 tenant changed · ⛔ 1 tenant waits for Flux's lockdown

    > [!CAUTION]
    > **Flux on this cluster is not locked down**, so no tenant is onboarded and nobody gains access until it is:
    > - the cluster serves <code>helm.toolkit.fluxcd.io</code>, and there is no <code>helm-controller</code> in <code>flux-system</code>. It may run elsewhere: move it there, or remove the kinds of <code>helm.toolkit.fluxcd.io</code> if nothing serves them.
    > - <code>kustomize-controller</code> runs without <code>--no-cross-namespace-refs=true</code> and <code>--no-remote-bases=true</code>, and with <code>--default-service-account=&#64;all</code> in place of <code>--default-service-account=flux</code>. Set them in the <code>args</code> of its container, by patches where Flux is installed from.
    > - <code>kustomize-controller</code> is <code>v2.6.4</code>, older than Flux 2.7. Upgrade Flux.
    > 
    > People of a tenant can have such a Flux act on the whole cluster. [What Flux says about it](https://fluxcd.io/flux/installation/configuration/multitenancy/). What waits is done by itself once Flux is locked down. Not all of Flux runs as it should: <code>source-controller</code> has 0 of 1 Pods ready.

    | | ➕ create | ✏️ change | ⛔ held | unchanged |
    |:--|--:|--:|--:|--:|
    | Tenants | 0 | 1 | <b>1</b> | 0 not touched |
    | GitHub objects | 0 | 1 | <b>4</b> | 3 |
    | Cluster objects | 0 | 0 | <b>30</b> | 30 |

    **On merge, each tenant by itself and in this order:** 1 repository.
    A step that fails stops its own tenant only; it is tried again.
    ");
}

#[test]
fn a_warning_is_given_every_time() {
    let plan = plan(Policy::Warn);
    let text = head(&shown(&plan));
    assert!(
        text.contains("### Plan: 1 tenant added, 1 changed"),
        "{text}"
    );
    let said = "> [!WARNING]\n> **Flux on this cluster is not locked down**. With <code>flux.lockdown: warn</code> the work goes on all the same:\n> - the cluster serves";
    assert!(text.contains(said), "{text}");
    let report = report_of(plan, None);
    assert!(reported(&report).contains(said));
}

#[test]
fn a_guard_that_is_weakened_says_when_it_counts() {
    let text = head(&shown(&plan(Policy::RequireOnceMore)));
    assert!(text.contains("> [!CAUTION]"), "{text}");
    assert!(
        text.contains(
            "<code>flux.lockdown: warn</code> is new, and counts from the next merge on:"
        ),
        "{text}"
    );
}

#[test]
fn a_locked_flux_that_does_not_run_is_a_note() {
    let mut plan = plan(Policy::Require);
    plan.lockdown.gaps.clear();
    let text = head(&shown(&plan));
    assert!(text.contains("> [!NOTE]\n> Not all of Flux runs as it should: <code>source-controller</code> has 0 of 1 Pods ready.\n"), "{text}");
    plan.lockdown.unready.clear();
    assert!(!shown(&plan).contains("Flux on this cluster"));
}

#[test]
fn a_tenant_that_was_not_onboarded_is_held() {
    let report = report_of(plan(Policy::Require), None);
    let text = reported(&report);
    check_markup(&text);
    let (head, _) = text.split_once("> - ").unwrap();
    assert_snapshot!(head, @"
    <!-- tenantry:plan -->
    ### Held: 1 of 2 tenants, until Flux is locked down, 1 applied

    > [!CAUTION]
    > **Flux on this cluster is not locked down**, so no tenant is onboarded and nobody gains access until it is:
    ");
    assert!(text.contains("waits for Flux's lockdown <b><code>payments</code></b>"));
    assert!(!text.contains("for a person to decide"), "{text}");
}

#[test]
fn the_check_fails_where_a_tenant_waits() {
    let text = check::plan_check(&plan(Policy::Require));
    assert_eq!(text.conclusion, check::Conclusion::Failure);
    assert_eq!(
        text.title,
        "1 tenant changed, 1 tenant waits for Flux's lockdown"
    );
    assert!(text.summary.contains("not locked down"), "{}", text.summary);
    let text = check::plan_check(&plan(Policy::Warn));
    assert_eq!(text.conclusion, check::Conclusion::Success);
    assert!(text.summary.contains("not locked down"), "{}", text.summary);
}

#[test]
fn one_annotation_stands_at_the_first_tenant_that_waits() {
    let text = "tenants:\n- name: ai-team\n- name: payments\n";
    let file = File {
        path: "tenants.yaml",
        text,
    };
    let start = text.find("payments").unwrap();
    let place = Place::Tenant("payments".parse().unwrap());
    let places = [(place, start..start + 8)].into();
    let found = annotations::of_lockdown(&plan(Policy::Require), &places, &file).unwrap();
    assert_eq!((found.start_line, found.level), (3, Level::Failure));
    assert_eq!(found.title, "Flux is not locked down: 1 tenant held");
    assert!(found.message.contains("--no-remote-bases=true"));
    assert_eq!(
        annotations::of_lockdown(&plan(Policy::Warn), &places, &file),
        None
    );
}

#[test]
fn a_terminal_and_a_program_are_told_too() {
    let tree = tree::of_plan(&plan(Policy::Require), Color::Never);
    let (head, _) = tree.split_once("\n\n").unwrap();
    assert_snapshot!(head, @"
    error: Flux on this cluster is not locked down, so no tenant is onboarded and nobody gains access until it is:
    - the cluster serves `helm.toolkit.fluxcd.io`, and there is no `helm-controller` in `flux-system`
      hint: it may run elsewhere: move it there, or remove the kinds of `helm.toolkit.fluxcd.io` if nothing serves them
    - `kustomize-controller` runs without `--no-cross-namespace-refs=true` and `--no-remote-bases=true`, and with `--default-service-account=@all` in place of `--default-service-account=flux`
      hint: set them in the `args` of its container, by patches where Flux is installed from
    - `kustomize-controller` is `v2.6.4`, older than Flux 2.7
      hint: upgrade Flux
    Not all of Flux runs as it should: `source-controller` has 0 of 1 Pods ready.
    ");
    let lockdown = json::of_plan(&plan(Policy::Warn))["lockdown"].clone();
    assert_eq!(lockdown["policy"], "warn");
    assert_eq!(
        lockdown["gaps"][2],
        serde_json::json!({
            "message": "`kustomize-controller` is `v2.6.4`, older than Flux 2.7",
            "help": "upgrade Flux",
        })
    );
}
