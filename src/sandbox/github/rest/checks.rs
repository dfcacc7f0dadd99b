//! Check runs and their suites.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::clock;
use super::super::model::{CheckRun, Id, Permission};
use super::super::view;

/// Annotations in one request.
const MOST_ANNOTATIONS: usize = 50;

/// The longest `summary` and `text`, in characters.
const LONGEST_OUTPUT: usize = 65_535;

const CONCLUSIONS: [&str; 8] = [
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "skipped",
    "stale",
    "success",
    "timed_out",
];

const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];

/// Only Apps make checks.
fn own_app(call: &Call<'_>) -> Result<Id, Refusal> {
    call.caller
        .app(call.world)
        .ok_or_else(|| Refusal::new(403, "You must authenticate via a GitHub App."))
}

fn find(call: &Call<'_>) -> Result<Id, Refusal> {
    let (repository, id) = (call.repository(), call.number("check_run_id")?);
    call.world
        .check_runs
        .get(&id)
        .filter(|run| run.repository == repository)
        .map(|run| run.id)
        .ok_or_else(Refusal::not_found)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    Ok(Reply::ok(view::check_run(
        call.world,
        &call.world.check_runs[&id],
    )))
}

pub(super) fn annotations(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    let run = &call.world.check_runs[&id];
    call.page(&run.annotations, |sent| {
        view::annotation(call.world, run, sent)
    })
}

fn required(call: &Call<'_>, name: &str) -> Result<String, Refusal> {
    call.text(name)
        .map(ToOwned::to_owned)
        .ok_or_else(|| Refusal::invalid_request(&format!("\"{name}\" wasn't supplied.")))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let app = own_app(call)?;
    let repository = call.repository();
    let (name, sha) = (required(call, "name")?, required(call, "head_sha")?);
    if call.world.objects(repository).commit(&sha).is_none() {
        return Err(Refusal::unprocessable(format!(
            "No commit found for SHA: {sha}"
        )));
    }
    let mut run = CheckRun {
        id: call.world.fresh_id(),
        repository,
        suite: 0,
        app,
        name,
        head_sha: sha.clone(),
        external_id: String::new(),
        details_url: None,
        status: "queued".to_owned(),
        conclusion: None,
        started_at: Some(clock::stamp_now()),
        completed_at: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
    };
    apply(call, &mut run)?;
    run.suite = call.world.suite_for(repository, app, &sha);
    let (id, actor) = (run.id, call.actor());
    let completed = run.status == "completed";
    call.world.check_runs.insert(id, run);
    call.world.emit_run(id, "created", actor);
    if completed {
        announce_completion(call, id, actor);
    }
    Ok(Reply::created(view::check_run(
        call.world,
        &call.world.check_runs[&id],
    )))
}

fn announce_completion(call: &mut Call<'_>, id: Id, actor: Id) {
    call.world.emit_run(id, "completed", actor);
    let suite = call.world.check_runs[&id].suite;
    let finished = call
        .world
        .check_runs
        .values()
        .filter(|run| run.suite == suite)
        .all(|run| run.status == "completed");
    if finished {
        call.world.emit_suite(suite, "completed", actor);
    }
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let app = own_app(call)?;
    let id = find(call)?;
    let mut run = call.world.check_runs[&id].clone();
    if run.app != app {
        return Err(Refusal::new(403, "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it.".replace("{app}", &app.to_string())));
    }
    let was_completed = run.status == "completed";
    if let Some(name) = call.text("name") {
        name.clone_into(&mut run.name);
    }
    apply(call, &mut run)?;
    let completes = run.status == "completed" && !was_completed;
    let actor = call.actor();
    call.world.check_runs.insert(id, run);
    if completes {
        announce_completion(call, id, actor);
    }
    Ok(Reply::ok(view::check_run(
        call.world,
        &call.world.check_runs[&id],
    )))
}

/// Takes over what the body says, within GitHub's limits.
fn apply(call: &Call<'_>, run: &mut CheckRun) -> Result<(), Refusal> {
    if let Some(status) = chosen(call, "status", &STATUSES)? {
        run.status = status;
        if run.status != "completed" {
            (run.conclusion, run.completed_at) = (None, None);
        }
    }
    if let Some(conclusion) = chosen(call, "conclusion", &CONCLUSIONS)? {
        run.conclusion = Some(conclusion);
        "completed".clone_into(&mut run.status);
    }
    if run.status == "completed" {
        if run.conclusion.is_none() {
            return Err(Refusal::invalid_request(
                "\"conclusion\" wasn't supplied. It is required when \"status\" is \"completed\".",
            ));
        }
        let now = clock::stamp_now();
        let at = call.text("completed_at").unwrap_or(&now);
        run.completed_at = Some(at.to_owned());
    }
    let text = |name: &str| call.text(name).map(ToOwned::to_owned);
    run.started_at = text("started_at").or(run.started_at.take());
    run.details_url = text("details_url").or(run.details_url.take());
    run.external_id = text("external_id").unwrap_or_else(|| run.external_id.clone());
    apply_output(&call.body["output"], run)
}

fn chosen(call: &Call<'_>, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
    match call.text(name) {
        None => Ok(None),
        Some(word) if words.contains(&word) => Ok(Some(word.to_owned())),
        Some(word) => Err(Refusal::invalid_request(&format!(
            "For 'properties/{name}', \"{word}\" is not a possible value. Must be one of the following: {}.",
            words.join(", ")
        ))),
    }
}

fn apply_output(output: &Value, run: &mut CheckRun) -> Result<(), Refusal> {
    if output.is_null() {
        return Ok(());
    }
    let field = |name: &str| output[name].as_str().map(ToOwned::to_owned);
    let summary = field("summary").ok_or_else(|| {
        Refusal::invalid_request("For 'properties/output', \"summary\" wasn't supplied.")
    })?;
    if run.title.is_none() && field("title").is_none() {
        return Err(Refusal::invalid_request(
            "For 'properties/output', \"title\" wasn't supplied.",
        ));
    }
    for text in [Some(&summary), field("text").as_ref()]
        .into_iter()
        .flatten()
    {
        let length = text.chars().count();
        if length > LONGEST_OUTPUT {
            return Err(Refusal::invalid_request(&format!(
                "Only {LONGEST_OUTPUT} characters are allowed; {length} were supplied."
            )));
        }
    }
    let annotations = output["annotations"].as_array();
    let annotations = annotations.map(Vec::as_slice).unwrap_or_default();
    check_annotations(annotations)?;
    run.title = field("title").or(run.title.take());
    run.summary = Some(summary);
    run.text = field("text").or(run.text.take());
    run.annotations.extend_from_slice(annotations);
    Ok(())
}

fn check_annotations(annotations: &[Value]) -> Result<(), Refusal> {
    if annotations.len() > MOST_ANNOTATIONS {
        return Err(Refusal::invalid_request(&format!(
            "No more than {MOST_ANNOTATIONS} items are allowed; {} were supplied.",
            annotations.len()
        )));
    }
    for annotation in annotations {
        for name in [
            "path",
            "start_line",
            "end_line",
            "annotation_level",
            "message",
        ] {
            if annotation[name].is_null() {
                return Err(Refusal::invalid_request(&format!(
                    "For 'items', \"{name}\" wasn't supplied."
                )));
            }
        }
        let one_line = annotation["start_line"] == annotation["end_line"];
        let columns = !annotation["start_column"].is_null() || !annotation["end_column"].is_null();
        if columns && !one_line {
            return Err(Refusal::invalid_request(
                "Annotations with columns must start and end on the same line.",
            ));
        }
    }
    Ok(())
}

/// Asks the App for the check once more.
pub(super) fn rerequest(call: &mut Call<'_>) -> Answer {
    let id = find(call)?;
    let actor = call.actor();
    let person = call.caller.app(call.world).is_none();
    if person && call.world.access_of(actor, call.repository()) < Some(Permission::Push) {
        return Err(Refusal::new(
            403,
            "Must have write access to the repository.",
        ));
    }
    call.world.emit_run(id, "rerequested", actor);
    Ok(Reply::created(Value::Object(serde_json::Map::new())))
}

fn commit(call: &Call<'_>) -> Result<String, Refusal> {
    let name = call.parameter("ref");
    call.world
        .resolve(call.repository(), name)
        .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))
}

/// Newest first; `filter=latest` (the default) shows one of each name and App.
pub(super) fn of_commit(call: &mut Call<'_>) -> Answer {
    let (repository, sha) = (call.repository(), commit(call)?);
    let app: Option<Id> = call.query("app_id").and_then(|text| text.parse().ok());
    let mut runs: Vec<&CheckRun> = call
        .world
        .check_runs
        .values()
        .filter(|run| run.repository == repository && run.head_sha == sha)
        .filter(|run| call.query("check_name").is_none_or(|name| run.name == name))
        .filter(|run| {
            call.query("status")
                .is_none_or(|status| run.status == status)
        })
        .filter(|run| app.is_none_or(|app| run.app == app))
        .collect();
    runs.reverse();
    if call.query("filter") != Some("all") {
        let mut latest: BTreeMap<(Id, &str), Id> = BTreeMap::new();
        for run in &runs {
            latest.entry((run.app, &run.name)).or_insert(run.id);
        }
        runs.retain(|run| latest[&(run.app, run.name.as_str())] == run.id);
    }
    call.counted_page("check_runs", &runs, |run| view::check_run(call.world, run))
}

pub(super) fn suites_of_commit(call: &mut Call<'_>) -> Answer {
    let (repository, sha) = (call.repository(), commit(call)?);
    let suites: Vec<Id> = call
        .world
        .check_suites
        .values()
        .filter(|one| one.repository == repository && one.head_sha == sha)
        .map(|one| one.id)
        .collect();
    call.counted_page("check_suites", &suites, |id| {
        view::check_suite_full(call.world, &call.world.check_suites[id])
    })
}

pub(super) fn suite(call: &mut Call<'_>) -> Answer {
    let id = call.number("check_suite_id")?;
    let found = call.world.check_suites.get(&id);
    let found = found
        .filter(|one| one.repository == call.repository())
        .ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view::check_suite_full(call.world, found)))
}
