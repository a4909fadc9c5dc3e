//! Consuming from a slave while its master is down.

use std::time::Duration;

use rocketmq_blocking::{Client, ConsumeFromWhere, Message, MessageView, Outcome, PushConsumer, RequestCode};

use crate::support::{
    Feature, Inbox, LONG, collect, eventually, live_variable, numbered, pair_alone, say, supports, unique,
};

#[test]
fn a_running_consumer_goes_on_at_the_slave_and_commits_when_the_master_is_back() {
    let pair = pair_alone();
    let client = pair.builder().build().unwrap();
    let (group, tag, bodies) = (unique("group"), unique("tag"), numbered(200));
    send(&client, &pair.topic, &tag, &bodies);
    pair.replicated(&client);
    let builder = client.push_consumer(&*group).subscribe(&*pair.topic, &*tag);
    let builder =
        builder.consume_from_where(ConsumeFromWhere::FirstOffset).persist_interval(Duration::from_millis(200));
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = builder
        .pull_batch(4)
        .queue_limits(4, 1 << 20)
        .threads(1)
        .start(move |messages: &[MessageView]| {
            std::thread::sleep(Duration::from_millis(5));
            listener.take_in(messages);
        })
        .unwrap();
    inbox.wait(20);
    pair.kill_master();
    pair.embedded.iter().for_each(|cluster| cluster.clear_requests());
    inbox.wait_for(&bodies);
    if let Some(cluster) = &pair.embedded {
        let pulls = cluster.requests_of(RequestCode::PULL_MESSAGE);
        assert!(pulls.iter().any(|pull| &*pull.server == "broker-a/1"), "the slave was asked");
    }
    assert_eq!(inbox.sorted(), bodies, "each once");
    pair.restart_master();
    // Asked by somebody who is no member: a member would take queues.
    eventually(LONG, || {
        let progress = client.admin().group_progress(&group).map_err(|error| error.to_string())?;
        let queues: Vec<_> = progress.queues.into_iter().filter(|one| one.queue.topic() == pair.topic).collect();
        if queues.len() == 4 && queues.iter().all(|one| one.lag() == 0) { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    assert_eq!(inbox.len(), bodies.len(), "the way back to the master repeats nothing");
    consumer.close().unwrap();
    let (_next, rest) = collect(client.push_consumer(&*group).subscribe(&*pair.topic, &*tag));
    send(&client, &pair.topic, &tag, &["later".to_owned()]);
    rest.wait(1);
    assert_eq!(rest.bodies(), ["later"]);
}

#[test]
fn what_starts_while_the_master_is_down_goes_on_at_the_slave_and_sends_fail_clearly() {
    let pair = pair_alone();
    if pair.embedded.is_none() && !supports(Feature::SlaveOffsets) {
        return;
    }
    if pair.embedded.is_none() && live_variable("LONG").is_none() {
        return say("Apache's slaves ask for their masters' offsets once a minute: only with ROCKETMQ_LIVE_LONG");
    }
    let client = pair.builder().build().unwrap();
    let (group, tag, bodies) = (unique("group"), unique("tag"), numbered(40));
    send(&client, &pair.topic, &tag, &bodies[..20]);
    let (consumer, before) = collect_at(&client, &group, &pair.topic, &tag);
    before.wait(20);
    let queues = client.subscribe_queues(&pair.topic).unwrap();
    consumer.close().unwrap();
    send(&client, &pair.topic, &tag, &bodies[20..]);
    pair.replicated(&client);
    pair.knows_offsets(&client, &group, &queues);
    client.close().unwrap();
    pair.kill_master();
    let client = pair.builder().build().unwrap();
    let (consumer, after) = collect_at(&client, &group, &pair.topic, &tag);
    after.wait_for(&bodies[20..]);
    assert_eq!(after.sorted(), &bodies[20..], "the slave has every offset");
    let lite = client.lite_pull_consumer(&*unique("lite")).assign(queues).start().unwrap();
    let producer = client.producer(unique("sender")).timeout(Duration::from_secs(2)).start().unwrap();
    let error = producer.send(Message::new(&*pair.topic, "x")).unwrap_err().error;
    assert!(error.outcome() == Outcome::NotSent && error.is_retryable(), "{error}");
    assert!(lite.poll(Duration::ZERO).unwrap().is_empty());
    pair.restart_master();
    eventually(LONG, || producer.send(Message::builder(&*pair.topic, "back").tag(&*tag)).map(drop));
    after.wait_for(&["back".to_owned()]);
    lite.close().unwrap();
    consumer.close().unwrap();
}

fn collect_at(client: &Client, group: &str, topic: &str, tag: &str) -> (PushConsumer, Inbox) {
    let builder = client.push_consumer(group).subscribe(topic, tag);
    collect(builder.consume_from_where(ConsumeFromWhere::FirstOffset))
}

fn send(client: &Client, topic: &str, tag: &str, bodies: &[String]) {
    let producer = client.producer(unique("sender")).timeout(LONG).start().unwrap();
    for text in bodies {
        producer.send(Message::builder(topic, text.clone()).tag(tag)).unwrap();
    }
}
