use clap::Args;
use rocketmq_blocking::QueueProgress;
use serde::Serialize;

use super::unless_unknown;
use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// Show how far a group has consumed, queue by queue.
///
/// A line has the topic, the queue, the offset the broker is at, the one the group is at, the difference, when the last
/// message that was consumed had been stored (UTC), and the client that has the queue.
#[derive(Debug, Args)]
pub(crate) struct Progress {
    /// Consumer group.
    group: String,

    /// Only this topic. [default: all the group has consumed of]
    #[arg(long, short)]
    topic: Option<String>,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    topic: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    broker_offset: i64,
    consumer_offset: i64,
    pulled_offset: i64,
    lag: i64,
    last_consumed: Option<u64>,
    owner: Option<&'a str>,
}

impl Progress {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let progress = match &self.topic {
            Some(topic) => admin.topic_progress(&self.group, topic),
            None => admin.group_progress(&self.group),
        };
        let progress = progress.map_err(|error| unless_unknown(&self.group, error))?;
        client.close()?;
        let names = ["TOPIC", "QUEUE", "BROKER", "GROUP", "LAG", "LAST CONSUMED", "OWNER"];
        output.list(names, &progress.queues, shown, row)?;
        if !output.json() {
            let queues = text::counted(progress.queues.len() as u64, "queue");
            let lag = text::count(u64::try_from(progress.lag()).unwrap_or(0));
            complain(&format!("{queues}, {lag} behind, {:.1} messages a second", progress.rate));
        }
        output.flush()?;
        told(&progress.failures)
    }
}

fn shown(progress: &QueueProgress) -> Shown<'_> {
    Shown {
        topic: progress.queue.topic(),
        broker_name: progress.queue.broker_name(),
        queue_id: progress.queue.queue_id(),
        broker_offset: progress.broker_offset,
        consumer_offset: progress.consumer_offset,
        pulled_offset: progress.pulled_offset,
        lag: progress.lag(),
        last_consumed: progress.last_consumed.map(text::millis),
        owner: progress.owner.as_deref(),
    }
}

fn row(progress: &QueueProgress) -> [String; 7] {
    [
        progress.queue.topic().to_owned(),
        format!("{}/{}", progress.queue.broker_name(), progress.queue.queue_id()),
        progress.broker_offset.to_string(),
        progress.consumer_offset.to_string(),
        progress.lag().to_string(),
        progress.last_consumed.map_or("-".to_owned(), text::time),
        progress.owner.as_deref().map_or("-".to_owned(), |owner| text::line(owner.chars())),
    ]
}
