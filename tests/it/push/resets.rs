//! Groups that Apache's own tool sends elsewhere while they consume.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_blocking::{ConsumeFromWhere, MessageQueue, PushConsumer};

use crate::support::{
    Feature, Inbox, LONG, Scene, collect, eventually, live_variable, mqadmin, numbered, pair, say, supports, unique,
};

const SOON: Duration = Duration::from_millis(200);

/// Whether Apache's tools are there.
fn tools() -> bool {
    let there = live_variable("LIB").is_some();
    if !there {
        say("resets by mqadmin need Apache's jars (ROCKETMQ_LIVE_LIB)");
    }
    there
}

/// Waits until the brokers know that each queue is consumed to its end: older ones reset only a group that has an offset in
/// each queue.
#[track_caller]
fn settled(consumer: &PushConsumer, topic: &str) {
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let own: Vec<_> = queues.into_iter().filter(|one| one.queue.topic() == topic).collect();
        let is_settled = |stored: Option<i64>, end: i64| stored.is_some_and(|stored| stored == end);
        if !own.is_empty() && own.iter().all(|one| is_settled(one.stored_offset, one.commit_offset)) {
            Ok(())
        } else {
            Err(format!("{own:?}"))
        }
    });
}

/// How often messages of each queue came.
fn counts(inbox: &Inbox) -> BTreeMap<MessageQueue, usize> {
    let mut counts = BTreeMap::new();
    inbox.messages().iter().for_each(|message| *counts.entry(message.queue().clone()).or_default() += 1);
    counts
}

#[test]
fn apaches_tool_sends_a_running_group_back_to_a_time() {
    if !tools() {
        return;
    }
    let scene = Scene::with_queues(2);
    scene.send(&numbered(12));
    let (consumer, inbox) = collect(scene.push().persist_interval(SOON));
    inbox.wait(12);
    settled(&consumer, &scene.topic);
    let name_server = &scene.cluster.name_server;
    let told = mqadmin(&["resetOffsetByTime", "-g", &scene.group, "-t", &scene.topic, "-s", "1", "-n", name_server]);
    assert!(!told.contains("Exception"), "{told}");
    // A broker that keeps the reset to itself tells of it with the next answer to a pull, which it would hold for 15 s.
    scene.send(&["+0", "+1", "+2", "+3"].map(str::to_owned));
    inbox.wait(28);
    assert!(numbered(12).iter().all(|text| inbox.times(text) == [0, 0]), "{:?}", inbox.bodies());
    settled(&consumer, &scene.topic);
    let skipped =
        mqadmin(&["resetOffsetByTime", "-g", &scene.group, "-t", &scene.topic, "-s", "now", "-n", name_server]);
    assert!(!skipped.contains("Exception"), "{skipped}");
    scene.send(&["later".to_owned()]);
    inbox.wait_for(&["later".to_owned()]);
    assert_eq!(inbox.len(), 29, "the end is where it was");
}

#[test]
fn apaches_tool_sends_one_queue_back() {
    if !tools() || !supports(Feature::ServerSideReset) {
        return;
    }
    let scene = Scene::with_queues(2);
    scene.send(&numbered(12));
    let (consumer, inbox) = collect(scene.push().persist_interval(SOON));
    inbox.wait(12);
    settled(&consumer, &scene.topic);
    let queue = scene.queue();
    let route = scene.client.topic_route(&scene.topic).unwrap();
    let broker = route.brokers().iter().find(|broker| broker.name() == queue.broker_name()).unwrap();
    let (broker, number) = (&broker.addresses()[&0], queue.queue_id().to_string());
    // To 0 the tool only says that it resets.
    let place = ["-b", broker, "-q", &number, "-o", "1", "-s", "1"];
    let group = ["resetOffsetByTime", "-g", &scene.group, "-t", &scene.topic, "-n", &scene.cluster.name_server];
    let told = mqadmin(&[&group[..], &place[..]].concat());
    assert!(!told.contains("Exception"), "{told}");
    scene.send(&["+0", "+1", "+2", "+3"].map(str::to_owned));
    inbox.wait(18);
    settled(&consumer, &scene.topic);
    assert!(counts(&inbox).into_iter().all(|(one, count)| count == if one == queue { 6 } else { 4 }), "{told}");
}

/// Brokers before 5.2, and newer ones that are told to do so, tell the members (request 220).
#[test]
fn members_that_a_broker_tells_of_a_reset_go_back_and_their_offsets_count() {
    if !tools() {
        return;
    }
    let pair = pair();
    let client = pair.builder().build().unwrap();
    let (group, tag) = (unique("group"), unique("tag"));
    let producer = client.producer(unique("sender")).timeout(LONG).start().unwrap();
    let send = |text: &str| {
        drop(producer.send(rocketmq_blocking::Message::builder(&*pair.topic, text.to_owned()).tag(&*tag)).unwrap())
    };
    numbered(12).iter().for_each(|text| send(text));
    let builder = client.push_consumer(&*group).subscribe(&*pair.topic, &*tag).persist_interval(SOON);
    let (consumer, inbox) = collect(builder.consume_from_where(ConsumeFromWhere::FirstOffset));
    inbox.wait(12);
    settled(&consumer, &pair.topic);
    let told = mqadmin(&["resetOffsetByTime", "-g", &group, "-t", &pair.topic, "-s", "1", "-n", &pair.name_server]);
    assert!(!told.contains("Exception"), "{told}");
    // Nothing is sent meanwhile: the broker tells at once, in a request of its own.
    inbox.wait(24);
    assert!(numbered(12).iter().all(|text| inbox.times(text) == [0, 0]), "{:?}", inbox.bodies());
    settled(&consumer, &pair.topic);
    consumer.close().unwrap();
    send("later");
    let (_again, rest) = collect(client.push_consumer(&*group).subscribe(&*pair.topic, &*tag));
    rest.wait(1);
    assert_eq!(rest.bodies(), ["later"], "the reset is over");
}
