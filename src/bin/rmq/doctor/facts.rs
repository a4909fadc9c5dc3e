//! What was found, before anybody judges it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::trouble::Trouble;

/// How connecting to an address went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Connected {
        at: SocketAddr,
        took: Duration,
    },
    /// The name has no address; with what the system said.
    Unresolved(String),
    Refused,
    TimedOut(Duration),
    Failed(String),
}

impl Reach {
    pub(super) fn is_connected(&self) -> bool {
        matches!(self, Reach::Connected { .. })
    }
}

/// What answers at an address, looked at without this crate's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Talk {
    /// RocketMQ's remoting protocol, not encrypted.
    RocketMq,
    Tls,
    Http,
    /// Something else, which begins like this.
    Other(String),
    /// It closes the connection without a word, to TLS as well.
    Closed,
    /// It takes the connection and says nothing.
    Silent,
}

/// One server of a broker, as a name server knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) id: i64,
    /// Where this client goes.
    pub(super) addr: String,
    pub(super) advertised: String,
}

impl Server {
    pub(super) fn is_master(&self) -> bool {
        self.id == 0
    }

    /// `broker-a`, or `broker-a (slave 1)`.
    pub(super) fn title(&self) -> String {
        if self.is_master() { self.name.clone() } else { format!("{} (slave {})", self.name, self.id) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct NameServer {
    pub(super) addr: String,
    pub(super) reach: Reach,
    /// Looked at when it does not answer as a name server does.
    pub(super) talk: Option<Talk>,
    pub(super) known: Result<Vec<Server>, Trouble>,
    pub(super) took: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Broker {
    pub(super) server: Server,
    pub(super) reach: Reach,
    pub(super) talk: Option<Talk>,
    /// Other addresses tried when it is not reached, and who answers there.
    pub(super) elsewhere: Vec<Elsewhere>,
    pub(super) runtime: Result<Runtime, Trouble>,
    pub(super) config: Result<BTreeMap<String, String>, Trouble>,
    /// Whether its second port can be reached.
    pub(super) vip: Option<Reach>,
    /// Whether it hands messages out; only looked at when that is asked for.
    pub(super) pop: Option<Result<(), Trouble>>,
}

/// Another address for a broker, where something answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) addr: String,
    /// Its own name, when it says it.
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Runtime {
    pub(super) version: Option<String>,
    /// 0 to 1.
    pub(super) disk: Option<f64>,
    pub(super) max_offset: Option<i64>,
    pub(super) clock: Option<Clock>,
}

/// By how much a server's clock is ahead of this one, in milliseconds: not less than the one and not more than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) least: i64,
    pub(super) most: i64,
}

/// How far a slave is behind its master.
#[derive(Debug, Clone)]
pub(super) struct Copying {
    pub(super) slave: String,
    /// What the master had at the first look, and the slave at the second.
    pub(super) master: Option<i64>,
    pub(super) copied: Option<i64>,
    pub(super) between: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: String,
    /// `None` when there is no such topic.
    pub(super) route: Result<Option<Vec<Place>>, Trouble>,
    /// The brokers that create topics on first use.
    pub(super) creating: Vec<String>,
    /// What became of a send that no broker can take, by the name of the broker.
    pub(super) sends: Vec<(String, Result<(), Trouble>)>,
    /// What the brokers themselves say the topic allows.
    pub(super) own_perms: BTreeMap<String, i32>,
}

/// The part of a topic that lies on one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) broker: String,
    pub(super) has_master: bool,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) read_queues: i32,
    pub(super) write_queues: i32,
}

#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    /// `None` when no consumer of it has ever come.
    pub(super) members: Result<Option<Members>, Trouble>,
    /// Two looks at its queues.
    pub(super) looks: Option<[Vec<Queue>; 2]>,
    pub(super) between: Duration,
    /// What became of a pull in its name, by the name of the broker; only tried on a topic that was given.
    pub(super) pulls: Vec<(String, Result<(), Trouble>)>,
    /// Messages that were given up, if anybody can tell.
    pub(super) dead_letters: Option<i64>,
    /// The brokers with its retry topic, and those with one of its topics.
    pub(super) retry_brokers: Vec<String>,
    pub(super) topic_brokers: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    pub(super) members: Vec<Member>,
    /// `CLUSTERING` or `BROADCASTING`.
    pub(super) model: String,
    pub(super) consume_type: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) brokers: Vec<String>,
    /// What it said of itself; `None` when it does not answer.
    pub(super) own: Option<OwnWords>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OwnWords {
    pub(super) consume_type: Option<String>,
    pub(super) orderly: Option<String>,
    /// Topic to expression, `TAG a || b`.
    pub(super) subscriptions: BTreeMap<String, String>,
}

/// One queue of a group at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) topic: String,
    pub(super) broker: String,
    pub(super) id: i32,
    pub(super) broker_offset: i64,
    pub(super) consumer_offset: i64,
    pub(super) pulled_offset: i64,
    /// The first message that is still kept; only looked at when the group lies behind.
    pub(super) min_offset: Option<i64>,
    pub(super) owner: Option<String>,
}

impl Queue {
    pub(super) fn lag(&self) -> i64 {
        self.broker_offset.saturating_sub(self.consumer_offset).max(0)
    }

    /// `OrderTopic broker-a/3`.
    pub(super) fn title(&self) -> String {
        format!("{} {}/{}", self.topic, self.broker, self.id)
    }
}
