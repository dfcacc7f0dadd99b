//! Work waiting to be done: one job per key at a time, and a newer job takes the place of the one that waits.
//!
//! Every event is a hint that something may have changed, so a job says *what to look at*, never *what to do*: doing
//! the newest alone is enough. What an older job owes to somebody (an answer, a check on its commit) it hands to the
//! newer one in [`Job::followed_by`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Jobs that run at the same time, on different keys.
const AT_ONCE: usize = 8;

pub trait Job: Sized + Send + 'static {
    type Key: Ord + Clone + Send;

    /// What the job works on.
    fn key(&self) -> Self::Key;

    /// What waits when a newer job for the same key comes: one job that does for both, or both in turn.
    fn followed_by(self, newer: Self) -> Followed<Self>;
}

pub enum Followed<J> {
    ByOne(J),
    InTurn(J, J),
}

/// What a handler says of the job it was given.
pub enum Next<J> {
    Done,
    /// Look again after a while, unless something newer comes first.
    Again {
        job: J,
        after: Duration,
    },
}

pub struct Queue<J: Job> {
    state: Arc<Mutex<State<J>>>,
    changed: Arc<Notify>,
}

struct State<J: Job> {
    waiting: BTreeMap<J::Key, VecDeque<J>>,
    running: BTreeSet<J::Key>,
    closed: bool,
}

impl<J: Job> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            changed: Arc::clone(&self.changed),
        }
    }
}

impl<J: Job> Default for Queue<J> {
    fn default() -> Self {
        let state = State {
            waiting: BTreeMap::new(),
            running: BTreeSet::new(),
            closed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(Notify::new()),
        }
    }
}

impl<J: Job> Queue<J> {
    /// Puts a job behind what waits for its key, in its place if it does for both. After [`Queue::close`]: dropped.
    pub fn push(&self, job: J) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let line = state.waiting.entry(job.key()).or_default();
        match line.pop_back() {
            None => line.push_back(job),
            Some(older) => line.extend(after(older, job)),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Puts a job that has been tried in front of what has come since.
    fn push_again(&self, job: J) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let line = state.waiting.entry(job.key()).or_default();
        match line.pop_front() {
            None => line.push_back(job),
            Some(newer) => after(job, newer)
                .into_iter()
                .rev()
                .for_each(|job| line.push_front(job)),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// No new jobs from now on; those that wait are still done.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Returns when nothing waits and nothing runs. Jobs that look again later do not count.
    pub async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }

    /// Hands jobs to the handler until the queue is closed and empty.
    pub async fn run<H, F>(&self, handler: H)
    where
        H: Fn(J) -> F + Clone + Send + 'static,
        F: Future<Output = Next<J>> + Send + 'static,
    {
        let mut jobs = JoinSet::new();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            while jobs.len() < AT_ONCE {
                let Some((key, job)) = self.take() else { break };
                jobs.spawn(self.clone().work(key, job, handler.clone()));
            }
            if jobs.is_empty() && self.lock().is_finished() {
                return;
            }
            tokio::select! {
                () = changed => {}
                Some(_) = jobs.join_next() => {}
            }
        }
    }

    async fn work<H, F>(self, key: J::Key, job: J, handler: H)
    where
        H: Fn(J) -> F + Send + 'static,
        F: Future<Output = Next<J>> + Send + 'static,
    {
        // In a task of its own, so that a panic ends this job and not the key's turn.
        let next = tokio::spawn(handler(job)).await;
        self.lock().running.remove(&key);
        match next {
            Ok(Next::Done) => {}
            Ok(Next::Again { job, after }) => self.push_later(job, after),
            Err(error) => tracing::error!(%error, "a job ended early"),
        }
        self.changed.notify_waiters();
    }

    fn push_later(&self, job: J, after: Duration) {
        let queue = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            queue.push_again(job);
        });
    }

    fn take(&self) -> Option<(J::Key, J)> {
        let mut state = self.lock();
        let key = state
            .waiting
            .keys()
            .find(|key| !state.running.contains(key))?
            .clone();
        let line = state.waiting.get_mut(&key)?;
        let job = line.pop_front()?;
        if line.is_empty() {
            state.waiting.remove(&key);
        }
        state.running.insert(key.clone());
        Some((key, job))
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state
            .lock()
            .expect("no code panics while it holds the queue")
    }
}

impl<J: Job> State<J> {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn is_finished(&self) -> bool {
        self.closed && self.is_idle()
    }
}

fn after<J: Job>(older: J, newer: J) -> Vec<J> {
    match older.followed_by(newer) {
        Followed::ByOne(job) => vec![job],
        Followed::InTurn(first, second) => vec![first, second],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{Followed, Job, Next, Queue};

    /// (key, numbers that it does for, whether it is a command)
    #[derive(Debug, Clone, PartialEq)]
    struct Look(&'static str, Vec<u32>, bool);

    impl Job for Look {
        type Key = &'static str;

        fn key(&self) -> &'static str {
            self.0
        }

        fn followed_by(mut self, newer: Self) -> Followed<Self> {
            if self.2 || newer.2 {
                return Followed::InTurn(self, newer);
            }
            self.1.extend(newer.1);
            Followed::ByOne(self)
        }
    }

    async fn done(queue: &Queue<Look>, slow: Duration) -> Vec<Look> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        queue.close();
        queue
            .run(move |job: Look| {
                let log = Arc::clone(&log);
                async move {
                    tokio::time::sleep(slow).await;
                    log.lock().unwrap().push(job);
                    Next::Done
                }
            })
            .await;
        seen.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn the_newest_does_for_all_that_waited() {
        let queue = Queue::default();
        for number in 1..=3 {
            queue.push(Look("a", vec![number], false));
        }
        queue.push(Look("b", vec![9], false));
        let mut seen = done(&queue, Duration::ZERO).await;
        seen.sort_by_key(|look| look.0);
        assert_eq!(
            seen,
            [Look("a", vec![1, 2, 3], false), Look("b", vec![9], false)]
        );
    }

    #[tokio::test]
    async fn a_command_is_never_replaced() {
        let queue = Queue::default();
        queue.push(Look("a", vec![1], true));
        queue.push(Look("a", vec![2], false));
        queue.push(Look("a", vec![3], false));
        queue.push(Look("a", vec![4], true));
        let seen = done(&queue, Duration::ZERO).await;
        assert_eq!(
            seen,
            [
                Look("a", vec![1], true),
                Look("a", vec![2, 3], false),
                Look("a", vec![4], true)
            ]
        );
    }

    #[tokio::test]
    async fn a_key_has_one_job_at_a_time_and_keys_do_not_wait_for_each_other() {
        let queue = Queue::default();
        let running = Arc::new(Mutex::new(Vec::new()));
        let most = Arc::new(Mutex::new((0, 0)));
        let (log, peak) = (Arc::clone(&running), Arc::clone(&most));
        for number in 0..4 {
            queue.push(Look("a", vec![number], true));
            queue.push(Look("b", vec![number], true));
        }
        queue.close();
        queue
            .run(move |job: Look| {
                let (log, peak) = (Arc::clone(&log), Arc::clone(&peak));
                async move {
                    log.lock().unwrap().push(job.0);
                    {
                        let log = log.lock().unwrap();
                        let mut peak = peak.lock().unwrap();
                        peak.0 = peak.0.max(log.len());
                        peak.1 = peak.1.max(log.iter().filter(|key| **key == job.0).count());
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    log.lock().unwrap().retain(|key| *key != job.0);
                    Next::Done
                }
            })
            .await;
        assert_eq!(*most.lock().unwrap(), (2, 1));
    }

    #[tokio::test]
    async fn a_job_that_looks_again_is_absorbed_by_a_newer_one() {
        let queue = Queue::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        queue.push(Look("a", vec![1], false));
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move {
                queue
                    .run(move |job: Look| {
                        let log = Arc::clone(&log);
                        async move {
                            log.lock().unwrap().push(job.clone());
                            if job.1 == [1] {
                                return Next::Again {
                                    job,
                                    after: Duration::from_millis(20),
                                };
                            }
                            Next::Done
                        }
                    })
                    .await;
            }
        });
        tokio::time::sleep(Duration::from_millis(60)).await;
        queue.push(Look("a", vec![2], false));
        queue.idle().await;
        queue.close();
        worker.await.unwrap();
        let seen = seen.lock().unwrap();
        assert!(
            seen.len() >= 2 && seen[0].1 == [1] && seen.iter().any(|look| look.1.contains(&2)),
            "{seen:?}"
        );
    }
}
