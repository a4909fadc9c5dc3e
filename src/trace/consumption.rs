//! What is recorded of consumption: one record for each message before the listener gets it, one when it has returned.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dispatcher::wall_millis;
use super::record::{Event, Record};
use super::tracer::{Tracer, region_of};
use crate::message::{MessageView, key};

/// The messages of one call of a listener that are traced.
#[derive(Debug)]
pub(crate) struct Consuming {
    /// Joins the records of a call.
    request_id: Arc<str>,
    messages: Vec<Traced>,
}

#[derive(Debug)]
struct Traced {
    region: Cow<'static, str>,
    topic: Arc<str>,
    message_id: Arc<str>,
    keys: String,
}

impl Traced {
    /// `None` when its broker wants no traces of it.
    fn of(message: &MessageView) -> Option<Traced> {
        if message.property(key::TRACE_ON).is_some_and(|on| on == "false") {
            return None;
        }
        Some(Traced {
            region: region_of(message.property(key::REGION).unwrap_or_default()),
            topic: message.shared_topic().clone(),
            message_id: message.message_id().into(),
            keys: message.property(key::KEYS).unwrap_or_default().to_owned(),
        })
    }
}

/// Joins the records of one delivery of a message, which nothing but the message itself connects.
fn delivery_of(message: &MessageView) -> Arc<str> {
    format!("{}#{}", message.message_id(), message.reconsume_times()).into()
}

impl Tracer {
    /// Records that a listener is about to get messages; `None` when none of them is traced.
    pub(crate) fn consuming(&self, messages: &[MessageView]) -> Option<Consuming> {
        let request_id: Arc<str> = self.unique_id();
        let traced: Vec<Traced> =
            messages.iter().filter_map(|message| self.before(message, request_id.clone())).collect();
        (!traced.is_empty()).then_some(Consuming { request_id, messages: traced })
    }

    fn before(&self, message: &MessageView, request_id: Arc<str>) -> Option<Traced> {
        let of = self.traced(message)?;
        let retries = message.reconsume_times();
        self.add(self.record(wall_millis(Instant::now()), &of, Event::SubBefore { request_id, retries }));
        Some(of)
    }

    fn traced(&self, message: &MessageView) -> Option<Traced> {
        if self.is_trace_topic(message.topic()) { None } else { Traced::of(message) }
    }

    /// Records that a caller gets messages, who is to say of each by itself what became of it.
    pub(crate) fn received(&self, messages: &[MessageView]) {
        for message in messages {
            self.before(message, delivery_of(message));
        }
    }

    /// Records what became of one of them.
    pub(crate) fn settled(&self, message: &MessageView, took: Duration, success: bool) {
        let Some(of) = self.traced(message) else { return };
        self.consumed(&Consuming { request_id: delivery_of(message), messages: vec![of] }, took, success, false);
    }

    /// Records that the listener has returned; `panicked` says that it did so by panicking.
    pub(crate) fn consumed(&self, consuming: &Consuming, took: Duration, success: bool, panicked: bool) {
        let now = wall_millis(Instant::now());
        let each = took.as_millis() / consuming.messages.len().max(1) as u128;
        // Java reads it as an int.
        let cost = i64::from(i32::try_from(each).unwrap_or(i32::MAX));
        // Java's numbers: success, exception, failed.
        let code = if success {
            0
        } else if panicked {
            2
        } else {
            4
        };
        for of in &consuming.messages {
            let request_id = consuming.request_id.clone();
            self.add(self.record(now, of, Event::SubAfter { request_id, cost, success, code }));
        }
    }

    fn record(&self, timestamp: i64, of: &Traced, event: Event) -> Record {
        Record {
            timestamp,
            region: of.region.clone(),
            group: self.group().clone(),
            topic: of.topic.clone(),
            message_id: of.message_id.clone(),
            keys: of.keys.clone(),
            event,
        }
    }
}
