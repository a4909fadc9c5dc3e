use clap::Args;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;

/// Take back a message that is to be delivered later, by the handle its sending printed.
///
/// Brokers 5.3.2 and later give handles to messages sent with --deliver-after or --deliver-at, when their setting
/// recallMessageEnable is on. A message that becomes due in the same moment may still be delivered.
#[derive(Debug, Args)]
pub(crate) struct Recall {
    /// Handle, as `rmq send` prints it: recallHandle with --json.
    #[arg(allow_hyphen_values = true)]
    handle: String,

    /// Topic the message was sent to.
    #[arg(long, short)]
    topic: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recalled<'a> {
    message_id: &'a str,
    topic: &'a str,
    status: &'static str,
}

impl Recall {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let producer = client.producer("rmq-recall").start()?;
        let message_id = producer.recall(&self.topic, &self.handle)?;
        let recalled = Recalled { message_id: &message_id, topic: &self.topic, status: "RECALLED" };
        output.line(&recalled, || format!("RECALLED  {message_id}"))?;
        output.flush()?;
        producer.close()?;
        Ok(client.close()?)
    }
}
