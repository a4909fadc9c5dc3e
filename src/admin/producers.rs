use std::collections::BTreeMap;
use std::sync::Arc;

use super::members::member;
use super::{Admin, GroupMember};
use crate::client::{AskedMasters, names};
use crate::code::ResponseCode;
use crate::error::{Attempt, Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::inspect::ConnectionBody;
use crate::protocol::rpc::producers::{AllProducers, AllProducersBody, ProducerConnections, ProducersBody};

/// The clients of producer groups that are connected.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProducerGroups {
    /// The groups, sorted by name, each with its clients, sorted by id.
    pub groups: BTreeMap<Arc<str>, Vec<GroupMember>>,
    /// The brokers that could not be asked. Clients that are connected only to them are missing.
    pub failures: Vec<Attempt>,
}

impl ProducerGroups {
    fn add(&mut self, group: &Arc<str>, broker_name: &Arc<str>, connection: ConnectionBody) {
        let members = self.groups.entry(group.clone()).or_default();
        match members.iter_mut().find(|known| known.client_id == connection.client_id) {
            Some(known) => known.brokers.push(broker_name.clone()),
            None => {
                let mut new = member(connection);
                new.brokers.push(broker_name.clone());
                members.push(new);
            }
        }
    }

    fn sort(&mut self) {
        for members in self.groups.values_mut() {
            members.sort_by(|one, other| one.client_id.cmp(&other.client_id));
            members.iter_mut().for_each(|member| member.brokers.sort());
        }
    }
}

/// Who is connected as a producer, asked of the masters of all brokers at once. The calls block until these have answered, at most
/// for the request timeout (3 s by default).
impl Admin {
    /// Returns the clients of a producer group that are connected now (`mqadmin producerConnection`). Nobody is no error: producers
    /// introduce themselves to a broker when they first use it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name no group can have. A broker that fails is named in [`ProducerGroups::failures`]; only when
    /// none answered the call fails.
    pub fn producers(&self, group: &str) -> Result<ProducerGroups> {
        names::check_group(group)?;
        let group: Arc<str> = group.into();
        let asked = self.ask_everywhere(&ProducerConnections { producer_group: group.clone() }, &[])?;
        let asked_of = asked.answers.len() + asked.failures.len();
        // So brokers say that nobody is connected.
        let nobody = |failure: &Attempt| {
            matches!(&failure.error, Error::Rejected { code: ResponseCode::SYSTEM_ERROR, remark, .. }
                if remark.contains("not exist"))
        };
        let AskedMasters { answers, failures } = asked;
        let failures: Vec<Attempt> = failures.into_iter().filter(|failure| !nobody(failure)).collect();
        if failures.len() == asked_of {
            return Err(AskedMasters { answers, failures }.some().err().unwrap_or(Error::malformed("nobody answered")));
        }
        let mut found = ProducerGroups { failures, ..ProducerGroups::default() };
        for from in answers {
            let body: ProducersBody = json::decode("group's producers", from.answer.frame.body())?;
            for connection in body.connection_set {
                found.add(&group, &from.broker_name, connection);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns the clients of all producer groups that are connected now (`mqadmin producer`).
    ///
    /// # Errors
    /// A broker that fails is named in [`ProducerGroups::failures`]; only when none answered the call fails.
    pub fn producer_groups(&self) -> Result<ProducerGroups> {
        let core = self.core();
        let AskedMasters { answers, failures } = self.ask_everywhere(&AllProducers, &[])?.some()?;
        let mut found = ProducerGroups { failures, ..ProducerGroups::default() };
        for from in answers {
            let body: AllProducersBody = json::decode("producers", from.answer.frame.body())?;
            for (group, producers) in body.data {
                let group: Arc<str> = core.own_name(&group).into();
                for producer in producers {
                    let client_addr = producer.remote_ip.trim_start_matches('/').to_owned();
                    let (client_id, language, version) = (producer.client_id, producer.language, producer.version);
                    let connection = ConnectionBody { client_addr, client_id, language, version };
                    found.add(&group, &from.broker_name, connection);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
