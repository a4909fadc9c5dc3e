use std::collections::VecDeque;
use std::time::SystemTime;

use clap::Args;
use rocketmq_blocking::{Client, MessageQueue, MessageView, PullConsumer, PullStatus};

use crate::begin;
use crate::cluster::Cluster;
use crate::failure::{Failure, complain};
use crate::output::{Output, Received};
use crate::text;
use crate::wanted::Wanted;

/// The name under which brokers know who reads. Nothing is ever committed for it.
const GROUP: &str = "rmq-list";

/// Messages of one pull.
const PAGE: usize = 32;

/// Characters of a body that are shown for people.
const SHOWN: usize = 60;

/// List the messages of a topic that were stored within a period, by its brokers' clocks, the one stored first at the front.
///
/// It belongs to no group: it takes no message from anybody and commits nothing. Each queue is read from the first message of the
/// period on.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Topic of the messages.
    #[arg(long, short)]
    topic: String,

    /// Stored at this time or later: 2026-11-21T10:00:00Z, milliseconds since 1970, or -10m for so long ago.
    #[arg(long, value_name = "TIME", value_parser = begin::time, allow_hyphen_values = true)]
    from: SystemTime,

    /// Stored before this time. [default: now]
    #[arg(long, value_name = "TIME", value_parser = begin::time, allow_hyphen_values = true)]
    to: Option<SystemTime>,

    /// At most so many, the oldest.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    #[command(flatten)]
    wanted: Wanted,

    #[command(flatten)]
    cluster: Cluster,
}

impl List {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let to = self.to.unwrap_or_else(SystemTime::now);
        if to <= self.from {
            return Err(Failure::Usage("the period is empty: --to is not after --from".to_owned()));
        }
        let client = self.cluster.connect()?;
        let mut found = self.find(&client, to)?;
        client.close()?;
        let more = found.len() as u64 > self.count;
        found.truncate(usize::try_from(self.count).unwrap_or(usize::MAX));
        output.list(["STORED", "QUEUE", "OFFSET", "MESSAGE ID", "TAG", "KEYS", "BODY"], &found, Received::of, row)?;
        output.flush()?;
        if !output.json() {
            complain(&text::counted(found.len() as u64, "message"));
        }
        if more {
            complain(&format!("there are more, behind the first {}: see --count, and --from", text::count(self.count)));
        }
        Ok(())
    }

    /// The messages in the order of their times, and one more than are wanted when there are so many.
    fn find(&self, client: &Client, to: SystemTime) -> Result<Vec<MessageView>, Failure> {
        let consumer = client.pull_consumer(GROUP).start()?;
        let mut queues = Vec::new();
        for queue in consumer.fetch_queues(&self.topic)? {
            let offset = consumer.search_offset(&queue, self.from)?;
            queues.push(Ahead { queue, offset, read: VecDeque::new(), ended: false });
        }
        let mut found: Vec<MessageView> = Vec::new();
        while found.len() as u64 <= self.count {
            for ahead in &mut queues {
                ahead.fill(&consumer, &self.wanted, self.from..to)?;
            }
            let time = |ahead: &&mut Ahead| ahead.read.front().map(MessageView::store_timestamp);
            let first = queues.iter_mut().filter(|ahead| !ahead.read.is_empty()).min_by_key(time);
            let Some(message) = first.and_then(|ahead| ahead.read.pop_front()) else { break };
            found.push(message);
        }
        consumer.close()?;
        Ok(found)
    }
}

/// What was read of one queue, and comes when its time has come.
struct Ahead {
    queue: MessageQueue,
    offset: i64,
    read: VecDeque<MessageView>,
    /// Nothing of the period is left to read.
    ended: bool,
}

impl Ahead {
    /// Reads on, until a message of the period waits or none is left.
    fn fill(
        &mut self,
        consumer: &PullConsumer,
        wanted: &Wanted,
        period: std::ops::Range<SystemTime>,
    ) -> Result<(), Failure> {
        while self.read.is_empty() && !self.ended {
            let pulled = consumer.prepare_pull(&self.queue, self.offset).filter(wanted.filter()).max(PAGE).fetch()?;
            // Brokers 4.x answer the last message when none was stored so late.
            let late = |message: &&MessageView| message.store_timestamp() < period.end;
            let before_end = pulled.messages().iter().take_while(late);
            let within = before_end.filter(|message| message.store_timestamp() >= period.start);
            self.read.extend(within.cloned());
            let over = pulled.messages().iter().any(|message| message.store_timestamp() >= period.end);
            let stands = pulled.next_offset() <= self.offset && pulled.status() != PullStatus::OffsetIllegal;
            self.ended = over || stands || pulled.status() == PullStatus::NoNewMessage;
            self.offset = pulled.next_offset();
        }
        Ok(())
    }
}

fn row(message: &MessageView) -> [String; 7] {
    let queue = message.queue();
    let keys: Vec<&str> = message.keys().collect();
    let body = match message.check_body() {
        Ok(()) => text::body(message.body(), SHOWN),
        Err(error) => format!("<{error}>"),
    };
    [
        text::time(message.store_timestamp()),
        format!("{}/{}", queue.broker_name(), queue.queue_id()),
        message.queue_offset().to_string(),
        text::line(message.message_id().chars()),
        text::line(message.tag().unwrap_or("-").chars()),
        text::line(keys.join(",").chars()),
        body,
    ]
}
