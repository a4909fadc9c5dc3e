use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rocketmq_blocking::ClientBuilder;

use super::Cluster;

/// The network of one client. A test can cut it, and the client is gone as if its process had been killed: nobody is told.
pub(crate) struct Cable {
    ways: Arc<Mutex<Ways>>,
}

#[derive(Default)]
struct Ways {
    /// Where the client connects, by the address that it wants to reach.
    by_addr: HashMap<String, String>,
    listeners: Vec<String>,
    ends: Vec<TcpStream>,
    is_cut: bool,
    /// How much of what the server says comes through on each connection, if not all.
    heard: Option<usize>,
    /// How many bytes did not.
    withheld: Arc<AtomicUsize>,
}

impl Cable {
    pub(crate) fn new() -> Cable {
        Cable { ways: Arc::default() }
    }

    /// One over which no more than so many bytes of each connection come back: then the servers seem silent.
    #[cfg(feature = "tls")]
    pub(crate) fn silent_after(bytes: usize) -> Cable {
        Cable { ways: Arc::new(Mutex::new(Ways { heard: Some(bytes), ..Ways::default() })) }
    }

    /// How many bytes servers said that did not come through.
    #[cfg(feature = "tls")]
    pub(crate) fn withheld(&self) -> usize {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).withheld.load(Ordering::SeqCst)
    }

    /// Prepares a client of the cluster that has no other way to it than this.
    pub(crate) fn builder(&self, cluster: &Cluster) -> ClientBuilder {
        self.lead(cluster.builder(), &cluster.name_server)
    }

    /// The same for a name server of another cluster.
    #[cfg(feature = "tls")]
    pub(crate) fn builder_to(&self, name_server: &str) -> ClientBuilder {
        self.lead(super::client_builder(), name_server)
    }

    fn lead(&self, builder: ClientBuilder, name_server: &str) -> ClientBuilder {
        let ways = self.ways.clone();
        let name_server = way(&ways, name_server);
        builder.name_servers(name_server).address_map(move |addr| way(&ways, addr))
    }

    /// How many connections were made over it.
    #[cfg(feature = "tls")]
    pub(crate) fn connections(&self) -> usize {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).ends.len() / 2
    }

    /// Ends all connections, and lets no new one be made.
    pub(crate) fn cut(&self) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.is_cut = true;
        ways.ends.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
        // Wakes the threads that accept.
        ways.listeners.drain(..).for_each(|addr| drop(TcpStream::connect(addr)));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.cut();
    }
}

/// The address by which a server is reached.
fn way(ways: &Arc<Mutex<Ways>>, addr: &str) -> String {
    let mut known = ways.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = known.by_addr.get(addr) {
        return own.clone();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = listener.local_addr().expect("it is bound").to_string();
    known.by_addr.insert(addr.to_owned(), own.clone());
    // Asked for its own address, it is the way.
    known.by_addr.insert(own.clone(), own.clone());
    known.listeners.push(own.clone());
    let (ways, addr) = (ways.clone(), addr.to_owned());
    std::thread::spawn(move || accept(&listener, &ways, &addr));
    own
}

fn accept(listener: &TcpListener, ways: &Mutex<Ways>, addr: &str) {
    while let Ok((client, _)) = listener.accept() {
        // A server that is down resets whoever comes.
        let Ok(server) = TcpStream::connect(addr) else { continue };
        let mut known = ways.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_cut {
            return;
        }
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let end = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        known.ends.extend([end(&client), end(&server)]);
        let (from, to) = (end(&client), end(&server));
        std::thread::spawn(move || forward(from, to, usize::MAX, &AtomicUsize::default()));
        let (heard, withheld) = (known.heard.unwrap_or(usize::MAX), known.withheld.clone());
        std::thread::spawn(move || forward(server, client, heard, &withheld));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, mut limit: usize, withheld: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let passing = count.min(limit);
        limit -= passing;
        withheld.fetch_add(count - passing, Ordering::SeqCst);
        if to.write_all(&buffer[..passing]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
