use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use rocketmq_blocking::{Client, ConsumeFromWhere, Error, MessageView, PushConsumer, ResetTo};

use super::figures::Run;
use super::{Figures, Load, fill};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::usage;

/// The group that consumes. Every run begins at the first message of the topic.
const GROUP: &str = "rmq-bench-consume";

/// How long to wait for the first message, and for the next one later.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the progress bar follows.
const LOOK: Duration = Duration::from_millis(200);

/// Measure consuming, through listeners that do nothing. Time runs from the first message to the last.
#[derive(Debug, Args)]
pub(crate) struct BenchConsume {
    /// First send messages of this size, in bytes, until the topic has --count of them. [default: consume what is there,
    /// --count at most]
    #[arg(long, short, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=16 << 20))]
    size: Option<u32>,

    /// Messages a listener gets at most.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,

    /// Consume each queue in its order.
    #[arg(long)]
    orderly: bool,

    #[command(flatten)]
    load: Load,
}

/// What the listeners count.
#[derive(Debug)]
struct Count {
    target: u64,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// Told when the first message comes, and when the last one has.
    begun: Sender<Instant>,
    ended: Sender<Instant>,
}

impl Count {
    fn take(&self, messages: &[MessageView]) {
        let bytes: usize = messages.iter().map(|message| message.body().len()).sum();
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let before = self.messages.fetch_add(messages.len() as u64, Ordering::Relaxed);
        if before == 0 {
            let _ = self.begun.try_send(Instant::now());
        }
        if before < self.target && before + messages.len() as u64 >= self.target {
            let _ = self.ended.try_send(Instant::now());
        }
    }

    fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

impl BenchConsume {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let client = self.load.cluster.connect()?;
        let done = self.measure(&client, &interrupt);
        client.close()?;
        let (figures, bytes) = done?;
        let mode = if self.orderly { "orderly" } else { "push" };
        let size = bytes / figures.done.max(1);
        figures.print(&Run { op: "consume", mode, threads: self.load.threads, size }, &interrupt, output)
    }

    fn measure(&self, client: &Client, interrupt: &Interrupt) -> Result<(Figures, u64), Failure> {
        let Load { topic, count, .. } = &self.load;
        if let Some(size) = self.size {
            fill::up_to(*count, client, topic, size, interrupt)?;
        }
        let held: u64 = fill::ranges(client, topic)?.iter().map(fill::Range::len).sum();
        if held == 0 {
            return Err(Failure::Failed(format!("topic {topic} has no messages: send some, or let --size do it")));
        }
        rewind(client, topic)?;
        let (begun, begins) = bounded(1);
        let (ended, ends) = bounded(1);
        let (messages, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let counted = Arc::new(Count { target: held.min(*count), messages, bytes, begun, ended });
        let consumer = self.consumer(client, counted.clone())?;
        let figures = follow(&counted, &begins, &ends, interrupt);
        consumer.close()?;
        Ok((figures?, counted.bytes.load(Ordering::Relaxed)))
    }

    fn consumer(&self, client: &Client, counted: Arc<Count>) -> Result<PushConsumer, Error> {
        let builder = client
            .push_consumer(GROUP)
            .subscribe(self.load.topic.as_str(), "*")
            .consume_from_where(ConsumeFromWhere::FirstOffset)
            .threads(usize::from(self.load.threads))
            .batch(usize::from(self.batch));
        let listener = move |messages: &[MessageView]| counted.take(messages);
        if self.orderly { builder.start_orderly(listener) } else { builder.start(listener) }
    }
}

/// Sends the group to the first messages, unless it is new: then it begins there anyway.
fn rewind(client: &Client, topic: &str) -> Result<(), Error> {
    match client.admin().group_members(GROUP) {
        Err(Error::NoRoute { .. }) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => client.admin().reset_group(GROUP, topic, ResetTo::First).map(drop),
    }
}

/// Waits for the first message and the last one, and returns what happened between them.
fn follow(
    counted: &Count,
    begins: &Receiver<Instant>,
    ends: &Receiver<Instant>,
    interrupt: &Interrupt,
) -> Result<Figures, Failure> {
    let begun = select! {
        recv(begins) -> begun => begun.ok(),
        recv(interrupt.signal()) -> _ => None,
        default(PATIENCE) => return Err(Failure::Failed(nothing_for(PATIENCE))),
    };
    let (cpu, progress) = (usage::cpu_time(), Progress::new(Some(counted.target), "messages"));
    let (looks, mut last) = (tick(LOOK), (counted.messages(), Instant::now()));
    let ended = loop {
        select! {
            recv(ends) -> ended => break ended.ok(),
            recv(interrupt.signal()) -> _ => break None,
            recv(looks) -> now => if let Ok(now) = now {
                progress.reach(counted.messages());
                if counted.messages() > last.0 {
                    last = (counted.messages(), now);
                } else if now - last.1 > PATIENCE {
                    return Err(Failure::Failed(nothing_for(PATIENCE)));
                }
            },
        }
    };
    let cpu = usage::cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let elapsed = ended.unwrap_or_else(Instant::now) - begun.unwrap_or_else(Instant::now);
    Ok(Figures::new(counted.messages(), 0, elapsed, cpu, None))
}

fn nothing_for(time: Duration) -> String {
    format!("no message came for {} s", time.as_secs())
}
