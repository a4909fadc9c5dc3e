//! Locks that are given back. A broker that could not be told is told again: until it knows, or the lock is too old, nobody
//! else gets the queue. Pure.

use std::time::{Duration, Instant};

use crate::message::MessageQueue;
use crate::sorted::SortedMap;

/// How long brokers keep a lock that nobody renews.
const LIFE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Unlocks(SortedMap<MessageQueue, Unlock>);

#[derive(Debug)]
struct Unlock {
    until: Instant,
    /// When it is to be repeated; none while its answer is awaited.
    again: Option<Instant>,
}

impl Unlocks {
    /// A broker is told now.
    pub(crate) fn told(&mut self, queue: &MessageQueue, now: Instant) {
        self.0.get_or_insert_with(queue.clone(), || Unlock { until: now + LIFE, again: None }).again = None;
    }

    /// Whether the broker knows.
    pub(crate) fn answered(&mut self, queue: &MessageQueue, done: bool, now: Instant) {
        let Some(unlock) = self.0.get_mut(queue) else { return };
        if done || now + RETRY >= unlock.until {
            self.0.remove(queue);
        } else {
            unlock.again = Some(now + RETRY);
        }
    }

    /// What is to be repeated now. A queue that has come back is forgotten: its lock is wanted again.
    pub(crate) fn due(&mut self, now: Instant, is_here: impl Fn(&MessageQueue) -> bool) -> Vec<MessageQueue> {
        self.0.retain(|queue, _| !is_here(queue));
        let is_due = |unlock: &Unlock| unlock.again.is_some_and(|again| again <= now);
        self.0.iter().filter(|(_, unlock)| is_due(unlock)).map(|(queue, _)| queue.clone()).collect()
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.0.values().filter_map(|unlock| unlock.again).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_was_not_reached_is_told_again_until_the_lock_is_too_old_or_wanted_again() {
        let (start, queue) = (Instant::now(), MessageQueue::new("T", "b", 0));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unlocks = Unlocks::default();
        unlocks.told(&queue, start);
        assert_eq!(unlocks.next_at(), None, "its answer is awaited");
        unlocks.answered(&queue, false, at(1));
        assert_eq!((unlocks.next_at(), unlocks.due(at(1), |_| false)), (Some(at(2)), vec![]));
        assert_eq!(unlocks.due(at(2), |_| false), std::slice::from_ref(&queue));
        unlocks.told(&queue, at(2));
        unlocks.answered(&queue, false, at(58));
        assert_eq!(unlocks.next_at(), Some(at(59)));
        unlocks.told(&queue, at(59));
        unlocks.answered(&queue, false, at(59));
        assert_eq!(unlocks.next_at(), None, "the broker has forgotten it");
        unlocks.told(&queue, at(70));
        unlocks.answered(&queue, false, at(70));
        assert_eq!(unlocks.due(at(72), |_| true), []);
        assert_eq!(unlocks.next_at(), None, "it is here again");
        unlocks.told(&queue, at(80));
        unlocks.answered(&queue, true, at(80));
        assert_eq!(unlocks.next_at(), None);
    }
}
