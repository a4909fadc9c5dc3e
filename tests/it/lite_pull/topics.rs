//! Topics that change while a consumer runs.

use std::time::Duration;

use rocketmq_blocking::{ConsumeFromWhere, Error};

use super::{LONG, assigned, numbered, send, sorted, take};
use crate::support::{Scene, eventually, scene};

#[test]
fn a_topic_listener_is_told_of_new_queues() {
    let scene = scene();
    let client = scene.cluster.builder().route_interval(Duration::from_millis(200)).build().unwrap();
    let consumer = client.lite_pull_consumer(&*scene.group).start().unwrap();
    let (told, changes) = crossbeam_channel::unbounded();
    consumer.topic_listener(&*scene.topic, move |_, queues| told.send(queues.len()).unwrap()).unwrap();
    scene.create_topic(2);
    let last = eventually(LONG, || match changes.try_iter().last() {
        Some(4) => Ok(4),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(last, 4);
    assert_eq!(consumer.fetch_queues(&scene.topic).unwrap().len(), 4);
    // It had neither topics nor queues; now it has.
    send(&scene, &numbered(0..3));
    consumer.assign(&scene.queues()).unwrap();
    for queue in scene.queues() {
        consumer.seek_to_begin(&queue).unwrap();
    }
    assert_eq!(sorted(take(&consumer, 3)), numbered(0..3));
}

#[test]
fn topics_can_be_subscribed_and_given_up_while_it_runs() {
    let (scene, other) = (Scene::with_queues(1), Scene::with_queues(1));
    send(&scene, &numbered(0..2));
    send(&other, &numbered(2..4));
    let builder = scene.client.lite_pull_consumer(&*scene.group).consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = builder.start().unwrap();
    consumer.subscribe(&*scene.topic, "*").unwrap();
    assert_eq!(sorted(take(&consumer, 2)), numbered(0..2));
    consumer.subscribe(&*other.topic, "*").unwrap();
    assert_eq!(sorted(take(&consumer, 2)), numbered(2..4));
    assert!(matches!(consumer.assign(&scene.queues()), Err(Error::Invalid { .. })));
    consumer.unsubscribe(&scene.topic).unwrap();
    let left = assigned(&consumer, 2);
    assert!(left.iter().all(|queue| queue.topic() == other.topic), "{left:?}");
}
