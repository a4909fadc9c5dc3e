//! The route of a topic as users see it.

use std::collections::BTreeMap;
use std::fmt;

use super::route::Route;
use super::{Client, names};
use crate::error::Result;

/// Where a topic lies: its brokers, and how many queues each of them has.
///
/// Its `Display` is a table, a line to a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicRoute {
    topic: String,
    brokers: Vec<BrokerRoute>,
}

/// One broker of a [`TopicRoute`].
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerRoute {
    name: String,
    cluster: String,
    addresses: BTreeMap<i64, String>,
    read_queues: i32,
    write_queues: i32,
    readable: bool,
    writable: bool,
}

impl Client {
    /// Asks a name server where a topic lies.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when the topic does not exist; it is not looked for under the template
    /// topic. [`Error::Invalid`](crate::Error::Invalid) for a name no topic can have.
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// for broker in client.topic_route("OrderTopic")?.brokers() {
    ///     println!("{} has {} queues", broker.name(), broker.write_queues());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn topic_route(&self, topic: &str) -> Result<TopicRoute> {
        names::check_topic(topic)?;
        let core = self.core();
        core.check_open()?;
        let route = core.routes().refresh(core, &topic.into(), core.request_deadline())?;
        Ok(TopicRoute::of(&route))
    }
}

impl TopicRoute {
    fn of(route: &Route) -> TopicRoute {
        let brokers = route.brokers().map(|(name, addrs)| {
            let queues = route.queue_counts(name);
            BrokerRoute {
                name: name.to_string(),
                cluster: route.cluster_of(name).map(ToString::to_string).unwrap_or_default(),
                addresses: addrs.iter().map(|(id, addr)| (*id, addr.to_string())).collect(),
                read_queues: queues.read,
                write_queues: queues.write,
                readable: queues.readable,
                writable: queues.writable,
            }
        });
        TopicRoute { topic: route.topic().to_string(), brokers: brokers.collect() }
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the brokers, sorted by name. A broker may be named that has no queue of the topic.
    pub fn brokers(&self) -> &[BrokerRoute] {
        &self.brokers
    }
}

impl BrokerRoute {
    /// Returns the broker's name, which a master and its slaves share.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the cluster the broker belongs to.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns the addresses by id: 0 is the master's, others are slaves'. The client's address map has been applied.
    pub fn addresses(&self) -> &BTreeMap<i64, String> {
        &self.addresses
    }

    /// Returns how many queues consumers see here.
    pub fn read_queues(&self) -> i32 {
        self.read_queues
    }

    /// Returns how many queues producers see here.
    pub fn write_queues(&self) -> i32 {
        self.write_queues
    }

    /// Returns whether the topic may be read here.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns whether messages of the topic are taken here. That needs a master as well: an address with id 0.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    fn cells(&self) -> [String; 6] {
        let addresses: Vec<String> = self.addresses.iter().map(|(id, addr)| format!("{id}={addr}")).collect();
        let permission = match (self.readable, self.writable) {
            (true, true) => "read write",
            (true, false) => "read",
            (false, true) => "write",
            (false, false) => "none",
        };
        [
            self.name.clone(),
            self.cluster.clone(),
            self.read_queues.to_string(),
            self.write_queues.to_string(),
            permission.to_owned(),
            addresses.join(" "),
        ]
    }
}

impl fmt::Display for TopicRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["BROKER", "CLUSTER", "READ QUEUES", "WRITE QUEUES", "PERMISSION", "ADDRESSES"].map(str::to_owned);
        let rows: Vec<[String; 6]> = std::iter::once(head).chain(self.brokers.iter().map(BrokerRoute::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [broker, cluster, read, write, permission] = [0, 1, 2, 3, 4].map(width);
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            let [a, b, c, d, e, addresses] = row;
            write!(f, "{a:broker$}  {b:cluster$}  {c:>read$}  {d:>write$}  {e:permission$}  {addresses}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::route::{BrokerBody, QueueBody, RouteBody};

    #[test]
    fn a_route_is_shown_as_a_table() {
        let broker = |name: &str, addrs: &[(i64, &str)]| BrokerBody {
            broker_addrs: addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect(),
            broker_name: name.into(),
            cluster: "Main".into(),
            enable_acting_master: false,
        };
        let queues = |name: &str, perm| QueueBody {
            broker_name: name.into(),
            perm,
            read_queue_nums: 16,
            write_queue_nums: 8,
            topic_sys_flag: 0,
        };
        let body = RouteBody {
            broker_datas: vec![broker("broker-a", &[(0, "h:1"), (1, "h:2")]), broker("b", &[(0, "h:3")])],
            queue_datas: vec![queues("broker-a", 6), queues("b", 4)],
            ..RouteBody::default()
        };
        let route = TopicRoute::of(&Route::from_body(&"T".into(), body, None).unwrap());
        assert_eq!(route.topic(), "T");
        assert_eq!(route.brokers()[0].addresses()[&0], "h:3");
        let expected = "\
BROKER    CLUSTER  READ QUEUES  WRITE QUEUES  PERMISSION  ADDRESSES
b         Main              16             8  read        0=h:3
broker-a  Main              16             8  read write  0=h:1 1=h:2";
        assert_eq!(route.to_string(), expected);
    }
}
