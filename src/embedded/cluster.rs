//! The cluster as its owner sees it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use crossbeam_channel::Receiver;

use super::broker::{Broker as Service, BrokerSet, MASTER};
use super::builder::ClusterBuilder;
use super::clock::{Clock, earlier};
use super::handles::{Broker, NameServer};
use super::listen;
use super::recorder::{Recorded, Recorder};
use super::server::Server;
use super::topics::{self, Topic};
use super::users::User;
use crate::code::RequestCode;
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::protocol::bounds::Bounds;
use crate::protocol::record;
use crate::thread::Thread;

/// Bodies larger than this, once inflated, are not shown by [`Cluster::stored`].
const INFLATED_LIMIT: usize = 64 << 20;

/// A RocketMQ cluster in this process's memory. See the [module](super) for what it is and is not.
///
/// Dropping it closes it, as [`close`](Cluster::close) does.
pub struct Cluster {
    inner: Arc<Inner>,
    /// The addresses of all name servers, joined by `;`.
    addr: String,
    clock: Mutex<Option<Thread>>,
    closed: AtomicBool,
}

/// What the clock's thread shares with the owner.
pub(super) struct Inner {
    pub(super) sets: Arc<[Arc<BrokerSet>]>,
    pub(super) brokers: Vec<(Arc<Service>, Arc<Server>)>,
    pub(super) name_servers: Vec<Arc<Server>>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) clock: Arc<Clock>,
}

impl Inner {
    pub(super) fn run(&self, woken: &Receiver<()>) {
        self.clock.run(woken, |now| self.servers().map(|server| server.tick(now)).fold(None, earlier));
    }

    fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.brokers.iter().map(|(_, server)| server).chain(&self.name_servers)
    }
}

impl Cluster {
    /// Starts a name server and one broker, `broker-a`, on free ports of 127.0.0.1. Sending creates topics.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no port can be listened on, [`Error::Thread`].
    pub fn start() -> Result<Cluster> {
        Cluster::builder().start()
    }

    /// Returns a builder with the settings of [`start`](Cluster::start), to change some.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    pub(super) fn new(inner: Arc<Inner>) -> Cluster {
        let addrs: Vec<String> = inner.name_servers.iter().map(|server| server.addr.to_string()).collect();
        Cluster { inner, addr: addrs.join(";"), clock: Mutex::default(), closed: AtomicBool::new(false) }
    }

    pub(super) fn keep(&self, clock: Thread) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }

    /// Returns the name server's address as clients take it: `ip:port`, several joined by `;`.
    pub fn name_server(&self) -> &str {
        &self.addr
    }

    /// Returns a name server, by number from 0, to do something to it.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn name_server_at(&self, number: usize) -> NameServer {
        NameServer { server: self.inner.name_servers[number].clone() }
    }

    /// Takes all name servers down; clients are refused. See [`NameServer::kill`].
    pub fn name_server_kill(&self) {
        for server in &self.inner.name_servers {
            server.stop();
        }
    }

    /// Brings all name servers up again on their ports.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a port has been taken meanwhile, [`Error::Closed`].
    pub fn name_server_restart(&self) -> Result<()> {
        self.inner.name_servers.iter().try_for_each(Server::start)
    }

    /// Returns the master of a broker, to look at or to do something to it.
    ///
    /// # Panics
    /// When there is no broker of that name.
    pub fn broker(&self, name: &str) -> Broker {
        self.slave(name, MASTER)
    }

    /// Returns the server of a broker that has this id: 0 is the master, slaves count from 1.
    ///
    /// # Panics
    /// When there is no such broker or slave.
    pub fn slave(&self, name: &str, id: i64) -> Broker {
        let found = self.inner.brokers.iter().find(|(broker, _)| *broker.set.name == *name && broker.member().id == id);
        let Some((broker, server)) = found else { panic!("the cluster has no broker {name} with id {id}") };
        Broker { broker: broker.clone(), server: server.clone() }
    }

    /// Returns the names of all brokers.
    pub fn broker_names(&self) -> Vec<String> {
        self.inner.sets.iter().map(|set| set.name.to_string()).collect()
    }

    /// Adds a user that brokers know, or changes the secret and the rights of the one of this access key; it takes effect at
    /// once. Brokers demand signed requests from the first user on.
    ///
    /// # Errors
    /// [`Error::Invalid`] without the feature `acl`.
    pub fn put_user(&self, user: User) -> Result<()> {
        if cfg!(not(feature = "acl")) {
            return Err(Error::invalid("users need the feature acl"));
        }
        // The brokers share their settings.
        self.inner.sets.iter().take(1).for_each(|set| set.settings.users.put(user.clone()));
        Ok(())
    }

    /// Creates a topic with so many queues on every broker, or changes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an illegal name.
    pub fn create_topic(&self, name: &str, queues: u16) -> Result<()> {
        topics::check_topic(name).map_err(Error::invalid)?;
        for set in self.inner.sets.iter() {
            set.topics.put(Topic::new(name, i32::from(queues)));
        }
        Ok(())
    }

    /// Returns the kept requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.inner.recorder.requests(None)
    }

    /// Returns the kept requests of one code, oldest first.
    pub fn requests_of(&self, code: RequestCode) -> Vec<Recorded> {
        self.inner.recorder.requests(Some(code))
    }

    /// Forgets the kept requests.
    pub fn clear_requests(&self) {
        self.inner.recorder.clear();
    }

    /// Returns every message that is stored under a topic, broker by broker, queue by queue, in order of offsets.
    pub fn stored(&self, topic: &str) -> Vec<MessageView> {
        let mut all = Vec::new();
        for set in self.inner.sets.iter() {
            let records = set.store().all(topic);
            for record in records {
                all.extend(
                    record::messages(Bytes::copy_from_slice(&record), &set.name, &Bounds::of_bodies(INFLATED_LIMIT)).0,
                );
            }
        }
        all
    }

    /// Returns how many messages are stored under a topic.
    pub fn stored_count(&self, topic: &str) -> usize {
        self.inner.sets.iter().map(|set| set.store().count(topic)).sum()
    }

    /// Returns how many connections are open to all servers.
    pub fn connections(&self) -> usize {
        self.inner.servers().map(|server| server.connections()).sum()
    }

    /// Closes every socket and joins every thread; what was stored can still be looked at. Closing again does nothing.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        for server in self.inner.servers() {
            server.close();
            listen::release(server.addr.port());
        }
        self.inner.clock.stop();
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(clock) = clock {
            clock.join();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name_server", &self.addr).field("brokers", &self.broker_names()).finish()
    }
}
