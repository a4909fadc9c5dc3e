//! Several messages as one unit.

use std::collections::HashSet;
use std::sync::mpsc;

use rocketmq_blocking::{Error, Message, Outcome, SendStatus, split_batch};

use crate::support::{PATIENCE, Scene, client_to_nowhere, noise, sorted_bodies};

fn messages(topic: &str, count: usize) -> Vec<Message> {
    let message = |number: usize| {
        Message::builder(topic, format!("body {number:03}"))
            .tag(format!("tag{number}"))
            .key(format!("key{number}"))
            .property("号", format!("{number}"))
            .flag(number as i32)
            .build()
    };
    (0..count).map(message).collect()
}

#[test]
fn a_batch_lies_in_one_queue_in_order_and_each_message_has_its_own_parts() {
    let scene = Scene::with_queues(4);
    let sent = scene.producer().send_batch(messages(&scene.topic, 20)).unwrap();
    assert_eq!(sent.status(), SendStatus::Ok);
    let found = scene.arrived(20);
    for (number, view) in found.iter().enumerate() {
        assert_eq!(view.queue(), sent.queue());
        assert_eq!(view.queue_offset(), sent.queue_offset() + number as i64, "offsets are consecutive");
        assert_eq!(view.body_text().unwrap(), format!("body {number:03}"));
        assert_eq!(view.tag().unwrap(), format!("tag{number}"));
        assert_eq!(view.keys().collect::<Vec<_>>(), [format!("key{number}")]);
        assert_eq!(view.property("号").unwrap(), number.to_string());
        assert_eq!(view.flag(), number as i32);
    }
    let ids: Vec<String> = found.iter().map(|view| view.message_id().into_owned()).collect();
    assert_eq!(sent.message_ids().collect::<Vec<_>>(), ids, "the result names each message's own unique id");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20);
    let places: Vec<String> = found.iter().map(|view| view.offset_message_id().to_string()).collect();
    assert_eq!(sent.offset_message_id().split(',').collect::<Vec<_>>(), places);
}

#[test]
fn a_batch_can_be_sent_to_a_queue_through_a_selector_and_one_way() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let queues = scene.queues();
    let sent = producer.prepare_batch(messages(&scene.topic, 2)).queue(&queues[1]).send().unwrap();
    assert_eq!(sent.queue(), &queues[1]);
    let sent = producer.prepare_batch(messages(&scene.topic, 3)).select(|queues, _| queues.len() - 1).send().unwrap();
    assert_eq!(Some(sent.queue()), queues.last());
    producer.prepare_batch(messages(&scene.topic, 4)).queue(&queues[0]).send_oneway().unwrap();
    assert_eq!(scene.arrived_in(&queues[0], 4).len(), 4);
    assert_eq!(scene.arrived(9).len(), 9);
}

#[test]
fn a_batch_can_be_sent_in_the_background() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let (done, called_back) = mpsc::channel();
    producer.prepare_batch(messages(&scene.topic, 5)).send_async(move |result| done.send(result).unwrap()).unwrap();
    let sent = called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(sent.message_ids().count(), 5);
    let sent = producer.prepare_batch(messages(&scene.topic, 3)).submit().unwrap().wait().unwrap();
    assert_eq!(sent.message_ids().count(), 3);
    assert_eq!(scene.arrived(8).len(), 8);
}

#[test]
fn a_batch_is_not_compressed() {
    let scene = Scene::with_queues(1);
    let body = vec![b'x'; 20_000];
    scene.producer().send_batch(vec![Message::new(&*scene.topic, body.clone()); 2]).unwrap();
    let found = scene.arrived(2);
    assert!(found.iter().all(|view| !view.was_compressed() && view.body() == body));
}

#[test]
fn split_batches_arrive_whole_and_in_order() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let producer = scene.producer();
    let all: Vec<Message> = (0..60).map(|number| Message::new(&*scene.topic, noise(30_000, number))).collect();
    let batches = split_batch(all.clone(), 1_000_000);
    assert!(batches.len() >= 2, "1.8 MB do not fit into one batch");
    for batch in batches {
        producer.prepare_batch(batch).queue(&queue).send().unwrap();
    }
    let found = scene.arrived_in(&queue, 60);
    assert!(found.iter().zip(&all).all(|(view, message)| view.body() == message.body()));
}

#[test]
fn a_batch_just_below_the_limit_is_taken_and_one_above_it_refused() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let limit = 4 << 20;
    let mut batches = split_batch((0..5).map(|number| Message::new(&*scene.topic, noise(1_000_000, number))), limit);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1]);
    producer.send_batch(batches[0].clone()).unwrap();
    let all = batches.concat();
    let failed = producer.send_batch(all).unwrap_err();
    assert!(failed.to_string().contains("split_batch"), "{failed}");
    assert_eq!(failed.error.outcome(), Outcome::NotSent);
    producer.send_batch(batches.remove(1)).unwrap();
    assert_eq!(scene.arrived(5).len(), 5, "nothing of the refused batch is there");
}

#[test]
fn a_batch_of_one_is_a_batch() {
    let scene = Scene::with_queues(1);
    let sent = scene.producer().send_batch(messages(&scene.topic, 1)).unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["body 000"]);
    assert_eq!(sent.message_ids().count(), 1);
}

#[test]
fn batches_of_two_kinds_are_refused_before_anything_leaves() {
    let producer = client_to_nowhere().producer("it_batches").start().unwrap();
    let plain = || Message::new("T", "x");
    let of = |other: Message| vec![plain(), other];
    let soon = std::time::Duration::from_secs(1);
    let cases = [
        (Vec::new(), "empty"),
        (of(Message::new("U", "x")), "topic U"),
        (of(Message::new("T", "")), "body is empty"),
        (of(Message::builder("T", "x").delay_level(3).build()), "delayed"),
        (of(Message::builder("T", "x").deliver_after(soon).build()), "delayed"),
        (of(Message::builder("T", "x").wait_store(false).build()), "storage"),
        (vec![Message::new("%RETRY%g", "x")], "retry topic"),
    ];
    for (batch, expected) in cases {
        let failed = producer.send_batch(batch.clone()).unwrap_err();
        assert!(matches!(failed.error, Error::Invalid { .. }), "{failed}");
        assert!(failed.to_string().contains(expected), "{expected}: {failed}");
        assert_eq!(failed.message, batch, "the messages are given back");
    }
}
