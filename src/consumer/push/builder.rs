use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::PushConsumer;
use super::by_broker::ByBroker;
use super::call::{Call, Listener};
use super::listeners::Listeners;
use super::offset_reset::{OffsetReset, OnReset};
use crate::client::{Client, names};
use crate::consumer::allocation::{Allocation, Averagely};
use crate::consumer::around::Around;
use crate::consumer::engine::{EngineOptions, Limits, MessageModel, Order};
use crate::consumer::hooks::Hooks;
use crate::consumer::interval::rebalance_interval;
use crate::consumer::offset_store::{OffsetStore, Place};
use crate::consumer::runner::{ConsumeFromWhere, Plan, Running, Settings, Sink, Subscriptions};
use crate::consumer::{ConsumeHook, ConsumeResult, Filter, FilterHook, Threads};
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::trace::Trace;

impl Client {
    /// Prepares a push consumer of a group (Java: `DefaultMQPushConsumer`). Nothing happens before
    /// [`start`](PushConsumerBuilder::start).
    pub fn push_consumer(&self, group: impl Into<Arc<str>>) -> PushConsumerBuilder {
        PushConsumerBuilder::new(self.clone(), group.into())
    }
}

/// The settings of a push consumer; made by [`Client::push_consumer`], finished by [`start`](PushConsumerBuilder::start).
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct PushConsumerBuilder {
    client: Client,
    group: Arc<str>,
    subscriptions: Subscriptions,
    defect: Option<Arc<str>>,
    settings: Settings,
    allocation: Arc<dyn Allocation>,
    threads: Threads,
    hooks: Hooks,
    on_reset: Option<OnReset>,
    batch: usize,
    limits: Limits,
    topic_limits: (Option<usize>, Option<usize>),
    pull_interval: Duration,
    rebalance_interval: Option<Duration>,
    persist_interval: Duration,
    consume_timeout: Duration,
    suspend: Duration,
    pub(super) by_broker: ByBroker,
    offsets: Place,
}

impl PushConsumerBuilder {
    fn new(client: Client, group: Arc<str>) -> PushConsumerBuilder {
        let settings = Settings {
            consume_type: "CONSUME_PASSIVELY",
            model: MessageModel::Clustering,
            from: ConsumeFromWhere::LastOffset,
            pull_batch: 32,
            pull_bytes: Some(256 * 1024),
            hold: Duration::from_secs(15),
            max_reconsume: None,
        };
        PushConsumerBuilder {
            client,
            group,
            subscriptions: Subscriptions::default(),
            defect: None,
            settings,
            allocation: Arc::new(Averagely),
            threads: 20.into(),
            hooks: Hooks::default(),
            on_reset: None,
            batch: 1,
            limits: Limits { messages: 1000, bytes: 100 << 20, span: Some(2000) },
            topic_limits: (None, None),
            pull_interval: Duration::ZERO,
            rebalance_interval: None,
            persist_interval: Duration::from_secs(5),
            consume_timeout: Duration::from_secs(15 * 60),
            suspend: Duration::from_secs(1),
            by_broker: ByBroker::default(),
            offsets: Place::default(),
        }
    }

    /// Subscribes to the messages of a topic that a filter lets through: a tag expression such as `"paid || refunded"`,
    /// `"*"` for all, or [`Filter::sql`]. All members of a group must subscribe to the same.
    pub fn subscribe(mut self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Self {
        let (topic, filter) = (topic.into(), filter.into());
        if let Err(error) = names::check_topic(&topic).and_then(|()| filter.check()) {
            self.defect.get_or_insert_with(|| error.to_string().into());
        }
        self.subscriptions.add(topic, filter);
        self
    }

    /// Sets whether the members of the group share the messages; [`MessageModel::Clustering`] by default (Java:
    /// `messageModel`).
    ///
    /// When each member gets all of them, nobody but this consumer knows what it has consumed: what its listener fails is
    /// not delivered again and never becomes a dead letter, but is logged and dropped. An orderly listener gets what it
    /// fails again, as often as [`max_reconsume_times`](PushConsumerBuilder::max_reconsume_times) allows.
    pub fn message_model(mut self, model: MessageModel) -> Self {
        self.settings.model = model;
        self
    }

    /// Sets where the group begins when it is new to a queue; behind the last message by default.
    pub fn consume_from_where(mut self, from: ConsumeFromWhere) -> Self {
        self.settings.from = from;
        self
    }

    /// Sets how many listeners run at once, 1 to 1000: a number, or a range within which the consumer adjusts it to the load, such
    /// as `4..=16`; see [`Threads`]. 20 by default (Java: `consumeThreadMin`, `consumeThreadMax`).
    pub fn threads(mut self, threads: impl Into<Threads>) -> Self {
        self.threads = threads.into();
        self
    }

    /// Adds a hook that is told of every call of the listener, before and after.
    pub fn hook(mut self, hook: impl ConsumeHook + 'static) -> Self {
        self.hooks.around.push(Arc::new(hook));
        self
    }

    /// Adds a filter that may drop messages before the listener gets them. With several, each must want a message.
    pub fn filter_hook(mut self, hook: impl FilterHook + 'static) -> Self {
        self.hooks.filters.push(Arc::new(hook));
        self
    }

    /// Records what becomes of each message, where RocketMQ's own tools find it; see [`Trace`]. Off by default.
    pub fn trace(mut self, trace: Trace) -> Self {
        self.hooks.trace = Some(trace);
        self
    }

    /// Sets what is told when a queue goes on at another offset than it would have: an operator reset the group, or the broker
    /// does not have the messages. It runs on a callback thread of the client; a panic is contained and logged.
    pub fn on_offset_reset(mut self, told: impl Fn(&OffsetReset) + Send + Sync + 'static) -> Self {
        self.on_reset = Some(OnReset(Arc::new(told)));
        self
    }

    /// Sets how many messages a call of the listener gets at most, 1 to 1024; 1 by default (Java:
    /// `consumeMessageBatchMaxSize`). They are of one queue.
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = messages;
        self
    }

    /// Sets how many messages a pull asks for, 1 to 1024; 32 by default, and brokers return no more unless told to.
    pub fn pull_batch(mut self, messages: usize) -> Self {
        self.settings.pull_batch = messages;
        self
    }

    /// Sets the pause between a pull that found messages and the next; none by default.
    pub fn pull_interval(mut self, pause: Duration) -> Self {
        self.pull_interval = pause;
        self
    }

    /// Sets how long a broker may hold a pull that finds nothing, 100 ms to 60 s; 15 s by default (Java:
    /// `BROKER_SUSPEND_MAX_TIME_MILLIS`). A pull whose answer is lost is sent again after twice that time.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.settings.hold = hold;
        self
    }

    /// Bounds what one queue has in memory: 1000 messages and 100 MiB by default (Java: `pullThresholdForQueue`,
    /// `pullThresholdSizeForQueue`).
    pub fn queue_limits(mut self, messages: usize, bytes: usize) -> Self {
        (self.limits.messages, self.limits.bytes) = (messages, bytes);
        self
    }

    /// Bounds how far the last pulled offset of a queue may lie behind the first unfinished one; 2000 by default (Java:
    /// `consumeConcurrentlyMaxSpan`). Orderly consumers have no such bound.
    pub fn span_limit(mut self, offsets: i64) -> Self {
        self.limits.span = Some(offsets);
        self
    }

    /// Bounds what the queues of one topic have in memory together: each may have its share of it, in the place of
    /// [`queue_limits`](Self::queue_limits). Off by default (Java: `pullThresholdForTopic`, `pullThresholdSizeForTopic`).
    pub fn topic_limits(mut self, messages: usize, bytes: usize) -> Self {
        self.topic_limits = (Some(messages), Some(bytes));
        self
    }

    /// Sets how often a message is delivered again at most before it becomes a dead letter: 16 by default for concurrent
    /// consumers, without end for orderly ones.
    pub fn max_reconsume_times(mut self, times: u32) -> Self {
        self.settings.max_reconsume = Some(i32::try_from(times).unwrap_or(i32::MAX));
        self
    }

    /// Sets how long a concurrent listener may have a message before it is delivered again; 15 minutes by default.
    pub fn consume_timeout(mut self, timeout: Duration) -> Self {
        self.consume_timeout = timeout;
        self
    }

    /// Sets how long an orderly queue waits after a failure; 1 s by default (Java: `suspendCurrentQueueTimeMillis`).
    pub fn suspend_time(mut self, pause: Duration) -> Self {
        self.suspend = pause;
        self
    }

    /// Sets how often the group is rebalanced when nothing changes (Java: `rocketmq.client.rebalance.waitInterval`). By default
    /// what `ROCKETMQ_CLIENT_REBALANCE_WAITINTERVAL` in the environment says, in milliseconds, else 20 s.
    pub fn rebalance_interval(mut self, interval: Duration) -> Self {
        self.rebalance_interval = Some(interval);
        self
    }

    /// Sets how often offsets are committed; 5 s by default.
    pub fn persist_interval(mut self, interval: Duration) -> Self {
        self.persist_interval = interval;
        self
    }

    /// Sets how queues are divided; [`Averagely`] by default. All members of a group must use the same.
    pub fn allocation(mut self, allocation: impl Allocation + 'static) -> Self {
        self.allocation = Arc::new(allocation);
        self
    }

    /// Keeps the offsets in a store of your own instead of at the brokers, or in a file when broadcasting. The consumer drops
    /// it when it is closed.
    pub fn offset_store(mut self, store: impl OffsetStore + 'static) -> Self {
        self.offsets.own(Arc::new(store));
        self
    }

    /// Sets the folder below which a broadcasting consumer keeps its offsets, in `<client id>/<group>/offsets.json` (Java:
    /// `rocketmq.client.localOffsetStoreDir`). By default what `ROCKETMQ_CLIENT_LOCALOFFSETSTOREDIR` in the environment
    /// says, else `.rocketmq_offsets` in the home folder.
    ///
    /// So that a restart finds it, a client without an
    /// [`instance_name`](crate::ClientBuilder::instance_name) counts as `DEFAULT` in the path, as in Java. Members of one
    /// group on one host must therefore have instance names, or folders, of their own. See
    /// [`LocalFileOffsetStore`](crate::LocalFileOffsetStore) for what happens when the file is damaged.
    pub fn offset_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.offsets.folder(folder.into());
        self
    }

    /// Starts the consumer: `listener` gets messages on several threads at once, in no order.
    ///
    /// It returns a [`ConsumeResult`], nothing, or a `Result`. Does not block: consumption begins when brokers know the group
    /// and the queues are divided, within about a second.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of range or a subscription that cannot be, [`Error::GroupInUse`] when this
    /// identity has a consumer of the group already, [`Error::OffsetStore`] when the file of a broadcasting consumer cannot
    /// be read, [`Error::Closed`].
    pub fn start<R: Into<ConsumeResult>>(
        self,
        listener: impl Fn(&[MessageView]) -> R + Send + Sync + 'static,
    ) -> Result<PushConsumer> {
        self.run(Order::Concurrent, Arc::new(move |messages| listener(messages).into()))
    }

    /// Starts the consumer: `listener` gets the messages of each queue one batch after the other, in their order, under a
    /// lock of the broker that keeps other members away. A batch that fails comes again before anything else of its queue.
    ///
    /// # Errors
    /// As [`start`](PushConsumerBuilder::start).
    pub fn start_orderly<R: Into<ConsumeResult>>(
        mut self,
        listener: impl Fn(&[MessageView]) -> R + Send + Sync + 'static,
    ) -> Result<PushConsumer> {
        self.limits.span = None;
        self.run(Order::Orderly, Arc::new(move |messages| listener(messages).into()))
    }

    fn run(mut self, order: Order, listener: Listener) -> Result<PushConsumer> {
        self.check()?;
        if self.settings.model == MessageModel::Clustering {
            self.subscriptions.add(format!("%RETRY%{}", self.group).into(), Filter::all());
        }
        let options = self.options(order)?;
        let PushConsumerBuilder { client, group, settings, subscriptions, threads, hooks, on_reset, offsets, .. } =
            self;
        let store = offsets.open(client.core(), &group, settings.model)?;
        let plan = Plan { client, group, settings, options, subscriptions, store };
        let running = Running::start(plan, |shared| {
            let around = Around::start(hooks, &shared.core, &shared.group, &shared.counters)?;
            let call = Call { shared: shared.clone(), listener, around };
            Ok(Box::new(Listeners::new(call, threads, on_reset)?) as Box<dyn Sink>)
        })?;
        Ok(PushConsumer { running })
    }

    fn options(&self, order: Order) -> Result<EngineOptions> {
        Ok(EngineOptions {
            group: self.group.clone(),
            client_id: self.client.core().client_id().clone(),
            model: self.settings.model,
            order,
            allocation: self.allocation.clone(),
            by_broker: self.by_broker.options(),
            batch: self.batch,
            slots: self.threads.min(),
            limits: self.limits,
            topic_limits: self.topic_limits,
            pull_interval: self.pull_interval,
            rebalance_interval: rebalance_interval(self.rebalance_interval)?,
            persist_interval: self.persist_interval,
            consume_timeout: self.consume_timeout,
            suspend: self.suspend,
            max_reconsume: self.settings.max_reconsume,
            revoke_grace: Duration::from_secs(1),
            handover: Duration::from_millis(2500),
        })
    }

    fn check(&self) -> Result<()> {
        names::check_group(&self.group)?;
        if let Some(what) = &self.defect {
            return Err(Error::Invalid { what: what.clone() });
        }
        let wrong = |what: String| Err(Error::invalid(format!("push consumer {}: {what}", self.group)));
        if self.subscriptions.is_empty() {
            return wrong("it subscribes to nothing".into());
        }
        if let Some(defect) = self.threads.defect() {
            return wrong(defect);
        }
        for (what, number, max) in [("batch", self.batch, 1024), ("pull_batch", self.settings.pull_batch, 1024)] {
            if !(1..=max).contains(&number) {
                return wrong(format!("{what} is {number}, 1 to {max} are allowed"));
            }
        }
        let hold = self.settings.hold;
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&hold) {
            return wrong(format!("hold is {hold:?}, 100 ms to 60 s are allowed"));
        }
        if let Some(what) = self.by_broker.defect(&*self.allocation) {
            return wrong(what);
        }
        if self.limits.messages == 0 || self.limits.bytes == 0 || self.limits.span.is_some_and(|span| span < 1) {
            return wrong("its limits let nothing in".into());
        }
        if self.persist_interval.is_zero() || self.consume_timeout.is_zero() {
            return wrong("an interval of it is zero".into());
        }
        Ok(())
    }
}
