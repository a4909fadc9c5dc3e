//! What a hostile or broken server may not do: each limit is an error with a type and a count, and the client goes on.

mod addresses;
mod answers;
mod requests;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_blocking::{Client, ClientBuilder, Error, Limit, Message, Producer};
use serde_json::{Value, json};

use self::server::{Answer, Frame, Server, body};
use crate::support::{PATIENCE, client_builder, eventually};

/// A server whose route of every topic but `good` is what `wrong` makes of a sound one.
fn with_route(wrong: impl Fn(&Server) -> Vec<u8> + Send + Sync + 'static) -> Arc<Server> {
    Server::start(move |server, frame| match frame.code() {
        105 if frame.field("topic") == "good" => Some(body(server.route(1).to_string())),
        105 => Some(body(wrong(server))),
        310 => Some(stored()),
        _ => None,
    })
}

fn stored() -> Answer {
    (0, json!({"msgId": "7F00000100002A9F0000000000000000", "queueId": "0", "queueOffset": "0"}), Vec::new())
}

fn builder(server: &Server) -> ClientBuilder {
    client_builder().name_servers(&server.addr).request_timeout(PATIENCE)
}

fn producer(client: &Client) -> Producer {
    client.producer("p").timeout(PATIENCE).retries(0).start().unwrap()
}

#[track_caller]
fn assert_goes_on(producer: &Producer) {
    producer.send(Message::new("good", "x")).unwrap();
}

#[track_caller]
fn assert_beyond(error: &Error, expected: Limit) {
    assert!(matches!(error, Error::LimitExceeded { limit, .. } if *limit == expected), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(expected.setting()) && !error.is_retryable(), "{text}");
}

/// Sends to a topic whose route is wrong, and then to the sound one.
fn wrong_route(change: impl FnOnce(ClientBuilder) -> ClientBuilder, wrong: Vec<u8>) -> (Error, u64) {
    let server = with_route(move |_| wrong.clone());
    let client = change(builder(&server)).build().unwrap();
    let producer = producer(&client);
    let error = producer.send(Message::new("wrong", "x")).unwrap_err().error;
    assert_goes_on(&producer);
    (error, client.stats().limits_exceeded)
}

fn route(queues: i64, brokers: usize, name: &str) -> Vec<u8> {
    let brokers: Vec<Value> = (0..brokers)
        .map(|number| json!({"brokerAddrs": {"0": "127.0.0.1:1"}, "brokerName": format!("{name}{number}"), "cluster": "c"}))
        .collect();
    let queue = json!({"brokerName": format!("{name}0"), "perm": 6, "readQueueNums": queues, "writeQueueNums": queues});
    json!({"brokerDatas": brokers, "queueDatas": [queue]}).to_string().into_bytes()
}

#[test]
fn a_route_with_two_thousand_million_queues_allocates_nothing_and_names_the_limit() {
    let (error, count) = wrong_route(|builder| builder, route(2_000_000_000, 1, "b"));
    assert_beyond(&error, Limit::Route);
    assert!(count >= 1);
    let (error, _) = wrong_route(|builder| builder.route_limit(7), route(8, 1, "b"));
    assert_beyond(&error, Limit::Route);
}

#[test]
fn a_route_with_too_many_brokers_makes_no_connections() {
    let (error, count) = wrong_route(|builder| builder, route(1, 5000, "b"));
    assert_beyond(&error, Limit::Brokers);
    assert!(count >= 1);
    let (error, _) = wrong_route(|builder| builder.broker_limit(2), route(1, 3, "b"));
    assert_beyond(&error, Limit::Brokers);
}

#[test]
fn names_without_end_are_not_kept() {
    let (error, count) = wrong_route(|builder| builder, route(1, 1, &"n".repeat(100_000)));
    assert_beyond(&error, Limit::Text);
    assert!(count >= 1);
    assert_beyond(&wrong_route(|builder| builder.text_limit(30), route(1, 1, &"n".repeat(31))).0, Limit::Text);
}

#[test]
fn bodies_that_nest_without_end_or_list_millions_are_errors_and_cost_nothing() {
    let deep = |piece: &str| piece.repeat(200_000 / piece.len()).into_bytes();
    let quotes = format!("{}\"a\":1{}", "{".repeat(60), "}:1".repeat(59) + "}").into_bytes();
    let many = format!("{{\"queueDatas\":[{}]}}", vec!["{}"; 300_000].join(",")).into_bytes();
    for wrong in [deep("["), deep("{\"a\":"), deep("{{"), quotes, many] {
        let (error, _) = wrong_route(|builder| builder, wrong);
        assert!(matches!(error, Error::NoRoute { .. } | Error::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn the_last_good_route_serves_while_name_servers_send_nonsense() {
    let wrong = Arc::new(AtomicBool::new(false));
    let (switch, asked) = (wrong.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = asked.clone();
    let server = Server::start(move |server, frame| match frame.code() {
        105 if switch.load(Ordering::SeqCst) => {
            counter.fetch_add(1, Ordering::SeqCst);
            Some(body(server.route(i64::from(i32::MAX)).to_string()))
        }
        105 => Some(body(server.route(1).to_string())),
        310 => Some(stored()),
        _ => None,
    });
    let client = builder(&server).route_interval(Duration::from_millis(20)).build().unwrap();
    let producer = producer(&client);
    assert_goes_on(&producer);
    wrong.store(true, Ordering::SeqCst);
    eventually(PATIENCE, || match client.stats().limits_exceeded {
        0..5 => Err("not refreshed"),
        _ => Ok(()),
    });
    assert!(asked.load(Ordering::SeqCst) >= 5);
    assert_goes_on(&producer);
}

/// Whether the frame asks for the members of a group.
fn asks_for_members(frame: &Frame) -> bool {
    frame.code() == 38
}

#[test]
fn a_list_of_members_without_end_counts_as_no_answer() {
    let honest = Arc::new(AtomicBool::new(false));
    let switch = honest.clone();
    let server = Server::start(move |server, frame| match frame.code() {
        105 => Some(body(server.route(1).to_string())),
        14 => Some((0, json!({"offset": "0"}), Vec::new())),
        11 => Some((19, json!({"nextBeginOffset": "0", "minOffset": "0", "maxOffset": "0"}), Vec::new())),
        _ if asks_for_members(frame) => {
            let me = server.seen().iter().find(|frame| frame.code() == 34).map(|frame| frame.body.clone());
            let me: Value = serde_json::from_slice(&me.unwrap_or_default()).unwrap_or_default();
            let mut members = vec![me["clientID"].as_str().unwrap_or_default().to_owned()];
            if !switch.load(Ordering::SeqCst) {
                members.extend((0..4).map(|number| format!("somebody-{number}")));
            }
            Some(body(json!({"consumerIdList": members}).to_string()))
        }
        _ => None,
    });
    let client = builder(&server).member_limit(4).build().unwrap();
    let consumer = client.push_consumer("g").subscribe("good", "*");
    let consumer = consumer.start(|_: &[rocketmq_blocking::MessageView]| ()).unwrap();
    eventually(PATIENCE, || if client.stats().limits_exceeded >= 2 { Ok(()) } else { Err("no limit is reached") });
    assert!(consumer.queues().unwrap().iter().all(|one| one.queue.topic() != "good"));
    honest.store(true, Ordering::SeqCst);
    eventually(PATIENCE, || {
        let queues = consumer.queues().unwrap();
        if queues.iter().any(|one| one.queue.topic() == "good") { Ok(()) } else { Err(format!("{queues:?}")) }
    });
}
