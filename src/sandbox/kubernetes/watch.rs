//! Watches: what happens to the objects of a kind, as it happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::kinds::Resource;
use super::object::Stored;
use super::path::Place;
use super::selector::Selection;
use super::server::{Answer, Hub};
use super::status::Refusal;
use super::store::{Event, Reading};
use super::table::{Header, Include, table};

/// How long a watch lasts where the client does not say.
const USUAL: Duration = Duration::from_mins(30);

/// How often a client that asks for bookmarks is told how far it is.
const BOOKMARKS: Duration = Duration::from_mins(1);

/// A watch under way.
struct Watch {
    hub: Arc<Hub>,
    resource: Arc<Resource>,
    reading: Reading,
    /// Everything up to this revision has been told.
    revision: u64,
    lines: VecDeque<String>,
    format: Format,
    bookmark: Option<Instant>,
    end: Instant,
    is_over: bool,
}

/// Whether events hold objects, or tables of one row.
enum Format {
    Objects,
    Tables { include: Include, header: Header },
}

/// Answers a watch.
pub(super) fn watch(
    call: &Call<'_>,
    resource: &Arc<Resource>,
    place: &Place<'_>,
    selection: Selection,
) -> Result<Answer, Refusal> {
    let seconds = call.parameter("timeoutSeconds").parse().ok();
    let lasts = seconds
        .filter(|s| *s > 0)
        .map_or(USUAL, Duration::from_secs);
    let now = Instant::now();
    let mut watch = Watch {
        hub: Arc::clone(call.hub),
        resource: Arc::clone(resource),
        reading: Reading {
            namespace: place.namespace.map(str::to_owned),
            selection,
            ..Reading::default()
        },
        revision: 0,
        lines: VecDeque::new(),
        format: if call.wants_table() {
            Format::Tables {
                include: Include::parse(call.parameter("includeObject")),
                header: Header::Shown,
            }
        } else {
            Format::Objects
        },
        bookmark: call
            .is_set("allowWatchBookmarks")
            .then_some(now + BOOKMARKS),
        end: now + lasts,
        is_over: false,
    };
    match call.parameter("resourceVersion") {
        "" | "0" => watch.tell_present(),
        text => {
            let invalid = || Refusal::bad_request(format!("invalid resource version {text:?}"));
            watch.revision = text.parse().map_err(|_| invalid())?;
        }
    }
    let lines = futures::stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), watch))
    });
    Ok(Answer::Stream(Body::from_stream(lines)))
}

impl Watch {
    /// The next line, once there is one; none at the end.
    async fn next(&mut self) -> Option<String> {
        let mut changes = self.hub.changes();
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.is_over || self.hub.is_stopped() {
                return None;
            }
            self.look();
            if !self.lines.is_empty() {
                continue;
            }
            let wake = self.bookmark.map_or(self.end, |at| at.min(self.end));
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(wake) => self.time_is_up(),
            }
        }
    }

    fn time_is_up(&mut self) {
        let now = Instant::now();
        self.is_over = now >= self.end;
        if self.bookmark.is_some() {
            self.bookmark = Some(now + BOOKMARKS);
            let object = json!({
                "kind": self.resource.kind,
                "apiVersion": self.resource.api_version(),
                "metadata": { "resourceVersion": self.revision.to_string(), "creationTimestamp": null },
            });
            self.tell("BOOKMARK", &object);
        }
    }

    fn tell_present(&mut self) {
        let (page, revision) = {
            let state = self.hub.lock();
            (
                state.store.list(&self.resource, &self.reading),
                state.store.revision,
            )
        };
        let page = page.expect("the present is never too old");
        for stored in page.items {
            self.tell_stored("ADDED", &stored, stored.revision);
        }
        self.revision = revision;
    }

    /// Takes in what has happened since.
    fn look(&mut self) {
        let (events, revision) = {
            let state = self.hub.lock();
            let kept = state.store.shelf(&self.resource);
            let events =
                kept.map_or_else(|| Ok(Vec::new()), |kept| kept.events_after(self.revision));
            (events, state.store.revision)
        };
        match events {
            Ok(events) => {
                for event in events {
                    self.tell_event(&event);
                }
                self.revision = self.revision.max(revision);
            }
            Err(too_old) => {
                let message = format!(
                    "too old resource version: {} ({})",
                    self.revision, too_old.oldest
                );
                self.line("ERROR", &Refusal::gone(message).body().to_string());
                self.is_over = true;
            }
        }
    }

    fn tell_event(&mut self, event: &Event) {
        let resource = Arc::clone(&self.resource);
        let takes = |stored: &Option<Arc<Stored>>| {
            let stored = stored.as_ref()?;
            self.reading
                .takes(&resource, stored)
                .then(|| Arc::clone(stored))
        };
        match (takes(&event.before), takes(&event.after)) {
            (None, None) => {}
            (None, Some(after)) => self.tell_stored("ADDED", &after, after.revision),
            (Some(_), Some(after)) => self.tell_stored("MODIFIED", &after, after.revision),
            // As it was last, at the revision of its end.
            (Some(before), None) => self.tell_stored("DELETED", &before, event.revision),
        }
    }

    fn tell_stored(&mut self, kind: &str, stored: &Stored, revision: u64) {
        if matches!(self.format, Format::Objects) {
            let text = stored.text_at(&self.resource, revision);
            self.line(kind, &text);
        } else {
            let mut object = stored.full(&self.resource);
            object["metadata"]["resourceVersion"] = json!(revision.to_string());
            self.tell(kind, &object);
        }
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let text = match &mut self.format {
            Format::Objects => object.to_string(),
            Format::Tables { include, header } => {
                let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                let row = std::slice::from_ref(object);
                let table = table(&self.resource.columns, row, &metadata, *include, *header);
                *header = Header::Left;
                table.to_string()
            }
        };
        self.line(kind, &text);
    }

    fn line(&mut self, kind: &str, object: &str) {
        self.lines
            .push_back(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"));
    }
}
