//! The response-correlation map of one connection: which call each opaque belongs to.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::hold::Asker;
use super::slot::Slot;
use super::sync::{AtomicUsize, Mutex, MutexGuard};
use crate::error::Result;
use crate::protocol::frame::Frame;

/// Who waits for an answer.
pub(crate) enum Waiter {
    /// A blocked caller, which times itself.
    Slot(Arc<Slot>, u32),
    /// A closure that forwards; the scheduler ends it when its time is over.
    Callback(Box<dyn FnOnce(Result<Frame>) + Send>),
}

impl Waiter {
    pub(crate) fn complete(self, result: Result<Frame>) {
        match self {
            Waiter::Slot(slot, attempt) => slot.complete(attempt, result),
            Waiter::Callback(done) => done(result),
        }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiter::Slot(..) => "Slot",
            Waiter::Callback(..) => "Callback",
        })
    }
}

/// A call whose answer has not come.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) waiter: Waiter,
    pub(crate) started: Instant,
    pub(crate) until: Instant,
    /// When an answer can be expected at the latest from a server that works: at once, or when the hold ends.
    pub(crate) expected: Instant,
    /// A request the server may hold does not count as in flight.
    pub(crate) held: bool,
    /// Who may withdraw it.
    pub(crate) asker: Option<Asker>,
}

/// A call that could not be registered.
#[derive(Debug)]
pub(crate) enum Refused {
    Gone(Waiting),
    Full(Waiting),
}

/// Opaques are counted up, so their low bits spread by themselves.
#[derive(Debug, Default)]
pub(crate) struct OpaqueHasher(u64);

impl Hasher for OpaqueHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    /// The map takes its buckets from the low bits and its tags from the high ones: fill both.
    fn write_i32(&mut self, value: i32) {
        self.0 = u64::from(value as u32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// So many calls that were given up are remembered, to tell a late answer from one that nobody asked for.
const REMEMBERED: usize = 1024;

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<i32, Waiting, BuildHasherDefault<OpaqueHasher>>,
    /// Calls that were given up last, the oldest first.
    given_up: VecDeque<i32>,
}

impl Table {
    /// Takes out a call whose answer nobody waits for any more.
    fn give_up(&mut self, opaque: i32) -> Option<Waiting> {
        let waiting = self.calls.remove(&opaque)?;
        if self.given_up.len() == REMEMBERED {
            self.given_up.pop_front();
        }
        self.given_up.push_back(opaque);
        Some(waiting)
    }
}

/// The map itself. Once the connection is gone it takes no more, under the same lock that emptied it.
#[derive(Debug)]
pub(crate) struct Pending {
    table: Mutex<Option<Table>>,
    in_flight: AtomicUsize,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending { table: Mutex::new(Some(Table::default())), in_flight: AtomicUsize::new(0) }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Option<Table>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a call; gives it back when the connection is gone, or `most` calls wait already.
    pub(crate) fn insert(&self, opaque: i32, waiting: Waiting, most: usize) -> Result<(), Refused> {
        let mut guard = self.lock();
        let Some(table) = guard.as_mut() else { return Err(Refused::Gone(waiting)) };
        if table.calls.len() >= most {
            return Err(Refused::Full(waiting));
        }
        if !waiting.held {
            // Ordered with the flag that says whether somebody reads, see `reader`.
            self.in_flight.fetch_add(1, Ordering::SeqCst);
        }
        table.calls.insert(opaque, waiting);
        Ok(())
    }

    pub(crate) fn remove(&self, opaque: i32) -> Option<Waiting> {
        let mut guard = self.lock();
        let found = guard.as_mut()?.calls.remove(&opaque);
        self.forget(&found);
        found
    }

    /// Takes out a call whose answer may still come, but late.
    pub(crate) fn give_up(&self, opaque: i32) -> Option<Waiting> {
        let mut guard = self.lock();
        let found = guard.as_mut()?.give_up(opaque);
        self.forget(&found);
        found
    }

    /// As [`give_up`](Pending::give_up), for all calls of one asker.
    pub(crate) fn give_up_all(&self, asker: Asker) -> Vec<(i32, Waiting)> {
        let mut guard = self.lock();
        let Some(table) = guard.as_mut() else { return Vec::new() };
        let of = table.calls.iter().filter(|(_, waiting)| waiting.asker == Some(asker));
        let opaques: Vec<i32> = of.map(|(opaque, _)| *opaque).collect();
        let mut all = Vec::with_capacity(opaques.len());
        for opaque in opaques {
            let found = table.give_up(opaque);
            self.forget(&found);
            all.extend(found.map(|waiting| (opaque, waiting)));
        }
        all
    }

    /// Returns whether a call was given up not long ago, and forgets that.
    pub(crate) fn forgive(&self, opaque: i32) -> bool {
        let mut guard = self.lock();
        let Some(given_up) = guard.as_mut().map(|table| &mut table.given_up) else { return false };
        let found = given_up.iter().position(|other| *other == opaque);
        found.and_then(|at| given_up.remove(at)).is_some()
    }

    /// Takes the calls that `frames` answer out together; `None` stands for an answer nobody waits for.
    pub(crate) fn match_all(&self, frames: impl Iterator<Item = Frame>, into: &mut Vec<(Option<Waiting>, Frame)>) {
        let mut guard = self.lock();
        for frame in frames {
            let found = guard.as_mut().and_then(|table| table.calls.remove(&frame.opaque));
            self.forget(&found);
            into.push((found, frame));
        }
    }

    /// Called under the lock, as all that changes the count: closing sets it for good.
    fn forget(&self, found: &Option<Waiting>) {
        if found.as_ref().is_some_and(|waiting| !waiting.held) {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes out the calls that do not time themselves and whose time is over; says when the next one's is.
    pub(crate) fn expire(&self, now: Instant) -> (Vec<(i32, Waiting)>, Option<Instant>) {
        let mut guard = self.lock();
        let Some(table) = guard.as_mut() else { return (Vec::new(), None) };
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (opaque, waiting) in table.calls.iter().filter(|(_, waiting)| matches!(waiting.waiter, Waiter::Callback(_)))
        {
            if waiting.until <= now {
                due.push(*opaque);
            } else {
                next = Some(next.map_or(waiting.until, |next| next.min(waiting.until)));
            }
        }
        let expired: Vec<_> = due.into_iter().filter_map(|opaque| Some((opaque, table.give_up(opaque)?))).collect();
        let counted = expired.iter().filter(|(_, waiting)| !waiting.held).count();
        self.in_flight.fetch_sub(counted, Ordering::SeqCst);
        (expired, next)
    }

    /// Empties the map for good.
    pub(crate) fn close(&self) -> Vec<(i32, Waiting)> {
        let mut guard = self.lock();
        let table = guard.take().unwrap_or_default();
        self.in_flight.store(0, Ordering::SeqCst);
        drop(guard);
        table.calls.into_iter().collect()
    }

    /// Returns how many requests wait that are not held by the server.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Returns how many calls are registered, held ones included.
    pub(crate) fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, |table| table.calls.len())
    }

    /// Returns how many calls wait that the server is to answer at once, and how many it may hold.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let guard = self.lock();
        let Some(table) = guard.as_ref() else { return (0, 0) };
        let held = table.calls.values().filter(|waiting| waiting.held).count();
        (table.calls.len() - held, held)
    }

    /// Returns when the first answer was to be expected of those that have not come.
    pub(crate) fn earliest_expected(&self) -> Option<Instant> {
        self.lock().as_ref()?.calls.values().map(|waiting| waiting.expected).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(waiter: Waiter, now: Instant, held: bool) -> Waiting {
        Waiting { waiter, started: now, until: now, expected: now, held, asker: None }
    }

    fn register(pending: &Pending, opaque: i32) {
        let (waiter, now) = (Waiter::Callback(Box::new(|_| ())), Instant::now());
        pending.insert(opaque, waiting(waiter, now, opaque % 2 == 1), 2000).unwrap();
    }

    #[test]
    fn a_call_that_was_given_up_is_remembered_until_its_answer_or_a_thousand_others_come() {
        let (pending, count) = (Pending::default(), REMEMBERED as i32 + 2);
        (0..count).for_each(|opaque| register(&pending, opaque));
        assert_eq!(pending.counts(), (count as usize / 2, count as usize / 2));
        assert!(!pending.forgive(0), "it is not given up yet");
        assert!(pending.give_up(0).is_some() && pending.give_up(0).is_none());
        assert!(pending.forgive(0));
        assert!(!pending.forgive(0), "a second answer is not late");
        let (expired, next) = pending.expire(Instant::now());
        assert_eq!((expired.len(), next, pending.in_flight()), (REMEMBERED + 1, None, 0));
        let forgiven = (1..count).filter(|opaque| pending.forgive(*opaque)).count();
        assert_eq!(forgiven, REMEMBERED, "the oldest is forgotten");
        assert_eq!(pending.counts(), (0, 0));
    }

    #[test]
    fn a_full_map_takes_no_more_until_a_call_has_ended() {
        let (pending, now) = (Pending::default(), Instant::now());
        let call = || {
            let waiter = Waiter::Callback(Box::new(|_| ()));
            waiting(waiter, now, false)
        };
        assert!(pending.insert(1, call(), 1).is_ok());
        assert!(matches!(pending.insert(2, call(), 1), Err(Refused::Full(_))));
        assert_eq!((pending.in_flight(), pending.len()), (1, 1));
        pending.remove(1);
        assert!(pending.insert(2, call(), 1).is_ok());
        pending.close();
        assert!(matches!(pending.insert(3, call(), 1), Err(Refused::Gone(_))));
    }

    #[test]
    fn what_an_asker_withdraws_is_given_up_and_nothing_else() {
        let (pending, now) = (Pending::default(), Instant::now());
        let (one, other) = (Asker::new(), Asker::new());
        let askers = [Some(one), Some(other), None, Some(one)];
        for (opaque, asker) in (0..).zip(askers) {
            let call = Waiting { asker, ..waiting(Waiter::Callback(Box::new(|_| ())), now, true) };
            pending.insert(opaque, call, 10).unwrap();
        }
        let mut withdrawn: Vec<i32> = pending.give_up_all(one).iter().map(|(opaque, _)| *opaque).collect();
        withdrawn.sort_unstable();
        assert_eq!((withdrawn, pending.counts()), (vec![0, 3], (0, 2)));
        assert!(pending.forgive(0) && pending.forgive(3) && !pending.forgive(1), "their answers count as late");
        assert!(pending.give_up_all(one).is_empty());
    }

    #[test]
    fn a_closed_map_remembers_nothing() {
        let pending = Pending::default();
        register(&pending, 2);
        assert_eq!(pending.close().len(), 1);
        assert!(pending.give_up(2).is_none() && !pending.forgive(2));
        assert_eq!(pending.counts(), (0, 0));
    }
}
