//! Topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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

    /// Asks for the settings of a topic (brokers 5.0 and later).
    pub(crate) struct GetTopicConfig {
        "topic" => topic: Arc<str>,
    }

    /// Deletes a topic from one broker.
    pub(crate) struct DeleteTopic {
        "topic" => topic: Arc<str>,
    }
}

requests! {
    CreateTopic = UPDATE_AND_CREATE_TOPIC -> NoFields;
    GetTopicConfig = GET_TOPIC_CONFIG -> NoFields;
    DeleteTopic = DELETE_TOPIC_IN_BROKER -> NoFields;
}

/// The settings of a topic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicConfigBody {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) order: bool,
    pub(crate) perm: i32,
    pub(crate) read_queue_nums: i32,
    pub(crate) topic_filter_type: String,
    pub(crate) topic_name: String,
    pub(crate) topic_sys_flag: i32,
    pub(crate) write_queue_nums: i32,
}
