//! The key pair with which Flux fetches: made, kept in the tenant's Secret, registered on GitHub, replaced in time.
//!
//! A rotation goes new key on GitHub, Secret, Flux fetches, former key off GitHub. Nothing of it is remembered but which
//! key the Secret holds, and the Secret itself tells that: whatever an interruption leaves behind on GitHub is a former
//! key to the next comparison.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, Work};
use crate::github::Key;
use crate::keys::{self, KeyPair};
use crate::kubernetes::Force;
use crate::names::FullName;
use crate::object::Fingerprint;
use crate::report::Outcome;
use crate::tenants::KeyAlgorithm;
use crate::{flux, kubernetes};

impl Work<'_> {
    /// Makes a key pair and stores it; the private half lives from here to the end of this function.
    pub(super) async fn credentials(&mut self, namespace: &str) -> Result<(), Failure> {
        let pair = self.new_pair()?;
        self.store(namespace, pair, Force::No).await
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
        let Some(public_key) = &self.known.public_key else {
            return Err(Failure::useful("the Secret `git-auth` holds no key"));
        };
        let key = Key {
            title: title.to_owned(),
            read_only,
            public_key: public_key.clone(),
            created_at: None,
        };
        self.hands.github.add_deploy_key(repository, &key).await?;
        Ok(())
    }

    /// Puts a new pair in the place of the one in use. Its public half is registered first, so that Flux never holds a
    /// key that GitHub does not know; its private half is nowhere but here, and then in the Secret.
    pub(super) async fn rotate(
        &mut self,
        repository: &FullName,
        title: &str,
        read_only: bool,
    ) -> Result<Outcome, Failure> {
        let pair = self.new_pair()?;
        let key = Key {
            title: title.to_owned(),
            read_only,
            public_key: pair.public.clone(),
            created_at: None,
        };
        self.hands.github.add_deploy_key(repository, &key).await?;
        let namespace = flux::ControlNamespace::of(self.tenant).to_string();
        self.store(&namespace, pair, Force::Yes).await?;
        if let Some(fingerprint) = keys::fingerprint(&key.public_key) {
            self.ask_flux(&fingerprint.0).await?;
        }
        Ok(Outcome::Waiting)
    }

    /// Removes a key that the Secret does not hold, once Flux has fetched with the one that it holds.
    pub(super) async fn former_key(
        &mut self,
        repository: &FullName,
        former: &Fingerprint,
    ) -> Result<Outcome, Failure> {
        // Read again: a second process may have put this very key there meanwhile.
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
        Ok(Outcome::Done)
    }

    /// If not, Flux is asked to, once.
    async fn has_fetched_with(&self, held: &Fingerprint) -> Result<bool, Failure> {
        let Some(fetching) = self.known.fetching.as_ref().filter(|one| !one.suspended) else {
            // Nothing fetches, with whatever key.
            return Ok(true);
        };
        let is_held = |request: &Option<Box<str>>| request.as_deref() == Some(held.0.as_str());
        if is_held(&fetching.fetched) {
            return Ok(true);
        }
        if !is_held(&fetching.asked) {
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

    async fn store(&mut self, namespace: &str, pair: KeyPair, force: Force) -> Result<(), Failure> {
        let body = self.secret(namespace, &pair);
        let cluster = self.hands.cluster;
        cluster.apply_credentials(namespace, body, force).await?;
        let known_hosts = keys::fingerprint_of_hosts(self.hands.known_hosts);
        let status = json!({ "deployKey": {
            "fingerprint": keys::fingerprint(&pair.public),
            "knownHosts": known_hosts,
            // What was asked for has been done.
            "replace": Value::Null,
        } });
        self.known.public_key = Some(pair.public);
        self.known.known_hosts = Some(known_hosts);
        cluster.remember(self.tenant, &status).await?;
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
