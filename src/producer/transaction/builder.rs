use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::builder::ProducerBuilder;
use super::super::shared::Shared;
use super::TransactionProducer;
use super::check::{Check, Checker};
use super::checkers::Checkers;
use super::resolution::TransactionResolution;
use crate::client::{CheckQueue, Client, CloseReport};
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::remoting::Deadline;

const MAX_THREADS: usize = 256;
const MAX_QUEUE: usize = 1_000_000;
/// Brokers count it in milliseconds in 64 bits; a week is longer than any keeps a half message.
const LATEST_CHECK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Client {
    /// Prepares a transaction producer of a group (Java: `TransactionMQProducer`). Nothing is sent before
    /// [`start`](TransactionProducerBuilder::start). A group may be started once per client identity, and every producer
    /// of the group, in any process, must be a transaction producer with a check that knows of all its transactions.
    pub fn transaction_producer(&self, group: impl Into<Arc<str>>) -> TransactionProducerBuilder {
        TransactionProducerBuilder {
            producer: self.producer(group),
            check: None,
            check_threads: 1,
            check_queue: 2000,
            first_check_after: None,
        }
    }
}

/// The settings of a transaction producer; made by [`Client::transaction_producer`], finished by
/// [`start`](TransactionProducerBuilder::start).
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct TransactionProducerBuilder {
    producer: ProducerBuilder,
    check: Option<Check>,
    check_threads: usize,
    check_queue: usize,
    first_check_after: Option<Duration>,
}

impl TransactionProducerBuilder {
    /// Sets what answers a broker that asks how a transaction ended (Java: `checkLocalTransaction`). It must be given.
    ///
    /// It gets the half message, with its real topic, its keys and properties, and its body inflated, and looks up what became of the
    /// local transaction: [`MessageView::transaction_id`], a key or a property names it. It may be asked about any
    /// transaction of the group, also one that another process began, more than once, and while the local transaction
    /// still runs: then `Unknown` is the answer, and the broker asks again. A panic counts as `Unknown`.
    ///
    /// It runs on threads of the producer's own, named `mq-check …`, and may block there.
    pub fn check(mut self, check: impl Fn(&MessageView) -> TransactionResolution + Send + Sync + 'static) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// Sets what any producer can have: its timeout, retries, compression, hooks, topics. See [`ProducerBuilder`].
    ///
    /// A process that has to answer checks before it has sent anything should name its
    /// [`topics`](ProducerBuilder::topics): only the brokers of topics it knows can ask it.
    pub fn producer(mut self, settings: impl FnOnce(ProducerBuilder) -> ProducerBuilder) -> Self {
        self.producer = settings(self.producer);
        self
    }

    /// Sets on how many threads checks run, 1 to 256. 1 by default (Java: `checkThreadPoolMaxSize`).
    pub fn check_threads(mut self, count: usize) -> Self {
        self.check_threads = count;
        self
    }

    /// Sets how many checks may wait for a thread, 1 to 1 000 000. 2000 by default (Java: `checkRequestHoldMax`);
    /// together they may have 64 MiB. One too many is dropped and [counted](TransactionProducer::checks_dropped): the
    /// broker asks again.
    pub fn check_queue(mut self, length: usize) -> Self {
        self.check_queue = length;
        self
    }

    /// Sets how old a half message must be before the broker asks about it, in seconds rounded up, at most a week. By
    /// default the broker's own setting (`transactionTimeOut`, 6 s unless configured otherwise).
    ///
    /// After that time a broker refuses a commit or rollback that does not answer a check, without a way to say so: set it
    /// above what the local transaction can take (Java: `CHECK_IMMUNITY_TIME_IN_SECONDS`).
    pub fn first_check_after(mut self, age: Duration) -> Self {
        self.first_check_after = Some(age);
        self
    }

    /// Starts the producer: registers the group, tells the brokers once they are known, and starts the threads for checks.
    ///
    /// Does not block, except for the routes of [`topics`](ProducerBuilder::topics).
    ///
    /// # Errors
    /// [`Error::Invalid`] without a check and for a setting out of range, else as
    /// [`ProducerBuilder::start`], and [`Error::Thread`].
    pub fn start(self) -> Result<TransactionProducer> {
        let check = self.valid_check()?;
        let checks = Arc::new(CheckQueue::new(self.check_queue));
        let (dropped, checkers) = (checks.dropped().clone(), Arc::new(Checkers::new(checks.clone())));
        let closing = checkers.clone();
        let stop = move |shared: &Shared, deadline: Deadline| {
            let stopped = closing.stop(deadline.at(), true);
            if !stopped.ended {
                // The client gives its threads a little longer, and says so when that is not enough.
                shared.core.inherit(closing.take_threads());
            }
            CloseReport::of_calls(stopped.finished, stopped.left, stopped.ended)
        };
        let producer = self.producer.launch(Some(checks), stop)?;
        let _ = producer.shared.stats.transactions.checks_dropped.set(dropped);
        let checker = Checker { shared: producer.shared.clone(), check };
        // Rounded up: earlier than asked for is worse than later.
        let first_check_seconds = self.first_check_after.map(|age| age.as_secs() + u64::from(age.subsec_nanos() > 0));
        let started = checkers.start(self.check_threads, checker);
        // If that failed, dropping this ends those that did start.
        let producer = TransactionProducer::new(producer, checkers, first_check_seconds);
        started.map(|()| producer)
    }

    fn valid_check(&self) -> Result<Check> {
        let wrong = |what: &str| Error::invalid(format!("transaction producer {}: {what}", self.producer.group()));
        if !(1..=MAX_THREADS).contains(&self.check_threads) {
            return Err(wrong(&format!("check_threads is {}, 1 to {MAX_THREADS} are allowed", self.check_threads)));
        }
        if !(1..=MAX_QUEUE).contains(&self.check_queue) {
            return Err(wrong(&format!("check_queue is {}, 1 to {MAX_QUEUE} are allowed", self.check_queue)));
        }
        if self.first_check_after.is_some_and(|age| age.is_zero() || age > LATEST_CHECK) {
            return Err(wrong("first_check_after is zero or longer than a week"));
        }
        self.check.clone().ok_or_else(|| {
            wrong("it has no check: without one nobody can tell a broker how a transaction ended whose end was lost")
        })
    }
}

impl fmt::Debug for TransactionProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionProducerBuilder")
            .field("producer", &self.producer)
            .field("check_threads", &self.check_threads)
            .field("check_queue", &self.check_queue)
            .field("first_check_after", &self.first_check_after)
            .finish_non_exhaustive()
    }
}
