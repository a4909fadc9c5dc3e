mod cursor;
mod page;
mod read;
pub(crate) mod start;

use std::time::Duration;

use clap::Args;
use rocketmq_blocking::PullConsumer;

pub(crate) use self::cursor::Cursor;
pub(crate) use self::page::Page;
pub(crate) use self::read::{Read, Sink};
use self::start::From;
use crate::cluster::Cluster;
use crate::duration;
use crate::failure::{Failure, complain};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::text;
use crate::wanted::Wanted;

/// Read the messages of a topic, from all its queues, in the order of each queue.
///
/// It ends when --count messages were read, when nothing new came for --wait after the end of all queues was reached, or
/// when it is interrupted. A line has the queue, the offset, the time of storing (UTC), the tag, keys, and the body; long
/// bodies are cut short, --json has all.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Topic to read.
    #[arg(long, short)]
    topic: String,

    /// Consumer group, whose committed offsets are read and written.
    #[arg(long, short, default_value = "rmq-pull")]
    group: String,

    #[command(flatten)]
    wanted: Wanted,

    /// Where to begin in each queue: at its first message, behind its last, or at an offset. [default: where the group
    /// has committed, else first]
    #[arg(long, value_name = "first|last|OFFSET")]
    from: Option<From>,

    /// Read at most so many messages. [default: all]
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// How long to wait for a new message once the end of all queues is reached.
    #[arg(long, short, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    wait: Duration,

    /// Commit for the group what was read and printed, so that the next call with this group goes on behind it.
    #[arg(long)]
    commit: bool,

    #[command(flatten)]
    cluster: Cluster,
}

impl Pull {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let client = self.cluster.connect()?;
        let consumer = self.consumer(&client)?;
        let mut cursors = start::cursors(&consumer, &self.topic, self.from, From::First)?;
        let read = Read {
            consumer: &consumer,
            filter: self.wanted.filter(),
            wait: self.wait,
            commit: self.commit,
            interrupt: &interrupt,
            follow: None,
        };
        let mut page = Page::new(output, self.count, queue_width(&cursors));
        // When printing fails nothing is committed any more: nobody knows how much of it was read.
        let done = read.run(&mut cursors, &mut page).and_then(|()| match self.commit {
            true => cursors.iter_mut().try_for_each(|cursor| cursor.commit(&consumer)),
            false => Ok(()),
        });
        let count = page.count();
        drop(page);
        consumer.close()?;
        client.close()?;
        done?;
        if !output.json() {
            complain(&format!("{} read", text::counted(count, "message")));
        }
        if cursors.iter().any(Cursor::has_failed) { Err(Failure::Reported) } else { Ok(()) }
    }

    fn consumer(&self, client: &rocketmq_blocking::Client) -> Result<PullConsumer, Failure> {
        // One pull of each queue may be under way; topics with more queues than this are not found in the wild.
        Ok(client.pull_consumer(self.group.as_str()).window(65_536).start()?)
    }
}

pub(crate) fn queue_width(cursors: &[Cursor]) -> usize {
    let width = |cursor: &Cursor| {
        let queue = cursor.queue();
        queue.broker_name().chars().count() + 1 + queue.queue_id().to_string().len()
    };
    cursors.iter().map(width).max().unwrap_or_default()
}
