//! Automatic batching: messages that are sent one by one, by any number of threads, travel together.
//!
//! [`gather`] decides, [`Accumulator`] does: it locks, sends what is due, and hands each message its own end. It has no
//! thread. What leaves is sent by the thread that filled the batch, by the one that brings the answer to the batch before,
//! or by the scheduler when the first message has waited long enough.

mod admit;
mod gather;
mod member;
mod seat;
mod settings;
mod under_way;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use self::admit::{Joined, admit, send, takes};
use self::gather::{Gather, Key, Limits, Place, Share};
use self::member::Member;
pub use self::settings::AutoBatch;
use self::under_way::send_off;
use super::shared::Shared;
use crate::error::{Error, Outcome, Result, Stage};
use crate::remoting::Deadline;

/// What one producer gathers.
pub(super) struct Accumulator {
    pub(super) on: bool,
    max_bytes: usize,
    state: Mutex<State>,
    /// Senders wait on it for room, and who closes for the last batch.
    ended: Condvar,
}

struct State {
    gather: Gather<Member>,
    closed: bool,
    waiting: usize,
}

impl Accumulator {
    /// `settings` is `None` for a producer that batches only what asks for it.
    pub(super) fn new(settings: Option<&AutoBatch>, timeout: Duration) -> Accumulator {
        let default = AutoBatch::default();
        let AutoBatch { max_delay, max_bytes, max_held_bytes } = *settings.unwrap_or(&default);
        let delay = max_delay.min(timeout / 2);
        let gather = Gather::new(Limits { delay, bytes: max_bytes, held: max_held_bytes });
        let state = Mutex::new(State { gather, closed: false, waiting: 0 });
        Accumulator { on: settings.is_some(), max_bytes, state, ended: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a message. While too much is held everything gathered leaves, and a `patient` sender waits until the
    /// deadline.
    fn place(shared: &Arc<Shared>, key: &Key<'_>, bytes: usize, deadline: Deadline, patient: bool) -> Result<Place> {
        let accumulator = &shared.accumulator;
        loop {
            let mut state = accumulator.lock();
            if state.closed {
                return Err(Error::Closed { outcome: Outcome::NotSent });
            }
            if let Some(place) = state.gather.place(key, bytes) {
                return Ok(place);
            }
            let gathered = state.gather.take_all();
            if !gathered.is_empty() {
                drop(state);
                gathered.into_iter().for_each(|batch| send_off(shared, batch));
                continue;
            }
            if !patient {
                return Err(Error::Busy { what: "the bytes that automatic batching may hold are used up".into() });
            }
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Admission, None, Outcome::NotSent));
            }
            state.waiting += 1;
            state = accumulator.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// Adds a message and sends what is due because of it.
    fn add(shared: &Arc<Shared>, place: Place, deadline: Deadline, encoded: &[u8], member: Member) {
        let now = Instant::now();
        // One that has waited long for its admission must not shorten the time of others.
        let hurried = deadline.left(now) < shared.settings.timeout / 2;
        let mut state = shared.accumulator.lock();
        let (due, tick) = match hurried {
            true => (Some(state.gather.add_alone(place, deadline, encoded, member)), None),
            false => state.gather.add(now, place, deadline, encoded, member),
        };
        let closed = state.closed;
        // Closing has sent what was gathered by then; what had its place already follows.
        let rest = if closed { state.gather.take_all() } else { Vec::new() };
        drop(state);
        if let Some(at) = tick.filter(|_| !closed) {
            ask_tick(shared, at);
        }
        due.into_iter().chain(rest).for_each(|batch| send_off(shared, batch));
    }

    /// Takes note of an end, and sends what is due because of it.
    fn ended(shared: &Arc<Shared>, share: Share) {
        let accumulator = &shared.accumulator;
        let mut state = accumulator.lock();
        let due = state.gather.ended(share);
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            accumulator.ended.notify_all();
        }
        if let Some(batch) = due {
            send_off(shared, batch);
        }
    }

    fn tick(shared: &Arc<Shared>) {
        let (due, next) = shared.accumulator.lock().gather.tick(Instant::now());
        if let Some(at) = next {
            ask_tick(shared, at);
        }
        due.into_iter().for_each(|batch| send_off(shared, batch));
    }

    /// Lets no message in any more and sends what is gathered; who waits for room gets an error.
    pub(super) fn close(shared: &Arc<Shared>) {
        let mut state = shared.accumulator.lock();
        state.closed = true;
        let gathered = state.gather.take_all();
        drop(state);
        shared.accumulator.ended.notify_all();
        gathered.into_iter().for_each(|batch| send_off(shared, batch));
    }

    /// Waits until all batches have ended, or `until`.
    pub(super) fn drain(&self, until: Instant) {
        let mut state = self.lock();
        while state.gather.batches() > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state.waiting += 1;
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }
}

fn ask_tick(shared: &Arc<Shared>, at: Instant) {
    let weak = Arc::downgrade(shared);
    shared.core.timers().at(at, move || {
        if let Some(shared) = weak.upgrade() {
            Accumulator::tick(&shared);
        }
    });
}
