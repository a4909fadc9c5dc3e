//! Sends to a queue of the caller's choosing, and the order they keep.

use std::collections::HashMap;

use rocketmq_blocking::{Error, Message, MessageQueue, Outcome, ResponseCode, select};

use crate::support::{Scene, body};

#[test]
fn a_message_goes_to_the_queue_it_is_given() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    for queue in scene.queues() {
        for number in 0..3 {
            let sent = producer.prepare(scene.message(format!("{number}"))).queue(&queue).send().unwrap();
            assert_eq!(sent.queue(), &queue);
        }
        let bodies: Vec<String> = scene.arrived_in(&queue, 3).iter().map(body).collect();
        assert_eq!(bodies, ["0", "1", "2"]);
    }
}

#[test]
fn a_selector_sees_all_queues_sorted_and_the_message_and_names_one() {
    let scene = Scene::with_queues(3);
    let producer = scene.producer();
    let expected = scene.queues();
    for index in 0..expected.len() {
        let message = Message::builder(&*scene.topic, "x").key("the-key").build();
        let chosen = |queues: &[MessageQueue], message: &Message| {
            assert_eq!(queues, expected);
            assert_eq!(message.keys().next(), Some("the-key"));
            index
        };
        let sent = producer.prepare(message).select(chosen).send().unwrap();
        assert_eq!(sent.queue(), &expected[index]);
    }
}

#[test]
fn messages_of_one_key_stay_in_the_order_of_sending() {
    let scene = Scene::with_queues(4);
    let producer = scene.producer();
    for number in 0..30 {
        let order = format!("order {}", number % 5);
        let message = scene.message(format!("{order}:{number:02}"));
        match number % 3 {
            0 => drop(producer.prepare(message).select(select::by_hash(&order)).send().unwrap()),
            1 => drop(producer.prepare(message).select(select::by_hash(order)).submit().unwrap().wait().unwrap()),
            _ => drop(producer.prepare(message).select(select::by_hash(&order)).retries(5).send().unwrap()),
        }
    }
    let (mut last, mut queue_of) = (HashMap::new(), HashMap::new());
    for view in scene.arrived(30) {
        let text = body(&view);
        let (order, number) = text.split_once(':').unwrap();
        let before = last.insert(order.to_owned(), number.to_owned());
        assert!(before.is_none_or(|before| *before < *number), "{order} out of order at {number}");
        let queue = queue_of.entry(order.to_owned()).or_insert_with(|| view.queue().clone());
        assert_eq!(queue, view.queue(), "{order} is spread over queues");
    }
    assert_eq!(last.len(), 5);
}

#[test]
fn ready_made_selectors_choose_by_hash_key_and_chance() {
    let scene = Scene::with_queues(4);
    let producer = scene.producer();
    let queues = scene.queues();
    // Java's "TagA".hashCode() is 2598919.
    let sent = producer.prepare(scene.message("x")).select(select::by_hash("TagA")).send().unwrap();
    assert_eq!(sent.queue(), &queues[2_598_919 % 8]);
    let same =
        |key: u32| producer.prepare(scene.message("x")).select(select::same_queue(key)).send().unwrap().queue().clone();
    assert_eq!(same(17), same(17));
    let mut chosen: Vec<MessageQueue> = Vec::new();
    for _ in 0..40 {
        chosen.push(producer.prepare(scene.message("x")).select(select::random()).send().unwrap().queue().clone());
    }
    chosen.sort();
    chosen.dedup();
    // One queue of eight for 40 independent choices: less likely than once in 10^35 runs.
    assert!(chosen.len() > 1, "40 random choices all fell on {}", chosen[0]);
}

#[test]
fn an_index_out_of_range_is_an_error_and_nothing_is_sent() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    for index in [4, 5, usize::MAX] {
        let failed = producer.prepare(scene.message("x")).select(|_, _| index).send().unwrap_err();
        assert!(matches!(failed.error, Error::Invalid { .. }), "{failed}");
        assert!(failed.to_string().contains("0 to 3"), "{failed}");
        assert_eq!((failed.error.outcome(), failed.message.body_text()), (Outcome::NotSent, Some("x")));
        let failed = producer.prepare(scene.message("x")).select(|_, _| index).send_oneway().unwrap_err();
        assert!(matches!(failed.error, Error::Invalid { .. }), "{failed}");
    }
    assert_eq!(scene.arrived(0), []);
}

#[test]
fn a_selector_that_panics_is_an_error_and_nothing_is_sent() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let panicking = |_: &[MessageQueue], _: &Message| -> usize { panic!("a selector of the test panics on purpose") };
    let failed = producer.prepare(scene.message("x")).select(panicking).send().unwrap_err();
    assert!(matches!(&failed.error, Error::Invalid { what } if what.contains("panicked")), "{failed}");
    assert_eq!(failed.error.outcome(), Outcome::NotSent);
    producer.send(scene.message("the producer goes on")).unwrap();
    assert_eq!(scene.arrived(1)[0].body_text(), Some("the producer goes on"));
}

#[test]
fn a_queue_beyond_the_number_is_refused_by_the_broker_once() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 2);
    let failed = producer.prepare(scene.message("x")).queue(&beyond).retries(3).send().unwrap_err();
    let Error::Rejected { code, remark, .. } = &failed.error else { panic!("{failed}") };
    println!("{code}: {remark}");
    assert!(matches!(*code, ResponseCode::INVALID_PARAMETER | ResponseCode::SYSTEM_ERROR), "{failed}");
    assert!(remark.contains("request queueId[2] is illegal"), "{remark}");
    assert_eq!(failed.error.outcome(), Outcome::Rejected);
    assert_eq!(scene.arrived(0), []);
}

#[test]
fn a_negative_queue_number_leaves_the_choice_to_the_broker() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let broker = scene.queue().broker_name().to_owned();
    let sent =
        producer.prepare(scene.message("x")).queue(&MessageQueue::new(&*scene.topic, &*broker, -1)).send().unwrap();
    assert_eq!(sent.queue().broker_name(), broker);
    assert!((0..2).contains(&sent.queue().queue_id()), "the result names the queue: {}", sent.queue());
    assert_eq!(scene.arrived(1)[0].queue(), sent.queue());
}

#[test]
fn a_queue_of_another_topic_or_an_unknown_broker_is_an_error() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let other = MessageQueue::new("another_topic", scene.queue().broker_name(), 0);
    let failed = producer.prepare(scene.message("x")).queue(&other).send().unwrap_err();
    assert!(matches!(failed.error, Error::Invalid { .. }), "{failed}");
    let nowhere = MessageQueue::new(&*scene.topic, "no-such-broker", 0);
    let failed = producer.prepare(scene.message("x")).queue(&nowhere).send().unwrap_err();
    assert!(failed.to_string().contains("no-such-broker"), "{failed}");
    assert_eq!(failed.error.outcome(), Outcome::NotSent);
    assert_eq!(scene.arrived(0), []);
}
