//! The messages of one queue that a group consumes in order: who was popped last, and whether the next may be.

use std::collections::HashMap;
use std::sync::Arc;

/// What was popped last of a queue, as Java's `OrderInfo` has it. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Order {
    attempt_id: Option<Arc<str>>,
    pop_time: i64,
    invisible: i64,
    /// Each with whether it was acknowledged.
    offsets: Vec<(i64, bool)>,
    /// Of messages whose time was changed.
    visible_at: HashMap<i64, i64>,
    /// How often messages were popped before; new ones are not in it.
    counts: HashMap<i64, i32>,
}

/// What an acknowledgement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acked {
    /// The group goes on there.
    Next(i64),
    /// It is of another pop, or of no message of this one.
    Not,
}

impl Order {
    /// A pop after `before`: what comes again is counted, unless it is the same attempt made again.
    pub(super) fn new(
        before: Option<&Order>,
        attempt_id: Option<Arc<str>>,
        pop_time: i64,
        invisible: i64,
        offsets: &[i64],
    ) -> Order {
        let counts = match before {
            None => HashMap::new(),
            Some(before) if before.attempt_id.is_some() && before.attempt_id == attempt_id => before.counts.clone(),
            Some(before) => {
                let again = offsets.iter().filter(|offset| before.offsets.iter().any(|(old, _)| old == *offset));
                again.map(|offset| (*offset, before.counts.get(offset).copied().unwrap_or(0) + 1)).collect()
            }
        };
        let offsets = offsets.iter().map(|offset| (*offset, false)).collect();
        Order { attempt_id, pop_time, invisible, offsets, visible_at: HashMap::new(), counts }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (i64, i32)> {
        self.counts.iter().map(|(offset, count)| (*offset, *count))
    }

    /// How often all were popped before, at least.
    pub(super) fn least(&self) -> i32 {
        if self.counts.len() < self.offsets.len() { 0 } else { self.counts.values().copied().min().unwrap_or(0) }
    }

    /// Until when the queue is blocked; `None` when it is not.
    pub(super) fn blocked_until(&self, attempt_id: Option<&str>, now: i64) -> Option<i64> {
        if self.attempt_id.is_some() && self.attempt_id.as_deref() == attempt_id {
            return None;
        }
        let waiting = self.offsets.iter().filter(|(_, acked)| !acked).map(|(offset, _)| self.visible(*offset));
        waiting.filter(|visible| now < *visible).min()
    }

    fn visible(&self, offset: i64) -> i64 {
        self.visible_at.get(&offset).copied().unwrap_or(self.pop_time.saturating_add(self.invisible))
    }

    pub(super) fn ack(&mut self, offset: i64, pop_time: i64) -> Acked {
        if pop_time != self.pop_time {
            return Acked::Not;
        }
        let Some((_, acked)) = self.offsets.iter_mut().find(|(known, _)| *known == offset) else { return Acked::Not };
        *acked = true;
        let first = self.offsets.iter().find(|(_, acked)| !acked);
        Acked::Next(first.or(self.offsets.last()).map_or(offset, |(at, acked)| at + i64::from(*acked)))
    }

    /// Sets when a message is visible again, if it is of this pop.
    pub(super) fn change(&mut self, offset: i64, pop_time: i64, visible_at: i64) {
        if pop_time == self.pop_time && self.offsets.iter().any(|(known, _)| *known == offset) {
            self.visible_at.insert(offset, visible_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_blocked_until_all_is_acknowledged_or_its_time_is_up() {
        let mut order = Order::new(None, Some("a".into()), 1000, 500, &[7, 8]);
        assert_eq!(order.blocked_until(Some("b"), 1100), Some(1500));
        assert_eq!(order.blocked_until(Some("a"), 1100), None, "the same attempt once more");
        assert_eq!(order.blocked_until(None, 1500), None);
        order.change(8, 1000, 3000);
        assert_eq!(order.ack(7, 1000), Acked::Next(8));
        assert_eq!(order.blocked_until(None, 1600), Some(3000));
        assert_eq!(order.ack(8, 999), Acked::Not, "of another pop");
        assert_eq!(order.ack(9, 1000), Acked::Not);
        assert_eq!(order.ack(8, 1000), Acked::Next(9));
        assert_eq!(order.blocked_until(None, 1100), None);
    }

    #[test]
    fn what_comes_again_is_counted() {
        let first = Order::new(None, None, 1000, 500, &[7, 8]);
        assert_eq!((first.counts().count(), first.least()), (0, 0));
        let second = Order::new(Some(&first), None, 2000, 500, &[8, 9]);
        assert_eq!((second.counts().collect::<Vec<_>>(), second.least()), (vec![(8, 1)], 0));
        let third = Order::new(Some(&second), Some("x".into()), 3000, 500, &[8]);
        assert_eq!((third.counts().collect::<Vec<_>>(), third.least()), (vec![(8, 2)], 2));
        let same = Order::new(Some(&third), Some("x".into()), 4000, 500, &[8]);
        assert_eq!(same.least(), 2, "the same attempt is not another one");
    }
}
