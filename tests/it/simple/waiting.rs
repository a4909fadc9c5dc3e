//! Receives that wait for a message.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::Error;

use super::{LONG, MINUTE, SECOND, builder, builder_at, nothing_comes, numbered, pop_scene, send, take};
use crate::support::{PATIENCE, Scene, sorted_bodies};

#[test]
fn a_receive_that_waits_gets_a_message_as_soon_as_it_comes() {
    let Some(scene) = pop_scene(4) else { return };
    let consumer = builder(&scene).await_duration(LONG).start().unwrap();
    let (received, messages) = mpsc::channel();
    thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..3 {
                let found = consumer.receive(32, MINUTE).unwrap();
                consumer.ack_all(&found).unwrap();
                received.send((Instant::now(), found)).unwrap();
            }
        });
        let producer = scene.producer();
        for body in numbered(3) {
            // Each comes when the consumer waits again.
            let sent = Instant::now();
            producer.send(scene.message(&body)).unwrap();
            let (at, found) = messages.recv_timeout(LONG).unwrap();
            assert_eq!(sorted_bodies(&found), [body]);
            assert!(at - sent < Duration::from_secs(5), "{:?}", at - sent);
        }
    });
}

#[test]
fn closing_wakes_a_receive() {
    let Some(scene) = pop_scene(1) else { return };
    let consumer = builder(&scene).await_duration(10 * MINUTE).start().unwrap();
    let (ended, end) = mpsc::channel();
    thread::scope(|threads| {
        threads.spawn(|| ended.send(consumer.receive(1, MINUTE)).unwrap());
        assert!(end.recv_timeout(SECOND).is_err(), "it waits");
        consumer.close().unwrap();
        let result = end.recv_timeout(PATIENCE).expect("it ends");
        assert!(matches!(result, Err(Error::Closed { .. })), "{result:?}");
    });
    for result in [consumer.receive(1, MINUTE).err(), consumer.subscribe("other", "*").err()] {
        assert!(matches!(result, Some(Error::Closed { .. })), "{result:?}");
    }
    consumer.close().unwrap();
    // What comes afterwards was taken by nobody.
    send(&scene, &numbered(1));
    let again = builder(&scene).start().unwrap();
    assert_eq!(take(&again, 1, MINUTE)[0].reconsume_times(), 0);
}

#[test]
fn waiting_costs_brokers_little() {
    let Some(scene) = pop_scene(2) else { return };
    let client = scene.cluster.builder().build().unwrap();
    for orderly in [false, true] {
        let other = Scene::with_queues(2);
        send(&other, &numbered(4));
        let consumer =
            builder_at(&client, &other).orderly(orderly).await_duration(Duration::from_secs(5)).start().unwrap();
        // Handed out and not acknowledged: nothing more is to be had, and in order the queues are blocked.
        let found = take(&consumer, 4, MINUTE);
        let before = client.stats().requests;
        nothing_comes(&consumer);
        let asked = client.stats().requests - before;
        assert!(asked < 40, "{asked} requests in five seconds, orderly: {orderly}");
        consumer.ack_all(&found).unwrap();
    }
}
