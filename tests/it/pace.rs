//! GitHub's limits: what is more than they allow goes on later, says so, and is never asked for twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tenantry::sandbox::github::{CheckRun, Class, Fault, Mark, Request};

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

/// A world without tenants, in which GitHub enforces so much in so many seconds, and the app knows it.
async fn world(count: usize, seconds: u64) -> Option<World> {
    let mut world = World::new(&tenants(0)).await?;
    let window = Duration::from_secs(seconds);
    world.github.set_content_limits(&[(count, window)]);
    world.limits = format!("{count}/{seconds}s").parse().expect("a limit");
    world.restart().await;
    Some(world)
}

/// How many of the first tenants are there, each once.
fn onboarded(world: &World, last: usize) -> usize {
    let has_key = |number: &usize| {
        let repository = world.text(&format!("acme%/t{number}%-workspace"));
        world.github.exists(&repository) && world.github.deploy_keys(&repository).len() == 1
    };
    (1..=last).filter(has_key).count()
}

/// Waits until the check on a commit, still in progress, has a title like this.
async fn until_told(world: &World, commit: &str, title: impl Fn(&str) -> bool) -> CheckRun {
    let began = Instant::now();
    loop {
        let runs = world.github.check_runs(&world.control(), commit);
        let mut apply = runs.into_iter().filter(|run| run.name == "tenantry/apply");
        let told = |run: &CheckRun| title(run.title.as_deref().unwrap_or_default());
        let newest = apply.next_back();
        if let Some(run) = newest.filter(|run| run.conclusion.is_none() && told(run)) {
            return run;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{}", world.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to {what}");
}

/// Checks and comments that were written since.
fn reports(world: &World, mark: Mark) -> usize {
    let requests = world.github.requests_since(mark).into_iter();
    requests
        .filter(|request| request.class == Class::Report)
        .count()
}

fn was_never_refused(world: &World) {
    let refused = world.github.limited_requests();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// What GitHub refused more than once.
fn refused_twice(world: &World) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for Request {
        method, path, body, ..
    } in world.github.limited_requests()
    {
        *counts.entry(format!("{method} {path} {body}")).or_default() += 1;
    }
    counts.retain(|_, count| *count > 1);
    counts.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_goes_at_githubs_pace_and_says_how_far_it_is() {
    let Some(mut world) = world(20, 2).await else {
        return;
    };
    let mark = world.github.mark();
    let (number, merged) = world.merged("add", &tenants(30)).await;
    let begun = until_told(&world, &merged, |title| {
        title.starts_with("Applying: 0 of 30 tenants, done at about ")
    })
    .await;
    let told = until_told(&world, &merged, |title| {
        title.starts_with("Applying: ") && !title.starts_with("Applying: 0 of")
    })
    .await;
    assert_eq!(told.id, begun.id);
    let summary = told.summary.unwrap_or_default();
    assert!(summary.contains("of 30 tenants are done"), "{summary}");
    until("the comment", || {
        let comment = world.comment(number).unwrap_or_default();
        comment.contains(" of 30 tenants, done at about ") && comment.contains("✅ added")
    })
    .await;
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.id, begun.id);
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let title = apply.title.unwrap_or_default();
    assert!(title.starts_with("Live: 30 tenants added, in "), "{title}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains("### Live: 30 tenants added"), "{comment}");
    assert_eq!(onboarded(&world, 30), 30);
    was_never_refused(&world);
    let reports = reports(&world, mark);
    assert!(reports <= 20, "{reports}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_planned_within_seconds_while_many_are_onboarded() {
    let Some(mut world) = world(20, 10).await else {
        return;
    };
    let (_, merged) = world.merged("add", &tenants(30)).await;
    until("a slice", || onboarded(&world, 30) >= 6).await;
    let began = Instant::now();
    let (second, _) = world.pull("more", &tenants(31));
    until("a plan", || {
        let comment = world.comment(second);
        comment.is_some_and(|comment| comment.contains("### Plan: "))
    })
    .await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(onboarded(&world, 30) < 30, "the others are not there yet");
    until_told(&world, &merged, |title| title.starts_with("Applying: ")).await;
    was_never_refused(&world);
    world.crash();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_meanwhile_is_taken_up_and_both_hear_the_outcome() {
    let Some(mut world) = world(20, 2).await else {
        return;
    };
    let (first, merged) = world.merged("add", &tenants(18)).await;
    until("a slice", || onboarded(&world, 18) >= 6).await;
    let (second, newer) = world.merged("more", &tenants(20)).await;
    let apply = world.check(&newer, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let title = apply.title.unwrap_or_default();
    assert!(title.starts_with("Live: 20 tenants added, in "), "{title}");
    let older = world.github.check_runs(&world.control(), &merged);
    let titles: Vec<_> = older
        .iter()
        .filter_map(|run| run.title.as_deref())
        .collect();
    assert_eq!(titles, [format!("Superseded by {}", &newer[..7])]);
    for number in [first, second] {
        let comment = world.comment(number).expect("a comment");
        assert!(comment.contains("### Live: 20"), "#{number}: {comment}");
    }
    assert_eq!(onboarded(&world, 20), 20);
    was_never_refused(&world);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_that_is_killed_goes_on_in_the_same_check_and_comment() {
    let Some(mut world) = world(20, 2).await else {
        return;
    };
    let mark = world.github.mark();
    let (number, merged) = world.merged("add", &tenants(24)).await;
    let begun = until_told(&world, &merged, |title| title.contains("0 of 24")).await;
    for killed in 1..=2 {
        until("a slice", || onboarded(&world, 24) > 6 * killed).await;
        world.crash();
        world.start().await;
    }
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(apply.id, begun.id);
    let title = apply.title.clone().unwrap_or_default();
    let (title, _) = title.split_once(", in ").expect("how long it took");
    let numbers: Vec<usize> = title
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(numbers.iter().sum::<usize>(), 24, "{title}");
    assert!(title.ends_with(" before a restart"), "{title}");
    let comment = world.comment(number).expect("a comment");
    assert!(comment.contains(&format!("### {title} · in ")), "{comment}");
    assert_eq!(onboarded(&world, 24), 24);
    was_never_refused(&world);
    let reports = reports(&world, mark);
    assert!(reports <= 20, "{reports}");
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_stops_all_writes_until_its_time() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    let (number, head) = world.pull("add", &tenants(20));
    world.check(&head, "tenantry/plan").await;
    let limit = Fault::on("PUT", "/orgs/*/teams/*/repos/*/*").secondary_limit(3);
    world.github.fault(limit.skipping(2));
    let merged = world.merge(number);
    until("a refusal", || !world.github.limited_requests().is_empty()).await;
    // Nobody is kept from looking.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (second, _) = world.pull("more", &tenants(21));
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.comment(second).is_some());
    let refused = &world.github.limited_requests()[0];
    // On its way when the refusal was: that cannot be helped.
    let arrived = refused.at + SignedDuration::from_millis(300);
    let until = refused.at + SignedDuration::from_secs(3);
    let requests = world.github.requests();
    let meanwhile = requests
        .iter()
        .filter(|one| one.at > arrived && one.at < until);
    let (writes, looks): (Vec<_>, Vec<_>) =
        meanwhile.partition(|one| matches!(one.class, Class::Write | Class::Report));
    assert!(writes.is_empty(), "{writes:#?}");
    assert!(!looks.is_empty());
    assert_eq!(refused_twice(&world), Vec::<String>::new());
    assert_eq!(onboarded(&world, 20), 20);
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lower_than_told_refuses_nothing_twice() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    // Somebody else uses most of it.
    world
        .github
        .set_content_limits(&[(12, Duration::from_secs(2))]);
    world.limits = "20/2s".parse().unwrap();
    world.restart().await;
    let (_, merged) = world.merged("add", &tenants(12)).await;
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(onboarded(&world, 12), 12);
    assert!(!world.github.limited_requests().is_empty());
    assert_eq!(refused_twice(&world), Vec::<String>::new());
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tenants_are_made_at_once_within_twenty_requests_in_flight() {
    let Some(world) = World::new(&tenants(0)).await else {
        return;
    };
    world.github.set_latency(Duration::from_millis(50));
    let (_, merged) = world.merged("add", &tenants(16)).await;
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    let most = world.github.most_at_once();
    assert!((4..=20).contains(&most), "{most}");
    world.github.set_latency(Duration::ZERO);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hourly_budget_is_not_overdrawn() {
    let Some(mut world) = World::new(&tenants(0)).await else {
        return;
    };
    world.stop().await;
    world.github.set_rate_window(Duration::from_secs(4));
    world.github.set_rate_limits(50, 50);
    world.start().await;
    let (_, merged) = world.merged("add", &tenants(20)).await;
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert_eq!(onboarded(&world, 20), 20);
    was_never_refused(&world);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_that_has_no_time_is_asked_for_less_at_once() {
    let Some(mut world) = World::new(&tenants(30)).await else {
        return;
    };
    assert_eq!(onboarded(&world, 30), 30);
    // Fifteen repositories with all that is asked of each.
    world.github.set_most_nodes(3500);
    let mark = world.github.mark();
    world.rests().await;
    let requests = world.github.requests_since(mark);
    let too_much = requests.iter().filter(|request| request.status == 502);
    // Thirty repositories, a hundred teams, and fifty.
    assert_eq!(too_much.count(), 3, "{requests:#?}");
    assert!(world.log().contains("asking for less at once"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_have_grown_old_together_are_replaced_at_githubs_pace() {
    let Some(mut world) = World::new(&tenants(10)).await else {
        return;
    };
    let workspace = |world: &World, number| world.text(&format!("acme%/t{number}%-workspace"));
    let keys = |world: &World| -> Vec<Vec<String>> {
        let of = |number| world.github.deploy_keys(&workspace(world, number));
        let public =
            |keys: Vec<(String, String, bool)>| keys.into_iter().map(|key| key.1).collect();
        (1..=10).map(|number| public(of(number))).collect()
    };
    let before = keys(&world);
    for number in 1..=10 {
        world
            .github
            .edit_repository(&workspace(&world, number), |found| {
                for key in found.deploy_keys.values_mut() {
                    "2026-01-01T00:00:00Z".clone_into(&mut key.created_at);
                }
            });
    }
    world
        .github
        .set_content_limits(&[(4, Duration::from_secs(2))]);
    world.limits = "4/2s".parse().expect("a limit");
    let began = Instant::now();
    world.restart().await;
    until("ten new keys", || {
        let now = keys(&world);
        let pairs = now.iter().zip(&before);
        now.iter().all(|keys| keys.len() == 1) && pairs.into_iter().all(|(now, then)| now != then)
    })
    .await;
    assert!(began.elapsed() > Duration::from_secs(2), "in one go");
    world.settled().await;
    was_never_refused(&world);
    world.rests().await;
    world.end().await;
}
