//! How far a merge is that GitHub's limits make long, and what was told of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Hundredths of the work after each of which there is something to tell. With its beginning and its end, each of them
/// a comment and a check, and with its plan's, a merge is told of in less than twenty writes.
const STEPS: [usize; 5] = [10, 25, 45, 65, 85];

/// Times that the progress of one merge is told, its beginning included.
const MOST: usize = STEPS.len() + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Tenants that the work is done with, of those that it is about.
    pub done: usize,
    pub of: usize,
    pub begun: Timestamp,
    /// When it is done, as fast as the limits allow.
    pub end: Timestamp,
}

/// What was told last. It travels in the check run, which only this App can write: a process that begins in the middle
/// goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub progress: Progress,
    pub at: Timestamp,
    /// How often it was told.
    pub times: usize,
    /// Earlier commits whose pull requests wait for the outcome too.
    pub owed: Vec<String>,
}

impl Progress {
    fn steps(&self) -> usize {
        let reached = |step: &&usize| self.done * 100 >= **step * self.of;
        STEPS.iter().filter(reached).count()
    }

    /// Whether it is worth telling, at most so often: it is a step further, or the end that was told has passed.
    pub fn is_news(&self, told: &Told, now: Timestamp, apart: SignedDuration) -> bool {
        let rested = now.duration_since(told.at) >= apart;
        let differs = self.steps() > told.progress.steps() || told.progress.end < now;
        told.times < MOST && rested && differs
    }
}

impl Told {
    /// As a line of a check run's text, hidden from people.
    pub fn to_marker(&self) -> String {
        let json = serde_json::to_string(self).expect("progress is plain data");
        format!("<!-- tenantry:progress {json} -->")
    }

    /// Reads it back from a check run's text; nothing where there is none that is whole.
    pub fn from_marker(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("<!-- tenantry:progress ")?;
        serde_json::from_str(rest.split_once(" -->")?.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Progress, Told};

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_second(number * 60).unwrap()
    }

    fn progress(done: usize) -> Progress {
        Progress {
            done,
            of: 1000,
            begun: minute(0),
            end: minute(400),
        }
    }

    /// Does ten tenants in four minutes, and tells what is worth it: how much was done each time.
    fn told_of(apart: i64, end: i64) -> Vec<usize> {
        let mut told = Told {
            progress: progress(0),
            at: minute(0),
            times: 1,
            owed: vec!["a1".to_owned()],
        };
        let mut seen = Vec::new();
        for (round, done) in (1..100).zip((10..).step_by(10)) {
            let (now, so_far) = (minute(round * 4), progress(done));
            let so_far = Progress {
                end: minute(end),
                ..so_far
            };
            if so_far.is_news(&told, now, SignedDuration::from_mins(apart)) {
                seen.push(so_far.done);
                told = Told {
                    progress: so_far,
                    at: now,
                    times: told.times + 1,
                    ..told
                };
            }
        }
        seen
    }

    #[test]
    fn it_is_told_in_steps_and_not_too_often() {
        assert_eq!(told_of(1, 400), [100, 250, 450, 650, 850]);
        assert_eq!(told_of(100, 400), [250, 500, 750]);
    }

    #[test]
    fn an_end_that_has_passed_is_corrected_but_not_for_ever() {
        assert_eq!(told_of(40, 100), [100, 250, 350, 450, 550]);
    }

    #[test]
    fn what_was_told_is_read_back_from_the_check() {
        let told = Told {
            progress: progress(40),
            at: minute(7),
            times: 2,
            owed: vec!["a1".to_owned(), "b2".to_owned()],
        };
        let text = format!("before\n{}\nafter", told.to_marker());
        assert_eq!(Told::from_marker(&text), Some(told));
        assert_eq!(Told::from_marker("nothing"), None);
        assert_eq!(Told::from_marker("<!-- tenantry:progress {} -->"), None);
    }
}
