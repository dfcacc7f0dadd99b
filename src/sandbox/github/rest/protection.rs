//! Branch protection, as far as it is about checks.

use serde_json::Value;

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::{Id, Protection, RequiredChecks};
use super::super::view;

/// GitHub's word for "whichever App".
const ANY_APP: i64 = -1;

/// What a protection can demand and the sandbox does not: asked for, it is refused loudly.
const UNKNOWN: [&str; 9] = [
    "required_pull_request_reviews",
    "restrictions",
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
];

fn branch(call: &Call<'_>) -> Result<String, Refusal> {
    let name = call.parameter("branch");
    let branches = &call.world.repository(call.repository()).branches;
    branches
        .get_key_value(name)
        .map(|(name, _)| name.clone())
        .ok_or_else(|| Refusal::new(404, "Branch not found"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let (repository, branch) = (call.repository(), branch(call)?);
    let protection = call.world.protection(repository, &branch);
    let protection = protection.ok_or_else(|| Refusal::new(404, "Branch not protected"))?;
    let place = (repository, branch.as_str());
    Ok(Reply::ok(view::protection(call.world, place, protection)))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let (repository, branch) = (call.repository(), branch(call)?);
    for name in [
        "required_status_checks",
        "enforce_admins",
        "required_pull_request_reviews",
        "restrictions",
    ] {
        if call.body.get(name).is_none() {
            return Err(Refusal::invalid_request(&format!(
                "\"{name}\" wasn't supplied."
            )));
        }
    }
    for name in UNKNOWN {
        let wanted = &call.body[name];
        if !wanted.is_null() && *wanted != Value::Bool(false) {
            let what = format!("the branch protection `{name}`");
            let refusal = Refusal::new(501, format!("The sandbox does not know {what}."));
            call.unknown.push(what);
            return Err(refusal);
        }
    }
    let protection = Protection {
        checks: required_checks(&call.body["required_status_checks"])?,
        enforce_admins: call.flag("enforce_admins") == Some(true),
    };
    let protections = &mut call.world.repository_mut(repository).protections;
    protections.insert(branch.clone(), protection.clone());
    let place = (repository, branch.as_str());
    Ok(Reply::ok(view::protection(call.world, place, &protection)))
}

/// `checks` where it is given, else the older `contexts`.
fn required_checks(wanted: &Value) -> Result<Option<RequiredChecks>, Refusal> {
    if wanted.is_null() {
        return Ok(None);
    }
    let (Some(strict), Some(contexts)) =
        (wanted["strict"].as_bool(), wanted["contexts"].as_array())
    else {
        return Err(Refusal::invalid_request(
            "For 'properties/required_status_checks', \"strict\" and \"contexts\" are required.",
        ));
    };
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = match wanted["checks"].as_array() {
        Some(checks) => checks
            .iter()
            .map(|check| (name(&check["context"]), wanted_app(&check["app_id"])))
            .collect(),
        None => contexts
            .iter()
            .map(|context| (name(context), None))
            .collect(),
    };
    Ok(Some(RequiredChecks { strict, checks }))
}

fn wanted_app(id: &Value) -> Option<Id> {
    id.as_i64()
        .filter(|id| *id != ANY_APP)
        .and_then(|id| id.try_into().ok())
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let (repository, branch) = (call.repository(), branch(call)?);
    let protections = &mut call.world.repository_mut(repository).protections;
    match protections.remove(&branch) {
        Some(_) => Ok(Reply::no_content()),
        None => Err(Refusal::new(404, "Branch not protected")),
    }
}
