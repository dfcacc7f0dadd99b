//! Reading: partial answers, pages, and that "cannot see" never looks like "gone".

use std::sync::Arc;

use serde_json::{Value, json};

use super::server::{Answer, Server, ok, status};
use crate::github::{
    BasePermission, CheckRun, Checks, Conclusion, Error, Mergeable, Progress, Seen,
};
use crate::names::{FullName, TeamSlug};
use crate::object::{Permission, Visibility};

fn name(text: &str) -> FullName {
    text.parse().unwrap()
}

fn data(data: &Value) -> Answer {
    ok(json!({ "data": data }))
}

fn page(nodes: &Value) -> Value {
    json!({ "nodes": nodes, "pageInfo": { "hasNextPage": false, "endCursor": null } })
}

fn edges(edges: &Value) -> Value {
    json!({ "edges": edges, "pageInfo": { "hasNextPage": false, "endCursor": null } })
}

fn node(full_name: &str) -> Value {
    let commit = json!({
        "message": "Prepare the workspace",
        "author": { "email": "41+tenantry[bot]@users.noreply.github.com", "user": null },
    });
    json!({
        "id": format!("R_{full_name}"),
        "databaseId": 11,
        "nameWithOwner": full_name,
        "createdAt": "2026-11-25T00:00:00Z",
        "description": null,
        "visibility": "PRIVATE",
        "isArchived": false,
        "isEmpty": false,
        "isTemplate": false,
        "defaultBranchRef": { "name": "main", "target": { "oid": "c0ffee", "history": { "nodes": [commit] } } },
        "deployKeys": page(&json!([{ "title": "flux", "readOnly": true, "key": "ssh-ed25519 AAAA", "createdAt": "2026-11-25T12:00:00Z" }])),
        "collaborators": edges(&json!([{ "permission": "WRITE", "node": { "login": "octocat" } }])),
    })
}

#[tokio::test]
async fn a_repository_that_cannot_be_read_hides_no_other() {
    let server = Server::always(|| {
        let mut closed = node("acme/closed");
        closed["collaborators"] = Value::Null;
        let mut branchless = node("acme/branchless");
        branchless["defaultBranchRef"] = Value::Null;
        ok(json!({
            "data": { "r0": node("acme/a"), "r1": null, "r2": null, "r3": closed, "r4": null, "r5": branchless },
            "errors": [
                { "type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve to a Repository" },
                { "type": "FORBIDDEN", "path": ["r2"], "message": "SAML enforcement" },
                { "type": "FORBIDDEN", "path": ["r3", "collaborators"], "message": "not accessible" },
                { "path": ["r5", "defaultBranchRef"], "message": "Something went wrong" },
            ],
        }))
    })
    .await;
    let names: Vec<_> = ["a", "b", "c", "closed", "e", "branchless"]
        .map(|repository| name(&format!("acme/{repository}")))
        .to_vec();
    let mut seen = server.reader().repositories_by_name(&names).await.unwrap();
    let mut of = |repository: &str| seen.remove(&name(&format!("acme/{repository}"))).unwrap();

    let Seen::Present(state) = of("a") else {
        panic!()
    };
    assert_eq!(state.repository.visibility, Visibility::Private);
    assert_eq!(state.repository.default_branch.unwrap().as_str(), "main");
    assert!(state.repository.initialized && !state.empty);
    assert_eq!(state.head.as_deref(), Some("c0ffee"));
    assert_eq!(state.keys[0].public_key, "ssh-ed25519 AAAA");
    let collaborators = state.collaborators.unwrap();
    assert_eq!(
        collaborators,
        [("octocat".parse().unwrap(), Permission::Push)]
    );
    let commit = state.only_commit.unwrap();
    assert_eq!(commit.author_login.as_deref(), Some("tenantry[bot]"));

    assert_eq!(of("b"), Seen::Absent);
    assert_eq!(of("c"), Seen::Unreadable("SAML enforcement".to_owned()));
    let Seen::Present(closed) = of("closed") else {
        panic!()
    };
    assert_eq!(closed.collaborators, None);
    assert!(matches!(of("e"), Seen::Unreadable(_)));
    assert_eq!(
        of("branchless"),
        Seen::Unreadable("Something went wrong".to_owned())
    );
}

#[tokio::test]
async fn ids_are_asked_a_hundred_at_a_time_and_answered_in_their_order() {
    let server = Server::start(|request, _| {
        let ids = request.body["variables"]["ids"].as_array().unwrap();
        let nodes: Vec<_> = ids
            .iter()
            .map(|id| {
                if id == "R_5" {
                    Value::Null
                } else {
                    node("acme/a")
                }
            })
            .collect();
        let gone = json!([{ "type": "NOT_FOUND", "path": ["nodes", 5], "message": "gone" }]);
        let errors = if ids[5] == "R_5" { gone } else { json!([]) };
        ok(json!({ "data": { "nodes": nodes }, "errors": errors }))
    })
    .await;
    let ids: Vec<_> = (0..150).map(|index| format!("R_{index}")).collect();
    let seen = server.reader().repositories_by_id(&ids).await.unwrap();
    assert_eq!(seen.len(), 150);
    assert_eq!(seen["R_5"], Seen::Absent);
    let present = seen
        .values()
        .filter(|seen| matches!(seen, Seen::Present(_)));
    assert_eq!(present.count(), 149);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_page_that_takes_github_too_long_is_halved() {
    let server = Server::start(|request, _| {
        match request.body["variables"]["ids"].as_array().unwrap().len() {
            0..=25 => {
                let ids = request.body["variables"]["ids"].as_array().unwrap().iter();
                let nodes: Vec<_> = ids.map(|_| node("acme/a")).collect();
                data(&json!({ "nodes": nodes }))
            }
            26..=50 => ok(json!({
                "data": null,
                "errors": [{ "message": "Something went wrong while executing your query." }],
            })),
            _ => status(502, json!("<html>")),
        }
    })
    .await;
    let ids: Vec<_> = (0..100).map(|index| format!("R_{index}")).collect();
    let seen = server.reader().repositories_by_id(&ids).await.unwrap();
    assert_eq!(seen.len(), 100);
    assert_eq!(server.asked().len(), 2 + 4);
}

#[tokio::test]
async fn an_empty_repository_has_the_default_branch_that_rest_tells() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/graphql" => {
            let mut empty = node("acme/a");
            empty["isEmpty"] = json!(true);
            empty["defaultBranchRef"] = Value::Null;
            data(&json!({ "nodes": [empty] }))
        }
        _ => ok(json!({
            "id": 11, "node_id": "R", "full_name": "acme/a", "default_branch": "trunk",
            "private": true, "owner": { "login": "acme", "type": "Organization" },
        })),
    })
    .await;
    let seen = server
        .reader()
        .repositories_by_id(&["R".to_owned()])
        .await
        .unwrap();
    let Seen::Present(state) = &seen["R"] else {
        panic!("{seen:?}")
    };
    assert_eq!(
        state.repository.default_branch.as_ref().unwrap().as_str(),
        "trunk"
    );
    assert!(state.empty && !state.repository.initialized);
    assert_eq!(state.only_commit, None);
}

#[tokio::test]
async fn an_organisation_is_read_page_by_page() {
    let server = Server::start(|request, _| {
        let first = request.body["variables"]["after"].is_null();
        let nodes = if first {
            json!([node("acme/a"), null])
        } else {
            json!([node("acme/b")])
        };
        data(&json!({ "organization": { "repositories": {
            "nodes": nodes,
            "pageInfo": { "hasNextPage": first, "endCursor": "cursor" },
        } } }))
    })
    .await;
    let reader = server.reader();
    let mut pages = reader.all_repositories(&"acme".parse().unwrap());
    let one = pages.next().await.unwrap().unwrap();
    assert_eq!((one.repositories.len(), one.unreadable.len()), (1, 1));
    let two = pages.next().await.unwrap().unwrap();
    assert_eq!(two.repositories[0].full_name, name("acme/b"));
    assert!(pages.next().await.unwrap().is_none());
}

#[tokio::test]
async fn an_organisation_that_cannot_be_seen_is_not_an_empty_one() {
    let server = Server::always(|| {
        ok(json!({
            "data": { "organization": null },
            "errors": [{ "type": "NOT_FOUND", "path": ["organization"], "message": "no such organization" }],
        }))
    })
    .await;
    let reader = server.reader();
    let acme = "acme".parse().unwrap();
    let slugs: [TeamSlug; 1] = ["a".parse().unwrap()];
    let not_found = |error: Error| assert!(error.is_not_found(), "{error}");
    not_found(reader.all_repositories(&acme).next().await.unwrap_err());
    not_found(reader.all_teams(&acme).await.unwrap_err());
    not_found(reader.team_slugs(&acme).await.unwrap_err());
    not_found(reader.teams(&acme, &slugs).await.unwrap_err());
}

#[tokio::test]
async fn a_value_never_stands_in_the_text_of_a_query() {
    let server = Server::always(|| {
        data(&json!({ "organization": { "t0": { "slug": "billing" }, "t1": null } }))
    })
    .await;
    let slugs: Vec<TeamSlug> = ["billing", "biling"]
        .map(|slug| slug.parse().unwrap())
        .to_vec();
    let existing = server
        .reader()
        .teams(&"acme".parse().unwrap(), &slugs)
        .await
        .unwrap();
    assert_eq!(existing.into_iter().collect::<Vec<_>>(), slugs[..1]);
    let asked = &server.asked()[0].body;
    let text = asked["query"].as_str().unwrap();
    assert!(!text.contains("biling") && !text.contains("acme"), "{text}");
    let variables = json!({ "organization": "acme", "slug0": "billing", "slug1": "biling" });
    assert_eq!(asked["variables"], variables);
}

#[tokio::test]
async fn a_team_with_many_repositories_is_read_to_its_end() {
    let access = |repository: &str, level: &str| json!({ "permission": level, "node": { "nameWithOwner": repository } });
    let server = Server::start(move |request, _| {
        if request.body["variables"]["id"] == "T_1" {
            let more = edges(&json!([access("acme/b", "ADMIN")]));
            return data(&json!({ "node": { "repositories": more } }));
        }
        let first = json!({
            "edges": [access("Acme/A", "WRITE")],
            "pageInfo": { "hasNextPage": true, "endCursor": "c" },
        });
        let teams = page(&json!([{ "id": "T_1", "slug": "devs", "repositories": first }]));
        data(&json!({ "organization": { "teams": teams } }))
    })
    .await;
    let teams = server
        .reader()
        .all_teams(&"acme".parse().unwrap())
        .await
        .unwrap();
    let expected = [
        (name("acme/a"), Permission::Push),
        (name("acme/b"), Permission::Admin),
    ];
    assert_eq!(teams[0].repositories, expected.into());
    assert_eq!(server.asked()[1].body["variables"]["after"], "c");
}

#[tokio::test]
async fn a_rate_limit_of_graphql_is_one() {
    let server = Server::always(|| {
        ok(json!({ "errors": [{ "type": "RATE_LIMITED", "message": "API rate limit exceeded" }] }))
            .header("x-ratelimit-limit", &5000)
            .header("x-ratelimit-remaining", &0)
            .header("x-ratelimit-reset", &32_503_680_000_i64)
    })
    .await;
    let reader = server.reader();
    for _ in 0..2 {
        let error = reader
            .branch_tip(&name("acme/x"), "main")
            .await
            .unwrap_err();
        let Error::RateLimited { until, .. } = error else {
            panic!("{error}")
        };
        assert!(
            (0..3).contains(&(until.as_second() - 32_503_680_000)),
            "{until}"
        );
    }
    assert_eq!(server.asked().len(), 1, "what would be refused is not sent");
}

#[tokio::test]
async fn what_was_too_much_is_not_asked_for_again() {
    for answer in [
        || status(502, json!("<html>")),
        || status(504, json!("<html>")),
        || {
            let error = json!({ "type": "RESOURCE_LIMITS_EXCEEDED", "message": "too much" });
            ok(json!({ "data": { "nodes": [null] }, "errors": [error] }))
        },
    ] {
        let server = Server::start(move |request, _| {
            let ids = request.body["variables"]["ids"].as_array().unwrap();
            match ids.len() {
                0..=30 => data(&json!({ "nodes": vec![node("acme/a"); ids.len()] })),
                _ => answer(),
            }
        })
        .await;
        let reader = server.reader();
        let ids: Vec<_> = (0..50).map(|index| format!("R_{index}")).collect();
        for _ in 0..2 {
            let seen = reader.repositories_by_id(&ids).await.unwrap();
            assert!(seen.values().all(|seen| matches!(seen, Seen::Present(_))));
        }
        let sizes: Vec<_> = server
            .asked()
            .iter()
            .map(|request| request.body["variables"]["ids"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [50, 25, 25, 25, 25]);
    }
}

#[tokio::test]
async fn a_github_that_is_away_is_not_asked_for_less() {
    let server = Server::always(|| status(503, json!("<html>"))).await;
    let ids: Vec<_> = (0..50).map(|index| format!("R_{index}")).collect();
    let error = server.reader().repositories_by_id(&ids).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(server.asked().len(), 3);
}

fn pull(changes: &Value) -> Value {
    let mut pull = json!({
        "number": 3,
        "title": "Add payments",
        "state": "OPEN",
        "merged": false,
        "author": { "__typename": "Bot", "login": "renovate" },
        "baseRefName": "main",
        "baseRefOid": "old",
        "baseRef": { "target": { "oid": "tip" } },
        "headRefName": "add",
        "headRefOid": "head",
        "headRepository": { "nameWithOwner": "fork/control" },
        "mergeable": "MERGEABLE",
        "potentialMergeCommit": { "oid": "merge", "parents": { "nodes": [{ "oid": "tip" }, { "oid": "head" }] } },
        "mergeCommit": null,
        "changedFiles": 1,
        "commits": { "nodes": [{ "commit": checked("head", "IN_PROGRESS", &Value::Null) }] },
        "files": page(&json!([{ "path": "tenants.yaml", "changeType": "MODIFIED" }])),
    });
    for (key, value) in changes.as_object().unwrap() {
        pull[key] = value.clone();
    }
    pull
}

/// A commit with a check, as GraphQL tells it.
fn checked(oid: &str, status: &str, conclusion: &Value) -> Value {
    let run = json!({
        "databaseId": 30_000_000_001_u64, "status": status, "conclusion": conclusion,
        "externalId": "basis", "title": "Planning", "summary": "At work.", "text": null,
    });
    let suites = json!({ "nodes": [{ "checkRuns": { "nodes": [run] } }] });
    json!({ "oid": oid, "checkSuites": suites })
}

const PLANS: Checks<'_> = Checks {
    name: "tenantry/plan",
    app_id: 12,
};

async fn read_pull(changes: Value) -> crate::github::Pull {
    let server =
        Server::always(move || data(&json!({ "repository": { "pullRequest": pull(&changes) } })))
            .await;
    let pull = server
        .reader()
        .pull(&name("acme/control"), 3, PLANS)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(server.asked().len(), 1);
    pull
}

#[tokio::test]
async fn a_pull_request_is_read_in_one_query() {
    let pull = read_pull(json!({})).await;
    assert_eq!(pull.author, "renovate[bot]");
    assert_eq!(pull.base_tip, "tip");
    assert_eq!(pull.mergeable, Mergeable::Yes);
    assert_eq!(pull.merge_commit.unwrap().parents, ["tip", "head"]);
    assert_eq!(pull.head_repository.as_deref(), Some("fork/control"));
    assert!(pull.open && !pull.merged);
    assert!(pull.files.touches("tenants.yaml") && !pull.files.touches("README.md"));
    let check = CheckRun {
        id: 30_000_000_001,
        progress: Progress::InProgress,
        external_id: "basis".to_owned(),
        title: "Planning".to_owned(),
        summary: "At work.".to_owned(),
        text: String::new(),
    };
    assert_eq!(pull.check, Some(check));
}

#[tokio::test]
async fn the_check_of_an_earlier_head_is_not_the_heads() {
    let earlier = checked("earlier", "IN_PROGRESS", &Value::Null);
    let pull = read_pull(json!({ "commits": { "nodes": [{ "commit": earlier }] } })).await;
    assert_eq!(pull.check, None);
}

#[tokio::test]
async fn a_tip_comes_with_its_pull_requests_and_its_check() {
    let server = Server::always(|| {
        let mut tip = checked("tip", "COMPLETED", &json!("ACTION_REQUIRED"));
        let merged = json!({ "number": 7, "merged": true, "headRefOid": "head", "mergeCommit": { "oid": "tip" } });
        let open = json!({ "number": 8, "merged": false, "headRefOid": "other", "mergeCommit": null });
        tip["associatedPullRequests"] = json!({ "nodes": [merged, open] });
        data(&json!({ "repository": { "ref": { "target": tip } } }))
    })
    .await;
    let tip = server
        .reader()
        .tip(&name("acme/control"), ("main", "tenants.yaml"), PLANS)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tip.commit, "tip");
    let numbers: Vec<_> = tip.pulls.iter().map(|pull| pull.number).collect();
    assert_eq!(numbers, [7]);
    let progress = Progress::Completed(Conclusion::ActionRequired);
    assert_eq!(tip.check.unwrap().progress, progress);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    let variables = json!({
        "owner": "acme", "name": "control", "ref": "refs/heads/main", "path": "tenants.yaml",
        "check": "tenantry/plan", "app": 12,
    });
    assert_eq!(asked[0].body["variables"], variables);
}

#[tokio::test]
async fn a_pull_request_may_have_lost_its_author_its_fork_and_its_base() {
    let pull = read_pull(json!({
        "author": null, "headRepository": null, "baseRef": null,
        "mergeable": "UNKNOWN", "potentialMergeCommit": null,
    }))
    .await;
    assert_eq!(pull.author, "ghost");
    assert_eq!(pull.base_tip, "old");
    assert_eq!(pull.mergeable, Mergeable::Unknown);
    assert_eq!((pull.head_repository, pull.merge_commit), (None, None));
}

#[tokio::test]
async fn files_that_are_not_all_told_may_be_any() {
    let renamed = page(&json!([{ "path": "tenants.old", "changeType": "RENAMED" }]));
    let untold = [
        json!({ "changedFiles": 2 }),
        json!({ "files": null }),
        json!({ "files": renamed }),
    ];
    for changes in untold {
        let pull = read_pull(changes.clone()).await;
        assert!(pull.files.touches("README.md"), "{changes}");
    }
}

#[tokio::test]
async fn a_large_pull_request_is_read_to_its_end() {
    let server = Server::start(|request, _| {
        let more = json!([{ "path": "b", "changeType": "ADDED" }]);
        if request.body["variables"]["after"] == "c" {
            return data(&json!({ "repository": { "pullRequest": { "files": page(&more) } } }));
        }
        let first = json!({
            "nodes": [{ "path": "a", "changeType": "ADDED" }],
            "pageInfo": { "hasNextPage": true, "endCursor": "c" },
        });
        let changes = json!({ "changedFiles": 2, "files": first });
        data(&json!({ "repository": { "pullRequest": pull(&changes) } }))
    })
    .await;
    let pull = server
        .reader()
        .pull(&name("acme/control"), 3, PLANS)
        .await
        .unwrap()
        .unwrap();
    assert!(pull.files.touches("b") && !pull.files.touches("c"));
}

#[tokio::test]
async fn a_missing_pull_request_is_not_a_missing_repository() {
    let missing = |path: Value, data: Value| {
        Server::always(move || {
            let error =
                json!({ "type": "NOT_FOUND", "path": path, "message": "Could not resolve" });
            ok(json!({ "data": data, "errors": [error] }))
        })
    };
    let pull = json!(["repository", "pullRequest"]);
    let server = missing(pull, json!({ "repository": { "pullRequest": null } })).await;
    let found = server
        .reader()
        .pull(&name("acme/control"), 3, PLANS)
        .await
        .unwrap();
    assert_eq!(found, None);
    let server = missing(json!(["repository"]), json!({ "repository": null })).await;
    let error = server
        .reader()
        .pull(&name("acme/control"), 3, PLANS)
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn a_missing_file_is_not_a_repository_that_cannot_be_seen() {
    let file = "/repos/acme/control/contents/dir/a%20b.yaml?ref=feature%2Fx";
    for (answer, expected) in [(200, Some(None)), (409, Some(None)), (404, None)] {
        let server = Server::start(move |request, _| match request.path.as_str() {
            path if path == file => status(404, json!({ "message": "Not Found" })),
            _ => status(answer, json!({ "message": "told" })),
        })
        .await;
        let control = name("acme/control");
        let found = server
            .reader()
            .file(&control, "dir/a b.yaml", "feature/x")
            .await;
        assert_eq!(found.ok(), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_permission_is_read_in_any_of_githubs_words() {
    let cases = [
        (
            json!({ "permission": "write", "role_name": "maintain" }),
            Some(Permission::Maintain),
        ),
        (
            json!({ "permission": "read", "role_name": "our own role" }),
            Some(Permission::Pull),
        ),
        (json!({ "permission": "admin" }), Some(Permission::Admin)),
        (json!({ "permission": "none", "role_name": "" }), None),
    ];
    for (answer, expected) in cases {
        let server = Server::always(move || ok(answer.clone())).await;
        let permission = server
            .reader()
            .permission_of(&name("acme/x"), "a[bot]")
            .await;
        assert_eq!(permission.unwrap(), expected);
        assert!(
            server.asked()[0]
                .path
                .ends_with("/collaborators/a%5Bbot%5D/permission")
        );
    }
}

#[tokio::test]
async fn merged_pull_requests_are_found_by_their_commits() {
    let server = Server::always(|| {
        let pulls = json!({ "nodes": [
            { "number": 1, "merged": true, "headRefOid": "h", "mergeCommit": { "oid": "m" } },
            { "number": 2, "merged": false, "headRefOid": "h", "mergeCommit": null },
        ] });
        data(&json!({ "repository": { "c0": { "associatedPullRequests": pulls }, "c1": null } }))
    })
    .await;
    let shas = ["one".to_owned(), "two".to_owned()];
    let found = server
        .reader()
        .pulls_with(&name("acme/control"), &shas)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let pulls: Vec<_> = found["one"]
        .iter()
        .map(|pull| (pull.number, pull.merged_as.as_deref()))
        .collect();
    assert_eq!(pulls, [(1, Some("m"))]);
}

#[tokio::test]
async fn a_forks_branch_is_another_one() {
    let server = Server::always(|| {
        let pulls = page(&json!([
            { "number": 1, "headRefOid": "h", "isCrossRepository": true },
            { "number": 2, "headRefOid": "h", "isCrossRepository": false },
        ]));
        data(&json!({ "repository": { "pullRequests": pulls } }))
    })
    .await;
    let reader = server.reader();
    let control = name("acme/control");
    assert_eq!(reader.open_pulls(&control, "main").await.unwrap().len(), 2);
    let own = reader.open_pulls_of_branch(&control, "add").await.unwrap();
    assert_eq!(own[0].number, 2);
    assert_eq!(own.len(), 1);
}

#[tokio::test]
async fn what_an_organisation_does_not_show_is_not_taken_for_nothing() {
    for (word, base) in [
        (json!("none"), BasePermission::Nothing),
        (json!("read"), BasePermission::Is(Permission::Pull)),
        (json!("write"), BasePermission::Is(Permission::Push)),
        (json!("admin"), BasePermission::Is(Permission::Admin)),
        (json!("something new"), BasePermission::NotShown),
        (Value::Null, BasePermission::NotShown),
    ] {
        let said = word.clone();
        let server = Server::always(move || ok(json!({ "default_repository_permission": said })));
        let server = server.await;
        let organization = "acme".parse().unwrap();
        let settings = server.reader().organization_settings(&organization).await;
        let settings = settings.unwrap();
        assert_eq!(settings.base, base, "{word}");
        assert_eq!(settings.deploy_keys, None);
    }
}

#[tokio::test]
async fn an_open_pull_request_comes_with_the_newest_check_on_its_head() {
    let server = Server::always(|| {
        let pull = |number: u64, suites: Value| {
            let commit = json!({ "commit": { "checkSuites": suites } });
            json!({ "number": number, "commits": { "nodes": [commit] } })
        };
        let run = |status: &str, id: &str| {
            let run =
                json!({ "databaseId": 1, "status": status, "conclusion": null, "externalId": id });
            let runs = json!({ "nodes": [run] });
            json!({ "nodes": [{ "checkRuns": runs }] })
        };
        let pulls = page(&json!([
            pull(1, run("COMPLETED", "basis")),
            pull(2, run("IN_PROGRESS", "basis")),
            pull(3, json!({ "nodes": [] })),
            pull(4, Value::Null),
        ]));
        data(&json!({ "repository": { "pullRequests": pulls } }))
    })
    .await;
    let pulls = server
        .reader()
        .checked_pulls(&name("acme/control"), "main", PLANS)
        .await
        .unwrap();
    let concluded: Vec<_> = pulls.iter().map(|pull| pull.concluded.as_deref()).collect();
    assert_eq!(concluded, [Some("basis"), None, None, None]);
    assert_eq!(server.asked()[0].body["variables"]["app"], 12);
}

async fn file_at_tip(server: &Server) -> Option<Arc<str>> {
    let reader = server.reader();
    let repository = name("acme/control");
    let tip = reader.tip(&repository, ("main", "tenants.yaml"), PLANS);
    tip.await.unwrap().expect("there is a commit").file
}

/// The answer to the question for the tip, whose file is this.
fn tip_with(file: &Value) -> Answer {
    let mut tip = checked("c0ffee", "COMPLETED", &json!("SUCCESS"));
    tip["associatedPullRequests"] = json!({ "nodes": [] });
    tip["file"] = file.clone();
    data(&json!({ "repository": { "ref": { "target": tip } } }))
}

#[tokio::test]
async fn a_tip_comes_with_a_file() {
    let blob = json!({ "byteSize": 3, "isTruncated": false, "text": "a\u{e9}" });
    for (file, text) in [
        (json!({ "object": blob }), Some("a\u{e9}")),
        (Value::Null, None),
    ] {
        let server = Server::always(move || tip_with(&file)).await;
        assert_eq!(file_at_tip(&server).await.as_deref(), text);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_asked_for_by_itself() {
    for blob in [
        json!({ "byteSize": 9, "isTruncated": true, "text": "beginning" }),
        // What is not UTF-8 is shown as something else.
        json!({ "byteSize": 1, "isTruncated": false, "text": "\u{fffd}" }),
        json!({ "byteSize": 9, "isTruncated": false, "text": null }),
        Value::Null,
    ] {
        let server = Server::start(move |asked, _| match asked.path.as_str() {
            "/graphql" => tip_with(&json!({ "object": blob })),
            path => ok(json!(path)),
        });
        let server = server.await;
        let asked = "/repos/acme/control/contents/tenants.yaml?ref=c0ffee";
        assert_eq!(file_at_tip(&server).await.as_deref(), Some(asked));
    }
}
