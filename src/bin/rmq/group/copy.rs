use clap::Args;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::{Failure, complain};
use crate::output::Output;
use crate::text;

/// Give a group the offsets of another one, so that it goes on where that one is.
///
/// A line has a topic. Members of the group that run overwrite its offsets with their own: stop them before.
#[derive(Debug, Args)]
pub(crate) struct Clone {
    /// Group whose offsets are copied.
    from: String,

    /// Group that gets them.
    to: String,

    /// Only this topic. [default: all the group has consumed of, but its retries]
    #[arg(long, short)]
    topic: Option<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    topic: &'a str,
}

impl Clone {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let what = format!("Give group {} the offsets of {}?", self.to, self.from);
        self.confirm.ask(&what, "Those it has are lost: messages will be consumed again, or never")?;
        let client = self.cluster.connect()?;
        let topics = client.admin().clone_group(&self.from, &self.to, self.topic.as_deref())?;
        client.close()?;
        for topic in &topics {
            output.line(&Shown { topic }, || text::line(topic.chars()))?;
        }
        output.flush()?;
        complain(&text::counted(topics.len() as u64, "topic"));
        Ok(())
    }
}
