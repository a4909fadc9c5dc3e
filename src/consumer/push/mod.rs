//! Push consumption: a listener gets the messages, the crate does everything else.

mod builder;
mod commits;
mod hand_back;
mod inputs;
mod listeners;
mod perform;
mod queues;
mod result;
mod runner;
mod shared;
mod start;
mod subscriptions;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

pub use builder::PushConsumerBuilder;
pub use queues::{ProcessQueue, Standing};
pub use result::ConsumeResult;
pub use start::ConsumeFromWhere;

use self::shared::Shared;
use super::Filter;
use super::engine::Event;
use crate::client::{Client, CloseReport, names};
use crate::error::{Error, Result};
use crate::remoting::Deadline;
use crate::thread::{self, Thread};

/// The grace period of `close` and of dropping.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// What commits and unlocking may take beyond the grace period.
const AFTER_GRACE: Duration = Duration::from_secs(3);
/// How long brokers may take to take note that the group left.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

/// Hands messages to a listener, and shares a group's queues with its other members (Java: `DefaultMQPushConsumer`). Made by
/// [`Client::push_consumer`].
pub struct PushConsumer {
    shared: Arc<Shared>,
    engine: Mutex<Option<Thread>>,
    questions: Sender<inputs::Question>,
    done: Receiver<()>,
    _client: Client,
}

impl PushConsumer {
    /// Returns the group.
    pub fn group(&self) -> &str {
        &self.shared.group
    }

    /// Subscribes to one more topic, or to a topic with another filter. It does not block; consumption begins with the next
    /// rebalance, within about a second.
    ///
    /// All members of a group must subscribe to the same: brokers keep one subscription for all of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a topic or filter that cannot be, [`Error::Closed`].
    pub fn subscribe(&self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Result<()> {
        self.shared.check_open()?;
        let (topic, filter) = (topic.into(), filter.into());
        names::check_topic(&topic)?;
        filter.check()?;
        if self.shared.with_subscriptions(|known| known.add(topic, filter)) {
            self.shared.changed();
        }
        Ok(())
    }

    /// Gives up a topic: its queues are committed and go to other members.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        self.shared.check_open()?;
        if self.shared.with_subscriptions(|known| known.remove(topic)) {
            self.shared.changed();
        }
        Ok(())
    }

    /// Stops pulling; what is here already is still consumed. The queues stay with this member.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn suspend(&self) -> Result<()> {
        self.tell(Event::Suspended(true))
    }

    /// Goes on after [`suspend`](PushConsumer::suspend).
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn resume(&self) -> Result<()> {
        self.tell(Event::Suspended(false))
    }

    /// Looks at every queue this member has: what is in memory, how far it is, and why it stands still if it does.
    ///
    /// Blocks until the consumer's thread has looked, usually for less than a millisecond.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn queues(&self) -> Result<Vec<ProcessQueue>> {
        self.shared.check_open()?;
        let closed = || Error::Closed { outcome: crate::error::Outcome::NotSent };
        let (answer, queues) = crossbeam_channel::bounded(1);
        self.questions.send(answer).map_err(|_| closed())?;
        // The thread drops the question when it ends.
        queues.recv().map_err(|_| closed())
    }

    fn tell(&self, event: Event) -> Result<()> {
        self.shared.check_open()?;
        self.shared.events.send(event).map_err(|_| Error::Closed { outcome: crate::error::Outcome::NotSent })
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
        Ok(close(&self.shared, &self.done, &self.engine, grace))
    }
}

/// Gives up all queues, then leaves the group. In a listener it waits for nothing.
fn close(shared: &Shared, done: &Receiver<()>, engine: &Mutex<Option<Thread>>, grace: Duration) -> CloseReport {
    if shared.close() {
        let _ = shared.events.send(Event::Close { grace });
    }
    let waits = !thread::is_own();
    let until = Instant::now() + if waits { grace + AFTER_GRACE } else { Duration::ZERO };
    // Nothing is ever sent: it disconnects when the engine's thread has ended.
    let ended = !matches!(done.recv_deadline(until), Err(crossbeam_channel::RecvTimeoutError::Timeout));
    let engine = engine.lock().unwrap_or_else(PoisonError::into_inner).take();
    match engine {
        Some(engine) if ended => engine.join(),
        // A listener closes its own consumer, or one hangs: the client joins the thread when it closes.
        left => shared.core.inherit(left.into_iter().collect()),
    }
    shared.puller.close(Deadline::after(Duration::ZERO));
    if let Some(membership) = shared.membership() {
        membership.leave(Deadline::after(if waits { UNREGISTER_TIMEOUT } else { Duration::ZERO }));
    }
    shared.report()
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
