//! One file from the web, of a size that fits into memory.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{LOCATION, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::https;

/// Flux's manifests are half a megabyte.
const LARGEST: usize = 16 << 20;
/// How often another address is followed.
const REDIRECTS: u32 = 5;
/// For all of it.
const DEADLINE: Duration = Duration::from_mins(1);

/// Fetches a file, wherever its address leads.
pub async fn download(url: &str) -> anyhow::Result<Vec<u8>> {
    let fetched = tokio::time::timeout(DEADLINE, fetch(url)).await;
    fetched.unwrap_or_else(|_| bail!("no answer within {DEADLINE:?}"))
}

async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let tls = https::connector(HttpConnector::new())?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(tls);
    let mut at = safe(url)?;
    for _ in 0..=REDIRECTS {
        let request = Request::get(&at)
            .header(USER_AGENT, concat!("tenantry/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())?;
        let response = client.request(request).await?;
        if response.status().is_redirection() {
            at = followed(&at, &response)?;
            continue;
        }
        if !response.status().is_success() {
            bail!("`{at}` answers {}", response.status());
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?;
        return Ok(body.to_bytes().into());
    }
    bail!("it leads from one address to the next, more than {REDIRECTS} times")
}

fn followed<T>(from: &Uri, response: &Response<T>) -> anyhow::Result<Uri> {
    let location = response.headers().get(LOCATION);
    let location = location.context("it leads nowhere")?.to_str()?;
    if location.starts_with('/') {
        let authority = from.authority().context("an address with a host")?;
        let scheme = from.scheme_str().unwrap_or("https");
        return safe(&format!("{scheme}://{authority}{location}"));
    }
    safe(location)
}

/// On the way nobody may put another file in its place.
fn safe(url: &str) -> anyhow::Result<Uri> {
    let uri: Uri = url.parse().with_context(|| format!("`{url}` is no URL"))?;
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_here => Ok(uri),
        _ => bail!("`{url}` must begin with `https://`"),
    }
}
