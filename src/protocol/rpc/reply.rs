//! Replies on their way back to the client that asked.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

headers! {
    /// Hands a reply to the client that waits for it (Java: `ReplyMessageRequestHeader`); the body is the reply's, compressed if
    /// it was sent so. A broker asks this of a client, waits for the answer and passes it on to whoever replied.
    pub(crate) struct PushReply {
        "bornHost" => born_host: Option<String>,
        "bornTimestamp" => born_timestamp: i64,
        "defaultTopic" => default_topic: Option<Arc<str>>,
        "defaultTopicQueueNums" => default_topic_queues: Option<i32>,
        "flag" => flag: i32,
        "producerGroup" => producer_group: Option<Arc<str>>,
        "properties" => properties: Option<String>,
        "queueId" => queue_id: i32,
        "reconsumeTimes" => reconsume_times: Option<i32>,
        "storeHost" => store_host: Option<String>,
        "storeTimestamp" => store_timestamp: i64,
        "sysFlag" => sys_flag: i32,
        "topic" => topic: Arc<str>,
        "unitMode" => unit_mode: Option<bool>,
    }
}

requests! {
    PushReply = PUSH_REPLY_MESSAGE_TO_CLIENT -> NoFields;
}
