//! Sixteen threads that send in every way, some of them in an order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rocketmq_blocking::{Error, Message, MessageQueue, Producer};

use crate::ledger::{End, Ledger, Mark};

/// Between two sends of a thread.
const PACE: Duration = Duration::from_millis(40);

/// Ends all threads at once, however long they would have paused.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Pauses; `false` when all is over.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
        !*stopped.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How a thread sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Sync,
    Async,
    Oneway,
    /// To queues of one broker, key by key: a message that may not be stored is sent until it is.
    Ordered,
}

/// When a thread was last told that a message is stored.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) way: Way,
    last: AtomicU64,
    longest: AtomicU64,
}

impl Pulse {
    fn beat(&self, now: u64) {
        let gap = now.saturating_sub(self.last.swap(now, Relaxed));
        self.longest.fetch_max(gap, Relaxed);
    }

    pub(crate) fn forget(&self) {
        self.longest.store(0, Relaxed);
    }

    /// The longest time without a success since it was last made to forget, in milliseconds.
    pub(crate) fn longest(&self, now: u64) -> u64 {
        self.longest.load(Relaxed).max(now.saturating_sub(self.last.load(Relaxed)))
    }
}

/// What all of them share.
#[derive(Debug)]
pub(crate) struct Senders {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) stop: Stop,
    pub(crate) pulses: Vec<Pulse>,
    /// When a message was last stored in each queue by those that keep an order, in milliseconds since the beginning.
    pub(crate) stored_in: Vec<AtomicU64>,
    pub(crate) queues: Vec<MessageQueue>,
    pub(crate) failures: Mutex<Vec<String>>,
    overflowed: AtomicBool,
}

/// Keys of each queue.
pub(crate) const KEYS: usize = 2;

const WAYS: [Way; 16] = {
    use Way::{Async, Oneway, Ordered, Sync};
    [
        Ordered, Ordered, Ordered, Ordered, Ordered, Ordered, Sync, Sync, Sync, Sync, Async, Async, Async, Async,
        Oneway, Oneway,
    ]
};

pub(crate) const SENDERS: usize = WAYS.len();

/// How many calls a thread makes at most in so many seconds.
pub(crate) fn calls(seconds: u64) -> usize {
    (seconds as usize * 1000 / PACE.as_millis() as usize) * 3 / 2 + 1000
}

impl Senders {
    pub(crate) fn new(ledger: Arc<Ledger>, queues: Vec<MessageQueue>) -> Senders {
        let now = ledger.now();
        let pulse = |way: &Way| Pulse { way: *way, last: AtomicU64::new(now), longest: AtomicU64::new(0) };
        Senders {
            ledger,
            stop: Stop::default(),
            pulses: WAYS.iter().map(pulse).collect(),
            stored_in: queues.iter().map(|_| AtomicU64::new(0)).collect(),
            queues,
            failures: Mutex::default(),
            overflowed: AtomicBool::new(false),
        }
    }

    /// Starts all threads.
    pub(crate) fn start(self: &Arc<Self>, producer: &Arc<Producer>, topic: &str) -> Vec<thread::JoinHandle<()>> {
        let ordered = WAYS.iter().filter(|way| **way == Way::Ordered).count();
        let share = self.queues.len().div_ceil(ordered);
        let start = |sender: usize| {
            let (senders, producer, topic) = (self.clone(), producer.clone(), topic.to_owned());
            thread::spawn(move || match WAYS[sender] {
                // The queues are sorted by broker, so these are of one.
                Way::Ordered => senders.in_order(sender, &producer, &topic, sender * share, share),
                way => senders.freely(sender, way, &producer, &topic),
            })
        };
        (0..SENDERS).map(start).collect()
    }

    fn freely(self: &Arc<Self>, sender: usize, way: Way, producer: &Producer, topic: &str) {
        let mut number = 0;
        while self.stop.pause(PACE) && self.has_room(number) {
            let mark = Mark { sender, number, ordered: None };
            let prepared = producer.prepare(Message::new(topic, mark.to_string()));
            number += 1;
            match way {
                Way::Async => {
                    let senders = self.clone();
                    let started = prepared.send_async(move |result| {
                        let result = result.map_err(Error::from);
                        senders.ended(
                            mark,
                            result.as_ref().map_or_else(|error| End::of(Err(error)), |sent| End::of(Ok(sent))),
                        );
                        senders.explain(mark, result.err());
                    });
                    if let Err(error) = started.map_err(Error::from) {
                        self.ended(mark, End::of(Err(&error)));
                        self.explain(mark, Some(error));
                    }
                }
                Way::Oneway => match prepared.send_oneway().map_err(Error::from) {
                    Ok(()) => self.ended(mark, End::Oneway),
                    Err(error) => {
                        self.ended(mark, End::of(Err(&error)));
                        self.explain(mark, Some(error));
                    }
                },
                _ => {
                    let result = prepared.send().map_err(Error::from);
                    self.ended(mark, End::of(result.as_ref()));
                    self.explain(mark, result.err());
                }
            }
        }
    }

    fn in_order(&self, sender: usize, producer: &Producer, topic: &str, first: usize, share: usize) {
        let queues = first..(first + share).min(self.queues.len());
        let keys: Vec<(usize, usize)> =
            queues.flat_map(|queue| (0..KEYS).map(move |key| (queue, queue * KEYS + key))).collect();
        let mut number = 0;
        for place in 0.. {
            for (queue, key) in &keys {
                loop {
                    if !self.stop.pause(PACE) || !self.has_room(number) {
                        return;
                    }
                    let mark = Mark { sender, number, ordered: Some((*key, place)) };
                    number += 1;
                    let message = Message::new(topic, mark.to_string());
                    let result = producer.prepare(message).queue(&self.queues[*queue]).send().map_err(Error::from);
                    self.ended(mark, End::of(result.as_ref()));
                    if result.is_ok() {
                        self.stored_in[*queue].store(self.ledger.now(), Relaxed);
                        break;
                    }
                    self.explain(mark, result.err());
                }
            }
        }
    }

    fn has_room(&self, number: usize) -> bool {
        let room = number < self.ledger.calls();
        if !room {
            self.overflowed.store(true, Relaxed);
        }
        room
    }

    /// Whether a thread had to end before the others, because its part of the ledger was full.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed.load(Relaxed)
    }

    fn ended(&self, mark: Mark, end: End) {
        self.ledger.ended(mark, end);
        if end.is_acknowledged() || end == End::Oneway {
            self.pulses[mark.sender].beat(self.ledger.now());
        }
    }

    /// Keeps the first failures, to be told at the end when something is wrong.
    fn explain(&self, mark: Mark, error: Option<Error>) {
        let Some(error) = error else { return };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < 300 {
            failures.push(format!(
                "{}/{} at {} ms: {}: {error}",
                mark.sender,
                mark.number,
                self.ledger.now(),
                error.outcome()
            ));
        }
    }
}
