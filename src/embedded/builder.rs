//! Settings of a cluster, and how it is put together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::broker::{Broker, BrokerSet, MASTER, Settings};
use super::clock::Clock;
use super::cluster::{Cluster, Inner};
use super::listen;
use super::name_server::NameServer;
use super::recorder::Recorder;
use super::server::{Limits, Server, Service};
use super::topics::{self, Topic};
use super::transaction;
use super::users::{User, Users};
use super::vip::{self, Listening, Vip};
use crate::error::{Error, Result};
use crate::protocol::frame::MAX_FRAME;
use crate::thread::Thread;

const MAX_BROKERS: usize = 26;
const MAX_SLAVES: usize = 8;

/// The settings of a [`Cluster`]. Each has a default; [`start`](ClusterBuilder::start) checks them all.
///
/// ```
/// use rocketmq_blocking::embedded::Cluster;
///
/// let cluster = Cluster::builder().brokers(2).slaves(1).auto_create_topics(false).topic("OrderTopic", 8).start()?;
/// assert_eq!(cluster.stored_count("OrderTopic"), 0);
/// # Ok::<(), rocketmq_blocking::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing runs before start()"]
pub struct ClusterBuilder {
    brokers: usize,
    slaves: usize,
    name_servers: Vec<String>,
    broker_ip: IpAddr,
    broker_port: u16,
    recorded: usize,
    limits: Limits,
    vip: bool,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::ServerTls>,
    settings: Settings,
}

impl Default for ClusterBuilder {
    fn default() -> ClusterBuilder {
        ClusterBuilder {
            brokers: 1,
            slaves: 0,
            name_servers: vec!["127.0.0.1:0".to_owned()],
            broker_ip: Ipv4Addr::LOCALHOST.into(),
            broker_port: 0,
            recorded: 10_000,
            limits: Limits { frame: MAX_FRAME, connections: 1024 },
            vip: false,
            #[cfg(feature = "tls")]
            tls: None,
            settings: Settings {
                cluster: "DefaultCluster".into(),
                auto_create: true,
                topics: Vec::new(),
                message_limit: 4 << 20,
                store_limit: 256 << 20,
                delay_scale: 1.0,
                transactions: transaction::Settings::default(),
                slave_read: true,
                recall: true,
                pop: true,
                member_timeout: Duration::from_secs(120),
                users: Users::default(),
            },
        }
    }
}

impl ClusterBuilder {
    /// Sets the number of brokers, 1 to 26, named `broker-a`, `broker-b`, …. 1 by default.
    pub fn brokers(mut self, count: usize) -> ClusterBuilder {
        self.brokers = count;
        self
    }

    /// Sets the number of slaves of each broker, 0 to 8. 0 by default.
    pub fn slaves(mut self, count: usize) -> ClusterBuilder {
        self.slaves = count;
        self
    }

    /// Names the cluster. `DefaultCluster` by default.
    pub fn cluster_name(mut self, name: impl Into<Arc<str>>) -> ClusterBuilder {
        self.settings.cluster = name.into();
        self
    }

    /// Sets the address of the name server, `ip:port`; port 0 chooses a free one. `127.0.0.1:0` by default.
    pub fn name_server(mut self, addr: impl Into<String>) -> ClusterBuilder {
        self.name_servers = vec![addr.into()];
        self
    }

    /// Sets the number of name servers, at least 1, all but the first on free ports. 1 by default.
    pub fn name_servers(mut self, count: usize) -> ClusterBuilder {
        let first = self.name_servers.swap_remove(0);
        let ip = first.rsplit_once(':').map_or("127.0.0.1", |(ip, _)| ip).to_owned();
        self.name_servers = vec![first];
        self.name_servers.resize(count.max(1), format!("{ip}:0"));
        self
    }

    /// Sets the address brokers listen on and are known by. 127.0.0.1 by default.
    pub fn broker_ip(mut self, ip: impl Into<IpAddr>) -> ClusterBuilder {
        self.broker_ip = ip.into();
        self
    }

    /// Sets the port of the first broker's master; other servers take the ports behind it. 0, free ones, by default.
    pub fn broker_port(mut self, port: u16) -> ClusterBuilder {
        self.broker_port = port;
        self
    }

    /// Makes brokers listen at their port minus two as well, where Apache's serve everything but pulls (Java: the VIP
    /// channel). Off by default. With [`broker_port`](ClusterBuilder::broker_port) their ports then lie four apart.
    ///
    /// Requests that arrive there are recorded under `broker-a/vip`; faults apply to the first port only.
    pub fn vip_channel(mut self, on: bool) -> ClusterBuilder {
        self.vip = on;
        self
    }

    /// Sets whether sending to an unknown topic creates it. True by default.
    pub fn auto_create_topics(mut self, enabled: bool) -> ClusterBuilder {
        self.settings.auto_create = enabled;
        self
    }

    /// Creates a topic with so many queues on each broker. May be given several times.
    pub fn topic(mut self, name: impl Into<Arc<str>>, queues: u16) -> ClusterBuilder {
        self.settings.topics.push(Topic::new(name, i32::from(queues)));
        self
    }

    /// Makes brokers demand signed requests, and answer others with code 16 as Apache 5.x does. Needs the feature `acl`.
    pub fn credentials(self, access_key: impl Into<String>, secret_key: impl Into<String>) -> ClusterBuilder {
        self.settings.users.put(User::new(access_key, secret_key).administrator());
        self
    }

    /// Makes brokers demand signed requests and know this user too; may be given several times. Needs the feature `acl`.
    pub fn user(self, user: User) -> ClusterBuilder {
        self.settings.users.put(user);
        self
    }

    /// Makes brokers refuse as those before 5.3 do: with code 1 and a remark with `AclException`. Off by default.
    pub fn old_access_control(mut self, on: bool) -> ClusterBuilder {
        self.settings.users.old = on;
        self
    }

    /// Encrypts the connections of all servers. None by default. Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: super::tls::ServerTls) -> ClusterBuilder {
        self.tls = Some(tls);
        self
    }

    /// Sets the largest body of a message or batch, in bytes. 4 MiB by default.
    pub fn message_limit(mut self, bytes: usize) -> ClusterBuilder {
        self.settings.message_limit = bytes;
        self
    }

    /// Sets how many bytes of messages each broker keeps; beyond that the oldest are dropped and minimum offsets rise. 256 MiB
    /// by default.
    pub fn store_limit(mut self, bytes: usize) -> ClusterBuilder {
        self.settings.store_limit = bytes;
        self
    }

    /// Multiplies the delays of delay levels: 0.01 makes level 3 (10 s) a tenth of a second. 1 by default. Timers, which
    /// name their time themselves, are not affected.
    pub fn delay_level_scale(mut self, factor: f64) -> ClusterBuilder {
        self.settings.delay_scale = factor;
        self
    }

    /// Sets whether half messages are taken (Java: `rejectTransactionMessage` refuses them). True by default.
    pub fn transactions(mut self, enabled: bool) -> ClusterBuilder {
        self.settings.transactions.enabled = enabled;
        self
    }

    /// Sets how old a half message is before its producer group is asked about it (`transactionTimeOut`). 2 s by default,
    /// where Apache's brokers wait 6 s.
    pub fn transaction_timeout(mut self, age: Duration) -> ClusterBuilder {
        self.settings.transactions.timeout = age;
        self
    }

    /// Sets how often half messages are looked through, and so how often a producer group is asked again
    /// (`transactionCheckInterval`). 1 s by default, where Apache's brokers wait 30 s; at least 10 ms.
    pub fn transaction_check_interval(mut self, interval: Duration) -> ClusterBuilder {
        self.settings.transactions.check_interval = interval;
        self
    }

    /// Sets how often a producer group is asked about one half message before the message is given up and kept under
    /// `TRANS_CHECK_MAX_TIME_TOPIC` (`transactionCheckMax`). 15 by default, as Apache's brokers have it.
    pub fn transaction_check_max(mut self, checks: u32) -> ClusterBuilder {
        self.settings.transactions.check_max = checks;
        self
    }

    /// Sets whether slaves answer pulls (`slaveReadEnable`). True by default, unlike Apache's.
    pub fn slave_read(mut self, enabled: bool) -> ClusterBuilder {
        self.settings.slave_read = enabled;
        self
    }

    /// Sets after how long without a heartbeat a client is forgotten: its connection is closed, and the other members of its groups
    /// are told. 120 s by default, as Apache's brokers have it; at least 10 ms.
    pub fn member_timeout(mut self, silence: Duration) -> ClusterBuilder {
        self.settings.member_timeout = silence;
        self
    }

    /// Sets whether timer messages can be recalled (`recallMessageEnable`). True by default, unlike Apache's.
    pub fn recall(mut self, enabled: bool) -> ClusterBuilder {
        self.settings.recall = enabled;
        self
    }

    /// Sets whether brokers hand messages out and share queues among consumers (pop), as they do since 5.0; those of the 4.x
    /// line refuse all these requests with code 3. True by default.
    pub fn pop(mut self, enabled: bool) -> ClusterBuilder {
        self.settings.pop = enabled;
        self
    }

    /// Sets how many of the latest requests are kept for [`Cluster::requests`]; 0 keeps none. 10 000 by default.
    pub fn recorded_requests(mut self, count: usize) -> ClusterBuilder {
        self.recorded = count;
        self
    }

    /// Sets how many connections each server accepts at most; more are closed at once. 1 024 by default.
    pub fn connection_limit(mut self, count: usize) -> ClusterBuilder {
        self.limits.connections = count;
        self
    }

    /// Sets the largest request in bytes, at most and by default the protocol's 16 777 212; a larger one ends its connection.
    pub fn frame_limit(mut self, bytes: usize) -> ClusterBuilder {
        self.limits.frame = bytes;
        self
    }

    /// Starts the cluster. Returns at once: everything is listening then.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting that makes no sense or an address that cannot be listened on,
    /// credentials without the feature `acl` or TLS whose certificate or key cannot be used; [`Error::Thread`].
    pub fn start(self) -> Result<Cluster> {
        self.check()?;
        let name_servers = self.name_server_listeners()?;
        let listeners = self.broker_listeners()?;
        let (clock, woken) = Clock::new();
        let clock = Arc::new(clock);
        let recorder = Arc::new(Recorder::new(self.recorded));
        let settings = Arc::new(self.settings.clone());
        let server = |label: String, addr, service: Arc<dyn Service>| {
            Server::new(label.into(), addr, service, recorder.clone(), clock.clone(), self.limits)
        };
        let mut sets = Vec::new();
        let mut brokers = Vec::new();
        let mut listening = Vec::new();
        for (number, listeners) in listeners.into_iter().enumerate() {
            let name = broker_name(number);
            let members: Vec<(i64, SocketAddr)> =
                (MASTER..).zip(listeners.iter()).map(|(id, one)| (id, one.addr)).collect();
            let set = BrokerSet::new(name.as_str().into(), settings.clone(), members, clock.clone());
            for (at, Listening { listener, addr, second }) in listeners.into_iter().enumerate() {
                let label = if at == 0 { name.clone() } else { format!("{name}/{at}") };
                let broker = Arc::new(Broker::new(set.clone(), at));
                let second = second.map(|(listener, addr)| {
                    (server(format!("{label}/vip"), addr, Arc::new(Vip(broker.clone()))), listener)
                });
                let server = server(label, addr, broker.clone());
                if let Some((second, listener)) = second {
                    server.joins(&second);
                    listening.push((second, listener));
                }
                brokers.push((broker, server.clone()));
                listening.push((server, listener));
            }
            sets.push(set);
        }
        let sets: Arc<[Arc<BrokerSet>]> = sets.into();
        for set in sets.iter() {
            // Only here.
            let _ = set.neighbours.set(Arc::downgrade(&sets));
        }
        let service: Arc<dyn Service> = Arc::new(NameServer::new(sets.clone()));
        let mut servers = Vec::new();
        for (number, (listener, addr)) in name_servers.into_iter().enumerate() {
            let label = if number == 0 { "name-server".to_owned() } else { format!("name-server/{number}") };
            servers.push(server(label, addr, service.clone()));
            listening.push((servers[number].clone(), listener));
        }
        let inner = Arc::new(Inner { sets, brokers, name_servers: servers, recorder, clock });
        let cluster = Cluster::new(inner.clone());
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls {
            let ready = tls.ready()?;
            listening.iter().for_each(|(server, _)| server.encrypt(&ready));
        }
        // From here on dropping the cluster undoes what has been started.
        for (server, listener) in listening {
            server.accept_on(listener)?;
        }
        cluster.keep(Thread::spawn("mq-clock".into(), move || inner.run(&woken))?);
        Ok(cluster)
    }

    #[cfg(any(fuzzing, test))]
    pub(super) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn check(&self) -> Result<()> {
        if !(1..=MAX_BROKERS).contains(&self.brokers) {
            return Err(Error::invalid(format!("{} brokers; 1 to {MAX_BROKERS} are possible", self.brokers)));
        }
        if self.slaves > MAX_SLAVES {
            return Err(Error::invalid(format!("{} slaves; 0 to {MAX_SLAVES} are possible", self.slaves)));
        }
        if !self.settings.delay_scale.is_finite() || !(0.0..=1e6).contains(&self.settings.delay_scale) {
            return Err(Error::invalid("delay_level_scale: a number from 0 to 1000000 is possible"));
        }
        if self.settings.transactions.check_interval < Duration::from_millis(10) {
            return Err(Error::invalid("transaction_check_interval: at least 10 ms are possible"));
        }
        if self.settings.member_timeout < Duration::from_millis(10) {
            return Err(Error::invalid("member_timeout: at least 10 ms are possible"));
        }
        for topic in &self.settings.topics {
            topics::check_topic(&topic.name).map_err(Error::invalid)?;
        }
        if cfg!(not(feature = "acl")) && !self.settings.users.is_empty() {
            return Err(Error::invalid("credentials need the feature acl"));
        }
        Ok(())
    }

    fn name_server_listeners(&self) -> Result<Vec<(TcpListener, SocketAddr)>> {
        let listen = |addr: &String| {
            let wrong = || Error::invalid(format!("name server address {addr:?}: ip:port is expected"));
            let addr: SocketAddr = addr.parse().map_err(|_| wrong())?;
            let listener = listen::first(addr.ip(), addr.port())?;
            let addr = listen::address(&listener)?;
            Ok((listener, addr))
        };
        self.name_servers.iter().map(listen).collect()
    }

    fn broker_listeners(&self) -> Result<Vec<Vec<Listening>>> {
        let mut next = self.broker_port;
        let mut listen = || {
            let listening = vip::listen(self.broker_ip, next, self.vip)?;
            next = if next == 0 { 0 } else { next.saturating_add(if self.vip { 4 } else { 1 }) };
            Ok(listening)
        };
        (0..self.brokers).map(|_| (0..=self.slaves).map(|_| listen()).collect()).collect()
    }
}

fn broker_name(number: usize) -> String {
    let letter = u8::try_from(number).map_or('?', |number| char::from(b'a' + number));
    format!("broker-{letter}")
}
