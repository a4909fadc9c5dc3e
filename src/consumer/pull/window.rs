//! Asynchronous pulls under way: bounded in number, each completed exactly once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::PullResult;
use crate::error::{Error, Outcome, Result};

pub(super) type Callback = Box<dyn FnOnce(Result<PullResult>) + Send>;

/// The pulls that wait for an answer, and the callbacks on their way.
pub(super) struct Window {
    limit: usize,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, Callback>,
    /// Callbacks that wait for a callback thread.
    queued: usize,
    running: usize,
    next_ticket: u64,
    closed: bool,
}

impl Window {
    pub(super) fn new(limit: usize) -> Window {
        Window { limit, state: Mutex::default(), idle: Condvar::new() }
    }

    /// Lets a pull in and returns its ticket.
    pub(super) fn admit(&self, callback: Callback) -> Result<u64> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        // A callback that runs has left: it may pull again.
        if state.waiting.len() + state.queued >= self.limit {
            return Err(Error::Busy { what: format!("{} asynchronous pulls are under way", self.limit).into() });
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, callback);
        Ok(ticket)
    }

    /// Takes the callback of a pull that ended; `None` when it was taken before. Whoever takes it runs it, between
    /// [`started`](Window::started) and the end of what that returns.
    pub(super) fn take(&self, ticket: u64) -> Option<Callback> {
        let mut state = self.lock();
        let callback = state.waiting.remove(&ticket)?;
        state.queued += 1;
        Some(callback)
    }

    /// Takes all callbacks that still wait, and lets no pull in any more; says how many others are queued or run.
    pub(super) fn close(&self) -> (Vec<Callback>, usize) {
        let mut state = self.lock();
        state.closed = true;
        let busy = state.queued + state.running;
        state.queued += state.waiting.len();
        (state.waiting.drain().map(|(_, callback)| callback).collect(), busy)
    }

    pub(super) fn started(&self) -> Running<'_> {
        let mut state = self.lock();
        state.queued -= 1;
        state.running += 1;
        Running(self)
    }

    /// Waits until no callback is queued or runs; returns how many were left at `deadline`.
    pub(super) fn wait_idle(&self, deadline: Instant) -> usize {
        let mut state = self.lock();
        loop {
            let left = state.queued + state.running;
            let time = deadline.saturating_duration_since(Instant::now());
            if left == 0 || time.is_zero() {
                return left;
            }
            state = self.idle.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A callback that runs; also one that panics ends.
pub(super) struct Running<'a>(&'a Window);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.idle.notify_all();
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let (waiting, queued, running) = (state.waiting.len(), state.queued, state.running);
        drop(state);
        let mut out = f.debug_struct("Window");
        out.field("limit", &self.limit).field("waiting", &waiting);
        out.field("queued", &queued).field("running", &running).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn nothing() -> Callback {
        Box::new(|_| ())
    }

    #[test]
    fn a_full_window_refuses_and_a_running_callback_has_left_it() {
        let window = Window::new(1);
        let first = window.admit(nothing()).unwrap();
        assert!(matches!(window.admit(nothing()), Err(Error::Busy { .. })));
        assert!(window.take(first).is_some());
        assert!(matches!(window.admit(nothing()), Err(Error::Busy { .. })), "it waits for a thread");
        let _running = window.started();
        assert!(window.admit(nothing()).is_ok());
    }

    #[test]
    fn each_callback_is_taken_once_also_when_closing() {
        let window = Window::new(8);
        let (first, second) = (window.admit(nothing()).unwrap(), window.admit(nothing()).unwrap());
        assert!(window.take(first).is_some());
        assert!(window.take(first).is_none());
        assert_eq!(window.close().0.len(), 1);
        assert!(window.take(second).is_none());
        assert!(matches!(window.admit(nothing()), Err(Error::Closed { .. })));
    }

    #[test]
    fn waiting_for_callbacks_ends_with_them_or_at_the_deadline() {
        let window = Window::new(8);
        let ticket = window.admit(nothing()).unwrap();
        assert!(window.take(ticket).is_some());
        assert_eq!(window.wait_idle(Instant::now() + Duration::from_millis(5)), 1);
        drop(window.started());
        assert_eq!(window.wait_idle(Instant::now() + Duration::from_secs(5)), 0);
    }
}
