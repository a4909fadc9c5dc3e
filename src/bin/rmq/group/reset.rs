use clap::Args;
use rocketmq_blocking::{GroupReset, ResetTo};
use serde::Serialize;

use crate::begin::Begin;
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Move a group to other offsets of a topic, whether its consumers run or not.
///
/// Messages are consumed again by that, or never: it asks before. Consumers that run take it with their next pull, within
/// about 20 seconds. A line has the queue and its new offset.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Consumer group.
    group: String,

    /// Topic whose queues the group is moved in.
    #[arg(long, short)]
    topic: String,

    /// Where the group is to go on: at the first message of each queue, behind the last, or at a time
    /// (2026-11-21T10:00:00Z, milliseconds since 1970, or -10m for so long ago).
    #[arg(long, value_name = "first|last|TIME", allow_hyphen_values = true)]
    to: Begin,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    topic: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    offset: i64,
}

impl From<Begin> for ResetTo {
    fn from(begin: Begin) -> ResetTo {
        match begin {
            Begin::First => ResetTo::First,
            Begin::Last => ResetTo::Last,
            Begin::Time(time) => ResetTo::Time(time),
        }
    }
}

impl Reset {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let what = format!("Move group {} in topic {}?", self.group, self.topic);
        self.confirm.ask(&what, "Messages will be consumed again, or never")?;
        let client = self.cluster.connect()?;
        let reset = client.admin().reset_group(&self.group, &self.topic, self.to.into())?;
        client.close()?;
        show(&reset, output)
    }
}

/// The queues and their new offsets.
pub(super) fn show(reset: &GroupReset, output: &mut Output) -> Result<(), Failure> {
    output.list(
        ["QUEUE", "OFFSET"],
        &reset.offsets,
        |(queue, offset)| {
            let (topic, broker_name) = (queue.topic(), queue.broker_name());
            Shown { topic, broker_name, queue_id: queue.queue_id(), offset: *offset }
        },
        |(queue, offset)| [format!("{}/{}", queue.broker_name(), queue.queue_id()), offset.to_string()],
    )?;
    output.flush()
}
