//! Taking messages for a pop: from the topic, and from the retry topics of the group, in Java's proportion.

use std::sync::Arc;
use std::time::{Duration, Instant};

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::hold::Wish;
use super::{Delivery, MAX_OUT, Order, State, due_after};
use crate::embedded::broker::BrokerSet;
use crate::embedded::filter::Filter;
use crate::embedded::records::now_millis;
use crate::embedded::store::{Read, Status};
use crate::message::{key, write_property};
use crate::protocol::pop::{Handle, Retry, write_message_offsets, write_order_counts, write_start_offsets};
use crate::protocol::record::{self, Records};
use crate::protocol::rpc::pop::{MAX_POP, ORDERLY_REVIVE_QUEUE, PopMessage, init_mode};

/// Of a hundred pops so many look into the retry topics first (Java: `popFromRetryProbability`).
const RETRY_FIRST: u8 = 20;
/// Where a record's offset in its queue lies.
const QUEUE_OFFSET: usize = 20;

/// What a pop brings.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) records: Vec<Arc<[u8]>>,
    pub(super) pop_time: i64,
    pub(super) invisible: i64,
    pub(super) revive_queue_id: i32,
    pub(super) rest: i64,
    pub(super) starts: String,
    pub(super) offsets: String,
    pub(super) counts: Option<String>,
}

impl BrokerSet {
    /// Takes up to as many messages as asked for.
    pub(super) fn take(&self, pop: &PopMessage, filter: &Filter) -> Taken {
        let order = pop.order == Some(true);
        let mut state = self.pops.state();
        let mut taken = Taken {
            records: Vec::new(),
            pop_time: now_millis(),
            invisible: i64::try_from(pop.invisible_time.as_millis()).unwrap_or(i64::MAX),
            revive_queue_id: if order { ORDERLY_REVIVE_QUEUE } else { 0 },
            rest: 0,
            starts: String::new(),
            offsets: String::new(),
            counts: order.then(String::new),
        };
        if state.out.len() + state.free_at.len() + MAX_POP > MAX_OUT {
            return taken;
        }
        let mut sources = self.sources(&pop.consumer_group, &pop.topic, pop.queue_id, order);
        if fastrand::u8(..100) < RETRY_FIRST {
            // Retry topics stand at the end.
            sources.sort_by_key(|(retry, ..)| *retry == Retry::Normal);
        }
        let everything = Filter::All;
        for (retry, topic, queue_id) in sources {
            // Apache's brokers do not filter retries either.
            let filter = if retry == Retry::Normal { filter } else { &everything };
            self.take_from(&mut state, &mut taken, pop, (retry, topic, queue_id), filter);
        }
        taken
    }

    /// The queues a pop reads, beginning anywhere: those of the topic, then those of its retry topics.
    fn sources(&self, group: &str, topic: &Arc<str>, queue_id: i32, order: bool) -> Vec<(Retry, Arc<str>, i32)> {
        let mut sources = Vec::new();
        let start = fastrand::i32(0..100);
        for retry in [Retry::Normal, Retry::V1, Retry::V2] {
            let Some(topic) = self.topics.get(&retry.topic(group, topic)) else { continue };
            let queues = topic.read_queues;
            if retry == Retry::Normal && queue_id >= 0 {
                sources.push((retry, topic.name.clone(), queue_id));
            } else if retry == Retry::Normal || !order {
                sources.extend((0..queues).map(|at| (retry, topic.name.clone(), (start + at) % queues)));
            }
        }
        sources
    }

    fn take_from(
        &self,
        state: &mut State,
        taken: &mut Taken,
        pop: &PopMessage,
        (retry, topic, queue_id): (Retry, Arc<str>, i32),
        filter: &Filter,
    ) {
        let (group, order) = (&pop.consumer_group, pop.order == Some(true));
        let place = (topic.clone(), group.clone(), queue_id);
        if order && blocked(state, &place, pop.attempt_id.as_deref()).is_some() {
            return;
        }
        let start = self.start_of(group, &topic, queue_id, pop.init_mode, true);
        let wanted = usize::try_from(pop.max_messages).unwrap_or(0).saturating_sub(taken.records.len());
        if wanted == 0 {
            taken.rest += (self.store().max_offset(&topic, queue_id) - start).max(0);
            return;
        }
        let (start, read) = self.read_at(&topic, queue_id, start, wanted, filter);
        taken.rest += (read.max - read.next).max(0);
        let offsets: Vec<i64> =
            read.records.iter().map(|record| BigEndian::read_i64(&record[QUEUE_OFFSET..])).collect();
        if !order || offsets.is_empty() {
            self.offsets.commit(group, &topic, queue_id, read.next);
        }
        if offsets.is_empty() {
            return;
        }
        let due = due_after(pop.invisible_time);
        if order {
            self.offsets.commit(group, &topic, queue_id, start);
            let before = state.orders.get(&place);
            let now = Order::new(before, pop.attempt_id.clone(), taken.pop_time, taken.invisible, &offsets);
            let counts = taken.counts.get_or_insert_default();
            now.counts().for_each(|(offset, count)| write_order_counts(counts, retry, queue_id, Some(offset), count));
            write_order_counts(counts, retry, queue_id, None, now.least());
            state.orders.insert(place, now);
            state.free_at.insert((due, topic.clone(), group.clone()));
        } else {
            for offset in &offsets {
                let pop_time = taken.pop_time;
                let delivery =
                    Delivery { group: group.clone(), topic: topic.clone(), queue_id, offset: *offset, pop_time };
                state.hand_out(delivery, due);
            }
        }
        self.clock.look_at(due);
        write_start_offsets(&mut taken.starts, retry, queue_id, start);
        write_message_offsets(&mut taken.offsets, retry, queue_id, &offsets);
        for (record, offset) in read.records.iter().zip(&offsets) {
            let handle = || Handle {
                start_offset: start,
                pop_time: taken.pop_time,
                invisible_time: taken.invisible,
                revive_queue_id: taken.revive_queue_id,
                retry,
                broker_name: self.name.clone(),
                queue_id,
                queue_offset: *offset,
            };
            let retried = (retry != Retry::Normal).then(|| rewritten(record, &pop.topic, &handle())).flatten();
            taken.records.push(retried.unwrap_or_else(|| record.clone()));
        }
    }

    /// Reads from `offset`, or from where the queue begins or ends when it has no such one.
    fn read_at(&self, topic: &str, queue_id: i32, offset: i64, wanted: usize, filter: &Filter) -> (i64, Read) {
        let read = |at| self.store().read(topic, queue_id, at, wanted, usize::MAX, |entry| filter.matches(entry));
        let first = read(offset);
        if matches!(first.status, Status::OffsetTooSmall | Status::OffsetOverflowBadly) {
            return (first.next, read(first.next));
        }
        (offset, first)
    }

    /// Where the group goes on; a group that is new there begins as Java's does, and with `settle` that is remembered.
    fn start_of(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32, mode: i32, settle: bool) -> i64 {
        if let Some(offset) = self.offsets.committed(group, topic, queue_id).filter(|offset| *offset >= 0) {
            return offset;
        }
        let store = self.store();
        let (min, max) = (store.min_offset(topic, queue_id), store.max_offset(topic, queue_id));
        drop(store);
        let from_min = mode == init_mode::MIN || Retry::of_topic(topic) != Retry::Normal || min <= 0;
        // Else the last message is the first one.
        let offset = if from_min { min.max(0) } else { (max - 1).max(0) };
        if settle {
            self.offsets.commit(group, topic, queue_id, offset);
        }
        offset
    }

    /// Whether there is something to pop, whatever a filter says.
    pub(super) fn has_news(&self, wish: &Wish) -> bool {
        let (group, topic, queue_id) = wish.place();
        let attempt_id = match wish {
            Wish::Pop(pop, _) => pop.attempt_id.as_deref(),
            Wish::Word(word) => word.attempt_id.as_deref(),
        };
        let order = wish.is_order();
        self.sources(group, topic, queue_id, order).into_iter().any(|(_, topic, queue_id)| {
            let place = (topic.clone(), group.clone(), queue_id);
            if order && blocked(&self.pops.state(), &place, attempt_id).is_some() {
                return false;
            }
            let start = self.start_of(group, &topic, queue_id, init_mode::MIN, false);
            self.store().max_offset(&topic, queue_id) > start
        })
    }
}

/// Until when a queue that is consumed in order hands out nothing.
pub(super) fn blocked(state: &State, place: &(Arc<str>, Arc<str>, i32), attempt_id: Option<&str>) -> Option<Instant> {
    let now = now_millis();
    let until = state.orders.get(place)?.blocked_until(attempt_id, now)?;
    Some(Instant::now() + Duration::from_millis(u64::try_from(until - now).unwrap_or(0)))
}

/// A retried message as consumers get it: under its own topic, with its handle among its properties.
fn rewritten(stored: &Arc<[u8]>, topic: &Arc<str>, handle: &Handle) -> Option<Arc<[u8]>> {
    let mut stored = Records::new(Bytes::copy_from_slice(stored)).next()?.ok()?;
    let mut properties = std::str::from_utf8(&stored.properties).ok()?.to_owned();
    write_property(&mut properties, key::POP_HANDLE, &handle.encode());
    stored.topic = topic.clone();
    stored.properties = properties.into();
    let mut out = Vec::new();
    record::encode(&mut out, &stored);
    Some(out.into())
}
