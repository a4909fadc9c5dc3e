//! What a producer has done so far: counts of its messages by outcome, how long sends took, and how its brokers are.

mod counters;
mod display;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub(super) use counters::Counters;

use super::Producer;
use super::shared::Shared;
use crate::client::{Latency, TraceStats};

impl Producer {
    /// Returns what this producer has done since it was started: counts by outcome, latencies, the state of its brokers.
    ///
    /// A snapshot: numbers only grow, but for what is in flight and the brokers. They are read one after another while
    /// others send, so they may differ by the sends that end meanwhile. It does not block and asks no server; it copies a
    /// few kilobytes, so once a second is fine and once a send is not. After [`close`](Producer::close) it goes on
    /// answering, with final numbers.
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, Message, embedded::Cluster};
    /// # let cluster = Cluster::start()?;
    /// # let client = Client::connect(cluster.name_server())?;
    /// let producer = client.producer("orders").start()?;
    /// producer.send(Message::new("OrderTopic", "hello"))?;
    /// let stats = producer.stats();
    /// assert_eq!((stats.stored.ok, stats.unknown), (1, 0));
    /// println!("{stats}");
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn stats(&self) -> ProducerStats {
        let shared = &self.shared;
        let (in_flight, in_flight_bytes) = shared.window.occupancy();
        ProducerStats { in_flight, in_flight_bytes, brokers: brokers(shared), ..shared.stats.snapshot() }
    }
}

/// The brokers of the topics that were sent to, and all that are avoided.
fn brokers(shared: &Shared) -> Vec<BrokerStats> {
    let topics: Vec<Arc<str>> = shared.rounds.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
    let routes = topics.iter().filter_map(|topic| shared.core.routes().peek(topic));
    let mut brokers = BTreeMap::new();
    for queue in routes.flat_map(|route| route.publish_queues().to_vec()) {
        let name = queue.shared_broker_name();
        let well = || BrokerStats { name: name.clone(), state: BrokerState::Available, failures: 0 };
        brokers.entry(name.clone()).or_insert_with(well);
    }
    let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
    brokers.extend(faults.states(Instant::now()).map(|broker| (broker.name.clone(), broker)));
    brokers.into_values().collect()
}

/// What a producer has done since it was started, from [`Producer::stats`]. It prints on a few lines.
///
/// Every message that was given to a verb (`send`, `send_async`, `submit`, `send_oneway`, …) is counted once, when its
/// send ends, in exactly one of [`stored`](ProducerStats::stored), [`rejected`](ProducerStats::rejected),
/// [`not_sent`](ProducerStats::not_sent), [`unknown`](ProducerStats::unknown) and
/// [`oneway`](ProducerStats::oneway). A batch counts with all its messages.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Messages that a broker said it has stored, by how durably.
    pub stored: Stored,
    /// Messages that a broker refused ([`Outcome::Rejected`](crate::Outcome::Rejected)).
    pub rejected: u64,
    /// Messages of which no byte left, or that were refused locally ([`Outcome::NotSent`](crate::Outcome::NotSent)).
    pub not_sent: u64,
    /// Messages that may have been stored ([`Outcome::Unknown`](crate::Outcome::Unknown)).
    pub unknown: u64,
    /// Messages sent oneway and handed over; what became of them nobody knows.
    pub oneway: u64,
    /// Bytes of the bodies of stored and of oneway messages as they were sent: compressed, if they were. A message counts
    /// once, however many attempts it took.
    pub body_bytes: u64,
    /// Attempts after the first one, over all sends.
    pub retries: u64,
    /// Attempts that had used up their share of the time when another one was begun beside them.
    pub overdue_attempts: u64,
    /// Sends that ended well by the answer to such an earlier attempt.
    pub late_successes: u64,
    /// Stored messages of which an earlier attempt may have been stored too
    /// ([`SendResult::may_be_duplicated`](crate::SendResult::may_be_duplicated)).
    pub may_be_duplicated: u64,
    /// Attempts after which their broker was avoided, see [`brokers`](ProducerStats::brokers).
    pub broker_failures: u64,
    /// Asynchronous sends (batches count once) under way now.
    pub in_flight: usize,
    /// Bytes of their bodies.
    pub in_flight_bytes: usize,
    /// How long successful sends took, from the call to the answer: checks, route, connecting, waiting for a place in the
    /// window, and all attempts included; waiting for a callback thread not. A batch is one send; oneway sends are none.
    pub latency: Latency,
    /// The brokers of the topics this producer has sent to without naming a queue, and those it avoids, by name.
    pub brokers: Vec<BrokerStats>,
    /// Automatic batching.
    pub batching: BatchingStats,
    /// Transactions.
    pub transactions: TransactionStats,
    /// Requests that wait for a reply.
    pub requests: RequestStats,
    /// Message trace.
    pub trace: TraceStats,
}

impl ProducerStats {
    /// Returns how many messages' sends have ended, whatever their outcome.
    pub fn messages(&self) -> u64 {
        self.stored.total() + self.rejected + self.not_sent + self.unknown + self.oneway
    }
}

/// Stored messages by [`SendStatus`](crate::SendStatus).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// As durably as the broker is configured to.
    pub ok: u64,
    /// Not yet on disk when the broker's time for that was over.
    pub flush_disk_timeout: u64,
    /// Not yet on a slave when the broker's time for that was over.
    pub flush_slave_timeout: u64,
    /// There was no slave to copy it to.
    pub slave_not_available: u64,
}

impl Stored {
    /// Returns how many there are in all.
    pub fn total(&self) -> u64 {
        self.ok + self.flush_disk_timeout + self.flush_slave_timeout + self.slave_not_available
    }
}

/// What a producer thinks of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// The broker's name.
    pub name: Arc<str>,
    /// Whether it is sent to.
    pub state: BrokerState,
    /// Failures in a row; the pause doubles with each. An answer sets it back to 0.
    pub failures: u32,
}

/// Whether a producer sends to a broker. When all are avoided it sends to the one that failed longest ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerState {
    /// It is sent to.
    Available,
    /// It failed, or was slow, and is avoided for this time from the snapshot on.
    Avoided(Duration),
    /// It failed and its pause is over: the next send has it probed.
    ProbeDue,
    /// It failed and is being asked whether it is back.
    Probing,
}

/// Automatic batching; all zero where it is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchingStats {
    /// Batches that were sent.
    pub batches: u64,
    /// Messages in them.
    pub messages: u64,
}

/// What became of a transaction producer's transactions; all zero for other producers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionStats {
    /// Half messages stored.
    pub begun: u64,
    /// Transactions that were committed by their sender.
    pub committed: u64,
    /// Transactions that were rolled back by their sender.
    pub rolled_back: u64,
    /// Transactions that were left open by their sender, for the broker to ask about.
    pub unknown: u64,
    /// Ends that could not be sent; the broker will ask.
    pub ends_failed: u64,
    /// Questions of brokers that were answered, with whatever resolution.
    pub checks_answered: u64,
    /// Questions of brokers that were dropped because too many waited; the broker will ask again.
    pub checks_dropped: u64,
}

/// What became of requests that wait for a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestStats {
    /// Requests that got their reply.
    pub replied: u64,
    /// Requests whose reply did not come in time.
    pub timed_out: u64,
}
