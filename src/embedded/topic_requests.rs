//! Creating, describing and deleting topics on request.

use super::attributes;
use super::broker::Broker;
use super::call::{Call, Handled};
use super::topics::{self, Topic};
use crate::code::ResponseCode;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::rpc::topic::{CreateTopic, DeleteTopic, GetTopicConfig, TopicConfigBody};

impl Broker {
    pub(super) fn create_topic(&self, call: &mut Call<'_>) -> Handled {
        let asked: CreateTopic = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if let Err(remark) = topics::check_topic(&asked.topic) {
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
        let body = TopicConfigBody {
            attributes: topic.attributes.clone(),
            order: topic.order,
            perm: topic.perm,
            read_queue_nums: topic.read_queues,
            topic_filter_type: "SINGLE_TAG".to_owned(),
            topic_name: topic.name.to_string(),
            topic_sys_flag: topic.sys_flag,
            write_queue_nums: topic.write_queues,
        };
        call.body(&json::encode(&body))
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
        self.set.remove_topic(&asked.topic);
        call.done()
    }
}
