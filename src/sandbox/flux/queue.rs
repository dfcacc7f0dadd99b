//! When which object is to be looked after: each at one time only, and by one worker at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Key;

/// What waits, and what is under way.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Counts every change, for whoever waits for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    due: BTreeMap<Key, Instant>,
    order: BTreeSet<(Instant, Key)>,
    under_way: BTreeSet<Key>,
    /// Was asked for while it was under way.
    again: BTreeSet<Key>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl State {
    fn set(&mut self, key: &Key, at: Instant) {
        self.unset(key);
        self.due.insert(key.clone(), at);
        self.order.insert((at, key.clone()));
    }

    fn unset(&mut self, key: &Key) {
        if let Some(at) = self.due.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }
}

impl Queue {
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look in so much time, or sooner if that is asked for already.
    pub(super) fn add(&self, key: Key, after: Duration) {
        let at = Instant::now() + after;
        self.change(|state| {
            if state.under_way.contains(&key) {
                state.again.insert(key);
            } else if state.due.get(&key).is_none_or(|known| at < *known) {
                state.set(&key, at);
            }
        });
    }

    pub(super) fn forget(&self, key: &Key) {
        self.change(|state| {
            state.unset(key);
            state.again.remove(key);
        });
    }

    /// The next object, once it is due; it is under way from here on.
    pub(super) async fn next(&self) -> Key {
        let mut changes = self.changes.subscribe();
        loop {
            let wait = {
                let mut state = self.lock();
                match state.order.first().cloned() {
                    Some((at, key)) if at <= Instant::now() => {
                        state.unset(&key);
                        state.under_way.insert(key.clone());
                        return key;
                    }
                    first => first.map(|(at, _)| at),
                }
            };
            let sleep = async {
                match wait {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// The look is over; the next one is in so much time, if there is to be one.
    pub(super) fn done(&self, key: &Key, again: Option<Duration>) {
        self.change(|state| {
            state.under_way.remove(key);
            if state.again.remove(key) {
                state.set(key, Instant::now());
                return;
            }
            // A time beyond all clocks is never.
            if let Some(at) = again.and_then(|again| Instant::now().checked_add(again)) {
                state.set(key, at);
            }
        });
    }

    /// Returns once nothing is under way or due.
    pub(super) async fn idle(&self) {
        let mut changes = self.changes.subscribe();
        loop {
            let is_idle = {
                let state = self.lock();
                let first = state.order.first();
                state.under_way.is_empty() && first.is_none_or(|(at, _)| *at > Instant::now())
            };
            if is_idle || changes.changed().await.is_err() {
                return;
            }
        }
    }
}
