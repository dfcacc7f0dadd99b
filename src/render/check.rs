//! A check run's conclusion and texts, within GitHub's limits.

use crate::live::course::Course;
use crate::plan::{Plan, Promise};
use crate::render::annotations::File;
use crate::render::comment::{self, Setting};
use crate::render::tree::{self, Color};
use crate::render::{capitalized, counted, escape, headline, live, lockdown, notes, short_commit};
use crate::report::{Report, Told, Verdict};
use crate::tenants::diagnostic::Diagnostic;

/// Characters of a title that GitHub shows in a list without cutting it.
const LONGEST_TITLE: usize = 100;
/// GitHub takes 65,535 characters of `summary` and as many of `text`; counted in bytes here.
const LONGEST_TEXT: usize = 65_000;

/// How the titles of checks begin where nothing was applied.
const NOT_POSSIBLE: &str = "Not possible";
const NOT_APPLIED: &str = "Not applied";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    pub conclusion: Conclusion,
    pub title: String,
    pub summary: String,
    pub text: String,
}

/// What a check run shows while it is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underway {
    pub title: String,
    pub summary: String,
    pub text: String,
}

crate::words::words! {
    /// How a check run ends, in the API's words.
    Conclusion {
        Success = "success",
        Failure = "failure",
        ActionRequired = "action_required",
        Neutral = "neutral",
    }
}

/// The plan of a pull request, a branch or a merge group; its text carries the [`Promise`].
pub fn plan_check(plan: &Plan) -> CheckText {
    let (wrong, locked_out) = (plan.problems().count(), plan.locked_out().count());
    let conclusion = if wrong == 0 && locked_out == 0 {
        Conclusion::Success
    } else {
        Conclusion::Failure
    };
    let mut summary = match wrong {
        0 if plan.is_empty() => "What the file wants is there already.".to_owned(),
        0 => "This is what the merge does, or less.".to_owned(),
        wrong => format!(
            "{}, each at its line, and each holding its own tenant and no other.",
            counted(wrong, "problem")
        ),
    };
    summary.push_str(" Removals are shown and not done yet.\n\n");
    summary.push_str(&lockdown::section(&plan.lockdown));
    summary.insert_str(0, &notes::section(&plan.notes));
    CheckText {
        conclusion,
        title: capitalized(&headline::of_plan_within(plan, LONGEST_TITLE)),
        summary: summary.trim_end().to_owned(),
        text: full(
            &Promise::of(plan).to_marker(),
            &tree::of_plan_until(LONGEST_TEXT, plan, Color::Never),
        ),
    }
}

impl CheckText {
    /// The same before it has come to its end.
    pub fn underway(self) -> Underway {
        Underway {
            title: self.title,
            summary: self.summary,
            text: self.text,
        }
    }
}

/// Something that is done soon.
pub fn begun_check(title: &str) -> Underway {
    Underway {
        title: title.to_owned(),
        summary: format!("{}.", escape::message(title)),
        text: String::new(),
    }
}

/// A merge that takes long; its text carries what was [`Told`].
pub fn progress_check(told: &Told) -> Underway {
    Underway {
        title: headline::of_progress(&told.progress, told.at),
        summary: comment::progress_words(&told.progress, told.at),
        text: told.to_marker(),
    }
}

/// The file has errors, and there is no plan; each error is an annotation too.
pub fn impossible_check(findings: &[Diagnostic], file: &File) -> CheckText {
    let errors = counted(findings.len(), "error");
    CheckText {
        conclusion: Conclusion::Failure,
        title: format!("{NOT_POSSIBLE}: {errors}"),
        summary: format!(
            "{errors} in {}. Nothing of it is applied; what was accepted last stays.",
            escape::code(file.path)
        ),
        text: comment::findings_list(findings, file, LONGEST_TEXT),
    }
}

/// Whether a check with this title says that the file, or the whole of the work, was refused.
pub fn is_refusal(title: &str) -> bool {
    title.starts_with(NOT_POSSIBLE) || title == NOT_APPLIED
}

/// The commit leaves the file as it was.
pub fn untouched_check(file: &str) -> CheckText {
    plain(
        Conclusion::Success,
        "The file is not touched",
        &format!("{} is as it was.", escape::code(file)),
    )
}

/// The pull request goes to a branch that is not applied.
pub fn elsewhere_check(base: &str, default: &str) -> CheckText {
    let summary = format!(
        "{} is not applied; {} is.",
        escape::code(base),
        escape::code(default)
    );
    plain(
        Conclusion::Success,
        "Nothing is applied from this branch",
        &summary,
    )
}

/// GitHub cannot merge the pull request.
pub fn conflict_check(file: &str) -> CheckText {
    let summary = format!(
        "The pull request conflicts with its base, so there is no result to plan: resolve the conflict. It touches {}.",
        escape::code(file)
    );
    plain(Conclusion::Failure, "Resolve the conflict", &summary)
}

/// GitHub has not said within a reasonable time whether it can merge.
pub fn unmerged_check() -> CheckText {
    let summary = "GitHub has not made a merge commit of this head and its base. Comment <code>/tenantry plan</code> to look again.";
    plain(Conclusion::Failure, "GitHub made no merge commit", summary)
}

/// Something outside the file kept the plan from being made.
pub fn not_planned_check(error: &str) -> CheckText {
    let summary = format!("It is tried again by itself. {}", escape::message(error));
    plain(Conclusion::Failure, "Not planned", &summary)
}

/// Something outside the file kept the merge from being applied.
pub fn not_applied_check(error: &str) -> CheckText {
    let summary = format!(
        "Nothing was changed; it is tried again by itself. {}",
        escape::message(error)
    );
    plain(Conclusion::Failure, NOT_APPLIED, &summary)
}

/// The work on this commit was left to a newer one.
pub fn superseded_check(by: &str) -> CheckText {
    let by = short_commit(by);
    plain(
        Conclusion::Neutral,
        &format!("Superseded by {by}"),
        &format!(
            "{} came before this was done; its check has the outcome.",
            escape::code(by)
        ),
    )
}

/// How an apply ends.
pub fn conclusion(verdict: Verdict) -> Conclusion {
    match verdict {
        Verdict::Applied => Conclusion::Success,
        Verdict::Held => Conclusion::ActionRequired,
        Verdict::Failed => Conclusion::Failure,
    }
}

/// What an apply did, and how its tenants fare, if they are followed: while they are on their way, it is shown without
/// its conclusion.
pub fn report_check(report: &Report, course: Option<&Course>, setting: &Setting) -> CheckText {
    let of_course = course.and_then(|course| live::conclusion(&course.turn));
    let conclusion = match report.verdict() {
        Verdict::Applied => of_course.unwrap_or(Conclusion::Success),
        verdict @ (Verdict::Held | Verdict::Failed) => conclusion(verdict),
    };
    let title = match course {
        Some(course) if report.verdict() == Verdict::Applied => {
            live::plain_title(course, &comment::did(report, course))
        }
        _ => headline::of_report(report),
    };
    CheckText {
        conclusion,
        title: title.chars().take(LONGEST_TITLE).collect(),
        summary: comment::report_summary(report, course, setting),
        text: full(
            "",
            &tree::of_report_until(LONGEST_TEXT, report, Color::Never),
        ),
    }
}

fn plain(conclusion: Conclusion, title: &str, summary: &str) -> CheckText {
    CheckText {
        conclusion,
        title: title.to_owned(),
        summary: summary.to_owned(),
        text: String::new(),
    }
}

/// In a `<pre>` and not in a fence, which text could close; cut between lines, and saying so.
fn full(marker: &str, tree: &str) -> String {
    const NOTE: &str =
        "</pre>\n\nCut here: GitHub takes no longer text. `tenantry plan` prints the whole.\n";
    let mut text = format!("{marker}\n<pre>\n");
    let lines = escape::preformatted(tree);
    for line in lines.split_inclusive('\n') {
        if text.len() + line.len() + NOTE.len() > LONGEST_TEXT {
            return text + NOTE;
        }
        text.push_str(line);
    }
    text + "</pre>\n"
}
