use std::time::Duration;

use clap::Args;
use rocketmq_blocking::PullConsumer;

use crate::begin::Begin;
use crate::cluster::Cluster;
use crate::failure::{Failure, complain};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::pull::{Cursor, Page, Read, queue_width};
use crate::wanted::Wanted;

/// The name under which brokers know who follows. Nothing is ever committed for it.
const GROUP: &str = "rmq-tail";

/// Nobody waits for longer.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Show the messages of a topic as they come, until interrupted.
///
/// It belongs to no group: it takes no message from anybody, commits nothing, and any number of it can run at a time. Queues
/// that are new are read from their first message on. Lines are those of rmq pull.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Topic to follow. It must exist.
    topic: String,

    #[command(flatten)]
    wanted: Wanted,

    /// Where to begin in each queue: at its first message, behind its last, or at a time (2026-11-21T10:00:00Z,
    /// milliseconds since 1970, or -10m for so long ago).
    #[arg(long, value_name = "first|last|TIME", default_value = "last", allow_hyphen_values = true)]
    from: Begin,

    /// End after so many messages. [default: no end]
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    #[command(flatten)]
    cluster: Cluster,
}

impl Tail {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let client = self.cluster.connect()?;
        // One pull of each queue may be under way.
        let consumer = client.pull_consumer(GROUP).window(65_536).start()?;
        let mut cursors = self.cursors(&consumer)?;
        complain(&format!("following {}; interrupt to end", self.topic));
        let read = Read {
            consumer: &consumer,
            filter: self.wanted.filter(),
            wait: FOR_EVER,
            commit: false,
            interrupt: &interrupt,
            follow: Some(&self.topic),
        };
        let mut page = Page::new(output, self.count, queue_width(&cursors));
        let done = read.run(&mut cursors, &mut page);
        consumer.close()?;
        client.close()?;
        done
    }

    fn cursors(&self, consumer: &PullConsumer) -> Result<Vec<Cursor>, Failure> {
        let mut cursors = Vec::new();
        for queue in consumer.fetch_queues(&self.topic)? {
            let offset = match self.from {
                Begin::First => consumer.min_offset(&queue)?,
                Begin::Last => consumer.max_offset(&queue)?,
                Begin::Time(time) => consumer.search_offset(&queue, time)?,
            };
            cursors.push(Cursor::new(queue, offset));
        }
        Ok(cursors)
    }
}
