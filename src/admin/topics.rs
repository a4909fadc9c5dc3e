use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Admin;
use crate::client::{Core, Server, names};
use crate::error::{Attempt, Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::name_server::{ForgetTopic, GetSystemTopics, GetSystemTopicsOfBroker, GetTopicsOfCluster};
use crate::protocol::rpc::route::{GetTopicList, TopicListBody};
use crate::protocol::rpc::topic::{
    DeleteTopic, GetTopicConfig, GetTopicConfigs, MappingBody, TopicConfigBody, TopicConfigsBody, perm,
};
use crate::remoting::Deadline;

/// The settings of a topic, broker by broker.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TopicConfigs {
    /// Those of each master that has the topic, sorted by broker.
    pub configs: Vec<TopicConfig>,
    /// The brokers that could not be asked.
    pub failures: Vec<Attempt>,
}

/// The settings of a topic on one broker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// The topic.
    pub topic: Arc<str>,
    /// The broker.
    pub broker_name: Arc<str>,
    /// How many queues consumers see.
    pub read_queues: i32,
    /// How many queues producers see.
    pub write_queues: i32,
    /// What may be done: 4 stands for reading, 2 for writing, 1 for being the template of new topics, added up.
    pub permissions: i32,
    /// Whether order matters more than that it can be written, see [`PreparedTopic::order`](crate::PreparedTopic::order).
    pub order: bool,
    /// Flags of installations in several units; 0 elsewhere.
    pub flags: i32,
    /// Attributes such as `message.type`; brokers 4.x have none.
    pub attributes: BTreeMap<String, String>,
    /// Which queues of a static topic lie here (brokers 5.0 and later); `None` for ordinary ones.
    pub mapping: Option<StaticMapping>,
}

/// Which queues of a static topic lie on a broker. They are numbered through over all brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaticMapping {
    /// Grows with each change of the mapping.
    pub epoch: i64,
    /// How many queues the topic has on all brokers together.
    pub total_queues: i32,
    /// The queues that lie here, with their parts, oldest first; the last one grows.
    pub queues: BTreeMap<i32, Vec<MappedPart>>,
}

/// A part of a static topic's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedPart {
    /// The broker that has it.
    pub broker_name: Arc<str>,
    /// The number of its queue there.
    pub queue_id: i32,
    /// Its first offset there.
    pub start_offset: i64,
    /// The offset behind its last there; `None` while it grows.
    pub end_offset: Option<i64>,
    /// The offset of the topic's queue at which it begins; `None` when that is not decided yet.
    pub logic_offset: Option<i64>,
}

impl TopicConfig {
    pub(super) fn read(core: &Core, broker_name: &Arc<str>, body: TopicConfigBody) -> TopicConfig {
        TopicConfig {
            topic: core.own_name(&body.topic_name).into(),
            broker_name: broker_name.clone(),
            read_queues: body.read_queue_nums,
            write_queues: body.write_queue_nums,
            permissions: body.perm,
            order: body.order,
            flags: body.topic_sys_flag,
            attributes: body.attributes,
            mapping: body.mapping_detail.map(StaticMapping::read),
        }
    }

    /// Returns whether consumers may read it here.
    pub fn is_readable(&self) -> bool {
        self.permissions & perm::READ != 0
    }

    /// Returns whether it takes messages here.
    pub fn is_writable(&self) -> bool {
        self.permissions & perm::WRITE != 0
    }
}

impl fmt::Display for TopicConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicConfig { topic, broker_name, read_queues, write_queues, .. } = self;
        let sign = |bit, sign| if self.permissions & bit != 0 { sign } else { '-' };
        let (read, write, inherit) = (sign(perm::READ, 'R'), sign(perm::WRITE, 'W'), sign(perm::INHERIT, 'X'));
        write!(f, "{topic} on {broker_name}: {read_queues} queues to read, {write_queues} to write, ")?;
        write!(f, "{read}{write}{inherit}{}", if self.order { ", in order" } else { "" })?;
        self.attributes.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}

impl StaticMapping {
    fn read(body: MappingBody) -> StaticMapping {
        let known = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
        let part = |part: crate::protocol::rpc::topic::MappedBody| MappedPart {
            broker_name: part.bname.into(),
            queue_id: part.queue_id,
            start_offset: part.start_offset,
            end_offset: known(part.end_offset),
            logic_offset: known(part.logic_offset),
        };
        let queues = body.hosted_queues.into_iter();
        let queues = queues.map(|(id, parts)| (id, parts.into_iter().map(part).collect())).collect();
        StaticMapping { epoch: body.epoch, total_queues: body.total_queues, queues }
    }
}

impl Admin {
    /// Returns the names of all topics a name server knows, sorted (`mqadmin topicList`; Java: `fetchAllTopicList`): the brokers'
    /// own ones and those that belong to groups (`%RETRY%…`, `%DLQ%…`) as well, and in a client with a namespace those outside of
    /// it, too.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn topics(&self) -> Result<Vec<String>> {
        let core = self.core();
        core.check_open()?;
        let answer = core.ask_name_server(&GetTopicList, core.request_deadline())?;
        topic_names(core, answer.frame.body())
    }

    /// Returns the names of the topics that lie on the brokers of a cluster, sorted (`mqadmin topicList -c`; Java:
    /// `fetchTopicsByCLuster`). A cluster that does not exist has none.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn cluster_topics(&self, cluster: &str) -> Result<Vec<String>> {
        let core = self.core();
        core.check_open()?;
        let request = GetTopicsOfCluster { cluster: cluster.into() };
        let answer = core.ask_name_server(&request, core.request_deadline())?;
        topic_names(core, answer.frame.body())
    }

    /// Returns the names of the topics that clusters, brokers and the system have for themselves, sorted. A broker is asked as
    /// well as a name server.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    pub fn system_topics(&self) -> Result<Vec<String>> {
        let core = self.core();
        core.check_open()?;
        let deadline = core.request_deadline();
        let answer = core.ask_name_server(&GetSystemTopics, deadline)?;
        let mut body: TopicListBody = json::decode("topics", answer.frame.body())?;
        if let Some(addr) = body.broker_addr.as_deref().map(str::trim).filter(|addr| !addr.is_empty()) {
            let map = core.options().address_map.as_ref();
            let addr = map.map_or_else(|| addr.into(), |map| map.apply(addr));
            let answer = core.ask_server(&addr, &GetSystemTopicsOfBroker, &[], deadline)?;
            body.topic_list.extend(json::decode::<TopicListBody>("topics", answer.frame.body())?.topic_list);
        }
        Ok(sorted(core, body))
    }

    /// Returns the settings of a topic on each broker that has it (Java: `examineTopicConfig`).
    ///
    /// Blocks until all masters on which it lies have answered, at most for the request timeout (3 s by default). Brokers 4.x are
    /// asked for the settings of all their topics, which takes longer where there are many.
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::NoBroker`] when it has no master. A broker that fails is named
    /// in [`TopicConfigs::failures`]; only when none answered the call fails.
    pub fn topic_config(&self, topic: &str) -> Result<TopicConfigs> {
        names::check_topic(topic)?;
        let core = self.core();
        let (found, failures) = configs(core, &topic.into(), core.request_deadline())?;
        let read = |(server, body): (Server, _)| TopicConfig::read(core, &server.broker_name, body);
        let mut configs: Vec<_> = found.into_iter().map(read).collect();
        configs.sort_by(|one, other| one.broker_name.cmp(&other.broker_name));
        Ok(TopicConfigs { configs, failures })
    }

    /// Deletes a topic with all its messages, on all brokers and then at the name servers (`mqadmin deleteTopic`; Java:
    /// `deleteTopicInBroker` and `deleteTopicInNameServer`), and what name servers keep of its order. Where sending creates
    /// topics, the next message makes a new one.
    ///
    /// Blocks until all have answered, at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist. [`Error::Rejected`] for a topic of the brokers' own. When a broker or name
    /// server fails the others have deleted it; call again.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        names::check_topic(topic)?;
        let core = self.core();
        core.check_open()?;
        let (topic, deadline): (Arc<str>, _) = (topic.into(), core.request_deadline());
        core.routes().refresh(core, &topic, deadline)?;
        // A name server may know less than the brokers have.
        let masters = super::cluster::masters(core, deadline)?;
        core.ask_servers(&masters, &DeleteTopic { topic: topic.clone() }, &[], deadline).all()?;
        core.ask_name_servers(&ForgetTopic { topic: topic.clone() }, &[], deadline)?.all()?;
        let deleted = self.delete_topic_order(&topic);
        // That it is gone is what this finds; should it fail, the next look finds out.
        let _ = core.routes().refresh(core, &topic, deadline);
        deleted
    }
}

fn topic_names(core: &Core, body: &[u8]) -> Result<Vec<String>> {
    json::decode("topics", body).map(|body| sorted(core, body))
}

fn sorted(core: &Core, body: TopicListBody) -> Vec<String> {
    let mut names: Vec<String> = body.topic_list.iter().map(|name| core.own_name(name).into_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// What masters have of a topic, and why others did not tell.
pub(super) type Configs = (Vec<(Server, TopicConfigBody)>, Vec<Attempt>);

/// What the masters of a topic have of it, at least one.
pub(super) fn configs(core: &Arc<Core>, topic: &Arc<str>, deadline: Deadline) -> Result<Configs> {
    let request = GetTopicConfig { topic: topic.clone(), mapping: Some(true) };
    let asked = core.ask_masters(topic, "masters have its settings", &request, deadline)?;
    let mut found = Vec::new();
    for from in asked.answers {
        let body = json::decode("topic", from.answer.frame.body())?;
        found.push((Server { broker_name: from.broker_name, addr: from.addr }, body));
    }
    let mut failures = Vec::new();
    for mut failure in asked.failures {
        if let Error::Unsupported { .. } = failure.error {
            match config_of_old(core, topic, &failure.addr, deadline) {
                Ok(body) => {
                    let Attempt { broker_name, addr, .. } = failure;
                    found.push((Server { broker_name, addr }, body));
                    continue;
                }
                Err(error) => failure.error = error,
            }
        }
        failures.push(failure);
    }
    match failures.pop() {
        Some(only) if found.is_empty() && failures.is_empty() => Err(only.error),
        Some(last) => {
            failures.push(last);
            match found.is_empty() {
                true => Err(Error::Exhausted { attempts: failures.into(), because: crate::error::Exhaustion::Brokers }),
                false => Ok((found, failures)),
            }
        }
        None => Ok((found, failures)),
    }
}

/// Brokers 4.x tell the settings of all topics only.
fn config_of_old(core: &Core, topic: &Arc<str>, addr: &str, deadline: Deadline) -> Result<TopicConfigBody> {
    let answer = core.ask_server(addr, &GetTopicConfigs { first: None }, &[], deadline)?;
    let mut body: TopicConfigsBody = json::decode("topics", answer.frame.body())?;
    let missing = || Error::NoRoute { topic: topic.clone(), reason: format!("{addr} does not have it").into() };
    body.topic_config_table.remove(&*core.wire_name(topic)).ok_or_else(missing)
}
