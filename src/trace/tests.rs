//! The dispatcher against scripted servers: each plays name server and brokers at once.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::client::peer::{Peer, Reply, eventually, nobody, refuse, reply};
use crate::client::send::Prepared;
use crate::client::{Client, Credentials, SendResult};
use crate::code::{RequestCode, ResponseCode};
use crate::error::{Error, Outcome};
use crate::message::MessageQueue;
use crate::protocol::frame::{self, Frame, Head, HeaderKind};
use crate::protocol::rpc::send::{SendMessage, SendReply};
use crate::remoting::{Deadline, answer_of};

const HOUR: Duration = Duration::from_secs(3600);

fn stored(trace_on: bool) -> SendReply {
    SendReply {
        msg_id: "0A00000200002A9F0000000000003039".to_owned(),
        queue_id: 0,
        queue_offset: 0,
        transaction_id: None,
        batch_unique_id: None,
        recall_handle: None,
        region_id: "".into(),
        trace_on,
    }
}

/// Stores what it is sent.
fn store(request: &Frame) -> Reply {
    reply(request, ResponseCode::SUCCESS, &stored(true), &[])
}

/// The result of a send that a broker has answered.
fn answered(prepared: &Prepared, trace_on: bool) -> SendResult {
    let mut bytes = Vec::new();
    let head = Head::response(HeaderKind::Json, ResponseCode::SUCCESS, 1, None);
    frame::encode_response(&mut bytes, &head, &stored(trace_on), &[]).unwrap();
    let answer = answer_of::<SendMessage>(&"addr".into(), frame::decode_whole(&bytes).unwrap()).unwrap();
    prepared.result(&answer, &MessageQueue::new("T", "a", 0), 1, false).unwrap()
}

/// A client that knows these brokers, by their addresses.
fn client(brokers: &[&str]) -> (Peer, Client) {
    const NAMES: [&str; 2] = ["a", "b"];
    let addrs: Vec<String> = brokers.iter().map(|addr| (*addr).to_owned()).collect();
    let name_server = Peer::name_server(move || {
        NAMES.iter().zip(&addrs).map(|(name, addr)| (*name, vec![(0, addr.clone())])).collect()
    });
    let client = name_server.client();
    (name_server, client)
}

fn tracer(client: &Client, settings: &Trace) -> Tracer {
    Tracer::start(client.core(), settings, &"group".into(), Side::Produce).unwrap()
}

/// A send that failed, so that no answer is needed to make a record.
fn lost() -> Error {
    Error::Disconnected { addr: "10.0.0.1:10911".into(), outcome: Outcome::Unknown, reason: "test".into() }
}

fn prepared(topic: &str) -> Prepared {
    Prepared {
        topic: topic.into(),
        body: "body".into(),
        sys_flag: 0,
        flag: 0,
        properties: "KEYS\u{1}k\u{2}TAGS\u{1}t\u{2}".to_owned(),
        message_id: "ID".into(),
        batch: false,
    }
}

fn record(tracer: &Tracer, count: usize) {
    let error = lost();
    (0..count).for_each(|_| tracer.sent(&prepared("T"), Instant::now(), Err(&error)));
}

fn counts(tracer: &Tracer) -> [u64; 4] {
    let counters = tracer.counters();
    [&counters.recorded, &counters.sent, &counters.dropped, &counters.failed].map(|counter| counter.get())
}

fn soon() -> Option<Deadline> {
    Some(Deadline::after(Duration::from_secs(10)))
}

#[test]
fn what_is_recorded_is_stored_and_counted() {
    let broker = Peer::start(store);
    let (_name_server, client) = client(&[&broker.addr]);
    let tracer = tracer(&client, &Trace::default().batch(2).interval(HOUR));
    record(&tracer, 5);
    eventually("two full batches", || counts(&tracer) == [5, 4, 0, 0]);
    assert!(tracer.close(soon()));
    assert_eq!(counts(&tracer), [5, 5, 0, 0]);
    assert_eq!(broker.count(RequestCode::SEND_MESSAGE_V2), 3);
    record(&tracer, 1);
    assert_eq!(counts(&tracer), [5, 5, 1, 0], "nothing is taken after closing");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (_name_server, client) = client(&[&nobody()]);
    let tracer = tracer(&client, &Trace::default().batch(20).queue(7).interval(HOUR));
    record(&tracer, 10);
    assert_eq!(counts(&tracer), [7, 0, 3, 0]);
}

#[test]
fn another_broker_is_tried_and_the_failing_one_avoided() {
    let (refusing, storing) =
        (Peer::start(|request| refuse(request, ResponseCode::SYSTEM_BUSY, "[REJECTREQUEST] busy")), Peer::start(store));
    let (_name_server, client) = client(&[&refusing.addr, &storing.addr]);
    let tracer = tracer(&client, &Trace::default().batch(1).interval(HOUR));
    for count in 1..=20 {
        record(&tracer, 1);
        eventually("stored by the other", || counts(&tracer)[1] == count);
    }
    assert_eq!(counts(&tracer), [20, 20, 0, 0]);
    assert_eq!(refusing.count(RequestCode::SEND_MESSAGE_V2), 1);
}

#[test]
fn failures_are_counted_and_closing_gives_the_rest_up() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let name_server = Peer::start(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        refuse(request, ResponseCode::TOPIC_NOT_EXIST, "no such topic")
    });
    let client = name_server.client();
    let tracer = tracer(&client, &Trace::default().batch(1).interval(HOUR));
    record(&tracer, 1);
    eventually("the first is lost", || counts(&tracer) == [1, 0, 0, 1]);
    record(&tracer, 100);
    let began = Instant::now();
    assert!(tracer.close(soon()), "given up, which leaves nothing");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(counts(&tracer), [101, 0, 0, 101]);
    assert!(asked.load(Ordering::Relaxed) <= 70, "{asked:?}: no more than a window full of questions");
}

#[test]
fn closing_ends_at_its_deadline_when_the_broker_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_name_server, client) = client(&[&silent.local_addr().unwrap().to_string()]);
    let tracer = tracer(&client, &Trace::default().batch(1).interval(HOUR));
    record(&tracer, 100);
    let began = Instant::now();
    assert!(!tracer.close(Some(Deadline::after(Duration::from_millis(200)))));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(counts(&tracer), [100, 0, 0, 36], "64 are under way, nobody waits for them");
}

#[test]
fn nothing_is_recorded_of_traces_and_of_what_never_left() {
    let (_name_server, client) = client(&[&nobody()]);
    let tracer = tracer(&client, &Trace::default().topic("Traces").interval(HOUR));
    tracer.sent(&prepared("Traces"), Instant::now(), Err(&lost()));
    tracer.sent(&prepared("T"), Instant::now(), Err(&Error::Closed { outcome: Outcome::NotSent }));
    assert_eq!(counts(&tracer), [0, 0, 0, 0]);
    tracer.sent(&prepared("TracesOfOthers"), Instant::now(), Err(&lost()));
    assert_eq!(counts(&tracer), [1, 0, 0, 0]);
}

#[test]
fn a_broker_that_wants_no_traces_gets_none_until_it_does() {
    let (_name_server, client) = client(&[&nobody()]);
    let tracer = tracer(&client, &Trace::default().interval(HOUR));
    let end = |trace_on| {
        let sent = answered(&prepared("T"), trace_on);
        tracer.sent(&prepared("T"), Instant::now(), Ok(&sent));
        counts(&tracer)[0]
    };
    assert_eq!(end(true), 1);
    assert_eq!(end(false), 1);
    record(&tracer, 1);
    assert_eq!(counts(&tracer)[0], 1, "a failure is not recorded either");
    assert_eq!(end(true), 2);
    record(&tracer, 1);
    assert_eq!(counts(&tracer)[0], 3);
}

#[test]
fn with_the_channel_of_the_cloud_the_region_chooses_the_topic() {
    let broker = Peer::start(store);
    let addr = broker.addr.clone();
    let name_server = Peer::name_server(move || vec![("a", vec![(0, addr.clone())])]);
    let client = |channel: &str| {
        let credentials = Credentials::new("access", "secret").channel(channel);
        Client::builder().name_servers(&name_server.addr).credentials(credentials).build().unwrap()
    };
    for (channel, expected) in [("CLOUD", "rmq_sys_TRACE_DATA_DefaultRegion"), ("ALIYUN", "Named")] {
        let client = client(channel);
        let tracer = tracer(&client, &Trace::default().topic("Named").interval(HOUR));
        record(&tracer, 1);
        assert!(tracer.close(soon()));
        assert_eq!(broker.last(RequestCode::SEND_MESSAGE_V2).field("b").as_deref(), Some(expected));
        client.close().unwrap();
    }
}

#[test]
fn ends_of_transactions_and_recalls_are_records_too() {
    let broker = Peer::start(store);
    let (_name_server, client) = client(&[&broker.addr]);
    let tracer = tracer(&client, &Trace::default().interval(HOUR));
    let ending = Ending {
        topic: &"T".into(),
        message_id: "ID",
        transaction_id: "TX",
        tags: "t",
        keys: "k1 k2",
        store_host: "10.0.0.2:10911",
        region: "",
        state: TransactionState::Rollback,
        from_check: true,
    };
    tracer.end_transaction(ending);
    let lost = lost();
    tracer.recalled(&"T".into(), "ID", Err(&lost));
    tracer.recalled(&"T".into(), "ID", Err(&Error::Closed { outcome: Outcome::NotSent }));
    assert!(tracer.close(soon()));
    assert_eq!(counts(&tracer), [2, 2, 0, 0]);
    let sent = broker.last(RequestCode::SEND_MESSAGE_V2);
    let body = std::str::from_utf8(sent.body()).unwrap();
    let (end, recall) = body.split_once('\u{2}').unwrap();
    let fields: Vec<&str> = end.split('\u{1}').collect();
    let rest =
        ["DefaultRegion", "group", "T", "ID", "t", "k1 k2", "10.0.0.2:10911", "2", "TX", "ROLLBACK_MESSAGE", "true"];
    assert_eq!((fields[0], &fields[2..]), ("EndTransaction", &rest[..]));
    let fields: Vec<&str> = recall.trim_end_matches('\u{2}').split('\u{1}').collect();
    assert_eq!((fields[0], &fields[2..]), ("Recall", &["DefaultRegion", "group", "T", "ID", "false"][..]));
}
