//! Handing messages out (pop): who has which, and what comes again because nobody acknowledged it in time.

mod hold;
mod order;
mod requests;
mod take;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::hold::{Held, Holds, Wish};
use self::order::{Acked, Order};
use super::broker::BrokerSet;
use super::call;
use super::clock::earlier;
use super::link::Link;
use super::records::NewRecord;
use super::store::{Entry, Status};
use super::topics::Topic;
use crate::code::ResponseCode;
use crate::message::{find_in_wire, write_property};
use crate::protocol::pop::Retry;
use crate::protocol::rpc::pop::{NotificationReply, PopReply};

/// More messages than this are not handed out before some are acknowledged.
const MAX_OUT: usize = 200_000;
/// A longer time is cut: it only keeps memory.
const MAX_INVISIBLE: Duration = Duration::from_secs(7 * 24 * 3600);
const FIRST_POP_TIME: &str = "1ST_POP_TIME";

/// A message that was handed out; the time makes it one delivery of several.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Delivery {
    group: Arc<str>,
    /// Where it was read: the topic or a retry topic.
    topic: Arc<str>,
    queue_id: i32,
    offset: i64,
    pop_time: i64,
}

/// What a broker has handed out.
#[derive(Debug, Default)]
pub(super) struct Pops {
    /// Also makes pops take turns: it is taken before any other lock, and no other is held when it is.
    state: Mutex<State>,
    holds: Holds,
}

#[derive(Debug, Default)]
struct State {
    out: HashMap<Delivery, Instant>,
    by_due: BTreeSet<(Instant, Delivery)>,
    /// By topic, group and queue.
    orders: HashMap<(Arc<str>, Arc<str>, i32), Order>,
    /// When queues that are consumed in order stop being blocked, with topic and group.
    free_at: BTreeSet<(Instant, Arc<str>, Arc<str>)>,
}

impl State {
    fn hand_out(&mut self, delivery: Delivery, due: Instant) {
        self.settle(&delivery);
        if self.out.len() >= MAX_OUT {
            return;
        }
        self.by_due.insert((due, delivery.clone()));
        self.out.insert(delivery, due);
    }

    /// Takes a message off the list; false when it was not on it.
    fn settle(&mut self, delivery: &Delivery) -> bool {
        let due = self.out.remove(delivery);
        due.is_some_and(|due| self.by_due.remove(&(due, delivery.clone())))
    }

    fn take_due(&mut self, now: Instant) -> Vec<Delivery> {
        let mut due = Vec::new();
        while self.by_due.first().is_some_and(|(when, _)| *when <= now) {
            let Some((_, delivery)) = self.by_due.pop_first() else { break };
            self.out.remove(&delivery);
            due.push(delivery);
        }
        due
    }
}

impl Pops {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// Forgets what waits over a connection that has ended.
    pub(super) fn forget(&self, link: &Arc<Link>) {
        self.holds.forget(link);
    }

    pub(super) fn someone_waits(&self) -> bool {
        !self.holds.is_empty()
    }
}

/// When a message is visible again that is made invisible now.
fn due_after(invisible: Duration) -> Instant {
    Instant::now() + invisible.min(MAX_INVISIBLE)
}

impl BrokerSet {
    /// A message has been stored: who waits for it is answered.
    pub(super) fn wake_pops(&self, topic: &str, queue_id: i32, entry: &Entry) {
        if self.pops.holds.is_empty() {
            return;
        }
        for held in self.pops.holds.take_concerned(topic, queue_id, entry) {
            self.try_held(held);
        }
    }

    /// Hands out again what was not acknowledged in time, answers what has waited long enough, and says when there is more
    /// to do.
    pub(super) fn revive_due(&self, now: Instant) -> Option<Instant> {
        let mut state = self.pops.state();
        let due = state.take_due(now);
        let mut free = Vec::new();
        while state.free_at.first().is_some_and(|(when, ..)| *when <= now) {
            free.extend(state.free_at.pop_first());
        }
        let next = state.by_due.first().map(|(when, _)| *when);
        let next = earlier(next, state.free_at.first().map(|(when, ..)| *when));
        drop(state);
        for delivery in due {
            self.revive(&delivery);
        }
        for (_, topic, group) in free {
            self.wake_orderly(&group, &topic);
        }
        let (over, until) = self.pops.holds.take_due(now);
        for held in over {
            self.answer_held(held);
        }
        earlier(next, until)
    }

    /// Stores a message again under the group's retry topic.
    fn revive(&self, delivery: &Delivery) {
        let Delivery { group, topic, queue_id, offset, pop_time } = delivery;
        let read = self.store().read(topic, *queue_id, *offset, 1, usize::MAX, |_| true);
        let record = read.records.first().filter(|_| read.status == Status::Found);
        let Some(mut new) = record.and_then(|record| NewRecord::from_record(record)) else {
            log::warn!("{}: a message nobody acknowledged was dropped, the store being full", self.name);
            return;
        };
        if Retry::of_topic(topic) == Retry::Normal {
            new.topic = self.topics.create(Topic::new(Retry::V1.topic(group, topic), 1)).name.clone();
        }
        if find_in_wire(new.properties(), FIRST_POP_TIME).is_none() {
            let mut properties = new.properties().to_owned();
            write_property(&mut properties, FIRST_POP_TIME, &pop_time.to_string());
            new.properties = properties.into();
        }
        new.queue_id = 0;
        new.reconsume_times += 1;
        new.store_host = self.store_host();
        self.put(&new);
    }

    /// A queue may not be blocked any more: who waits for it is answered.
    fn wake_orderly(&self, group: &str, topic: &str) {
        for held in self.pops.holds.take_orderly(group, topic) {
            self.try_held(held);
        }
    }

    /// Answers what waited if there is something now, and else lets it wait on.
    fn try_held(&self, mut held: Held) {
        // Once more for a message that came in between, which has woken nobody.
        for _ in 0..2 {
            if let Some(bytes) = self.fulfil(&held, false) {
                return held.link.push(&bytes);
            }
            let wish = held.wish.clone();
            let id = match self.pops.holds.add(held) {
                Ok(id) => id,
                Err(held) => return self.answer_held(*held),
            };
            held = match self.has_news(&wish).then(|| self.pops.holds.take(id)) {
                Some(Some(held)) => held,
                _ => return,
            };
        }
        self.answer_held(held);
    }

    /// Answers what waited, whatever there is.
    fn answer_held(&self, held: Held) {
        if let Some(bytes) = self.fulfil(&held, true) {
            held.link.push(&bytes);
        }
    }

    /// The answer to what waited; `None` when there is nothing, unless an answer is due.
    fn fulfil(&self, held: &Held, due: bool) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match &held.wish {
            Wish::Pop(pop, filter) => {
                let taken = self.take(pop, filter);
                if taken.records.is_empty() && !due {
                    return None;
                }
                self.handed_out(&pop.consumer_group, &pop.topic, &taken.records);
                write_taken(&mut out, held.opaque, taken, ResponseCode::POLLING_TIMEOUT);
            }
            wish @ Wish::Word(_) => {
                let has_message = self.has_news(wish);
                if !has_message && !due {
                    return None;
                }
                let header = NotificationReply { has_message, full: Some(false) };
                call::reply::<_, &[u8]>(&mut out, held.opaque, ResponseCode::SUCCESS, None, &header, &[]);
            }
        }
        Some(out)
    }
}

/// Appends the answer to a pop; `empty` is its code when nothing was taken.
fn write_taken(out: &mut Vec<u8>, opaque: i32, taken: take::Taken, empty: ResponseCode) {
    let (code, status) = match taken.records.is_empty() {
        true => (empty, Status::NoMessageInQueue),
        false => (ResponseCode::SUCCESS, Status::Found),
    };
    let header = PopReply {
        pop_time: taken.pop_time,
        invisible_time: taken.invisible,
        revive_queue_id: taken.revive_queue_id,
        rest: Some(taken.rest),
        start_offsets: Some(taken.starts),
        message_offsets: Some(taken.offsets),
        order_counts: taken.counts,
    };
    call::reply(out, opaque, code, Some(status.name()), &header, &taken.records);
}
