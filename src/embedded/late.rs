//! Answers that a fault delays.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::link::Link;

/// The delayed answers of one server.
#[derive(Debug, Default)]
pub(super) struct LateAnswers {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    added: u64,
    answers: BinaryHeap<Reverse<Late>>,
}

#[derive(Debug)]
struct Late {
    due: Instant,
    /// Answers that are due at once leave in the order they were made.
    number: u64,
    link: Arc<Link>,
    bytes: Vec<u8>,
}

impl Late {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Late {
    fn eq(&self, other: &Late) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Late) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Late) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl LateAnswers {
    pub(super) fn add(&self, due: Instant, link: &Arc<Link>, bytes: Vec<u8>) {
        let mut queue = self.lock();
        queue.added += 1;
        let number = queue.added;
        queue.answers.push(Reverse(Late { due, number, link: link.clone(), bytes }));
    }

    /// Sends what is due and says when the next one will be.
    pub(super) fn send_due(&self, now: Instant) -> Option<Instant> {
        let mut due = Vec::new();
        let next = {
            let answers = &mut self.lock().answers;
            while answers.peek().is_some_and(|Reverse(first)| first.due <= now) {
                due.extend(answers.pop());
            }
            answers.peek().map(|Reverse(first)| first.due)
        };
        for Reverse(late) in due {
            late.link.push(&late.bytes);
        }
        next
    }

    pub(super) fn clear(&self) {
        self.lock().answers.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
