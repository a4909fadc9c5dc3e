//! Where a queue begins that this client takes over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::shared::Shared;
use crate::client::{Core, committed_of, committed_request, max_request, min_request, search_request};
use crate::consumer::engine::Start;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::request::Request;
use crate::protocol::rpc::offset::OffsetReply;
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
/// make the group skip everything there is. While a master is down its slave's word is taken, which may be some seconds old: the
/// group gets again what it finished in them.
pub(in crate::consumer) fn find(
    shared: &Arc<Shared>,
    queue: &MessageQueue,
    done: impl FnOnce(Result<Start>) + Send + 'static,
) {
    let (core, named, from) = (shared.core.clone(), queue.clone(), shared.settings.from.of_topic(queue.topic()));
    let then = move |stored: Result<Option<i64>>| match stored {
        // Brokers before 5.0 say 0 of a young topic without having it: written once, it is still there when the topic is old.
        Ok(Some(offset)) => done(Ok(Start { offset, stored: (offset > 0).then_some(offset) })),
        Ok(None) => find_for_new(&core, &named, from, done),
        Err(error) => done(Err(error)),
    };
    if let Some(keeper) = &shared.keeper {
        return keeper.load(queue.clone(), then);
    }
    let (request, named) = (committed_request(&shared.group, queue), queue.clone());
    shared.core.ask_readable_async(queue, request, Deadline::after(TIMEOUT), move |answer, from_slave| {
        let stored = answer.and_then(|answer| committed_of(&answer, &named));
        then(match stored {
            // It may not have been told yet, and the group is not to skip what there is.
            Ok(None) if from_slave => Err(Error::NoBroker {
                what: named.to_string().into(),
                reason: "its master is down, and its slave knows no offset of the group".into(),
            }),
            stored => stored,
        });
    });
}

fn find_for_new(
    core: &Arc<Core>,
    queue: &MessageQueue,
    from: ConsumeFromWhere,
    done: impl FnOnce(Result<Start>) + Send + 'static,
) {
    let deadline = Deadline::after(TIMEOUT);
    // A queue of type BatchCQ says that its smallest is -1 until its first message is indexed.
    let begin = |offset: Result<i64>| done(offset.map(|offset| Start { offset: offset.max(0), stored: None }));
    match from {
        ConsumeFromWhere::LastOffset => offset_of(core, queue, max_request(queue), deadline, begin),
        ConsumeFromWhere::FirstOffset => offset_of(core, queue, min_request(queue), deadline, begin),
        ConsumeFromWhere::Timestamp(time) => offset_of(core, queue, search_request(queue, time), deadline, begin),
    }
}

/// Asks the master of a queue a question whose answer is an offset.
fn offset_of<R: Request<Reply = OffsetReply> + Clone + Send + 'static>(
    core: &Arc<Core>,
    queue: &MessageQueue,
    request: R,
    deadline: Deadline,
    done: impl FnOnce(Result<i64>) + Send + 'static,
) {
    core.ask_master_async(queue, request, Vec::new(), deadline, move |answer| {
        done(answer.and_then(|answer| Ok(answer.header()?.offset)));
    });
}

/// Asks the master of a queue for its smallest and largest offset; `None` when it does not answer both.
pub(in crate::consumer) fn bounds(
    core: &Arc<Core>,
    queue: &MessageQueue,
    done: impl FnOnce(Option<(i64, i64)>) + Send + 'static,
) {
    let deadline = Deadline::after(TIMEOUT);
    let (then, named) = (core.clone(), queue.clone());
    offset_of(core, queue, min_request(queue), deadline, move |min| {
        let Ok(min) = min else { return done(None) };
        offset_of(&then, &named, max_request(&named), deadline, move |max| {
            done(max.ok().map(|max| (min.max(0), max)));
        });
    });
}
