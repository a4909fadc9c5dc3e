//! A client that writes its request headers in binary is served as one that writes JSON, and what headers say of units.

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Error, Filter, Message, MessageQueue, PullResult, PullStatus, SendError};

use crate::support::{PATIENCE, Scene, client_builder, eventually, scene};

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
fn every_other_call_of_a_client_with_binary_headers_is_answered_as_well() {
    let mut scene = scene();
    scene.client = scene.cluster.builder().binary_headers(true).build().unwrap();
    scene.create_topic(1);
    let (producer, consumer, queue) = (scene.producer(), scene.consumer(), scene.queue());
    let (done, called_back) = mpsc::channel::<Result<(), SendError>>();
    let asynchronous = done.clone();
    producer
        .prepare(scene.message("x"))
        .queue(&queue)
        .send_async(move |sent| drop(asynchronous.send(sent.map(drop))))
        .unwrap();
    called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    let view = scene.arrived_in(&queue, 1).remove(0);
    let pulled = move |result: Result<PullResult, Error>| {
        result.unwrap();
        done.send(Ok(())).unwrap();
    };
    consumer.prepare_pull(&queue, 0).fetch_async(pulled).unwrap();
    called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(scene.client.topic_route(&scene.topic).unwrap().topic(), scene.topic);
    assert_eq!(consumer.fetch_queues(&scene.topic).unwrap().len(), 2);
    assert_eq!(consumer.min_offset(&queue).unwrap(), 0);
    assert_eq!(consumer.search_offset(&queue, view.store_timestamp()).unwrap(), 0);
    assert_eq!(consumer.earliest_store_time(&queue).unwrap(), Some(view.store_timestamp()));
    consumer.commit_offset_oneway(&queue, 1).unwrap();
    eventually(PATIENCE, || match consumer.committed_offset(&queue) {
        Ok(Some(1)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    eventually(PATIENCE, || match scene.client.find_message(&scene.topic, &view.message_id()) {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    consumer.close().unwrap();
    producer.close().unwrap();
}

#[test]
fn brokers_take_heartbeats_and_farewells_in_binary_headers() {
    let cluster = Cluster::start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).binary_headers(true).build().unwrap();
    let producer = client.producer("makers").topics(["T"]).start().unwrap();
    let broker = cluster.broker("broker-a");
    let known = |count: usize| {
        eventually(PATIENCE, || match broker.producers("makers").len() {
            found if found == count => Ok(()),
            found => Err(format!("{found} producers")),
        });
    };
    known(1);
    producer.close().unwrap();
    known(0);
}

#[test]
fn a_unit_is_named_by_every_send_of_its_clients() {
    let cluster = Cluster::start().unwrap();
    for on in [false, true] {
        let client = client_builder().name_servers(cluster.name_server()).unit_mode(on).build().unwrap();
        let producer = client.producer("makers").start().unwrap();
        producer.send(Message::new("T", "x")).unwrap();
        producer.send_batch(vec![Message::new("T", "x")]).unwrap();
        producer.send_oneway(Message::new("T", "x")).unwrap();
        producer.close().unwrap();
        eventually(PATIENCE, || {
            let requests = cluster.requests();
            let sends: Vec<_> = requests.iter().filter_map(|request| request.field("k")).collect();
            let (marked, of) = (sends.iter().filter(|unit| **unit == "true").count(), sends.len());
            if (marked, of) == (if on { (3, 6) } else { (0, 3) }) { Ok(()) } else { Err(format!("{marked} of {of}")) }
        });
    }
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().unit_mode(true).unit_name("u1").build().unwrap();
    scene.producer().send(scene.message("x")).unwrap();
    scene.arrived(1);
}

#[test]
fn refusals_are_read_in_binary_headers_too() {
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().binary_headers(true).build().unwrap();
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 7);
    let failed = scene.producer().prepare(scene.message("x")).queue(&beyond).send().unwrap_err();
    assert!(matches!(&failed.error, Error::Rejected { remark, .. } if remark.contains("queueId")), "{failed}");
}
