use clap::Args;
use rocketmq_blocking::QueueStats;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// Show how many messages each queue of a topic holds, and when the last one came.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Name of the topic.
    name: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    topic: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    min_offset: i64,
    max_offset: i64,
    messages: i64,
    /// Milliseconds since 1970.
    last_update: Option<u64>,
}

impl Stats {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let stats = client.admin().topic_stats(&self.name)?;
        client.close()?;
        output.list(["QUEUE", "MIN", "MAX", "MESSAGES", "LAST"], &stats.queues, shown, row)?;
        output.flush()?;
        if !output.json() {
            let messages = u64::try_from(stats.messages()).unwrap_or(0);
            complain(&format!("{}, {:.1} a second lately", text::counted(messages, "message"), stats.rate));
        }
        told(&stats.failures)
    }
}

fn shown(stats: &QueueStats) -> Shown<'_> {
    Shown {
        topic: stats.queue.topic(),
        broker_name: stats.queue.broker_name(),
        queue_id: stats.queue.queue_id(),
        min_offset: stats.min_offset,
        max_offset: stats.max_offset,
        messages: stats.messages(),
        last_update: stats.last_update.map(text::millis),
    }
}

fn row(stats: &QueueStats) -> [String; 5] {
    [
        format!("{}/{}", stats.queue.broker_name(), stats.queue.queue_id()),
        stats.min_offset.to_string(),
        stats.max_offset.to_string(),
        stats.messages().to_string(),
        stats.last_update.map_or_else(|| "-".to_owned(), text::time),
    ]
}
