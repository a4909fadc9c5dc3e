//! Where sends are counted: one call at each end, a few relaxed additions, no lock and no allocation.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::{BatchingStats, ProducerStats, RequestStats, Stored, TransactionStats};
use crate::client::send::Prepared;
use crate::client::{Histogram, SendResult, SendStatus, TraceCounters};
use crate::error::{Error, Outcome, Result};
use crate::remoting::Counter;

/// What every send counts is kept several times, so that threads on different processors do not share cache lines.
const STRIPES: usize = 4;

/// All counts of one producer.
#[derive(Debug, Default)]
pub(in crate::producer) struct Counters {
    stripes: [Stripe; STRIPES],
    latency: Histogram,
    flush_disk_timeout: Counter,
    flush_slave_timeout: Counter,
    slave_not_available: Counter,
    rejected: Counter,
    not_sent: Counter,
    unknown: Counter,
    retries: Counter,
    overdue_attempts: Counter,
    late_successes: Counter,
    may_be_duplicated: Counter,
    broker_failures: Counter,
    pub(in crate::producer) batching: BatchingCounters,
    pub(in crate::producer) transactions: TransactionCounters,
    pub(in crate::producer) requests: RequestCounters,
    /// Shared with whatever sends the trace.
    pub(in crate::producer) trace: Arc<TraceCounters>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    ok: Counter,
    oneway: Counter,
    bytes: Counter,
}

impl Counters {
    fn stripe(&self) -> &Stripe {
        thread_local! {
            static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mine = MINE.get();
        if mine < STRIPES {
            return &self.stripes[mine];
        }
        let mine = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
        MINE.set(mine);
        &self.stripes[mine]
    }

    /// Counts the end of a send that was begun at `started` and handed over.
    pub(in crate::producer) fn ended(&self, prepared: &Prepared, started: Instant, result: &Result<SendResult>) {
        let messages = messages_of(prepared);
        match result {
            Ok(sent) => self.stored(messages, prepared.body.len(), started, sent),
            Err(error) => self.failed(messages, error),
        }
    }

    fn stored(&self, messages: u64, bytes: usize, started: Instant, sent: &SendResult) {
        let stripe = self.stripe();
        stripe.bytes.add(bytes as u64);
        match sent.status() {
            SendStatus::Ok => stripe.ok.add(messages),
            SendStatus::FlushDiskTimeout => self.flush_disk_timeout.add(messages),
            SendStatus::FlushSlaveTimeout => self.flush_slave_timeout.add(messages),
            SendStatus::SlaveNotAvailable => self.slave_not_available.add(messages),
        }
        self.latency.record(started.elapsed());
        if sent.may_be_duplicated() {
            self.may_be_duplicated.add(messages);
        }
    }

    /// Counts messages that were not stored, or perhaps.
    pub(in crate::producer) fn failed(&self, messages: u64, error: &Error) {
        match error.outcome() {
            Outcome::NotSent => self.not_sent.add(messages),
            Outcome::Rejected => self.rejected.add(messages),
            Outcome::Unknown => self.unknown.add(messages),
        }
    }

    /// Counts a oneway send that was handed over.
    pub(in crate::producer) fn handed_over(&self, prepared: &Prepared) {
        let stripe = self.stripe();
        stripe.oneway.add(messages_of(prepared));
        stripe.bytes.add(prepared.body.len() as u64);
    }

    /// Counts an attempt after the first one; `overdue` says that the one before it is still under way.
    pub(in crate::producer) fn retried(&self, overdue: bool) {
        self.retries.one();
        self.overdue_attempts.add(u64::from(overdue));
    }

    /// Counts a success of an attempt that is not the last one.
    pub(in crate::producer) fn late_success(&self) {
        self.late_successes.one();
    }

    /// Counts a failure for which a broker is avoided.
    pub(in crate::producer) fn broker_failed(&self) {
        self.broker_failures.one();
    }

    /// Reads everything that is counted here; what is in flight and the brokers are not.
    pub(in crate::producer) fn snapshot(&self) -> ProducerStats {
        let over = |count: fn(&Stripe) -> &Counter| self.stripes.iter().map(|stripe| count(stripe).get()).sum();
        ProducerStats {
            stored: Stored {
                ok: over(|stripe| &stripe.ok),
                flush_disk_timeout: self.flush_disk_timeout.get(),
                flush_slave_timeout: self.flush_slave_timeout.get(),
                slave_not_available: self.slave_not_available.get(),
            },
            rejected: self.rejected.get(),
            not_sent: self.not_sent.get(),
            unknown: self.unknown.get(),
            oneway: over(|stripe| &stripe.oneway),
            body_bytes: over(|stripe| &stripe.bytes),
            retries: self.retries.get(),
            overdue_attempts: self.overdue_attempts.get(),
            late_successes: self.late_successes.get(),
            may_be_duplicated: self.may_be_duplicated.get(),
            broker_failures: self.broker_failures.get(),
            in_flight: 0,
            in_flight_bytes: 0,
            latency: self.latency.latency(),
            brokers: Vec::new(),
            batching: self.batching.snapshot(),
            transactions: self.transactions.snapshot(),
            requests: self.requests.snapshot(),
            trace: self.trace.snapshot(),
        }
    }
}

/// How many messages a prepared send holds: a batch names the ids of all.
fn messages_of(prepared: &Prepared) -> u64 {
    if !prepared.batch {
        return 1;
    }
    1 + prepared.message_id.bytes().filter(|byte| *byte == b',').count() as u64
}

/// Counts of automatic batching.
#[derive(Debug, Default)]
pub(in crate::producer) struct BatchingCounters {
    batches: Counter,
    messages: Counter,
}

impl BatchingCounters {
    /// Counts a batch that was put together and sent.
    pub(in crate::producer) fn sent(&self, messages: usize) {
        self.batches.one();
        self.messages.add(messages as u64);
    }

    fn snapshot(&self) -> BatchingStats {
        BatchingStats { batches: self.batches.get(), messages: self.messages.get() }
    }
}

/// Counts of transactions, one for each field of [`TransactionStats`].
#[derive(Debug, Default)]
pub(in crate::producer) struct TransactionCounters {
    pub(in crate::producer) begun: Counter,
    pub(in crate::producer) committed: Counter,
    pub(in crate::producer) rolled_back: Counter,
    pub(in crate::producer) unknown: Counter,
    pub(in crate::producer) ends_failed: Counter,
    pub(in crate::producer) checks_answered: Counter,
    /// Counted by the queue that has no room for them.
    pub(in crate::producer) checks_dropped: OnceLock<Arc<Counter>>,
}

impl TransactionCounters {
    fn snapshot(&self) -> TransactionStats {
        TransactionStats {
            begun: self.begun.get(),
            committed: self.committed.get(),
            rolled_back: self.rolled_back.get(),
            unknown: self.unknown.get(),
            ends_failed: self.ends_failed.get(),
            checks_answered: self.checks_answered.get(),
            checks_dropped: self.checks_dropped.get().map_or(0, |dropped| dropped.get()),
        }
    }
}

/// Counts of requests that wait for a reply.
#[derive(Debug, Default)]
pub(in crate::producer) struct RequestCounters {
    pub(in crate::producer) replied: Counter,
    pub(in crate::producer) timed_out: Counter,
}

impl RequestCounters {
    fn snapshot(&self) -> RequestStats {
        RequestStats { replied: self.replied.get(), timed_out: self.timed_out.get() }
    }
}
