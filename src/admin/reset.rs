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

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::client::peer::{Peer, refuse, reply};
    use crate::code::RequestCode;
    use crate::protocol::rpc::offset::{OffsetReply, SearchOffset, UpdateConsumerOffset};

    /// A broker before 5.2, to which no member of the group is connected.
    fn broker() -> Peer {
        Peer::start(|request| match request.request_code() {
            RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => refuse(request, ResponseCode::CONSUMER_NOT_ONLINE, "nobody"),
            RequestCode::GET_MIN_OFFSET => reply(request, ResponseCode::SUCCESS, &OffsetReply { offset: 3 }, b""),
            RequestCode::GET_MAX_OFFSET => reply(request, ResponseCode::SUCCESS, &OffsetReply { offset: 9 }, b""),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => {
                reply(request, ResponseCode::SUCCESS, &OffsetReply { offset: 5 }, b"")
            }
            _ => refuse(request, ResponseCode::SUCCESS, ""),
        })
    }

    #[test]
    fn without_members_older_brokers_are_given_the_offsets() {
        let broker = broker();
        let addr = broker.addr.clone();
        let client = Peer::name_server(move || vec![("b", vec![(0, addr.clone())])]).client();
        let time = ResetTo::Time(UNIX_EPOCH + Duration::from_secs(7));
        for (to, timestamp, offset) in [(ResetTo::First, 0, 3), (ResetTo::Last, -1, 9), (time, 7000, 5)] {
            let reset = client.admin().reset_group("g", "T", to).unwrap();
            let queue = |id| MessageQueue::new("T", "b", id);
            assert_eq!(reset.offsets, [(queue(0), offset), (queue(1), offset)]);
            let asked: ResetOffset = broker.last(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET).header().unwrap();
            assert_eq!((&*asked.group, asked.timestamp, asked.force), ("g", timestamp, true));
            let written: UpdateConsumerOffset = broker.last(RequestCode::UPDATE_CONSUMER_OFFSET).header().unwrap();
            assert_eq!((&*written.consumer_group, written.queue_id, written.commit_offset), ("g", 1, offset));
        }
        assert_eq!(broker.count(RequestCode::UPDATE_CONSUMER_OFFSET), 6);
        let searched: SearchOffset = broker.last(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP).header().unwrap();
        assert_eq!(searched.timestamp, 7000);
    }
}
