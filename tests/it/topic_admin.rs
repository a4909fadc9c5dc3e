//! What operators see of topics, and how they change and delete them.

use std::collections::BTreeSet;

use rocketmq_blocking::{Admin, Error, TopicConfig};

use crate::support::{Feature, PATIENCE, Scene, client_to_nowhere, eventually, live_variable, scene, supports, unique};

fn configs(admin: &Admin, topic: &str) -> Vec<TopicConfig> {
    let found = admin.topic_config(topic).unwrap();
    assert_eq!(found.failures.len(), 0, "{found:?}");
    found.configs
}

/// Name servers hear of a change a moment later, and can miss one that meets that of another topic; the next is seen.
fn publishes(scene: &Scene, expected: usize) {
    eventually(PATIENCE, || match scene.client.publish_queues(&scene.topic) {
        Ok(queues) if queues.len() == expected => Ok(()),
        Err(Error::NoBroker { .. }) if expected == 0 => Ok(()),
        other => Err(format!("{other:?} instead of {expected} queues")),
    });
}

#[test]
fn topics_are_listed() {
    let scene = Scene::with_queues(1);
    let admin = scene.client.admin();
    let all = admin.topics().unwrap();
    assert!(all.is_sorted() && all.contains(&scene.topic) && all.contains(&"TBW102".to_owned()), "{all:?}");
    let of_cluster = admin.cluster_topics("DefaultCluster").unwrap();
    assert!(of_cluster.contains(&scene.topic), "{of_cluster:?}");
    assert_eq!(admin.cluster_topics("it_no_cluster").unwrap(), [] as [&str; 0]);
    let system: BTreeSet<_> = admin.system_topics().unwrap().into_iter().collect();
    for name in ["DefaultCluster", "broker-a", "broker-b", "TBW102", "SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC"] {
        assert!(system.contains(name), "{name} is missing in {system:?}");
    }
    assert!(!system.contains(&scene.topic));
}

/// Brokers before 5.0 do not look at the mark that a topic is in order; there, only name servers keep it.
fn orders() -> bool {
    !live_variable("VERSION").is_some_and(|version| version.starts_with('4'))
}

#[test]
fn settings_of_a_topic_are_those_it_was_created_with() {
    let scene = scene();
    scene.client.prepare_topic(&*scene.topic).queues(3).permissions(true, false).order(true).create().unwrap();
    let admin = scene.client.admin();
    let found = eventually(PATIENCE, || match admin.topic_config(&scene.topic) {
        Ok(found) if found.configs.len() == 2 => Ok(found.configs),
        other => Err(format!("{other:?}")),
    });
    for (config, broker) in found.iter().zip(["broker-a", "broker-b"]) {
        assert_eq!((&*config.topic, &*config.broker_name), (&*scene.topic, broker));
        assert_eq!((config.read_queues, config.write_queues, config.permissions), (3, 3, 4));
        assert_eq!((config.is_readable(), config.is_writable(), config.order), (true, false, orders()));
        assert!(config.mapping.is_none() && config.attributes.is_empty() && config.flags == 0);
    }
    let text = found[0].to_string();
    let order = if orders() { ", in order" } else { "" };
    assert_eq!(text, format!("{} on broker-a: 3 queues to read, 3 to write, R--{order}", scene.topic));
}

#[test]
fn a_change_leaves_everything_else_as_it_is() {
    let scene = Scene::with_queues(2);
    let admin = scene.client.admin();
    admin.change_topic(&*scene.topic).write_queues(5).read_queues(6).broker("broker-b").apply().unwrap();
    let found = configs(&admin, &scene.topic);
    let queues = |config: &TopicConfig| (config.read_queues, config.write_queues, config.permissions, config.order);
    assert_eq!(found.iter().map(queues).collect::<Vec<_>>(), [(2, 2, 6, false), (6, 5, 6, false)]);
    admin.change_topic(&*scene.topic).order(true).apply().unwrap();
    let found = configs(&admin, &scene.topic);
    assert_eq!(found.iter().map(queues).collect::<Vec<_>>(), [(2, 2, 6, orders()), (6, 5, 6, orders())]);
    publishes(&scene, 7);
    admin.change_topic(&*scene.topic).write(false).apply().unwrap();
    assert!(configs(&admin, &scene.topic).iter().all(|config| config.is_readable() && !config.is_writable()));
    publishes(&scene, 0);
    admin.change_topic(&*scene.topic).write(true).queues(4).apply().unwrap();
    let found = configs(&admin, &scene.topic);
    assert_eq!(found.iter().map(queues).collect::<Vec<_>>(), [(4, 4, 6, orders()); 2]);
}

#[test]
fn attributes_are_changed_and_taken_away() {
    let scene = Scene::with_queues(1);
    let admin = scene.client.admin();
    let attributes = || configs(&admin, &scene.topic).remove(0).attributes;
    admin.change_topic(&*scene.topic).attribute("message.type", "FIFO").apply().unwrap();
    if !supports(Feature::TopicAttributes) {
        assert!(attributes().is_empty());
        return;
    }
    assert_eq!(attributes()["message.type"], "FIFO");
    admin.change_topic(&*scene.topic).queues(2).apply().unwrap();
    assert_eq!(attributes()["message.type"], "FIFO", "other changes leave it");
    admin.change_topic(&*scene.topic).attribute("-message.type", "").apply().unwrap();
    assert!(attributes().is_empty());
    let refused = admin.change_topic(&*scene.topic).attribute("it.no.attribute", "x").apply();
    assert!(matches!(&refused, Err(Error::Exhausted { attempts, .. }) if attempts.len() == 2), "{refused:?}");
}

#[test]
fn a_deleted_topic_is_gone_everywhere() {
    let scene = Scene::with_queues(2);
    scene.producer().send(scene.message("lost")).unwrap();
    let admin = scene.client.admin();
    admin.change_topic_order(&scene.topic, &[("broker-a", 2)]).unwrap();
    admin.delete_topic(&scene.topic).unwrap();
    assert!(matches!(scene.client.publish_queues(&scene.topic), Err(Error::NoRoute { .. })));
    assert!(!admin.topics().unwrap().contains(&scene.topic));
    assert!(matches!(admin.topic_config(&scene.topic), Err(Error::NoRoute { .. })));
    assert_eq!(admin.topic_order(&scene.topic).unwrap(), None);
    assert!(matches!(admin.delete_topic(&scene.topic), Err(Error::NoRoute { .. })));
    scene.create_topic(1);
    scene.producer().send(scene.message("new")).unwrap();
    let found = scene.arrived(1);
    assert_eq!((found[0].body_text(), found[0].queue_offset()), (Some("new"), 0));
}

#[test]
fn statistics_say_what_each_queue_holds() {
    let scene = Scene::with_queues(2);
    let admin = scene.client.admin();
    let empty = admin.topic_stats(&scene.topic).unwrap();
    assert_eq!(empty.queues.iter().map(|stats| stats.queue.clone()).collect::<Vec<_>>(), scene.queues());
    assert!(empty.queues.iter().all(|stats| stats.messages() == 0 && stats.last_update.is_none()), "{empty}");
    let (producer, queue) = (scene.producer(), scene.queue());
    for _ in 0..3 {
        producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    }
    let stats = eventually(PATIENCE, || {
        let stats = admin.topic_stats(&scene.topic).unwrap();
        if stats.messages() == 3 { Ok(stats) } else { Err(stats.to_string()) }
    });
    let filled = stats.queues.iter().find(|stats| stats.queue == queue).unwrap();
    assert_eq!((filled.min_offset, filled.max_offset, filled.last_update.is_some()), (0, 3, true));
    let table = stats.to_string();
    assert!(table.lines().count() == 5 && table.contains("broker-a/0             0             3"), "{table}");
}

#[test]
fn in_a_namespace_topics_have_the_users_names() {
    let mut scene = scene();
    scene.client = scene.cluster.builder().namespace(unique("ns")).build().unwrap();
    scene.create_topic(1);
    let admin = scene.client.admin();
    assert!(admin.topics().unwrap().contains(&scene.topic));
    assert!(configs(&admin, &scene.topic).iter().all(|config| *config.topic == *scene.topic));
    admin.change_topic(&*scene.topic).queues(2).apply().unwrap();
    publishes(&scene, 4);
    let stats = admin.topic_stats(&scene.topic).unwrap();
    assert!(stats.queues.iter().all(|stats| stats.queue.topic() == scene.topic), "{stats}");
    admin.delete_topic(&scene.topic).unwrap();
    assert!(!admin.topics().unwrap().contains(&scene.topic));
}

#[test]
fn what_cannot_be_is_refused() {
    let scene = Scene::with_queues(1);
    let admin = scene.client.admin();
    let unknown = unique("unknown");
    assert!(matches!(admin.topic_config(&unknown), Err(Error::NoRoute { .. })));
    assert!(matches!(admin.topic_stats(&unknown), Err(Error::NoRoute { .. })));
    assert!(matches!(admin.change_topic(&*unknown).queues(1).apply(), Err(Error::NoRoute { .. })));
    let elsewhere = admin.change_topic(&*scene.topic).queues(1).broker("broker-z").apply();
    assert!(matches!(elsewhere, Err(Error::NoBroker { .. })), "{elsewhere:?}");
    assert!(admin.delete_topic("SELF_TEST_TOPIC").is_err());
    let nowhere = client_to_nowhere().admin();
    for wrong in ["", "a b", "TBW102"] {
        assert!(matches!(nowhere.change_topic(wrong).queues(1).apply(), Err(Error::Invalid { .. })), "{wrong}");
    }
    for queues in [0, 65_537] {
        assert!(matches!(nowhere.change_topic("T").queues(queues).apply(), Err(Error::Invalid { .. })));
    }
    assert!(matches!(nowhere.delete_topic("a b"), Err(Error::Invalid { .. })));
}

#[test]
fn a_static_topic_says_which_of_its_queues_lie_where() {
    let scene = scene();
    let admin = scene.client.admin();
    let created = admin.create_static_topic(&scene.topic, 5);
    if !supports(Feature::TopicAttributes) {
        assert!(matches!(&created, Err(Error::Exhausted { attempts, .. }) if attempts.len() == 2), "{created:?}");
        return;
    }
    created.unwrap();
    let found = eventually(PATIENCE, || match admin.topic_config(&scene.topic) {
        Ok(found) if found.configs.len() == 2 => Ok(found.configs),
        other => Err(format!("{other:?}")),
    });
    let mappings: Vec<_> = found.iter().map(|config| config.mapping.as_ref().unwrap()).collect();
    let queues = |at: usize| mappings[at].queues.keys().copied().collect::<Vec<_>>();
    assert_eq!((queues(0), queues(1)), (vec![0, 2, 4], vec![1, 3]));
    assert!(mappings.iter().all(|mapping| mapping.total_queues == 5 && mapping.epoch > 0), "{mappings:?}");
    let part = &mappings[1].queues[&3][0];
    assert_eq!((&*part.broker_name, part.queue_id, part.start_offset, part.end_offset), ("broker-b", 1, 0, None));
    assert_eq!((found[0].read_queues, found[1].write_queues), (3, 2));
    assert!(matches!(admin.create_static_topic(&scene.topic, 5), Err(Error::Invalid { .. })));
    admin.delete_topic(&scene.topic).unwrap();
}
