use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::dispatcher::{Dispatcher, Side, wall_millis};
use super::record::{EndTransaction, Event, MessageKind, Pub, Record, TransactionState};
use super::settings::Trace;
use crate::client::send::Prepared;
use crate::client::{Core, SendResult, SendStatus, TraceCounters};
use crate::error::{Error, Outcome, Result};
use crate::message::{key, wire_pairs};
use crate::protocol::batch;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::send::DEFAULT_REGION;
use crate::remoting::Deadline;

/// Delivery times of brokers of the cloud.
const START_DELIVER_TIME: &str = "__STARTDELIVERTIME";

/// Traces what one producer or consumer does. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    group: Arc<str>,
    dispatcher: Arc<Dispatcher>,
    /// The last answer to a send said that its broker wants no traces.
    unwanted: Arc<AtomicBool>,
}

/// The end of a transaction, as [`Tracer::end_transaction`] is told it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) message_id: &'a str,
    pub(crate) transaction_id: &'a str,
    pub(crate) tags: &'a str,
    /// Separated by blanks.
    pub(crate) keys: &'a str,
    /// The address the end was sent to.
    pub(crate) store_host: &'a str,
    /// Of the answer to the half message, or of its `MSG_REGION`; empty when it is not known.
    pub(crate) region: &'a str,
    pub(crate) state: TransactionState,
    pub(crate) from_check: bool,
}

impl Tracer {
    /// Starts to trace. No thread is started and nothing is sent.
    pub(crate) fn start(core: &Arc<Core>, settings: &Trace, group: &Arc<str>, side: Side) -> Result<Tracer> {
        settings.check()?;
        let dispatcher = Dispatcher::new(core.clone(), settings, group, side);
        Ok(Tracer { group: group.clone(), dispatcher, unwanted: Arc::default() })
    }

    pub(super) fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub(super) fn is_trace_topic(&self, topic: &str) -> bool {
        self.dispatcher.is_trace_topic(topic)
    }

    pub(super) fn unique_id(&self) -> Arc<str> {
        self.dispatcher.unique_id()
    }

    pub(super) fn add(&self, record: Record) {
        self.dispatcher.add(record);
    }

    pub(crate) fn counters(&self) -> &Arc<TraceCounters> {
        self.dispatcher.counters()
    }

    /// Records the end of a send: one record for each message, those of a batch included, so that each is found by its id.
    ///
    /// A failure is recorded, as one, unless nothing left this process; Java leaves failures out. Nothing is recorded when the
    /// broker's answer says that it wants no traces, after a failure when its last answer said so.
    pub(crate) fn sent(&self, prepared: &Prepared, started: Instant, result: Result<&SendResult, &Error>) {
        if self.dispatcher.is_trace_topic(&prepared.topic) {
            return;
        }
        match result {
            Ok(sent) => {
                let unwanted = !sent.trace_on();
                if self.unwanted.load(Ordering::Relaxed) != unwanted {
                    self.unwanted.store(unwanted, Ordering::Relaxed);
                }
                if unwanted {
                    return;
                }
            }
            Err(error) if error.outcome() == Outcome::NotSent || self.unwanted.load(Ordering::Relaxed) => return,
            Err(_) => {}
        }
        let end = End::of(started, result);
        if !prepared.batch {
            let record = self.of_message(prepared, &prepared.properties, prepared.body.len(), &end, end.offset_ids);
            return self.dispatcher.add(record);
        }
        let (mut offset_ids, mut offset_id) = (end.offset_ids.split(','), "");
        for item in batch::decode(&prepared.body).unwrap_or_default() {
            let properties = std::str::from_utf8(&item.properties).unwrap_or_default();
            // A batch that is stored as one record has one id for all.
            offset_id = offset_ids.next().unwrap_or(offset_id);
            self.dispatcher.add(self.of_message(prepared, properties, item.body.len(), &end, offset_id));
        }
    }

    fn of_message(
        &self,
        prepared: &Prepared,
        properties: &str,
        body_length: usize,
        end: &End<'_>,
        offset_id: &str,
    ) -> Record {
        let told = Told::by(properties);
        Record {
            timestamp: end.timestamp,
            region: end.region.clone(),
            group: self.group.clone(),
            topic: prepared.topic.clone(),
            message_id: if prepared.batch { told.unique_id.into() } else { prepared.message_id.clone() },
            keys: told.keys.to_owned(),
            event: Event::Pub(Pub {
                tags: told.tags.to_owned(),
                store_host: end.store_host.clone(),
                body_length,
                cost: end.cost,
                kind: told.kind,
                offset_message_id: offset_id.to_owned(),
                success: end.success,
                client_host: None,
            }),
        }
    }

    /// Records that a transaction was ended.
    pub(crate) fn end_transaction(&self, ending: Ending<'_>) {
        if self.dispatcher.is_trace_topic(ending.topic) || self.unwanted.load(Ordering::Relaxed) {
            return;
        }
        let event = EndTransaction {
            tags: ending.tags.to_owned(),
            store_host: ending.store_host.into(),
            kind: MessageKind::End,
            transaction_id: ending.transaction_id.into(),
            state: ending.state,
            from_check: ending.from_check,
        };
        self.dispatcher.add(Record {
            timestamp: wall_millis(Instant::now()),
            region: region_of(ending.region),
            group: self.group.clone(),
            topic: ending.topic.clone(),
            message_id: ending.message_id.into(),
            keys: ending.keys.to_owned(),
            event: Event::EndTransaction(event),
        });
    }

    /// Records that a timer message was called back, or that it failed, unless nothing left this process.
    pub(crate) fn recalled(&self, topic: &Arc<str>, message_id: &str, result: Result<&Frame, &Error>) {
        let left = result.map_or_else(|error| error.outcome() != Outcome::NotSent, |_| true);
        if !left || self.dispatcher.is_trace_topic(topic) || self.unwanted.load(Ordering::Relaxed) {
            return;
        }
        let region = result.ok().and_then(|answer| answer.field(key::REGION));
        self.dispatcher.add(Record {
            timestamp: wall_millis(Instant::now()),
            region: region_of(region.as_deref().unwrap_or_default()),
            group: self.group.clone(),
            topic: topic.clone(),
            message_id: message_id.into(),
            keys: String::new(),
            event: Event::Recall { success: result.is_ok() },
        });
    }

    /// Sends what waits and takes no more. Waits until it is stored or lost, at most until the deadline if there is one;
    /// returns whether nothing is left.
    pub(crate) fn close(&self, deadline: Option<Deadline>) -> bool {
        self.dispatcher.close(deadline)
    }
}

/// What all messages of one send have in common.
struct End<'a> {
    timestamp: i64,
    cost: i64,
    region: Cow<'static, str>,
    store_host: Arc<str>,
    offset_ids: &'a str,
    success: bool,
}

impl<'a> End<'a> {
    fn of(started: Instant, result: Result<&'a SendResult, &Error>) -> End<'a> {
        let cost = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::from(i32::MAX));
        // Java reads it as an int.
        let (timestamp, cost) = (wall_millis(started), cost.min(i64::from(i32::MAX)));
        match result {
            Ok(sent) => End {
                timestamp,
                cost,
                region: region_of(sent.region_id()),
                store_host: nowhere(),
                offset_ids: sent.offset_message_id(),
                success: sent.status() == SendStatus::Ok,
            },
            Err(error) => End {
                timestamp,
                cost,
                region: Cow::Borrowed(DEFAULT_REGION),
                store_host: addr_of(error).unwrap_or_else(nowhere),
                offset_ids: "",
                success: false,
            },
        }
    }
}

/// No address: the offset message id has it.
fn nowhere() -> Arc<str> {
    Arc::default()
}

/// The server a failed send was last at.
fn addr_of(error: &Error) -> Option<Arc<str>> {
    match error {
        Error::Connect { addr, .. }
        | Error::Disconnected { addr, .. }
        | Error::Tls { addr, .. }
        | Error::Rejected { addr, .. }
        | Error::NotDurable { addr, .. } => Some(addr.clone()),
        Error::Timeout { addr, .. } | Error::Malformed { addr, .. } | Error::Unsupported { addr, .. } => addr.clone(),
        Error::Exhausted { attempts, .. } => attempts.last().map(|attempt| attempt.addr.clone()),
        _ => None,
    }
}

/// Nearly all regions have the one name, which need not be copied.
pub(super) fn region_of(region: &str) -> Cow<'static, str> {
    if region.is_empty() || region == DEFAULT_REGION {
        Cow::Borrowed(DEFAULT_REGION)
    } else {
        Cow::Owned(region.to_owned())
    }
}

/// What a message's properties say.
struct Told<'a> {
    unique_id: &'a str,
    tags: &'a str,
    keys: &'a str,
    kind: MessageKind,
}

impl<'a> Told<'a> {
    /// Reads properties in their wire form, in one go.
    fn by(properties: &'a str) -> Told<'a> {
        let mut told = Told { unique_id: "", tags: "", keys: "", kind: MessageKind::Normal };
        let (mut half, mut delayed, mut ordered) = (false, false, false);
        for (name, value) in wire_pairs(properties) {
            match name {
                key::UNIQUE_ID => told.unique_id = value,
                key::TAGS => told.tags = value,
                key::KEYS => told.keys = value,
                key::TRANSACTION_PREPARED => half = value.eq_ignore_ascii_case("true"),
                key::DELAY
                | START_DELIVER_TIME
                | key::TIMER_DELAY_SECONDS
                | key::TIMER_DELAY_MILLIS
                | key::TIMER_DELIVER_MILLIS => delayed = true,
                key::SHARDING_KEY => ordered = true,
                _ => {}
            }
        }
        // Java's client knows the first two of these and not the timers; its brokers know the third.
        told.kind = match (half, delayed, ordered) {
            (true, ..) => MessageKind::Half,
            (_, true, _) => MessageKind::Delay,
            (.., true) => MessageKind::Order,
            _ => MessageKind::Normal,
        };
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_message_stands_in_its_properties() {
        let kind = |name: &str, value: &str| Told::by(&format!("a\u{1}b\u{2}{name}\u{1}{value}\u{2}")).kind;
        assert_eq!(kind("x", "y"), MessageKind::Normal);
        assert_eq!(kind("TRAN_MSG", "true"), MessageKind::Half);
        assert_eq!(kind("TRAN_MSG", "false"), MessageKind::Normal);
        for name in ["DELAY", "__STARTDELIVERTIME", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS"] {
            assert_eq!(kind(name, "3"), MessageKind::Delay, "{name}");
        }
        assert_eq!(kind("__SHARDINGKEY", "s"), MessageKind::Order);
    }

    #[test]
    fn a_failed_send_was_at_the_broker_of_its_last_attempt() {
        let at = |error: &Error| addr_of(error).as_deref().map(str::to_owned);
        let lost =
            |addr: &str| Error::Disconnected { addr: addr.into(), outcome: Outcome::Unknown, reason: "x".into() };
        assert_eq!(at(&lost("a:1")).as_deref(), Some("a:1"));
        assert_eq!(at(&Error::invalid("x")), None);
    }
}
