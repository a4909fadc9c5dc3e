//! The simple consumer: brokers hand messages out, and count who has which until it is acknowledged.

mod ack;
mod builder;
mod news;
mod receive;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use builder::SimpleConsumerBuilder;
use shared::Shared;

use crate::client::{Client, CloseReport, Core, names, namespace};
use crate::consumer::{ConsumerStats, Filter};
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::remoting::Deadline;

/// The grace period of `close` and of dropping.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Receives messages one call at a time, and acknowledges each by itself (RocketMQ 5's clients: `SimpleConsumer`).
///
/// A message that was received is invisible to other members of the group for a time. Acknowledged within it, it is done with;
/// otherwise the broker hands it out again. All members share all queues, so a slow or stuck one holds nobody up, and there
/// is nothing to rebalance. Made by [`Client::simple_consumer`]. It has no threads, and may be used by several at once. Needs
/// brokers 5.0 or later.
///
/// ```no_run
/// use std::time::Duration;
///
/// use rocketmq_blocking::Client;
///
/// fn main() -> rocketmq_blocking::Result<()> {
///     let client = Client::connect("127.0.0.1:9876")?;
///     let consumer = client.simple_consumer("billing").subscribe("OrderTopic", "*").start()?;
///     loop {
///         for message in consumer.receive(16, Duration::from_secs(60))? {
///             println!("{message}");
///             consumer.ack(&message)?;
///         }
///     }
/// }
/// ```
pub struct SimpleConsumer {
    shared: Arc<Shared>,
    /// Dropped after the consumer has closed.
    _client: Client,
}

impl SimpleConsumer {
    fn new(client: Client, shared: Arc<Shared>) -> SimpleConsumer {
        SimpleConsumer { shared, _client: client }
    }

    /// Returns the consumer's group.
    pub fn group(&self) -> &str {
        self.shared.group()
    }

    /// Returns the topics that are subscribed to, each with its filter, sorted by name.
    pub fn subscriptions(&self) -> Vec<(String, Filter)> {
        self.shared.subscriptions().into_iter().map(|(topic, filter)| (topic.to_string(), filter)).collect()
    }

    /// Subscribes to a topic, or changes its filter, from the next receive on. It does not block.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name or filter that is not allowed; [`Error::Closed`].
    pub fn subscribe(&self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Result<()> {
        let (topic, filter) = (topic.into(), filter.into());
        check_subscription(self.shared.core(), &topic, &filter)?;
        self.shared.subscribe(topic, Some(filter))
    }

    /// Ends the subscription of a topic; nothing to do without one. Messages of it that were received can still be
    /// acknowledged. It does not block.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        self.shared.subscribe(topic.into(), None)
    }

    /// Receives up to `max` messages, 1 to 32, of any of the topics, and makes them invisible to other members of the group
    /// for `invisible`, 1 s to 12 h.
    ///
    /// Blocks until there are messages, at most for the [await duration](SimpleConsumerBuilder::await_duration), and then
    /// returns none; a broker that answers late can add the client's request timeout (3 s by default). The brokers that have
    /// the topics take turns. One that fails is passed over while another answers, and is logged once.
    ///
    /// Apache's brokers look for messages whose time is up about once a second, so one that is not acknowledged comes again a
    /// few seconds after `invisible`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number out of range, or without a subscription. What the brokers answered when all failed:
    /// [`Error::NoRoute`] for a topic that does not exist, [`Error::Unsupported`] from brokers before 5.0,
    /// [`Error::Rejected`] with
    /// [`SUBSCRIPTION_PARSE_FAILED`](crate::ResponseCode::SUBSCRIPTION_PARSE_FAILED) for a wrong SQL condition.
    /// [`Error::Closed`], also when the consumer is closed meanwhile.
    pub fn receive(&self, max: usize, invisible: Duration) -> Result<Vec<MessageView>> {
        self.shared.receive(max, invisible)
    }

    /// Acknowledges a message: it is done with, and does not come again. Blocks until the broker has taken note, at most for
    /// the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a message that was not received by popping, or whose time is up: that has been, or will be,
    /// handed out again. What asking the broker failed with; acknowledging again is harmless then. [`Error::Closed`].
    pub fn ack(&self, message: &MessageView) -> Result<()> {
        self.shared.ack(message)
    }

    /// As [`ack`](SimpleConsumer::ack), for many messages, with one request a broker where brokers can do that (5.1).
    ///
    /// All that can be acknowledged are, whatever happens to the others.
    ///
    /// # Errors
    /// The first error, as [`ack`](SimpleConsumer::ack).
    pub fn ack_all(&self, messages: &[MessageView]) -> Result<()> {
        self.shared.ack_all(messages)
    }

    /// Sets anew for how long a message is invisible, counted from now, up to 12 h: longer when work takes longer, zero to have
    /// it come again at once. Blocks as [`ack`](SimpleConsumer::ack).
    ///
    /// The message's handle is replaced: copies made earlier cannot be acknowledged any more.
    ///
    /// # Errors
    /// As [`ack`](SimpleConsumer::ack), and [`Error::Invalid`] for more than 12 h.
    pub fn change_invisible_duration(&self, message: &mut MessageView, invisible: Duration) -> Result<()> {
        self.shared.change_invisible(message, invisible)
    }

    /// Returns what this consumer has done since it was started: counts, rates and latencies. Its listeners are its callers here:
    /// how long one takes is how long a message was out before its acknowledgement was taken, counted anew when
    /// [its time](SimpleConsumer::change_invisible_duration) is set anew.
    ///
    /// It does not block, asks no server, and goes on answering after [`close`](SimpleConsumer::close).
    pub fn stats(&self) -> ConsumerStats {
        let now = Instant::now();
        self.shared.counters.look(now);
        self.shared.counters.snapshot(now)
    }

    /// Closes the consumer: calls that wait end with [`Error::Closed`], and brokers are told.
    ///
    /// What was received and not acknowledged comes again to other members when its time is up. The client stays open. A
    /// second call does nothing.
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](SimpleConsumer::close), giving brokers at most `grace`, and one second at most, to take note.
    ///
    /// # Errors
    /// None at present.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(self.shared.close(Deadline::after(grace)))
    }
}

impl Drop for SimpleConsumer {
    fn drop(&mut self) {
        self.shared.close(Deadline::after(DEFAULT_GRACE));
    }
}

impl fmt::Debug for SimpleConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleConsumer").field("group", &self.group()).finish_non_exhaustive()
    }
}

fn check_subscription(core: &Core, topic: &str, filter: &Filter) -> Result<()> {
    names::check_topic(topic)?;
    if topic.starts_with("%RETRY%") {
        return Err(Error::invalid(format!("topic {topic}: retries come with the topic itself")));
    }
    namespace::check_topic(core.namespace(), topic)?;
    filter.check()
}
