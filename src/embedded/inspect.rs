//! What operators ask about groups, and how they move them.

use std::sync::Arc;

use super::broker::Broker;
use super::call::{Call, Handled};
use crate::code::ResponseCode;
use crate::protocol::json;
use crate::protocol::rpc::by_queue::ByQueue;
use crate::protocol::rpc::inspect::{ConsumeStats, ConsumeStatsBody, ConsumerConnections, ProgressBody, ResetOffset};
use crate::protocol::rpc::lock::QueueBody;

impl Broker {
    pub(super) fn consumer_connections(&self, call: &mut Call<'_>) -> Handled {
        let asked: ConsumerConnections = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        match self.groups.connections(&asked.consumer_group) {
            Some(body) => call.body(&json::encode(&body)),
            None => {
                let remark = format!("the consumer group[{}] not online", asked.consumer_group);
                call.error(ResponseCode::CONSUMER_NOT_ONLINE, &remark)
            }
        }
    }

    pub(super) fn consume_stats(&self, call: &mut Call<'_>) -> Handled {
        let asked: ConsumeStats = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let group = &asked.consumer_group;
        let topics = asked.topic.map_or_else(|| self.set.offsets.topics(group), |topic| vec![topic]);
        let topics = topics.into_iter().filter(|topic| !self.groups.has_left(group, topic));
        let offset_table = topics.flat_map(|topic| self.progress(group, &topic)).collect();
        let body = ConsumeStatsBody { consume_tps: 0.0, offset_table: ByQueue(offset_table) };
        call.body(body.text().as_bytes())
    }

    fn progress(&self, group: &str, topic: &Arc<str>) -> Vec<(QueueBody, ProgressBody)> {
        let queues = self.set.topics.get(topic).map_or(0, |topic| topic.read_queues);
        let of_queue = |queue_id| {
            let offsets = &self.set.offsets;
            let consumer_offset = offsets.committed(group, topic, queue_id).unwrap_or(0).max(0);
            let pulled = offsets.pulled(group, topic, queue_id).unwrap_or(-1);
            let store = self.set.store();
            let last_timestamp = store.stored_at(topic, queue_id, consumer_offset - 1).unwrap_or(0);
            let broker_offset = store.max_offset(topic, queue_id).max(0);
            let pull_offset = pulled.max(consumer_offset);
            let queue = QueueBody { broker_name: self.set.name.clone(), queue_id, topic: topic.clone() };
            (queue, ProgressBody { broker_offset, consumer_offset, last_timestamp, pull_offset })
        };
        (0..queues).map(of_queue).collect()
    }

    /// As brokers do from 5.2 on: they keep the offsets, and send clients there with their next pull.
    pub(super) fn reset_offset(&self, call: &mut Call<'_>) -> Handled {
        let asked: ResetOffset = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if self.is_slave() {
            return call.error(ResponseCode::SYSTEM_ERROR, "Can not reset offset in slave broker");
        }
        let Some(topic) = self.set.topics.get(&asked.topic) else {
            let remark = format!("Topic {} does not exist", asked.topic);
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &remark);
        };
        if !self.set.offsets.has_group(&asked.group) {
            let remark = format!("Group {} does not exist", asked.group);
            return call.error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, &remark);
        }
        let queues = match asked.queue_id {
            Some(one @ 0..) => one..one.saturating_add(1),
            _ => 0..topic.read_queues,
        };
        let of_queue = |queue_id| {
            let store = self.set.store();
            let (min, max) = (store.min_offset(&asked.topic, queue_id), store.max_offset(&asked.topic, queue_id));
            let offset = match (asked.offset, asked.timestamp) {
                (Some(offset @ 0..), _) => offset,
                (_, 0..) => store.offset_by_time(&asked.topic, queue_id, asked.timestamp, false),
                _ => max,
            };
            drop(store);
            let offset = offset.clamp(min, max);
            self.set.offsets.reset(&asked.group, &asked.topic, queue_id, offset);
            let queue = QueueBody { broker_name: self.set.name.clone(), queue_id, topic: asked.topic.clone() };
            (queue, offset)
        };
        let table = ByQueue(queues.map(of_queue).collect::<Vec<_>>());
        call.body(format!(r#"{{"offsetTable":{}}}"#, table.text()).as_bytes())
    }
}
