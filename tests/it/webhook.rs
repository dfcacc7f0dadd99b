//! The public listener, as anybody on the internet finds it.

use crate::http::{ask, signature};
use crate::support::World;

const LARGEST: usize = 25 * 1024 * 1024;

/// A delivery as GitHub sends it, signed with this secret.
fn deliver(world: &World, event: &str, secret: &str, body: &[u8]) -> (u16, String) {
    let headers = [
        ("x-github-event", event),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("content-type", "application/json"),
        ("x-hub-signature-256", &signature(secret, body)),
    ];
    ask(world.addresses().0, "POST", "/webhook", &headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_github_did_not_sign_does_nothing() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    world.settled().await;
    let mark = world.github.mark();
    let push = serde_json::json!({
        "ref": "refs/heads/main", "after": world.github.head(&world.control(), "main"),
        "repository": {"full_name": world.control()}, "sender": {"login": "alice"},
    });
    let body = serde_json::to_vec(&push).unwrap();
    let (status, _) = deliver(&world, "push", "a guess", &body);
    assert_eq!(status, 401);
    let public = world.addresses().0;
    let (status, _) = ask(
        public,
        "POST",
        "/webhook",
        &[("x-github-event", "push")],
        &body,
    );
    assert_eq!(status, 401);
    world.settled().await;
    assert!(world.github.requests_since(mark).is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_actions_that_are_not_known_are_taken_and_do_nothing() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    world.settled().await;
    let mark = world.github.mark();
    let secret = &world.registered().webhook_secret;
    let body =
        serde_json::json!({"action": "invented", "repository": {"full_name": world.control()}});
    let body = serde_json::to_vec(&body).unwrap();
    for event in ["star", "invented", "pull_request", "ping"] {
        let (status, text) = deliver(&world, event, secret, &body);
        assert_eq!(status, 202, "{event}: {text}");
    }
    let (status, text) = deliver(&world, "push", secret, b"{\"ref\":");
    assert_eq!(status, 400, "{text}");
    world.settled().await;
    assert!(world.github.requests_since(mark).is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_may_be_as_large_as_github_sends_them_and_no_larger() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let secret = &world.registered().webhook_secret;
    let mut body = b"{}".to_vec();
    body.resize(LARGEST, b' ');
    let (status, text) = deliver(&world, "star", secret, &body);
    assert_eq!(status, 202, "{text}");
    body.push(b' ');
    let (status, text) = deliver(&world, "star", secret, &body);
    assert_eq!(status, 413, "{text}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_webhook_is_public() {
    let Some(world) = World::new("tenants: []\n").await else {
        return;
    };
    let (public, admin) = world.addresses();
    for path in ["/", "/healthz", "/readyz", "/metrics", "/webhook/more"] {
        assert_eq!(ask(public, "GET", path, &[], b"").0, 404, "{path}");
        assert_eq!(ask(public, "POST", path, &[], b"").0, 404, "{path}");
    }
    assert_eq!(ask(public, "GET", "/webhook", &[], b"").0, 405);
    assert_eq!(ask(admin, "POST", "/webhook", &[], b"").0, 404);
    for path in ["/healthz", "/readyz"] {
        let (status, text) = ask(admin, "GET", path, &[], b"");
        assert_eq!((status, text.lines().next()), (200, Some("ok")), "{path}");
    }
    world.end().await;
}
