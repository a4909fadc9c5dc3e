//! What a consumer has done so far, and how it is.

mod counters;
mod display;
mod rates;

use std::sync::Arc;
use std::time::Duration;

pub(in crate::consumer) use self::counters::Counters;
use super::runner::ProcessQueue;
use crate::client::{Latency, TraceStats};
use crate::message::MessageQueue;

/// What a consumer has done since it was started, from [`PushConsumer::stats`](crate::PushConsumer::stats),
/// [`LitePullConsumer::stats`](crate::LitePullConsumer::stats) and [`SimpleConsumer::stats`](crate::SimpleConsumer::stats). It
/// prints on a few lines.
///
/// Counts only grow; rates are those of the last minute, and of the time since the start while that is shorter. What is said of
/// listeners here holds for the callers of the other two, as [`ConsumeHook`](crate::ConsumeHook) has it: a message is consumed
/// when the thread that got it asks a lite pull consumer for more or commits, and when a broker has taken its acknowledgement
/// from a simple consumer. A simple consumer has no queues, so it knows nothing of memory and lags.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Messages that were pulled, or received, and that the filter of their topic lets through.
    pub pulled: u64,
    /// Bytes of their bodies.
    pub pulled_bytes: u64,
    /// Messages that a listener has consumed.
    pub consumed: u64,
    /// Messages that a listener had and did not consume: it said so, or it panicked. Of a simple consumer: those made visible at
    /// once, and acknowledgements that failed.
    pub failed: u64,
    /// Calls of the listener that panicked.
    pub panics: u64,
    /// Messages that a [`FilterHook`](crate::FilterHook) dropped; they count as finished, and are in no other count but
    /// [`pulled`](ConsumerStats::pulled).
    pub filtered: u64,
    /// Messages that a broker took back for a later delivery.
    pub handed_back: u64,
    /// Times that no broker took a message back; it is kept and offered again.
    pub hand_back_failures: u64,
    /// Messages that a broker took as dead letters, as far as this client can tell.
    pub dead_letters: u64,
    /// Answers to pulls that came when nobody wanted them any more: their queue had gone to another member or elsewhere, or the
    /// consumer was closed. What was in them is not lost: it was never counted as consumed.
    pub dropped_pulls: u64,
    /// Times that a queue went on at another offset than it would have; see
    /// [`on_offset_reset`](crate::PushConsumerBuilder::on_offset_reset).
    pub moves: u64,
    /// Messages that the listener got because an operator asked for it.
    pub direct: u64,
    /// How long pulls took that found messages, the time that the broker held them included.
    pub pulls: Latency,
    /// How long calls of the listener took.
    pub listeners: Latency,
    /// The threads on which listeners run.
    pub threads: ThreadStats,
    /// Messages in memory, those that listeners have among them.
    pub cached: usize,
    /// Bytes of their bodies.
    pub cached_bytes: usize,
    /// Messages that listeners have. What callers of a lite pull consumer have is not in memory any more, in this sense.
    pub running: usize,
    /// For each queue that this member has, how many messages lie between the first unfinished one and the end of the queue;
    /// `None` while no pull has told its end. They are as old as the last pull.
    pub lags: Vec<(MessageQueue, Option<i64>)>,
    /// Each topic by itself.
    pub topics: Vec<TopicConsumption>,
    /// Message trace; all zero where it is off.
    pub trace: TraceStats,
}

impl ConsumerStats {
    pub(in crate::consumer) fn with_queues(self, queues: &[ProcessQueue]) -> ConsumerStats {
        let sum = |count: fn(&ProcessQueue) -> usize| queues.iter().map(count).sum();
        ConsumerStats {
            cached: sum(|queue| queue.cached),
            cached_bytes: sum(|queue| queue.cached_bytes),
            running: sum(|queue| queue.running),
            lags: queues.iter().map(|queue| (queue.queue.clone(), queue.lag)).collect(),
            ..self
        }
    }

    /// Returns how far this member's queues are behind in all, as far as that is known.
    pub fn lag(&self) -> i64 {
        self.lags.iter().filter_map(|(_, lag)| *lag).sum()
    }
}

/// The threads on which listeners run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadStats {
    /// How many listeners may run at once now.
    pub allowed: usize,
    /// How often there became more, because batches waited.
    pub grown: u64,
    /// How often there became fewer, because some had nothing to do.
    pub shrunk: u64,
}

/// What became of one topic's messages.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopicConsumption {
    /// The topic; retries count under their own, `%RETRY%` and the group.
    pub topic: Arc<str>,
    /// Messages that were pulled.
    pub pulled: u64,
    /// Messages that were consumed.
    pub consumed: u64,
    /// Messages that a listener did not consume.
    pub failed: u64,
    /// Messages pulled in a second.
    pub pulled_per_second: f64,
    /// Messages consumed in a second.
    pub consumed_per_second: f64,
    /// Messages that failed in a second.
    pub failed_per_second: f64,
    /// The mean time of a pull that found messages.
    pub pull_time: Duration,
    /// The mean time of a call of the listener.
    pub listener_time: Duration,
}
