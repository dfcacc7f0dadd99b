//! `tenantry serve`: the App, until it is told to stop.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::ServeArgs;
use crate::kubernetes;
use crate::serve::{self, Parts};

pub async fn run(args: ServeArgs) -> anyhow::Result<u8> {
    let cluster = async { Ok(kubernetes::connect().await?.1) };
    let parts = Parts::of(&args, cluster).await?;
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
