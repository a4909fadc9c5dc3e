use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::PullConsumer;
use super::positions::Positions;
use super::prepare::{check_max, check_max_bytes};
use super::share::{QueueListener, Share, ShareSink};
use super::shared::Shared;
use super::tasks::Tasks;
use super::upkeep::{Parts, Upkeep};
use crate::client::{Client, CloseReport, Core, GroupKind, Member, names};
use crate::consumer::Filter;
use crate::consumer::allocation::{Allocation, Averagely};
use crate::consumer::engine::{EngineOptions, Limits, MessageModel, Order};
use crate::consumer::interval::rebalance_interval;
use crate::consumer::offset_store::{Keeper, OffsetStore, Place};
use crate::consumer::runner::{Close, ConsumeFromWhere, Plan, Running, Settings, Subscriptions};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::rpc::heartbeat::ConsumerBody;
use crate::remoting::Deadline;

/// What holds for all pulls of a consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct PullOptions {
    /// How long a broker may hold a pull that waits.
    pub(super) hold: Duration,
    /// For a pull that does not wait.
    pub(super) timeout: Duration,
    /// What a pull that waits gets beyond its hold.
    pub(super) hold_margin: Duration,
    pub(super) max: usize,
    pub(super) max_bytes: Option<usize>,
    pub(super) window: usize,
}

impl Default for PullOptions {
    fn default() -> PullOptions {
        PullOptions {
            hold: Duration::from_secs(20),
            timeout: Duration::from_secs(10),
            hold_margin: Duration::from_secs(10),
            max: 32,
            max_bytes: None,
            window: 256,
        }
    }
}

/// Settings of a [`PullConsumer`]; ends in [`start`](PullConsumerBuilder::start).
#[must_use = "the consumer does not exist before start"]
pub struct PullConsumerBuilder {
    client: Client,
    group: Arc<str>,
    options: PullOptions,
    pub(super) topics: Vec<Arc<str>>,
    listener: Option<QueueListener>,
    model: MessageModel,
    offsets: Place,
    allocation: Arc<dyn Allocation>,
    rebalance_interval: Option<Duration>,
    persist_interval: Duration,
}

impl Client {
    /// Prepares a pull consumer of a group (Java: `DefaultMQPullConsumer`). Nothing is sent before [`start`](PullConsumerBuilder::start).
    pub fn pull_consumer(&self, group: impl Into<Arc<str>>) -> PullConsumerBuilder {
        let options = PullOptions::default();
        PullConsumerBuilder {
            client: self.clone(),
            group: group.into(),
            options,
            topics: Vec::new(),
            listener: None,
            model: MessageModel::Clustering,
            offsets: Place::default(),
            allocation: Arc::new(Averagely),
            rebalance_interval: None,
            persist_interval: Duration::from_secs(5),
        }
    }
}

impl PullConsumerBuilder {
    /// Sets how long the broker may hold a [`pull_waiting`](PullConsumer::pull_waiting); 20 s by default
    /// (Java: `brokerSuspendMaxTimeMillis`).
    pub fn hold(mut self, hold: Duration) -> PullConsumerBuilder {
        self.options.hold = hold;
        self
    }

    /// Sets by when a pull that does not wait ends; 10 s by default (Java: `consumerPullTimeoutMillis`).
    pub fn timeout(mut self, timeout: Duration) -> PullConsumerBuilder {
        self.options.timeout = timeout;
        self
    }

    /// Sets how much later than its hold a pull that waits ends at the latest; 10 s by default. Brokers may be late by
    /// more than 5 s. (Java: `consumerTimeoutMillisWhenSuspend`, which is the sum of both.)
    pub fn hold_margin(mut self, margin: Duration) -> PullConsumerBuilder {
        self.options.hold_margin = margin;
        self
    }

    /// Sets how many messages a pull returns at most, 1 to 1024; 32 by default. See
    /// [`PreparedPull::max`](super::PreparedPull::max).
    pub fn max(mut self, messages: usize) -> PullConsumerBuilder {
        self.options.max = messages;
        self
    }

    /// Sets how many bytes a broker is asked to return at most, up to 16 MiB; it decides by default. See
    /// [`PreparedPull::max_bytes`](super::PreparedPull::max_bytes).
    pub fn max_bytes(mut self, bytes: usize) -> PullConsumerBuilder {
        self.options.max_bytes = Some(bytes);
        self
    }

    /// Sets how many asynchronous pulls may be under way, 1 or more; 256 by default. A pull counts until its callback
    /// begins.
    pub fn window(mut self, pulls: usize) -> PullConsumerBuilder {
        self.options.window = pulls;
        self
    }

    /// Takes part in sharing the queues of a topic (Java: `setRegisterTopics`): brokers learn that this member of the group
    /// reads it, [`queues_in_balance`](PullConsumer::queues_in_balance) says which queues are this member's, and the
    /// [`message_queue_listener`](PullConsumerBuilder::message_queue_listener) when they change. All members must register
    /// the same topics. A consumer with none has no part in that, and no thread.
    pub fn register_topic(mut self, topic: impl Into<Arc<str>>) -> PullConsumerBuilder {
        self.topics.push(topic.into());
        self
    }

    /// Sets what is told when the queues that this member has of a [registered topic](PullConsumerBuilder::register_topic)
    /// change: the topic, all its queues, and those of this member (Java: `MessageQueueListener`).
    ///
    /// It runs on a callback thread, one call at a time; of changes that follow each other quickly it may only see the last. A
    /// panic is logged.
    pub fn message_queue_listener(
        mut self,
        listener: impl Fn(&str, &[MessageQueue], &[MessageQueue]) + Send + Sync + 'static,
    ) -> PullConsumerBuilder {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Sets whether the members of the group share the queues of registered topics, or each has all of them and keeps its
    /// own offsets in a file; [`MessageModel::Clustering`] by default (Java: `messageModel`).
    pub fn message_model(mut self, model: MessageModel) -> PullConsumerBuilder {
        self.model = model;
        self
    }

    /// Keeps the offsets of [`update_offset`](PullConsumer::update_offset) in a store of your own instead of at the brokers.
    pub fn offset_store(mut self, store: impl OffsetStore + 'static) -> PullConsumerBuilder {
        self.offsets.own(Arc::new(store));
        self
    }

    /// Sets where a broadcasting consumer keeps its offsets, as
    /// [`PushConsumerBuilder::offset_folder`](crate::PushConsumerBuilder::offset_folder) does.
    pub fn offset_folder(mut self, folder: impl Into<PathBuf>) -> PullConsumerBuilder {
        self.offsets.folder(folder.into());
        self
    }

    /// Sets how the queues of registered topics are divided; [`Averagely`] by default. All members of a group must use the
    /// same.
    pub fn allocation(mut self, allocation: impl Allocation + 'static) -> PullConsumerBuilder {
        self.allocation = Arc::new(allocation);
        self
    }

    /// Sets how often the group is rebalanced when nothing changes. By default what `ROCKETMQ_CLIENT_REBALANCE_WAITINTERVAL`
    /// in the environment says, in milliseconds, else 20 s.
    pub fn rebalance_interval(mut self, interval: Duration) -> PullConsumerBuilder {
        self.rebalance_interval = Some(interval);
        self
    }

    /// Sets how often the offsets of [`update_offset`](PullConsumer::update_offset) are stored; 5 s by default (Java:
    /// `persistConsumerOffsetInterval`).
    pub fn persist_interval(mut self, interval: Duration) -> PullConsumerBuilder {
        self.persist_interval = interval;
        self
    }

    /// Starts the consumer: its group joins the client, and brokers learn of it with the next heartbeats. It does not
    /// block, but for reading the file of a broadcasting one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of its range, or a group whose name is blank, too long, reserved, or has
    /// characters other than letters, digits and `% | _ -`. [`Error::GroupInUse`] when this client already has a
    /// consumer of this group. [`Error::OffsetStore`] when the file of a broadcasting consumer cannot be read.
    /// [`Error::Closed`] when the client is closed.
    pub fn start(self) -> Result<PullConsumer> {
        self.start_with(None)
    }

    /// `tasks` is told which queues are to be pulled.
    pub(super) fn start_with(self, tasks: Option<Arc<Tasks>>) -> Result<PullConsumer> {
        names::check_group(&self.group)?;
        self.topics.iter().try_for_each(|topic| names::check_topic(topic))?;
        let core = self.client.core().clone();
        check(&self.options, core.options().callback_queue)?;
        if self.persist_interval.is_zero() {
            return Err(Error::invalid("the interval of storing offsets is zero"));
        }
        let engine = self.engine_options()?;
        let PullConsumerBuilder { client, group, options, topics, listener, model, offsets, persist_interval, .. } =
            self;
        let store = offsets.open(&core, &group, model)?;
        let (keeper, keeping) = store.map(|store| Keeper::start(&group, store)).transpose()?.unzip();
        let positions = Positions::new(&core, &group, persist_interval, keeper);
        let share = (!topics.is_empty()).then(|| {
            let (core, positions, tasks) = (core.clone(), positions.clone(), tasks.clone());
            Arc::new(Share { core, positions, tasks, listener, state: Mutex::default() })
        });
        let upkeep = Arc::new(Upkeep {
            shared: Arc::new(Shared::new(&core, &group, options)),
            positions,
            share: share.clone(),
            tasks,
            parts: Mutex::new(Parts { keeping, ..Parts::default() }),
        });
        let weak = Arc::downgrade(&upkeep);
        let close: Close = Box::new(move || close_with_client(&weak));
        match share {
            None => upkeep.shared.joined(core.groups().join(&core, alone(&core, group, model, close))?),
            Some(share) => {
                let mut subscriptions = Subscriptions::default();
                for topic in topics {
                    // Twice is the same.
                    subscriptions.add(topic, Filter::all());
                }
                let settings = settings(model);
                let plan =
                    Plan { client: client.clone(), group, settings, options: engine, subscriptions, store: None };
                let running = Running::start_within(plan, Some(close), Box::new(|_| Ok(Box::new(ShareSink(share)))))?;
                upkeep.parts().running = Some(running);
            }
        }
        Ok(PullConsumer::new(client, upkeep))
    }

    /// An engine that only divides queues.
    fn engine_options(&self) -> Result<EngineOptions> {
        Ok(EngineOptions {
            group: self.group.clone(),
            client_id: self.client.core().client_id().clone(),
            model: self.model,
            order: Order::Elsewhere,
            allocation: self.allocation.clone(),
            by_broker: None,
            batch: 1,
            slots: 0,
            limits: Limits { messages: 0, bytes: 0, span: None },
            topic_limits: (None, None),
            pull_interval: Duration::ZERO,
            rebalance_interval: rebalance_interval(self.rebalance_interval)?,
            persist_interval: self.persist_interval,
            consume_timeout: Duration::ZERO,
            suspend: Duration::ZERO,
            max_reconsume: None,
            revoke_grace: Duration::ZERO,
            handover: Duration::ZERO,
        })
    }
}

/// What heartbeats say about a pull consumer.
const CONSUME_TYPE: &str = "CONSUME_ACTIVELY";

/// The settings of an engine's requests; it sends no pulls.
fn settings(model: MessageModel) -> Settings {
    Settings {
        consume_type: CONSUME_TYPE,
        model,
        from: ConsumeFromWhere::LastOffset,
        pull_batch: 1,
        pull_bytes: None,
        hold: Duration::ZERO,
        max_reconsume: None,
    }
}

/// A member that shares no queues.
fn alone(core: &Core, group: Arc<str>, model: MessageModel, close: Close) -> Member {
    let body = ConsumerBody {
        group_name: group.clone(),
        consume_type: CONSUME_TYPE.into(),
        message_model: model.wire_name().into(),
        consume_from_where: ConsumeFromWhere::LastOffset.wire_name().into(),
        // Pulls carry their subscription themselves.
        subscription_data_set: Vec::new(),
        unit_mode: core.options().unit_mode,
    };
    Member { kind: GroupKind::Consumer, group, consumer: Some(body), mailbox: None, checks: None, close }
}

fn close_with_client(upkeep: &Weak<Upkeep>) -> CloseReport {
    let Some(upkeep) = upkeep.upgrade() else { return CloseReport::default() };
    let deadline = upkeep.shared.core().close_deadline().unwrap_or_else(|| Deadline::after(super::DEFAULT_GRACE));
    upkeep.close(deadline)
}

impl fmt::Debug for PullConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PullConsumerBuilder { group, options, topics, model, .. } = self;
        let mut shown = f.debug_struct("PullConsumerBuilder");
        shown.field("group", group).field("options", options).field("topics", topics).field("model", model);
        shown.finish_non_exhaustive()
    }
}

fn check(options: &PullOptions, callback_queue: usize) -> Result<()> {
    check_max(options.max)?;
    options.max_bytes.map_or(Ok(()), check_max_bytes)?;
    if options.timeout.is_zero() || options.hold.is_zero() {
        return Err(Error::invalid("timeout and hold of a pull consumer must be above zero"));
    }
    if !(1..=callback_queue).contains(&options.window) {
        let window = options.window;
        let range = format!("1 to {callback_queue}, the length of the client's callback queue, are possible");
        return Err(Error::invalid(format!("a window of {window} asynchronous pulls: {range}")));
    }
    Ok(())
}
