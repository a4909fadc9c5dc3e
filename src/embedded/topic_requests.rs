//! Creating and deleting topics on request.

use super::broker::Broker;
use super::call::{Call, Handled};
use super::topics::{self, Topic};
use crate::code::ResponseCode;
use crate::protocol::fields::NoFields;
use crate::protocol::rpc::topic::{CreateTopic, DeleteTopic};

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
        self.set.topics.put(Topic {
            name: asked.topic,
            read_queues: asked.read_queues,
            write_queues: asked.write_queues,
            perm: asked.perm,
            sys_flag: asked.sys_flag.unwrap_or(0),
            order: asked.order,
        });
        // Java's broker forgets to clear the remark it starts with.
        call.reply(ResponseCode::SUCCESS, Some("not set any response code"), &NoFields, &[])
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
