use std::sync::Arc;
use std::time::Duration;

use super::pop::PopOptions;
use super::process_queue::Limits;
use crate::consumer::allocation::Allocation;

/// How the messages of a queue are handed to listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Several batches of a queue at once; what fails goes back to the broker and comes later.
    Concurrent,
    /// One batch of a queue at a time, under a lock of the broker; what fails holds up its queue.
    Orderly,
    /// Not at all: the queues are only divided, and whoever they are given to pulls and commits.
    Elsewhere,
    /// Callers take messages as they like, and say what they have finished. Nothing is committed by itself unless
    /// `auto_commit`.
    Polled { auto_commit: bool },
}

/// Whether the members of a group share the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageModel {
    /// Each message goes to one member of the group. Brokers keep the group's offsets.
    Clustering,
    /// Each message goes to every member. Each keeps offsets of its own, and what fails is not delivered again.
    Broadcasting,
}

impl MessageModel {
    /// What the wire calls it.
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            MessageModel::Clustering => "CLUSTERING",
            MessageModel::Broadcasting => "BROADCASTING",
        }
    }
}

/// The settings by which an engine decides.
#[derive(Debug, Clone)]
pub(crate) struct EngineOptions {
    pub(crate) group: Arc<str>,
    pub(crate) client_id: Arc<str>,
    pub(crate) model: MessageModel,
    pub(crate) order: Order,
    pub(crate) allocation: Arc<dyn Allocation>,
    /// Brokers say which queues this member has, and in which mode it reads them; else the members divide them.
    pub(crate) by_broker: Option<PopOptions>,
    /// Messages that one call of a listener gets, at most.
    pub(crate) batch: usize,
    /// Batches that listeners may have at once.
    pub(crate) slots: usize,
    pub(crate) limits: Limits,
    /// Messages and bytes of one topic, divided among its queues here.
    pub(crate) topic_limits: (Option<usize>, Option<usize>),
    pub(crate) pull_interval: Duration,
    pub(crate) rebalance_interval: Duration,
    pub(crate) persist_interval: Duration,
    /// How long a listener may have a message before it is given to somebody else.
    pub(crate) consume_timeout: Duration,
    /// How long an orderly queue stands still after a failure that names no time.
    pub(crate) suspend: Duration,
    /// How often a message is delivered again, `None` for ever.
    pub(crate) max_reconsume: Option<i32>,
    /// How long the listeners of a queue that goes to another member may take to end.
    pub(crate) revoke_grace: Duration,
    /// How long a queue that another member may have had is left alone, so that its last commit is there before the offset
    /// is read. Concurrent consumption has no lock, and without this pause every rebalance would deliver messages twice.
    pub(crate) handover: Duration,
}

impl EngineOptions {
    pub(crate) fn is_locked(&self) -> bool {
        self.order == Order::Orderly && self.model == MessageModel::Clustering
    }

    pub(crate) fn is_polled(&self) -> bool {
        matches!(self.order, Order::Polled { .. })
    }

    /// Whether what is finished is committed by itself.
    pub(crate) fn commits(&self) -> bool {
        self.order != Order::Polled { auto_commit: false }
    }
}
