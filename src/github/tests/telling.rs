//! Check runs and comments, within GitHub's limits; and what is made.

use serde_json::json;

use super::server::{Server, ok, status};
use crate::github::checks::fitted;
use crate::github::{
    Annotation, Checks, Conclusion, Level, NewCheck, NewFile, Output, Progress, Shown,
};

fn annotation(line: u32) -> Annotation {
    Annotation {
        path: "tenants.yaml".to_owned(),
        start_line: line,
        end_line: line,
        start_column: Some(3),
        end_column: Some(9),
        level: Level::Failure,
        title: "unknown key".to_owned(),
        message: "did you mean `namespaces`?".to_owned(),
    }
}

#[tokio::test]
async fn a_check_concludes_when_its_last_annotation_is_there() {
    let server = Server::always(|| status(201, json!({ "id": 4 }))).await;
    let check = NewCheck {
        name: "tenantry/plan".to_owned(),
        head_sha: "abc".to_owned(),
        shown: Shown {
            external_id: Some("basis".to_owned()),
            progress: Progress::Completed(Conclusion::ActionRequired),
            output: Output {
                title: "1 held".to_owned(),
                summary: "…".to_owned(),
                text: None,
                annotations: (1..=120).map(annotation).collect(),
            },
        },
    };
    assert_eq!(server.reporter().create_check(&check).await.unwrap(), 4);

    let told: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| {
            let annotations = asked.body["output"]["annotations"]
                .as_array()
                .unwrap()
                .len();
            let conclusion = asked.body["conclusion"].as_str().unwrap_or("-");
            let status = asked.body["status"].as_str().unwrap();
            format!(
                "{} {} {status} {conclusion} {annotations}",
                asked.method, asked.path
            )
        })
        .collect();
    let expected = [
        "POST /repos/acme/control/check-runs in_progress - 50",
        "PATCH /repos/acme/control/check-runs/4 in_progress - 50",
        "PATCH /repos/acme/control/check-runs/4 completed action_required 20",
    ];
    assert_eq!(told, expected);
    assert_eq!(server.asked()[0].body["external_id"], "basis");
}

#[tokio::test]
async fn columns_are_told_on_single_lines_only() {
    let server = Server::always(|| status(201, json!({ "id": 4 }))).await;
    let long = Annotation {
        end_line: 9,
        ..annotation(1)
    };
    let shown = Shown {
        external_id: None,
        progress: Progress::InProgress,
        output: Output {
            annotations: vec![annotation(1), long],
            ..Output::default()
        },
    };
    server.reporter().update_check(4, &shown).await.unwrap();
    let annotations = &server.asked()[0].body["output"]["annotations"];
    assert_eq!(annotations[0]["start_column"], 3);
    assert_eq!(annotations[1].get("start_column"), None);
    assert_eq!(annotations[1]["annotation_level"], "failure");
}

#[test]
fn a_long_text_is_cut_between_characters_and_says_so() {
    assert_eq!(fitted("short", 100), "short");
    let cut = fitted(&"ä".repeat(100), 100);
    assert!(cut.len() <= 100 && cut.ends_with("ä… (cut)"), "{cut}");
}

#[tokio::test]
async fn the_comment_is_found_by_its_author_and_one_marker() {
    let server = Server::start(|request, _| {
        let comment = |id: u64, login: &str, body: &str| json!({ "id": id, "user": { "login": login }, "body": body });
        if request.path.ends_with("page=2") {
            return ok(json!([comment(4, "Tenantry[bot]", "Plan <!-- m -->")]));
        }
        let next = format!(
            "<http://{}/repos/acme/control/issues/3/comments?per_page=100&page=2>; rel=\"next\"",
            request.headers["host"].to_str().unwrap()
        );
        ok(json!([
            comment(1, "octocat", "Plan <!-- m -->"),
            comment(2, "tenantry[bot]", "Help"),
            comment(3, "tenantry[bot]", "Plan <!-- m --> <!-- m -->"),
        ]))
        .header("link", &next)
    })
    .await;
    let found = server
        .reporter()
        .find_comment(3, "<!-- m -->", "tenantry[bot]")
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, 4);
}

#[tokio::test]
async fn a_check_run_is_read_with_what_it_showed() {
    let server = Server::always(|| {
        ok(json!({ "total_count": 2, "check_runs": [
            { "id": 1, "status": "completed", "conclusion": "success", "external_id": "f", "output": { "title": "t" } },
            { "id": 2, "status": "completed", "conclusion": "stale", "external_id": null, "output": {} },
        ] }))
    })
    .await;
    let control = "acme/control".parse().unwrap();
    let runs = server
        .reader()
        .check_runs(&control, "abc", "tenantry/plan", 12)
        .await
        .unwrap();
    assert_eq!(runs[0].progress, Progress::Completed(Conclusion::Success));
    assert_eq!(
        (runs[0].external_id.as_str(), runs[0].title.as_str()),
        ("f", "t")
    );
    assert_eq!(runs[1].progress, Progress::Completed(Conclusion::Other));
    let path = &server.asked()[0].path;
    assert!(
        path.ends_with("check-runs?check_name=tenantry%2Fplan&app_id=12&per_page=100"),
        "{path}"
    );
}

#[tokio::test]
async fn a_first_commit_is_made_once_even_if_the_answer_is_lost() {
    let server = Server::always(|| status(502, json!("<html>"))).await;
    let file = NewFile {
        branch: "main",
        path: "kubernetes/.gitkeep",
        message: "Prepare the workspace",
        content: b"hello",
    };
    let repository = "acme/x".parse().unwrap();
    server
        .writer()
        .put_file(&repository, &file, None)
        .await
        .unwrap_err();
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].body["content"], "aGVsbG8=");
}

/// A flow runs as a task of its own, so what it waits for must be able to move between threads.
#[test]
fn everything_can_be_awaited_in_a_task() {
    fn movable<T: Send>(_: impl FnOnce(crate::github::Reader) -> T) {}
    movable(|reader| async move {
        let acme = "acme".parse().unwrap();
        let repository = "acme/x".parse().unwrap();
        let checks = Checks {
            name: "tenantry/plan",
            app_id: 12,
        };
        let _ = reader.repositories_by_id(&[]).await;
        let _ = reader.repositories_by_name(&[]).await;
        let _ = reader.all_repositories(&acme).next().await;
        let _ = reader.all_teams(&acme).await;
        let _ = reader.pull(&repository, 1, checks).await;
        let _ = reader.file(&repository, "a", "b").await;
    });
}
