//! Push consumers: each message is consumed once, by some member of the group; what fails comes again.

mod balance;
mod flow;
mod java;
mod member;
mod offsets;
mod order;
mod resets;
pub(crate) mod retry;
mod send_back;
mod slaves;
mod stuck;
mod tags;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rocketmq_blocking::{
    ConsumeFromWhere, ConsumeResult, Error, Message, MessageView, Outcome, PushConsumer, PushConsumerBuilder,
};

use crate::support::{
    Feature, Inbox, LONG, PATIENCE, Scene, body, client_to_nowhere, collect, eventually, numbered, scene, supports,
    unique,
};

#[test]
fn every_message_is_consumed_once_and_committed() {
    let scene = scene();
    scene.send(&numbered(40));
    let (consumer, inbox) = scene.collect();
    inbox.wait(40);
    scene.send(&["later".to_owned()]);
    inbox.wait(41);
    consumer.close().unwrap();
    assert_eq!(inbox.sorted(), [numbered(40), vec!["later".to_owned()]].concat());
    // The next start of the group goes on where this one ended.
    let (_again, nothing) = scene.collect();
    scene.send(&["new".to_owned()]);
    assert_eq!(nothing.wait(1).iter().map(body).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn a_listener_gets_batches_and_may_return_nothing_or_a_result() {
    let scene = scene();
    scene.send(&numbered(30));
    let (largest, inbox) = (Arc::new(AtomicUsize::new(0)), Inbox::default());
    let (seen, listener) = (largest.clone(), inbox.clone());
    let builder = scene.push().batch(8).pull_interval(Duration::from_millis(1));
    let _consumer = builder
        .start(move |messages: &[MessageView]| {
            seen.fetch_max(messages.len(), Ordering::SeqCst);
            listener.take_in(messages);
            Ok::<(), String>(())
        })
        .unwrap();
    inbox.wait(30);
    assert!((2..=8).contains(&largest.load(Ordering::SeqCst)), "{largest:?}");
    assert_eq!(inbox.sorted(), numbered(30));
}

#[test]
fn only_what_the_filter_wants_is_consumed() {
    let scene = scene();
    let producer = scene.producer();
    for (tag, text) in [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")] {
        producer.send(Message::builder(&*scene.topic, text.to_owned()).tag(tag)).unwrap();
    }
    let (_consumer, inbox) = collect(scene.push().subscribe(&*scene.topic, "a || c"));
    inbox.wait(3);
    producer.send(Message::builder(&*scene.topic, "5").tag("c")).unwrap();
    inbox.wait(4);
    assert_eq!(inbox.sorted(), ["1", "3", "4", "5"]);
}

#[test]
fn a_group_shares_its_queues_and_a_member_that_leaves_hands_them_over() {
    let scene = Scene::with_queues(4);
    let other = scene.cluster.builder().build().unwrap();
    let (one, first) = scene.collect();
    let (two, second) = collect(scene.push_of(&other));
    let mut sent = 0;
    eventually(LONG, || {
        scene.send(&[format!("{sent:04}")]);
        sent += 1;
        if first.bodies().is_empty() || second.bodies().is_empty() { Err("one of them gets nothing") } else { Ok(()) }
    });
    two.close().unwrap();
    let before = second.bodies().len();
    let all: Vec<String> = (sent..sent + 40).map(|number| format!("{number:04}")).collect();
    scene.send(&all);
    let total = sent + 40 - before;
    first.wait(total);
    one.close().unwrap();
    let mut bodies = [first.bodies(), second.bodies()].concat();
    bodies.sort();
    assert_eq!(bodies, numbered(sent + 40), "each once");
}

#[test]
fn an_orderly_listener_gets_each_queue_in_order_one_batch_at_a_time() {
    let scene = Scene::with_queues(3);
    let queues = scene.client.publish_queues(&scene.topic).unwrap();
    let producer = scene.producer();
    for number in 0..30 {
        let queue = &queues[number % queues.len()];
        producer.prepare(scene.message(format!("{number:04}"))).queue(queue).send().unwrap();
    }
    let (inbox, busy, failed) = (Inbox::default(), Arc::new(Mutex::new(BTreeMap::new())), AtomicBool::new(false));
    let (listener, running) = (inbox.clone(), busy.clone());
    let _consumer = scene
        .push()
        .batch(2)
        .start_orderly(move |messages: &[MessageView]| {
            let queue = messages[0].queue().clone();
            let before = running.lock().unwrap().insert(queue.clone(), ());
            assert!(before.is_none(), "{queue} has two batches at once");
            std::thread::yield_now();
            running.lock().unwrap().remove(&queue);
            if body(&messages[0]) == "0006" && !failed.swap(true, Ordering::SeqCst) {
                return ConsumeResult::SuspendFor(Duration::from_millis(300));
            }
            listener.take_in(messages);
            ConsumeResult::Success
        })
        .unwrap();
    let found = inbox.wait(30);
    for queue in &queues {
        let own = found.iter().filter(|message| message.queue() == queue);
        let offsets: Vec<i64> = own.map(MessageView::queue_offset).collect();
        assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>(), "{queue}");
    }
    assert_eq!(inbox.sorted(), numbered(30));
}

#[test]
fn a_new_group_starts_where_it_is_told_to_and_an_old_one_where_it_was() {
    let scene = Scene::with_queues(1);
    scene.send(&["before".to_owned()]);
    let middle = scene.arrived(1)[0].store_timestamp() + Duration::from_millis(1);
    eventually(PATIENCE, || if SystemTime::now() > middle { Ok(()) } else { Err("the clock stands still") });
    scene.send(&["after".to_owned()]);
    scene.arrived(2);
    let start = |group: &str, from: ConsumeFromWhere| {
        collect(scene.client.push_consumer(group).subscribe(&*scene.topic, "*").consume_from_where(from))
    };
    let (first, all) = start(&unique("first"), ConsumeFromWhere::FirstOffset);
    let (_timed, late) = start(&unique("timed"), ConsumeFromWhere::Timestamp(middle));
    all.wait(2);
    assert_eq!(all.sorted(), ["after", "before"]);
    if supports(Feature::NoOffsetIsTold) {
        assert_eq!(late.wait(1).iter().map(body).collect::<Vec<_>>(), ["after"]);
    } else {
        late.wait(2);
        assert_eq!(late.sorted(), ["after", "before"], "a young topic begins at its first message");
    }
    let group = first.group().to_owned();
    first.close().unwrap();
    scene.send(&["later".to_owned()]);
    let (_again, rest) = start(&group, ConsumeFromWhere::FirstOffset);
    assert_eq!(rest.wait(1).iter().map(body).collect::<Vec<_>>(), ["later"]);
}

#[test]
fn a_suspended_consumer_gets_nothing_until_it_is_resumed() {
    let scene = scene();
    let (consumer, inbox) = scene.collect();
    scene.send(&["one".to_owned()]);
    inbox.wait(1);
    consumer.suspend().unwrap();
    // What was asked for before may still come; what is sent a little later may not.
    let quiet = Instant::now() + Duration::from_secs(1);
    while Instant::now() < quiet {
        std::thread::yield_now();
    }
    let came = inbox.bodies().len();
    consumer.resume().unwrap();
    scene.send(&["two".to_owned()]);
    assert_eq!(inbox.wait(came + 1).len(), 2);
}

#[test]
fn topics_can_be_subscribed_and_given_up_while_it_runs() {
    let (scene, other) = (Scene::with_queues(1), Scene::with_queues(1));
    let (consumer, inbox) = scene.collect();
    other.send(&["other".to_owned()]);
    consumer.subscribe(&*other.topic, "*").unwrap();
    inbox.wait(1);
    consumer.unsubscribe(&scene.topic).unwrap();
    let (_rest, rest) = Scene { group: unique("rest"), ..scene }.collect();
    drop(rest);
    assert_eq!(inbox.bodies(), ["other"]);
}

#[test]
fn a_listener_may_send_and_close_its_consumer() {
    let scene = scene();
    let (slot, closed) = (Arc::new(Mutex::new(None::<PushConsumer>)), Arc::new(AtomicBool::new(false)));
    let (own, done) = (slot.clone(), closed.clone());
    let consumer = scene
        .push()
        .start(move |_: &[MessageView]| {
            if let Some(consumer) = own.lock().unwrap().take() {
                consumer.close().unwrap();
                done.store(true, Ordering::SeqCst);
            }
        })
        .unwrap();
    *slot.lock().unwrap() = Some(consumer);
    scene.send(&["x".to_owned()]);
    eventually(LONG, || if closed.load(Ordering::SeqCst) { Ok(()) } else { Err("it is not closed") });
}

#[test]
fn closing_lets_a_listener_finish_and_says_when_it_does_not() {
    let scene = Scene::with_queues(1);
    let (began, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begin, wait) = (began.clone(), go_on.clone());
    let consumer = scene
        .push()
        .start(move |_: &[MessageView]| {
            begin.store(true, Ordering::SeqCst);
            while !wait.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        })
        .unwrap();
    scene.send(&["x".to_owned()]);
    eventually(LONG, || if began.load(Ordering::SeqCst) { Ok(()) } else { Err("it does not begin") });
    let report = std::thread::scope(|scope| {
        let closing = scope.spawn(|| consumer.close_within(PATIENCE).unwrap());
        go_on.store(true, Ordering::SeqCst);
        closing.join().unwrap()
    });
    assert!(report.complete, "{report}");
    // It lies on one of the brokers.
    let queues = scene.client.publish_queues(&scene.topic).unwrap();
    let reader = scene.client.pull_consumer(&*scene.group).start().unwrap();
    let committed = |queue| reader.committed_offset(queue).unwrap().unwrap_or(0);
    assert_eq!(queues.iter().map(committed).sum::<i64>(), 1);
}

#[test]
fn wrong_settings_and_a_second_start_are_refused() {
    let client = client_to_nowhere();
    let start = |builder: PushConsumerBuilder| builder.start(|_: &[MessageView]| ()).map(drop);
    let invalid = |builder: PushConsumerBuilder| assert!(matches!(start(builder), Err(Error::Invalid { .. })));
    invalid(client.push_consumer("g"));
    invalid(client.push_consumer("a b").subscribe("T", "*"));
    invalid(client.push_consumer("g").subscribe("T", "||"));
    invalid(client.push_consumer("g").subscribe("T", "*").threads(0));
    invalid(client.push_consumer("g").subscribe("T", "*").batch(1025));
    let consumer = client.push_consumer("g").subscribe("T", "*").start(|_: &[MessageView]| ()).unwrap();
    assert!(matches!(start(client.push_consumer("g").subscribe("T", "*")), Err(Error::GroupInUse { .. })));
    consumer.close().unwrap();
    assert!(matches!(consumer.suspend(), Err(Error::Closed { outcome: Outcome::NotSent })));
    start(client.push_consumer("g").subscribe("T", "*")).unwrap();
}
