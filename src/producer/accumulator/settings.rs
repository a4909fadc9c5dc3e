use std::time::Duration;

use crate::error::{Error, Result};

/// The least and the most of [`AutoBatch::max_delay`].
const DELAYS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30);
/// The most of [`AutoBatch::max_bytes`]: half of what brokers take.
const MOST_BYTES: usize = 2 << 20;

/// How a producer gathers messages that are sent one by one into batches; see
/// [`ProducerBuilder::auto_batch`](crate::ProducerBuilder::auto_batch) (Java: `autoBatch`).
///
/// Messages with the same topic, the same tag and the same [`wait_store`](crate::Message::wait_store) that are sent at the
/// same time, by any number of threads and through [`send`](crate::Producer::send),
/// [`send_async`](crate::Producer::send_async) or [`submit`](crate::PreparedSend::submit), travel in one request. Each keeps
/// its own result, error, hooks and callback, as if it had been sent by itself.
///
/// **Nobody waits for nothing.** A message is gathered only while others of its kind are under way, and what was gathered
/// leaves as soon as it counts as many messages as are still under way. So a lone thread sends as fast as without batching,
/// and the busier the producer, the larger its batches. A batch leaves at the latest when it is full or its first message
/// has waited for [`max_delay`](AutoBatch::max_delay), and at once when the producer is closed.
///
/// **What is sent by itself**, as without batching: messages to a given or selected queue, delayed messages, messages of a
/// transaction, replies, messages to a retry topic, with a priority or any other property by which brokers treat single
/// messages, sends with a timeout, retries or an attempt timeout of their own, oneway sends, batches, and bodies that are
/// as large as a batch or large enough to be compressed.
///
/// **Failures.** A message that its own checks refuse joins no batch. When a broker refuses a whole batch for what may be
/// one message's fault (code 13, for instance), nothing of it is stored, and its messages are sent again one by one: each
/// gets its own answer. A batch has the deadline of its first message, and is tried again as a single message is; for all
/// its messages the outcome is the same.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{AutoBatch, Client, Message};
///
/// let client = Client::connect("127.0.0.1:9876")?;
/// let producer = client.producer("orders").auto_batch(AutoBatch::default()).start()?;
/// for number in 0..10_000 {
///     let message = Message::new("OrderTopic", format!("order {number}"));
///     producer.send_async(message, |result| drop(result.expect("stored")))?;
/// }
/// producer.close()
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is given to ProducerBuilder::auto_batch"]
pub struct AutoBatch {
    pub(super) max_delay: Duration,
    pub(super) max_bytes: usize,
    pub(super) max_held_bytes: usize,
}

impl Default for AutoBatch {
    fn default() -> AutoBatch {
        AutoBatch { max_delay: Duration::from_millis(10), max_bytes: 32 << 10, max_held_bytes: 32 << 20 }
    }
}

impl AutoBatch {
    /// Sets how long a message may wait for others, 1 ms to 30 s. 10 ms by default (Java: `batchMaxDelayMs`). Half of the
    /// producer's timeout counts when that is less.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets from how many bytes on a batch is full, 1 to 2 MiB. 32 KiB by default (Java: `batchMaxBytes`). Counted are whole
    /// encoded messages: of each its body, its properties and some 65 bytes more.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how many bytes of messages may be gathered and under way in batches, all topics together. 32 MiB by default
    /// (Java: `totalBatchMaxBytes`). At this bound everything gathered leaves, and sends wait for room until their deadline;
    /// their `try_` forms fail with [`Error::Busy`](crate::Error::Busy).
    pub fn max_held_bytes(mut self, bytes: usize) -> Self {
        self.max_held_bytes = bytes;
        self
    }

    pub(in crate::producer) fn check(&self) -> Result<()> {
        if !DELAYS.contains(&self.max_delay) {
            return Err(Error::invalid(format!(
                "auto_batch: max_delay is {:?}, 1 ms to 30 s are allowed",
                self.max_delay
            )));
        }
        if !(1..=MOST_BYTES).contains(&self.max_bytes) {
            let bytes = self.max_bytes;
            return Err(Error::invalid(format!("auto_batch: max_bytes is {bytes}, 1 to {MOST_BYTES} are allowed")));
        }
        if self.max_held_bytes < self.max_bytes {
            let (held, bytes) = (self.max_held_bytes, self.max_bytes);
            return Err(Error::invalid(format!("auto_batch: max_held_bytes is {held}, less than max_bytes, {bytes}")));
        }
        Ok(())
    }
}
