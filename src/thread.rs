//! Named threads that are joined by whoever spawned them.
//!
//! This is the only place of the crate that spawns. A thread signals its end through a channel, so an owner can wait for
//! it with a deadline, and joining from the thread itself returns at once instead of waiting for ever.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::error::{Error, Result};

/// A running thread and the right to join it.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: JoinHandle<()>,
    ended: Receiver<()>,
}

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether the calling thread is one of this crate's, where nothing may wait for the crate's threads to end.
pub(crate) fn is_own() -> bool {
    OWN.get()
}

impl Thread {
    /// Starts a thread named `name`. A panic ends the thread and is logged, it never passes to the owner.
    pub(crate) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<Thread> {
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let label = name.clone();
        let handle = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                let _end = end;
                OWN.set(true);
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    log::error!("thread {label} panicked; this is a bug in rocketmq-blocking");
                }
            })
            .map_err(|source| Error::Thread { source: Arc::new(source) })?;
        Ok(Thread { handle, ended })
    }

    /// Waits for the thread to end; returns at once when called on the thread itself.
    pub(crate) fn join(self) {
        if self.handle.thread().id() != std::thread::current().id() {
            // The closure catches panics, so an error here cannot carry news.
            let _ = self.handle.join();
        }
    }

    /// Returns whether the thread has ended, so that joining it takes no time.
    pub(crate) fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits until the thread ends, or `deadline`; returns at once on the thread itself.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        if self.handle.thread().id() == std::thread::current().id() {
            return false;
        }
        // Nothing is ever sent: the channel disconnects when the thread ends.
        !matches!(self.ended.recv_deadline(deadline), Err(crossbeam_channel::RecvTimeoutError::Timeout))
    }

    /// Waits until `deadline` and says whether the thread ended; a thread that did not is left to end by itself.
    pub(crate) fn join_by(self, deadline: Instant) -> bool {
        let ended = self.wait_until(deadline);
        if ended {
            let _ = self.handle.join();
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_does_not_end_is_reported_at_the_deadline() {
        let (release, wait) = crossbeam_channel::bounded::<()>(0);
        let thread = Thread::spawn("mq-test".into(), move || {
            let _ = wait.recv();
        })
        .unwrap();
        assert!(!thread.join_by(Instant::now() + Duration::from_millis(20)));
        drop(release);
    }

    #[test]
    fn a_panic_does_not_reach_the_owner() {
        Thread::spawn("mq-test".into(), || panic!("expected by this test")).unwrap().join();
    }

    #[test]
    fn joining_from_the_thread_itself_returns() {
        let (hand_over, handle) = crossbeam_channel::bounded::<Thread>(1);
        let (done, wait) = crossbeam_channel::bounded::<()>(1);
        let thread = Thread::spawn("mq-test".into(), move || {
            handle.recv().unwrap().join();
            done.send(()).unwrap();
        })
        .unwrap();
        hand_over.send(thread).unwrap();
        wait.recv_timeout(Duration::from_secs(5)).unwrap();
    }
}
