//! The gate that each request passes: it waits here until the [`Pacer`] lets it through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::limits::ContentLimits;
use super::pacer::{Errand, Heard, Next, Pacer};

pub(super) struct Gate {
    state: Mutex<State>,
    runtime: Handle,
}

struct State {
    pacer: Pacer,
    /// Who waits, by ticket.
    waiting: BTreeMap<u64, oneshot::Sender<Result<(), Instant>>>,
    /// Wakes the first of those who wait for a time to come.
    alarm: Option<(Instant, AbortHandle)>,
}

/// Leave to send one request; dropped without an answer, it counts as sent and lost.
pub(super) struct Turn {
    gate: Arc<Gate>,
    ticket: u64,
}

impl Gate {
    /// Must be called inside a Tokio runtime.
    pub(super) fn new(limits: ContentLimits) -> Self {
        let state = State {
            pacer: Pacer::new(limits),
            waiting: BTreeMap::new(),
            alarm: None,
        };
        Self {
            state: Mutex::new(state),
            runtime: Handle::current(),
        }
    }

    /// Waits for its turn; or does not, and says before when there will be none.
    pub(super) async fn turn(self: &Arc<Self>, errand: Errand) -> Result<Turn, Instant> {
        let (tell, told) = oneshot::channel();
        let ticket = {
            let mut state = self.lock();
            let ticket = state.pacer.enqueue(errand);
            state.waiting.insert(ticket, tell);
            ticket
        };
        // From here on the ticket is given back, however this ends.
        let turn = Turn {
            gate: Arc::clone(self),
            ticket,
        };
        self.go_on();
        told.await.expect("who waits is told").map(|()| turn)
    }

    /// Asks something of the pacer, at this moment.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&mut Pacer, Instant) -> T) -> T {
        question(&mut self.lock().pacer, Instant::now())
    }

    /// Lets through who may go now.
    fn go_on(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            let (ticket, verdict) = match state.pacer.next(Instant::now()) {
                Next::Send(ticket) => (ticket, Ok(())),
                Next::Refuse(ticket, until) => (ticket, Err(until)),
                Next::Rest(until) => return self.set_alarm(&mut state, until),
            };
            if let Some(tell) = state.waiting.remove(&ticket) {
                // Whoever does not listen any more has given the ticket back, or is about to.
                let _ = tell.send(verdict);
            }
        }
    }

    fn set_alarm(self: &Arc<Self>, state: &mut State, at: Option<Instant>) {
        let set = state.alarm.as_ref().map(|(set, _)| *set);
        if set == at {
            return;
        }
        if let Some((_, alarm)) = state.alarm.take() {
            alarm.abort();
        }
        let Some(at) = at else { return };
        let gate = Arc::downgrade(self);
        let alarm = self.runtime.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            if let Some(gate) = gate.upgrade() {
                gate.lock().alarm = None;
                gate.go_on();
            }
        });
        state.alarm = Some((at, alarm.abort_handle()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the gate")
    }
}

impl Turn {
    /// The request has come back; nothing where no answer came.
    pub(super) fn answered(self, heard: Option<Heard>) {
        self.gate
            .ask(|pacer, now| pacer.answered(self.ticket, heard, now));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.waiting.remove(&self.ticket);
        state.pacer.abandon(self.ticket, Instant::now());
        drop(state);
        self.gate.go_on();
    }
}
