//! What operators ask a broker about itself, and tell it to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests, without_fields};

without_fields! {
    /// Asks a broker for its runtime statistics; the answer's body is a [`TableBody`].
    pub(crate) struct GetRuntime;

    /// Asks a broker for its settings; the answer's body is text.
    pub(crate) struct GetBrokerConfig;

    /// Changes settings of a broker; the body is text.
    pub(crate) struct UpdateBrokerConfig;

    /// Lets a broker delete the files of queues whose messages are gone.
    pub(crate) struct CleanExpiredQueues;

    /// Lets a broker delete the files of topics it does not have any more.
    pub(crate) struct CleanUnusedTopics;

    /// Lets a broker delete messages that are older than it keeps them.
    pub(crate) struct DeleteExpiredCommitLog;
}

headers! {
    /// What goes with a broker's settings.
    pub(crate) struct ConfigReply {
        /// JSON, counted up with each change.
        "version" => version: Option<String>,
    }

    /// Asks a broker for something it counts; the answer's body is a [`StatsBody`].
    pub(crate) struct ViewStats {
        "statsName" => name: String,
        "statsKey" => key: String,
    }
}

requests! {
    GetRuntime = GET_BROKER_RUNTIME_INFO -> NoFields;
    GetBrokerConfig = GET_BROKER_CONFIG -> ConfigReply;
    UpdateBrokerConfig = UPDATE_BROKER_CONFIG -> NoFields;
    CleanExpiredQueues = CLEAN_EXPIRED_CONSUMEQUEUE -> NoFields;
    CleanUnusedTopics = CLEAN_UNUSED_TOPIC -> NoFields;
    DeleteExpiredCommitLog = DELETE_EXPIRED_COMMITLOG -> NoFields;
    ViewStats = VIEW_BROKER_STATS_DATA -> NoFields;
}

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TableBody {
    pub(crate) table: BTreeMap<String, String>,
}

/// What was counted within the last minute, hour and day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StatsBody {
    pub(crate) stats_minute: StatsItemBody,
    pub(crate) stats_hour: StatsItemBody,
    pub(crate) stats_day: StatsItemBody,
}

/// A sum within a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StatsItemBody {
    /// The average of one time it was counted.
    pub(crate) avgpt: f64,
    #[serde(deserialize_with = "json::integer")]
    pub(crate) sum: i64,
    /// A second.
    pub(crate) tps: f64,
}
