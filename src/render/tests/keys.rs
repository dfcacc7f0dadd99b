//! How the replacement of a deploy key is told.

use super::{plan_of, report_of, reported, shown};
use crate::observed::Rotation;
use crate::plan::Plan;
use crate::plan::tests::strategy::ai_team;
use crate::plan::tests::world::{Holds, World};
use crate::render::tree::{self, Color};
use crate::report::Outcome;
use crate::tenants::KeyAlgorithm;

fn due(rotation: Rotation) -> Plan {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.rotation = Some(rotation);
    plan_of([(tenant.name.clone(), world.plan(&tenant))])
}

fn aged() -> Rotation {
    let made = "2026-01-01T00:00:00Z".parse().unwrap();
    Rotation::Aged { made }
}

/// One that the file wants with other rights and of another kind, and, the key replaced, what is left of it.
fn wanted_otherwise() -> [Plan; 2] {
    let mut tenant = ai_team();
    let mut world = World::with(&tenant);
    tenant.deploy_key.read_only = false;
    tenant.deploy_key.algorithm = KeyAlgorithm::EcdsaP384;
    let plan = |world: &World| plan_of([(tenant.name.clone(), world.plan(&tenant))]);
    let first = plan(&world);
    world.apply(&tenant, Holds::Kept);
    [first, plan(&world)]
}

#[test]
fn a_plan_says_why_a_key_is_replaced() {
    let [otherwise, left] = wanted_otherwise();
    let all = [due(aged()), due(Rotation::Asked), otherwise, left];
    let trees = all.map(|plan| tree::of_plan(&plan, Color::Never));
    insta::assert_snapshot!(trees.join("\n"), @r#"
    ai-team  change
    └─ ~ change deploy key on acme/ai-team-workspace  another takes its place; it goes once Flux has fetched with the new one · registered 2026-01-01T00:00:00Z

    Plan: 1 tenant changed.
    GitHub: 0 to create, 1 to change, 0 held
    Cluster: 0 to create, 0 to change, 0 held
    Fingerprint 3b47-b042-ccfc

    ai-team  change
    └─ ~ change deploy key on acme/ai-team-workspace  another takes its place; it goes once Flux has fetched with the new one · somebody has asked for it

    Plan: 1 tenant changed.
    GitHub: 0 to create, 1 to change, 0 held
    Cluster: 0 to create, 0 to change, 0 held
    Fingerprint e429-416b-ffeb

    ai-team  change
    └─ ~ change deploy key on acme/ai-team-workspace  another takes its place; it goes once Flux has fetched with the new one  (wider access)
           algorithm: ed25519 → ecdsa-p384
           readOnly: true → false

    Plan: 1 tenant changed, wider access in 1 place.
    GitHub: 0 to create, 1 to change, 0 held
    Cluster: 0 to create, 0 to change, 0 held
    Fingerprint 42d4-7c11-f535

    ai-team  change
    └─ - remove deploy key tenantry/default/ai-team  read-only on acme/ai-team-workspace · not in use any more, with fingerprint SHA256:29

    Plan: 1 tenant changed.
    GitHub: 0 to create, 1 to change, 0 held
    Cluster: 0 to create, 0 to change, 0 held
    Fingerprint 29fc-63aa-b888
    "#);
}

#[test]
fn a_comment_says_why_a_key_is_replaced() {
    let [otherwise, _] = wanted_otherwise();
    insta::assert_snapshot!(shown(&otherwise), @r#"
    <!-- tenantry:plan -->
    ### Plan: 1 tenant changed · 🔓 wider access in 1 place

    | | ➕ create | ✏️ change | ⛔ held | unchanged |
    |:--|--:|--:|--:|--:|
    | Tenants | 0 | 1 | 0 | 0 not touched |
    | GitHub objects | 0 | 1 | 0 | 3 |
    | Cluster objects | 0 | 0 | 0 | 29 |

    > [!WARNING]
    > **Wider access** to what exists already, done at the merge because it is announced here:
    > - <code>ai-team</code>: deploy key on <code>acme/ai-team-workspace</code> another takes its place; it goes once Flux has fetched with the new one: <code>algorithm</code>: <code>ed25519</code> → <code>ecdsa-p384</code>, <code>readOnly</code>: <code>true</code> → <code>false</code>

    **On merge, each tenant by itself and in this order:** 1 deploy key.
    A step that fails stops its own tenant only; it is tried again.

    <details><summary>✏️ change <b><code>ai-team</code></b> · GitHub 1 · cluster 0 · line 12</summary>

    | | Object | What |
    |:--|:--|:--|
    | ✏️ change | deploy key on <code>acme/ai-team-workspace</code> | another takes its place; it goes once Flux has fetched with the new one<br><code>algorithm</code>: <code>ed25519</code> → <code>ecdsa-p384</code><br><code>readOnly</code>: <code>true</code> → <code>false</code><br>🔓 wider access |

    </details>

    ---
    The merge does what stands here, or less: if it would then remove more or widen more, that part waits for a person.
    <sub>Plan <code>42d4-7c11-f535</code> · <code>3f2c1ab</code> merged onto <code>main</code> <code>9d0e4f1</code> · 12:04:31 UTC · [every detail](https://github.com/acme/control/runs/1)</sub>
    <sub><code>/tenantry plan</code> plans again · <code>/tenantry help</code></sub>
    "#);
}

#[test]
fn a_report_says_what_a_key_waits_for() {
    let [otherwise, left] = wanted_otherwise();
    let waiting = |plan: Plan| {
        let mut report = report_of(plan, None);
        let tenants = report.tenants.values_mut();
        for (step, outcome) in tenants.flat_map(|tenant| &mut tenant.outcomes) {
            if step.id.noun() == "deploy key" {
                *outcome = Outcome::Waiting;
            }
        }
        reported(&report)
    };
    insta::assert_snapshot!([otherwise, left].map(waiting).join("\n"), @r#"
    <!-- tenantry:plan -->
    ### Applied: 1 tenant changed

    <details><summary>✅ changed <b><code>ai-team</code></b> · GitHub 1 · cluster 0 · line 12</summary>

    | | Object | What |
    |:--|:--|:--|
    | ⏳ waits | deploy key on <code>acme/ai-team-workspace</code> | another takes its place; it goes once Flux has fetched with the new one · once the key before it is gone<br><code>algorithm</code>: <code>ed25519</code> → <code>ecdsa-p384</code><br><code>readOnly</code>: <code>true</code> → <code>false</code> |

    </details>

    ---
    <sub><code>3f2c1ab</code> on <code>main</code> · 12:04:31 UTC · [every detail](https://github.com/acme/control/runs/1)</sub>
    <sub><code>/tenantry plan</code> plans again · <code>/tenantry help</code></sub>

    <!-- tenantry:plan -->
    ### Applied: 1 tenant changed

    <details><summary>✅ changed <b><code>ai-team</code></b> · GitHub 1 · cluster 0 · line 12</summary>

    | | Object | What |
    |:--|:--|:--|
    | ⏳ waits | deploy key <code>tenantry/default/ai-team</code> | read-only on <code>acme/ai-team-workspace</code> · not in use any more, with fingerprint <code>SHA256:29</code> · once Flux has fetched with the one in use |

    </details>

    ---
    <sub><code>3f2c1ab</code> on <code>main</code> · 12:04:31 UTC · [every detail](https://github.com/acme/control/runs/1)</sub>
    <sub><code>/tenantry plan</code> plans again · <code>/tenantry help</code></sub>
    "#);
}
