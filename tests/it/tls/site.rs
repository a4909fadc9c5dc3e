//! The clusters that encrypt: embedded ones, or those of Apache's that the live tier started.

use std::sync::OnceLock;

use rocketmq_blocking::embedded::{Cluster, ServerTls};
use rocketmq_blocking::{Client, ClientBuilder, MessageQueue, Tls};

use crate::support::{Cable, LONG, client_builder, eventually, live_variable, unique};

/// A file of `tests/tls`.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/", $name)).as_slice()
    };
}
pub(super) use pem;

/// What a broker lets in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Door {
    /// What is encrypted.
    Enforcing,
    /// Everything.
    Permissive,
    /// What is encrypted, by clients with a certificate.
    Certificate,
}

/// A broker, what it takes to reach it, and a topic of its own.
#[derive(Debug)]
pub(super) struct Site {
    name_server: String,
    /// Takes plain connections too.
    open_name_server: String,
    client: Client,
    queue: MessageQueue,
}

/// The platform's roots do not vouch for the tests' servers.
pub(super) fn tls() -> Tls {
    Tls::new().roots_pem(pem!("authority.pem"))
}

pub(super) fn with_identity(tls: Tls) -> Tls {
    tls.identity_pem(pem!("client.pem"), pem!("client.key"))
}

pub(super) fn server_tls() -> ServerTls {
    ServerTls::pem(pem!("server.pem"), pem!("server.key"))
}

/// The same for all tests of the process.
pub(super) fn site(door: Door) -> &'static Site {
    static SITES: [OnceLock<Site>; 3] = [const { OnceLock::new() }; 3];
    SITES[door as usize].get_or_init(|| live(door).unwrap_or_else(|| embedded(door)))
}

/// The name servers to try: the one of this cluster, and Apache's of the same kind where the live tier was asked for.
pub(super) fn name_servers(embedded: &Cluster, variable: &str) -> Vec<String> {
    let apaches = live_variable("NAME_SERVER").map(|_| needed(variable));
    std::iter::once(embedded.name_server().to_owned()).chain(apaches).collect()
}

fn needed(name: &str) -> String {
    live_variable(name).unwrap_or_else(|| panic!("the live tier must set ROCKETMQ_LIVE_{name}"))
}

fn live(door: Door) -> Option<Site> {
    live_variable("NAME_SERVER")?;
    let broker = match door {
        Door::Enforcing => "broker-tls",
        Door::Permissive => "broker-tls-open",
        Door::Certificate => "broker-tls-identity",
    };
    Some(Site::new(needed("TLS_NAME_SERVER"), needed("TLS_OPEN_NAME_SERVER"), broker))
}

fn embedded(door: Door) -> Site {
    let tls = match door {
        Door::Enforcing => server_tls(),
        Door::Permissive => server_tls().permissive(),
        Door::Certificate => server_tls().client_roots_pem(pem!("authority.pem")),
    };
    let cluster = Cluster::builder().tls(tls).start().unwrap();
    let name_server = cluster.name_server().to_owned();
    // It lives as long as the process.
    std::mem::forget(cluster);
    Site::new(name_server.clone(), name_server, "broker-a")
}

impl Site {
    fn new(name_server: String, open_name_server: String, broker: &str) -> Site {
        let builder = client_builder().name_servers(&name_server).tls(with_identity(tls()));
        let client = builder.build().unwrap();
        let queue = queue_on(&client, broker);
        Site { name_server, open_name_server, client, queue }
    }

    /// Trusts the servers and has a certificate.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn builder(&self) -> ClientBuilder {
        client_builder().name_servers(&self.name_server)
    }

    pub(super) fn plain_client(&self) -> Client {
        client_builder().name_servers(&self.open_name_server).build().unwrap()
    }

    /// The same, over a network of its own.
    pub(super) fn plain_client_over(&self, cable: &Cable) -> Client {
        cable.builder_to(&self.open_name_server).build().unwrap()
    }

    pub(super) fn name_server(&self) -> &str {
        &self.name_server
    }

    /// A queue of this broker, to which all tests send.
    pub(super) fn queue(&self) -> MessageQueue {
        self.queue.clone()
    }

    /// An empty one that nobody else knows.
    pub(super) fn own_queue(&self) -> MessageQueue {
        queue_on(&self.client, self.queue.broker_name())
    }
}

/// The queue of a new topic on one broker.
fn queue_on(client: &Client, broker: &str) -> MessageQueue {
    let topic = unique("tls");
    // Brokers that are starting are not known yet.
    eventually(LONG, || client.create_topic("TBW102", &topic, 1));
    eventually(LONG, || {
        let queues = client.publish_queues(&topic).map_err(|error| error.to_string())?;
        queues.iter().find(|queue| queue.broker_name() == broker).cloned().ok_or(format!("{queues:?}"))
    })
}
