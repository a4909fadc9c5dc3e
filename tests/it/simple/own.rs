//! What needs no cluster, or one of its own.

use std::time::{Duration, Instant};

use rocketmq_blocking::{ConsumeFromWhere, Error, Message, MessageQueue, RequestCode, ResponseCode, embedded};

use super::{LONG, MINUTE, SECOND, nothing_comes, numbered, take};
use crate::support::{Feature, body, client_builder, client_to_nowhere, scene, supports, unique};

#[test]
fn settings_out_of_range_are_refused() {
    let client = client_to_nowhere();
    let of = |topic: &str| client.simple_consumer("g").subscribe(topic, "*");
    let wrong = [
        of("a b"),
        of("%RETRY%g_T"),
        client.simple_consumer("a.b"),
        of("T").subscribe("T", "||"),
        of("T").await_duration(Duration::from_secs(4000)),
        of("T").max_reconsume_times(-1),
        of("T").consume_from_where(ConsumeFromWhere::Timestamp(std::time::UNIX_EPOCH)),
    ];
    for builder in wrong {
        assert!(matches!(builder.start(), Err(Error::Invalid { .. })));
    }
    let consumer = of("T").start().unwrap();
    let ranges = [(0, MINUTE), (33, MINUTE), (1, Duration::from_millis(999)), (1, 13 * 60 * MINUTE)];
    for (max, invisible) in ranges {
        assert!(matches!(consumer.receive(max, invisible), Err(Error::Invalid { .. })), "{max} {invisible:?}");
    }
    assert!(matches!(of("T").start(), Err(Error::GroupInUse { .. })));
}

#[test]
fn brokers_before_5_0_say_that_they_cannot() {
    let error_at = |name_server: &str, topic: &str| {
        let client = client_builder().name_servers(name_server).connect().unwrap();
        client.create_topic("TBW102", topic, 1).unwrap();
        let consumer = client.simple_consumer(unique("group")).subscribe(topic, "*").start().unwrap();
        consumer.receive(1, MINUTE).unwrap_err()
    };
    let cluster = embedded::Cluster::builder().pop(false).start().unwrap();
    let mut errors = vec![error_at(cluster.name_server(), "T")];
    if !supports(Feature::Pop) {
        let scene = scene();
        errors.push(error_at(&scene.cluster.name_server, &scene.topic));
    }
    for error in errors {
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("5.0")), "{error}");
    }
}

#[test]
fn a_broker_that_takes_no_batches_gets_one_acknowledgement_after_the_other() {
    let cluster = embedded::Cluster::start().unwrap();
    let fault = embedded::Fault::error(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "not supported");
    cluster.broker("broker-a").fault(fault.on(RequestCode::BATCH_ACK_MESSAGE));
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("p").start().unwrap();
    let queue = MessageQueue::new("T", "broker-a", 0);
    let consumer = client.simple_consumer("g").subscribe("T", "*");
    let consumer = consumer.consume_from_where(ConsumeFromWhere::FirstOffset).start().unwrap();
    client.create_topic("TBW102", "T", 1).unwrap();
    for _ in 0..2 {
        for body in numbered(3) {
            producer.prepare(Message::new("T", body)).queue(&queue).send().unwrap();
        }
        consumer.ack_all(&take(&consumer, 3, MINUTE)).unwrap();
    }
    let asked = |code| cluster.requests().iter().filter(|request| request.code == code).count();
    assert_eq!(asked(RequestCode::ACK_MESSAGE), 6);
    assert_eq!(asked(RequestCode::BATCH_ACK_MESSAGE), 1, "it is asked once");
}

#[test]
fn a_broker_that_is_down_is_passed_over_and_used_again() {
    let cluster = embedded::Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("p").start().unwrap();
    let send = |broker: &str, text: &str| {
        producer.prepare(Message::new("T", text.to_owned())).queue(&MessageQueue::new("T", broker, 0)).send().unwrap();
    };
    let consumer = client.simple_consumer("g").subscribe("T", "*").await_duration(SECOND).start().unwrap();
    nothing_comes(&consumer);
    cluster.broker("broker-b").kill();
    for text in numbered(3) {
        send("broker-a", &text);
        consumer.ack_all(&take(&consumer, 1, MINUTE)).unwrap();
    }
    cluster.broker("broker-b").restart().unwrap();
    let (end, sent) = (Instant::now() + LONG, Message::new("T", "back"));
    let queue = MessageQueue::new("T", "broker-b", 0);
    while let Err(failed) = producer.prepare(sent.clone()).queue(&queue).send() {
        assert!(Instant::now() < end, "{failed}");
    }
    assert_eq!(body(&take(&consumer, 1, MINUTE)[0]), "back");
}
