//! The one comment on a pull request, as Markdown that GitHub takes: worst thing first, details folded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::desired::Objects;
use crate::live::course::Course;
use crate::names::TenantName;
use crate::object::{Fingerprint, Side};
use crate::observed::{Facts, Problem};
use crate::plan::fingerprint;
use crate::plan::{Cause, Hold, Plan, Step, TenantAction, TenantPlan};
use crate::render::annotations::File;
use crate::render::fit::{self, Item};
use crate::render::phrase::Phrase;
use crate::render::rows::{self, Mark, Row};
use crate::render::{about, ago, capitalized, clock, counted, escape, short_commit};
use crate::render::{headline, live, lockdown, notes};
use crate::report::{Outcome, Progress, Report, Retry, TenantReport, Verdict};
use crate::tenants::diagnostic::Diagnostic;

/// By which the App finds its comment again.
pub const MARKER: &str = "<!-- tenantry:plan -->";

/// GitHub takes 65,536 characters; in bytes and with room to spare it holds under any way of counting.
pub const LONGEST: usize = 60_000;
/// Bytes that a list above the tenants may take; what does not fit is counted.
const PROBLEMS: usize = 12_000;
const WIDER: usize = 6_000;
const REMOVALS: usize = 5_000;
const DRIFT: usize = 8_000;
/// Rows of one tenant; the others are counted and stand in the check.
const ROWS: usize = 60;
/// Fields of one row.
const FIELDS: usize = 12;

/// Where and when a plan was made.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Path of the file in the control repo.
    pub file: &'a str,
    pub pull: Option<u64>,
    /// The commit that was planned or pushed.
    pub head: &'a str,
    pub base_branch: &'a str,
    pub base: &'a str,
    pub at: Timestamp,
    /// The line of each entry in the file, from 1.
    pub lines: &'a BTreeMap<TenantName, usize>,
    /// The same in the base's file, for entries that are gone.
    pub base_lines: &'a BTreeMap<TenantName, usize>,
    /// The check run's page.
    pub details: Option<&'a str>,
    /// The plan that this one takes the place of: its short fingerprint, and when it was made.
    pub before: Option<(&'a str, Timestamp)>,
    /// When what failed is tried again.
    pub retry_at: Option<Timestamp>,
}

/// The plan of a pull request, made by [`crate::plan::foresee`]; nothing where there is nothing to say.
pub fn plan_comment(plan: &Plan, setting: &Setting) -> Option<String> {
    if plan.is_empty() {
        return None;
    }
    let title = format!("Plan: {}", headline::of_plan(plan));
    let promise = "The merge does what stands here, or less: if it would then remove more or widen more, that part waits for a person.\n";
    Some(framed(
        &title,
        &plan_footer(plan, setting, promise),
        |budget| plan_body(plan, Some(setting), budget),
    ))
}

/// What a comment becomes when its pull request no longer changes anything.
pub fn nothing_comment(setting: &Setting) -> String {
    let body = format!(
        "What {} wants is there already.\n",
        escape::code(setting.file)
    );
    framed(
        "Plan: nothing to change",
        &footer(None, setting, ""),
        |_| body,
    )
}

/// The same plan while it is applied, which GitHub's limits may make long.
pub fn progress_comment(plan: &Plan, setting: &Setting, progress: Option<&Progress>) -> String {
    let title = match progress {
        None => format!("Applying: {}", headline::of_plan(plan)),
        Some(progress) => headline::of_progress(progress, setting.at),
    };
    let when = match progress {
        None => "This comment changes when it is done.".to_owned(),
        Some(progress) => progress_words(progress, setting.at),
    };
    let since = format!("Begun {}. {when}\n", clock(setting.at));
    framed(&title, &plan_footer(plan, setting, &since), |budget| {
        plan_body(plan, Some(setting), budget)
    })
}

/// What a part of the work did, while the rest waits for GitHub's limits.
pub fn slice_comment(report: &Report, setting: &Setting, progress: &Progress) -> String {
    let title = headline::of_progress(progress, setting.at);
    let words = format!(
        "Begun {}. {}\n",
        about(progress.begun, setting.at),
        progress_words(progress, setting.at)
    );
    let setting = &Setting {
        pull: None,
        ..*setting
    };
    framed(&title, &footer(None, setting, &words), |budget| {
        report_body(report, Some(setting), budget)
    })
}

pub(super) fn progress_words(progress: &Progress, now: Timestamp) -> String {
    let Progress { done, of, end, .. } = *progress;
    format!(
        "{done} of {} are done. GitHub limits how much may be created in a minute and in an hour; within that, the rest is done at about {}. This is brought up to date now and then.",
        counted(of, "tenant"),
        about(end, now)
    )
}

/// What stands in for a plan while the file has errors.
pub fn impossible_comment(findings: &[Diagnostic], setting: &Setting, file: &File) -> String {
    let title = format!("Plan: not possible, {}", counted(findings.len(), "error"));
    framed(&title, &footer(None, setting, ""), |budget| {
        let opening = format!(
            "Nothing of {} is planned or applied until this is corrected; what was accepted last stays as it is.\n\n",
            escape::code(setting.file)
        );
        let list = findings_list(findings, file, budget - opening.len());
        opening + &list
    })
}

/// The errors of a file, as far as they fit, each with its line.
pub(super) fn findings_list(findings: &[Diagnostic], file: &File, budget: usize) -> String {
    let lines = findings.iter().map(|finding| finding_line(finding, file));
    listed(lines, budget.saturating_sub(100), |left| {
        format!("- and {}\n", counted(left, "more error"))
    })
}

/// What failed, what is held and what is done, without the tenants' tables.
pub(super) fn report_summary(
    report: &Report,
    course: Option<&Course>,
    setting: &Setting,
) -> String {
    let first = [
        lockdown::section(&report.lockdown),
        notes::section(&report.notes),
    ]
    .concat();
    let summary = [
        course
            .map(|course| followed(report, course))
            .unwrap_or_default(),
        report_problems(report, Some(setting)),
        failures(report, Some(setting)),
        holds(report),
        done(report),
    ]
    .concat();
    if summary.is_empty() {
        first + "What the file wants is there already."
    } else {
        first + &summary
    }
}

/// What an apply did, what it did not, and what a person does about it; and how its tenants fare, if they are followed.
pub fn report_comment(report: &Report, course: Option<&Course>, setting: &Setting) -> String {
    let title = match course {
        Some(course) if report.verdict() == Verdict::Applied => {
            live::title(course, &did(report, course))
        }
        _ => format!(
            "{}{}",
            headline::of_report(report),
            retry_words(report, setting)
        ),
    };
    let setting = &Setting {
        pull: None,
        ..*setting
    };
    framed(&title, &footer(None, setting, ""), |budget| {
        let part = course.map(|course| followed(report, course));
        // It is replaced later on, by one that may be longer.
        let room = part.as_ref().map_or(0, |_| live::LONGEST);
        part.unwrap_or_default() + &report_body(report, Some(setting), budget - room)
    })
}

/// What the merge did to the tenants that are followed; an earlier try may have done it.
pub(super) fn did(report: &Report, course: &Course) -> String {
    if report.tenants.is_empty() && report.earlier == 0 {
        return counted(course.legs.len(), "tenant");
    }
    headline::applied_words(report)
}

/// The part that follows the tenants; the title follows them too, unless it has something worse to say.
fn followed(report: &Report, course: &Course) -> String {
    match report.verdict() {
        Verdict::Applied => live::part(course, Some(&did(report, course))),
        Verdict::Held | Verdict::Failed => live::part(course, None),
    }
}

/// The plan alone, whole however long it is: for a terminal's `--output markdown`.
pub fn plan_markdown(plan: &Plan) -> String {
    let body = plan_body(plan, None, usize::MAX);
    format!(
        "### Plan: {}\n\n{body}\nPlan `{}`\n",
        headline::of_plan(plan),
        fingerprint::of_plan(plan).short()
    )
}

/// The report alone.
pub fn report_markdown(report: &Report) -> String {
    let body = report_body(report, None, usize::MAX);
    format!("### {}\n\n{body}", headline::of_report(report))
}

/// After a merge: the file on the default branch cannot be used.
pub fn refused_comment(findings: &[Diagnostic], setting: &Setting, file: &File) -> String {
    let title = format!(
        "Failed: {} in the merged file",
        counted(findings.len(), "error")
    );
    framed(&title, &footer(None, setting, ""), |budget| {
        let opening = "Nothing was applied; what was accepted last stays as it is.\n\n".to_owned();
        let list = findings_list(findings, file, budget - opening.len());
        opening + &list
    })
}

/// The answer to `/tenantry help`.
pub fn help() -> String {
    let (plan, rotate, help) = (
        "/tenantry plan",
        "/tenantry rotate TENANT",
        "/tenantry help",
    );
    let [plan, rotate, help] = [plan, rotate, help].map(escape::code);
    format!(
        "{plan} plans again · {rotate} replaces the deploy key of a tenant · {help} shows this. All are for people with write access to this repository.\n"
    )
}

/// The answer to `/tenantry rotate`.
pub fn rotation(tenant: &TenantName, key: &Fingerprint, branch: &str) -> String {
    let [tenant, key, branch] = [tenant.as_str(), &key.0, branch].map(escape::code);
    let check = escape::code("tenantry/apply");
    format!(
        "A new deploy key takes the place of {key} of {tenant}, which goes once Flux has fetched with the new one. {check} on the last commit of {branch} says how far it is.\n"
    )
}

/// The answer to a command that cannot be obeyed.
pub fn refusal(reason: &str) -> String {
    format!("Not done: {}.\n", escape::message(reason))
}

/// What to do with `/tenantry`, at the foot of a plan.
pub const COMMANDS: &str = "<code>/tenantry plan</code> plans again · <code>/tenantry help</code>";

fn framed(title: &str, footer: &str, body: impl FnOnce(usize) -> String) -> String {
    let head = format!("{MARKER}\n### {title}\n\n");
    let rest = LONGEST - head.len() - footer.len() - 2;
    let text = format!("{head}{}\n{footer}", body(rest));
    debug_assert!(text.len() <= LONGEST, "{} bytes", text.len());
    text
}

fn plan_body(plan: &Plan, setting: Option<&Setting>, budget: usize) -> String {
    let mut body = [
        lockdown::section(&plan.lockdown),
        notes::section(&plan.notes),
        problems(plan.problems(), setting),
        counts_table(plan, setting),
        removals(plan, setting),
        wider(plan),
        order_of_work(plan, setting),
    ]
    .concat();
    let drift = drift(plan, setting);
    let left = budget.saturating_sub(body.len() + drift.len());
    body.push_str(&tenants(plan, setting, left));
    body + &drift
}

fn problems<'a>(
    problems: impl Iterator<Item = (&'a TenantName, &'a Problem)>,
    setting: Option<&Setting>,
) -> String {
    let lines: Vec<_> = problems
        .map(|(name, problem)| problem_line(name, problem, setting))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let list = listed(lines, PROBLEMS, |left| {
        format!(
            "> - and {}, each at its line in the check\n",
            counted(left, "more problem")
        )
    });
    format!(
        "> [!CAUTION]\n> **Held until it is corrected.** Each of these holds its own tenant and no other:\n{list}\n"
    )
}

fn problem_line(name: &TenantName, problem: &Problem, setting: Option<&Setting>) -> String {
    let line = setting.and_then(|setting| setting.lines.get(name));
    let line = line
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let help = what_to_do(problem.help.as_deref());
    format!(
        "> - {}{line}: {}{help}\n",
        escape::code(name.as_str()),
        escape::message(&problem.message)
    )
}

/// What to do, as a sentence after the finding's own.
fn what_to_do(help: Option<&str>) -> String {
    help.map(|help| format!(". {}", escape::message(&capitalized(help))))
        .unwrap_or_default()
}

fn counts_table(plan: &Plan, setting: Option<&Setting>) -> String {
    let tenants = headline::tenants(plan);
    let (github, cluster) = (
        headline::objects(plan, Side::GitHub),
        headline::objects(plan, Side::Cluster),
    );
    let adopts = github.adopted + cluster.adopted > 0;
    // A pull request reads only the tenants whose entry it changes.
    let untouched = if setting.is_some_and(|setting| setting.pull.is_some()) {
        format!("{} not touched", plan.unchanged.tenants)
    } else {
        plan.unchanged.tenants.to_string()
    };
    let adopted = |count: &str| {
        if adopts {
            format!(" {count} |")
        } else {
            String::new()
        }
    };
    let row = |name: &str, counts: headline::ObjectCounts, unchanged: usize| {
        let adopted = adopted(&counts.adopted.to_string());
        format!(
            "| {name} | {} | {} |{adopted} {} | {unchanged} |\n",
            counts.created,
            counts.changed,
            bold(counts.held)
        )
    };
    let mut table = format!(
        "| | ➕ create | ✏️ change |{} ⛔ held | unchanged |\n",
        adopted("🤝 adopt")
    );
    writeln!(
        table,
        "|:--|--:|--:|{}--:|--:|",
        if adopts { "--:|" } else { "" }
    )
    .expect("writing to a string");
    let (changed, held) = (
        tenants.changed + tenants.drifted,
        tenants.removed + tenants.wrong + tenants.locked_out,
    );
    writeln!(
        table,
        "| Tenants | {} | {changed} |{} {} | {untouched} |",
        tenants.added,
        adopted(""),
        bold(held)
    )
    .expect("writing to a string");
    table
        + &row("GitHub objects", github, plan.unchanged.github)
        + &row("Cluster objects", cluster, plan.unchanged.cluster)
        + "\n"
}

fn bold(count: usize) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("<b>{count}</b>")
    }
}

fn removals(plan: &Plan, setting: Option<&Setting>) -> String {
    let removed: Vec<_> = plan
        .tenants
        .iter()
        .filter(|(_, tenant)| tenant.action == TenantAction::Remove)
        .collect();
    if removed.is_empty() {
        return String::new();
    }
    let lines = removed.iter().map(|(name, tenant)| {
        let facts = facts(&tenant.facts, setting);
        let place = place(name, tenant.action, setting)
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        format!(
            "> - {}{place}{}\n",
            escape::code(name.as_str()),
            if facts.is_empty() {
                String::new()
            } else {
                format!(": {facts}")
            }
        )
    });
    let list = listed(lines, REMOVALS, |left| {
        format!("> - and {}\n", counted(left, "more removal"))
    });
    format!(
        "> [!CAUTION]\n> **{} held: no longer in the file, and everything stays.** This version removes, archives and revokes nothing.\n{list}> \n> To keep a tenant, put its entry back.\n\n",
        counted(removed.len(), "removal")
    )
}

fn facts(facts: &Facts, setting: Option<&Setting>) -> String {
    let push = facts.last_push.map(|at| match setting {
        Some(setting) => format!("last push {}", ago(at, setting.at)),
        None => format!("last push {}", at.strftime("%Y-%m-%d")),
    });
    let inventory = facts
        .inventory
        .map(|count| format!("Flux runs <b>{}</b> for it", counted(count, "object")));
    let pulls = facts.open_pulls.filter(|count| *count > 0).map(|count| {
        counted(
            usize::try_from(count).unwrap_or(usize::MAX),
            "open pull request",
        )
    });
    [inventory, push, pulls]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn wider(plan: &Plan) -> String {
    let mut list = List::within(WIDER);
    for (name, tenant) in &plan.tenants {
        let mut wanted = None;
        let is_wider = |step: &&Step| step.announces_wider_access();
        for step in tenant.steps.iter().filter(is_wider) {
            list.add(|| {
                let wanted = wanted.get_or_insert_with(|| tenant.wanted());
                let sentence = sentence(step, wanted);
                format!("> - {}: {sentence}\n", escape::code(name.as_str()))
            });
        }
    }
    if list.is_empty() {
        return String::new();
    }
    let list = list.finish(|left| format!("> - and {}, below\n", counted(left, "more step")));
    format!(
        "> [!WARNING]\n> **Wider access** to what exists already, done at the merge because it is announced here:\n{list}\n"
    )
}

/// A row as one sentence, with its fields.
fn sentence(step: &Step, wanted: &Objects) -> String {
    let row = rows::each([step], wanted).remove(0);
    let says = if row.says.is_empty() {
        String::new()
    } else {
        format!(" {}", row.says.html())
    };
    let fields = capped(&row.fields).join(", ");
    let between = if fields.is_empty() { "" } else { ": " };
    format!("{}{says}{between}{fields}", row.object.html())
}

fn order_of_work(plan: &Plan, setting: Option<&Setting>) -> String {
    let run = plan
        .steps()
        .map(|(_, step)| step)
        .filter(|step| step.hold.is_none() && !rows::is_memory(&step.id));
    let work = rows::order_of_work(run)
        .into_iter()
        .map(|(count, noun)| match noun {
            "team" => counted(count, "team permission"),
            noun => counted(count, noun),
        });
    let work: Vec<_> = work.collect();
    if work.is_empty() {
        return String::new();
    }
    let when = if setting.is_some() {
        "On merge"
    } else {
        "When applied"
    };
    format!(
        "**{when}, each tenant by itself and in this order:** {}.\nA step that fails stops its own tenant only; it is tried again.\n\n",
        work.join(" → ")
    )
}

/// Each tenant once, removals first, then what is wrong, then by name.
fn tenants(plan: &Plan, setting: Option<&Setting>, budget: usize) -> String {
    let mut shown: Vec<_> = plan
        .tenants
        .iter()
        .filter(|(_, tenant)| tenant.action != TenantAction::Drift || !tenant.problems.is_empty())
        .collect();
    shown.sort_by_key(|(_, tenant)| {
        (
            tenant.action != TenantAction::Remove,
            tenant.problems.is_empty(),
        )
    });
    let items: Vec<_> = shown
        .iter()
        .map(|(name, tenant)| {
            let (github, cluster) = (
                side_count(tenant, Side::GitHub),
                side_count(tenant, Side::Cluster),
            );
            item(
                headline::action_word(tenant),
                name,
                (github, cluster),
                place(name, tenant.action, setting),
            )
        })
        .collect();
    fit::place(&items, budget, |index| {
        let (_, tenant) = shown[index];
        let steps = tenant.steps.iter().filter(|step| !is_drift(tenant, step));
        let rows = rows::grouped(rows::shown(steps), &tenant.wanted());
        block(&items[index], &rows, setting)
    })
}

fn is_drift(tenant: &TenantPlan, step: &Step) -> bool {
    step.cause == Cause::Drift
        && tenant.action != TenantAction::Remove
        && step.hold != Some(Hold::Problem)
}

fn side_count(tenant: &TenantPlan, side: Side) -> usize {
    tenant
        .steps
        .iter()
        .filter(|step| {
            step.id.side() == side && !rows::is_memory(&step.id) && !is_drift(tenant, step)
        })
        .count()
}

/// `line 12`, or `line 88 of the base file`.
fn place(name: &TenantName, action: TenantAction, setting: Option<&Setting>) -> Option<String> {
    let setting = setting?;
    match action {
        TenantAction::Remove => setting
            .base_lines
            .get(name)
            .map(|line| format!("was line {line}")),
        TenantAction::Add | TenantAction::Change | TenantAction::Drift => {
            setting.lines.get(name).map(|line| format!("line {line}"))
        }
    }
}

fn item(
    (mark, word): (&str, &str),
    name: &TenantName,
    (github, cluster): (usize, usize),
    place: Option<String>,
) -> Item {
    let group = format!("{mark} {word}");
    let name = escape::code(name.as_str());
    let row = format!(
        "| {group} | {name} | {github} | {cluster} | {} |",
        place.as_deref().unwrap_or_default()
    );
    let place = place.map(|place| format!(" · {place}")).unwrap_or_default();
    Item {
        summary: format!(
            "{mark} {word} <b>{name}</b> · GitHub {github} · cluster {cluster}{place}"
        ),
        group,
        row,
        name,
    }
}

fn block(item: &Item, rows: &[Row], setting: Option<&Setting>) -> String {
    let mut text = format!(
        "<details><summary>{}</summary>\n\n| | Object | What |\n|:--|:--|:--|\n",
        item.summary
    );
    let most = if setting.is_some() { ROWS } else { usize::MAX };
    for row in rows.iter().take(most) {
        text.push_str(&table_row(row));
    }
    if rows.len() > most {
        writeln!(
            text,
            "| … | {} | in the check |",
            counted(rows.len() - most, "more line")
        )
        .expect("writing to a string");
    }
    text + "\n</details>\n"
}

fn table_row(row: &Row) -> String {
    let says = Some(row.says.html()).filter(|says| !says.is_empty());
    let wider = row.wider.then(|| "🔓 wider access".to_owned());
    let what: Vec<_> = says
        .into_iter()
        .chain(capped(&row.fields))
        .chain(wider)
        .collect();
    format!(
        "| {} {} | {} | {} |\n",
        row.mark.emoji(),
        row.mark.word(),
        row.object.html(),
        what.join("<br>")
    )
}

fn capped(fields: &[Phrase]) -> Vec<String> {
    let mut shown: Vec<_> = fields.iter().take(FIELDS).map(Phrase::html).collect();
    if fields.len() > FIELDS {
        shown.push(format!(
            "and {}",
            counted(fields.len() - FIELDS, "more field")
        ));
    }
    shown
}

fn drift(plan: &Plan, setting: Option<&Setting>) -> String {
    let (mut list, mut count) = (
        List::within(if setting.is_some() { DRIFT } else { usize::MAX }),
        0,
    );
    for (name, tenant) in &plan.tenants {
        let mut wanted = None;
        let drift = tenant.steps.iter().filter(|step| is_drift(tenant, step));
        for step in rows::shown(drift) {
            count += 1;
            list.add(|| {
                let wanted = wanted.get_or_insert_with(|| tenant.wanted());
                let (mark, sentence) = (Mark::of(step), sentence(step, wanted));
                let (sign, word, name) = (mark.emoji(), mark.word(), escape::code(name.as_str()));
                format!("- {sign} {word} {name}: {sentence}\n")
            });
        }
    }
    if count == 0 {
        return String::new();
    }
    let list = list.finish(|left| format!("- and {}\n", counted(left, "more")));
    let whose = if setting.is_some() {
        "that this pull request does not cause"
    } else {
        "that no edit of the file caused"
    };
    format!(
        "\n<details><summary>Drift {whose} ({count})</summary>\n\n{list}\nSomebody changed these by hand. What is not held is put back.\n</details>\n",
    )
}

fn report_body(report: &Report, setting: Option<&Setting>, budget: usize) -> String {
    let body = [
        lockdown::section(&report.lockdown),
        notes::section(&report.notes),
        report_problems(report, setting),
        failures(report, setting),
        holds(report),
        done(report),
    ]
    .concat();
    let mut shown: Vec<_> = report.tenants.iter().collect();
    shown.sort_by_key(|(_, tenant)| std::cmp::Reverse(tenant.verdict()));
    let items: Vec<_> = shown
        .iter()
        .map(|(name, tenant)| {
            let count = |side| {
                tenant
                    .outcomes
                    .iter()
                    .filter(|(step, _)| step.id.side() == side && !rows::is_memory(&step.id))
                    .count()
            };
            item(
                headline::outcome_word(tenant),
                name,
                (count(Side::GitHub), count(Side::Cluster)),
                place(name, tenant.action, setting),
            )
        })
        .collect();
    let tenants = fit::place(&items, budget.saturating_sub(body.len()), |index| {
        let (_, tenant) = shown[index];
        let outcomes = rows::shown_outcomes(&tenant.outcomes);
        let rows = rows::grouped_outcomes(outcomes, &tenant.wanted());
        block(&items[index], &rows, setting)
    });
    body + &tenants
}

fn report_problems(report: &Report, setting: Option<&Setting>) -> String {
    let found = report
        .tenants
        .iter()
        .flat_map(|(name, tenant)| tenant.problems.iter().map(move |problem| (name, problem)));
    problems(found, setting)
}

fn failures(report: &Report, setting: Option<&Setting>) -> String {
    let failed = report
        .tenants
        .iter()
        .flat_map(|(name, tenant)| failed_steps(tenant).map(move |found| (name, found)));
    let lines: Vec<_> = failed.map(|(name, (step, error, retry))| {
        let next = match retry {
            Retry::Useful => "It is tried again.",
            Retry::Useless => "Trying again does not help: a person corrects it; then the next comparison goes on.",
        };
        format!("> - {}: {}: {}. {next}\n",
                escape::code(name.as_str()),
                rows::object(step).html(), escape::message(error.trim_end_matches('.')))
    }).collect();
    if lines.is_empty() {
        return String::new();
    }
    let list = listed(lines, PROBLEMS, |left| {
        format!("> - and {}\n", counted(left, "more failure"))
    });
    let when = setting
        .and_then(|setting| setting.retry_at)
        .filter(|_| report.worth_retrying().next().is_some());
    let when = when
        .map(|at| format!("> \n> Next try: {}.\n", clock(at)))
        .unwrap_or_default();
    format!(
        "> [!CAUTION]\n> **Not done.** The rest of the same tenant waits; the other tenants went on.\n{list}{when}\n"
    )
}

fn failed_steps(tenant: &TenantReport) -> impl Iterator<Item = (&Step, &str, Retry)> {
    tenant
        .outcomes
        .iter()
        .filter_map(|(step, outcome)| match outcome {
            Outcome::Failed { error, retry } => Some((step, error.as_str(), *retry)),
            Outcome::Done | Outcome::Skipped { .. } | Outcome::Held(_) | Outcome::Waiting => None,
        })
}

/// What waits for a person, by reason; the objects stand in the tenants' tables.
fn holds(report: &Report) -> String {
    let mut counts: BTreeMap<Hold, usize> = BTreeMap::new();
    for (step, outcome) in report.tenants.values().flat_map(|tenant| &tenant.outcomes) {
        if let Outcome::Held(hold) = outcome
            && !rows::is_memory(&step.id)
        {
            *counts.entry(*hold).or_default() += 1;
        }
    }
    // Said above, with the problem itself and with what Flux lacks.
    counts.remove(&Hold::Problem);
    counts.remove(&Hold::NotLockedDown);
    if counts.is_empty() {
        return String::new();
    }
    let lines = counts.into_iter().map(|(hold, count)| {
        format!(
            "> - {}: {}. {}\n",
            counted(count, "object"),
            rows::hold_words(hold),
            rows::way_out(hold)
        )
    });
    format!(
        "> [!IMPORTANT]\n> **Held**, for a person to decide:\n{}\n",
        lines.collect::<String>()
    )
}

fn done(report: &Report) -> String {
    let steps = report.tenants.values().flat_map(|tenant| &tenant.outcomes);
    let done = steps
        .filter(|(step, outcome)| *outcome == Outcome::Done && !rows::is_memory(&step.id))
        .map(|(step, _)| step);
    let work: Vec<_> = rows::order_of_work(done)
        .into_iter()
        .map(|(count, noun)| match noun {
            "team" => counted(count, "team permission"),
            noun => counted(count, noun),
        })
        .collect();
    if work.is_empty() {
        String::new()
    } else {
        format!("**Done:** {}.\n\n", work.join(", "))
    }
}

fn retry_words(report: &Report, setting: &Setting) -> String {
    match setting.retry_at {
        Some(at)
            if report.verdict() == Verdict::Failed && report.worth_retrying().next().is_some() =>
        {
            format!(" · next try {}", clock(at))
        }
        _ => String::new(),
    }
}

fn finding_line(finding: &Diagnostic, file: &File) -> String {
    let related = finding.related.as_ref().map(|(span, label)| {
        format!(
            "; line {}: {}",
            file.position(span.start).line,
            escape::message(label)
        )
    });
    let help = what_to_do(finding.help.as_deref());
    format!(
        "- line {}: {}{}{}\n",
        file.position(finding.span.start).line,
        escape::message(&finding.message),
        related.unwrap_or_default(),
        help
    )
}

fn plan_footer(plan: &Plan, setting: &Setting, promise: &str) -> String {
    footer(Some(fingerprint::of_plan(plan).short()), setting, promise)
}

fn footer(fingerprint: Option<String>, setting: &Setting, words: &str) -> String {
    let commit = |commit: &str| escape::code(short_commit(commit));
    let mut parts = Vec::new();
    parts.extend(fingerprint.map(|short| format!("Plan {}", escape::code(&short))));
    parts.push(match setting.pull {
        Some(_) if setting.head != setting.base => format!(
            "{} merged onto {} {}",
            commit(setting.head),
            escape::code(setting.base_branch),
            commit(setting.base)
        ),
        Some(_) | None => format!(
            "{} on {}",
            commit(setting.head),
            escape::code(setting.base_branch)
        ),
    });
    parts.push(clock(setting.at));
    parts.extend(
        setting
            .details
            .filter(|url| is_plain_link(url))
            .map(|url| format!("[every detail]({url})")),
    );
    parts.extend(
        setting
            .before
            .map(|(short, at)| format!("before: {} ({})", escape::code(short), clock(at))),
    );
    format!(
        "---\n{words}<sub>{}</sub>\n<sub>{COMMANDS}</sub>\n",
        parts.join(" · ")
    )
}

fn is_plain_link(url: &str) -> bool {
    url.starts_with("http")
        && url
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~:/?#%=&+".contains(c))
        && url.len() < 500
}

/// As many lines as fit, and how many did not; those are not even made.
fn listed(
    lines: impl IntoIterator<IntoIter: ExactSizeIterator<Item = String>>,
    budget: usize,
    more: impl Fn(usize) -> String,
) -> String {
    let mut lines = lines.into_iter();
    let mut list = String::new();
    while let Some(line) = lines.next() {
        if list.len() + line.len() > budget {
            return list + &more(lines.len() + 1);
        }
        list.push_str(&line);
    }
    list
}

/// The same, a line at a time.
struct List {
    text: String,
    budget: usize,
    left: usize,
}

impl List {
    fn within(budget: usize) -> Self {
        Self {
            text: String::new(),
            budget,
            left: 0,
        }
    }

    fn add(&mut self, line: impl FnOnce() -> String) {
        if self.left == 0 {
            let line = line();
            if self.text.len() + line.len() <= self.budget {
                self.text.push_str(&line);
                return;
            }
        }
        self.left += 1;
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.left == 0
    }

    fn finish(self, more: impl Fn(usize) -> String) -> String {
        match self.left {
            0 => self.text,
            left => self.text + &more(left),
        }
    }
}
