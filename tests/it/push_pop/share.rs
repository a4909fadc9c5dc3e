//! Queues that only some of the members pop, and a broker that dies while it hands out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Client, ConsumeFromWhere, Message, MessageQueue, MessageRequestMode, MessageView, PushConsumer,
};

use super::{SHORT, is_popped, nothing_lags, quick};
use crate::support::{Feature, Inbox, LONG, Scene, collect, eventually, numbered, pair_alone, supports, unique};

/// The queues of the topic that a member pops.
fn popped(consumer: &PushConsumer, topic: &str) -> BTreeSet<MessageQueue> {
    let queues = consumer.queues().unwrap_or_default().into_iter();
    // What is pulled has offsets.
    queues.filter(|one| one.queue.topic() == topic && one.next_offset == -1).map(|one| one.queue).collect()
}

/// Waits until each queue is popped by so many members.
#[track_caller]
fn shared_by(members: &[&PushConsumer], scene: &Scene, count: usize) {
    eventually(LONG, || {
        let mut owners: BTreeMap<MessageQueue, usize> = BTreeMap::new();
        members.iter().flat_map(|one| popped(one, &scene.topic)).for_each(|one| *owners.entry(one).or_default() += 1);
        let all: Vec<MessageQueue> = owners.keys().cloned().collect();
        let is_so = all == scene.queues() && owners.values().all(|of| *of == count);
        if is_so { Ok(()) } else { Err(format!("{owners:?}")) }
    });
}

#[test]
fn a_queue_that_is_shared_with_one_more_member_is_popped_by_two_and_nothing_comes_twice_or_not_at_all() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = Scene::with_queues(3);
    scene.client.set_message_request_mode(&scene.topic, &scene.group, MessageRequestMode::Pop, 1).unwrap();
    let clients: Vec<Client> = (0..3).map(|_| scene.cluster.builder().build().unwrap()).collect();
    let mut members: Vec<(PushConsumer, Inbox)> =
        clients.iter().map(|client| collect(quick(scene.push_of(client)).pop_batch(1))).collect();
    shared_by(&members.iter().map(|(one, _)| one).collect::<Vec<_>>(), &scene, 2);
    scene.send(&numbered(90));
    let all = |members: &[(PushConsumer, Inbox)]| -> Vec<String> {
        let mut all: Vec<String> = members.iter().flat_map(|(_, inbox)| inbox.bodies()).collect();
        all.sort();
        all
    };
    eventually(LONG, || match all(&members) {
        found if found.len() >= 90 => Ok(()),
        found => Err(format!("{} of 90", found.len())),
    });
    assert_eq!(all(&members), numbered(90));
    assert!(members.iter().all(|(_, inbox)| inbox.len() > 0), "nobody pops alone");
    nothing_lags(&scene);
    // Two are left, so all queues are shared with everybody, and their numbers are not told any more.
    let (gone, got) = members.remove(0);
    gone.close().unwrap();
    eventually(LONG, || {
        let found: Vec<_> = members.iter().map(|(one, _)| popped(one, &scene.topic)).collect();
        let is_so = found.iter().all(|of| of.len() == 2 && of.iter().all(|one| one.queue_id() == -1));
        if is_so { Ok(()) } else { Err(format!("{found:?}")) }
    });
    scene.send(&(90..120).map(|number| format!("{number:04}")).collect::<Vec<_>>());
    eventually(LONG, || match all(&members).len() + got.len() {
        found if found >= 120 => Ok(()),
        found => Err(format!("{found} of 120")),
    });
    nothing_lags(&scene);
}

#[test]
fn a_broker_that_is_killed_while_it_is_popped_costs_nothing_and_goes_on_soon_after_it_is_back() {
    if !supports(Feature::Pop) {
        return;
    }
    let pair = pair_alone();
    let client = pair.builder().build().unwrap();
    let (group, tag, bodies) = (unique("group"), unique("tag"), numbered(600));
    client.set_message_request_mode(&pair.topic, &group, MessageRequestMode::Pop, 1).unwrap();
    let producer = client.producer(unique("sender")).timeout(LONG).start().unwrap();
    for text in &bodies {
        producer.send(Message::builder(&*pair.topic, text.clone()).tag(&*tag)).unwrap();
    }
    let inbox = Inbox::default();
    let seen = inbox.clone();
    let builder = quick(client.push_consumer(&*group).subscribe(&*pair.topic, &*tag)).pop_invisible(SHORT);
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).pop_batch(4).threads(1);
    let consumer = builder
        .start(move |messages: &[MessageView]| {
            std::thread::sleep(Duration::from_millis(5));
            seen.take_in(messages);
        })
        .unwrap();
    let first = inbox.wait(20);
    assert!(first.iter().all(is_popped));
    pair.kill_master();
    pair.restart_master();
    let back = Instant::now();
    // What was in memory when it died has come by then, or is on its way.
    inbox.wait_for(&bodies);
    let times: Vec<Instant> = inbox.timed().into_iter().map(|(at, _)| at).collect();
    let went_on = times.iter().find(|at| **at > back).map(|at| at.duration_since(back));
    assert!(went_on.is_some_and(|after| after < Duration::from_secs(5)), "{went_on:?}");
    consumer.close().unwrap();
}
