//! Messages delivered later than they are sent.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{Message, MessageBuilder, MessageView, SendStatus};

use crate::support::{Feature, PATIENCE, Scene, supports};

/// How long the broker kept it: from the producer's clock to the broker's, which is the same on one machine.
fn kept(view: &MessageView) -> Duration {
    view.store_timestamp().duration_since(view.born_timestamp()).unwrap_or_default()
}

#[track_caller]
fn assert_kept(view: &MessageView, at_least: u64, at_most: u64) {
    let range = Duration::from_millis(at_least)..=Duration::from_millis(at_most);
    assert!(range.contains(&kept(view)), "{view} was kept for {:?}, not {range:?}", kept(view));
}

fn send(scene: &Scene, builder: MessageBuilder) {
    let sent = scene.producer().send(builder).unwrap();
    assert_eq!(sent.status(), SendStatus::Ok);
}

#[test]
fn a_message_of_level_1_arrives_a_second_later_with_all_its_parts() {
    let scene = Scene::with_queues(1);
    let message =
        Message::builder(&*scene.topic, "later").tag("t").key("k").property("名", "值").delay_level(1).build();
    assert!(message.is_delayed());
    let sent = scene.producer().send(message).unwrap();
    let found = scene.arrived(1).remove(0);
    assert_kept(&found, 900, 8_000);
    assert_eq!(found.message_id(), sent.message_id());
    assert_eq!((found.topic(), found.body_text(), found.tag()), (&*scene.topic, Some("later"), Some("t")));
    assert_eq!((found.keys().collect::<Vec<_>>(), found.property("名")), (vec!["k"], Some("值")));
}

#[test]
fn levels_deliver_in_the_order_of_their_times() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let queue = scene.queue();
    for (body, level) in [("five seconds", 2), ("one second", 1), ("now", 0)] {
        let message = Message::builder(&*scene.topic, body).delay_level(level);
        producer.prepare(message).queue(&queue).send().unwrap();
    }
    let found = scene.arrived_in(&queue, 3);
    let bodies: Vec<_> = found.iter().map(|view| view.body_text().unwrap()).collect();
    assert_eq!(bodies, ["now", "one second", "five seconds"]);
    assert_kept(&found[2], 4_900, 12_000);
}

#[test]
fn level_0_delivers_at_once() {
    let scene = Scene::with_queues(1);
    let message = Message::builder(&*scene.topic, "now").delay_level(5).delay_level(0).build();
    assert!(!message.is_delayed());
    scene.producer().send(message).unwrap();
    assert_kept(&scene.arrived(1)[0], 0, 900);
}

#[test]
fn a_message_can_be_delivered_after_a_time() {
    let scene = Scene::with_queues(1);
    send(&scene, Message::builder(&*scene.topic, "later").deliver_after(Duration::from_secs(3)));
    let found = scene.arrived_within(PATIENCE, 1).remove(0);
    if supports(Feature::TimerMessages) {
        // To the second, and up to one early or late.
        assert_kept(&found, 1_900, 8_000);
    } else {
        assert_kept(&found, 0, 1_000);
    }
}

#[test]
fn a_message_can_be_delivered_at_a_time() {
    let scene = Scene::with_queues(1);
    let time = SystemTime::now() + Duration::from_secs(3);
    send(&scene, Message::builder(&*scene.topic, "later").deliver_at(time));
    let found = scene.arrived_within(PATIENCE, 1).remove(0);
    if supports(Feature::TimerMessages) {
        assert!(found.store_timestamp() >= time - Duration::from_millis(1_100), "{:?}", found.store_timestamp());
        assert!(found.store_timestamp() <= time + Duration::from_secs(5), "{:?}", found.store_timestamp());
    } else {
        assert_kept(&found, 0, 1_000);
    }
}

#[test]
fn a_time_in_the_past_delivers_at_once() {
    let scene = Scene::with_queues(1);
    send(&scene, Message::builder(&*scene.topic, "late").deliver_at(SystemTime::now() - Duration::from_secs(60)));
    assert_kept(&scene.arrived(1)[0], 0, 2_000);
}

#[test]
fn a_time_too_far_ahead_is_refused_by_the_broker() {
    let scene = Scene::with_queues(1);
    let far = Message::builder(&*scene.topic, "x").deliver_after(Duration::from_secs(4 * 24 * 3600));
    let sent = scene.producer().send(far);
    if supports(Feature::TimerMessages) {
        let failed = sent.unwrap_err();
        assert_eq!(failed.error.code(), Some(rocketmq_blocking::ResponseCode::MESSAGE_ILLEGAL), "{failed}");
        assert_eq!(failed.error.outcome(), rocketmq_blocking::Outcome::Rejected);
    } else {
        assert_eq!(sent.unwrap().status(), SendStatus::Ok);
    }
}

#[test]
fn delayed_messages_can_be_sent_in_the_background_and_one_way() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let message = || Message::builder(&*scene.topic, "later").delay_level(1);
    producer.prepare(message()).submit().unwrap().wait().unwrap();
    producer.send_oneway(message()).unwrap();
    for view in scene.arrived(2) {
        assert_kept(&view, 900, 8_000);
    }
}
