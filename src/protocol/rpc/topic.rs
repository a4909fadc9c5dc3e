//! Topics.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

/// Bits of a topic's permissions.
pub(crate) mod perm {
    pub(crate) const INHERIT: i32 = 1;
    pub(crate) const WRITE: i32 = 2;
    pub(crate) const READ: i32 = 4;
}

headers! {
    /// Creates a topic on one broker, or changes it.
    pub(crate) struct CreateTopic {
        "topic" => topic: Arc<str>,
        "defaultTopic" => default_topic: Arc<str>,
        "readQueueNums" => read_queues: i32,
        "writeQueueNums" => write_queues: i32,
        "perm" => perm: i32,
        "topicFilterType" => filter_type: Option<String>,
        "topicSysFlag" => sys_flag: Option<i32>,
        "order" => order: bool,
        /// Brokers 5.x: `+key=value`, joined by commas.
        "attributes" => attributes: Option<String>,
    }

    /// Deletes a topic from one broker.
    pub(crate) struct DeleteTopic {
        "topic" => topic: Arc<str>,
    }
}

requests! {
    CreateTopic = UPDATE_AND_CREATE_TOPIC -> NoFields;
    DeleteTopic = DELETE_TOPIC_IN_BROKER -> NoFields;
}
