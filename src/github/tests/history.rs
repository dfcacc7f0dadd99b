//! What was on a branch before.

use serde_json::{Value, json};

use super::server::{Server, ok};
use crate::github::History;

fn commit(sha: &str, parents: &[&str]) -> Value {
    let parents: Vec<_> = parents.iter().map(|sha| json!({ "sha": sha })).collect();
    json!({ "sha": sha, "parents": parents })
}

async fn history(commits: Value) -> History {
    let server = Server::always(move || ok(commits.clone())).await;
    let found = server
        .reader()
        .history(&"acme/tenants".parse().unwrap(), "d")
        .await;
    let (asked, at) = ("GET", "/repos/acme/tenants/commits?sha=d&per_page=100");
    assert!(server.asked().iter().any(|request| request.is(asked, at)));
    found.unwrap()
}

#[tokio::test]
async fn of_a_merge_the_first_parent_counts() {
    let commits = json!([
        commit("d", &["a", "c"]),
        commit("c", &["b"]),
        commit("b", &["a"]),
        commit("a", &[]),
    ]);
    let found = history(commits).await;
    assert_eq!(found.commits, ["d", "a"]);
    assert!(found.is_whole);
}

#[tokio::test]
async fn what_one_answer_does_not_hold_is_not_the_beginning() {
    let found = history(json!([commit("d", &["c"]), commit("c", &["b"])])).await;
    assert_eq!(found.commits, ["d", "c"]);
    assert!(!found.is_whole);
    let found = history(json!([])).await;
    assert!(found.commits.is_empty() && !found.is_whole);
}
