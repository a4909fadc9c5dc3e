//! Which client has which queue: brokers do not know it, the clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::members::{self, Connected};
use crate::channel;
use crate::client::Core;
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::diagnosis::RunningInfo;
use crate::protocol::rpc::inspect::RunningQueuesBody;
use crate::remoting::Deadline;

/// Asks the clients of a group for their queues, all at once. Who does not answer until `deadline` has none.
pub(super) fn of_queues(core: &Arc<Core>, group: &str, deadline: Deadline) -> BTreeMap<MessageQueue, Arc<str>> {
    let mut owners = BTreeMap::new();
    let connected = match members::connected(core, group, deadline) {
        Ok((connected, _)) => connected,
        Err(error) => {
            log::debug!("who has the queues of group {group} is unknown: {error}");
            return owners;
        }
    };
    let asked = ask(core, group, &connected, deadline);
    for (client_id, body) in asked {
        for (queue, _) in body.queues.0 {
            let topic: Arc<str> = core.own_name(&queue.topic).into();
            owners.insert(MessageQueue::new(topic, queue.broker_name, queue.queue_id), client_id.clone());
        }
    }
    owners
}

/// Each client is asked through one of the brokers it is connected to.
fn ask(
    core: &Arc<Core>,
    group: &str,
    connected: &[Connected],
    deadline: Deadline,
) -> Vec<(Arc<str>, RunningQueuesBody)> {
    let mut seen = BTreeSet::new();
    let clients = connected.iter().flat_map(|at| at.body.connection_set.iter().map(move |one| (&at.addr, one)));
    let clients: Vec<_> = clients.filter(|(_, client)| seen.insert(client.client_id.clone())).collect();
    let (done, answers) = channel::bounded(clients.len());
    for (addr, client) in clients {
        let (done, client_id) = (done.clone(), client.client_id.clone());
        let request = RunningInfo { client_id: client_id.clone(), consumer_group: group.into(), stacks: Some(false) };
        core.remoting().submit(addr, &request, &[], deadline, move |answer| {
            // There is room for every answer; nobody listens any more once the deadline has passed.
            let _ = done.try_send((client_id, answer));
        });
    }
    drop(done);
    let mut found = Vec::new();
    while let Ok((client_id, answer)) = answers.recv_deadline(deadline.at()) {
        let body = answer.and_then(|answer| json::decode("client's queues", answer.frame.body()));
        match body {
            Ok(body) => found.push((client_id, body)),
            Err(error) => log::debug!("client {client_id} of group {group} does not tell its queues: {error}"),
        }
    }
    found
}
