use clap::{Args, ValueEnum};
use rocketmq_blocking::{Client, Credentials};

use crate::failure::Failure;

const DEFAULT_NAME_SERVER: &str = "127.0.0.1:9876";

/// Which cluster to talk to, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Cluster {
    /// Name servers: host:port, several joined by a semicolon; the port defaults to 9876. [default: 127.0.0.1:9876]
    #[arg(long, short = 'n', value_name = "ADDR", env = "NAMESRV_ADDR")]
    name_server: Option<String>,

    /// Namespace: topics and groups are NS%name to the servers.
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,

    /// How the headers of requests are written; servers read both.
    #[arg(long, value_enum, default_value_t = Header::Json)]
    header: Header,

    #[command(flatten)]
    keys: Keys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Header {
    Json,
    Binary,
}

/// An access key and its secret key. Neither is ever printed.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// Access key (since RocketMQ 5.3 the user's name) to sign requests with; needs the secret key.
    #[arg(long, value_name = "AK", env = "ROCKETMQ_ACCESS_KEY", hide_env_values = true)]
    access_key: Option<String>,

    /// Secret key (password). Other users of this machine can see arguments: prefer the environment.
    #[arg(long, value_name = "SK", env = "ROCKETMQ_SECRET_KEY", hide_env_values = true)]
    secret_key: Option<String>,
}

impl Keys {
    /// Both keys, or neither. An empty one, which the environment may have, counts as none.
    pub(crate) fn pair(&self) -> Result<Option<(&str, &str)>, Failure> {
        let given = |key: &'_ Option<String>| key.as_ref().filter(|key| !key.trim().is_empty()).is_some();
        match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) if given(&self.access_key) && given(&self.secret_key) => {
                Ok(Some((access, secret)))
            }
            _ if given(&self.access_key) || given(&self.secret_key) => {
                Err(Failure::Usage("--access-key and --secret-key go together: one of them is missing".to_owned()))
            }
            _ => Ok(None),
        }
    }
}

impl Cluster {
    /// Makes a client and makes sure that a name server answers.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        let name_server = self.name_server.as_deref().filter(|list| !list.trim().is_empty());
        let mut builder = Client::builder().name_servers(name_server.unwrap_or(DEFAULT_NAME_SERVER));
        builder = builder.binary_headers(self.header == Header::Binary);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace.as_str());
        }
        if let Some((access, secret)) = self.keys.pair()? {
            builder = builder.credentials(Credentials::new(access, secret));
        }
        Ok(builder.connect()?)
    }
}
