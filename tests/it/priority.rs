//! Messages with a priority.

use rocketmq_blocking::{Error, Message, TopicType};

use crate::support::{Feature, PATIENCE, Scene, client_to_nowhere, eventually, scene, supports};

const QUEUES: i32 = 4;

fn prioritised(scene: &Scene, priority: i32) -> Message {
    Message::builder(&*scene.topic, format!("priority {priority}")).priority(priority).build()
}

fn priority_topic() -> Scene {
    let scene = scene();
    let kind = if supports(Feature::TopicKinds) { TopicType::Priority } else { TopicType::Normal };
    scene.client.prepare_topic(&*scene.topic).queues(QUEUES).kind(kind).create().unwrap();
    eventually(PATIENCE, || match scene.client.publish_queues(&scene.topic) {
        Ok(queues) if queues.len() == 2 * QUEUES as usize => Ok(()),
        other => Err(format!("{other:?}")),
    });
    scene
}

#[test]
fn a_priority_comes_back_and_is_the_number_of_the_queue() {
    let scene = priority_topic();
    let producer = scene.producer();
    let queues = scene.queues();
    let chooses = supports(Feature::PriorityQueues);
    for (priority, queue_id) in [(0, 0), (2, 2), (3, 3), (1000, 3), (i32::MAX, 3)] {
        // Sent to queue 1, whatever its priority.
        let sent = producer.prepare(prioritised(&scene, priority)).queue(&queues[1]).send().unwrap();
        let expected = if chooses { queue_id } else { 1 };
        assert_eq!((sent.queue().queue_id(), sent.queue().broker_name()), (expected, queues[1].broker_name()));
    }
    for view in scene.arrived(5) {
        let priority = view.priority().unwrap();
        assert_eq!(view.body_text().unwrap(), format!("priority {priority}"));
        assert_eq!(view.queue().queue_id(), if chooses { priority.min(QUEUES - 1) } else { 1 });
    }
}

#[test]
fn any_topic_takes_priorities_and_a_message_without_one_goes_where_it_is_sent() {
    let scene = Scene::with_queues(2);
    let (producer, queues) = (scene.producer(), scene.queues());
    let sent = producer.prepare(prioritised(&scene, 1)).queue(&queues[0]).send().unwrap();
    assert_eq!(sent.queue().queue_id(), if supports(Feature::PriorityQueues) { 1 } else { 0 });
    producer.prepare(scene.message("plain")).queue(&queues[0]).send().unwrap();
    let found = scene.arrived(2);
    let plain = found.iter().find(|view| view.body_text() == Some("plain")).unwrap();
    assert_eq!((plain.priority(), plain.queue()), (None, &queues[0]));
}

/// Pulling has no order between queues; whoever begins with the last one reads the most urgent first.
#[test]
fn pulling_the_last_queue_first_reads_by_falling_priority() {
    let scene = priority_topic();
    if !supports(Feature::PriorityQueues) {
        return;
    }
    let producer = scene.producer();
    for priority in [1, 3, 0, 2, 3, 1] {
        producer.send(prioritised(&scene, priority)).unwrap();
    }
    let mut found = scene.arrived(6);
    found.sort_by_key(|view| (-view.queue().queue_id(), view.store_timestamp()));
    let priorities: Vec<i32> = found.iter().map(|view| view.priority().unwrap()).collect();
    assert_eq!(priorities, [3, 3, 2, 1, 1, 0]);
}

#[test]
fn a_message_with_a_sharding_key_goes_where_it_is_sent() {
    let scene = Scene::with_queues(QUEUES);
    let (producer, queues) = (scene.producer(), scene.queues());
    let ordered = Message::builder(&*scene.topic, "ordered").priority(3).sharding_key("customer 17").build();
    let sent = producer.prepare(ordered).queue(&queues[1]).send().unwrap();
    assert_eq!(sent.queue(), &queues[1]);
    let expected = if supports(Feature::PriorityQueues) { None } else { Some(3) };
    assert_eq!(scene.arrived(1)[0].priority(), expected, "the broker takes it away from what counts as ordered");
}

#[test]
fn a_negative_priority_and_one_in_a_batch_are_refused_before_anything_leaves() {
    let producer = client_to_nowhere().producer("it_priorities").start().unwrap();
    let refused = producer.send(Message::builder("T", "x").priority(-1)).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid { .. }) && refused.to_string().contains("negative"), "{refused}");
    let refused = producer.send_batch(vec![Message::builder("T", "x").priority(1).build()]).unwrap_err();
    assert!(refused.to_string().contains("priority"), "{refused}");
    let refused = producer.send(Message::builder("T", "x").property("_SYS_MSG_PRIORITY_", "1")).unwrap_err();
    assert!(refused.to_string().contains("used by RocketMQ"), "{refused}");
}
