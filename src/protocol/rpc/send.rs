//! Sending.

use std::borrow::Cow;
use std::sync::Arc;

use crate::code::{RequestCode, ResponseCode};
use crate::error::{Error, Result};
use crate::message::{REPLY_TOPIC_SUFFIX, find_in_wire, is_reply_type, key};
use crate::protocol::fields::{Field, FieldSink, FieldSource, Header};
use crate::protocol::request::{Request, headers};

headers! {
    /// Stores one message, or a batch of them (Java: `SendMessageRequestHeaderV2`).
    pub(crate) struct SendMessage {
        "a" => producer_group: Arc<str>,
        "b" => topic: Arc<str>,
        /// The topic whose settings a topic made by this send takes over.
        "c" => default_topic: Arc<str>,
        "d" => default_topic_queues: i32,
        /// Negative: the broker picks one at random.
        "e" => queue_id: i32,
        "f" => sys_flag: i32,
        "g" => born_timestamp: i64,
        "h" => flag: i32,
        "i" => properties: Option<String>,
        "j" => reconsume_times: Option<i32>,
        "k" => unit_mode: Option<bool>,
        "l" => max_reconsume_times: Option<i32>,
        /// True makes it a batch, sent under its own code.
        "m" => batch: Option<bool>,
        "n" => broker_name: Option<Arc<str>>,
    }
}

impl Request for SendMessage {
    type Reply = SendReply;

    /// The three that are not success mean stored, but less durably than asked for.
    const ANSWERS: &'static [ResponseCode] = &[
        ResponseCode::SUCCESS,
        ResponseCode::FLUSH_DISK_TIMEOUT,
        ResponseCode::SLAVE_NOT_AVAILABLE,
        ResponseCode::FLUSH_SLAVE_TIMEOUT,
    ];

    const IS_FREQUENT: bool = true;

    fn code(&self) -> RequestCode {
        if self.batch == Some(true) {
            RequestCode::SEND_BATCH_MESSAGE
        } else if self.is_reply() {
            RequestCode::SEND_REPLY_MESSAGE_V2
        } else {
            RequestCode::SEND_MESSAGE_V2
        }
    }
}

impl SendMessage {
    /// Whether it is for the broker to hand to a client that waits. Replies go to topics of their own, so that the properties of
    /// other messages need not be searched.
    fn is_reply(&self) -> bool {
        let properties = || self.properties.as_deref().unwrap_or_default();
        self.topic.ends_with(REPLY_TOPIC_SUFFIX) && is_reply_type(find_in_wire(properties(), key::MESSAGE_TYPE))
    }
}

/// The region of a broker that is not told otherwise.
pub(crate) const DEFAULT_REGION: &str = "DefaultRegion";

/// The answer to a send. Written out instead of tabled, because it is decoded once per message: what has its usual value
/// is not copied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SendReply {
    /// The offset message id, of a batch several, joined by commas.
    pub(crate) msg_id: String,
    pub(crate) queue_id: i32,
    /// Of a batch: that of its first message.
    pub(crate) queue_offset: i64,
    /// Brokers 5.0 and later repeat the unique id here.
    pub(crate) transaction_id: Option<String>,
    pub(crate) batch_unique_id: Option<String>,
    pub(crate) recall_handle: Option<String>,
    pub(crate) region_id: Cow<'static, str>,
    pub(crate) trace_on: bool,
}

impl Header for SendReply {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        sink.text("MSG_REGION", &self.region_id);
        self.trace_on.put("TRACE_ON", sink);
        self.batch_unique_id.put("batchUniqId", sink);
        self.msg_id.put("msgId", sink);
        self.queue_id.put("queueId", sink);
        self.queue_offset.put("queueOffset", sink);
        self.recall_handle.put("recallHandle", sink);
        self.transaction_id.put("transactionId", sink);
    }

    fn take(mut fields: FieldSource<'_>) -> Result<SendReply> {
        let mut reply = SendReply {
            msg_id: String::new(),
            queue_id: -1,
            queue_offset: -1,
            transaction_id: None,
            batch_unique_id: None,
            recall_handle: None,
            region_id: Cow::Borrowed(DEFAULT_REGION),
            trace_on: true,
        };
        let (mut queue_id, mut queue_offset) = (None, None);
        while let Some((name, value)) = fields.next_raw()? {
            match &*name.unescaped() {
                b"msgId" => reply.msg_id = value.into_string(),
                b"queueId" => queue_id = Some(value.number("queueId")?),
                b"queueOffset" => queue_offset = Some(value.number("queueOffset")?),
                b"transactionId" => reply.transaction_id = Some(value.into_string()),
                b"batchUniqId" => reply.batch_unique_id = Some(value.into_string()),
                b"recallHandle" => reply.recall_handle = Some(value.into_string()),
                b"MSG_REGION" if !value.is(DEFAULT_REGION) => reply.region_id = Cow::Owned(value.into_string()),
                b"TRACE_ON" => reply.trace_on = !value.is("false"),
                _ => {}
            }
        }
        if reply.msg_id.is_empty() {
            return Err(Error::malformed("the answer to a send has no msgId"));
        }
        let missing = |name| Error::malformed(format!("the answer to a send has no {name}"));
        reply.queue_id = queue_id.ok_or_else(|| missing("queueId"))?;
        reply.queue_offset = queue_offset.ok_or_else(|| missing("queueOffset"))?;
        Ok(reply)
    }
}
