//! What servers ask of a client.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_blocking::{Client, ClientBuilder, MessageView, PushConsumer};
use serde_json::{Value, json};

use super::server::{Server, body, request};
use super::{assert_goes_on, builder, producer, stored};
use crate::support::{PATIENCE, eventually};

const RESET: i64 = 220;
const RUNNING: i64 = 307;
const CONSUME: i64 = 309;

/// A broker at an address of its own, and a name server that leads to it. Its group has one member.
fn pair() -> (Arc<Server>, Arc<Server>) {
    let broker = Server::start(|server, frame| match frame.code() {
        14 => Some((0, json!({"offset": "0"}), Vec::new())),
        11 => Some((19, json!({"nextBeginOffset": "0", "minOffset": "0", "maxOffset": "0"}), Vec::new())),
        310 => Some(stored()),
        38 => {
            let me = server.seen().iter().find(|frame| frame.code() == 34).map(|frame| frame.body.clone());
            let me: Value = serde_json::from_slice(&me.unwrap_or_default()).unwrap_or_default();
            Some(body(json!({"consumerIdList": [me["clientID"]]}).to_string()))
        }
        _ => None,
    });
    let leads_to = broker.clone();
    let name_server = Server::start(move |_, frame| match frame.code() {
        105 => Some(body(leads_to.route(1).to_string())),
        _ => None,
    });
    (name_server, broker)
}

fn consumer(builder: ClientBuilder) -> (Client, PushConsumer) {
    let client = builder.build().unwrap();
    let consumer = client.push_consumer("g").subscribe("good", "*").start(|_: &[MessageView]| ()).unwrap();
    eventually(PATIENCE, || {
        let queues = consumer.queues().unwrap();
        if queues.iter().any(|one| one.queue.topic() == "good") { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    (client, consumer)
}

fn of_group() -> Value {
    json!({"consumerGroup": "g", "group": "g", "topic": "good", "clientId": "x"})
}

/// The code with which the client answers.
fn answer(server: &Server, code: i64, opaque: i64) -> i64 {
    server.push(&request(code, opaque, false, &of_group(), b"{}"));
    eventually(PATIENCE, || match server.answers(opaque).first() {
        Some(frame) => Ok(frame.code()),
        None => Err("no answer"),
    })
}

#[test]
fn only_brokers_of_a_route_are_told_how_a_consumer_is() {
    let (name_server, broker) = pair();
    let (client, _consumer) = consumer(builder(&name_server));
    assert_eq!(answer(&broker, RUNNING, 70_001), 0);
    let refused = client.stats().server_requests_refused;
    for (code, opaque) in [(RUNNING, 70_002), (CONSUME, 70_003), (RESET, 70_004)] {
        assert_eq!(answer(&name_server, code, opaque), 16, "{code}");
    }
    assert_eq!(client.stats().server_requests_refused, refused + 3);
}

#[test]
fn diagnosis_can_be_refused_to_everybody() {
    let (name_server, broker) = pair();
    let (client, _consumer) = consumer(builder(&name_server).answer_diagnosis(false));
    for (code, opaque) in [(RUNNING, 70_001), (CONSUME, 70_002), (RESET, 70_003), (221, 70_004)] {
        assert_eq!(answer(&broker, code, opaque), 16, "{code}");
    }
    assert_eq!(client.stats().server_requests_refused, 4);
}

#[test]
fn a_flood_of_requests_is_dropped_and_the_client_goes_on() {
    let (name_server, broker) = pair();
    let (client, _consumer) = consumer(builder(&name_server).server_request_limit(50));
    let producer = producer(&client);
    assert_goes_on(&producer);
    let many = 20_000;
    for code in [39, 40, RESET, RUNNING, CONSUME, 77_777] {
        let flood = request(code, 80_000, true, &of_group(), &[0; 100]).repeat(many / 6);
        broker.push(&flood);
    }
    eventually(PATIENCE, || {
        let stats = client.stats();
        if stats.server_requests >= many as u64 / 6 * 6 { Ok(()) } else { Err(stats.to_string()) }
    });
    let stats = client.stats();
    assert!(stats.server_requests_dropped > many as u64 / 2, "{stats}");
    assert_goes_on(&producer);
}

#[test]
fn replies_nobody_waits_for_are_dropped_and_counted() {
    let (name_server, broker) = pair();
    let client = builder(&name_server).build().unwrap();
    let producer = producer(&client);
    assert_goes_on(&producer);
    let fields = json!({
        "producerGroup": "p", "topic": "good", "queueId": "0", "sysFlag": "0", "bornTimestamp": "0", "flag": "0",
        "properties": "CORRELATION_ID\u{1}nobody\u{2}", "bornHost": "1.1.1.1:1", "storeHost": "1.1.1.1:1",
        "storeTimestamp": "0", "defaultTopic": "x", "defaultTopicQueueNums": "1",
    });
    broker.push(&request(326, 90_000, true, &fields, &[7; 1000]).repeat(5000));
    eventually(Duration::from_secs(20), || match client.stats().late_replies {
        5000 => Ok(()),
        other => Err(format!("{other} late replies")),
    });
    assert_goes_on(&producer);
}

#[cfg(feature = "acl")]
#[test]
fn the_secret_is_in_nothing_that_a_client_sends_or_tells_of_itself() {
    let secret = "tell-nobody-83";
    let (name_server, broker) = pair();
    let credentials = rocketmq_blocking::Credentials::new("who", secret).security_token("a token is sent");
    let (client, consumer) = consumer(builder(&name_server).credentials(credentials));
    let producer = client.producer("p").trace(rocketmq_blocking::Trace::default()).start().unwrap();
    producer.send(rocketmq_blocking::Message::new("good", "x")).unwrap();
    assert_eq!(answer(&broker, RUNNING, 70_001), 0);
    let told = format!("{client:?} {consumer:?} {producer:?} {:?} {}", client.stats(), client.stats());
    assert!(!told.contains(secret), "{told}");
    drop((producer, consumer));
    client.close().unwrap();
    let sent = [broker.seen(), name_server.seen()].concat();
    assert!(sent.iter().any(|frame| frame.code() == 310 && frame.field("b").starts_with("RMQ_SYS_TRACE")), "a trace");
    for frame in sent {
        let text = format!("{} {}", frame.header, String::from_utf8_lossy(&frame.body));
        assert!(!text.contains(secret), "{text}");
    }
}
