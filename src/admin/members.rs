use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, retry_topic};
use crate::client::{AskedMasters, Core};
use crate::code::ResponseCode;
use crate::error::{Attempt, Result};
use crate::protocol::json;
use crate::protocol::rpc::inspect::{ConnectionBody, ConnectionsBody, ConsumerConnections};
use crate::remoting::Deadline;

/// The number of the first version whose number follows from its name.
const V4_0_0_SNAPSHOT: u32 = 212;

/// Who is connected for a consumer group, and what the group consumes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GroupMembers {
    /// The clients, sorted by id.
    pub members: Vec<GroupMember>,
    /// What the group subscribes to, sorted by topic: brokers keep the newest word of any member.
    pub subscriptions: Vec<GroupSubscription>,
    /// `CONSUME_ACTIVELY` (pull), `CONSUME_PASSIVELY` (push) or `CONSUME_POP`; empty without members.
    pub consume_type: String,
    /// `CLUSTERING` or `BROADCASTING`; empty without members.
    pub message_model: String,
    /// Where a new group begins, such as `CONSUME_FROM_LAST_OFFSET`; empty without members.
    pub consume_from_where: String,
    /// The brokers that could not be asked. Members that are connected only to them are missing.
    pub failures: Vec<Attempt>,
}

/// A client of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its identity, see [`Client::client_id`](crate::Client::client_id).
    pub client_id: Arc<str>,
    /// The address it is connected from, as one of the brokers sees it.
    pub address: String,
    /// What it is written in, such as `RUST` or `JAVA`; `None` when the brokers do not know.
    pub language: Option<String>,
    /// The number of the version it says to be, an index in RocketMQ's list of versions: 513 is 5.5.0, 479 is 5.3.3.
    pub version: i32,
    /// The names of the brokers it is connected to, sorted. One that is not connected to all receives nothing from the others.
    pub brokers: Vec<Arc<str>>,
}

/// What a group wants of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSubscription {
    /// The topic.
    pub topic: Arc<str>,
    /// The tags, or the condition.
    pub expression: String,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
}

impl GroupMember {
    /// Returns the name of the version, such as `5.3.3`; `None` for numbers before 4.0.
    pub fn version_name(&self) -> Option<String> {
        // From 4.0.0-SNAPSHOT on every version has two numbers, that of its snapshots first; each digit goes up to 9.
        let since = u32::try_from(self.version).ok()?.checked_sub(V4_0_0_SNAPSHOT)?;
        let (digits, snapshot) = (400 + since / 2, if since % 2 == 0 { "-SNAPSHOT" } else { "" });
        Some(format!("{}.{}.{}{snapshot}", digits / 100, digits / 10 % 10, digits % 10))
    }
}

impl Admin {
    /// Returns the clients of a consumer group that are connected now, and what the group subscribes to (`mqadmin
    /// consumerConnection`). Nobody is no error.
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when no broker knows the group, [`Error::Invalid`](crate::Error::Invalid) for
    /// a name no group can have. A broker that fails is named in [`GroupMembers::failures`]; only when none answered the call
    /// fails.
    pub fn group_members(&self, group: &str) -> Result<GroupMembers> {
        let core = self.core();
        let (connected, failures) = connected(core, group, core.request_deadline())?;
        let mut found = GroupMembers { failures, ..GroupMembers::default() };
        let mut members: BTreeMap<Arc<str>, GroupMember> = BTreeMap::new();
        let mut subscriptions = BTreeMap::new();
        for Connected { broker_name, body, .. } in connected {
            for connection in body.connection_set {
                let id = connection.client_id.clone();
                members.entry(id).or_insert_with(|| member(connection)).brokers.push(broker_name.clone());
            }
            for (_, body) in body.subscription_table {
                let expression_type = body.expression_type.unwrap_or_else(|| "TAG".to_owned());
                let topic: Arc<str> = core.own_name(&body.topic).into();
                let subscription =
                    GroupSubscription { topic: topic.clone(), expression: body.sub_string, expression_type };
                match subscriptions.get(&topic) {
                    Some((version, _)) if *version >= body.sub_version => {}
                    _ => drop(subscriptions.insert(topic, (body.sub_version, subscription))),
                }
            }
            found.consume_type = body.consume_type;
            found.message_model = body.message_model;
            found.consume_from_where = body.consume_from_where;
        }
        found.subscriptions = subscriptions.into_values().map(|(_, subscription)| subscription).collect();
        found.members = members.into_values().collect();
        found.members.iter_mut().for_each(|member| member.brokers.sort());
        Ok(found)
    }
}

pub(super) fn member(connection: ConnectionBody) -> GroupMember {
    let ConnectionBody { client_addr: address, client_id, language, version } = connection;
    GroupMember { client_id, address, language, version, brokers: Vec::new() }
}

/// What one broker says about a group that has members there.
pub(super) struct Connected {
    pub(super) broker_name: Arc<str>,
    pub(super) addr: Arc<str>,
    pub(super) body: ConnectionsBody,
}

/// Asks all brokers who is connected for a group.
pub(super) fn connected(core: &Arc<Core>, group: &str, deadline: Deadline) -> Result<(Vec<Connected>, Vec<Attempt>)> {
    let request = ConsumerConnections { consumer_group: group.into() };
    let asked = core.ask_masters(&retry_topic(group)?, "masters know a group's members", &request, deadline)?;
    let AskedMasters { answers, failures } = asked.some()?;
    let mut connected = Vec::new();
    for from in answers.into_iter().filter(|from| from.answer.code() != ResponseCode::CONSUMER_NOT_ONLINE) {
        let body = json::decode("group's connections", from.answer.frame.body())?;
        connected.push(Connected { broker_name: from.broker_name, addr: from.addr, body });
    }
    Ok((connected, failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_as_rocketmq_numbers_them() {
        let name = |version| member(ConnectionBody { version, ..ConnectionBody::default() }).version_name();
        for (version, expected) in [
            (213, "4.0.0"),
            (232, "4.1.0-SNAPSHOT"),
            (315, "4.5.1"),
            (401, "4.9.4"),
            (413, "5.0.0"),
            (441, "5.1.4"),
            (479, "5.3.3"),
            (513, "5.5.0"),
        ] {
            assert_eq!(name(version).as_deref(), Some(expected));
        }
        assert_eq!((name(121), name(-1)), (None, None));
    }
}
