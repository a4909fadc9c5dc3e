//! Choosing messages by an SQL condition over their properties (`enablePropertyFilter` is on in every cluster under test).

use rocketmq_blocking::{Filter, Message, MessageQueue, PullConsumer, PullStatus, ResponseCode};

use crate::support::{Scene, body};

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
    let cases: [(&str, &[&str]); 22] = [
        ("amount > 5", &["two", "three"]),
        ("amount > 5.0", &["two", "three"]),
        ("amount <> 10.0", &["two", "three"]),
        ("region = '东' OR amount > 5", &[]),
        ("amount > 5 OR region = '东'", &[]),
        ("amount = 10.5", &[]),
        ("amount > 5 AND paid = TRUE", &[]),
        ("paid IS NOT NULL AND paid = TRUE", &[]),
        ("region > 5 OR region = 'north'", &[]),
        ("amount >= 5", &["one", "two", "three"]),
        ("amount < 0", &["four"]),
        ("amount = 10", &["two"]),
        ("amount <> 10", &["one", "three", "four"]),
        ("amount BETWEEN 5 AND 10", &["one", "two"]),
        ("amount NOT BETWEEN 5 AND 10", &["three", "four"]),
        ("region = 'north'", &["one", "five"]),
        ("region IN ('south', '东')", &["two", "three"]),
        ("region IS NULL", &["four"]),
        ("amount IS NOT NULL AND region IS NOT NULL", &["one", "two", "three"]),
        ("amount > 5 AND region = 'south' OR region = '东'", &["two", "three"]),
        ("NOT (amount > 5)", &["one", "four"]),
        ("TAGS = 'tag-two'", &["two"]),
    ];
    for (condition, expected) in cases {
        println!("{condition}: {:?} {:?}", all(&consumer, &queue, condition), expected);
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
fn a_condition_that_is_wrong_is_refused_by_the_broker() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (orders(&scene), scene.consumer());
    for wrong in ["amount >", "amount BETWEEN 5", "= 3", "amount > 'text", "amount > 5 AND", "amount LIKE 3", "1", "a =", "(a = 1"] {
        let error = match consumer.prepare_pull(&queue, 0).filter(Filter::sql(wrong)).fetch() { Ok(ok) => { println!("{wrong} OK {ok}"); continue }, Err(error) => error };println!("{wrong} {error}");
        assert_eq!(error.code(), Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED), "{wrong}: {error}");
        assert!(!error.is_retryable(), "{error}");
    }
}

#[test]
fn a_blank_condition_is_refused_before_anything_leaves() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let error = scene.consumer().prepare_pull(&queue, 0).filter(Filter::sql("  ")).fetch().unwrap_err();
    assert!(matches!(error, rocketmq_blocking::Error::Invalid { .. }), "{error}");
}
