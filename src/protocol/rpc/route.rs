//! Routes and the cluster, asked of name servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::request::{headers, requests, without_fields};

headers! {
    /// Asks a name server on which brokers a topic lies.
    pub(crate) struct GetRoute {
        "acceptStandardJsonOnly" => standard_json: Option<bool>,
        "topic" => topic: Arc<str>,
    }
}

without_fields! {
    /// Asks a name server for all brokers.
    pub(crate) struct GetClusterInfo;

    /// Asks a name server for the names of all topics.
    pub(crate) struct GetTopicList;
}

requests! {
    GetRoute = GET_ROUTEINFO_BY_TOPIC -> NoFields;
    GetClusterInfo = GET_BROKER_CLUSTER_INFO -> NoFields;
    GetTopicList = GET_ALL_TOPIC_LIST_FROM_NAMESERVER -> NoFields;
}

/// The route of a topic as name servers write it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RouteBody {
    #[serde(deserialize_with = "json::bounded")]
    pub(crate) broker_datas: Vec<BrokerBody>,
    pub(crate) filter_server_table: BTreeMap<String, Vec<String>>,
    /// `broker:count;broker:count`; replaces the counts of the queues for publishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) order_topic_conf: Option<String>,
    #[serde(deserialize_with = "json::bounded")]
    pub(crate) queue_datas: Vec<QueueBody>,
}

/// One broker: a master (id 0) and its slaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BrokerBody {
    pub(crate) broker_addrs: BTreeMap<i64, String>,
    pub(crate) broker_name: String,
    pub(crate) cluster: String,
    pub(crate) enable_acting_master: bool,
}

/// The queues of a topic on one broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QueueBody {
    pub(crate) broker_name: String,
    pub(crate) perm: i32,
    pub(crate) read_queue_nums: i32,
    /// Name servers up to 4.8 spell it `topicSynFlag`.
    #[serde(alias = "topicSynFlag")]
    pub(crate) topic_sys_flag: i32,
    pub(crate) write_queue_nums: i32,
}

/// All brokers, by name, and the clusters they belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterBody {
    pub(crate) broker_addr_table: BTreeMap<String, BrokerBody>,
    pub(crate) cluster_addr_table: BTreeMap<String, Vec<String>>,
}

/// The names of topics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicListBody {
    /// With the system's topics: a broker that knows more of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broker_addr: Option<String>,
    pub(crate) topic_list: Vec<String>,
}
