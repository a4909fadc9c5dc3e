//! Choosing messages by an SQL condition over their properties (`enablePropertyFilter` is on in every cluster under test).

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::{Filter, Message, MessageQueue, PullConsumer, PullStatus, ResponseCode};

use crate::support::{PATIENCE, Scene, body};

/// Five orders; the fifth has no amount, the fourth no region.
fn orders(scene: &Scene) -> MessageQueue {
    let (queue, producer) = (scene.queue(), scene.producer());
    let order = |name: &str| Message::builder(&*scene.topic, name.to_owned()).tag(format!("tag-{name}"));
    let messages = [
        order("one").property("amount", "5").property("region", "north"),
        order("two").property("amount", "10").property("region", "south").property("paid", "TRUE"),
        order("three").property("amount", "10.5").property("region", "东"),
        order("four").property("amount", "-3"),
        order("five").property("region", "north"),
    ];
    for message in messages {
        producer.prepare(message).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, 5);
    queue
}

fn all(consumer: &PullConsumer, queue: &MessageQueue, condition: &str) -> Vec<String> {
    let (filter, mut offset, mut found) = (Filter::sql(condition), 0, Vec::new());
    loop {
        let result = consumer.prepare_pull(queue, offset).filter(&filter).fetch().unwrap();
        offset = result.next_offset();
        found.extend(result.messages().iter().map(body));
        if matches!(result.status(), PullStatus::NoNewMessage | PullStatus::OffsetIllegal) {
            return found;
        }
    }
}

#[test]
fn conditions_compare_numbers_texts_and_absence() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (orders(&scene), scene.consumer());
    let cases: [(&str, &[&str]); 17] = [
        ("amount > 5.0", &["two", "three"]),
        ("amount >= 5.0", &["one", "two", "three"]),
        ("amount < 0", &["four"]),
        ("amount = 10", &["two"]),
        ("amount = 10.5", &["three"]),
        ("amount <> 10.0", &["one", "three", "four"]),
        ("amount BETWEEN 5 AND 10", &["one", "two"]),
        ("region = 'north'", &["one", "five"]),
        ("region <> 'north'", &["two", "three"]),
        ("region IN ('south', '东')", &["two", "three"]),
        ("region NOT IN ('south', '东')", &["one", "five"]),
        ("region IS NULL", &["four"]),
        ("amount IS NOT NULL AND region IS NOT NULL", &["one", "two", "three"]),
        ("amount > 5.0 AND region = 'south' OR region = '东'", &["two", "three"]),
        ("NOT (amount > 5.0)", &["one", "four"]),
        ("paid = TRUE", &["two"]),
        ("TAGS = 'tag-two'", &["two"]),
    ];
    for (condition, expected) in cases {
        assert_eq!(all(&consumer, &queue, condition), expected, "{condition}");
    }
}

#[test]
fn a_property_that_is_not_the_kind_of_number_it_is_compared_with_matches_nothing() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (orders(&scene), scene.consumer());
    // Apache's brokers read the text 10.5 as a whole number next to one, and drop the message when that fails, whatever
    // else the condition says; only what stands before it can still let the message through.
    let cases: [(&str, &[&str]); 7] = [
        ("amount > 5", &["two"]),
        ("amount <> 10", &["one", "four"]),
        ("amount NOT BETWEEN 5 AND 10", &["four"]),
        ("NOT (amount > 5)", &["one", "four"]),
        ("amount > 5 OR region = '东'", &["two"]),
        ("region = '东' OR amount > 5", &["two", "three"]),
        ("region > 5 OR region = 'north'", &[]),
    ];
    for (condition, expected) in cases {
        assert_eq!(all(&consumer, &queue, condition), expected, "{condition}");
    }
}

#[test]
fn nothing_that_matches_is_an_answer_with_the_next_offset() {
    let scene = Scene::with_queues(1);
    let queue = orders(&scene);
    let result = scene.consumer().prepare_pull(&queue, 0).filter(Filter::sql("amount > 1000")).fetch().unwrap();
    assert_eq!((result.status(), result.next_offset()), (PullStatus::NoMatchedMessage, 5));
}

#[test]
fn a_condition_that_is_wrong_is_refused_and_never_taken_for_all_messages() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (orders(&scene), scene.consumer());
    // Asked for such a pull, Apache's brokers hand out every message.
    for wrong in ["amount >", "amount BETWEEN 5", "= 3", "amount > 'text", "a = 1 AND", "(a = 1", "1"] {
        let error = consumer.prepare_pull(&queue, 0).filter(Filter::sql(wrong)).fetch().unwrap_err();
        assert_eq!(error.code(), Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED), "{wrong}: {error}");
        assert!(!error.is_retryable(), "{error}");
        let (done, called_back) = mpsc::channel();
        let pull = consumer.prepare_pull(&queue, 0).filter(Filter::sql(wrong)).wait(Duration::from_secs(5));
        pull.fetch_async(move |result| done.send(result).unwrap()).unwrap();
        let error = called_back.recv_timeout(PATIENCE).unwrap().unwrap_err();
        assert_eq!(error.code(), Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED), "{wrong}: {error}");
    }
}

#[test]
fn a_blank_condition_is_refused_before_anything_leaves() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let error = scene.consumer().prepare_pull(&queue, 0).filter(Filter::sql("  ")).fetch().unwrap_err();
    assert!(matches!(error, rocketmq_blocking::Error::Invalid { .. }), "{error}");
}
