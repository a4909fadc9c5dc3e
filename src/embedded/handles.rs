//! What a test can do to one server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::broker::Broker as Service;
use super::faults::{Fault, Injected};
use super::server::Server;
use super::topics::Topic;
use crate::error::Result;

macro_rules! server_methods {
    ($what:literal) => {
        #[doc = concat!("Returns the address of the ", $what, ".")]
        pub fn addr(&self) -> SocketAddr {
            self.server.addr
        }

        #[doc = concat!("Makes the ", $what, " do something wrong. Faults outlive a restart.")]
        pub fn fault(&self, fault: Fault) -> Injected {
            self.server.faults.add(fault)
        }

        /// Ends all faults.
        pub fn clear_faults(&self) {
            self.server.faults.clear();
        }

        #[doc = concat!("Takes the ", $what, " down: closes its listener and all its connections at once.")]
        pub fn kill(&self) {
            self.server.stop();
        }

        #[doc = concat!("Brings the ", $what, " up again on its port; does nothing when it is up.")]
        ///
        /// # Errors
        /// [`Error::Invalid`](crate::Error::Invalid) when the port has been taken meanwhile,
        /// [`Error::Closed`](crate::Error::Closed) when the cluster is closed.
        pub fn restart(&self) -> Result<()> {
            self.server.start()
        }

        #[doc = concat!("Returns whether the ", $what, " accepts connections.")]
        pub fn is_up(&self) -> bool {
            self.server.is_up()
        }

        /// Closes all connections; new ones are accepted.
        pub fn disconnect(&self) {
            self.server.disconnect();
        }

        /// Answers every request that still arrives over a connection of now with `GO_AWAY`, as a server does that is being
        /// shut down; oneway requests are dropped. New connections are accepted and served.
        pub fn go_away(&self) {
            self.server.go_away();
        }

        /// Returns how many connections are open.
        pub fn connections(&self) -> usize {
            self.server.connections()
        }

        /// Refuses new connections until [`restart`](Self::restart); those that are open go on.
        pub fn refuse_connections(&self) {
            self.server.refuse();
        }

        /// Lets clients connect without ever accepting, so that nothing is answered, until [`restart`](Self::restart).
        /// Connections that are open go on.
        ///
        /// # Errors
        /// [`Error::Invalid`](crate::Error::Invalid) when the port cannot be listened on.
        pub fn never_accept(&self) -> Result<()> {
            self.server.silence(false)
        }

        /// Makes connecting hang, by filling the listener's backlog, until [`restart`](Self::restart). Connections that
        /// are open go on.
        ///
        /// # Errors
        /// [`Error::Invalid`](crate::Error::Invalid) when the port cannot be listened on.
        pub fn fill_backlog(&self) -> Result<()> {
            self.server.silence(true)
        }

        /// Stops to process requests on all connections. Clients can write until the sockets' buffers are full.
        pub fn stop_reading(&self) {
            self.server.pause(true);
        }

        /// Ends [`stop_reading`](Self::stop_reading): what waits is processed.
        pub fn resume_reading(&self) {
            self.server.pause(false);
        }
    };
}

/// A name server of a [`Cluster`](super::Cluster).
#[derive(Clone)]
pub struct NameServer {
    pub(super) server: Arc<Server>,
}

impl NameServer {
    server_methods!("name server");
}

/// A server of a broker: its master or a slave.
///
/// Name servers tell clients only of servers that are up, at once, as Apache's do when a broker's connection ends.
#[derive(Clone)]
pub struct Broker {
    pub(super) broker: Arc<Service>,
    pub(super) server: Arc<Server>,
}

impl Broker {
    /// Returns the broker's name, which a master and its slaves share.
    pub fn name(&self) -> &str {
        &self.broker.set.name
    }

    /// Returns the id within the broker: 0 is the master.
    pub fn id(&self) -> i64 {
        self.broker.member().id
    }

    server_methods!("broker");

    /// Brings the broker up again without topics, messages and offsets, as with a new disk. Its slaves lose them too: they
    /// read the same memory. Topics that the builder was given exist again.
    ///
    /// # Errors
    /// As [`restart`](Broker::restart).
    pub fn restart_empty(&self) -> Result<()> {
        self.server.stop();
        self.broker.set.clear();
        self.server.start()
    }

    /// Says whether name servers tell clients of this server, whatever its state: a broker that is down but still in the
    /// routes, or one that is up and not yet registered.
    pub fn registered(&self, registered: bool) {
        self.broker.member().registered.store(registered, Ordering::SeqCst);
    }

    /// Makes pulls be told to ask the server with this id next; 0, the default, is the master.
    pub fn suggest(&self, broker_id: i64) {
        self.broker.set.suggested.store(broker_id, Ordering::SeqCst);
    }

    /// Sets what the broker as a whole allows: 4 reading, 2 writing, 6 both.
    pub fn permissions(&self, perm: i32) {
        self.broker.set.perm.store(perm, Ordering::SeqCst);
    }

    /// Sets what a topic allows on this broker: 4 reading, 2 writing, 6 both. An unknown topic is made with 4 queues.
    pub fn topic_permissions(&self, topic: &str, perm: i32) {
        self.change(topic, |topic| topic.perm = perm);
    }

    /// Sets a topic's counts of queues on this broker. An unknown topic is made.
    pub fn topic_queues(&self, topic: &str, read: u16, write: u16) {
        self.change(topic, |topic| (topic.read_queues, topic.write_queues) = (read.into(), write.into()));
    }

    /// Makes a topic ordered, which matters to a broker that may not be written to.
    pub fn topic_ordered(&self, topic: &str, ordered: bool) {
        self.change(topic, |topic| topic.order = ordered);
    }

    /// Removes a topic and its messages from this broker, and so from its routes.
    pub fn remove_topic(&self, topic: &str) {
        self.broker.set.remove_topic(topic);
    }

    /// Forbids a consumer group to consume, or allows it again.
    pub fn disable_group(&self, group: &str, disabled: bool) {
        self.broker.set.offsets.disable(group, disabled);
    }

    /// Returns the offset a group has committed for a queue.
    pub fn committed(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.broker.set.offsets.committed(group, topic, queue_id)
    }

    /// Returns the ids of the clients in a consumer group that are connected to this server.
    pub fn consumers(&self, group: &str) -> Vec<String> {
        self.broker.groups.members(group)
    }

    /// Returns the ids of the clients in a producer group that are connected to this server.
    pub fn producers(&self, group: &str) -> Vec<String> {
        self.broker.groups.producers(group)
    }

    /// Returns how many half messages wait for the end of their transaction.
    pub fn half_messages(&self) -> usize {
        self.broker.set.half_messages.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns how many pulls are held, waiting for messages.
    pub fn held_pulls(&self) -> usize {
        self.broker.member().holds.len()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Topic)) {
        let topics = &self.broker.set.topics;
        let mut topic = topics.get(name).map_or_else(|| Topic::new(name, 4), |topic| Topic::clone(&topic));
        change(&mut topic);
        topics.put(topic);
    }
}

impl fmt::Debug for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameServer").field("addr", &self.server.addr).finish()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("server", &self.server.label).field("addr", &self.server.addr).finish()
    }
}
