//! When the queues of a group are divided anew, and what changes by that. Pure.

use std::time::{Duration, Instant};

use crate::message::MessageQueue;
use crate::sorted::SortedSet;

/// Between two divisions of one group lies at least this, however often members come and go.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How soon a broker is asked again that has not heard of this member.
const FIRST_LOOK: Duration = Duration::from_millis(25);

/// The times at which a group is rebalanced.
#[derive(Debug)]
pub(crate) struct Rebalance {
    interval: Duration,
    last: Option<Instant>,
    next_at: Instant,
    /// How often in a row the broker did not know this member.
    unknown: u32,
}

impl Rebalance {
    pub(crate) fn new(interval: Duration, now: Instant) -> Rebalance {
        Rebalance { interval, last: None, next_at: now, unknown: 0 }
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

    /// No queue was there to be divided, so the first division need not wait.
    pub(crate) fn was_idle(&mut self) {
        self.last = None;
    }

    /// The broker does not know this member yet: its heartbeat is on its way, and nothing was divided. Asked again soon, and
    /// less often the longer it lasts.
    pub(crate) fn not_a_member(&mut self, now: Instant) {
        let wait = FIRST_LOOK.saturating_mul(1 << self.unknown.min(10)).min(AT_LEAST);
        self.unknown += 1;
        self.next_at = self.next_at.min(now + wait);
    }

    pub(crate) fn is_member(&mut self) {
        self.unknown = 0;
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
    let (has, wanted): (SortedSet<_>, SortedSet<_>) = (has.cloned().collect(), wanted.into_iter().collect());
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
    fn a_member_its_broker_has_not_heard_of_asks_again_soon_and_then_less_often() {
        let start = Instant::now();
        let mut rebalance = Rebalance::new(Duration::from_secs(20), start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(rebalance.is_due(now));
            rebalance.not_a_member(now);
            waits.push(rebalance.next_at().duration_since(now).as_millis());
            now = rebalance.next_at();
        }
        assert_eq!(waits, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        assert!(rebalance.is_due(now));
        rebalance.is_member();
        rebalance.not_a_member(now);
        assert_eq!(rebalance.next_at(), now + FIRST_LOOK);
    }

    #[test]
    fn only_differences_change_anything() {
        let queue = |id| MessageQueue::new("T", "b", id);
        let has = [queue(0), queue(1)];
        let change = change(has.iter(), [queue(1), queue(2)]);
        assert_eq!(change, Change { gained: vec![queue(2)], lost: vec![queue(0)] });
    }
}
