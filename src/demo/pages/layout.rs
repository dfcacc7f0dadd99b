//! The frame of every page: where one is, what was just done, and what there is besides.

use axum::http::header;
use axum::response::{Html, IntoResponse};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use super::Page;
use super::github::Stale;
use super::icon::{Icon, icon};
use super::place::{Place, Section};
use super::time;

/// How a notice sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
}

/// What is said once, above a page.
pub(super) struct Notice {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) text: Markup,
}

pub(super) struct Frame<'a> {
    pub(super) place: &'a Place,
    pub(super) notice: Option<Notice>,
    /// Set where GitHub did not answer, and what it said before is shown.
    pub(super) stale: Option<Stale>,
}

impl Frame<'_> {
    /// The whole document.
    pub(super) fn around(&self, page: &Page) -> Html<String> {
        Html(self.document(page, self.place.is_live()).into_string())
    }

    /// The whole document of a page that follows nothing.
    pub(super) fn still(&self, page: &Page) -> Html<String> {
        Html(self.document(page, false).into_string())
    }

    fn document(&self, page: &Page, live: bool) -> Markup {
        let content = content(page, self.stale.as_ref());
        let source = live.then(|| self.place.address());
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(&page.title))
                body {
                    a class="skip" href="#main" { "Skip to the content" }
                    (self.top())
                    main id="main" tabindex="-1" {
                        div class="wrap" {
                            @if let Some(notice) = &self.notice { (shown(notice)) }
                            div id="live" data-source=[source] data-version=(version(&content)) { (content) }
                        }
                    }
                    (bottom(live))
                }
            }
        }
    }

    /// Whether one is at a page, or somewhere below it.
    fn current(&self, section: Section, place: &Place) -> Option<&'static str> {
        let below = self.place.section() == section;
        below.then_some(if self.place == place { "page" } else { "true" })
    }

    fn top(&self) -> Markup {
        html! {
            header class="top" {
                div class="wrap" {
                    a class="brand" href=(Place::Control.address()) {
                        svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
                            rect class="tile" x="2" y="2" width="9" height="9" rx="2" {}
                            rect class="tile" x="13" y="2" width="9" height="9" rx="2" {}
                            rect class="tile" x="2" y="13" width="9" height="9" rx="2" {}
                            rect class="new" x="13.75" y="13.75" width="7.5" height="7.5" rx="1.5" {}
                        }
                        span { "Tenantry" }
                        span class="demo" { "demo" }
                    }
                    nav aria-label="Main" {
                        ul {
                            @for (section, name, place) in Section::ALL {
                                li {
                                    a href=(place.address()) aria-current=[self.current(section, &place)] { (name) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Tenantry demo" }
            link rel="icon" href="/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/style.css";
            script src="/pages.js" defer {}
        }
    }
}

fn shown(notice: &Notice) -> Markup {
    let (class, role, picture) = match notice.tone {
        Tone::Good => ("notice good", "status", Icon::Check),
        Tone::Bad => ("notice bad", "alert", Icon::Warning),
    };
    html! {
        div class=(class) role=(role) {
            (icon(picture))
            div { p class="what" { (notice.title) } p { (notice.text) } }
        }
    }
}

fn bottom(live: bool) -> Markup {
    html! {
        footer class="bottom" {
            div class="wrap" {
                p {
                    "As of " (time::of(time::now())) " UTC. "
                    @if live {
                        span id="follows" { "Reload to see what has changed." }
                    }
                }
                p { "GitHub and the cluster run inside of this demo; the App between them is the real one." }
                p class="unseen" role="status" id="news" {}
            }
        }
    }
}

/// What changes by itself: all of a page but its frame.
pub(super) fn content(page: &Page, stale: Option<&Stale>) -> Markup {
    html! {
        @if let Some(stale) = stale {
            div class="notice waiting" role="status" {
                (icon(Icon::Warning))
                div {
                    p class="what" { "GitHub does not answer" }
                    p { (stale.why) " What stands here is what it said at " (time::of(stale.since)) " UTC." }
                }
            }
        }
        (page.body)
    }
}

/// Tells one content from another.
pub(super) fn version(content: &Markup) -> String {
    hex::encode(&Sha256::digest(content.0.as_bytes())[..8])
}

pub(super) async fn style() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("style.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("pages.js"))
}

pub(super) async fn icon_file() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "image/svg+xml")],
        include_str!("icon.svg"),
    )
}
