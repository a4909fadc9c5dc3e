use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use crossbeam_channel::bounded;
use rocketmq_blocking::{Client, Error, PullConsumer, PullResult, PullStatus};

use super::figures::Run;
use super::fill::{self, Range};
use super::measure::{self, Hand};
use super::{Calls, Figures, Load};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::send::Mode;

/// With --size a topic is filled up to this number of messages at most; then they are read more than once.
const FILLED: u64 = 100_000;

/// Measure pulling. The messages of the topic are read over and over until --count were.
#[derive(Debug, Args)]
pub(crate) struct BenchPull {
    /// First send messages of this size, in bytes, until the topic has --count of them, 100000 at most. [default: read
    /// what is there]
    #[arg(long, short, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=16 << 20))]
    size: Option<u32>,

    #[command(flatten)]
    calls: Calls,

    #[command(flatten)]
    load: Load,
}

impl BenchPull {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        if self.calls.mode == Mode::Oneway {
            return Err(Failure::Usage("--mode oneway is for sending: a pull without an answer brings nothing".into()));
        }
        let interrupt = Interrupt::listen()?;
        let client = self.load.cluster.connect()?;
        let bytes = AtomicU64::new(0);
        let done = self.measure(&client, &interrupt, &bytes);
        client.close()?;
        let figures = done?;
        let size = bytes.into_inner() / figures.done.max(1);
        let run = Run { op: "pull", mode: self.calls.mode.name(), threads: self.load.threads, size };
        figures.print(&run, &interrupt, output)
    }

    fn measure(&self, client: &Client, interrupt: &Interrupt, bytes: &AtomicU64) -> Result<Figures, Failure> {
        let Load { threads, count, .. } = self.load;
        if let Some(size) = self.size {
            fill::up_to(count.min(FILLED), client, &self.load.topic, size, interrupt)?;
        }
        let window = self.calls.window() + usize::from(threads);
        let consumer = client.pull_consumer("rmq-bench").window(window.min(65_536)).start()?;
        let ranges = fill::ranges(client, &self.load.topic)?;
        if ranges.is_empty() {
            let topic = &self.load.topic;
            return Err(Failure::Failed(format!("topic {topic} has no messages: send some, or let --size do it")));
        }
        let read = Read { load: &self.load, calls: &self.calls, consumer: &consumer, ranges, bytes };
        let warm = read.run(self.load.warm_up(), interrupt, &Progress::none())?;
        if warm.failed > 0 {
            return Ok(warm.nothing());
        }
        bytes.store(0, Ordering::Relaxed);
        read.run(count, interrupt, &Progress::new(Some(count), "messages"))
    }
}

/// Reads queues round and round.
struct Read<'a> {
    load: &'a Load,
    calls: &'a Calls,
    consumer: &'a PullConsumer,
    ranges: Vec<Range>,
    bytes: &'a AtomicU64,
}

/// One reader's place in one queue.
struct Place<'a> {
    range: &'a Range,
    offset: i64,
}

impl Place<'_> {
    fn follow(&mut self, result: &PullResult) {
        let behind = result.next_offset() >= self.range.end || result.status() != PullStatus::Found;
        self.offset = if behind { self.range.first.max(result.min_offset()) } else { result.next_offset() };
    }
}

impl Read<'_> {
    fn run(&self, count: u64, interrupt: &Interrupt, progress: &Progress) -> Result<Figures, Failure> {
        measure::run(count, self.load.threads, interrupt, progress, |thread, hand| {
            let mut places = self.places(usize::from(thread));
            match self.calls.mode {
                Mode::Async => self.read_async(&hand, &mut places),
                Mode::Sync | Mode::Oneway => self.read_sync(&hand, &mut places),
            }
        })
    }

    /// The places one thread reads at: of a synchronous reader its share of the queues, at least one; of an asynchronous
    /// one as many as it may have pulls under way, spread over its queues.
    fn places(&self, thread: usize) -> Vec<Place<'_>> {
        let threads = usize::from(self.load.threads);
        let own: Vec<&Range> = self.ranges.iter().skip(thread).step_by(threads).collect();
        let own = if own.is_empty() { vec![&self.ranges[thread % self.ranges.len()]] } else { own };
        let count = match self.calls.mode {
            Mode::Async => (self.calls.window() / threads).max(1),
            Mode::Sync | Mode::Oneway => own.len(),
        };
        let rounds = i64::try_from(count.div_ceil(own.len())).unwrap_or(1);
        (0..count)
            .map(|number| {
                let (range, round) = (own[number % own.len()], i64::try_from(number / own.len()).unwrap_or(0));
                Place { range, offset: range.first + (range.end - range.first) / rounds * round }
            })
            .collect()
    }

    fn read_sync(&self, hand: &Hand, places: &mut [Place<'_>]) {
        while hand.goes_on() {
            for place in places.iter_mut() {
                if !hand.goes_on() {
                    return;
                }
                let started = Instant::now();
                let result = self.consumer.pull(&place.range.queue, place.offset);
                self.take(hand, place, started, result);
            }
        }
    }

    fn read_async(&self, hand: &Hand, places: &mut [Place<'_>]) {
        // There is room for an answer to each place, so callbacks never wait.
        let (answers, arrived) = bounded(places.len());
        let ask = |number: usize, place: &Place<'_>| {
            let (started, answer) = (Instant::now(), answers.clone());
            let pull = self.consumer.prepare_pull(&place.range.queue, place.offset);
            let asked = pull.fetch_async(move |result| drop(answer.try_send((number, started, result))));
            if let Err(error) = asked {
                let _ = answers.try_send((number, started, Err(error)));
            }
        };
        for (number, place) in places.iter().enumerate() {
            ask(number, place);
        }
        let mut under_way = places.len();
        while under_way > 0 {
            let Ok((number, started, result)) = arrived.recv() else { return };
            self.take(hand, &mut places[number], started, result);
            if hand.goes_on() {
                ask(number, &places[number]);
            } else {
                under_way -= 1;
            }
        }
    }

    fn take(&self, hand: &Hand, place: &mut Place<'_>, started: Instant, result: Result<PullResult, Error>) {
        match result {
            Ok(result) => {
                let bytes: usize = result.messages().iter().map(|message| message.body().len()).sum();
                self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                hand.record(started.elapsed(), result.messages().len() as u64);
                place.follow(&result);
            }
            Err(error) => hand.fail(&error),
        }
    }
}
