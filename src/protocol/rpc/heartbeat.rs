//! Heartbeats and leaving.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::{FieldSink, FieldSource, Header, NoFields};
use crate::protocol::json;
use crate::protocol::request::{headers, requests};

/// Tells a broker which groups live in this client; the body is a [`HeartbeatBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heartbeat;

impl Header for Heartbeat {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<Heartbeat> {
        Ok(Heartbeat)
    }
}

headers! {
    /// Tells a broker that a group has left this client.
    pub(crate) struct UnregisterClient {
        "clientID" => client_id: Arc<str>,
        "consumerGroup" => consumer_group: Option<Arc<str>>,
        "producerGroup" => producer_group: Option<Arc<str>>,
    }

    /// Asks a broker which clients of a consumer group are connected to it.
    pub(crate) struct ConsumerList {
        "consumerGroup" => consumer_group: Arc<str>,
    }
}

requests! {
    Heartbeat = HEART_BEAT -> NoFields;
    UnregisterClient = UNREGISTER_CLIENT -> NoFields;
    ConsumerList = GET_CONSUMER_LIST_BY_GROUP -> NoFields;
}

/// What a heartbeat says. The full form is always sent: fingerprint 0 tells 5.x brokers so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeartbeatBody {
    #[serde(rename = "clientID")]
    pub(crate) client_id: Arc<str>,
    #[serde(default)]
    pub(crate) consumer_data_set: Vec<ConsumerBody>,
    #[serde(default)]
    pub(crate) heartbeat_fingerprint: i32,
    #[serde(default)]
    pub(crate) producer_data_set: Vec<ProducerBody>,
    #[serde(default)]
    pub(crate) without_sub: bool,
}

/// A producer group in a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProducerBody {
    pub(crate) group_name: Arc<str>,
}

/// A consumer group in a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsumerBody {
    pub(crate) group_name: Arc<str>,
    /// `CONSUME_ACTIVELY` (pull), `CONSUME_PASSIVELY` (push) or `CONSUME_POP`.
    pub(crate) consume_type: String,
    pub(crate) message_model: String,
    pub(crate) consume_from_where: String,
    #[serde(default)]
    pub(crate) subscription_data_set: Vec<SubscriptionBody>,
    #[serde(default)]
    pub(crate) unit_mode: bool,
}

/// One subscription of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionBody {
    #[serde(default)]
    pub(crate) class_filter_mode: bool,
    #[serde(default)]
    pub(crate) code_set: Vec<i32>,
    #[serde(default)]
    pub(crate) expression_type: Option<String>,
    pub(crate) sub_string: String,
    #[serde(default, deserialize_with = "json::integer")]
    pub(crate) sub_version: i64,
    #[serde(default)]
    pub(crate) tags_set: Vec<String>,
    pub(crate) topic: Arc<str>,
}

/// The clients of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConsumerListBody {
    #[serde(deserialize_with = "crate::protocol::json::bounded")]
    pub(crate) consumer_id_list: Vec<String>,
}
