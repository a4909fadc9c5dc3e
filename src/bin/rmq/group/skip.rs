use clap::Args;

use super::reset;
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Let a group skip what it has not consumed of a topic so far: `reset --to last`.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// Consumer group.
    group: String,

    /// Topic whose messages are skipped.
    #[arg(long, short)]
    topic: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

impl Skip {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let what = format!("Let group {} skip what it has not consumed of topic {}?", self.group, self.topic);
        self.confirm.ask(&what, "It will never consume these messages")?;
        let client = self.cluster.connect()?;
        let reset = client.admin().skip_group(&self.group, &self.topic)?;
        client.close()?;
        reset::show(&reset, output)
    }
}
