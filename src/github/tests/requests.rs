//! Where requests go, when they are repeated, and what a refusal becomes.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Answer, Server, ok, status};
use crate::github::{Error, GitHub, Key, RepositoryChange, Settings};

fn repository() -> crate::names::FullName {
    "acme/x".parse().unwrap()
}

fn key() -> Key {
    Key {
        title: "flux".to_owned(),
        read_only: true,
        public_key: "ssh-ed25519 AAAA".to_owned(),
        created_at: None,
    }
}

fn down() -> Answer {
    status(502, json!("<html>Unicorn!</html>"))
}

#[tokio::test]
async fn a_request_says_who_asks_and_in_which_version() {
    let server = Server::always(|| ok(json!({ "ssh_keys": [] }))).await;
    server.reader().host_keys().await.unwrap();
    let headers = &server.asked()[0].headers;
    let agents: Vec<_> = headers.get_all("user-agent").iter().collect();
    assert_eq!(agents, [concat!("tenantry/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(headers["accept"], "application/vnd.github+json");
    let versions: Vec<_> = headers.get_all("x-github-api-version").iter().collect();
    assert_eq!(versions, ["2022-11-28"]);
}

#[tokio::test]
async fn pages_are_followed_with_the_token_below_the_root_of_an_enterprise_server() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/api/v3/repos/acme/x/teams?per_page=100" => {
            let next = format!(
                "<http://{}/api/v3/repositories/1/teams?page=2>; rel=\"next\", <http://x/>; rel=\"last\"",
                request.headers["host"].to_str().unwrap()
            );
            ok(json!([{ "slug": "a", "permission": "push" }])).header("link", &next)
        }
        "/api/v3/repositories/1/teams?page=2" => ok(json!([{
            "slug": "b",
            "permission": "our own role",
            "permissions": { "pull": true, "triage": true, "push": false },
        }])),
        _ => status(404, json!({ "message": "Not Found" })),
    })
    .await;
    let api_url = format!("{}/api/v3", server.url);
    let settings = Settings {
        api_url,
        ..server.settings()
    };
    let reader = GitHub::new(&settings).unwrap().reader(7);
    let teams = reader.repository_teams(&repository()).await.unwrap();
    let teams: Vec<_> = teams
        .iter()
        .map(|(slug, level)| format!("{slug} {level}"))
        .collect();
    assert_eq!(teams, ["a push", "b triage"]);
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.token() == "ghs_secret0")
    );
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_found_at_its_new_place() {
    let server = Server::start(|request, _| {
        let host = request.headers["host"].to_str().unwrap();
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/repositories/7") => ok(json!({
                "id": 7,
                "node_id": "R_7",
                "full_name": "acme/y",
                "default_branch": "main",
                "owner": { "login": "acme", "type": "Organization" },
                "private": true,
            })),
            (method, _) => {
                let moved = if method == "GET" { 301 } else { 307 };
                status(moved, json!({ "message": "Moved Permanently" }))
                    .header("location", &format!("http://{host}/repositories/7"))
            }
        }
    })
    .await;
    let found = server
        .reader()
        .repository_info(&repository())
        .await
        .unwrap();
    assert_eq!(found.unwrap().full_name, "acme/y");
    let change = RepositoryChange {
        archived: Some(true),
        ..RepositoryChange::default()
    };
    let writer = server.writer();
    writer
        .update_repository(&repository(), &change)
        .await
        .unwrap();
    let last = server.asked().pop().unwrap();
    assert!(last.is("PATCH", "/repositories/7"), "{last:?}");
    assert_eq!(last.body, json!({ "archived": true }));
}

#[tokio::test]
async fn nobody_elsewhere_gets_the_token() {
    let elsewhere = Server::always(|| ok(json!([]))).await;
    let location = format!("{}/repositories/7", elsewhere.url);
    let server = Server::always(move || {
        status(301, json!({ "message": "Moved Permanently" })).header("location", &location)
    })
    .await;
    let found = server.reader().repository_info(&repository()).await;
    assert!(matches!(found, Err(Error::Unexpected { .. })), "{found:?}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_next_page_on_another_server_is_not_asked_for() {
    let elsewhere = Server::always(|| ok(json!([]))).await;
    let link = format!(
        "<{}/repos/acme/x/teams?page=2>; rel=\"next\"",
        elsewhere.url
    );
    let server = Server::always(move || ok(json!([])).header("link", &link)).await;
    let error = server
        .reader()
        .repository_teams(&repository())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("on another server"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn graphql_stands_beside_the_rest_of_an_enterprise_server() {
    for (root, expected) in [
        ("", "/graphql"),
        ("/api/v3", "/api/graphql"),
        ("/proxy", "/proxy/graphql"),
    ] {
        let server =
            Server::always(|| ok(json!({ "data": { "repository": { "ref": null } } }))).await;
        let api_url = format!("{}{root}", server.url);
        let settings = Settings {
            api_url,
            ..server.settings()
        };
        let reader = GitHub::new(&settings).unwrap().reader(7);
        assert_eq!(
            reader.branch_tip(&repository(), "main").await.unwrap(),
            None
        );
        assert_eq!(server.asked()[0].path, expected);
    }
}

#[tokio::test]
async fn what_may_be_done_twice_is_tried_three_times() {
    let server = Server::always(down).await;
    let change = RepositoryChange::default();
    let error = server.reader().host_keys().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    server
        .writer()
        .update_repository(&repository(), &change)
        .await
        .unwrap_err();
    server
        .reader()
        .branch_tip(&repository(), "main")
        .await
        .unwrap_err();
    let methods: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.method.to_string())
        .collect();
    assert_eq!(
        methods.join(" "),
        "GET GET GET PATCH PATCH PATCH POST POST POST"
    );
}

#[tokio::test]
async fn a_request_that_makes_something_is_sent_once() {
    let server = Server::always(down).await;
    server
        .writer()
        .add_deploy_key(&repository(), &key())
        .await
        .unwrap_err();
    server
        .reporter()
        .create_comment(1, "text")
        .await
        .unwrap_err();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let server = Server::start(|_, before| match before {
        0 | 1 => down(),
        _ => ok(json!({ "ssh_keys": ["ssh-ed25519 A", "ssh-rsa B", "ecdsa-sha2-nistp256 C"] })),
    })
    .await;
    let keys = server.reader().host_keys().await.unwrap();
    assert_eq!(keys, ["ssh-ed25519 A", "ecdsa-sha2-nistp256 C"]);
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_the_deadline() {
    let server = Server::always(|| ok(json!({})).after(Duration::from_secs(5))).await;
    let mut settings = server.settings();
    settings.timing.deadline = Duration::from_millis(300);
    let error = GitHub::new(&settings)
        .unwrap()
        .writer(7)
        .add_deploy_key(&repository(), &key())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(
        error.to_string().contains("no answer within 0.3 seconds"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_listening_is_not_available() {
    let settings = Server::always(down).await.settings();
    let settings = Settings {
        api_url: "http://127.0.0.1:1".to_owned(),
        ..settings
    };
    let error = GitHub::new(&settings).unwrap().app().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_for_whatever_the_method() {
    let server = Server::start(|_, before| match before {
        0 => status(429, json!({ "message": "slow down" })).header("retry-after", &0),
        _ => status(201, json!({ "id": 5 })),
    })
    .await;
    let id = server
        .writer()
        .add_deploy_key(&repository(), &key())
        .await
        .unwrap();
    assert_eq!((id, server.asked().len()), (5, 2));
}

#[tokio::test]
async fn a_long_rate_limit_is_the_callers_to_wait_for() {
    let limits: [fn() -> Answer; 4] = [
        || status(429, json!({ "message": "slow down" })).header("retry-after", &3600),
        || status(429, json!({ "message": "slow down" })),
        || {
            status(
                403,
                json!({ "message": "You have exceeded a secondary rate limit." }),
            )
        },
        || {
            status(403, json!({ "message": "API rate limit exceeded" }))
                .header("x-ratelimit-remaining", &0)
                .header("x-ratelimit-reset", &32_503_680_000_i64)
        },
    ];
    for limit in limits {
        let server = Server::always(limit).await;
        let error = server.reader().host_keys().await.unwrap_err();
        assert!(matches!(error, Error::RateLimited { .. }), "{error}");
        assert!(error.is_retryable());
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_a_limit_has_refused_nobody_tries_before_its_time() {
    let server = Server::start(|request, _| match request.method.as_str() {
        "POST" => status(
            403,
            json!({ "message": "You have exceeded a secondary rate limit." }),
        )
        .header("retry-after", &3600),
        _ => ok(json!({ "ssh_keys": [] })),
    })
    .await;
    let github = server.github();
    let change = RepositoryChange::default();
    for installation in [7, 7, 8] {
        let writer = github.writer(installation);
        let error = writer.add_deploy_key(&repository(), &key()).await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::RateLimited { .. }), "{error}");
        let error = writer.update_repository(&repository(), &change).await;
        assert!(matches!(error, Err(Error::RateLimited { .. })));
        let reporter = github.reporter(installation, &repository());
        let error = reporter.create_comment(1, "text").await;
        assert!(matches!(error, Err(Error::RateLimited { .. })));
    }
    github.reader(7).host_keys().await.unwrap();
    let methods: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.method.to_string())
        .collect();
    assert_eq!(
        methods,
        ["POST", "POST", "GET"],
        "once for each installation"
    );
}

#[tokio::test]
async fn a_budget_that_has_come_to_its_end_is_not_overdrawn() {
    let server = Server::always(|| {
        ok(json!({ "ssh_keys": [] }))
            .header("x-ratelimit-limit", &5000)
            .header("x-ratelimit-remaining", &0)
            .header("x-ratelimit-reset", &32_503_680_000_i64)
    })
    .await;
    let reader = server.reader();
    reader.host_keys().await.unwrap();
    let error = reader.host_keys().await.unwrap_err();
    let Error::RateLimited { until, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        (0..3).contains(&(until.as_second() - 32_503_680_000)),
        "{until}"
    );
    assert!(error.to_string().contains("was not sent"), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn those_who_come_meanwhile_wait_and_are_not_refused() {
    let server = Server::start(|request, before| match (request.path.as_str(), before) {
        ("/repos/acme/x/keys", 0) => {
            status(429, json!({ "message": "slow down" })).header("retry-after", &1)
        }
        _ => status(201, json!({ "id": 5 })),
    })
    .await;
    let writer = server.writer();
    let (one, two) = (repository(), "acme/y".parse().unwrap());
    let (key, change) = (key(), RepositoryChange::default());
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        writer.update_repository(&two, &change).await
    };
    let began = std::time::Instant::now();
    let (made, changed) = tokio::join!(writer.add_deploy_key(&one, &key), later);
    assert_eq!(made.unwrap(), 5);
    changed.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let paths: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.path.clone())
        .collect();
    assert_eq!(paths[0], "/repos/acme/x/keys");
    assert_eq!(paths.len(), 3, "{paths:?}");
}

#[tokio::test]
async fn each_refusal_becomes_what_a_caller_can_do_about_it() {
    let cases: [(u16, Value, &str); 7] = [
        (
            400,
            json!({ "message": "Problems parsing JSON" }),
            "unexpected answer of GitHub to `GET /meta` (400, request ABCD:1): Problems parsing JSON",
        ),
        (
            403,
            json!({ "message": "Resource not accessible by integration" }),
            "GitHub forbids `GET /meta` (403, request ABCD:1): Resource not accessible by integration\nhint: the App needs the permission `contents=read`",
        ),
        (
            404,
            json!({ "message": "Not Found" }),
            "GitHub has not found what `GET /meta` (404, request ABCD:1) asks for: Not Found",
        ),
        (
            409,
            json!({ "message": "Git Repository is empty." }),
            "`GET /meta` (409, request ABCD:1) conflicts with the present state on GitHub: Git Repository is empty.",
        ),
        (
            422,
            json!({ "message": "Validation Failed", "errors": [{ "resource": "Repository", "field": "name", "code": "custom", "message": "name already exists on this account" }, { "field": "key", "code": "invalid" }, "bad"] }),
            "GitHub refuses `GET /meta` (422, request ABCD:1): Validation Failed (name already exists on this account; `key`: invalid; bad)",
        ),
        (
            500,
            json!("<html>"),
            "GitHub is not available for `GET /meta` (500, request ABCD:1): Internal Server Error",
        ),
        (
            200,
            json!("<html>"),
            "unexpected answer of GitHub to `GET /meta` (200, request ABCD:1): expected value at line 1 column 1 in `<html>`",
        ),
    ];
    for (code, body, expected) in cases {
        let server = Server::always(move || {
            status(code, body.clone()).header("x-accepted-github-permissions", &"contents=read")
        })
        .await;
        let error = server.reader().host_keys().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.call().request_id.as_deref(), Some("ABCD:1"));
    }
}
