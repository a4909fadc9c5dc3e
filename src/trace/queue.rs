//! The records that wait, and when they are sent. Pure: time comes as an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::record::Record;

/// Bounds the texts of all waiting records, in bytes.
const MAX_WEIGHT: usize = 4 << 20;
/// Trace messages that may be under way at once; what comes meanwhile waits in the queue.
const MAX_UNDER_WAY: usize = 64;
/// A full batch waits so long for others: under load one look sends many messages, and senders wake the scheduler rarely.
const LINGER: Duration = Duration::from_millis(5);
/// Lost records are told in the log at most so often.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Queue {
    batch: usize,
    interval: Duration,
    max_records: usize,
    waiting: VecDeque<(Instant, Record)>,
    weight: usize,
    under_way: usize,
    /// The looks at the queue that are arranged: one soon, because there is enough to send, and one for what is old.
    soon: bool,
    later: Option<Instant>,
    /// After a failure nothing is sent before.
    paused_until: Option<Instant>,
    /// Everything is to be sent now, and nothing more comes.
    closing: bool,
    told_drops: Option<Instant>,
    told_failures: Option<Instant>,
}

/// What became of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Pushed {
    /// It waits; if an instant is given, a look at the queue is to be made then.
    Waits(Option<Look>),
    /// There was no room. `tell`: it is time to say so in the log.
    Dropped { tell: bool },
    /// The queue is closed.
    Closed,
}

/// A look at the queue that is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Look {
    Soon(Instant),
    Later(Instant),
}

impl Queue {
    pub(super) fn new(batch: usize, interval: Duration, max_records: usize) -> Queue {
        Queue {
            batch,
            interval,
            max_records,
            waiting: VecDeque::new(),
            weight: 0,
            under_way: 0,
            soon: false,
            later: None,
            paused_until: None,
            closing: false,
            told_drops: None,
            told_failures: None,
        }
    }

    pub(super) fn push(&mut self, record: Record, now: Instant) -> Pushed {
        if self.closing {
            return Pushed::Closed;
        }
        let weight = record.weight();
        if self.waiting.len() >= self.max_records || self.weight + weight > MAX_WEIGHT {
            return Pushed::Dropped { tell: is_time(&mut self.told_drops, now) };
        }
        self.weight += weight;
        self.waiting.push_back((now, record));
        Pushed::Waits(if self.waiting.len() >= self.batch { self.look_soon(now) } else { self.look_later(now) })
    }

    /// A look that was arranged is made: returns records for one message after another, and the next look.
    pub(super) fn look(&mut self, look: Look, now: Instant) -> (Vec<Vec<Record>>, Option<Look>) {
        match look {
            Look::Soon(_) => self.soon = false,
            Look::Later(_) => self.later = None,
        }
        (self.take(now), self.look_later(now))
    }

    /// Everything is to be sent; returns the first of it.
    pub(super) fn close(&mut self, now: Instant) -> Vec<Vec<Record>> {
        self.closing = true;
        self.take(now)
    }

    fn take(&mut self, now: Instant) -> Vec<Vec<Record>> {
        let mut batches = Vec::new();
        if !self.closing && self.paused_until.is_some_and(|until| now < until) {
            return batches;
        }
        self.paused_until = None;
        // What is old takes what is younger with it.
        let all = self.closing || self.is_overdue(now);
        while self.under_way < MAX_UNDER_WAY && (self.waiting.len() >= self.batch || all && !self.waiting.is_empty()) {
            let count = self.batch.min(self.waiting.len());
            let batch: Vec<Record> = self.waiting.drain(..count).map(|(_, record)| record).collect();
            self.weight -= batch.iter().map(Record::weight).sum::<usize>();
            self.under_way += 1;
            batches.push(batch);
        }
        batches
    }

    /// A batch became `parcels` messages.
    pub(super) fn became(&mut self, parcels: usize) {
        self.under_way = self.under_way + parcels - 1;
    }

    /// A message ended. After a failure there is a pause, or when the queue is closing, the rest is given up: returns how
    /// many records that are.
    pub(super) fn ended(&mut self, succeeded: bool, now: Instant) -> (Option<Look>, usize) {
        self.under_way -= 1;
        if succeeded {
            let all = self.closing || self.is_overdue(now);
            let enough = self.waiting.len() >= self.batch || all && !self.waiting.is_empty();
            return (if enough { self.look_soon(now) } else { None }, 0);
        }
        self.paused_until = Some(now + self.interval);
        if self.closing {
            return (None, self.give_up());
        }
        (self.look_later(now), 0)
    }

    /// Forgets what waits; returns how many records that were.
    pub(super) fn give_up(&mut self) -> usize {
        self.weight = 0;
        std::mem::take(&mut self.waiting).len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    /// Whether it is time to tell of a failure in the log.
    pub(super) fn tells_failure(&mut self, now: Instant) -> bool {
        is_time(&mut self.told_failures, now)
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.waiting.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= self.interval)
    }

    fn look_soon(&mut self, now: Instant) -> Option<Look> {
        let paused = !self.closing && self.paused_until.is_some_and(|until| now < until);
        if self.soon || paused || self.under_way >= MAX_UNDER_WAY {
            // When the pause ends, or when a message does, there will be a look.
            return self.look_later(now);
        }
        self.soon = true;
        Some(Look::Soon(if self.closing { now } else { now + LINGER }))
    }

    /// Arranges the look for the oldest record, unless one is arranged: that one arranges the next.
    fn look_later(&mut self, now: Instant) -> Option<Look> {
        let (since, _) = self.waiting.front()?;
        if self.later.is_some() {
            return None;
        }
        let due = *since + self.interval;
        let due = self.paused_until.map_or(due, |until| until.max(due));
        // What is overdue waits for a message to end, which makes a look; this one is only for safety.
        let at = if due > now { due } else { now + self.interval };
        self.later = Some(at);
        Some(Look::Later(at))
    }
}

fn is_time(told: &mut Option<Instant>, now: Instant) -> bool {
    if told.is_some_and(|told| now.saturating_duration_since(told) < QUIET) {
        return false;
    }
    *told = Some(now);
    true
}

#[cfg(test)]
mod tests {
    use super::super::record::Event;
    use super::*;

    const BATCH: usize = 3;
    const INTERVAL: Duration = Duration::from_millis(1000);

    /// A queue and the looks that are arranged, in virtual time.
    struct Clock {
        queue: Queue,
        start: Instant,
        looks: Vec<Look>,
    }

    fn record(weight: usize) -> Record {
        Record {
            timestamp: 0,
            region: "".into(),
            group: "".into(),
            topic: "".into(),
            message_id: "".into(),
            keys: "k".repeat(weight),
            event: Event::Recall { success: true },
        }
    }

    impl Clock {
        fn new(max_records: usize) -> Clock {
            Clock { queue: Queue::new(BATCH, INTERVAL, max_records), start: Instant::now(), looks: Vec::new() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn push(&mut self, millis: u64) -> Pushed {
            let pushed = self.queue.push(record(1), self.at(millis));
            if let Pushed::Waits(look) = pushed {
                self.looks.extend(look);
            }
            pushed
        }

        fn fill(&mut self, count: usize, millis: u64) {
            for _ in 0..count {
                assert!(matches!(self.push(millis), Pushed::Waits(_)));
            }
        }

        /// Makes every look that is due until then; returns the sizes of the batches and when they were sent.
        fn run(&mut self, until: u64) -> Vec<(u64, usize)> {
            let mut sent = Vec::new();
            loop {
                let time = |look: &Look| match *look {
                    Look::Soon(at) | Look::Later(at) => at,
                };
                self.looks.sort_by_key(time);
                let Some(look) = self.looks.first().copied().filter(|look| time(look) <= self.at(until)) else {
                    return sent;
                };
                self.looks.remove(0);
                let (batches, next) = self.queue.look(look, time(&look));
                self.looks.extend(next);
                let millis = (time(&look) - self.start).as_millis() as u64;
                sent.extend(batches.iter().map(|batch| (millis, batch.len())));
            }
        }

        fn ended(&mut self, succeeded: bool, millis: u64) -> usize {
            let (look, given_up) = self.queue.ended(succeeded, self.at(millis));
            self.looks.extend(look);
            given_up
        }
    }

    #[test]
    fn a_full_batch_is_sent_at_once_and_the_rest_after_the_interval() {
        let mut clock = Clock::new(100);
        clock.fill(7, 100);
        assert_eq!(clock.run(200), [(105, 3), (105, 3)]);
        assert_eq!(clock.run(1099), []);
        assert_eq!(clock.run(1100), [(1100, 1)]);
        assert_eq!(clock.run(10_000), []);
    }

    #[test]
    fn a_record_waits_for_the_interval_and_takes_younger_ones_with_it() {
        let mut clock = Clock::new(100);
        clock.push(0);
        clock.push(900);
        assert_eq!(clock.run(5_000), [(1000, 2)]);
        clock.push(6_000);
        assert_eq!(clock.run(9_000), [(7_000, 1)]);
    }

    #[test]
    fn no_more_than_two_looks_are_ever_arranged() {
        let mut clock = Clock::new(100);
        for millis in 0..3_000 {
            clock.push(millis);
            assert!(clock.looks.len() <= 2, "{:?}", clock.looks);
            let sent = clock.run(millis).len();
            (0..sent).for_each(|_| _ = clock.ended(true, millis));
        }
    }

    #[test]
    fn a_full_queue_drops_what_comes_and_tells_once_a_minute() {
        let mut clock = Clock::new(2);
        clock.push(0);
        clock.push(0);
        assert_eq!(clock.push(1), Pushed::Dropped { tell: true });
        assert_eq!(clock.push(59_000), Pushed::Dropped { tell: false });
        assert_eq!(clock.push(60_001), Pushed::Dropped { tell: true });
    }

    #[test]
    fn long_texts_count_by_their_bytes() {
        let mut queue = Queue::new(10, INTERVAL, 2048);
        let now = Instant::now();
        let kept = (0..2048).filter(|_| matches!(queue.push(record(32_000), now), Pushed::Waits(_))).count();
        assert_eq!(kept, MAX_WEIGHT / 32_000);
    }

    #[test]
    fn with_all_places_taken_records_wait_for_a_message_to_end() {
        let mut clock = Clock::new(2048);
        clock.fill(BATCH * (MAX_UNDER_WAY + 2), 0);
        assert_eq!(clock.run(10).len(), MAX_UNDER_WAY);
        assert_eq!(clock.run(500), []);
        clock.ended(true, 500);
        assert_eq!(clock.run(600), [(505, 3)]);
        // Overdue records make no busy loop.
        assert_eq!(clock.run(100_000), []);
        clock.ended(true, 100_000);
        assert_eq!(clock.run(100_010), [(100_005, 3)]);
    }

    #[test]
    fn after_a_failure_nothing_is_sent_for_an_interval() {
        let mut clock = Clock::new(100);
        clock.fill(3, 0);
        assert_eq!(clock.run(10), [(5, 3)]);
        assert_eq!(clock.ended(false, 200), 0);
        clock.fill(6, 300);
        assert_eq!(clock.run(1299), []);
        assert_eq!(clock.run(1300), [(1300, 3), (1300, 3)], "the oldest record is of 300");
    }

    #[test]
    fn closing_sends_everything_at_once_and_takes_no_more() {
        let mut clock = Clock::new(2048);
        clock.fill(3, 0);
        clock.run(5);
        clock.ended(false, 10);
        clock.fill(BATCH * MAX_UNDER_WAY + 1, 20);
        let batches = clock.queue.close(clock.at(30));
        assert_eq!(batches.len(), MAX_UNDER_WAY, "a pause does not count any more");
        assert_eq!(clock.push(31), Pushed::Closed);
        assert!(!clock.queue.is_idle());
        clock.ended(true, 40);
        assert_eq!(clock.run(40), [(40, 1)]);
        (0..MAX_UNDER_WAY).for_each(|_| _ = clock.ended(true, 50));
        assert!(clock.queue.is_idle());
    }

    #[test]
    fn a_failure_while_closing_gives_the_rest_up() {
        let mut clock = Clock::new(2048);
        clock.fill(BATCH * (MAX_UNDER_WAY + 2), 0);
        clock.queue.close(clock.at(1));
        assert_eq!(clock.ended(false, 2), 2 * BATCH);
        assert!(!clock.queue.is_idle(), "others are under way");
    }
}
