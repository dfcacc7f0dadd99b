//! The Kubernetes half of writing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Failure, Work};
use crate::kubernetes::Force;
use crate::live::Version;
use crate::live::following::WATCHED;
use crate::object::{Kind, ManifestId};
use crate::observed::{Memory, Progress};

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
            former: BTreeSet::new(),
            replace: None,
            known_hosts: None,
            progress: Progress::New,
            generation,
            accepted: None,
        });
        Ok(())
    }
}
