//! The one thread that does what is due: delayed messages, long polls that end, answers that a fault delays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// Without anything due the thread looks around this often, which bounds what a mistake in a deadline can cost.
const IDLE: Duration = Duration::from_secs(1);

/// What wakes the clock's thread.
#[derive(Debug)]
pub(super) struct Clock {
    wake: Sender<()>,
    /// When the thread looks next, or `None` while it looks: then everybody wakes it.
    next: Mutex<Option<Instant>>,
    stopped: AtomicBool,
}

impl Clock {
    pub(super) fn new() -> (Clock, Receiver<()>) {
        let (wake, woken) = bounded(1);
        (Clock { wake, next: Mutex::default(), stopped: AtomicBool::new(false) }, woken)
    }

    /// Makes the thread look at `when` at the latest.
    pub(super) fn look_at(&self, when: Instant) {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|next| when < next) {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        match self.wake.try_send(()) {
            // A full channel means a wake-up is under way; a closed one that the thread has ended.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    /// Makes [`run`](Clock::run) return.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Runs `tick` whenever something is due. It answers when it wants to run again.
    pub(super) fn run(&self, woken: &Receiver<()>, mut tick: impl FnMut(Instant) -> Option<Instant>) {
        while !self.stopped.load(Ordering::SeqCst) {
            self.plan(None);
            let now = Instant::now();
            let next = tick(now).unwrap_or(now + IDLE).min(now + IDLE);
            self.plan(Some(next));
            // Woken or due: both mean to look again.
            let _ = woken.recv_deadline(next);
        }
    }

    fn plan(&self, next: Option<Instant>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

/// The earlier of two deadlines, either of which may be absent.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
