//! `X-Hub-Signature-256`: that GitHub, and nobody else, has sent these bytes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("`X-Hub-Signature-256` is missing: set a secret in the App's webhook settings")]
    Missing,
    #[error("`X-Hub-Signature-256` is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    #[error("`X-Hub-Signature-256` does not match: the App's webhook secret is another one")]
    Wrong,
}

/// Compares in constant time, over the body as it came.
pub(super) fn verify(secret: &[u8], body: &[u8], header: Option<&[u8]>) -> Result<(), Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    let digits = header.strip_prefix(b"sha256=").ok_or(Refusal::Malformed)?;
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| Refusal::Malformed)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Refusal::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &[u8] =
        b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_example_of_githubs_documentation_is_believed() {
        assert_eq!(verify(SECRET, BODY, Some(SIGNATURE)), Ok(()));
    }

    #[test]
    fn a_delivery_without_a_signature_is_not_believed() {
        assert_eq!(verify(SECRET, BODY, None), Err(Refusal::Missing));
    }

    #[test]
    fn what_is_not_a_signature_is_told_apart_from_a_wrong_one() {
        let malformed: [&[u8]; 6] = [
            b"",
            b"sha256=",
            b"sha256=00",
            b"sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"sha256=\xff57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ];
        for header in malformed {
            assert_eq!(verify(SECRET, BODY, Some(header)), Err(Refusal::Malformed));
        }
    }

    #[test]
    fn another_body_or_another_secret_is_not_believed() {
        let changed = verify(SECRET, b"Hello, World?", Some(SIGNATURE));
        assert_eq!(changed, Err(Refusal::Wrong));
        let guessed = verify(b"a secret", BODY, Some(SIGNATURE));
        assert_eq!(guessed, Err(Refusal::Wrong));
    }
}
