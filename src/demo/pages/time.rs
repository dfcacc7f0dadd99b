//! Times, as the two APIs tell them.

use jiff::Timestamp;
use maud::{Markup, html};

/// The time of day of a stamp such as `2026-11-25T10:00:00Z`.
pub(super) fn time(stamp: &str) -> Markup {
    let shown = stamp.parse::<Timestamp>().map_or_else(
        |_| stamp.to_owned(),
        |time| time.strftime("%H:%M:%S").to_string(),
    );
    html! { time datetime=(stamp) { (shown) } }
}

/// A time of our own.
pub(super) fn of(time: Timestamp) -> Markup {
    self::time(&time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The present, for what is shown and nothing else.
#[expect(
    clippy::disallowed_methods,
    reason = "a page says how old it is, and the App's token has a time on it"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
