//! The sandbox's only look at the clock.

use jiff::{SignedDuration, Timestamp};

/// The real time: GitHub is outside of the app, so its clock is not the app's to hand in.
#[expect(
    clippy::disallowed_methods,
    reason = "GitHub has a clock of its own; this is its only reading"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// `2026-11-25T10:00:00Z`, the form of every time in GitHub's answers (whole seconds).
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The stamp of this very moment.
pub(super) fn stamp_now() -> String {
    stamp(now())
}

/// The time `seconds` from now.
pub(super) fn in_seconds(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}
