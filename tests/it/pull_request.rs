//! What a pull request is told.

use std::time::Duration;

use tenantry::sandbox::github::{CheckRun, Class, Credential, Fault, MergeMethod};

use crate::support::World;

pub(crate) const PLAN: &str = "tenantry/plan";
const NO_TENANT: &str = "tenants: []\n";
const ONE_TENANT: &str = "
tenants:
- name: shop%
  namespaces: [{name: shop%}]
  githubTeams: [{name: payments}]
";

/// Each annotation of a check as `line: its words`, without this world's suffix.
pub(crate) fn annotations(world: &World, check: &CheckRun) -> Vec<String> {
    let shown = check.annotations.iter().map(|annotation| {
        let message = annotation["message"].as_str().expect("it says something");
        format!("{}: {}", annotation["start_line"], world.plain(message))
    });
    shown.collect()
}

/// A commit of Alice's that makes the file this text.
pub(crate) fn push(world: &World, branch: &str, file: Option<&str>) -> String {
    let file = file.map(|file| world.text(file));
    world.github.as_user("alice").commit(
        &world.control(),
        branch,
        "Change the tenants again",
        &[("tenants.yaml", file.as_deref())],
    )
}

/// The title that people see in a pull request's list of checks.
pub(crate) fn title(check: &CheckRun) -> (&str, &str) {
    (
        check.conclusion.as_deref().unwrap_or("none yet"),
        check.title.as_deref().unwrap_or_default(),
    )
}

/// The title of the App's comment.
fn headline(world: &World, number: u64) -> Option<String> {
    let comment = world.comment(number)?;
    let line = comment.lines().find(|line| line.starts_with("### "))?;
    Some(world.plain(line))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_leaves_the_file_alone_gets_a_green_check_and_no_comment() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let alice = world.github.as_user("alice");
    let head = alice.commit(
        &world.control(),
        "readme",
        "Say more",
        &[("README.md", Some("# More\n"))],
    );
    let number = alice.open_pull(&world.control(), "main", "readme", "Say more", "");
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"));
    assert_eq!(world.comment(number), None);
    world.end().await;
}

const TEN_ERRORS: &str = "
maxRemovals: 2
tenants:
- name: Ai_Team
- name: system%
  namespaces: [{name: kube-system}]
- name: one%
  descripton: The first
  namespaces: [{name: shared%}]
- name: two%
  namespaces: [{name: shared%}]
- name: two%
- name: three%
  githubTeams: [{name: ai-team}, {name: ai-team}]
- name: four%
  suspended: maybe
- name: five%
  namespaces: [{name: five%, quota: {requests.cpu: lots}}]
- name: six%
  sync: {interval: often}
";

#[tokio::test(flavor = "multi_thread")]
async fn ten_errors_are_ten_annotations_and_nothing_is_written() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let (number, head) = world.pull("ten-errors", TEN_ERRORS);
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 10 errors"));
    insta::assert_snapshot!(annotations(&world, &check).join("\n"), @"
    2: unknown key `maxRemovals` in the file
    did you mean `maxRemovalsPerMerge`?
    4: `name`: `Ai_Team` is not a DNS label: it contains 'A'
    perhaps `ai-team`
    6: the namespace `kube-system` is protected, by `kube-*`
    choose another name
    8: unknown key `descripton` in a tenant
    did you mean `description`?
    11: the namespace `shared` stands in the file twice
    line 9: the first one is here
    12: the tenant `two` stands in the file twice
    line 10: the first one is here
    14: the team `ai-team` stands in this tenant twice
    line 14: the first one is here
    16: `suspended` must be `true` or `false`, not the text `maybe`
    18: `requests.cpu`: `lots` is not a quantity like `500m`, `2`, `1.5` or `10Gi`
    20: `interval`: `often` is not a duration like `90s`, `10m`, `1h30m` or `180d`
    ");
    assert_eq!(world.comment(number), None, "the check says it all");
    assert_eq!(changes(&world, mark, audit), Vec::<String>::new());

    let head = push(&world, "ten-errors", Some(ONE_TENANT));
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );

    let head = push(&world, "ten-errors", Some(TEN_ERRORS));
    world.check(&head, PLAN).await;
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: not possible, 10 errors")
    );
    let head = push(
        &world,
        "ten-errors",
        Some(&format!("{ONE_TENANT}# Mended.\n")),
    );
    world.check(&head, PLAN).await;
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );
    assert_eq!(changes(&world, mark, audit), Vec::<String>::new());
    world.end().await;
}

/// What was written on either side, reports left out.
fn changes(world: &World, mark: tenantry::sandbox::github::Mark, audit: u64) -> Vec<String> {
    let on_github = world.github.requests_since(mark).into_iter();
    let on_github = on_github
        .filter(|request| request.class == Class::Write)
        .map(|request| format!("{} {}", request.method, request.path));
    let in_cluster = world.cluster.requests_since(audit).into_iter();
    let in_cluster = in_cluster
        .filter(|request| request.is_write() && request.uri.contains(&world.text("%")))
        .map(|request| format!("{} {}", request.verb, request.uri));
    on_github.chain(in_cluster).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_team_holds_its_own_tenant_and_the_other_is_planned() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let file = "
tenants:
- name: typo%
  githubTeams: [{name: biling-team}]
- name: shop%
  namespaces: [{name: shop%}]
  githubTeams: [{name: payments}]
";
    let (number, head) = world.pull("typo", file);
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("failure"), "{check:#?}");
    assert_eq!(
        annotations(&world, &check),
        ["4: team `biling-team` does not exist in `acme`\ndid you mean `billing-team`?"]
    );
    let comment = world.plain(&world.comment(number).expect("there is a plan"));
    assert!(comment.contains("Did you mean"), "{comment}");
    assert!(comment.contains("acme/shop-workspace"), "{comment}");
    assert!(
        comment.contains("### Plan: 1 tenant added · ❗ 1 tenant held by a problem"),
        "{comment}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_in_the_file_do_not_hide_an_unknown_team() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let file = "
tenants:
- name: typo%
  githubTeams: [{name: biling-team}]
- name: wrong%
  suspended: maybe
";
    let (_, head) = world.pull("both", file);
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("failure"), "{check:#?}");
    let lines: Vec<_> = check
        .annotations
        .iter()
        .map(|one| one["start_line"].clone())
        .collect();
    assert_eq!(lines, [4, 6], "{check:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_planned_and_its_merge_applied_like_any_other() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let bob = world.github.as_user("bob");
    let fork = bob.fork(&world.control());
    let file = world.text(ONE_TENANT);
    let head = bob.commit(
        &fork,
        "shop",
        "Add a shop",
        &[("tenants.yaml", Some(&file))],
    );
    let number = bob.open_pull(&world.control(), "main", "bob:shop", "Add a shop", "");
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );

    let merged = world.merge(number);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/shop%-workspace")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_in_conflict_fails_until_the_conflict_is_resolved() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (number, head) = world.pull("mine", ONE_TENANT);
    assert_eq!(
        world.check(&head, PLAN).await.conclusion.as_deref(),
        Some("success")
    );
    push(&world, "main", Some("tenants: []\n# Ask us first.\n"));
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Resolve the conflict"));

    let rebased = push(&world, "mine-rebased", Some(ONE_TENANT));
    let alice = world.github.as_user("alice");
    alice.force_push(&world.control(), "mine", &rebased);
    world.settled().await;
    let check = world.check(&rebased, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_github_has_made_the_merge_commit_the_check_is_in_progress() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    world.github.set_merge_delay(Duration::from_hours(1));
    let (_, head) = world.pull("slow", ONE_TENANT);
    let waiting = "Waiting for GitHub's merge commit";
    let is_waiting = |run: &CheckRun| run.title.as_deref() == Some(waiting);
    let started = std::time::Instant::now();
    while !world
        .github
        .check_runs(&world.control(), &head)
        .iter()
        .any(is_waiting)
    {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.github.set_merge_delay(Duration::ZERO);
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_commit_that_github_never_makes_is_a_failure_that_says_how_to_go_on() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    world.github.set_merge_delay(Duration::from_hours(1));
    let (number, head) = world.pull("stuck", ONE_TENANT);
    let gave_up = |run: &CheckRun| run.title.as_deref() == Some("GitHub made no merge commit");
    let check = world.check_where(&head, PLAN, gave_up).await;
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    let summary = check.summary.expect("it says how to go on");
    assert!(summary.contains("<code>/tenantry plan</code>"), "{summary}");

    world.github.set_merge_delay(Duration::ZERO);
    let again = push(&world, "stuck", Some(&format!("{ONE_TENANT}# Again.\n")));
    let check = world.check(&again, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_opened_while_its_branch_is_planned_has_the_last_word() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let alice = world.github.as_user("alice");
    alice.branch(&world.control(), "mine", "main");
    push(&world, "main", Some("tenants: []\n# Ask us first.\n"));
    world.settled().await;
    world.github.set_latency(Duration::from_millis(100));
    let head = push(&world, "mine", Some(ONE_TENANT));
    let begun = |run: &CheckRun| run.title.as_deref() == Some("Planning");
    while !world
        .github
        .check_runs(&world.control(), &head)
        .iter()
        .any(begun)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    alice.open_pull(&world.control(), "main", "mine", "Add a shop", "");
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Resolve the conflict"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_comment_of_one_new_tenant_is_what_one_would_like_to_read() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (number, head) = world.pull("shop", ONE_TENANT);
    world.check(&head, PLAN).await;
    let comment = world.comment(number).expect("there is a plan");
    insta::assert_snapshot!(steady(&world.plain(&comment)), @"
    <!-- tenantry:plan -->
    ### Plan: 1 tenant added

    | | ➕ create | ✏️ change | ⛔ held | unchanged |
    |:--|--:|--:|--:|--:|
    | Tenants | 1 | 0 | 0 | 0 not touched |
    | GitHub objects | 3 | 0 | 0 | 0 |
    | Cluster objects | 14 | 0 | 0 | 0 |

    **On merge, each tenant by itself and in this order:** 2 Namespaces → 1 ResourceQuota → 2 NetworkPolicies → 2 ServiceAccounts → 4 RoleBindings → 1 repository → 1 team permission → 1 Secret → 1 deploy key → 1 GitRepository → 1 Kustomization.
    A step that fails stops its own tenant only; it is tried again.

    <details><summary>➕ add <b><code>shop</code></b> · GitHub 3 · cluster 14 · line 3</summary>

    | | Object | What |
    |:--|:--|:--|
    | ➕ create | Namespace <code>shop</code> | Pod Security <code>baseline</code> |
    | ➕ create | Namespace <code>tenant-shop</code> | Pod Security <code>restricted</code> |
    | ➕ create | ResourceQuota <code>tenant-shop/no-workloads</code> | <code>pods</code> <code>0</code> |
    | ➕ create | NetworkPolicy <code>shop/tenant-allow</code> | allows traffic within the tenant, DNS and the internet |
    | ➕ create | NetworkPolicy <code>shop/tenant-default-deny</code> | closes what nothing allows |
    | ➕ create | ServiceAccount <code>shop/flux</code> | mounts no token |
    | ➕ create | ServiceAccount <code>tenant-shop/reconciler</code> | mounts no token |
    | ➕ create | RoleBinding <code>shop/admin-reconciler</code> | ServiceAccount <code>tenant-shop/reconciler</code>, ServiceAccount <code>flux</code> get <code>admin</code> |
    | ➕ create | RoleBinding <code>shop/payments-admin</code> | group <code>payments</code> gets <code>admin</code> |
    | ➕ create | RoleBinding <code>tenant-shop/payments-view</code> | group <code>payments</code> gets <code>view</code> |
    | ➕ create | RoleBinding <code>tenant-shop/tenantry-control</code> | ServiceAccount <code>tenantry-system/tenantry</code> gets <code>tenantry-control</code> |
    | ➕ create | repository <code>acme/shop-workspace</code> | private, branch <code>main</code> |
    | ➕ create | team <code>payments</code> | gets <b>push</b> on <code>acme/shop-workspace</code> |
    | ➕ create | Secret <code>tenant-shop/git-auth</code> | a key pair that is made here and shown nowhere |
    | ➕ create | deploy key on <code>acme/shop-workspace</code> | read-only |
    | ➕ create | GitRepository <code>tenant-shop/workspace</code> | fetches branch <code>main</code> every 10m |
    | ➕ create | Kustomization <code>tenant-shop/workspace</code> | applies <code>./</code> as ServiceAccount <code>reconciler</code>, prunes |

    </details>

    ---
    The merge does what stands here, or less: if it would then remove more or widen more, that part waits for a person.
    <sub>Plan <code>HASH</code> · <code>HASH</code> merged onto <code>main</code> <code>HASH</code> · TIME</sub>
    <sub><code>/tenantry plan</code> plans again · <code>/tenantry help</code></sub>
    ");
    world.end().await;
}

/// Without what differs from run to run: commits, the fingerprint, the time.
fn steady(comment: &str) -> String {
    let shown = comment.split("<code>").map(|part| {
        let Some((code, rest)) = part.split_once("</code>") else {
            return part.to_owned();
        };
        let is_hash = code.len() >= 7
            && code
                .chars()
                .all(|one| one.is_ascii_hexdigit() || one == '-');
        let rest = match rest.split_once(" UTC") {
            Some(_) => " · TIME</sub>\n<sub>",
            None => rest,
        };
        let code = if is_hash { "HASH" } else { code };
        format!("{code}</code>{rest}")
    });
    shown.collect::<Vec<_>>().join("<code>")
}

/// Two changes of it at `# first` and `# last` do not conflict.
const ROOM_FOR_TWO: &str = "
tenants:
# first
- name: there%
# in between
# last
";

fn with(place: &str, entry: &str) -> String {
    ROOM_FOR_TWO.replace(place, &format!("{entry}\n{place}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn when_another_merge_changes_the_file_open_pull_requests_are_planned_again() {
    let Some(world) = World::new(ROOM_FOR_TWO).await else {
        return;
    };
    let entry = |name: &str| format!("- {{name: {name}%, namespaces: [{{name: shop%}}]}}");
    let (first, _) = world.pull("one", &with("# first", &entry("one")));
    let (second, head) = world.pull("two", &with("# last", &entry("two")));
    world.settled().await;
    assert_eq!(
        headline(&world, second).as_deref(),
        Some("### Plan: 1 tenant added")
    );

    world.merge(first);
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 1 error"));
    assert_eq!(
        headline(&world, second).as_deref(),
        Some("### Plan: not possible, 1 error")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_pull_requests_are_planned_again_when_the_file_on_the_default_branch_breaks() {
    let Some(world) = World::new(ROOM_FOR_TWO).await else {
        return;
    };
    let (number, head) = world.pull("two", &with("# last", "- name: two%"));
    world.settled().await;
    push(
        &world,
        "main",
        Some(&with("# first", "- {name: one%, suspended: maybe}")),
    );
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 1 error"));
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: not possible, 1 error")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_without_a_pull_request_gets_the_check_if_it_changes_the_file() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let head = push(&world, "try", Some(ONE_TENANT));
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));

    let readme = world.github.as_user("alice").commit(
        &world.control(),
        "readme",
        "Say more",
        &[("README.md", Some("# More\n"))],
    );
    world.settled().await;
    assert!(
        world
            .github
            .check_runs(&world.control(), &readme)
            .is_empty()
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_merge_group_gets_the_check() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (number, _) = world.pull("shop", ONE_TENANT);
    world.settled().await;
    let head = world
        .github
        .as_user("alice")
        .queue(&world.control(), number);
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_check_again_gets_it() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (_, head) = world.pull("typo", &ONE_TENANT.replace("payments", "sre"));
    let unknown = world.check(&head, PLAN).await;
    assert_eq!(unknown.conclusion.as_deref(), Some("failure"));
    let alice = world.github.as_user("alice");
    alice.rerequest_check(unknown.id);
    world.settled().await;
    let again = world.check(&head, PLAN).await;
    assert_ne!(again.id, unknown.id);
    assert_eq!(again.conclusion.as_deref(), Some("failure"));

    world.github.team(&world.organization(), "sre", &["bob"]);
    alice.rerequest_suite(again.suite);
    world.settled().await;
    let known = world.check(&head, PLAN).await;
    assert_eq!(title(&known), ("success", "1 tenant added"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_errors_than_github_takes_in_one_request_all_arrive() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let entries: String = (0..60)
        .map(|number| format!("- name: Wrong_{number}\n"))
        .collect();
    let (_, head) = world.pull("sixty", &format!("tenants:\n{entries}"));
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 60 errors"));
    let lines = check.annotations.iter().map(|one| &one["start_line"]);
    assert!(lines.eq(&(2..62).map(serde_json::Value::from).collect::<Vec<_>>()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_forges_nothing_in_the_comment() {
    const FORGERY: &str = "@everyone ``` </details> <!-- tenantry:plan --> | a | #1 ### Applied";
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let fine = ONE_TENANT.replace(
        "- name: shop%",
        &format!(
            "- name: shop%\n  description: \"{FORGERY}\"\n  namespace: {{annotations: {{note: \"{FORGERY}\"}}}}"
        ),
    );
    let wrong = format!("tenants:\n- name: shop%\n  \"{FORGERY}\": 1\n");
    let (number, head) = world.pull("forged", &fine);
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    forges_nothing(&world.comment(number).expect("there is a plan"));
    let head = push(&world, "forged", Some(&wrong));
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 1 error"));
    forges_nothing(&world.comment(number).expect("it is the same comment"));
    forges_nothing(&format!(
        "<!-- tenantry:plan -->\n### Plan{}{}",
        check.summary.unwrap_or_default(),
        check.text.unwrap_or_default()
    ));
    world.end().await;
}

fn forges_nothing(comment: &str) {
    assert_eq!(
        comment.matches("<!-- tenantry:plan -->").count(),
        1,
        "{comment}"
    );
    assert_eq!(comment.matches("### ").count(), 1, "{comment}");
    assert_eq!(
        comment.matches("<details>").count(),
        comment.matches("</details>").count(),
        "{comment}"
    );
    for raw in ["@", "`", "| a |", "#1 "] {
        assert!(!comment.contains(raw), "{raw} in {comment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_an_error_and_no_wish_to_remove_everything() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let head = push(&world, "delete", None);
    let number = world.github.as_user("alice").open_pull(
        &world.control(),
        "main",
        "delete",
        "Delete the file",
        "",
    );
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("failure", "Not possible: 1 error"));
    let text = check.text.expect("it says what to do");
    assert!(text.contains("<code>tenants: &#91;&#93;</code>"), "{text}");
    assert_eq!(world.comment(number), None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_no_longer_touches_the_file_says_so_in_its_comment() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (number, _) = world.pull("undo", ONE_TENANT);
    world.settled().await;
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );
    let head = push(&world, "undo", Some(NO_TENANT));
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "The file is not touched"));
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: nothing to change")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_with_tokens_that_can_only_read_and_report() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (mark, audit) = (world.github.mark(), world.cluster.audit_mark());
    let (_, head) = world.pull("shop", ONE_TENANT);
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    assert_eq!(changes(&world, mark, audit), Vec::<String>::new());
    for request in world.github.requests_since(mark) {
        let Credential::Installation { permissions, .. } = &request.credential else {
            continue;
        };
        let mut may_write = permissions.iter().filter(|(_, level)| *level != "read");
        assert!(
            may_write.all(|(name, _)| REPORTS.contains(&name.as_str())),
            "{request:#?}"
        );
        let may_write = permissions.values().any(|level| level != "read");
        assert!(
            request.class != Class::Graphql || !may_write,
            "{request:#?}"
        );
    }
    world.end().await;
}

/// What checks and comments are written with.
const REPORTS: &[&str] = &["checks", "issues", "pull_requests"];

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_squashed_from_several_commits_is_one_plan_and_one_apply() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let (number, _) = world.pull("shop", "tenants: [{name: draft%}]\n");
    let head = push(&world, "shop", Some(ONE_TENANT));
    let check = world.check(&head, PLAN).await;
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:#?}");
    let alice = world.github.as_user("alice");
    let merged = alice.merge(&world.control(), number, MergeMethod::Squash);
    let apply = world.check(&merged, "tenantry/apply").await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    assert!(world.github.exists(&world.text("acme%/shop%-workspace")));
    assert!(!world.github.exists(&world.text("acme%/draft%-workspace")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_listed_is_never_obeyed() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let other = world.text("acme%/other");
    world
        .github
        .repository(&other, &[("tenants.yaml", NO_TENANT)])
        .collaborator(&other, "alice", tenantry::sandbox::github::Permission::Push);
    world.settled().await;
    let mark = world.github.mark();
    let alice = world.github.as_user("alice");
    let file = world.text(ONE_TENANT);
    alice.commit(&other, "shop", "Add", &[("tenants.yaml", Some(&file))]);
    let number = alice.open_pull(&other, "main", "shop", "Add", "");
    alice.comment(&other, number, "/tenantry plan");
    world.settled().await;
    alice.merge(&other, number, MergeMethod::Merge);
    world.settled().await;
    assert!(world.github.requests_since(mark).is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_to_another_branch_is_told_that_nothing_is_applied_from_there() {
    let Some(world) = World::new(NO_TENANT).await else {
        return;
    };
    let alice = world.github.as_user("alice");
    alice.branch(&world.control(), "next", "main");
    let head = push(&world, "shop", Some(ONE_TENANT));
    world.settled().await;
    let number = alice.open_pull(&world.control(), "next", "shop", "Add a shop", "");
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(
        title(&check),
        ("success", "Nothing is applied from this branch")
    );
    assert_eq!(world.comment(number), None);

    alice.retarget(&world.control(), number, "main");
    world.settled().await;
    let check = world.check(&head, PLAN).await;
    assert_eq!(title(&check), ("success", "1 tenant added"));
    assert_eq!(
        headline(&world, number).as_deref(),
        Some("### Plan: 1 tenant added")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_is_not_where_it_was_is_looked_for() {
    let Some(world) = World::without_flux(NO_TENANT).await else {
        return;
    };
    let (number, head) = world.pull("add", ONE_TENANT);
    world.check(&head, PLAN).await;
    let gone = Fault::on("PATCH", "/repos/*/*/issues/comments/*").respond(404);
    world.github.fault(gone);
    let mark = world.github.mark();
    let merged = world.merge(number);
    let written = |run: &CheckRun| {
        let title = run.title.as_deref();
        title.is_some_and(|title| title.contains("0 of 1 live"))
    };
    world.check_where(&merged, "tenantry/apply", written).await;
    assert_eq!(world.github.waiting_faults(), 0);
    let title = headline(&world, number);
    assert_eq!(
        title.as_deref(),
        Some("### Applied: 1 tenant added · 0 of 1 live")
    );
    let looked = world.github.requests_since(mark).into_iter();
    let looked =
        looked.filter(|request| request.method == "GET" && request.path.contains("/comments"));
    assert_eq!(looked.count(), 1, "known again from then on");
    world.end().await;
}
