//! The threads on which a transaction producer's checks run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::check::Checker;
use crate::client::CheckQueue;
use crate::error::Result;
use crate::thread::Thread;

/// A few threads that take checks from the group's queue. They hold the producer's shared half; this does not.
pub(super) struct Checkers {
    queue: Arc<CheckQueue>,
    running: Arc<AtomicUsize>,
    state: Mutex<State>,
    /// Disconnects when the last thread has ended.
    over: Receiver<()>,
}

struct State {
    threads: Vec<Thread>,
    /// Each thread gets a copy; dropped when no more are started.
    end: Option<Sender<()>>,
}

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped {
    /// All threads have ended.
    pub(super) ended: bool,
    /// Checks that ran when stopping began, and finished in time.
    pub(super) finished: usize,
    /// Checks that still run.
    pub(super) left: usize,
}

impl Checkers {
    /// Without threads yet.
    pub(super) fn new(queue: Arc<CheckQueue>) -> Checkers {
        let (end, over) = crossbeam_channel::bounded(0);
        let state = Mutex::new(State { threads: Vec::new(), end: Some(end) });
        Checkers { queue, running: Arc::default(), state, over }
    }

    /// Starts `count` threads. Once stopped they end at once.
    pub(super) fn start(&self, count: usize, checker: Checker) -> Result<()> {
        let checker = Arc::new(checker);
        let mut state = self.lock();
        let end = state.end.take();
        for number in 1..=count {
            let (queue, running, checker, end) =
                (self.queue.clone(), self.running.clone(), checker.clone(), end.clone());
            let name = format!("mq-check {} {number}", checker.shared.group());
            let thread = Thread::spawn(name, move || {
                let _end = end;
                while let Some((key, asked)) = queue.next() {
                    running.fetch_add(1, Ordering::SeqCst);
                    checker.answer(&asked, || queue.finish(&key));
                    running.fetch_sub(1, Ordering::SeqCst);
                }
            })?;
            state.threads.push(thread);
        }
        Ok(())
    }

    /// Drops the checks that wait, and lets those that run finish until `deadline`, unless this `waits` for nothing.
    pub(super) fn stop(&self, deadline: Instant, waits: bool) -> Stopped {
        self.queue.close();
        drop(self.lock().end.take());
        let before = self.running.load(Ordering::SeqCst);
        // Nothing is ever sent.
        let ended = waits && !matches!(self.over.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
        if ended {
            self.take_threads().into_iter().for_each(Thread::join);
        }
        let left = self.running.load(Ordering::SeqCst);
        Stopped { ended, finished: before.saturating_sub(left), left }
    }

    /// Takes the threads that nobody has joined.
    pub(super) fn take_threads(&self) -> Vec<Thread> {
        std::mem::take(&mut self.lock().threads)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
