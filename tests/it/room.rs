//! That a tenant's accounts are within their room is asked of the cluster, not assumed.

use serde_json::Value;

use crate::support::World;

const TENANTS: &str = "
tenants:
- name: red%
  githubTeams: [{name: ai-team}]
  namespaces: [{name: red%}, {name: red-2%}]
- name: notes%
- name: blue%
  namespaces: [{name: blue%}]
";

/// The conditions of a Tenant, as `type=status reason`.
fn conditions(world: &World, tenant: &str) -> Vec<String> {
    let tenant = world.object("tenants.tenantry.dev", "", tenant);
    let tenant = tenant.expect("it is remembered");
    let generation = &tenant["metadata"]["generation"];
    let conditions = tenant["status"]["conditions"].as_array().expect("a list");
    let mut told: Vec<String> = conditions
        .iter()
        .map(|condition| {
            assert_eq!(&condition["observedGeneration"], generation, "{condition}");
            let text = |key: &str| condition[key].as_str().expect("a text").to_owned();
            format!("{}={} {}", text("type"), text("status"), text("reason"))
        })
        .collect();
    told.sort();
    told
}

/// How often the cluster was asked about a tenant's accounts.
fn reviews(world: &World, tenant: &str) -> usize {
    let log = world.log();
    let asked = log
        .lines()
        .filter(|line| line.contains("asking what its accounts may do"));
    let tenant = format!("tenant={} ", world.text(tenant));
    asked.filter(|line| line.contains(&tenant)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_of_a_tenants_accounts_stands_in_its_tenant() {
    let Some(mut world) = World::new(TENANTS).await else {
        return;
    };
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let contained = ["Accepted=True Written", "Contained=True Contained"];
    assert_eq!(conditions(&world, "red%"), contained);
    assert_eq!(conditions(&world, "blue%"), contained);
    assert_eq!(
        conditions(&world, "notes%"),
        ["Accepted=True Written"],
        "it has no accounts"
    );

    // Another entry, another look; and what the Tenant says of both is kept.
    let wider = TENANTS.replace("{name: red-2%}", "{name: red-2%, quota: {pods: '5'}}");
    let (_, _, apply) = world.change("quota", &wider).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(conditions(&world, "red%"), contained);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_somebody_lets_out_fails_until_the_door_is_shut() {
    let Some(mut world) = World::new(TENANTS).await else {
        return;
    };
    let since = |world: &World| {
        let tenant = world
            .object("tenants.tenantry.dev", "", "red%")
            .expect("it is remembered");
        let conditions = tenant["status"]["conditions"]
            .as_array()
            .expect("a list")
            .clone();
        let contained = conditions
            .into_iter()
            .find(|one| one["type"] == "Contained");
        contained.map_or(Value::Null, |one| one["lastTransitionTime"].clone())
    };
    let door = "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: door%}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: reconciler, namespace: tenant-red%}]
";
    world.create("blue%", door);
    let changed = TENANTS.replace("name: red-2%", "name: red-2%, quota: {pods: '5'}");
    let (number, plan, apply) = world.change("quota", &changed).await;
    assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert_eq!(conditions(&world, "red%")[1], "Contained=False Open");
    let opened = since(&world);
    let comment = world.comment(number).expect("a comment");
    let comment = world.plain(&comment);
    for part in [
        "the account <code>reconciler</code> of <code>tenant-red</code> can get <code>secrets</code> in <code>blue</code>",
        "kubectl auth can-i --list --as=system:serviceaccount:tenant-red:reconciler --namespace=blue",
    ] {
        assert!(comment.contains(part), "{part}: {comment}");
    }

    // It stays so, and is not told again and again; nor is another tenant asked about.
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert_eq!(since(&world), opened);
    world.rests().await;

    world.kubectl(&["delete", "rolebinding", "door%", "--namespace=blue%"]);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(conditions(&world, "red%")[1], "Contained=True Contained");
    let asked = reviews(&world, "red%");
    world.rests().await;
    assert_eq!(
        reviews(&world, "red%"),
        asked,
        "where nothing is new, nothing is asked"
    );
    world.end().await;
}
