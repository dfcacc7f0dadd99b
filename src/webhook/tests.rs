use std::collections::BTreeSet;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::event::{self, Event, Paths, PullAction};
use super::signature::{self, Wrong};

fn secret() -> SecretString {
    SecretString::from("It's a Secret to Everybody")
}

#[test]
fn the_signature_of_githubs_documentation_is_right() {
    let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(
        signature::check(&secret(), Some(header), b"Hello, World!"),
        Ok(())
    );
    assert_eq!(
        signature::check(&secret(), Some(header), b"Hello, World?"),
        Err(Wrong::Mismatch)
    );
    assert_eq!(
        signature::check(&SecretString::from(""), Some(header), b"Hello, World!"),
        Err(Wrong::Mismatch)
    );
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let check = |header| signature::check(&secret(), header, b"Hello, World!");
    assert_eq!(check(None), Err(Wrong::Missing));
    for header in [
        "",
        "sha1=757107ea",
        "sha256=",
        "sha256=75",
        "sha256=zz",
        &format!("sha256={}", "0".repeat(66)),
    ] {
        assert_eq!(check(Some(header)), Err(Wrong::Malformed), "{header}");
    }
}

fn read(name: &str, payload: &Value) -> Event {
    event::read("1", name, payload.to_string().as_bytes())
        .expect("the payload is well formed")
        .event
}

#[test]
fn unknown_events_and_actions_are_ignored() {
    assert_eq!(
        read("star", &json!({ "action": "created" })),
        Event::Ignored
    );
    assert_eq!(
        read(
            "pull_request",
            &json!({ "action": "some_future_action", "number": 1 })
        ),
        Event::Ignored
    );
    assert_eq!(read("repository_ruleset", &json!({})), Event::Ignored);
}

#[test]
fn a_push_tells_its_paths_unless_it_cannot() {
    let payload = |forced: bool| {
        json!({
            "ref": "refs/heads/main", "before": "a", "after": "b", "created": false, "deleted": false,
            "forced": forced,
            "commits": [{ "added": ["x"], "modified": ["tenants.yaml"], "removed": [] }, { "removed": ["y"] }],
            "sender": { "login": "alice" }, "repository": { "full_name": "acme/tenants" },
        })
    };
    let Event::Push { branch, paths, .. } = read("push", &payload(false)) else {
        panic!("a push")
    };
    assert_eq!(branch, "main");
    let wanted = ["tenants.yaml", "x", "y"].map(str::to_owned);
    assert_eq!(paths, Paths::Known(BTreeSet::from(wanted)));
    let Event::Push { paths, .. } = read("push", &payload(true)) else {
        panic!("a push")
    };
    assert_eq!(paths, Paths::Unknown);
    let mut tag = payload(false);
    tag["ref"] = json!("refs/tags/v1");
    assert_eq!(read("push", &tag), Event::Ignored);
}

#[test]
fn what_we_answer_is_read() {
    let pull = json!({ "action": "synchronize", "number": 7 });
    assert_eq!(
        read("pull_request", &pull),
        Event::Pull {
            number: 7,
            action: PullAction::Changed
        }
    );
    let group = json!({ "action": "checks_requested", "merge_group": { "head_sha": "a", "base_ref": "refs/heads/main" } });
    assert_eq!(
        read("merge_group", &group),
        Event::MergeGroup {
            head: "a".into(),
            base_branch: "main".into()
        }
    );
    let comment = |on_pull: bool| {
        let mut payload = json!({
            "action": "created", "issue": { "number": 3 },
            "comment": { "user": { "login": "bob" }, "body": "/tenantry help" },
        });
        if on_pull {
            payload["issue"]["pull_request"] = json!({});
        }
        read("issue_comment", &payload)
    };
    assert_eq!(comment(false), Event::Ignored);
    let wanted = Event::Comment {
        number: 3,
        author: "bob".into(),
        body: "/tenantry help".into(),
    };
    assert_eq!(comment(true), wanted);
    let rerun = json!({ "action": "rerequested", "check_run": { "name": "tenantry/plan", "head_sha": "c" } });
    let wanted = Event::CheckRerequested {
        name: Some("tenantry/plan".into()),
        head: "c".into(),
    };
    assert_eq!(read("check_run", &rerun), wanted);
}
