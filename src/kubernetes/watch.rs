//! Watching a kind: one list, and from its resource version on every change, for as long as the app runs.
//!
//! Guarantees: every object that carries our mark is told, and each change of it, at least once and in order; after a
//! break the watch goes on where it was, and where the server no longer knows that place, everything is listed anew.

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::TryStreamExt as _;
use http::{Method, Request};
use kube::core::WatchEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::{Error, OURS, Reader, collection, encode, named};
use crate::object::Kind;

/// Objects in one answer to the list: a Kustomization may carry a long inventory, so fewer than elsewhere.
const PAGE: u32 = 500;
/// The server ends a watch after so many seconds, and it is begun again: no request that nobody answers any more is
/// mistaken for one in which nothing happens.
const WATCH_SECONDS: u32 = 50;
/// A watch of which nothing was heard for longer is broken.
const SILENCE: Duration = Duration::from_mins(1);
/// The first wait after a failure; doubled each time.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What was seen of a kind.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A list of all there is begins.
    Listing,
    Present(Value),
    Gone(Value),
    /// The list is complete.
    Listed,
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// Why a list or a watch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Listed,
    /// The server ended the watch: it goes on from here.
    Over,
    Broken,
    /// The server no longer knows what has changed since.
    Expired,
    /// Nobody listens any more.
    Unheard,
}

impl Reader {
    /// Tells what is there of a kind and what changes, until nobody listens any more.
    pub async fn watch(self, kind: Kind, seen: Sender<(Kind, Seen)>) {
        let mut pause = PAUSE;
        let mut version = None;
        loop {
            let began = Instant::now();
            let end = match self.step(kind, &mut version, &seen).await {
                Ok(end) => end,
                Err(error) => {
                    tracing::warn!(%kind, %error, "the watch is begun again");
                    End::Broken
                }
            };
            match end {
                End::Unheard => return,
                End::Expired => version = None,
                End::Listed | End::Over | End::Broken => {}
            }
            // One that ends as soon as it has begun is not begun over and over.
            if end == End::Listed || (end == End::Over && began.elapsed() > PAUSE) {
                pause = PAUSE;
                continue;
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Lists where there is no version to watch from, else watches.
    async fn step(
        &self,
        kind: Kind,
        version: &mut Option<String>,
        seen: &Sender<(Kind, Seen)>,
    ) -> Result<End, Error> {
        if let Some(version) = version {
            return self.follow(kind, version, seen).await;
        }
        *version = self.tell_all(kind, seen).await?;
        Ok(if version.is_some() {
            End::Listed
        } else {
            End::Unheard
        })
    }

    /// Lists page by page; gives the version from which to watch, or nothing if nobody listens.
    async fn tell_all(
        &self,
        kind: Kind,
        seen: &Sender<(Kind, Seen)>,
    ) -> Result<Option<String>, Error> {
        let mut next = String::new();
        if seen.send((kind, Seen::Listing)).await.is_err() {
            return Ok(None);
        }
        loop {
            let query = format!(
                "?labelSelector={}&limit={PAGE}&continue={}",
                encode(OURS),
                encode(&next)
            );
            let path = collection(kind, None) + &query;
            let page: Page = self.send_typed(Method::GET, &path, None).await?;
            for item in page.items {
                let object: Value =
                    serde_json::from_str(item.get()).map_err(|error| Error::Unexpected {
                        message: format!("a list of {kind}: {error}"),
                    })?;
                let object = named(object, kind);
                if seen.send((kind, Seen::Present(object))).await.is_err() {
                    return Ok(None);
                }
            }
            next = page.metadata.r#continue;
            if next.is_empty() {
                let told = seen.send((kind, Seen::Listed)).await;
                return Ok(told.is_ok().then_some(page.metadata.resource_version));
            }
        }
    }

    /// Watches until something ends it; the version is moved on with each event.
    async fn follow(
        &self,
        kind: Kind,
        version: &mut String,
        seen: &Sender<(Kind, Seen)>,
    ) -> Result<End, Error> {
        let what = format!("watch {kind}");
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&labelSelector={}&resourceVersion={}",
            collection(kind, None),
            encode(OURS),
            encode(version)
        );
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .body(Vec::new());
        let request = request.map_err(|error| Error::Unexpected {
            message: error.to_string(),
        })?;
        let silent = || Error::Unavailable {
            message: format!("{what}: nothing heard within {SILENCE:?}"),
        };
        let opened = timeout(SILENCE, self.client.request_events::<Value>(request)).await;
        let events = match opened.map_err(|_| silent())? {
            Ok(events) => events,
            Err(error) => return expired_or(Error::of(&what, error)),
        };
        let mut events = std::pin::pin!(events);
        loop {
            let event = timeout(SILENCE, events.try_next())
                .await
                .map_err(|_| silent())?;
            let told = match event {
                Ok(None) => return Ok(End::Over),
                Ok(Some(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    advance(version, &object);
                    seen.send((kind, Seen::Present(object))).await
                }
                Ok(Some(WatchEvent::Deleted(object))) => {
                    advance(version, &object);
                    seen.send((kind, Seen::Gone(object))).await
                }
                Ok(Some(WatchEvent::Bookmark(bookmark))) => {
                    *version = bookmark.metadata.resource_version;
                    Ok(())
                }
                Ok(Some(WatchEvent::Error(status))) => {
                    return expired_or(Error::of(&what, kube::Error::Api(status)));
                }
                Err(error) => return Err(Error::of(&what, error)),
            };
            if told.is_err() {
                return Ok(End::Unheard);
            }
        }
    }
}

fn advance(version: &mut String, object: &Value) {
    if let Some(newer) = object["metadata"]["resourceVersion"].as_str() {
        newer.clone_into(version);
    }
}

fn expired_or(error: Error) -> Result<End, Error> {
    match error {
        Error::Expired { .. } => Ok(End::Expired),
        error => Err(error),
    }
}
