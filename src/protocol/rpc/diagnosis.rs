//! What operators ask the members of a group, through a broker.
//!
//! Tables by queue have objects as keys, which is how Java's tools read and write them; in plain JSON there is no such thing, so
//! they are put together here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::by_queue::{table, text};
use super::heartbeat::SubscriptionBody;
use super::lock::QueueBody;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests};

headers! {
    /// Asks a member of a group how it is; brokers pass it on. The answer's body is a [`RunningBody`].
    pub(crate) struct RunningInfo {
        "clientId" => client_id: Arc<str>,
        "consumerGroup" => consumer_group: Arc<str>,
        "jstackEnable" => stacks: Option<bool>,
    }

    /// Has a member of a group consume a message now. Brokers pass it on with the message as its body; the answer's body is a
    /// [`DirectBody`].
    pub(crate) struct ConsumeDirectly {
        "brokerName" => broker_name: Option<Arc<str>>,
        "clientId" => client_id: Option<Arc<str>>,
        "consumerGroup" => consumer_group: Arc<str>,
        "msgId" => message_id: Option<String>,
        "topic" => topic: Option<Arc<str>>,
    }

    /// Asks a member of a group for its offsets in a topic. The answer's body is a table by queue.
    pub(crate) struct ConsumerStatus {
        "group" => group: Arc<str>,
        "topic" => topic: Arc<str>,
    }

    /// Has a broker ask the members of a group, or one of them, for their offsets in a topic.
    pub(crate) struct AskConsumerStatus {
        "clientAddr" => client_id: Option<Arc<str>>,
        "group" => group: Arc<str>,
        "topic" => topic: Arc<str>,
    }
}

requests! {
    RunningInfo = GET_CONSUMER_RUNNING_INFO -> NoFields;
    ConsumeDirectly = CONSUME_MESSAGE_DIRECTLY -> NoFields;
    ConsumerStatus = GET_CONSUMER_STATUS_FROM_CLIENT -> NoFields;
    AskConsumerStatus = INVOKE_BROKER_TO_GET_CONSUMER_STATUS -> NoFields;
}

/// What a member says about itself.
#[derive(Debug, Default)]
pub(crate) struct RunningBody {
    pub(crate) queues: Vec<(QueueBody, QueueStatus)>,
    /// Must name the kind of consumer and the time of its start, see [`property`].
    pub(crate) properties: BTreeMap<&'static str, String>,
    pub(crate) topics: BTreeMap<Arc<str>, TopicStatus>,
    pub(crate) subscriptions: Vec<SubscriptionBody>,
}

/// Names of properties that Java's tools look for.
pub(crate) mod property {
    pub(crate) const CONSUME_TYPE: &str = "PROP_CONSUME_TYPE";
    pub(crate) const STARTED: &str = "PROP_CONSUMER_START_TIMESTAMP";
    pub(crate) const ORDERLY: &str = "PROP_CONSUMEORDERLY";
    pub(crate) const THREADS: &str = "PROP_THREADPOOL_CORE_SIZE";
    pub(crate) const NAME_SERVERS: &str = "PROP_NAMESERVER_ADDR";
    pub(crate) const CLIENT_VERSION: &str = "PROP_CLIENT_VERSION";
}

/// One queue that a member has. The spellings are the wire's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueueStatus {
    pub(crate) cached_msg_count: usize,
    pub(crate) cached_msg_max_offset: i64,
    pub(crate) cached_msg_min_offset: i64,
    pub(crate) cached_msg_size_in_mi_b: usize,
    pub(crate) commit_offset: i64,
    pub(crate) droped: bool,
    pub(crate) last_consume_timestamp: i64,
    pub(crate) last_lock_timestamp: i64,
    pub(crate) last_pull_timestamp: i64,
    pub(crate) locked: bool,
    pub(crate) transaction_msg_count: usize,
    pub(crate) transaction_msg_max_offset: i64,
    pub(crate) transaction_msg_min_offset: i64,
    pub(crate) try_unlock_times: i64,
}

/// How a member consumes one topic.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TopicStatus {
    #[serde(rename = "consumeFailedMsgs")]
    pub(crate) failed: u64,
    #[serde(rename = "consumeFailedTPS")]
    pub(crate) failed_per_second: f64,
    #[serde(rename = "consumeOKTPS")]
    pub(crate) consumed_per_second: f64,
    /// In milliseconds.
    #[serde(rename = "consumeRT")]
    pub(crate) listener_time: f64,
    /// In milliseconds.
    #[serde(rename = "pullRT")]
    pub(crate) pull_time: f64,
    #[serde(rename = "pullTPS")]
    pub(crate) pulled_per_second: f64,
}

impl RunningBody {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let queues = table(self.queues.iter().map(|(queue, status)| (text(queue), text(status))));
        let (properties, topics) = (text(&self.properties), text(&self.topics));
        let subscriptions = text(&self.subscriptions);
        format!(
            r#"{{"mqPopTable":{{}},"mqTable":{queues},"properties":{properties},"statusTable":{topics},"subscriptionSet":{subscriptions},"userConsumerInfo":{{}}}}"#
        )
        .into_bytes()
    }
}

/// How consuming a message for an operator went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DirectBody {
    #[serde(default)]
    pub(crate) auto_commit: bool,
    /// One of the names in [`outcome`].
    pub(crate) consume_result: String,
    #[serde(default)]
    pub(crate) order: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
    #[serde(default)]
    pub(crate) spent_time_mills: u64,
}

/// How consuming can go, in Java's words.
pub(crate) mod outcome {
    pub(crate) const SUCCESS: &str = "CR_SUCCESS";
    pub(crate) const LATER: &str = "CR_LATER";
    pub(crate) const PANICKED: &str = "CR_THROW_EXCEPTION";
}

/// The answer of one member about its offsets.
pub(crate) fn encode_status(offsets: &[(QueueBody, i64)]) -> Vec<u8> {
    let offsets = table(offsets.iter().map(|(queue, offset)| (text(queue), offset.to_string())));
    format!(r#"{{"consumerTable":{{}},"messageQueueTable":{offsets}}}"#).into_bytes()
}

/// The answer of a broker about the offsets of the members, each with what it said itself.
pub(crate) fn encode_statuses<'a>(members: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Body {
        message_queue_table: BTreeMap<String, i64>,
    }
    let of = |body: &[u8]| {
        let body: Body = json::decode("status of a consumer", body).unwrap_or_default();
        // The keys are the texts of objects. What is none would make the whole answer unreadable.
        let queue = |key: String| json::decode::<QueueBody>("queue", key.as_bytes()).ok();
        let entries = body.message_queue_table.into_iter().filter_map(|(key, offset)| Some((queue(key)?, offset)));
        table(entries.map(|(queue, offset)| (text(&queue), offset.to_string())))
    };
    let members = table(members.map(|(client_id, body)| (text(client_id), of(body))));
    format!(r#"{{"consumerTable":{members},"messageQueueTable":{{}}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(queue_id: i32) -> QueueBody {
        QueueBody { broker_name: "b".into(), queue_id, topic: "T".into() }
    }

    #[test]
    fn tables_have_queues_as_keys() {
        let status = encode_status(&[(queue(0), 5), (queue(1), 7)]);
        let expected = r#"{"consumerTable":{},"messageQueueTable":{{"brokerName":"b","queueId":0,"topic":"T"}:5,{"brokerName":"b","queueId":1,"topic":"T"}:7}}"#;
        assert_eq!(String::from_utf8(status.clone()).unwrap(), expected);
        let members = [("one", &*status), ("other", b"{}")];
        let expected = r#"{"consumerTable":{"one":{{"brokerName":"b","queueId":0,"topic":"T"}:5,{"brokerName":"b","queueId":1,"topic":"T"}:7},"other":{}},"messageQueueTable":{}}"#;
        assert_eq!(String::from_utf8(encode_statuses(members.into_iter())).unwrap(), expected);
    }

    #[test]
    fn what_is_no_queue_is_left_out_of_what_members_answered() {
        let body = br#"{"messageQueueTable":{"a[b":5,{"brokerName":"b","queueId":0,"topic":"T"}:7}}"#;
        let expected =
            r#"{"consumerTable":{"one":{{"brokerName":"b","queueId":0,"topic":"T"}:7}},"messageQueueTable":{}}"#;
        assert_eq!(String::from_utf8(encode_statuses([("one", &body[..])].into_iter())).unwrap(), expected);
    }

    #[test]
    fn a_member_describes_itself_in_the_words_of_java() {
        let status = QueueStatus { cached_msg_count: 3, cached_msg_size_in_mi_b: 1, ..QueueStatus::default() };
        let body = RunningBody {
            queues: vec![(queue(0), status)],
            properties: [(property::CONSUME_TYPE, "CONSUME_PASSIVELY".to_owned())].into(),
            topics: [("T".into(), TopicStatus { pulled_per_second: 1.5, ..TopicStatus::default() })].into(),
            subscriptions: Vec::new(),
        };
        let text = String::from_utf8(body.encode()).unwrap();
        for part in [
            r#""mqTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{"cachedMsgCount":3,"#,
            r#""cachedMsgSizeInMiB":1"#,
            r#""droped":false"#,
            r#""properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"}"#,
            r#""statusTable":{"T":{"consumeFailedMsgs":0,"consumeFailedTPS":0.0,"#,
            r#""pullTPS":1.5"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
