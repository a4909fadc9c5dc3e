use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::address_map::AddressMap;
use super::credentials::Credentials;
use super::discovery::Discovery;
use super::handle::Client;
use super::identity;
use super::name_server;
use super::options::ClientOptions;
use crate::error::{Error, Result};
use crate::protocol::frame::{HeaderKind, MAX_FRAME};
use crate::remoting::RemotingOptions;

/// The shortest interval of a periodic job: shorter ones would only keep the scheduler busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The longest name of an instance or unit; the client id stands in every heartbeat.
const NAME_LIMIT: usize = 255;

/// Settings of a [`Client`]. It is consumed and ends in [`connect`](ClientBuilder::connect) or
/// [`build`](ClientBuilder::build), which check everything.
///
/// ```
/// # use std::time::Duration;
/// # use rocketmq_blocking::Client;
/// # fn main() -> rocketmq_blocking::Result<()> {
/// let client = Client::builder()
///     .name_servers("10.0.0.1:9876;10.0.0.2:9876")
///     .instance_name("billing-1")
///     .request_timeout(Duration::from_secs(2))
///     .build()?;
/// client.close()
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    name_servers: Option<String>,
    discovery_domain: Option<String>,
    discovery_subgroup: Option<String>,
    client_ip: Option<IpAddr>,
    instance_name: Option<Arc<str>>,
    unit_name: Option<Arc<str>>,
    unit_mode: bool,
    request_timeout: Duration,
    route_interval: Duration,
    heartbeat_interval: Duration,
    discovery_interval: Duration,
    scan_interval: Duration,
    body_limit: usize,
    callback_threads: usize,
    callback_queue: usize,
    address_map: Option<AddressMap>,
    credentials: Option<Credentials>,
    header_kind: Option<HeaderKind>,
    remoting: RemotingOptions,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        ClientBuilder {
            name_servers: None,
            discovery_domain: None,
            discovery_subgroup: None,
            client_ip: None,
            instance_name: None,
            unit_name: None,
            unit_mode: false,
            request_timeout: Duration::from_secs(3),
            route_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            discovery_interval: Duration::from_secs(120),
            scan_interval: Duration::from_secs(1),
            body_limit: 64 * 1024 * 1024,
            callback_threads: 2,
            callback_queue: 65_536,
            address_map: None,
            credentials: None,
            header_kind: None,
            remoting: RemotingOptions::default(),
        }
    }

    /// Names the name servers: `host:port;host:port`. Commas, blanks and repetitions are tolerated, the port defaults to
    /// 9876, an IPv6 address may stand in brackets, and of `http://…/host:port` the part after the last `/` counts.
    ///
    /// By default the environment variable `NAMESRV_ADDR` is read, and without that they are discovered over HTTP.
    pub fn name_servers(mut self, list: impl AsRef<str>) -> ClientBuilder {
        self.name_servers = Some(list.as_ref().to_owned());
        self
    }

    /// Sets the host, and port if not 8080, that is asked over HTTP for the name servers when none are given.
    ///
    /// By default `ROCKETMQ_NAMESRV_DOMAIN` from the environment, else `jmenv.tbsite.net`.
    pub fn discovery_domain(mut self, domain: impl Into<String>) -> ClientBuilder {
        self.discovery_domain = Some(domain.into());
        self
    }

    /// Sets the last part of the URL that is asked for the name servers.
    ///
    /// By default `ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP` from the environment, else `nsaddr`.
    pub fn discovery_subgroup(mut self, subgroup: impl Into<String>) -> ClientBuilder {
        self.discovery_subgroup = Some(subgroup.into());
        self
    }

    /// Sets the address that stands in the client's identity and in message ids; by default the one by which this host
    /// reaches its first name server, else the rest of the world.
    pub fn client_ip(mut self, ip: IpAddr) -> ClientBuilder {
        self.client_ip = Some(ip);
        self
    }

    /// Names this instance; by default each client has a name of its own.
    ///
    /// Clients of one process that are built with the same name, name servers and settings are one client. The brokers
    /// tell clients apart by address and instance name, so it must be unique among the hosts that share an address.
    pub fn instance_name(mut self, name: impl Into<Arc<str>>) -> ClientBuilder {
        self.instance_name = Some(name.into());
        self
    }

    /// Names the unit: it is appended to the identity and to the URL of discovery. None by default.
    pub fn unit_name(mut self, name: impl Into<Arc<str>>) -> ClientBuilder {
        self.unit_name = Some(name.into());
        self
    }

    /// Marks the topics of this client as unit topics. Off by default.
    pub fn unit_mode(mut self, on: bool) -> ClientBuilder {
        self.unit_mode = on;
        self
    }

    /// Sets how long routes, heartbeats and administration wait for an answer. 3 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.request_timeout = timeout;
        self
    }

    /// Sets how long making a connection may take. 3 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.remoting.connect_timeout = timeout;
        self
    }

    /// Sets how often routes are asked for anew (Java: `pollNameServerInterval`). 30 s by default.
    pub fn route_interval(mut self, interval: Duration) -> ClientBuilder {
        self.route_interval = interval;
        self
    }

    /// Sets how often brokers get a heartbeat. 30 s by default; brokers forget a client after 120 s without.
    pub fn heartbeat_interval(mut self, interval: Duration) -> ClientBuilder {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets how often name servers are discovered anew, when none are given. 120 s by default, the first time after 10 s.
    pub fn discovery_interval(mut self, interval: Duration) -> ClientBuilder {
        self.discovery_interval = interval;
        self
    }

    /// Sets how often connections are looked after when nothing asks for it sooner. 1 s by default.
    pub fn scan_interval(mut self, interval: Duration) -> ClientBuilder {
        self.scan_interval = interval;
        self
    }

    /// Sets the largest size a received message's body may have once it is inflated, in bytes. 64 MiB by default; brokers
    /// take bodies up to 4 MiB unless configured otherwise.
    pub fn body_limit(mut self, bytes: usize) -> ClientBuilder {
        self.body_limit = bytes;
        self
    }

    /// Sets the largest frame that is accepted, in bytes. 16 777 212 by default, which is the protocol's own limit.
    pub fn frame_limit(mut self, bytes: usize) -> ClientBuilder {
        self.remoting.frame_limit = bytes;
        self
    }

    /// Sets how many bytes may wait to be written to one server. 64 MiB by default.
    pub fn outbox_limit(mut self, bytes: usize) -> ClientBuilder {
        self.remoting.outbox_limit = bytes;
        self
    }

    /// Sets how long a server may take nothing of what is written to it before the connection is given up. 10 s by default.
    pub fn stall_limit(mut self, limit: Duration) -> ClientBuilder {
        self.remoting.stall_limit = limit;
        self
    }

    /// Sets how long a connection with waiting calls may receive nothing before it is probed. 5 s by default.
    pub fn silence_limit(mut self, limit: Duration) -> ClientBuilder {
        self.remoting.silence_limit = limit;
        self
    }

    /// Sets how long a probe of a silent connection may take before it is closed. 3 s by default.
    pub fn probe_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.remoting.probe_timeout = timeout;
        self
    }

    /// Writes request headers in the binary form (Java: `ROCKETMQ` serialization) instead of JSON.
    ///
    /// By default JSON, unless `ROCKETMQ_SERIALIZE_TYPE` in the environment says `ROCKETMQ`. Answers are read in the form
    /// they have.
    pub fn binary_headers(mut self, on: bool) -> ClientBuilder {
        self.header_kind = Some(if on { HeaderKind::Binary } else { HeaderKind::Json });
        self
    }

    /// Sets the number of threads callbacks run on, 1 to 256. 2 by default; they start at first use.
    pub fn callback_threads(mut self, count: usize) -> ClientBuilder {
        self.callback_threads = count;
        self
    }

    /// Sets how many callbacks may wait for a thread, which bounds asynchronous calls. 65 536 by default.
    pub fn callback_queue(mut self, length: usize) -> ClientBuilder {
        self.callback_queue = length;
        self
    }

    /// Translates the addresses brokers advertise into those that are reachable from here: Docker, NAT, tunnels.
    ///
    /// It runs on the client's own threads for each address of each new route and must not block.
    pub fn address_map(mut self, map: impl Fn(&str) -> String + Send + Sync + 'static) -> ClientBuilder {
        self.address_map = Some(AddressMap::new(map));
        self
    }

    /// Signs every request. None by default.
    pub fn credentials(mut self, credentials: Credentials) -> ClientBuilder {
        self.credentials = Some(credentials);
        self
    }

    /// Builds the client and makes sure that a name server answers, whatever it says; at most three seconds.
    ///
    /// # Errors
    ///
    /// As [`build`](ClientBuilder::build), and the error of the name servers: each is named with what it said.
    pub fn connect(self) -> Result<Client> {
        let client = self.build()?;
        client.ensure_name_server()?;
        Ok(client)
    }

    /// Checks the settings and starts the client, without any I/O but reading the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the setting that is wrong, or the one in which a running client of the same identity
    /// differs; [`Error::Unsupported`] when credentials are given and the crate was built without the feature `acl`.
    pub fn build(self) -> Result<Client> {
        let environment = |name: &str| std::env::var(name).ok();
        Client::open(self.options(environment)?)
    }

    fn options(self, environment: impl Fn(&str) -> Option<String>) -> Result<ClientOptions> {
        self.check()?;
        let environment = |name| environment(name).filter(|value| !value.trim().is_empty());
        let name_servers = match self.name_servers.as_deref() {
            Some(list) => required_list(list)?,
            None => match environment("NAMESRV_ADDR") {
                Some(list) => required_list(&list)?,
                None => Vec::new(),
            },
        };
        let discovery = if name_servers.is_empty() {
            let domain = self.discovery_domain.clone().or_else(|| environment("ROCKETMQ_NAMESRV_DOMAIN"));
            let subgroup = self.discovery_subgroup.clone().or_else(|| environment("ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP"));
            Some(Discovery::new(domain.as_deref(), subgroup.as_deref(), self.unit_name.as_deref())?)
        } else {
            None
        };
        let towards = name_servers.first().and_then(|addr| addr.parse::<SocketAddr>().ok());
        let binary = || environment("ROCKETMQ_SERIALIZE_TYPE").is_some_and(|kind| kind.trim() == "ROCKETMQ");
        let header_kind =
            self.header_kind.unwrap_or_else(|| if binary() { HeaderKind::Binary } else { HeaderKind::Json });
        Ok(ClientOptions {
            name_servers,
            discovery,
            client_ip: self.client_ip.unwrap_or_else(|| identity::local_ip(towards)),
            instance_name: self.instance_name.unwrap_or_else(identity::unique_instance_name),
            unit_name: self.unit_name,
            unit_mode: self.unit_mode,
            request_timeout: self.request_timeout,
            route_interval: self.route_interval,
            heartbeat_interval: self.heartbeat_interval,
            discovery_interval: self.discovery_interval,
            scan_interval: self.scan_interval,
            body_limit: self.body_limit,
            callback_threads: self.callback_threads,
            callback_queue: self.callback_queue,
            address_map: self.address_map,
            credentials: self.credentials,
            remoting: RemotingOptions { header_kind, ..self.remoting },
        })
    }

    fn check(&self) -> Result<()> {
        let remoting = &self.remoting;
        for (name, timeout) in [
            ("request_timeout", self.request_timeout),
            ("connect_timeout", remoting.connect_timeout),
            ("stall_limit", remoting.stall_limit),
            ("silence_limit", remoting.silence_limit),
            ("probe_timeout", remoting.probe_timeout),
        ] {
            require(!timeout.is_zero(), || format!("{name} is zero; a duration above zero is needed"))?;
        }
        for (name, interval) in [
            ("route_interval", self.route_interval),
            ("heartbeat_interval", self.heartbeat_interval),
            ("discovery_interval", self.discovery_interval),
            ("scan_interval", self.scan_interval),
        ] {
            require(interval >= SHORTEST_INTERVAL, || {
                format!("{name} is {interval:?}; at least {SHORTEST_INTERVAL:?} is needed")
            })?;
        }
        for (name, value, most) in [
            ("body_limit", self.body_limit, usize::MAX),
            ("frame_limit", remoting.frame_limit, MAX_FRAME),
            ("outbox_limit", remoting.outbox_limit, usize::MAX),
            ("callback_threads", self.callback_threads, 256),
            ("callback_queue", self.callback_queue, usize::MAX),
        ] {
            require((1..=most).contains(&value), || format!("{name} is {value}; 1 to {most} is allowed"))?;
        }
        check_name("instance_name", self.instance_name.as_deref())?;
        check_name("unit_name", self.unit_name.as_deref())?;
        self.check_credentials()
    }

    fn check_credentials(&self) -> Result<()> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        require(!credentials.access_key().trim().is_empty(), || "the access key is empty".into())?;
        require(!credentials.secret_key().is_empty(), || "the secret key is empty".into())?;
        if cfg!(not(feature = "acl")) {
            let what = "signing requests needs the feature `acl` of this crate, which is on by default";
            return Err(Error::Unsupported { what: what.into(), addr: None });
        }
        Ok(())
    }
}

fn require(right: bool, what: impl FnOnce() -> String) -> Result<()> {
    if right { Ok(()) } else { Err(Error::invalid(what())) }
}

fn required_list(list: &str) -> Result<Vec<Arc<str>>> {
    let addrs = name_server::parse(list)?;
    require(!addrs.is_empty(), || {
        format!("the name server list {list:?} names none; host:port;host:port is expected")
    })?;
    Ok(addrs)
}

fn check_name(what: &str, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let plain = !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '@');
    require(plain && (1..=NAME_LIMIT).contains(&name.len()), || {
        format!("{what} {name:?}: 1 to {NAME_LIMIT} bytes without blanks, control characters and @ are expected")
    })
}
