//! What operators ask brokers about groups, and tell them to do with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::by_queue::ByQueue;
use super::heartbeat::SubscriptionBody;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests};

headers! {
    /// Asks which clients of a consumer group are connected to a broker; the answer's body is a [`ConnectionsBody`].
    pub(crate) struct ConsumerConnections {
        "consumerGroup" => consumer_group: Arc<str>,
    }

    /// Asks how far a group has consumed the queues of a broker; the answer's body is a [`ConsumeStatsBody`].
    pub(crate) struct ConsumeStats {
        "consumerGroup" => consumer_group: Arc<str>,
        /// All topics of the group when absent.
        "topic" => topic: Option<Arc<str>>,
    }

    /// Moves the offsets of a group; the answer's body is a table of them.
    pub(crate) struct ResetOffset {
        "topic" => topic: Arc<str>,
        "group" => group: Arc<str>,
        /// Milliseconds; -1 stands for behind the last message.
        "timestamp" => timestamp: i64,
        /// Whether offsets may go forward, too.
        "isForce" => force: bool,
        /// -1: all queues.
        "queueId" => queue_id: Option<i32>,
        /// -1: the one of the time.
        "offset" => offset: Option<i64>,
    }
}

requests! {
    ConsumerConnections = GET_CONSUMER_CONNECTION_LIST -> NoFields [CONSUMER_NOT_ONLINE];
    ConsumeStats = GET_CONSUME_STATS -> NoFields;
    ResetOffset = INVOKE_BROKER_TO_RESET_OFFSET -> NoFields [CONSUMER_NOT_ONLINE];
}

/// The clients of a consumer group, and what the last of them to say so consumes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConnectionsBody {
    pub(crate) connection_set: Vec<ConnectionBody>,
    pub(crate) consume_from_where: String,
    pub(crate) consume_type: String,
    pub(crate) message_model: String,
    pub(crate) subscription_table: BTreeMap<Arc<str>, SubscriptionBody>,
}

/// A client's connection to a broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConnectionBody {
    pub(crate) client_addr: String,
    pub(crate) client_id: Arc<str>,
    /// Left out for one that the broker does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    pub(crate) version: i32,
}

/// How far a group has consumed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConsumeStatsBody {
    pub(crate) consume_tps: f64,
    pub(crate) offset_table: ByQueue<ProgressBody>,
}

/// How far a group has consumed one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProgressBody {
    #[serde(deserialize_with = "json::integer")]
    pub(crate) broker_offset: i64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) consumer_offset: i64,
    /// When the message before the consumer's offset was stored; 0 when that is not known.
    #[serde(deserialize_with = "json::integer")]
    pub(crate) last_timestamp: i64,
    /// Brokers before 5.0 leave it out.
    #[serde(deserialize_with = "json::integer")]
    pub(crate) pull_offset: i64,
}

/// The queues a client has, of the answer to [`RunningInfo`](super::diagnosis::RunningInfo); there is more in its body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RunningQueuesBody {
    #[serde(rename = "mqTable")]
    pub(crate) queues: ByQueue<serde::de::IgnoredAny>,
}

impl ConsumeStatsBody {
    /// The body as a broker writes it.
    pub(crate) fn text(&self) -> String {
        format!(r#"{{"consumeTps":{:?},"offsetTable":{}}}"#, self.consume_tps, self.offset_table.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apaches_broker_writes_is_read() {
        let stats = br#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"b","queueId":2,"topic":"T"}:
            {"brokerOffset":10,"consumerOffset":5,"lastTimestamp":1700000000000,"pullOffset":7}}}"#;
        let stats: ConsumeStatsBody = json::decode("progress", stats).unwrap();
        let (queue, progress) = &stats.offset_table.0[0];
        assert_eq!((&*queue.topic, queue.queue_id, progress.consumer_offset, progress.pull_offset), ("T", 2, 5, 7));
        assert_eq!(json::decode::<ConsumeStatsBody>("progress", stats.text().as_bytes()).unwrap(), stats);
        let connections = br#"{"connectionSet":[{"clientAddr":"1.2.3.4:5","clientId":"c","version":513}],
            "consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",
            "subscriptionTable":{"T":{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*",
            "subVersion":1700000000000,"tagsSet":[],"topic":"T"}}}"#;
        let connections: ConnectionsBody = json::decode("connections", connections).unwrap();
        assert_eq!((connections.connection_set[0].version, &connections.connection_set[0].language), (513, &None));
        assert_eq!(connections.subscription_table["T"].sub_string, "*");
    }
}
