use clap::Args;

use super::address;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Show everything a broker says of itself: versions, rates, queues of work, the disk.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Broker: its name, NAME/ID or host:port.
    broker: String,

    #[command(flatten)]
    cluster: Cluster,
}

impl Show {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let addr = address(&client, &self.broker)?;
        let runtime = client.admin().broker_runtime(&addr)?;
        client.close()?;
        let values: std::collections::BTreeMap<&str, &str> = runtime.values().collect();
        output.line(&values, || {
            runtime.to_string().lines().map(|line| text::line(line.chars())).collect::<Vec<_>>().join("\n")
        })?;
        output.flush()
    }
}
