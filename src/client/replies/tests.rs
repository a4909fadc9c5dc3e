use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::client::Client;
use crate::client::peer::{Peer, Reply, eventually, refuse};
use crate::code::RequestCode;
use crate::message::Properties;
use crate::protocol::compress::Compression;
use crate::protocol::frame::{self, Head, HeaderKind};
use crate::protocol::rpc::offset::MaxOffset;
use crate::remoting::Deadline;

fn push(id: Option<&str>, sys_flag: i32) -> PushReply {
    let mut properties = Properties::default();
    properties.set(key::MESSAGE_TYPE, "reply");
    if let Some(id) = id {
        properties.set(key::CORRELATION_ID, id);
    }
    let mut text = String::new();
    properties.write_wire(&mut text);
    PushReply {
        born_host: Some("/10.0.0.7:4711".into()),
        born_timestamp: 1_700_000_000_000,
        default_topic: None,
        default_topic_queues: None,
        flag: 7,
        producer_group: None,
        // Without its last separator, as old clients write it.
        properties: Some(text.trim_end_matches('\u{2}').to_owned()),
        queue_id: 0,
        reconsume_times: None,
        store_host: Some("broker.example/10.0.0.8:10911".into()),
        store_timestamp: 1_700_000_000_001,
        sys_flag,
        topic: "DefaultCluster_REPLY_TOPIC".into(),
        unit_mode: None,
    }
}

/// The frame of a push to a client.
fn pushed(opaque: i32, header: &PushReply, body: &[u8]) -> Vec<u8> {
    let head = Head::request(HeaderKind::Json, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, opaque);
    let mut out = Vec::new();
    frame::encode_request(&mut out, &head, header, body).unwrap();
    out
}

/// A broker that pushes these replies before it answers, whatever it is asked.
fn pushing(frames: Vec<Vec<u8>>) -> Peer {
    Peer::start(move |request| match refuse(request, ResponseCode::SUCCESS, "") {
        Reply::Send(answer) => Reply::Send([frames.concat(), answer].concat()),
        other => other,
    })
}

fn ask(client: &Client, broker: &Peer) {
    let addr: Arc<str> = broker.addr.as_str().into();
    let request = MaxOffset { topic: "T".into(), queue_id: 0, broker_name: None };
    let deadline = Deadline::after(Duration::from_secs(5));
    client.core().remoting().call(&addr, &request, &[], deadline).map(drop).unwrap();
}

fn wait(client: &Client, id: &str) -> mpsc::Receiver<Result<Pushed>> {
    let (sender, receiver) = mpsc::channel();
    client.core().replies().wait(id.into(), "g".into(), move |end| sender.send(end).unwrap()).unwrap();
    receiver
}

#[test]
fn a_reply_ends_the_request_it_belongs_to_once_and_others_are_counted() {
    let frames = ["a", "foreign", "a"].map(|id| pushed(1, &push(Some(id), 0), b"answer"));
    let broker = pushing(frames.to_vec());
    let client = broker.client();
    let (a, b) = (wait(&client, "a"), wait(&client, "b"));
    ask(&client, &broker);
    let view = a.recv_timeout(Duration::from_secs(5)).unwrap().unwrap().into_view(1000);
    assert!(a.recv().is_err(), "its closure is gone");
    assert!(matches!(b.try_recv(), Err(mpsc::TryRecvError::Empty)));
    eventually("both others are counted", || client.core().replies().late() == 2);
    assert_eq!(client.core().replies().waiting(), 1);
    assert_eq!((view.body(), view.flag(), view.property(key::CORRELATION_ID)), (&b"answer"[..], 7, Some("a")));
    assert_eq!(view.born_host().to_string(), "10.0.0.7:4711");
    assert_eq!(view.store_host().to_string(), "10.0.0.8:10911");
    assert!(view.property(key::ARRIVE_TIME).is_some());
}

#[test]
fn a_compressed_reply_is_inflated_up_to_the_limit_by_whoever_waits() {
    let (body, flag) = Compression::Zlib.deflate(&[b'x'; 5000], None).unwrap();
    let read = |limit| {
        let frame = frame::decode_whole(&pushed(1, &push(Some("a"), flag), &body)).unwrap();
        Pushed::read(&frame).unwrap().into_view(limit)
    };
    assert_eq!(read(5000).body(), [b'x'; 5000]);
    let bomb = read(4999);
    assert!(bomb.body().is_empty());
    assert!(bomb.check_body().unwrap_err().to_string().contains("more than 4999"));
}

#[test]
fn every_push_is_answered_and_one_that_cannot_be_read_with_an_error() {
    let good = pushed(7, &push(Some("nobody"), 0), b"x");
    let nameless = pushed(8, &push(None, 0), b"x");
    let mut torn = Vec::new();
    let head = Head::request(HeaderKind::Json, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, 9);
    frame::encode_request(&mut torn, &head, &NoFields, b"x").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr: Arc<str> = listener.local_addr().unwrap().to_string().into();
    let client = Client::builder().name_servers(&*addr).build().unwrap();
    let request = MaxOffset { topic: "T".into(), queue_id: 0, broker_name: None };
    let deadline = Deadline::after(Duration::from_secs(5));
    client.core().remoting().submit(&addr, &request, &[], deadline, |_| ());
    let (stream, _) = listener.accept().unwrap();
    let mut answers = read_answers(stream, &[good, nameless, torn].concat(), 3);
    answers.sort_unstable_by_key(|(opaque, _, _)| *opaque);
    let codes: Vec<_> = answers.iter().map(|(opaque, code, _)| (*opaque, *code)).collect();
    assert_eq!(codes, [(7, 0), (8, 1), (9, 1)]);
    assert!(answers[1].2.contains("CORRELATION_ID"), "{}", answers[1].2);
    assert_eq!(client.core().replies().late(), 3, "what cannot be read counts too");
}

/// Writes requests to a client and reads its answers to them: number, code and remark.
fn read_answers(mut stream: TcpStream, requests: &[u8], count: usize) -> Vec<(i32, i32, String)> {
    use std::io::{Read, Write};
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(requests).unwrap();
    let mut frames = frame::FrameReader::new(frame::MAX_FRAME);
    let mut answers = Vec::new();
    while answers.len() < count {
        let read = stream.read(frames.space()).unwrap();
        assert!(read > 0, "the client closed the connection");
        frames.filled(read);
        while let Some(frame) = frames.next().unwrap() {
            if frame.is_response() {
                answers.push((frame.opaque, frame.code, frame.remark().into_owned()));
            }
        }
    }
    answers
}

#[test]
fn a_group_that_closes_ends_only_its_own_requests() {
    let replies = Replies::default();
    let (sender, ends) = mpsc::channel();
    for (id, group) in [("1", "g"), ("2", "g"), ("3", "h")] {
        let sender = sender.clone();
        replies.wait(id.into(), group.into(), move |end| sender.send((id, end.map(drop))).unwrap()).unwrap();
    }
    drop(sender);
    replies.end_all_of("g", &Error::Closed { outcome: crate::error::Outcome::Unknown });
    let mut ended: Vec<_> = ends.try_iter().map(|(id, end)| (id, end.is_err())).collect();
    ended.sort_unstable();
    assert_eq!(ended, [("1", true), ("2", true)]);
    assert_eq!(replies.waiting(), 1);
    replies.forget("3");
    assert!(ends.recv().is_err(), "a request that is forgotten is not told anything");
}

#[test]
fn the_number_of_requests_that_wait_is_bounded() {
    let replies = Replies::default();
    for number in 0..MAX_WAITING {
        replies.wait(number.to_string().into(), "g".into(), |_| ()).unwrap();
    }
    let refused = replies.wait("one more".into(), "g".into(), |_| ());
    assert!(matches!(refused, Err(Error::Busy { .. })));
    replies.forget("0");
    assert!(replies.wait("one more".into(), "g".into(), |_| ()).is_ok());
}
