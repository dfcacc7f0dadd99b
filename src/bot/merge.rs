//! Makes live what the default branch wants, and says what came of it.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::apply::{self, Hands};
use crate::bot::control::{Control, Target};
use crate::bot::job::Reconcile;
use crate::bot::pull_request::{lines, missing_file, new_check};
use crate::bot::{APPLY_CHECK, Bot, Job, PLAN_CHECK, Work, word};
use crate::compare::{self, Draft, File as Soundness, Scope};
use crate::github::{CheckRun, NewCheck, PullOfCommit};
use crate::object::ObjectId;
use crate::plan::{self, Consent, Effect, Plan, Promise};
use crate::queue::Next;
use crate::render::annotations::{self, File};
use crate::render::check;
use crate::render::comment::{self, Setting};
use crate::report::{Report, Verdict};
use crate::tenants::Parsed;
use crate::tenants::diagnostic::Diagnostic;

/// One reconcile: where the default branch stands, and who waits for the outcome.
struct Round<'a> {
    control: &'a Control,
    tip: &'a str,
    /// Our check on the tip, as an earlier round left it.
    check: Option<CheckRun>,
    /// Merged pull requests, whose comments tell the outcome.
    pulls: BTreeSet<PullOfCommit>,
}

impl Bot {
    pub(super) async fn reconcile(
        &self,
        control: &Control,
        wanted: &Reconcile,
    ) -> anyhow::Result<Next<Job>> {
        let tip = self
            .reader(control)
            .branch_tip(&control.repository, &control.default_branch)
            .await?;
        let tip = tip.with_context(|| {
            format!(
                "the control repo `{}` has no commit yet",
                control.repository
            )
        })?;
        let round = self.round(control, &tip, wanted).await?;
        let path = &self.shared.setup.tenants_file;
        let text = self
            .reader(control)
            .file(&control.repository, path, &tip)
            .await?;
        let Some(text) = text else {
            return self
                .refuse(&round, &[missing_file(path)], &File { path, text: "" })
                .await;
        };
        let parsed = self.parse(control, &text);
        if !parsed.findings.is_empty() {
            return self
                .refuse(&round, &parsed.findings, &File { path, text: &text })
                .await;
        }
        let report = match self.make_live(&round, &parsed, wanted).await {
            Ok(report) => report,
            Err(error) => {
                self.fail(&round, &error).await?;
                return Err(error);
            }
        };
        self.conclude_merge(
            &round,
            &parsed,
            &File { path, text: &text },
            &report,
            wanted,
        )
        .await?;
        if wanted.replan {
            self.replan(control).await?;
        }
        Ok(self.next(control, &report, wanted))
    }

    async fn round<'a>(
        &self,
        control: &'a Control,
        tip: &'a str,
        wanted: &Reconcile,
    ) -> anyhow::Result<Round<'a>> {
        let reader = self.reader(control);
        let check = reader
            .check_run(&control.repository, tip, APPLY_CHECK, self.shared.app.id)
            .await?;
        for commit in wanted.commits.iter().filter(|commit| *commit != tip) {
            let text = check::superseded_check(tip);
            self.write_check(control, &new_check(APPLY_CHECK, commit, text))
                .await?;
        }
        let mut commits = wanted.commits.clone();
        commits.retain(|commit| commit != tip);
        commits.push(tip.to_owned());
        let pulls = reader.pulls_with(&control.repository, &commits).await?;
        Ok(Round {
            control,
            tip,
            check,
            pulls: pulls.into_values().flatten().collect(),
        })
    }

    /// Compares and applies, a few times if something failed that may pass.
    async fn make_live(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        wanted: &Reconcile,
    ) -> anyhow::Result<Report> {
        let target = self
            .target(round.control, &parsed.sound.organization)
            .await?;
        let mut scope = if wanted.everything {
            Scope::Everything
        } else {
            Scope::Changed
        };
        let mut waits = self.shared.setup.pace.tries.iter();
        let mut report = Report::default();
        loop {
            let eyes = self.eyes(&target);
            let draft =
                compare::tenants(eyes, &parsed.sound, Soundness::Sound, scope, round.tip).await?;
            report.absorb(self.apply(round, &target, draft, parsed).await?);
            let worth_it = report.worth_retrying().next().is_some();
            match waits.next().filter(|_| worth_it) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Ok(report),
            }
            scope = Scope::Changed;
        }
    }

    async fn apply(
        &self,
        round: &Round<'_>,
        target: &Target,
        draft: Draft,
        parsed: &Parsed,
    ) -> anyhow::Result<Report> {
        let consent = self.consent(round, &draft.plan).await?;
        let plan = plan::approve(draft.plan, &consent);
        if plan.plan().steps().any(|(_, step)| step.hold.is_none()) {
            self.announce(round, plan.plan(), parsed).await?;
        }
        let makes_keys = plan.plan().steps().any(|(_, step)| {
            matches!(step.id, ObjectId::Credentials { .. }) && step.hold.is_none()
        });
        let known_hosts = match makes_keys {
            true => {
                self.shared
                    .github
                    .known_hosts(&target.surroundings.git_host, target.installation)
                    .await?
            }
            false => String::new(),
        };
        let hands = Hands {
            github: &target.writer,
            cluster: &self.shared.cluster,
            surroundings: &target.surroundings,
            known_hosts: &known_hosts,
            now: super::now(),
        };
        Ok(apply::run(hands, plan, draft.known).await)
    }

    /// What the plan comments of the merged pull requests announced; asked for only where it matters.
    async fn consent(&self, round: &Round<'_>, plan: &Plan) -> anyhow::Result<Consent> {
        if !plan.steps().any(|(_, step)| step.effect == Effect::Wider) {
            return Ok(Consent::None);
        }
        let reader = self.reader(round.control);
        let mut promises = Vec::new();
        for pull in &round.pulls {
            let run = reader
                .check_run(
                    &round.control.repository,
                    &pull.head,
                    PLAN_CHECK,
                    self.shared.app.id,
                )
                .await?;
            let text = run.and_then(|run| run.output.text);
            promises.extend(text.as_deref().and_then(Promise::from_marker));
        }
        Ok(if promises.is_empty() {
            Consent::None
        } else {
            Consent::Announced(promises)
        })
    }

    /// Says that the work has begun.
    async fn announce(
        &self,
        round: &Round<'_>,
        plan: &Plan,
        parsed: &Parsed,
    ) -> anyhow::Result<()> {
        self.begin(round.control, round.tip, APPLY_CHECK, "Applying")
            .await?;
        let lines = lines(parsed);
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::progress_comment(plan, &setting);
            self.edit_comment(round.control, pull.number, text).await?;
        }
        Ok(())
    }

    /// Says what came of it, unless that is what the check says already and nothing was done.
    async fn conclude_merge(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        file: &File<'_>,
        report: &Report,
        wanted: &Reconcile,
    ) -> anyhow::Result<()> {
        let retry_at = self.retry_at(report, wanted);
        let lines = lines(parsed);
        let text = check::report_check(report, &self.merge_setting(round, None, &lines, retry_at));
        let said = round
            .check
            .as_ref()
            .and_then(|run| run.conclusion.as_deref());
        let verdict = report.verdict();
        if said == Some(text.conclusion.as_str()) && !report.did_something() {
            tracing::info!(repository = %round.control.repository, verdict = word(verdict), "nothing new");
            return Ok(());
        }
        tracing::info!(repository = %round.control.repository, commit = round.tip, verdict = word(verdict), "applied");
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, retry_at);
            let text = comment::report_comment(report, &setting);
            self.edit_comment(round.control, pull.number, text).await?;
        }
        let problems = annotations::of_problems(report.problems(), &parsed.places, file);
        let annotations = problems
            .iter()
            .map(|annotation| serde_json::json!(annotation))
            .collect();
        let check = NewCheck {
            annotations,
            ..new_check(APPLY_CHECK, round.tip, text)
        };
        self.write_check(round.control, &check).await
    }

    /// The file cannot be used: the last accepted state stays.
    async fn refuse(
        &self,
        round: &Round<'_>,
        findings: &[Diagnostic],
        file: &File<'_>,
    ) -> anyhow::Result<Next<Job>> {
        let text = check::impossible_check(findings, file);
        let said = round
            .check
            .as_ref()
            .and_then(|run| run.output.title.as_deref());
        if said == Some(text.title.as_str()) {
            return Ok(Next::Done);
        }
        let lines = std::collections::BTreeMap::new();
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::refused_comment(findings, &setting, file);
            self.edit_comment(round.control, pull.number, text).await?;
        }
        let annotations = annotations::of_diagnostics(findings, file);
        let annotations = annotations
            .iter()
            .map(|annotation| serde_json::json!(annotation))
            .collect();
        let check = NewCheck {
            annotations,
            ..new_check(APPLY_CHECK, round.tip, text)
        };
        self.write_check(round.control, &check).await?;
        Ok(Next::Done)
    }

    /// Nothing could be compared. The check says why; it is tried again.
    async fn fail(&self, round: &Round<'_>, error: &anyhow::Error) -> anyhow::Result<()> {
        let text = check::not_applied_check(&format!("{error:#}"));
        let said = round
            .check
            .as_ref()
            .and_then(|run| run.output.title.as_deref());
        if said == Some(text.title.as_str()) {
            return Ok(());
        }
        self.write_check(round.control, &new_check(APPLY_CHECK, round.tip, text))
            .await
    }

    /// The base's file has changed, so what open pull requests would do has too.
    async fn replan(&self, control: &Control) -> anyhow::Result<()> {
        for pull in self
            .reader(control)
            .open_pulls(&control.repository, &control.default_branch)
            .await?
        {
            self.push(
                &control.repository,
                Work::Plan {
                    number: pull.number,
                    looks: 0,
                },
            );
        }
        Ok(())
    }

    fn next(&self, control: &Control, report: &Report, wanted: &Reconcile) -> Next<Job> {
        if report.verdict() != Verdict::Failed || report.worth_retrying().next().is_none() {
            return Next::Done;
        }
        let pace = self.shared.setup.pace;
        let after = wanted.pause(pace.retry, pace.resync);
        let work = Work::Reconcile(Reconcile {
            retries: wanted.retries + 1,
            replan: false,
            ..wanted.clone()
        });
        Next::Again {
            job: Job {
                repository: control.repository.clone(),
                work,
            },
            after,
        }
    }

    fn retry_at(&self, report: &Report, wanted: &Reconcile) -> Option<jiff::Timestamp> {
        report.worth_retrying().next()?;
        let pace = self.shared.setup.pace;
        let pause = jiff::SignedDuration::try_from(wanted.pause(pace.retry, pace.resync)).ok()?;
        super::now().checked_add(pause).ok()
    }

    fn merge_setting<'a>(
        &'a self,
        round: &Round<'a>,
        pull: Option<u64>,
        lines: &'a std::collections::BTreeMap<crate::names::TenantName, usize>,
        retry_at: Option<jiff::Timestamp>,
    ) -> Setting<'a> {
        Setting {
            control_repository: &round.control.repository,
            file: &self.shared.setup.tenants_file,
            pull,
            head: round.tip,
            base_branch: &round.control.default_branch,
            base: round.tip,
            at: super::now(),
            lines,
            base_lines: lines,
            details: None,
            before: None,
            retry_at,
        }
    }
}
