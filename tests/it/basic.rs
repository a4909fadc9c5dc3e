//! One message there and back, and what is refused before anything leaves.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, SystemTime};

use rocketmq_blocking::{Error, Message, OffsetMessageId, Outcome, Producer, SendResult, SendStatus};

use crate::support::{Feature, Scene, client_to_nowhere, noise, scene, sorted_bodies, supports};

const MIB: usize = 1 << 20;

/// A producer that can refuse and nothing else: whatever it tried to send would fail with an error of the network.
fn producer_to_nowhere() -> Producer {
    let client = client_to_nowhere();
    client.producer("it_refusals").timeout(Duration::from_millis(300)).start().expect("starting needs no server")
}

/// The words with which a message is refused before any I/O.
#[track_caller]
fn refusal(producer: &Producer, message: impl Into<Message>) -> String {
    let message = message.into();
    let failed = producer.send(message.clone()).expect_err("must be refused");
    assert_eq!(failed.message, message, "the message is given back");
    assert_eq!(failed.error.outcome(), Outcome::NotSent);
    assert!(!failed.error.is_retryable());
    let Error::Invalid { what } = failed.error else { panic!("refused by the network: {}", failed.error) };
    let oneway = producer.send_oneway(message.clone()).expect_err("must be refused");
    assert!(matches!(oneway.error, Error::Invalid { .. }), "{oneway}");
    let background =
        producer.send_async(message, |_| panic!("called back although refused")).expect_err("must be refused");
    assert!(matches!(background.error, Error::Invalid { .. }), "{background}");
    what.to_string()
}

#[test]
fn every_part_of_a_message_comes_back_as_it_was_sent() {
    let scene = Scene::with_queues(4);
    let before = SystemTime::now() - Duration::from_secs(2);
    let message = Message::builder(&*scene.topic, "正文 with 😀 and \0 bytes")
        .tag("标签")
        .keys(["order-17", "客户😀"])
        .property("城市", "深圳 🌃")
        .property("emoji 😀", "🦀🚀")
        .property("plain", "a=b;c d\te\"f\\g")
        .flag(-17)
        .sharding_key("customer 9")
        .build();
    let sent = scene.producer().send(message.clone()).unwrap();
    let found = scene.arrived(1).remove(0);

    assert_eq!(found.topic(), scene.topic);
    assert_eq!(found.body(), message.body());
    assert_eq!(found.body_text(), Some("正文 with 😀 and \0 bytes"));
    assert_eq!(found.tag(), Some("标签"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["order-17", "客户😀"]);
    assert_eq!(found.flag(), -17);
    for (name, value) in message.properties().iter() {
        assert_eq!(found.property(name), Some(value), "property {name}");
        assert_eq!(found.properties().get(name), Some(value), "property {name}");
    }
    assert_eq!(found.property("__SHARDINGKEY"), Some("customer 9"));
    assert_eq!(found.property("no such"), None);

    assert_eq!(found.queue(), sent.queue());
    assert_eq!(found.queue_offset(), sent.queue_offset());
    assert_eq!(found.message_id(), sent.message_id());
    assert_eq!(found.offset_message_id().to_string(), sent.offset_message_id());
    assert_eq!((found.reconsume_times(), found.delay_level(), found.was_compressed()), (0, 0, false));
    assert_eq!(found.born_host().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(found.store_host().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let after = SystemTime::now() + Duration::from_secs(2);
    assert!((before..after).contains(&found.born_timestamp()), "{:?}", found.born_timestamp());
    assert!((before..after).contains(&found.store_timestamp()), "{:?}", found.store_timestamp());
    assert_eq!(found.detach(), found);
}

#[test]
fn a_message_of_topic_and_body_is_enough_and_creates_the_topic() {
    let scene = scene();
    let sent = scene.producer().send(scene.message("hello")).unwrap();
    assert_eq!((sent.status(), sent.attempts(), sent.may_be_duplicated()), (SendStatus::Ok, 1, false));
    let found = scene.arrived(1).remove(0);
    assert_eq!((found.tag(), found.keys().count(), found.flag()), (None, 0, 0));
    assert_eq!(found.body_text(), Some("hello"));
}

#[test]
fn a_result_says_where_the_message_is() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let queue = scene.queue();
    let sent: Vec<SendResult> = (0..3)
        .map(|number| producer.prepare(scene.message(format!("{number}"))).queue(&queue).send().unwrap())
        .collect();
    for (number, result) in sent.iter().enumerate() {
        assert_eq!((result.queue(), result.queue_offset()), (&queue, number as i64));
        assert_eq!(result.status().to_string(), "SEND_OK");
        let id = result.message_id();
        assert_eq!(
            result.to_string(),
            format!("SEND_OK {id} in {}/{}/0 at {number}", scene.topic, queue.broker_name())
        );
        assert!(format!("{result:?}").contains(id), "{result:?}");
        assert_eq!(result.message_ids().collect::<Vec<_>>(), [id]);
        assert!(!result.region_id().is_empty());
        let stored: OffsetMessageId = result.offset_message_id().parse().unwrap();
        assert_eq!(stored.store_host.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        if supports(Feature::TransactionId) {
            assert_eq!(result.transaction_id(), Some(id));
        }
    }
    let ids: HashSet<&str> = sent.iter().map(SendResult::message_id).collect();
    assert_eq!(ids.len(), 3, "each message has an id of its own");
    for id in ids {
        assert!(matches!(id.len(), 32 | 56) && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    }
    let places: HashSet<&str> = sent.iter().map(SendResult::offset_message_id).collect();
    assert_eq!(places.len(), 3);
}

#[test]
fn the_same_message_sent_again_is_another_message() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let message = scene.message("again");
    let first = producer.send(message.clone()).unwrap();
    let second = producer.send(message).unwrap();
    assert_ne!(first.message_id(), second.message_id());
    assert_eq!(scene.arrived(2).len(), 2);
}

#[test]
fn plain_sends_take_all_queues_in_turn() {
    let scene = Scene::with_queues(3);
    let producer = scene.producer();
    let used: Vec<_> = (0..12).map(|_| producer.send(scene.message("x")).unwrap().queue().clone()).collect();
    let all: HashSet<_> = used.iter().cloned().collect();
    assert_eq!(all, scene.queues().into_iter().collect(), "every queue of both brokers");
    assert_eq!(used[..6], used[6..], "in the same order again");
}

#[test]
fn many_threads_share_one_producer() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    thread::scope(|scope| {
        for number in 0..8 {
            let (producer, scene) = (&producer, &scene);
            scope.spawn(move || {
                for message in 0..25 {
                    producer.send(scene.message(format!("{number}-{message:02}"))).unwrap();
                }
            });
        }
    });
    let mut expected: Vec<String> = (0..8).flat_map(|n| (0..25).map(move |m| format!("{n}-{m:02}"))).collect();
    expected.sort();
    assert_eq!(sorted_bodies(&scene.arrived(200)), expected);
}

#[test]
fn a_body_of_128_kib_arrives_whole() {
    let scene = Scene::with_queues(1);
    let body = noise(128 * 1024, 1);
    scene.producer().send(Message::new(&*scene.topic, body.clone())).unwrap();
    let found = scene.arrived(1).remove(0);
    assert!(found.body() == body, "the body differs");
    assert!(!found.was_compressed(), "noise does not get smaller and is sent as it is");
}

#[test]
fn bodies_are_compressed_from_4_kib_on_when_that_makes_them_smaller() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let queue = scene.queue();
    for size in [4095, 4096, 1_000_000] {
        let message = Message::new(&*scene.topic, "一".repeat(size)[..size / 3 * 3].to_owned().into_bytes());
        producer.prepare(message).queue(&queue).send().unwrap();
    }
    let found = scene.arrived_in(&queue, 3);
    let sizes: Vec<_> = found.iter().map(|view| (view.body().len(), view.was_compressed())).collect();
    assert_eq!(sizes, [(4095, false), (4095, false), (999_999, true)]);
    assert!(found[2].body() == "一".repeat(333_333).as_bytes());
    assert!(found.iter().all(|view| view.check_body().is_ok()));
}

#[test]
fn the_compression_threshold_can_be_set() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let send = |threshold: usize, level: u32, size: usize| {
        let group = crate::support::unique("compress");
        let producer = scene.client.producer(group).compress_above(threshold).compress_level(level).start().unwrap();
        producer.prepare(Message::new(&*scene.topic, vec![b'x'; size])).queue(&queue).send().unwrap();
    };
    send(100, 1, 99);
    send(100, 9, 100);
    send(usize::MAX, 5, 100_000);
    let found: Vec<_> =
        scene.arrived_in(&queue, 3).iter().map(|view| (view.body().len(), view.was_compressed())).collect();
    assert_eq!(found, [(99, false), (100, true), (100_000, false)]);
}

#[test]
fn a_body_of_4_mib_is_taken() {
    let scene = Scene::with_queues(1);
    let body = noise(4 * MIB, 2);
    let sent = scene.producer().send(Message::new(&*scene.topic, body.clone())).unwrap();
    assert_eq!(sent.status(), SendStatus::Ok);
    assert!(scene.arrived(1)[0].body() == body, "the body differs");
}

#[test]
fn a_body_of_4_mib_and_a_byte_is_refused_before_anything_leaves() {
    let producer = producer_to_nowhere();
    let what = refusal(&producer, Message::new("T", vec![0; 4 * MIB + 1]));
    assert!(what.contains("4194305 bytes") && what.contains("4194304"), "{what}");
}

#[test]
fn the_size_limit_can_be_set_and_holds_for_batches_too() {
    let producer = client_to_nowhere().producer("it_limit").max_message_size(1000).start().unwrap();
    assert!(refusal(&producer, Message::new("T", vec![0; 1001])).contains("1000"));
    let batch = producer.send_batch(vec![Message::new("T", vec![0; 600]); 2]).unwrap_err();
    assert!(matches!(batch.error, Error::Invalid { .. }), "{batch}");
    assert_eq!(batch.message.len(), 2, "the batch is given back");
}

#[test]
fn a_message_without_a_body_is_refused_before_anything_leaves() {
    let producer = producer_to_nowhere();
    assert!(refusal(&producer, Message::new("T", "")).contains("body is empty"));
    assert!(refusal(&producer, Message::new("T", Vec::new())).contains("body is empty"));
}

#[test]
fn topics_that_cannot_exist_are_refused_before_anything_leaves() {
    let producer = producer_to_nowhere();
    let long = "t".repeat(128);
    for topic in ["", " ", "a b", "主题", "a/b", &long, "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC"] {
        assert!(refusal(&producer, Message::new(topic, "x")).contains("topic"), "{topic:?}");
    }
}

#[test]
fn properties_that_would_damage_the_message_are_refused_before_anything_leaves() {
    let producer = producer_to_nowhere();
    let message = || Message::builder("T", "x");
    let cases = [
        (message().property("KEYS", "v"), "used by RocketMQ"),
        (message().property("UNIQ_KEY", "v"), "used by RocketMQ"),
        (message().property("", "v"), "blank"),
        (message().property("p", ""), "blank"),
        (message().property("p", "a\u{1}b"), "U+0001"),
        (message().property("p\u{2}", "v"), "U+0002"),
        (message().tag("a || b"), "||"),
        (message().key("a b"), "space"),
        (message().delay_level(-1), "negative"),
        (message().property("p", "v".repeat(33_000)), "properties have"),
    ];
    for (builder, expected) in cases {
        let what = refusal(&producer, builder.clone());
        assert!(what.contains(expected), "{builder:?}: {what}");
    }
}

#[test]
fn properties_may_fill_the_room_brokers_leave() {
    let scene = Scene::with_queues(1);
    let large = "v".repeat(32_000);
    scene.producer().send(Message::builder(&*scene.topic, "x").property("p", large.clone())).unwrap();
    assert_eq!(scene.arrived(1)[0].property("p"), Some(&*large));
}

#[test]
fn whether_to_wait_for_storage_travels_with_the_message() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let producer = scene.producer();
    for wait in [true, false] {
        let message = Message::builder(&*scene.topic, "x").wait_store(wait).build();
        assert_eq!(message.wait_store(), wait);
        assert_eq!(producer.prepare(message).queue(&queue).send().unwrap().status(), SendStatus::Ok);
    }
    assert_eq!(scene.arrived_in(&queue, 2)[1].body_text(), Some("x"));
}
