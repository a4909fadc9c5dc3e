use clap::{Args, ValueEnum};
use rocketmq_blocking::{Client, ClientBuilder, Credentials};

use crate::address_map::{self, Mapped};
use crate::failure::Failure;
use crate::keys::{Found, Keys};
use crate::tls::TlsFlags;

const DEFAULT_NAME_SERVER: &str = "127.0.0.1:9876";

/// Which cluster to talk to, how, and as whom: the same for all commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Cluster {
    /// Name servers: host:port, several joined by a semicolon; the port defaults to 9876. [default: 127.0.0.1:9876]
    #[arg(long, short = 'n', value_name = "ADDR", env = "NAMESRV_ADDR")]
    name_server: Option<String>,

    /// Use another address than a broker advertises (Docker, NAT, tunnels); may be repeated. Without ports: for all of them.
    #[arg(long, value_name = "ADVERTISED=REACHABLE")]
    address_map: Vec<Mapped>,

    /// Namespace: topics and groups are NS%name to the servers.
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,

    /// How the headers of requests are written; servers read both.
    #[arg(long, value_enum, default_value_t = Header::Json)]
    header: Header,

    #[command(flatten)]
    tls: TlsFlags,

    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Header {
    Json,
    Binary,
}

impl Cluster {
    /// Makes a client and makes sure that a name server answers.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        Ok(self.builder()?.connect()?)
    }

    /// A client's settings as the arguments have them. Nobody is asked yet.
    pub(crate) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let mut builder = Client::builder().name_servers(self.name_servers());
        builder = builder.binary_headers(self.header == Header::Binary);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace.as_str());
        }
        if !self.address_map.is_empty() {
            let map = self.address_map.clone();
            builder = builder.address_map(move |addr| address_map::translate(&map, addr));
        }
        if let Some(tls) = self.tls.settings() {
            builder = builder.tls(tls);
        }
        if let Some(found) = self.keys.find()? {
            builder = builder.credentials(credentials(&found));
        }
        Ok(builder)
    }

    /// The keys requests are signed with, and where they come from.
    pub(crate) fn keys(&self) -> Result<Option<Found>, Failure> {
        self.keys.find()
    }

    /// Whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_wanted()
    }

    /// The name servers to ask, as they were given.
    pub(crate) fn name_servers(&self) -> &str {
        let given = self.name_server.as_deref().filter(|list| !list.trim().is_empty());
        given.unwrap_or(DEFAULT_NAME_SERVER)
    }
}

fn credentials(found: &Found) -> Credentials {
    let credentials = Credentials::new(found.access_key.as_str(), found.secret_key.reveal());
    match &found.security_token {
        Some(token) => credentials.security_token(token.reveal()),
        None => credentials,
    }
}
