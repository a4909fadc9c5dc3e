//! Finding messages again: by key, by unique id, and by where they are stored.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{Error, Message, MessageView, SendResult};

use crate::support::{NOWHERE, PATIENCE, Scene, client_builder, eventually, scene, sorted_bodies};

/// The index follows storing by up to a second.
fn by_key(scene: &Scene, key: &str, count: usize) -> Vec<MessageView> {
    let found = eventually(PATIENCE, || {
        let found = scene.client.query_messages(&scene.topic, key, 32, ..).map_err(|error| error.to_string())?;
        assert!(found.failures.is_empty(), "{:?}", found.failures);
        if found.messages.len() < count {
            Err(format!("{} of {count}", found.messages.len()))
        } else {
            Ok(found.messages)
        }
    });
    assert_eq!(found.len(), count, "{found:?}");
    found
}

fn by_id(scene: &Scene, id: &str) -> MessageView {
    eventually(PATIENCE, || scene.client.find_message(&scene.topic, id).unwrap().ok_or("not found"))
}

#[test]
fn messages_are_found_by_each_of_their_keys() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let send = |body: &str, keys: &[&str]| {
        producer.send(Message::builder(&*scene.topic, body.to_owned()).keys(keys)).unwrap();
    };
    send("one", &["order-1", "客户"]);
    send("two", &["order-2", "客户"]);
    send("three", &["order-1x"]);
    assert_eq!(sorted_bodies(&by_key(&scene, "客户", 2)), ["one", "two"]);
    assert_eq!(sorted_bodies(&by_key(&scene, "order-2", 1)), ["two"]);
    let found = by_key(&scene, "order-1", 1).remove(0);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["order-1", "客户"]);
    assert_eq!(found.topic(), scene.topic);
}

#[test]
fn a_query_has_a_maximum_and_a_period() {
    let scene = Scene::with_queues(1);
    let (producer, queue) = (scene.producer(), scene.queue());
    for number in 0..5 {
        producer.prepare(Message::builder(&*scene.topic, format!("{number}")).key("k")).queue(&queue).send().unwrap();
    }
    assert_eq!(by_key(&scene, "k", 5).len(), 5);
    let query = |max, from: SystemTime| scene.client.query_messages(&scene.topic, "k", max, from..).unwrap().messages;
    let (past, future) = (SystemTime::now() - Duration::from_secs(600), SystemTime::now() + Duration::from_secs(600));
    assert_eq!(query(32, past).len(), 5);
    assert_eq!(sorted_bodies(&query(2, past)), ["3", "4"], "the newest");
    assert!(query(32, future).is_empty());
    let until_past = scene.client.query_messages(&scene.topic, "k", 32, ..past).unwrap();
    assert!(until_past.into_iter().next().is_none());
}

#[test]
fn a_producer_finds_what_it_sent() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let sent = producer.send(Message::builder(&*scene.topic, "x").key("k")).unwrap();
    let viewed =
        eventually(PATIENCE, || producer.view_message(sent.offset_message_id()).unwrap().ok_or("nothing there"));
    assert_eq!(viewed.message_id(), sent.message_id());
    let found = eventually(PATIENCE, || {
        let found = producer.query_messages(&scene.topic, "k", 32, ..).map_err(|error| error.to_string())?;
        found.into_iter().next().ok_or("not indexed".to_owned())
    });
    assert_eq!(found.message_id(), sent.message_id());
}

#[test]
fn a_message_is_found_by_its_unique_id() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let sent: Vec<SendResult> = (0..3).map(|n| producer.send(scene.message(format!("{n}"))).unwrap()).collect();
    for (number, result) in sent.iter().enumerate() {
        let found = by_id(&scene, result.message_id());
        assert_eq!((found.message_id(), found.body_text()), (result.message_id().into(), Some(&*number.to_string())));
        assert_eq!(found.offset_message_id().to_string(), result.offset_message_id());
    }
}

#[test]
fn a_message_is_found_by_where_it_is_stored() {
    let scene = Scene::with_queues(1);
    let sent = scene.producer().send(Message::builder(&*scene.topic, "there").tag("t").property("名", "😀")).unwrap();
    let id = sent.offset_message_id();
    let viewed = eventually(PATIENCE, || scene.client.view_message(id).unwrap().ok_or("nothing there"));
    assert_eq!((viewed.body_text(), viewed.tag(), viewed.property("名")), (Some("there"), Some("t"), Some("😀")));
    assert_eq!((viewed.topic(), viewed.queue_offset()), (&*scene.topic, sent.queue_offset()));
    assert_eq!(viewed.message_id(), sent.message_id());
    assert_eq!(by_id(&scene, id).message_id(), sent.message_id(), "find_message takes both kinds of id");
    assert!(scene.client.view_message(&id.to_lowercase()).unwrap().is_some());
}

#[test]
fn each_message_of_a_batch_is_found_by_its_own_ids() {
    let scene = Scene::with_queues(1);
    let batch = (0..3).map(|n| Message::builder(&*scene.topic, format!("{n}")).key(format!("k{n}")).build()).collect();
    let sent = scene.producer().send_batch(batch).unwrap();
    for (number, id) in sent.message_ids().enumerate() {
        assert_eq!(by_id(&scene, id).body_text(), Some(&*number.to_string()), "{id}");
        assert_eq!(by_key(&scene, &format!("k{number}"), 1)[0].message_id(), id);
    }
    for (number, id) in sent.offset_message_id().split(',').enumerate() {
        assert_eq!(scene.client.view_message(id).unwrap().unwrap().body_text(), Some(&*number.to_string()), "{id}");
    }
}

#[test]
fn compressed_messages_are_found_inflated() {
    let scene = Scene::with_queues(1);
    let body = "many times the same ".repeat(1000);
    let sent = scene.producer().send(Message::builder(&*scene.topic, body.clone()).key("large")).unwrap();
    assert_eq!(by_id(&scene, sent.message_id()).body_text(), Some(&*body));
    assert_eq!(by_key(&scene, "large", 1)[0].body_text(), Some(&*body));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let scene = Scene::with_queues(1);
    let sent = scene.producer().send(Message::builder(&*scene.topic, "x").key("k")).unwrap();
    by_key(&scene, "k", 1);
    assert!(scene.client.query_messages(&scene.topic, "another", 32, ..).unwrap().messages.is_empty());
    let other: String = sent.message_id()[..28].to_owned() + "FFFF";
    assert_eq!(scene.client.find_message(&scene.topic, &other).unwrap(), None);
    let stored = sent.offset_message_id();
    let beyond = format!("{}00000FFFFFFFFFFF", &stored[..stored.len() - 16]);
    assert_eq!(scene.client.view_message(&beyond).unwrap(), None);
}

#[test]
fn queries_about_an_unknown_topic_say_so() {
    let scene = scene();
    let error = scene.client.query_messages(&scene.topic, "k", 32, ..).unwrap_err();
    assert!(matches!(&error, Error::NoRoute { topic, .. } if **topic == *scene.topic), "{error}");
    let error = scene.client.find_message(&scene.topic, "0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A").unwrap_err();
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
}

#[test]
fn questions_that_make_no_sense_are_refused_before_anything_leaves() {
    let client = crate::support::client_to_nowhere();
    let invalid = |result: rocketmq_blocking::Result<()>| {
        assert!(matches!(result, Err(Error::Invalid { .. })), "{result:?}");
    };
    for id in ["", "zz", "0A0A0A0A", &"é".repeat(16), "7F000001000FFFFF0000000000000000"] {
        invalid(client.view_message(id).map(drop));
    }
    invalid(client.query_messages("T", " ", 32, ..).map(drop));
    invalid(client.query_messages("T", "k", 0, ..).map(drop));
    invalid(client.query_messages("a b", "k", 1, ..).map(drop));
    invalid(client.find_message("T", " ").map(drop));
}

#[test]
fn an_id_that_leads_nowhere_is_an_error_of_the_connection() {
    let client = client_builder().name_servers(NOWHERE).build().unwrap();
    // 127.0.0.1, port 1.
    let error = client.view_message("7F000001000000010000000000000000").unwrap_err();
    assert!(matches!(&error, Error::Connect { addr, .. } if **addr == *NOWHERE), "{error}");
}
