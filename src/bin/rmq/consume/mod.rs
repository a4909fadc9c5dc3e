mod desk;
mod end;
mod lite_pull;
mod push;
mod simple;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rocketmq_blocking::Client;

use self::desk::Desk;
use self::end::End;
use self::push::How;
use crate::begin::Begin;
use crate::cluster::Cluster;
use crate::duration;
use crate::failure::{Failure, complain};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::text;
use crate::wanted::Wanted;

/// Consume topics as a member of a group, sharing their queues with its other members.
///
/// It ends when --count messages were consumed, after --timeout, or when it is interrupted, and commits what was printed. A
/// line has the queue, the offset, the time of storing (UTC), the tag, keys, how often the message was delivered before,
/// and the body; long bodies are cut short, --json has all. A message whose body is damaged counts as failed.
///
/// The exit status is 1 when fewer messages were consumed than --count.
#[derive(Debug, Args)]
pub(crate) struct Consume {
    /// Topics to consume; may be repeated.
    #[arg(long = "topic", short, value_name = "TOPIC", required = true, num_args = 1..)]
    topics: Vec<String>,

    /// Consumer group.
    #[arg(long, short)]
    group: String,

    /// How to consume.
    #[arg(long, short, value_enum, default_value_t = Mode::Push)]
    mode: Mode,

    #[command(flatten)]
    wanted: Wanted,

    /// Where a group begins that is new to a queue: at its first message, behind its last, or at a time
    /// (2026-11-21T10:00:00Z, milliseconds since 1970, or -10m for so long ago).
    #[arg(long, value_name = "first|last|TIME", default_value = "last", allow_hyphen_values = true)]
    from: Begin,

    /// End after so many messages; a batch in which the last one comes is printed whole. [default: no end]
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after this time. [default: no end]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    timeout: Option<Duration>,

    /// Refuse the first so many deliveries, so that their messages come again. They do not count.
    #[arg(long, value_name = "K", default_value_t = 0, hide_default_value = true)]
    fail_first: u64,

    /// How often a message is delivered again before it becomes a dead letter. [default: 16, in order without end]
    #[arg(long, value_name = "N")]
    max_reconsume: Option<u32>,

    /// Number of listeners that run at the same time; more than one take messages out of order.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    threads: u16,

    /// Messages of a delivery at most.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,

    /// Record for each message how consuming it went, where RocketMQ's own tools find it.
    #[arg(long)]
    trace: bool,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Through listeners; what fails comes again after some time.
    Push,
    /// Through listeners, each queue in its order; what fails comes again before anything else of its queue.
    Orderly,
    /// Through listeners; every member of the group gets all messages. How far it is stands in a file below
    /// ROCKETMQ_CLIENT_LOCALOFFSETSTOREDIR, by default ~/.rocketmq_offsets, and what fails is given up.
    Broadcast,
    /// Through listeners, from brokers that hand messages out one by one and to any member (5.0 and later). They are told to
    /// do so for the group and the topics from now on, as rmq group mode does.
    Pop,
    /// By polling, each queue in its order; what fails comes again before anything else of its queue.
    LitePull,
    /// By receiving messages that brokers hand out one by one and to any member (5.0 and later); each is acknowledged by
    /// itself, and what fails comes again after a second.
    Simple,
}

impl Mode {
    fn has_listeners(self) -> bool {
        !matches!(self, Mode::LitePull | Mode::Simple)
    }
}

impl Consume {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        if !self.mode.has_listeners() && (self.threads > 1 || self.trace) {
            return Err(Failure::Usage("--threads and --trace are for modes with listeners".to_owned()));
        }
        if self.mode == Mode::LitePull && self.max_reconsume.is_some() {
            return Err(Failure::Usage("--max-reconsume is not for lite-pull, which gives nothing up".to_owned()));
        }
        let interrupt = Interrupt::listen()?;
        let client = self.cluster.connect()?;
        let end = End { interrupt: &interrupt, at: self.timeout.map(|timeout| Instant::now() + timeout) };
        let mut desk = Desk::new(output, self.count, self.fail_first, self.topics.len() > 1);
        complain(&format!("consuming {} as {}; interrupt to end", self.topics.join(", "), self.group));
        let done = self.consume(&client, &mut desk, &end);
        let consumed = desk.consumed();
        drop(desk);
        client.close()?;
        done?;
        let (short, all) = (self.count.is_some_and(|count| consumed < count), self.count.unwrap_or(0));
        if short {
            return Err(Failure::Failed(format!(
                "{} of {} consumed",
                text::count(consumed),
                text::counted(all, "message")
            )));
        }
        if !output.json() {
            complain(&format!("{} consumed", text::counted(consumed, "message")));
        }
        Ok(())
    }

    /// Consumes until the end in the way that was asked for; a file to each.
    fn consume(&self, client: &Client, desk: &mut Desk<'_>, end: &End<'_>) -> Result<(), Failure> {
        match self.mode {
            Mode::Push => push::run(self, How::Shared, client, desk, end),
            Mode::Orderly => push::run(self, How::Orderly, client, desk, end),
            Mode::Broadcast => push::run(self, How::Broadcast, client, desk, end),
            Mode::Pop => push::run(self, How::Popped, client, desk, end),
            Mode::LitePull => lite_pull::run(self, client, desk, end),
            Mode::Simple => simple::run(self, client, desk, end),
        }
    }
}
