//! The bound of what asynchronous sends have under way.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Outcome, Result, Stage};
use crate::remoting::Deadline;

/// Counts messages and bytes in flight, and makes senders wait when either is at its limit.
#[derive(Debug)]
pub(super) struct Window {
    max_count: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// Senders wait on it for a place.
    freed: Condvar,
    /// Who closes waits on it.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    bytes: usize,
    waiting: usize,
    /// Those of them that smaller ones let pass first.
    large_waiting: usize,
    closed: bool,
}

/// A place in the window, or several, given back on drop.
#[derive(Debug)]
pub(super) struct Permit {
    window: Arc<Window>,
    count: usize,
    bytes: usize,
}

impl Permit {
    /// Makes one for what is not bounded by the window.
    pub(super) fn none(window: &Arc<Window>) -> Permit {
        Permit { window: window.clone(), count: 0, bytes: 0 }
    }

    /// Takes over another's places, to be given back together.
    pub(super) fn absorb(&mut self, mut other: Permit) {
        self.count += std::mem::take(&mut other.count);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Window {
    pub(super) fn new(max_count: usize, max_bytes: usize) -> Window {
        Window { max_count, max_bytes, state: Mutex::default(), freed: Condvar::new(), emptied: Condvar::new() }
    }

    /// Takes a place for `bytes`. A full window makes it wait until `deadline`, or is an error at once without one.
    ///
    /// A body larger than the whole window gets in when it is alone, for else it never could. Small ones give way to a large
    /// one that waits: there is always room for a small one, so it would wait for ever.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize, deadline: Option<Deadline>) -> Result<Permit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let large = bytes > self.max_bytes / 4;
        let mut in_the_way = InTheWay { window: self, was: false };
        loop {
            if state.closed {
                return Err(Error::Closed { outcome: Outcome::NotSent });
            }
            let gives_way = !large && state.large_waiting > 0;
            let fits = state.count < self.max_count && state.bytes.saturating_add(bytes) <= self.max_bytes;
            if (fits || state.count == 0) && !gives_way {
                state.count += 1;
                state.bytes += bytes;
                return Ok(Permit { window: self.clone(), count: 1, bytes });
            }
            let Some(deadline) = deadline else {
                let what = format!("{} asynchronous sends of {} bytes are in flight", state.count, state.bytes);
                return Err(Error::Busy { what: what.into() });
            };
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Admission, None, Outcome::NotSent));
            }
            in_the_way.was |= large;
            state.waiting += 1;
            state.large_waiting += usize::from(large);
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.large_waiting -= usize::from(large);
            state.waiting -= 1;
        }
    }

    /// Lets nobody in any more; those who wait get an error.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }

    /// Waits until nothing is in flight, or `until`; returns how many sends are.
    pub(super) fn drain(&self, until: Instant) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.count > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.count
    }

    pub(super) fn in_flight(&self) -> usize {
        self.occupancy().0
    }

    /// Returns how many sends are in flight, and the bytes of their bodies.
    pub(super) fn occupancy(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.count, state.bytes)
    }
}

/// A large body for which others had to wait; they look again when it has gone in, or given up.
struct InTheWay<'a> {
    window: &'a Window,
    was: bool,
}

impl Drop for InTheWay<'_> {
    fn drop(&mut self) {
        if self.was {
            self.window.freed.notify_all();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.count == 0 {
            return;
        }
        let mut state = self.window.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count -= self.count;
        state.bytes -= self.bytes;
        let empty = state.count == 0;
        // Only who closes waits for that.
        let emptied = empty && state.closed;
        // Waiters are woken when there is room for a good many: a change of threads for each place costs more than the send.
        let quarter = (self.window.max_count / 4, self.window.max_bytes / 4);
        let roomy =
            state.count + quarter.0 <= self.window.max_count && state.bytes + quarter.1 <= self.window.max_bytes;
        let wake = state.waiting > 0 && (roomy || empty);
        drop(state);
        if wake {
            self.window.freed.notify_all();
        }
        if emptied {
            self.window.emptied.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_window_refuses_at_once_or_at_the_deadline() {
        let window = Arc::new(Window::new(2, 100));
        let first = window.enter(10, None).unwrap();
        let _second = window.enter(10, None).unwrap();
        assert!(matches!(window.enter(10, None), Err(Error::Busy { .. })));
        let deadline = Deadline::after(Duration::from_millis(20));
        assert!(matches!(window.enter(10, Some(deadline)), Err(Error::Timeout { stage: Stage::Admission, .. })));
        drop(first);
        assert!(window.enter(10, None).is_ok());
    }

    #[test]
    fn bytes_count_and_a_large_body_gets_in_alone() {
        let window = Arc::new(Window::new(10, 100));
        let large = window.enter(500, None).unwrap();
        assert!(window.enter(1, None).is_err());
        drop(large);
        let _small = window.enter(60, None).unwrap();
        assert!(window.enter(60, None).is_err());
        assert_eq!(window.in_flight(), 1);
    }

    /// Each of many small ones would find room for itself, and the large one never.
    #[test]
    fn small_ones_let_a_large_body_that_waits_go_first() {
        for large in [90, 500] {
            let window = Arc::new(Window::new(1000, 100));
            let held = window.enter(20, None).unwrap();
            std::thread::scope(|scope| {
                let patient = Some(Deadline::after(Duration::from_secs(20)));
                let entering = window.clone();
                let waiting = scope.spawn(move || entering.enter(large, patient).map(drop));
                while window.state.lock().unwrap().large_waiting == 0 {
                    std::thread::yield_now();
                }
                assert!(matches!(window.enter(5, None), Err(Error::Busy { .. })), "there is room, but not its turn");
                drop(held);
                assert!(waiting.join().unwrap().is_ok());
                assert!(window.enter(5, None).is_ok());
            });
        }
    }

    #[test]
    fn who_gave_way_goes_on_when_the_large_one_gives_up() {
        let window = Arc::new(Window::new(10, 100));
        let held = window.enter(60, None).unwrap();
        std::thread::scope(|scope| {
            let large = scope.spawn(|| window.enter(90, Some(Deadline::after(Duration::from_millis(50)))).map(drop));
            while window.state.lock().unwrap().large_waiting == 0 && !large.is_finished() {
                std::thread::yield_now();
            }
            let started = Instant::now();
            assert!(window.enter(5, Some(Deadline::after(Duration::from_secs(20)))).is_ok());
            assert!(started.elapsed() < Duration::from_secs(10));
            assert!(large.join().unwrap().is_err());
        });
        drop(held);
    }

    #[test]
    fn closing_frees_who_waits() {
        let window = Arc::new(Window::new(1, 100));
        let _held = window.enter(1, None).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| window.enter(1, Some(Deadline::after(Duration::from_secs(20)))).map(drop));
            window.close();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Closed { .. })));
        });
    }
}
