//! Who is connected, as operators are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Client, Groups};
use crate::embedded::records::now_millis;
use crate::protocol::rpc::inspect::{ConnectionBody, ConnectionsBody};
use crate::protocol::rpc::producers::{AllProducersBody, ProducerBody};

impl Groups {
    /// Who is connected for a consumer group, and what for; `None` for nobody.
    pub(in crate::embedded) fn connections(&self, group: &str) -> Option<ConnectionsBody> {
        let table = self.lock();
        let group = table.consumers.get(group)?;
        let subscriptions = group.subscriptions.iter().map(|(topic, one)| (topic.clone(), one.body.clone()));
        Some(ConnectionsBody {
            connection_set: group.clients.iter().map(connection).collect(),
            consume_from_where: group.from_where.clone(),
            consume_type: group.consume_type.clone(),
            message_model: group.model.clone(),
            subscription_table: subscriptions.collect(),
        })
    }

    /// The groups whose members subscribe to a topic.
    pub(in crate::embedded) fn subscribers(&self, topic: &str) -> Vec<Arc<str>> {
        let table = self.lock();
        let subscribing = table.consumers.iter().filter(|(_, group)| group.subscriptions.contains_key(topic));
        subscribing.map(|(name, _)| name.clone()).collect()
    }

    /// Who is connected for a producer group; `None` for nobody.
    pub(in crate::embedded) fn producer_connections(&self, group: &str) -> Option<Vec<ConnectionBody>> {
        let table = self.lock();
        table.producers.get(group).map(|clients| clients.iter().map(connection).collect())
    }

    /// Who is connected for all producer groups.
    pub(in crate::embedded) fn all_producers(&self) -> AllProducersBody {
        let (table, now) = (self.lock(), Instant::now());
        let shown = |client: &Client| ProducerBody {
            client_id: client.id.clone(),
            language: Some(client.language.name().to_owned()),
            last_update_timestamp: now_millis() - now.saturating_duration_since(client.seen).as_millis() as i64,
            // Java writes an address that was never a name so.
            remote_ip: format!("/{}", client.link.peer),
            version: client.version,
        };
        let groups = table.producers.iter().filter(|(_, clients)| !clients.is_empty());
        let data: BTreeMap<_, _> =
            groups.map(|(name, clients)| (name.clone(), clients.iter().map(shown).collect())).collect();
        AllProducersBody { data }
    }
}

fn connection(client: &Client) -> ConnectionBody {
    ConnectionBody {
        client_addr: client.link.peer.to_string(),
        client_id: client.id.clone(),
        language: Some(client.language.name().to_owned()),
        version: client.version,
    }
}
