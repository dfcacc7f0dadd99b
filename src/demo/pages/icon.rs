//! Small pictures beside words; never instead of them.

use maud::{Markup, PreEscaped, html};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    Check,
    Cross,
    Dots,
    Dash,
    Pause,
    Pull,
    Merge,
    Commit,
    Comment,
    Key,
    Archive,
    Repository,
    Team,
    Room,
    Warning,
}

impl Icon {
    /// Paths in a square of 16, drawn with a line of one and a half.
    fn drawing(self) -> &'static str {
        match self {
            Self::Check => r#"<path d="m3.5 8.5 3 3 6-7"/>"#,
            Self::Cross => r#"<path d="m4.5 4.5 7 7m0-7-7 7"/>"#,
            Self::Dots => r#"<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" stroke-width="2.5"/>"#,
            Self::Dash => r#"<path d="M4 8h8"/>"#,
            Self::Pause => r#"<path d="M6 4.5v7m4-7v7"/>"#,
            Self::Pull => {
                r#"<circle cx="4.5" cy="3.75" r="1.75"/><circle cx="4.5" cy="12.25" r="1.75"/><circle cx="11.5" cy="12.25" r="1.75"/><path d="M4.5 5.5v5m7 0V6.75a2 2 0 0 0-2-2H8m1.5-2-2 2 2 2"/>"#
            }
            Self::Merge => {
                r#"<circle cx="4.5" cy="3.75" r="1.75"/><circle cx="4.5" cy="12.25" r="1.75"/><circle cx="11.75" cy="8" r="1.75"/><path d="M4.5 5.5v5m0-5c.5 2 2.5 2.5 5.5 2.5"/>"#
            }
            Self::Commit => r#"<circle cx="8" cy="8" r="2.5"/><path d="M1.5 8h4m5 0h4"/>"#,
            Self::Comment => {
                r#"<path d="M2.5 4.5a1.5 1.5 0 0 1 1.5-1.5h8a1.5 1.5 0 0 1 1.5 1.5v5A1.5 1.5 0 0 1 12 11H8l-3 2.5V11H4a1.5 1.5 0 0 1-1.5-1.5z"/>"#
            }
            Self::Key => r#"<circle cx="5" cy="11" r="2.75"/><path d="m7 9 6-6m-2.5 2.5L12 7"/>"#,
            Self::Archive => r#"<path d="M2 3.5h12v3H2zm1 3v6h10v-6M6.5 9h3"/>"#,
            Self::Repository => {
                r#"<path d="M4.5 2h8v9.5h-8A1.5 1.5 0 0 0 3 13V3.5A1.5 1.5 0 0 1 4.5 2zM3 13a1.5 1.5 0 0 0 1.5 1.5h8v-3"/>"#
            }
            Self::Team => {
                r#"<circle cx="6" cy="5.5" r="2.25"/><path d="M1.75 13c0-2.5 1.75-4 4.25-4s4.25 1.5 4.25 4M10.5 3.4a2.25 2.25 0 0 1 0 4.2m1.5 1.8c1.5.5 2.25 1.8 2.25 3.6"/>"#
            }
            Self::Room => r#"<path d="M2.5 13.5v-11h11v11zM2.5 7h5v6.5M10 2.5v4"/>"#,
            Self::Warning => r#"<path d="M8 2.25 14.25 13H1.75zM8 6.5v3M8 11.25h.01"/>"#,
        }
    }
}

pub(super) fn icon(icon: Icon) -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor"
            stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" {
            (PreEscaped(icon.drawing()))
        }
    }
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Bad,
    Waiting,
    Done,
    Quiet,
}

impl Mood {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Quiet => "quiet",
        }
    }
}

/// A picture and a word.
pub(super) fn badge(mood: Mood, picture: Icon, word: &str) -> Markup {
    html! { span class={ "badge " (mood.class()) } { (icon(picture)) (word) } }
}
