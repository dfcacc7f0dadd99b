//! What GitHub shows as examples: our webhook reads each of them. And what is written down in GitHub's words, our queries,
//! the schema of the embedded GitHub and the App's manifest, is as GitHub has it.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;
use serde_json::{Value, json};
use tenantry::webhook::{Event, router};
use tokio::net::TcpListener;

use super::appetite::Used;
use super::openapi::{DOCUMENT, compiled};
use super::{descriptions, graphql, note, permissions};
use crate::http::{ask, signature};

const SECRET: &str = "a secret";

#[tokio::test(flavor = "multi_thread")]
async fn every_payload_that_github_shows_is_read() {
    let (sender, mut deliveries) = tokio::sync::mpsc::channel(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let router = router(SecretString::from(SECRET), sender);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let events = descriptions::json("webhooks.json");
    let mut acted_on: BTreeMap<String, usize> = BTreeMap::new();
    let mut read = 0;
    for event in events.as_array().expect("a list of events") {
        let name = event["name"].as_str().expect("an event has a name");
        for payload in event["examples"].as_array().expect("it has examples") {
            let body = payload.to_string().into_bytes();
            let headers = [
                ("x-github-event", name),
                ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
                ("content-type", "application/json"),
                ("x-hub-signature-256", &signature(SECRET, &body)),
            ];
            let answer = ask(address, "POST", "/webhook", &headers, &body);
            assert_eq!(answer, (202, String::new()), "{name}: {payload}");
            let delivery = deliveries.recv().await.expect("it was handed on");
            assert_eq!(
                delivery.repository.as_deref(),
                payload["repository"]["full_name"].as_str()
            );
            read += 1;
            if delivery.event != Event::Ignored {
                let action = payload["action"].as_str().unwrap_or_default();
                *acted_on.entry(format!("{name} {action}")).or_default() += 1;
            }
        }
    }
    server.abort();
    assert_eq!(read, 329);
    // Of seven pushes five are of tags.
    insta::assert_debug_snapshot!(acted_on, @r#"
    {
        "check_run rerequested": 2,
        "check_suite rerequested": 2,
        "deploy_key created": 2,
        "installation created": 2,
        "installation deleted": 2,
        "installation new_permissions_accepted": 1,
        "installation suspend": 1,
        "installation unsuspend": 1,
        "installation_repositories added": 2,
        "installation_repositories removed": 1,
        "issue_comment created": 5,
        "merge_group checks_requested": 2,
        "pull_request closed": 2,
        "pull_request opened": 4,
        "pull_request reopened": 2,
        "pull_request synchronize": 1,
        "push ": 2,
    }
    "#);
}

#[test]
fn every_query_of_ours_is_one_that_github_takes() {
    let mut queries = Vec::new();
    let mut fragments = Vec::new();
    for entry in Path::new("src/github/queries")
        .read_dir()
        .expect("the queries are here")
    {
        let path = entry.expect("a readable entry").path();
        let text = std::fs::read_to_string(&path).expect("a query is text");
        let list = if text.starts_with("fragment") {
            &mut fragments
        } else {
            &mut queries
        };
        list.push((path, text));
    }
    assert!(!queries.is_empty() && !fragments.is_empty());
    let mut used = Used::default();
    for (path, text) in queries {
        let needed = fragments.iter().filter(|(_, fragment)| {
            let name = fragment.split(' ').nth(1).expect("a fragment has a name");
            text.contains(&format!("...{name}"))
        });
        let whole = needed.fold(text.clone(), |whole, (_, fragment)| whole + fragment);
        let query =
            graphql::query(&whole).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        used.entries
            .extend(query.ways.iter().map(|way| permissions::entry_of_way(way)));
    }
    note(used);
}

#[test]
fn the_schema_of_the_embedded_github_is_a_part_of_githubs() {
    let text = std::fs::read_to_string("src/sandbox/github/graphql/schema.graphql");
    let text = text.expect("the schema is here");
    assert_eq!(graphql::deviations(&text), Vec::<String>::new());
    let other =
        "type Repository { name: String, key(id: ID): DeployKey } type Tenant { name: String! }";
    let deviations = [
        "Repository: GitHub has no `key(id: ID)`",
        "Repository: GitHub has no `key: DeployKey`",
        "Repository: GitHub has no `name: String`",
        "Tenant: GitHub has no such type",
    ];
    assert_eq!(graphql::deviations(other), deviations);
}

#[test]
fn the_manifest_grants_permissions_that_github_knows() {
    let text = std::fs::read_to_string("app-manifest.yml").expect("the manifest is at the top");
    let mut manifest: Value = serde_yaml::from_str(&text).expect("the manifest is YAML");
    let permissions = &mut manifest["default_permissions"];
    let known = compiled(&DOCUMENT["components"]["schemas"]["app-permissions"]);
    assert_eq!(known.faults("", permissions), Vec::<String>::new());
    permissions["tenants"] = json!("write");
    permissions["checks"] = json!("all");
    let faults = [
        "/checks: \"all\" is not one of \"read\" or \"write\"",
        "/tenants: GitHub knows no such field",
    ];
    assert_eq!(known.faults("", permissions), faults);
}
