//! The Kubernetes half of writing.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, Work};
use crate::keys::KeyPair;
use crate::kubernetes::Force;
use crate::live::Version;
use crate::live::following::WATCHED;
use crate::object::{Kind, ManifestId};
use crate::observed::{Memory, Progress};
use crate::tenants::KeyAlgorithm;
use crate::{flux, keys, kubernetes};

impl Work<'_> {
    pub(super) async fn manifest(
        &mut self,
        id: &ManifestId,
        manifest: &Value,
        is_new: bool,
    ) -> Result<(), Failure> {
        let force = if is_new { Force::No } else { Force::Yes };
        let applied = self.hands.cluster.apply(id, manifest, force).await?;
        if WATCHED.contains(&id.kind) {
            let version = Version::of(&applied);
            self.traces.versions.insert(id.kind, version);
        }
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
            known_hosts: None,
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
        let known_hosts = keys::fingerprint_of_hosts(self.hands.known_hosts);
        let status = json!({ "deployKey": {
            "fingerprint": keys::fingerprint(&pair.public),
            "knownHosts": known_hosts,
        } });
        self.known.public_key = Some(pair.public);
        self.known.known_hosts = Some(known_hosts);
        self.hands.cluster.remember(self.tenant, &status).await?;
        Ok(())
    }

    /// Replaces the host keys beside the key pair, and has Flux fetch with them: it does not watch Secrets.
    pub(super) async fn known_hosts(&mut self, namespace: &str) -> Result<(), Failure> {
        let (cluster, lines) = (self.hands.cluster, self.hands.known_hosts);
        cluster.set_known_hosts(namespace, lines).await?;
        self.known.known_hosts = Some(keys::fingerprint_of_hosts(lines));
        self.ask_flux(&self.hands.now.to_string()).await
    }

    /// Has Flux fetch at once; `request` is what it will say it has handled.
    async fn ask_flux(&self, request: &str) -> Result<(), Failure> {
        let source = flux::source(self.tenant);
        let asked = self
            .hands
            .cluster
            .annotate(&source, flux::REQUESTED_AT, request)
            .await;
        match asked {
            // It is made later, and fetches then.
            Ok(()) | Err(kubernetes::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn secret(&self, namespace: &str, pair: &KeyPair) -> Zeroizing<Vec<u8>> {
        let labels = flux::labels(self.tenant);
        let metadata = json!({ "name": "git-auth", "namespace": namespace, "labels": labels });
        keys::secret(&metadata, pair, self.hands.known_hosts)
    }
}
