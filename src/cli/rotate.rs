//! `tenantry rotate`: has the deploy key of a tenant replaced, and waits until it is.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::apply::rotation::{self, Keys, Refusal};
use crate::cli::Output;
use crate::flux::ControlNamespace;
use crate::kubernetes::{self, Reader};
use crate::names::TenantName;
use crate::object::Fingerprint;
use crate::render::escape;

/// Between two looks at the Tenant object.
const APART: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The tenant
    tenant: TenantName,
    /// How long to wait until the new key is the only one
    #[arg(long, default_value = "5m", value_parser = crate::config::duration)]
    timeout: Duration,
    #[arg(long, value_enum, default_value = "tree")]
    output: Output,
}

/// What to print once it is done. `tenantry serve` does it, which knows GitHub.
pub async fn run(args: &RotateArgs) -> anyhow::Result<String> {
    let tenant = &args.tenant;
    let (reader, writer) = kubernetes::connect().await?;
    let before = rotation::ask(&writer, tenant, None).await?;
    say(&format!(
        "asked `tenantry serve` for another deploy key for `{tenant}`"
    ))?;
    let mut seen = Keys {
        in_use: before.clone(),
        former: Vec::new(),
    };
    let replaced = replaced(&reader, tenant, &mut seen);
    match tokio::time::timeout(args.timeout, replaced).await {
        Ok(done) => done?,
        Err(_) => bail!(what_is_missing(tenant, &before, &seen, args.timeout)),
    }
    Ok(shown(tenant, &before, &seen.in_use, args.output))
}

/// Waits until another key is the only one.
async fn replaced(reader: &Reader, tenant: &TenantName, seen: &mut Keys) -> anyhow::Result<()> {
    let before = seen.in_use.clone();
    loop {
        tokio::time::sleep(APART).await;
        let now = match rotation::keys(reader, tenant).await {
            Err(Refusal::Cluster(error)) if error.is_retryable() => continue,
            now => now.context("look how far it is")?,
        };
        if now.in_use != seen.in_use {
            say(&format!(
                "registered and stored `{}`: Flux is to fetch with it",
                now.in_use
            ))?;
        }
        *seen = now;
        if seen.in_use != before && seen.former.is_empty() {
            return Ok(());
        }
    }
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "{line}")
}

fn what_is_missing(
    tenant: &TenantName,
    before: &Fingerprint,
    seen: &Keys,
    timeout: Duration,
) -> String {
    let missing = if seen.in_use == *before {
        format!(
            "`tenantry serve` has not replaced the deploy key of `{tenant}`; it does as soon as it can, and says in the check `tenantry/apply` what keeps it"
        )
    } else {
        let namespace = ControlNamespace::of(tenant);
        format!(
            "Flux has not fetched with the new key, and `{before}` stays registered until it has: see `kubectl -n {namespace} describe gitrepository workspace`"
        )
    };
    format!("not done after {timeout:?}: {missing}")
}

fn shown(tenant: &TenantName, before: &Fingerprint, now: &Fingerprint, output: Output) -> String {
    match output {
        Output::Tree => format!("{tenant}: deploy key {now} in the place of {before}\n"),
        Output::Markdown => format!(
            "{}: deploy key {} in the place of {}\n",
            escape::code(tenant.as_str()),
            escape::code(&now.0),
            escape::code(&before.0)
        ),
        Output::Json => {
            let value = json!({ "tenant": tenant, "deployKey": now, "before": before });
            format!("{value:#}\n")
        }
    }
}
