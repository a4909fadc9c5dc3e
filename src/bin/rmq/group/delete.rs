use clap::Args;
use rocketmq_blocking::GroupOffsets;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::{Failure, complain};
use crate::output::Output;

/// Delete a group on all brokers, and where it is. Its topics for retries and dead letters stay.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Consumer group.
    group: String,

    /// Keep its offsets: a group of the same name goes on there.
    #[arg(long)]
    keep_offsets: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

impl Delete {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let why = if self.keep_offsets {
            "Its settings are lost"
        } else {
            "A group of the same name begins anew: messages are consumed again, or never"
        };
        self.confirm.ask(&format!("Delete group {}?", self.group), why)?;
        let client = self.cluster.connect()?;
        let offsets = if self.keep_offsets { GroupOffsets::Keep } else { GroupOffsets::Delete };
        client.admin().delete_group(&self.group, offsets)?;
        client.close()?;
        complain(&format!("group {} is deleted", self.group));
        Ok(())
    }
}
