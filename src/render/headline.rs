//! A plan or a report in numbers and in one line.

use jiff::Timestamp;

use crate::object::Side;
use crate::plan::{Hold, Plan, TenantAction, TenantPlan, Verb};
use crate::render::rows::is_memory;
use crate::render::{about, counted};
use crate::report::{Progress, Report, TenantReport, Verdict};

/// A plan's tenants, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TenantCounts {
    pub(super) added: usize,
    pub(super) changed: usize,
    pub(super) drifted: usize,
    pub(super) removed: usize,
    /// Held as a whole by something wrong with the entry, whatever it wants.
    pub(super) wrong: usize,
    /// New, and waiting until Flux is locked down.
    pub(super) locked_out: usize,
}

/// A plan's objects on one side; the `Tenant` objects are bookkeeping and not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ObjectCounts {
    pub(super) created: usize,
    pub(super) changed: usize,
    pub(super) adopted: usize,
    pub(super) held: usize,
}

/// One thing to say of a plan, with the mark that a title gives it.
struct Part {
    mark: &'static str,
    text: String,
}

pub(super) fn tenants(plan: &Plan) -> TenantCounts {
    let mut counts = TenantCounts::default();
    for tenant in plan.tenants.values() {
        *match tenant.action {
            _ if !tenant.problems.is_empty() => &mut counts.wrong,
            _ if tenant.is_locked_out() => &mut counts.locked_out,
            TenantAction::Add => &mut counts.added,
            TenantAction::Change => &mut counts.changed,
            TenantAction::Remove => &mut counts.removed,
            TenantAction::Drift => &mut counts.drifted,
        } += 1;
    }
    counts
}

pub(super) fn objects(plan: &Plan, side: Side) -> ObjectCounts {
    let mut counts = ObjectCounts::default();
    for (_, step) in plan
        .steps()
        .filter(|(_, step)| step.id.side() == side && !is_memory(&step.id))
    {
        *match step.change.verb() {
            _ if step.hold.is_some() => &mut counts.held,
            Verb::Create => &mut counts.created,
            Verb::Adopt => &mut counts.adopted,
            // A removal that is not held: a later version's.
            Verb::Update | Verb::Remove => &mut counts.changed,
        } += 1;
    }
    counts
}

/// The steps that widen somebody's access, as the plan announces them.
pub(super) fn widening(plan: &Plan) -> usize {
    plan.steps()
        .filter(|(_, step)| step.announces_wider_access())
        .count()
}

/// Steps that wait for a person, beside whole removals, tenants with a problem and tenants that are locked out.
fn held_changes(tenant: &TenantPlan) -> usize {
    let counts = tenant.action != TenantAction::Remove && !tenant.is_locked_out();
    let held = tenant
        .steps
        .iter()
        .filter(|step| counts && !matches!(step.hold, None | Some(Hold::Problem)));
    held.count()
}

/// For a comment's title: `1 tenant added · ⛔ 1 removal held`.
pub(super) fn of_plan(plan: &Plan) -> String {
    let mut line = String::new();
    for part in parts(plan) {
        let between = match (line.is_empty(), part.mark) {
            (true, _) => "",
            (false, "") => ", ",
            (false, _) => " · ",
        };
        let mark = if part.mark.is_empty() {
            String::new()
        } else {
            format!("{} ", part.mark)
        };
        line.extend([between, &mark, &part.text]);
    }
    line
}

/// For a check's title: the same without marks, in at most `longest` characters.
pub(super) fn of_plan_within(plan: &Plan, longest: usize) -> String {
    let mut line = String::new();
    for part in parts(plan) {
        let between = if line.is_empty() { "" } else { ", " };
        if line.chars().count() + between.len() + part.text.chars().count() > longest {
            break;
        }
        line.push_str(between);
        line.push_str(&part.text);
    }
    line
}

fn parts(plan: &Plan) -> Vec<Part> {
    let counts = tenants(plan);
    let calm = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.drifted, "with drift"),
    ];
    let mut parts: Vec<Part> = Vec::new();
    for (count, word) in calm.into_iter().filter(|(count, _)| *count > 0) {
        let noun = if parts.is_empty() {
            counted(count, "tenant")
        } else {
            count.to_string()
        };
        parts.push(Part {
            mark: "",
            text: format!("{noun} {word}"),
        });
    }
    let mut say = |mark, count, text: String| {
        if count > 0 {
            parts.push(Part { mark, text });
        }
    };
    let wrong = format!("{} held by a problem", counted(counts.wrong, "tenant"));
    say("❗", counts.wrong, wrong);
    let waits = if counts.locked_out == 1 {
        "waits"
    } else {
        "wait"
    };
    let locked_out = counted(counts.locked_out, "tenant");
    say(
        "⛔",
        counts.locked_out,
        format!("{locked_out} {waits} for Flux's lockdown"),
    );
    say(
        "⛔",
        counts.removed,
        format!("{} held", counted(counts.removed, "removal")),
    );
    let wider = widening(plan);
    say(
        "🔓",
        wider,
        format!("wider access in {}", counted(wider, "place")),
    );
    let held = plan.tenants.values().map(held_changes).sum();
    say("⛔", held, format!("{} held", counted(held, "object")));
    if parts.is_empty() {
        parts.push(Part {
            mark: "",
            text: "nothing to change".to_owned(),
        });
    }
    parts
}

/// `Applying: 240 of 1000 tenants, done at about 16:40 UTC`.
pub(super) fn of_progress(progress: &Progress, now: Timestamp) -> String {
    let Progress { done, of, end, .. } = *progress;
    let of = counted(of, "tenant");
    format!(
        "Applying: {done} of {of}, done at about {}",
        about(end, now)
    )
}

/// `Failed: 1 of 3 tenants, 2 applied`.
pub(super) fn of_report(report: &Report) -> String {
    let count = |verdict| {
        report
            .tenants
            .values()
            .filter(|tenant| tenant.verdict() == verdict)
            .count()
    };
    let (failed, held, applied) = (
        count(Verdict::Failed),
        count(Verdict::Held),
        count(Verdict::Applied) + report.earlier,
    );
    let also = |count: usize, word: &str| {
        if count > 0 {
            format!(", {count} {word}")
        } else {
            String::new()
        }
    };
    let all = report.tenants.len() + report.earlier;
    let total = counted(all, "tenant");
    let of_all = |count: usize| {
        if count == all {
            total.clone()
        } else {
            format!("{count} of {total}")
        }
    };
    match report.verdict() {
        Verdict::Failed => format!(
            "Failed: {}{}{}",
            of_all(failed),
            also(held, "held"),
            also(applied, "applied")
        ),
        Verdict::Held => format!(
            "Held: {}, {}{}",
            of_all(held),
            what_decides(report),
            also(applied, "applied")
        ),
        Verdict::Applied => format!("Applied: {}", applied_words(report)),
    }
}

/// Whose word is waited for.
fn what_decides(report: &Report) -> &'static str {
    let mut held = report
        .tenants
        .values()
        .filter(|tenant| tenant.verdict() == Verdict::Held);
    if held.all(TenantReport::is_locked_out) {
        "until Flux is locked down"
    } else {
        "for a person to decide"
    }
}

fn applied_words(report: &Report) -> String {
    let actions = [
        TenantAction::Add,
        TenantAction::Change,
        TenantAction::Remove,
        TenantAction::Drift,
    ];
    let words = ["added", "changed", "removed", "put back after drift"];
    let mut line = String::new();
    for (action, word) in actions.into_iter().zip(words) {
        match report
            .tenants
            .values()
            .filter(|tenant| tenant.action == action)
            .count()
        {
            0 => {}
            count if line.is_empty() => line = format!("{} {word}", counted(count, "tenant")),
            count => line = format!("{line}, {count} {word}"),
        }
    }
    match (line.is_empty(), report.earlier) {
        (true, 0) => "nothing to change".to_owned(),
        (false, 0) => line,
        (true, earlier) => format!("{} before a restart", counted(earlier, "tenant")),
        (false, earlier) => format!("{line}, and {earlier} before a restart"),
    }
}

const LOCKED_OUT: &str = "waits for Flux's lockdown";

pub(super) fn outcome_word(tenant: &TenantReport) -> (&'static str, &'static str) {
    match (tenant.verdict(), tenant.action) {
        _ if !tenant.problems.is_empty() => ("❗", "held by a problem"),
        _ if tenant.is_locked_out() => ("⛔", LOCKED_OUT),
        (Verdict::Failed, _) => ("❌", "failed"),
        (Verdict::Held, TenantAction::Remove) => ("⛔", "held removal"),
        (Verdict::Held, _) => ("⛔", "held in part"),
        (Verdict::Applied, TenantAction::Add) => ("✅", "added"),
        (Verdict::Applied, TenantAction::Change) => ("✅", "changed"),
        (Verdict::Applied, TenantAction::Remove) => ("✅", "removed"),
        (Verdict::Applied, TenantAction::Drift) => ("✅", "drift put back"),
    }
}

pub(super) fn action_word(tenant: &TenantPlan) -> (&'static str, &'static str) {
    match tenant.action {
        _ if !tenant.problems.is_empty() => ("❗", "held by a problem"),
        _ if tenant.is_locked_out() => ("⛔", LOCKED_OUT),
        TenantAction::Remove => ("⛔", "held removal"),
        TenantAction::Add => ("➕", "add"),
        TenantAction::Change => ("✏️", "change"),
        TenantAction::Drift => ("↩️", "drift"),
    }
}
