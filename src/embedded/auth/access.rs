//! What a request touches, and with which actions, as Apache's broker 5.5.0 sees it.

use super::rules::Resource;
use crate::code::RequestCode;
use crate::protocol::frame::Frame;
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::HeartbeatBody;
use crate::protocol::rpc::lock::LockBody;

/// A resource, and the actions of which one has to be allowed.
pub(super) type Need = (Resource, &'static [&'static str]);

const SUB: &[&str] = &["Sub"];
const PUB: &[&str] = &["Pub"];
const GET: &[&str] = &["Get"];
const UPDATE: &[&str] = &["Update"];
const READ: &[&str] = &["Sub", "Get"];

/// Everything that has to be allowed.
pub(super) fn needs(frame: &Frame, cluster: &str) -> Vec<Need> {
    let actions = match frame.request_code() {
        RequestCode::HEART_BEAT => return of_heartbeat(frame),
        RequestCode::LOCK_BATCH_MQ | RequestCode::UNLOCK_BATCH_MQ => return of_locks(frame),
        RequestCode::SEND_MESSAGE | RequestCode::SEND_REPLY_MESSAGE => return of_send(frame, "topic", "group"),
        RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => {
            return of_send(frame, "b", "a");
        }
        RequestCode::RECALL_MESSAGE | RequestCode::END_TRANSACTION => PUB,
        RequestCode::CONSUMER_SEND_MSG_BACK => return named(frame, "group", Resource::group, SUB).collect(),
        RequestCode::PULL_MESSAGE
        | RequestCode::LITE_PULL_MESSAGE
        | RequestCode::POP_MESSAGE
        | RequestCode::ACK_MESSAGE
        | RequestCode::CHANGE_MESSAGE_INVISIBLETIME
        | RequestCode::NOTIFICATION
        | RequestCode::UNREGISTER_CLIENT
        | RequestCode::CONSUME_MESSAGE_DIRECTLY => SUB,
        RequestCode::QUERY_MESSAGE | RequestCode::GET_CONSUMER_LIST_BY_GROUP | RequestCode::QUERY_CONSUMER_OFFSET => {
            READ
        }
        RequestCode::UPDATE_CONSUMER_OFFSET => &["Sub", "Update"],
        RequestCode::UPDATE_AND_CREATE_TOPIC => &["Create"],
        RequestCode::DELETE_TOPIC_IN_BROKER | RequestCode::DELETE_SUBSCRIPTIONGROUP => &["Delete"],
        RequestCode::INVOKE_BROKER_TO_RESET_OFFSET
        | RequestCode::CLONE_GROUP_OFFSET
        | RequestCode::RESUME_CHECK_HALF_MESSAGE => UPDATE,
        RequestCode::AUTH_CREATE_USER
        | RequestCode::AUTH_UPDATE_USER
        | RequestCode::AUTH_DELETE_USER
        | RequestCode::AUTH_CREATE_ACL
        | RequestCode::AUTH_UPDATE_ACL
        | RequestCode::AUTH_DELETE_ACL => return vec![(Resource::cluster(cluster), UPDATE)],
        RequestCode::AUTH_GET_USER
        | RequestCode::AUTH_LIST_USER
        | RequestCode::AUTH_GET_ACL
        | RequestCode::AUTH_LIST_ACL
        | RequestCode::GET_ALL_PRODUCER_INFO
        | RequestCode::GET_PRODUCER_CONNECTION_LIST => return vec![(Resource::cluster(cluster), GET)],
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => return Vec::new(),
        _ => GET,
    };
    let groups = ["consumerGroup", "group", "groupName", "srcGroup", "destGroup"];
    let topics = named(frame, "topic", topic, actions);
    topics.chain(groups.into_iter().flat_map(|name| named(frame, name, Resource::group, actions))).collect()
}

/// A topic for retries belongs to its group.
fn topic(name: &str) -> Resource {
    match retried(name) {
        Some(group) => Resource::group(group),
        None => Resource::topic(name),
    }
}

fn retried(topic: &str) -> Option<&str> {
    topic.strip_prefix("%RETRY%")
}

fn named<'a>(
    frame: &'a Frame,
    field: &'a str,
    resource: fn(&str) -> Resource,
    actions: &'static [&'static str],
) -> impl Iterator<Item = Need> + 'a {
    let value = frame.field(field).filter(|value| !value.trim().is_empty());
    value.into_iter().map(move |value| (resource(&value), actions))
}

fn of_send(frame: &Frame, topic: &str, group: &str) -> Vec<Need> {
    let topic = frame.field(topic).unwrap_or_default();
    let group = frame.field(group).filter(|group| !group.trim().is_empty());
    match retried(&topic) {
        Some(retried) => vec![(Resource::group(group.as_deref().unwrap_or(retried)), SUB)],
        None => vec![(Resource::topic(&topic), PUB)],
    }
}

/// Apache's broker wants the right to the topics as well; this one leaves that to the pulls, so that a member who lacks it is one.
fn of_heartbeat(frame: &Frame) -> Vec<Need> {
    let Ok(body) = json::decode::<HeartbeatBody>("heartbeat", frame.body()) else { return Vec::new() };
    body.consumer_data_set.iter().map(|consumer| (Resource::group(&consumer.group_name), SUB)).collect()
}

fn of_locks(frame: &Frame) -> Vec<Need> {
    let Ok(body) = json::decode::<LockBody>("locks", frame.body()) else { return Vec::new() };
    let topics = body.mq_set.iter().map(|queue| &*queue.topic).filter(|topic| retried(topic).is_none());
    let resources = std::iter::once(Resource::group(&body.consumer_group)).chain(topics.map(Resource::topic));
    resources.map(|resource| (resource, SUB)).collect()
}
