//! Messages that consumers could not process: stored again under the group's retry topic, or its dead letters.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::delay;
use super::name_server::FAQ;
use super::records::{Known, NewRecord};
use super::send::Refusal;
use super::topics::{DEAD_LETTER_PREFIX, RETRY_PREFIX, Topic};
use crate::code::ResponseCode;
use crate::message::{find_in_wire, key, write_property};
use crate::protocol::request::headers;
use crate::protocol::rpc::topic::perm;

headers! {
    /// Gives a message back.
    pub(crate) struct SendBack {
        "offset" => offset: i64,
        "group" => group: Arc<str>,
        "delayLevel" => delay_level: i32,
        "originMsgId" => origin_message_id: Option<String>,
        "originTopic" => origin_topic: Option<String>,
        "maxReconsumeTimes" => max_reconsume_times: Option<i32>,
    }
}

const MAX_RECONSUME_TIMES: i32 = 16;
const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Level 0 leaves the delay to the broker: this many levels above the number of attempts.
const FIRST_LEVEL: i32 = 3;

impl Broker {
    pub(super) fn send_back(&self, call: &mut Call<'_>) -> Handled {
        let asked: SendBack = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        match self.take_back(&asked) {
            Ok(()) => call.done(),
            Err(Refusal(code, remark)) => call.error(code, &remark),
        }
    }

    fn take_back(&self, asked: &SendBack) -> Result<(), Refusal> {
        let group = &asked.group;
        if !self.set.offsets.ensure_group(group) {
            let remark = format!("subscription group not exist, {group} {FAQ}");
            return Err(Refusal(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if self.set.perm.load(Ordering::SeqCst) & perm::WRITE == 0 {
            let remark = format!("the broker[{}] sending message is forbidden", self.member().addr.ip());
            return Err(Refusal(ResponseCode::NO_PERMISSION, remark));
        }
        self.check_writable()?;
        let record = self.set.store().at(asked.offset).map(|entry| entry.record.clone());
        let Some(mut new) = record.as_deref().and_then(NewRecord::from_record) else {
            let remark = format!("look message by offset failed, {}", asked.offset);
            return Err(Refusal(ResponseCode::SYSTEM_ERROR, remark));
        };
        let mut properties = without(new.properties(), &[key::DELAY, key::REAL_TOPIC, key::REAL_QUEUE_ID]);
        if find_in_wire(&properties, key::RETRY_TOPIC).is_none() {
            write_property(&mut properties, key::RETRY_TOPIC, &new.topic);
        }
        if find_in_wire(&properties, ORIGIN_MESSAGE_ID).is_none() {
            if let Some(id) = &asked.origin_message_id {
                write_property(&mut properties, ORIGIN_MESSAGE_ID, id);
            }
        }
        let limit = asked.max_reconsume_times.unwrap_or(MAX_RECONSUME_TIMES);
        if new.reconsume_times >= limit || asked.delay_level < 0 {
            let dead = self.set.topics.create(Topic::new(format!("{DEAD_LETTER_PREFIX}{group}"), 1));
            new.topic = dead.name.clone();
        } else {
            let retry = self.set.topics.create(Topic::new(format!("{RETRY_PREFIX}{group}"), 1));
            new.topic = retry.name.clone();
            let level = if asked.delay_level == 0 { FIRST_LEVEL + new.reconsume_times } else { asked.delay_level };
            write_property(&mut properties, key::DELAY, &level.to_string());
        }
        new.queue_id = 0;
        new.reconsume_times += 1;
        new.store_host = self.set.store_host();
        let delay = delay::requested(&Known::new(&properties))?;
        let parked = delay.park(&mut new, &mut properties);
        new.properties = properties.into();
        let place = self.set.put(&new);
        if let Some(when) = parked {
            self.set.deliver_later(&delay, when, place.sequence);
        }
        Ok(())
    }
}

/// Copies properties but for some.
pub(super) fn without(properties: &str, names: &[&str]) -> String {
    let mut left = String::with_capacity(properties.len() + 128);
    for segment in properties.split_inclusive('\u{2}') {
        if !segment.split_once('\u{1}').is_some_and(|(name, _)| names.contains(&name)) {
            left.push_str(segment);
        }
    }
    left
}
