//! Pulling: Java's checks in Java's order, then the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::broker::{Broker, BrokerSet, MASTER};
use super::call::{self, Call, Handled};
use super::filter::Filter;
use super::hold::Held;
use super::name_server::FAQ;
use super::store::{Read, Status};
use crate::code::ResponseCode;
use crate::protocol::request::headers;
use crate::protocol::rpc::pull::{PullMessage, PullReply, pull_flag};
use crate::protocol::rpc::topic::perm;

headers! {
    /// What the answer to a refused pull carries.
    pub(crate) struct Forbidden {
        "forbiddenType" => forbidden_type: Option<i32>,
    }
}

/// Java's names for who forbids a pull.
mod forbidden {
    pub(super) const BROKER: i32 = 1;
    pub(super) const GROUP: i32 = 2;
    pub(super) const TOPIC: i32 = 3;
}

/// A longer hold than this is cut: it only keeps memory.
const MAX_HOLD: Duration = Duration::from_secs(3600);

/// A refusal: code, remark, and for code 16 who forbids it.
struct Refusal(ResponseCode, String, Option<i32>);

impl Broker {
    pub(super) fn pull(&self, call: &mut Call<'_>) -> Handled {
        if self.is_slave() && !self.set.settings.slave_read {
            let remark = "[REJECTREQUEST]system busy, start flow control for a while";
            return call.error(ResponseCode::SYSTEM_BUSY, remark);
        }
        let pull: PullMessage = match call.frame.header() {
            Ok(pull) => pull,
            Err(error) => return call.unreadable(&error),
        };
        let filter = match self.admit(call, &pull) {
            Ok(filter) => filter,
            Err(Refusal(code, remark, forbidden_type)) => {
                return call.reply(code, Some(&remark), &Forbidden { forbidden_type }, &[]);
            }
        };
        let read = read(&self.set, &pull, &filter);
        let (code, _) = self.set.outcome(self.member().id, &pull, &read);
        if pull.sys_flag & pull_flag::COMMIT_OFFSET != 0 {
            self.set.offsets.commit(&pull.consumer_group, &pull.topic, pull.queue_id, pull.commit_offset);
        }
        let holds = code == ResponseCode::PULL_NOT_FOUND && pull.sys_flag & pull_flag::SUSPEND != 0;
        if holds && call.may_hold && !call.frame.is_oneway() {
            return self.hold(call, pull, filter);
        }
        write(&self.set, self.member().id, call.frame.opaque, &pull, &read, call.out);
        Handled::Answered
    }

    fn admit(&self, call: &Call<'_>, pull: &PullMessage) -> Result<Filter, Refusal> {
        let refuse = |code, remark: String| Err(Refusal(code, remark, None));
        let forbid = |remark: String, by| Err(Refusal(ResponseCode::NO_PERMISSION, remark, Some(by)));
        if self.set.perm.load(Ordering::SeqCst) & perm::READ == 0 {
            let ip = self.member().addr.ip();
            return forbid(format!("the broker[{ip}] pulling message is forbidden"), forbidden::BROKER);
        }
        let group = &pull.consumer_group;
        if !self.set.offsets.ensure_group(group) {
            let remark = format!("subscription group [{group}] does not exist, {FAQ}");
            return refuse(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
        }
        if self.set.offsets.is_disabled(group) {
            return forbid(format!("subscription group no permission, {group}"), forbidden::GROUP);
        }
        let name = &pull.topic;
        let Some(topic) = self.set.topics.get(name) else {
            let remark = format!("topic[{name}] not exist, apply first please! {FAQ}");
            return refuse(ResponseCode::TOPIC_NOT_EXIST, remark);
        };
        if !topic.is_readable() {
            return forbid(format!("the topic[{name}] pulling message is forbidden"), forbidden::TOPIC);
        }
        if !(0..topic.read_queues).contains(&pull.queue_id) {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{name}] topicConfig.readQueueNums:[{}] consumer:[/{}]",
                pull.queue_id, topic.read_queues, call.link.peer
            );
            return refuse(ResponseCode::INVALID_PARAMETER, remark);
        }
        if pull.sys_flag & pull_flag::SUBSCRIPTION != 0 {
            let expression = pull.subscription.as_deref().unwrap_or_default();
            return Filter::pulled(expression, pull.expression_type.as_deref()).or_else(|_| {
                let remark = "parse the consumer's subscription failed".to_owned();
                refuse(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
            });
        }
        self.groups.subscription(group, name, pull.sub_version).or_else(|(code, remark)| refuse(code, remark))
    }

    fn hold(&self, call: &mut Call<'_>, pull: PullMessage, filter: Filter) -> Handled {
        let until = Instant::now() + pull.suspend_timeout.min(MAX_HOLD);
        let (topic, queue_id, offset) = (pull.topic.clone(), pull.queue_id, pull.queue_offset);
        let held = Held { pull, filter, opaque: call.frame.opaque, link: call.link.clone(), until };
        let holds = &self.member().holds;
        match holds.add(held) {
            Ok(id) => {
                // A message that came between reading and holding has woken nobody.
                if self.set.store().max_offset(&topic, queue_id) > offset {
                    if let Some(held) = holds.take(id) {
                        answer(&self.set, self.member().id, held.opaque, &held.pull, &held.filter, call.out);
                        return Handled::Answered;
                    }
                }
                self.set.clock.look_at(until);
                Handled::Held
            }
            Err(held) => {
                answer(&self.set, self.member().id, held.opaque, &held.pull, &held.filter, call.out);
                Handled::Answered
            }
        }
    }
}

impl BrokerSet {
    /// The code of a read's answer, and which broker id to ask next.
    fn outcome(&self, broker_id: i64, pull: &PullMessage, read: &Read) -> (ResponseCode, i64) {
        let code = match read.status {
            Status::Found => ResponseCode::SUCCESS,
            Status::NoMatchedMessage => ResponseCode::PULL_RETRY_IMMEDIATELY,
            Status::NoMessageInQueue if pull.queue_offset == 0 => ResponseCode::PULL_NOT_FOUND,
            Status::OffsetOverflowOne => ResponseCode::PULL_NOT_FOUND,
            Status::NoMessageInQueue | Status::OffsetOverflowBadly | Status::OffsetTooSmall | Status::OffsetReset => {
                ResponseCode::PULL_OFFSET_MOVED
            }
        };
        let suggested = self.suggested.load(Ordering::SeqCst);
        if broker_id == MASTER {
            return (code, suggested);
        }
        // A slave sends readers that do not lag back to a living master, and corrects no offsets.
        let back = suggested == MASTER && self.has_master();
        let moved = code == ResponseCode::PULL_OFFSET_MOVED;
        if moved || (back && code != ResponseCode::SUCCESS) {
            return (ResponseCode::PULL_RETRY_IMMEDIATELY, MASTER);
        }
        (code, suggested)
    }
}

fn read(set: &BrokerSet, pull: &PullMessage, filter: &Filter) -> Read {
    let messages = usize::try_from(pull.max_messages).unwrap_or(0);
    if let Some(offset) = set.offsets.take_reset(&pull.consumer_group, &pull.topic, pull.queue_id) {
        return set.store().elsewhere(&pull.topic, pull.queue_id, offset);
    }
    // Apache's brokers do not look at how many bytes are wished for (maxMsgBytes).
    let store = set.store();
    store.read(&pull.topic, pull.queue_id, pull.queue_offset, messages, usize::MAX, |entry| filter.matches(entry))
}

/// Reads and appends the answer, without holding.
pub(super) fn answer(
    set: &BrokerSet,
    broker_id: i64,
    opaque: i32,
    pull: &PullMessage,
    filter: &Filter,
    out: &mut Vec<u8>,
) {
    let read = read(set, pull, filter);
    write(set, broker_id, opaque, pull, &read, out);
}

fn write(set: &BrokerSet, broker_id: i64, opaque: i32, pull: &PullMessage, read: &Read, out: &mut Vec<u8>) {
    let (code, suggested) = set.outcome(broker_id, pull, read);
    set.offsets.pull(&pull.consumer_group, &pull.topic, pull.queue_id, read.next);
    let found = matches!(read.status, Status::Found | Status::NoMatchedMessage);
    let header = PullReply {
        suggested_broker_id: Some(suggested),
        // Only a master corrects offsets.
        next_begin_offset: if found || broker_id == MASTER { read.next } else { pull.queue_offset },
        min_offset: read.min,
        max_offset: read.max,
        topic_sys_flag: Some(0),
        group_sys_flag: Some(0),
        offset_delta: None,
        forbidden_type: None,
    };
    let records: &[Arc<[u8]>] = if code == ResponseCode::SUCCESS { &read.records } else { &[] };
    set.handed_out(&pull.consumer_group, &pull.topic, records);
    call::reply(out, opaque, code, Some(read.status.name()), &header, records);
}
