//! Sending: Java's checks in Java's order, then the store, or for delayed messages the park.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::delay::{self, Delay};
use super::name_server::FAQ;
use super::priority;
use super::records::{Known, NewRecord, plain};
use super::topics::{self, DEAD_LETTER_PREFIX, RETRY_PREFIX, Topic};
use super::transaction;
use crate::code::{RequestCode, ResponseCode};
use crate::error::{Error, Result};
use crate::message::{find_in_wire, key, write_property};
use crate::protocol::batch;
use crate::protocol::frame::Frame;
use crate::protocol::request::headers;
use crate::protocol::rpc::send::{DEFAULT_REGION, SendReply};
use crate::protocol::rpc::topic::perm;

/// Java's limit for a message's properties in bytes.
const MAX_PROPERTIES: usize = i16::MAX as usize;
/// How often a message is retried unless its group says otherwise.
const MAX_RECONSUME_TIMES: i32 = 16;

/// The fields of a send, from the long names (code 10) or the short ones.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) topic: Cow<'a, str>,
    pub(super) default_topic: Cow<'a, str>,
    pub(super) default_queues: i32,
    pub(super) queue_id: i32,
    pub(super) sys_flag: i32,
    pub(super) born_timestamp: i64,
    pub(super) flag: i32,
    pub(super) properties: Cow<'a, str>,
    pub(super) reconsume_times: i32,
    pub(super) max_reconsume_times: Option<i32>,
    pub(super) batch: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn read(frame: &'a Frame) -> Result<Fields<'a>> {
        let long = matches!(frame.request_code(), RequestCode::SEND_MESSAGE | RequestCode::SEND_REPLY_MESSAGE);
        let mut fields = Fields::default();
        // One bit for each field that must be there.
        let mut seen = 0u16;
        for field in frame.fields() {
            let (name, value) = field?;
            let name = if long { short_name(&name) } else { name.as_ref() };
            let bit = match name {
                "a" => 1,
                "b" => {
                    fields.topic = value;
                    2
                }
                "c" => {
                    fields.default_topic = value;
                    4
                }
                "d" => number(&value, &mut fields.default_queues, 8)?,
                "e" => number(&value, &mut fields.queue_id, 16)?,
                "f" => number(&value, &mut fields.sys_flag, 32)?,
                "g" => number(&value, &mut fields.born_timestamp, 64)?,
                "h" => number(&value, &mut fields.flag, 128)?,
                "i" => {
                    fields.properties = value;
                    0
                }
                "j" => number(&value, &mut fields.reconsume_times, 0)?,
                "l" => {
                    let mut times = 0;
                    number(&value, &mut times, 0)?;
                    fields.max_reconsume_times = Some(times);
                    0
                }
                "m" => {
                    fields.batch = value.eq_ignore_ascii_case("true");
                    0
                }
                _ => 0,
            };
            seen |= bit;
        }
        match (!seen & 0xFF).trailing_zeros() {
            missing @ 0..8 => {
                let short = char::from(b'a' + missing as u8);
                Err(Error::malformed(format!("the custom field <{short}> is null")))
            }
            _ => Ok(fields),
        }
    }
}

fn number<T: std::str::FromStr>(text: &str, into: &mut T, bit: u16) -> Result<u16> {
    *into = text
        .parse()
        .map_err(|_| Error::malformed(format!("java.lang.NumberFormatException: For input string: {text:?}")))?;
    Ok(bit)
}

fn short_name(long: &str) -> &'static str {
    match long {
        "producerGroup" => "a",
        "topic" => "b",
        "defaultTopic" => "c",
        "defaultTopicQueueNums" => "d",
        "queueId" => "e",
        "sysFlag" => "f",
        "bornTimestamp" => "g",
        "flag" => "h",
        "properties" => "i",
        "reconsumeTimes" => "j",
        "maxReconsumeTimes" => "l",
        "batch" => "m",
        _ => "",
    }
}

headers! {
    /// What the answer to a refused send carries.
    pub(crate) struct Refused {
        "MSG_REGION" => region: String,
        "TRACE_ON" => trace_on: bool,
    }
}

/// A refusal: code and remark.
pub(super) struct Refusal(pub(super) ResponseCode, pub(super) String);

fn refuse<T>(code: ResponseCode, remark: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(code, remark.into()))
}

impl Broker {
    pub(super) fn send(&self, call: &mut Call<'_>) -> Handled {
        let frame = call.frame;
        let mut fields = match Fields::read(frame) {
            Ok(fields) => fields,
            Err(error) => return call.unreadable(&error),
        };
        if frame.body().is_empty() {
            // Java's broker stumbles over the absent body before it checks anything.
            let remark = "java.lang.NullPointerException: Cannot read the array length because the return value of \
                          \"org.apache.rocketmq.remoting.protocol.RemotingCommand.getBody()\" is null";
            return call.error(ResponseCode::SYSTEM_ERROR, remark);
        }
        let stored = self.admit_send(&fields, call).and_then(|topic| {
            let queue_id = pick_queue(&fields, &topic)?;
            if fields.batch {
                self.store_batch(&fields, call, &topic, queue_id)
            } else {
                let queue_id = priority::settle(&mut fields.properties, &topic, queue_id);
                self.store_one(&fields, call, &topic, queue_id)
            }
        });
        match stored {
            Ok(reply) => call.fields(&reply),
            // What Java throws is answered outside the processor, which has set the fields by then.
            Err(Refusal(ResponseCode::SYSTEM_ERROR, remark)) => call.error(ResponseCode::SYSTEM_ERROR, &remark),
            Err(Refusal(code, remark)) => {
                let header = Refused { region: DEFAULT_REGION.to_owned(), trace_on: true };
                call.reply(code, Some(&remark), &header, &[])
            }
        }
    }

    pub(super) fn admit_send(&self, fields: &Fields<'_>, call: &Call<'_>) -> Result<Arc<Topic>, Refusal> {
        let name = fields.topic.as_ref();
        let known = self.set.topics.get(name);
        let writable = self.set.perm.load(Ordering::SeqCst) & perm::WRITE != 0;
        // As in Java only ordered topics mind; clients keep away by the route.
        if !writable && known.as_ref().is_some_and(|topic| topic.order) {
            let ip = self.member().addr.ip();
            return refuse(ResponseCode::NO_PERMISSION, format!("the broker[{ip}] sending message is forbidden"));
        }
        if let Err(remark) = topics::check_topic(name) {
            return refuse(ResponseCode::INVALID_PARAMETER, remark);
        }
        if topics::is_forbidden(name) {
            return refuse(ResponseCode::NO_PERMISSION, format!("Sending message to topic[{name}] is forbidden."));
        }
        let topic = known
            .or_else(|| self.set.topics.create_by_sending(name, &fields.default_topic, fields.default_queues))
            .or_else(|| name.starts_with(RETRY_PREFIX).then(|| self.set.topics.create(Topic::new(name, 1))));
        let Some(topic) = topic else {
            let remark = format!("topic[{name}] not exist, apply first please!{FAQ}");
            return refuse(ResponseCode::TOPIC_NOT_EXIST, remark);
        };
        if fields.queue_id >= topic.write_queues.max(topic.read_queues) {
            let (id, text, peer) = (fields.queue_id, topic.java_text(), call.link.peer);
            let remark = format!("request queueId[{id}] is illegal, {text} Producer: {peer}");
            return refuse(ResponseCode::INVALID_PARAMETER, remark);
        }
        Ok(topic)
    }

    fn store_one(
        &self,
        fields: &Fields<'_>,
        call: &Call<'_>,
        topic: &Arc<Topic>,
        queue_id: i32,
    ) -> Result<SendReply, Refusal> {
        let (target, target_queue, dead) = self.target(fields, &topic.name, queue_id)?;
        let mut properties = complete(&fields.properties, &self.set.settings.cluster);
        let known = Known::new(&fields.properties);
        let unique_id = known.unique_id.map(str::to_owned).unwrap_or_else(|| {
            let id = format!("{:032X}", fastrand::u128(..));
            write_property(&mut properties, key::UNIQUE_ID, &id);
            id
        });
        // Retries by old clients still carry the mark.
        let retried = fields.reconsume_times > 0 && known.delay.is_some();
        let half = !retried && known.prepared.is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        if half && !self.set.settings.transactions.enabled {
            let ip = self.member().addr.ip();
            let remark = format!("the broker[{ip}] sending transaction message is forbidden");
            return refuse(ResponseCode::NO_PERMISSION, remark);
        }
        self.check_writable()?;
        let mut new = NewRecord {
            topic: target,
            queue_id: target_queue,
            body: call.frame.body_bytes(),
            properties: Bytes::new(),
            ..self.blank(fields, call)
        };
        // That of a half message counts from its commit.
        let delay = if dead || half { Delay::None } else { delay::requested(&known)? };
        let parked = delay.park(&mut new, &mut properties);
        if half {
            transaction::park(&mut new, &mut properties, &unique_id);
        }
        let recall_handle = delay.recall_handle(&self.set, &topic.name, &unique_id);
        if new.body.len() > self.set.settings.message_limit || properties.len() > MAX_PROPERTIES {
            return Err(self.too_large());
        }
        new.properties = properties.into();
        let place = self.set.put(&new);
        if let Some(deliver_at) = parked {
            self.set.deliver_later(&delay, deliver_at, place.sequence);
        }
        if half {
            self.set.half_stored(&place);
        }
        let msg_id = self.set.message_id(place.commit_log_offset);
        Ok(SendReply { recall_handle, ..reply(msg_id, target_queue, place.queue_offset, Some(unique_id)) })
    }

    /// Where a message goes: to its topic, or from a retry topic that was retried too often to the dead letters.
    fn target(&self, fields: &Fields<'_>, topic: &Arc<str>, queue_id: i32) -> Result<(Arc<str>, i32, bool), Refusal> {
        let Some(group) = topic.strip_prefix(RETRY_PREFIX) else { return Ok((topic.clone(), queue_id, false)) };
        if !self.set.offsets.ensure_group(&group.into()) {
            let remark = format!("subscription group not exist, {group} {FAQ}");
            return refuse(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
        }
        let again = fields.reconsume_times <= fields.max_reconsume_times.unwrap_or(MAX_RECONSUME_TIMES);
        if again && !self.locks.has(group) {
            return Ok((topic.clone(), queue_id, false));
        }
        let dead = self.set.topics.create(Topic::new(format!("{DEAD_LETTER_PREFIX}{group}"), 1));
        Ok((dead.name.clone(), 0, true))
    }

    fn store_batch(
        &self,
        fields: &Fields<'_>,
        call: &Call<'_>,
        topic: &Arc<Topic>,
        queue_id: i32,
    ) -> Result<SendReply, Refusal> {
        if topic.name.starts_with(RETRY_PREFIX) {
            let remark = format!("batch request does not support retry group {}", topic.name);
            return refuse(ResponseCode::MESSAGE_ILLEGAL, remark);
        }
        self.check_writable()?;
        let body = call.frame.body_bytes();
        if body.len() > self.set.settings.message_limit {
            let remark = "java.lang.RuntimeException: message body size exceeded, \
                          org.apache.rocketmq.store.MessageExtEncoder.encode(MessageExtEncoder.java)";
            return refuse(ResponseCode::SYSTEM_ERROR, remark);
        }
        let delayed = find_in_wire(&fields.properties, key::DELAY).is_some_and(|level| level != "0");
        let items = match batch::decode(&body) {
            Ok(items) if !items.is_empty() && !delayed => items,
            Ok(_) => return Err(self.too_large()),
            Err(error) => {
                let remark = format!("java.lang.IllegalArgumentException: newPosition > limit: {error}");
                return refuse(ResponseCode::SYSTEM_ERROR, remark);
            }
        };
        // Since 5.4 the members keep their own properties and get none of the batch's.
        let blank = NewRecord { topic: topic.name.clone(), queue_id, ..self.blank(fields, call) };
        let unique_id = find_in_wire(&fields.properties, key::UNIQUE_ID).map(str::to_owned);
        if unique_id.is_some() && topic.stores_inner_batches() {
            let reply = reply(String::new(), queue_id, 0, unique_id);
            return Ok(self.store_inner_batch(NewRecord { body, ..blank }, &fields.properties, items.len(), reply));
        }
        let mut ids = Vec::with_capacity(items.len());
        let mut first = None;
        for item in items {
            let properties = match std::str::from_utf8(&item.properties) {
                Ok(_) => item.properties,
                Err(_) => String::from_utf8_lossy(&item.properties).into_owned().into(),
            };
            let place = self.set.put(&NewRecord { flag: item.flag, body: item.body, properties, ..blank.clone() });
            first.get_or_insert(place.queue_offset);
            ids.push(self.set.message_id(place.commit_log_offset));
        }
        Ok(reply(ids.join(","), queue_id, first.unwrap_or(0), unique_id))
    }

    pub(super) fn blank(&self, fields: &Fields<'_>, call: &Call<'_>) -> NewRecord {
        NewRecord {
            topic: "".into(),
            queue_id: 0,
            flag: fields.flag,
            sys_flag: fields.sys_flag,
            born_timestamp: fields.born_timestamp,
            born_host: plain(call.link.peer),
            store_host: self.set.store_host(),
            reconsume_times: fields.reconsume_times,
            body: Bytes::new(),
            properties: Bytes::new(),
        }
    }

    /// A slave stores nothing for clients, and a full disk nothing at all.
    pub(super) fn check_writable(&self) -> Result<(), Refusal> {
        self.unavailable().map_or(Ok(()), |remark| refuse(ResponseCode::SERVICE_NOT_AVAILABLE, remark))
    }

    fn too_large(&self) -> Refusal {
        let remark = format!(
            "the message is illegal, maybe msg body or properties length not matched. msg body length limit {}B, msg \
             properties length limit 32KB.",
            self.set.settings.message_limit
        );
        Refusal(ResponseCode::MESSAGE_ILLEGAL, remark)
    }
}

pub(super) fn pick_queue(fields: &Fields<'_>, topic: &Topic) -> Result<i32, Refusal> {
    match (fields.queue_id, topic.write_queues) {
        (id, _) if id >= 0 => Ok(id),
        (_, 1..) => Ok(fastrand::i32(0..topic.write_queues)),
        _ => refuse(ResponseCode::SYSTEM_ERROR, "java.lang.ArithmeticException: / by zero"),
    }
}

/// Adds what the broker adds to a message's properties.
fn complete(sent: &str, cluster: &str) -> String {
    let mut properties = String::with_capacity(sent.len() + 160);
    properties.push_str(sent);
    if !sent.is_empty() && !sent.ends_with('\u{2}') {
        properties.push('\u{2}');
    }
    write_property(&mut properties, key::REGION, DEFAULT_REGION);
    write_property(&mut properties, key::TRACE_ON, "true");
    write_property(&mut properties, key::CLUSTER, cluster);
    properties
}

pub(super) fn reply(msg_id: String, queue_id: i32, queue_offset: i64, unique_id: Option<String>) -> SendReply {
    SendReply {
        msg_id,
        queue_id,
        queue_offset,
        transaction_id: unique_id,
        batch_unique_id: None,
        recall_handle: None,
        region_id: Cow::Borrowed(DEFAULT_REGION),
        trace_on: true,
    }
}
