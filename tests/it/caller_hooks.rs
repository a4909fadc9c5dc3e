//! What can be hung into consumption where callers take messages, and what is counted there: lite pull and simple consumers.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use rocketmq_blocking::{
    ConsumeFromWhere, ConsumerStats, LitePullConsumer, LitePullConsumerBuilder, Message, MessageView, SimpleConsumer,
    SimpleConsumerBuilder,
};

use crate::push_hooks::{Lines, Noting, Panicking, records_of};
use crate::support::{Feature, Scene, body, eventually, supports};
use crate::trace::at_once;

/// A first message may wait for a rebalance, and for its former owner.
const LONG: Duration = Duration::from_secs(40);
const MINUTE: Duration = Duration::from_secs(60);

fn send(scene: &Scene, bodies: &[&str]) {
    let producer = scene.producer();
    for text in bodies {
        producer.prepare(scene.message(*text)).queue(&scene.queue()).send().unwrap();
    }
}

fn lite(scene: &Scene) -> LitePullConsumerBuilder {
    let builder = scene.client.lite_pull_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

/// A builder where messages are handed out, if they are.
fn simple(scene: &Scene) -> SimpleConsumerBuilder {
    let builder = scene.client.simple_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset).await_duration(Duration::from_secs(3))
}

/// Takes one message after the other, each by a call of its own.
fn take(consumer: &LitePullConsumer, count: usize) -> Vec<String> {
    consumer.timeout_iter(LONG).take(count).map(|message| body(&message.unwrap())).collect()
}

/// Receives until so many messages came.
#[track_caller]
fn receive(consumer: &SimpleConsumer, count: usize) -> Vec<MessageView> {
    let mut found = Vec::new();
    eventually(LONG, || {
        found.extend(consumer.receive(32, MINUTE).unwrap());
        if found.len() >= count { Ok(()) } else { Err(format!("{found:?}")) }
    });
    found
}

fn counts(stats: &ConsumerStats) -> (u64, u64, u64, u64, u64) {
    (stats.pulled, stats.consumed, stats.failed, stats.panics, stats.filtered)
}

#[test]
fn a_lite_pull_consumers_hooks_are_told_when_a_thread_gets_messages_and_when_it_asks_for_more() {
    let scene = Scene::with_queues(1);
    let lines = Lines::default();
    let consumer = lite(&scene).poll_batch(1).hook(Panicking).hook(Noting(lines.clone())).start().unwrap();
    send(&scene, &["one", "two", "three"]);
    assert_eq!(take(&consumer, 1), ["one"]);
    let group = &scene.group;
    assert_eq!(lines.all(), [format!("before {group} one")], "it has the message still");
    assert_eq!(take(&consumer, 1), ["two"]);
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let mut messages = consumer.timeout_iter(LONG);
        assert_eq!(body(&messages.next().unwrap().unwrap()), "three");
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(panics.is_err());
    assert_eq!(take(&consumer, 1), ["three"], "it comes again");
    consumer.close().unwrap();
    let expected = [
        format!("before {group} one"),
        "after one Success panicked false".to_owned(),
        format!("before {group} two"),
        "after two Success panicked false".to_owned(),
        format!("before {group} three"),
        "after three Retry panicked true".to_owned(),
        format!("before {group} three"),
        "after three Retry panicked false".to_owned(),
    ];
    assert_eq!(lines.all(), expected, "what was left at closing comes again");
    let stats = consumer.stats();
    assert_eq!(counts(&stats), (3, 2, 2, 1, 0), "{stats}");
    assert_eq!(stats.listeners.count, 4);
}

#[test]
fn what_a_filter_of_a_lite_pull_consumer_drops_nobody_gets_and_it_counts_as_finished() {
    let scene = Scene::with_queues(1);
    let builder = lite(&scene).filter_hook(|message: &MessageView| !body(message).starts_with("drop"));
    let consumer = builder.start().unwrap();
    send(&scene, &["drop 1", "drop 2", "keep 1", "drop 3", "keep 2", "drop 4"]);
    assert_eq!(take(&consumer, 2), ["keep 1", "keep 2"]);
    // The last one is dropped, too, before this ends without a message.
    eventually(LONG, || {
        assert_eq!(consumer.try_iter().count(), 0);
        let filtered = consumer.stats().filtered;
        if filtered == 4 { Ok(()) } else { Err(format!("{filtered}")) }
    });
    assert_eq!(consumer.try_iter().count(), 0);
    consumer.close().unwrap();
    let stats = consumer.stats();
    assert_eq!(counts(&stats), (6, 2, 0, 0, 4), "{stats}");
    assert_eq!(scene.consumer().committed_offset(&scene.queue()).unwrap(), Some(6));
}

#[test]
fn what_a_lite_pull_consumer_has_in_memory_and_how_far_it_is_behind_is_told() {
    let scene = Scene::with_queues(1);
    let consumer = lite(&scene).start().unwrap();
    send(&scene, &["a", "b", "c", "d", "e"]);
    assert_eq!(take(&consumer, 2), ["a", "b"]);
    let stats = eventually(LONG, || match consumer.stats() {
        // The message that is out is unfinished.
        stats if stats.cached == 3 && stats.lag() == 4 => Ok(stats),
        stats => Err(format!("{stats}")),
    });
    let topic = &stats.topics[0];
    assert_eq!((&*topic.topic, topic.pulled, topic.consumed), (&*scene.topic, 5, 1), "{stats}");
    assert!(topic.pulled_per_second > 0.0 && topic.consumed_per_second > 0.0 && stats.pulls.count > 0, "{stats}");
    assert!(stats.lags.len() == 2 && stats.cached_bytes == 3, "{stats}");
    consumer.commit().unwrap();
    assert_eq!(consumer.stats().consumed, 2, "who commits has finished what it had");
}

/// The records of a message: the group, its result and Java's code for that.
fn assert_traced(scene: &Scene, id: &str, (success, code): (&str, &str)) {
    let (before, after) = records_of(scene, id);
    assert_eq!(before[2..], ["DefaultRegion", &scene.group, &after[1], id, "0", "k"], "{before:?}");
    assert_eq!((&*after[4], &*after[5], &*after[6]), (success, "k", code), "{after:?}");
    assert_eq!((&*after[2], &*after[8]), (id, &*scene.group));
}

/// Sends messages with a key and returns their ids.
fn send_with_key(scene: &Scene, bodies: &[&'static str]) -> Vec<String> {
    let producer = scene.producer();
    let message = |text: &&'static str| Message::builder(&*scene.topic, *text).key("k");
    bodies.iter().map(|text| producer.send(message(text)).unwrap().message_id().to_owned()).collect()
}

#[test]
fn a_lite_pull_consumers_work_is_traced() {
    let scene = Scene::with_queues(1);
    let consumer = lite(&scene).trace(at_once()).start().unwrap();
    let ids = send_with_key(&scene, &["x", "y"]);
    assert_eq!(take(&consumer, 2).len(), 2);
    consumer.commit().unwrap();
    ids.iter().for_each(|id| assert_traced(&scene, id, ("true", "0")));
    consumer.close().unwrap();
    let trace = consumer.stats().trace;
    assert_eq!((trace.recorded, trace.sent, trace.dropped), (4, 4, 0));
}

#[test]
fn a_simple_consumers_hooks_are_told_of_what_is_received_and_of_what_becomes_of_each_message() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = Scene::with_queues(1);
    let lines = Lines::default();
    send(&scene, &["one", "drop", "two", "back"]);
    let consumer = simple(&scene)
        .hook(Panicking)
        .hook(Noting(lines.clone()))
        .filter_hook(|message: &MessageView| body(message) != "drop")
        .start()
        .unwrap();
    let mut found = receive(&consumer, 3);
    assert_eq!(found.iter().map(body).collect::<Vec<_>>(), ["one", "two", "back"]);
    let mut back = found.remove(2);
    consumer.ack_all(&found).unwrap();
    consumer.change_invisible_duration(&mut back, Duration::ZERO).unwrap();
    let again = receive(&consumer, 1);
    assert_eq!((body(&again[0]).as_str(), again.len()), ("back", 1), "what was dropped is done with");
    consumer.ack(&again[0]).unwrap();
    let lines = lines.all();
    let mut befores: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("before ")).collect();
    let last = befores.pop();
    assert_eq!(last, Some(&*format!("{} back", scene.group)));
    assert_eq!(befores.join(",").replace(&format!("{} ", scene.group), ""), "one,two,back", "{lines:?}");
    let mut afters: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("after ")).collect();
    afters.sort_unstable();
    let expected = ["back Retry", "back Success", "one Success", "two Success"];
    assert_eq!(afters, expected.map(|end| format!("{end} panicked false")));
    consumer.close().unwrap();
    let stats = consumer.stats();
    assert_eq!((counts(&stats), stats.handed_back), ((5, 3, 1, 0, 1), 1), "{stats}");
    assert!(stats.listeners.count == 4 && stats.pulls.count >= 2 && stats.topics[0].consumed_per_second > 0.0);
}

#[test]
fn acknowledgements_that_come_too_late_count_as_failed() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = Scene::with_queues(1);
    send(&scene, &["late"]);
    let consumer = simple(&scene).start().unwrap();
    let message = eventually(LONG, || {
        consumer.receive(1, Duration::from_secs(1)).unwrap().pop().ok_or("nothing came".to_owned())
    });
    eventually(LONG, || consumer.ack(&message).err().ok_or("its time is not up".to_owned()));
    let stats = consumer.stats();
    assert!(stats.failed >= 1 && stats.pulled == 1, "{stats}");
}

#[test]
fn a_simple_consumers_work_is_traced() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = Scene::with_queues(1);
    let consumer = simple(&scene).trace(at_once()).start().unwrap();
    let ids = send_with_key(&scene, &["well", "back"]);
    for mut message in receive(&consumer, 2) {
        match body(&message).as_str() {
            "well" => consumer.ack(&message).unwrap(),
            _ => consumer.change_invisible_duration(&mut message, Duration::ZERO).unwrap(),
        }
    }
    assert_traced(&scene, &ids[0], ("true", "0"));
    assert_traced(&scene, &ids[1], ("false", "4"));
    consumer.close().unwrap();
    let trace = consumer.stats().trace;
    assert_eq!((trace.sent, trace.dropped), (4, 0));
}
