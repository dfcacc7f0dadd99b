//! The judge lets through what is right, refuses each thing that is wrong with it, and says what and where.

use serde_json::{Value, json};
use tenantry::sandbox::github::{
    Credential, Exchange, GitHub, Permission, RepositorySelection, Traffic, Webhook,
};

use super::tour::Tour;
use super::{Verdict, listen, taken};

/// What the judge has against it, a line for each fault.
fn faults(sent: &Traffic) -> String {
    Vec::from_iter(Verdict::of([sent]).faults).join("\n")
}

fn faults_of(exchange: &Exchange) -> String {
    faults(&Traffic::Exchange(Box::new(exchange.clone())))
}

/// A sound exchange with the embedded GitHub, as if the app had asked.
async fn exchange(method: &str, pattern: &str) -> Exchange {
    let mut tour = Tour::new().await;
    let heard = listen(&tour.github);
    let (status, answer) = tour.visit(method, pattern);
    assert!((200..300).contains(&status), "{answer}");
    let Some(Traffic::Exchange(exchange)) = taken(&heard).pop() else {
        panic!("the last thing sent is the answer");
    };
    let mut exchange = *exchange;
    exchange
        .headers
        .insert("user-agent".to_owned(), "tenantry/0.1.0".to_owned());
    assert_eq!(faults_of(&exchange), "");
    exchange
}

async fn key() -> Exchange {
    exchange("POST", "/repos/{owner}/{repo}/keys").await
}

/// The same, with something changed in what was sent.
fn changed(body: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(body).expect("JSON");
    change(&mut value);
    *body = value.to_string().into_bytes();
}

fn in_request(mut exchange: Exchange, change: impl FnOnce(&mut Value)) -> String {
    changed(&mut exchange.body, change);
    faults_of(&exchange)
}

fn in_answer(mut exchange: Exchange, change: impl FnOnce(&mut Value)) -> String {
    let answer = exchange.answer.as_mut().expect("it was answered");
    changed(&mut answer.body, change);
    faults_of(&exchange)
}

fn without(value: &mut Value, name: &str) {
    value.as_object_mut().expect("an object").shift_remove(name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_wrong_field_is_refused() {
    let key = key().await;
    insta::assert_snapshot!(in_request(key.clone(), |body| body["read_only"] = json!("yes")), @r#"POST /repos/{owner}/{repo}/keys, request: body/read_only: "yes" is not of type "boolean""#);
    insta::assert_snapshot!(in_request(key.clone(), |body| body["readonly"] = json!(true)), @"POST /repos/{owner}/{repo}/keys, request: body/readonly: GitHub knows no such field");
    insta::assert_snapshot!(in_request(key, |body| without(body, "key")), @r#"POST /repos/{owner}/{repo}/keys, request: body: "key" is a required property"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_wrong_place_is_refused() {
    let mut keys = exchange("GET", "/repos/{owner}/{repo}/keys").await;
    keys.request.path.push_str("?per_page=many&sort=title");
    insta::assert_snapshot!(faults_of(&keys), @r#"
    GET /repos/{owner}/{repo}/keys, request: query per_page: "many" is not of type "integer"
    GET /repos/{owner}/{repo}/keys, request: query sort: GitHub knows no such parameter
    "#);
    keys.path = "/repos/acme/tenants/deploy-keys".to_owned();
    insta::assert_snapshot!(faults_of(&keys), @"GET /repos/acme/tenants/deploy-keys, request: GitHub knows no such endpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_is_known_to_have_sent_is_refused() {
    let mut key = key().await;
    key.headers
        .insert("user-agent".to_owned(), "octocrab".to_owned());
    insta::assert_snapshot!(faults_of(&key), @"POST /repos/{owner}/{repo}/keys, request: nobody knows `octocrab`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_the_wrong_kind_of_token_is_refused() {
    let mut app = exchange("GET", "/app").await;
    app.request.credential = key().await.request.credential;
    insta::assert_snapshot!(faults_of(&app), @"GET /app, request: it takes the App's JWT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_token_that_is_too_narrow_is_refused() {
    let mut key = key().await;
    let Credential::Installation { permissions, .. } = &mut key.request.credential else {
        panic!("it was asked with an installation's token");
    };
    permissions.retain(|name, _| name == "metadata");
    permissions.insert("administration".to_owned(), "read".to_owned());
    insta::assert_snapshot!(faults_of(&key), @"POST /repos/{owner}/{repo}/keys, request: it takes administration: write; its token has administration: read and metadata: read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_github_would_not_give_is_refused() {
    let key = key().await;
    insta::assert_snapshot!(in_answer(key.clone(), |body| body["id"] = json!("1")), @r#"POST /repos/{owner}/{repo}/keys, answer: body/id: "1" is not of type "integer""#);
    insta::assert_snapshot!(in_answer(key.clone(), |body| without(body, "title")), @r#"POST /repos/{owner}/{repo}/keys, answer: body: "title" is a required property"#);
    insta::assert_snapshot!(in_answer(key.clone(), |body| body["fingerprint"] = json!("")), @"POST /repos/{owner}/{repo}/keys, answer: body/fingerprint: GitHub knows no such field");
    let mut teapot = key;
    teapot.answer.as_mut().expect("it was answered").status = 418;
    insta::assert_snapshot!(faults_of(&teapot), @"POST /repos/{owner}/{repo}/keys, answer: status 418: GitHub does not answer so here");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_fault_made_up_is_not_githubs() {
    let mut key = key().await;
    key.answer.as_mut().expect("it was answered").status = 418;
    key.injected = true;
    assert_eq!(faults_of(&key), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_github_would_not_take_is_refused() {
    let query = exchange("POST", "/graphql").await;
    insta::assert_snapshot!(in_request(query.clone(), |body| {
        body["query"] = json!("query Name { repository(owner: \"acme\", name: \"tenants\") { name named } }");
    }), @"POST /graphql, request: 1:64: type `Repository` does not have a field `named`");
    insta::assert_snapshot!(in_request(query.clone(), |body| {
        body["query"] = json!("query Name($name: String!) { repository(owner: \"acme\", name: $name) { name } }");
        body["variables"] = json!({"name": null, "owner": "acme"});
    }), @r#"
    POST /graphql Name, request: variable owner: the query declares none
    POST /graphql Name, request: variables: null value for variable name of non-null type String!
    "#);
    let unanswered = Exchange {
        answer: None,
        ..query
    };
    insta::assert_snapshot!(in_request(unanswered, |body| {
        body["query"] = json!("query Name { viewer { name } }");
    }), @"POST /graphql Name, request: say in WAYS which endpoint of REST leads where `Query.viewer` leads: it takes the same permission");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_github_would_not_send_is_refused() {
    let query = exchange("POST", "/graphql").await;
    let repository = "/data/repository";
    let set = |name: &'static str, value: Value| {
        in_answer(query.clone(), move |body| {
            body.pointer_mut(repository).expect("data")[name] = value;
        })
    };
    insta::assert_snapshot!(set("name", Value::Null), @"POST /graphql Name, answer: data.repository.name: it is null, and `String!` never is");
    insta::assert_snapshot!(set("name", json!(7)), @"POST /graphql Name, answer: data.repository.name: 7 is no `String`");
    insta::assert_snapshot!(set("nameWithOwner", json!("acme/tenants")), @"POST /graphql Name, answer: data.repository.nameWithOwner: nobody asked for it");
    insta::assert_snapshot!(in_answer(query.clone(), |body| without(&mut body["data"]["repository"], "name")), @"POST /graphql Name, answer: data.repository.name: it is missing");
    insta::assert_snapshot!(in_answer(query.clone(), |body| body["data"] = Value::Null), @"POST /graphql Name, answer: there is neither data nor an error");
}

/// A webhook about a push, as the embedded GitHub sends it.
async fn push() -> Webhook {
    let github = GitHub::start().await;
    github.user("alice").organization("acme");
    github.repository("acme/tenants", &[("tenants.yaml", "tenants: []\n")]);
    github.collaborator("acme/tenants", "alice", Permission::Push);
    let nowhere = "http://127.0.0.1:9/";
    let app = github.register_app("tenantry", &[("contents", "read")], &["push"], nowhere);
    github.install(&app, "acme", RepositorySelection::All);
    let heard = listen(&github);
    let alice = github.as_user("alice");
    alice.commit("acme/tenants", "main", "Change", &[("a", Some("b"))]);
    github.wait_for_deliveries().await;
    let Some(Traffic::Webhook(webhook)) = taken(&heard).pop() else {
        panic!("the App is told");
    };
    assert_eq!(faults(&Traffic::Webhook(webhook.clone())), "");
    webhook
}

fn in_webhook(mut webhook: Webhook, change: impl FnOnce(&mut Value)) -> String {
    changed(&mut webhook.body, change);
    faults(&Traffic::Webhook(webhook))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_github_would_not_send_is_refused() {
    let push = push().await;
    insta::assert_snapshot!(in_webhook(push.clone(), |payload| without(payload, "ref")), @r#"webhook push, sent: payload: "ref" is a required property"#);
    insta::assert_snapshot!(in_webhook(push.clone(), |payload| payload["forced"] = json!("no")), @r#"webhook push, sent: payload/forced: "no" is not of type "boolean""#);
    insta::assert_snapshot!(in_webhook(push.clone(), |payload| payload["paths"] = json!([])), @"webhook push, sent: payload/paths: GitHub knows no such field");
    insta::assert_snapshot!(in_webhook(push.clone(), |payload| payload["action"] = json!("made")), @"webhook, sent: GitHub sends no webhook `push` with the action `made`");
    let mut unsigned = push;
    unsigned.headers.remove("x-hub-signature-256");
    insta::assert_snapshot!(faults(&Traffic::Webhook(unsigned)), @"webhook push, sent: header X-Hub-Signature-256: it is missing");
}
