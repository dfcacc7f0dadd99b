//! Makes live what the default branch wants, and says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::apply::{self, Hands};
use crate::bot::accepted::Since;
use crate::bot::control::{Control, Target};
use crate::bot::job::{Reconcile, Telling, pause};
use crate::bot::open_pulls::{Base, Which};
use crate::bot::pull_request::{lines, missing_file};
use crate::bot::reporting::{Beginning, Concluded, Saying, conclusion, in_api_words};
use crate::bot::slices::{self, Extent, go_on};
use crate::bot::{APPLY_CHECK, Bot, Job, PLAN_CHECK, Work, limited_until, now};
use crate::compare::{self, Draft, File as Soundness, Scope, Wanted};
use crate::github::{CheckRun, MergedPull, Tip};
use crate::live::following;
use crate::live::{Course, MergeId, Traces};
use crate::names::TenantName;
use crate::object::ObjectId;
use crate::observe::{self, Memories};
use crate::plan::{self, Consent, Effect, Plan, Promise, TenantAction};
use crate::queue::Next;
use crate::render::annotations::{self, File};
use crate::render::check;
use crate::render::comment::{self, Setting};
use crate::render::live;
use crate::report::{Progress, Report, Told, Verdict};
use crate::tenants::diagnostic::Diagnostic;
use crate::tenants::{self, Parsed};

/// One reconcile: where the default branch stands, and who waits for the outcome.
pub(super) struct Round<'a> {
    pub(super) control: &'a Control,
    pub(super) tip: &'a str,
    /// Our check on the tip, as an earlier round left it.
    check: Option<&'a CheckRun>,
    /// What an earlier round told, if the work goes on.
    told: Option<Told>,
    /// Commits before the tip, whose pull requests wait for the outcome.
    pub(super) owed: Vec<String>,
    /// Merged pull requests, whose comments tell the outcome.
    pub(super) pulls: Vec<MergedPull>,
}

/// What came of a comparison, and where the work stands then.
struct Slice {
    report: Arc<Report>,
    progress: Progress,
    told: Option<Told>,
    /// When there is room for the next one.
    next: Timestamp,
    began: Timestamp,
    /// The tenants whose entries the tip was the last to change, and that were there already.
    of_tip: BTreeSet<TenantName>,
}

impl Bot {
    pub(super) async fn reconcile(
        &self,
        control: &Control,
        wanted: &Reconcile,
    ) -> anyhow::Result<Next<Job>> {
        let tip = self.tip(control).await?;
        let round = self.round(control, &tip, wanted).await?;
        let path = &self.shared.setup.tenants_file;
        let Some(text) = &tip.file else {
            let (missing, file) = ([missing_file(path)], File { path, text: "" });
            self.refuse(&round, &missing, &file, wanted).await?;
            self.replan_after(&round, None, wanted).await?;
            return Ok(Next::Done);
        };
        let parsed = self.parse(control, text);
        let (memories, findings) = self.findings(control, &parsed).await?;
        if !findings.is_empty() {
            let file = File { path, text };
            self.refuse(&round, &findings, &file, wanted).await?;
            self.replan_after(&round, Some(text), wanted).await?;
            return Ok(Next::Done);
        }
        let slice = match self.make_live(&round, &parsed, memories, wanted).await {
            Ok(slice) => slice,
            Err(error) => {
                self.fail(&round, &error).await?;
                return Err(error);
            }
        };
        if slice.report.left.tenants > 0 {
            if let Some(told) = &slice.told {
                self.tell(&round, &parsed, &slice.report, (slice.progress, told))
                    .await?;
            }
            if !wanted.goes_on {
                self.replan_after(&round, Some(text), wanted).await?;
            }
            return Ok(go_on(&round, slice.report.left, slice.next, wanted));
        }
        let file = File { path, text };
        self.conclude_merge(&round, &parsed, &file, &slice, wanted)
            .await?;
        self.shared.merges.end(&control.repository);
        self.replan_after(&round, Some(text), wanted).await?;
        Ok(self.next(&round, &slice.report, wanted))
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

    pub(super) async fn memories(
        &self,
        control: &Control,
        parsed: &Parsed,
    ) -> anyhow::Result<Memories> {
        let surroundings = self.surroundings(control, &parsed.sound.organization);
        let cluster = self.shared.cluster.reader();
        Ok(observe::memories(cluster, &surroundings, &parsed.sound).await?)
    }

    async fn round<'a>(
        &self,
        control: &'a Control,
        Tip {
            commit: tip,
            pulls: of_tip,
            check,
            file: _,
        }: &'a Tip,
        wanted: &Reconcile,
    ) -> anyhow::Result<Round<'a>> {
        for commit in wanted.commits.iter().filter(|commit| *commit != tip) {
            let text = check::superseded_check(tip);
            self.conclude_check(control, Concluded::new(APPLY_CHECK, commit, text))
                .await?;
        }
        let mut owed = wanted.owed.clone();
        owed.extend_from_slice(&wanted.commits);
        owed.retain(|commit| commit != tip);
        let goes_on = check.as_ref().filter(|run| conclusion(run).is_none());
        let told = goes_on.and_then(|run| Told::from_marker(&run.text));
        // What a process before this one owed.
        let mut forgotten = told
            .iter()
            .flat_map(|told| told.owed.clone())
            .collect::<Vec<_>>();
        forgotten.retain(|commit| commit != tip && !owed.contains(commit));
        owed.extend(forgotten);
        let reader = self.reader(control);
        let pulls = reader.pulls_with(&control.repository, &owed).await?;
        let pulls = pulls.into_values().flatten().chain(of_tip.iter().cloned());
        Ok(Round {
            control,
            tip,
            check: check.as_ref(),
            told,
            owed,
            pulls: distinct(pulls),
        })
    }

    /// Compares and applies, a few times if something failed that may pass; or as much as GitHub's limits allow now.
    async fn make_live(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        memories: Memories,
        wanted: &Reconcile,
    ) -> anyhow::Result<Slice> {
        let repository = &round.control.repository;
        let target = self
            .target(round.control, &parsed.sound.organization)
            .await?
            .in_background();
        let target = if wanted.everything {
            self.with_host_keys(target).await
        } else {
            target
        };
        self.presume(round.control, &target, &memories);
        let merges = &self.shared.merges;
        let mut scope = slices::scope(wanted, target.writer.room(), &merges.so_far(repository));
        let mut waits = self.shared.setup.pace.tries.iter();
        let mut memories = memories;
        let (began, mut of_tip) = (round.began(), BTreeSet::new());
        loop {
            let file = Wanted {
                tenants: &parsed.sound,
                file: Soundness::Sound,
                commit: round.tip,
                also: &wanted.tenants,
            };
            let asked = now();
            let draft = compare::tenants(self.eyes(&target), file, memories, scope).await?;
            self.shared.follow.heads(&draft.heads, asked);
            of_tip.extend(draft.of_commit.iter().cloned());
            let slice = self.apply(round, &target, draft, parsed).await?;
            let worth_it =
                slice.report.worth_retrying().next().is_some() && slice.report.left.tenants == 0;
            match waits.next().filter(|_| worth_it) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => {
                    return Ok(Slice {
                        began,
                        of_tip,
                        ..slice
                    });
                }
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
    ) -> anyhow::Result<Slice> {
        let (merges, repository) = (&self.shared.merges, &round.control.repository);
        let writer = &target.writer;
        let consent = self.consent(round, &draft.plan).await?;
        let plan = self
            .guarded(
                round.control,
                parsed,
                draft.plan,
                Since::ParentOf(round.tip),
            )
            .await?;
        let plan = plan::approve(plan, &consent);
        let told = round.told.as_ref();
        let extent = Extent::of(plan.plan(), draft.left, &merges.so_far(repository), told);
        let begun = round.began();
        let mut told = told.cloned();
        if told.is_none() && plan.plan().steps().any(|(_, step)| step.hold.is_none()) {
            let progress = extent.at_the_start(begun, writer.created_by(extent.creations));
            let is_long = extent.creations > writer.room();
            told = self
                .announce(
                    round,
                    plan.plan(),
                    parsed,
                    Some(progress).filter(|_| is_long),
                )
                .await?;
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
            room: writer.room(),
            now: now(),
        };
        let mut slice = apply::run(hands, plan, draft.known).await;
        slice.left.add(draft.left);
        slice.earlier = extent.earlier;
        let left = slice.left;
        Ok(Slice {
            progress: extent.progress(left.tenants, begun, writer.created_by(left.creations)),
            next: writer.room_for(left.creations),
            report: merges.absorb(repository, slice),
            told,
            began: begun,
            of_tip: BTreeSet::new(),
        })
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

    /// Says that the work has begun, and if it takes long, when it will have been done.
    async fn announce(
        &self,
        round: &Round<'_>,
        plan: &Plan,
        parsed: &Parsed,
        progress: Option<Progress>,
    ) -> anyhow::Result<Option<Told>> {
        let told = progress.map(|progress| Told {
            progress,
            at: now(),
            times: 1,
            owed: round.owed.clone(),
        });
        if let Some(told) = &told {
            self.show_check(round, check::progress_check(told)).await?;
        } else {
            let applying = round.beginning(check::begun_check("Applying"));
            self.begin(round.control, applying, round.check).await?;
        }
        let lines = lines(parsed);
        for pull in &round.pulls {
            let setting = self.merge_setting(round, Some(pull.number), &lines, None);
            let text = comment::progress_comment(plan, &setting, progress.as_ref());
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
        }
        Ok(told)
    }

    /// Shows this in the check on the tip, which goes on.
    pub(super) async fn show_check(
        &self,
        round: &Round<'_>,
        shown: check::Underway,
    ) -> anyhow::Result<()> {
        let beginning = round.beginning(shown);
        self.show(round.control, beginning, round.check).await
    }

    /// Says what came of it, unless that is what the check says already and nothing was done. Where everything was
    /// done, the last word is had by those who follow the tenants until they are live.
    async fn conclude_merge(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        file: &File<'_>,
        slice: &Slice,
        wanted: &Reconcile,
    ) -> anyhow::Result<()> {
        let report = &slice.report;
        let verdict = report.verdict();
        if round.is_news(report) {
            tracing::info!(repository = %round.control.repository, commit = round.tip, %verdict, "applied");
        } else {
            tracing::info!(repository = %round.control.repository, %verdict, "nothing new");
            if wanted.telling == Telling::News {
                return Ok(());
            }
        }
        let telling = self.follow_on(round, slice).await;
        let course = telling.as_ref().map(|telling| &telling.course);
        let said = self
            .report(round, parsed, file, report, course, wanted)
            .await;
        if let Some(telling) = telling {
            self.shared.follow.told(telling, said.is_ok());
        }
        said
    }

    /// Follows the tenants that were written, if any were; where nobody has told the outcome yet, those too that an
    /// earlier try wrote.
    async fn follow_on(&self, round: &Round<'_>, slice: &Slice) -> Option<following::Telling> {
        let mut tenants = slice.written();
        if round.check.and_then(conclusion).is_none() {
            for name in &slice.of_tip {
                tenants.entry(name.clone()).or_default();
            }
        }
        if tenants.is_empty() {
            return None;
        }
        let merge = following::Applied {
            id: MergeId {
                repository: round.control.repository.clone(),
                commit: round.tip.to_owned(),
            },
            pulls: round.pulls.iter().map(|pull| pull.number).collect(),
            began: slice.began,
            tenants,
            concludes: slice.report.verdict() == Verdict::Applied,
        };
        Some(self.shared.follow.begin(merge).await)
    }

    async fn report(
        &self,
        round: &Round<'_>,
        parsed: &Parsed,
        file: &File<'_>,
        report: &Report,
        course: Option<&Course>,
        wanted: &Reconcile,
    ) -> anyhow::Result<()> {
        let retry_at = self.retry_at(report, wanted);
        let lines = lines(parsed);
        for pull in round.pulls.iter().filter(|_| round.is_news(report)) {
            // An earlier process has said what was done, and was not there for the rest.
            if let Some(course) = course.filter(|_| !report.did_something())
                && self
                    .retell_comment(round.control, pull.number, course)
                    .await?
            {
                continue;
            }
            let setting = self.merge_setting(round, Some(pull.number), &lines, retry_at);
            let text = comment::report_comment(report, course, &setting);
            self.say(round.control, pull.number, &Saying::Quiet(text))
                .await?;
        }
        let setting = self.merge_setting(round, None, &lines, retry_at);
        let text = check::report_check(report, course, &setting);
        let annotations = annotations::of_problems(report.problems(), &parsed.places, file);
        let check = Concluded {
            annotations,
            ..Concluded::new(APPLY_CHECK, round.tip, text)
        };
        let on_its_way = course.is_some_and(|course| !course.turn.is_end());
        if on_its_way && report.verdict() == Verdict::Applied {
            return self.show_check(round, check.text.underway()).await;
        }
        self.conclude_check(round.control, check).await
    }

    /// The file cannot be used: the last accepted state stays.
    async fn refuse(
        &self,
        round: &Round<'_>,
        findings: &[Diagnostic],
        file: &File<'_>,
        wanted: &Reconcile,
    ) -> anyhow::Result<()> {
        self.shared.merges.end(&round.control.repository);
        let text = check::impossible_check(findings, file);
        let said = round.check.map(|run| run.title.as_str());
        let is_new = said != Some(text.title.as_str());
        if !is_new && wanted.telling == Telling::News {
            return Ok(());
        }
        let lines = BTreeMap::new();
        for pull in round.pulls.iter().filter(|_| is_new) {
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
        self.conclude_check(round.control, check).await
    }

    /// Nothing could be compared. The check says why; it is tried again. Where it only has to wait, nothing is wrong.
    async fn fail(&self, round: &Round<'_>, error: &anyhow::Error) -> anyhow::Result<()> {
        if limited_until(error).is_some() {
            return Ok(());
        }
        let text = check::not_applied_check(&format!("{error:#}"));
        let said = round.check.map(|run| run.title.as_str());
        if said == Some(text.title.as_str()) {
            return Ok(());
        }
        self.conclude_check(round.control, Concluded::new(APPLY_CHECK, round.tip, text))
            .await
    }

    /// Where the base's file may have changed, what open pull requests would do may have too; and when everything is
    /// compared, so are they.
    async fn replan_after(
        &self,
        round: &Round<'_>,
        text: Option<&str>,
        wanted: &Reconcile,
    ) -> anyhow::Result<()> {
        let which = match (wanted.replan, wanted.everything) {
            (true, _) => Which::All,
            (false, true) => Which::LeftBehind,
            (false, false) => return Ok(()),
        };
        let base = Base {
            tip: round.tip,
            text,
        };
        self.replan(round.control, base, which).await
    }

    fn next(&self, round: &Round<'_>, report: &Report, wanted: &Reconcile) -> Next<Job> {
        if report.verdict() != Verdict::Failed || report.worth_retrying().next().is_none() {
            return Next::Done;
        }
        let pace = self.shared.setup.pace;
        let after = pause(pace.retry, wanted.retries, pace.resync);
        let mut commits = wanted.commits.clone();
        commits.retain(|commit| commit == round.tip);
        let work = Work::Reconcile(Reconcile {
            commits,
            owed: round.owed.clone(),
            everything: wanted.everything,
            tenants: wanted.tenants.clone(),
            retries: wanted.retries + 1,
            replan: false,
            telling: Telling::News,
            goes_on: false,
        });
        Next::Again {
            job: Job {
                repository: round.control.repository.clone(),
                work,
                tries: 0,
            },
            after,
        }
    }

    fn retry_at(&self, report: &Report, wanted: &Reconcile) -> Option<Timestamp> {
        report.worth_retrying().next()?;
        let pace = self.shared.setup.pace;
        let pause =
            jiff::SignedDuration::try_from(pause(pace.retry, wanted.retries, pace.resync)).ok()?;
        now().checked_add(pause).ok()
    }

    pub(super) fn merge_setting<'a>(
        &'a self,
        round: &Round<'a>,
        pull: Option<u64>,
        lines: &'a BTreeMap<TenantName, usize>,
        retry_at: Option<Timestamp>,
    ) -> Setting<'a> {
        Setting {
            file: &self.shared.setup.tenants_file,
            pull,
            head: round.tip,
            base_branch: &round.control.default_branch,
            base: round.tip,
            at: now(),
            lines,
            base_lines: lines,
            details: None,
            before: None,
            retry_at,
        }
    }
}

impl Slice {
    /// The tenants of which something was written, but for those that are to go.
    fn written(&self) -> BTreeMap<TenantName, Traces> {
        let written =
            self.report.tenants.iter().filter(|(_, tenant)| {
                tenant.did_something() && tenant.action != TenantAction::Remove
            });
        written
            .map(|(name, tenant)| (name.clone(), tenant.traces.clone()))
            .collect()
    }
}

impl Round<'_> {
    fn beginning(&self, shown: check::Underway) -> Beginning<'_> {
        Beginning {
            name: APPLY_CHECK,
            head: self.tip,
            shown,
        }
    }

    /// Since when the work on the tip goes on.
    fn began(&self) -> Timestamp {
        let told = self.told.as_ref();
        told.map_or_else(now, |told| told.progress.begun)
    }

    /// Whether it is worth a word beyond the check's.
    fn is_news(&self, report: &Report) -> bool {
        report.did_something() || !self.is_said(report.verdict())
    }

    /// Whether the check says so already, or is left to those who follow the tenants.
    fn is_said(&self, verdict: Verdict) -> bool {
        let Some(check) = &self.check else {
            return false;
        };
        let followed = verdict == Verdict::Applied && live::is_followed(&check.summary);
        let said =
            conclusion(check).is_some_and(|said| said == in_api_words(check::conclusion(verdict)));
        followed || said
    }
}

/// Each pull request once, in the order of their numbers.
fn distinct(pulls: impl Iterator<Item = MergedPull>) -> Vec<MergedPull> {
    let by_number: BTreeMap<u64, MergedPull> = pulls.map(|pull| (pull.number, pull)).collect();
    by_number.into_values().collect()
}
