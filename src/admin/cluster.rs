use std::fmt;
use std::sync::Arc;

use super::Admin;
use crate::client::{Core, Server};
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::route::{ClusterBody, GetClusterInfo};
use crate::remoting::Deadline;

/// All brokers that a name server knows, of one cluster or several.
///
/// Its `Display` is a table, a line to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterView {
    /// The servers, sorted by cluster, broker and id.
    pub brokers: Vec<ClusterBroker>,
}

/// One server of a broker: its master, or a slave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ClusterBroker {
    /// The cluster it belongs to.
    pub cluster: Arc<str>,
    /// The broker's name, which a master and its slaves share.
    pub name: Arc<str>,
    /// 0 for the master.
    pub id: i64,
    /// Where this client reaches it: what it advertises, through the client's address map.
    pub addr: Arc<str>,
    /// Where it says it can be reached.
    pub advertised: Arc<str>,
}

/// What a server of a broker is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BrokerRole {
    /// It takes messages, and hands them out.
    Master,
    /// It keeps a copy.
    Slave,
}

impl fmt::Display for BrokerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BrokerRole::Master => "master",
            BrokerRole::Slave => "slave",
        })
    }
}

impl ClusterBroker {
    /// Returns what it is, by its id.
    pub fn role(&self) -> BrokerRole {
        if self.id == 0 { BrokerRole::Master } else { BrokerRole::Slave }
    }
}

impl fmt::Display for ClusterBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClusterBroker { cluster, name, id, addr, .. } = self;
        write!(f, "{name} {id} ({}) of {cluster} at {addr}", self.role())
    }
}

impl ClusterView {
    /// Returns the names of the clusters, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.brokers.iter().map(|broker| &*broker.cluster).collect();
        names.dedup();
        names
    }

    /// Returns the masters.
    pub fn masters(&self) -> impl Iterator<Item = &ClusterBroker> {
        self.brokers.iter().filter(|broker| broker.role() == BrokerRole::Master)
    }

    /// Returns the master of a broker; `None` when it has none now, or there is no such broker.
    pub fn master(&self, name: &str) -> Option<&ClusterBroker> {
        self.masters().find(|broker| *broker.name == *name)
    }

    fn read(core: &Core, body: ClusterBody) -> ClusterView {
        let mut brokers = Vec::new();
        for (name, broker) in body.broker_addr_table {
            let (cluster, name): (Arc<str>, Arc<str>) = (broker.cluster.into(), name.into());
            for (id, advertised) in broker.broker_addrs {
                let advertised: Arc<str> = advertised.trim().into();
                let addr = core.options().address_map.as_ref().map(|map| map.apply(&advertised));
                let addr = addr.unwrap_or_else(|| advertised.clone());
                brokers.push(ClusterBroker { cluster: cluster.clone(), name: name.clone(), id, addr, advertised });
            }
        }
        brokers.sort();
        ClusterView { brokers }
    }
}

impl fmt::Display for ClusterView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&ClusterBroker) -> &str, least: usize| {
            self.brokers.iter().map(|broker| of(broker).chars().count()).fold(least, usize::max)
        };
        let (clusters, names) = (width(|broker| &broker.cluster, 7), width(|broker| &broker.name, 6));
        write!(f, "{:clusters$}  {:names$}  ID  {:6}  ADDRESS", "CLUSTER", "BROKER", "ROLE")?;
        for broker in &self.brokers {
            let ClusterBroker { cluster, name, id, addr, .. } = broker;
            write!(f, "\n{cluster:clusters$}  {name:names$}  {id:>2}  {:6}  {addr}", broker.role())?;
        }
        Ok(())
    }
}

impl Admin {
    /// Returns all brokers that the name server knows (`mqadmin clusterList`; Java: `examineBrokerClusterInfo`). None is no
    /// error. The brokers are not asked: what they say of themselves is [`broker_runtime`](Admin::broker_runtime).
    ///
    /// Blocks at most for the request timeout (3 s by default).
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, embedded::Cluster};
    /// # let cluster = Cluster::builder().brokers(2).start()?;
    /// # let client = Client::connect(cluster.name_server())?;
    /// let admin = client.admin();
    /// for broker in admin.cluster()?.masters() {
    ///     println!("{broker}: version {:?}", admin.broker_runtime(&broker.addr)?.version());
    /// }
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn cluster(&self) -> Result<ClusterView> {
        let core = self.core();
        core.check_open()?;
        cluster(core, core.request_deadline())
    }
}

pub(super) fn cluster(core: &Core, deadline: Deadline) -> Result<ClusterView> {
    let answer = core.ask_name_server(&GetClusterInfo, deadline)?;
    let body = json::decode("cluster", answer.frame.body())?;
    Ok(ClusterView::read(core, body))
}

/// The servers of all brokers that are wanted, at least one.
pub(super) fn servers(core: &Core, wanted: impl Fn(&ClusterBroker) -> bool, deadline: Deadline) -> Result<Vec<Server>> {
    let found = cluster(core, deadline)?;
    let server = |broker: &ClusterBroker| Server { broker_name: broker.name.clone(), addr: broker.addr.clone() };
    let servers: Vec<Server> = found.brokers.iter().filter(|broker| wanted(broker)).map(server).collect();
    if servers.is_empty() {
        let reason = "the name server knows none".into();
        return Err(Error::NoBroker { what: "the cluster".into(), reason });
    }
    Ok(servers)
}

/// The masters of all brokers, at least one.
pub(super) fn masters(core: &Core, deadline: Deadline) -> Result<Vec<Server>> {
    servers(core, |broker| broker.role() == BrokerRole::Master, deadline)
}
