//! Groups: one start for each identity, and what their names may be.

use std::time::Duration;

use rocketmq_blocking::{Client, Error, Message, embedded};

use crate::support::{
    NOWHERE, PATIENCE, Scene, client_builder, client_to_nowhere, eventually, scene, sorted_bodies, unique,
};

fn named(instance: &str) -> Client {
    crate::support::cluster().builder().instance_name(instance).build().unwrap()
}

#[test]
fn a_group_starts_once_per_client_and_again_after_it_was_closed() {
    let scene = scene();
    let producer = scene.producer();
    let second = scene.client.producer(&*scene.group).start();
    let Err(Error::GroupInUse { group, client_id }) = second else { panic!("{second:?}") };
    assert_eq!((&*group, &*client_id), (&*scene.group, scene.client.client_id()));
    let consumer = scene.consumer();
    assert!(matches!(scene.client.pull_consumer(&*scene.group).start(), Err(Error::GroupInUse { .. })));
    producer.close().unwrap();
    consumer.close().unwrap();
    let again = (scene.producer(), scene.consumer());
    again.0.send(scene.message("started again")).unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["started again"]);
    drop(again);
    scene.producer();
}

#[test]
fn a_producer_and_a_consumer_may_share_a_groups_name() {
    let scene = scene();
    let (producer, consumer) = (scene.producer(), scene.consumer());
    assert_eq!(producer.group(), consumer.group());
}

#[test]
fn clients_of_one_instance_name_are_one_client() {
    let instance = unique("instance");
    let (one, two) = (named(&instance), named(&instance));
    assert_eq!(one.client_id(), two.client_id());
    assert!(one.client_id().ends_with(&format!("@{instance}")), "{}", one.client_id());
    let group = unique("group");
    let producer = one.producer(&*group).start().unwrap();
    assert!(matches!(two.producer(&*group).start(), Err(Error::GroupInUse { .. })), "they are the same client");
    producer.close().unwrap();
    two.producer(&*group).start().unwrap();
}

#[test]
fn instances_of_different_names_coexist_in_one_group() {
    let scene = Scene::with_queues(1);
    let (one, two) = (named(&unique("one")), named(&unique("two")));
    assert_ne!(one.client_id(), two.client_id());
    let producers = [one.producer(&*scene.group).start().unwrap(), two.producer(&*scene.group).start().unwrap()];
    for (number, producer) in producers.iter().enumerate() {
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    assert_eq!(sorted_bodies(&scene.arrived(2)), ["0", "1"]);
}

#[test]
fn clients_without_an_instance_name_are_different_clients() {
    let (one, two) = (client_to_nowhere(), client_to_nowhere());
    assert_ne!(one.client_id(), two.client_id());
    let producers = (one.producer("it_twice").start(), two.producer("it_twice").start());
    assert!(producers.0.is_ok() && producers.1.is_ok());
}

#[test]
fn the_same_identity_with_other_settings_is_an_error() {
    let instance = unique("instance");
    let build = |seconds| {
        let interval = std::time::Duration::from_secs(seconds);
        client_builder().name_servers(NOWHERE).instance_name(&*instance).heartbeat_interval(interval).build()
    };
    let _first = build(30).unwrap();
    let error = build(31).unwrap_err();
    assert!(matches!(&error, Error::Invalid { what } if what.contains("heartbeat")), "{error}");
    assert!(build(30).is_ok());
}

#[test]
fn a_client_that_was_closed_is_not_handed_out_again() {
    let instance = unique("instance");
    let build = || client_builder().name_servers(NOWHERE).instance_name(&*instance).build().unwrap();
    let first = build();
    first.close().unwrap();
    assert!(matches!(first.producer("it_closed").start(), Err(Error::Closed { .. })));
    assert!(build().producer("it_closed").start().is_ok());
}

#[test]
fn groups_have_names_of_letters_digits_and_a_few_signs() {
    let client = client_to_nowhere();
    let (long, longest) = ("g".repeat(256), "g".repeat(255));
    for wrong in ["", "  ", "a b", "组", "a/b", "DEFAULT_PRODUCER", &long] {
        let refused = client.producer(wrong).start();
        assert!(matches!(refused, Err(Error::Invalid { .. })), "producer {wrong:?}: {refused:?}");
        let refused = client.pull_consumer(wrong).start();
        assert!(matches!(refused, Err(Error::Invalid { .. })), "consumer {wrong:?}: {refused:?}");
    }
    for right in ["g", "GID-orders_1", "a|b%c", &longest] {
        client.producer(right).start().unwrap();
        client.pull_consumer(right).start().unwrap();
    }
}

#[test]
fn settings_out_of_range_are_refused_at_the_start() {
    let client = client_to_nowhere();
    let zero = std::time::Duration::ZERO;
    let producer = || client.producer(unique("settings"));
    let refused = [
        producer().timeout(zero).start(),
        producer().attempt_timeout(zero).start(),
        producer().compress_level(10).start(),
        producer().max_message_size(0).start(),
        producer().async_window(0, 1).start(),
        producer().async_window(1, 0).start(),
        producer().default_queues(0).start(),
        producer().template_topic("a b").start(),
    ];
    assert!(refused.iter().all(|start| matches!(start, Err(Error::Invalid { .. }))), "{refused:?}");
    let consumer = || client.pull_consumer(unique("settings"));
    let refused = [
        consumer().max(0).start(),
        consumer().hold(zero).start(),
        consumer().timeout(zero).start(),
        consumer().window(0).start(),
    ];
    assert!(refused.iter().all(|start| matches!(start, Err(Error::Invalid { .. }))), "{refused:?}");
}

#[test]
fn handles_can_be_closed_and_dropped_in_any_order_and_twice() {
    let scene = Scene::with_queues(1);
    let (producer, consumer, queue) = (scene.producer(), scene.consumer(), scene.queue());
    producer.send(scene.message("x")).unwrap();
    scene.client.close().unwrap();
    let closed = producer.send(scene.message("y")).unwrap_err();
    assert!(matches!(closed.error, Error::Closed { .. }), "closing the client closes what was made from it: {closed}");
    assert!(matches!(consumer.pull(&queue, 0), Err(Error::Closed { .. })));
    assert!(matches!(scene.client.publish_queues(&scene.topic), Err(Error::Closed { .. })));
    producer.close().unwrap();
    producer.close().unwrap();
    scene.client.close().unwrap();
    drop(consumer);
    drop(producer);
}

#[test]
fn a_producer_keeps_its_client_alive() {
    let mut scene = Scene::with_queues(1);
    let producer = scene.producer();
    scene.client = crate::support::cluster().builder().build().unwrap();
    producer.send(scene.message("the first client's handle is gone")).unwrap();
    assert_eq!(scene.arrived(1).len(), 1);
}

#[test]
fn no_broker_counts_a_member_that_left_while_others_stay() {
    let cluster = embedded::Cluster::builder().topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).heartbeat_interval(Duration::from_millis(10));
    let client = client.connect().unwrap();
    let staying = client.producer("staying").topics(["T"]).start().unwrap();
    staying.send(Message::new("T", "x")).unwrap();
    let broker = cluster.broker("broker-a");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (client, broker) = (&client, &broker);
            scope.spawn(move || {
                let group = format!("leaving-{number}");
                for _ in 0..200 {
                    // Each start has a heartbeat sent, by another thread.
                    client.producer(&*group).start().unwrap().close().unwrap();
                    eventually(PATIENCE, || match broker.producers(&group).len() {
                        0 => Ok(()),
                        still => Err(format!("{still} are still there")),
                    });
                }
            });
        }
    });
    assert_eq!(broker.producers("staying").len(), 1);
}

#[test]
fn no_broker_counts_a_member_that_left_before_it_was_reached() {
    let cluster = embedded::Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker("broker-a");
    for _ in 0..200 {
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let staying = client.producer("staying").start().unwrap();
        let leaving = client.producer("leaving").topics(["T"]).start().unwrap();
        leaving.close().unwrap();
        staying.send(Message::new("T", "x")).unwrap();
        eventually(PATIENCE, || match broker.producers("leaving").len() {
            0 => Ok(()),
            still => Err(format!("{still} are still there")),
        });
    }
}
