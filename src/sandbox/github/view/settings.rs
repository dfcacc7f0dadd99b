//! What owners look at: branch protection, rulesets, and the deliveries of a webhook.

use serde_json::{Value, json};

use super::super::model::{Bypass, Id, Protection, RequiredChecks, Ruleset, World};
use super::super::webhooks::Delivery;

fn checks(required: &RequiredChecks) -> (Vec<&String>, Vec<Value>) {
    let names = required.checks.iter().map(|(name, _)| name).collect();
    let checks = required.checks.iter();
    let checks = checks
        .map(|(name, app)| json!({"context": name, "app_id": app}))
        .collect();
    (names, checks)
}

/// `GET` and `PUT …/branches/{branch}/protection`.
pub(in super::super) fn protection(
    world: &World,
    (repository, branch): (Id, &str),
    protection: &Protection,
) -> Value {
    let address = format!(
        "{}/repos/{}/branches/{branch}/protection",
        world.root,
        world.full_name(repository)
    );
    let off = || json!({"enabled": false});
    let mut shown = json!({
        "url": address,
        "required_signatures": {"url": format!("{address}/required_signatures"), "enabled": false},
        "enforce_admins": {"url": format!("{address}/enforce_admins"), "enabled": protection.enforce_admins},
        "required_linear_history": off(),
        "allow_force_pushes": off(),
        "allow_deletions": off(),
        "block_creations": off(),
        "required_conversation_resolution": off(),
        "lock_branch": off(),
        "allow_fork_syncing": off(),
    });
    if let Some(required) = &protection.checks {
        let (contexts, checks) = checks(required);
        shown["required_status_checks"] = json!({
            "url": format!("{address}/required_status_checks"),
            "strict": required.strict,
            "contexts": contexts,
            "contexts_url": format!("{address}/required_status_checks/contexts"),
            "checks": checks,
        });
    }
    shown
}

/// The short form inside of a branch.
pub(in super::super) fn protection_in_branch(protection: Option<&Protection>) -> Value {
    let required = protection.and_then(|protection| protection.checks.as_ref());
    let (contexts, checks) = required.map(checks).unwrap_or_default();
    let level = match protection {
        Some(Protection {
            checks: Some(_),
            enforce_admins,
        }) => {
            if *enforce_admins {
                "everyone"
            } else {
                "non_admins"
            }
        }
        Some(_) | None => "off",
    };
    json!({
        "enabled": protection.is_some(),
        "required_status_checks": {"enforcement_level": level, "contexts": contexts, "checks": checks},
    })
}

/// `GET …/rulesets/{ruleset_id}`.
pub(in super::super) fn ruleset(world: &World, repository: Id, ruleset: &Ruleset) -> Value {
    let Ruleset {
        id,
        name,
        include,
        rules,
        bypasses,
        created_at,
    } = ruleset;
    let full_name = world.full_name(repository);
    let bypass = |bypass: &Bypass| {
        let mode = if bypass.always {
            "always"
        } else {
            "pull_request"
        };
        json!({"actor_id": bypass.actor_id, "actor_type": bypass.actor_type, "bypass_mode": mode})
    };
    json!({
        "id": id,
        "name": name,
        "target": "branch",
        "source_type": "Repository",
        "source": full_name,
        "enforcement": "active",
        "conditions": {"ref_name": {"include": include, "exclude": []}},
        "rules": rules,
        "bypass_actors": bypasses.iter().map(bypass).collect::<Vec<_>>(),
        "created_at": created_at,
        "updated_at": created_at,
        "_links": {
            "self": {"href": format!("{}/repos/{full_name}/rulesets/{id}", world.root)},
            "html": {"href": format!("{}/{full_name}/rules/{id}", super::WEB)},
        },
    })
}

/// The rules of one as a branch has them.
pub(in super::super) fn rules(
    world: &World,
    repository: Id,
    ruleset: &Ruleset,
) -> impl Iterator<Item = Value> {
    ruleset.rules.iter().map(move |rule| {
        let mut shown = rule.clone();
        shown["ruleset_source_type"] = json!("Repository");
        shown["ruleset_source"] = json!(world.full_name(repository));
        shown["ruleset_id"] = json!(ruleset.id);
        shown
    })
}

/// A delivery as the list shows it.
pub(in super::super) fn delivery(delivery: &Delivery) -> Value {
    let (status, code) = delivery.status();
    let attempt = delivery.attempt.as_ref();
    json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": attempt.map(|attempt| &attempt.at),
        "redelivery": delivery.redelivery,
        "duration": attempt.map(|attempt| rounded(attempt.took)),
        "status": status,
        "status_code": code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.payload["installation"]["id"],
        "repository_id": delivery.payload["repository"]["id"],
        "throttled_at": null,
    })
}

/// Seconds with two decimals.
fn rounded(took: std::time::Duration) -> f64 {
    (took.as_secs_f64() * 100.0).round() / 100.0
}

/// A delivery with everything that was said.
pub(in super::super) fn delivery_full(of: &Delivery) -> Value {
    let mut shown = delivery(of);
    let attempt = of.attempt.as_ref();
    let answer = attempt.and_then(|attempt| attempt.answer.as_ref());
    shown["url"] = json!(attempt.map(|attempt| &attempt.url));
    shown["request"] = json!({
        "headers": attempt.map(|attempt| &attempt.headers),
        "payload": of.payload,
    });
    shown["response"] = json!({
        "headers": answer.map(|answer| &answer.headers),
        "payload": answer.map(|answer| String::from_utf8_lossy(&answer.body)),
    });
    shown
}
