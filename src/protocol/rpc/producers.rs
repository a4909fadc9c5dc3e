//! Who is connected for producer groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inspect::ConnectionBody;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests, without_fields};

headers! {
    /// Asks which clients of a producer group are connected to a broker; the answer's body is a [`ProducersBody`].
    pub(crate) struct ProducerConnections {
        "producerGroup" => producer_group: Arc<str>,
    }

    /// Has a broker ask again what became of a transaction, one about which it has given up asking.
    pub(crate) struct ResumeCheck {
        "msgId" => message_id: String,
        "topic" => topic: Option<Arc<str>>,
    }
}

without_fields! {
    /// Asks which clients of all producer groups are connected; the answer's body is an [`AllProducersBody`].
    pub(crate) struct AllProducers;
}

requests! {
    ProducerConnections = GET_PRODUCER_CONNECTION_LIST -> NoFields;
    AllProducers = GET_ALL_PRODUCER_INFO -> NoFields;
    ResumeCheck = RESUME_CHECK_HALF_MESSAGE -> NoFields;
}

/// The clients of a producer group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProducersBody {
    pub(crate) connection_set: Vec<ConnectionBody>,
}

/// The clients of all producer groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AllProducersBody {
    pub(crate) data: BTreeMap<Arc<str>, Vec<ProducerBody>>,
}

/// A client of a producer group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProducerBody {
    pub(crate) client_id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) last_update_timestamp: i64,
    #[serde(rename = "remoteIP")]
    pub(crate) remote_ip: String,
    pub(crate) version: i32,
}
