//! Consumer groups as brokers keep them: their settings, what they consume, and copying their offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::heartbeat::SubscriptionBody;
use super::lock::QueueBody;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests, without_fields};

without_fields! {
    /// Creates a group, or changes its settings; the body is a [`GroupBody`].
    pub(crate) struct PutGroup;

    /// Asks for the settings of all groups; the answer's body is a [`GroupsBody`].
    pub(crate) struct GetGroups;
}

headers! {
    /// Asks for the settings of one group, which brokers create then when they create groups on first use; the answer's body is
    /// a [`GroupBody`]. Since 5.0.
    pub(crate) struct GetGroup {
        "group" => group: Arc<str>,
    }

    /// Deletes a group.
    pub(crate) struct DeleteGroup {
        /// Whether its offsets go with it: the name since 5.0.
        "cleanOffset" => clean_offset: Option<bool>,
        "groupName" => group: Arc<str>,
        /// The name before.
        "removeOffset" => remove_offset: Option<bool>,
    }

    /// Asks which groups consume a topic, or have; the answer's body is a [`GroupNamesBody`].
    pub(crate) struct TopicGroups {
        "topic" => topic: Arc<str>,
    }

    /// Asks of which topics a group has offsets; the answer's body is a list of topics.
    pub(crate) struct GroupTopics {
        "group" => group: Arc<str>,
    }

    /// Asks what a group wants of a topic; the answer's body is a [`GroupSubscriptionBody`].
    pub(crate) struct GroupSubscription {
        "group" => group: Arc<str>,
        "topic" => topic: Option<Arc<str>>,
    }

    /// Asks how old the messages of a topic's queues are, and those a group is at; the answer's body is a [`TimeSpansBody`].
    pub(crate) struct TimeSpans {
        "group" => group: Arc<str>,
        "topic" => topic: Arc<str>,
    }

    /// Gives a group the offsets of another one.
    pub(crate) struct CloneOffsets {
        "destGroup" => to: Arc<str>,
        /// Whether to do so for a topic that the group has left.
        "offline" => offline: Option<bool>,
        "srcGroup" => from: Arc<str>,
        "topic" => topic: Option<Arc<str>>,
    }
}

requests! {
    PutGroup = UPDATE_AND_CREATE_SUBSCRIPTIONGROUP -> NoFields;
    GetGroups = GET_ALL_SUBSCRIPTIONGROUP_CONFIG -> NoFields;
    GetGroup = GET_SUBSCRIPTIONGROUP_CONFIG -> NoFields;
    DeleteGroup = DELETE_SUBSCRIPTIONGROUP -> NoFields;
    TopicGroups = QUERY_TOPIC_CONSUME_BY_WHO -> NoFields;
    GroupTopics = QUERY_TOPICS_BY_CONSUMER -> NoFields;
    GroupSubscription = QUERY_SUBSCRIPTION_BY_CONSUMER -> NoFields;
    TimeSpans = QUERY_CONSUME_TIME_SPAN -> NoFields;
    CloneOffsets = CLONE_GROUP_OFFSET -> NoFields;
}

/// The settings of a group. Absent ones have Java's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupBody {
    pub(crate) attributes: BTreeMap<String, String>,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) broker_id: i64,
    pub(crate) consume_broadcast_enable: bool,
    pub(crate) consume_enable: bool,
    pub(crate) consume_from_min_enable: bool,
    pub(crate) consume_message_orderly: bool,
    pub(crate) consume_timeout_minute: i32,
    pub(crate) group_name: Arc<str>,
    pub(crate) group_retry_policy: RetryPolicyBody,
    pub(crate) group_sys_flag: i32,
    pub(crate) notify_consumer_ids_changed_enable: bool,
    pub(crate) retry_max_times: i32,
    pub(crate) retry_queue_nums: i32,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) which_broker_when_consume_slowly: i64,
    /// What newer brokers keep besides, so that changing a group does not lose it.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Value>,
}

/// When what failed is tried again. Which of the two it is, is its type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RetryPolicyBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customized_retry_policy: Option<CustomRetryBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exponential_retry_policy: Option<ExponentialRetryBody>,
    /// `CUSTOMIZED`, which is meant when it is absent, or `EXPONENTIAL`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
}

/// Each attempt's delay, in milliseconds; the last one for all further.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CustomRetryBody {
    pub(crate) next: Vec<i64>,
}

/// A delay that grows, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExponentialRetryBody {
    pub(crate) initial: i64,
    pub(crate) max: i64,
    pub(crate) multiplier: i64,
}

impl Default for GroupBody {
    fn default() -> GroupBody {
        GroupBody {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: "".into(),
            group_retry_policy: RetryPolicyBody { kind: Some("CUSTOMIZED".into()), ..RetryPolicyBody::default() },
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            which_broker_when_consume_slowly: 1,
            more: BTreeMap::new(),
        }
    }
}

/// The groups of a broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupsBody {
    pub(crate) subscription_group_table: BTreeMap<Arc<str>, GroupBody>,
}

/// Names of groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupNamesBody {
    pub(crate) group_list: Vec<Arc<str>>,
}

/// Names of topics, of one broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupTopicsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broker_addr: Option<String>,
    pub(crate) topic_list: Vec<Arc<str>>,
}

/// What a group wants of a topic; nothing when it does not subscribe it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupSubscriptionBody {
    pub(crate) group: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subscription_data: Option<SubscriptionBody>,
    pub(crate) topic: Arc<str>,
}

/// How old the messages of a topic are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TimeSpansBody {
    pub(crate) consume_time_span_set: Vec<TimeSpanBody>,
}

/// How old the messages of a queue are. Milliseconds since 1970, -1 for what is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimeSpanBody {
    /// The last message that was consumed, or the oldest.
    #[serde(default, deserialize_with = "json::integer")]
    pub(crate) consume_time_stamp: i64,
    /// How long the next message has been waiting, in milliseconds.
    #[serde(default, deserialize_with = "json::integer")]
    pub(crate) delay_time: i64,
    /// The newest message.
    #[serde(default, deserialize_with = "json::integer")]
    pub(crate) max_time_stamp: i64,
    pub(crate) message_queue: QueueBody,
    /// The oldest message.
    #[serde(default, deserialize_with = "json::integer")]
    pub(crate) min_time_stamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_as_java_writes_it_and_keeps_what_is_not_known_here() {
        let body = GroupBody { group_name: "CG".into(), ..GroupBody::default() };
        let expected = r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"CG","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#;
        assert_eq!(String::from_utf8(json::encode(&body)).unwrap(), expected);
        let old =
            br#"{"subscriptionGroupTable":{"CG":{"brokerId":0,"consumeEnable":false,"groupName":"CG","later":[1]}}}"#;
        let read: GroupsBody = json::decode("groups", old).unwrap();
        let read = &read.subscription_group_table["CG"];
        assert_eq!((read.consume_enable, read.retry_max_times), (false, 16));
        assert!(String::from_utf8(json::encode(read)).unwrap().ends_with(r#","later":[1]}"#));
    }
}
