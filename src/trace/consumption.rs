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

impl Tracer {
    /// Records that a listener is about to get messages; `None` when none of them is traced.
    pub(crate) fn consuming(&self, messages: &[MessageView]) -> Option<Consuming> {
        let now = wall_millis(Instant::now());
        let request_id: Arc<str> = self.unique_id();
        let mut traced = Vec::with_capacity(messages.len());
        for message in messages {
            if self.is_trace_topic(message.topic()) {
                continue;
            }
            let Some(of) = Traced::of(message) else { continue };
            self.add(self.record(
                now,
                &of,
                Event::SubBefore { request_id: request_id.clone(), retries: message.reconsume_times() },
            ));
            traced.push(of);
        }
        (!traced.is_empty()).then_some(Consuming { request_id, messages: traced })
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
