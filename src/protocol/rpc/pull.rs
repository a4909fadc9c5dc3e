//! Pulling.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::request::{headers, requests};

/// Bits of a pull's system flag.
pub(crate) mod pull_flag {
    /// Commit `commit_offset` before pulling; a master obeys, a slave must not be asked.
    pub(crate) const COMMIT_OFFSET: i32 = 1;
    /// Hold the request until a message arrives or the hold time ends.
    pub(crate) const SUSPEND: i32 = 2;
    /// The request carries its subscription, so no heartbeat is needed first.
    pub(crate) const SUBSCRIPTION: i32 = 4;
}

headers! {
    /// Asks for messages of one queue.
    pub(crate) struct PullMessage {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "queueOffset" => queue_offset: i64,
        "maxMsgNums" => max_messages: i32,
        "sysFlag" => sys_flag: i32,
        "commitOffset" => commit_offset: i64,
        "suspendTimeoutMillis" => suspend_timeout: Duration,
        "subscription" => subscription: Option<Arc<str>>,
        "subVersion" => sub_version: i64,
        "expressionType" => expression_type: Option<Arc<str>>,
        "maxMsgBytes" => max_bytes: Option<i32>,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// The answer to a pull, whatever its status.
    pub(crate) struct PullReply {
        /// From which broker id to pull this queue next; 0 is the master.
        "suggestWhichBrokerId" => suggested_broker_id: Option<i64>,
        "nextBeginOffset" => next_begin_offset: i64,
        "minOffset" => min_offset: i64,
        "maxOffset" => max_offset: i64,
        /// For static topics: to be added to each message's queue offset.
        "offsetDelta" => offset_delta: Option<i64>,
        "topicSysFlag" => topic_sys_flag: Option<i32>,
        "groupSysFlag" => group_sys_flag: Option<i32>,
        "forbiddenType" => forbidden_type: Option<i32>,
    }
}

requests! {
    PullMessage = PULL_MESSAGE -> PullReply [PULL_NOT_FOUND PULL_RETRY_IMMEDIATELY PULL_OFFSET_MOVED];
}
