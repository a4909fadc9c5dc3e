//! Batches that the broker stores as one record, in topics made for them.

use rocketmq_blocking::{Message, MessageView, PullStatus};

use crate::support::{Feature, PATIENCE, Scene, eventually, scene, supports};

/// Messages that all have the same tag, and keys of their own.
fn messages(topic: &str, count: usize) -> Vec<Message> {
    let message = |number: usize| {
        let body = format!("body {number:03}");
        Message::builder(topic, body).tag("common").key(format!("key{number}")).flag(number as i32).build()
    };
    (0..count).map(message).collect()
}

/// A topic of one queue a broker that stores batches whole; none on a server that cannot.
fn batch_topic() -> Option<Scene> {
    let scene = scene();
    if !supports(Feature::TopicAttributes) {
        return None;
    }
    scene.client.prepare_topic(&*scene.topic).queues(1).attribute("queue.type", "BatchCQ").create().unwrap();
    eventually(PATIENCE, || scene.client.publish_queues(&scene.topic));
    Some(scene)
}

fn bodies(messages: &[MessageView]) -> Vec<&str> {
    messages.iter().map(|message| message.body_text().unwrap()).collect()
}

#[test]
fn a_batch_stored_whole_is_read_message_by_message() {
    let Some(scene) = batch_topic() else { return };
    let (queue, producer) = (scene.queue(), scene.producer());
    let first = producer.prepare_batch(messages(&scene.topic, 5)).inner_batch(true).queue(&queue).send().unwrap();
    let second = producer.prepare_batch(messages(&scene.topic, 3)).inner_batch(true).queue(&queue).send().unwrap();
    assert_eq!((first.queue_offset(), second.queue_offset()), (0, 5));
    let found = scene.arrived_in(&queue, 8);
    let ids: Vec<String> = found.iter().map(|view| view.message_id().into_owned()).collect();
    let sent: Vec<&str> = first.message_ids().chain(second.message_ids()).collect();
    assert_eq!(ids, sent, "the results name each message's own unique id");
    for (offset, view) in found.iter().enumerate() {
        assert_eq!((view.queue_offset(), view.flag()), (offset as i64, (offset % 5) as i32));
        assert_eq!((view.tag(), view.queue()), (Some("common"), &queue));
        let one = if offset < 5 { &first } else { &second };
        assert_eq!(view.offset_message_id().to_string(), one.offset_message_id(), "one record has one place");
    }
    assert_eq!(bodies(&found[3..7]), ["body 003", "body 004", "body 000", "body 001"]);
    assert_eq!(scene.client.max_offset(&queue).unwrap(), 8);
}

#[test]
fn a_pull_from_within_a_batch_begins_with_the_message_asked_for() {
    let Some(scene) = batch_topic() else { return };
    let (queue, producer) = (scene.queue(), scene.producer());
    for _ in 0..2 {
        producer.prepare_batch(messages(&scene.topic, 4)).inner_batch(true).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, 8);
    let reader = scene.reader();
    for offset in 0..8 {
        let pulled = reader.pull(&queue, offset).unwrap();
        let offsets: Vec<i64> = pulled.messages().iter().map(MessageView::queue_offset).collect();
        assert_eq!((offsets, pulled.next_offset()), ((offset..8).collect(), 8));
    }
    assert_eq!(reader.pull(&queue, 8).unwrap().status(), PullStatus::NoNewMessage);
    for (max, next) in [(1, 4), (4, 4), (5, 4), (8, 8)] {
        let pulled = reader.prepare_pull(&queue, 0).max(max).fetch().unwrap();
        assert_eq!(
            (pulled.messages().len() as i64, pulled.next_offset()),
            (next, next),
            "at most {max}, but whole batches"
        );
    }
}

#[test]
fn a_batch_stored_whole_is_filtered_by_its_common_tag_and_found_by_its_keys() {
    let Some(scene) = batch_topic() else { return };
    let (queue, producer) = (scene.queue(), scene.producer());
    producer.prepare_batch(messages(&scene.topic, 3)).inner_batch(true).queue(&queue).send().unwrap();
    scene.arrived_in(&queue, 3);
    let reader = scene.reader();
    let wanted = reader.prepare_pull(&queue, 0).filter("other || common").fetch().unwrap();
    assert_eq!(bodies(wanted.messages()), ["body 000", "body 001", "body 002"]);
    let unwanted = reader.prepare_pull(&queue, 0).filter("other").fetch().unwrap();
    assert_eq!((unwanted.status(), unwanted.next_offset()), (PullStatus::NoMatchedMessage, 3));
    let found = eventually(PATIENCE, || match scene.client.query_messages(&scene.topic, "key1", 10, ..) {
        Ok(found) if !found.messages.is_empty() => Ok(found),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(bodies(&found.messages), ["body 001"]);
}

#[test]
fn such_a_topic_takes_single_messages_and_ordinary_batches_too() {
    let Some(scene) = batch_topic() else { return };
    let (queue, producer) = (scene.queue(), scene.producer());
    producer.prepare(scene.message("single")).queue(&queue).send().unwrap();
    producer.prepare_batch(messages(&scene.topic, 2)).queue(&queue).send().unwrap();
    producer.prepare_batch(messages(&scene.topic, 2)).inner_batch(true).queue(&queue).send().unwrap();
    let found = scene.arrived_in(&queue, 5);
    assert_eq!(bodies(&found), ["single", "body 000", "body 001", "body 000", "body 001"]);
    let offsets: Vec<i64> = found.iter().map(MessageView::queue_offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
}

#[test]
fn an_ordinary_topic_stores_the_messages_of_such_a_batch_one_by_one() {
    let scene = Scene::with_queues(1);
    let sent = scene.producer().prepare_batch(messages(&scene.topic, 3)).inner_batch(true).send().unwrap();
    let found = scene.arrived(3);
    let ids: Vec<String> = found.iter().map(|view| view.message_id().into_owned()).collect();
    if supports(Feature::IdsInBatch) {
        assert_eq!(sent.message_ids().collect::<Vec<_>>(), ids);
    } else {
        assert!(ids[0] == ids[1] && ids[1] == ids[2], "each was given the batch's: {ids:?}");
    }
    assert_eq!(sent.offset_message_id().split(',').count(), 3);
}
