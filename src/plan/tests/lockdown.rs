//! Who gets in while Flux is not locked down.

use std::collections::BTreeSet;

use super::strategy::{ai_team, named};
use super::world::World;
use crate::flux::lockdown::{Gap, Policy, Standing};
use crate::object::{Kind, Permission};
use crate::plan::guard::Consent;
use crate::plan::{Effect, Hold, Plan, Promise, TenantPlan, approve, foresee};
use crate::tenants::Tenant;

fn open(policy: Policy) -> Standing {
    Standing {
        policy,
        gaps: vec![Gap::NotInstalled],
        unready: Vec::new(),
    }
}

fn plan_of(tenant: &Tenant, steps: TenantPlan, policy: Policy) -> Plan {
    let mut plan = Plan {
        lockdown: open(policy),
        ..Plan::default()
    };
    plan.add(tenant.name.clone(), steps);
    plan
}

fn holds(plan: &Plan) -> BTreeSet<(&'static str, Option<Hold>)> {
    plan.steps()
        .map(|(_, step)| (step.id.noun(), step.hold))
        .collect()
}

const WAITS: Option<Hold> = Some(Hold::NotLockedDown);

#[test]
fn nothing_of_a_new_tenant_is_made() {
    let tenant = ai_team();
    for policy in [Policy::Require, Policy::RequireOnceMore] {
        let plan = foresee(plan_of(&tenant, World::default().plan(&tenant), policy));
        assert!(plan.steps().all(|(_, step)| step.hold == WAITS));
        assert!(plan.tenants[&tenant.name].is_locked_out());
        assert_eq!(plan.locked_out().count(), 1);
    }
}

#[test]
fn with_warn_everything_goes_on() {
    let tenant = ai_team();
    let plan = foresee(plan_of(
        &tenant,
        World::default().plan(&tenant),
        Policy::Warn,
    ));
    assert!(plan.steps().all(|(_, step)| step.hold.is_none()));
    assert_eq!(plan.locked_out().count(), 0);
}

#[test]
fn harmless_work_on_a_tenant_that_is_there_goes_on() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    "Models".clone_into(&mut tenant.description);
    for space in tenant.namespaces.values_mut() {
        space.quota.insert("pods".to_owned(), "12".to_owned());
    }
    let plan = foresee(plan_of(&tenant, world.plan(&tenant), Policy::Require));
    assert!(plan.steps().count() > 1);
    assert!(plan.steps().all(|(_, step)| step.hold.is_none()));
}

/// A new namespace is made; whoever would get into it waits, also where nothing becomes wider than it was.
#[test]
fn nobody_gains_access_to_a_tenant_that_is_there() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    let settings = tenant.namespaces.values().next().unwrap().clone();
    tenant
        .namespaces
        .insert("staging".parse().unwrap(), settings);
    for team in tenant.teams.values_mut() {
        team.namespaces.insert("staging".parse().unwrap());
        team.permission = Permission::Maintain;
    }
    let plan = foresee(plan_of(&tenant, world.plan(&tenant), Policy::Require));
    let found = holds(&plan);
    for (noun, hold) in [
        ("Namespace", None),
        ("ServiceAccount", None),
        ("NetworkPolicy", None),
        ("RoleBinding", WAITS),
        ("team", WAITS),
    ] {
        assert!(found.contains(&(noun, hold)), "{noun}: {found:?}");
        let other = if hold.is_none() { WAITS } else { None };
        assert!(!found.contains(&(noun, other)), "{noun}: {found:?}");
    }
    assert!(!plan.tenants[&tenant.name].is_locked_out());
}

#[test]
fn what_people_had_before_is_given_back() {
    let tenant = ai_team();
    let mut world = World::with(&tenant);
    world.take(Kind::RoleBinding, "ai", "ai-team-admin");
    let plan = foresee(plan_of(&tenant, world.plan(&tenant), Policy::Require));
    assert_eq!(holds(&plan), BTreeSet::from([("RoleBinding", None)]));
}

/// People merged what waits for the lockdown: once that is there, nobody is asked again.
#[test]
fn wider_access_that_waits_is_announced() {
    let mut tenant = ai_team();
    let world = World::with(&tenant);
    for team in tenant.teams.values_mut() {
        team.permission = Permission::Maintain;
    }
    let foreseen = foresee(plan_of(&tenant, world.plan(&tenant), Policy::Require));
    assert!(foreseen.steps().any(|(_, step)| step.hold == WAITS));
    let consent = Consent::Announced(vec![Promise::of(&foreseen)]);
    let mut mended = plan_of(&tenant, world.plan(&tenant), Policy::Require);
    mended.lockdown.gaps.clear();
    let approved = approve(mended, &consent);
    let wider = approved
        .plan()
        .steps()
        .filter(|(_, step)| step.effect == Effect::Wider);
    let holds: Vec<_> = wider.map(|(_, step)| step.hold).collect();
    assert!(
        !holds.is_empty() && holds.iter().all(Option::is_none),
        "{holds:?}"
    );

    let unannounced = plan_of(&tenant, world.plan(&tenant), Policy::Require);
    let approved = approve(unannounced, &Consent::None);
    let holds: Vec<_> = approved.plan().steps().map(|(_, step)| step.hold).collect();
    assert!(holds.contains(&Some(Hold::Unannounced)), "{holds:?}");
}

#[test]
fn each_new_tenant_waits_and_the_others_do_not() {
    let (new, mut old) = (named("payments"), ai_team());
    let world = World::with(&old);
    "Models".clone_into(&mut old.description);
    let mut plan = plan_of(&new, World::default().plan(&new), Policy::Require);
    plan.add(old.name.clone(), world.plan(&old));
    let plan = foresee(plan);
    let locked_out: Vec<_> = plan.locked_out().collect();
    assert_eq!(locked_out, [&new.name]);
}
