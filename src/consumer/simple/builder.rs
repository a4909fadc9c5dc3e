use std::sync::{Arc, Weak};
use std::time::Duration;

use super::SimpleConsumer;
use super::shared::Shared;
use crate::client::{Client, CloseReport, GroupKind, Member, names};
use crate::consumer::hooks::Hooks;
use crate::consumer::runner::Subscriptions;
use crate::consumer::{ConsumeFromWhere, ConsumeHook, Filter, FilterHook};
use crate::error::{Error, Result};
use crate::protocol::rpc::pop::init_mode;
use crate::remoting::Deadline;
use crate::trace::Trace;

/// How long a receive may wait unless told otherwise.
const AWAIT: Duration = Duration::from_secs(30);
/// A longer wait can be had by receiving again.
const MAX_AWAIT: Duration = Duration::from_secs(3600);
/// As the retries of a group that the broker counts by itself.
const MAX_RECONSUME: i32 = 16;

/// What holds for a consumer as a whole.
#[derive(Debug, Clone)]
pub(super) struct SimpleOptions {
    pub(super) await_duration: Duration,
    pub(super) from_where: ConsumeFromWhere,
    pub(super) order: bool,
    /// Beyond this many attempts after the first a message becomes a dead letter.
    pub(super) max_reconsume: i32,
}

impl SimpleOptions {
    pub(super) fn init_mode(&self) -> i32 {
        match self.from_where {
            ConsumeFromWhere::FirstOffset => init_mode::MIN,
            _ => init_mode::MAX,
        }
    }
}

/// Settings of a [`SimpleConsumer`]; ends in [`start`](SimpleConsumerBuilder::start).
#[derive(Debug)]
#[must_use = "the consumer does not exist before start"]
pub struct SimpleConsumerBuilder {
    client: Client,
    group: Arc<str>,
    subscriptions: Vec<(Arc<str>, Filter)>,
    options: SimpleOptions,
    hooks: Hooks,
}

impl Client {
    /// Prepares a simple consumer of a group (RocketMQ 5's clients: `SimpleConsumer`). Nothing is sent before
    /// [`start`](SimpleConsumerBuilder::start).
    pub fn simple_consumer(&self, group: impl Into<Arc<str>>) -> SimpleConsumerBuilder {
        let options = SimpleOptions {
            await_duration: AWAIT,
            from_where: ConsumeFromWhere::default(),
            order: false,
            max_reconsume: MAX_RECONSUME,
        };
        let (client, hooks) = (self.clone(), Hooks::default());
        SimpleConsumerBuilder { client, group: group.into(), subscriptions: Vec::new(), options, hooks }
    }
}

impl SimpleConsumerBuilder {
    /// Subscribes to a topic: all messages, those with one of several tags, or those an SQL condition holds for
    /// ([`Filter`]). A second subscription of the same topic replaces the first.
    pub fn subscribe(mut self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> SimpleConsumerBuilder {
        self.subscriptions.push((topic.into(), filter.into()));
        self
    }

    /// Sets how long a [`receive`](SimpleConsumer::receive) waits for a message, up to an hour; 30 s by default. Zero makes
    /// it look once.
    pub fn await_duration(mut self, wait: Duration) -> SimpleConsumerBuilder {
        self.options.await_duration = wait;
        self
    }

    /// Sets where a group begins that is new to a topic: [`FirstOffset`](ConsumeFromWhere::FirstOffset), or
    /// [`LastOffset`](ConsumeFromWhere::LastOffset), which is the default.
    ///
    /// Brokers count the last message of a queue that has one among the new ones; and while a queue still has its first
    /// message in memory, `LastOffset` begins there, too.
    pub fn consume_from_where(mut self, from: ConsumeFromWhere) -> SimpleConsumerBuilder {
        self.options.from_where = from;
        self
    }

    /// Receives the messages of each queue in order: a queue of which a message is with somebody hands out no further one
    /// before that is acknowledged or its time is up. Off by default.
    ///
    /// What is not acknowledged comes again in its place, not through the retry topic, and never becomes a dead letter.
    pub fn orderly(mut self, orderly: bool) -> SimpleConsumerBuilder {
        self.options.order = orderly;
        self
    }

    /// Sets how often a message comes again before it becomes a dead letter, 0 or more; 16 by default. Brokers hand out
    /// for ever; the consumer counts, as RocketMQ 5's proxies do.
    pub fn max_reconsume_times(mut self, times: i32) -> SimpleConsumerBuilder {
        self.options.max_reconsume = times;
        self
    }

    /// Adds a hook that is told of messages that are received, and of what becomes of each; see [`ConsumeHook`].
    pub fn hook(mut self, hook: impl ConsumeHook + 'static) -> SimpleConsumerBuilder {
        self.hooks.around.push(Arc::new(hook));
        self
    }

    /// Adds a filter that may drop messages before [`receive`](SimpleConsumer::receive) returns them; what it drops is
    /// acknowledged. With several, each must want a message.
    pub fn filter_hook(mut self, hook: impl FilterHook + 'static) -> SimpleConsumerBuilder {
        self.hooks.filters.push(Arc::new(hook));
        self
    }

    /// Records what becomes of each message, where RocketMQ's own tools find it; see [`Trace`]. Off by default.
    pub fn trace(mut self, trace: Trace) -> SimpleConsumerBuilder {
        self.hooks.trace = Some(trace);
        self
    }

    /// Starts the consumer: its group joins the client, and brokers learn of it with the next heartbeats. It does not
    /// block.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of its range, a wrong filter, a name that is not allowed, or
    /// [`ConsumeFromWhere::Timestamp`], which brokers do not know here. [`Error::GroupInUse`] when this client already has a
    /// consumer of this group. [`Error::Closed`] when the client is closed. That a broker is too old is told by
    /// [`receive`](SimpleConsumer::receive).
    pub fn start(self) -> Result<SimpleConsumer> {
        let SimpleConsumerBuilder { client, group, subscriptions, options, hooks } = self;
        names::check_group(&group)?;
        check(&options)?;
        let core = client.core();
        let mut known = Subscriptions::default();
        for (topic, filter) in subscriptions {
            super::check_subscription(core, &topic, &filter)?;
            known.add(topic, filter);
        }
        let shared = Arc::new(Shared::new(core, &group, options, known, hooks)?);
        let weak = Arc::downgrade(&shared);
        let close = Box::new(move || close_with_client(&weak));
        let consumer = Some(shared.heartbeat());
        let member = Member { kind: GroupKind::Consumer, group, consumer, mailbox: None, checks: None, close };
        shared.joined(core.groups().join(core, member)?);
        Ok(SimpleConsumer::new(client, shared))
    }
}

fn close_with_client(shared: &Weak<Shared>) -> CloseReport {
    let Some(shared) = shared.upgrade() else { return CloseReport::default() };
    shared.close(shared.core().close_deadline().unwrap_or_else(|| Deadline::after(super::DEFAULT_GRACE)))
}

fn check(options: &SimpleOptions) -> Result<()> {
    if options.await_duration > MAX_AWAIT {
        let wait = options.await_duration;
        return Err(Error::invalid(format!("an await duration of {wait:?}: at most {MAX_AWAIT:?} are possible")));
    }
    if options.max_reconsume < 0 {
        return Err(Error::invalid(format!("{} reconsume times: 0 is the least", options.max_reconsume)));
    }
    if matches!(options.from_where, ConsumeFromWhere::Timestamp(_)) {
        return Err(Error::invalid(
            "brokers that hand messages out begin at the first or at the last one, not at a time",
        ));
    }
    Ok(())
}
