//! The codec, opened to the crate's own benchmarks. Not part of the public interface: it changes without notice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::client::Client;
use crate::code::{RequestCode, ResponseCode};
use crate::error::Result;
use crate::message::{Stored, UniqueIds};
use crate::protocol::bounds::Bounds;
use crate::protocol::compress::{self, Compression};
use crate::protocol::fields::NoFields;
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind, Language, MAX_FRAME};
use crate::protocol::record;
use crate::protocol::rpc::pull::{PullMessage, PullReply, pull_flag};
use crate::protocol::rpc::send::{DEFAULT_REGION, SendMessage, SendReply};
use crate::remoting::Deadline;

/// The two forms of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Java's default.
    Json,
    /// Java's `ROCKETMQ` serialization.
    Binary,
}

/// Writes and reads the frames that a producer and a pull consumer exchange with a broker, in one form.
#[derive(Debug)]
pub struct Codec {
    kind: HeaderKind,
    send: SendMessage,
    pull: PullMessage,
    broker_name: Arc<str>,
}

impl Codec {
    /// Makes a codec for one topic.
    pub fn new(form: Form, topic: &str) -> Codec {
        let kind = if form == Form::Json { HeaderKind::Json } else { HeaderKind::Binary };
        let (group, topic, broker_name): (Arc<str>, Arc<str>, Arc<str>) =
            ("bench".into(), topic.into(), "broker".into());
        let id = UniqueIds::new([127, 0, 0, 1].into()).next();
        let send = SendMessage {
            producer_group: group.clone(),
            topic: topic.clone(),
            default_topic: "TBW102".into(),
            default_topic_queues: 4,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            flag: 0,
            properties: Some(format!("UNIQ_KEY\u{1}{id}\u{2}WAIT\u{1}true\u{2}")),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
            broker_name: Some(broker_name.clone()),
        };
        let pull = PullMessage {
            consumer_group: group,
            topic,
            queue_id: 0,
            queue_offset: 0,
            max_messages: 32,
            sys_flag: pull_flag::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout: Duration::ZERO,
            subscription: Some("*".into()),
            sub_version: 0,
            expression_type: Some("TAG".into()),
            max_bytes: None,
            broker_name: Some(broker_name.clone()),
        };
        Codec { kind, send, pull, broker_name }
    }

    /// Appends a send, oneway or to be answered.
    pub fn encode_send(&self, out: &mut Vec<u8>, opaque: i32, oneway: bool, body: &[u8]) -> Result<()> {
        let head = Head::request(self.kind, RequestCode::SEND_MESSAGE_V2, opaque);
        frame::encode_request(out, &if oneway { head.oneway() } else { head }, &self.send, body)
    }

    /// Appends the answer to a send, as brokers 5.x write it.
    pub fn encode_send_reply(&self, out: &mut Vec<u8>, opaque: i32) -> Result<()> {
        self.encode_batch_reply(out, opaque, 1)
    }

    /// Appends the answer to a batch of `count` messages.
    pub fn encode_batch_reply(&self, out: &mut Vec<u8>, opaque: i32, count: usize) -> Result<()> {
        let reply = SendReply {
            msg_id: vec!["7F00000100002A9F0000000000000000"; count].join(","),
            queue_id: 0,
            queue_offset: 100_000,
            transaction_id: self.send.properties.as_ref().and_then(|text| text.get(9..41)).map(str::to_owned),
            batch_unique_id: None,
            recall_handle: None,
            region_id: DEFAULT_REGION.into(),
            trace_on: true,
        };
        let head = Head { language: Language::JAVA, ..Head::response(self.kind, ResponseCode::SUCCESS, opaque, None) };
        frame::encode_response(out, &head, &reply, &[])
    }

    /// Reads the fields of the answer to a send and returns the message's place in its queue.
    pub fn decode_send_reply(&self, frame: &Received) -> Result<i64> {
        frame.0.header::<SendReply>().map(|reply| reply.queue_offset)
    }

    /// Appends a send without its body: the header, and the eight bytes before it.
    pub fn encode_send_header(&self, out: &mut Vec<u8>, opaque: i32, body_len: usize) -> Result<()> {
        frame::encode(out, &Head::request(self.kind, RequestCode::SEND_MESSAGE_V2, opaque), &self.send, &[], body_len)
    }

    /// Reads the header of the answer to a send, copying nothing: opaque, place in the queue, and the bytes of the ids.
    pub fn read_send_reply_header(&self, header: &Bytes) -> Result<(i32, i64, usize)> {
        let frame = Frame::decode(self.kind, header.clone(), header.len())?;
        let (mut queue_offset, mut ids, mut fields) = (-1, 0, frame.fields());
        while let Some((name, value)) = fields.next_raw()? {
            match &*name.unescaped() {
                b"msgId" | b"transactionId" => ids += value.unescaped().len(),
                b"queueId" => drop(value.number::<i32>("queueId")?),
                b"queueOffset" => queue_offset = value.number("queueOffset")?,
                b"MSG_REGION" if !value.is(DEFAULT_REGION) => ids += value.unescaped().len(),
                b"TRACE_ON" => ids += usize::from(value.is("false")),
                _ => {}
            }
        }
        Ok((frame.opaque, queue_offset, ids))
    }

    /// Appends a pull; a held one may wait for messages at the broker.
    pub fn encode_pull(&self, out: &mut Vec<u8>, opaque: i32, held: bool) -> Result<()> {
        let head = Head::request(self.kind, RequestCode::PULL_MESSAGE, opaque);
        let sys_flag = self.pull.sys_flag | if held { pull_flag::SUSPEND } else { 0 };
        frame::encode_request(out, &head, &PullMessage { sys_flag, ..self.pull.clone() }, &[])
    }

    /// Appends the answer to a pull: `count` messages with bodies of `size` bytes.
    pub fn encode_pull_reply(&self, out: &mut Vec<u8>, opaque: i32, count: u32, size: usize) -> Result<()> {
        self.encode_pull_reply_from(out, opaque, 0..i64::from(count), size)
    }

    /// As [`encode_pull_reply`](Codec::encode_pull_reply), with these offsets.
    pub fn encode_pull_reply_from(
        &self,
        out: &mut Vec<u8>,
        opaque: i32,
        offsets: std::ops::Range<i64>,
        size: usize,
    ) -> Result<()> {
        let head = Head::response(self.kind, ResponseCode::SUCCESS, opaque, Some("FOUND"));
        let reply = PullReply {
            suggested_broker_id: Some(0),
            next_begin_offset: offsets.end,
            min_offset: 0,
            max_offset: offsets.end,
            offset_delta: None,
            topic_sys_flag: Some(0),
            group_sys_flag: Some(0),
            forbidden_type: Some(0),
        };
        let mut records = Vec::new();
        for queue_offset in offsets {
            record::encode(&mut records, &self.stored(queue_offset, size));
        }
        frame::encode_response(out, &head, &reply, &records)
    }

    fn stored(&self, queue_offset: i64, size: usize) -> Stored {
        let body = Bytes::from(vec![b'x'; size]);
        Stored {
            queue_id: 0,
            flag: 0,
            queue_offset,
            commit_log_offset: queue_offset * 300,
            sys_flag: 0,
            body_crc: record::body_crc(&body),
            born_timestamp: 1_700_000_000_000,
            born_host: ([127, 0, 0, 1], 50_000).into(),
            store_timestamp: 1_700_000_000_005,
            store_host: ([127, 0, 0, 1], 10_911).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            topic: self.send.topic.clone(),
            properties: self.send.properties.clone().unwrap_or_default().into(),
        }
    }

    /// Reads the answer to a pull and returns the number of bytes in its messages' bodies.
    pub fn decode_pull_reply(&self, frame: &Received) -> Result<usize> {
        frame.0.header::<PullReply>()?;
        let (views, error) =
            record::messages(frame.0.body_bytes(), &self.broker_name, &Bounds { body: MAX_FRAME, ..Bounds::default() });
        error.map_or(Ok(()), Err)?;
        Ok(views.iter().map(|view| view.body().len()).sum())
    }

    /// Sends over a client's connection to `addr`, without what a producer does around it.
    pub fn call(&self, client: &Client, addr: &Arc<str>, body: &[u8]) -> Result<i64> {
        let deadline = Deadline::after(Duration::from_secs(3));
        let answer = client.core().remoting().call(addr, &self.send, body, deadline)?;
        answer.header().map(|reply| reply.queue_offset)
    }

    /// Appends an answer without fields.
    pub fn encode_answer(&self, out: &mut Vec<u8>, code: i32, opaque: i32, body: &[u8]) -> Result<()> {
        frame::encode_response(out, &Head::response(self.kind, ResponseCode(code), opaque, None), &NoFields, body)
    }
}

/// A received frame.
#[derive(Debug)]
pub struct Received(Frame);

impl Received {
    /// Returns what ties an answer to its request.
    pub fn opaque(&self) -> i32 {
        self.0.opaque
    }

    /// Returns what a request asks for, or how it went.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// Returns whether nobody waits for an answer.
    pub fn is_oneway(&self) -> bool {
        self.0.is_oneway()
    }

    /// Returns whether the header is JSON.
    pub fn form(&self) -> Form {
        if self.0.kind == HeaderKind::Json { Form::Json } else { Form::Binary }
    }

    /// Looks a field up.
    pub fn field(&self, name: &str) -> Option<String> {
        self.0.field(name).map(|value| value.into_owned())
    }
}

/// Returns how many requests a client has handed to its connections, and with how many writes they left.
pub fn requests_and_writes(client: &Client) -> (u64, u64) {
    let counters = client.core().remoting().counters();
    let (requests, writes) = (counters.requests.get(), counters.writes.get());
    (requests, writes)
}

/// Cuts frames out of a stream.
#[derive(Debug)]
pub struct Stream(FrameReader);

impl Default for Stream {
    fn default() -> Stream {
        Stream(FrameReader::new(MAX_FRAME))
    }
}

impl Stream {
    /// Returns where the next bytes go.
    pub fn space(&mut self) -> &mut [u8] {
        self.0.space()
    }

    /// Takes note of bytes written there.
    pub fn filled(&mut self, count: usize) {
        self.0.filled(count);
    }

    /// Returns the next whole frame.
    pub fn next_frame(&mut self) -> Result<Option<Received>> {
        self.0.next().map(|frame| frame.map(Received))
    }

    /// Reads one frame that is there in one piece.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Received>> {
        let space = self.0.space();
        let count = bytes.len().min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        self.0.filled(count);
        self.next_frame()
    }
}

/// Compresses a body as a producer does; `None` when it does not get smaller. Returns it with its bits of the system flag.
pub fn deflate(kind: Compression, body: &[u8]) -> Option<(Bytes, i32)> {
    kind.deflate(body, None)
}

/// Inflates a body as a consumer does, up to 64 MiB.
pub fn inflate(flag: i32, body: &[u8]) -> Result<Bytes> {
    compress::inflate(flag, body, 64 << 20).map_err(|damage| damage.error())
}
