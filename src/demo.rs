//! The demo: GitHub, a cluster and the app in one process, a story about them, and pages to play with.
//!
//! ```text
//! stage.rs      what there is before the story begins    journey.rs    the story
//! inventory.rs  what a tenant is made of, as a tree      terminal.rs   Markdown for a terminal
//! pages.rs      GitHub and the cluster in a browser
//! ```

use std::sync::Arc;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod inventory;
pub mod journey;
pub mod pages;
pub mod stage;
mod terminal;

use pages::{Sources, Tricks};
use stage::{CONTROL_REPO, Stage, TENANTS_FILE, YOU};

/// The pages, served until this is dropped.
pub struct Open {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    task: JoinHandle<()>,
}

/// Serves the pages on a free port of loopback.
pub async fn open(stage: &Stage) -> anyhow::Result<Open> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.context("find a free port of 127.0.0.1")?;
    let url = format!("http://{}", listener.local_addr()?);
    let sources = Sources {
        github_url: stage.github.url().to_owned(),
        token: SecretString::from(stage.github.personal_token(YOU)),
        cluster: stage.cluster.client.clone(),
        control_repo: CONTROL_REPO.to_owned(),
        tenants_file: TENANTS_FILE.to_owned(),
        app: stage.registered.clone(),
    };
    let router = pages::router(sources, Tricks::new(Arc::clone(&stage.github)));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the pages are not served any more");
        }
    });
    Ok(Open { url, task })
}

impl Drop for Open {
    /// At once: pages that follow what happens would keep a graceful end waiting for ever.
    fn drop(&mut self) {
        self.task.abort();
    }
}
