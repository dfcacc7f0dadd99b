//! The cluster's only look at the clock.

use jiff::Timestamp;

/// Seconds since 1970: the cluster is outside of the app, so its clock is not the app's to hand in.
#[expect(
    clippy::disallowed_methods,
    reason = "the cluster has a clock of its own; this is its only reading"
)]
pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// `2026-11-25T10:00:00Z`, the form of every time in an object.
pub(super) fn stamp(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The seconds that a stamp says; 0 for what is none.
pub(super) fn seconds(stamp: &str) -> i64 {
    stamp
        .parse::<Timestamp>()
        .map_or(0, jiff::Timestamp::as_second)
}
