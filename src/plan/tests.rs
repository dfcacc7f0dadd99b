mod lockdown;
pub(crate) mod strategy;
pub(crate) mod world;

use proptest::prelude::*;
use serde_json::json;

use crate::desired;
use crate::object::{DeployKey, Kind, Object, ObjectId, Permission, Visibility};
use crate::observed::Rotation;
use crate::plan::guard::Consent;
use crate::plan::{
    Cause, Change, Plan, Promise, Step, TenantAction, TenantPlan, approve, fields, fingerprint,
    foresee,
};
use crate::plan::{Effect, Hold};
use crate::tenants::{KeyAlgorithm, PodSecurity, Role, Tenant};
use strategy::{ai_team, tenant};
use world::{Holds, World, desired};

fn summary(plan: &TenantPlan) -> Vec<String> {
    let line = |step: &Step| format!("{} {} {}", step.change.verb(), step.id.noun(), step.id);
    plan.steps.iter().map(line).collect()
}

fn plan_of(tenant: &Tenant, steps: TenantPlan) -> Plan {
    let mut plan = Plan::default();
    plan.add(tenant.name.clone(), steps);
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn planning_after_applying_is_empty(tenant in tenant()) {
        let world = World::with(&tenant);
        prop_assert_eq!(summary(&world.plan(&tenant)), Vec::<String>::new());
        prop_assert!(world.plan(&tenant).problems.is_empty());
    }

    #[test]
    fn a_changed_entry_is_planned_once(before in tenant(), mut after in tenant()) {
        after.name = before.name.clone();
        after.repository.name = before.repository.name.clone();
        let mut world = World::with(&before);
        world.apply(&after, Holds::Ignored);
        // A key whose pair was replaced goes with the next plan.
        world.apply(&after, Holds::Ignored);
        prop_assert_eq!(summary(&world.plan(&after)), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_after_applying_is_held(before in tenant(), mut after in tenant()) {
        after.name = before.name.clone();
        after.repository.name = before.repository.name.clone();
        let mut world = World::with(&before);
        world.apply(&after, Holds::Kept);
        world.apply(&after, Holds::Kept);
        let plan = foresee(plan_of(&after, world.plan(&after)));
        let left: Vec<_> = plan.steps().filter(|(_, step)| step.hold.is_none()).collect();
        prop_assert!(left.is_empty(), "{left:#?}");
    }

    #[test]
    fn the_order_of_entries_changes_nothing(mut tenant in tenant()) {
        let one = desired(&tenant);
        let plan = plan_of(&tenant, World::default().plan(&tenant));
        tenant.additional_role_bindings.reverse();
        let reversed = plan_of(&tenant, World::default().plan(&tenant));
        let without_memory = |desired: &desired::Desired| {
            let mut objects = desired.objects.clone();
            objects.retain(|id, _| !matches!(id, ObjectId::Manifest(id) if id.kind == Kind::Tenant));
            objects
        };
        prop_assert_eq!(without_memory(&desired(&tenant)), without_memory(&one));
        prop_assert_eq!(fingerprint::of_plan(&reversed), fingerprint::of_plan(&plan));
    }

    #[test]
    fn a_promise_survives_its_check_run(tenant in tenant()) {
        let promise = Promise::of(&plan_of(&tenant, World::default().plan(&tenant)));
        let text = format!("before {} after", promise.to_marker());
        prop_assert_eq!(Promise::from_marker(&text), Some(promise));
    }

    #[test]
    fn a_new_tenant_widens_nothing(tenant in tenant()) {
        let plan = World::default().plan(&tenant);
        prop_assert_eq!(plan.action, TenantAction::Add);
        prop_assert!(plan.steps.iter().all(|step| step.effect == Effect::Harmless));
    }
}

/// What one edit of the entry does to access, on a tenant that is all there.
#[test]
fn an_edit_has_the_effect_that_people_would_name() {
    type Edit = fn(&mut Tenant);
    let table: &[(&str, Edit, Effect)] = &[
        (
            "a team's permission is raised",
            |t| team(t).permission = Permission::Admin,
            Effect::Wider,
        ),
        (
            "a team's permission is lowered",
            |t| team(t).permission = Permission::Pull,
            Effect::Narrower,
        ),
        (
            "a team is added",
            |t| {
                let settings = team(t).clone();
                t.teams.insert("sre".parse().unwrap(), settings);
            },
            Effect::Wider,
        ),
        (
            "a team is removed",
            |t| drop(t.teams.remove(&"billing-team".parse().unwrap())),
            Effect::Removal,
        ),
        (
            "the repository becomes public",
            |t| t.repository.visibility = Visibility::Public,
            Effect::Wider,
        ),
        (
            "a description",
            |t| t.description = "new".to_owned(),
            Effect::Harmless,
        ),
        (
            "a team's group",
            |t| team(t).group = "other".to_owned(),
            Effect::Narrower,
        ),
        (
            "a quota",
            |t| drop(space(t).quota.insert("pods".to_owned(), "5".to_owned())),
            Effect::Harmless,
        ),
        (
            "a weaker Pod Security",
            |t| space(t).pod_security = PodSecurity::Privileged,
            Effect::Wider,
        ),
        (
            "a stronger Pod Security",
            |t| space(t).pod_security = PodSecurity::Restricted,
            Effect::Harmless,
        ),
        (
            "the key may write",
            |t| t.deploy_key.read_only = false,
            Effect::Wider,
        ),
        (
            "a key of another kind",
            |t| t.deploy_key.algorithm = KeyAlgorithm::EcdsaP256,
            Effect::Harmless,
        ),
        (
            "a namespace is removed",
            |t| drop(t.namespaces.remove(&"ai".parse().unwrap())),
            Effect::Removal,
        ),
        (
            "suspended: teams only pull",
            |t| t.suspended = true,
            Effect::Narrower,
        ),
    ];
    for (what, edit, effect) in table {
        let mut tenant = ai_team();
        let world = World::with(&tenant);
        edit(&mut tenant);
        let plan = world.plan(&tenant);
        let strongest = plan.steps.iter().map(|step| step.effect).max();
        assert_eq!(strongest, Some(*effect), "{what}: {:?}", summary(&plan));
    }
}

/// A namespace that comes new into a tenant brings its bindings with it.
#[test]
fn a_new_namespace_of_an_old_tenant_widens_nothing() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    let settings = tenant.namespaces.values().next().unwrap().clone();
    tenant
        .namespaces
        .insert("staging".parse().unwrap(), settings);
    tenant.teams.values_mut().for_each(|team| {
        team.namespaces.insert("staging".parse().unwrap());
    });
    let plan = world.plan(&tenant);
    assert!(
        plan.steps
            .iter()
            .all(|step| step.effect == Effect::Harmless),
        "{:?}",
        summary(&plan)
    );
}

/// A binding's role cannot be changed: there is a new binding beside the old one.
#[test]
fn another_role_of_flux_is_wider_access_until_the_old_one_goes() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    "edit".clone_into(&mut tenant.reconciler_role);
    let plan = foresee(plan_of(&tenant, world.plan(&tenant)));
    let bindings = plan
        .steps()
        .filter(|(_, step)| step.id.noun() == "RoleBinding");
    let found: Vec<_> = bindings.map(|(_, step)| (step.effect, step.hold)).collect();
    let (new, old) = (
        (Effect::Wider, None),
        (Effect::Removal, Some(Hold::Removal)),
    );
    assert_eq!(found, [new, new, new, old, old, old]);
}

fn team(tenant: &mut Tenant) -> &mut crate::tenants::TeamSettings {
    tenant.teams.values_mut().next().unwrap()
}

fn space(tenant: &mut Tenant) -> &mut crate::tenants::NamespaceSettings {
    tenant.namespaces.values_mut().next().unwrap()
}

fn raised() -> (World, Tenant) {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    team(&mut tenant).permission = Permission::Maintain;
    team(&mut tenant).role = Role::Edit;
    (world, tenant)
}

#[test]
fn wider_access_runs_only_if_it_was_announced() {
    let (world, tenant) = raised();
    let plan = || plan_of(&tenant, world.plan(&tenant));
    let promise = Promise::of(&foresee(plan()));
    let held = |consent: &Consent| -> Vec<_> {
        let approved = approve(plan(), consent);
        approved
            .plan()
            .steps()
            .filter_map(|(_, step)| step.hold)
            .collect()
    };
    assert!(held(&Consent::None).contains(&Hold::Unannounced));
    assert!(!held(&Consent::Announced(vec![promise.clone()])).contains(&Hold::Unannounced));

    let other = Promise {
        wider: std::iter::once(promise.plan.clone()).collect(),
        ..promise
    };
    assert!(held(&Consent::Announced(vec![other])).contains(&Hold::Unannounced));
}

#[test]
fn a_promise_that_would_not_fit_its_check_is_not_made() {
    let (mut tenants, mut plan) = (Vec::new(), Plan::default());
    for index in 0..600 {
        let (world, mut tenant) = raised();
        let steps = world.plan(&tenant);
        tenant.name = format!("t-{index:04}").parse().unwrap();
        plan.add(tenant.name.clone(), steps);
        tenants.push(tenant);
    }
    let plan = foresee(plan);
    let promise = Promise::of(&plan);
    let announced = plan
        .steps()
        .filter(|(_, step)| step.effect == Effect::Wider && step.hold.is_none());
    assert_eq!(announced.count(), promise.wider.len());
    assert!(promise.to_marker().len() < 40_000);
}

#[test]
fn a_team_that_the_file_does_not_name_is_drift_and_stays() {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.grant("acme/ai-team-workspace", "interns", Permission::Admin);
    world.invite("acme/ai-team-workspace", "mallory", Permission::Push);
    world.add_key("acme/ai-team-workspace", "laptop");
    let plan = foresee(plan_of(&tenant, world.plan(&tenant)));
    let found: Vec<_> = plan
        .steps()
        .map(|(_, step)| (step.cause, step.hold))
        .collect();
    assert_eq!(found, vec![(Cause::Drift, Some(Hold::NotNamed)); 3]);
}

#[test]
fn a_field_changed_by_hand_is_drift_and_is_put_back() {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.edit(
        Kind::ResourceQuota,
        "tenant-ai-team",
        "no-workloads",
        "/spec/hard/pods",
        json!("7"),
    );
    let plan = world.plan(&tenant);
    assert_eq!(plan.action, TenantAction::Drift);
    assert_eq!(
        summary(&plan),
        ["update ResourceQuota tenant-ai-team/no-workloads"]
    );
    world.apply(&tenant, Holds::Kept);
    assert!(world.plan(&tenant).is_empty());
}

#[test]
fn a_lost_key_pair_takes_its_deploy_key_with_it() {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.lose_secret("tenant-ai-team");
    let plan = world.plan(&tenant);
    assert!(
        summary(&plan)
            .iter()
            .any(|line| line.starts_with("create deploy key")),
        "{:?}",
        summary(&plan)
    );
}

fn nouns(plan: &TenantPlan) -> Vec<String> {
    let word = |step: &Step| format!("{} {}", step.change.verb(), step.id.noun());
    plan.steps.iter().map(word).collect()
}

/// GitHub's keys cannot be edited, and a Secret's pair is not changed under Flux: one step does both.
#[test]
fn a_key_of_another_kind_or_with_other_rights_takes_the_place_of_the_one_in_use() {
    let edits: [fn(&mut Tenant); 3] = [
        |tenant| tenant.deploy_key.algorithm = KeyAlgorithm::EcdsaP384,
        |tenant| tenant.deploy_key.read_only = false,
        |tenant| {
            tenant.deploy_key.algorithm = KeyAlgorithm::EcdsaP256;
            tenant.deploy_key.read_only = false;
        },
    ];
    for edit in edits {
        let mut tenant = ai_team();
        let mut world = World::with(&tenant);
        edit(&mut tenant);
        assert_eq!(
            nouns(&world.plan(&tenant)),
            ["update Tenant", "update deploy key"]
        );
        world.apply(&tenant, Holds::Kept);
        let next = world.plan(&tenant);
        assert_eq!(nouns(&next), ["remove deploy key"]);
        assert_eq!(next.steps[0].effect, Effect::Harmless);
        world.apply(&tenant, Holds::Kept);
        assert!(world.plan(&tenant).is_empty());
    }
}

#[test]
fn a_key_that_has_had_its_time_is_no_drift_and_needs_nobody() {
    let tenant = ai_team();
    let made = "2026-01-01T00:00:00Z".parse().unwrap();
    for rotation in [Rotation::Aged { made }, Rotation::Asked] {
        let mut world = World::with(&tenant);
        world.rotation = Some(rotation);
        let plan = approve(plan_of(&tenant, world.plan(&tenant)), &Consent::None);
        let steps: Vec<_> = plan.plan().steps().map(|(_, step)| step).collect();
        assert_eq!(steps.len(), 1);
        assert_eq!((steps[0].cause, steps[0].hold), (Cause::Requested, None));
        world.apply(&tenant, Holds::Kept);
        // One after the other.
        world.rotation = Some(rotation);
        assert_eq!(nouns(&world.plan(&tenant)), ["remove deploy key"]);
        world.apply(&tenant, Holds::Kept);
        assert_eq!(nouns(&world.plan(&tenant)), ["update deploy key"]);
    }
}

#[test]
fn a_key_that_somebody_else_registered_under_our_title_stays() {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.add_key("acme/ai-team-workspace", "tenantry/default/ai-team");
    let plan = foresee(plan_of(&tenant, world.plan(&tenant)));
    let found: Vec<_> = plan.steps().map(|(_, step)| step.hold).collect();
    assert_eq!(found, [Some(Hold::NotNamed)]);
}

#[test]
fn former_keys_of_a_tenant_that_is_to_go_are_held_with_all_the_rest() {
    let mut tenant = ai_team();
    let mut world = World::with(&tenant);
    tenant.deploy_key.algorithm = KeyAlgorithm::EcdsaP256;
    world.apply(&tenant, Holds::Kept);
    let plan = foresee(plan_of(&tenant, world.plan_of_removal(&tenant.name)));
    assert!(
        plan.steps()
            .all(|(_, step)| step.hold == Some(Hold::Removal))
    );
    assert_eq!(
        plan.steps()
            .filter(|(_, step)| step.id.noun() == "deploy key")
            .count(),
        2
    );
}

#[test]
fn a_repository_that_exists_is_taken_over_only_if_the_file_says_so() {
    let mut tenant = ai_team();
    let mut world = World::default();
    world.found_repository("acme/ai-team-workspace");
    assert_eq!(world.plan(&tenant).problems.len(), 1);
    tenant.repository.adopt = true;
    let plan = world.plan(&tenant);
    assert!(plan.problems.is_empty());
    let adopted = plan
        .steps
        .iter()
        .find(|step| matches!(step.change, Change::Adopt(_)))
        .unwrap();
    assert_eq!(adopted.effect, Effect::Wider);
}

#[test]
fn fields_that_we_set_once_and_no_longer_want_differ() {
    let fields_v1 = json!({ "f:spec": { "f:suspend": {}, "f:path": {} }, "f:metadata": { "f:labels": { "f:team": {} } } });
    let found = Object::Manifest(json!({
        "metadata": {
            "labels": { "team": "a", "theirs": "b" },
            "managedFields": [
                { "manager": "tenantry", "operation": "Apply", "fieldsV1": fields_v1 },
                { "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:spec": { "f:other": {} } } },
            ],
        },
        "spec": { "suspend": true, "path": "./", "other": 1 },
    }));
    let wanted =
        Object::Manifest(json!({ "metadata": { "labels": {} }, "spec": { "path": "./" } }));
    let changes = fields::between(&found, &wanted);
    let paths: Vec<_> = changes
        .iter()
        .map(|change| (change.path.as_str(), change.after.is_some()))
        .collect();
    assert_eq!(
        paths,
        [("metadata.labels.team", false), ("spec.suspend", false)]
    );
}

#[test]
fn a_key_that_may_only_read_is_no_wider() {
    let key = |read_only| Object::DeployKey(DeployKey { read_only });
    assert!(fields::between(&key(true), &key(true)).is_empty());
    assert_eq!(fields::between(&key(true), &key(false)).len(), 1);
}
