//! Creating, describing and deleting topics on request.

use std::collections::BTreeMap;

use super::attributes;
use super::broker::Broker;
use super::call::{Call, Handled};
use super::topics::{self, Topic};
use crate::code::ResponseCode;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::rpc::by_queue::ByQueue;
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::route::TopicListBody;
use crate::protocol::rpc::topic::{
    CreateStaticTopic, CreateTopic, DeleteTopic, GetTopicConfig, GetTopicStats, MappingBody, QueueStatsBody,
    TopicConfigBody, TopicConfigsBody, TopicConfigsReply, TopicStatsBody,
};

impl Broker {
    pub(super) fn create_topic(&self, call: &mut Call<'_>) -> Handled {
        let asked: CreateTopic = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let queues = [asked.read_queues, asked.write_queues];
        if let Err(remark) = topics::check_topic(&asked.topic).and_then(|()| topics::check_queues(queues)) {
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        if self.set.topics.is_system(&asked.topic) {
            let remark = format!("The topic[{}] is conflict with system topic.", asked.topic);
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        let text = asked.attributes.as_deref().unwrap_or_default();
        if text.split(',').any(|part| part == "+message.type=MIXED") {
            // Which `enableMixedMessageType` would allow.
            return call.error(ResponseCode::INVALID_PARAMETER, "MIXED message type is not supported.");
        }
        let known = self.set.topics.get(&asked.topic);
        let attributes = match attributes::alter(known.as_ref().map(|topic| &topic.attributes), text) {
            Ok(attributes) => attributes,
            Err(remark) => return call.error(ResponseCode::SYSTEM_ERROR, &remark),
        };
        self.set.topics.put(Topic {
            name: asked.topic,
            read_queues: asked.read_queues,
            write_queues: asked.write_queues,
            perm: asked.perm,
            sys_flag: asked.sys_flag.unwrap_or(0),
            order: asked.order,
            attributes,
            mapping: known.and_then(|topic| topic.mapping.clone()),
        });
        // Java's broker forgets to clear the remark it starts with.
        call.reply(ResponseCode::SUCCESS, Some("not set any response code"), &NoFields, &[])
    }

    pub(super) fn topic_config(&self, call: &mut Call<'_>) -> Handled {
        let asked: GetTopicConfig = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let Some(topic) = self.set.topics.get(&asked.topic) else {
            let remark = format!("No topic in this broker. topic: {}", asked.topic);
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &remark);
        };
        let mapping_detail = topic.mapping.clone().filter(|_| asked.mapping == Some(true));
        call.body(&json::encode(&TopicConfigBody { mapping_detail, ..config(&topic) }))
    }

    /// Keeps the mapping with the topic. Routes do not tell of it: clients see the broker's own queues.
    pub(super) fn create_static_topic(&self, call: &mut Call<'_>) -> Handled {
        let asked: CreateStaticTopic = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let mapping: MappingBody = match json::decode("mapping", call.frame.body()) {
            Ok(mapping) => mapping,
            Err(error) => return call.unreadable(&error),
        };
        let queues = [asked.read_queues, asked.write_queues];
        if let Err(remark) = topics::check_topic(&asked.topic).and_then(|()| topics::check_queues(queues)) {
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        if self.set.topics.is_system(&asked.topic) {
            let remark = format!("The topic[{}] is conflict with system topic.", asked.topic);
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        self.set.topics.put(Topic {
            write_queues: asked.write_queues,
            perm: asked.perm,
            order: asked.order,
            mapping: Some(mapping),
            ..Topic::new(asked.topic, asked.read_queues)
        });
        call.done()
    }

    /// All at once, which Apache's brokers do up to 2 000 topics.
    pub(super) fn topic_configs(&self, call: &mut Call<'_>) -> Handled {
        let topics = self.set.topics.names().into_iter().filter_map(|name| self.set.topics.get(&name));
        let topic_config_table: BTreeMap<_, _> = topics.map(|topic| (topic.name.to_string(), config(&topic))).collect();
        let total = i32::try_from(topic_config_table.len()).ok();
        let body = json::encode(&TopicConfigsBody { topic_config_table });
        call.reply(ResponseCode::SUCCESS, None, &TopicConfigsReply { total }, &body)
    }

    pub(super) fn topic_stats(&self, call: &mut Call<'_>) -> Handled {
        let asked: GetTopicStats = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let Some(topic) = self.set.topics.get(&asked.topic) else {
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &format!("topic[{}] not exist", asked.topic));
        };
        let of_queue = |queue_id| {
            let store = self.set.store();
            let max_offset = store.max_offset(&topic.name, queue_id);
            let stats = QueueStatsBody {
                last_update_timestamp: store.stored_at(&topic.name, queue_id, max_offset - 1).unwrap_or(0),
                max_offset,
                min_offset: store.min_offset(&topic.name, queue_id),
            };
            (QueueBody { broker_name: self.set.name.clone(), queue_id, topic: topic.name.clone() }, stats)
        };
        let offset_table = ByQueue((0..topic.write_queues).map(of_queue).collect());
        let topic_put_tps = self.set.rate_of_topic(&topic.name);
        call.body(TopicStatsBody { offset_table, topic_put_tps }.text().as_bytes())
    }

    pub(super) fn own_topics(&self, call: &mut Call<'_>) -> Handled {
        let topic_list = self.set.topics.system_names();
        call.body(&json::encode(&TopicListBody { broker_addr: None, topic_list }))
    }

    pub(super) fn delete_topic(&self, call: &mut Call<'_>) -> Handled {
        let asked: DeleteTopic = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if asked.topic.trim().is_empty() {
            return call.error(ResponseCode::INVALID_PARAMETER, "The specified topic is blank.");
        }
        if self.set.topics.is_system(&asked.topic) {
            let remark = format!("The topic[{}] is conflict with system topic.", asked.topic);
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        self.set.delete_topic(&asked.topic);
        call.done()
    }
}

fn config(topic: &Topic) -> TopicConfigBody {
    TopicConfigBody {
        attributes: topic.attributes.clone(),
        mapping_detail: None,
        order: topic.order,
        perm: topic.perm,
        read_queue_nums: topic.read_queues,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_name: topic.name.to_string(),
        topic_sys_flag: topic.sys_flag,
        write_queue_nums: topic.write_queues,
    }
}
