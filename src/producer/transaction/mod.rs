//! Transactional messages: a half message that consumers do not see, a local transaction, and its end; a broker that is
//! not told the end asks for it.

mod begun;
mod builder;
mod check;
mod checkers;
mod end;
mod resolution;
mod traced;

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use begun::Transaction;
pub use builder::TransactionProducerBuilder;
pub use resolution::{TransactionResolution, TransactionSendResult};

use self::checkers::Checkers;
use self::traced::Labels;
use super::{Producer, SendError};
use crate::client::{CloseReport, SendResult, SendStatus};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::remoting::Deadline;
use crate::thread;

/// Sends messages that become visible when a local transaction commits; made by
/// [`Client::transaction_producer`](crate::Client::transaction_producer).
///
/// The message is stored first, as a *half message* that no consumer sees; then the local transaction runs; then the broker
/// is told the end. A broker that is not told, because the process died or the request was lost, asks any producer of
/// the group, whose check answers. So a message is visible exactly when its local transaction committed, provided that the
/// check knows; it can be visible *twice*, when an end and the answer to a check cross each other.
///
/// Any number of threads may use it. It owns the threads its checks run on. Dropping it closes it.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{Client, Message, TransactionResolution};
/// # fn book(order: &str) -> Result<(), String> { Ok(()) }
/// # fn is_booked(order: Option<&str>) -> bool { true }
///
/// let client = Client::connect("127.0.0.1:9876")?;
/// let orders = client
///     .transaction_producer("orders")
///     .check(|half| match is_booked(half.keys().next()) {
///         true => TransactionResolution::Commit,
///         false => TransactionResolution::Unknown,
///     })
///     .start()?;
/// let transaction = orders.begin(Message::builder("OrderTopic", "hello").key("order-17"))?;
/// match book("order-17") {
///     Ok(()) => transaction.commit()?,
///     Err(_) => transaction.rollback()?,
/// };
/// orders.close()
/// # }
/// ```
pub struct TransactionProducer {
    producer: Producer,
    checkers: Arc<Checkers>,
    first_check_seconds: Option<u64>,
    /// Topics whose brokers get heartbeats for as long as they may ask.
    watched: Mutex<HashSet<Arc<str>>>,
}

impl TransactionProducer {
    fn new(producer: Producer, checkers: Arc<Checkers>, first_check_seconds: Option<u64>) -> TransactionProducer {
        TransactionProducer { producer, checkers, first_check_seconds, watched: Mutex::default() }
    }

    /// Begins a transaction: stores the message where no consumer sees it, and returns what to commit or roll back.
    ///
    /// Blocks as [`Producer::send`] does, with the same attempts. When an attempt's outcome was unknown there may be several
    /// half messages of the same transaction id ([`SendResult::may_be_duplicated`]): the others are checked.
    ///
    /// # Errors
    /// As [`Producer::send`], giving the message back; no transaction has begun then, though with [`Outcome::Unknown`] a
    /// half message may be stored, which is checked. [`Error::Invalid`] for a delayed message: a transactional one cannot
    /// be. [`Error::NotDurable`] when it was stored with a status other than `SEND_OK`: it has been rolled back.
    ///
    /// [`Outcome::Unknown`]: crate::Outcome::Unknown
    pub fn begin(&self, message: impl Into<Message>) -> Result<Transaction, SendError> {
        let message = message.into();
        let labels = Labels::of(&self.producer.shared, &message);
        match self.store_half(&message).and_then(|sent| self.durable(sent, &labels)) {
            Ok(sent) => Ok(Transaction::new(self.producer.shared.clone(), self.producer.client.clone(), sent, labels)),
            Err(error) => Err(SendError { error, message }),
        }
    }

    /// Sends a message in a transaction that is one closure (Java: `sendMessageInTransaction`): stores it where no consumer
    /// sees it, runs the local transaction, and tells the broker what that returned.
    ///
    /// `local` runs on the calling thread; a panic in it is contained and means [`TransactionResolution::Unknown`]. It is
    /// not run when the half message could not be stored, or was stored with a status other than `SEND_OK`, which is rolled
    /// back. Blocks as [`begin`](TransactionProducer::begin), the closure and [`Transaction::commit`] do.
    ///
    /// # Errors
    /// As [`begin`](TransactionProducer::begin), but for the status, which stands in the result. That the broker could not be told of the end is not an error but
    /// [`TransactionSendResult::end_error`]: the local transaction is over, and the check decides.
    pub fn send(
        &self,
        message: impl Into<Message>,
        local: impl FnOnce(&SendResult) -> TransactionResolution,
    ) -> Result<TransactionSendResult, SendError> {
        let message = message.into();
        let labels = Labels::of(&self.producer.shared, &message);
        let sent = self.store_half(&message).map_err(|error| SendError { error, message })?;
        let resolution = if sent.status() == SendStatus::Ok {
            self.run(local, &sent)
        } else {
            self.say_rolled_back(&sent);
            TransactionResolution::Rollback
        };
        let end_error = end::send(&self.producer.shared, &sent, &labels, resolution).err();
        Ok(TransactionSendResult { sent, resolution, end_error })
    }

    fn run(
        &self,
        local: impl FnOnce(&SendResult) -> TransactionResolution,
        sent: &SendResult,
    ) -> TransactionResolution {
        catch_unwind(AssertUnwindSafe(|| local(sent))).unwrap_or_else(|_| {
            let (group, id) = (self.group(), sent.message_id());
            log::error!("producer {group}: the local transaction {id} panicked, which leaves its end unknown");
            TransactionResolution::Unknown
        })
    }

    fn store_half(&self, message: &Message) -> Result<SendResult> {
        if message.is_delayed() {
            return Err(Error::invalid(
                "a transactional message cannot be delayed: brokers ignore or lose the delay (delay_level, \
                 deliver_after, deliver_at)",
            ));
        }
        self.watch(message.shared_topic());
        let shared = &self.producer.shared;
        // The broker looks for the group by this name when it asks.
        let group = shared.core.wire_name(&shared.settings.send.group);
        let half = message.half(&group, self.first_check_seconds);
        let sent = self.producer.prepare(half).send()?;
        shared.stats.transactions.begun.one();
        Ok(sent)
    }

    /// Lets a half message pass that was stored as it should be; rolls another one back.
    fn durable(&self, sent: SendResult, labels: &Labels) -> Result<SendResult> {
        if sent.status() == SendStatus::Ok {
            return Ok(sent);
        }
        self.say_rolled_back(&sent);
        // Should this fail, it has been logged, and the broker asks about a transaction that never was.
        let _ = end::send(&self.producer.shared, &sent, labels, TransactionResolution::Rollback);
        let broker_name = sent.queue().shared_broker_name();
        let route = self.producer.shared.core.routes().cached(sent.queue().topic());
        let addr = route.and_then(|route| route.master(broker_name).cloned()).unwrap_or_else(|| broker_name.clone());
        Err(Error::NotDurable { addr, status: sent.status().to_string().into() })
    }

    fn say_rolled_back(&self, sent: &SendResult) {
        log::warn!("producer {}: {sent}: not durable enough, so the transaction is rolled back", self.group());
    }

    /// Keeps the brokers of a topic in the routes while they may have half messages: they ask over connections that
    /// heartbeats keep.
    fn watch(&self, topic: &Arc<str>) {
        let new = self.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone());
        if new {
            self.producer.shared.core.routes().watch(topic);
        }
    }

    /// Returns the producer of the group for messages that are not transactional. Closing it also ends the checks.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Returns the group.
    pub fn group(&self) -> &str {
        self.producer.group()
    }

    /// Returns how many checks were dropped because [`check_queue`](TransactionProducerBuilder::check_queue) were waiting
    /// already. The brokers ask again.
    pub fn checks_dropped(&self) -> u64 {
        self.producer.stats().transactions.checks_dropped
    }

    /// Closes the producer: takes no more messages, drops the checks that wait, lets those that run finish within the
    /// producer's timeout, and tells the brokers that the group has left. Further calls do nothing.
    ///
    /// On one of the crate's own threads, as in a check, it only signals: what runs ends by itself.
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self) -> Result<()> {
        self.close_within(self.producer.shared.default_grace()).map(drop)
    }

    /// Closes the producer as [`close`](TransactionProducer::close) does, waiting at most `grace` for what runs.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        let deadline = Deadline::after(grace);
        let checks = self.checkers.stop(deadline.at(), !thread::is_own());
        let sends = self.producer.close_within(deadline.left(std::time::Instant::now()))?;
        let (finished, abandoned) = (sends.finished + checks.finished, sends.abandoned + checks.left);
        Ok(CloseReport::of_calls(finished, abandoned, sends.complete && checks.ended))
    }
}

impl Drop for TransactionProducer {
    fn drop(&mut self) {
        let _ = self.close();
        if thread::is_own() {
            // Nobody can wait here for threads of which this may be one.
            self.producer.shared.core.inherit(self.checkers.take_threads());
        }
    }
}

impl fmt::Debug for TransactionProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionProducer").field("group", &self.group()).finish_non_exhaustive()
    }
}
