//! Where a blocked caller finds what became of its request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::sync::thread::{self, Thread};
use super::sync::{AtomicUsize, Mutex, fence, thread_local};
use crate::error::Result;
use crate::protocol::frame::Frame;

/// What a slot receives: which attempt it belongs to, and its end.
pub(crate) type Completion = (u32, Result<Frame>);

/// Collects the ends of one caller's requests and wakes the caller. Several attempts of one call share a slot.
#[derive(Debug)]
pub(crate) struct Slot {
    owner: Thread,
    /// How many results there are, to be looked at without the lock.
    ready: AtomicUsize,
    written: AtomicUsize,
    results: Mutex<VecDeque<Completion>>,
}

thread_local! {
    /// The slot of this thread's last call, to be used again when nobody else holds it any more.
    static MINE: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

impl Slot {
    fn new() -> Arc<Slot> {
        Arc::new(Slot {
            owner: thread::current(),
            ready: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            results: Mutex::default(),
        })
    }

    /// Returns a slot of the calling thread, without allocating in the usual case.
    pub(crate) fn mine() -> Arc<Slot> {
        MINE.with(|mine| match &mut *mine.borrow_mut() {
            // An earlier call's slot may still be held by an attempt that was given up.
            Some(slot) if Arc::strong_count(slot) == 1 => {
                // The count alone does not order what its last holder did before what follows.
                fence(Ordering::Acquire);
                slot.results.lock().unwrap_or_else(PoisonError::into_inner).clear();
                slot.ready.store(0, Ordering::Relaxed);
                slot.written.store(0, Ordering::Relaxed);
                slot.clone()
            }
            mine => mine.insert(Slot::new()).clone(),
        })
    }

    pub(crate) fn complete(&self, attempt: u32, result: Result<Frame>) {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).push_back((attempt, result));
        self.ready.fetch_add(1, Ordering::Release);
        self.owner.unpark();
    }

    /// Says that a oneway frame is in the kernel's hands.
    pub(crate) fn complete_written(&self) {
        self.written.fetch_add(1, Ordering::Release);
        self.owner.unpark();
    }

    /// Makes the owner look again at what it waits for.
    pub(crate) fn wake(&self) {
        self.owner.unpark();
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) > 0
    }

    pub(crate) fn take(&self) -> Option<Completion> {
        if !self.is_ready() {
            return None;
        }
        let taken = self.results.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if taken.is_some() {
            self.ready.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// Parks the calling thread, which owns the slot, until `ready` or `until`.
    pub(crate) fn park(&self, ready: impl Fn(&Slot) -> bool, until: Instant) {
        while !ready(self) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}
