//! Work waiting to be done: one job per key at a time, and a newer job takes the place of the one that waits.
//!
//! Every event is a hint that something may have changed, so a job says *what to look at*, never *what to do*: doing
//! the newest alone is enough. What an older job owes to somebody (an answer, a check on its commit) it hands to the
//! newer one in [`Job::followed_by`].
//!
//! A job that somebody waits for goes before those that nobody waits for, and these never take all the places.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Jobs that run at the same time, on different keys.
const AT_ONCE: usize = 8;

/// Of these, the most that nobody waits for: one of them may take as long as it takes to make a hundred repositories.
const IN_BACKGROUND: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody looks at a pull request and waits.
    Awaited,
    Background,
}

pub trait Job: Sized + Send + 'static {
    type Key: Ord + Clone + Send;

    /// What the job works on.
    fn key(&self) -> Self::Key;

    fn urgency(&self) -> Urgency;

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
    waiting: BTreeMap<J::Key, Line<J>>,
    running: BTreeMap<J::Key, Urgency>,
    /// Jobs that look again after a while.
    later: BTreeMap<J::Key, Later<J>>,
    /// Counts lines and pauses.
    numbers: u64,
    closed: bool,
}

/// A job that waits for its time, not for its turn.
struct Later<J> {
    job: J,
    /// Tells its pause from one that is over.
    pause: u64,
}

/// The jobs that wait for one key.
struct Line<J> {
    jobs: VecDeque<J>,
    /// Which of all the lines it was: the older one is taken first.
    number: u64,
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
            running: BTreeMap::new(),
            later: BTreeMap::new(),
            numbers: 0,
            closed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(Notify::new()),
        }
    }
}

impl<J: Job> Queue<J> {
    /// Puts a job behind what waits for its key, in its place if it does for both; also in that of one that looks again
    /// later. After [`Queue::close`]: dropped.
    pub fn push(&self, job: J) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let job = state.instead_of_later(job);
        let line = state.line(job.key());
        match line.pop_back() {
            None => line.push_back(job),
            Some(older) => line.extend(after(older, job)),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// No new jobs from now on; those that wait are still done.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Whether a job of this key runs, waits for its turn, or looks again later.
    pub fn has_work_on(&self, key: &J::Key) -> bool {
        let state = self.lock();
        state.running.contains_key(key)
            || state.waiting.contains_key(key)
            || state.later.contains_key(key)
    }

    /// Returns when nothing waits and nothing runs. Jobs that look again later do not count.
    pub async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            changed.await;
        }
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
        let mut state = self.lock();
        state.running.remove(&key);
        match next {
            Ok(Next::Done) => {}
            Ok(Next::Again { job, after }) => {
                if let Some(pause) = state.pause(job) {
                    tokio::spawn(self.clone().wake(key, pause, after));
                }
            }
            Err(error) => tracing::error!(%error, "a job ended early"),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Puts a job that has been tried in front of what has come since.
    async fn wake(self, key: J::Key, pause: u64, after: Duration) {
        tokio::time::sleep(after).await;
        self.lock().end_pause(key, pause);
        self.changed.notify_waiters();
    }

    fn take(&self) -> Option<(J::Key, J)> {
        let mut state = self.lock();
        let (key, urgency) = state.first()?;
        let line = state.waiting.get_mut(&key)?;
        let job = line.jobs.pop_front()?;
        if line.jobs.is_empty() {
            state.waiting.remove(&key);
        }
        state.running.insert(key.clone(), urgency);
        Some((key, job))
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state
            .lock()
            .expect("no code panics while it holds the queue")
    }
}

impl<J: Job> State<J> {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Lets a job wait for its time, unless what waits for its turn does for both.
    fn pause(&mut self, job: J) -> Option<u64> {
        if self.closed {
            return None;
        }
        let key = job.key();
        let line = self.waiting.get_mut(&key).map(|line| &mut line.jobs);
        let job = match line.and_then(|line| Some((line.pop_front()?, line))) {
            None => job,
            Some((newer, line)) => match job.followed_by(newer) {
                Followed::ByOne(job) => {
                    line.push_front(job);
                    return None;
                }
                Followed::InTurn(job, newer) => {
                    line.push_front(newer);
                    job
                }
            },
        };
        let job = match self.later.remove(&key) {
            None => job,
            Some(Later { job: older, .. }) => match older.followed_by(job) {
                Followed::ByOne(job) => job,
                Followed::InTurn(older, job) => {
                    self.line(key.clone()).push_back(older);
                    job
                }
            },
        };
        let pause = self.number();
        self.later.insert(key, Later { job, pause });
        Some(pause)
    }

    fn end_pause(&mut self, key: J::Key, pause: u64) {
        let is_over = |later: &Later<J>| later.pause == pause;
        if !self.later.get(&key).is_some_and(is_over) {
            return;
        }
        if let Some(Later { job, .. }) = self.later.remove(&key).filter(|_| !self.closed) {
            self.line(key).push_front(job);
        }
    }

    /// The job that is to be done when this one comes while another one waits for its time.
    fn instead_of_later(&mut self, job: J) -> J {
        let key = job.key();
        let Some(Later { job: older, pause }) = self.later.remove(&key) else {
            return job;
        };
        match older.followed_by(job) {
            Followed::ByOne(job) => job,
            Followed::InTurn(job, newer) => {
                self.later.insert(key, Later { job, pause });
                newer
            }
        }
    }

    fn line(&mut self, key: J::Key) -> &mut VecDeque<J> {
        let number = self.number();
        let line = self.waiting.entry(key).or_insert_with(|| Line {
            jobs: VecDeque::new(),
            number,
        });
        &mut line.jobs
    }

    /// Whose turn it is, among those of whom none runs.
    fn first(&self) -> Option<(J::Key, Urgency)> {
        let background = |urgency: &&Urgency| **urgency == Urgency::Background;
        let is_full = self.running.values().filter(background).count() >= IN_BACKGROUND;
        let lines = self.waiting.iter().filter_map(|(key, line)| {
            let urgency = line.jobs.front()?.urgency();
            let has_room = !is_full || urgency != Urgency::Background;
            let may_run = has_room && !self.running.contains_key(key);
            may_run.then_some((urgency, line.number, key))
        });
        let (urgency, _, key) = lines.min()?;
        Some((key.clone(), urgency))
    }

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

    use tokio::sync::Notify;

    use super::{Followed, Job, Next, Queue, Urgency};

    /// (key, numbers that it does for, whether it is a command)
    #[derive(Debug, Clone, PartialEq)]
    struct Look(&'static str, Vec<u32>, bool);

    impl Job for Look {
        type Key = &'static str;

        fn key(&self) -> &'static str {
            self.0
        }

        /// In capitals: nobody waits for it.
        fn urgency(&self) -> Urgency {
            if self.0.starts_with(char::is_uppercase) {
                Urgency::Background
            } else {
                Urgency::Awaited
            }
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
    async fn work_is_known_while_it_waits_runs_or_looks_again_later() {
        let queue = Queue::default();
        let knows = |queue: &Queue<Look>| queue.has_work_on(&"a");
        assert!(!knows(&queue));
        queue.push(Look("a", vec![1], false));
        assert!(knows(&queue));
        let (seen, told) = (queue.clone(), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&told);
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move {
                queue
                    .run(move |job: Look| {
                        log.lock().unwrap().push(seen.has_work_on(&"a"));
                        let after = Duration::from_millis(50);
                        async move {
                            if job.1.contains(&2) {
                                return Next::Done;
                            }
                            Next::Again {
                                job: Look("a", vec![2], false),
                                after,
                            }
                        }
                    })
                    .await;
            }
        });
        while told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        queue.idle().await;
        assert!(knows(&queue), "it looks again later");
        while told.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        queue.idle().await;
        assert!(!knows(&queue));
        assert_eq!(*told.lock().unwrap(), [true, true], "it ran");
        queue.close();
        worker.await.unwrap();
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
    async fn who_is_waited_for_goes_first_and_always_finds_a_place() {
        let queue = Queue::default();
        let slow = ["A", "B", "C", "D", "E", "F"];
        for key in slow {
            queue.push(Look(key, vec![], false));
        }
        for key in ["z", "y"] {
            queue.push(Look(key, vec![], false));
        }
        let (begun, log) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (seen, go_on) = (Arc::clone(&begun), Arc::clone(&log));
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move {
                queue
                    .run(move |job: Look| {
                        let (seen, go_on) = (Arc::clone(&seen), Arc::clone(&go_on));
                        async move {
                            seen.lock().unwrap().push(job.0);
                            if job.urgency() == Urgency::Background {
                                go_on.notified().await;
                            }
                            Next::Done
                        }
                    })
                    .await;
            }
        });
        let so_far = || begun.lock().unwrap().clone();
        until(|| so_far().len() == 6).await;
        queue.push(Look("x", vec![], false));
        until(|| so_far().contains(&"x")).await;
        let mut first = so_far();
        first[..2].sort_unstable();
        assert_eq!(first[..2], ["y", "z"], "both before all others");
        first[2..6].sort_unstable();
        assert_eq!(first[2..], ["A", "B", "C", "D", "x"]);
        queue.close();
        until(|| {
            log.notify_waiters();
            so_far().len() == 9
        })
        .await;
        until(|| {
            log.notify_waiters();
            worker.is_finished()
        })
        .await;
    }

    async fn until(so: impl Fn() -> bool) {
        for _ in 0..2000 {
            if so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never comes");
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
        let so_far = || seen.lock().unwrap().clone();
        until(|| so_far().len() == 1).await;
        queue.idle().await;
        queue.push(Look("a", vec![2], false));
        queue.idle().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        queue.close();
        worker.await.unwrap();
        let looks = [Look("a", vec![1], false), Look("a", vec![1, 2], false)];
        assert_eq!(so_far(), looks);
    }

    #[tokio::test]
    async fn a_job_that_looks_again_is_taken_up_after_its_pause_and_after_a_command() {
        let queue = Queue::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        queue.push(Look("a", vec![1], false));
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move {
                queue
                    .run(move |job: Look| {
                        let mut log = log.lock().unwrap();
                        log.push(job.clone());
                        let again = log.len() == 1;
                        async move {
                            let after = Duration::from_millis(20);
                            if again {
                                return Next::Again { job, after };
                            }
                            Next::Done
                        }
                    })
                    .await;
            }
        });
        let so_far = || seen.lock().unwrap().clone();
        until(|| so_far().len() == 1).await;
        queue.idle().await;
        queue.push(Look("a", vec![2], true));
        until(|| so_far().len() == 3).await;
        queue.close();
        worker.await.unwrap();
        let looks = [
            Look("a", vec![1], false),
            Look("a", vec![2], true),
            Look("a", vec![1], false),
        ];
        assert_eq!(so_far(), looks);
    }
}
