//! Whether there is something to receive: what brokers told, and who is still to tell.
//!
//! Waiting takes no message, so a receive that ends while it waits leaves none behind that nobody sees.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A topic at a broker.
pub(super) type Place = (Arc<str>, Arc<str>);

/// What the receives of one consumer share.
#[derive(Debug, Default)]
pub(super) struct News {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The places whose brokers hold a question.
    asked: HashSet<Place>,
    answers: u64,
    closed: bool,
}

impl News {
    /// How many answers have come.
    pub(super) fn count(&self) -> u64 {
        self.lock().answers
    }

    /// Returns whether nobody has asked there yet; the caller does.
    pub(super) fn asks(&self, place: &Place) -> bool {
        self.lock().asked.insert(place.clone())
    }

    /// A broker has answered, whatever it said.
    pub(super) fn answered(&self, place: &Place) {
        let mut state = self.lock();
        state.asked.remove(place);
        state.answers += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for an answer beyond the first `seen`, at most until `until`.
    pub(super) fn wait(&self, seen: u64, until: Instant) {
        self.wait_while(until, |state| state.answers == seen);
    }

    /// Waits until `until`, whatever is answered; closing ends it.
    pub(super) fn pause(&self, until: Instant) {
        self.wait_while(until, |_| true);
    }

    fn wait_while(&self, until: Instant, condition: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !state.closed && condition(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends all waiting; false when that was done before.
    pub(super) fn close(&self) -> bool {
        let before = std::mem::replace(&mut self.lock().closed, true);
        self.changed.notify_all();
        !before
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
