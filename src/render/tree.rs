//! A plan or report on a terminal: tenants, their objects, and the fields that change.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::flux::lockdown::Standing;
use crate::object::Side;
use crate::observed::{Facts, Note, Problem};
use crate::plan::{Cause, Plan, fingerprint};
use crate::render::escape::visible;
use crate::render::rows::{self, Mark, Row};
use crate::render::{headline, lockdown, notes};
use crate::report::Report;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Always,
    Never,
}

/// The whole plan, and its counts at the end.
pub fn of_plan(plan: &Plan, color: Color) -> String {
    of_plan_until(usize::MAX, plan, color)
}

/// The same, ended by the first tenant after so many bytes: for those who take no more.
pub(super) fn of_plan_until(enough: usize, plan: &Plan, color: Color) -> String {
    let mut tree = Tree {
        text: String::new(),
        color,
    };
    tree.lockdown(&plan.lockdown);
    tree.notes(&plan.notes);
    for (name, tenant) in &plan.tenants {
        if tree.text.len() > enough {
            return tree.text;
        }
        let (_, word) = headline::action_word(tenant);
        tree.tenant(name.as_str(), word, &tenant.facts);
        tree.problems(&tenant.problems);
        let shown = rows::shown(tenant.steps.iter());
        let drift: Vec<_> = shown
            .iter()
            .map(|step| step.cause == Cause::Drift)
            .collect();
        tree.rows(&rows::each(shown, &tenant.wanted()), &drift);
    }
    tree.counts(plan);
    tree.text
}

/// What was done of each tenant.
pub fn of_report(report: &Report, color: Color) -> String {
    of_report_until(usize::MAX, report, color)
}

/// The same, ended by the first tenant after so many bytes.
pub(super) fn of_report_until(enough: usize, report: &Report, color: Color) -> String {
    let mut tree = Tree {
        text: String::new(),
        color,
    };
    tree.lockdown(&report.lockdown);
    tree.notes(&report.notes);
    for (name, tenant) in &report.tenants {
        if tree.text.len() > enough {
            return tree.text;
        }
        let (_, word) = headline::outcome_word(tenant);
        tree.tenant(name.as_str(), word, &tenant.facts);
        tree.problems(&tenant.problems);
        let outcomes = rows::shown_outcomes(&tenant.outcomes);
        let rows = rows::each_outcome(outcomes, &tenant.wanted());
        tree.rows(&rows, &vec![false; rows.len()]);
    }
    tree.line(&format!("{}.", headline::of_report(report)));
    tree.text
}

struct Tree {
    text: String,
    color: Color,
}

impl Tree {
    fn lockdown(&mut self, standing: &Standing) {
        let lines = lockdown::lines(standing);
        let mark = match standing {
            standing if standing.shuts_out() => self.painted("error:", "31"),
            _ => self.painted("warning:", "33"),
        };
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                self.line(&format!("{mark} {line}"));
            } else {
                self.line(line);
            }
        }
        if !lines.is_empty() {
            self.line("");
        }
    }

    fn tenant(&mut self, name: &str, word: &str, facts: &Facts) {
        let name = self.painted(&visible(name), "1");
        self.line(&format!("{name}  {word}"));
        if let Some(count) = facts.inventory {
            self.line(&format!(
                "  Flux runs {} for it",
                crate::render::counted(count, "object")
            ));
        }
        if let Some(at) = facts.last_push {
            self.line(&format!("  last push {}", at.strftime("%Y-%m-%d")));
        }
        if let Some(count) = facts.open_pulls.filter(|count| *count > 0) {
            self.line(&format!("  {count} open pull requests"));
        }
    }

    fn notes(&mut self, notes: &BTreeSet<Note>) {
        for note in notes {
            let mark = self.painted("warning:", "33");
            let said = notes::lines(note).join("\n");
            self.line(&format!("{mark} {said}"));
        }
    }

    fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            let mark = self.painted("error:", "31");
            self.line(&format!("  {mark} {}", visible(&problem.message)));
            if let Some(help) = &problem.help {
                self.line(&format!("  hint: {}", visible(help)));
            }
        }
    }

    fn rows(&mut self, rows: &[Row], drift: &[bool]) {
        for (index, (row, drift)) in rows.iter().zip(drift).enumerate() {
            let last = index + 1 == rows.len();
            let sign = self.painted(&row.mark.sign().to_string(), hue(row.mark));
            let mut words = format!("{} {}", row.mark.word(), row.object.plain());
            if !row.says.is_empty() {
                write!(words, "  {}", row.says.plain()).expect("writing to a string");
            }
            if row.wider {
                words.push_str("  (wider access)");
            }
            if *drift {
                words.push_str("  (drift)");
            }
            self.line(&format!(
                "{} {sign} {words}",
                if last { "└─" } else { "├─" }
            ));
            for field in &row.fields {
                self.line(&format!(
                    "{}      {}",
                    if last { " " } else { "│" },
                    field.plain()
                ));
            }
        }
        self.line("");
    }

    fn counts(&mut self, plan: &Plan) {
        let plural = |side, name: &str| {
            let counts = headline::objects(plan, side);
            let mut line = format!(
                "{name}: {} to create, {} to change",
                counts.created, counts.changed
            );
            if counts.adopted > 0 {
                write!(line, ", {} to adopt", counts.adopted).expect("writing to a string");
            }
            format!("{line}, {} held", counts.held)
        };
        self.line(&format!(
            "Plan: {}.",
            headline::of_plan_within(plan, usize::MAX)
        ));
        if !plan.is_empty() {
            self.line(&plural(Side::GitHub, "GitHub"));
            self.line(&plural(Side::Cluster, "Cluster"));
            self.line(&format!(
                "Fingerprint {}",
                fingerprint::of_plan(plan).short()
            ));
        }
    }

    fn painted(&self, text: &str, hue: &str) -> String {
        match self.color {
            Color::Always => format!("\u{1b}[{hue}m{text}\u{1b}[0m"),
            Color::Never => text.to_owned(),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// A colour by its number in ECMA-48's SGR.
fn hue(mark: Mark) -> &'static str {
    match mark.sign() {
        _ if matches!(mark, Mark::Held(_) | Mark::Skipped(_)) => "35",
        '+' | '✓' => "32",
        '-' | '✗' => "31",
        _ => "33",
    }
}
