use clap::Args;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Make producers leave a broker, as before a restart: the name servers say that none of its topics takes messages.
///
/// Consumers go on. It asks before.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Name of the broker.
    broker: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

/// Let producers come back to a broker that stop-writes made them leave.
///
/// All its topics can be read and written then, by the word of the name servers, whatever they were before; therefore it asks.
#[derive(Debug, Args)]
pub(crate) struct Allow {
    /// Name of the broker.
    broker: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, serde::Serialize)]
struct Shown {
    topics: usize,
}

fn show(output: &mut Output, topics: usize, what: &str) -> Result<(), Failure> {
    output.line(&Shown { topics }, || format!("{topics} topics {what}"))?;
    output.flush()
}

impl Stop {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let what = format!("Make producers leave broker {}?", self.broker);
        self.confirm.ask(&what, "Its topics take no messages any more; those that lie nowhere else fail")?;
        let client = self.cluster.connect()?;
        let topics = client.admin().wipe_write_permission(&self.broker)?;
        client.close()?;
        show(output, topics, "take no messages")
    }
}

impl Allow {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let what = format!("Allow all topics of broker {} to be read and written?", self.broker);
        self.confirm.ask(&what, "Topics that were closed before are open then")?;
        let client = self.cluster.connect()?;
        let topics = client.admin().add_write_permission(&self.broker)?;
        client.close()?;
        show(output, topics, "can be read and written")
    }
}
