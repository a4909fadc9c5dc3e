//! Where consumption is counted: by whoever pulls, listens or hands back, without waiting for each other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use super::rates::{Looks, Recent, Sums};
use super::{ConsumerStats, ThreadStats, TopicConsumption};
use crate::client::{Histogram, TraceCounters};
use crate::message::MessageQueue;
use crate::remoting::Counter;
use crate::sorted::SortedMap;

/// All counts of one consumer.
#[derive(Debug)]
pub(in crate::consumer) struct Counters {
    pub(in crate::consumer) started: SystemTime,
    topics: RwLock<SortedMap<Arc<str>, Arc<Topic>>>,
    pulls: Histogram,
    calls: Histogram,
    /// The end of each queue, as the last pull told it.
    ends: Mutex<HashMap<MessageQueue, i64>>,
    pub(in crate::consumer) pulled_bytes: Counter,
    pub(in crate::consumer) panics: Counter,
    pub(in crate::consumer) filtered: Counter,
    pub(in crate::consumer) handed_back: Counter,
    pub(in crate::consumer) hand_back_failures: Counter,
    pub(in crate::consumer) dead_letters: Counter,
    pub(in crate::consumer) dropped_pulls: Counter,
    pub(in crate::consumer) moves: Counter,
    pub(in crate::consumer) direct: Counter,
    threads: AtomicUsize,
    grown: Counter,
    shrunk: Counter,
    /// Set where consumption is traced.
    pub(in crate::consumer) trace: OnceLock<Arc<TraceCounters>>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            started: SystemTime::now(),
            topics: RwLock::default(),
            pulls: Histogram::default(),
            calls: Histogram::default(),
            ends: Mutex::default(),
            pulled_bytes: Counter::default(),
            panics: Counter::default(),
            filtered: Counter::default(),
            handed_back: Counter::default(),
            hand_back_failures: Counter::default(),
            dead_letters: Counter::default(),
            dropped_pulls: Counter::default(),
            moves: Counter::default(),
            direct: Counter::default(),
            threads: AtomicUsize::new(0),
            grown: Counter::default(),
            shrunk: Counter::default(),
            trace: OnceLock::new(),
        }
    }
}

/// The counts of one topic.
#[derive(Debug)]
struct Topic {
    pulled: Counter,
    pulls: Counter,
    pull_micros: Counter,
    consumed: Counter,
    failed: Counter,
    calls: Counter,
    call_micros: Counter,
    looks: Mutex<Looks>,
}

impl Topic {
    fn new(now: Instant) -> Topic {
        Topic {
            pulled: Counter::default(),
            pulls: Counter::default(),
            pull_micros: Counter::default(),
            consumed: Counter::default(),
            failed: Counter::default(),
            calls: Counter::default(),
            call_micros: Counter::default(),
            looks: Mutex::new(Looks::new(now)),
        }
    }

    fn sums(&self) -> Sums {
        Sums {
            pulled: self.pulled.get(),
            pulls: self.pulls.get(),
            pull_micros: self.pull_micros.get(),
            consumed: self.consumed.get(),
            failed: self.failed.get(),
            calls: self.calls.get(),
            call_micros: self.call_micros.get(),
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, topic: &Arc<str>, now: Instant) -> TopicConsumption {
        let sums = self.sums();
        let recent = self.looks().recent(sums, now);
        TopicConsumption {
            topic: topic.clone(),
            pulled: sums.pulled,
            consumed: sums.consumed,
            failed: sums.failed,
            pulled_per_second: recent.per_second(recent.sums.pulled),
            consumed_per_second: recent.per_second(recent.sums.consumed),
            failed_per_second: recent.per_second(recent.sums.failed),
            pull_time: Recent::mean(recent.sums.pull_micros, recent.sums.pulls),
            listener_time: Recent::mean(recent.sums.call_micros, recent.sums.calls),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    fn topic(&self, name: &Arc<str>) -> Arc<Topic> {
        if let Some(topic) = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return topic.clone();
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.get_or_insert_with(name.clone(), || Arc::new(Topic::new(Instant::now()))).clone()
    }

    /// Counts a pull that was answered.
    pub(in crate::consumer) fn pulled(
        &self,
        queue: &MessageQueue,
        messages: usize,
        bytes: usize,
        end: i64,
        took: Duration,
    ) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.clone(), end);
        self.brought(queue.shared_topic(), messages, bytes, took);
    }

    /// Counts what a pull or a pop brought.
    pub(in crate::consumer) fn brought(&self, topic: &Arc<str>, messages: usize, bytes: usize, took: Duration) {
        if messages > 0 {
            // One that finds nothing says how long the broker held it, which is no news.
            self.pulls.record(took);
            self.pulled_bytes.add(bytes as u64);
            let topic = self.topic(topic);
            topic.pulled.add(messages as u64);
            topic.pulls.one();
            topic.pull_micros.add(micros(took));
        }
    }

    /// Counts a call of a listener.
    pub(in crate::consumer) fn called(&self, topic: &Arc<str>, consumed: usize, failed: usize, took: Duration) {
        self.calls.record(took);
        let topic = self.topic(topic);
        topic.consumed.add(consumed as u64);
        topic.failed.add(failed as u64);
        topic.calls.one();
        topic.call_micros.add(micros(took));
    }

    /// Notes how many listeners may run from now on.
    pub(in crate::consumer) fn threads(&self, count: usize) {
        let before = self.threads.swap(count, Ordering::Relaxed);
        if before > 0 {
            self.grown.add(u64::from(count > before));
            self.shrunk.add(u64::from(count < before));
        }
    }

    /// How many listeners may run.
    pub(in crate::consumer) fn allowed_threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// Looks at the counts, so that rates can be told later.
    pub(in crate::consumer) fn look(&self, now: Instant) {
        for topic in self.topics.read().unwrap_or_else(PoisonError::into_inner).values() {
            topic.looks().keep(topic.sums(), now);
        }
    }

    /// The end of a queue, as far as a pull has told it.
    pub(in crate::consumer) fn end(&self, queue: &MessageQueue) -> Option<i64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied()
    }

    /// What became of each topic's messages.
    pub(in crate::consumer) fn topics(&self, now: Instant) -> Vec<TopicConsumption> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(name, topic)| topic.describe(name, now)).collect()
    }

    /// Reads everything that is counted here; the queues are not.
    pub(in crate::consumer) fn snapshot(&self, now: Instant) -> ConsumerStats {
        let topics = self.topics(now);
        let sum = |count: fn(&TopicConsumption) -> u64| topics.iter().map(count).sum();
        ConsumerStats {
            pulled: sum(|topic| topic.pulled),
            pulled_bytes: self.pulled_bytes.get(),
            consumed: sum(|topic| topic.consumed),
            failed: sum(|topic| topic.failed),
            panics: self.panics.get(),
            filtered: self.filtered.get(),
            handed_back: self.handed_back.get(),
            hand_back_failures: self.hand_back_failures.get(),
            dead_letters: self.dead_letters.get(),
            dropped_pulls: self.dropped_pulls.get(),
            moves: self.moves.get(),
            direct: self.direct.get(),
            pulls: self.pulls.latency(),
            listeners: self.calls.latency(),
            threads: ThreadStats {
                allowed: self.threads.load(Ordering::Relaxed),
                grown: self.grown.get(),
                shrunk: self.shrunk.get(),
            },
            trace: self.trace.get().map(|trace| trace.snapshot()).unwrap_or_default(),
            topics,
            ..ConsumerStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_by_topic_and_in_all() {
        let counters = Counters::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let queue = MessageQueue::new(one.clone(), "b", 0);
        counters.pulled(&queue, 32, 3200, 100, Duration::from_millis(2));
        counters.pulled(&queue, 0, 0, 101, Duration::from_secs(15));
        counters.called(&one, 30, 2, Duration::from_millis(1));
        counters.called(&other, 5, 0, Duration::from_millis(3));
        let stats = counters.snapshot(Instant::now());
        assert_eq!((stats.pulled, stats.pulled_bytes, stats.consumed, stats.failed), (32, 3200, 35, 2));
        assert_eq!((stats.pulls.count, stats.listeners.count), (1, 2), "an empty pull tells only the end of its queue");
        assert!(stats.pulls.max < Duration::from_secs(1));
        assert_eq!(counters.end(&queue), Some(101));
        assert_eq!(
            stats.topics.iter().map(|topic| (&*topic.topic, topic.consumed)).collect::<Vec<_>>(),
            [("one", 30), ("other", 5)]
        );
        assert_eq!(stats.topics[0].consumed_per_second, 30.0);
    }

    #[test]
    fn changes_of_the_number_of_threads_are_counted_but_not_the_first() {
        let counters = Counters::default();
        [4, 6, 9, 8].into_iter().for_each(|count| counters.threads(count));
        let threads = counters.snapshot(Instant::now()).threads;
        assert_eq!((threads.allowed, threads.grown, threads.shrunk), (8, 2, 1));
    }
}
