//! Deliveries in GitHub's shape, each as a request.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc::{Sender, channel};

use super::*;

const SECRET: &str = "It's a Secret to Everybody";
const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn request(event: &str, body: &[u8]) -> Request<Body> {
    Request::post("/webhook")
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature-256", signed(body))
        .body(Body::from(body.to_vec()))
        .unwrap()
}

async fn answer(deliveries: Sender<Delivery>, request: Request<Body>) -> (StatusCode, String) {
    let receiver = Arc::new(Receiver {
        secret: SECRET.into(),
        deliveries,
    });
    let response = receive(State(receiver), request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn delivered(event: &str, payload: Value) -> Delivery {
    let (sender, mut deliveries) = channel(1);
    let body = payload.to_string();
    let (status, text) = answer(sender, request(event, body.as_bytes())).await;
    assert_eq!((status, text.as_str()), (StatusCode::ACCEPTED, ""));
    deliveries.recv().await.unwrap()
}

async fn read(event: &str, payload: Value) -> Event {
    delivered(event, payload).await.event
}

async fn refused(request: Request<Body>) -> (StatusCode, String) {
    let (sender, mut deliveries) = channel(1);
    let answer = answer(sender, request).await;
    assert_eq!(deliveries.try_recv().ok(), None);
    answer
}

#[tokio::test]
async fn a_delivery_says_who_where_and_through_which_installation() {
    let payload = json!({
        "action": "created",
        "sender": {"login": "octocat"},
        "installation": {"id": 7},
        "repository": {"full_name": "acme/control", "id": 1},
        "issue": {"number": 3, "pull_request": {"url": "…"}},
        "comment": {"id": 9, "user": {"login": "octocat"}, "body": "/tenantry help"},
    });
    let expected = Delivery {
        id: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
        event: Event::Comment {
            number: 3,
            author: "octocat".to_owned(),
            body: "/tenantry help".to_owned(),
            on_pull: true,
        },
        sender: Some("octocat".to_owned()),
        installation: Some(7),
        repository: Some("acme/control".to_owned()),
    };
    assert_eq!(delivered("issue_comment", payload).await, expected);
}

#[tokio::test]
async fn what_is_not_signed_is_refused_before_anything_is_read() {
    for signature in [None, Some("sha1=00".to_owned()), Some(signed(b"else"))] {
        let (mut head, body) = request("push", b"not even JSON").into_parts();
        head.headers.remove("x-hub-signature-256");
        if let Some(signature) = signature {
            let value = signature.parse().unwrap();
            head.headers.insert("x-hub-signature-256", value);
        }
        let (status, reason) = refused(Request::from_parts(head, body)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(reason.contains("X-Hub-Signature-256"), "{reason}");
    }
}

#[tokio::test]
async fn a_delivery_without_its_headers_is_refused_by_name() {
    for name in ["x-github-event", "x-github-delivery"] {
        let mut request = request("push", b"{}");
        request.headers_mut().remove(name);
        let (status, reason) = refused(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(reason, format!("the header `{name}` is missing"));
    }
}

#[tokio::test]
async fn a_form_is_refused_with_what_to_set() {
    let mut request = request("push", b"payload=%7B%7D");
    let form = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().insert("content-type", form);
    let (status, reason) = refused(request).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(reason.contains("`application/json`"), "{reason}");
}

#[tokio::test]
async fn what_is_signed_but_no_json_is_refused() {
    let (status, reason) = refused(request("push", b"{\"ref\": ")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(reason.contains("`push`"), "{reason}");
}

#[tokio::test]
async fn a_body_above_githubs_limit_is_refused() {
    let (status, _) = refused(request("push", &vec![b' '; LARGEST_BODY + 1])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_full_channel_asks_to_deliver_again() {
    let (sender, _deliveries) = channel(1);
    let ping = || request("ping", b"{}");
    assert_eq!(answer(sender.clone(), ping()).await.0, StatusCode::ACCEPTED);
    let (status, reason) = answer(sender, ping()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.contains("deliver it again"), "{reason}");
}

#[tokio::test]
async fn every_way_a_pull_request_changes_is_told_apart() {
    use PullRequestChange::{Closed, Edited, Opened, Reopened, Updated};
    let cases = [
        ("opened", false, Some(Opened)),
        ("synchronize", false, Some(Updated)),
        ("edited", false, Some(Edited)),
        ("reopened", false, Some(Reopened)),
        ("closed", false, Some(Closed { merged: false })),
        ("closed", true, Some(Closed { merged: true })),
        ("labeled", false, None),
        ("an action of the future", false, None),
    ];
    for (action, merged, expected) in cases {
        let payload = json!({
            "action": action,
            "number": 5,
            "pull_request": {"number": 5, "head": {"ref": "add", "sha": SHA}, "merged": merged},
        });
        let expected = expected.map_or(Event::Ignored, |change| Event::PullRequest {
            number: 5,
            head: SHA.to_owned(),
            change,
        });
        assert_eq!(read("pull_request", payload).await, expected, "{action}");
    }
}

fn push(changes: &Value) -> Value {
    let mut payload = json!({
        "ref": "refs/heads/release/1",
        "before": "0f".repeat(20),
        "after": SHA,
        "created": false,
        "deleted": false,
        "forced": false,
        "commits": [
            {"id": "ab".repeat(20), "added": ["a"], "modified": ["b"], "removed": []},
            {"id": SHA, "added": [], "modified": ["b"], "removed": ["dir/c"]},
        ],
        "head_commit": {"id": SHA},
    });
    for (key, value) in changes.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

async fn paths(changes: Value) -> Paths {
    match read("push", push(&changes)).await {
        Event::Push { branch, paths, .. } => {
            assert_eq!(branch, "release/1");
            paths
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_push_tells_the_paths_of_all_its_commits() {
    let expected = ["a", "b", "dir/c"].map(str::to_owned);
    let paths = paths(json!({})).await;
    assert_eq!(paths, Paths::Known(BTreeSet::from(expected)));
    assert!(paths.touch("dir/c") && !paths.touch("c"));
}

#[tokio::test]
async fn a_push_that_does_not_tell_everything_touches_everything() {
    let commit = json!({"id": SHA, "added": [], "modified": [], "removed": []});
    let untold = [
        json!({"forced": true}),
        json!({"created": true}),
        json!({"deleted": true, "commits": [], "head_commit": null}),
        json!({"commits": []}),
        json!({"commits": [{"id": SHA}]}),
        json!({"commits": vec![commit; 2048]}),
        json!({"after": "cd".repeat(20)}),
    ];
    for changes in untold {
        assert_eq!(paths(changes.clone()).await, Paths::Unknown, "{changes}");
    }
    assert!(Paths::Unknown.touch("anything"));
}

#[tokio::test]
async fn a_tag_is_not_a_branch() {
    let tag = push(&json!({"ref": "refs/tags/v1"}));
    assert_eq!(read("push", tag).await, Event::Ignored);
}

#[tokio::test]
async fn a_merge_group_names_its_commit_and_its_base() {
    let payload = |action| {
        json!({
            "action": action,
            "merge_group": {"head_sha": SHA, "base_sha": "0f", "base_ref": "refs/heads/main", "head_ref": "…"},
        })
    };
    let expected = Event::MergeGroup {
        head_sha: SHA.to_owned(),
        base_sha: "0f".to_owned(),
        base_ref: "refs/heads/main".to_owned(),
    };
    assert_eq!(
        read("merge_group", payload("checks_requested")).await,
        expected
    );
    assert_eq!(
        read("merge_group", payload("destroyed")).await,
        Event::Ignored
    );
}

#[tokio::test]
async fn a_rerequested_check_is_of_one_run_or_of_all() {
    let expected = |name: Option<&str>| Event::CheckRerequested {
        name: name.map(str::to_owned),
        head_sha: SHA.to_owned(),
        app_id: 12,
    };
    let run = json!({
        "action": "rerequested",
        "check_run": {"id": 1, "name": "tenantry/plan", "head_sha": SHA, "app": {"id": 12}},
    });
    assert_eq!(
        read("check_run", run).await,
        expected(Some("tenantry/plan"))
    );
    let suite = json!({
        "action": "rerequested",
        "check_suite": {"id": 1, "head_sha": SHA, "app": {"id": 12}},
    });
    assert_eq!(read("check_suite", suite).await, expected(None));
    let completed = json!({"action": "completed", "check_run": {}});
    assert_eq!(read("check_run", completed).await, Event::Ignored);
}

#[tokio::test]
async fn a_comment_on_an_issue_is_not_on_a_pull_request_and_an_edit_is_no_comment() {
    let payload = |action| {
        json!({
            "action": action,
            "issue": {"number": 3},
            "comment": {"user": null, "body": null},
        })
    };
    let expected = Event::Comment {
        number: 3,
        author: "ghost".to_owned(),
        body: String::new(),
        on_pull: false,
    };
    assert_eq!(read("issue_comment", payload("created")).await, expected);
    assert_eq!(
        read("issue_comment", payload("edited")).await,
        Event::Ignored
    );
}

#[tokio::test]
async fn a_deploy_key_comes_and_goes_and_its_payload_is_only_a_hint() {
    for action in ["created", "deleted"] {
        let event = read("deploy_key", json!({"action": action})).await;
        assert_eq!(event, Event::DeployKey);
    }
}

#[tokio::test]
async fn an_installation_comes_goes_and_changes() {
    let cases = [
        ("installation", "created", Action::Available),
        ("installation", "unsuspend", Action::Available),
        ("installation", "suspend", Action::Gone),
        ("installation", "deleted", Action::Gone),
        ("installation", "new_permissions_accepted", Action::Changed),
        ("installation_repositories", "added", Action::Changed),
        ("installation_repositories", "removed", Action::Changed),
    ];
    for (name, action, expected) in cases {
        let payload = json!({
            "action": action,
            "installation": {"id": 7, "account": {"login": "acme"}},
        });
        let expected = Event::Installation {
            owner: "acme".to_owned(),
            action: expected,
        };
        assert_eq!(read(name, payload).await, expected, "{action}");
    }
}

#[tokio::test]
async fn an_unknown_event_is_accepted_and_ignored() {
    let delivery = delivered("event_of_the_future", json!({"action": "whatever"})).await;
    assert_eq!(delivery.event, Event::Ignored);
    assert_eq!(delivery.installation, None);
}
