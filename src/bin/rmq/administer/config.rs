use std::collections::BTreeMap;

use clap::Args;
use rocketmq_blocking::ServerConfig;
use serde::Serialize;

use super::address;
use crate::cluster::Cluster;
use crate::failure::{Failure, told};
use crate::output::Output;
use crate::text;

/// Show the settings of a broker, or of all name servers.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Broker: its name, NAME/ID or host:port.
    #[arg(required_unless_present = "name_servers")]
    broker: Option<String>,

    /// Of the name servers.
    #[arg(long, conflicts_with = "broker")]
    name_servers: bool,

    /// Only settings whose name contains this, in any case.
    #[arg(long, short, value_name = "TEXT")]
    filter: Option<String>,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    address: &'a str,
    config: BTreeMap<&'a str, &'a str>,
}

impl Config {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let (configs, failures) = match &self.broker {
            Some(broker) => {
                let addr = address(&client, broker)?;
                (vec![(addr.as_str().into(), client.admin().broker_config(&addr)?)], Vec::new())
            }
            None => {
                let found = client.admin().name_server_config()?;
                (found.servers, found.failures)
            }
        };
        client.close()?;
        for (addr, config) in &configs {
            let shown = Shown { address: addr, config: self.chosen(config) };
            output.line(&shown, || {
                let lines = shown.config.iter().map(|(name, value)| text::line(format!("{name}={value}").chars()));
                let head = (configs.len() > 1).then(|| format!("# {addr}"));
                head.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
            })?;
        }
        output.flush()?;
        told(&failures)
    }

    fn chosen<'a>(&self, config: &'a ServerConfig) -> BTreeMap<&'a str, &'a str> {
        let filter = self.filter.as_deref().unwrap_or_default().to_lowercase();
        config.values().filter(|(name, _)| name.to_lowercase().contains(&filter)).collect()
    }
}
