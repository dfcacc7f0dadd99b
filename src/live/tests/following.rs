use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{HEAD, OLDER, applied, at, condition, fetched, saying, tenant};
use crate::live::course::Turn;
use crate::live::following::{Applied, Finished, Task, Telling, WATCHED};
use crate::live::synced::{CONDITIONS, Status, Version};
use crate::live::{Following, MergeId, Patience, Push, Review, Stage, Traces};
use crate::names::TenantName;
use crate::object::{Fingerprint, Kind};

/// Following, with a clock that moves when a test says so.
struct World {
    following: Following,
    /// The heads of workspaces, as GitHub has them where it is asked.
    github: BTreeMap<TenantName, String>,
    now: Timestamp,
}

fn name(text: &str) -> TenantName {
    text.parse().unwrap()
}

fn merge(commit: &str) -> MergeId {
    MergeId {
        repository: "acme/tenants".parse().unwrap(),
        commit: commit.to_owned(),
    }
}

impl World {
    /// Everything that a start lists.
    fn with(objects: &[(Kind, Value)]) -> Self {
        let mut world = Self::empty();
        world.list(objects);
        world
    }

    fn empty() -> Self {
        let patience = Patience {
            deadline: SignedDuration::from_mins(10),
            telling: SignedDuration::from_secs(2),
        };
        Self {
            following: Following::new(patience, ["acme/tenants".parse().unwrap()]),
            github: BTreeMap::new(),
            now: at("12:01:00"),
        }
    }

    fn list(&mut self, objects: &[(Kind, Value)]) {
        for kind in WATCHED {
            self.following.list_begins(kind);
            for (_, object) in objects.iter().filter(|(of, _)| *of == kind) {
                self.following.see(kind, object, self.now);
            }
            self.following.list_ends(kind, self.now);
        }
    }

    fn see(&mut self, kind: Kind, object: &Value) {
        self.following.see(kind, object, self.now);
    }

    fn head(&mut self, of: &str, commit: &str) {
        self.following.head(&name(of), commit, self.now, self.now);
    }

    fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Does what is to be done now, and what that makes necessary, reviews with this result.
    fn works(&mut self, review: &Review) -> Vec<Task> {
        let mut done = Vec::new();
        loop {
            let tasks = self.following.tasks(self.now);
            if tasks.is_empty() {
                return done;
            }
            for task in tasks {
                self.finish(&task, review, true);
                done.push(task);
            }
        }
    }

    fn finish(&mut self, task: &Task, review: &Review, well: bool) {
        let finished = match task.clone() {
            Task::Write { tenant, conditions } => Finished::Written {
                tenant,
                conditions,
                done: well,
            },
            Task::Review(room) => Finished::Reviewed {
                tenant: room.tenant,
                review: review.clone(),
            },
            Task::Sync { .. } | Task::Compare { .. } => Finished::Asked,
            Task::Look(workspace) => Finished::Looked {
                asked: self.now,
                head: self.github.get(&workspace.tenant).cloned(),
                tenant: workspace.tenant,
            },
            Task::Tell(telling) => Finished::Told {
                telling,
                done: well,
            },
        };
        self.following.finished(finished, self.now);
    }

    /// The same with an account that is within its room.
    fn work(&mut self) -> Vec<Task> {
        self.works(&Review::Contained)
    }

    /// A merge has written these tenants, and people were told.
    fn merged(&mut self, commit: &str, tenants: &[&str]) -> Telling {
        let telling = self.follow(commit, tenants);
        let told = Finished::Told {
            telling: telling.clone(),
            done: true,
        };
        self.following.finished(told, self.now);
        telling
    }

    fn follow(&mut self, commit: &str, tenants: &[&str]) -> Telling {
        let tenants = tenants
            .iter()
            .map(|tenant| (name(tenant), Traces::default()));
        self.follow_traces(commit, tenants.collect())
    }

    fn follow_traces(&mut self, commit: &str, tenants: BTreeMap<TenantName, Traces>) -> Telling {
        let merged = Applied {
            id: merge(commit),
            pulls: vec![7],
            began: self.now,
            tenants,
            concludes: true,
        };
        self.following.follow(merged, self.now)
    }
}

/// Objects of a tenant that is live, and what was told of it.
fn live(of: &str) -> Vec<(Kind, Value)> {
    let mut tenant = tenant(of);
    for (stage, kind) in CONDITIONS {
        let message = match stage {
            Stage::Fetched => format!("Flux has fetched `main@sha1:{HEAD}`"),
            Stage::Applied => format!("Flux has applied `main@sha1:{HEAD}`"),
            Stage::Live => format!("`main@sha1:{HEAD}` is applied"),
            _ => "the tenant's account can write its own namespaces and nothing else".to_owned(),
        };
        let told = condition(kind, "True", kind, &message);
        tenant["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .push(told);
    }
    vec![
        (Kind::Tenant, tenant),
        (Kind::GitRepository, fetched(of, HEAD)),
        (Kind::Kustomization, applied(of, HEAD)),
    ]
}

fn tellings(tasks: &[Task]) -> Vec<&Telling> {
    let told = tasks.iter().filter_map(|task| match task {
        Task::Tell(telling) => Some(telling),
        Task::Write { .. }
        | Task::Review(_)
        | Task::Sync { .. }
        | Task::Look(_)
        | Task::Compare { .. } => None,
    });
    told.collect()
}

/// The statuses last written of a tenant, of `Fetched` to `Live`.
fn written(tasks: &[Task]) -> Option<[Status; 4]> {
    let mut written = tasks.iter().filter_map(|task| match task {
        Task::Write { conditions, .. } => {
            Some(conditions.each_ref().map(|condition| condition.status))
        }
        Task::Tell(_)
        | Task::Review(_)
        | Task::Sync { .. }
        | Task::Look(_)
        | Task::Compare { .. } => None,
    });
    written.next_back()
}

fn of(tasks: &[Task], wanted: impl Fn(&Task) -> bool) -> usize {
    tasks.iter().filter(|task| wanted(task)).count()
}

#[test]
fn a_start_in_which_nothing_has_changed_does_nothing() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    assert_eq!(world.work(), []);
    assert!(world.following.is_idle());
    // Nor does listing everything anew, nor Flux' next round.
    world.list(&live("ai-team"));
    let again = saying(&applied("ai-team", HEAD), "Unknown", "Progressing", "");
    world.see(Kind::Kustomization, &again);
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    assert_eq!(world.work(), []);
}

#[test]
fn a_new_tenant_is_told_until_it_is_live() {
    let mut world = World::with(&[]);
    let first = world.merged("c0ffee", &["ai-team"]);
    assert_eq!(
        (first.course.turn.clone(), first.concludes),
        (Turn::Underway, false)
    );
    world.see(Kind::Tenant, &tenant("ai-team"));
    world.head("ai-team", HEAD);
    world.wait(2);
    let told = world.work();
    assert_eq!(
        written(&told),
        None,
        "nothing is to be said of what is only under way"
    );
    world.see(Kind::GitRepository, &fetched("ai-team", HEAD));
    let fetched = world.work();
    assert_eq!(
        written(&fetched),
        Some([
            Status::True,
            Status::Unknown,
            Status::Unknown,
            Status::Unknown
        ])
    );
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    let done = world.work();
    assert_eq!(of(&done, |task| matches!(task, Task::Review(_))), 1);
    let last = tellings(&done)[0];
    assert_eq!(
        (last.course.turn.clone(), last.concludes),
        (Turn::Live, true)
    );
    assert_eq!(written(&done), Some([Status::True; 4]));
    world.wait(3600);
    assert_eq!(world.work(), []);
}

#[test]
fn people_are_told_before_it_is_written_that_the_last_tenant_is_live() {
    let mut world = World::with(&live("ai-team")[1..]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.see(Kind::Tenant, &tenant("ai-team"));
    let review = world.following.tasks(world.now);
    assert!(matches!(review[..], [Task::Review(_)]), "{review:?}");
    world.finish(&review[0], &Review::Contained, true);
    let telling = world.following.tasks(world.now);
    assert!(
        matches!(&telling[..], [Task::Tell(telling)] if telling.concludes),
        "{telling:?}"
    );
    assert!(!world.following.is_idle());
    world.finish(&telling[0], &Review::Contained, true);
    assert_eq!(written(&world.work()), Some([Status::True; 4]));
    assert!(world.following.is_idle());
}

#[test]
fn what_was_seen_before_the_write_does_not_count() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.work();
    let newer = |kind: Kind| Version {
        uid: format!("{kind} ai-team"),
        generation: 2,
    };
    let versions = BTreeMap::from([(Kind::Kustomization, newer(Kind::Kustomization))]);
    let traces = Traces {
        versions,
        ..Traces::default()
    };
    let telling = world.follow_traces("c0ffee", BTreeMap::from([(name("ai-team"), traces)]));
    assert_eq!(
        telling.course.turn,
        Turn::Underway,
        "the watch still shows what was there before"
    );
    world.following.finished(
        Finished::Told {
            telling,
            done: true,
        },
        world.now,
    );
    let mut object = applied("ai-team", HEAD);
    object["metadata"]["generation"] = json!(2);
    object["status"]["observedGeneration"] = json!(2);
    object["status"]["conditions"][0]["observedGeneration"] = json!(2);
    world.see(Kind::Kustomization, &object);
    let done = world.work();
    assert_eq!(tellings(&done).last().unwrap().course.turn, Turn::Live);
}

#[test]
fn a_tenant_that_flux_need_not_touch_is_live_at_once() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    let telling = world.follow("c0ffee", &["ai-team"]);
    assert_eq!((telling.course.turn, telling.concludes), (Turn::Live, true));
}

/// A tenant whose workspace does not have the path, followed by `c0ffee`.
fn failing() -> World {
    let mut world = World::with(&[
        (Kind::Tenant, tenant("ai-team")),
        (Kind::GitRepository, fetched("ai-team", HEAD)),
    ]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.work();
    let message = "kustomization path not found";
    world.see(
        Kind::Kustomization,
        &saying(
            &applied("ai-team", HEAD),
            "False",
            "ArtifactFailed",
            message,
        ),
    );
    world
}

#[test]
fn a_failure_is_told_within_seconds_and_the_recovery_too() {
    let mut world = failing();
    world.wait(2);
    let told = world.work();
    let telling = tellings(&told)[0];
    assert_eq!(
        (telling.course.turn.clone(), telling.concludes),
        (Turn::Underway, false)
    );
    assert_eq!(telling.course.failing(), 1);
    assert_eq!(
        written(&told),
        Some([Status::True, Status::False, Status::Unknown, Status::False])
    );
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    let done = world.work();
    assert_eq!(tellings(&done)[0].course.turn, Turn::Live);
    assert_eq!(written(&done), Some([Status::True; 4]));
}

#[test]
fn a_failure_that_comes_again_each_round_is_told_once() {
    let mut world = failing();
    world.wait(2);
    world.work();
    let failed = saying(
        &applied("ai-team", HEAD),
        "False",
        "ArtifactFailed",
        "kustomization path not found",
    );
    for _ in 0..4 {
        world.see(
            Kind::Kustomization,
            &saying(&failed, "Unknown", "Progressing", ""),
        );
        world.see(Kind::Kustomization, &failed);
        world.wait(30);
        assert_eq!(world.work(), []);
    }
}

#[test]
fn at_the_deadline_the_check_ends_and_a_later_recovery_is_told() {
    let mut world = failing();
    world.wait(600);
    let late = world.work();
    let telling = *tellings(&late).last().unwrap();
    assert_eq!(
        (telling.course.turn.clone(), telling.concludes),
        (Turn::Late, true)
    );
    world.wait(3600);
    assert_eq!(world.work(), []);
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    let done = world.work();
    let telling = tellings(&done).pop().unwrap();
    assert_eq!(
        (telling.course.turn.clone(), telling.concludes),
        (Turn::Live, true)
    );
}

#[test]
fn a_tenant_that_never_becomes_anything_is_not_ready_after_the_deadline() {
    let mut world = World::with(&[(Kind::Tenant, tenant("ai-team"))]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.wait(31);
    assert_eq!(written(&world.work()), Some([Status::Unknown; 4]));
    world.wait(600);
    assert_eq!(
        written(&world.work()),
        Some([
            Status::Unknown,
            Status::Unknown,
            Status::Unknown,
            Status::False
        ])
    );
}

#[test]
fn what_only_a_person_mends_ends_the_check_at_once() {
    let mut world = World::with(&[
        (Kind::Tenant, tenant("ai-team")),
        (Kind::Tenant, tenant("payments")),
    ]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team", "payments"]);
    world.work();
    let stuck = saying(
        &fetched("ai-team", HEAD),
        "False",
        "AuthenticationFailed",
        "no such secret",
    );
    world.see(Kind::GitRepository, &stuck);
    let told = world.work();
    let telling = tellings(&told)[0];
    assert_eq!(
        (telling.course.turn.clone(), telling.concludes),
        (Turn::Stuck, true)
    );
}

#[test]
fn a_hundred_tenants_are_told_in_a_few_tellings() {
    let names: Vec<_> = (0..100).map(|number| format!("t{number}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = World::with(&[]);
    world.merged("c0ffee", &all);
    let mut told = Vec::new();
    for name in &all {
        world.see(Kind::Tenant, &tenant(name));
        world.head(name, HEAD);
    }
    for name in &all {
        // Each fails first, and each recovers.
        world.see(
            Kind::GitRepository,
            &saying(&fetched(name, HEAD), "False", "GitOperationFailed", "no"),
        );
        world.wait(1);
        told.extend(world.work());
        world.see(Kind::GitRepository, &fetched(name, HEAD));
        world.see(Kind::Kustomization, &applied(name, HEAD));
        world.wait(1);
        told.extend(world.work());
    }
    let told = tellings(&told);
    assert!((2..=11).contains(&told.len()), "{}", told.len());
    assert_eq!(told.last().unwrap().course.turn, Turn::Live);
}

#[test]
fn the_newest_merge_that_touches_a_tenant_follows_it() {
    let mut world = World::with(&[
        (Kind::Tenant, tenant("ai-team")),
        (Kind::Tenant, tenant("payments")),
    ]);
    world.merged("first", &["ai-team", "payments"]);
    world.merged("second", &["payments"]);
    world.work();
    for name in ["ai-team", "payments"] {
        world.head(name, HEAD);
        world.see(Kind::GitRepository, &fetched(name, HEAD));
        world.see(Kind::Kustomization, &applied(name, HEAD));
    }
    let done = world.work();
    let ends = tellings(&done)
        .into_iter()
        .filter(|telling| telling.concludes);
    let ends: Vec<_> = ends
        .map(|end| {
            (
                end.merge.commit.as_str(),
                end.course.legs.keys().cloned().collect(),
            )
        })
        .collect();
    assert_eq!(
        ends,
        [
            ("first", vec![name("ai-team")]),
            ("second", vec![name("payments")])
        ]
    );

    world.merged("third", &["ai-team", "payments"]);
    assert_eq!(world.work(), []);
}

#[test]
fn a_merge_all_of_whose_tenants_a_newer_one_touches_ends_there() {
    let mut world = World::with(&[(Kind::Tenant, tenant("ai-team"))]);
    world.merged("first", &["ai-team"]);
    world.merged("second", &["ai-team"]);
    let told = world.work();
    let mut of_first = tellings(&told)
        .into_iter()
        .filter(|telling| telling.merge == merge("first"));
    let telling = of_first.next().unwrap();
    let by = "second".to_owned();
    assert_eq!(
        (&telling.course.turn, telling.concludes),
        (&Turn::Superseded { by }, true)
    );
}

#[test]
fn what_could_not_be_told_or_written_is_tried_again() {
    let mut world = World::with(&live("ai-team")[1..]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.see(Kind::Tenant, &tenant("ai-team"));
    for task in world.following.tasks(world.now) {
        world.finish(&task, &Review::Contained, true);
    }
    let telling = world.following.tasks(world.now);
    world.finish(&telling[0], &Review::Contained, false);
    let write = world.following.tasks(world.now);
    assert!(
        matches!(write[..], [Task::Write { .. }]),
        "nobody can be told, so it waits no longer: {write:?}"
    );
    world.finish(&write[0], &Review::Contained, false);
    world.wait(20);
    let again = world.work();
    assert_eq!(tellings(&again).len(), 1);
    assert_eq!(written(&again), Some([Status::True; 4]));
}

#[test]
fn an_account_outside_its_room_is_reviewed_again_and_never_live() {
    let mut world = World::with(&live("ai-team")[1..]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.see(Kind::Tenant, &tenant("ai-team"));
    let open = Review::Open {
        message: "it can create namespaces".to_owned(),
        command: "kubectl".to_owned(),
    };
    let told = world.works(&open);
    assert_eq!(tellings(&told)[0].course.turn, Turn::Stuck);
    assert_eq!(
        written(&told),
        Some([Status::True, Status::True, Status::False, Status::False])
    );
    world.wait(61);
    let done = world.work();
    assert_eq!(tellings(&done)[0].course.turn, Turn::Live);
}

#[test]
fn an_account_is_reviewed_again_now_and_then() {
    let open = Review::Open {
        message: "it can create namespaces".to_owned(),
        command: "kubectl".to_owned(),
    };
    let reviews = |done: &[Task]| of(done, |task| matches!(task, Task::Review(_)));
    let mut unknown = live("ai-team");
    unknown[0].1 = tenant("ai-team");
    // By a process before this one, and by this one.
    for objects in [live("ai-team"), unknown] {
        let mut world = World::with(&objects);
        world.head("ai-team", HEAD);
        world.work();
        world.wait(3 * 3600 - 1);
        assert_eq!(reviews(&world.work()), 0);
        world.wait(3 * 3600 + 1);
        let review = world.following.tasks(world.now);
        assert_eq!(reviews(&review), 1);
        // Until it is done, what was found before stands.
        world.see(Kind::Kustomization, &applied("ai-team", HEAD));
        assert_eq!(world.work(), []);
        world.finish(&review[0], &open, true);
        assert_eq!(
            written(&world.works(&open)),
            Some([Status::True, Status::True, Status::False, Status::False])
        );
        world.wait(61);
        assert_eq!(written(&world.work()), Some([Status::True; 4]));
        world.wait(6 * 3600);
        assert_eq!(reviews(&world.work()), 1, "one at a time");
    }
}

#[test]
fn what_the_cluster_does_not_say_of_an_account_is_told_and_asked_again_a_minute_later() {
    let mut world = World::with(&live("ai-team")[1..]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.see(Kind::Tenant, &tenant("ai-team"));
    let untold = Review::Untold {
        message: "it is overloaded".to_owned(),
    };
    let reviews = |done: &[Task]| of(done, |task| matches!(task, Task::Review(_)));
    let told = world.works(&untold);
    assert_eq!(reviews(&told), 1);
    assert_eq!(
        written(&told),
        Some([Status::True, Status::True, Status::False, Status::False])
    );
    world.wait(30);
    assert_eq!(reviews(&world.works(&untold)), 0);
    world.wait(31);
    let done = world.work();
    assert_eq!(reviews(&done), 1);
    assert_eq!(tellings(&done)[0].course.turn, Turn::Live);
}

#[test]
fn a_push_to_a_workspace_asks_flux_to_fetch_it() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    let push = |before, after| Push {
        repository: "Acme/AI-team-workspace",
        branch: "main",
        before,
        after,
    };
    let asked = |world: &mut World| of(&world.work(), |task| matches!(task, Task::Sync { .. }));
    assert!(world.following.pushed(&push(HEAD, OLDER), world.now));
    assert_eq!(asked(&mut world), 1);
    // Told again; and then that of before it, late.
    assert!(world.following.pushed(&push(HEAD, OLDER), world.now));
    assert!(world.following.pushed(&push("0000", HEAD), world.now));
    assert_eq!(asked(&mut world), 0);
    // Other branches, other repositories.
    let elsewhere = Push {
        branch: "topic",
        ..push(OLDER, "1111")
    };
    assert!(!world.following.pushed(&elsewhere, world.now));
    let elsewhere = Push {
        repository: "acme/other",
        ..push(OLDER, "1111")
    };
    assert!(!world.following.pushed(&elsewhere, world.now));
    assert_eq!(asked(&mut world), 0);
}

#[test]
fn a_push_that_nobody_was_told_of_is_fetched_once_the_head_is_seen() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", OLDER);
    let asked = |world: &mut World| of(&world.work(), |task| matches!(task, Task::Sync { .. }));
    assert_eq!(asked(&mut world), 1);
    world.head("ai-team", OLDER);
    world.see(Kind::GitRepository, &fetched("ai-team", HEAD));
    assert_eq!(asked(&mut world), 0, "once is enough");
}

/// A GitRepository that has fetched a commit at noon and so many minutes.
fn fetched_at(minute: u8, commit: &str) -> Value {
    let mut source = fetched("ai-team", commit);
    source["status"]["artifact"]["lastUpdateTime"] = json!(at(&format!("12:{minute:02}:00")));
    source
}

#[test]
fn what_flux_has_fetched_and_nobody_told_of_is_looked_for_once() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.work();
    let looked = |done: &[Task]| of(done, |task| matches!(task, Task::Look(_)));
    let asked = |done: &[Task]| of(done, |task| matches!(task, Task::Sync { .. }));
    // The webhook went to another replica.
    world.github.insert(name("ai-team"), OLDER.to_owned());
    world.wait(90);
    world.see(Kind::GitRepository, &fetched_at(2, OLDER));
    world.see(Kind::Kustomization, &applied("ai-team", OLDER));
    let done = world.work();
    assert_eq!((looked(&done), asked(&done)), (1, 0), "{done:#?}");
    assert_eq!(written(&done), Some([Status::True; 4]));
    // Flux has gone back, and GitHub has not.
    world.wait(90);
    world.see(Kind::GitRepository, &fetched_at(4, HEAD));
    let done = world.work();
    assert_eq!((looked(&done), asked(&done)), (1, 1), "{done:#?}");
    world.wait(3600);
    assert_eq!(looked(&world.work()), 0);
}

#[test]
fn flux_is_not_asked_for_what_it_had_while_github_is_asked_for_the_head() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.work();
    world.wait(90);
    world.see(Kind::GitRepository, &fetched_at(2, OLDER));
    let look = world.following.tasks(world.now);
    assert!(matches!(look[..], [Task::Look(_)]), "{look:#?}");
    world.see(Kind::Kustomization, &applied("ai-team", OLDER));
    let meanwhile = world.following.tasks(world.now);
    let asked = |done: &[Task]| of(done, |task| matches!(task, Task::Sync { .. }));
    assert_eq!(asked(&meanwhile), 0, "{meanwhile:#?}");
    // What GitHub says decides who was wrong.
    world.github.insert(name("ai-team"), HEAD.to_owned());
    world.finish(&look[0], &Review::Contained, true);
    assert_eq!(asked(&world.work()), 1);
}

#[test]
fn a_head_that_could_not_be_read_is_asked_for_again() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.work();
    world.wait(90);
    world.see(Kind::GitRepository, &fetched_at(2, OLDER));
    let looked = |done: &[Task]| of(done, |task| matches!(task, Task::Look(_)));
    assert_eq!(looked(&world.work()), 1);
    world.github.insert(name("ai-team"), OLDER.to_owned());
    world.wait(61);
    assert_eq!(looked(&world.work()), 1);
    world.wait(61);
    assert_eq!(looked(&world.work()), 0);
}

#[test]
fn a_sync_that_is_over_soon_is_written_once() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    let push = Push {
        repository: "acme/ai-team-workspace",
        branch: "main",
        before: HEAD,
        after: OLDER,
    };
    world.following.pushed(&push, world.now);
    world.wait(3);
    assert_eq!(written(&world.work()), None);
    world.see(Kind::GitRepository, &fetched("ai-team", OLDER));
    world.see(Kind::Kustomization, &applied("ai-team", OLDER));
    let done = world.work();
    assert_eq!(of(&done, |task| matches!(task, Task::Write { .. })), 1);
    // One that is not is told after a while.
    let push = Push {
        before: OLDER,
        after: HEAD,
        ..push
    };
    world.following.pushed(&push, world.now);
    world.wait(31);
    assert_eq!(written(&world.work()), Some([Status::Unknown; 4]));
}

#[test]
fn a_look_does_not_undo_a_push_that_came_after_it() {
    let mut world = World::with(&live("ai-team"));
    let asked = world.now;
    world.wait(1);
    let push = Push {
        repository: "acme/ai-team-workspace",
        branch: "main",
        before: OLDER,
        after: HEAD,
    };
    world.following.pushed(&push, world.now);
    world
        .following
        .head(&name("ai-team"), OLDER, asked, world.now);
    assert_eq!(
        of(&world.work(), |task| matches!(task, Task::Write { .. })),
        0
    );
}

/// A tenant's object of which an earlier process has told this.
fn remembered(of: &str, live: &str, reason: &str, message: &str) -> Value {
    let mut tenant = tenant(of);
    let mut told = |kind: &str, status: &str, reason: &str, message: &str| {
        let told = condition(kind, status, reason, message);
        tenant["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .push(told);
    };
    told(
        "Fetched",
        "True",
        "Fetched",
        &format!("Flux has fetched `main@sha1:{HEAD}`"),
    );
    told("Applied", live, reason, message);
    told("Contained", "Unknown", "Waiting", "waits for `Applied`");
    told("Live", live, reason, message);
    tenant
}

#[test]
fn after_a_restart_following_goes_on() {
    let object = remembered(
        "ai-team",
        "Unknown",
        "Missing",
        "the Kustomization is not there yet",
    );
    let mut world = World::with(&[
        (Kind::Tenant, object),
        (Kind::GitRepository, fetched("ai-team", HEAD)),
    ]);
    world.head("ai-team", HEAD);
    assert_eq!(world.work(), [], "it stands where it stood");
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    let done = world.work();
    let telling = tellings(&done)[0];
    assert_eq!(
        (telling.merge.clone(), telling.pulls.clone()),
        (merge("c0ffee"), None)
    );
    assert!(telling.concludes && telling.course.turn == Turn::Live);
}

#[test]
fn after_a_restart_what_was_told_is_not_told_again_and_a_recovery_is() {
    let object = remembered("ai-team", "False", "BuildFailed", "no such file");
    let failed = saying(
        &applied("ai-team", HEAD),
        "False",
        "BuildFailed",
        "no such file",
    );
    let mut world = World::with(&[
        (Kind::Tenant, object),
        (Kind::GitRepository, fetched("ai-team", HEAD)),
        (Kind::Kustomization, failed),
    ]);
    world.head("ai-team", HEAD);
    world.wait(3600);
    assert_eq!(world.work(), []);
    world.see(Kind::Kustomization, &applied("ai-team", HEAD));
    assert_eq!(
        tellings(&world.work()).pop().unwrap().course.turn,
        Turn::Live
    );
}

#[test]
fn a_merge_that_became_live_while_nobody_looked_is_told_at_the_start() {
    let object = remembered("ai-team", "Unknown", "Progressing", "Flux is to apply it");
    let mut world = World::with(&[
        (Kind::Tenant, object),
        (Kind::GitRepository, fetched("ai-team", HEAD)),
        (Kind::Kustomization, applied("ai-team", HEAD)),
    ]);
    assert_eq!(
        world.work(),
        [],
        "until everything was looked at, nothing is known of the head"
    );
    world.head("ai-team", HEAD);
    assert_eq!(tellings(&world.work())[0].course.turn, Turn::Live);
}

#[test]
fn tenants_of_another_control_repo_are_not_ours_to_tell() {
    let mut object = tenant("ai-team");
    object["spec"]["controlRepository"] = json!("acme/others");
    object["spec"]["entry"]["namespaces"] = json!({});
    let mut world = World::with(&[(Kind::Tenant, object)]);
    world.wait(3600);
    assert_eq!(world.work(), []);
}

#[test]
fn what_is_gone_from_a_new_list_is_gone() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.list(&live("ai-team")[..2]);
    world.wait(31);
    let told = world.work();
    let [_, applied, ..] = written(&told).unwrap();
    assert_eq!(applied, Status::Unknown);
    world.list(&[]);
    assert_eq!(world.work(), []);
}

#[test]
fn a_tenant_that_vanishes_is_not_live() {
    let mut world = World::with(&live("ai-team")[..2]);
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.list(&[]);
    world.wait(600);
    let told = world.work();
    assert_eq!(tellings(&told).pop().unwrap().course.turn, Turn::Late);
}

#[test]
fn nothing_is_judged_before_everything_was_listed() {
    let mut world = World::empty();
    let objects = live("ai-team");
    world.head("ai-team", HEAD);
    world.following.list_begins(Kind::Tenant);
    world.see(Kind::Tenant, &objects[0].1);
    world.following.list_ends(Kind::Tenant, world.now);
    world.wait(3600);
    assert_eq!(world.work(), [], "its Flux objects only were not seen yet");
}

const OLD: &str = "SHA256:old";
const NEW: &str = "SHA256:new";

/// The Tenant with this key in its Secret, beside others.
fn with_key(key: &str, former: &[&str]) -> Value {
    let mut tenant = live("ai-team").remove(0).1;
    tenant["status"]["deployKey"] = json!({ "fingerprint": key, "former": former });
    tenant
}

fn handled(request: &str) -> Value {
    let mut source = fetched("ai-team", HEAD);
    source["status"]["lastHandledReconcileAt"] = json!(request);
    source
}

fn comparisons(tasks: &[Task]) -> usize {
    of(tasks, |task| matches!(task, Task::Compare { .. }))
}

fn turn(tasks: &[Task]) -> Option<Turn> {
    let last = tellings(tasks).last().map(|telling| &telling.course.turn);
    last.cloned()
}

#[test]
fn a_tenant_with_a_new_key_is_live_once_flux_has_fetched_with_it_and_then_the_former_one_can_go() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    let traces = Traces {
        key: Some(Fingerprint(NEW.to_owned())),
        ..Traces::default()
    };
    // The watch has not shown any of it yet.
    let first = world.follow_traces("c0ffee", BTreeMap::from([(name("ai-team"), traces)]));
    assert_eq!(first.course.turn, Turn::Underway);
    let told = Finished::Told {
        telling: first,
        done: true,
    };
    world.following.finished(told, world.now);
    world.see(Kind::Tenant, &with_key(OLD, &[OLD, NEW]));
    world.see(Kind::Tenant, &with_key(NEW, &[OLD]));
    world.see(Kind::GitRepository, &handled(OLD));
    world.wait(2);
    let waits = world.work();
    assert_eq!((comparisons(&waits), turn(&waits)), (0, None), "{waits:#?}");
    world.see(Kind::GitRepository, &handled(NEW));
    world.wait(2);
    let done = world.work();
    assert_eq!((comparisons(&done), turn(&done)), (1, Some(Turn::Live)));
    // Once is enough, until something about the keys is new.
    world.see(Kind::GitRepository, &handled(NEW));
    assert_eq!(comparisons(&world.work()), 0);
    world.see(Kind::Tenant, &with_key(NEW, &[]));
    world.see(Kind::GitRepository, &handled("2026-11-25T12:00:00Z"));
    world.wait(60);
    assert_eq!(world.work(), [], "it is live as ever");
}

#[test]
fn a_key_that_flux_cannot_fetch_with_takes_the_place_of_no_other() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.merged("c0ffee", &["ai-team"]);
    world.work();
    world.see(Kind::Tenant, &with_key(NEW, &[OLD]));
    let refused = saying(&handled(NEW), "False", "GitOperationFailed", "no such key");
    world.see(Kind::GitRepository, &refused);
    assert_eq!(comparisons(&world.work()), 0);
}

#[test]
fn a_key_that_is_to_be_replaced_is_seen_to_once() {
    let mut world = World::with(&live("ai-team"));
    world.head("ai-team", HEAD);
    world.work();
    let mut asked = with_key(OLD, &[]);
    asked["status"]["deployKey"]["replace"] = json!(OLD);
    world.see(Kind::Tenant, &asked);
    let tasks = world.work();
    assert_eq!(comparisons(&tasks), 1, "{tasks:#?}");
    world.see(Kind::Tenant, &asked);
    // Asked for of a key that is no longer in use.
    let mut stale = with_key(NEW, &[]);
    stale["status"]["deployKey"]["replace"] = json!(OLD);
    world.see(Kind::Tenant, &stale);
    assert_eq!(comparisons(&world.work()), 0);
}
