//! Sending: a blocking producer with synchronous, asynchronous and oneway sends.

mod accumulator;
mod background;
mod batch;
mod builder;
mod call;
mod given_queue;
mod latency;
mod pending;
mod prepare;
mod prepared_send;
mod recall;
mod request;
mod retry;
pub mod select;
mod sendable;
mod shared;
mod stats;
mod sync;
mod transaction;
mod window;

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use accumulator::AutoBatch;
pub use batch::split_batch;
pub use builder::ProducerBuilder;
pub use pending::{PendingError, PendingSend};
pub use prepared_send::PreparedSend;
pub use sendable::Sendable;
pub use stats::{BatchingStats, BrokerState, BrokerStats, ProducerStats, RequestStats, Stored, TransactionStats};
pub use transaction::{
    Transaction, TransactionProducer, TransactionProducerBuilder, TransactionResolution, TransactionSendResult,
};

use self::shared::Shared;
use crate::client::{Client, CloseReport, QueryResult, SendResult};
use crate::error::{Error, Result};
use crate::message::{Message, MessageQueue, MessageView};

/// A failed send: why, and the message (or the messages of a batch) given back.
///
/// `?` turns it into an [`Error`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct SendError<M = Message> {
    /// Why it failed; [`Error::outcome`] says whether the message may have been stored.
    #[source]
    pub error: Error,
    /// What was to be sent.
    pub message: M,
}

/// From 128 bytes on clippy warns whoever returns it (`result_large_err`).
const _: () = assert!(size_of::<SendError>() < 128);

impl<M> From<SendError<M>> for Error {
    fn from(failed: SendError<M>) -> Error {
        failed.error
    }
}

/// Sends messages; made by [`Client::producer`].
///
/// Any number of threads may send through one producer at the same time, and more threads send faster: their messages
/// share writes. It owns no threads. Dropping it closes it.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{Client, Message};
///
/// let client = Client::connect("127.0.0.1:9876")?;
/// let producer = client.producer("orders").start()?;
/// let sent = producer.send(Message::new("OrderTopic", "hello"))?;
/// println!("{sent}");
/// producer.close()
/// # }
/// ```
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    client: Client,
}

impl Producer {
    /// Sends a message and waits for the result.
    ///
    /// Blocks until the message is stored, or until the producer's timeout (3 s by default) for all attempts together,
    /// connecting and looking up the route included.
    ///
    /// # Errors
    /// [`SendError`] with the message and the reason; [`Error::outcome`] of the reason says whether the message was not
    /// sent, was rejected, or may have been stored.
    pub fn send(&self, message: impl Into<Message>) -> Result<SendResult, SendError> {
        self.prepare(message).send()
    }

    /// Sends several messages of one topic as one unit: stored in one queue, all or none.
    ///
    /// Blocks as [`send`](Producer::send) does. A batch is not compressed and takes no delayed messages; together the
    /// messages must stay below the message limit (4 MiB), see [`split_batch`].
    ///
    /// # Errors
    /// As [`send`](Producer::send), giving all messages back.
    pub fn send_batch(&self, messages: Vec<Message>) -> Result<SendResult, SendError<Vec<Message>>> {
        self.prepare_batch(messages).send()
    }

    /// Sends a message; `callback` gets the result on one of the client's callback threads, exactly once.
    ///
    /// Does not block on connecting or on an unknown route. It blocks while the window of asynchronous sends is full, until
    /// the timeout. What the message's own checks refuse, and a full window, is returned here and not called back.
    ///
    /// # Errors
    /// [`SendError`] with the message when it was not accepted; its callback is not called then.
    pub fn send_async(
        &self,
        message: impl Into<Message>,
        callback: impl FnOnce(Result<SendResult, SendError>) + Send + 'static,
    ) -> Result<(), SendError> {
        self.prepare(message).send_async(callback)
    }

    /// Sends a message without asking for a result. Fastest, and may lose messages: the broker does not answer.
    ///
    /// Blocks until the kernel took the message, at most until the timeout.
    ///
    /// # Errors
    /// Everything that is known locally: a refused message, an unknown route, no connection, a deadline.
    pub fn send_oneway(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.prepare(message).send_oneway()
    }

    /// Starts a send with options: a queue, a selector, a timeout, a number of retries.
    ///
    /// ```no_run
    /// # fn send(producer: &rocketmq_blocking::Producer, message: rocketmq_blocking::Message) -> rocketmq_blocking::Result<()> {
    /// use rocketmq_blocking::select;
    ///
    /// let sent = producer.prepare(message).select(select::same_queue("customer-17")).retries(5).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn prepare(&self, message: impl Into<Message>) -> PreparedSend<'_> {
        PreparedSend::new(&self.shared, message.into())
    }

    /// Starts a send of a batch with options. What holds for [`send_batch`](Producer::send_batch) holds here.
    pub fn prepare_batch(&self, messages: Vec<Message>) -> PreparedSend<'_, Vec<Message>> {
        PreparedSend::new(&self.shared, messages)
    }

    /// Returns the group.
    pub fn group(&self) -> &str {
        self.shared.group()
    }

    /// Returns the client this producer belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates a topic with as many read and write queues on each broker that has `key_topic` (`TBW102` is on every broker
    /// that creates topics by itself). See [`Client::create_topic`].
    ///
    /// # Errors
    /// As [`Client::create_topic`].
    pub fn create_topic(&self, key_topic: &str, name: &str, queues: i32) -> Result<()> {
        self.client.create_topic(key_topic, name, queues)
    }

    /// Asks for the queues of a topic to which messages can be sent (Java: `fetchPublishMessageQueues`).
    ///
    /// # Errors
    /// [`Error::NoRoute`] for an unknown topic; blocks for the client's request timeout at most, as the calls below do.
    pub fn fetch_queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.client.publish_queues(topic)
    }

    /// Asks for the smallest offset a queue still has.
    ///
    /// # Errors
    /// [`Error::NoBroker`] for a queue whose broker is unknown, and what the broker answers.
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.client.min_offset(queue)
    }

    /// Asks for the offset the next message of a queue will get.
    ///
    /// # Errors
    /// As [`min_offset`](Producer::min_offset).
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.client.max_offset(queue)
    }

    /// Asks for the first offset of a queue that was stored at or after a time.
    ///
    /// # Errors
    /// As [`min_offset`](Producer::min_offset).
    pub fn search_offset(&self, queue: &MessageQueue, time: SystemTime) -> Result<i64> {
        self.client.search_offset(queue, time)
    }

    /// Asks when the oldest message of a queue was stored.
    ///
    /// # Errors
    /// As [`min_offset`](Producer::min_offset).
    pub fn earliest_store_time(&self, queue: &MessageQueue) -> Result<Option<SystemTime>> {
        self.client.earliest_store_time(queue)
    }

    /// Looks a message up by its offset message id; `None` when nothing is stored there. See [`Client::view_message`].
    ///
    /// # Errors
    /// As [`Client::view_message`].
    pub fn view_message(&self, offset_message_id: &str) -> Result<Option<MessageView>> {
        self.client.view_message(offset_message_id)
    }

    /// Looks messages up by a key. See [`Client::query_messages`].
    ///
    /// # Errors
    /// As [`Client::query_messages`].
    pub fn query_messages(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        stored: impl RangeBounds<SystemTime>,
    ) -> Result<QueryResult> {
        self.client.query_messages(topic, key, max, stored)
    }

    /// Closes the producer: takes no more messages, waits for asynchronous sends that are under way (until their own
    /// deadlines), and tells the brokers that the group has left. Further calls do nothing.
    ///
    /// From a callback it only signals: what is under way ends by itself.
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self) -> Result<()> {
        self.close_within(self.shared.default_grace()).map(drop)
    }

    /// Closes the producer as [`close`](Producer::close) does, waiting at most `grace` for sends that are under way.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(self.shared.close(grace))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
