//! Asks, and judges nothing. It changes nothing either: no message is stored, no client joins a group.

mod brokers;
mod group;
pub(super) mod name_servers;
pub(super) mod net;
mod running;
mod topic;

use std::time::Duration;

use rocketmq_blocking::{Admin, Client, Error};

use super::facts::Server;
use super::trouble::Trouble;
use crate::cluster::Cluster;
use crate::failure::Failure;

/// Whom to ask, and how long to wait for each answer.
pub(super) struct Probe<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) limit: Duration,
    pub(super) client: Client,
    pub(super) admin: Admin,
}

impl Probe<'_> {
    pub(super) fn new(cluster: &Cluster, limit: Duration) -> Result<Probe<'_>, Failure> {
        let client = client(cluster, cluster.name_servers(), limit)?;
        let admin = client.admin();
        Ok(Probe { cluster, limit, client, admin })
    }
}

/// A client for some name servers, with the settings of the arguments. Nobody is asked yet.
fn client(cluster: &Cluster, name_servers: &str, limit: Duration) -> Result<Client, Failure> {
    let builder = cluster.builder()?.name_servers(name_servers).request_timeout(limit).connect_timeout(limit);
    Ok(builder.build()?)
}

/// The brokers that a client's name servers know.
fn servers(admin: &Admin) -> Result<Vec<Server>, Error> {
    let view = admin.cluster()?;
    let server = |broker: &rocketmq_blocking::ClusterBroker| Server {
        cluster: broker.cluster.to_string(),
        name: broker.name.to_string(),
        id: broker.id,
        addr: broker.addr.to_string(),
        advertised: broker.advertised.to_string(),
    };
    Ok(view.brokers.iter().map(server).collect())
}

/// `Ok(None)` for a topic that does not exist.
fn unless_missing<T>(answer: Result<T, Error>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::NoRoute { .. }) => Ok(None),
        Err(error) => Err(Trouble::of(&error)),
    }
}

/// Lets time pass. An interrupt ends the program.
pub(super) fn pause(time: Duration) {
    let _ = crossbeam_channel::after(time).recv();
}
