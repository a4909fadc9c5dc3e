//! Giving a message to the broker for a later delivery, or to the dead letters.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::shared::Shared;
use crate::client::to_millis;
use crate::error::Result;
use crate::message::{MessageQueue, MessageView, key, sys_flag, write_property};
use crate::protocol::request::Answer;
use crate::protocol::rpc::send::SendMessage;
use crate::protocol::rpc::send_back::SendBack;
use crate::remoting::Deadline;

/// How often a message is delivered again unless its consumer says otherwise.
pub(super) const MAX_RECONSUME_TIMES: i32 = 16;
/// Java's time for this.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The delay of the first retry: 10 s.
const FIRST_LEVEL: i32 = 3;

/// What is to become of the message.
#[derive(Debug, Clone, Copy)]
pub(in crate::consumer) struct How {
    /// 0 leaves it to the broker.
    pub(in crate::consumer) delay_level: i32,
    /// How often it was consumed again here, beyond what the broker counted.
    pub(in crate::consumer) repeats: i32,
    pub(in crate::consumer) dead: bool,
    /// Sent as a message to the retry topic, for which the broker counts as it is told to.
    pub(in crate::consumer) as_message: bool,
}

/// Hands the message over; when the broker that has it does not take it, it is sent anew to the group's retry topic. `done`
/// gets whether one of them worked; it must only forward.
pub(in crate::consumer) fn submit(
    shared: &Arc<Shared>,
    message: MessageView,
    how: How,
    done: impl FnOnce(bool) + Send + 'static,
) {
    if how.as_message {
        return send_anew(shared, &message, how, done);
    }
    let request = SendBack {
        delay_level: if how.dead { -1 } else { how.delay_level },
        group: shared.group.clone(),
        max_reconsume_times: Some(shared.settings.max_reconsume.unwrap_or(MAX_RECONSUME_TIMES)),
        offset: message.commit_log_offset(),
        origin_message_id: Some(message.message_id().into_owned()),
        origin_topic: Some(message.topic().to_owned()),
        unit_mode: Some(false),
        broker_name: Some(message.queue().shared_broker_name().clone()),
    };
    let (then, queue) = (shared.clone(), message.queue().clone());
    shared.core.ask_master_async(&queue, request, Vec::new(), Deadline::after(TIMEOUT), move |answer| match answer {
        Ok(_) => done(true),
        Err(error) => {
            log::warn!("{} does not take back offset {}: {error}", message.queue(), message.queue_offset());
            send_anew(&then, &message, how, done);
        }
    });
}

/// Sends a copy to the retry topic (Java: as group `CLIENT_INNER_PRODUCER`). Sent again over a new connection it may be there
/// twice, as any message whose outcome is unknown; to lose it would be worse.
fn send_anew(shared: &Arc<Shared>, message: &MessageView, how: How, done: impl FnOnce(bool) + Send + 'static) {
    let tries = message.reconsume_times().saturating_add(how.repeats);
    let max = shared.settings.max_reconsume.unwrap_or(MAX_RECONSUME_TIMES);
    let tries = if how.dead { max } else { tries };
    let topic = shared.retry_topic.clone();
    let queue = MessageQueue::new(topic.clone(), message.queue().shared_broker_name().clone(), 0);
    let properties = properties(message, &shared.core.wire_name(&message.topic().into()), (!how.dead).then_some(tries));
    let stored = message.stored();
    let request = SendMessage {
        producer_group: "CLIENT_INNER_PRODUCER".into(),
        topic,
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        // The broker picks one.
        queue_id: -1,
        // The body goes as it is, compressed or not.
        sys_flag: stored.sys_flag & (sys_flag::COMPRESSED | sys_flag::COMPRESSION_MASK),
        born_timestamp: to_millis(SystemTime::now()),
        flag: message.flag(),
        properties: Some(properties),
        reconsume_times: Some(tries.saturating_add(1)),
        unit_mode: Some(false),
        max_reconsume_times: Some(max),
        batch: Some(false),
        broker_name: Some(queue.shared_broker_name().clone()),
    };
    let (group, offset) = (shared.group.clone(), message.queue_offset());
    let body = stored.body.to_vec();
    shared.core.ask_master_async(&queue, request, body, Deadline::after(TIMEOUT), move |answer: Result<Answer<_>>| {
        if let Err(error) = &answer {
            log::warn!("consumer {group}: offset {offset} cannot be given back, and is kept: {error}");
        }
        done(answer.is_ok());
    });
}

/// The message's own, and those that make it a retry.
///
/// `tries` is `None` for what is to be a dead letter at once: brokers before 5.0 would still delay it.
fn properties(message: &MessageView, wire_topic: &str, tries: Option<i32>) -> String {
    let mut text = String::new();
    let all = message.properties();
    let replaced = [key::RETRY_TOPIC, key::DELAY, key::TRANSACTION_PREPARED, "RECONSUME_TIME", "MAX_RECONSUME_TIMES"];
    for (name, value) in all.iter().filter(|(name, _)| !replaced.contains(name)) {
        write_property(&mut text, name, value);
    }
    write_property(&mut text, key::RETRY_TOPIC, all.get(key::RETRY_TOPIC).unwrap_or(wire_topic));
    if all.get("ORIGIN_MESSAGE_ID").is_none() {
        write_property(&mut text, "ORIGIN_MESSAGE_ID", &message.message_id());
    }
    if let Some(tries) = tries {
        write_property(&mut text, key::DELAY, &FIRST_LEVEL.saturating_add(tries).to_string());
    }
    text
}
