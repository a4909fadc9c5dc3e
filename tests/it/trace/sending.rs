//! When records are sent, and that closing sends what waits.

use std::time::Duration;

use rocketmq_blocking::Trace;

use super::{at_the_end, producer, records};
use crate::support::{PATIENCE, Scene};

#[test]
fn records_are_sent_together_and_those_of_two_topics_apart() {
    let (one, two, traces) = (Scene::with_queues(1), Scene::with_queues(1), Scene::with_queues(1));
    let producer = producer(&one, at_the_end().topic(&*traces.topic));
    for number in 0..3 {
        producer.send(one.message(format!("{number}"))).unwrap();
        producer.send(two.message(format!("{number}"))).unwrap();
    }
    producer.close().unwrap();
    let stored = traces.arrived(2);
    for message in &stored {
        let records = records(message);
        assert_eq!(records.len(), 3, "{records:?}");
        assert!(records.iter().all(|record| record[4] == records[0][4]), "{records:?}");
    }
}

#[test]
fn a_full_batch_does_not_wait_and_a_lone_record_waits_for_the_interval() {
    let (scene, traces) = (Scene::with_queues(1), Scene::with_queues(1));
    let trace = Trace::default().batch(2).interval(Duration::from_secs(1)).topic(&*traces.topic);
    let producer = producer(&scene, trace);
    (0..3).for_each(|number| drop(producer.send(scene.message(format!("{number}"))).unwrap()));
    let mut sizes: Vec<usize> = traces.arrived(2).iter().map(|message| records(message).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2], "nobody closed the producer");
}

#[test]
fn closing_sends_what_waits_whoever_closes() {
    let traces = Scene::with_queues(1);
    let send = || {
        let scene = Scene::with_queues(1);
        let producer = producer(&scene, at_the_end().topic(&*traces.topic));
        producer.send(scene.message("x")).unwrap();
        (scene, producer)
    };
    let (_scene, producer) = send();
    assert!(producer.close_within(PATIENCE).unwrap().complete);
    assert_eq!(traces.arrived(1).len(), 1);
    let (_scene, producer) = send();
    drop(producer);
    assert_eq!(traces.arrived(2).len(), 2);
    let (scene, _producer) = send();
    scene.client.close().unwrap();
    assert_eq!(traces.arrived(3).len(), 3);
}

#[test]
fn closing_sends_hundreds_of_records() {
    let (scene, traces) = (Scene::with_queues(1), Scene::with_queues(1));
    let trace = Trace::default().batch(1).interval(Duration::from_secs(3600)).topic(&*traces.topic);
    let producer = producer(&scene, trace);
    producer.send_batch((0..300).map(|number| scene.message(format!("{number}"))).collect()).unwrap();
    assert!(producer.close_within(PATIENCE).unwrap().complete);
    assert_eq!(traces.arrived(300).len(), 300);
}
