//! Push consumption: a listener gets the messages, the crate does everything else.

mod builder;
mod by_broker;
mod call;
mod listeners;
mod offset_reset;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::PushConsumerBuilder;
pub use offset_reset::{OffsetReset, ResetReason};

use super::Filter;
use super::engine::Event;
use super::runner::{DEFAULT_GRACE, ProcessQueue, Running, unsubscribe_leftovers};
use super::stats::ConsumerStats;
use crate::client::{CloseReport, names};
use crate::error::Result;

/// Hands messages to a listener, and shares a group's queues with its other members (Java: `DefaultMQPushConsumer`). Made by
/// [`Client::push_consumer`](crate::Client::push_consumer).
pub struct PushConsumer {
    running: Running,
}

impl PushConsumer {
    /// Returns the group.
    pub fn group(&self) -> &str {
        &self.running.shared.group
    }

    /// Subscribes to one more topic, or to a topic with another filter. It does not block; consumption begins with the next
    /// rebalance, within about a second. Another filter counts for everything that is not in memory yet, at once; only what is
    /// popped may come by the old one for as long as a broker holds a request, 15 s by default.
    ///
    /// All members of a group must subscribe to the same: brokers keep one subscription for all of them.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a topic or filter that cannot be, [`Error::Closed`](crate::Error::Closed).
    pub fn subscribe(&self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Result<()> {
        self.running.shared.check_open()?;
        let (topic, filter) = (topic.into(), filter.into());
        names::check_topic(&topic)?;
        filter.check()?;
        if self.running.shared.with_subscriptions(|known| known.add(topic.clone(), filter)) {
            self.running.shared.subscribed(topic);
        }
        Ok(())
    }

    /// Gives up a topic: its queues are committed and go to other members.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        self.running.shared.check_open()?;
        if self.running.shared.with_subscriptions(|known| known.remove(topic)) {
            self.running.shared.changed();
        }
        unsubscribe_leftovers(&self.running.shared, topic);
        Ok(())
    }

    /// Stops pulling; what is here already is still consumed. The queues stay with this member.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn suspend(&self) -> Result<()> {
        self.running.tell(Event::Suspended(true))
    }

    /// Goes on after [`suspend`](PushConsumer::suspend).
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn resume(&self) -> Result<()> {
        self.running.tell(Event::Suspended(false))
    }

    /// Looks at every queue this member has: what is in memory, how far it is, and why it stands still if it does.
    ///
    /// Blocks until the consumer's thread has looked, usually for less than a millisecond.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn queues(&self) -> Result<Vec<ProcessQueue>> {
        self.running.queues()
    }

    /// Returns what this consumer has done since it was started: counts, rates, latencies, what it has in memory, how far it is
    /// behind.
    ///
    /// A snapshot, as [`Producer::stats`](crate::Producer::stats) is; numbers are read one after another. It asks no server. It
    /// blocks until the consumer's thread has looked at its queues, as [`queues`](PushConsumer::queues) does. After
    /// [`close`](PushConsumer::close) it goes on answering, with final counts and no queues.
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, MessageView, embedded::Cluster};
    /// # let cluster = Cluster::start()?;
    /// # let client = Client::connect(cluster.name_server())?;
    /// let consumer = client.push_consumer("billing").subscribe("OrderTopic", "*").start(|_: &[MessageView]| {})?;
    /// let stats = consumer.stats();
    /// assert_eq!((stats.consumed, stats.failed), (0, 0));
    /// println!("{stats}");
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn stats(&self) -> ConsumerStats {
        self.running.stats()
    }

    /// Closes the consumer: no new messages, listeners that run have five seconds, offsets are committed, locks given back,
    /// and brokers are told. A second call does nothing.
    ///
    /// # Errors
    /// None at present; [`close_within`](PushConsumer::close_within) reports what did not end in time.
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](PushConsumer::close), giving listeners at most `grace`.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(self.running.close(grace))
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for PushConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushConsumer").field("group", &self.group()).finish_non_exhaustive()
    }
}
