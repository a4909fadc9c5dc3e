//! The consumer against scripted servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{PullConsumer, PullResult, PullStatus};
use crate::client::peer::{Peer, Reply, eventually, nobody, refuse, reply};
use crate::code::{RequestCode, ResponseCode};
use crate::consumer::Filter;
use crate::consumer::tests::stored;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::frame::Frame;
use crate::protocol::record::encode;
use crate::protocol::rpc::pull::{PullMessage, PullReply};

const PULL: RequestCode = RequestCode::PULL_MESSAGE;

fn queue() -> MessageQueue {
    MessageQueue::new("T", "b", 0)
}

/// Answers a pull with the message at the offset it asks for, and suggests a broker.
fn found(request: &Frame, suggested: i64) -> Reply {
    let offset = request.header::<PullMessage>().unwrap().queue_offset;
    let mut body = Vec::new();
    encode(&mut body, &stored("a", offset));
    let header = PullReply {
        suggested_broker_id: Some(suggested),
        next_begin_offset: offset + 1,
        min_offset: 0,
        max_offset: 99,
        offset_delta: None,
        topic_sys_flag: None,
        group_sys_flag: None,
        forbidden_type: None,
    };
    reply(request, ResponseCode::SUCCESS, &header, &body)
}

/// A master whose answers suggest broker `suggested`, a slave that does as `slave` says, and a consumer of them.
fn pair(suggested: i64, slave: impl Fn(&Frame) -> Reply + Send + Sync + 'static) -> (Peer, Peer, PullConsumer) {
    let (master, slave) = (Peer::start(move |request| found(request, suggested)), Peer::start(slave));
    let addrs = vec![(0, master.addr.clone()), (1, slave.addr.clone())];
    let consumer = consumer(&Peer::name_server(move || vec![("b", addrs.clone())]));
    (master, slave, consumer)
}

fn alone(script: impl Fn(&Frame) -> Reply + Send + Sync + 'static) -> (Peer, PullConsumer) {
    let broker = Peer::start(script);
    let addrs = vec![(0, broker.addr.clone())];
    let consumer = consumer(&Peer::name_server(move || vec![("b", addrs.clone())]));
    (broker, consumer)
}

fn consumer(name_server: &Peer) -> PullConsumer {
    name_server.client().pull_consumer("g").start().unwrap()
}

/// Pulls asynchronously and waits for the callback.
fn fetch_async(consumer: &PullConsumer, offset: i64) -> Result<PullResult> {
    let (done, result) = crossbeam_channel::bounded(1);
    consumer.prepare_pull(&queue(), offset).fetch_async(move |result| done.send(result).unwrap()).unwrap();
    result.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn a_queue_is_read_from_the_slave_that_was_suggested_until_that_suggests_the_master() {
    let (master, slave, consumer) = pair(1, |request| found(request, 0));
    let counts = || (master.count(PULL), slave.count(PULL));
    assert_eq!(consumer.pull(&queue(), 0).unwrap().suggested_broker_id(), 1);
    assert_eq!(counts(), (1, 0));
    assert_eq!(consumer.pull(&queue(), 1).unwrap().messages().len(), 1);
    assert_eq!(counts(), (1, 1));
    assert_eq!(fetch_async(&consumer, 2).unwrap().next_offset(), 3);
    assert_eq!(counts(), (2, 1));
}

#[test]
fn a_slave_that_refuses_or_hangs_up_is_left_for_the_master_within_the_same_call() {
    let refusing = |request: &Frame| refuse(request, ResponseCode::SYSTEM_BUSY, "slave read is off");
    let (master, slave, consumer) = pair(1, refusing);
    consumer.pull(&queue(), 0).unwrap();
    assert_eq!(consumer.pull(&queue(), 1).unwrap().status(), PullStatus::Found);
    assert_eq!(fetch_async(&consumer, 2).unwrap().status(), PullStatus::Found);
    assert_eq!((master.count(PULL), slave.count(PULL)), (3, 2));
    let (_master, slave, consumer) = pair(1, |_| Reply::Cut);
    consumer.pull(&queue(), 0).unwrap();
    assert_eq!(consumer.pull(&queue(), 1).unwrap().status(), PullStatus::Found);
    assert_eq!(slave.count(PULL), 1);
}

#[test]
fn a_master_that_moved_is_found_through_a_new_route() {
    let broker = Peer::start(|request| found(request, 0));
    let (moved, dead, alive) = (Arc::new(AtomicBool::new(false)), nobody(), broker.addr.clone());
    let now = moved.clone();
    let name_server = Peer::name_server(move || {
        let addr = if now.load(Ordering::SeqCst) { &alive } else { &dead };
        vec![("b", vec![(0, addr.clone())])]
    });
    let consumer = consumer(&name_server);
    assert!(matches!(consumer.pull(&queue(), 0), Err(Error::Connect { .. })));
    moved.store(true, Ordering::SeqCst);
    assert_eq!(consumer.pull(&queue(), 0).unwrap().status(), PullStatus::Found);
}

#[test]
fn a_broker_the_route_does_not_name_is_an_error_of_its_own() {
    let (_broker, consumer) = alone(|request| found(request, 0));
    let elsewhere = MessageQueue::new("T", "other", 0);
    assert!(matches!(consumer.pull(&elsewhere, 0), Err(Error::NoBroker { .. })));
    assert!(matches!(consumer.max_offset(&elsewhere), Err(Error::NoBroker { .. })));
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_sent() {
    let (broker, consumer) = alone(|request| found(request, 0));
    let queue = queue();
    let pull = || consumer.prepare_pull(&queue, 0);
    let wrong = [
        consumer.pull(&queue, -1),
        consumer.pull(&MessageQueue::new("T", "b", -1), 0),
        pull().max(0).fetch(),
        pull().max(1025).fetch(),
        pull().max_bytes(0).fetch(),
        pull().filter("||").fetch(),
        pull().filter(Filter::sql("")).fetch(),
        pull().timeout(Duration::ZERO).fetch(),
        pull().wait(Duration::from_secs(2)).timeout(Duration::from_secs(1)).fetch(),
    ];
    for wrong in wrong {
        assert!(matches!(wrong, Err(Error::Invalid { .. })), "{wrong:?}");
    }
    assert!(matches!(pull().max(0).fetch_async(|_| panic!("not to be called")), Err(Error::Invalid { .. })));
    assert!(matches!(consumer.commit_offset(&queue, -1), Err(Error::Invalid { .. })));
    assert_eq!(broker.count(PULL), 0);
}

#[test]
fn settings_and_groups_are_checked_at_the_start() {
    let client = Peer::name_server(Vec::new).client();
    for group in ["", "a b", "DEFAULT_CONSUMER"] {
        assert!(matches!(client.pull_consumer(group).start(), Err(Error::Invalid { .. })), "{group}");
    }
    let wrong = [
        client.pull_consumer("g").max(0),
        client.pull_consumer("g").max_bytes(0),
        client.pull_consumer("g").window(0),
        client.pull_consumer("g").timeout(Duration::ZERO),
        client.pull_consumer("g").hold(Duration::ZERO),
    ];
    for builder in wrong {
        assert!(matches!(builder.start(), Err(Error::Invalid { .. })));
    }
    let first = client.pull_consumer("g").start().unwrap();
    assert!(matches!(client.pull_consumer("g").start(), Err(Error::GroupInUse { .. })));
    first.close().unwrap();
    client.pull_consumer("g").start().unwrap();
}

#[test]
fn a_wrong_condition_is_reported_and_nothing_is_pulled_with_it() {
    let (broker, consumer) = alone(|request| match request.request_code() {
        RequestCode::CHECK_CLIENT_CONFIG if request.body().windows(5).any(|part| part == b"wrong") => {
            refuse(request, ResponseCode::SUBSCRIPTION_PARSE_FAILED, "no")
        }
        RequestCode::CHECK_CLIENT_CONFIG => refuse(request, ResponseCode::SUCCESS, ""),
        _ => found(request, 0),
    });
    let queue = queue();
    let with = |condition: &str| consumer.prepare_pull(&queue, 0).filter(Filter::sql(condition));
    assert_eq!(with("wrong").fetch().unwrap_err().code(), Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED));
    let (done, result) = crossbeam_channel::bounded(1);
    with("wrong").fetch_async(move |result| done.send(result).unwrap()).unwrap();
    assert!(result.recv_timeout(Duration::from_secs(10)).unwrap().is_err());
    assert_eq!(broker.count(PULL), 0);
    for _ in 0..2 {
        assert_eq!(with("right").fetch().unwrap().status(), PullStatus::Found);
    }
    assert_eq!(broker.count(RequestCode::CHECK_CLIENT_CONFIG), 3, "the right one was checked once");
}

#[test]
fn closing_ends_pulls_that_wait_and_completes_each_callback_once() {
    let (broker, consumer) = alone(|_| Reply::Silence);
    let results = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let results = results.clone();
        let wait = Duration::from_secs(30);
        let pull = consumer.prepare_pull(&queue(), 0).wait(wait);
        pull.fetch_async(move |result| results.lock().unwrap().push(result)).unwrap();
    }
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.pull_waiting(&queue(), 0));
        eventually("four pulls arrived", || broker.count(PULL) == 4);
        let report = consumer.close_within(Duration::from_secs(5)).unwrap();
        assert_eq!((report.complete, report.abandoned), (true, 3));
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed { .. })));
    });
    assert!(began.elapsed() < Duration::from_secs(5));
    let results = std::mem::take(&mut *results.lock().unwrap());
    assert!(results.len() == 3 && results.iter().all(|result| matches!(result, Err(Error::Closed { .. }))));
    assert!(matches!(consumer.pull(&queue(), 0), Err(Error::Closed { .. })));
    assert!(matches!(consumer.prepare_pull(&queue(), 0).fetch_async(|_| ()), Err(Error::Closed { .. })));
    assert!(matches!(consumer.max_offset(&queue()), Err(Error::Closed { .. })));
    consumer.close().unwrap();
}

#[test]
fn a_full_window_refuses_until_a_callback_begins() {
    let (_broker, consumer) = alone(|request| match request.header::<PullMessage>().unwrap().queue_offset {
        0 => Reply::Silence,
        _ => found(request, 0),
    });
    let client = consumer._client.clone();
    let one = client.pull_consumer("one").window(1).start().unwrap();
    let (done, result) = crossbeam_channel::bounded(1);
    let timeout = Duration::from_millis(300);
    one.prepare_pull(&queue(), 0).timeout(timeout).fetch_async(move |result| done.send(result).unwrap()).unwrap();
    assert!(matches!(one.prepare_pull(&queue(), 1).fetch_async(|_| ()), Err(Error::Busy { .. })));
    assert!(result.recv_timeout(Duration::from_secs(5)).unwrap().unwrap_err().is_timeout());
    assert!(fetch_async(&one, 1).is_ok());
}

#[test]
fn a_callback_may_pull_again_and_panic_and_drop_the_consumer() {
    let (broker, consumer) = alone(|request| found(request, 0));
    consumer.prepare_pull(&queue(), 0).fetch_async(|_| panic!("expected by this test")).unwrap();
    let consumer = Arc::new(consumer);
    let (done, ended) = crossbeam_channel::bounded(1);
    let again = consumer.clone();
    let first = move |_| {
        let last = again.clone();
        let second = move |result: Result<PullResult>| {
            drop(last);
            done.send(result).unwrap();
        };
        again.prepare_pull(&queue(), 2).fetch_async(second).unwrap();
    };
    consumer.prepare_pull(&queue(), 1).fetch_async(first).unwrap();
    drop(consumer);
    assert_eq!(ended.recv_timeout(Duration::from_secs(10)).unwrap().unwrap().next_offset(), 3);
    assert_eq!(broker.count(PULL), 3);
}

#[test]
fn closing_the_client_closes_the_consumer() {
    let (broker, consumer) = alone(|_| Reply::Silence);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.pull_waiting(&queue(), 0));
        eventually("the pull arrived", || broker.count(PULL) == 1);
        consumer._client.close().unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed { .. })));
    });
    assert!(matches!(consumer.pull(&queue(), 0), Err(Error::Closed { .. })));
}
