//! Flags and environment: the only reader of either.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::SecretString;

use crate::github::{ContentLimits, Settings, Timing};
use crate::names::{FullName, Login};

/// How to reach GitHub, and as whom.
#[derive(Debug, Clone, Args)]
pub struct AccessArgs {
    /// REST root of GitHub; `http://` for loopback addresses alone
    #[arg(
        long,
        env = "TENANTRY_GITHUB_API_URL",
        default_value = "https://api.github.com"
    )]
    pub github_api_url: String,
    /// The App's id or client id
    #[arg(long, env = "TENANTRY_APP_ID")]
    pub app_id: Option<String>,
    /// The App's private key, in PEM form (better: --private-key-file)
    #[arg(long, env = "TENANTRY_PRIVATE_KEY", hide_env_values = true)]
    pub private_key: Option<SecretString>,
    /// File that holds the App's private key
    #[arg(long, env = "TENANTRY_PRIVATE_KEY_FILE")]
    pub private_key_file: Option<PathBuf>,
    /// How much may be created on GitHub in a while; `none` on a server without such a limit
    #[arg(
        long,
        env = "TENANTRY_CONTENT_LIMITS",
        default_value_t = ContentLimits::default()
    )]
    pub content_limits: ContentLimits,
    /// This cluster's name; it stands in the titles of deploy keys
    #[arg(long, env = "TENANTRY_CLUSTER", default_value = "default")]
    pub cluster: String,
}

/// The same, and which of GitHub's repositories are obeyed.
#[derive(Debug, Clone, Args)]
pub struct GitHubArgs {
    #[command(flatten)]
    pub access: AccessArgs,
    /// Organisations other than the control repo's owner that a file may name
    #[arg(long, env = "TENANTRY_ORGANIZATIONS", value_delimiter = ',')]
    pub organizations: Vec<Login>,
    /// Path of the file in a control repo
    #[arg(long, env = "TENANTRY_TENANTS_FILE", default_value = "tenants.yaml")]
    pub tenants_file: String,
}

/// What `tenantry serve` needs.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub github: GitHubArgs,
    /// Secret of the App's webhook (better: --webhook-secret-file)
    #[arg(long, env = "TENANTRY_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<SecretString>,
    /// File that holds the secret of the App's webhook
    #[arg(long, env = "TENANTRY_WEBHOOK_SECRET_FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Control repos, as owner/repo; no other repository is ever obeyed
    #[arg(long, env = "TENANTRY_CONTROL_REPOS", value_delimiter = ',')]
    pub control_repos: Vec<FullName>,
    /// Public address: `POST /webhook` alone
    #[arg(long, env = "TENANTRY_LISTEN", default_value = "0.0.0.0:3000", value_parser = address)]
    pub listen: SocketAddr,
    /// Address of `/healthz` and `/readyz`
    #[arg(long, env = "TENANTRY_ADMIN_LISTEN", default_value = "127.0.0.1:9090", value_parser = address)]
    pub admin_listen: SocketAddr,
    /// How often everything is compared, drift included
    #[arg(long, env = "TENANTRY_RESYNC", default_value = "10m", value_parser = duration)]
    pub resync: Duration,
    /// How long a merge waits for Flux before its check concludes
    #[arg(long, env = "TENANTRY_LIVE_DEADLINE", default_value = "10m", value_parser = duration)]
    pub live_deadline: Duration,
}

/// Where the log goes and how much of it.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Filter of the log: a level, or as in `info,tenantry=debug`; `info` unless it is the demo's
    #[arg(long, env = "TENANTRY_LOG", global = true)]
    pub log: Option<String>,
    /// Form of the log; text on a terminal, else JSON
    #[arg(long, env = "TENANTRY_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl AccessArgs {
    fn key(&self) -> anyhow::Result<SecretString> {
        secret(
            self.private_key.as_ref(),
            self.private_key_file.as_deref(),
            "TENANTRY_PRIVATE_KEY",
        )
    }

    /// The App, as it is reached.
    pub fn app(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            api_url: self.github_api_url.clone(),
            app_id: self.app_id()?.to_owned(),
            private_key: self.key()?,
            limits: self.content_limits.clone(),
            timing: Timing::default(),
        })
    }

    fn app_id(&self) -> anyhow::Result<&str> {
        self.app_id
            .as_deref()
            .context("`TENANTRY_APP_ID` is not set: the id or client id of the GitHub App")
    }

    /// The host that Flux clones from: GitHub's own name, or the server's.
    pub fn git_host(&self) -> String {
        let host = self
            .github_api_url
            .parse::<http::Uri>()
            .ok()
            .and_then(|url| url.host().map(str::to_owned));
        match host.as_deref() {
            None | Some("api.github.com" | "localhost" | "127.0.0.1" | "[::1]") => {
                "github.com".to_owned()
            }
            Some(host) => host.strip_prefix("api.").unwrap_or(host).to_owned(),
        }
    }
}

impl GitHubArgs {
    pub fn organizations(&self) -> BTreeSet<Login> {
        self.organizations.iter().cloned().collect()
    }
}

impl ServeArgs {
    pub fn webhook_secret(&self) -> anyhow::Result<SecretString> {
        secret(
            self.webhook_secret.as_ref(),
            self.webhook_secret_file.as_deref(),
            "TENANTRY_WEBHOOK_SECRET",
        )
    }

    pub fn control_repos(&self) -> anyhow::Result<BTreeSet<FullName>> {
        if self.control_repos.is_empty() {
            bail!(
                "`TENANTRY_CONTROL_REPOS` is not set: the control repos, as `owner/repo`, comma-separated"
            );
        }
        Ok(self.control_repos.iter().cloned().collect())
    }
}

/// `GITHUB_TOKEN`, with which a person plans and bootstraps from the command line.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read here and nowhere else"
)]
pub fn github_token() -> Option<SecretString> {
    std::env::var("GITHUB_TOKEN")
        .ok()
        .filter(|token| !token.is_empty())
        .map(SecretString::from)
}

fn secret(
    value: Option<&SecretString>,
    file: Option<&Path>,
    name: &str,
) -> anyhow::Result<SecretString> {
    match (value, file) {
        (Some(_), Some(_)) => bail!("both `{name}` and `{name}_FILE` are set: leave one out"),
        (Some(value), None) => Ok(value.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("read `{name}_FILE` ({})", path.display()))?;
            Ok(SecretString::from(
                text.trim_end_matches(['\n', '\r']).to_owned(),
            ))
        }
        (None, None) => bail!("neither `{name}` nor `{name}_FILE` is set"),
    }
}

/// A length of time, such as `10m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let period: crate::tenants::Period = text.parse()?;
    if period.seconds == 0 {
        return Err("must be longer than nothing".to_owned());
    }
    Ok(Duration::from_secs(period.seconds))
}

/// `host:port`, with or without brackets: a pod's IPv6 address comes without.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bracketed = text
        .rsplit_once(':')
        .map(|(host, port)| format!("[{host}]:{port}"));
    let parsed = text.parse().ok().or_else(|| bracketed?.parse().ok());
    parsed.ok_or_else(|| "is not an address and a port, as in `0.0.0.0:3000`".to_owned())
}
