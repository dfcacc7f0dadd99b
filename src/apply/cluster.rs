//! The Kubernetes half of writing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, Work};
use crate::keys::KeyPair;
use crate::kubernetes::Force;
use crate::object::{Kind, ManifestId};
use crate::observed::{Memory, Progress};
use crate::tenants::KeyAlgorithm;
use crate::{flux, keys};

impl Work<'_> {
    pub(super) async fn manifest(
        &mut self,
        id: &ManifestId,
        manifest: &Value,
        is_new: bool,
    ) -> Result<(), Failure> {
        let force = if is_new { Force::No } else { Force::Yes };
        let applied = self.hands.cluster.apply(id, manifest, force).await?;
        if id.kind == Kind::Tenant {
            self.remember_entry(&applied)?;
        }
        Ok(())
    }

    /// The Tenant object was written: from here on there is something to remember by.
    fn remember_entry(&mut self, applied: &Value) -> Result<(), Failure> {
        let generation = applied["metadata"]["generation"]
            .as_i64()
            .unwrap_or_default();
        if let Some(memory) = &mut self.known.memory {
            memory.generation = generation;
            return Ok(());
        }
        let Some(entry) = self.known.entry.clone() else {
            return Err(Failure::useless("a Tenant without an entry"));
        };
        self.known.memory = Some(Memory {
            entry,
            control_repository: self.hands.surroundings.control_repository.clone(),
            commit: applied["spec"]["commit"]
                .as_str()
                .unwrap_or_default()
                .into(),
            created_at: self.hands.now,
            repository: None,
            key: None,
            progress: Progress::New,
            generation,
            accepted: None,
        });
        Ok(())
    }

    /// Makes a key pair and stores it; the private half lives from here to the end of this function.
    pub(super) async fn credentials(&mut self, namespace: &str) -> Result<(), Failure> {
        let algorithm = self
            .known
            .entry
            .as_ref()
            .map_or(KeyAlgorithm::Ed25519, |entry| entry.deploy_key.algorithm);
        let unmakeable = |error: anyhow::Error| Failure::useless(format!("{error:#}"));
        let pair = KeyPair::generate(algorithm).map_err(unmakeable)?;
        let body = self.secret(namespace, &pair);
        self.hands
            .cluster
            .apply_credentials(namespace, body)
            .await?;
        let fingerprint = keys::fingerprint(&pair.public);
        self.known.public_key = Some(pair.public);
        let status = json!({ "deployKey": { "fingerprint": fingerprint } });
        self.hands.cluster.remember(self.tenant, &status).await?;
        Ok(())
    }

    /// Written by hand, so that no copy of the private key stays behind in a JSON value.
    fn secret(&self, namespace: &str, pair: &KeyPair) -> Zeroizing<Vec<u8>> {
        let labels = flux::labels(self.tenant);
        let identity = Zeroizing::new(STANDARD.encode(pair.private.as_bytes()));
        let public = STANDARD.encode(&pair.public);
        let known_hosts = STANDARD.encode(self.hands.known_hosts);
        let head = json!({ "name": "git-auth", "namespace": namespace, "labels": labels });
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        let start = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","type":"Opaque","metadata":{head},"data":{{"#
        );
        let rest =
            format!(r#""identity.pub":"{public}","known_hosts":"{known_hosts}","identity":""#);
        body.extend_from_slice(start.as_bytes());
        body.extend_from_slice(rest.as_bytes());
        body.extend_from_slice(identity.as_bytes());
        body.extend_from_slice(br#""}}"#);
        body
    }
}
