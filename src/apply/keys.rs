//! The key pair with which Flux fetches: made, kept in the tenant's Secret, registered on GitHub, replaced in time.
//!
//! ```text
//! remember both keys ─► register the new one ─► Secret ─► ask Flux to fetch ─► (it has) ─► remove the former one
//! ```
//! Until Flux has fetched with the new key, both are registered. A key goes only if the Tenant remembers that it was
//! made for it and the Secret does not hold it; so whatever an interruption leaves behind is found and goes too.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, Work};
use crate::github::Key;
use crate::keys::{self, KeyPair};
use crate::names::FullName;
use crate::object::Fingerprint;
use crate::report::Outcome;
use crate::tenants::KeyAlgorithm;
use crate::{flux, kubernetes};

/// As the Tenant's status has it.
pub(super) fn listed(keys: &BTreeSet<Fingerprint>) -> Value {
    if keys.is_empty() {
        Value::Null
    } else {
        json!(keys)
    }
}

impl Work<'_> {
    /// Makes a key pair and stores it; the private half lives from here to the end of this function.
    pub(super) async fn credentials(&mut self, namespace: &str) -> Result<(), Failure> {
        let pair = self.new_pair()?;
        let body = self.secret(namespace, &pair);
        let cluster = self.hands.cluster;
        cluster.apply_credentials(namespace, body).await?;
        self.known.public_key = Some(pair.public);
        self.known.known_hosts = Some(keys::fingerprint_of_hosts(self.hands.known_hosts));
        self.remember_keys().await
    }

    /// Replaces the host keys beside the key pair, and has Flux fetch with them: it does not watch Secrets.
    pub(super) async fn known_hosts(&mut self, namespace: &str) -> Result<(), Failure> {
        let (cluster, lines) = (self.hands.cluster, self.hands.known_hosts);
        cluster.set_known_hosts(namespace, lines).await?;
        self.known.known_hosts = Some(keys::fingerprint_of_hosts(lines));
        self.ask_flux(&self.hands.now.to_string()).await
    }

    /// Registers the public half of the key that the Secret holds.
    pub(super) async fn deploy_key(
        &mut self,
        repository: &FullName,
        title: &str,
        read_only: bool,
    ) -> Result<(), Failure> {
        if self.known.public_key.is_none() {
            let stored = self.stored().await?;
            self.known.public_key = stored.filter(|key| !key.is_empty());
        }
        let Some(public_key) = self.known.public_key.clone() else {
            return Err(Failure::useful("the Secret `git-auth` holds no key"));
        };
        self.register(repository, title, read_only, public_key)
            .await
    }

    /// Puts a new pair in the place of the one in use. Its public half is registered first, so that Flux never holds a
    /// key that GitHub does not know; its private half is nowhere but here, and then in the Secret.
    pub(super) async fn rotate(
        &mut self,
        repository: &FullName,
        title: &str,
        read_only: bool,
    ) -> Result<Outcome, Failure> {
        // There are never more than two: what an earlier replacement has left goes first.
        let remembered = self.known.memory.as_ref().map(|memory| &memory.former);
        let former = self.known.former.as_ref().or(remembered);
        for former in former.cloned().unwrap_or_default() {
            match self.former_key(repository, &former).await? {
                Outcome::Done => {}
                waiting => return Ok(waiting),
            }
        }
        let pair = self.new_pair()?;
        let fingerprint = keys::fingerprint(&pair.public)
            .ok_or_else(|| Failure::useless("the new key has no fingerprint"))?;
        self.announce(&fingerprint).await?;
        self.register(repository, title, read_only, pair.public.clone())
            .await?;
        let namespace = flux::ControlNamespace::of(self.tenant).to_string();
        let cluster = self.hands.cluster;
        cluster
            .replace_credentials(&namespace, keys::change_of_pair(&pair))
            .await?;
        self.known.public_key = Some(pair.public);
        self.remember_keys().await?;
        self.ask_flux(&fingerprint.0).await?;
        self.traces.key = Some(fingerprint);
        Ok(Outcome::Done)
    }

    /// Removes a key that is not in use, once Flux has fetched with the one that is.
    pub(super) async fn former_key(
        &mut self,
        repository: &FullName,
        former: &Fingerprint,
    ) -> Result<Outcome, Failure> {
        let left = self.known.former.as_ref();
        if left.is_some_and(|left| !left.contains(former)) {
            return Ok(Outcome::Done);
        }
        // Read again: another replica may have put this very key there meanwhile.
        let stored = self.stored().await?;
        let held = stored.as_deref().and_then(keys::fingerprint);
        let held = held
            .filter(|held| held != former)
            .ok_or_else(|| Failure::useful("the Secret `git-auth` has changed meanwhile"))?;
        if !self.has_fetched_with(&held).await? {
            return Ok(Outcome::Waiting);
        }
        let is_former = |key: &str| keys::fingerprint(key).as_ref() == Some(former);
        let github = self.hands.github;
        github.remove_deploy_keys(repository, is_former).await?;
        if let Some(left) = &mut self.known.former {
            left.remove(former);
        }
        Ok(Outcome::Done)
    }

    /// If not, Flux is asked to, once.
    async fn has_fetched_with(&self, held: &Fingerprint) -> Result<bool, Failure> {
        let Some(fetching) = self.known.fetching.as_ref().filter(|one| !one.suspended) else {
            // Nothing fetches, with whatever key.
            return Ok(true);
        };
        if fetching.fetched.as_ref() == Some(held) {
            return Ok(true);
        }
        if fetching.asked.as_ref() != Some(held) {
            self.ask_flux(&held.0).await?;
        }
        Ok(false)
    }

    /// Has Flux fetch at once; `request` is what it will say it has handled.
    async fn ask_flux(&self, request: &str) -> Result<(), Failure> {
        let source = flux::source(self.tenant);
        let cluster = self.hands.cluster;
        match cluster.annotate(&source, flux::REQUESTED_AT, request).await {
            // It is made later, and fetches then.
            Ok(()) | Err(kubernetes::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn register(
        &self,
        repository: &FullName,
        title: &str,
        read_only: bool,
        public_key: String,
    ) -> Result<(), Failure> {
        let key = Key {
            title: title.to_owned(),
            read_only,
            public_key,
            created_at: None,
        };
        self.hands.github.add_deploy_key(repository, &key).await?;
        Ok(())
    }

    fn new_pair(&self) -> Result<KeyPair, Failure> {
        let entry = self.known.entry.as_ref();
        let algorithm = entry.map_or(KeyAlgorithm::Ed25519, |entry| entry.deploy_key.algorithm);
        KeyPair::generate(algorithm).map_err(|error| Failure::useless(format!("{error:#}")))
    }

    /// The public key in the Secret.
    async fn stored(&self) -> Result<Option<String>, Failure> {
        let namespace = flux::ControlNamespace::of(self.tenant).to_string();
        let stored = self.hands.cluster.reader().credentials(&namespace).await?;
        Ok(stored.map(|stored| stored.public_key))
    }

    /// Remembers a key before it is registered, and the one in use beside it: whichever the Secret does not hold then,
    /// is known to be the tenant's.
    async fn announce(&mut self, new: &Fingerprint) -> Result<(), Failure> {
        let Some(memory) = &mut self.known.memory else {
            return Err(Failure::useful("the Tenant object is not there yet"));
        };
        let held = self.known.public_key.as_deref().and_then(keys::fingerprint);
        let both = [held.or_else(|| memory.key.clone()), Some(new.clone())];
        memory.former.extend(both.into_iter().flatten());
        let former = memory.former.clone();
        let status = json!({ "deployKey": { "former": listed(&former) } });
        self.hands.cluster.remember(self.tenant, &status).await?;
        self.known.former = Some(former);
        Ok(())
    }

    /// Remembers which key the Secret holds now, at once.
    async fn remember_keys(&mut self) -> Result<(), Failure> {
        let Some(memory) = &self.known.memory else {
            return Ok(());
        };
        let (key, known_hosts) = (self.known.key(memory), self.known.known_hosts(memory));
        let former = self.known.former(memory);
        let status = json!({ "deployKey": {
            "fingerprint": key,
            "knownHosts": known_hosts,
            "former": listed(&former),
            // What was asked for has been done.
            "replace": Value::Null,
        } });
        self.hands.cluster.remember(self.tenant, &status).await?;
        if let Some(memory) = &mut self.known.memory {
            (memory.key, memory.known_hosts) = (key, known_hosts);
            (memory.former, memory.replace) = (former.clone(), None);
        }
        self.known.former = Some(former);
        Ok(())
    }

    fn secret(&self, namespace: &str, pair: &KeyPair) -> Zeroizing<Vec<u8>> {
        let labels = flux::labels(self.tenant);
        let metadata = json!({ "name": "git-auth", "namespace": namespace, "labels": labels });
        keys::secret(&metadata, pair, self.hands.known_hosts)
    }
}
