//! The story that the demo tells: a pull request that adds a tenant, its plan, the merge, and what exists then.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::inventory::{self, Inventory};
use super::stage::{CONTROL_REPO, ORGANIZATION, Stage, TENANTS, TENANTS_FILE, YOU};
use super::terminal;
use crate::bot::{APPLY_CHECK, PLAN_CHECK};
use crate::sandbox::github::{CheckRun, Class, Mark, MergeMethod};

/// Longer than any step takes, even on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The tenant that the story is about.
const TENANT: &str = "ai-team";
/// What the pull request adds to the file.
const ENTRY: &str = "\
- name: ai-team
  namespaces: [{name: ai}, {name: observability}, {name: logging}]
  githubTeams: [{name: ai-team}, {name: billing-team}]
";

/// Tells the story while it happens.
pub struct Teller<'a> {
    pub out: &'a mut dyn Write,
    /// Columns of the terminal.
    pub width: usize,
    pub color: bool,
}

/// Walks the whole way; an error is a step that did not happen.
pub async fn walk(stage: Stage, teller: &mut Teller<'_>) -> anyhow::Result<Stage> {
    teller.scene(&stage)?;
    two_tenants(&stage, teller).await?;
    let number = pull_request(&stage, teller).await?;
    merge(&stage, teller, number).await?;
    let made = what_exists(&stage, teller).await?;
    nothing_to_do(stage, teller, &made).await
}

async fn two_tenants(stage: &Stage, teller: &mut Teller<'_>) -> anyhow::Result<()> {
    teller.step(&format!(
        "{CONTROL_REPO} holds {TENANTS_FILE} with two tenants. Tenantry starts and applies it."
    ))?;
    let tip = tip(stage)?;
    let check = concluded(stage, &tip, APPLY_CHECK).await?;
    teller.check(&check)?;
    Ok(())
}

/// Opens the pull request and shows what Tenantry says to it: its number.
async fn pull_request(stage: &Stage, teller: &mut Teller<'_>) -> anyhow::Result<u64> {
    teller.step(&format!("You open a pull request that adds `{TENANT}`."))?;
    for line in ENTRY.lines() {
        teller.line(&teller.painted(&format!("+ {line}"), "32"))?;
    }
    let (branch, title) = ("add-ai-team", "Add ai-team");
    let file = format!("{TENANTS}{ENTRY}");
    let you = stage.github.as_user(YOU);
    let head = you.commit(CONTROL_REPO, branch, title, &[(TENANTS_FILE, Some(&file))]);
    let number = you.open_pull(CONTROL_REPO, "main", branch, title, "");
    teller.gap()?;
    // The branch alone is planned, too: what is said of the pull request is its comment.
    let comment = commented(stage, number).await?;
    let check = concluded(stage, &head, PLAN_CHECK).await?;
    teller.check(&check)?;
    teller.step(&format!(
        "Tenantry has looked, changed nothing, and comments on pull request #{number}:"
    ))?;
    teller.markdown(&comment)?;
    Ok(number)
}

async fn merge(stage: &Stage, teller: &mut Teller<'_>, number: u64) -> anyhow::Result<()> {
    teller.step("You merge it.")?;
    let you = stage.github.as_user(YOU);
    let merged = you.merge(CONTROL_REPO, number, MergeMethod::Merge);
    let started = Instant::now();
    let mut told = String::new();
    loop {
        let title = comment(stage, number).and_then(|text| title(&text));
        if let Some(title) = title.filter(|title| *title != told && !title.starts_with("Plan")) {
            teller.line(&format!("comment: {title}"))?;
            told = title;
        }
        if newest(stage, &merged, APPLY_CHECK).is_some_and(|run| run.conclusion.is_some()) {
            break;
        }
        wait(started, APPLY_CHECK).await?;
    }
    let check = concluded(stage, &merged, APPLY_CHECK).await?;
    teller.check(&check)?;
    Ok(())
}

/// What the tenant is made of on both sides, once Flux has fetched and applied it.
async fn what_exists(stage: &Stage, teller: &mut Teller<'_>) -> anyhow::Result<Inventory> {
    let started = Instant::now();
    let made = loop {
        let made = inventory::of(stage, TENANT).await?;
        if made.is_synced() || !stage.plays_flux() {
            break made;
        }
        wait(started, "Flux has fetched and applied the workspace").await?;
    };
    teller.step(&format!("What exists of `{TENANT}` now:"))?;
    for line in made.tree() {
        teller.line(&line)?;
    }
    Ok(made)
}

/// A new app knows nothing and compares everything: it must find nothing to do.
async fn nothing_to_do(
    stage: Stage,
    teller: &mut Teller<'_>,
    made: &Inventory,
) -> anyhow::Result<Stage> {
    teller.step("Tenantry is restarted, and compares everything.")?;
    let mark = stage.github.mark();
    let stage = stage.restart_app().await?;
    let started = Instant::now();
    while !compared(&stage, mark) {
        wait(started, "everything is compared").await?;
    }
    stage.app().idle().await;
    let requests = stage.github.requests_since(mark);
    let writes = |class| matches!(class, Class::Write | Class::Report);
    let written = requests.iter().filter(|one| writes(one.class)).count();
    let after = inventory::of(&stage, TENANT).await?;
    if written > 0 || !after.is_same(made) {
        bail!("the second reconcile wrote something: {written} requests to GitHub");
    }
    teller.done(&format!(
        "{} requests to GitHub, none of them a write; in the cluster nothing has changed",
        requests.len()
    ))?;
    Ok(stage)
}

/// Tenants are read by GraphQL, which nothing else is.
fn compared(stage: &Stage, mark: Mark) -> bool {
    let requests = stage.github.requests_since(mark);
    requests.iter().any(|one| one.class == Class::Graphql)
}

fn tip(stage: &Stage) -> anyhow::Result<String> {
    let tip = stage.github.head(CONTROL_REPO, "main");
    tip.context("the control repo has no commit")
}

/// The check run of this name on a commit, once it is concluded; anything else than success is an error.
async fn concluded(stage: &Stage, commit: &str, name: &str) -> anyhow::Result<CheckRun> {
    let started = Instant::now();
    loop {
        let run = newest(stage, commit, name).filter(|run| run.conclusion.is_some());
        match run {
            None => wait(started, name).await?,
            Some(run) if run.conclusion.as_deref() == Some("success") => return Ok(run),
            Some(run) => bail!(
                "{name}: {}\n{}",
                run.title.unwrap_or_default(),
                run.summary.unwrap_or_default()
            ),
        }
    }
}

fn newest(stage: &Stage, commit: &str, name: &str) -> Option<CheckRun> {
    let runs = stage.github.check_runs(CONTROL_REPO, commit).into_iter();
    runs.filter(|run| run.name == name).max_by_key(|run| run.id)
}

/// What the App has written on a pull request, once it has.
async fn commented(stage: &Stage, number: u64) -> anyhow::Result<String> {
    let started = Instant::now();
    loop {
        match comment(stage, number) {
            Some(comment) => return Ok(comment),
            None => wait(started, "a comment with the plan").await?,
        }
    }
}

/// What the App has written on a pull request.
fn comment(stage: &Stage, number: u64) -> Option<String> {
    let comments = stage.github.comments(CONTROL_REPO, number).into_iter();
    let mut ours = comments.filter(|(author, _)| author == "tenantry[bot]");
    ours.next().map(|(_, text)| text)
}

fn title(comment: &str) -> Option<String> {
    let line = comment.lines().find_map(|line| line.strip_prefix("### "));
    line.map(str::to_owned)
}

async fn wait(started: Instant, what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        started.elapsed() < PATIENCE,
        "this did not happen within {} seconds: {what}",
        PATIENCE.as_secs()
    );
    tokio::time::sleep(LOOK).await;
    Ok(())
}

impl Teller<'_> {
    fn scene(&mut self, stage: &Stage) -> std::io::Result<()> {
        let title = self.painted("Tenantry: the whole product on this machine", "1");
        self.line(&title)?;
        self.gap()?;
        let cluster = &stage.cluster;
        let kind = match (cluster.is_embedded(), stage.plays_flux()) {
            (true, _) => "embedded",
            (false, true) => "yours; Flux is played",
            (false, false) => "yours; its Flux cannot fetch from the embedded GitHub",
        };
        self.line(&format!(
            "GitHub   {}  embedded, organisation {ORGANIZATION}",
            stage.github.url()
        ))?;
        self.line(&format!(
            "Cluster  {}  {kind}, kubectl --kubeconfig {}",
            cluster.url,
            cluster.kubeconfig.display()
        ))?;
        self.line(&format!(
            "App      http://{}  tenantry serve, installed on {ORGANIZATION}",
            stage.app().address
        ))
    }

    /// Where everything can be seen and played with.
    pub fn invite(&mut self, url: &str) -> std::io::Result<()> {
        self.gap()?;
        self.line(&format!("Open {url}"))?;
        self.line("There you can change the file, merge, and break things. Ctrl-C ends it.")
    }

    fn step(&mut self, text: &str) -> std::io::Result<()> {
        self.gap()?;
        let text = self.painted(text, "1");
        self.line(&text)
    }

    fn check(&mut self, run: &CheckRun) -> std::io::Result<()> {
        let title = run.title.as_deref().unwrap_or_default();
        self.done(&format!("{}: {title}", run.name))
    }

    fn done(&mut self, text: &str) -> std::io::Result<()> {
        let mark = self.painted("✓", "32");
        self.line(&format!("{mark} {text}"))
    }

    fn markdown(&mut self, text: &str) -> std::io::Result<()> {
        let bar = self.painted("│", "2");
        let room = self.width.saturating_sub(2);
        for line in terminal::lines(text, room, self.color) {
            self.line(format!("{bar} {line}").trim_end())?;
        }
        Ok(())
    }

    fn gap(&mut self) -> std::io::Result<()> {
        self.line("")
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    fn painted(&self, text: &str, number: &str) -> String {
        terminal::painted(text, number, self.color)
    }
}
