//! What listeners do not finish comes again, and in the end becomes a dead letter.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{ConsumeFromWhere, ConsumeResult, Message, MessageView, PushConsumer, PushConsumerBuilder};

use crate::support::{Inbox, LONG, Scene, body, client_builder, collect, eventually, live_variable, numbered, say};

/// Starts a consumer whose listener takes in what it gets, and answers by body and by how often it was delivered before.
fn answering(
    builder: PushConsumerBuilder,
    answer: impl Fn(&str, i32) -> ConsumeResult + Send + Sync + 'static,
) -> (PushConsumer, Inbox) {
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = builder.start(move |messages: &[MessageView]| {
        listener.take_in(messages);
        answer(&body(&messages[0]), messages[0].reconsume_times())
    });
    (consumer.unwrap(), inbox)
}

/// Waits until the dead letters of the group are these.
#[track_caller]
pub(crate) fn dead_letters(scene: &Scene, expected: &[&str]) {
    let dead = format!("%DLQ%{}", scene.group);
    eventually(LONG, || {
        let queues = scene.client.subscribe_queues(&dead).map_err(|error| error.to_string())?;
        let reader = scene.reader();
        let pulled = queues.iter().map(|queue| reader.pull(queue, 0).map_err(|error| error.to_string()));
        let mut found = Vec::new();
        for pulled in pulled {
            found.extend(pulled?.into_messages().iter().map(body));
        }
        found.sort();
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// How long after its first delivery a message came for the second time, and so on.
fn pauses(inbox: &Inbox, text: &str) -> Vec<Duration> {
    let of: Vec<_> = inbox.timed().into_iter().filter(|(_, one)| body(one) == text).map(|(at, _)| at).collect();
    of.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn what_fails_comes_again_from_the_broker_and_says_how_often() {
    let scene = Scene::hasty(1);
    scene.send(&numbered(4));
    let (_consumer, inbox) = answering(scene.push(), |text, times| match (text, times) {
        ("0001", 0 | 1) => ConsumeResult::RetryAtLevel(1),
        ("0002", 0) => std::panic::resume_unwind(Box::new("a panic means retry")),
        ("0003", 0) => Err::<(), _>("so does an error").into(),
        _ => ConsumeResult::Success,
    });
    let found = inbox.wait(8);
    let times = |text: &str| inbox.times(text);
    assert_eq!((times("0000"), times("0001")), (vec![0], vec![0, 1, 2]));
    assert_eq!((times("0002"), times("0003")), (vec![0, 1], vec![0, 1]));
    assert!(found.iter().all(|message| message.topic() == scene.topic), "retries have their own topic again");
    // The route of a new group's retry topic is learnt at once, so not even the first retry is late.
    for (text, seconds) in [("0001", 1), ("0002", 10), ("0003", 10)] {
        let (pause, level) = (pauses(&inbox, text)[0], scene.level(seconds));
        assert!(pause + Duration::from_millis(50) >= level, "{text} after {pause:?} instead of {level:?}");
        assert!(pause < level + Duration::from_secs(5), "{text} after {pause:?} instead of {level:?}");
    }
}

#[test]
fn the_first_retry_of_a_new_group_is_not_late_when_one_broker_is_slow() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).delay_level_scale(0.1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("g").start().unwrap();
    for queue in producer.fetch_queues("T").unwrap() {
        producer.prepare(Message::new("T", queue.broker_name().to_owned())).queue(&queue).send().unwrap();
    }
    // It makes the retry topic when the group's first heartbeat reaches it, later than the other.
    let slow = cluster.broker("broker-b");
    slow.stop_reading();
    let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let (_consumer, inbox) =
        answering(builder, |_, times| if times == 0 { ConsumeResult::Retry } else { ConsumeResult::Success });
    inbox.wait(1);
    eventually(LONG, || if client.subscribe_queues("%RETRY%g").is_ok() { Ok(()) } else { Err("nobody makes it") });
    slow.resume_reading();
    inbox.wait(4);
    for broker in ["broker-a", "broker-b"] {
        let pause = pauses(&inbox, broker)[0];
        assert!(pause < Duration::from_secs(6), "{broker}: {pause:?}");
    }
}

#[test]
fn the_second_retry_takes_longer_than_the_first() {
    let scene = Scene::hasty(1);
    if !scene.cluster.is_embedded() && live_variable("LONG").is_none() {
        return say("the second retry of Apache's brokers comes after 30 s: only with ROCKETMQ_LIVE_LONG");
    }
    scene.send(&numbered(1));
    let (_consumer, inbox) =
        answering(scene.push(), |_, times| if times < 2 { ConsumeResult::Retry } else { ConsumeResult::Success });
    eventually(Duration::from_secs(90), || if inbox.len() < 3 { Err("it does not come") } else { Ok(()) });
    for (pause, seconds) in pauses(&inbox, "0000").into_iter().zip([10, 30]) {
        let level = scene.level(seconds);
        assert!(pause + Duration::from_millis(50) >= level && pause < level + Duration::from_secs(5), "{pause:?}");
    }
}

#[test]
fn what_fails_too_often_becomes_a_dead_letter_and_the_rest_goes_on() {
    let scene = Scene::hasty(1);
    let all = numbered(20);
    scene.send(&all);
    let (consumer, inbox) = answering(scene.push().max_reconsume_times(2), |text, _| match text {
        "0003" => ConsumeResult::RetryAtLevel(1),
        "0007" => ConsumeResult::DeadLetter,
        _ => ConsumeResult::Success,
    });
    inbox.wait_for(&all);
    dead_letters(&scene, &["0003", "0007"]);
    scene.send(&["after".to_owned()]);
    inbox.wait(23);
    assert_eq!((inbox.times("0003"), inbox.times("0007")), (vec![0, 1, 2], vec![0]));
    assert_eq!(inbox.len(), 23, "all others once");
    consumer.close().unwrap();
}

#[test]
fn of_a_batch_only_what_failed_comes_again() {
    let scene = Scene::hasty(1);
    let queue = scene.queue();
    let bodies: Vec<Message> = numbered(8).into_iter().map(|text| scene.message(text)).collect();
    scene.producer().prepare_batch(bodies).queue(&queue).send().unwrap();
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let _consumer = scene
        .push()
        .batch(8)
        .start(move |messages: &[MessageView]| {
            listener.take_in(messages);
            match messages.len() {
                8 => ConsumeResult::RetryFrom(5),
                _ => ConsumeResult::Success,
            }
        })
        .unwrap();
    inbox.wait(11);
    for (number, text) in numbered(8).iter().enumerate() {
        assert_eq!(inbox.times(text), if number < 5 { vec![0] } else { vec![0, 1] }, "{text}");
    }
}

#[test]
fn delayed_messages_are_consumed_when_their_time_has_come() {
    let scene = Scene::hasty(1);
    let (_consumer, inbox) = collect(scene.push());
    scene.send(&["first".to_owned()]);
    inbox.wait(1);
    let producer = scene.producer();
    let sent = std::time::Instant::now();
    for (text, level) in [("five", 2), ("one", 1), ("now", 0)] {
        producer.send(Message::builder(&*scene.topic, text).delay_level(level)).unwrap();
    }
    inbox.wait(4);
    assert_eq!(inbox.bodies(), ["first", "now", "one", "five"]);
    for ((at, _), seconds) in inbox.timed()[1..].iter().zip([0, 1, 5]) {
        let pause = *at - sent;
        assert!(pause + Duration::from_millis(100) >= scene.level(seconds), "{pause:?} for {seconds}");
        assert!(pause < scene.level(seconds) + Duration::from_secs(5), "{pause:?} for {seconds}");
    }
}
