//! Callers who choose queues and offsets themselves.

use std::time::Duration;

use rocketmq_blocking::{ConsumeFromWhere, Error, MessageQueue, Standing};

use super::{LONG, assigned, builder, numbered, send_to, sorted, start, take};
use crate::support::{PATIENCE, Scene, body, eventually};

#[test]
fn after_a_seek_polls_return_messages_from_there_only() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    send_to(&scene, &queue, &numbered(0..50));
    let apart = scene.arrived_in(&queue, 50)[49].store_timestamp() + Duration::from_millis(20);
    eventually(PATIENCE, || if std::time::SystemTime::now() > apart { Ok(()) } else { Err("the clock stands still") });
    send_to(&scene, &queue, &numbered(50..100));
    // Brokers before 5.0 take the nearest.
    let late = scene.arrived_in(&queue, 100)[50].store_timestamp() - Duration::from_millis(1);
    let consumer = builder(&scene.client, &scene).poll_batch(10).start().unwrap();
    assert_eq!(take(&consumer, 5), numbered(0..5));
    consumer.seek(&queue, 30).unwrap();
    let polled: Vec<String> = consumer.poll(LONG).unwrap().iter().map(body).collect();
    assert_eq!(polled[..1], numbered(30..31));
    consumer.seek_to_begin(&queue).unwrap();
    assert_eq!(take(&consumer, 3), numbered(0..3));
    consumer.seek_to_time(&queue, late).unwrap();
    assert_eq!(take(&consumer, 2), numbered(50..52));
    consumer.seek_to_end(&queue).unwrap();
    assert!(consumer.poll(Duration::from_millis(300)).unwrap().is_empty());
    send_to(&scene, &queue, &numbered(100..101));
    assert_eq!(take(&consumer, 1), numbered(100..101));
    consumer.seek(&queue, 7).unwrap();
    assert_eq!(consumer.offset_for_timestamp(&queue, late).unwrap(), 50);
    // What was taken before the last seek is none of what is committed.
    consumer.close().unwrap();
    assert_eq!(take(&start(&scene), 1), numbered(7..8));
}

#[test]
fn only_offsets_a_queue_has_and_queues_a_consumer_has_can_be_sought() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    send_to(&scene, &queue, &numbered(0..3));
    let consumer = start(&scene);
    assigned(&consumer, 2);
    for offset in [-1, 4] {
        assert!(matches!(consumer.seek(&queue, offset), Err(Error::Invalid { .. })), "{offset}");
    }
    let other = MessageQueue::new(&*scene.topic, queue.broker_name(), 9);
    assert!(matches!(consumer.seek(&other, 0), Err(Error::Invalid { .. })));
    assert!(matches!(consumer.pause(std::slice::from_ref(&other)), Err(Error::Invalid { .. })));
    assert!(matches!(consumer.commit_queue(&other, 0), Err(Error::Invalid { .. })));
    consumer.seek(&queue, 3).unwrap();
    consumer.close().unwrap();
    assert!(matches!(consumer.seek(&queue, 0), Err(Error::Closed { .. })));
}

#[test]
fn a_paused_queue_gives_nothing_until_it_is_resumed_and_others_go_on() {
    let scene = Scene::with_queues(1);
    let queues = scene.queues();
    send_to(&scene, &queues[0], &numbered(0..10));
    let consumer = start(&scene);
    assert_eq!(take(&consumer, 2), numbered(0..2));
    consumer.pause(&queues[..1]).unwrap();
    send_to(&scene, &queues[1], &numbered(10..15));
    assert_eq!(take(&consumer, 5), numbered(10..15), "what is in memory already does not come either");
    assert!(consumer.poll(Duration::from_millis(300)).unwrap().is_empty());
    let paused = consumer.queues().unwrap().into_iter().find(|one| one.queue == queues[0]).unwrap();
    assert_eq!(paused.standing, Some(Standing::Suspended));
    consumer.resume(&queues).unwrap();
    assert_eq!(take(&consumer, 8), numbered(2..10));
}

#[test]
fn assigned_queues_need_no_membership_and_use_the_groups_offsets() {
    let scene = Scene::with_queues(2);
    let queues = scene.queues();
    for queue in &queues {
        send_to(&scene, queue, &numbered(0..5));
    }
    let first = || scene.client.lite_pull_consumer(&*scene.group).consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = first().assign(queues[..2].to_vec()).start().unwrap();
    assert_eq!(sorted(take(&consumer, 10)), sorted([numbered(0..5), numbered(0..5)].concat()));
    assert_eq!(consumer.assignment().unwrap(), queues[..2]);
    assert!(consumer.poll(Duration::from_millis(300)).unwrap().is_empty());
    // What is given up is committed.
    consumer.assign(&queues[1..3]).unwrap();
    assert_eq!(take(&consumer, 5), numbered(0..5), "the one that is new");
    assert_eq!(consumer.assignment().unwrap(), queues[1..3]);
    eventually(PATIENCE, || match consumer.committed(&queues[0]).unwrap() {
        Some(5) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(matches!(consumer.subscribe(&*scene.topic, "*"), Err(Error::Invalid { .. })));
    consumer.close().unwrap();
    // Started with nothing, and with a filter of its own.
    let consumer = first().assign_filter(&*scene.topic, "none").start().unwrap();
    consumer.assign(&queues[3..]).unwrap();
    assert!(consumer.poll(Duration::from_millis(500)).unwrap().is_empty());
}
