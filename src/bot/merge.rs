//! Makes live what the default branch wants, and says what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;

use crate::apply::{self, Hands};
use crate::bot::control::{Control, Target};
use crate::bot::job::{Reconcile, pause};
use crate::bot::pull_request::{lines, missing_file};
use crate::bot::reporting::{Beginning, Concluded, Saying, conclusion, in_api_words};
use crate::bot::{APPLY_CHECK, Bot, Job, PLAN_CHECK, Work};
use crate::compare::{self, Draft, File as Soundness, Scope, Wanted};
use crate::github::{CheckRun, MergedPull};
use crate::names::TenantName;
use crate::object::ObjectId;
use crate::observe::{self, Memories};
use crate::plan::{self, Consent, Effect, Plan, Promise};
use crate::queue::Next;
use crate::render::annotations::{self, File};
use crate::render::check;
use crate::render::comment::{self, Setting};
use crate::report::{Report, Verdict};
use crate::tenants::diagnostic::Diagnostic;
use crate::tenants::{self, Parsed};

/// One reconcile: where the default branch stands, and who waits for the outcome.
struct Round<'a> {
    control: &'a Control,
    tip: &'a str,
    /// Our check on the tip, as an earlier round left it.
    check: Option<CheckRun>,
    /// Merged pull requests, whose comments tell the outcome.
    pulls: Vec<MergedPull>,
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
        let path = &self.shared.setup.tenants_file;
        let (round, text) = tokio::try_join!(
            self.round(control, &tip, wanted),
            self.file_at_tip(control, &tip)
        )?;
        let Some(text) = text else {
            let missing = [missing_file(path)];
            return self
                .refuse(&round, &missing, &File { path, text: "" }, wanted)
                .await;
        };
        let parsed = self.parse(control, &text);
        let (memories, findings) = self.findings(control, &parsed).await?;
        if !findings.is_empty() {
            let file = File { path, text: &text };
            return self.refuse(&round, &findings, &file, wanted).await;
        }
        let report = match self.make_live(&round, &parsed, memories, wanted).await {
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

    /// What is remembered, and what is wrong in the file by itself and against what was accepted before.
    async fn findings(
        &self,
        control: &Control,
        parsed: &Parsed,
    ) -> anyhow::Result<(Memories, Vec<Diagnostic>)> {
        if !parsed.findings.is_empty() {
            return Ok((Memories::new(), parsed.findings.clone()));
        }
        let memories = self.memories(control, parsed).await?;
        let accepted = memories.iter().filter_map(|(name, remembered)| {
            let memory = &remembered.as_ref().ok()?.memory;
            // What a tenant that is gone from the file still holds is said of the one that wants it.
            let matters = memory.control_repository == control.repository
                && parsed.sound.tenants.contains_key(name);
            matters.then(|| (name.clone(), Arc::clone(&memory.entry)))
        });
        let findings = tenants::moved_namespaces(&accepted.collect(), parsed);
        Ok((memories, findings))
    }

    async fn memories(&self, control: &Control, parsed: &Parsed) -> anyhow::Result<Memories> {
        let surroundings = self.surroundings(control, &parsed.sound.organization);
        let cluster = self.shared.cluster.reader();
        Ok(observe::memories(cluster, &surroundings, &parsed.sound).await?)
    }

    async fn round<'a>(
        &self,
        control: &'a Control,
        tip: &'a str,
        wanted: &Reconcile,
    ) -> anyhow::Result<Round<'a>> {
        for commit in wanted.commits.iter().filter(|commit| *commit != tip) {
            let text = check::superseded_check(tip);
            self.conclude_check(control, Concluded::new(APPLY_CHECK, commit, text))
                .await?;
        }
        let mut commits = wanted.commits.clone();
        commits.retain(|commit| commit != tip);
        commits.push(tip.to_owned());
        let reader = self.reader(control);
        let pulls = async { anyhow::Ok(reader.pulls_with(&control.repository, &commits).await?) };
        let check = self.check(control, tip, APPLY_CHECK);
        let (check, pulls) = tokio::try_join!(check, pulls)?;
        Ok(Round {
            control,
            tip,
            check,
            pulls: distinct(pulls.into_values().flatten()),
        })
    }

    /// Compares and applies, a few times if something failed that may pass.
    async fn make_live(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        memories: Memories,
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
        let (mut memories, mut report) = (memories, Report::default());
        loop {
            let file = Wanted {
                tenants: &parsed.sound,
                file: Soundness::Sound,
                commit: round.tip,
            };
            let draft = compare::tenants(self.eyes(&target), file, memories, scope).await?;
            report.absorb(self.apply(round, &target, draft, parsed).await?);
            let worth_it = report.worth_retrying().next().is_some();
            match waits.next().filter(|_| worth_it) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Ok(report),
            }
            scope = Scope::Changed;
            memories = self.memories(round.control, parsed).await?;
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
        let known_hosts = if makes_keys {
            self.shared.known_hosts.of(target).await?
        } else {
            String::new()
        };
        let hands = Hands {
            github: &target.writer,
            reader: &target.reader,
            cluster: &self.shared.cluster,
            surroundings: &target.surroundings,
            known_hosts: &known_hosts,
            now: super::now(),
            tenants: &parsed.sound,
        };
        Ok(apply::run(hands, plan, draft.known).await)
    }

    /// What the plan comments of the merged pull requests announced; asked for only where it matters.
    async fn consent(&self, round: &Round<'_>, plan: &Plan) -> anyhow::Result<Consent> {
        if !plan.steps().any(|(_, step)| step.effect == Effect::Wider) {
            return Ok(Consent::None);
        }
        let mut promises = Vec::new();
        for pull in &round.pulls {
            let run = self
                .check(round.control, &pull.head_sha, PLAN_CHECK)
                .await?;
            promises.extend(run.and_then(|run| Promise::from_marker(&run.text)));
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
        let applying = Beginning {
            name: APPLY_CHECK,
            head: round.tip,
            title: "Applying",
        };
        self.begin_after(round.control, applying, round.check.as_ref())
            .await?;
        let lines = lines(parsed);
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::progress_comment(plan, &setting);
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
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
        let said = round.check.as_ref().and_then(conclusion);
        let verdict = report.verdict();
        if said == Some(in_api_words(text.conclusion)) && !report.did_something() {
            tracing::info!(repository = %round.control.repository, %verdict, "nothing new");
            return Ok(());
        }
        tracing::info!(repository = %round.control.repository, commit = round.tip, %verdict, "applied");
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, retry_at);
            let text = comment::report_comment(report, &setting);
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
        }
        let annotations = annotations::of_problems(report.problems(), &parsed.places, file);
        let check = Concluded {
            annotations,
            ..Concluded::new(APPLY_CHECK, round.tip, text)
        };
        self.conclude_check(round.control, check).await
    }

    /// The file cannot be used: the last accepted state stays.
    async fn refuse(
        &self,
        round: &Round<'_>,
        findings: &[Diagnostic],
        file: &File<'_>,
        wanted: &Reconcile,
    ) -> anyhow::Result<Next<Job>> {
        let text = check::impossible_check(findings, file);
        let said = round.check.as_ref().map(|run| run.title.as_str());
        if said == Some(text.title.as_str()) {
            return Ok(Next::Done);
        }
        let lines = BTreeMap::new();
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::refused_comment(findings, &setting, file);
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
        }
        let annotations = annotations::of_diagnostics(findings, file);
        let check = Concluded {
            annotations,
            ..Concluded::new(APPLY_CHECK, round.tip, text)
        };
        self.conclude_check(round.control, check).await?;
        if wanted.replan {
            self.replan(round.control).await?;
        }
        Ok(Next::Done)
    }

    /// Nothing could be compared. The check says why; it is tried again.
    async fn fail(&self, round: &Round<'_>, error: &anyhow::Error) -> anyhow::Result<()> {
        let text = check::not_applied_check(&format!("{error:#}"));
        let said = round.check.as_ref().map(|run| run.title.as_str());
        if said == Some(text.title.as_str()) {
            return Ok(());
        }
        self.conclude_check(round.control, Concluded::new(APPLY_CHECK, round.tip, text))
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
        let after = pause(pace.retry, wanted.retries, pace.resync);
        let work = Work::Reconcile(Reconcile {
            retries: wanted.retries + 1,
            replan: false,
            ..wanted.clone()
        });
        Next::Again {
            job: Job {
                repository: control.repository.clone(),
                work,
                tries: 0,
            },
            after,
        }
    }

    fn retry_at(&self, report: &Report, wanted: &Reconcile) -> Option<jiff::Timestamp> {
        report.worth_retrying().next()?;
        let pace = self.shared.setup.pace;
        let pause =
            jiff::SignedDuration::try_from(pause(pace.retry, wanted.retries, pace.resync)).ok()?;
        super::now().checked_add(pause).ok()
    }

    fn merge_setting<'a>(
        &'a self,
        round: &Round<'a>,
        pull: Option<u64>,
        lines: &'a BTreeMap<TenantName, usize>,
        retry_at: Option<jiff::Timestamp>,
    ) -> Setting<'a> {
        Setting {
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

/// Each pull request once, in the order of their numbers.
fn distinct(pulls: impl Iterator<Item = MergedPull>) -> Vec<MergedPull> {
    let by_number: BTreeMap<u64, MergedPull> = pulls.map(|pull| (pull.number, pull)).collect();
    by_number.into_values().collect()
}
