use std::time::Instant;

use clap::Args;
use rocketmq_blocking::{Client, Error, Message, Producer, ProducerBuilder};

use super::figures::Run;
use super::measure::{self, Hand};
use super::{Calls, Figures, Load};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::producing::Producing;
use crate::progress::Progress;
use crate::send::{Mode, generated};

/// Measure sending.
#[derive(Debug, Args)]
pub(crate) struct BenchSend {
    /// Size of the bodies, in bytes.
    #[arg(long, short, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=16 << 20))]
    size: u32,

    #[command(flatten)]
    producing: Producing,

    #[command(flatten)]
    calls: Calls,

    #[command(flatten)]
    load: Load,
}

impl BenchSend {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let client = self.load.cluster.connect()?;
        let done = self.measure(&client, &interrupt);
        client.close()?;
        let run =
            Run { op: "send", mode: self.calls.mode.name(), threads: self.load.threads, size: u64::from(self.size) };
        done?.print(&run, &interrupt, output)
    }

    fn measure(&self, client: &Client, interrupt: &Interrupt) -> Result<Figures, Failure> {
        let (Load { topic, threads, count, .. }, mode) = (&self.load, self.calls.mode);
        let (threads, count, window) = (*threads, *count, self.calls.window());
        let sender = Sender::start(client, topic, window, self.size, |builder| self.producing.apply(builder))?;
        let warm = sender.run(self.load.warm_up(), threads, mode, interrupt, &Progress::none())?;
        if warm.failed > 0 {
            return Ok(warm.nothing());
        }
        sender.run(count, threads, mode, interrupt, &Progress::new(Some(count), "messages"))
    }
}

/// Sends the same message again and again.
pub(super) struct Sender {
    producer: Producer,
    message: Message,
}

impl Sender {
    pub(super) fn start(
        client: &Client,
        topic: &str,
        window: usize,
        size: u32,
        settings: impl FnOnce(ProducerBuilder) -> ProducerBuilder,
    ) -> Result<Sender, Failure> {
        let body = generated(usize::try_from(size).unwrap_or(usize::MAX));
        let bytes = window.saturating_mul(body.len());
        let builder = client.producer("rmq-bench").async_window(window, bytes);
        let producer = settings(builder).start()?;
        Ok(Sender { producer, message: Message::new(topic, body) })
    }

    pub(super) fn run(
        &self,
        count: u64,
        threads: u16,
        mode: Mode,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Figures, Failure> {
        measure::run(count, threads, interrupt, progress, |_, hand| match mode {
            Mode::Sync => self.each(&hand, |message| self.producer.send(message).map(drop).map_err(Error::from)),
            Mode::Oneway => self.each(&hand, |message| self.producer.send_oneway(message).map_err(Error::from)),
            Mode::Async => self.async_sends(&hand),
        })
    }

    fn each(&self, hand: &Hand, send: impl Fn(Message) -> Result<(), Error>) {
        while hand.begin() {
            let started = Instant::now();
            match send(self.message.clone()) {
                Ok(()) => hand.record(started.elapsed(), 1),
                Err(error) => hand.fail(&error),
            }
        }
    }

    fn async_sends(&self, hand: &Hand) {
        while hand.begin() {
            let (started, held) = (Instant::now(), hand.clone());
            let accepted = self.producer.send_async(self.message.clone(), move |result| match result {
                Ok(_) => held.record(started.elapsed(), 1),
                Err(failed) => held.fail(&failed.error),
            });
            if let Err(refused) = accepted {
                hand.fail(&refused.error);
            }
        }
    }
}
