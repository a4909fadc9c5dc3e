use clap::Args;

use super::{address, pair};
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Change settings of a broker, or of all name servers.
///
/// They keep them over a restart; some act only then. It asks before. A setting that does not exist, or cannot be what was
/// asked for, is an error.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Broker: its name, NAME/ID or host:port. Its slaves have settings of their own.
    #[arg(long, short, value_name = "BROKER", required_unless_present = "name_servers")]
    broker: Option<String>,

    /// Of all name servers.
    #[arg(long, conflicts_with = "broker")]
    name_servers: bool,

    /// What is to be changed, and to what.
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = pair)]
    settings: Vec<(String, String)>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

impl Change {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let whose = self.broker.as_deref().map_or("all name servers".to_owned(), |name| format!("broker {name}"));
        let settings: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let what = format!("Set {} for {whose}?", settings.join(" "));
        self.confirm.ask(&what, "Whoever uses the cluster is affected, and it stays so over a restart")?;
        let client = self.cluster.connect()?;
        let pairs: Vec<(&str, &str)> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match &self.broker {
            Some(broker) => client.admin().update_broker_config(&address(&client, broker)?, &pairs)?,
            None => client.admin().update_name_server_config(&pairs)?,
        }
        Ok(client.close()?)
    }
}
