//! Brokers' questions about the transactions of one producer group, until its threads get to them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::protocol::frame::Frame;
use crate::remoting::Counter;

/// Bodies of half messages come with the questions.
const MAX_BYTES: usize = 64 << 20;

/// A broker's question, and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) addr: Arc<str>,
    pub(crate) frame: Frame,
}

/// Tells the half messages apart: by broker and transaction.
type Key = Arc<str>;

/// A bounded queue that keeps one question for each half message.
///
/// A broker that asks again has stored the half message anew. To answer its first question as well could make the message
/// visible twice, so a newer question takes the place of an older one, whether that still waits or is being looked into.
pub(crate) struct CheckQueue {
    room: usize,
    state: Mutex<State>,
    work: Condvar,
    dropped: Arc<Counter>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Key>,
    /// The newest question for each that waits or is being looked into.
    newest: HashMap<Key, Asked>,
    bytes: usize,
    closed: bool,
}

impl CheckQueue {
    pub(crate) fn new(room: usize) -> CheckQueue {
        CheckQueue { room, state: Mutex::default(), work: Condvar::new(), dropped: Arc::default() }
    }

    /// Adds a question; never waits. One for which there is no room is dropped, and the number of those returned.
    pub(super) fn offer(&self, transaction: &str, asked: Asked) -> Result<(), u64> {
        let key: Key = format!("{} {transaction}", asked.addr).into();
        let size = asked.frame.body().len();
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        let known = state.newest.contains_key(&key);
        let full = state.waiting.len() >= self.room || (state.bytes > 0 && state.bytes + size > MAX_BYTES);
        if !known && full {
            drop(state);
            // Readers of several connections may count at once: then one number is told twice, or none.
            self.dropped.one();
            return Err(self.dropped.get());
        }
        let older = state.newest.insert(key.clone(), asked);
        state.bytes = state.bytes + size - older.as_ref().map_or(0, |older| older.frame.body().len());
        if !known {
            state.waiting.push_back(key);
        }
        drop(state);
        if !known {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Waits for a question, and says under which name it is to be [finished](CheckQueue::finish); `None` once closed.
    pub(crate) fn next(&self) -> Option<(Key, Asked)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(key) = state.waiting.pop_front() {
                let asked = state.newest.get(&key).cloned();
                match asked {
                    Some(asked) => return Some((key, asked)),
                    None => continue,
                }
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Forgets a question that was looked into; returns the newest one about the same half message.
    pub(crate) fn finish(&self, key: &Key) -> Option<Asked> {
        let mut state = self.lock();
        let newest = state.newest.remove(key)?;
        state.bytes -= newest.frame.body().len();
        Some(newest)
    }

    /// Drops what waits and takes no more. What is being looked into can still be finished.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        let dropped: Vec<_> = waiting.iter().filter_map(|key| state.newest.remove(key)).collect();
        state.bytes -= dropped.iter().map(|asked| asked.frame.body().len()).sum::<usize>();
        drop(state);
        self.work.notify_all();
    }

    /// How many found no room.
    pub(crate) fn dropped(&self) -> &Arc<Counter> {
        &self.dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CheckQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("CheckQueue").field("waiting", &state.waiting.len()).field("bytes", &state.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::RequestCode;
    use crate::protocol::fields::NoFields;
    use crate::protocol::frame::{self, Head, HeaderKind};

    /// Questions are told apart by their opaque number.
    fn asked(number: i32, size: usize) -> Asked {
        let mut out = Vec::new();
        let head = Head::request(HeaderKind::Json, RequestCode::CHECK_TRANSACTION_STATE, number);
        frame::encode_request(&mut out, &head, &NoFields, &vec![0; size]).unwrap();
        Asked { addr: "a:1".into(), frame: frame::decode_whole(&out).unwrap() }
    }

    fn next(queue: &CheckQueue) -> (Key, i32) {
        let (key, asked) = queue.next().unwrap();
        (key, asked.frame.opaque)
    }

    #[test]
    fn a_newer_question_takes_the_place_of_an_older_one_also_while_that_is_looked_into() {
        let queue = CheckQueue::new(10);
        for (transaction, number) in [("one", 1), ("two", 2), ("one", 3)] {
            queue.offer(transaction, asked(number, 10)).unwrap();
        }
        let (one, number) = next(&queue);
        assert_eq!(number, 3, "the first in the queue, with what was asked last");
        queue.offer("one", asked(4, 10)).unwrap();
        assert_eq!(queue.finish(&one).unwrap().frame.opaque, 4);
        let (two, number) = next(&queue);
        assert_eq!((number, queue.finish(&two).unwrap().frame.opaque), (2, 2));
        assert!(queue.finish(&two).is_none());
        let state = queue.lock();
        assert!(state.waiting.is_empty() && state.newest.is_empty() && state.bytes == 0);
    }

    #[test]
    fn one_too_many_is_dropped_and_counted_but_a_newer_one_always_has_room() {
        let queue = CheckQueue::new(2);
        assert_eq!(queue.offer("one", asked(1, 10)), Ok(()));
        assert_eq!(queue.offer("two", asked(2, MAX_BYTES / 8)), Ok(()));
        assert_eq!((queue.offer("three", asked(3, 10)), queue.offer("four", asked(4, 10))), (Err(1), Err(2)));
        assert_eq!(queue.offer("two", asked(5, 10)), Ok(()));
        let (key, _) = next(&queue);
        queue.finish(&key);
        assert_eq!(queue.offer("three", asked(6, 10)), Ok(()));
        assert_eq!(queue.dropped().get(), 2);
    }

    #[test]
    fn bytes_are_bounded_but_one_always_fits() {
        let queue = CheckQueue::new(1000);
        let large = 15 << 20;
        let taken = (0..10).filter(|number| queue.offer(&number.to_string(), asked(*number, large)).is_ok()).count();
        assert_eq!(taken, MAX_BYTES / large);
    }

    #[test]
    fn closing_drops_what_waits_and_wakes_who_waits() {
        let queue = Arc::new(CheckQueue::new(10));
        let waiter = queue.clone();
        let thread = std::thread::spawn(move || {
            let (key, _) = waiter.next().unwrap();
            (key, waiter.next().is_none())
        });
        queue.offer("one", asked(1, 10)).unwrap();
        while !queue.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        queue.close();
        queue.offer("two", asked(2, 10)).unwrap();
        let (key, ended) = thread.join().unwrap();
        assert!(ended && queue.finish(&key).is_some(), "what was looked into is still to be answered");
        assert_eq!(queue.lock().bytes, 0);
    }
}
