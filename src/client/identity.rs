//! Who a client is to the brokers, and which clients of this process are the same one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::options::ClientOptions;
use crate::error::{Error, Result};

/// `ip@instance`, and `@unit` when there is one. Brokers tell clients apart by it and sort them by it.
pub(super) fn client_id(ip: IpAddr, instance_name: &str, unit_name: Option<&str>) -> Arc<str> {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    match unit_name {
        Some(unit) => format!("{ip}@{instance_name}@{unit}").into(),
        None => format!("{ip}@{instance_name}").into(),
    }
}

/// A name no other client has: the process id and a count, which starts at random because containers that share an
/// address often share the process id too.
pub(super) fn unique_instance_name() -> Arc<str> {
    static COUNT: OnceLock<AtomicU64> = OnceLock::new();
    let count = COUNT.get_or_init(|| AtomicU64::new(fastrand::u64(..1 << 48))).fetch_add(1, Ordering::Relaxed);
    format!("{}#{count}", std::process::id()).into()
}

/// The address by which this host reaches `towards`, or failing that the rest of the world; loopback when it reaches
/// nothing. Connecting a UDP socket only asks the routing table: nothing is sent.
pub(super) fn local_ip(towards: Option<SocketAddr>) -> IpAddr {
    let source = |target: SocketAddr| {
        let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 8], 0).into() };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(target).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified()).then_some(ip)
    };
    // Addresses set aside for documentation: routed like any other, never reached.
    let world: [SocketAddr; 2] = [([192, 0, 2, 1], 9).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into()];
    // A name server on this host tells nothing about the address others see.
    let towards = towards.filter(|addr| !addr.ip().is_loopback() && addr.port() != 0);
    let found = towards.into_iter().chain(world).find_map(source);
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The clients of this process by identity: client id and name servers (or where those are discovered).
pub(super) struct Registry<T> {
    clients: Mutex<HashMap<String, Weak<T>>>,
}

impl<T> Registry<T> {
    pub(super) fn new() -> Registry<T> {
        Registry { clients: Mutex::new(HashMap::new()) }
    }

    /// Returns the client of this identity, else the one `start` makes.
    ///
    /// `usable` says whether a registered one may be handed out, and fails when its settings differ.
    pub(super) fn get_or_start(
        &self,
        key: &str,
        usable: impl FnOnce(&T) -> Result<bool>,
        start: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        // Declared before the guard, so dropped after it: it may be the last handle, and dropping that closes.
        let registered;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        registered = clients.get(key).and_then(Weak::upgrade);
        if let Some(client) = &registered {
            if usable(client)? {
                return Ok(client.clone());
            }
        }
        let client = Arc::new(start()?);
        clients.retain(|_, other| other.strong_count() > 0);
        clients.insert(key.to_owned(), Arc::downgrade(&client));
        Ok(client)
    }
}

/// What makes two clients the same one. The order of the name servers does not matter.
pub(super) fn registry_key(client_id: &str, options: &ClientOptions) -> String {
    let mut servers: Vec<&str> = options.name_servers.iter().map(|addr| &**addr).collect();
    servers.sort_unstable();
    let discovery = options.discovery.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{client_id} {} {discovery}", servers.join(";"))
}

/// The error for a second client of one identity with other settings.
pub(super) fn differs(client_id: &str, what: &str) -> Error {
    Error::invalid(format!(
        "a client {client_id} with other settings runs already; they differ in: {what}. Use the same settings, or another instance name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_names_address_instance_and_unit() {
        assert_eq!(&*client_id(([10, 0, 0, 1], 0).into_ip(), "billing", None), "10.0.0.1@billing");
        assert_eq!(&*client_id(([10, 0, 0, 1], 0).into_ip(), "billing", Some("u1")), "10.0.0.1@billing@u1");
        assert_eq!(&*client_id("fd00::1".parse().unwrap(), "b", None), "[fd00::1]@b");
    }

    trait IntoIp {
        fn into_ip(self) -> IpAddr;
    }

    impl IntoIp for ([u8; 4], u16) {
        fn into_ip(self) -> IpAddr {
            SocketAddr::from(self).ip()
        }
    }

    #[test]
    fn default_instance_names_differ_and_begin_with_the_process_id() {
        let (one, other) = (unique_instance_name(), unique_instance_name());
        assert_ne!(one, other);
        assert!(one.starts_with(&format!("{}#", std::process::id())));
    }

    #[test]
    fn some_local_address_is_always_found() {
        assert!(!local_ip(None).is_unspecified());
        assert!(!local_ip(Some(([127, 0, 0, 1], 9876).into())).is_unspecified());
    }

    #[test]
    fn one_identity_is_one_client_until_it_closes_or_is_dropped() {
        let registry = Registry::new();
        let get = |key: &str, usable: bool, made: u32| registry.get_or_start(key, |_| Ok(usable), || Ok(made)).unwrap();
        let first = get("a", true, 1);
        assert_eq!(*get("a", true, 2), 1, "shared");
        assert_eq!(*get("b", true, 3), 3, "another identity");
        let second = get("a", false, 4);
        assert_eq!(*second, 4, "one that began to close is never handed out");
        assert_eq!(*get("a", true, 5), 4);
        drop(second);
        assert_eq!(*get("a", true, 6), 6, "the last handle is gone");
        drop(first);
    }

    #[test]
    fn other_settings_are_refused_and_leave_the_registered_client() {
        let registry = Registry::new();
        let _first = registry.get_or_start("a", |_| Ok(true), || Ok(1)).unwrap();
        let refused = registry.get_or_start("a", |_| Err(differs("a", "credentials")), || Ok(2));
        assert!(refused.unwrap_err().to_string().contains("credentials"));
        assert_eq!(*registry.get_or_start("a", |_| Ok(true), || Ok(3)).unwrap(), 1);
    }
}
