//! Taking timer messages back.

use std::time::Duration;

use rocketmq_blocking::embedded;
use rocketmq_blocking::{Error, Message, MessageBuilder, Outcome, ResponseCode};

use crate::support::{Feature, PATIENCE, Scene, body, client_builder, cluster, eventually, supports, unique};

fn timer(scene: &Scene, body: &str, seconds: u64) -> MessageBuilder {
    Message::builder(&*scene.topic, body.to_owned()).deliver_after(Duration::from_secs(seconds))
}

/// The URL-safe form of base64.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            encoded.push(if at <= group.len() { digit.into() } else { '=' });
        }
    }
    encoded
}

#[test]
fn a_recalled_message_is_not_delivered() {
    let scene = Scene::with_queues(1);
    if !supports(Feature::Recall) {
        return;
    }
    let producer = scene.producer();
    let kept = producer.send(timer(&scene, "kept", 6)).unwrap();
    let recalled = producer.send(timer(&scene, "recalled", 5)).unwrap();
    let handle = recalled.recall_handle().expect("a timer message has a handle");
    assert_ne!(kept.recall_handle(), Some(handle));
    assert_eq!(producer.recall(&scene.topic, handle).unwrap(), recalled.message_id());
    // Any producer can do it, and again.
    let other = scene.cluster.builder().build().unwrap();
    let other = other.producer(&*scene.group).start().unwrap();
    assert_eq!(other.recall(&scene.topic, handle).unwrap(), recalled.message_id());
    // The one that is kept comes a second later than the other would have.
    let found = scene.arrived_within(PATIENCE * 2, 1);
    assert_eq!(body(&found[0]), "kept");
}

#[test]
fn a_message_that_was_delivered_cannot_be_recalled() {
    let scene = Scene::with_queues(1);
    if !supports(Feature::Recall) {
        return;
    }
    let producer = scene.producer();
    let sent = producer.send(timer(&scene, "x", 2)).unwrap();
    scene.arrived_within(PATIENCE, 1);
    // A timer may deliver up to a second early.
    let error = eventually(PATIENCE, || match producer.recall(&scene.topic, sent.recall_handle().unwrap()) {
        Ok(_) => Err("it is still recalled"),
        Err(error) => Ok(error),
    });
    assert_eq!(error.code(), Some(ResponseCode::ILLEGAL_OPERATION), "{error}");
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(scene.arrived(1).len(), 1);
}

#[test]
fn only_timer_messages_have_a_handle() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let message = |body: &str| Message::builder(&*scene.topic, body.to_owned());
    assert_eq!(producer.send(message("plain")).unwrap().recall_handle(), None);
    assert_eq!(producer.send(message("level").delay_level(1)).unwrap().recall_handle(), None);
    let batch = vec![message("a").build(), message("b").build()];
    assert_eq!(producer.send_batch(batch).unwrap().recall_handle(), None);
    let pending = producer.prepare(timer(&scene, "timer", 1)).submit().unwrap();
    assert_eq!(pending.wait().unwrap().recall_handle().is_some(), supports(Feature::Recall));
}

#[test]
fn a_broker_that_cannot_recall_says_so() {
    let scene = Scene::with_queues(1);
    let (producer, queue) = (scene.producer(), scene.queue());
    let recall = |plain: &str| producer.recall(&scene.topic, &base64(plain)).unwrap_err();
    let (topic, broker) = (&scene.topic, queue.broker_name());
    let error = recall(&format!("v1 {topic} {broker} 1700000001000 AC1100017D2C18B4AAC2018C0A5E0000"));
    if supports(Feature::Recall) {
        assert_eq!(error.code(), Some(ResponseCode::ILLEGAL_OPERATION), "{error}");
    } else {
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("5.3.2")), "{error}");
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    let error = recall(&format!("v1 {topic} no-such-broker 1700000001000 AC1100017D2C18B4AAC2018C0A5E0000"));
    assert!(matches!(error, Error::NoBroker { .. }), "{error}");
}

#[test]
fn wrong_handles_and_topics_are_refused_before_anything_is_asked() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let refused = |topic: &str, handle: &str| match producer.recall(topic, handle).unwrap_err() {
        Error::Invalid { what } => what.to_string(),
        other => panic!("{other}"),
    };
    let handle = base64(&format!("v1 {} broker-a 1700000001000 AC11", scene.topic));
    assert!(refused(&scene.topic, "no handle").contains("not a recall handle"));
    assert!(refused(&scene.topic, &base64("v2 a b 1 c")).contains("not a recall handle"));
    assert!(refused("OtherTopic", &handle).contains(&scene.topic));
    assert!(refused("%RETRY%group", &handle).contains("cannot be recalled"));
    assert!(refused("%DLQ%group", &handle).contains("cannot be recalled"));
    producer.close().unwrap();
    assert!(matches!(producer.recall(&scene.topic, &handle).unwrap_err(), Error::Closed { .. }));
}

#[test]
fn a_broker_that_was_not_set_up_to_recall_names_the_setting() {
    let cluster = embedded::Cluster::builder().recall(false).topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("g").start().unwrap();
    let error = producer.recall("T", &base64("v1 T broker-a 1700000001000 AC11")).unwrap_err();
    assert!(error.to_string().contains("recallMessageEnable"), "{error}");
    assert_eq!((error.code(), error.outcome()), (Some(ResponseCode::NO_PERMISSION), Outcome::Rejected));
}

#[test]
fn a_message_is_recalled_within_its_namespace() {
    if !supports(Feature::Recall) {
        return;
    }
    let client = cluster().builder().namespace("it_ns").build().unwrap();
    let (topic, group) = (unique("topic"), unique("group"));
    let producer = client.producer(&*group).timeout(PATIENCE).start().unwrap();
    let later = Message::builder(&*topic, "x").deliver_after(Duration::from_secs(60));
    let sent = producer.send(later).unwrap();
    let handle = sent.recall_handle().unwrap();
    let recalled = eventually(PATIENCE, || producer.recall(&topic, handle));
    assert_eq!(recalled, sent.message_id());
    let error = producer.recall("other", handle).unwrap_err();
    assert!(error.to_string().contains("not other"), "{error}");
}
