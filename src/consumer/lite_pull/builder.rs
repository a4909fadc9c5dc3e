use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::LitePullConsumer;
use super::delivery::Delivery;
use super::inbox::Inbox;
use super::notices::{Notices, QueueListener};
use super::rounds::Rounds;
use crate::client::{Client, check_queue, names};
use crate::consumer::allocation::{Allocation, Averagely};
use crate::consumer::around::Around;
use crate::consumer::engine::{EngineOptions, Limits, MessageModel, Order};
use crate::consumer::hooks::Hooks;
use crate::consumer::interval::rebalance_interval;
use crate::consumer::offset_store::{OffsetStore, Place};
use crate::consumer::runner::{ConsumeFromWhere, Plan, Running, Settings, Sink, Subscriptions};
use crate::consumer::{ConsumeHook, Filter, FilterHook};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::trace::Trace;

/// Messages that the engine hands over at once.
const PARCEL: usize = 32;

impl Client {
    /// Prepares a lite pull consumer of a group (Java: `DefaultLitePullConsumer`). Nothing happens before
    /// [`start`](LitePullConsumerBuilder::start).
    pub fn lite_pull_consumer(&self, group: impl Into<Arc<str>>) -> LitePullConsumerBuilder {
        LitePullConsumerBuilder::new(self.clone(), group.into())
    }
}

/// The settings of a lite pull consumer; made by [`Client::lite_pull_consumer`], finished by
/// [`start`](LitePullConsumerBuilder::start).
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct LitePullConsumerBuilder {
    client: Client,
    group: Arc<str>,
    subscriptions: Subscriptions,
    subscribes: bool,
    assigned: Option<Vec<MessageQueue>>,
    listener: Option<QueueListener>,
    hooks: Hooks,
    defect: Option<Arc<str>>,
    settings: Settings,
    allocation: Arc<dyn Allocation>,
    limits: Limits,
    topic_limits: (Option<usize>, Option<usize>),
    auto_commit: bool,
    auto_commit_interval: Duration,
    rebalance_interval: Option<Duration>,
    poll_timeout: Duration,
    poll_batch: usize,
    offsets: Place,
}

impl LitePullConsumerBuilder {
    fn new(client: Client, group: Arc<str>) -> LitePullConsumerBuilder {
        let settings = Settings {
            consume_type: "CONSUME_ACTIVELY",
            model: MessageModel::Clustering,
            from: ConsumeFromWhere::LastOffset,
            pull_batch: 32,
            pull_bytes: None,
            hold: Duration::from_secs(20),
            max_reconsume: None,
        };
        LitePullConsumerBuilder {
            client,
            group,
            subscriptions: Subscriptions::default(),
            subscribes: false,
            assigned: None,
            listener: None,
            hooks: Hooks::default(),
            defect: None,
            settings,
            allocation: Arc::new(Averagely),
            limits: Limits { messages: 1000, bytes: 100 << 20, span: Some(2000) },
            topic_limits: (None, None),
            auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
            rebalance_interval: None,
            poll_timeout: Duration::from_secs(5),
            poll_batch: 32,
            offsets: Place::default(),
        }
    }

    /// Subscribes to the messages of a topic that a filter lets through: a tag expression such as `"paid || refunded"`,
    /// `"*"` for all, or [`Filter::sql`]. All members of a group must subscribe to the same.
    pub fn subscribe(mut self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Self {
        self.subscribes = true;
        self.filter(topic.into(), filter.into())
    }

    /// Has these queues from the start on, as [`LitePullConsumer::assign`], instead of sharing those of topics.
    pub fn assign(mut self, queues: impl IntoIterator<Item = MessageQueue>) -> Self {
        self.assigned.get_or_insert_default().extend(queues);
        self
    }

    /// Chooses which messages of a topic come from assigned queues; all by default (Java: `setSubExpressionForAssign`). A
    /// consumer with such a filter cannot subscribe.
    pub fn assign_filter(mut self, topic: impl Into<Arc<str>>, filter: impl Into<Filter>) -> Self {
        self.assigned.get_or_insert_default();
        self.filter(topic.into(), filter.into())
    }

    fn filter(mut self, topic: Arc<str>, filter: Filter) -> Self {
        if let Err(error) = names::check_topic(&topic).and_then(|()| filter.check()) {
            self.defect.get_or_insert_with(|| error.to_string().into());
        }
        self.subscriptions.add(topic, filter);
        self
    }

    /// Sets whether the members of the group share the messages; [`MessageModel::Clustering`] by default (Java:
    /// `messageModel`). Otherwise each has all queues, and keeps offsets of its own.
    pub fn message_model(mut self, model: MessageModel) -> Self {
        self.settings.model = model;
        self
    }

    /// Keeps the offsets in a store of your own instead of at the brokers, or in a file when broadcasting. The consumer drops
    /// it when it is closed.
    pub fn offset_store(mut self, store: impl OffsetStore + 'static) -> Self {
        self.offsets.own(Arc::new(store));
        self
    }

    /// Sets the folder below which a broadcasting consumer keeps its offsets; as
    /// [`PushConsumerBuilder::offset_folder`](crate::PushConsumerBuilder::offset_folder).
    pub fn offset_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.offsets.folder(folder.into());
        self
    }

    /// Sets where the group begins when it is new to a queue; behind the last message by default.
    pub fn consume_from_where(mut self, from: ConsumeFromWhere) -> Self {
        self.settings.from = from;
        self
    }

    /// Sets whether what is finished is committed by itself; it is by default. Without, nothing but
    /// [`commit`](LitePullConsumer::commit) and [`commit_queue`](LitePullConsumer::commit_queue) changes the group's offsets.
    pub fn auto_commit(mut self, commits: bool) -> Self {
        self.auto_commit = commits;
        self
    }

    /// Sets how often offsets are committed automatically; 5 s by default (Java: `autoCommitIntervalMillis`).
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit_interval = interval;
        self
    }

    /// Sets how long [`poll_default`](LitePullConsumer::poll_default) waits; 5 s by default (Java: `pollTimeoutMillis`).
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.poll_timeout = timeout;
        self
    }

    /// Sets how many messages a poll returns at most, from 1 on; 32 by default. Java's polls return what one pull found, 10 by
    /// default.
    pub fn poll_batch(mut self, messages: usize) -> Self {
        self.poll_batch = messages;
        self
    }

    /// Sets how many messages a pull asks for, 1 to 1024; 32 by default, and brokers return no more unless told to (Java:
    /// `pullBatchSize`, 10).
    pub fn pull_batch(mut self, messages: usize) -> Self {
        self.settings.pull_batch = messages;
        self
    }

    /// Bounds what one queue has in memory before it is polled: 1000 messages and 100 MiB by default (Java:
    /// `pullThresholdForQueue`, `pullThresholdSizeForQueue`).
    pub fn queue_limits(mut self, messages: usize, bytes: usize) -> Self {
        (self.limits.messages, self.limits.bytes) = (messages, bytes);
        self
    }

    /// Bounds what the queues of one topic have in memory together: each may have its share of it, in the place of
    /// [`queue_limits`](Self::queue_limits). Off by default.
    pub fn topic_limits(mut self, messages: usize, bytes: usize) -> Self {
        self.topic_limits = (Some(messages), Some(bytes));
        self
    }

    /// Bounds how far the last pulled offset of a queue may lie behind the first that was not polled; 2000 by default (Java:
    /// `consumeMaxSpan`).
    pub fn span_limit(mut self, offsets: i64) -> Self {
        self.limits.span = Some(offsets);
        self
    }

    /// Sets how often the group is rebalanced when nothing changes (Java: `rocketmq.client.rebalance.waitInterval`). By default
    /// what `ROCKETMQ_CLIENT_REBALANCE_WAITINTERVAL` in the environment says, in milliseconds, else 20 s.
    pub fn rebalance_interval(mut self, interval: Duration) -> Self {
        self.rebalance_interval = Some(interval);
        self
    }

    /// Sets how queues are divided; [`Averagely`] by default. All members of a group must use the same.
    pub fn allocation(mut self, allocation: impl Allocation + 'static) -> Self {
        self.allocation = Arc::new(allocation);
        self
    }

    /// Adds a hook that is told of messages that a thread gets, before and after; see [`ConsumeHook`].
    pub fn hook(mut self, hook: impl ConsumeHook + 'static) -> Self {
        self.hooks.around.push(Arc::new(hook));
        self
    }

    /// Adds a filter that may drop messages before anybody gets them. With several, each must want a message.
    pub fn filter_hook(mut self, hook: impl FilterHook + 'static) -> Self {
        self.hooks.filters.push(Arc::new(hook));
        self
    }

    /// Records what becomes of each message, where RocketMQ's own tools find it; see [`Trace`]. Off by default (Java:
    /// `enableMsgTrace`).
    pub fn trace(mut self, trace: Trace) -> Self {
        self.hooks.trace = Some(trace);
        self
    }

    /// As [`LitePullConsumer::queue_listener`], from the first rebalance on.
    pub fn queue_listener(
        mut self,
        listener: impl Fn(&str, &[MessageQueue], &[MessageQueue]) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Starts the consumer. With neither a subscription nor queues it waits for
    /// [`subscribe`](LitePullConsumer::subscribe) or [`assign`](LitePullConsumer::assign).
    ///
    /// Does not block: messages come when brokers know the group and the queues are divided, within about a second; when other
    /// members have to hand queues over, a few seconds later.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of range, a subscription that cannot be, and both subscriptions and queues;
    /// [`Error::GroupInUse`] when this identity has a consumer of the group already; [`Error::OffsetStore`] when the file of a
    /// broadcasting consumer cannot be read; [`Error::Closed`].
    pub fn start(mut self) -> Result<LitePullConsumer> {
        self.check()?;
        if self.assigned.is_some() {
            self.subscriptions.assign();
        }
        let options = self.options()?;
        let LitePullConsumerBuilder {
            client,
            group,
            settings,
            subscriptions,
            assigned,
            listener,
            hooks,
            auto_commit,
            poll_batch,
            poll_timeout,
            offsets,
            ..
        } = self;
        let notices = Arc::new(Notices::new(client.core().clone(), listener));
        let (told, mut inner) = (notices.clone(), None);
        let store = offsets.open(client.core(), &group, settings.model)?;
        let plan = Plan { client, group, settings, options, subscriptions, store };
        let running = Running::start(plan, |shared| {
            let own = Arc::new(Inbox::new(shared.events.clone(), auto_commit));
            let closing = own.clone();
            shared.before_close(Box::new(move || closing.close(false)));
            let around = Around::start(hooks, &shared.core, &shared.group, &shared.counters)?;
            let rounds = Arc::new(Rounds::new(shared, around));
            inner = Some((own.clone(), rounds.clone()));
            Ok(Box::new(Delivery { inbox: own, notices: told, rounds }) as Box<dyn Sink>)
        })?;
        let Some((inbox, rounds)) = inner else { return Err(Error::invalid("a consumer without an inbox")) };
        let consumer = LitePullConsumer { running, inbox, rounds, notices, poll_batch, poll_timeout };
        if let Some(queues) = assigned {
            consumer.assign(&queues)?;
        }
        Ok(consumer)
    }

    fn options(&self) -> Result<EngineOptions> {
        Ok(EngineOptions {
            group: self.group.clone(),
            client_id: self.client.core().client_id().clone(),
            model: self.settings.model,
            order: Order::Polled { auto_commit: self.auto_commit },
            allocation: self.allocation.clone(),
            by_broker: None,
            batch: PARCEL,
            // What waits to be polled is bounded by the limits of its queue.
            slots: usize::MAX,
            limits: self.limits,
            topic_limits: self.topic_limits,
            pull_interval: Duration::ZERO,
            rebalance_interval: rebalance_interval(self.rebalance_interval)?,
            persist_interval: self.auto_commit_interval,
            // Callers may take their time.
            consume_timeout: Duration::from_secs(365 * 24 * 3600),
            suspend: Duration::ZERO,
            max_reconsume: None,
            revoke_grace: Duration::from_secs(1),
            handover: Duration::from_millis(2500),
        })
    }

    fn check(&self) -> Result<()> {
        names::check_group(&self.group)?;
        if let Some(what) = &self.defect {
            return Err(Error::Invalid { what: what.clone() });
        }
        let wrong = |what: &str| Err(Error::invalid(format!("lite pull consumer {}: {what}", self.group)));
        if self.subscribes && self.assigned.is_some() {
            return wrong("it subscribes to topics or is assigned queues, not both");
        }
        self.assigned.iter().flatten().try_for_each(check_queue)?;
        if !(1..=1024).contains(&self.settings.pull_batch) {
            return wrong("pull_batch is 1 to 1024");
        }
        if self.poll_batch == 0 {
            return wrong("a poll is to return at least one message");
        }
        if self.limits.messages == 0 || self.limits.bytes == 0 || self.limits.span.is_some_and(|span| span < 1) {
            return wrong("its limits let nothing in");
        }
        if self.auto_commit_interval.is_zero() {
            return wrong("an interval of it is zero");
        }
        Ok(())
    }
}

impl fmt::Debug for LitePullConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LitePullConsumerBuilder").field("group", &self.group).finish_non_exhaustive()
    }
}
