//! Moving a group as a test wants it; what operators ask for stands in `inspect`.

use super::broker::Broker;
use super::handles;
use crate::code::RequestCode;
use crate::protocol::frame::{self, Head, HeaderKind, Language};
use crate::protocol::rpc::by_queue::ByQueue;
use crate::protocol::rpc::inspect::ResetOffset;
use crate::protocol::rpc::lock::QueueBody;

impl handles::Broker {
    /// Moves a group in one queue, as an operator does with Apache's brokers from 5.2 on: what the group commits does not
    /// count until its next pull, which is told where to go on.
    pub fn reset_offset(&self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        self.broker.set.offsets.reset(&group.into(), &topic.into(), queue_id, offset);
    }

    /// Tells the members of a group that are connected to this server to go on at these offsets, each with its queue's
    /// number, as brokers before 5.2 do for an operator.
    pub fn tell_reset(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        self.broker.tell_reset(group, topic, offsets);
    }
}

impl Broker {
    fn tell_reset(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        let queue = |queue_id| QueueBody { broker_name: self.set.name.clone(), queue_id, topic: topic.into() };
        let table = ByQueue(offsets.iter().map(|(id, offset)| (queue(*id), *offset)).collect::<Vec<_>>());
        let body = format!(r#"{{"offsetTable":{}}}"#, table.text());
        let header = ResetOffset {
            topic: topic.into(),
            group: group.into(),
            timestamp: 0,
            force: true,
            queue_id: Some(-1),
            offset: Some(-1),
        };
        let head = Head::request(HeaderKind::Json, RequestCode::RESET_CONSUMER_CLIENT_OFFSET, 0).oneway();
        let mut out = Vec::new();
        match frame::encode_request(&mut out, &Head { language: Language::JAVA, ..head }, &header, body.as_bytes()) {
            Ok(()) => self.groups.consumers(group).iter().for_each(|(_, link)| link.push(&out)),
            Err(error) => log::warn!("a reset does not fit a frame: {error}"),
        }
    }
}
