//! Topics and their queues.

use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, Message, MessageQueue, Outcome, TopicType};

use crate::support::{Feature, PATIENCE, Scene, eventually, scene, supports};

#[test]
fn a_topic_is_created_with_so_many_queues_on_each_broker() {
    let scene = Scene::with_queues(8);
    let publish = scene.client.publish_queues(&scene.topic).unwrap();
    assert_eq!(publish.len(), 16);
    assert_eq!(publish, scene.client.subscribe_queues(&scene.topic).unwrap());
    let mut sorted = publish.clone();
    sorted.sort();
    assert_eq!(publish, sorted, "sorted by broker and number, as Java sorts them");
    let ids: Vec<i32> = publish[..8].iter().map(MessageQueue::queue_id).collect();
    assert_eq!(ids, (0..8).collect::<Vec<_>>());
    assert!(publish.iter().all(|queue| queue.topic() == scene.topic));
    assert_ne!(publish[0].broker_name(), publish[8].broker_name());
}

#[test]
fn producers_and_consumers_list_queues_too() {
    let scene = scene();
    let producer = scene.producer();
    producer.create_topic("TBW102", &scene.topic, 3).unwrap();
    eventually(PATIENCE, || match producer.fetch_queues(&scene.topic) {
        Ok(queues) if queues.len() == 6 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(scene.consumer().fetch_queues(&scene.topic).unwrap(), producer.fetch_queues(&scene.topic).unwrap());
}

#[test]
fn any_topic_serves_as_key_and_creating_again_changes_the_number() {
    let scene = Scene::with_queues(2);
    let other = format!("{}_other", scene.topic);
    scene.client.create_topic(&scene.topic, &other, 5).unwrap();
    eventually(PATIENCE, || match scene.client.publish_queues(&other) {
        Ok(queues) if queues.len() == 10 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Apache's name server can miss a change that meets that of another topic of the broker, for good; the next is seen.
    let mut sizes = [1, 3, 2, 4].into_iter();
    eventually(PATIENCE, || {
        let size = sizes.next().expect("one of four changes is seen");
        scene.client.create_topic("TBW102", &other, size).unwrap();
        becomes(&scene, &other, 2 * size as usize)
    });
}

/// Whether the topic soon has so many queues.
fn becomes(scene: &Scene, topic: &str, expected: usize) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        let found = scene.client.publish_queues(topic).map(|queues| queues.len());
        match found {
            Ok(count) if count == expected => return Ok(()),
            _ if Instant::now() >= end => return Err(format!("{found:?} instead of {expected} queues")),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn messages_fill_the_created_queues_and_no_other() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    for _ in 0..6 {
        producer.send(scene.message("x")).unwrap();
    }
    let found = scene.arrived(6);
    assert!(found.iter().all(|view| view.queue().queue_id() == 0));
}

#[test]
fn a_topic_made_by_sending_has_the_number_of_queues_the_producer_asks_for() {
    let scene = scene();
    let producer = scene.client.producer(&*scene.group).default_queues(2).start().unwrap();
    producer.send(scene.message("x")).unwrap();
    let queues = eventually(PATIENCE, || scene.client.publish_queues(&scene.topic));
    assert_eq!(queues.len() % 2, 0, "{queues:?}");
    assert!(queues.iter().all(|queue| queue.queue_id() < 2), "{queues:?}");
}

#[test]
fn an_unknown_topic_has_no_queues_and_is_not_created_by_asking() {
    let scene = scene();
    for _ in 0..2 {
        let error = scene.client.publish_queues(&scene.topic).unwrap_err();
        assert!(matches!(&error, Error::NoRoute { topic, .. } if **topic == *scene.topic), "{error}");
        assert!(matches!(scene.client.subscribe_queues(&scene.topic), Err(Error::NoRoute { .. })));
        assert!(matches!(scene.consumer().fetch_queues(&scene.topic), Err(Error::NoRoute { .. })));
        assert!(matches!(scene.producer().fetch_queues(&scene.topic), Err(Error::NoRoute { .. })));
    }
}

#[test]
fn an_unknown_key_topic_is_an_error() {
    let scene = scene();
    let error = scene.client.create_topic(&format!("{}_key", scene.topic), &scene.topic, 4).unwrap_err();
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
    assert!(matches!(scene.client.publish_queues(&scene.topic), Err(Error::NoRoute { .. })));
}

/// The attributes, once the route is known; on a server without them that there are none.
fn attributes(scene: &Scene, topic: &str) -> Option<std::collections::BTreeMap<String, String>> {
    eventually(PATIENCE, || scene.client.publish_queues(topic));
    let found = scene.client.topic_attributes(topic);
    if supports(Feature::TopicAttributes) {
        return Some(found.unwrap());
    }
    assert!(matches!(found, Err(Error::Unsupported { .. })), "{found:?}");
    None
}

#[test]
fn a_topic_of_every_kind_is_created_and_says_what_it_is() {
    let scene = scene();
    let kinds = [
        TopicType::Normal,
        TopicType::Fifo,
        TopicType::Delay,
        TopicType::Transaction,
        TopicType::Priority,
        TopicType::Lite,
    ];
    for kind in kinds {
        let topic = format!("{}_{kind}", scene.topic);
        let made = scene.client.prepare_topic(&*topic).queues(2).kind(kind).create();
        let is_new = matches!(kind, TopicType::Priority | TopicType::Lite);
        if is_new && supports(Feature::TopicAttributes) && !supports(Feature::TopicKinds) {
            assert!(made.unwrap_err().to_string().contains("value is not in set"), "{kind}");
            continue;
        }
        made.unwrap();
        if let Some(attributes) = attributes(&scene, &topic) {
            assert_eq!(attributes["message.type"].parse::<TopicType>().unwrap(), kind);
        }
        assert_eq!(scene.client.publish_queues(&topic).unwrap().len(), 4, "{kind}");
    }
    scene.client.create_topic("TBW102", &scene.topic, 1).unwrap();
    assert!(attributes(&scene, &scene.topic).is_none_or(|attributes| attributes.is_empty()));
}

#[test]
fn attributes_are_kept_changed_and_taken_away() {
    let scene = scene();
    let topic = || scene.client.prepare_topic(&*scene.topic).queues(1);
    topic().kind(TopicType::Delay).attribute("queue.type", "SimpleCQ").create().unwrap();
    let Some(made) = attributes(&scene, &scene.topic) else { return };
    assert_eq!((&*made["message.type"], &*made["queue.type"], made.len()), ("DELAY", "SimpleCQ", 2));
    topic().kind(TopicType::Fifo).create().unwrap();
    let changed = attributes(&scene, &scene.topic).unwrap();
    assert_eq!((&*changed["message.type"], changed.len()), ("FIFO", 2));
    topic().attribute("-message.type", "").create().unwrap();
    assert_eq!(attributes(&scene, &scene.topic).unwrap().len(), 1);
}

#[test]
fn attributes_that_the_broker_does_not_take_are_refused_by_each_broker() {
    let scene = scene();
    if !supports(Feature::TopicAttributes) {
        scene.client.prepare_topic(&*scene.topic).attribute("no.such", "x").create().unwrap();
        return;
    }
    let refused = [("no.such", "x"), ("message.type", "OTHER"), ("-message.type", "")].into_iter();
    for (name, value) in refused.chain(supports(Feature::TopicKinds).then_some(("message.type", "MIXED"))) {
        let refused = scene.client.prepare_topic(&*scene.topic).attribute(name, value).create();
        let Err(Error::Exhausted { attempts, .. }) = &refused else { panic!("{name}={value}: {refused:?}") };
        assert_eq!(attempts.len(), 2, "{name}={value}");
        assert!(matches!(attempts[0].error, Error::Rejected { .. }), "{name}={value}: {refused:?}");
        assert!(matches!(scene.client.publish_queues(&scene.topic), Err(Error::NoRoute { .. })), "{name}={value}");
    }
    scene.client.prepare_topic(&*scene.topic).attribute("queue.type", "SimpleCQ").create().unwrap();
    let refused = scene.client.prepare_topic(&*scene.topic).attribute("queue.type", "BatchCQ").create();
    assert!(refused.unwrap_err().to_string().contains("unchangeable"));
}

#[test]
fn a_topic_that_may_not_be_written_takes_nothing_and_can_still_be_read() {
    let scene = Scene::with_queues(1);
    scene.producer().send(scene.message("before")).unwrap();
    let read_only = || scene.client.prepare_topic(&*scene.topic).queues(1).permissions(true, false).create().unwrap();
    eventually(PATIENCE, || {
        read_only();
        match scene.client.publish_queues(&scene.topic) {
            Err(Error::NoBroker { .. }) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let refused = scene.producer().send(Message::new(&*scene.topic, "after")).unwrap_err();
    assert_eq!(refused.error.outcome(), Outcome::NotSent, "{refused}");
    assert_eq!(scene.arrived(1)[0].body_text(), Some("before"));
}

#[test]
fn names_and_numbers_out_of_range_are_refused_before_anything_leaves() {
    let client = crate::support::client_to_nowhere();
    let long = "t".repeat(128);
    for name in ["", "a b", "TBW102", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x", &long] {
        let refused = client.create_topic("TBW102", name, 4);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{name:?}: {refused:?}");
    }
    for queues in [0, -1, i32::MAX] {
        let refused = client.create_topic("TBW102", "fine", queues);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{queues}: {refused:?}");
    }
    assert!(matches!(client.publish_queues("a b"), Err(Error::Invalid { .. })));
}
