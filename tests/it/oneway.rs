//! Sending without an answer: what arrives, and what is still an error.

use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, Message, Outcome};

use crate::support::{NOWHERE, Scene, client_to_nowhere, scene, sorted_bodies};

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

#[test]
fn oneway_messages_arrive() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    for body in numbered(200) {
        producer.send_oneway(scene.message(body)).unwrap();
    }
    assert_eq!(sorted_bodies(&scene.arrived(200)), numbered(200));
}

#[test]
fn oneway_messages_go_to_the_queue_they_are_given() {
    let scene = Scene::with_queues(1);
    let (producer, queue) = (scene.producer(), scene.queue());
    for body in numbered(100) {
        producer.prepare(scene.message(body)).queue(&queue).send_oneway().unwrap();
    }
    // Not compared in order: brokers hand the requests of a connection to a pool of threads.
    assert_eq!(sorted_bodies(&scene.arrived_in(&queue, 100)), numbered(100));
}

#[test]
fn buffered_oneway_messages_arrive_even_when_the_client_is_closed_at_once() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    for body in numbered(300) {
        producer.prepare(scene.message(body)).buffered(true).send_oneway().unwrap();
    }
    producer.close().unwrap();
    scene.client.close().unwrap();
    let later = scene_of_topic(&scene.topic);
    assert_eq!(sorted_bodies(&later.arrived(300)), numbered(300));
}

fn scene_of_topic(topic: &str) -> Scene {
    let mut later = scene();
    later.topic = topic.to_owned();
    later
}

#[test]
fn a_oneway_message_creates_an_unknown_topic() {
    let scene = scene();
    scene.producer().send_oneway(scene.message("first")).unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["first"]);
}

#[test]
fn what_is_known_locally_is_an_error() {
    let producer = client_to_nowhere().producer("it_oneway").start().unwrap();
    let refused = producer.send_oneway(Message::new("T", "")).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid { .. }), "{refused}");
    let failed = producer.send_oneway(Message::new("T", "x")).unwrap_err();
    assert_eq!((failed.error.outcome(), failed.message.body_text()), (Outcome::NotSent, Some("x")), "{failed}");
    assert!(failed.to_string().contains(NOWHERE), "it says who could not be asked: {failed}");
    producer.close().unwrap();
    let closed = producer.send_oneway(Message::new("T", "x")).unwrap_err();
    assert!(matches!(closed.error, Error::Closed { outcome: Outcome::NotSent }), "{closed}");
}

#[test]
fn a_broker_that_cannot_be_reached_is_an_error() {
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().address_map(|_| NOWHERE.to_owned()).build().unwrap();
    let producer = scene.producer();
    let began = Instant::now();
    let failed = producer.send_oneway(scene.message("x")).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "a refused connection is known at once: {:?}", began.elapsed());
    assert!(matches!(&failed.error, Error::Connect { addr, .. } if **addr == *NOWHERE), "{failed}");
    assert_eq!(failed.error.outcome(), Outcome::NotSent);
}
