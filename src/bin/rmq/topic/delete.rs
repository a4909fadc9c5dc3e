use clap::Args;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Delete a topic with all its messages. It asks before.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Name of the topic.
    name: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

impl Delete {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        self.confirm.ask(&format!("Delete topic {}?", self.name), "All its messages are lost")?;
        let client = self.cluster.connect()?;
        client.admin().delete_topic(&self.name)?;
        Ok(client.close()?)
    }
}
