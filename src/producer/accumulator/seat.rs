//! Where a thread waits for the result of its message in a batch.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::client::SendResult;
use crate::error::Result;

/// How often a waiting thread gives the processor to others before it parks: being woken costs more than that.
const YIELDS: u32 = 10;

#[derive(Debug)]
pub(super) struct Seat {
    owner: Thread,
    ready: AtomicBool,
    result: Mutex<Option<Result<SendResult>>>,
}

thread_local! {
    /// The seat of this thread's last send, to be used again when nobody else holds it any more.
    static MINE: RefCell<Option<Arc<Seat>>> = const { RefCell::new(None) };
}

impl Seat {
    /// Returns a seat of the calling thread, without allocating in the usual case.
    pub(super) fn mine() -> Arc<Seat> {
        MINE.with_borrow_mut(|mine| match mine {
            // An earlier message's seat is still held when its sender gave up.
            Some(seat) if Arc::strong_count(seat) == 1 => {
                seat.take();
                seat.clone()
            }
            _ => {
                let seat = Seat { owner: thread::current(), ready: AtomicBool::new(false), result: Mutex::default() };
                mine.insert(Arc::new(seat)).clone()
            }
        })
    }

    pub(super) fn complete(&self, result: Result<SendResult>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.ready.store(true, Ordering::Release);
        self.owner.unpark();
    }

    /// Waits on the owner's thread until the result is there, or `until`.
    pub(super) fn wait(&self, until: Instant) -> Option<Result<SendResult>> {
        let mut yields = 0;
        while !self.ready.load(Ordering::Acquire) {
            if yields < YIELDS {
                yields += 1;
                thread::yield_now();
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        self.take()
    }

    fn take(&self) -> Option<Result<SendResult>> {
        self.ready.store(false, Ordering::Relaxed);
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
