//! What a member of a group says about itself, as operators read it. Members of all languages write it, so everything may be
//! missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::by_queue::ByQueue;
use super::diagnosis::{QueueStatus, TopicStatus};
use super::heartbeat::SubscriptionBody;

/// The body of the answer to [`RunningInfo`](super::diagnosis::RunningInfo).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RunningInfoBody {
    pub(crate) jstack: Option<String>,
    pub(crate) mq_table: ByQueue<QueueStatus>,
    pub(crate) mq_pop_table: ByQueue<PopQueueStatus>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) status_table: BTreeMap<Arc<str>, TopicStatus>,
    pub(crate) subscription_set: Vec<SubscriptionBody>,
}

/// A queue that a member pops.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PopQueueStatus {
    pub(crate) last_pop_timestamp: i64,
    pub(crate) wait_ack_count: i64,
}
