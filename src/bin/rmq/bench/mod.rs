mod consume;
mod figures;
mod fill;
mod measure;
mod pull;
mod send;

use clap::{Args, Subcommand};

use self::figures::Figures;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;
use crate::send::Mode;

/// Measure how fast messages are sent, pulled or consumed. After a warm-up, which is not counted.
///
/// Rates are messages a second. Times are those of a call: of one send, oneway until the operating system has taken it,
/// or of one pull of up to 32 messages. Processor time and memory are those of this process, the broker's are not in it.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Send(send::BenchSend),
    Pull(pull::BenchPull),
    Consume(consume::BenchConsume),
}

impl Bench {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Bench::Send(send) => send.run(output),
            Bench::Pull(pull) => pull.run(output),
            Bench::Consume(consume) => consume.run(output),
        }
    }
}

/// What all have in common.
#[derive(Debug, Args)]
struct Load {
    /// Topic; use one of its own.
    #[arg(long, short, default_value = "RmqBench")]
    topic: String,

    /// Number of threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    threads: u16,

    /// Number of messages to measure.
    #[arg(long, short, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    #[command(flatten)]
    cluster: Cluster,
}

/// How calls are made.
#[derive(Debug, Args)]
struct Calls {
    /// Wait for each answer (sync), have up to --window calls under way (async), or ask for no answer (oneway, send only).
    #[arg(long, value_enum, default_value_t = Mode::Sync)]
    mode: Mode,

    /// Calls under way at most, for --mode async.
    #[arg(long, value_name = "W", default_value_t = WINDOW, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: u32,
}

/// Calls under way at most unless set otherwise.
const WINDOW: u32 = 256;

impl Calls {
    fn window(&self) -> usize {
        usize::try_from(self.window).unwrap_or(usize::MAX)
    }
}

impl Load {
    /// How many messages go before those that count: enough for connections, routes, buffers and caches.
    fn warm_up(&self) -> u64 {
        (self.count / 10).clamp(100, 10_000)
    }
}
