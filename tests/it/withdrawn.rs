//! What brokers hold for a consumer is not waited for any more once it has closed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rocketmq_blocking::{Client, ConsumeFromWhere, MessageView};

use crate::support::{Feature, LONG, Scene, eventually, supports};

/// Has brokers hold something for a consumer of a client of its own, closes it, and looks at what is left.
#[track_caller]
fn nothing_is_left<C>(scene: &Scene, start: impl FnOnce(&Client) -> C, close: impl FnOnce(&C)) {
    let client = scene.cluster.builder().build().unwrap();
    let consumer = start(&client);
    let held = || client.stats().connections.iter().map(|one| one.held).sum::<usize>();
    eventually(LONG, || if held() >= 2 { Ok(()) } else { Err("nothing is held yet") });
    // What is asked later is answered later, so that what is held has left.
    for queue in scene.queues() {
        client.max_offset(&queue).unwrap();
    }
    close(&consumer);
    assert_eq!(held(), 0, "they are withdrawn");
    let late = client.stats().late_answers;
    let producer = scene.producer();
    // Word of a message has the brokers answer what they held.
    for queue in scene.queues() {
        producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    }
    eventually(LONG, || match client.stats() {
        stats if stats.late_answers > late => Ok(()),
        stats => Err(format!("{stats}")),
    });
    assert_eq!(client.stats().foreign_answers, 0);
    client.close().unwrap();
}

#[test]
fn closing_a_push_consumer_withdraws_the_pulls_that_brokers_hold() {
    let scene = Scene::with_queues(1);
    nothing_is_left(
        &scene,
        |client| scene.push_of(client).hold(Duration::from_secs(30)).start(|_: &[MessageView]| {}).unwrap(),
        |consumer| consumer.close().unwrap(),
    );
}

#[test]
fn closing_a_lite_pull_consumer_withdraws_the_pulls_that_brokers_hold() {
    let scene = Scene::with_queues(1);
    nothing_is_left(
        &scene,
        |client| client.lite_pull_consumer(&*scene.group).subscribe(&*scene.topic, "*").start().unwrap(),
        |consumer| consumer.close().unwrap(),
    );
}

#[test]
fn closing_a_pull_consumer_withdraws_the_pulls_that_brokers_hold() {
    let scene = Scene::with_queues(1);
    nothing_is_left(
        &scene,
        |client| {
            let consumer = client.pull_consumer(&*scene.group).start().unwrap();
            for queue in scene.queues() {
                let pull = consumer.prepare_pull(&queue, 0).wait(Duration::from_secs(30));
                pull.fetch_async(|pulled| assert!(pulled.is_err(), "it closes before")).unwrap();
            }
            consumer
        },
        |consumer| consumer.close().unwrap(),
    );
}

#[test]
fn closing_a_simple_consumer_withdraws_its_questions() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = Scene::with_queues(1);
    nothing_is_left(
        &scene,
        |client| {
            let builder = client.simple_consumer(&*scene.group).subscribe(&*scene.topic, "*");
            let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset);
            let consumer = Arc::new(builder.await_duration(LONG).start().unwrap());
            let waits = consumer.clone();
            let receive = move || assert!(waits.receive(1, Duration::from_secs(60)).is_err(), "it closes before");
            thread::spawn(receive);
            consumer
        },
        |consumer| consumer.close().unwrap(),
    );
}
