//! Two groups that consume everything, each of several members; one keeps the order and checks it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rocketmq_blocking::{Client, ConsumeFromWhere, MessageQueue, MessageView, PushConsumer, Result};

use crate::ledger::{GROUPS, Ledger, Mark};
use crate::senders::KEYS;

pub(crate) const MEMBERS: usize = 3;

/// How far a queue is consumed in its order.
#[derive(Debug)]
struct Course {
    /// The offset that comes next, unless earlier ones come again.
    next: i64,
    /// For each key what comes next.
    places: [u32; KEYS],
}

/// What both groups write down.
#[derive(Debug)]
pub(crate) struct Watch {
    ledger: Arc<Ledger>,
    queues: Vec<MessageQueue>,
    /// When each queue was last consumed by each group, in milliseconds since the beginning.
    pub(crate) last: [Vec<AtomicU64>; 2],
    courses: Vec<Mutex<Course>>,
    /// Whether a listener of the orderly group is at work on the queue.
    busy: Vec<AtomicBool>,
    complaints: Mutex<Vec<String>>,
}

impl Watch {
    pub(crate) fn new(ledger: Arc<Ledger>, queues: Vec<MessageQueue>) -> Watch {
        let times = || queues.iter().map(|_| AtomicU64::new(0)).collect();
        let course = || Course { next: 0, places: [0; KEYS] };
        Watch {
            ledger,
            last: [times(), times()],
            courses: queues.iter().map(|_| Mutex::new(course())).collect(),
            busy: queues.iter().map(|_| AtomicBool::new(false)).collect(),
            queues,
            complaints: Mutex::default(),
        }
    }

    /// What was wrong so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn complain(&self, what: String) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < 200 {
            complaints.push(format!("{} ms: {what}", self.ledger.now()));
        }
    }

    /// The number of a message's queue, and what its body says.
    fn read(&self, message: &MessageView) -> Option<(usize, Mark)> {
        let mark = message.body_text().and_then(Mark::read);
        let queue = self.queues.iter().position(|queue| queue == message.queue());
        let both = queue.zip(mark);
        if both.is_none() {
            self.complain(format!("nobody sent this: {message:?}"));
        }
        both
    }

    fn consumed(&self, message: &MessageView, group: usize) {
        let Some((queue, mark)) = self.read(message) else { return };
        if group == 1 {
            self.in_order(message, queue, mark);
        }
        self.last[group][queue].store(self.ledger.now(), Relaxed);
        self.ledger.consumed(mark, group);
    }

    /// What comes for the first time comes in its turn; what came before may come again.
    fn in_order(&self, message: &MessageView, queue: usize, mark: Mark) {
        if self.busy[queue].swap(true, Relaxed) {
            self.complain(format!("two listeners at once at {}: {mark}", message.queue()));
        }
        let mut course = self.courses[queue].lock().unwrap_or_else(PoisonError::into_inner);
        let offset = message.queue_offset();
        if offset > course.next {
            self.complain(format!("{} goes from {} to {offset}", message.queue(), course.next));
        }
        course.next = course.next.max(offset + 1);
        if let Some((key, place)) = mark.ordered {
            let next = &mut course.places[key % KEYS];
            if place > *next {
                self.complain(format!("key {key} goes from {next} to {place}"));
            }
            *next = (*next).max(place + 1);
        }
        drop(course);
        self.busy[queue].store(false, Relaxed);
    }
}

/// Starts one member of a group.
pub(crate) fn join(client: &Client, group: usize, run: &str, topic: &str, watch: &Arc<Watch>) -> Result<PushConsumer> {
    let name = format!("{run}_{}", GROUPS[group]);
    let builder = client.push_consumer(name).subscribe(topic, "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let (builder, watch) = (builder.threads(4), watch.clone());
    let listener = move |messages: &[MessageView]| messages.iter().for_each(|message| watch.consumed(message, group));
    if group == 0 { builder.start(listener) } else { builder.start_orderly(listener) }
}
