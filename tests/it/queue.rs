//! Events that come twice, in another order, while something runs, or never; and what they cost.

use std::time::Duration;

use tenantry::sandbox::github::{Class, Credential, Fault, Request};

use crate::support::World;

/// Tenants `t1` to this one, each with a team and a namespace.
fn tenants(last: usize) -> String {
    let entry = |number| {
        format!(
            "- name: t{number}%\n  githubTeams: [{{name: ai-team}}]\n  namespaces: [{{name: n{number}%}}]\n"
        )
    };
    if last == 0 {
        return "tenants: []\n".to_owned();
    }
    "tenants:\n".to_owned() + &(1..=last).map(entry).collect::<String>()
}

/// Each of the first tenants is there, once.
fn are_there(world: &World, last: usize) {
    for number in 1..=last {
        let repository = world.text(&format!("acme%/t{number}%-workspace"));
        assert_eq!(world.github.deploy_keys(&repository).len(), 1, "t{number}");
        let tenant = format!("t{number}%");
        assert!(
            world.object("tenants.tenantry.dev", "", &tenant).is_some(),
            "t{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_come_twice_do_nothing_twice() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    let (number, _, apply) = world.change("add", &tenants(1)).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world.comment(number);
    let mark = world.github.mark();
    for delivery in world.github.deliveries() {
        world.github.redeliver(delivery.id);
    }
    world.settled().await;
    are_there(&world, 1);
    assert_eq!(world.comment(number), comment);
    assert_eq!(world.writes_since(mark), Vec::<String>::new());
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_told_in_the_wrong_order_end_with_the_newest_file() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    world.github.hold_webhooks();
    let pushed: Vec<_> = (1..=2).map(|last| world.commit(&tenants(last))).collect();
    let mut held: Vec<_> = world.github.held().iter().map(|one| one.id).collect();
    held.reverse();
    world.github.release(&held);
    let apply = world.check(&pushed[1], "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let older = world.check(&pushed[0], "tenantry/apply").await;
    let title = older.title.unwrap_or_default();
    assert!(title.starts_with("Superseded by"), "{title}");
    are_there(&world, 2);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_whose_webhook_was_lost_is_found_by_the_next_comparison() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(1));
    world.check(&head, "tenantry/plan").await;
    world.github.hold_webhooks();
    let merged = world.merge(number);
    world.github.release(&[]);
    world.settled().await;
    assert!(!world.github.exists(&world.text("acme%/t1%-workspace")));
    world.restart().await;
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Live"), "{comment}");
    are_there(&world, 1);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_during_an_apply_wait_for_it_and_each_hears_the_outcome() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    let mut numbers = Vec::new();
    let mut merged = Vec::new();
    // The first apply takes long enough for the other merges.
    let slow = Fault::on("POST", "/orgs/*/repos").delay(Duration::from_secs(3));
    world.github.fault(slow);
    for last in 1..=3 {
        let (number, head) = world.pull(&format!("add-{last}"), &tenants(last));
        let planned = |run: &tenantry::sandbox::github::CheckRun| run.conclusion.is_some();
        while !world
            .github
            .check_runs(&world.control(), &head)
            .iter()
            .any(planned)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        numbers.push(number);
        merged.push(world.merge(number));
    }
    let newest = world.check(&merged[2], "tenantry/apply").await;
    assert_eq!(newest.conclusion.as_deref(), Some("success"), "{newest:#?}");
    let replaced = world.check(&merged[1], "tenantry/apply").await;
    assert_eq!(replaced.conclusion.as_deref(), Some("neutral"));
    let title = replaced.title.unwrap_or_default();
    assert_eq!(title, format!("Superseded by {}", &merged[2][..7]));
    let first = world.check(&merged[0], "tenantry/apply").await;
    assert_eq!(first.conclusion.as_deref(), Some("success"), "{first:#?}");
    for number in numbers {
        let comment = world.comment(number).expect("a comment");
        assert!(comment.contains("### Live"), "#{number}: {comment}");
    }
    are_there(&world, 3);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_elsewhere_asks_nothing_of_github() {
    let Some(world) = World::new(&tenants(0)).await else {
        return;
    };
    let other = world.text("acme%/other");
    world
        .github
        .repository(&other, &[("tenants.yaml", "tenants: []\n")]);
    let mark = world.github.mark();
    let alice = world.github.as_user("alice");
    let files = [("tenants.yaml", Some("tenants: [{name: mine}]\n"))];
    alice.commit(&other, "change", "Change", &files);
    let number = alice.open_pull(&other, "main", "change", "Change", "");
    alice.comment(&other, number, "/tenantry plan");
    alice.merge(
        &other,
        number,
        tenantry::sandbox::github::MergeMethod::Merge,
    );
    world.settled().await;
    let asked: Vec<_> = world.github.requests_since(mark);
    assert!(asked.is_empty(), "{asked:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_more_costs_the_same_among_thirty_and_a_comparison_of_all_is_cheap() {
    let Some(mut world) = World::new(&tenants(30)).await else {
        return;
    };
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    // How often one asks for GitHub's merge commit depends on how long it takes: here it is there at once.
    world.github.set_merge_delay(Duration::ZERO);
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let (_, _, apply) = world.change("add", &tenants(31)).await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let asked = lines_since(&world, mark);
    println!(
        "one tenant added among thirty, pull request and merge: {} requests to GitHub",
        asked.len()
    );
    // Two to four of them tell how far the tenant is, depending on how fast Flux was.
    assert!(asked.len() <= 28, "{}: {asked:#?}", asked.len());
    let others = |line: &&String| line.contains("/t1-") || line.contains("/t30-");
    assert_eq!(asked.iter().find(others), None);

    let mark = world.github.mark();
    world.rests().await;
    let asked = lines_since(&world, mark);
    println!(
        "thirty tenants compared after a restart: {} requests to GitHub",
        asked.len()
    );
    assert!(asked.len() <= 11, "{}: {asked:#?}", asked.len());
    let listed = world.log();
    let listed = listed.lines().rfind(|line| line.contains("listed"));
    assert!(
        listed.is_some_and(|line| line.contains("otherwise=0")),
        "what the server stores is recognised as what was applied: {listed:?}"
    );
    let requests = world.cluster.requests_since(audit);
    let listed = requests.iter().find(|request| {
        request.user.ends_with(":tenantry")
            && request.uri.contains("/secrets")
            && request.verb == "list"
    });
    assert!(listed.is_none(), "{:?}", listed.map(|one| &one.uri));
    world.end().await;
}

fn lines_since(world: &World, mark: tenantry::sandbox::github::Mark) -> Vec<String> {
    let requests = world.github.requests_since(mark).into_iter();
    requests
        .map(|request| format!("{} {} {}", request.method, request.path, request.status))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_narrow_and_few_and_no_private_key_is_ever_told() {
    let Some(world) = World::new(&tenants(0)).await else {
        return;
    };
    let mark = world.github.mark();
    let (number, head) = world.pull("add", &tenants(5));
    world.check(&head, "tenantry/plan").await;
    let planning = world.github.requests_since(mark);
    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let requests = world.github.requests_since(mark);
    let minted = requests.iter().filter(|one| one.class == Class::Auth);
    assert!(minted.count() <= 3, "one token for each purpose");
    let reports = |name: &String| ["checks", "issues", "pull_requests"].contains(&name.as_str());
    for request in &planning {
        let writes = writable(request);
        assert!(
            writes.iter().all(reports),
            "a plan cannot write: {writes:?}"
        );
    }
    for request in &requests {
        let writes = writable(request);
        match request.class {
            Class::Graphql => assert_eq!(writes, Vec::<String>::new(), "reading cannot write"),
            Class::Report => assert!(writes.iter().all(reports), "{writes:?}"),
            Class::Read | Class::Write | Class::Auth => {}
        }
        assert!(!request.body.to_string().contains("PRIVATE KEY"));
    }
    assert!(!world.log().contains("PRIVATE KEY"));
    assert!(
        !world
            .comment(number)
            .unwrap_or_default()
            .contains("PRIVATE KEY")
    );
    let tenant = world.object("tenants.tenantry.dev", "", "t1%");
    assert!(
        !tenant
            .expect("it is there")
            .to_string()
            .contains("PRIVATE KEY")
    );
    world.end().await;
}

/// What the token of a request may write.
fn writable(request: &Request) -> Vec<String> {
    let Credential::Installation { permissions, .. } = &request.credential else {
        return Vec::new();
    };
    let writes = permissions.iter().filter(|(_, level)| *level == "write");
    writes.map(|(name, _)| name.clone()).collect()
}
