//! The threads on which listeners run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::call::Call;
use super::offset_reset::{OffsetReset, OnReset};
use crate::consumer::Threads;
use crate::consumer::engine::{Batch, Why};
use crate::consumer::runner::{Direct, Sink};
use crate::error::Result;
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

/// A pool of threads, and the channel they take batches from. The engine hands out as many batches as there are threads.
pub(super) struct Listeners {
    jobs: Sender<Job>,
    work: Receiver<Job>,
    call: Arc<Call>,
    allowed: Threads,
    threads: Mutex<Pool>,
    direct: Arc<AtomicUsize>,
    on_reset: Option<OnReset>,
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
        // Never fuller than the number of slots that the engine has, and a few jobs besides.
        let (jobs, work) = crossbeam_channel::unbounded();
        let (call, threads, direct) = (Arc::new(call), Mutex::default(), Arc::default());
        let listeners = Listeners { jobs, work, call, allowed, threads, direct, on_reset };
        listeners.resize(allowed.min())?;
        Ok(listeners)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, number: usize) -> Result<Thread> {
        let (work, call, direct) = (self.work.clone(), self.call.clone(), self.direct.clone());
        let name = format!("mq-listen {} {number}", call.shared.group);
        Thread::spawn(name, move || run(&work, &call, &direct))
    }
}

impl Sink for Listeners {
    fn consume(&self, batch: Batch) {
        // The threads hold the other end for as long as this lives.
        let _ = self.jobs.send(Job::Batch(batch));
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
            let _ = self.jobs.send(Job::End);
        }
        pool.running = count;
        drop(pool);
        self.call.shared.counters.threads(count);
        let ended: Vec<Thread> = ended;
        ended.into_iter().for_each(Thread::join);
        Ok(())
    }

    fn consume_directly(&self, direct: Direct) -> std::result::Result<(), Direct> {
        if self.direct.fetch_add(1, Ordering::Relaxed) >= MAX_DIRECT {
            self.direct.fetch_sub(1, Ordering::Relaxed);
            return Err(direct);
        }
        let _ = self.jobs.send(Job::Direct(direct));
        Ok(())
    }

    fn moved(&self, queue: &MessageQueue, from: i64, to: i64, why: Why) {
        let Some(OnReset(told)) = self.on_reset.clone() else { return };
        let reset = OffsetReset { queue: queue.clone(), from, to, why: why.into() };
        // The engine moves a queue at most once a second, which bounds them.
        if let Ok(callbacks) = self.call.shared.core.callbacks() {
            callbacks.run(move || told(&reset));
        }
    }

    fn stop(self: Box<Self>, deadline: Instant) -> Vec<Thread> {
        let Listeners { jobs, work, threads, call, .. } = *self;
        drop(jobs);
        drop(work);
        let threads = threads.into_inner().unwrap_or_else(PoisonError::into_inner).threads;
        let (ended, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(|thread| thread.wait_until(deadline));
        ended.into_iter().for_each(Thread::join);
        call.around.close();
        left
    }
}

fn run(work: &Receiver<Job>, call: &Call, direct: &AtomicUsize) {
    for job in work {
        match job {
            Job::Batch(batch) => call.batch(batch),
            Job::Direct(message) => {
                direct.fetch_sub(1, Ordering::Relaxed);
                call.direct(message);
            }
            Job::End => return,
        }
    }
}
