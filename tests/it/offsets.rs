//! Offsets of queues, and those that groups commit.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{Error, MessageQueue, MessageView, Producer};

use crate::support::{Feature, PATIENCE, Scene, eventually, supports, unique};

/// Sends until the queue's messages have so many different store times, and returns them all.
fn spread(scene: &Scene, producer: &Producer, queue: &MessageQueue, times: usize) -> Vec<MessageView> {
    let mut count = 0;
    eventually(PATIENCE, || {
        producer.prepare(scene.message(format!("{count}"))).queue(queue).send().unwrap();
        count += 1;
        let found = scene.arrived_in(queue, count);
        let mut stored: Vec<SystemTime> = found.iter().map(MessageView::store_timestamp).collect();
        stored.dedup();
        if stored.len() >= times { Ok(found) } else { Err(format!("{} store times", stored.len())) }
    })
}

#[test]
fn an_empty_queue_begins_and_ends_at_0() {
    let scene = Scene::with_queues(1);
    let (queue, client) = (scene.queue(), &scene.client);
    assert_eq!((client.min_offset(&queue).unwrap(), client.max_offset(&queue).unwrap()), (0, 0));
    assert_eq!(client.search_offset(&queue, SystemTime::now()).unwrap(), 0);
    assert_eq!(client.earliest_store_time(&queue).unwrap(), None);
}

#[test]
fn minimum_and_maximum_follow_the_messages() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    for _ in 0..7 {
        producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, 7);
    assert_eq!((producer.min_offset(&queue).unwrap(), producer.max_offset(&queue).unwrap()), (0, 7));
    assert_eq!((consumer.min_offset(&queue).unwrap(), consumer.max_offset(&queue).unwrap()), (0, 7));
    let other = &scene.queues()[1];
    assert_eq!(producer.max_offset(other).unwrap(), 0, "another queue is not concerned");
}

#[test]
fn an_offset_is_found_by_the_time_of_storing() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    let stored = spread(&scene, &producer, &queue, 4);
    for view in &stored {
        let first = stored.iter().find(|other| other.store_timestamp() == view.store_timestamp()).unwrap();
        let found = producer.search_offset(&queue, view.store_timestamp()).unwrap();
        assert_eq!(found, first.queue_offset(), "the first message stored in that millisecond");
        assert_eq!(consumer.search_offset(&queue, view.store_timestamp()).unwrap(), found);
    }
    let (day, last) = (Duration::from_secs(86_400), stored.last().unwrap());
    assert_eq!(producer.search_offset(&queue, stored[0].store_timestamp() - day).unwrap(), 0);
    assert_eq!(producer.search_offset(&queue, SystemTime::UNIX_EPOCH).unwrap(), 0);
    let after = producer.search_offset(&queue, last.store_timestamp() + day).unwrap();
    let end = if supports(Feature::SearchFindsTheEnd) { last.queue_offset() + 1 } else { last.queue_offset() };
    assert_eq!(after, end, "behind the last message");
}

#[test]
fn the_oldest_message_tells_its_store_time() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    let stored = spread(&scene, &producer, &queue, 2);
    let oldest = Some(stored[0].store_timestamp());
    assert_eq!(producer.earliest_store_time(&queue).unwrap(), oldest);
    assert_eq!(consumer.earliest_store_time(&queue).unwrap(), oldest);
    assert_eq!(scene.client.earliest_store_time(&queue).unwrap(), oldest);
}

#[test]
fn a_group_reads_back_what_it_committed() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    for _ in 0..5 {
        producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, 5);
    for offset in [0, 3, 5, 2] {
        consumer.commit_offset(&queue, offset).unwrap();
        assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(offset), "a smaller one counts as well");
    }
    consumer.commit_offset_oneway(&queue, 4).unwrap();
    eventually(PATIENCE, || match consumer.committed_offset(&queue) {
        Ok(Some(4)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    consumer.close().unwrap();
    let again = scene.consumer();
    assert_eq!(again.committed_offset(&queue).unwrap(), Some(4), "it belongs to the group and outlives its consumer");
    let another = scene.client.pull_consumer(unique("another")).start().unwrap();
    assert_ne!(another.committed_offset(&queue).unwrap(), Some(4));
}

#[test]
fn a_group_that_never_committed_has_no_offset() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    scene.arrived_in(&queue, 1);
    let committed = consumer.committed_offset(&queue).unwrap();
    if supports(Feature::NoOffsetIsTold) {
        assert_eq!(committed, None);
    } else {
        assert_eq!(committed, Some(0), "the topic is young: its first message is still in memory");
    }
}

#[test]
fn offsets_of_what_does_not_exist_are_errors() {
    let scene = Scene::with_queues(1);
    let (queue, client) = (scene.queue(), &scene.client);
    let broker = MessageQueue::new(&*scene.topic, "no-such-broker", 0);
    let error = client.max_offset(&broker).unwrap_err();
    assert!(matches!(&error, Error::NoBroker { what, .. } if what.contains("no-such-broker")), "{error}");
    let unknown = MessageQueue::new(unique("unknown"), queue.broker_name(), 0);
    assert!(matches!(client.min_offset(&unknown), Err(Error::NoRoute { .. })));
    let negative = MessageQueue::new(&*scene.topic, queue.broker_name(), -1);
    assert!(matches!(client.max_offset(&negative), Err(Error::Invalid { .. })));
    let consumer = scene.consumer();
    assert!(matches!(consumer.commit_offset(&queue, -1), Err(Error::Invalid { .. })));
}

#[test]
fn a_group_may_commit_before_its_first_pull() {
    // Brokers refuse offsets of groups they have not heard of, and the first heartbeat may still be on its way.
    for _ in 0..5 {
        let scene = Scene::with_queues(1);
        let (queue, consumer) = (scene.queue(), scene.consumer());
        consumer.commit_offset(&queue, 1).unwrap();
        assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(1));
    }
}
