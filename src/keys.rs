//! SSH key pairs: made here, kept in one Kubernetes Secret, known elsewhere by their fingerprint.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::object::Fingerprint;
use crate::tenants::KeyAlgorithm;

/// A new key pair. The private half is wiped when it is dropped, and has no `Debug`.
pub struct KeyPair {
    /// OpenSSH's own PEM form.
    pub private: Zeroizing<String>,
    /// One line without a comment: `ssh-ed25519 AAAA…`.
    pub public: String,
}

impl KeyPair {
    pub fn generate(algorithm: KeyAlgorithm) -> anyhow::Result<Self> {
        let algorithm = match algorithm {
            KeyAlgorithm::Ed25519 => Algorithm::Ed25519,
            KeyAlgorithm::EcdsaP256 => Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
            KeyAlgorithm::EcdsaP384 => Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP384,
            },
        };
        let key = PrivateKey::random(&mut UnwrapErr(SysRng), algorithm)
            .context("make an SSH key pair")?;
        Ok(Self {
            private: key
                .to_openssh(LineEnding::LF)
                .context("write an SSH private key")?,
            public: key
                .public_key()
                .to_openssh()
                .context("write an SSH public key")?,
        })
    }
}

/// The Secret that Flux clones with.
pub fn secret(metadata: &Value, pair: &KeyPair, known_hosts: &str) -> Zeroizing<Vec<u8>> {
    let known_hosts = STANDARD.encode(known_hosts);
    let start = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","type":"Opaque","metadata":{metadata},"data":{{"known_hosts":"{known_hosts}","#
    );
    with_pair(&start, pair)
}

/// A change of that Secret which puts another pair into it.
pub fn change_of_pair(pair: &KeyPair) -> Zeroizing<Vec<u8>> {
    with_pair(r#"{"data":{"#, pair)
}

/// The pair in a Secret's `data`, which `start` opens. It is written by hand, so that no copy of the private key stays
/// behind in a JSON value, and at once has the room that it takes, so that none stays where it was before.
fn with_pair(start: &str, pair: &KeyPair) -> Zeroizing<Vec<u8>> {
    let identity = Zeroizing::new(STANDARD.encode(pair.private.as_bytes()));
    let public = STANDARD.encode(&pair.public);
    let parts = [
        start,
        r#""identity.pub":""#,
        &public,
        r#"","identity":""#,
        &identity,
        r#""}}"#,
    ];
    let length = parts.iter().map(|part| part.len()).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

/// The fingerprint of a public key's line, with or without a comment; nothing if it is not one.
pub fn fingerprint(public: &str) -> Option<Fingerprint> {
    let key = PublicKey::from_openssh(public.trim()).ok()?;
    Some(Fingerprint(key.fingerprint(HashAlg::Sha256).to_string()))
}

/// The lines of a `known_hosts` for one host, from the keys that GitHub tells of.
pub fn known_hosts(host: &str, keys: &[String]) -> String {
    keys.iter().map(|key| format!("{host} {key}\n")).collect()
}

/// The fingerprint of the lines of a `known_hosts`.
pub fn fingerprint_of_hosts(lines: &str) -> Fingerprint {
    let hash = STANDARD_NO_PAD.encode(Sha256::digest(lines));
    Fingerprint(format!("SHA256:{hash}"))
}

/// Which of our algorithms made a public key; nothing for others, such as RSA.
pub fn algorithm(public: &str) -> Option<KeyAlgorithm> {
    match PublicKey::from_openssh(public.trim()).ok()?.algorithm() {
        Algorithm::Ed25519 => Some(KeyAlgorithm::Ed25519),
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        } => Some(KeyAlgorithm::EcdsaP256),
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        } => Some(KeyAlgorithm::EcdsaP384),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyPair, algorithm, fingerprint};
    use crate::tenants::KeyAlgorithm;

    #[test]
    fn a_key_is_recognised_without_its_comment() {
        for &wanted in KeyAlgorithm::ALL {
            let pair = KeyPair::generate(wanted).unwrap();
            assert_eq!(algorithm(&pair.public), Some(wanted));
            let commented = format!("{} somebody@example.com\n", pair.public);
            assert_eq!(fingerprint(&pair.public), fingerprint(&commented));
            assert!(fingerprint(&pair.public).unwrap().0.starts_with("SHA256:"));
            assert!(
                pair.private
                    .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")
            );
        }
        assert_eq!(fingerprint("ssh-ed25519 AAAA"), None);
    }
}
