//! The pull consumer: the caller names queue and offset, and keeps the offset.

mod builder;
mod condition;
mod positions;
mod prepare;
mod result;
mod schedule;
mod share;
mod shared;
mod source;
mod tasks;
#[cfg(test)]
mod tests;
mod upkeep;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use builder::PullConsumerBuilder;
use builder::PullOptions;
pub use prepare::PreparedPull;
pub(super) use prepare::Pull;
pub use result::{PullResult, PullStatus};
pub use schedule::{PullAgain, PullSchedule};
pub(super) use shared::Shared;
use upkeep::Upkeep;

use crate::client::{Client, CloseReport, check_offset, check_queue};
use crate::error::Result;
use crate::message::MessageQueue;
use crate::remoting::Deadline;

/// The grace period of `close` and of dropping.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Reads queues at offsets of the caller's choosing (Java: `DefaultMQPullConsumer`).
///
/// A pull begins at the offset it is given, and its result says where the next one begins. The group's committed offset is
/// only changed by [`commit_offset`](PullConsumer::commit_offset), or from time to time by
/// [`update_offset`](PullConsumer::update_offset). Members of a group that
/// [register](PullConsumerBuilder::register_topic) topics share their queues. Made by [`Client::pull_consumer`]. It may be used
/// by several threads at once, and has none of its own unless topics are registered.
///
/// ```no_run
/// use rocketmq_blocking::Client;
///
/// fn main() -> rocketmq_blocking::Result<()> {
///     let client = Client::connect("127.0.0.1:9876")?;
///     let consumer = client.pull_consumer("audit").start()?;
///     for queue in consumer.fetch_queues("OrderTopic")? {
///         let mut offset = consumer.committed_offset(&queue)?.unwrap_or(0);
///         while offset < consumer.max_offset(&queue)? {
///             let found = consumer.pull(&queue, offset)?;
///             for message in found.messages() {
///                 println!("{message}");
///             }
///             offset = found.next_offset();
///             consumer.commit_offset(&queue, offset)?;
///         }
///     }
///     consumer.close()
/// }
/// ```
///
/// Java's `pull(queue, "tagA", 0, 32)` is `prepare_pull(&queue, 0).filter("tagA").max(32).fetch()`, and its
/// `pullBlockIfNotFound` the same with [`wait`](PreparedPull::wait).
pub struct PullConsumer {
    shared: Arc<Shared>,
    upkeep: Arc<Upkeep>,
    /// Dropped after the consumer has closed.
    _client: Client,
}

impl PullConsumer {
    fn new(client: Client, upkeep: Arc<Upkeep>) -> PullConsumer {
        PullConsumer { shared: upkeep.shared.clone(), upkeep, _client: client }
    }

    /// Returns the consumer's group.
    pub fn group(&self) -> &str {
        self.shared.group()
    }

    /// Returns the queues of a topic that can be read, sorted by broker name and number.
    ///
    /// Always asks a name server. Blocks at most for the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// As [`Client::subscribe_queues`]; [`Error::Closed`](crate::Error::Closed).
    pub fn fetch_queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.shared.check_open()?;
        let core = self.shared.core();
        core.subscribe_queues(topic, core.request_deadline())
    }

    /// Pulls up to 32 messages of a queue, whatever their tags, without waiting for new ones.
    ///
    /// Blocks until the broker answered, at most for 10 s. An offset the queue does not have is no error but
    /// [`PullStatus::OffsetIllegal`]. Use [`prepare_pull`](PullConsumer::prepare_pull) for a filter and other options.
    ///
    /// # Errors
    /// As [`PreparedPull::fetch`].
    pub fn pull(&self, queue: &MessageQueue, offset: i64) -> Result<PullResult> {
        self.prepare_pull(queue, offset).fetch()
    }

    /// As [`pull`](PullConsumer::pull), but when the queue has no message behind the offset the broker waits for one,
    /// for 20 s unless the builder said otherwise (Java: `pullBlockIfNotFound`).
    ///
    /// # Errors
    /// As [`PreparedPull::fetch`].
    pub fn pull_waiting(&self, queue: &MessageQueue, offset: i64) -> Result<PullResult> {
        self.prepare_pull(queue, offset).wait(self.shared.options().hold).fetch()
    }

    /// Prepares a pull with options of its own: a filter, how much, how long to wait. Nothing is sent before its
    /// [`fetch`](PreparedPull::fetch).
    pub fn prepare_pull(&self, queue: &MessageQueue, offset: i64) -> PreparedPull<'_> {
        PreparedPull::new(&self.shared, queue, offset)
    }

    /// Returns the smallest offset a queue still has. Errors and blocking as [`Client::min_offset`].
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.shared.check_open()?;
        self.shared.core().min_offset(queue, self.shared.core().request_deadline())
    }

    /// Returns the offset the next message of a queue will get. Errors and blocking as [`Client::min_offset`].
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.shared.check_open()?;
        self.shared.core().max_offset(queue, self.shared.core().request_deadline())
    }

    /// Returns the offset of the first message of a queue that was stored at `time` or later. Errors and blocking as
    /// [`Client::search_offset`].
    pub fn search_offset(&self, queue: &MessageQueue, time: SystemTime) -> Result<i64> {
        self.shared.check_open()?;
        self.shared.core().search_offset(queue, time, self.shared.core().request_deadline())
    }

    /// Returns when the oldest message of a queue was stored. Errors and blocking as [`Client::earliest_store_time`].
    pub fn earliest_store_time(&self, queue: &MessageQueue) -> Result<Option<SystemTime>> {
        self.shared.check_open()?;
        self.shared.core().earliest_store_time(queue, self.shared.core().request_deadline())
    }

    /// Returns the offset the group committed for a queue, `None` when it never did.
    ///
    /// Brokers before 5.0 answer 0 instead of nothing while the queue still has its first message in memory. Blocks at
    /// most for the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// As [`Client::min_offset`]. Trouble is never taken for "no offset".
    pub fn committed_offset(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        self.shared.check_open()?;
        let core = self.shared.core();
        core.committed_offset(self.shared.group(), queue, core.request_deadline())
    }

    /// Commits an offset for the group: that of the next message to read. Blocks until the broker has taken it, at
    /// most for the client's request timeout (3 s by default).
    ///
    /// Brokers take a smaller offset than before as well. They keep it in memory and write it to disk every 5 s.
    ///
    /// # Errors
    /// As [`Client::min_offset`], and [`Error::Invalid`](crate::Error::Invalid) for a negative offset.
    pub fn commit_offset(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        self.shared.check_open()?;
        let core = self.shared.core();
        core.commit_offset(self.shared.group(), queue, offset, core.request_deadline())
    }

    /// As [`commit_offset`](PullConsumer::commit_offset) without waiting for the broker's word: returns once the
    /// operating system has taken the request.
    ///
    /// # Errors
    /// As [`commit_offset`](PullConsumer::commit_offset), but for what the broker would have answered.
    pub fn commit_offset_oneway(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        self.shared.check_open()?;
        let core = self.shared.core();
        core.commit_offset_oneway(self.shared.group(), queue, offset, core.request_deadline())
    }

    /// Returns the queues this member has at present of a topic it is
    /// [registered](PullConsumerBuilder::register_topic) for (Java: `fetchMessageQueuesInBalance`); none before the first
    /// rebalance. Does not block.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn queues_in_balance(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.shared.check_open()?;
        Ok(self.upkeep.share.as_ref().map(|share| share.of(topic)).unwrap_or_default())
    }

    /// Keeps the offset of the next message to read from a queue, and stores it from time to time, every 5 s unless the
    /// builder says otherwise, and when the consumer is closed (Java: `updateConsumeOffset`). Does not block.
    ///
    /// It is stored at the brokers, as [`commit_offset`](PullConsumer::commit_offset) does; for a broadcasting consumer, or
    /// one with a store of its own, there. What cannot be stored is tried again, and logged. Unlike in Java that holds for
    /// every queue, registered or not. When a registered queue goes to another member, it is stored at once and forgotten.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a negative offset, [`Error::Closed`](crate::Error::Closed).
    pub fn update_offset(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        check_queue(queue)?;
        check_offset(offset)?;
        self.upkeep.positions.update(queue, offset)
    }

    /// Returns the offset that [`update_offset`](PullConsumer::update_offset) was told, else the one that is stored, `None`
    /// when there is none (Java: `fetchConsumeOffset`). Blocks for at most the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// As [`committed_offset`](PullConsumer::committed_offset), and [`Error::OffsetStore`](crate::Error::OffsetStore).
    pub fn offset(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        self.shared.check_open()?;
        check_queue(queue)?;
        self.upkeep.offset(queue)
    }

    /// Closes the consumer: pulls that wait for a message and asynchronous ones end with
    /// [`Error::Closed`](crate::Error::Closed), callbacks that run have five seconds, offsets that
    /// [`update_offset`](PullConsumer::update_offset) was told are stored, and brokers are told.
    ///
    /// Other pulls under way end by themselves. The client stays open. A second call does nothing. In a callback it
    /// does not wait for callbacks.
    ///
    /// # Errors
    /// None at present; [`close_within`](PullConsumer::close_within) reports what did not end in time.
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](PullConsumer::close), giving callbacks at most `grace`, and brokers about a second beyond.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(self.upkeep.close(Deadline::after(grace)))
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        self.upkeep.close(Deadline::after(DEFAULT_GRACE));
    }
}

impl fmt::Debug for PullConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullConsumer").field("group", &self.group()).finish_non_exhaustive()
    }
}
