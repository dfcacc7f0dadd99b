//! `tenantry serve`: the App, until it is told to stop.

use crate::config::ServeArgs;
use crate::kubernetes;
use crate::serve::{self, Parts};

pub async fn run(args: ServeArgs) -> anyhow::Result<u8> {
    let cluster = async { Ok(kubernetes::connect().await?.1) };
    let parts = Parts::of(&args, cluster).await?;
    let app = serve::start(parts).await?;
    super::told_to_stop().await?;
    tracing::info!("stopping");
    app.stop().await;
    Ok(0)
}
