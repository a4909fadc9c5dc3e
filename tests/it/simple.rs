//! Simple consumers: what is received is invisible for a time, done with when it is acknowledged, and comes again if not.

mod own;
mod waiting;

use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Client, ConsumeFromWhere, Error, Filter, Message, MessageView, SimpleConsumer, SimpleConsumerBuilder,
};

use crate::support::{Feature, Scene, body, scene, sorted_bodies, supports};

/// Apache's brokers look only now and then for messages whose time is up.
const LONG: Duration = Duration::from_secs(40);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A scene with a topic, unless the server hands out nothing.
fn pop_scene(queues: i32) -> Option<Scene> {
    supports(Feature::Pop).then(|| Scene::with_queues(queues))
}

fn builder_at(client: &Client, scene: &Scene) -> SimpleConsumerBuilder {
    let builder = client.simple_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset).await_duration(Duration::from_secs(3))
}

fn builder(scene: &Scene) -> SimpleConsumerBuilder {
    builder_at(&scene.client, scene)
}

fn consumer(scene: &Scene) -> SimpleConsumer {
    builder(scene).start().unwrap()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

fn send(scene: &Scene, bodies: &[String]) {
    let producer = scene.producer();
    bodies.iter().for_each(|body| drop(producer.send(scene.message(body)).unwrap()));
}

/// Receives until so many messages came.
#[track_caller]
fn take(consumer: &SimpleConsumer, count: usize, invisible: Duration) -> Vec<MessageView> {
    let (end, mut found) = (Instant::now() + LONG, Vec::new());
    while found.len() < count {
        assert!(Instant::now() < end, "{} of {count} messages came: {found:?}", found.len());
        found.extend(consumer.receive(32, invisible).unwrap());
    }
    assert_eq!(found.len(), count, "more came than were wanted: {found:?}");
    found
}

/// Looks for as long as the consumer waits, which is longer than the messages of the test are invisible.
#[track_caller]
fn nothing_comes(consumer: &SimpleConsumer) {
    let found = consumer.receive(32, MINUTE).unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_is_acknowledged_does_not_come_again() {
    let Some(scene) = pop_scene(2) else { return };
    send(&scene, &numbered(20));
    let consumer = consumer(&scene);
    let found = take(&consumer, 20, Duration::from_secs(2));
    assert_eq!(sorted_bodies(&found), numbered(20));
    for message in &found {
        assert_eq!((message.topic(), message.reconsume_times()), (&*scene.topic, 0));
        assert!(message.receipt_handle().is_some());
        consumer.ack(message).unwrap();
    }
    nothing_comes(&consumer);
    send(&scene, &["later".to_owned()]);
    consumer.ack(&take(&consumer, 1, MINUTE)[0]).unwrap();
}

#[test]
fn what_is_not_acknowledged_comes_again_and_counts() {
    let Some(scene) = pop_scene(1) else { return };
    let producer = scene.producer();
    producer.send(Message::builder(&*scene.topic, "again").tag("a").key("k").property("p", "q")).unwrap();
    let consumer = consumer(&scene);
    let mut before = take(&consumer, 1, SECOND).remove(0);
    for times in 1..3 {
        let message = take(&consumer, 1, SECOND).remove(0);
        assert_eq!((body(&message).as_str(), message.reconsume_times()), ("again", times));
        assert_eq!((message.topic(), message.tag(), message.property("p")), (&*scene.topic, Some("a"), Some("q")));
        assert_eq!(message.message_id(), before.message_id());
        assert_ne!(message.receipt_handle(), before.receipt_handle());
        before = message;
    }
    let last = take(&consumer, 1, MINUTE).remove(0);
    consumer.ack(&last).unwrap();
    nothing_comes(&consumer);
}

#[test]
fn the_time_can_be_made_shorter() {
    let Some(scene) = pop_scene(1) else { return };
    send(&scene, &numbered(1));
    let consumer = consumer(&scene);
    let mut message = take(&consumer, 1, 10 * MINUTE).remove(0);
    let handle = message.receipt_handle().unwrap().to_owned();
    consumer.change_invisible_duration(&mut message, SECOND).unwrap();
    assert_ne!(message.receipt_handle(), Some(&*handle), "the new handle replaces the old one");
    let again = take(&consumer, 1, MINUTE).remove(0);
    assert_eq!((body(&again).as_str(), again.reconsume_times()), ("0000", 1));
    consumer.ack(&again).unwrap();
}

#[test]
fn the_time_can_be_made_longer_and_the_new_handle_acknowledges() {
    let Some(scene) = pop_scene(1) else { return };
    send(&scene, &numbered(2));
    let consumer = consumer(&scene);
    let mut found = take(&consumer, 2, Duration::from_secs(5));
    for message in &mut found {
        consumer.change_invisible_duration(message, 10 * MINUTE).unwrap();
    }
    // One of them without delay; the other stays where it is.
    consumer.ack(&found[0]).unwrap();
    let until = Instant::now() + Duration::from_secs(7);
    while Instant::now() < until {
        nothing_comes(&consumer);
    }
    consumer.change_invisible_duration(&mut found[1], Duration::ZERO).unwrap();
    let again = take(&consumer, 1, MINUTE).remove(0);
    assert_eq!(again.message_id(), found[1].message_id());
    consumer.ack(&again).unwrap();
}

#[test]
fn many_are_acknowledged_at_once() {
    let Some(scene) = pop_scene(2) else { return };
    send(&scene, &numbered(40));
    let consumer = consumer(&scene);
    let mut found = take(&consumer, 40, Duration::from_secs(2));
    let left = found.split_off(37);
    consumer.ack_all(&found).unwrap();
    consumer.ack_all(&[]).unwrap();
    // What is left comes again, and can be acknowledged together with new ones.
    let again = take(&consumer, 3, MINUTE);
    assert_eq!(sorted_bodies(&again), sorted_bodies(&left));
    send(&scene, &["new".to_owned()]);
    let all = [again, take(&consumer, 1, MINUTE)].concat();
    consumer.ack_all(&all).unwrap();
    nothing_comes(&consumer);
}

#[test]
fn a_message_whose_time_is_up_cannot_be_acknowledged() {
    let Some(scene) = pop_scene(1) else { return };
    send(&scene, &numbered(1));
    let consumer = consumer(&scene);
    let mut late = take(&consumer, 1, SECOND).remove(0);
    let received = Instant::now();
    let again = take(&consumer, 1, MINUTE).remove(0);
    // The broker counts from when it answered, this side from when the answer was read.
    while received.elapsed() <= SECOND {
        nothing_comes(&consumer);
    }
    let refused = [
        consumer.ack(&late).unwrap_err(),
        consumer.ack_all(&[late.clone(), again]).unwrap_err(),
        consumer.change_invisible_duration(&mut late, MINUTE).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(&error, Error::Invalid { what } if what.contains("time")), "{error}");
    }
    // The other one of the batch is done with all the same.
    nothing_comes(&consumer);
}

#[test]
fn a_message_that_was_pulled_cannot_be_acknowledged() {
    let scene = Scene::with_queues(1);
    send(&scene, &numbered(1));
    let pulled = scene.arrived(1).remove(0);
    let error = consumer(&scene).ack(&pulled).unwrap_err();
    assert!(matches!(&error, Error::Invalid { what } if what.contains("pulled")), "{error}");
}

#[test]
fn only_messages_with_a_wanted_tag_are_received() {
    let Some(scene) = pop_scene(2) else { return };
    let producer = scene.producer();
    for (tag, text) in [("Aa", "1"), ("BB", "2"), ("c", "3"), ("d", "4"), ("Aa", "5")] {
        producer.send(Message::builder(&*scene.topic, text).tag(tag)).unwrap();
    }
    producer.send(scene.message("no tag")).unwrap();
    let builder = scene.client.simple_consumer(&*scene.group).subscribe(&*scene.topic, "Aa || c");
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).await_duration(Duration::from_secs(3));
    let consumer = builder.start().unwrap();
    let found = take(&consumer, 3, Duration::from_secs(2));
    assert_eq!(sorted_bodies(&found), ["1", "3", "5"]);
    consumer.ack_all(&found).unwrap();
    // The tag of the same hash was passed over for good.
    nothing_comes(&consumer);
}

#[test]
fn only_messages_for_which_a_condition_holds_are_received() {
    let Some(scene) = pop_scene(2) else { return };
    let producer = scene.producer();
    for amount in [5, 15, 25] {
        let message = Message::builder(&*scene.topic, amount.to_string()).property("amount", amount.to_string());
        producer.send(message).unwrap();
    }
    let consumer = consumer(&scene);
    consumer.subscribe(&*scene.topic, Filter::sql("amount > 10")).unwrap();
    let found = take(&consumer, 2, MINUTE);
    assert_eq!(sorted_bodies(&found), ["15", "25"]);
    consumer.ack_all(&found).unwrap();
    nothing_comes(&consumer);
    consumer.subscribe(&*scene.topic, Filter::sql("amount >")).unwrap();
    let error = consumer.receive(1, MINUTE).unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}

#[test]
fn members_share_the_messages_of_one_queue() {
    let Some(scene) = pop_scene(1) else { return };
    let queue = scene.queue();
    let producer = scene.producer();
    for body in numbered(24) {
        producer.prepare(scene.message(body)).queue(&queue).send().unwrap();
    }
    let second = scene.cluster.builder().build().unwrap();
    let members = [consumer(&scene), builder_at(&second, &scene).start().unwrap()];
    let (mut shares, end) = ([Vec::new(), Vec::new()], Instant::now() + LONG);
    while shares.iter().map(Vec::len).sum::<usize>() < 24 {
        assert!(Instant::now() < end, "{shares:?}");
        for (member, share) in members.iter().zip(&mut shares) {
            let found = member.receive(3, MINUTE).unwrap();
            member.ack_all(&found).unwrap();
            share.extend(found);
        }
    }
    assert!(shares.iter().all(|share| share.len() >= 3), "both have a share: {shares:?}");
    assert_eq!(sorted_bodies(&shares.concat()), numbered(24));
}

#[test]
fn in_order_a_queue_waits_for_what_is_not_acknowledged() {
    let Some(scene) = pop_scene(1) else { return };
    let queue = scene.queue();
    let producer = scene.producer();
    for body in numbered(6) {
        producer.prepare(scene.message(body)).queue(&queue).send().unwrap();
    }
    let consumer = builder(&scene).orderly(true).start().unwrap();
    let bodies = |messages: &[MessageView]| messages.iter().map(body).collect::<Vec<_>>();
    let first = consumer.receive(2, 2 * MINUTE).unwrap();
    assert_eq!(bodies(&first), ["0000", "0001"]);
    nothing_comes(&consumer);
    consumer.ack(&first[0]).unwrap();
    nothing_comes(&consumer);
    consumer.ack(&first[1]).unwrap();
    // Not acknowledged within their time, they come again in their place.
    let second = consumer.receive(2, SECOND).unwrap();
    assert_eq!(bodies(&second), ["0002", "0003"]);
    let again = take(&consumer, 2 + 2, MINUTE);
    assert_eq!(bodies(&again), ["0002", "0003", "0004", "0005"]);
    let times: Vec<i32> = again.iter().map(MessageView::reconsume_times).collect();
    assert_eq!(times, [1, 1, 0, 0]);
    // A time made shorter frees the queue sooner.
    let mut again = again;
    consumer.ack_all(&again[..3]).unwrap();
    consumer.change_invisible_duration(&mut again[3], SECOND).unwrap();
    let last = take(&consumer, 1, MINUTE);
    assert_eq!((bodies(&last), last[0].reconsume_times()), (vec!["0005".to_owned()], 1));
    consumer.ack_all(&last).unwrap();
    nothing_comes(&consumer);
}

#[test]
fn what_comes_too_often_becomes_a_dead_letter() {
    let Some(scene) = pop_scene(1) else { return };
    send(&scene, &numbered(1));
    let consumer = builder(&scene).max_reconsume_times(1).start().unwrap();
    assert_eq!(take(&consumer, 1, SECOND)[0].reconsume_times(), 0);
    assert_eq!(take(&consumer, 1, SECOND)[0].reconsume_times(), 1);
    let dead = Scene { topic: format!("%DLQ%{}", scene.group), ..scene };
    let end = Instant::now() + LONG;
    // The consumer that receives is the one that counts.
    while dead.client.subscribe_queues(&dead.topic).is_err() {
        assert!(Instant::now() < end, "no dead letter");
        nothing_comes(&consumer);
    }
    let letters = dead.arrived(1);
    assert_eq!(body(&letters[0]), "0000");
    nothing_comes(&consumer);
}

#[test]
fn topics_come_and_go_while_a_consumer_lives() {
    let Some(scene) = pop_scene(1) else { return };
    let other = Scene::with_queues(1);
    send(&scene, &["one".to_owned()]);
    send(&other, &["two".to_owned()]);
    let consumer = consumer(&scene);
    consumer.subscribe(&*other.topic, "*").unwrap();
    let found = take(&consumer, 2, MINUTE);
    assert_eq!(sorted_bodies(&found), ["one", "two"]);
    consumer.unsubscribe(&scene.topic).unwrap();
    consumer.ack_all(&found).unwrap();
    send(&scene, &["three".to_owned()]);
    send(&other, &["four".to_owned()]);
    assert_eq!(sorted_bodies(&take(&consumer, 1, MINUTE)), ["four"]);
    nothing_comes(&consumer);
    consumer.unsubscribe(&other.topic).unwrap();
    assert!(matches!(consumer.receive(1, MINUTE), Err(Error::Invalid { .. })));
}

#[test]
fn a_namespace_dresses_the_retry_topics_too() {
    if !supports(Feature::Pop) {
        return;
    }
    let scene = scene();
    let client = scene.cluster.builder().namespace("pop_ns").build().unwrap();
    client.create_topic("TBW102", &scene.topic, 1).unwrap();
    client.producer(&*scene.group).start().unwrap().send(scene.message("wrapped")).unwrap();
    let consumer = builder_at(&client, &scene).start().unwrap();
    assert_eq!(take(&consumer, 1, SECOND)[0].topic(), scene.topic);
    let again = take(&consumer, 1, Duration::from_secs(2)).remove(0);
    assert_eq!((again.topic(), again.reconsume_times()), (&*scene.topic, 1));
    consumer.ack_all(&[again]).unwrap();
    nothing_comes(&consumer);
}
