use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::address_map::AddressMap;
use super::credentials::Credentials;
use super::discovery::Discovery;
use super::limits::Limits;
use super::renewal::Provider;
use crate::remoting::RemotingOptions;

/// The validated settings of a client.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    /// Empty when they are to be discovered.
    pub(crate) name_servers: Vec<Arc<str>>,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) client_ip: IpAddr,
    pub(crate) instance_name: Arc<str>,
    /// Whether the user chose it, so that it is the same after a restart.
    pub(crate) has_own_name: bool,
    pub(crate) unit_name: Option<Arc<str>>,
    pub(crate) unit_mode: bool,
    /// For routes, heartbeats and administration.
    pub(crate) request_timeout: Duration,
    pub(crate) route_interval: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) discovery_interval: Duration,
    pub(crate) scan_interval: Duration,
    pub(crate) limits: Limits,
    /// Consumers do what operators ask for through a broker.
    pub(crate) answer_diagnosis: bool,
    pub(crate) callback_threads: usize,
    /// Callbacks that may wait for a callback thread.
    pub(crate) callback_queue: usize,
    pub(crate) address_map: Option<AddressMap>,
    /// Brokers are reached at their port minus two.
    pub(crate) vip_channel: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) credentials_provider: Option<Provider>,
    pub(crate) credentials_interval: Duration,
    pub(crate) remoting: RemotingOptions,
}

impl ClientOptions {
    /// Names the first setting in which two clients of one identity differ.
    pub(crate) fn difference(&self, other: &ClientOptions) -> Option<&'static str> {
        let same_map = match (&self.address_map, &other.address_map) {
            (Some(map), Some(other)) => map.is(other),
            (None, None) => true,
            _ => false,
        };
        let same_provider = match (&self.credentials_provider, &other.credentials_provider) {
            (Some(provider), Some(other)) => provider.is(other),
            (None, None) => true,
            _ => false,
        };
        let same_allowed = self.remoting.allowed.is(&other.remoting.allowed);
        let remoting = |options: &ClientOptions| format!("{:?}", options.remoting);
        #[cfg(feature = "tls")]
        let same_tls = self.remoting.tls == other.remoting.tls;
        #[cfg(not(feature = "tls"))]
        let same_tls = true;
        let settings = [
            ("credentials", self.credentials == other.credentials),
            ("credentials_provider (share one by cloning the client instead)", same_provider),
            ("credentials_interval", self.credentials_interval == other.credentials_interval),
            ("unit_mode", self.unit_mode == other.unit_mode),
            ("request_timeout", self.request_timeout == other.request_timeout),
            ("route_interval", self.route_interval == other.route_interval),
            ("heartbeat_interval", self.heartbeat_interval == other.heartbeat_interval),
            ("discovery_interval", self.discovery_interval == other.discovery_interval),
            ("scan_interval", self.scan_interval == other.scan_interval),
            ("its limits", self.limits == other.limits),
            ("answer_diagnosis", self.answer_diagnosis == other.answer_diagnosis),
            ("callback_threads", self.callback_threads == other.callback_threads),
            ("callback_queue", self.callback_queue == other.callback_queue),
            ("vip_channel", self.vip_channel == other.vip_channel),
            ("namespace", self.remoting.namespace == other.remoting.namespace),
            ("namespace_v2 or zone", self.remoting.fields == other.remoting.fields),
            ("address_map (share one by cloning the client instead)", same_map),
            ("tls", same_tls),
            ("allowed_addresses (share one by cloning the client instead)", same_allowed),
            ("the settings of connections", remoting(self) == remoting(other)),
        ];
        settings.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
    }
}
