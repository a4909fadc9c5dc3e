//! What operators ask about the settings of groups and what these consume, and how they change them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::records::now_millis;
use super::topics::is_group_name;
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::fields::Header;
use crate::protocol::json;
use crate::protocol::rpc::group::{
    CloneOffsets, DeleteGroup, GetGroup, GroupBody, GroupNamesBody, GroupSubscription, GroupSubscriptionBody,
    GroupTopics, GroupTopicsBody, GroupsBody, TimeSpanBody, TimeSpans, TimeSpansBody, TopicGroups,
};
use crate::protocol::rpc::lock::QueueBody;

impl Broker {
    /// What concerns settings of groups and their topics; `None` for other requests.
    pub(super) fn group_request(&self, call: &mut Call<'_>) -> Option<Handled> {
        Some(match call.frame.request_code() {
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => self.put_group(call),
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => {
                let subscription_group_table = self.set.offsets.groups();
                call.body(&json::encode(&GroupsBody { subscription_group_table }))
            }
            RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => with(call, |call, asked| self.show_group(call, &asked)),
            RequestCode::DELETE_SUBSCRIPTIONGROUP => with(call, |call, asked| self.delete_group(call, &asked)),
            RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => with(call, |call, asked| self.topic_groups(call, &asked)),
            RequestCode::QUERY_TOPICS_BY_CONSUMER => with(call, |call, asked| self.group_topics(call, &asked)),
            RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER => with(call, |call, asked| self.subscription(call, asked)),
            RequestCode::QUERY_CONSUME_TIME_SPAN => with(call, |call, asked| self.time_spans(call, &asked)),
            RequestCode::CLONE_GROUP_OFFSET => with(call, |call, asked| self.clone_offsets(call, &asked)),
            _ => return None,
        })
    }

    fn put_group(&self, call: &mut Call<'_>) -> Handled {
        let body: GroupBody = match json::decode("group", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        let name = &body.group_name;
        if name.trim().is_empty() {
            return call.error(ResponseCode::INVALID_PARAMETER, "The specified group is blank.");
        }
        if !is_group_name(name) {
            let remark =
                format!("The specified group: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$");
            return call.error(ResponseCode::INVALID_PARAMETER, &remark);
        }
        if let Some(attribute) = body.attributes.keys().next() {
            let remark = format!("java.lang.RuntimeException: unsupported key: {}", attribute.trim_start_matches('+'));
            return call.error(ResponseCode::SYSTEM_ERROR, &remark);
        }
        self.set.offsets.put_group(body);
        call.done()
    }

    /// As Apache's brokers do that create groups on first use, this creates what it is asked about.
    fn show_group(&self, call: &mut Call<'_>, asked: &GetGroup) -> Handled {
        self.set.offsets.ensure_group(&asked.group);
        match self.set.offsets.group(&asked.group) {
            Some(group) => call.body(&json::encode(&group)),
            None => call.error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker"),
        }
    }

    fn delete_group(&self, call: &mut Call<'_>, asked: &DeleteGroup) -> Handled {
        self.set.offsets.delete_group(&asked.group, asked.clean_offset == Some(true));
        call.done()
    }

    fn topic_groups(&self, call: &mut Call<'_>, asked: &TopicGroups) -> Handled {
        let connected = self.groups.subscribers(&asked.topic);
        let all: BTreeSet<Arc<str>> = connected.into_iter().chain(self.set.offsets.groups_of(&asked.topic)).collect();
        call.body(&json::encode(&GroupNamesBody { group_list: all.into_iter().collect() }))
    }

    fn group_topics(&self, call: &mut Call<'_>, asked: &GroupTopics) -> Handled {
        let topic_list = self.set.offsets.topics(&asked.group);
        let broker_addr = Some(self.member().addr.to_string());
        call.body(&json::encode(&GroupTopicsBody { broker_addr, topic_list }))
    }

    fn subscription(&self, call: &mut Call<'_>, asked: GroupSubscription) -> Handled {
        let topic = asked.topic.unwrap_or_default();
        let table = self.groups.connections(&asked.group).map(|found| found.subscription_table);
        let subscription_data = table.and_then(|mut table| table.remove(&topic));
        call.body(&json::encode(&GroupSubscriptionBody { group: asked.group, subscription_data, topic }))
    }

    fn time_spans(&self, call: &mut Call<'_>, asked: &TimeSpans) -> Handled {
        let Some(topic) = self.set.topics.get(&asked.topic) else {
            let remark = format!("topic[{}] not exist", asked.topic);
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &remark);
        };
        let of_queue = |queue_id| {
            let consumed = self.set.offsets.committed(&asked.group, &asked.topic, queue_id).unwrap_or(-1);
            let store = self.set.store();
            let stored_at = |offset| store.stored_at(&asked.topic, queue_id, offset).unwrap_or(-1);
            let (min_time_stamp, end) =
                (store.earliest_time(&asked.topic, queue_id), store.max_offset(&asked.topic, queue_id));
            TimeSpanBody {
                consume_time_stamp: if consumed > 0 { stored_at(consumed - 1) } else { min_time_stamp },
                delay_time: if consumed < end { now_millis() - stored_at(consumed) } else { 0 },
                max_time_stamp: stored_at(end - 1),
                message_queue: QueueBody { broker_name: self.set.name.clone(), queue_id, topic: asked.topic.clone() },
                min_time_stamp,
            }
        };
        let consume_time_span_set = (0..topic.write_queues).map(of_queue).collect();
        call.body(&json::encode(&TimeSpansBody { consume_time_span_set }))
    }

    /// Without a topic Apache's broker does nothing, though it means to do it for all.
    fn clone_offsets(&self, call: &mut Call<'_>, asked: &CloneOffsets) -> Handled {
        if let Some(topic) = asked.topic.as_ref().filter(|topic| self.set.topics.get(topic).is_some()) {
            if asked.offline == Some(true) || !self.groups.has_left(&asked.from, topic) {
                self.set.offsets.clone_offsets(&asked.from, &asked.to, topic);
            }
        }
        call.done()
    }
}

fn with<H: Header>(call: &mut Call<'_>, then: impl FnOnce(&mut Call<'_>, H) -> Handled) -> Handled {
    match call.frame.header() {
        Ok(asked) => then(call, asked),
        Err(error) => call.unreadable(&error),
    }
}
