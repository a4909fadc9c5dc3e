//! Consumption while brokers die, listeners hang, and messages are damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, Message, MessageView, PushConsumerBuilder, RequestCode, Standing};

use crate::proxy::{Fault, eventually, eventually_within};
use crate::rig::{Rig, TOPIC, millis, producer};
use crate::wire::{self, NOTIFY_MEMBERS, PULL};

const GROUP: &str = "consuming";

fn consumer(client: &Client) -> PushConsumerBuilder {
    let builder = client.push_consumer(GROUP).subscribe(TOPIC, "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    builder.hold(millis(500)).persist_interval(millis(100))
}

/// Stores numbered messages, some hundred in a request.
fn fill(client: &Client, count: usize) {
    let producer = producer(client);
    for first in (0..count).step_by(500) {
        let messages = (first..count.min(first + 500)).map(|number| Message::new(TOPIC, format!("{number}")));
        producer.send_batch(messages.collect::<Vec<_>>()).expect("a batch");
    }
    producer.close().expect("closing");
}

/// Bodies and how often each was consumed.
type Seen = Arc<Mutex<BTreeMap<String, usize>>>;

fn see(seen: &Seen, messages: &[MessageView]) {
    let mut seen = seen.lock().unwrap();
    messages.iter().for_each(|message| *seen.entry(message.body_text().unwrap_or("?").to_owned()).or_default() += 1);
}

fn committed(rig: &Rig) -> i64 {
    let broker = rig.cluster.broker("broker-a");
    (0..4).filter_map(|id| broker.committed(GROUP, TOPIC, id)).sum()
}

pub(crate) fn kill_and_restart_with_a_hundred_thousand_messages() {
    const COUNT: usize = 100_000;
    let mut rig = Rig::new(1);
    let builder = rig.builder().heartbeat_interval(millis(500));
    let client = rig.look_after(builder);
    fill(&client, COUNT);
    let seen = Seen::default();
    let listened = seen.clone();
    let builder = consumer(&client).threads(4).batch(32).pull_interval(millis(5));
    let consumer = builder.start(move |messages: &[MessageView]| see(&listened, messages)).expect("a consumer");
    let count = || seen.lock().unwrap().len();
    let broker = rig.cluster.broker("broker-a");
    for round in 1..=4 {
        let enough = round * COUNT / 6;
        eventually_within(millis(60_000), || format!("{} of {enough}", count()), || count() >= enough);
        // In turn the broker dies, and only its connections do.
        if round % 2 == 1 {
            broker.kill();
            broker.restart().expect("its own port");
        } else {
            broker.disconnect();
        }
        let (before, at) = (count(), Instant::now());
        eventually("it consumes again", || count() > before + 2000);
        assert!(at.elapsed() < millis(5000), "consumption stood for {:?}", at.elapsed());
    }
    eventually_within(millis(60_000), || format!("{} of {COUNT}", count()), || count() == COUNT);
    eventually_within(
        millis(10_000),
        || format!("{} of {COUNT} committed", committed(&rig)),
        || committed(&rig) == i64::try_from(COUNT).unwrap(),
    );
    // It keeps its queues, and knows how far it is, through all of that.
    let twice = seen.lock().unwrap().values().filter(|times| **times > 1).count();
    assert_eq!(twice, 0, "{twice} messages came twice");
    consumer.close().expect("closing");
}

pub(crate) fn a_storm_of_notifications() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    fill(&client, 4);
    let seen = Seen::default();
    let listened = seen.clone();
    let consumer =
        consumer(&client).start(move |messages: &[MessageView]| see(&listened, messages)).expect("a consumer");
    eventually("all are consumed", || seen.lock().unwrap().len() == 4);
    let asked = || rig.cluster.requests_of(RequestCode::GET_CONSUMER_LIST_BY_GROUP).len();
    // The start may have left a rebalance to be made.
    let (before, began) = (asked(), Instant::now());
    let notification = wire::request(NOTIFY_MEMBERS, &serde_json::json!({ "consumerGroup": GROUP }), &[]);
    for number in 0..100 {
        rig.brokers[0].inject(&notification);
        let until = began + millis(30 * (number + 1));
        eventually("some time has passed", || Instant::now() >= until);
    }
    // One a second, each about the topic and the retry topic; at both ends one more may fall in.
    let rebalances = (asked() - before).div_ceil(2);
    assert!((2..=6).contains(&rebalances), "{rebalances} rebalances in {:?}", began.elapsed());
    consumer.close().expect("closing");
}

pub(crate) fn a_listener_that_never_returns_before_a_large_backlog() {
    const COUNT: usize = 20_000;
    let mut rig = Rig::new(1);
    let client = rig.client();
    fill(&client, COUNT);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (seen, held) = (Seen::default(), gate.clone());
    let listened = seen.clone();
    let builder = consumer(&client).threads(4).batch(32).queue_limits(200, 1 << 20);
    let consumer = builder
        .start(move |messages: &[MessageView]| {
            drop(held.1.wait_while(held.0.lock().unwrap(), |open| !*open).unwrap());
            see(&listened, messages);
        })
        .expect("a consumer");
    let stands = || {
        let queues = consumer.queues().expect("it is open");
        queues.len() == 5 && queues.iter().filter(|queue| queue.standing == Some(Standing::FullOfMessages)).count() == 4
    };
    eventually("all queues say that they are full", stands);
    let cached: usize = consumer.queues().expect("it is open").iter().map(|queue| queue.cached).sum();
    // A pull that is sent just below the bound brings 32 more.
    assert!(cached <= 4 * (200 + 32 + 1), "{cached} in memory");
    let pulls = rig.cluster.requests_of(RequestCode::PULL_MESSAGE).len();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    eventually_within(
        millis(60_000),
        || format!("{}", seen.lock().unwrap().len()),
        || seen.lock().unwrap().len() == COUNT,
    );
    assert!(rig.cluster.requests_of(RequestCode::PULL_MESSAGE).len() > pulls);
    consumer.close().expect("closing");
}

/// Stores a message that says it is compressed and is not, which no client of this crate would send.
fn store_damaged(rig: &Rig, queue: i32) {
    let fields = serde_json::json!({
        "a": "faults", "b": TOPIC, "c": "TBW102", "d": "4", "e": queue.to_string(), "f": "1", "g": "1700000000000",
        "h": "0", "i": "", "j": "0", "k": "false", "m": "false",
    });
    let mut stream = TcpStream::connect(rig.cluster.broker("broker-a").addr()).expect("a broker");
    stream.write_all(&wire::request(wire::SEND, &fields, b"no deflate stream")).expect("a broker that reads");
    let mut answer = [0; 64];
    assert!(stream.read(&mut answer).expect("an answer") > 0);
}

fn damaged_rig() -> Rig {
    Rig::of(Cluster::builder().delay_level_scale(0.01))
}

/// Three good messages around a damaged one, in each of two queues.
fn store_among_good(rig: &Rig, client: &Client) {
    let producer = producer(client);
    for id in 0..2 {
        let queue = rocketmq_blocking::MessageQueue::new(TOPIC, "broker-a", id);
        let good =
            |name: &str| producer.prepare(Message::new(TOPIC, format!("{name}{id}"))).queue(&queue).send().unwrap();
        drop((good("a"), good("b")));
        store_damaged(rig, id);
        good("c");
    }
    producer.close().expect("closing");
}

fn good() -> BTreeSet<String> {
    ["a", "b", "c"].iter().flat_map(|name| [0, 1].map(|id| format!("{name}{id}"))).collect()
}

fn consume_around_damage(orderly: bool) {
    let mut rig = damaged_rig();
    let client = rig.client();
    store_among_good(&rig, &client);
    let (seen, damaged) = (Seen::default(), Arc::new(AtomicBool::new(false)));
    let (listened, delivered) = (seen.clone(), damaged.clone());
    let listener = move |messages: &[MessageView]| {
        delivered.fetch_or(messages.iter().any(|message| message.check_body().is_err()), Ordering::SeqCst);
        see(&listened, messages);
    };
    let builder = consumer(&client).batch(10).suspend_time(millis(10));
    let consumer = match orderly {
        true => builder.start_orderly(listener),
        false => builder.max_reconsume_times(2).start(listener),
    };
    let consumer = consumer.expect("a consumer");
    let all = || seen.lock().unwrap().keys().cloned().collect::<BTreeSet<_>>() == good();
    eventually_within(millis(30_000), || format!("{:?}", seen.lock().unwrap()), all);
    eventually_within(millis(30_000), || format!("{} committed", committed(&rig)), || committed(&rig) == 8);
    eventually("both are dead letters", || rig.cluster.stored_count(&format!("%DLQ%{GROUP}")) == 2);
    assert!(!damaged.load(Ordering::SeqCst), "a listener got a damaged message");
    assert!(seen.lock().unwrap().values().all(|times| *times == 1), "{:?}", seen.lock().unwrap());
    consumer.close().expect("closing");
}

pub(crate) fn a_damaged_body_becomes_a_dead_letter_alone() {
    consume_around_damage(false);
}

pub(crate) fn a_damaged_body_does_not_hold_up_an_orderly_queue_for_ever() {
    consume_around_damage(true);
}

pub(crate) fn a_truncated_last_message_is_pulled_again() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    fill(&client, 400);
    // Everything from a missing byte of the last message to its whole is cut off, and more.
    let faults: Vec<Arc<AtomicUsize>> =
        [1, 7, 60, 100].map(|cut| rig.brokers[0].fault(Fault::Shorten(cut), Some(PULL), 3)).to_vec();
    let seen = Seen::default();
    let listened = seen.clone();
    let consumer =
        consumer(&client).start(move |messages: &[MessageView]| see(&listened, messages)).expect("a consumer");
    eventually_within(
        millis(30_000),
        || format!("{}", seen.lock().unwrap().len()),
        || seen.lock().unwrap().len() == 400,
    );
    assert!(faults.iter().all(|fault| fault.load(Ordering::SeqCst) == 3), "{faults:?}");
    assert!(seen.lock().unwrap().values().all(|times| *times == 1));
    eventually_within(millis(10_000), || format!("{} committed", committed(&rig)), || committed(&rig) == 400);
    consumer.close().expect("closing");
}

pub(crate) fn a_damaged_body_is_an_error_item_of_an_iterator() {
    let rig = damaged_rig();
    // Not looked after: the pulls that are held when the consumer closes end when their broker answers.
    let client = rig.builder().build().expect("a client");
    store_among_good(&rig, &client);
    let builder = client.lite_pull_consumer(GROUP).subscribe(TOPIC, "*");
    let consumer = builder.consume_from_where(ConsumeFromWhere::FirstOffset).start().expect("a consumer");
    let (mut bodies, mut errors) = (BTreeSet::new(), Vec::new());
    for item in consumer.timeout_iter(millis(5000)).take(8) {
        match item {
            Ok(message) => assert!(bodies.insert(message.body_text().unwrap_or("?").to_owned())),
            Err(error) => errors.push(error.to_string()),
        }
    }
    assert_eq!(bodies, good());
    assert!(errors.len() == 2 && errors.iter().all(|error| error.contains("offset 2 of")), "{errors:?}");
    assert!(consumer.try_iter().next().is_none());
    consumer.close().expect("closing");
    assert_eq!(committed(&rig), 8);
    client.close().expect("closing");
}
