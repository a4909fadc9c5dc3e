//! Transactions, as Java's broker has them: half messages parked under an internal topic, their ends, and the checks of those
//! whose end nobody has told.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::broker::{Broker, BrokerSet};
use super::call::{Call, Handled};
use super::delay;
use super::records::{Known, NewRecord, now_millis};
use super::send::Refusal;
use super::send_back::without;
use super::store::Place;
use super::topics::{CHECKED_TOO_OFTEN, ENDED_HALF, HALF, Topic};
use crate::code::{RequestCode, ResponseCode};
use crate::message::{Stored, find_in_wire, key, sys_flag, write_property};
use crate::protocol::frame::{self, Head, HeaderKind, Language};
use crate::protocol::record::{self, Records};
use crate::protocol::rpc::transaction::{CheckTransaction, EndTransaction, end};

/// The tag of the record that a half message has ended.
const ENDED_TAG: &str = "d";

/// How a broker treats half messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    /// How old a half message is when it is checked for the first time.
    pub(super) timeout: Duration,
    pub(super) check_interval: Duration,
    pub(super) check_max: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        let (timeout, check_interval) = (Duration::from_secs(2), Duration::from_secs(1));
        Settings { enabled: true, timeout, check_interval, check_max: 15 }
    }
}

/// The half messages that have not ended: numbers in the log, by the offset in the half messages' queue.
#[derive(Debug, Default)]
pub(super) struct HalfMessages {
    open: BTreeMap<i64, u64>,
    next_check: Option<Instant>,
}

impl HalfMessages {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Begins a round of checks when one is due: what it is about, oldest first, and when the next one is.
    fn round(&mut self, now: Instant, interval: Duration) -> (Vec<(i64, u64)>, Option<Instant>) {
        match self.next_check {
            Some(next) if now >= next => {}
            next => return (Vec::new(), next),
        }
        self.next_check = (!self.open.is_empty()).then(|| now + interval);
        (self.open.iter().map(|(offset, sequence)| (*offset, *sequence)).collect(), self.next_check)
    }
}

/// Moves a message to the internal topic.
pub(super) fn park(new: &mut NewRecord, properties: &mut String, unique_id: &str) {
    write_property(properties, key::TRANSACTION_ID, unique_id);
    write_property(properties, key::REAL_TOPIC, &new.topic);
    write_property(properties, key::REAL_QUEUE_ID, &new.queue_id.to_string());
    new.sys_flag &= !end::ROLLBACK;
    new.topic = HALF.into();
    new.queue_id = 0;
}

impl BrokerSet {
    fn half_messages(&self) -> MutexGuard<'_, HalfMessages> {
        self.half_messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a half message.
    pub(super) fn half_stored(&self, place: &Place) {
        let mut half_messages = self.half_messages();
        half_messages.open.insert(place.queue_offset, place.sequence);
        let next = Instant::now() + self.settings.transactions.check_interval;
        let next = *half_messages.next_check.get_or_insert(next);
        drop(half_messages);
        self.clock.look_at(next);
    }

    /// Parks a half message anew, to be asked about as if it never had been; false when there is no message.
    pub(super) fn resume_half_message(&self, commit_log_offset: i64) -> bool {
        let record = self.store().at(commit_log_offset).map(|entry| entry.record.clone());
        let Some(half) = record.as_deref().and_then(decode) else { return false };
        let mut properties = without(text(&half.properties), &[key::TRANSACTION_CHECKS]);
        write_property(&mut properties, key::TRANSACTION_CHECKS, "0");
        let new = NewRecord { topic: HALF.into(), queue_id: 0, properties: properties.into(), ..renewed(&half) };
        let place = self.put(&new);
        self.half_stored(&place);
        true
    }

    fn stored(&self, sequence: u64) -> Option<Stored> {
        let record = self.store().entry(sequence)?.record.clone();
        decode(&record)
    }

    /// Carries the end of a transaction out.
    fn end(&self, asked: &EndTransaction) -> Result<(), Refusal> {
        let refuse = |remark: &str| Err(Refusal(ResponseCode::SYSTEM_ERROR, remark.to_owned()));
        let record = self.store().at(asked.commit_log_offset).map(|entry| entry.record.clone());
        let Some(half) = record.as_deref().and_then(decode) else {
            return refuse("Find prepared transaction message failed");
        };
        let properties = text(&half.properties);
        if asked.from_check != Some(true) && self.is_too_late(&half, properties) {
            return Err(Refusal(ResponseCode::ILLEGAL_OPERATION, String::new()));
        }
        let group = find_in_wire(properties, key::PRODUCER_GROUP);
        if &*half.topic != HALF || group.is_none() {
            return refuse("java.lang.NullPointerException");
        }
        if group != Some(&*asked.producer_group) {
            return refuse("The producer group wrong");
        }
        if half.queue_offset != asked.half_offset {
            return refuse("The transaction state table offset wrong");
        }
        if asked.end == end::COMMIT {
            self.commit(&half, properties)?;
        }
        self.put(&NewRecord {
            topic: ENDED_HALF.into(),
            queue_id: 0,
            body: half.queue_offset.to_string().into(),
            properties: property(key::TAGS, ENDED_TAG).into(),
            ..renewed(&half)
        });
        self.half_messages().open.remove(&half.queue_offset);
        Ok(())
    }

    /// Whether a check will decide: a message that names the age of its first check can be ended only by the answer to one
    /// from then on.
    fn is_too_late(&self, half: &Stored, properties: &str) -> bool {
        let Some(named) = find_in_wire(properties, key::CHECK_IMMUNITY_SECONDS) else { return false };
        let least = millis(self.settings.transactions.timeout);
        let age = named.parse::<i64>().map_or(0, |seconds| seconds.saturating_mul(1000)).max(least);
        now_millis().saturating_sub(half.born_timestamp) > age
    }

    /// Stores the message under its own topic, or with a delay where delayed messages wait.
    fn commit(&self, half: &Stored, properties: &str) -> Result<(), Refusal> {
        let (Some(topic), Some(queue_id)) = real_place(properties) else {
            return Err(Refusal(ResponseCode::SYSTEM_ERROR, "java.lang.NumberFormatException: null".to_owned()));
        };
        let internal = [key::REAL_TOPIC, key::REAL_QUEUE_ID, key::TRANSACTION_PREPARED];
        let mut properties = without(properties, &internal);
        let mut new = NewRecord { topic, queue_id, sys_flag: half.sys_flag | end::COMMIT, ..renewed(half) };
        let delay = delay::requested(&Known::new(&properties))?;
        let parked = delay.park(&mut new, &mut properties);
        new.properties = properties.into();
        let place = self.put(&new);
        if let Some(when) = parked {
            self.deliver_later(&delay, when, place.sequence);
        }
        Ok(())
    }

    /// Decides about a half message that has not ended: whether it is given up, or stored anew and asked about. Returns the
    /// copy to ask about.
    fn examine(&self, offset: i64, sequence: u64) -> Option<Stored> {
        if !self.half_messages().open.contains_key(&offset) {
            // It has ended since the round began.
            return None;
        }
        let Some(half) = self.stored(sequence) else {
            log::warn!("{}: a half message was dropped, the store being full, before it ended", self.name);
            self.half_messages().open.remove(&offset);
            return None;
        };
        let settings = &self.settings.transactions;
        let properties = text(&half.properties);
        let checks = find_in_wire(properties, key::TRANSACTION_CHECKS).and_then(|checks| checks.parse::<u32>().ok());
        if checks.unwrap_or(0) >= settings.check_max {
            let topic = self.topics.create(Topic::new(CHECKED_TOO_OFTEN, 1));
            self.put(&NewRecord { topic: topic.name.clone(), queue_id: 0, ..renewed(&half) });
            self.half_messages().open.remove(&offset);
            return None;
        }
        let named = find_in_wire(properties, key::CHECK_IMMUNITY_SECONDS).and_then(|age| age.parse::<i64>().ok());
        let first_check = named.map_or(millis(settings.timeout), |seconds| seconds.saturating_mul(1000));
        if (0..first_check).contains(&(now_millis().saturating_sub(half.born_timestamp))) {
            return None;
        }
        let mut properties = without(properties, &[key::TRANSACTION_CHECKS]);
        write_property(&mut properties, key::TRANSACTION_CHECKS, &(checks.unwrap_or(0) + 1).to_string());
        let place = self.put(&NewRecord { properties: properties.into(), ..renewed(&half) });
        let mut half_messages = self.half_messages();
        // If it has ended in this moment, nobody is asked about the copy.
        half_messages.open.remove(&offset)?;
        half_messages.open.insert(place.queue_offset, place.sequence);
        drop(half_messages);
        self.stored(place.sequence)
    }
}

impl Broker {
    pub(super) fn end_transaction(&self, call: &mut Call<'_>) -> Handled {
        let asked: EndTransaction = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if self.is_slave() {
            return call.error(ResponseCode::SLAVE_NOT_AVAILABLE, "");
        }
        if asked.end != end::COMMIT && asked.end != end::ROLLBACK {
            // Java's broker says nothing to that.
            return Handled::Unanswered;
        }
        match self.set.end(&asked) {
            Ok(()) => call.done(),
            Err(Refusal(code, remark)) => call.error(code, &remark),
        }
    }

    /// Asks about half messages that are old enough, and says when to look again.
    pub(super) fn check_transactions(&self, now: Instant) -> Option<Instant> {
        let interval = self.set.settings.transactions.check_interval;
        let (open, next) = self.set.half_messages().round(now, interval);
        for (offset, sequence) in open {
            if let Some(half) = self.set.examine(offset, sequence) {
                self.ask(half);
            }
        }
        next
    }

    fn ask(&self, mut half: Stored) {
        let properties = half.properties.clone();
        let properties = text(&properties);
        let (Some(topic), Some(queue_id)) = real_place(properties) else { return };
        let Some(link) =
            find_in_wire(properties, key::PRODUCER_GROUP).and_then(|group| self.groups.next_producer(group))
        else {
            return log::debug!("{}: nobody to ask about a half message of {topic}", self.set.name);
        };
        let offset_id: Arc<str> = self.set.message_id(half.commit_log_offset).into();
        let header = CheckTransaction {
            broker_name: Some(self.set.name.clone()),
            commit_log_offset: half.commit_log_offset,
            message_id: Some(offset_id.clone()),
            offset_message_id: Some(offset_id),
            topic: Some(half.topic.clone()),
            half_offset: half.queue_offset,
            transaction_id: find_in_wire(properties, key::UNIQUE_ID).map(Arc::from),
        };
        (half.topic, half.queue_id) = (topic, queue_id);
        let mut body = Vec::new();
        record::encode(&mut body, &half);
        let head = Head::request(HeaderKind::Json, RequestCode::CHECK_TRANSACTION_STATE, 0).oneway();
        let mut out = Vec::new();
        match frame::encode_request(&mut out, &Head { language: Language::JAVA, ..head }, &header, &body) {
            Ok(()) => link.push(&out),
            Err(error) => log::warn!("{}: a check does not fit a frame: {error}", self.set.name),
        }
    }
}

fn decode(stored: &[u8]) -> Option<Stored> {
    Records::new(Bytes::copy_from_slice(stored)).next()?.ok()
}

/// The same message, to be stored again.
fn renewed(half: &Stored) -> NewRecord {
    NewRecord {
        topic: half.topic.clone(),
        queue_id: half.queue_id,
        flag: half.flag,
        sys_flag: half.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6),
        born_timestamp: half.born_timestamp,
        born_host: half.born_host,
        store_host: half.store_host,
        reconsume_times: half.reconsume_times,
        body: half.body.clone(),
        properties: half.properties.clone(),
    }
}

fn real_place(properties: &str) -> (Option<Arc<str>>, Option<i32>) {
    let queue_id = find_in_wire(properties, key::REAL_QUEUE_ID).and_then(|id| id.parse().ok());
    (find_in_wire(properties, key::REAL_TOPIC).map(Arc::from), queue_id)
}

fn property(name: &str, value: &str) -> String {
    let mut text = String::new();
    write_property(&mut text, name, value);
    text
}

fn text(properties: &Bytes) -> &str {
    std::str::from_utf8(properties).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
