use std::sync::Arc;
use std::time::SystemTime;

use super::Admin;
use crate::client::{Core, names, to_millis};
use crate::code::ResponseCode;
use crate::error::Result;
use crate::message::MessageQueue;
use crate::protocol::rpc::inspect::ResetOffset;
use crate::protocol::rpc::reset;
use crate::remoting::Deadline;

/// What brokers read as "behind the last message".
const LAST: i64 = -1;

/// Where a group is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetTo {
    /// At the first message there still is: everything is consumed again.
    First,
    /// Behind the last message: what is not consumed yet is skipped.
    Last,
    /// At the first message that was stored at this time or later.
    Time(SystemTime),
}

impl ResetTo {
    fn timestamp(self) -> i64 {
        match self {
            ResetTo::First => 0,
            ResetTo::Last => LAST,
            ResetTo::Time(time) => to_millis(time),
        }
    }
}

/// Where a group goes on after it was reset.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupReset {
    /// The queues with their new offsets, sorted.
    pub offsets: Vec<(MessageQueue, i64)>,
}

impl Admin {
    /// Moves the offsets of a group in all queues of a topic, back or forth (`mqadmin resetOffsetByTime`, forced).
    ///
    /// Brokers 5.2 and later keep the new offsets and send the group's clients there with their next pulls. Earlier ones tell
    /// the clients, and when none is connected this writes the offsets. Either way messages may be consumed again, or never.
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when the topic does not exist, [`Error::Invalid`](crate::Error::Invalid) for
    /// a name that cannot be, [`Error::Rejected`](crate::Error::Rejected) when a broker refuses, as it does for a group it does
    /// not know. When one of several brokers fails the others have done it.
    pub fn reset_group(&self, group: &str, topic: &str, to: ResetTo) -> Result<GroupReset> {
        names::check_group(group)?;
        names::check_topic(topic)?;
        let (core, group, topic): (_, Arc<str>, Arc<str>) = (self.core(), group.into(), topic.into());
        let deadline = core.request_deadline();
        let request = ResetOffset {
            topic: topic.clone(),
            group: group.clone(),
            timestamp: to.timestamp(),
            force: true,
            queue_id: Some(-1),
            offset: Some(-1),
        };
        let asked = core.ask_masters(&topic, "masters keep offsets", &request, deadline)?;
        let mut offsets = Vec::new();
        for from in asked.all()? {
            if from.answer.code() == ResponseCode::CONSUMER_NOT_ONLINE {
                offsets.extend(write(core, &group, &topic, &from.broker_name, to, deadline)?);
                continue;
            }
            for (queue, offset) in reset::read(from.answer.frame.body())? {
                offsets.push((MessageQueue::new(topic.clone(), queue.broker_name, queue.queue_id), offset));
            }
        }
        offsets.sort();
        Ok(GroupReset { offsets })
    }
}

/// Writes the offsets of one broker's queues, for a group without clients.
fn write(
    core: &Arc<Core>,
    group: &Arc<str>,
    topic: &Arc<str>,
    broker_name: &str,
    to: ResetTo,
    deadline: Deadline,
) -> Result<Vec<(MessageQueue, i64)>> {
    let route = core.routes().get(core, topic, deadline)?;
    let mut written = Vec::new();
    for queue in route.subscribe_queues().iter().filter(|queue| queue.broker_name() == broker_name) {
        let offset = match to {
            ResetTo::First => core.min_offset(queue, deadline)?,
            ResetTo::Last => core.max_offset(queue, deadline)?,
            ResetTo::Time(time) => core.search_offset(queue, time, deadline)?,
        };
        core.commit_offset(group, queue, offset, deadline)?;
        written.push((queue.clone(), offset));
    }
    Ok(written)
}
