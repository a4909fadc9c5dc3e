//! An operator moves a group to other offsets. As Apache's brokers from 5.2 on do it: until the group has pulled once more,
//! what it commits does not count, and that pull is told where to go on (code 21). Brokers before tell the members instead.

use std::sync::Arc;

use super::broker::{Broker, BrokerSet};
use super::call::{Call, Handled};
use super::store::{Read, Status};
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::frame::{self, Head, HeaderKind, Language};
use crate::protocol::request::headers;
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::pull::PullMessage;
use crate::protocol::rpc::reset;

headers! {
    /// Moves a group in one queue or in all queues of a topic.
    pub(crate) struct ResetOffset {
        "topic" => topic: Arc<str>,
        "group" => group: Arc<str>,
        /// In milliseconds since 1970; below 0 means the end.
        "timestamp" => timestamp: i64,
        "isForce" => is_force: Option<bool>,
        /// -1 for all.
        "queueId" => queue_id: Option<i32>,
        /// -1 for what the time says.
        "offset" => offset: Option<i64>,
    }
}

impl Broker {
    pub(super) fn reset_offset(&self, call: &mut Call<'_>) -> Handled {
        let asked: ResetOffset = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let Some(topic) = self.set.topics.get(&asked.topic) else {
            let remark = format!("Topic {} does not exist", asked.topic);
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &remark);
        };
        if !self.set.offsets.has_group(&asked.group) {
            let remark = format!("Group {} does not exist", asked.group);
            return call.error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, &remark);
        }
        let one = asked.queue_id.filter(|id| *id >= 0);
        let queues = one.map_or(0..topic.read_queues, |id| id..id + 1);
        let mut table = Vec::new();
        for queue_id in queues {
            let offset = match asked.offset.filter(|offset| one.is_some() && *offset != -1) {
                Some(offset) => {
                    let (min, max) = self.set.bounds(&asked.topic, queue_id);
                    if offset < min || offset > max + 1 {
                        let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
                        return call.error(ResponseCode::SYSTEM_ERROR, &remark);
                    }
                    offset
                }
                None if asked.timestamp < 0 => self.set.bounds(&asked.topic, queue_id).1,
                None => self.set.store().offset_by_time(&asked.topic, queue_id, asked.timestamp, false),
            };
            self.set.offsets.reset(&asked.group, &asked.topic, queue_id, offset);
            table.push((self.set.queue(&asked.topic, queue_id), offset));
        }
        call.body(&reset::write(&table))
    }

    /// Tells the members of a group where to go on.
    pub(super) fn tell_reset(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        let table: Vec<_> = offsets.iter().map(|(id, offset)| (self.set.queue(topic, *id), *offset)).collect();
        let body = reset::write(&table);
        let header = ResetOffset {
            topic: topic.into(),
            group: group.into(),
            timestamp: 0,
            is_force: Some(true),
            queue_id: Some(-1),
            offset: Some(-1),
        };
        let head = Head::request(HeaderKind::Json, RequestCode::RESET_CONSUMER_CLIENT_OFFSET, 0).oneway();
        let head = Head { language: Language::JAVA, ..head };
        let mut out = Vec::new();
        if let Err(error) = frame::encode_request(&mut out, &head, &header, &body) {
            return log::warn!("a reset does not fit a frame: {error}");
        }
        self.groups.links(group).iter().for_each(|link| link.push(&out));
    }
}

impl BrokerSet {
    fn bounds(&self, topic: &str, queue_id: i32) -> (i64, i64) {
        let store = self.store();
        (store.min_offset(topic, queue_id), store.max_offset(topic, queue_id))
    }

    fn queue(&self, topic: &str, queue_id: i32) -> QueueBody {
        QueueBody { broker_name: self.name.clone(), queue_id, topic: topic.into() }
    }

    /// The answer to the first pull after a reset.
    pub(super) fn moved(&self, pull: &PullMessage) -> Option<Read> {
        let next = self.offsets.take_reset(&pull.consumer_group, &pull.topic, pull.queue_id)?;
        let (min, max) = self.bounds(&pull.topic, pull.queue_id);
        Some(Read { status: Status::OffsetReset, next, min, max, records: Vec::new() })
    }
}
