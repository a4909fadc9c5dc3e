//! Who drives an engine: whoever holds the baton, and nobody waits for it but the engine's own thread.
//!
//! The engine has a thread, but waking it for every answer and every listener that returns would cost more than all that is
//! to be done. So the thread that read answers, or ran a listener, drives the engine itself when nobody else does; when
//! somebody does, that one sees the event, because it looks again after it has put the baton back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Runner;
use super::events::{Bell, Events};

/// How often a thread that has other things to do goes on driving for what others put in meanwhile.
const ROUNDS: usize = 4;

#[derive(Default)]
struct Place {
    /// Not here while somebody drives, before the start and after the end.
    runner: Option<Box<Runner>>,
    /// The engine's thread waits for it.
    wanted: bool,
}

/// Where what drives an engine lies while nobody does.
#[derive(Default)]
pub(in crate::consumer) struct Baton {
    place: Mutex<Place>,
}

impl Baton {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it where others find it; says whether the engine's thread is waiting for it.
    pub(super) fn put(&self, runner: Box<Runner>) -> bool {
        let mut place = self.lock();
        place.runner = Some(runner);
        std::mem::take(&mut place.wanted)
    }

    /// Takes it for good.
    pub(super) fn remove(&self) -> Option<Box<Runner>> {
        self.lock().runner.take()
    }

    fn take<'a>(&'a self, events: &'a Events) -> Option<Turn<'a>> {
        let runner = self.lock().runner.take();
        runner.map(|runner| Turn { baton: self, events, runner: Some(runner) })
    }

    /// Waits until nobody else drives. For the engine's thread only.
    pub(super) fn wait<'a>(&'a self, events: &'a Events, bell: &Bell) -> Turn<'a> {
        loop {
            let mut place = self.lock();
            if let Some(runner) = place.runner.take() {
                return Turn { baton: self, events, runner: Some(runner) };
            }
            place.wanted = true;
            drop(place);
            // Whoever puts it back rings. The bell is there as long as `events` is.
            let _ = bell.recv();
        }
    }

    /// Drives the engine here and now, unless somebody does already. It does not wait.
    pub(super) fn drive(&self, events: &Events) {
        for _ in 0..ROUNDS {
            let Some(mut turn) = self.take(events) else { return };
            let thread_is_late = turn.runner().is_some_and(|runner| runner.run_beside(Instant::now()));
            drop(turn);
            if thread_is_late {
                events.ring();
            }
            if events.is_empty() {
                return;
            }
        }
        events.ring();
    }
}

/// The right to drive, until it is dropped, also by a panic: then the engine's thread finds what there is to be closed.
pub(super) struct Turn<'a> {
    baton: &'a Baton,
    events: &'a Events,
    runner: Option<Box<Runner>>,
}

impl Turn<'_> {
    /// What drives; it is there as long as it is not kept.
    pub(super) fn runner(&mut self) -> Option<&mut Runner> {
        self.runner.as_deref_mut()
    }

    /// Keeps what drives.
    pub(super) fn keep(mut self) -> Option<Box<Runner>> {
        self.runner.take()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(mut runner) = self.runner.take() else { return };
        let broken = std::thread::panicking();
        if broken {
            // What it knows may be wrong; the engine's thread ends it.
            runner.closed = true;
        }
        if self.baton.put(runner) || broken {
            self.events.ring();
        }
    }
}
