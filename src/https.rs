//! TLS for whoever speaks HTTP here.

use std::io;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;

/// Connections to what the system's certificates vouch for; and plain ones, which are for callers to refuse.
pub fn connector(mut tcp: HttpConnector) -> io::Result<HttpsConnector<HttpConnector>> {
    tcp.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}
