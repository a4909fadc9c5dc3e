//! Where a queue begins that this client takes over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::client::{Core, committed_of, committed_request, to_millis};
use crate::consumer::engine::Start;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::rpc::offset::{MaxOffset, MinOffset, SearchOffset};
use crate::remoting::Deadline;

/// Where a group begins that is new to a queue. A group that has an offset there goes on at it, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ConsumeFromWhere {
    /// Behind the last message there is (Java: `CONSUME_FROM_LAST_OFFSET`). The default.
    ///
    /// Brokers before 5.0 begin at the first message instead as long as the topic is young.
    #[default]
    LastOffset,
    /// At the first message there still is (Java: `CONSUME_FROM_FIRST_OFFSET`).
    FirstOffset,
    /// At the first message that was stored at this time or later (Java: `CONSUME_FROM_TIMESTAMP`).
    Timestamp(SystemTime),
}

impl ConsumeFromWhere {
    /// What the wire calls it.
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            ConsumeFromWhere::LastOffset => "CONSUME_FROM_LAST_OFFSET",
            ConsumeFromWhere::FirstOffset => "CONSUME_FROM_FIRST_OFFSET",
            ConsumeFromWhere::Timestamp(_) => "CONSUME_FROM_TIMESTAMP",
        }
    }

    /// Retries of a new group are all there, so they are consumed from the first on; but not those of before a time.
    fn of_topic(self, topic: &str) -> ConsumeFromWhere {
        match self {
            _ if !topic.starts_with("%RETRY%") => self,
            ConsumeFromWhere::Timestamp(_) => ConsumeFromWhere::LastOffset,
            _ => ConsumeFromWhere::FirstOffset,
        }
    }
}

/// How long brokers may take for each question.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Finds out where a queue begins. `done` must only forward. An error is never taken for "no offset": a busy broker would
/// make the group skip everything there is.
pub(in crate::consumer) fn find(
    core: &Arc<Core>,
    group: &Arc<str>,
    queue: &MessageQueue,
    from: ConsumeFromWhere,
    done: impl FnOnce(Result<Start>) + Send + 'static,
) {
    let request = committed_request(group, queue);
    let (then, named) = (core.clone(), queue.clone());
    core.ask_master_async(queue, request, Vec::new(), Deadline::after(TIMEOUT), move |answer| {
        match answer.and_then(|answer| committed_of(&answer, &named)) {
            Ok(Some(offset)) => done(Ok(Start { offset, stored: Some(offset) })),
            Ok(None) => find_for_new(&then, &named, from.of_topic(named.topic()), done),
            Err(error) => done(Err(error)),
        }
    });
}

fn find_for_new(
    core: &Arc<Core>,
    queue: &MessageQueue,
    from: ConsumeFromWhere,
    done: impl FnOnce(Result<Start>) + Send + 'static,
) {
    let (topic, queue_id) = (queue.shared_topic().clone(), queue.queue_id());
    let broker_name = Some(queue.shared_broker_name().clone());
    let deadline = Deadline::after(TIMEOUT);
    let new = |offset: i64| Start { offset, stored: None };
    match from {
        ConsumeFromWhere::LastOffset => {
            let request = MaxOffset { topic, queue_id, broker_name };
            core.ask_master_async(queue, request, Vec::new(), deadline, move |answer| {
                done(answer.and_then(|answer| Ok(new(answer.header()?.offset))));
            });
        }
        ConsumeFromWhere::FirstOffset => {
            let request = MinOffset { topic, queue_id, broker_name };
            core.ask_master_async(queue, request, Vec::new(), deadline, move |answer| {
                done(answer.and_then(|answer| Ok(new(answer.header()?.offset))));
            });
        }
        ConsumeFromWhere::Timestamp(time) => {
            let request = SearchOffset { topic, queue_id, timestamp: to_millis(time), boundary: None, broker_name };
            core.ask_master_async(queue, request, Vec::new(), deadline, move |answer| {
                done(answer.and_then(|answer| Ok(new(answer.header()?.offset))));
            });
        }
    }
}

/// Asks the master of a queue for its smallest and largest offset; `None` when it does not answer both.
pub(in crate::consumer) fn bounds(
    core: &Arc<Core>,
    queue: &MessageQueue,
    done: impl FnOnce(Option<(i64, i64)>) + Send + 'static,
) {
    let (topic, queue_id) = (queue.shared_topic().clone(), queue.queue_id());
    let broker_name = Some(queue.shared_broker_name().clone());
    let deadline = Deadline::after(TIMEOUT);
    let min = MinOffset { topic: topic.clone(), queue_id, broker_name: broker_name.clone() };
    let (then, named) = (core.clone(), queue.clone());
    core.ask_master_async(queue, min, Vec::new(), deadline, move |answer| {
        let min: Result<i64, Error> = answer.and_then(|answer| Ok(answer.header()?.offset));
        let Ok(min) = min else { return done(None) };
        let max = MaxOffset { topic, queue_id, broker_name };
        then.ask_master_async(&named, max, Vec::new(), deadline, move |answer| {
            let max: Result<i64, Error> = answer.and_then(|answer| Ok(answer.header()?.offset));
            done(max.ok().map(|max| (min, max)));
        });
    });
}
