//! Rulesets of a repository, and the rules that come of them for a branch.

use serde_json::Value;

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::clock;
use super::super::model::{Bypass, Id, Ruleset};
use super::super::view;

/// The rules that are kept here; any other one is refused loudly.
const RULES: [&str; 3] = ["deletion", "non_fast_forward", "pull_request"];

/// Who may be above the rules here.
const ACTORS: [&str; 3] = ["Integration", "OrganizationAdmin", "RepositoryRole"];

/// The repository, if its owner's plan has rules for it.
fn repository(call: &Call<'_>) -> Result<Id, Refusal> {
    let id = call.repository();
    let found = call.world.repository(id);
    let organization = call.world.organization(found.owner);
    let has_rules = organization.is_none_or(|organization| organization.rules_for_private);
    if found.is_private() && !has_rules {
        return Err(Refusal::new(
            403,
            "Upgrade to GitHub Team or make this repository public to enable this feature.",
        ));
    }
    Ok(id)
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let repository = repository(call)?;
    let rulesets: Vec<&Ruleset> = call
        .world
        .repository(repository)
        .rulesets
        .values()
        .collect();
    call.page(&rulesets, |ruleset| {
        let mut shown = view::ruleset(call.world, repository, ruleset);
        let shown_object = shown.as_object_mut().expect("it is an object");
        for detail in ["bypass_actors", "conditions", "rules"] {
            shown_object.remove(detail);
        }
        shown
    })
}

fn wanted(call: &Call<'_>, repository: Id) -> Result<Id, Refusal> {
    let id = call.number("ruleset_id")?;
    let rulesets = &call.world.repository(repository).rulesets;
    rulesets
        .contains_key(&id)
        .then_some(id)
        .ok_or_else(Refusal::not_found)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let repository = repository(call)?;
    let id = wanted(call, repository)?;
    let ruleset = &call.world.repository(repository).rulesets[&id];
    let mut shown = view::ruleset(call.world, repository, ruleset);
    if !call.may("administration=write") {
        let shown = shown.as_object_mut().expect("it is an object");
        shown.remove("bypass_actors");
    }
    Ok(Reply::ok(shown))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let repository = repository(call)?;
    let name = call.text("name").unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Refusal::invalid_request("\"name\" wasn't supplied."));
    }
    let rulesets = &call.world.repository(repository).rulesets;
    if rulesets.values().any(|ruleset| ruleset.name == name) {
        return Err(refused("name", "Name must be unique"));
    }
    let ruleset = Ruleset {
        id: call.world.fresh_id(),
        name,
        include: included(call)?,
        rules: rules(call)?,
        bypasses: bypasses(call, repository)?,
        created_at: clock::stamp_now(),
    };
    let shown = view::ruleset(call.world, repository, &ruleset);
    let found = call.world.repository_mut(repository);
    found.rulesets.insert(ruleset.id, ruleset);
    Ok(Reply::created(shown))
}

fn refused(field: &str, why: &str) -> Refusal {
    Refusal::validation("RepositoryRuleset", field, why)
}

fn unknown(call: &mut Call<'_>, what: String) -> Refusal {
    let refusal = Refusal::new(501, format!("The sandbox does not know {what}."));
    call.unknown.push(what);
    refusal
}

/// The branches that it is of. Only whole names are known here, and only rules that hold.
fn included(call: &mut Call<'_>) -> Result<Vec<String>, Refusal> {
    for (name, known) in [("target", "branch"), ("enforcement", "active")] {
        let other = call.text(name).filter(|word| *word != known);
        if let Some(other) = other.map(ToOwned::to_owned) {
            return Err(unknown(call, format!("the {name} `{other}` of a ruleset")));
        }
    }
    let names = call.body["conditions"]["ref_name"].clone();
    let texts = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items
            .filter_map(|item| item.as_str().map(ToOwned::to_owned))
            .collect()
    };
    let (include, exclude) = (texts(&names["include"]), texts(&names["exclude"]));
    let pattern = include.iter().find(|name| name.contains(['*', '?', '[']));
    match exclude.first().or(pattern) {
        Some(name) => Err(unknown(
            call,
            format!("the condition `{name}` of a ruleset"),
        )),
        None => Ok(include),
    }
}

fn rules(call: &mut Call<'_>) -> Result<Vec<Value>, Refusal> {
    let rules = call.body["rules"].as_array().cloned().unwrap_or_default();
    let kind = |rule: &Value| rule["type"].as_str().unwrap_or_default().to_owned();
    match rules
        .iter()
        .map(kind)
        .find(|kind| !RULES.contains(&kind.as_str()))
    {
        Some(kind) => Err(unknown(call, format!("the rule `{kind}`"))),
        None => Ok(rules),
    }
}

fn bypasses(call: &mut Call<'_>, repository: Id) -> Result<Vec<Bypass>, Refusal> {
    let owner = call.world.repository(repository).owner;
    let actors = call.body["bypass_actors"].as_array().cloned();
    let mut bypasses = Vec::new();
    for actor in actors.unwrap_or_default() {
        let actor_type = actor["actor_type"].as_str().unwrap_or_default().to_owned();
        let actor_id = actor["actor_id"].as_u64();
        if !ACTORS.contains(&actor_type.as_str()) {
            return Err(unknown(call, format!("the bypass actor `{actor_type}`")));
        }
        let mut installations = call.world.installations.values();
        let is_installed = installations
            .any(|installed| installed.account == owner && Some(installed.app) == actor_id);
        if actor_type == "Integration" && !is_installed {
            return Err(refused(
                "bypass_actors",
                "Actor GitHub App must be part of the ruleset source or owner organization",
            ));
        }
        bypasses.push(Bypass {
            actor_type,
            actor_id,
            always: actor["bypass_mode"] != "pull_request",
        });
    }
    Ok(bypasses)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let repository = repository(call)?;
    let id = wanted(call, repository)?;
    call.world.repository_mut(repository).rulesets.remove(&id);
    Ok(Reply::no_content())
}

/// `GET …/rules/branches/{branch}`: the branch need not exist.
pub(super) fn of_branch(call: &mut Call<'_>) -> Answer {
    let repository = repository(call)?;
    let branch = call.parameter("branch").to_owned();
    let rulesets = call.world.rulesets_of(repository, &branch);
    let rules: Vec<Value> = rulesets
        .flat_map(|ruleset| view::rules(call.world, repository, ruleset))
        .collect();
    call.page(&rules, Value::clone)
}
