//! The threads on which users' callbacks run.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::timers::Job;
use crate::error::Result;
use crate::job_queue::JobQueue;
use crate::thread::Thread;

/// How often a thread without work yields before it sleeps: answers come in bursts.
const YIELDS: u32 = 4;

/// A few threads, and the queue they take callbacks from.
pub(crate) struct Callbacks {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Thread>>,
}

struct Shared {
    /// Tells the callback threads of one client from those of another.
    number: u64,
    /// Not bounded by itself: whoever adds to it holds a permit, and the number of permits is the bound.
    jobs: JobQueue<Job>,
    limit: usize,
    overflowed: AtomicBool,
    stopped: AtomicBool,
    added: AtomicUsize,
    finished: AtomicUsize,
}

thread_local! {
    /// The number of the [`Callbacks`] whose thread this is; 0 for all other threads.
    static RUNS_FOR: Cell<u64> = const { Cell::new(0) };
}

impl Callbacks {
    /// Starts `count` threads. `limit` is the number of callbacks that admission lets wait at most.
    pub(super) fn start(count: usize, limit: usize) -> Result<Callbacks> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            jobs: JobQueue::new(YIELDS),
            limit,
            overflowed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            added: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        });
        let callbacks = Callbacks { shared, threads: Mutex::default() };
        for number in 1..=count {
            let shared = callbacks.shared.clone();
            match Thread::spawn(format!("mq-callback {number}"), move || shared.work()) {
                Ok(thread) => callbacks.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread),
                Err(error) => {
                    callbacks.stop(Instant::now());
                    return Err(error);
                }
            }
        }
        Ok(callbacks)
    }

    /// Hands a callback over; never blocks. Callbacks may overtake each other. A panic is contained and logged.
    ///
    /// Callers hold an admission permit for each callback, which bounds the queue. Once the threads have stopped the
    /// callback runs on the calling thread: each callback runs exactly once.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.add(Box::new(job));
    }

    /// Returns whether the calling thread is one of these callback threads.
    pub(crate) fn is_callback_thread(&self) -> bool {
        RUNS_FOR.get() == self.shared.number
    }

    /// Lets the threads finish what is queued, until `deadline`.
    pub(super) fn stop(&self, deadline: Instant) -> Stopped {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.jobs.end();
        let mut ended = true;
        for thread in threads {
            ended &= thread.join_by(deadline);
        }
        self.shared.stopped.store(true, Ordering::SeqCst);
        if ended {
            self.shared.run_left();
        }
        let finished = self.finished();
        let left = self.shared.added.load(Ordering::Relaxed).saturating_sub(finished);
        Stopped { ended, left, finished }
    }

    /// Returns how many callbacks wait, and how many run.
    pub(super) fn occupancy(&self) -> (usize, usize) {
        let queued = self.shared.jobs.len();
        let begun = self.shared.added.load(Ordering::Relaxed).saturating_sub(self.finished());
        (queued, begun.saturating_sub(queued))
    }

    pub(super) fn finished(&self) -> usize {
        self.shared.finished.load(Ordering::Relaxed)
    }
}

/// How stopping the callback threads went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped {
    /// All threads ended.
    pub(super) ended: bool,
    /// Callbacks that still run, or wait for one that does.
    pub(super) left: usize,
    /// Callbacks that were run in all.
    pub(super) finished: usize,
}

impl Shared {
    fn add(&self, job: Job) {
        self.added.fetch_add(1, Ordering::Relaxed);
        if self.stopped.load(Ordering::SeqCst) {
            self.perform(job);
            return;
        }
        if self.jobs.push(job) > self.limit && !self.overflowed.swap(true, Ordering::Relaxed) {
            log::error!("more than {} callbacks wait; this is a bug in rocketmq-blocking", self.limit);
        }
        if self.stopped.load(Ordering::SeqCst) {
            // The threads may have gone between the look and the push.
            self.run_left();
        }
    }

    fn work(&self) {
        RUNS_FOR.set(self.number);
        while let Some(job) = self.jobs.next() {
            self.perform(job);
        }
    }

    fn run_left(&self) {
        while let Some(job) = self.jobs.try_next() {
            self.perform(job);
        }
    }

    fn perform(&self, job: Job) {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            log::error!("a callback panicked; the client goes on");
        }
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").field("waiting", &self.shared.jobs.len()).finish_non_exhaustive()
    }
}
