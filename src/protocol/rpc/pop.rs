//! Pop: brokers hand messages out and keep count of who has them, until they are acknowledged or their time is up.
//!
//! Since 5.0. The codes do not fit the binary header, so these requests always travel as JSON.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::request::{headers, requests};

/// The most messages one pop may ask for; brokers refuse more.
pub(crate) const MAX_POP: usize = 32;
/// Stands for all queues of a broker.
pub(crate) const ANY_QUEUE: i32 = -1;
/// The queue of check points of an answer whose messages are popped in order: they have none.
pub(crate) const ORDERLY_REVIVE_QUEUE: i32 = 999;

/// Where a group starts that has never popped the topic.
pub(crate) mod init_mode {
    pub(crate) const MIN: i32 = 0;
    pub(crate) const MAX: i32 = 1;
}

headers! {
    /// Takes messages of one queue, or of any queue of the broker.
    pub(crate) struct PopMessage {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "maxMsgNums" => max_messages: i32,
        "invisibleTime" => invisible_time: Duration,
        /// How long the broker may wait for a message; zero to have an answer at once.
        "pollTime" => poll_time: Duration,
        /// When the client sent it; 0 lets the broker take its own clock, so that clocks need not agree.
        "bornTime" => born_time: i64,
        "initMode" => init_mode: i32,
        "expType" => expression_type: Option<Arc<str>>,
        "exp" => expression: Option<Arc<str>>,
        "order" => order: Option<bool>,
        "attemptId" => attempt_id: Option<Arc<str>>,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// The answer to a pop that found something; others have only `restNum`, or nothing.
    pub(crate) struct PopReply {
        "popTime" => pop_time: i64,
        "invisibleTime" => invisible_time: i64,
        "reviveQid" => revive_queue_id: i32,
        "restNum" => rest: Option<i64>,
        "startOffsetInfo" => start_offsets: Option<String>,
        "msgOffsetInfo" => message_offsets: Option<String>,
        "orderCountInfo" => order_counts: Option<String>,
    }

    /// Says that a message is done with.
    pub(crate) struct AckMessage {
        "consumerGroup" => consumer_group: Arc<str>,
        /// The topic the message was read from, which may be a retry topic.
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        /// The handle.
        "extraInfo" => extra_info: Arc<str>,
        "offset" => offset: i64,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// Sets anew for how long a message is invisible, counted from now.
    pub(crate) struct ChangeInvisible {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "extraInfo" => extra_info: Arc<str>,
        "offset" => offset: i64,
        "invisibleTime" => invisible_time: Duration,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// What the message's next handle is made of.
    pub(crate) struct ChangeInvisibleReply {
        "popTime" => pop_time: i64,
        "invisibleTime" => invisible_time: i64,
        "reviveQid" => revive_queue_id: i32,
    }

    /// Asks whether there is something to pop, without taking it; held until there is.
    pub(crate) struct Notification {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "pollTime" => poll_time: Duration,
        "bornTime" => born_time: i64,
        "order" => order: Option<bool>,
        "attemptId" => attempt_id: Option<Arc<str>>,
        "expType" => expression_type: Option<Arc<str>>,
        "exp" => expression: Option<Arc<str>>,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// Whether there is.
    pub(crate) struct NotificationReply {
        "hasMsg" => has_message: bool,
        /// The broker holds as many as it can; this one was not held.
        "pollingFull" => full: Option<bool>,
    }

    /// Asks how many requests wait for a message of a queue.
    pub(crate) struct PollingCount {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
    }

    /// How many wait.
    pub(crate) struct PollingCountReply {
        "pollingNum" => waiting: i32,
    }
}

requests! {
    PopMessage = POP_MESSAGE -> PopReply [PULL_NOT_FOUND POLLING_FULL POLLING_TIMEOUT];
    AckMessage = ACK_MESSAGE -> crate::protocol::fields::NoFields;
    ChangeInvisible = CHANGE_MESSAGE_INVISIBLETIME -> ChangeInvisibleReply;
    Notification = NOTIFICATION -> NotificationReply;
    PollingCount = POLLING_INFO -> PollingCountReply;
}
