//! Listening sockets on loopback: choosing ports, taking them again after a restart, filling a backlog.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Below the range from which systems take the ports of outgoing connections: otherwise a client's own socket could sit
/// on the port of a server that is down for a moment, or connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 200;
/// How long a port that was ours a moment ago may take to become free.
const REBIND_WITHIN: Duration = Duration::from_secs(2);
const REBIND_PAUSE: Duration = Duration::from_millis(20);
/// More connections than any default backlog has places.
const MAX_BACKLOG: usize = 5_000;
const FULL_AFTER: Duration = Duration::from_millis(200);

/// The ports of this process's clusters, also of servers that are down.
static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

fn taken<T>(with: impl FnOnce(&mut HashSet<u16>) -> T) -> T {
    with(TAKEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Listens on `port`, or on a free one of its own choosing when it is 0.
pub(super) fn first(ip: IpAddr, port: u16) -> Result<TcpListener> {
    if port != 0 {
        let addr = SocketAddr::new(ip, port);
        let listener = TcpListener::bind(addr).map_err(|source| failed(addr, &source))?;
        taken(|ports| ports.insert(port));
        return Ok(listener);
    }
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let port = fastrand::u16(PORTS);
        if !taken(|ports| ports.insert(port)) {
            continue;
        }
        match TcpListener::bind((ip, port)) {
            Ok(listener) => return Ok(listener),
            Err(source) => last = Some(source),
        }
        release(port);
    }
    Err(failed(SocketAddr::new(ip, 0), &last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into())))
}

/// The address a listener has.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| Error::invalid(format!("a listener without an address: {error}")))
}

/// Whether a cluster of this process has a port, even if nobody listens on it at the moment.
pub(super) fn is_taken(port: u16) -> bool {
    taken(|ports| ports.contains(&port))
}

/// Gives a port back for other clusters to choose.
pub(super) fn release(port: u16) {
    taken(|ports| ports.remove(&port));
}

/// Listens again on an address whose listener was closed a moment ago.
pub(super) fn again(addr: SocketAddr) -> Result<TcpListener> {
    let deadline = Instant::now() + REBIND_WITHIN;
    loop {
        match TcpListener::bind(addr) {
            Ok(listener) => return Ok(listener),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                // Nothing says when the system lets go of the port.
                std::thread::park_timeout(REBIND_PAUSE);
            }
            Err(source) => return Err(failed(addr, &source)),
        }
    }
}

/// Connects until the system no longer answers, so that connecting hangs for everybody else.
pub(super) fn fill_backlog(addr: SocketAddr) -> Vec<TcpStream> {
    let connect = || TcpStream::connect_timeout(&addr, FULL_AFTER);
    std::iter::from_fn(|| connect().ok()).take(MAX_BACKLOG).collect()
}

fn failed(addr: SocketAddr, source: &io::Error) -> Error {
    Error::invalid(format!("cannot listen on {addr}: {source}"))
}
