//! How many listeners may run at once, between two bounds. Pure.

use std::time::{Duration, Instant};

use crate::consumer::Threads;

/// How often it is decided anew while there is something to decide.
const PERIOD: Duration = Duration::from_millis(500);
/// How long threads must have had nothing to do before there become fewer.
const IDLE: Duration = Duration::from_secs(10);

/// The number of threads, and what was seen of their load.
#[derive(Debug)]
pub(super) struct Pool {
    threads: Threads,
    now: usize,
    /// The most that ran at once since the last time there were enough of them, or became fewer.
    peak: usize,
    /// Since when `peak` is counted.
    since: Instant,
    /// Batches waited, while all threads were busy, the last time somebody looked.
    waiting: bool,
    look_at: Instant,
}

impl Pool {
    pub(super) fn new(threads: Threads, now: Instant) -> Pool {
        Pool { threads, now: threads.min(), peak: 0, since: now, waiting: false, look_at: now + PERIOD }
    }

    /// Whether it is worth asking if batches wait.
    pub(super) fn may_grow(&self) -> bool {
        self.now < self.threads.max()
    }

    /// Is told how many listeners run, and whether batches wait although all do; says how many threads there are to be, if
    /// that is another number.
    pub(super) fn look(&mut self, running: usize, waiting: bool, now: Instant) -> Option<usize> {
        self.peak = self.peak.max(running);
        if waiting && !self.waiting {
            // What begins to wait now is given a moment: a pull brings many at once, and they may be done as quickly.
            self.look_at = now + PERIOD;
        }
        self.waiting = waiting;
        if now < self.look_at {
            return None;
        }
        self.look_at = now + PERIOD;
        let wanted = self.decide(now);
        if wanted == self.now {
            return None;
        }
        (self.now, self.peak, self.since) = (wanted, running, now);
        Some(wanted)
    }

    fn decide(&mut self, now: Instant) -> usize {
        if self.waiting {
            return (self.now + (self.now / 2).max(1)).min(self.threads.max());
        }
        if now.saturating_duration_since(self.since) < IDLE {
            return self.now;
        }
        let idle = self.now.saturating_sub(self.peak);
        // Half of those that were not needed: the next burst finds some.
        let fewer = self.now - idle.div_ceil(2);
        (self.peak, self.since) = (0, now);
        fewer.max(self.threads.min())
    }

    /// When to look again, if nothing happens before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let more = self.waiting && self.may_grow();
        let fewer = self.now > self.threads.min();
        match (more, fewer) {
            (true, _) => Some(self.look_at),
            (false, true) => Some(self.look_at.max(self.since + IDLE)),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second and collects the changes with their times in tenths of a second.
    fn drive(
        pool: &mut Pool,
        start: Instant,
        tenths: std::ops::Range<u64>,
        running: usize,
        waiting: bool,
    ) -> Vec<(u64, usize)> {
        tenths
            .filter_map(|tenth| {
                let change = pool.look(running.min(pool.now), waiting, start + Duration::from_millis(tenth * 100));
                change.map(|count| (tenth, count))
            })
            .collect()
    }

    #[test]
    fn there_become_more_while_batches_wait_and_fewer_when_some_had_nothing_to_do_for_long() {
        let start = Instant::now();
        let mut pool = Pool::new((2..=9).into(), start);
        assert_eq!(pool.next_at(), None, "nothing to look for");
        assert_eq!(drive(&mut pool, start, 0..30, 99, true), [(5, 3), (10, 4), (15, 6), (20, 9)]);
        assert!(!pool.may_grow());
        // Four are needed from now on.
        let changes = drive(&mut pool, start, 30..600, 4, false);
        assert_eq!(changes.iter().map(|change| change.1).collect::<Vec<_>>(), [6, 5, 4], "{changes:?}");
        assert!(changes[0].0 >= 120 && changes[1].0 - changes[0].0 >= 100, "{changes:?}");
        let changes = drive(&mut pool, start, 600..1200, 0, false);
        assert_eq!(changes.last().map(|change| change.1), Some(2), "{changes:?}");
        assert_eq!(pool.next_at(), None);
    }

    #[test]
    fn what_waits_for_a_moment_only_changes_nothing() {
        let start = Instant::now();
        let mut pool = Pool::new((1..=8).into(), start);
        for tenth in 0..100 {
            let waiting = tenth % 4 < 3;
            assert_eq!(pool.look(1, waiting, start + Duration::from_millis(tenth * 100)), None, "{tenth}");
        }
    }

    #[test]
    fn a_fixed_number_stays() {
        let start = Instant::now();
        let mut pool = Pool::new(3.into(), start);
        assert_eq!(drive(&mut pool, start, 0..300, 9, true), []);
        assert_eq!(drive(&mut pool, start, 300..900, 0, false), []);
    }
}
