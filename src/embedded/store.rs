//! The messages of one broker: a log in the order of arrival, the queues of each topic over it, an index of keys.
//!
//! A slave reads the same store as its master: replication that is always complete.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use byteorder::{BigEndian, ByteOrder};

use super::index::Index;

/// Java examines at most 16 000 bytes of a queue's index per pull, at 20 bytes a message, or what the pull asks for.
const MAX_EXAMINED: usize = 800;
/// Java's `maxTransferCountOnMessageInMemory`.
pub(super) const MAX_COUNT: usize = 32;
/// Java's `maxTransferBytesOnMessageInMemory`.
const MAX_BYTES: usize = 256 << 10;

/// Where the parts lie that a record gets only when it is stored.
mod position {
    pub(super) const QUEUE_OFFSET: usize = 20;
    pub(super) const COMMIT_LOG_OFFSET: usize = 28;
    pub(super) const SYS_FLAG: usize = 36;
    /// Behind a born host of eight bytes; one of IPv6 has twelve more.
    pub(super) const STORE_TIMESTAMP: usize = 56;
}

/// A message in the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The whole record as it goes to consumers.
    pub(super) record: Arc<[u8]>,
    /// Java's hash of its tag, 0 without one.
    pub(super) tag_code: i32,
    pub(super) stored_at: i64,
    pub(super) commit_log_offset: i64,
    slot: usize,
    /// How many messages are in the record.
    count: usize,
}

/// Where a message was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) queue_offset: i64,
    pub(super) commit_log_offset: i64,
    /// The message's number in the log, by which it is found again.
    pub(super) sequence: u64,
}

#[derive(Debug, Default)]
struct Queue {
    /// The offset of the first message that is still there.
    first: i64,
    /// Numbers in the log.
    entries: VecDeque<u64>,
}

impl Queue {
    fn max(&self) -> i64 {
        self.first + self.entries.len() as i64
    }
}

/// What a read found, under the names Java's broker puts into its remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Found,
    NoMatchedMessage,
    NoMessageInQueue,
    OffsetOverflowOne,
    OffsetOverflowBadly,
    OffsetTooSmall,
    /// An operator has sent the group elsewhere.
    OffsetReset,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Found => "FOUND",
            Status::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Status::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Status::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Status::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Status::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Status::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// The result of a read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) status: Status,
    pub(super) next: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) records: Vec<Arc<[u8]>>,
}

/// The store. Everything in it is memory; its size is bounded, and the oldest messages go first.
#[derive(Debug)]
pub(super) struct Store {
    limit: usize,
    bytes: usize,
    next_commit_log_offset: i64,
    /// The number of the first entry of `log`.
    first: u64,
    log: VecDeque<Entry>,
    slots: Vec<Queue>,
    topics: HashMap<Arc<str>, BTreeMap<i32, usize>>,
    index: Index,
}

impl Store {
    pub(super) fn new(limit: usize) -> Store {
        Store {
            limit,
            bytes: 0,
            next_commit_log_offset: 0,
            first: 0,
            log: VecDeque::new(),
            slots: Vec::new(),
            topics: HashMap::new(),
            index: Index::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Store::new(self.limit);
    }

    /// Stores a record and writes its offsets and time into it; `keys` are what it can be found by. It takes `count` places
    /// in its queue, one for each message in it.
    pub(super) fn append<'a>(
        &mut self,
        (topic, queue_id): (&Arc<str>, i32),
        count: usize,
        mut record: Arc<[u8]>,
        tag_code: i32,
        now: i64,
        keys: impl Iterator<Item = &'a str>,
    ) -> Place {
        let slot = self.slot(topic, queue_id);
        let queue = &mut self.slots[slot];
        let sequence = self.first + self.log.len() as u64;
        let place = Place { queue_offset: queue.max(), commit_log_offset: self.next_commit_log_offset, sequence };
        // Nobody else has the record yet.
        if let Some(record) = Arc::get_mut(&mut record) {
            stamp(record, &place, now);
        }
        queue.entries.extend(std::iter::repeat_n(sequence, count));
        self.next_commit_log_offset += record.len() as i64;
        self.bytes += record.len();
        for key in keys {
            self.index.add(topic, key, sequence);
        }
        let commit_log_offset = place.commit_log_offset;
        self.log.push_back(Entry { record, tag_code, stored_at: now, commit_log_offset, slot, count });
        self.trim();
        place
    }

    fn slot(&mut self, topic: &Arc<str>, queue_id: i32) -> usize {
        if let Some(slot) = self.topics.get(topic).and_then(|queues| queues.get(&queue_id)) {
            return *slot;
        }
        self.slots.push(Queue::default());
        let slot = self.slots.len() - 1;
        self.topics.entry(topic.clone()).or_default().insert(queue_id, slot);
        slot
    }

    /// Drops the oldest messages until the bound holds; the newest one always stays.
    fn trim(&mut self) {
        while self.bytes > self.limit && self.log.len() > 1 {
            let Some(entry) = self.log.pop_front() else { return };
            self.bytes -= entry.record.len();
            let queue = &mut self.slots[entry.slot];
            // A deleted topic's queues are empty already.
            while queue.entries.front() == Some(&self.first) {
                queue.entries.pop_front();
                queue.first += 1;
            }
            self.first += 1;
            self.index.forget_before(self.first);
        }
    }

    /// Forgets a topic's queues. Its messages can still be viewed by their id until they are the oldest.
    pub(super) fn remove_topic(&mut self, topic: &str) {
        for slot in self.topics.remove(topic).into_iter().flatten().map(|(_, slot)| slot) {
            self.slots[slot] = Queue::default();
        }
    }

    fn queue(&self, topic: &str, queue_id: i32) -> Option<&Queue> {
        self.topics.get(topic)?.get(&queue_id).map(|slot| &self.slots[*slot])
    }

    pub(super) fn entry(&self, sequence: u64) -> Option<&Entry> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.log.get(at)
    }

    /// The smallest offset of a queue; 0 for one that has never had a message.
    pub(super) fn min_offset(&self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).map_or(0, |queue| queue.first)
    }

    /// The offset the next message of a queue will get.
    pub(super) fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        self.queue(topic, queue_id).map_or(0, Queue::max)
    }

    /// Reads messages that `matches` lets pass, with the bounds and statuses of Java's `getMessage`.
    pub(super) fn read(
        &self,
        topic: &str,
        queue_id: i32,
        offset: i64,
        max_messages: usize,
        max_bytes: usize,
        mut matches: impl FnMut(&Entry) -> bool,
    ) -> Read {
        let Some(queue) = self.queue(topic, queue_id).filter(|queue| queue.max() > 0) else {
            return Read { status: Status::NoMessageInQueue, next: 0, min: 0, max: 0, records: Vec::new() };
        };
        let (min, max) = (queue.first, queue.max());
        let nothing = |status, next| Read { status, next, min, max, records: Vec::new() };
        if offset < min {
            return nothing(Status::OffsetTooSmall, min);
        } else if offset == max {
            return nothing(Status::OffsetOverflowOne, offset);
        } else if offset > max {
            return nothing(Status::OffsetOverflowBadly, max);
        }
        let limit = max_bytes.clamp(100, MAX_BYTES);
        let count = max_messages.min(MAX_COUNT);
        let (mut next, mut taken, mut bytes, mut records) = (offset, 0, 0, Vec::new());
        let skipped = usize::try_from(offset - min).unwrap_or(usize::MAX);
        let mut last = None;
        for sequence in queue.entries.iter().skip(skipped).take(MAX_EXAMINED.max(max_messages.min(100_000))) {
            if last == Some(*sequence) {
                next += 1;
                continue;
            }
            last = Some(*sequence);
            let Some(entry) = self.entry(*sequence) else { break };
            // The first message is always sent, however large it is.
            if !records.is_empty() && (taken + entry.count > count || bytes + entry.record.len() > limit) {
                break;
            }
            next += 1;
            if matches(entry) {
                taken += entry.count;
                bytes += entry.record.len();
                records.push(entry.record.clone());
            }
        }
        let status = if records.is_empty() { Status::NoMatchedMessage } else { Status::Found };
        Read { status, next, min, max, records }
    }

    /// What sends a reader to another offset.
    pub(super) fn elsewhere(&self, topic: &str, queue_id: i32, next: i64) -> Read {
        let (min, max) = (self.min_offset(topic, queue_id), self.max_offset(topic, queue_id));
        Read { status: Status::OffsetReset, next, min, max, records: Vec::new() }
    }

    /// When the message at an offset of a queue was stored; `None` when there is none.
    pub(super) fn stored_at(&self, topic: &str, queue_id: i32, offset: i64) -> Option<i64> {
        let queue = self.queue(topic, queue_id)?;
        let at = usize::try_from(offset.checked_sub(queue.first)?).ok()?;
        self.entry(*queue.entries.get(at)?).map(|entry| entry.stored_at)
    }

    /// The first offset stored at or after `time`; with `upper` the last one stored at or before it.
    pub(super) fn offset_by_time(&self, topic: &str, queue_id: i32, time: i64, upper: bool) -> i64 {
        let Some(queue) = self.queue(topic, queue_id) else { return 0 };
        let stored_at = |sequence: &u64| self.entry(*sequence).map_or(i64::MAX, |entry| entry.stored_at);
        if queue.entries.is_empty() {
            return queue.first;
        }
        let found = if upper {
            queue.entries.partition_point(|sequence| stored_at(sequence) <= time).saturating_sub(1)
        } else {
            queue.entries.partition_point(|sequence| stored_at(sequence) < time)
        };
        queue.first + found as i64
    }

    /// When the oldest message of a queue was stored; -1 when there is none.
    pub(super) fn earliest_time(&self, topic: &str, queue_id: i32) -> i64 {
        let first = self.queue(topic, queue_id).and_then(|queue| queue.entries.front());
        first.and_then(|sequence| self.entry(*sequence)).map_or(-1, |entry| entry.stored_at)
    }

    /// The message that starts at a position of the commit log.
    pub(super) fn at(&self, commit_log_offset: i64) -> Option<&Entry> {
        let at = self.log.binary_search_by_key(&commit_log_offset, |entry| entry.commit_log_offset).ok()?;
        self.log.get(at)
    }

    /// The newest `limit` messages with a key, stored between two times, oldest first.
    pub(super) fn find(&self, topic: &str, key: &str, limit: usize, begin: i64, end: i64) -> Vec<Arc<[u8]>> {
        let mut found: Vec<Arc<[u8]>> = self
            .index
            .newest_first(topic, key)
            .filter_map(|sequence| self.entry(sequence))
            .filter(|entry| (begin..=end).contains(&entry.stored_at))
            .take(limit)
            .map(|entry| entry.record.clone())
            .collect();
        found.reverse();
        found
    }

    /// The time and position of the newest message, which is how far the index reaches.
    pub(super) fn newest(&self) -> (i64, i64) {
        self.log.back().map_or((0, 0), |entry| (entry.stored_at, entry.commit_log_offset))
    }

    /// Where the log begins and ends; it begins at -1 as long as nothing was stored.
    pub(super) fn commit_log(&self) -> (i64, i64) {
        (self.log.front().map_or(-1, |entry| entry.commit_log_offset), self.next_commit_log_offset)
    }

    /// When the oldest message was stored; -1 when there is none.
    pub(super) fn earliest(&self) -> i64 {
        self.log.front().map_or(-1, |entry| entry.stored_at)
    }

    /// How much of what it may keep it keeps, 0 to 1.
    pub(super) fn fullness(&self) -> f64 {
        (self.bytes as f64 / self.limit.max(1) as f64).min(1.0)
    }

    /// All messages of a topic that are there, queue by queue.
    pub(super) fn all(&self, topic: &str) -> Vec<Arc<[u8]>> {
        let queues = self.topics.get(topic).into_iter().flatten().map(|(_, slot)| &self.slots[*slot]);
        let mut sequences: Vec<u64> = queues.flat_map(|queue| queue.entries.iter().copied()).collect();
        sequences.dedup();
        sequences.into_iter().filter_map(|sequence| self.entry(sequence)).map(|entry| entry.record.clone()).collect()
    }

    pub(super) fn count(&self, topic: &str) -> usize {
        let queues = self.topics.get(topic).into_iter().flatten();
        queues.map(|(_, slot)| self.slots[*slot].entries.len()).sum()
    }
}

fn stamp(record: &mut [u8], place: &Place, now: i64) {
    let v6 = BigEndian::read_i32(&record[position::SYS_FLAG..]) & crate::message::sys_flag::BORN_HOST_V6 != 0;
    let stored_at = position::STORE_TIMESTAMP + if v6 { 12 } else { 0 };
    BigEndian::write_i64(&mut record[position::QUEUE_OFFSET..], place.queue_offset);
    BigEndian::write_i64(&mut record[position::COMMIT_LOG_OFFSET..], place.commit_log_offset);
    BigEndian::write_i64(&mut record[stored_at..], now);
}

#[cfg(test)]
mod tests;
