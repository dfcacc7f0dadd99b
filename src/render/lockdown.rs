//! How Flux's lockdown stands, told once for a whole plan or report.

use serde_json::{Value, json};

use crate::flux::lockdown::{Gap, PAGE, Policy, Standing};
use crate::render::{capitalized, escape};

/// The first thing that a comment says, where there is something to say.
pub(super) fn section(standing: &Standing) -> String {
    let unready = unready(standing);
    if standing.gaps.is_empty() {
        return unready.map_or_else(String::new, |unready| {
            format!("> [!NOTE]\n> {}\n\n", escape::message(&unready))
        });
    }
    let alert = if standing.shuts_out() {
        "CAUTION"
    } else {
        "WARNING"
    };
    let of_one = |gap: &Gap| {
        format!(
            "> - {}. {}.\n",
            escape::message(&gap.message()),
            escape::message(&capitalized(&gap.help()))
        )
    };
    let gaps: String = standing.gaps.iter().map(of_one).collect();
    let waits = if standing.shuts_out() {
        " What waits is done by itself once Flux is locked down."
    } else {
        ""
    };
    let unready = unready
        .map(|unready| format!(" {}", escape::message(&unready)))
        .unwrap_or_default();
    format!(
        "> [!{alert}]\n> **{NOT_LOCKED_DOWN}**{}\n{gaps}> \n> People of a tenant can have such a Flux act on the whole cluster. [What Flux says about it]({PAGE}).{waits}{unready}\n\n",
        escape::message(meaning(standing.policy))
    )
}

/// The same for a terminal, line by line.
pub(super) fn lines(standing: &Standing) -> Vec<String> {
    let mut lines = Vec::new();
    if !standing.gaps.is_empty() {
        lines.push(format!("{NOT_LOCKED_DOWN}{}", meaning(standing.policy)));
    }
    for gap in &standing.gaps {
        lines.push(format!("- {}", escape::visible(&gap.message())));
        lines.push(format!("  hint: {}", escape::visible(&gap.help())));
    }
    lines.extend(unready(standing).map(|unready| escape::visible(&unready)));
    lines
}

/// For machines.
pub(super) fn json(standing: &Standing) -> Value {
    let policy = match standing.policy {
        Policy::Require => "require",
        Policy::RequireOnceMore => "require-once-more",
        Policy::Warn => "warn",
    };
    let of_one = |gap: &Gap| json!({ "message": gap.message(), "help": gap.help() });
    let gaps: Vec<_> = standing.gaps.iter().map(of_one).collect();
    json!({ "policy": policy, "gaps": gaps, "unready": standing.unready })
}

const NOT_LOCKED_DOWN: &str = "Flux on this cluster is not locked down";

/// What follows from it: the rest of the sentence.
const fn meaning(policy: Policy) -> &'static str {
    match policy {
        Policy::Require => ", so no tenant is onboarded and nobody gains access until it is:",
        Policy::RequireOnceMore => {
            ", so no tenant is onboarded and nobody gains access. `flux.lockdown: warn` is new, and counts from the next merge on:"
        }
        Policy::Warn => ". With `flux.lockdown: warn` the work goes on all the same:",
    }
}

fn unready(standing: &Standing) -> Option<String> {
    if standing.unready.is_empty() {
        return None;
    }
    Some(format!(
        "Not all of Flux runs as it should: {}.",
        standing.unready.join(", ")
    ))
}
