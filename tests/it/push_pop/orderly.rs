//! In order over pop.

use std::time::Duration;

use rocketmq_blocking::{ConsumeResult, MessageView, PushConsumerBuilder};

use super::{is_popped, nothing_is_held, nothing_lags, pop, pop_scene, quick};
use crate::support::{Inbox, body, numbered};

#[test]
fn in_order_what_fails_holds_up_its_queue_and_nothing_overtakes() {
    let Some(scene) = pop_scene(2) else { return };
    let producer = scene.producer();
    let queue = scene.queue();
    for text in numbered(20) {
        producer.prepare(scene.message(text)).queue(&queue).send().unwrap();
    }
    let inbox = Inbox::default();
    let seen = inbox.clone();
    let consumer = pop(&scene).start_orderly(move |messages: &[MessageView]| {
        let text = body(&messages[0]);
        let before = seen.times(&text).len();
        seen.take_in(messages);
        match text.as_str() {
            "0005" if before == 0 => ConsumeResult::Retry,
            "0011" if before < 2 => ConsumeResult::SuspendFor(Duration::from_millis(500)),
            _ => ConsumeResult::Success,
        }
    });
    let consumer = consumer.unwrap();
    let found = inbox.wait(23);
    assert!(found.iter().all(is_popped), "{found:?}");
    let mut expected = numbered(20);
    expected.insert(5, "0005".to_owned());
    expected.splice(12..12, ["0011".to_owned(), "0011".to_owned()]);
    assert_eq!(inbox.bodies(), expected);
    assert_eq!(inbox.times("0005"), [0, 1]);
    nothing_is_held(&consumer);
    nothing_lags(&scene);
}

#[test]
fn in_order_keys_stay_in_order_over_several_queues_and_members() {
    let Some(scene) = pop_scene(2) else { return };
    let other = scene.cluster.builder().build().unwrap();
    let inbox = Inbox::default();
    let start = |builder: PushConsumerBuilder| {
        let seen = inbox.clone();
        builder.batch(4).start_orderly(move |messages: &[MessageView]| seen.take_in(messages)).unwrap()
    };
    let _members = [start(pop(&scene)), start(quick(scene.push_of(&other)))];
    let producer = scene.producer();
    let queues = scene.queues();
    for number in 0..80 {
        let queue = &queues[number % queues.len()];
        producer.prepare(scene.message(format!("{number:04}"))).queue(queue).send().unwrap();
    }
    inbox.wait(80);
    let found = inbox.messages();
    for queue in &queues {
        let of_queue: Vec<i64> =
            found.iter().filter(|message| message.queue() == queue).map(MessageView::queue_offset).collect();
        assert_eq!(of_queue, (0..20).collect::<Vec<i64>>(), "{queue}");
    }
}
