//! The command line: what a person starts, and where the words go.

pub mod bootstrap;
pub mod crds;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod plan;
pub mod rotate;
pub mod schema;
pub mod serve;
pub mod validate;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, AccessArgs, LogArgs, LogFormat, ServeArgs};
use crate::github::{GitHub, Reader, Writer};
use crate::names::{FullName, Login};

/// Turns one file, tenants.yaml, into isolated tenants on GitHub and Kubernetes
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything on this machine, without an account, a cluster or a network
    #[cfg(feature = "sandbox")]
    Demo(demo::DemoArgs),
    /// Run the GitHub App
    Serve(Box<ServeArgs>),
    /// Show what would change on GitHub and in the cluster; changes nothing
    Plan(Box<plan::PlanArgs>),
    /// Replace the deploy key of a tenant; the former one goes once Flux has fetched with the new one
    Rotate(rotate::RotateArgs),
    /// Show what is wrong in a file, without looking at GitHub or the cluster
    Validate {
        /// The file; `-` is standard input
        #[arg(default_value = "tenants.yaml")]
        file: PathBuf,
        /// The control repo that the file is meant for, as owner/repo
        #[arg(long)]
        repository: Option<FullName>,
        #[arg(long, value_enum, default_value = "tree")]
        output: Output,
    },
    /// Install Flux locked down, kept in an admin workspace of its own; shows what it will do, and asks
    Bootstrap(Box<bootstrap::BootstrapArgs>),
    /// Print the JSON Schema of tenants.yaml, for editors
    Schema,
    /// Print the Tenant kind, for `kubectl apply -f -`
    Crds,
}

/// For whom something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For a terminal.
    Tree,
    /// For a comment on GitHub.
    Markdown,
    /// For a program.
    Json,
}

/// Exit status of wrong usage (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Reads the command line, does what it says, and gives the exit status.
pub fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_question = !error.use_stderr();
            // A terminal that has gone away cannot be told.
            let _ = error.print();
            return if is_question { 0 } else { USAGE };
        }
    };
    start_log(&cli.log, cli.command.usual_log());
    match start(cli.command) {
        Ok(status) => status,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}", described(&error));
            1
        }
    }
}

fn start(command: Command) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    let color = std::io::stdout().is_terminal();
    match command {
        #[cfg(feature = "sandbox")]
        Command::Demo(args) => runtime()?.block_on(demo::run(&args, &mut out, color)),
        Command::Serve(args) => runtime()?.block_on(serve::run(*args)),
        Command::Plan(args) => {
            let (status, text) = runtime()?.block_on(plan::run(&args, color))?;
            out.write_all(text.as_bytes())?;
            Ok(status)
        }
        Command::Rotate(args) => {
            let text = runtime()?.block_on(rotate::run(&args))?;
            out.write_all(text.as_bytes())?;
            Ok(0)
        }
        Command::Validate {
            file,
            repository,
            output,
        } => validate::run(
            validate::Options {
                file: &file,
                repository,
                output,
                color,
            },
            &mut out,
        ),
        Command::Bootstrap(args) => runtime()?.block_on(bootstrap::run(&args, &mut out)),
        Command::Schema => schema::run(&mut out).map(|()| 0).map_err(Into::into),
        Command::Crds => crds::run(&mut out).map(|()| 0).map_err(Into::into),
    }
}

/// Returns at Ctrl-C and at SIGTERM.
async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listen for Ctrl-C"),
    }
}

/// One thread for all the work: there is little of it, and memory that several threads have freed is shared badly
/// between them.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

/// What failed, and each cause on a line of its own.
fn described(error: &anyhow::Error) -> String {
    let causes = error
        .chain()
        .skip(1)
        .map(|cause| format!("\n  caused by: {cause}"));
    format!("error: {error}{}", causes.collect::<String>())
}

impl Command {
    /// What is logged unless somebody says otherwise.
    fn usual_log(&self) -> &'static str {
        match self {
            // The story tells what happens.
            #[cfg(feature = "sandbox")]
            Self::Demo(_) => "off",
            Self::Serve(_)
            | Self::Plan(_)
            | Self::Rotate(_)
            | Self::Validate { .. }
            | Self::Bootstrap(_)
            | Self::Schema
            | Self::Crds => "info",
        }
    }
}

fn start_log(args: &LogArgs, usual: &str) {
    let is_terminal = std::io::stderr().is_terminal();
    let format = args.log_format.unwrap_or(if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let filter = tracing_subscriber::EnvFilter::new(args.log.as_deref().unwrap_or(usual));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// The present.
#[expect(
    clippy::disallowed_methods,
    reason = "a command is where the clock is read"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Reads with the App's key, or with a person's token.
async fn github_reader(args: &AccessArgs, owner: &Login) -> anyhow::Result<Reader> {
    if let Some(token) = persons_token(args) {
        return Ok(GitHub::with_token(&args.github_api_url, token)?);
    }
    let (github, installation) = installed(args, owner).await?;
    Ok(github.reader(installation))
}

/// Reads and writes as either; of the App its id, too.
async fn github_hands(
    args: &AccessArgs,
    owner: &Login,
) -> anyhow::Result<(Reader, Writer, Option<u64>)> {
    if let Some(token) = persons_token(args) {
        let (reader, writer) =
            GitHub::as_person(&args.github_api_url, token, args.content_limits.clone())?;
        return Ok((reader, writer, None));
    }
    let (github, installation) = installed(args, owner).await?;
    let app = github.app().await?;
    Ok((
        github.reader(installation),
        github.writer(installation),
        Some(app.id),
    ))
}

fn persons_token(args: &AccessArgs) -> Option<SecretString> {
    config::github_token().filter(|_| args.app_id.is_none())
}

/// The App, and its installation on an account.
async fn installed(args: &AccessArgs, owner: &Login) -> anyhow::Result<(GitHub, u64)> {
    let settings = args.app();
    let settings = settings.context("give the App's id and key, or a token in `GITHUB_TOKEN`")?;
    let github = GitHub::new(&settings)?;
    let found = github.installation(owner).await?;
    let installation = found.with_context(|| format!("the App is not installed on `{owner}`"))?;
    Ok((github, installation.id))
}
