use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use rocketmq_blocking::{
    Error, Message, MessageQueue, PendingSend, PreparedSend, Producer, SendResult, Sendable, select,
};

use super::Mode;
use super::transaction::Transactions;
use crate::failure::{Failure, explain};
use crate::interrupt::Interrupt;

/// Sends one thread has under way in asynchronous mode.
const WINDOW: usize = 512;

/// Results that wait to be printed; a full queue makes the senders wait, so that memory stays bounded.
const UNPRINTED: usize = 1024;

/// Where messages go.
#[derive(Debug)]
pub(super) enum Target {
    Any,
    Queue(MessageQueue),
    Hash(String),
}

impl Target {
    pub(super) fn queue(&self) -> Option<&MessageQueue> {
        match self {
            Target::Queue(queue) => Some(queue),
            Target::Any | Target::Hash(_) => None,
        }
    }
}

/// What sends them.
#[derive(Debug)]
pub(super) enum Outlet {
    Plain(Producer),
    Transactions(Transactions),
}

impl Outlet {
    pub(super) fn close(&self) -> Result<(), Error> {
        match self {
            Outlet::Plain(producer) => producer.close(),
            Outlet::Transactions(transactions) => transactions.close(),
        }
    }
}

/// What became of one send: of one message or of the messages of one batch.
#[derive(Debug)]
pub(super) struct Event {
    /// The number of its first message, from 1.
    pub(super) first: u64,
    /// How many messages it had.
    pub(super) count: u64,
    /// `None` for a oneway send that left; else what became of it, in words.
    pub(super) result: Result<Option<SendResult>, String>,
}

impl Event {
    pub(super) fn stored(first: u64, count: u64, result: SendResult) -> Event {
        Event { first, count, result: Ok(Some(result)) }
    }

    pub(super) fn failed(first: u64, count: u64, why: String) -> Event {
        Event { first, count, result: Err(why) }
    }
}

/// So many messages, sent by several threads.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) message: Message,
    pub(super) count: u64,
    pub(super) batch: Option<u32>,
    pub(super) mode: Mode,
    pub(super) retries: Option<u32>,
    pub(super) target: &'a Target,
    pub(super) outlet: &'a Outlet,
    pub(super) interrupt: &'a Interrupt,
}

impl Work<'_> {
    /// Sends, and gives `report` what became of each send, and `None` whenever no more is known at the moment. Returns when
    /// all threads have ended; an error of `report` ends the work early.
    pub(super) fn run(
        &self,
        threads: u16,
        mut report: impl FnMut(Option<Event>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let taken = AtomicU64::new(0);
        let (events, results) = bounded(UNPRINTED);
        thread::scope(|scope| {
            for number in 0..threads {
                let (line, taken) = (Line { work: self, events: events.clone() }, &taken);
                thread::Builder::new()
                    .name(format!("rmq-send {number}"))
                    .spawn_scoped(scope, move || line.run(taken))
                    .map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
            }
            drop(events);
            // The end of this closure drops the receiver, and that ends threads which still have something to say.
            loop {
                let event = match results.try_recv() {
                    Ok(event) => event,
                    Err(_) => {
                        report(None)?;
                        match results.recv() {
                            Ok(event) => event,
                            Err(_) => return Ok(()),
                        }
                    }
                };
                report(Some(event))?;
            }
        })
    }

    /// Takes the next messages, as many as go into one send; returns the number of the first, and how many.
    fn take(&self, taken: &AtomicU64) -> Option<(u64, u64)> {
        if self.interrupt.happened() {
            return None;
        }
        let step = u64::from(self.batch.unwrap_or(1));
        let first = taken.fetch_add(step, Ordering::Relaxed);
        (first < self.count).then(|| (first + 1, step.min(self.count - first)))
    }

    fn options<'p, M>(&'p self, prepared: PreparedSend<'p, M>) -> PreparedSend<'p, M> {
        let prepared = match self.target {
            // A message with settings of its own would be left out of automatic batches.
            Target::Any => return prepared,
            Target::Queue(queue) => prepared.queue(queue),
            Target::Hash(key) => prepared.select(select::by_hash(key)),
        };
        match self.retries {
            Some(retries) => prepared.retries(retries),
            None => prepared,
        }
    }
}

/// What one thread does.
struct Line<'a> {
    work: &'a Work<'a>,
    events: Sender<Event>,
}

impl Line<'_> {
    fn run(&self, taken: &AtomicU64) {
        let Work { outlet, message, batch, .. } = self.work;
        let producer = match outlet {
            Outlet::Plain(producer) => producer,
            Outlet::Transactions(transactions) => return self.transact(taken, transactions),
        };
        if batch.is_some() {
            let batch = |count| vec![message.clone(); usize::try_from(count).unwrap_or(usize::MAX)];
            self.send(taken, |count| producer.prepare_batch(batch(count)));
        } else {
            self.send(taken, |_| producer.prepare(message.clone()));
        }
    }

    fn send<'p, M: Sendable>(&'p self, taken: &AtomicU64, prepare: impl Fn(u64) -> PreparedSend<'p, M>) {
        let mut under_way = VecDeque::new();
        while let Some((first, count)) = self.work.take(taken) {
            let prepared = self.work.options(prepare(count));
            let result = match self.work.mode {
                Mode::Sync => prepared.send().map(Some).map_err(|failed| failed.error),
                Mode::Oneway => prepared.send_oneway().map(|()| None).map_err(|failed| failed.error),
                Mode::Async => match prepared.submit() {
                    Ok(pending) => {
                        under_way.push_back((first, count, pending));
                        if under_way.len() >= WINDOW && !self.settle(under_way.pop_front()) {
                            return;
                        }
                        continue;
                    }
                    Err(failed) => Err(failed.error),
                },
            };
            if !self.tell(first, count, result) {
                break;
            }
        }
        while !under_way.is_empty() {
            self.settle(under_way.pop_front());
        }
    }

    fn transact(&self, taken: &AtomicU64, transactions: &Transactions) {
        while let Some((number, _)) = self.work.take(taken) {
            let go_on = match transactions.send(number, self.work.message.clone()) {
                Ok(None) => true,
                Ok(Some(event)) => self.events.send(event).is_ok(),
                Err(error) => self.tell(number, 1, Err(error)),
            };
            if !go_on {
                break;
            }
        }
    }

    /// Waits for a send under way. It ends by its own deadline.
    fn settle<M>(&self, pending: Option<(u64, u64, PendingSend<M>)>) -> bool {
        let Some((first, count, pending)) = pending else { return false };
        self.tell(first, count, pending.wait().map(Some).map_err(Error::from))
    }

    /// Hands on what became of a send; returns whether to go on.
    fn tell(&self, first: u64, count: u64, result: Result<Option<SendResult>, Error>) -> bool {
        // What the client itself finds wrong with a message is wrong with all others too.
        let hopeless = matches!(result, Err(Error::Invalid { .. } | Error::Closed { .. }));
        let result = result.map_err(|error| format!("{}: {}", error.outcome(), explain(&error)));
        self.events.send(Event { first, count, result }).is_ok() && !hopeless
    }
}
