//! When the queues of a group are divided anew, and what changes by that. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::message::MessageQueue;

/// Between two divisions of one group lies at least this, however often members come and go.
const AT_LEAST: Duration = Duration::from_secs(1);

/// The times at which a group is rebalanced.
#[derive(Debug)]
pub(crate) struct Rebalance {
    interval: Duration,
    last: Option<Instant>,
    next_at: Instant,
}

impl Rebalance {
    pub(crate) fn new(interval: Duration, now: Instant) -> Rebalance {
        Rebalance { interval, last: None, next_at: now }
    }

    /// Something changed: do it soon.
    pub(crate) fn disturb(&mut self, now: Instant) {
        let soon = self.last.map_or(now, |last| (last + AT_LEAST).max(now));
        self.next_at = self.next_at.min(soon);
    }

    /// Something could not be found out, or a queue could not be taken: do it again in a second.
    pub(crate) fn unfinished(&mut self, now: Instant) {
        self.next_at = self.next_at.min(now + AT_LEAST);
    }

    /// Whether it is time; takes note that it is done.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next_at {
            return false;
        }
        self.last = Some(now);
        self.next_at = now + self.interval;
        true
    }

    pub(crate) fn next_at(&self) -> Instant {
        self.next_at
    }
}

/// What a division changes for this member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) gained: Vec<MessageQueue>,
    pub(crate) lost: Vec<MessageQueue>,
}

/// Compares the queues of one topic that this member has with those it is to have.
pub(crate) fn change<'a>(
    has: impl Iterator<Item = &'a MessageQueue>,
    wanted: impl IntoIterator<Item = MessageQueue>,
) -> Change {
    let (has, wanted): (BTreeSet<_>, BTreeSet<_>) = (has.cloned().collect(), wanted.into_iter().collect());
    let gained = wanted.difference(&has).cloned().collect();
    Change { gained, lost: has.difference(&wanted).cloned().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_rebalanced_at_its_interval_and_soon_after_a_change_but_once_a_second_at_most() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rebalance = Rebalance::new(Duration::from_secs(20), start);
        assert!(rebalance.is_due(start) && !rebalance.is_due(at(500)));
        for _ in 0..100 {
            rebalance.disturb(at(300));
        }
        assert_eq!(rebalance.next_at(), at(1000));
        assert!(!rebalance.is_due(at(999)) && rebalance.is_due(at(1000)));
        assert!(!rebalance.is_due(at(20_999)) && rebalance.is_due(at(21_000)));
        rebalance.disturb(at(30_000));
        assert!(rebalance.is_due(at(30_000)));
        rebalance.unfinished(at(30_000));
        assert!(rebalance.is_due(at(31_000)));
    }

    #[test]
    fn only_differences_change_anything() {
        let queue = |id| MessageQueue::new("T", "b", id);
        let has = [queue(0), queue(1)];
        let change = change(has.iter(), [queue(1), queue(2)]);
        assert_eq!(change, Change { gained: vec![queue(2)], lost: vec![queue(0)] });
    }
}
