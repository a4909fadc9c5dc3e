//! Push consumers whose queues brokers assign: a group in pop mode gets messages one by one and acknowledges them.

mod orderly;
mod share;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    ConsumeResult, Error, Message, MessageRequestMode, MessageView, PushConsumer, PushConsumerBuilder, RequestCode,
    ResponseCode, embedded,
};

use crate::support::{
    Feature, Inbox, LONG, PATIENCE, Scene, body, client_builder, collect, eventually, numbered, scene, supports, unique,
};

/// The shortest time brokers and clients know.
const SHORT: Duration = Duration::from_secs(5);

/// A scene whose group pops its topic, unless the server hands out nothing.
fn pop_scene(queues: i32) -> Option<Scene> {
    let scene = supports(Feature::Pop).then(|| Scene::with_queues(queues))?;
    set_mode(&scene, MessageRequestMode::Pop);
    Some(scene)
}

fn set_mode(scene: &Scene, mode: MessageRequestMode) {
    scene.client.set_message_request_mode(&scene.topic, &scene.group, mode, 0).expect("brokers keep the mode");
}

fn pop(scene: &Scene) -> PushConsumerBuilder {
    quick(scene.push())
}

/// Looks for another mode every second.
fn quick(builder: PushConsumerBuilder) -> PushConsumerBuilder {
    builder.allocation_by_broker().rebalance_interval(Duration::from_secs(1))
}

fn is_popped(message: &MessageView) -> bool {
    message.receipt_handle().is_some()
}

/// Waits until nothing is left to do for the group in the topic.
#[track_caller]
fn nothing_lags(scene: &Scene) {
    let admin = scene.client.admin();
    eventually(LONG, || match admin.topic_progress(&scene.group, &scene.topic) {
        Ok(progress) if progress.lag() == 0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Waits until everything that was popped is acknowledged.
#[track_caller]
fn nothing_is_held(consumer: &PushConsumer) {
    eventually(PATIENCE, || {
        let held: usize = consumer.queues().map_err(|error| error.to_string())?.iter().map(|queue| queue.cached).sum();
        if held == 0 { Ok(()) } else { Err(format!("{held} messages are not acknowledged")) }
    });
}

#[test]
fn everything_is_popped_once_and_acknowledged() {
    let Some(scene) = pop_scene(2) else { return };
    scene.send(&numbered(60));
    let (consumer, inbox) = collect(pop(&scene).pop_invisible(SHORT));
    let found = inbox.wait(60);
    assert!(found.iter().all(is_popped), "{found:?}");
    assert!(found.iter().all(|message| message.topic() == scene.topic && message.reconsume_times() == 0));
    nothing_is_held(&consumer);
    nothing_lags(&scene);
    let queues = consumer.queues().unwrap();
    let popped: Vec<_> = queues.iter().filter(|queue| queue.queue.topic() == scene.topic).collect();
    assert_eq!(popped.iter().map(|queue| queue.queue.queue_id()).collect::<Vec<_>>(), [-1, -1], "{popped:?}");
    assert_eq!(consumer.stats().pulled, 60);
    // What was not acknowledged would have come again by now.
    let until = Instant::now() + 2 * SHORT;
    eventually(LONG, || if Instant::now() >= until { Ok(()) } else { Err("time passes") });
    assert_eq!(inbox.sorted(), numbered(60));
    scene.send(&["later".to_owned()]);
    assert_eq!(body(&inbox.wait(61)[60]), "later");
    consumer.close().unwrap();
}

#[test]
fn what_fails_comes_again_after_its_time_and_says_how_often() {
    let Some(scene) = pop_scene(1) else { return };
    scene.send(&numbered(3));
    let (inbox, listener) = (Inbox::default(), Inbox::default());
    let seen = inbox.clone();
    let consumer = pop(&scene).start(move |messages: &[MessageView]| {
        seen.take_in(messages);
        let times = listener.times("0001").len();
        listener.take_in(messages);
        match (body(&messages[0]).as_str(), times) {
            ("0001", 0) => ConsumeResult::Retry,
            ("0001", 1) => ConsumeResult::SuspendFor(Duration::from_secs(2)),
            _ => ConsumeResult::Success,
        }
    });
    let _consumer = consumer.unwrap();
    let found = inbox.wait(5);
    assert_eq!(inbox.times("0001"), [0, 1, 2], "{found:?}");
    assert!(found.iter().all(|message| message.topic() == scene.topic && is_popped(message)), "{found:?}");
    let at: Vec<_> = inbox.timed().into_iter().filter(|(_, one)| body(one) == "0001").map(|(at, _)| at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(9), "the first pause is 10 s: {:?}", at[1] - at[0]);
    assert!(at[2] - at[1] >= Duration::from_millis(1500), "the listener asked for 2 s: {:?}", at[2] - at[1]);
    nothing_lags(&scene);
}

#[test]
fn a_listener_that_takes_longer_than_a_message_is_invisible_does_not_acknowledge_it() {
    let Some(scene) = pop_scene(1) else { return };
    scene.send(&numbered(1));
    let (inbox, (go, wait)) = (Inbox::default(), mpsc::sync_channel::<()>(0));
    let (seen, wait) = (inbox.clone(), std::sync::Mutex::new(wait));
    let calls = AtomicUsize::new(0);
    let builder = pop(&scene).pop_invisible(SHORT).threads(2);
    let consumer = builder.start(move |messages: &[MessageView]| {
        seen.take_in(messages);
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            // The first call ends when the message has come again, and says that it succeeded.
            let _ = wait.lock().unwrap().recv_timeout(LONG);
        }
    });
    let consumer = consumer.unwrap();
    let found = inbox.wait(2);
    drop(go);
    assert_eq!(found.iter().map(MessageView::reconsume_times).collect::<Vec<_>>(), [0, 1]);
    nothing_is_held(&consumer);
    nothing_lags(&scene);
}

#[test]
fn what_fails_too_often_becomes_a_dead_letter_and_the_rest_goes_on() {
    let Some(scene) = pop_scene(1) else { return };
    scene.send(&numbered(4));
    let inbox = Inbox::default();
    let seen = inbox.clone();
    let consumer = pop(&scene).max_reconsume_times(1).start(move |messages: &[MessageView]| {
        seen.take_in(messages);
        match body(&messages[0]).as_str() {
            "0001" => ConsumeResult::SuspendFor(Duration::from_secs(1)),
            "0002" => ConsumeResult::DeadLetter,
            _ => ConsumeResult::Success,
        }
    });
    let consumer = consumer.unwrap();
    inbox.wait(5);
    crate::push::retry::dead_letters(&scene, &["0001", "0002"]);
    nothing_is_held(&consumer);
    assert_eq!((inbox.times("0001"), inbox.times("0002")), (vec![0, 1], vec![0]));
    assert_eq!(consumer.stats().dead_letters, 2);
}

#[test]
fn what_the_filter_refuses_is_acknowledged_and_never_seen() {
    let Some(scene) = pop_scene(1) else { return };
    let producer = scene.producer();
    // Both tags have the same hash, which is all that brokers compare.
    for (tag, text) in [("Aa", "1"), ("BB", "2"), ("c", "3"), ("BB", "4"), ("Aa", "5")] {
        producer.send(Message::builder(&*scene.topic, text.to_owned()).tag(tag)).unwrap();
    }
    let builder = quick(scene.client.push_consumer(&*scene.group).subscribe(&*scene.topic, "Aa"));
    let builder = builder.consume_from_where(rocketmq_blocking::ConsumeFromWhere::FirstOffset);
    let (consumer, inbox) = collect(builder);
    inbox.wait(2);
    nothing_is_held(&consumer);
    nothing_lags(&scene);
    assert_eq!(inbox.sorted(), ["1", "5"]);
}

#[test]
fn members_share_every_queue() {
    let Some(scene) = pop_scene(1) else { return };
    let other = scene.cluster.builder().build().unwrap();
    let (one, first) = collect(pop(&scene).pop_batch(1));
    let (two, second) = collect(quick(scene.push_of(&other)).pop_batch(1));
    // Both have been told to pop all queues of both brokers.
    for consumer in [&one, &two] {
        eventually(LONG, || {
            let queues = consumer.queues().map_err(|error| error.to_string())?;
            let popped = queues.iter().filter(|queue| queue.queue.queue_id() == -1).count();
            if popped == 2 { Ok(()) } else { Err(format!("{queues:?}")) }
        });
    }
    let mut sent = 0;
    eventually(LONG, || {
        scene.send(&[format!("{sent:04}")]);
        sent += 1;
        let (first, second) = (first.len(), second.len());
        if first >= 5 && second >= 5 { Ok(()) } else { Err(format!("{first} and {second} of {sent}")) }
    });
    eventually(LONG, || {
        let found = first.len() + second.len();
        if found >= sent { Ok(()) } else { Err(format!("{found} of {sent}")) }
    });
    let mut all = [first.bodies(), second.bodies()].concat();
    all.sort();
    assert_eq!(all, numbered(sent), "each once");
}

#[test]
fn a_changed_mode_moves_the_queues_without_losing_anything() {
    let Some(scene) = pop_scene(2) else { return };
    set_mode(&scene, MessageRequestMode::Pull);
    let (consumer, inbox) = collect(pop(&scene).pop_invisible(SHORT));
    let mut sent = 0;
    for mode in [MessageRequestMode::Pull, MessageRequestMode::Pop, MessageRequestMode::Pull] {
        set_mode(&scene, mode);
        // Sent all along, before, during and after the change.
        eventually(LONG, || {
            scene.send(&[format!("{sent:04}")]);
            sent += 1;
            let last = inbox.messages().pop();
            let arrived = last.is_some_and(|last| is_popped(&last) == (mode == MessageRequestMode::Pop));
            let queues = consumer.queues().map_err(|error| error.to_string())?;
            let of_topic = || queues.iter().filter(|queue| queue.queue.topic() == scene.topic);
            let popped = of_topic().all(|queue| queue.queue.queue_id() == -1);
            if arrived && popped == (mode == MessageRequestMode::Pop) { Ok(()) } else { Err(format!("{queues:?}")) }
        });
    }
    // A message that was popped while the mode changed comes again by a topic that brokers tell name servers of every 30 s
    // only, and clients may look for it 30 s later.
    inbox.wait_longer(2 * LONG, &numbered(sent));
    nothing_lags(&scene);
}

#[test]
fn what_failed_while_it_was_popped_is_pulled_after_a_change_of_mode() {
    let Some(scene) = pop_scene(1) else { return };
    scene.send(&numbered(2));
    let inbox = Inbox::default();
    let seen = inbox.clone();
    let consumer = pop(&scene).start(move |messages: &[MessageView]| {
        seen.take_in(messages);
        let first = messages[0].reconsume_times() == 0 && is_popped(&messages[0]);
        if first { ConsumeResult::SuspendFor(Duration::from_secs(3)) } else { ConsumeResult::Success }
    });
    let consumer = consumer.unwrap();
    inbox.wait(2);
    nothing_is_held(&consumer);
    set_mode(&scene, MessageRequestMode::Pull);
    // The broker tells name servers of the topic that it made for them every 30 s only.
    eventually(2 * LONG, || if inbox.len() >= 4 { Ok(()) } else { Err(format!("{:?}", inbox.messages())) });
    let found = inbox.messages();
    let again: Vec<_> = found.iter().filter(|message| message.reconsume_times() > 0).collect();
    assert_eq!(again.len(), 2, "{found:?}");
    assert!(again.iter().all(|message| message.topic() == scene.topic), "{again:?}");
}

#[test]
fn brokers_that_do_not_assign_queues_leave_it_to_the_members() {
    let scene = Scene::with_queues(2);
    if supports(Feature::Pop) {
        let cluster = embedded::Cluster::builder().brokers(2).start().unwrap();
        for broker in ["broker-a", "broker-b"] {
            let old =
                embedded::Fault::error(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, " request type 400 not supported");
            cluster.broker(broker).fault(old.on(RequestCode::QUERY_ASSIGNMENT));
        }
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let scene = Scene { client, ..scene };
        let _consumer = consumes_by_pulling(&scene);
        // Each topic is asked about once, the group's retries among them; the members are asked for again and again.
        eventually(LONG, || match cluster.requests_of(RequestCode::GET_CONSUMER_LIST_BY_GROUP).len() {
            asked if asked < 10 => Err(format!("asked {asked} times")),
            _ => Ok(()),
        });
        assert_eq!(cluster.requests_of(RequestCode::QUERY_ASSIGNMENT).len(), 2);
        assert!(cluster.requests_of(RequestCode::POP_MESSAGE).is_empty());
    } else {
        drop(consumes_by_pulling(&scene));
    }
}

fn consumes_by_pulling(scene: &Scene) -> PushConsumer {
    scene.send(&numbered(40));
    let (consumer, inbox) = collect(pop(scene));
    let found = inbox.wait(40);
    assert!(!found.iter().any(is_popped));
    assert_eq!(inbox.sorted(), numbered(40));
    consumer
}

#[test]
fn a_broker_that_takes_one_acknowledgement_at_a_time_gets_them_so() {
    let cluster = embedded::Cluster::start().unwrap();
    let old = embedded::Fault::error(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, " request type 200151 not supported");
    let refused = cluster.broker("broker-a").fault(old.on(RequestCode::BATCH_ACK_MESSAGE));
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let scene = Scene { client, topic: unique("topic"), group: unique("group"), cluster: crate::support::cluster() };
    cluster.create_topic(&scene.topic, 1).unwrap();
    set_mode(&scene, MessageRequestMode::Pop);
    scene.send(&numbered(50));
    let (consumer, inbox) = collect(pop(&scene).batch(8));
    inbox.wait(50);
    nothing_is_held(&consumer);
    assert_eq!((refused.fired(), cluster.requests_of(RequestCode::ACK_MESSAGE).len()), (1, 50));
    assert_eq!(inbox.sorted(), numbered(50));
}

#[test]
fn in_a_namespace_everything_has_the_users_names() {
    let Some(mut scene) = supports(Feature::Pop).then(scene) else { return };
    scene.client = scene.cluster.builder().namespace(unique("ns")).build().unwrap();
    scene.create_topic(1);
    set_mode(&scene, MessageRequestMode::Pop);
    scene.send(&numbered(10));
    let inbox = Inbox::default();
    let seen = inbox.clone();
    let consumer = pop(&scene).batch(4).start(move |messages: &[MessageView]| {
        seen.take_in(messages);
        let first = messages[0].reconsume_times() == 0;
        if first { ConsumeResult::SuspendFor(Duration::from_secs(1)) } else { ConsumeResult::Success }
    });
    let consumer = consumer.unwrap();
    let found = inbox.wait(20);
    assert!(found.iter().all(|message| message.topic() == scene.topic && is_popped(message)), "{found:?}");
    nothing_is_held(&consumer);
    nothing_lags(&scene);
}

#[test]
fn what_comes_after_a_consumer_has_closed_is_given_back_at_once() {
    let Some(scene) = pop_scene(1) else { return };
    let (consumer, inbox) = collect(pop(&scene));
    // A pop is held by each broker, and still is after the consumer has gone.
    eventually(LONG, || {
        let queues = consumer.queues().map_err(|error| error.to_string())?;
        let held = queues.iter().filter(|queue| queue.queue.queue_id() == -1 && queue.since_pull.is_some()).count();
        if held == 2 { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    consumer.close().unwrap();
    scene.send(&numbered(4));
    let (_next, next) = collect(pop(&scene));
    next.wait_for(&numbered(4));
    assert_eq!(inbox.len(), 0);
}

#[test]
fn settings_out_of_range_are_refused() {
    let client = crate::support::client_to_nowhere();
    let builder = || client.push_consumer(unique("group")).subscribe("T", "*").allocation_by_broker();
    for (what, builder) in [
        ("pop_batch", builder().pop_batch(0)),
        ("pop_batch", builder().pop_batch(33)),
        ("pop_invisible", builder().pop_invisible(Duration::from_millis(4999))),
        ("pop_invisible", builder().pop_invisible(Duration::from_secs(301))),
        ("CONSISTENT_HASH", builder().allocation(rocketmq_blocking::allocation::ConsistentHash::default())),
    ] {
        let error = builder.start(|_: &[MessageView]| ()).unwrap_err();
        assert!(matches!(&error, Error::Invalid { what: said } if said.contains(what)), "{error}");
    }
}
