//! One prepared message, sent once to one broker: what producers, and later send-back, replies and trace stand on.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::code::ResponseCode;
use crate::error::Result;
use crate::message::MessageQueue;
use crate::protocol::request::Answer;
use crate::protocol::rpc::send::{SendMessage, SendReply};

/// What a broker says about how durably it stored a message. All four mean that it is stored on the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendStatus {
    /// Stored as durably as the broker is configured to (`SEND_OK`).
    Ok,
    /// Stored, but not yet on disk when the broker's time for that was over (`FLUSH_DISK_TIMEOUT`).
    FlushDiskTimeout,
    /// Stored, but not yet on a slave when the broker's time for that was over (`FLUSH_SLAVE_TIMEOUT`).
    FlushSlaveTimeout,
    /// Stored, but there is no slave to copy it to (`SLAVE_NOT_AVAILABLE`).
    SlaveNotAvailable,
}

impl SendStatus {
    fn of(code: ResponseCode) -> SendStatus {
        match code {
            ResponseCode::FLUSH_DISK_TIMEOUT => SendStatus::FlushDiskTimeout,
            ResponseCode::FLUSH_SLAVE_TIMEOUT => SendStatus::FlushSlaveTimeout,
            ResponseCode::SLAVE_NOT_AVAILABLE => SendStatus::SlaveNotAvailable,
            _ => SendStatus::Ok,
        }
    }
}

impl fmt::Display for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendStatus::Ok => "SEND_OK",
            SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
            SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        })
    }
}

/// Where and how a message, or a batch, was stored. It prints on one line.
#[derive(Debug, Clone, PartialEq)]
pub struct SendResult {
    status: SendStatus,
    message_id: Arc<str>,
    reply: SendReply,
    queue: MessageQueue,
    attempts: u32,
    may_be_duplicated: bool,
}

impl SendResult {
    /// Returns how durably the message is stored.
    pub fn status(&self) -> SendStatus {
        self.status
    }

    /// Returns the unique id the message was given when it was sent (Java: `getMsgId`); of a batch all of them, joined by
    /// commas. [`Client::find_message`](crate::Client::find_message) takes it.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Iterates over the unique ids: one, or those of a batch in its order.
    pub fn message_ids(&self) -> impl Iterator<Item = &str> {
        self.message_id.split(',')
    }

    /// Returns the broker's own id: its address and the position in its commit log (Java: `getOffsetMsgId`); of a batch all,
    /// joined by commas. [`Client::view_message`](crate::Client::view_message) takes it.
    pub fn offset_message_id(&self) -> &str {
        &self.reply.msg_id
    }

    /// Returns the queue the message was stored in.
    pub fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// Returns the message's place in its queue; of a batch that of its first message.
    pub fn queue_offset(&self) -> i64 {
        self.reply.queue_offset
    }

    /// Returns the transaction id, which brokers 5.0 and later set to the unique id.
    pub fn transaction_id(&self) -> Option<&str> {
        self.reply.transaction_id.as_deref()
    }

    /// Returns the handle by which a timer message can be recalled (brokers 5.3.2 and later that allow it).
    pub fn recall_handle(&self) -> Option<&str> {
        self.reply.recall_handle.as_deref()
    }

    /// Returns the broker's region.
    pub fn region_id(&self) -> &str {
        &self.reply.region_id
    }

    /// Whether the broker wants traces.
    pub(crate) fn trace_on(&self) -> bool {
        self.reply.trace_on
    }

    /// Returns how many attempts were made, the successful one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns whether an earlier attempt may have been stored too. All attempts carry the same unique id.
    pub fn may_be_duplicated(&self) -> bool {
        self.may_be_duplicated
    }

    /// Of a batch's result, makes that of the message at `place` in it.
    pub(crate) fn of_member(&self, place: usize, message_id: Arc<str>, offset_message_id: &str) -> SendResult {
        let reply = SendReply {
            msg_id: offset_message_id.to_owned(),
            queue_id: self.reply.queue_id,
            queue_offset: self.reply.queue_offset + i64::try_from(place).unwrap_or(0),
            transaction_id: self.reply.transaction_id.clone(),
            batch_unique_id: None,
            recall_handle: None,
            region_id: self.reply.region_id.clone(),
            trace_on: self.reply.trace_on,
        };
        SendResult { message_id, reply, queue: self.queue.clone(), ..*self }
    }
}

impl fmt::Display for SendResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {} at {}", self.status, self.message_id, self.queue, self.reply.queue_offset)?;
        if self.attempts > 1 {
            write!(f, " after {} attempts", self.attempts)?;
        }
        if self.may_be_duplicated {
            f.write_str(", perhaps twice")?;
        }
        Ok(())
    }
}

/// A message, or a batch, in the form in which it is sent: checked, compressed, with its unique id.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) topic: Arc<str>,
    pub(crate) body: Bytes,
    pub(crate) sys_flag: i32,
    pub(crate) flag: i32,
    pub(crate) properties: String,
    /// The unique id; of a batch all, joined by commas.
    pub(crate) message_id: Arc<str>,
    pub(crate) batch: bool,
}

/// What a producer adds to each of its requests.
#[derive(Debug, Clone)]
pub(crate) struct SendSettings {
    pub(crate) group: Arc<str>,
    /// The topic whose settings a topic made by a send takes over (Java: `createTopicKey`).
    pub(crate) template_topic: Arc<str>,
    pub(crate) default_queues: i32,
    pub(crate) unit_mode: bool,
}

impl Prepared {
    /// Makes the request for one attempt at one queue. Everything that depends on the broker is made anew each time.
    pub(crate) fn request(&self, settings: &SendSettings, queue: &MessageQueue) -> SendMessage {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        SendMessage {
            producer_group: settings.group.clone(),
            topic: self.topic.clone(),
            default_topic: settings.template_topic.clone(),
            default_topic_queues: settings.default_queues,
            queue_id: queue.queue_id(),
            sys_flag: self.sys_flag,
            born_timestamp: i64::try_from(now).unwrap_or(0),
            flag: self.flag,
            properties: Some(self.properties.clone()),
            reconsume_times: Some(0),
            unit_mode: Some(settings.unit_mode),
            max_reconsume_times: None,
            batch: Some(self.batch),
            broker_name: Some(queue.shared_broker_name().clone()),
        }
    }

    /// Reads the answer to it. `attempts` is the number of this attempt, from 1.
    pub(crate) fn result(
        &self,
        answer: &Answer<SendMessage>,
        queue: &MessageQueue,
        attempts: u32,
        may_be_duplicated: bool,
    ) -> Result<SendResult> {
        let (reply, message_id) = (answer.header()?, self.message_id.clone());
        let (topic, broker_name) = (queue.shared_topic().clone(), queue.shared_broker_name().clone());
        let queue = MessageQueue::new(topic, broker_name, reply.queue_id);
        let status = SendStatus::of(answer.code());
        Ok(SendResult { status, message_id, reply, queue, attempts, may_be_duplicated })
    }

    /// Looks a property up in the wire form.
    #[cfg(test)]
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        crate::message::Properties::from_wire(&self.properties).get(name).map(str::to_owned)
    }
}
