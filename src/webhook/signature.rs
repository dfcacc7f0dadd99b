//! `X-Hub-Signature-256`: HMAC-SHA256 of the raw body with the webhook's secret.
//! <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("the header `X-Hub-Signature-256` is missing: set the webhook's secret on GitHub")]
    Missing,
    #[error("the header `X-Hub-Signature-256` is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    #[error(
        "the signature is not that of this body: the secret on GitHub and `TENANTRY_WEBHOOK_SECRET` differ"
    )]
    Mismatch,
}

/// Compares in constant time.
pub fn check(secret: &SecretString, header: Option<&str>, body: &[u8]) -> Result<(), Wrong> {
    let digits = header
        .ok_or(Wrong::Missing)?
        .strip_prefix("sha256=")
        .ok_or(Wrong::Malformed)?;
    let signature = hex::decode(digits)
        .ok()
        .filter(|bytes| bytes.len() == 32)
        .ok_or(Wrong::Malformed)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Wrong::Mismatch)
}
