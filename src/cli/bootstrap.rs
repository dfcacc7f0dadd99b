//! `tenantry bootstrap`: Flux from its own manifests, kept in the admin workspace, locked down.

use std::fmt;
use std::io::{IsTerminal as _, Write};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;

use crate::bootstrap::{self, Hands, Work};
use crate::config::{self, AccessArgs};
use crate::flux::bootstrap::{Decision, Folder, Found, Plan, Wanted, decide};
use crate::flux::components::{self, Components};
use crate::flux::lockdown::{PAGE, Standing};
use crate::kubernetes::manifests::connect_and_tell;
use crate::names::{BranchName, FullName, Login, RepositoryName};

#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// What `flux install --export` prints: a file, or an `https://` URL with its --sha256
    #[arg(long, value_name = "FILE|URL")]
    components: Place,
    /// SHA-256 of the components, in hexadecimal
    #[arg(long, value_name = "SUM")]
    sha256: Option<String>,
    /// Organisation that the admin workspace belongs to
    #[arg(long)]
    organization: Login,
    /// Name of the admin workspace
    #[arg(long, default_value = "workspace-admin")]
    repository: RepositoryName,
    /// Branch of it that Flux follows
    #[arg(long, default_value = "main")]
    branch: BranchName,
    /// Folder in it that is this cluster's
    #[arg(long, default_value = "kubernetes")]
    path: Folder,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// How long to wait until Flux has applied itself
    #[arg(long, default_value = "5m", value_parser = config::duration)]
    timeout: Duration,
    #[command(flatten)]
    access: AccessArgs,
}

/// Where the components are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(String),
    Url(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is neither a file nor a URL".to_owned()),
            url if url.contains("://") => Ok(Self::Url(url.to_owned())),
            file => Ok(Self::File(file.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) | Self::Url(place) => formatter.write_str(place),
        }
    }
}

/// Gives the exit status: 0 where Flux is Ready and locked down.
pub async fn run(args: &BootstrapArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let components = components(args).await;
    let components =
        components.with_context(|| format!("use {} as Flux's components", args.components))?;
    let repository = FullName {
        owner: args.organization.clone(),
        name: args.repository.clone(),
    };
    let (cluster, server) = connect_and_tell().await?;
    let (reader, writer, app) = super::github_hands(&args.access, &args.organization).await?;
    let hands = Hands {
        reader,
        writer,
        cluster,
    };
    let wanted = Wanted {
        repository,
        branch: args.branch.clone(),
        folder: args.path.clone(),
        git_host: args.access.git_host(),
        cluster: args.access.cluster.clone(),
        app,
        components,
    };
    let found = bootstrap::look(&hands, &wanted).await?;
    match decide(&wanted, &found)? {
        Decision::Foreign(keeper) => {
            writeln!(
                out,
                "Flux on {server} is kept by {keeper}: it is only looked at, and nothing is written."
            )?;
        }
        Decision::Work(plan) => {
            show(&plan, &wanted, &server, out)?;
            if !plan.steps.is_empty() {
                agree(args.yes)?;
            }
            let under_way = UnderWay {
                hands: &hands,
                wanted: &wanted,
                found: &found,
            };
            under_way.finish(&plan, args.timeout, out).await?;
        }
    }
    let standing = bootstrap::verify(hands.cluster.reader()).await?;
    judge(&standing, out)
}

async fn components(args: &BootstrapArgs) -> anyhow::Result<Components> {
    let bytes = match &args.components {
        Place::File(path) => std::fs::read(path).context("read it")?,
        Place::Url(_) if args.sha256.is_none() => {
            bail!(
                "a URL needs `--sha256`: whoever can change what it leads to would own the cluster"
            )
        }
        Place::Url(url) => bootstrap::download(url).await.context("fetch it")?,
    };
    if let Some(sum) = &args.sha256 {
        components::check_sum(&bytes, sum)?;
    }
    let text = String::from_utf8(bytes).context("it is not text")?;
    Ok(Components::read(&text)?)
}

fn show(plan: &Plan, wanted: &Wanted, server: &str, out: &mut impl Write) -> std::io::Result<()> {
    let Wanted {
        repository,
        components,
        ..
    } = wanted;
    let version = &components.version;
    if plan.steps.is_empty() {
        writeln!(
            out,
            "Flux {version} from {repository} on {server}: nothing to do"
        )?;
    } else {
        writeln!(out, "Flux {version} from {repository} on {server}:")?;
    }
    for step in &plan.steps {
        writeln!(out, "  + {}", step.describe(wanted))?;
    }
    for note in &plan.notes {
        writeln!(out, "note: {note}")?;
    }
    out.flush()
}

/// Asks the person at the terminal, unless they have answered before.
fn agree(yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!(
            "nothing was done: there is no terminal to ask at; give `--yes` to do all this unasked"
        );
    }
    let mut question = std::io::stderr();
    write!(question, "Do this? [y/N] ")?;
    question.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if is_yes(&answer) {
        return Ok(());
    }
    bail!("nothing was done")
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

/// A plan that was agreed to.
struct UnderWay<'a> {
    hands: &'a Hands,
    wanted: &'a Wanted,
    found: &'a Found,
}

impl UnderWay<'_> {
    async fn finish(
        self,
        plan: &Plan,
        patience: Duration,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut work = Work::new(self.hands, self.wanted, self.found);
        for step in &plan.steps {
            let what = step.describe(self.wanted);
            let done = work.perform(step).await;
            let note = done.with_context(|| {
                format!(
                    "not done: {what}; what was done before stays, and running this again goes on from there"
                )
            })?;
            match note {
                None => writeln!(out, "done: {what}")?,
                Some(note) => writeln!(out, "note: {note}")?,
            }
            out.flush()?;
        }
        if !plan.steps.is_empty() {
            work.ask_flux(now()).await?;
        }
        let tell = |said: &str| {
            // Whoever does not read any more need not be told.
            let _ = writeln!(out, "waiting: {said}").and_then(|()| out.flush());
        };
        let revision = work.wait(patience, tell).await?;
        writeln!(out, "Flux is Ready at {revision}.")?;
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command is where the clock is read"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn judge(standing: &Standing, out: &mut impl Write) -> anyhow::Result<u8> {
    for unready in &standing.unready {
        writeln!(out, "note: {unready}")?;
    }
    if standing.gaps.is_empty() {
        writeln!(out, "Flux is locked down.")?;
        return Ok(0);
    }
    writeln!(
        out,
        "Flux is not locked down, so people of a tenant can have it act on the whole cluster:"
    )?;
    for gap in &standing.gaps {
        writeln!(out, "  - {}: {}", gap.message(), gap.help())?;
    }
    writeln!(out, "What Flux says about it: {PAGE}")?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::{Place, is_yes};

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Yes\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yep\n", "y n\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }

    #[test]
    fn what_has_a_scheme_is_a_url() {
        assert_eq!("a/b.yaml".parse(), Ok(Place::File("a/b.yaml".to_owned())));
        let url = "https://example.com/b.yaml";
        assert_eq!(url.parse(), Ok(Place::Url(url.to_owned())));
        assert!("".parse::<Place>().is_err());
    }
}
