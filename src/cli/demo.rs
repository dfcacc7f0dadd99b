//! `tenantry demo`: the whole product on this machine, without an account, a cluster or a network.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;

use clap::Args;

use crate::demo::journey::{self, Teller};
use crate::demo::{self, stage::Stage};

/// Columns where nobody tells how many there are.
const WIDTH: usize = 100;
/// Beyond this, lines are tiring to read.
const WIDEST: usize = 120;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the story, with status 0 if every step happened
    #[arg(long)]
    once: bool,
    /// A real cluster to use instead of the embedded one: its kubeconfig. Objects made in it stay there
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub async fn run(args: &DemoArgs, out: &mut dyn Write, color: bool) -> anyhow::Result<u8> {
    let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
    let mut teller = Teller {
        out,
        width: width.min(WIDEST),
        color,
    };
    // Listened for all the time: a Ctrl-C between the story and the pages counts, too.
    let mut stopped = pin!(super::told_to_stop());
    let stage = tokio::select! {
        stage = perform(args, &mut teller) => stage?,
        stopped = &mut stopped => return stopped.map(|()| 0),
    };
    if !args.once {
        let pages = demo::open(&stage).await?;
        teller.invite(&pages.url)?;
        stopped.await?;
    }
    stage.strike().await;
    Ok(0)
}

async fn perform(args: &DemoArgs, teller: &mut Teller<'_>) -> anyhow::Result<Stage> {
    let stage = Stage::set(args.kubeconfig.as_deref()).await?;
    journey::walk(stage, teller).await
}
