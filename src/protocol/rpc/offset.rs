//! Offsets of queues and of groups.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

headers! {
    /// Asks for the offset the next message of a queue will get.
    pub(crate) struct MaxOffset {
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// Asks for the smallest offset a queue still has.
    pub(crate) struct MinOffset {
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// Asks for the first offset stored at or after a time.
    pub(crate) struct SearchOffset {
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "timestamp" => timestamp: i64,
        /// `LOWER` (the default) or `UPPER`; brokers before 5.1.4 ignore it.
        "boundaryType" => boundary: Option<String>,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// Asks when the oldest message of a queue was stored.
    pub(crate) struct EarliestStoreTime {
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// The answer to the questions for an offset.
    pub(crate) struct OffsetReply {
        "offset" => offset: i64,
    }

    /// The answer to the question for a time: milliseconds, -1 when the queue is empty.
    pub(crate) struct TimestampReply {
        "timestamp" => timestamp: i64,
    }

    /// Asks how far a group has consumed a queue.
    pub(crate) struct ConsumerOffset {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        /// False makes brokers 5.x say `QUERY_NOT_FOUND` also for a young topic, where they else say 0.
        "setZeroIfNotFound" => zero_if_not_found: Option<bool>,
        "bname" => broker_name: Option<Arc<str>>,
    }

    /// The answer to it; absent when the group never committed.
    pub(crate) struct ConsumerOffsetReply {
        "offset" => offset: Option<i64>,
    }

    /// Stores how far a group has consumed a queue. A broker stores a smaller offset over a larger one.
    pub(crate) struct UpdateConsumerOffset {
        "consumerGroup" => consumer_group: Arc<str>,
        "topic" => topic: Arc<str>,
        "queueId" => queue_id: i32,
        "commitOffset" => commit_offset: i64,
        "bname" => broker_name: Option<Arc<str>>,
    }
}

requests! {
    MaxOffset = GET_MAX_OFFSET -> OffsetReply;
    MinOffset = GET_MIN_OFFSET -> OffsetReply;
    SearchOffset = SEARCH_OFFSET_BY_TIMESTAMP -> OffsetReply;
    EarliestStoreTime = GET_EARLIEST_MSG_STORETIME -> TimestampReply;
    ConsumerOffset = QUERY_CONSUMER_OFFSET -> ConsumerOffsetReply [QUERY_NOT_FOUND];
    UpdateConsumerOffset = UPDATE_CONSUMER_OFFSET -> NoFields;
}
