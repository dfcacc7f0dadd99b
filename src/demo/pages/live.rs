//! Tells a page that it has changed: it is made anew now and then, from the two APIs, and compared.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;

use super::layout::{content, version};
use super::place::{Place, in_query};
use super::trouble::Trouble;
use super::{Shared, Site};

/// Between two looks.
const PACE: Duration = Duration::from_millis(700);

/// What has been told so far.
struct Following {
    site: Shared,
    place: Place,
    version: Option<String>,
}

/// The versions of the page at `?of=`, each as soon as it is there.
pub(super) async fn follow(State(site): State<Shared>, uri: Uri) -> Response {
    let of = in_query(uri.query(), "of").and_then(|of| of.parse::<Uri>().ok());
    let place = of.and_then(|of| Place::at(&of));
    let Some(place) = place.filter(Place::is_live) else {
        return Trouble::missing("There is no page at this address to follow.").into_response();
    };
    let following = Following {
        site,
        place,
        version: None,
    };
    let versions = stream::unfold(following, |following| async move {
        let (version, following) = following.next().await;
        let event = Event::default().data(version);
        Some((Ok::<_, Infallible>(event), following))
    });
    Sse::new(versions)
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl Following {
    async fn next(mut self) -> (String, Self) {
        loop {
            let version = self.site.version(&self.place).await;
            if self.version.as_ref() != Some(&version) {
                self.version = Some(version.clone());
                return (version, self);
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

impl Site {
    async fn version(&self, place: &Place) -> String {
        let look = self.github.look();
        let page = self.page(place, &look).await;
        let page = page.unwrap_or_else(|trouble| trouble.page());
        version(&content(&page, look.stale().as_ref()))
    }
}
