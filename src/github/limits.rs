//! How much may be done in a while: `80/m,500/h`, as `TENANTRY_CONTENT_LIMITS` has it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So much, at most, in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub period: Duration,
}

/// How fast things may be created on GitHub. None of them: as fast as GitHub answers.
///
/// GitHub has these limits where it is not one's own server: "in general, no more than 80 content-generating requests
/// per minute and no more than 500 content-generating requests per hour"
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentLimits(Vec<Rate>);

/// A text that says no limits, and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLimits(String);

impl ContentLimits {
    /// As on a server whose administrators set none.
    pub const NONE: Self = Self(Vec::new());

    pub fn rates(&self) -> &[Rate] {
        &self.0
    }
}

impl Default for ContentLimits {
    fn default() -> Self {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        Self(vec![
            Rate {
                count: 80,
                period: minute,
            },
            Rate {
                count: 500,
                period: hour,
            },
        ])
    }
}

impl FromStr for ContentLimits {
    type Err = InvalidLimits;

    fn from_str(text: &str) -> Result<Self, InvalidLimits> {
        if text.trim() == "none" {
            return Ok(Self::NONE);
        }
        text.split(',')
            .map(rate)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for ContentLimits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("none");
        }
        let rates: Vec<_> = self.0.iter().map(Rate::to_string).collect();
        formatter.write_str(&rates.join(","))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let (length, unit) = match seconds {
            _ if seconds.is_multiple_of(3600) => (seconds / 3600, "h"),
            _ if seconds.is_multiple_of(60) => (seconds / 60, "m"),
            _ => (seconds, "s"),
        };
        let length = Some(length).filter(|length| *length != 1);
        let length = length.map(|length| length.to_string()).unwrap_or_default();
        write!(formatter, "{}/{length}{unit}", self.count)
    }
}

/// `80/m`, `20/2s`.
fn rate(text: &str) -> Result<Rate, InvalidLimits> {
    let text = text.trim();
    let wrong = |what: &str| {
        let message = format!(
            "`{text}` {what}: write a number, a slash and a time (`s`, `m`, `h`, or as in `10m`), separated by commas as in `80/m,500/h`, or `none`"
        );
        InvalidLimits(message)
    };
    let (count, period) = text
        .split_once('/')
        .ok_or_else(|| wrong("is not a limit"))?;
    let count: u32 = count
        .trim()
        .parse()
        .map_err(|_| wrong("does not begin with a number"))?;
    if count == 0 {
        return Err(wrong("allows nothing"));
    }
    let seconds =
        seconds(period.trim()).ok_or_else(|| wrong("does not end with a time of at most a day"))?;
    let period = Duration::from_secs(seconds);
    Ok(Rate { count, period })
}

/// `m` is one of them, `10m` are ten.
fn seconds(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u64 = if number.is_empty() {
        1
    } else {
        number.parse().ok()?
    };
    number
        .checked_mul(unit)
        .filter(|seconds| (1..=86_400).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::ContentLimits;

    #[test]
    fn limits_are_written_as_they_are_read() {
        for (text, shown) in [
            ("80/m,500/h", "80/m,500/h"),
            (" 80/m , 500/h ", "80/m,500/h"),
            ("20/2s", "20/2s"),
            ("5/60s", "5/m"),
            ("1/24h", "1/24h"),
            ("none", "none"),
        ] {
            let limits: ContentLimits = text.parse().unwrap();
            assert_eq!(limits.to_string(), shown);
            assert_eq!(shown.parse(), Ok(limits));
        }
        assert_eq!(ContentLimits::default().to_string(), "80/m,500/h");
    }

    #[test]
    fn what_is_no_limit_says_what_one_is() {
        const HOW: &str = "write a number, a slash and a time (`s`, `m`, `h`, or as in `10m`), separated by commas as in `80/m,500/h`, or `none`";
        for (text, what) in [
            ("", "`` is not a limit"),
            ("80", "`80` is not a limit"),
            (
                "80/m;500/h",
                "`80/m;500/h` does not end with a time of at most a day",
            ),
            ("80/m,", "`` is not a limit"),
            ("many/m", "`many/m` does not begin with a number"),
            ("-1/m", "`-1/m` does not begin with a number"),
            ("0/m", "`0/m` allows nothing"),
            ("80/", "`80/` does not end with a time of at most a day"),
            ("80/0m", "`80/0m` does not end with a time of at most a day"),
            (
                "80/minute",
                "`80/minute` does not end with a time of at most a day",
            ),
            ("80/µ", "`80/µ` does not end with a time of at most a day"),
            ("80/m,none", "`none` is not a limit"),
            (
                "80/25h",
                "`80/25h` does not end with a time of at most a day",
            ),
        ] {
            let error = text.parse::<ContentLimits>().unwrap_err();
            assert_eq!(error.to_string(), format!("{what}: {HOW}"), "{text}");
        }
    }
}
