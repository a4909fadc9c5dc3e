//! What operators ask name servers, beside routes and the cluster, and tell them to do.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests, without_fields};

/// The namespace of values that say how many queues an ordered topic has on each broker: `broker:count;broker:count`.
pub(crate) const ORDER_TOPICS: &str = "ORDER_TOPIC_CONFIG";

headers! {
    /// Stores a value.
    pub(crate) struct PutKv {
        "namespace" => namespace: String,
        "key" => key: Arc<str>,
        "value" => value: String,
    }

    /// Asks for a value.
    pub(crate) struct GetKv {
        "namespace" => namespace: String,
        "key" => key: Arc<str>,
    }

    /// The answer, without a value when there is none.
    pub(crate) struct KvReply {
        "value" => value: Option<String>,
    }

    /// Deletes a value, or does nothing when there is none.
    pub(crate) struct DeleteKv {
        "namespace" => namespace: String,
        "key" => key: Arc<str>,
    }

    /// Asks for all values of a namespace; the answer's body is a [`TableBody`](super::brokers::TableBody).
    pub(crate) struct GetKvs {
        "namespace" => namespace: String,
    }

    /// Makes a name server forget a topic until a broker tells of it.
    pub(crate) struct ForgetTopic {
        "topic" => topic: Arc<str>,
    }

    /// Makes a name server tell clients that no topic of a broker takes messages.
    pub(crate) struct WipeWritePermission {
        "brokerName" => broker_name: Arc<str>,
    }

    /// Of how many topics.
    pub(crate) struct WipeReply {
        "wipeTopicCount" => count: i32,
    }

    /// Undoes that.
    pub(crate) struct AddWritePermission {
        "brokerName" => broker_name: Arc<str>,
    }

    /// Of how many topics.
    pub(crate) struct AddReply {
        "addTopicCount" => count: i32,
    }

    /// Asks for the names of the topics on the brokers of a cluster.
    pub(crate) struct GetTopicsOfCluster {
        "cluster" => cluster: Arc<str>,
    }
}

without_fields! {
    /// Asks for the names of clusters and brokers, which are topics too, and for the address of a broker to ask for more.
    pub(crate) struct GetSystemTopics;

    /// Asks a broker for the names of the topics it made for itself.
    pub(crate) struct GetSystemTopicsOfBroker;

    /// Asks a name server for its settings; the answer's body is text.
    pub(crate) struct GetNameServerConfig;

    /// Changes settings of a name server; the body is text.
    pub(crate) struct UpdateNameServerConfig;
}

requests! {
    PutKv = PUT_KV_CONFIG -> NoFields;
    GetKv = GET_KV_CONFIG -> KvReply [QUERY_NOT_FOUND];
    DeleteKv = DELETE_KV_CONFIG -> NoFields;
    GetKvs = GET_KVLIST_BY_NAMESPACE -> NoFields [QUERY_NOT_FOUND];
    ForgetTopic = DELETE_TOPIC_IN_NAMESRV -> NoFields;
    WipeWritePermission = WIPE_WRITE_PERM_OF_BROKER -> WipeReply;
    AddWritePermission = ADD_WRITE_PERM_OF_BROKER -> AddReply;
    GetTopicsOfCluster = GET_TOPICS_BY_CLUSTER -> NoFields;
    GetSystemTopics = GET_SYSTEM_TOPIC_LIST_FROM_NS -> NoFields;
    GetSystemTopicsOfBroker = GET_SYSTEM_TOPIC_LIST_FROM_BROKER -> NoFields;
    GetNameServerConfig = GET_NAMESRV_CONFIG -> NoFields;
    UpdateNameServerConfig = UPDATE_NAMESRV_CONFIG -> NoFields;
}
