//! The threads on which listeners run.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::call::Call;
use super::offset_reset::{OffsetReset, OnReset};
use crate::consumer::Threads;
use crate::consumer::engine::{Batch, Why};
use crate::consumer::runner::{Direct, Sink};
use crate::error::Result;
use crate::job_queue::JobQueue;
use crate::message::MessageQueue;
use crate::thread::Thread;

/// Messages of operators that may wait for a listener.
const MAX_DIRECT: usize = 16;

/// What a thread is to do next.
enum Job {
    Batch(Batch),
    Direct(Direct),
    /// There are to be fewer threads.
    End,
}

/// A pool of threads, and the queue they take batches from. The engine hands out as many batches as there are threads.
pub(super) struct Listeners {
    work: Arc<Work>,
    allowed: Threads,
    threads: Mutex<Pool>,
    on_reset: Option<OnReset>,
}

/// What the threads have in common.
struct Work {
    /// Tells the listeners of one consumer from those of another.
    number: u64,
    /// Never fuller than the number of slots that the engine has, and a few jobs besides.
    jobs: JobQueue<Job>,
    call: Call,
    direct: AtomicUsize,
}

thread_local! {
    /// The number of the [`Listeners`] whose thread this is, while it has finished a batch and takes a job next; otherwise 0.
    static TAKES_NEXT_OF: Cell<u64> = const { Cell::new(0) };
}

#[derive(Default)]
struct Pool {
    threads: Vec<Thread>,
    /// Those that were not told to end.
    running: usize,
    started: usize,
}

impl Listeners {
    pub(super) fn new(call: Call, allowed: Threads, on_reset: Option<OnReset>) -> Result<Listeners> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A job is a whole batch: waking a thread costs less than threads that look for one again and again.
        let work = Work { number, jobs: JobQueue::new(0), call, direct: AtomicUsize::new(0) };
        let listeners = Listeners { work: Arc::new(work), allowed, threads: Mutex::default(), on_reset };
        listeners.resize(allowed.min())?;
        Ok(listeners)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, number: usize) -> Result<Thread> {
        let work = self.work.clone();
        let name = format!("mq-listen {} {number}", work.call.shared.group);
        Thread::spawn(name, move || work.run())
    }
}

impl Sink for Listeners {
    fn consume(&self, batch: Batch) {
        let Work { number, jobs, .. } = &*self.work;
        if TAKES_NEXT_OF.get() == *number {
            // Once: another batch is for another thread.
            TAKES_NEXT_OF.set(0);
            jobs.push_for_this_thread(Job::Batch(batch));
        } else {
            jobs.push(Job::Batch(batch));
        }
    }

    fn threads(&self) -> Option<Threads> {
        Some(self.allowed)
    }

    fn resize(&self, count: usize) -> Result<()> {
        let mut pool = self.lock();
        let (ended, threads) = std::mem::take(&mut pool.threads).into_iter().partition(Thread::has_ended);
        pool.threads = threads;
        while pool.running < count {
            pool.started += 1;
            let thread = self.spawn(pool.started)?;
            pool.threads.push(thread);
            pool.running += 1;
        }
        for _ in count..pool.running {
            self.work.jobs.push(Job::End);
        }
        pool.running = count;
        drop(pool);
        self.work.call.shared.counters.threads(count);
        let ended: Vec<Thread> = ended;
        ended.into_iter().for_each(Thread::join);
        Ok(())
    }

    fn consume_directly(&self, direct: Direct) -> std::result::Result<(), Direct> {
        if self.work.direct.fetch_add(1, Ordering::Relaxed) >= MAX_DIRECT {
            self.work.direct.fetch_sub(1, Ordering::Relaxed);
            return Err(direct);
        }
        self.work.jobs.push(Job::Direct(direct));
        Ok(())
    }

    fn moved(&self, queue: &MessageQueue, from: i64, to: i64, why: Why) {
        let Some(OnReset(told)) = self.on_reset.clone() else { return };
        let reset = OffsetReset { queue: queue.clone(), from, to, why: why.into() };
        // The engine moves a queue at most once a second, which bounds them.
        if let Ok(callbacks) = self.work.call.shared.core.callbacks() {
            callbacks.run(move || told(&reset));
        }
    }

    fn stop(self: Box<Self>, deadline: Instant) -> Vec<Thread> {
        self.work.jobs.end();
        let threads = std::mem::take(&mut self.lock().threads);
        let (ended, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(|thread| thread.wait_until(deadline));
        ended.into_iter().for_each(Thread::join);
        self.work.call.around.close();
        left
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // Also of those that were never stopped, because the consumer did not start.
        self.work.jobs.end();
    }
}

impl Work {
    fn run(&self) {
        while let Some(job) = self.jobs.next() {
            match job {
                Job::Batch(batch) => {
                    let finished = self.call.batch(batch);
                    TAKES_NEXT_OF.set(self.number);
                    self.call.tell(finished);
                    TAKES_NEXT_OF.set(0);
                }
                Job::Direct(message) => {
                    self.direct.fetch_sub(1, Ordering::Relaxed);
                    self.call.direct(message);
                }
                Job::End => return,
            }
        }
    }
}
