mod following;
mod room;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::live::synced::{Remembered, Synced, tenant_of};
use crate::live::{Evidence, Nature, Review, Stage, Standing};
use crate::object::Kind;
use crate::plan::tests::strategy::named;

const HEAD: &str = "8f14e45fceea167a5a36dedd4bea2543d1fbae00";
const OLDER: &str = "c4ca4238a0b923820dcc509a6f75849b00000000";

fn at(time: &str) -> Timestamp {
    format!("2026-11-25T{time}Z").parse().unwrap()
}

fn revision(commit: &str) -> String {
    format!("main@sha1:{commit}")
}

fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": name, "status": status, "reason": reason, "message": message,
        "observedGeneration": 1, "lastTransitionTime": at("12:00:05"),
    })
}

/// A tenant's object, its entry written.
fn tenant(name: &str) -> Value {
    json!({
        "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
        "metadata": { "name": name, "uid": format!("tenant {name}"), "generation": 1 },
        "spec": {
            "controlRepository": "acme/tenants", "commit": "c0ffee", "repository": format!("acme/{name}-workspace"),
            "entry": named(name),
        },
        "status": { "conditions": [condition("Accepted", "True", "Written", "")] },
    })
}

fn flux(name: &str, kind: Kind, status: &Value) -> Value {
    let mut whole = json!({ "observedGeneration": 1 });
    for (key, value) in status.as_object().unwrap() {
        whole[key] = value.clone();
    }
    json!({
        "apiVersion": kind.api_version(), "kind": kind,
        "metadata": {
            "name": "workspace", "namespace": format!("tenant-{name}"), "uid": format!("{kind} {name}"), "generation": 1,
        },
        "spec": {},
        "status": whole,
    })
}

/// A GitRepository that has fetched a commit.
fn fetched(name: &str, commit: &str) -> Value {
    let status = json!({
        "conditions": [condition("Ready", "True", "Succeeded", "stored artifact")],
        "artifact": { "revision": revision(commit), "lastUpdateTime": at("12:00:03") },
    });
    flux(name, Kind::GitRepository, &status)
}

/// A Kustomization that has applied a commit.
fn applied(name: &str, commit: &str) -> Value {
    let status = json!({
        "conditions": [condition("Ready", "True", "ReconciliationSucceeded", "Applied revision")],
        "lastAppliedRevision": revision(commit), "lastAttemptedRevision": revision(commit),
    });
    flux(name, Kind::Kustomization, &status)
}

/// The same with another word about itself.
fn saying(object: &Value, status: &str, reason: &str, message: &str) -> Value {
    let mut object = object.clone();
    object["status"]["conditions"] = json!([condition("Ready", status, reason, message)]);
    object
}

/// What is judged: everything is as it should be until a test changes it.
struct Scene {
    tenant: Value,
    source: Option<Value>,
    sync: Option<Value>,
    review: Review,
    head: Option<&'static str>,
}

impl Scene {
    fn live() -> Self {
        Self {
            tenant: tenant("ai-team"),
            source: Some(fetched("ai-team", HEAD)),
            sync: Some(applied("ai-team", HEAD)),
            review: Review::Contained,
            head: Some(HEAD),
        }
    }

    fn source(change: impl FnOnce(&mut Value)) -> Self {
        let mut scene = Self::live();
        change(scene.source.as_mut().unwrap());
        scene
    }

    fn sync(change: impl FnOnce(&mut Value)) -> Self {
        let mut scene = Self::live();
        change(scene.sync.as_mut().unwrap());
        scene
    }

    fn after(&self, before: Option<&Standing>) -> Option<Standing> {
        let (source, sync) = (
            self.source.as_ref().map(Synced::of),
            self.sync.as_ref().map(Synced::of),
        );
        let tenant = Remembered::of(&self.tenant).unwrap();
        let evidence = Evidence {
            tenant: &tenant,
            head: self.head,
            source: source.as_ref(),
            sync: sync.as_ref(),
            review: &self.review,
            key: None,
        };
        Standing::of(&evidence, before)
    }

    fn standing(&self) -> Standing {
        self.after(None).expect("the head is known")
    }

    /// The last stage passed, and what keeps it from the next.
    fn told(&self) -> (Stage, Option<(Nature, String)>) {
        let standing = self.standing();
        let obstacle = standing.obstacle;
        (
            standing.reached,
            obstacle.map(|obstacle| (obstacle.nature, obstacle.reason)),
        )
    }
}

fn ready(status: &'static str, reason: &'static str, message: &'static str) -> impl Fn(&mut Value) {
    move |object| *object = saying(object, status, reason, message)
}

fn stalled(reason: &'static str) -> impl Fn(&mut Value) {
    move |object| {
        object["status"]["conditions"] = json!([
            condition("Ready", "False", reason, "no"),
            condition("Stalled", "True", reason, "no"),
        ]);
    }
}

#[test]
fn what_is_read_back_of_the_head_is_live() {
    let standing = Scene::live().standing();
    assert!(standing.is_live(), "{standing:?}");
    for &stage in Stage::ALL {
        assert!(standing.has(stage), "{stage}");
    }
}

#[test]
fn each_reason_of_a_git_repository_is_judged() {
    let judged = |change: &dyn Fn(&mut Value)| Scene::source(change).told();
    let created = |nature, reason: &str| (Stage::Created, Some((nature, reason.to_owned())));
    for (reason, message) in [
        (
            "GitOperationFailed",
            "unable to clone: ssh: unable to authenticate",
        ),
        ("ArtifactFailed", "no space"),
        ("StorageOperationFailed", "no space"),
        ("SomethingNew", "never heard of"),
    ] {
        let told = judged(&ready("False", reason, message));
        assert_eq!(told, created(Nature::Failing, reason));
    }
    assert_eq!(
        judged(&ready("False", "AuthenticationFailed", "secret not found")),
        created(Nature::Stuck, "AuthenticationFailed")
    );
    assert_eq!(
        judged(&stalled("URLInvalid")),
        created(Nature::Stuck, "URLInvalid")
    );
    assert_eq!(
        judged(&ready("Unknown", "Progressing", "building artifact")),
        created(Nature::Waiting, "Progressing")
    );
    assert_eq!(
        judged(&|object| object["status"] = json!({ "observedGeneration": -1 })),
        created(Nature::Waiting, "Progressing")
    );
    assert_eq!(
        judged(&|object| object["metadata"]["deletionTimestamp"] = json!(at("12:00:09"))),
        created(Nature::Waiting, "Ending")
    );
    assert_eq!(
        judged(&|object| object["status"]["artifact"]["revision"] = json!(revision(OLDER))),
        created(Nature::Waiting, "Outdated")
    );
    let gone = Scene {
        source: None,
        ..Scene::live()
    };
    assert_eq!(gone.told(), created(Nature::Waiting, "Missing"));
}

#[test]
fn each_reason_of_a_kustomization_is_judged() {
    let judged = |change: &dyn Fn(&mut Value)| Scene::sync(change).told();
    let fetched = |nature, reason: &str| (Stage::Fetched, Some((nature, reason.to_owned())));
    for (reason, message) in [
        (
            "ArtifactFailed",
            "kustomization path not found: stat /tmp/x",
        ),
        ("BuildFailed", "accumulating resources"),
        ("ReconciliationFailed", "forbidden"),
        ("PruneFailed", "forbidden"),
        ("DependencyNotReady", "dependency 'a/b' is not ready"),
    ] {
        let told = judged(&ready("False", reason, message));
        assert_eq!(told, fetched(Nature::Failing, reason));
    }
    for reason in [
        "AccessDenied",
        "InvalidCELExpression",
        "FeatureGateDisabled",
    ] {
        assert_eq!(judged(&stalled(reason)), fetched(Nature::Stuck, reason));
    }
    assert_eq!(
        judged(&|object| object["status"]["lastAppliedRevision"] = json!(revision(OLDER))),
        fetched(Nature::Waiting, "Outdated")
    );
    let at_it = |object: &mut Value| {
        object["status"]["conditions"] = json!([
            condition("Ready", "True", "ReconciliationSucceeded", ""),
            condition("Reconciling", "True", "Progressing", "Detecting drift"),
        ]);
    };
    assert_eq!(judged(&at_it), fetched(Nature::Waiting, "Progressing"));
}

#[test]
fn what_is_applied_and_not_healthy_yet_is_told_apart() {
    let judged = |change: &dyn Fn(&mut Value)| Scene::sync(change).told();
    let contained = |nature, reason: &str| (Stage::Contained, Some((nature, reason.to_owned())));
    let unhealthy = ready(
        "False",
        "HealthCheckFailed",
        "timeout waiting for: [Deployment]",
    );
    assert_eq!(
        judged(&unhealthy),
        contained(Nature::Failing, "HealthCheckFailed")
    );
    let checking = |object: &mut Value| {
        object["status"]["conditions"] = json!([
            condition(
                "Ready",
                "Unknown",
                "Progressing",
                "Reconciliation in progress"
            ),
            condition(
                "Reconciling",
                "True",
                "Progressing",
                "Running health checks for revision"
            ),
        ]);
        object["status"]["lastAppliedRevision"] = json!(revision(OLDER));
    };
    assert_eq!(judged(&checking), contained(Nature::Waiting, "Progressing"));
    // Of an earlier revision that says nothing.
    let earlier = |object: &mut Value| {
        unhealthy(object);
        object["status"]["lastAttemptedRevision"] = json!(revision(OLDER));
    };
    assert_eq!(judged(&earlier).0, Stage::Fetched);
    let open = Scene {
        review: Review::Open {
            message: "it can".to_owned(),
            command: "kubectl".to_owned(),
        },
        ..Scene::sync(&unhealthy)
    };
    assert_eq!(open.told().0, Stage::Applied);
}

#[test]
fn a_word_about_an_earlier_generation_does_not_count() {
    let of = |nature, reason: &str| Some((nature, reason.to_owned()));
    let newer = |object: &mut Value| object["metadata"]["generation"] = json!(2);
    // The classic false green: ready, but of the generation before.
    assert_eq!(
        Scene::source(newer).told(),
        (Stage::Created, of(Nature::Waiting, "Progressing"))
    );
    assert_eq!(
        Scene::sync(newer).told(),
        (Stage::Fetched, of(Nature::Waiting, "Progressing"))
    );
    // The condition is of this generation and the status as a whole is not yet: so it is while Flux fails.
    let failing = Scene::sync(|object| {
        newer(object);
        ready("False", "BuildFailed", "no such file")(object);
        object["status"]["conditions"][0]["observedGeneration"] = json!(2);
    });
    assert_eq!(
        failing.told(),
        (Stage::Fetched, of(Nature::Failing, "BuildFailed"))
    );
    let ready_of_this = Scene::sync(|object| {
        newer(object);
        object["status"]["conditions"][0]["observedGeneration"] = json!(2);
    });
    assert!(!ready_of_this.standing().is_live());
}

#[test]
fn a_failure_from_before_the_fetch_is_about_something_else() {
    let earlier = |attempted: Option<&str>| {
        Scene::sync(|object| {
            ready(
                "False",
                "ArtifactFailed",
                "Source artifact not found, retrying in 30s",
            )(object);
            object["status"]["conditions"][0]["lastTransitionTime"] = json!(at("12:00:02"));
            object["status"]["lastAttemptedRevision"] = json!(attempted);
        })
    };
    let waiting = Some((Nature::Waiting, "Progressing".to_owned()));
    assert_eq!(earlier(None).told(), (Stage::Fetched, waiting));
    let same = revision(HEAD);
    let failing = Some((Nature::Failing, "ArtifactFailed".to_owned()));
    assert_eq!(earlier(Some(&same)).told(), (Stage::Fetched, failing));
}

#[test]
fn while_flux_looks_again_its_last_word_stands() {
    let live = Scene::live().standing();
    let again = Scene::sync(ready(
        "Unknown",
        "Progressing",
        "Reconciliation in progress",
    ));
    assert_eq!(again.after(Some(&live)), Some(live.clone()));
    assert!(
        !again.standing().is_live(),
        "without a word before, it is only under way"
    );

    let failing = Scene::sync(ready("False", "BuildFailed", "no such file")).standing();
    assert_eq!(again.after(Some(&failing)), Some(failing.clone()));
    assert_eq!(Scene::live().after(Some(&failing)), Some(live.clone()));

    // What was said of another head says nothing of this one.
    let pushed = Scene {
        head: Some(OLDER),
        ..Scene::sync(ready("Unknown", "Progressing", ""))
    };
    assert!(!pushed.after(Some(&live)).unwrap().is_live());
    // Nor what was said of another generation.
    let mut changed = again;
    changed.sync.as_mut().unwrap()["metadata"]["generation"] = json!(2);
    assert!(!changed.after(Some(&live)).unwrap().is_live());
}

#[test]
fn suspension_is_as_the_file_says_or_somebody_s_own() {
    let suspend = |object: &mut Value| object["spec"]["suspend"] = json!(true);
    let by_hand = Scene::sync(suspend);
    assert_eq!(
        by_hand.told(),
        (
            Stage::Fetched,
            Some((Nature::Stuck, "Suspended".to_owned()))
        )
    );
    let mut by_file = Scene::source(suspend);
    by_file.tenant["spec"]["entry"]["suspended"] = json!(true);
    assert_eq!(
        by_file.told(),
        (
            Stage::Created,
            Some((Nature::Suspended, "Suspended".to_owned()))
        )
    );
}

#[test]
fn a_tenant_without_namespaces_is_live_once_it_is_written() {
    let mut scene = Scene {
        source: None,
        sync: None,
        head: None,
        ..Scene::live()
    };
    scene.tenant["spec"]["entry"]["namespaces"] = json!({});
    assert!(scene.standing().is_live());
    scene.tenant["metadata"]["generation"] = json!(2);
    assert!(
        !scene.standing().is_live(),
        "the entry changed, and what is new of it is not written"
    );
}

#[test]
fn nothing_is_said_while_the_head_is_not_known() {
    let scene = Scene {
        head: None,
        ..Scene::live()
    };
    assert_eq!(scene.after(None), None);
}

#[test]
fn what_is_applied_is_live_only_within_its_room_and_when_all_is_written() {
    let pending = Scene {
        review: Review::Pending,
        ..Scene::live()
    };
    assert_eq!(
        pending.told(),
        (
            Stage::Applied,
            Some((Nature::Waiting, "Reviewing".to_owned()))
        )
    );
    let open = Scene {
        review: Review::Open {
            message: "it can create namespaces".to_owned(),
            command: "kubectl".to_owned(),
        },
        ..Scene::live()
    };
    assert_eq!(
        open.told(),
        (
            Stage::Applied,
            Some((Nature::Stuck, "NotContained".to_owned()))
        )
    );
    let mut held = Scene::live();
    held.tenant["status"]["conditions"] = json!([condition(
        "Accepted",
        "False",
        "Held",
        "RoleBinding of 1 held: ai/x"
    )]);
    let standing = held.standing();
    assert_eq!(standing.reached, Stage::Contained);
    assert!(!standing.is_live());
}

#[test]
fn a_person_is_told_what_to_do() {
    let help = |reason: &'static str, message: &'static str| {
        let standing = Scene::sync(ready("False", reason, message)).standing();
        standing.obstacle.unwrap().help.unwrap_or_default()
    };
    let forbidden = "Deployment/ai/web dry-run failed: deployments.apps \"web\" is forbidden: User \
                     \"system:serviceaccount:tenant-ai-team:reconciler\" cannot patch resource \"deployments\" in API group \
                     \"apps\" in the namespace \"ai\"";
    assert!(help("ReconciliationFailed", forbidden).contains("may not patch `deployments.apps`"));
    let core = "x cannot create resource \"nodes\" in API group \"\" at the cluster scope";
    assert!(help("ReconciliationFailed", core).contains("may not create `nodes`"));
    let forged = "x cannot create resource \"`@all`\" in API group \"\" at the cluster scope";
    assert!(!help("ReconciliationFailed", forged).contains("@all"));
    assert!(
        help("ArtifactFailed", "kustomization path not found: x").contains("`repository.path`")
    );
}

#[test]
fn only_what_stands_in_a_control_namespace_is_a_tenant_s() {
    let mut object = fetched("ai-team", HEAD);
    assert_eq!(
        tenant_of(Kind::GitRepository, &object),
        "ai-team".parse().ok()
    );
    object["metadata"]["labels"] = json!({ "app.kubernetes.io/instance": "payments" });
    assert_eq!(
        tenant_of(Kind::GitRepository, &object),
        "ai-team".parse().ok()
    );
    object["metadata"]["namespace"] = json!("ai");
    assert_eq!(
        tenant_of(Kind::GitRepository, &object),
        None,
        "anybody may make one there, with any label"
    );
    object["metadata"]["namespace"] = json!("tenant-ai-team");
    object["metadata"]["name"] = json!("other");
    assert_eq!(tenant_of(Kind::GitRepository, &object), None);
}
