//! What can go wrong on purpose.

use super::status::Refusal;

/// A status for the next requests that fit.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    pattern: String,
    status: u16,
    times: u32,
}

impl Fault {
    /// For requests of this method (`*`: any) and path, of which `*` stands for one part and a last `**` for any rest.
    /// It happens once, instead of the request's work, and answers 500 unless told otherwise.
    pub fn on(method: &str, pattern: &str) -> Self {
        Self {
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            status: 500,
            times: 1,
        }
    }

    #[must_use]
    pub fn respond(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        (self.method == "*" || self.method == method) && path_fits(&self.pattern, path)
    }

    fn refusal(&self) -> Refusal {
        let (reason, message) = match self.status {
            429 => (
                "TooManyRequests",
                "Too many requests, please try again later.",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
            ),
            500 => (
                "InternalError",
                "an error on the server has prevented the request from succeeding",
            ),
            _ => ("", "a fault of the sandbox"),
        };
        Refusal::new(self.status, reason, message)
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
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.len()
    }

    /// What this request is answered instead, used up by one.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Refusal> {
        let index = self.0.iter().position(|one| one.fits(method, path))?;
        let fault = &mut self.0[index];
        fault.times = fault.times.saturating_sub(1);
        let refusal = fault.refusal();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(refusal)
    }
}
