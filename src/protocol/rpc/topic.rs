//! Topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::by_queue::ByQueue;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
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

    /// Creates the part of a static topic that lies on one broker (brokers 5.0 and later); the body is a [`MappingBody`].
    pub(crate) struct CreateStaticTopic {
        "topic" => topic: Arc<str>,
        "defaultTopic" => default_topic: Arc<str>,
        "readQueueNums" => read_queues: i32,
        "writeQueueNums" => write_queues: i32,
        "perm" => perm: i32,
        "topicFilterType" => filter_type: Option<String>,
        "topicSysFlag" => sys_flag: Option<i32>,
        "order" => order: bool,
        /// Whether a mapping that is older than the one there is taken.
        "force" => force: Option<bool>,
    }

    /// Asks for the settings of a topic (brokers 5.0 and later).
    pub(crate) struct GetTopicConfig {
        "topic" => topic: Arc<str>,
        /// With the mapping of a static topic.
        "lo" => mapping: Option<bool>,
    }

    /// Asks for the settings of all topics, from the one of this number on (brokers 5.x); the answer's body is a
    /// [`TopicConfigsBody`].
    pub(crate) struct GetTopicConfigs {
        "topicSeq" => first: Option<i32>,
    }

    /// How many topics there are in all; brokers 4.x, which always tell of all, do not say it.
    pub(crate) struct TopicConfigsReply {
        "totalTopicNum" => total: Option<i32>,
    }

    /// Asks how many messages the queues of a topic hold; the answer's body is a [`TopicStatsBody`].
    pub(crate) struct GetTopicStats {
        "topic" => topic: Arc<str>,
    }

    /// Deletes a topic from one broker.
    pub(crate) struct DeleteTopic {
        "topic" => topic: Arc<str>,
    }
}

requests! {
    CreateTopic = UPDATE_AND_CREATE_TOPIC -> NoFields;
    CreateStaticTopic = UPDATE_AND_CREATE_STATIC_TOPIC -> NoFields;
    GetTopicConfig = GET_TOPIC_CONFIG -> NoFields;
    GetTopicConfigs = GET_ALL_TOPIC_CONFIG -> TopicConfigsReply;
    GetTopicStats = GET_TOPIC_STATS_INFO -> NoFields;
    DeleteTopic = DELETE_TOPIC_IN_BROKER -> NoFields;
}

/// The settings of a topic on one broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicConfigBody {
    pub(crate) attributes: BTreeMap<String, String>,
    /// Only of static topics, and only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mapping_detail: Option<MappingBody>,
    pub(crate) order: bool,
    pub(crate) perm: i32,
    pub(crate) read_queue_nums: i32,
    pub(crate) topic_filter_type: String,
    pub(crate) topic_name: String,
    pub(crate) topic_sys_flag: i32,
    pub(crate) write_queue_nums: i32,
}

/// The settings of all topics of a broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicConfigsBody {
    pub(crate) topic_config_table: BTreeMap<String, TopicConfigBody>,
}

/// Which queues of a static topic lie on a broker, and where their messages lay before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MappingBody {
    pub(crate) bname: String,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) epoch: i64,
    /// By the number of the topic's queue, oldest first.
    pub(crate) hosted_queues: BTreeMap<i32, Vec<MappedBody>>,
    pub(crate) scope: String,
    pub(crate) topic: String,
    pub(crate) total_queues: i32,
}

/// A part of a static topic's queue: a queue of a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MappedBody {
    pub(crate) bname: String,
    /// -1 while it grows.
    #[serde(deserialize_with = "json::integer")]
    pub(crate) end_offset: i64,
    #[serde(rename = "gen")]
    pub(crate) generation: i32,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) logic_offset: i64,
    pub(crate) queue_id: i32,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) start_offset: i64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) time_of_end: i64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) time_of_start: i64,
}

/// How many messages the queues of a topic hold on one broker.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicStatsBody {
    pub(crate) offset_table: ByQueue<QueueStatsBody>,
    /// Messages a second; brokers 4.x do not say it.
    pub(crate) topic_put_tps: f64,
}

/// What one queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueueStatsBody {
    /// 0 when there is no message.
    #[serde(deserialize_with = "json::integer")]
    pub(crate) last_update_timestamp: i64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) max_offset: i64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) min_offset: i64,
}

impl TopicStatsBody {
    /// The body as a broker writes it.
    pub(crate) fn text(&self) -> String {
        format!(r#"{{"offsetTable":{},"topicPutTps":{:?}}}"#, self.offset_table.text(), self.topic_put_tps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apaches_broker_writes_is_read() {
        let config = br#"{"attributes":{},"mappingDetail":{"bname":"broker-b","currIdMap":{},"dirty":false,"epoch":17,
            "hostedQueues":{0:[{"bname":"broker-b","endOffset":-1,"gen":0,"logicOffset":0,"queueId":0,"startOffset":0,
            "timeOfEnd":-1,"timeOfStart":-1}],2:[]},"scope":"__global__","topic":"T","totalQueues":4},"order":false,
            "perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,
            "writeQueueNums":2}"#;
        let config: TopicConfigBody = json::decode("topic", config).unwrap();
        let mapping = config.mapping_detail.unwrap();
        assert_eq!((config.perm, mapping.total_queues, mapping.epoch), (6, 4, 17));
        assert_eq!((mapping.hosted_queues[&0][0].end_offset, mapping.hosted_queues[&2].len()), (-1, 0));
        let stats = br#"{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:
            {"lastUpdateTimestamp":17,"maxOffset":10,"minOffset":3}},"topicPutTps":0.5}"#;
        let stats: TopicStatsBody = json::decode("stats", stats).unwrap();
        assert_eq!((stats.offset_table.0[0].0.queue_id, stats.offset_table.0[0].1.max_offset), (1, 10));
        assert_eq!(json::decode::<TopicStatsBody>("stats", stats.text().as_bytes()).unwrap(), stats);
    }
}
