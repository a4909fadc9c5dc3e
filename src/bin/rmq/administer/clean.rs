use clap::{Args, ValueEnum};

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Let all brokers delete what they would delete by and by. It asks before.
#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// What is to be deleted.
    #[arg(value_enum)]
    what: What,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The files of topics that were deleted.
    UnusedTopics,
    /// The files of queues whose messages are gone.
    ExpiredQueues,
    /// Messages that are older than the broker keeps them.
    ExpiredMessages,
}

impl Clean {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let (what, why) = match self.what {
            What::UnusedTopics => ("the files of topics that were deleted", "They cannot be had back"),
            What::ExpiredQueues => ("the files of queues whose messages are gone", "They cannot be had back"),
            What::ExpiredMessages => ("expired messages", "Who has not consumed them never will"),
        };
        self.confirm.ask(&format!("Delete {what} on all brokers?"), why)?;
        let client = self.cluster.connect()?;
        let admin = client.admin();
        match self.what {
            What::UnusedTopics => admin.clean_unused_topics()?,
            What::ExpiredQueues => admin.clean_expired_queues()?,
            What::ExpiredMessages => admin.delete_expired_commit_log()?,
        }
        Ok(client.close()?)
    }
}
