//! What can go wrong on purpose.

use std::time::{Duration, Instant};

/// Something that goes wrong with the next request that fits.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    pattern: String,
    containing: Option<String>,
    pub(super) effect: Effect,
    pub(super) moment: Moment,
    skip: u32,
    times: u32,
    /// It happens until then, however often.
    until: Option<Instant>,
}

/// Whether the request still did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    BeforeDoingIt,
    AfterDoingIt,
}

#[derive(Clone, Debug)]
pub(super) enum Effect {
    Respond {
        status: u16,
        message: String,
        headers: Vec<(&'static str, String)>,
    },
    HangUp,
    Delay(Duration),
    RevokeToken,
}

impl Fault {
    /// For requests of this method and path; `*` stands for one part of a path, a last `**` for any rest.
    /// It happens once, before the request does its work, and answers 500 unless told otherwise.
    pub fn on(method: &str, pattern: &str) -> Self {
        Self {
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            containing: None,
            effect: Effect::Respond {
                status: 500,
                message: "Server Error".to_owned(),
                headers: Vec::new(),
            },
            moment: Moment::BeforeDoingIt,
            skip: 0,
            times: 1,
            until: None,
        }
    }

    /// Only for requests whose body holds this text: one of many GraphQL queries, say.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    #[must_use]
    pub fn respond(self, status: u16) -> Self {
        let message = match status {
            502 => "Server Error",
            503 => "Service Unavailable",
            504 => "We couldn't respond to your request in time.",
            404 => "Not Found",
            _ => "A fault of the sandbox",
        };
        self.answer(status, message, Vec::new())
    }

    /// The secondary rate limit, as 429 with `retry-after`.
    #[must_use]
    pub fn too_many_requests(self, retry_after_seconds: u32) -> Self {
        self.secondary(429, retry_after_seconds)
    }

    /// The secondary rate limit, as 403 with `retry-after`.
    #[must_use]
    pub fn secondary_limit(self, retry_after_seconds: u32) -> Self {
        self.secondary(403, retry_after_seconds)
    }

    /// Closes the connection without an answer.
    #[must_use]
    pub fn hang_up(mut self) -> Self {
        self.effect = Effect::HangUp;
        self
    }

    /// Answers rightly, but late.
    #[must_use]
    pub fn delay(mut self, by: Duration) -> Self {
        self.effect = Effect::Delay(by);
        self
    }

    /// The token in the request is worthless from here on: 401.
    #[must_use]
    pub fn revoke_token(mut self) -> Self {
        self.effect = Effect::RevokeToken;
        self
    }

    /// The request does its work, and the answer is lost.
    #[must_use]
    pub fn after_doing_it(mut self) -> Self {
        self.moment = Moment::AfterDoingIt;
        self
    }

    #[must_use]
    pub fn before_doing_it(mut self) -> Self {
        self.moment = Moment::BeforeDoingIt;
        self
    }

    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Happens to every fitting request until this much time has passed.
    #[must_use]
    pub fn lasting(mut self, length: Duration) -> Self {
        self.until = Some(Instant::now() + length);
        self
    }

    /// Lets this many fitting requests through first.
    #[must_use]
    pub fn skipping(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    fn secondary(self, status: u16, retry_after_seconds: u32) -> Self {
        self.answer(
            status,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            vec![("retry-after", retry_after_seconds.to_string())],
        )
    }

    fn answer(mut self, status: u16, message: &str, headers: Vec<(&'static str, String)>) -> Self {
        self.effect = Effect::Respond {
            status,
            message: message.to_owned(),
            headers,
        };
        self
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    fn fits(&self, method: &str, path: &str, body: &str) -> bool {
        (self.method == "*" || self.method == method)
            && path_fits(&self.pattern, path)
            && self
                .containing
                .as_ref()
                .is_none_or(|text| body.contains(text.as_str()))
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        match (wanted, parts.next()) {
            ("**", _) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(part)) if wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

/// The faults that are waiting.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.iter().filter(|one| !one.is_over()).count()
    }

    /// The fault for this request, used up by one.
    pub(super) fn take(&mut self, method: &str, path: &str, body: &str) -> Option<Fault> {
        self.0.retain(|one| !one.is_over());
        let index = self.0.iter().position(|one| one.fits(method, path, body))?;
        let fault = &mut self.0[index];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if fault.until.is_some() {
            return Some(fault.clone());
        }
        fault.times = fault.times.saturating_sub(1);
        let taken = fault.clone();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(taken)
    }
}
