//! A client that writes its request headers in binary is served as one that writes JSON.

use std::time::Duration;

use rocketmq_blocking::{Error, Filter, Message, MessageQueue, PullStatus};

use crate::support::{PATIENCE, Scene, eventually};

#[test]
fn a_client_with_binary_headers_does_the_whole_round() {
    let mut scene = Scene::with_queues(2);
    scene.client = scene.cluster.builder().binary_headers(true).build().unwrap();
    let (producer, consumer, queue) = (scene.producer(), scene.consumer(), scene.queue());
    let message = Message::builder(&*scene.topic, "正文 😀").tag("a").key("键").property("名", "值🦀").flag(3).build();
    let sent = producer.prepare(message.clone()).queue(&queue).send().unwrap();
    producer.prepare_batch(vec![message.clone(), message.clone()]).queue(&queue).send().unwrap();
    producer.prepare(message.clone()).queue(&queue).submit().unwrap().wait().unwrap();
    producer.prepare(message.clone()).queue(&queue).send_oneway().unwrap();
    let found = scene.arrived_in(&queue, 5);
    for view in &found {
        assert_eq!((view.body(), view.tag(), view.flag()), (message.body(), Some("a"), 3));
        assert_eq!(view.property("名"), Some("值🦀"));
    }
    let filtered = consumer.prepare_pull(&queue, 0).filter(Filter::sql("名 IS NULL OR TAGS = 'b'")).fetch();
    // Brokers may not take such a name in SQL; the point is that the answer is read.
    assert!(filtered.is_ok() || filtered.as_ref().is_err_and(|error| error.code().is_some()), "{filtered:?}");
    let held = consumer.prepare_pull(&queue, 5).wait(Duration::from_millis(200)).fetch().unwrap();
    assert_eq!(held.status(), PullStatus::NoNewMessage);
    consumer.commit_offset(&queue, 2).unwrap();
    assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(2));
    assert_eq!(producer.max_offset(&queue).unwrap(), 5);
    assert!(scene.client.view_message(sent.offset_message_id()).unwrap().is_some());
    let by_key = eventually(PATIENCE, || {
        let found = scene.client.query_messages(&scene.topic, "键", 32, ..).map_err(|error| error.to_string())?;
        if found.messages.len() == 5 { Ok(found.messages) } else { Err(format!("{} messages", found.messages.len())) }
    });
    assert_eq!(by_key[0].message_id(), sent.message_id());
}

#[test]
fn refusals_are_read_in_binary_headers_too() {
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().binary_headers(true).build().unwrap();
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 7);
    let failed = scene.producer().prepare(scene.message("x")).queue(&beyond).send().unwrap_err();
    assert!(matches!(&failed.error, Error::Rejected { remark, .. } if remark.contains("queueId")), "{failed}");
}
