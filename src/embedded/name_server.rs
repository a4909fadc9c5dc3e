//! The name server: routes, brokers and topics as they are at the moment it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::broker::BrokerSet;
use super::call::{Call, Handled};
use super::configs::Configs;
use super::link::Link;
use super::registry::KeptValues;
use super::server::Service;
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::json;
use crate::protocol::rpc::name_server::GetTopicsOfCluster;
use crate::protocol::rpc::route::{BrokerBody, ClusterBody, GetRoute, QueueBody, RouteBody, TopicListBody};

/// What Java appends to the remarks of common mistakes.
pub(super) const FAQ: &str = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

/// From this version on (`V4_9_4`) clients read standard JSON.
const STANDARD_JSON_FROM: i32 = 401;

/// The service of a name server.
pub(super) struct NameServer {
    pub(super) sets: Arc<[Arc<BrokerSet>]>,
    pub(super) values: KeptValues,
    pub(super) configs: Configs,
}

impl NameServer {
    pub(super) fn new(sets: Arc<[Arc<BrokerSet>]>) -> NameServer {
        NameServer { sets, values: KeptValues::default(), configs: Configs::default() }
    }

    fn route(&self, call: &mut Call<'_>) -> Handled {
        let asked: GetRoute = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let mut route = RouteBody::default();
        for set in self.sets.iter() {
            let (Some(topic), Some(broker)) = (set.topics.registered(&asked.topic), broker(set)) else { continue };
            route.broker_datas.push(broker);
            route.queue_datas.push(QueueBody {
                broker_name: set.name.to_string(),
                perm: topic.perm,
                read_queue_nums: topic.read_queues,
                topic_sys_flag: topic.sys_flag,
                write_queue_nums: topic.write_queues,
            });
        }
        if route.broker_datas.is_empty() {
            let remark = format!("No topic route info in name server for the topic: {}{FAQ}", asked.topic);
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &remark);
        }
        route.order_topic_conf = self.order_of(&asked.topic);
        let body = json::encode(&route);
        let standard = asked.standard_json == Some(true) || call.frame.version >= STANDARD_JSON_FROM;
        call.body(&if standard { body } else { bare_numbers(&body) })
    }

    fn cluster(&self, call: &mut Call<'_>) -> Handled {
        let mut cluster = ClusterBody::default();
        for set in self.sets.iter() {
            let Some(broker) = broker(set) else { continue };
            let name = set.name.to_string();
            cluster.cluster_addr_table.entry(broker.cluster.clone()).or_default().push(name.clone());
            cluster.broker_addr_table.insert(name, broker);
        }
        // This one is never standard JSON.
        call.body(&bare_numbers(&json::encode(&cluster)))
    }

    /// The topics of the brokers of one cluster, or of all.
    fn topics(&self, call: &mut Call<'_>, cluster: Option<&str>) -> Handled {
        let mut names: Vec<String> = Vec::new();
        let wanted = |set: &&Arc<BrokerSet>| cluster.is_none_or(|cluster| *set.settings.cluster == *cluster);
        for set in self.sets.iter().filter(wanted).filter(|set| broker(set).is_some()) {
            names.extend(set.topics.registered_names().iter().map(|name| name.to_string()));
        }
        names.sort();
        names.dedup();
        call.body(&json::encode(&TopicListBody { broker_addr: None, topic_list: names }))
    }

    fn topics_of_cluster(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<GetTopicsOfCluster>() {
            Ok(asked) => self.topics(call, Some(&asked.cluster)),
            Err(error) => call.unreadable(&error),
        }
    }

    fn system_topics(&self, call: &mut Call<'_>) -> Handled {
        let brokers: Vec<BrokerBody> = self.sets.iter().filter_map(|set| broker(set)).collect();
        let mut topic_list: Vec<String> = brokers.iter().map(|broker| broker.cluster.clone()).collect();
        topic_list.dedup();
        topic_list.extend(brokers.iter().map(|broker| broker.broker_name.clone()));
        let broker_addr = brokers.iter().flat_map(|broker| broker.broker_addrs.values()).next().cloned();
        call.body(&json::encode(&TopicListBody { broker_addr, topic_list }))
    }
}

impl Service for NameServer {
    fn serve(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.request_code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(call),
            RequestCode::GET_BROKER_CLUSTER_INFO => self.cluster(call),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => self.topics(call, None),
            RequestCode::GET_TOPICS_BY_CLUSTER => self.topics_of_cluster(call),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => self.system_topics(call),
            RequestCode::PUT_KV_CONFIG => self.put_kv(call),
            RequestCode::GET_KV_CONFIG => self.kv(call),
            RequestCode::DELETE_KV_CONFIG => self.delete_kv(call),
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.kvs(call),
            RequestCode::GET_NAMESRV_CONFIG => self.config(call),
            RequestCode::UPDATE_NAMESRV_CONFIG => self.update_config(call),
            RequestCode::DELETE_TOPIC_IN_NAMESRV => self.forget_topic(call),
            RequestCode::WIPE_WRITE_PERM_OF_BROKER => self.wipe_write_permission(call),
            RequestCode::ADD_WRITE_PERM_OF_BROKER => self.add_write_permission(call),
            _ => call.unsupported(),
        }
    }

    fn left(&self, _link: &Arc<Link>) {}

    fn up(&self, _up: bool) {}

    fn tick(&self, _now: Instant) -> Option<Instant> {
        None
    }
}

/// A set as routes show it, or nothing when none of its servers is registered.
fn broker(set: &BrokerSet) -> Option<BrokerBody> {
    let registered = set.members.iter().filter(|member| member.registered.load(Ordering::SeqCst));
    let broker_addrs: BTreeMap<i64, String> = registered.map(|member| (member.id, member.advertised())).collect();
    (!broker_addrs.is_empty()).then(|| BrokerBody {
        broker_addrs,
        broker_name: set.name.to_string(),
        cluster: set.settings.cluster.to_string(),
        enable_acting_master: false,
    })
}

/// Rewrites keys that are numbers as old servers write them: without quotes.
fn bare_numbers(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        if body[at] != b'"' {
            out.push(body[at]);
            at += 1;
            continue;
        }
        let mut end = at + 1;
        while end < body.len() && body[end] != b'"' {
            end += if body[end] == b'\\' { 2 } else { 1 };
        }
        let text = body.get(at + 1..end).unwrap_or_default();
        let is_key = body.get(end + 1) == Some(&b':');
        if is_key && !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
            out.extend_from_slice(text);
        } else {
            out.extend_from_slice(body.get(at..=end).unwrap_or(&body[at..]));
        }
        at = end + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_are_numbers_lose_their_quotes() {
        let body = br#"{"a":{"0":"1","12":["3","4"]},"5x":"6:7\"8"}"#;
        let bare = br#"{"a":{0:"1",12:["3","4"]},"5x":"6:7\"8"}"#;
        assert_eq!(String::from_utf8_lossy(&bare_numbers(body)), String::from_utf8_lossy(bare));
    }
}
