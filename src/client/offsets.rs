//! Offsets of queues and of groups, asked of the queue's master.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::{Client, heartbeat, names};
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::request::{Answer, Request};
use crate::protocol::rpc::offset::{
    ConsumerOffset, EarliestStoreTime, MaxOffset, MinOffset, SearchOffset, UpdateConsumerOffset,
};
use crate::remoting::Deadline;

/// All of these ask the queue's master and block until it answered, at most for the request timeout (3 s by default).
/// When the broker is unknown, or cannot be reached where it was, the route is asked for once more.
impl Client {
    /// Returns the smallest offset a queue still has.
    ///
    /// # Errors
    /// [`Error::NoRoute`] and [`Error::NoBroker`] for a topic or broker that does not exist; else what asking the
    /// broker failed with.
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.core().min_offset(queue, self.core().request_deadline())
    }

    /// Returns the offset the next message of a queue will get.
    ///
    /// # Errors
    /// As [`min_offset`](Client::min_offset).
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64> {
        self.core().max_offset(queue, self.core().request_deadline())
    }

    /// Returns the offset of the first message of a queue that was stored at `time` or later, by the broker's clock.
    ///
    /// When there is none, brokers 5.x answer the maximum offset, those before (4.9.7) the offset of the last message.
    ///
    /// # Errors
    /// As [`min_offset`](Client::min_offset).
    pub fn search_offset(&self, queue: &MessageQueue, time: SystemTime) -> Result<i64> {
        self.core().search_offset(queue, time, self.core().request_deadline())
    }

    /// Returns when the oldest message a queue still has was stored, by the broker's clock; `None` for an empty queue.
    ///
    /// # Errors
    /// As [`min_offset`](Client::min_offset).
    pub fn earliest_store_time(&self, queue: &MessageQueue) -> Result<Option<SystemTime>> {
        self.core().earliest_store_time(queue, self.core().request_deadline())
    }
}

impl Core {
    pub(crate) fn min_offset(self: &Arc<Self>, queue: &MessageQueue, deadline: Deadline) -> Result<i64> {
        let answer = self.ask_master(queue, &min_request(queue), deadline)?;
        // A queue of type BatchCQ says -1 for a moment, until its first message is indexed (seen with 5.5.0).
        Ok(answer.header()?.offset.max(0))
    }

    pub(crate) fn max_offset(self: &Arc<Self>, queue: &MessageQueue, deadline: Deadline) -> Result<i64> {
        let answer = self.ask_master(queue, &max_request(queue), deadline)?;
        Ok(answer.header()?.offset)
    }

    pub(crate) fn search_offset(
        self: &Arc<Self>,
        queue: &MessageQueue,
        time: SystemTime,
        deadline: Deadline,
    ) -> Result<i64> {
        Ok(self.ask_master(queue, &search_request(queue, time), deadline)?.header()?.offset)
    }

    pub(crate) fn earliest_store_time(
        self: &Arc<Self>,
        queue: &MessageQueue,
        deadline: Deadline,
    ) -> Result<Option<SystemTime>> {
        let (topic, queue_id, broker_name) = fields(queue);
        let answer = self.ask_master(queue, &EarliestStoreTime { topic, queue_id, broker_name }, deadline)?;
        // -1 stands for none.
        let millis = u64::try_from(answer.header()?.timestamp).ok();
        Ok(millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis))))
    }

    /// The offset a group committed for a queue; `None` only when the broker says that there is none.
    ///
    /// Brokers before 5.0 say 0 instead, as long as the queue still has its first message in memory.
    pub(crate) fn committed_offset(
        self: &Arc<Self>,
        group: &Arc<str>,
        queue: &MessageQueue,
        deadline: Deadline,
    ) -> Result<Option<i64>> {
        committed_of(&self.ask_master(queue, &committed_request(group, queue), deadline)?, queue)
    }

    /// Commits an offset and waits for the broker's word.
    pub(crate) fn commit_offset(
        self: &Arc<Self>,
        group: &Arc<str>,
        queue: &MessageQueue,
        offset: i64,
        deadline: Deadline,
    ) -> Result<()> {
        check_offset(offset)?;
        let request = update(group, queue, offset);
        match self.ask_master(queue, &request, deadline) {
            // Brokers know a group from its first heartbeat or pull on, and that heartbeat may still be on its way.
            Err(Error::Rejected { addr, code: ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, .. }) => {
                heartbeat::now(self, &self.advertised(queue).unwrap_or(addr), deadline)?;
                self.ask_master(queue, &request, deadline).map(drop)
            }
            answer => answer.map(drop),
        }
    }

    /// Commits an offset without an answer; returns when the kernel took the request.
    pub(crate) fn commit_offset_oneway(
        self: &Arc<Self>,
        group: &Arc<str>,
        queue: &MessageQueue,
        offset: i64,
        deadline: Deadline,
    ) -> Result<()> {
        check_offset(offset)?;
        let addr = self.master_of(queue, deadline)?;
        self.remoting().oneway(&addr, &update(group, queue, offset), &[], deadline, false)
    }

    /// Where the master of a queue wants heartbeats, which is not its second port.
    fn advertised(&self, queue: &MessageQueue) -> Option<Arc<str>> {
        let route = self.routes().cached(queue.topic())?;
        route.broker(queue.broker_name(), 0).filter(|(_, id)| *id == 0).map(|(addr, _)| addr.clone())
    }

    fn ask_master<R: Request>(
        self: &Arc<Self>,
        queue: &MessageQueue,
        request: &R,
        deadline: Deadline,
    ) -> Result<Answer<R>> {
        let addr = self.master_of(queue, deadline)?;
        let error = match self.remoting().call(&addr, request, &[], deadline) {
            Err(error) if may_have_moved(&error) => error,
            answer => return answer,
        };
        let Ok(route) = self.routes().refresh(self, queue.shared_topic(), deadline) else { return Err(error) };
        match route.master(queue.broker_name()) {
            // Repeating is harmless: these requests read, or write what they wrote before.
            Some(now) if *now != addr || is_connection_over(&error) => {
                self.remoting().call(now, request, &[], deadline)
            }
            _ => Err(error),
        }
    }

    /// The address of the queue's master; the route is asked for once when it does not name one.
    fn master_of(self: &Arc<Self>, queue: &MessageQueue, deadline: Deadline) -> Result<Arc<str>> {
        self.check_open()?;
        check_queue(queue)?;
        let (topic, name) = (queue.shared_topic(), queue.broker_name());
        if let Some(addr) = self.routes().get(self, topic, deadline)?.master(name) {
            return Ok(addr.clone());
        }
        let route = self.routes().refresh(self, topic, deadline)?;
        route.master(name).cloned().ok_or_else(|| Error::NoBroker {
            what: queue.to_string().into(),
            reason: format!("the route of topic {topic} names no master of broker {name}").into(),
        })
    }
}

/// Checks a queue that a user named.
pub(crate) fn check_queue(queue: &MessageQueue) -> Result<()> {
    names::check_topic(queue.topic())?;
    if queue.queue_id() < 0 {
        return Err(Error::invalid(format!("queue {queue}: numbers of queues start at 0")));
    }
    if queue.broker_name().trim().is_empty() {
        return Err(Error::invalid(format!("queue {queue}: the broker's name is blank")));
    }
    Ok(())
}

/// Checks an offset that a user named. Brokers would take a negative one for the minimum, and store it blindly.
pub(crate) fn check_offset(offset: i64) -> Result<()> {
    if offset < 0 {
        return Err(Error::invalid(format!("offset {offset}: offsets start at 0")));
    }
    Ok(())
}

fn fields(queue: &MessageQueue) -> (Arc<str>, i32, Option<Arc<str>>) {
    (queue.shared_topic().clone(), queue.queue_id(), Some(queue.shared_broker_name().clone()))
}

pub(crate) fn min_request(queue: &MessageQueue) -> MinOffset {
    let (topic, queue_id, broker_name) = fields(queue);
    MinOffset { topic, queue_id, broker_name }
}

pub(crate) fn max_request(queue: &MessageQueue) -> MaxOffset {
    let (topic, queue_id, broker_name) = fields(queue);
    MaxOffset { topic, queue_id, broker_name }
}

pub(crate) fn search_request(queue: &MessageQueue, time: SystemTime) -> SearchOffset {
    let (topic, queue_id, broker_name) = fields(queue);
    SearchOffset { topic, queue_id, timestamp: to_millis(time), boundary: None, broker_name }
}

/// Asks for the offset of a group; brokers from 5.0 on tell "none" from 0.
pub(crate) fn committed_request(group: &Arc<str>, queue: &MessageQueue) -> ConsumerOffset {
    let (topic, queue_id, broker_name) = fields(queue);
    ConsumerOffset { consumer_group: group.clone(), topic, queue_id, zero_if_not_found: Some(false), broker_name }
}

/// Reads the answer: `None` only when the broker says that there is none.
pub(crate) fn committed_of(answer: &Answer<ConsumerOffset>, queue: &MessageQueue) -> Result<Option<i64>> {
    if answer.code() == ResponseCode::QUERY_NOT_FOUND {
        return Ok(None);
    }
    match answer.header()?.offset {
        Some(offset) if offset >= 0 => Ok(Some(offset)),
        other => Err(Error::malformed(format!("the committed offset of {queue} is {other:?}"))),
    }
}

pub(crate) fn update(group: &Arc<str>, queue: &MessageQueue, offset: i64) -> UpdateConsumerOffset {
    let (topic, queue_id, broker_name) = fields(queue);
    UpdateConsumerOffset { consumer_group: group.clone(), topic, queue_id, commit_offset: offset, broker_name }
}

/// Whether the server asked may not be the queue's master any more.
pub(crate) fn may_have_moved(error: &Error) -> bool {
    let elsewhere = matches!(error, Error::Rejected { code: ResponseCode::NOT_LEADER_FOR_QUEUE, .. });
    elsewhere || matches!(error, Error::Connect { .. }) || is_connection_over(error)
}

/// Whether the same server is worth asking again, on a new connection: this one broke, or the server is about to
/// leave.
pub(crate) fn is_connection_over(error: &Error) -> bool {
    matches!(error, Error::Disconnected { .. } | Error::Rejected { code: ResponseCode::GO_AWAY, .. })
}

/// Milliseconds since 1970, rounded down as brokers round the times of messages; 0 for a time before.
pub(crate) fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::peer::{Peer, reply as reply_with};
    use crate::code::RequestCode;
    use crate::protocol::rpc::offset::OffsetReply;

    #[test]
    fn times_are_rounded_down_and_never_negative() {
        assert_eq!(to_millis(UNIX_EPOCH + Duration::from_micros(10_900)), 10);
        assert_eq!(to_millis(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }

    #[test]
    fn queues_that_cannot_exist_are_refused() {
        assert!(check_queue(&MessageQueue::new("t", "b", 0)).is_ok());
        for wrong in [("t", "b", -1), (" ", "b", 0), ("t", " ", 0)] {
            assert!(check_queue(&MessageQueue::new(wrong.0, wrong.1, wrong.2)).is_err(), "{wrong:?}");
        }
        assert!(check_offset(-1).is_err());
        assert!(check_offset(0).is_ok());
    }

    #[test]
    fn a_queue_that_says_minus_one_begins_at_zero() {
        let broker = Peer::start(|request| {
            let reply =
                OffsetReply { offset: if request.request_code() == RequestCode::GET_MIN_OFFSET { -1 } else { 7 } };
            reply_with(request, ResponseCode::SUCCESS, &reply, b"")
        });
        let addr = broker.addr.clone();
        let client = Peer::name_server(move || vec![("b", vec![(0, addr.clone())])]).client();
        let queue = MessageQueue::new("T", "b", 0);
        assert_eq!((client.min_offset(&queue).unwrap(), client.max_offset(&queue).unwrap()), (0, 7));
    }

    #[test]
    fn only_an_unreachable_server_or_one_that_says_so_may_have_moved() {
        let rejected = |code| Error::Rejected { addr: "a:1".into(), code, remark: "".into() };
        assert!(may_have_moved(&rejected(ResponseCode::NOT_LEADER_FOR_QUEUE)));
        assert!(!may_have_moved(&rejected(ResponseCode::TOPIC_NOT_EXIST)));
        let source = Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(may_have_moved(&Error::Connect { addr: "a:1".into(), source }));
    }
}
