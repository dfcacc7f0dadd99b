//! How much of GitHub's limits is left to an installation, for those who plan their work by it.

use std::time::Instant;

use jiff::Timestamp;

use super::Writer;
use super::transport::{clock_time, now};

impl Writer {
    /// How many things may be created at once, now.
    pub fn room(&self) -> usize {
        let account = self.client.account();
        let gate = &self.client.transport.gate;
        gate.ask(|pacer, now| pacer.room(account, now))
    }

    /// When so many things may be created at once, or as many as ever may, if these are fewer.
    pub fn room_for(&self, creations: usize) -> Timestamp {
        let account = self.client.account();
        let gate = &self.client.transport.gate;
        clock_time(gate.ask(|pacer, now| pacer.room_for(account, creations, now)))
    }

    /// When so many things will have been created, as fast as the limits allow.
    pub fn created_by(&self, creations: usize) -> Timestamp {
        let account = self.client.account();
        let gate = &self.client.transport.gate;
        clock_time(gate.ask(|pacer, now| pacer.created_by(account, creations, now)))
    }

    /// A process before this one has created something at each of these times, and the limits count it.
    pub fn presume(&self, created: &[Timestamp]) {
        let account = self.client.account();
        let (clock, moment) = (now(), Instant::now());
        let before = created.iter().map(|at| {
            let ago = clock.duration_since(*at).try_into().unwrap_or_default();
            moment.checked_sub(ago).unwrap_or(moment)
        });
        let before = before.collect();
        let gate = &self.client.transport.gate;
        gate.ask(|pacer, now| pacer.presume(account, before, now));
    }
}
