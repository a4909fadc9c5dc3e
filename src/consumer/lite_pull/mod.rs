//! Lite pull: the crate pulls ahead, the caller takes messages when it likes.

mod builder;
mod delivery;
mod hands;
mod inbox;
mod iter;
mod notices;
mod positions;
mod rounds;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use builder::LitePullConsumerBuilder;
use inbox::{Inbox, Taken};
pub use iter::Messages;
use iter::Patience;
use notices::Notices;
use rounds::Rounds;

use super::Filter;
use super::engine::Event;
use super::runner::{DEFAULT_GRACE, ProcessQueue, Running, Standing};
use super::stats::ConsumerStats;
use crate::client::{CloseReport, check_queue, names};
use crate::error::{Error, Result};
use crate::message::{MessageQueue, MessageView};

/// Gives messages to whoever asks for them (Java: `DefaultLitePullConsumer`). Made by [`Client::lite_pull_consumer`].
///
/// It either subscribes to topics and shares their queues with the other members of its group, or is assigned queues and is
/// nobody's member; the group's offsets are used both ways.
///
/// ```no_run
/// use rocketmq_blocking::Client;
///
/// fn main() -> rocketmq_blocking::Result<()> {
///     let client = Client::connect("127.0.0.1:9876")?;
///     let consumer = client.lite_pull_consumer("audit").subscribe("OrderTopic", "*").start()?;
///     for message in &consumer {
///         println!("{}", message?);
///     }
///     consumer.close()
/// }
/// ```
///
/// **What is finished.** With automatic commits, which are the default, a message is finished when the thread that got it asks
/// for more, by [`poll`](LitePullConsumer::poll) or by an iterator; offsets are committed every 5 s and at the end. So whatever
/// ends a thread before it asks again, `break`, `?`, a panic or a crash, leaves what it had to be delivered again. With
/// [`auto_commit(false)`](LitePullConsumerBuilder::auto_commit) only [`commit`](LitePullConsumer::commit) and
/// [`commit_queue`](LitePullConsumer::commit_queue) say what is finished. Several threads may poll at once: none finishes what
/// another one has.
///
/// A failed message is not delivered again by itself, and a retry topic is read only when subscribed to.
///
/// [`Client::lite_pull_consumer`]: crate::Client::lite_pull_consumer
pub struct LitePullConsumer {
    running: Running,
    inbox: Arc<Inbox>,
    rounds: Arc<Rounds>,
    notices: Arc<Notices>,
    poll_batch: usize,
    poll_timeout: Duration,
}

impl LitePullConsumer {
    /// Returns the group.
    pub fn group(&self) -> &str {
        &self.running.shared.group
    }

    /// Returns the next messages, as many as are there, at most [`poll_batch`](LitePullConsumerBuilder::poll_batch); none when
    /// none came within `timeout`. Those of one queue are in their order. One whose body is damaged is among them: see
    /// [`MessageView::check_body`].
    ///
    /// Blocks until there is one, at most for `timeout`; zero looks and returns. With automatic commits it says that the calling
    /// thread has finished what it got before.
    ///
    /// # Errors
    /// What a broker refuses for good, such as lack of a right or a wrong SQL condition, once; polling goes on all the same.
    /// Temporary trouble is retried and logged. [`Error::Closed`], also for a poll that waits when the consumer is closed.
    pub fn poll(&self, timeout: Duration) -> Result<Vec<MessageView>> {
        let taken = self.take(self.poll_batch, Instant::now().checked_add(timeout))?;
        Ok(taken.into_iter().map(|(_, message)| message).collect())
    }

    /// Takes messages as the inbox does, and has them told of to hooks, traces and counts.
    fn take(&self, max: usize, until: Option<Instant>) -> Result<Vec<Taken>> {
        self.rounds.finish();
        loop {
            let mut taken = self.inbox.take(max, until)?;
            let dropped_all = !taken.is_empty() && {
                self.rounds.begin(&mut taken);
                taken.is_empty()
            };
            if !dropped_all || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(taken);
            }
        }
    }

    /// As [`poll`](LitePullConsumer::poll) with the builder's [`poll_timeout`](LitePullConsumerBuilder::poll_timeout).
    ///
    /// # Errors
    /// As [`poll`](LitePullConsumer::poll).
    pub fn poll_default(&self) -> Result<Vec<MessageView>> {
        self.poll(self.poll_timeout)
    }

    /// Returns the messages one after the other, waiting for each, until the consumer is closed.
    ///
    /// Temporary trouble is retried inside; what a broker refuses for good is an item, once. Of several iterators, on several
    /// threads perhaps, each message goes to one.
    pub fn iter(&self) -> Messages<'_> {
        Messages::new(self, Patience::Endless)
    }

    /// As [`iter`](LitePullConsumer::iter), but ends when there is no message at once.
    pub fn try_iter(&self) -> Messages<'_> {
        Messages::new(self, Patience::For(Duration::ZERO))
    }

    /// As [`iter`](LitePullConsumer::iter), but ends when none has come for `timeout`.
    pub fn timeout_iter(&self, timeout: Duration) -> Messages<'_> {
        Messages::new(self, Patience::For(timeout))
    }

    /// Subscribes to one more topic, or to a topic with another filter. It does not block; messages come after the next
    /// rebalance, within a second or two.
    ///
    /// All members of a group must subscribe to the same: brokers keep one subscription for all of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a topic or filter that cannot be, and for a consumer to which queues are assigned;
    /// [`Error::Closed`].
    pub fn subscribe(&self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Result<()> {
        let shared = &self.running.shared;
        shared.check_open()?;
        let (topic, filter) = (topic.into(), filter.into());
        names::check_topic(&topic)?;
        filter.check()?;
        let changed =
            shared.with_subscriptions(|known| (!known.is_assigned()).then(|| known.add(topic.clone(), filter)));
        match changed {
            None => Err(self.either_or("queues are assigned to it, so it subscribes to nothing")),
            Some(changed) => {
                if changed {
                    shared.subscribed(topic);
                }
                Ok(())
            }
        }
    }

    /// Gives up a topic: its queues are committed and go to other members.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        let shared = &self.running.shared;
        shared.check_open()?;
        if shared.with_subscriptions(|known| !known.is_assigned() && known.remove(topic)) {
            shared.changed();
        }
        Ok(())
    }

    /// Has these queues from now on, and no others; each begins at the group's offset. Brokers do not count the consumer among
    /// the members of the group, and nobody keeps others from reading the same queues.
    ///
    /// Does not block. What is given up is committed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a queue that cannot be, and for a consumer that subscribes to topics; [`Error::Closed`].
    pub fn assign(&self, queues: &[MessageQueue]) -> Result<()> {
        let shared = &self.running.shared;
        shared.check_open()?;
        queues.iter().try_for_each(check_queue)?;
        let may = shared.with_subscriptions(|known| {
            let may = known.is_assigned() || known.is_empty();
            if may {
                known.assign();
            }
            may
        });
        if !may {
            return Err(self.either_or("it subscribes to topics, so queues cannot be assigned to it"));
        }
        for queue in queues {
            shared.core.routes().watch(queue.shared_topic());
        }
        self.running.tell(Event::Assign(queues.to_vec()))
    }

    fn either_or(&self, what: &str) -> Error {
        Error::invalid(format!("lite pull consumer {}: {what}", self.group()))
    }

    /// Returns the queues this consumer has, sorted. Right after the start there are none: a rebalance takes about a second.
    ///
    /// Blocks until the consumer's thread has looked, usually for less than a millisecond.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn assignment(&self) -> Result<Vec<MessageQueue>> {
        let queues = self.running.queues()?.into_iter();
        Ok(queues.filter(|queue| queue.standing != Some(Standing::Leaving)).map(|queue| queue.queue).collect())
    }

    /// Looks at every queue this consumer has: what is in memory, how far it is, and why it stands still if it does. Blocks as
    /// [`assignment`](LitePullConsumer::assignment).
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn queues(&self) -> Result<Vec<ProcessQueue>> {
        self.running.queues()
    }

    /// Returns what this consumer has done since it was started: counts, rates, latencies, what it has in memory, how far it is
    /// behind. Its listeners are its callers here: how long one takes is how long a thread had messages before it asked for
    /// more.
    ///
    /// As [`PushConsumer::stats`](crate::PushConsumer::stats) it blocks until the consumer's thread has looked, asks no server, and
    /// goes on answering after [`close`](LitePullConsumer::close).
    pub fn stats(&self) -> ConsumerStats {
        self.running.stats()
    }

    /// Returns the queues of a topic that can be read, sorted by broker name and number (Java: `fetchMessageQueues`).
    ///
    /// Always asks a name server. Blocks at most for the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// As [`Client::subscribe_queues`](crate::Client::subscribe_queues); [`Error::Closed`].
    pub fn fetch_queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        let shared = &self.running.shared;
        shared.check_open()?;
        shared.core.subscribe_queues(topic, shared.core.request_deadline())
    }

    /// Has `listener` called when a rebalance changed which queues of a topic this consumer has: with the topic, all its queues,
    /// and those that are here (Java: `MessageQueueListener`). It replaces the listener before it.
    ///
    /// It runs on a callback thread of the client, one call at a time; of changes that follow each other quickly it may see the
    /// last only. Assigned queues do not change by themselves, so nothing is told about them.
    pub fn queue_listener(&self, listener: impl Fn(&str, &[MessageQueue], &[MessageQueue]) + Send + Sync + 'static) {
        self.notices.listen(Arc::new(listener));
    }

    /// Has `listener` called when a topic has other queues than before, with the topic and all its queues (Java:
    /// `registerTopicMessageQueueChangeListener`). It replaces the one before it for the same topic; the topic need not be
    /// subscribed to.
    ///
    /// Blocks until the present queues are known, at most for the client's request timeout (3 s by default). Changes are seen
    /// when the client refreshes the route, every 30 s unless its builder said otherwise. The listener runs as
    /// [`queue_listener`](LitePullConsumer::queue_listener)'s does.
    ///
    /// # Errors
    /// As [`fetch_queues`](LitePullConsumer::fetch_queues), but a topic that does not exist yet has no queues.
    pub fn topic_listener(
        &self,
        topic: impl Into<Arc<str>>,
        listener: impl Fn(&str, &[MessageQueue]) + Send + Sync + 'static,
    ) -> Result<()> {
        let topic = topic.into();
        let known = match self.fetch_queues(&topic) {
            Ok(queues) => queues,
            Err(Error::NoRoute { .. } | Error::NoBroker { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        self.notices.watch(topic, known.into(), Arc::new(listener));
        Ok(())
    }

    /// Closes the consumer: polls and iterators that wait end, other threads have five seconds to finish what they have and ask
    /// for more, finished offsets are committed, and brokers are told. A second call does nothing.
    ///
    /// What the calling thread has got and not followed by another poll or a commit stays unfinished.
    ///
    /// # Errors
    /// None at present; [`close_within`](LitePullConsumer::close_within) reports what did not end in time.
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](LitePullConsumer::close), giving other threads at most `grace`. The report counts threads: those that
    /// finished meanwhile, and those that had something unfinished.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(self.running.close(grace))
    }
}

impl Drop for LitePullConsumer {
    fn drop(&mut self) {
        // Nobody else has it any more, so nobody will finish anything.
        self.inbox.close(true);
        let _ = self.close();
    }
}

impl fmt::Debug for LitePullConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LitePullConsumer").field("group", &self.group()).finish_non_exhaustive()
    }
}
