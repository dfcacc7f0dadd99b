//! `tenantry serve`: the App, until it is told to stop.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::bot::{Pace, Setup};
use crate::config::ServeArgs;
use crate::github::GitHub;
use crate::kubernetes;
use crate::serve::{self, Parts};

pub async fn run(args: ServeArgs) -> anyhow::Result<u8> {
    let parts = parts(&args).await?;
    let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let app = serve::start(parts).await?;
    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listen for Ctrl-C")?,
    }
    tracing::info!("stopping");
    app.stop().await;
    Ok(0)
}

async fn parts(args: &ServeArgs) -> anyhow::Result<Parts> {
    let github = &args.github;
    let setup = Setup {
        control_repos: args.control_repos()?,
        organizations: github.organizations(),
        tenants_file: github.tenants_file.clone(),
        cluster: github.cluster.clone(),
        git_host: github.git_host(),
        pace: Pace {
            merge_commit: Duration::from_secs(2),
            tries: [Duration::from_secs(2), Duration::from_secs(10)],
            retry: Duration::from_secs(60),
            resync: args.resync,
        },
    };
    Ok(Parts {
        github: GitHub::new(&github.app()?)?,
        webhook_secret: args.webhook_secret()?,
        cluster: kubernetes::connect().await?.1,
        setup,
        listen: args.listen,
        admin_listen: args.admin_listen,
    })
}
