//! Talks to a cluster over a bare socket, as any client of any language does.

mod faults;
mod groups;
mod lifecycle;
mod pop;
mod pull;
mod recall;
mod reply;
mod routes;
mod send;
mod transactions;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::code::{RequestCode, ResponseCode};
use crate::message::{key, write_property};
use crate::protocol::fields::{Header, NoFields};
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind, MAX_FRAME};
use crate::protocol::rpc::pull::PullMessage;
use crate::protocol::rpc::send::{SendMessage, SendReply};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(5);

/// A client that sends one request after another.
struct Wire {
    stream: TcpStream,
    reader: FrameReader,
    kind: HeaderKind,
    version: i32,
    next: i32,
}

impl Wire {
    fn to(addr: impl std::net::ToSocketAddrs) -> Wire {
        Wire::over(TcpStream::connect(addr).unwrap())
    }

    fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(LONG)).unwrap();
        Wire { stream, reader: FrameReader::new(MAX_FRAME), kind: HeaderKind::Json, version: 479, next: 0 }
    }

    fn write<H: Header>(&mut self, code: RequestCode, header: &H, extra: &[(&str, &str)], body: &[u8]) -> i32 {
        self.next += 1;
        let head = Head { version: self.version, ..Head::request(self.kind, code, self.next) };
        let mut out = Vec::new();
        frame::encode(&mut out, &head, header, extra, body.len()).unwrap();
        out.extend_from_slice(body);
        self.stream.write_all(&out).unwrap();
        self.next
    }

    fn write_oneway<H: Header>(&mut self, code: RequestCode, header: &H, body: &[u8]) {
        self.next += 1;
        let head = Head::request(self.kind, code, self.next).oneway();
        let mut out = Vec::new();
        frame::encode_request(&mut out, &head, header, body).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    /// The next frame, or `None` when the server has closed the connection or stays silent.
    fn read_within(&mut self, time: Duration) -> Option<Frame> {
        self.stream.set_read_timeout(Some(time)).unwrap();
        loop {
            if let Some(frame) = self.reader.next().unwrap() {
                return Some(frame);
            }
            match self.stream.read(self.reader.space()) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.reader.filled(count),
            }
        }
    }

    fn read(&mut self) -> Frame {
        self.read_within(LONG).expect("an answer")
    }

    fn call<H: Header>(&mut self, code: RequestCode, header: &H, body: &[u8]) -> Frame {
        let opaque = self.write(code, header, &[], body);
        let frame = self.read();
        assert_eq!((frame.opaque, frame.is_response(), frame.kind), (opaque, true, HeaderKind::Json));
        frame
    }

    fn send(&mut self, send: &SendMessage, body: &str) -> Result<SendReply, (ResponseCode, String)> {
        answer(&self.call(send_code(send), send, body.as_bytes()))
    }

    fn pull(&mut self, pull: &PullMessage) -> Frame {
        self.call(RequestCode::PULL_MESSAGE, pull, &[])
    }

    /// Nothing comes any more.
    fn is_cut(&mut self) -> bool {
        self.stream.set_read_timeout(Some(LONG)).unwrap();
        matches!(self.stream.read(&mut [0; 64]), Ok(0)) || self.stream.write_all(&[0; 64]).is_err()
    }
}

fn send_code(send: &SendMessage) -> RequestCode {
    if send.batch == Some(true) { RequestCode::SEND_BATCH_MESSAGE } else { RequestCode::SEND_MESSAGE_V2 }
}

/// The header of a successful answer, or the code and remark of another.
fn answer<H: Header>(frame: &Frame) -> Result<H, (ResponseCode, String)> {
    match frame.response_code() {
        ResponseCode::SUCCESS => Ok(frame.header().unwrap()),
        code => Err((code, frame.remark().into_owned())),
    }
}

fn message(topic: &str) -> SendMessage {
    SendMessage {
        producer_group: "PG".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 7,
        properties: None,
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
    }
}

fn properties(pairs: &[(&str, &str)]) -> Option<String> {
    let mut text = String::new();
    for (key, value) in pairs {
        write_property(&mut text, key, value);
    }
    Some(text)
}

fn tagged(topic: &str, tag: &str) -> SendMessage {
    SendMessage { properties: properties(&[(key::TAGS, tag)]), ..message(topic) }
}

/// A pull with its subscription in it, not to be held.
fn pull_from(topic: &str, offset: i64) -> PullMessage {
    PullMessage {
        consumer_group: "CG".into(),
        topic: topic.into(),
        queue_id: 0,
        queue_offset: offset,
        max_messages: 32,
        sys_flag: 4,
        commit_offset: 0,
        suspend_timeout: Duration::ZERO,
        subscription: Some("*".into()),
        sub_version: 0,
        expression_type: None,
        max_bytes: None,
        broker_name: None,
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn arc(text: &str) -> Arc<str> {
    text.into()
}

/// A broker's socket address and the wire to it.
fn broker(cluster: &super::Cluster) -> (SocketAddr, Wire) {
    let addr = cluster.broker("broker-a").addr();
    (addr, Wire::to(addr))
}
