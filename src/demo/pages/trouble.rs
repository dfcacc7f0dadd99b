//! What went wrong, in words for the person who looks.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::Page;
use super::layout::{Frame, Notice, Tone};
use super::place::Place;

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    GitHub,
    Cluster,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::Cluster => "The cluster",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// What was asked for is not there.
    Missing(String),
    /// No answer, or one that only says that there is none.
    Unavailable { side: Side, why: String },
    /// An answer, and it is no.
    Refused {
        side: Side,
        status: u16,
        why: String,
    },
    /// What was asked for cannot be done as things are.
    Impossible(String),
}

impl Trouble {
    pub(super) fn missing(what: &str) -> Self {
        Self::Missing(what.to_owned())
    }

    pub(super) fn unavailable(side: Side, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Unavailable { side, why }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Unavailable { .. } => StatusCode::BAD_GATEWAY,
            Self::Refused { status, .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)
            }
            Self::Impossible(_) => StatusCode::CONFLICT,
        }
    }

    pub(super) fn notice(&self) -> Notice {
        let (title, text) = match self {
            Self::Missing(what) => ("Not found".to_owned(), what.clone()),
            Self::Unavailable { side, why } => (
                format!("{} does not answer", side.name()),
                format!(
                    "{why} Nothing was changed by this request as far as is known. Try again in a moment."
                ),
            ),
            Self::Refused { side, status, why } => {
                (format!("{} said no ({status})", side.name()), why.clone())
            }
            Self::Impossible(why) => ("Not possible now".to_owned(), why.clone()),
        };
        Notice {
            tone: Tone::Bad,
            title,
            text: html! { (text) },
        }
    }

    /// A page that says nothing else.
    pub(super) fn page(&self) -> Page {
        let (title, text, hint) = match self {
            Self::Missing(what) => (
                "Not found".to_owned(),
                what.clone(),
                "It may be gone, or not be there yet.",
            ),
            Self::Unavailable { side, why } => (
                format!("{} does not answer", side.name()),
                why.clone(),
                "This page follows by itself once there is an answer; without JavaScript, reload it.",
            ),
            Self::Refused { side, status, why } => (
                format!("{} said no ({status})", side.name()),
                why.clone(),
                "Reload the page to ask again.",
            ),
            Self::Impossible(why) => ("Not possible now".to_owned(), why.clone(), ""),
        };
        Page {
            body: html! {
                div class="trouble" {
                    h1 { (title) }
                    p { (text) }
                    @if !hint.is_empty() { p class="quiet" { (hint) } }
                    p { a href=(Place::Control.address()) { "To the control repo" } }
                }
            },
            title,
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let frame = Frame {
            place: &Place::Control,
            notice: None,
            stale: None,
        };
        (self.status(), frame.still(&self.page())).into_response()
    }
}
