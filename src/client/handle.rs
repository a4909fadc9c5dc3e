use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::builder::ClientBuilder;
use super::close::{self, CloseReport, DEFAULT_GRACE};
use super::core::Core;
use super::identity::{self, Registry};
use super::options::ClientOptions;
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::rpc::route::GetRoute;
use crate::remoting::Deadline;

/// How long [`Client::connect`] looks for a name server that answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to a cluster: one identity, one set of connections, shared by all producers and consumers made from it
/// (Java: `MQClientInstance`).
///
/// Clones are cheap and share everything. Dropping the last one closes, and so does [`close`](Client::close); producers
/// and consumers hold a clone. Connections are made when they are first used and replaced when they break.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::Client;
///
/// let client = Client::connect("10.0.0.1:9876;10.0.0.2:9876")?;
/// let producer = client.producer("orders").start()?;
/// let consumer = client.pull_consumer("audit").start()?;
/// // …
/// client.close()
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What dropping the last handle closes. No thread holds it.
struct Shared {
    core: Arc<Core>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        close::close(&self.core, DEFAULT_GRACE);
    }
}

impl Client {
    /// Makes a client with default settings and makes sure that a name server answers. Blocks for three seconds at most.
    ///
    /// `name_servers` is a list like `"10.0.0.1:9876;10.0.0.2:9876"`, see [`ClientBuilder::name_servers`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the list names no server, and after at most three seconds the error of the name servers
    /// asked: each is named with what it said.
    pub fn connect(name_servers: impl AsRef<str>) -> Result<Client> {
        Client::builder().name_servers(name_servers).connect()
    }

    /// Returns a builder for a client with settings of its own. Nothing runs before it ends in
    /// [`connect`](ClientBuilder::connect) or [`build`](ClientBuilder::build).
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Returns the identity brokers know this client by: `ip@instance`, with `@unit` when there is a unit name.
    pub fn client_id(&self) -> &str {
        self.core().client_id()
    }

    /// Closes the producers and consumers of this client, tells the brokers, and ends its threads and connections.
    ///
    /// Work under way has five seconds to finish. A second call waits for the first. Clients that were built with the
    /// same explicit instance name and settings are one client: closing one closes it for all.
    ///
    /// On one of the crate's own threads (in a callback or a listener) it returns at once and the closing goes on; the next
    /// call from another thread waits for its end.
    ///
    /// # Errors
    ///
    /// None at present: what could not be finished in time is logged, and reported by
    /// [`close_within`](Client::close_within).
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](Client::close), giving work under way at most `grace` to finish, and reports how it went.
    ///
    /// The client's own threads are given about a second beyond `grace` to end.
    ///
    /// # Errors
    ///
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        Ok(close::close(self.core(), grace))
    }

    /// Makes sure that a name server answers, whatever it says.
    pub(super) fn ensure_name_server(&self) -> Result<()> {
        let request = GetRoute { standard_json: Some(true), topic: "TBW102".into() };
        let answered = |error: &Error| matches!(error, Error::Rejected { code, .. } if *code != ResponseCode::GO_AWAY);
        match self.core().ask_name_server(&request, Deadline::after(CONNECT_TIMEOUT)) {
            Err(Error::Exhausted { attempts, .. }) if attempts.iter().any(|attempt| answered(&attempt.error)) => Ok(()),
            Err(error) if answered(&error) => Ok(()),
            asked => asked.map(drop),
        }
    }

    pub(super) fn open(options: ClientOptions) -> Result<Client> {
        static REGISTRY: OnceLock<Registry<Shared>> = OnceLock::new();
        let client_id = identity::client_id(options.client_ip, &options.instance_name, options.unit_name.as_deref());
        let key = identity::registry_key(&client_id, &options);
        let usable = |running: &Shared| {
            if running.core.check_open().is_err() {
                return Ok(false);
            }
            match running.core.options().difference(&options) {
                Some(what) => Err(identity::differs(&client_id, what)),
                None => Ok(true),
            }
        };
        let start = || Core::start(client_id.clone(), options.clone()).map(|core| Shared { core });
        let shared = REGISTRY.get_or_init(Registry::new).get_or_start(&key, usable, start)?;
        Ok(Client { shared })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id()).finish_non_exhaustive()
    }
}
