use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::address_map::AddressMap;
use super::credentials::Credentials;
use super::handle::Client;
use super::limits::Limits;
use super::renewal::Provider;
use crate::error::Result;
use crate::protocol::frame::HeaderKind;
use crate::remoting::RemotingOptions;

/// Settings of a [`Client`]. It is consumed and ends in [`connect`](ClientBuilder::connect) or
/// [`build`](ClientBuilder::build), which check everything: durations are above zero, intervals at least 10 ms, sizes and
/// counts at least 1, names at most 255 bytes without blanks, control characters and `@`.
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
    pub(super) name_servers: Option<String>,
    pub(super) discovery_domain: Option<String>,
    pub(super) discovery_subgroup: Option<String>,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) instance_name: Option<Arc<str>>,
    pub(super) unit_name: Option<Arc<str>>,
    pub(super) unit_mode: bool,
    pub(super) request_timeout: Duration,
    pub(super) route_interval: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) discovery_interval: Duration,
    pub(super) scan_interval: Duration,
    pub(super) limits: Limits,
    pub(super) answer_diagnosis: bool,
    pub(super) callback_threads: usize,
    pub(super) callback_queue: usize,
    pub(super) address_map: Option<AddressMap>,
    pub(super) credentials: Option<Credentials>,
    pub(super) credentials_provider: Option<Provider>,
    pub(super) credentials_interval: Duration,
    pub(super) header_kind: Option<HeaderKind>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) namespace_v2: Option<Arc<str>>,
    pub(super) zone: Option<(Arc<str>, Arc<str>)>,
    pub(super) vip_channel: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::Tls>,
    pub(super) remoting: RemotingOptions,
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
            limits: Limits::default(),
            answer_diagnosis: true,
            callback_threads: 2,
            callback_queue: 65_536,
            address_map: None,
            credentials: None,
            credentials_provider: None,
            credentials_interval: Duration::from_secs(60),
            header_kind: None,
            namespace: None,
            namespace_v2: None,
            zone: None,
            vip_channel: false,
            #[cfg(feature = "tls")]
            tls: None,
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

    /// Names this instance (Java: `instanceName`); by default each client has a name of its own.
    ///
    /// Clients of one process that are built with the same name, name servers and settings are one client. The brokers
    /// tell clients apart by address and instance name, so it must be unique among the hosts that share an address.
    pub fn instance_name(mut self, name: impl Into<Arc<str>>) -> ClientBuilder {
        self.instance_name = Some(name.into());
        self
    }

    /// Names the unit: it is appended to the identity and to the URL of discovery (Java: `unitName`). None by default.
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

    /// Sets how often brokers get a heartbeat (Java: `heartbeatBrokerInterval`). 30 s by default; brokers forget a client
    /// after 120 s without.
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

    /// Puts the topics and groups of this client into a namespace (Java: `namespace`, now deprecated there): `orders` is
    /// `<namespace>%orders` to the servers, and `orders` everywhere in this crate. Up to 100 letters, digits and `| _ -`.
    ///
    /// By default the one in an endpoint like `http://MQ_INST_1234_abcd.mq.example.com:80`, else none; an empty one means
    /// none. Names of the brokers' own, such as `TBW102`, are in no namespace. What a server says in its own words, as the
    /// remark of an [`Error::Rejected`](crate::Error::Rejected), names things as it knows them.
    pub fn namespace(mut self, namespace: impl Into<Arc<str>>) -> ClientBuilder {
        self.namespace = Some(namespace.into());
        self
    }

    /// Tells servers the namespace of this client beside its names instead of in them (Java: `namespaceV2`): every request
    /// carries the fields `nsd` and `ns`. For proxies of 5.x; brokers take no notice. None by default, and when empty.
    pub fn namespace_v2(mut self, namespace: impl Into<Arc<str>>) -> ClientBuilder {
        self.namespace_v2 = Some(namespace.into());
        self
    }

    /// Reaches brokers at their second port, the advertised one minus two (Java: `vipChannelEnabled`). Off by default: it is
    /// often behind a firewall.
    ///
    /// Heartbeats, pulls and pops stay with the advertised port, as in Java. An
    /// [`address_map`](ClientBuilder::address_map) is asked for both addresses.
    pub fn vip_channel(mut self, on: bool) -> ClientBuilder {
        self.vip_channel = on;
        self
    }

    /// Tells servers in which zone this client is and what that means (fields `__ZONE_NAME` and `__ZONE_MODE`); an empty
    /// part is left out.
    ///
    /// By default what `ROCKETMQ_ZONE` and `ROCKETMQ_ZONE_MODE` in the environment say, as in Java.
    pub fn zone(mut self, name: impl Into<Arc<str>>, mode: impl Into<Arc<str>>) -> ClientBuilder {
        self.zone = Some((name.into(), mode.into()));
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

    /// Signs every request with these keys. None by default. Needs the feature `acl`, which is on by default.
    pub fn credentials(mut self, credentials: Credentials) -> ClientBuilder {
        self.credentials = Some(credentials);
        self
    }

    /// Encrypts all connections (Java: `useTLS`, or the system property `tls.enable`). None is by default. Needs the feature
    /// `tls`.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: super::tls::Tls) -> ClientBuilder {
        self.tls = Some(tls);
        self
    }

    /// Signs every request with keys that this closure gives, and that may change while the client runs: a rotated secret
    /// needs no restart. None by default; it takes the place of [`credentials`](ClientBuilder::credentials).
    ///
    /// It is asked when the client is first used, then every [`credentials_interval`](ClientBuilder::credentials_interval),
    /// and soon after a server has refused a request for lack of a right, at most once a second. It runs on a thread of its
    /// own and may block: only calls that have no keys at all wait for it, within their deadlines. When it fails, panics, or
    /// gives empty keys, the last good ones serve on and the failure is logged once; calls that have none fail with
    /// [`Error::Credentials`](crate::Error::Credentials). Nothing it gives is ever logged. Message trace does not look at
    /// their [channel](Credentials::channel). Needs the feature `acl`.
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, Credentials};
    /// # fn read_secret() -> std::io::Result<String> { Ok("secret".into()) }
    /// let client = Client::builder()
    ///     .name_servers("10.0.0.1:9876")
    ///     .credentials_provider(|| Ok(Credentials::new("billing", read_secret()?)))
    ///     .build()?;
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn credentials_provider(
        mut self,
        provider: impl Fn() -> Result<Credentials, Box<dyn std::error::Error + Send + Sync>> + Send + Sync + 'static,
    ) -> ClientBuilder {
        self.credentials_provider = Some(Provider::new(provider));
        self
    }

    /// Sets how often the [provider of credentials](ClientBuilder::credentials_provider) is asked. 60 s by default.
    pub fn credentials_interval(mut self, interval: Duration) -> ClientBuilder {
        self.credentials_interval = interval;
        self
    }

    /// Builds the client and makes sure that a name server answers, whatever it says. Blocks for three seconds at most.
    ///
    /// # Errors
    ///
    /// As [`build`](ClientBuilder::build), and the error of the name servers: each is named with what it said.
    pub fn connect(self) -> Result<Client> {
        let client = self.build()?;
        client.ensure_name_server()?;
        Ok(client)
    }

    /// Checks the settings and starts the client, without any I/O but reading the environment, and the files of its TLS.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) names the setting that is wrong, or the one in which a running client of the same identity
    /// differs; [`Error::Unsupported`](crate::Error::Unsupported) when credentials are given and the crate was built without the feature `acl`.
    pub fn build(self) -> Result<Client> {
        let environment = |name: &str| std::env::var(name).ok();
        Client::open(self.options(environment)?)
    }
}
