//! What an organisation lets everybody do, whatever the file says.

use tenantry::sandbox::github::{Permission, Request};

use crate::pull_request::{PLAN, annotations, title};
use crate::support::World;

/// One tenant with a key, one without, and one whose workspace everybody may see.
const TENANTS: &str = "
tenants:
- name: notes%
- name: shop%
  namespaces: [{name: shop%}]
- name: site%
  repository: {visibility: public}
";

async fn world(base: Option<Permission>) -> Option<World> {
    let world = World::new("tenants: []\n").await?;
    world
        .github
        .organization_settings(&world.organization(), |settings| {
            settings.base_permission = base;
        });
    Some(world)
}

const READ: &str = "very member of <code>acme</code> can read every workspace. An owner sets its base permission to <code>No permission</code>, under <code>Member privileges</code>";

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_that_every_member_can_read_are_said_to_be_and_made_all_the_same() {
    let Some(mut world) = world(Some(Permission::Pull)).await else {
        return;
    };
    let mark = world.github.mark();
    let (number, head) = world.pull("tenants", TENANTS);
    let plan = world.check(&head, PLAN).await;
    assert_eq!(title(&plan), ("success", "3 tenants added"));
    let requests = world.github.requests_since(mark);
    let path = world.text("/orgs/acme%");
    let of_organization = |request: &&Request| request.method == "GET" && request.path == path;
    let of_repositories =
        |request: &&Request| request.body.to_string().contains("RepositoriesByName");
    let [asked, looks] = [
        requests.iter().filter(of_organization).count(),
        requests.iter().filter(of_repositories).count(),
    ];
    assert!(asked > 0);
    assert_eq!(asked, looks, "once for all tenants");

    let comment = world.comment(number).expect("a comment");
    let summary = plan.summary.unwrap_or_default();
    for said in [comment, summary] {
        assert_eq!(world.plain(&said).matches(READ).count(), 1, "{said}");
    }
    let apply = world.check(&world.merge(number), "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(world.plain(&comment).contains(READ), "{comment}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_in_which_every_member_can_write_gets_no_workspaces() {
    let Some(world) = world(Some(Permission::Push)).await else {
        return;
    };
    let (number, head) = world.pull("tenants", TENANTS);
    let plan = world.check(&head, PLAN).await;
    assert_eq!(plan.conclusion.as_deref(), Some("failure"), "{plan:#?}");
    let problem = "every member of `acme` can write to every workspace\nan owner sets its base permission to `No permission`, under `Member privileges`";
    let lines = [3, 4, 6].map(|line| format!("{line}: {problem}"));
    assert_eq!(annotations(&world, &plan), lines);

    let apply = world.check(&world.merge(number), "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    for workspace in ["acme%/notes%-workspace", "acme%/shop%-workspace"] {
        assert!(!world.github.exists(&world.text(workspace)), "{workspace}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_forbids_deploy_keys_is_said_to_before_one_is_tried() {
    let Some(mut world) = world(None).await else {
        return;
    };
    let organization = world.organization();
    let allow = |allowed| {
        let github = &world.github;
        github.organization_settings(&organization, |settings| {
            settings.deploy_keys_allowed = allowed;
        });
    };
    allow(false);
    let (number, head) = world.pull("tenants", TENANTS);
    let plan = world.check(&head, PLAN).await;
    assert_eq!(
        annotations(&world, &plan),
        [
            "4: the organisation `acme` forbids deploy keys: Flux cannot clone the workspace\nan owner allows them in its settings, under `Deploy keys`"
        ]
    );
    let apply = world.check(&world.merge(number), "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("failure"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/notes%-workspace")));
    assert!(!world.github.exists(&world.text("acme%/shop%-workspace")));

    allow(true);
    world.restart().await;
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/shop%-workspace")));
    world.rests().await;
    world.end().await;
}
