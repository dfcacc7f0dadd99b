//! A plan or report for machines. Keys are only ever added.
//!
//! ```json
//! {"format": 1, "fingerprint": "<64 hex digits>", "changes": true,
//!  "unchanged": {"tenants": 0, "github": 0, "cluster": 0},
//!  "lockdown": {"policy": "require|require-once-more|warn", "gaps": [{"message": "…", "help": "…"}], "unready": ["…"]},
//!  "notes": [{"message": "…", "help": "…"}],
//!  "tenants": [{"name": "…", "action": "add|change|remove|drift",
//!    "problems": [{"message": "…", "help": "…"}],
//!    "facts": {"inventory": 41, "lastPush": "2026-11-23T09:00:00Z", "openPulls": 3},
//!    "steps": [{"object": "Namespace ai", "side": "github|cluster", "verb": "create|adopt|update|remove",
//!      "cause": "requested|drift", "effect": "harmless|wider|narrower|removal",
//!      "hold": "removal|narrower|not-named|unannounced|not-locked-down|problem",
//!      "to": {…}, "fields": [{"path": "…", "before": …, "after": …}]}]}]}
//! ```
//! What is not known or does not apply is left out (`help`, `hold`, `to`, each fact). A report has `verdict`
//! (`applied|held|failed`) in place of `fingerprint` and `changes`, and each step an `outcome`: `done`, `failed` (with
//! `error` and `retry`: `useful|useless`), `skipped` (with `because`), `held`.

use serde_json::{Map, Value, json};

use crate::desired::Objects;
use crate::names::TenantName;
use crate::object::Side;
use crate::observed::{Facts, Problem};
use crate::plan::{Change, Plan, Step, TenantAction, fingerprint};
use crate::render::lockdown;
use crate::render::notes;
use crate::report::{Outcome, Report, Retry};

const FORMAT: u8 = 1;

pub fn of_plan(plan: &Plan) -> Value {
    let tenants = plan.tenants.iter().map(|(name, tenant)| {
        let wanted = tenant.wanted();
        let steps = tenant.steps.iter();
        let steps = steps.map(|step| Value::Object(of_step(step, &wanted)));
        of_tenant(
            name,
            tenant.action,
            &tenant.problems,
            &tenant.facts,
            &steps.collect::<Vec<_>>(),
        )
    });
    json!({
        "format": FORMAT,
        "fingerprint": fingerprint::of_plan(plan),
        "changes": !plan.is_empty(),
        "unchanged": plan.unchanged,
        "lockdown": lockdown::json(&plan.lockdown),
        "notes": notes::json(&plan.notes),
        "tenants": tenants.collect::<Vec<_>>(),
    })
}

pub fn of_report(report: &Report) -> Value {
    let tenants = report.tenants.iter().map(|(name, tenant)| {
        let wanted = tenant.wanted();
        let steps = tenant
            .outcomes
            .iter()
            .map(|(step, outcome)| of_outcome(step, outcome, &wanted));
        of_tenant(
            name,
            tenant.action,
            &tenant.problems,
            &tenant.facts,
            &steps.collect::<Vec<_>>(),
        )
    });
    json!({
        "format": FORMAT,
        "verdict": report.verdict(),
        "unchanged": report.unchanged,
        "lockdown": lockdown::json(&report.lockdown),
        "notes": notes::json(&report.notes),
        "tenants": tenants.collect::<Vec<_>>(),
    })
}

fn of_tenant(
    name: &TenantName,
    action: TenantAction,
    problems: &[Problem],
    facts: &Facts,
    steps: &[Value],
) -> Value {
    let problems = problems.iter().map(|problem| {
        let mut value = json!({ "message": problem.message });
        insert(&mut value, "help", problem.help.as_deref().map(Value::from));
        value
    });
    let mut known = json!({});
    insert(&mut known, "inventory", facts.inventory.map(Value::from));
    insert(&mut known, "lastPush", facts.last_push.map(|at| json!(at)));
    insert(&mut known, "openPulls", facts.open_pulls.map(Value::from));
    json!({
        "name": name,
        "action": action,
        "problems": problems.collect::<Vec<_>>(),
        "facts": known,
        "steps": steps,
    })
}

fn of_step(step: &Step, wanted: &Objects) -> Map<String, Value> {
    let side = match step.id.side() {
        Side::GitHub => "github",
        Side::Cluster => "cluster",
    };
    let mut value = json!({
        "object": step.id,
        "side": side,
        "verb": step.change.verb(),
        "cause": step.cause,
        "effect": step.effect,
    });
    insert(&mut value, "hold", step.hold.map(|hold| json!(hold)));
    if step.change.is_wanted() {
        insert(&mut value, "to", wanted.get(&step.id).map(|to| json!(to)));
    }
    match &step.change {
        Change::Adopt(fields) | Change::Update(fields) => {
            insert(&mut value, "fields", Some(json!(fields)));
        }
        Change::Create | Change::Remove(_) => {}
    }
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn of_outcome(step: &Step, outcome: &Outcome, wanted: &Objects) -> Value {
    let mut value = Value::Object(of_step(step, wanted));
    let word = match outcome {
        Outcome::Done => "done",
        Outcome::Waiting => "waiting",
        Outcome::Failed { error, retry } => {
            let retry = match retry {
                Retry::Useful => "useful",
                Retry::Useless => "useless",
            };
            insert(&mut value, "error", Some(json!(error)));
            insert(&mut value, "retry", Some(json!(retry)));
            "failed"
        }
        Outcome::Skipped { because } => {
            insert(&mut value, "because", Some(json!(because)));
            "skipped"
        }
        Outcome::Held(hold) => {
            insert(&mut value, "hold", Some(json!(hold)));
            "held"
        }
    };
    insert(&mut value, "outcome", Some(json!(word)));
    value
}

fn insert(value: &mut Value, key: &str, what: Option<Value>) {
    if let (Value::Object(map), Some(what)) = (value, what) {
        map.insert(key.to_owned(), what);
    }
}
