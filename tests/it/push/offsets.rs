//! Where consumption begins, goes on, and is sent by an operator.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{
    ConsumeFromWhere, Message, MessageQueue, PushConsumer, RequestCode, ResetTo, ResponseCode, Standing,
};

use crate::support::{
    Feature, Inbox, LONG, Scene, client_builder, collect, embedded_cluster, eventually, numbered, say, supports,
};

#[test]
fn the_last_offset_means_what_comes_after_the_start() {
    let scene = Scene::with_queues(2);
    scene.send(&numbered(6));
    scene.arrived(6);
    let from = ConsumeFromWhere::LastOffset;
    let (consumer, inbox) = collect(scene.push().consume_from_where(from));
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let ready = queues.iter().filter(|one| one.queue.topic() == scene.topic && one.since_pull.is_some());
        if ready.count() == 4 { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    scene.send(&["later".to_owned()]);
    if supports(Feature::NoOffsetIsTold) {
        inbox.wait(1);
        assert_eq!(inbox.bodies(), ["later"]);
    } else {
        inbox.wait(7);
    }
    consumer.close().unwrap();
    // Not the group's first start: the setting does not count any more.
    scene.send(&["between".to_owned()]);
    let (_again, rest) = collect(scene.push().consume_from_where(from));
    rest.wait(1);
    assert_eq!(rest.bodies(), ["between"]);
}

#[test]
fn a_successor_begins_exactly_behind_what_was_finished() {
    let scene = Scene::with_queues(2);
    let mut all = Vec::new();
    for round in 0..3 {
        let sent: Vec<String> = (0..20).map(|number| format!("{round}-{number:02}")).collect();
        scene.send(&sent);
        let (consumer, inbox) = scene.collect();
        inbox.wait(20);
        let report = consumer.close_within(Duration::from_secs(5)).unwrap();
        assert!(report.complete, "{report}");
        assert_eq!(inbox.sorted(), sent, "each round gets its own, once");
        all.extend(sent);
    }
    let reader = scene.consumer();
    let committed =
        scene.queues().iter().map(|queue| reader.committed_offset(queue).unwrap().unwrap_or(0)).sum::<i64>();
    assert_eq!(committed as usize, all.len());
}

/// Between two commits.
const SOON: Duration = Duration::from_millis(200);

/// How often messages of each queue came.
fn counts(inbox: &Inbox) -> BTreeMap<MessageQueue, usize> {
    let mut counts = BTreeMap::new();
    inbox.messages().iter().for_each(|message| *counts.entry(message.queue().clone()).or_default() += 1);
    counts
}

#[test]
fn a_group_that_is_reset_while_it_runs_consumes_again_from_there() {
    let scene = Scene::with_queues(2);
    scene.send(&numbered(12));
    let (consumer, inbox) = collect(scene.push().persist_interval(SOON));
    inbox.wait(12);
    stored(&scene, &consumer, 12);
    scene.client.admin().reset_group(&scene.group, &scene.topic, ResetTo::First).unwrap();
    // Brokers tell of it with the next answer to a pull, which they would hold for 15 s.
    scene.send(&["+0", "+1", "+2", "+3"].map(str::to_owned));
    inbox.wait(28);
    assert!(numbered(12).iter().all(|text| inbox.times(text) == [0, 0]), "{:?}", inbox.bodies());
    assert_eq!(inbox.len(), 28, "what is new came once");
    stored(&scene, &consumer, 16);
    consumer.close().unwrap();
    scene.send(&["later".to_owned()]);
    let (_again, rest) = scene.collect();
    rest.wait(1);
    assert_eq!(rest.bodies(), ["later"], "the reset is over");
}

/// Waits until the brokers have it that so many are consumed.
#[track_caller]
fn stored(scene: &Scene, consumer: &PushConsumer, count: i64) {
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let own = queues.iter().filter(|one| one.queue.topic() == scene.topic);
        let stored: i64 = own.map(|one| one.stored_offset.unwrap_or(0)).sum();
        if stored == count { Ok(()) } else { Err(format!("{stored} of {count}: {queues:?}")) }
    });
}

#[test]
fn a_reset_of_one_queue_leaves_the_others_alone() {
    let Some(cluster) = embedded_cluster() else {
        return say("of one queue the embedded cluster is told directly; Apache's tool does it in `resets`");
    };
    let scene = Scene::with_queues(2);
    scene.send(&numbered(12));
    let (consumer, inbox) = collect(scene.push().persist_interval(SOON));
    inbox.wait(12);
    stored(&scene, &consumer, 12);
    let queue = scene.queue();
    cluster.broker(queue.broker_name()).reset_offset(&scene.group, &scene.topic, queue.queue_id(), 0);
    scene.send(&["+0", "+1", "+2", "+3"].map(str::to_owned));
    inbox.wait(19);
    stored(&scene, &consumer, 16);
    assert!(counts(&inbox).into_iter().all(|(one, count)| count == if one == queue { 7 } else { 4 }));
}

#[test]
fn members_of_older_brokers_are_told_of_a_reset() {
    let cluster = Cluster::builder().topic("T", 2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("g").start().unwrap();
    (0..8).for_each(|number| drop(producer.send(Message::new("T", number.to_string())).unwrap()));
    let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let (_consumer, inbox) = collect(builder.persist_interval(SOON));
    inbox.wait(8);
    cluster.broker("broker-a").tell_reset("g", "T", &[(0, 2), (1, 3)]);
    inbox.wait(8 + 2 + 1);
    let again: Vec<i64> = inbox.messages()[8..].iter().map(|message| message.queue_offset()).collect();
    assert!(again.len() == 3 && again.iter().all(|offset| [2, 3].contains(offset)), "{again:?}");
    eventually(LONG, || {
        let committed = |queue| cluster.broker("broker-a").committed("g", "T", queue);
        let both = (committed(0), committed(1));
        if both == (Some(4), Some(4)) { Ok(()) } else { Err(format!("{both:?}")) }
    });
}

#[test]
fn as_long_as_the_offset_cannot_be_asked_for_nothing_is_consumed() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("g").start().unwrap();
    (0..4).for_each(|number| drop(producer.send(Message::new("T", number.to_string())).unwrap()));
    let broken = Fault::error(ResponseCode::SYSTEM_ERROR, "the offsets are being loaded");
    let fault = cluster.broker("broker-a").fault(broken.on(RequestCode::QUERY_CONSUMER_OFFSET));
    let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let (consumer, inbox) = collect(builder);
    eventually(LONG, || if fault.fired() >= 4 { Ok(()) } else { Err(format!("asked {} times", fault.fired())) });
    assert!(consumer.queues().unwrap().iter().all(|one| one.standing == Some(Standing::WaitsForStart)));
    assert!(cluster.requests_of(RequestCode::PULL_MESSAGE).is_empty(), "nothing is pulled from a guess");
    fault.remove();
    inbox.wait(4);
    assert_eq!(inbox.sorted(), ["0", "1", "2", "3"]);
}
