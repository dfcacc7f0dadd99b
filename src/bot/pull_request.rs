//! What a pull request, or another commit, would do: the check `tenantry/plan` and the one comment.

use std::collections::{BTreeMap, BTreeSet};

use crate::bot::accepted::Since;
use crate::bot::control::Control;
use crate::bot::open_pulls::Basis;
use crate::bot::reporting::{Beginning, Concluded, Saying, conclusion};
use crate::bot::{Bot, Job, PLAN_CHECK, Work};
use crate::compare::{self, File as Soundness, Scope, Wanted};
use crate::github::{CheckRun, Conclusion, Mergeable, Pull};
use crate::names::TenantName;
use crate::observe;
use crate::plan::{self, Plan};
use crate::queue::Next;
use crate::render::annotations::{self, File};
use crate::render::check::{self, CheckText};
use crate::render::comment::{self, Setting};
use crate::tenants::diagnostic::{Diagnostic, Place};
use crate::tenants::{self, Parsed};

/// Looks at a pull request before it is said that GitHub has not merged it for trial.
const LOOKS: u32 = 40;

/// What is to be said of a commit.
struct Outlook {
    text: CheckText,
    basis: Option<Basis>,
    annotations: Vec<annotations::Annotation>,
    comment: Saying,
}

/// The two commits whose files are compared.
struct Commits<'a> {
    pull: Option<u64>,
    head: &'a str,
    base_branch: &'a str,
    base: &'a str,
    /// Where the file is read that would be applied.
    result: &'a str,
    /// The newest check of the plan so far.
    check: Option<&'a CheckRun>,
}

impl Bot {
    pub(super) async fn plan_pull(
        &self,
        control: &Control,
        number: u64,
        looks: u32,
    ) -> anyhow::Result<Next<Job>> {
        let reader = self.reader(control);
        let Some(pull) = reader
            .pull(&control.repository, number, self.checks(PLAN_CHECK))
            .await?
            .filter(|pull| pull.open)
        else {
            return Ok(Next::Done);
        };
        if pull.base_branch != control.default_branch {
            let text = check::elsewhere_check(&pull.base_branch, &control.default_branch);
            return self
                .conclude(control, &pull.head_sha, None, Outlook::of(text))
                .await;
        }
        if !pull.files.touches(&self.shared.setup.tenants_file) {
            return self.untouched(control, &pull).await;
        }
        if pull.mergeable == Mergeable::No {
            let text = check::conflict_check(&self.shared.setup.tenants_file);
            let outlook = Outlook::of(text).from(Basis::tip(&pull.base_tip));
            return self
                .conclude(control, &pull.head_sha, Some(number), outlook)
                .await;
        }
        let Some(result) = current_merge(&pull) else {
            return self.wait_for_merge(control, &pull, looks).await;
        };
        let commits = Commits {
            pull: Some(number),
            head: &pull.head_sha,
            base_branch: &pull.base_branch,
            base: &pull.base_tip,
            result,
            check: pull.check.as_ref(),
        };
        self.plan_between(control, commits).await
    }

    /// A commit of another branch or of a merge group, as its file would be applied.
    pub(super) async fn plan_commit(
        &self,
        control: &Control,
        head: &str,
    ) -> anyhow::Result<Next<Job>> {
        let reader = self.reader(control);
        let base = async {
            let (repository, branch) = (&control.repository, &control.default_branch);
            anyhow::Ok(reader.branch_tip(repository, branch).await?)
        };
        let check = self.check(control, head, PLAN_CHECK);
        let (base, check) = tokio::try_join!(base, check)?;
        let base = base.unwrap_or_default();
        let commits = Commits {
            pull: None,
            head,
            base_branch: &control.default_branch,
            base: &base,
            result: head,
            check: check.as_ref(),
        };
        self.plan_between(control, commits).await
    }

    /// Whether a commit's file is another than the default branch's: the push that creates a branch does not tell.
    pub(super) async fn changes_the_file(
        &self,
        control: &Control,
        commit: &str,
    ) -> anyhow::Result<bool> {
        let reader = self.reader(control);
        let (repository, path) = (&control.repository, &self.shared.setup.tenants_file);
        let (before, after) = tokio::try_join!(
            reader.file(repository, path, &control.default_branch),
            reader.file(repository, path, commit)
        )?;
        Ok(before != after)
    }

    /// The check goes green; a comment there is of an earlier state says so too.
    async fn untouched(&self, control: &Control, pull: &Pull) -> anyhow::Result<Next<Job>> {
        let basis = Basis::head();
        let says_so = |run: &CheckRun| {
            conclusion(run) == Some(Conclusion::Success) && run.external_id == basis.to_string()
        };
        if pull.check.as_ref().is_some_and(says_so) {
            return Ok(Next::Done);
        }
        let commits = Commits {
            pull: Some(pull.number),
            head: &pull.head_sha,
            base_branch: &pull.base_branch,
            base: &pull.base_tip,
            result: &pull.head_sha,
            check: pull.check.as_ref(),
        };
        let outlook = Outlook {
            comment: Saying::Quiet(self.nothing(&commits)),
            ..Outlook::of(check::untouched_check(&self.shared.setup.tenants_file)).from(basis)
        };
        self.conclude(control, &pull.head_sha, commits.pull, outlook)
            .await
    }

    /// GitHub merges for trial some time after it is asked; until then the check is in progress.
    async fn wait_for_merge(
        &self,
        control: &Control,
        pull: &Pull,
        looks: u32,
    ) -> anyhow::Result<Next<Job>> {
        if looks >= LOOKS {
            let text = check::unmerged_check();
            return self
                .conclude(
                    control,
                    &pull.head_sha,
                    Some(pull.number),
                    Outlook::of(text),
                )
                .await;
        }
        let waiting = Beginning {
            name: PLAN_CHECK,
            head: &pull.head_sha,
            shown: check::begun_check("Waiting for GitHub's merge commit"),
        };
        self.begin(control, waiting, pull.check.as_ref()).await?;
        let work = Work::Plan {
            number: pull.number,
            looks: looks + 1,
        };
        let job = Job {
            repository: control.repository.clone(),
            work,
            tries: 0,
        };
        Ok(Next::Again {
            job,
            after: self.shared.setup.pace.merge_commit,
        })
    }

    async fn plan_between(
        &self,
        control: &Control,
        commits: Commits<'_>,
    ) -> anyhow::Result<Next<Job>> {
        let (before, after) = tokio::try_join!(
            self.file(control, commits.base),
            self.file(control, commits.result)
        )?;
        let basis = Basis::file(before.as_deref());
        let path = &self.shared.setup.tenants_file;
        if before == after {
            let unchanged = Outlook::of(check::untouched_check(path)).from(basis);
            let outlook = match commits.pull {
                Some(_) => Outlook {
                    comment: Saying::Quiet(self.nothing(&commits)),
                    ..unchanged
                },
                None => unchanged,
            };
            return self
                .conclude(control, commits.head, commits.pull, outlook)
                .await;
        }
        let planning = Beginning {
            name: PLAN_CHECK,
            head: commits.head,
            shown: check::begun_check("Planning"),
        };
        self.begin(control, planning, commits.check).await?;
        let outlook = match self
            .outlook(control, &commits, before.as_deref(), after.as_deref())
            .await
        {
            Ok(outlook) => outlook.from(basis),
            Err(error) => {
                let text = check::not_planned_check(&format!("{error:#}"));
                self.conclude(control, commits.head, None, Outlook::of(text))
                    .await?;
                return Err(error);
            }
        };
        self.conclude(control, commits.head, commits.pull, outlook)
            .await
    }

    async fn outlook(
        &self,
        control: &Control,
        commits: &Commits<'_>,
        before: Option<&str>,
        after: Option<&str>,
    ) -> anyhow::Result<Outlook> {
        let path = &self.shared.setup.tenants_file;
        let before = self.parse(control, before.unwrap_or("tenants: []\n"));
        let Some(text) = after else {
            return Ok(self.impossible(
                commits,
                &[missing_file(path)],
                &File { path, text: "" },
                &Plan::default(),
                &before,
            ));
        };
        let parsed = self.parse(control, text);
        let base_lines = lines(&before);
        let mut findings = parsed.findings.clone();
        findings.extend(tenants::moved_namespaces(&before.sound.tenants, &parsed));
        // A large file is not held twice while the world is looked at.
        drop(before);
        findings.sort_by_key(|finding| finding.span.start);
        let soundness = if findings.is_empty() {
            Soundness::Sound
        } else {
            Soundness::HasErrors
        };
        let file = File { path, text };
        let plan = match self.plan(control, commits, &parsed, soundness).await {
            // What the file names may be unreachable because the file is wrong.
            Err(_) if soundness == Soundness::HasErrors => Plan::default(),
            plan => plan?,
        };
        if soundness == Soundness::HasErrors {
            return Ok(self.impossible(commits, &findings, &file, &plan, &parsed));
        }
        Ok(self.possible(commits, &plan, &parsed, &base_lines, &file))
    }

    async fn plan(
        &self,
        control: &Control,
        commits: &Commits<'_>,
        parsed: &Parsed,
        soundness: Soundness,
    ) -> anyhow::Result<Plan> {
        let target = self.target(control, &parsed.sound.organization).await?;
        let eyes = self.eyes(&target);
        let memories = observe::memories(eyes.cluster, eyes.surroundings, &parsed.sound).await?;
        let wanted = Wanted {
            tenants: &parsed.sound,
            file: soundness,
            commit: commits.result,
            also: &BTreeSet::new(),
        };
        let draft = compare::tenants(eyes, wanted, memories, Scope::Changed).await?;
        let plan = self
            .guarded(control, parsed, draft.plan, Since::Commit(commits.base))
            .await?;
        Ok(plan::foresee(plan))
    }

    fn possible(
        &self,
        commits: &Commits<'_>,
        plan: &Plan,
        parsed: &Parsed,
        base_lines: &BTreeMap<TenantName, usize>,
        file: &File<'_>,
    ) -> Outlook {
        let lines = lines(parsed);
        let setting = self.setting(commits, &lines, base_lines);
        let comment = match comment::plan_comment(plan, &setting) {
            Some(comment) => Saying::New(comment),
            None => Saying::Quiet(comment::nothing_comment(&setting)),
        };
        let mut annotations = annotations::of_problems(plan.problems(), &parsed.places, file);
        annotations.extend(annotations::of_lockdown(plan, &parsed.places, file));
        Outlook {
            annotations,
            basis: None,
            text: check::plan_check(plan),
            comment,
        }
    }

    fn impossible(
        &self,
        commits: &Commits<'_>,
        findings: &[Diagnostic],
        file: &File<'_>,
        plan: &Plan,
        parsed: &Parsed,
    ) -> Outlook {
        let lines = lines(parsed);
        let setting = self.setting(commits, &lines, &lines);
        let mut annotations = annotations::of_diagnostics(findings, file);
        annotations.extend(annotations::of_problems(
            plan.problems(),
            &parsed.places,
            file,
        ));
        annotations.sort_by_key(|annotation| annotation.start_line);
        Outlook {
            annotations,
            basis: None,
            text: check::impossible_check(findings, file),
            comment: Saying::Quiet(comment::impossible_comment(findings, &setting, file)),
        }
    }

    fn nothing(&self, commits: &Commits<'_>) -> String {
        let lines = BTreeMap::new();
        comment::nothing_comment(&self.setting(commits, &lines, &lines))
    }

    fn setting<'a>(
        &'a self,
        commits: &Commits<'a>,
        lines: &'a BTreeMap<TenantName, usize>,
        base_lines: &'a BTreeMap<TenantName, usize>,
    ) -> Setting<'a> {
        Setting {
            file: &self.shared.setup.tenants_file,
            pull: commits.pull,
            head: commits.head,
            base_branch: commits.base_branch,
            base: commits.base,
            at: super::now(),
            lines,
            base_lines,
            details: None,
            before: None,
            retry_at: None,
        }
    }

    /// The comment first, then the check: who waits for the check finds the comment.
    async fn conclude(
        &self,
        control: &Control,
        head: &str,
        pull: Option<u64>,
        outlook: Outlook,
    ) -> anyhow::Result<Next<Job>> {
        if let Some(number) = pull {
            self.say(control, number, &outlook.comment).await?;
        }
        let Outlook {
            text,
            basis,
            annotations,
            ..
        } = outlook;
        let check = Concluded {
            basis,
            annotations,
            ..Concluded::new(PLAN_CHECK, head, text)
        };
        self.conclude_check(control, check).await?;
        Ok(Next::Done)
    }
}

impl Outlook {
    fn of(text: CheckText) -> Self {
        Self {
            text,
            basis: None,
            annotations: Vec::new(),
            comment: Saying::Nothing,
        }
    }

    fn from(self, basis: Basis) -> Self {
        Self {
            basis: Some(basis),
            ..self
        }
    }
}

/// GitHub's merge commit, if it is of this head and of the base's tip as it is now.
fn current_merge(pull: &Pull) -> Option<&str> {
    let merge = pull
        .merge_commit
        .as_ref()
        .filter(|_| pull.mergeable == Mergeable::Yes)?;
    (merge.parents == [pull.base_tip.clone(), pull.head_sha.clone()]).then_some(merge.sha.as_str())
}

/// The line of each entry.
pub(super) fn lines(parsed: &Parsed) -> BTreeMap<TenantName, usize> {
    let entries = parsed.places.keys().filter_map(|place| match place {
        Place::Tenant(name) => Some((name.clone(), parsed.line(place)?)),
        Place::Repository(_)
        | Place::Template(_)
        | Place::Namespace(..)
        | Place::Team(..)
        | Place::Group(..)
        | Place::ReconcilerRole(_)
        | Place::RoleBinding(..) => None,
    });
    entries.collect()
}

/// An absent file is an error, never a wish to remove everything.
pub(super) fn missing_file(path: &str) -> Diagnostic {
    Diagnostic::new(format!("the file `{path}` does not exist"), 0..0)
        .help("to have no tenants, let it hold `tenants: []`")
}
