//! Whether the cluster keeps the app in its place: said in the log and in `/readyz`. The app works without it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::kubernetes::Reader;

/// Between two looks: what is missing is seldom put right, and seldom taken away.
const INTERVAL: Duration = Duration::from_hours(1);

/// What was found last; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Guards(Arc<Mutex<Option<String>>>);

impl Guards {
    /// Looks now and each hour, and logs what has changed.
    pub(super) async fn watch(self, cluster: Reader) {
        loop {
            let note = note(&cluster).await;
            let before = self.replace(note.clone());
            match (before, note) {
                (before, Some(note)) if before.as_ref() != Some(&note) => tracing::warn!("{note}"),
                (Some(_), None) => tracing::info!("the cluster enforces every admission policy"),
                (None | Some(_), None | Some(_)) => {}
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// What is missing, as of the last look.
    pub(super) fn note(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, note: Option<String>) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, note)
    }
}

async fn note(cluster: &Reader) -> Option<String> {
    match cluster.missing_policies().await {
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => Some(format!(
            "the cluster does not enforce `{}`: whoever takes over Tenantry's account can administer any namespace, and \
             tenants can change what Tenantry made in theirs. On Kubernetes 1.30 and later run \
             `kubectl apply -k deploy/admission/`",
            missing.join("`, `")
        )),
        Err(error) => Some(format!(
            "whether the cluster enforces the admission policies cannot be read: {error}"
        )),
    }
}
