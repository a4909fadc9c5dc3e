//! Lite pull consumers: callers take messages when they like, and say what they have finished by asking for more.

mod commit;
mod seek;
mod topics;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Client, ConsumeFromWhere, Error, Filter, LitePullConsumer, LitePullConsumerBuilder, Message, MessageQueue,
    MessageView, ResponseCode, Standing,
};

use crate::support::{Feature, PATIENCE, Scene, body, client_to_nowhere, eventually, supports, unique};

/// A first message may wait for a rebalance, and for the former owner of its queue.
const LONG: Duration = Duration::from_secs(40);

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{number:04}")).collect()
}

fn send(scene: &Scene, bodies: &[String]) {
    let producer = scene.producer();
    for body in bodies {
        producer.send(scene.message(body)).unwrap();
    }
}

/// Sends to one queue, so that order and offsets are known.
fn send_to(scene: &Scene, queue: &MessageQueue, bodies: &[String]) {
    let producer = scene.producer();
    for body in bodies {
        producer.prepare(scene.message(body)).queue(queue).send().unwrap();
    }
}

fn builder(client: &Client, scene: &Scene) -> LitePullConsumerBuilder {
    let builder = client.lite_pull_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

fn start(scene: &Scene) -> LitePullConsumer {
    builder(&scene.client, scene).start().unwrap()
}

/// Takes so many messages, and leaves the last unfinished.
#[track_caller]
fn take(consumer: &LitePullConsumer, count: usize) -> Vec<String> {
    let found: Vec<MessageView> = consumer.timeout_iter(LONG).take(count).map(Result::unwrap).collect();
    let bodies: Vec<String> = found.iter().map(body).collect();
    assert_eq!(bodies.len(), count, "{bodies:?}");
    bodies
}

#[track_caller]
fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort();
    bodies
}

/// Waits until a consumer has so many queues.
#[track_caller]
fn assigned(consumer: &LitePullConsumer, count: usize) -> Vec<MessageQueue> {
    eventually(LONG, || match consumer.assignment() {
        Ok(queues) if queues.len() == count => Ok(queues),
        other => Err(format!("{other:?}")),
    })
}

fn committed(scene: &Scene) -> i64 {
    let reader = scene.client.pull_consumer(&*scene.group).start().unwrap();
    let queues = scene.queues();
    queues.iter().map(|queue| reader.committed_offset(queue).unwrap().unwrap_or(0)).sum()
}

#[test]
fn every_message_is_taken_once_and_committed_when_the_next_is_asked_for() {
    let scene = Scene::with_queues(2);
    send(&scene, &numbered(0..40));
    let consumer = start(&scene);
    let mut found = Vec::new();
    while found.len() < 40 {
        let polled = consumer.poll(LONG).unwrap();
        assert!((1..=32).contains(&polled.len()), "{}", polled.len());
        found.extend(polled.iter().map(body));
    }
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    assert_eq!(sorted(found), numbered(0..40));
    let report = consumer.close_within(PATIENCE).unwrap();
    assert!(report.complete && report.abandoned == 0 && report.persisted > 0, "{report}");
    assert_eq!(committed(&scene), 40);
    send(&scene, &numbered(40..41));
    assert_eq!(take(&start(&scene), 1), numbered(40..41), "the next start of the group goes on there");
}

#[test]
fn what_is_finished_is_committed_after_the_interval() {
    let scene = Scene::with_queues(1);
    send_to(&scene, &scene.queue(), &numbered(0..10));
    let consumer = builder(&scene.client, &scene).auto_commit_interval(Duration::from_millis(200)).start().unwrap();
    take(&consumer, 10);
    let queue = scene.queue();
    eventually(PATIENCE, || match consumer.committed(&queue).unwrap() {
        Some(9) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(consumer.try_iter().count(), 0);
    eventually(PATIENCE, || match consumer.committed(&queue).unwrap() {
        Some(10) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn break_leaves_the_message_to_the_next_start() {
    let scene = Scene::with_queues(1);
    send_to(&scene, &scene.queue(), &numbered(0..10));
    let consumer = start(&scene);
    for message in &consumer {
        if body(&message.unwrap()) == "0004" {
            break;
        }
    }
    let began = Instant::now();
    consumer.close().unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for the thread that closes");
    assert_eq!(take(&start(&scene), 6), numbered(4..10));
}

#[test]
fn a_loop_that_panics_gets_its_message_again_and_does_not_commit_it() {
    let scene = Scene::with_queues(1);
    send_to(&scene, &scene.queue(), &numbered(0..10));
    let consumer = start(&scene);
    let fail = || {
        catch_unwind(AssertUnwindSafe(|| {
            for message in &consumer {
                if body(&message.unwrap()) == "0004" {
                    resume_unwind(Box::new("on purpose"));
                }
            }
        }))
    };
    assert!(fail().is_err());
    assert_eq!(take(&consumer, 1), numbered(4..5), "it comes again, before those behind it");
    assert_eq!(take(&consumer, 1), numbered(5..6));
    drop(consumer);
    let consumer = start(&scene);
    assert_eq!(take(&consumer, 1), numbered(5..6), "unfinished when the consumer was dropped");
    consumer.seek_to_begin(&scene.queue()).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| take(&consumer, 9).len())).is_ok());
    drop(consumer);
    assert_eq!(take(&start(&scene), 2), numbered(8..10));
}

#[test]
fn without_automatic_commits_only_commit_and_commit_queue_change_the_groups_offset() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    send_to(&scene, &queue, &numbered(0..10));
    let manual = || {
        let builder = builder(&scene.client, &scene).auto_commit(false);
        builder.auto_commit_interval(Duration::from_millis(50)).start().unwrap()
    };
    let consumer = manual();
    take(&consumer, 5);
    consumer.close().unwrap();
    let consumer = manual();
    assert_eq!(take(&consumer, 5), numbered(0..5), "nothing was committed");
    consumer.commit().unwrap();
    assert_eq!(consumer.committed(&queue).unwrap(), Some(5), "the message at hand is among what is committed");
    assert_eq!(take(&consumer, 3), numbered(5..8));
    consumer.commit_queue(&queue, 7).unwrap();
    assert_eq!(consumer.committed(&queue).unwrap(), Some(7));
    consumer.close().unwrap();
    assert_eq!(take(&manual(), 3), numbered(7..10));
}

#[test]
fn two_members_share_the_queues_and_the_second_takes_over_when_the_first_leaves() {
    let scene = Scene::with_queues(2);
    let other = scene.cluster.builder().build().unwrap();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let (seen, topic) = (changes.clone(), scene.topic.clone());
    let listener = move |about: &str, all: &[MessageQueue], mine: &[MessageQueue]| {
        assert_eq!(about, topic);
        seen.lock().unwrap().push((all.len(), mine.len()));
    };
    let one = builder(&scene.client, &scene).queue_listener(listener).start().unwrap();
    assigned(&one, 4);
    let two = builder(&other, &scene).start().unwrap();
    let (first, second) = (assigned(&one, 2), assigned(&two, 2));
    assert!(first.iter().all(|queue| !second.contains(queue)), "{first:?} {second:?}");
    send(&scene, &numbered(0..40));
    let found = std::thread::scope(|scope| {
        let both = [&one, &two].map(|consumer| {
            scope.spawn(|| consumer.timeout_iter(Duration::from_secs(5)).map(|one| body(&one.unwrap())).collect())
        });
        both.map(|thread| -> Vec<String> { thread.join().unwrap() })
    });
    assert!(found.iter().all(|own| !own.is_empty()), "{found:?}");
    assert_eq!(sorted(found.concat()), numbered(0..40), "each once");
    one.close().unwrap();
    assigned(&two, 4);
    send(&scene, &numbered(40..60));
    assert_eq!(sorted(take(&two, 20)), numbered(40..60));
    let changes = changes.lock().unwrap().clone();
    assert!(changes.contains(&(4, 4)) && changes.contains(&(4, 2)), "{changes:?}");
}

#[test]
fn closing_wakes_who_waits_and_ends_iterators() {
    let scene = Scene::with_queues(1);
    let consumer = start(&scene);
    assert_eq!(consumer.try_iter().count(), 0);
    let began = Instant::now();
    assert_eq!(consumer.timeout_iter(Duration::from_millis(300)).count(), 0);
    assert!(began.elapsed() >= Duration::from_millis(300));
    std::thread::scope(|scope| {
        let iterating = scope.spawn(|| consumer.iter().count());
        let polling = scope.spawn(|| consumer.poll(Duration::MAX));
        assigned(&consumer, 2);
        consumer.close().unwrap();
        assert_eq!(iterating.join().unwrap(), 0);
        assert!(matches!(polling.join().unwrap(), Err(Error::Closed { .. })));
    });
    assert!(matches!(consumer.poll(Duration::ZERO), Err(Error::Closed { .. })));
    assert!(matches!(consumer.commit(), Err(Error::Closed { .. })));
    assert!(consumer.iter().next().is_none());
}

#[test]
fn closing_lets_another_thread_finish_what_it_has() {
    let scene = Scene::with_queues(1);
    send_to(&scene, &scene.queue(), &numbered(0..3));
    let consumer = start(&scene);
    let (taken, begin) = crossbeam_channel::bounded(1);
    std::thread::scope(|scope| {
        let (consumer, polling) = (&consumer, taken);
        scope.spawn(move || {
            for message in consumer {
                if body(&message.unwrap()) == "0002" {
                    polling.send(()).unwrap();
                    // It finishes while the consumer is being closed.
                    eventually(PATIENCE, || if consumer.queues().is_err() { Ok(()) } else { Err("it is open") });
                }
            }
        });
        begin.recv_timeout(LONG).unwrap();
        let report = consumer.close_within(PATIENCE).unwrap();
        assert!(report.complete && report.finished == 1 && report.abandoned == 0, "{report}");
    });
    assert_eq!(committed(&scene), 3);
}

#[test]
fn several_threads_poll_at_once_and_none_finishes_what_another_has() {
    let scene = Scene::with_queues(2);
    send(&scene, &numbered(0..200));
    let consumer = builder(&scene.client, &scene).poll_batch(3).start().unwrap();
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while found.lock().unwrap().len() < 200 {
                    let polled = consumer.poll(Duration::from_millis(200)).unwrap();
                    found.lock().unwrap().extend(polled.iter().map(body));
                }
                // The last poll of each is finished by another one.
                consumer.poll(Duration::ZERO).unwrap();
            });
        }
    });
    assert_eq!(sorted(found.into_inner().unwrap()), numbered(0..200));
    consumer.commit().unwrap();
    let committed = scene.queues().iter().map(|queue| consumer.committed(queue).unwrap().unwrap_or(0)).sum::<i64>();
    assert_eq!(committed, 200);
    // A thread that ends with messages leaves them unfinished, whatever others finish.
    send(&scene, &numbered(200..210));
    let kept = std::thread::scope(|scope| scope.spawn(|| consumer.poll(LONG).unwrap().len()).join().unwrap());
    let rest = take(&consumer, 10 - kept).len();
    assert_eq!(consumer.try_iter().count(), 0);
    let began = Instant::now();
    consumer.close().unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for a thread that has ended");
    let again: BTreeSet<String> =
        start(&scene).timeout_iter(Duration::from_secs(5)).map(|one| body(&one.unwrap())).collect();
    assert!((kept..=kept + rest).contains(&again.len()), "{kept} were kept, {again:?} came again");
}

#[test]
fn a_new_group_begins_where_it_is_told_to() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    send_to(&scene, &queue, &numbered(0..1));
    let middle = scene.arrived(1)[0].store_timestamp() + Duration::from_millis(2);
    eventually(PATIENCE, || if std::time::SystemTime::now() > middle { Ok(()) } else { Err("the clock stands still") });
    send_to(&scene, &queue, &numbered(1..2));
    scene.arrived(2);
    let start = |from| {
        let builder = scene.client.lite_pull_consumer(unique("group")).subscribe(&*scene.topic, "*");
        builder.consume_from_where(from).start().unwrap()
    };
    assert_eq!(take(&start(ConsumeFromWhere::FirstOffset), 2), numbered(0..2));
    if supports(Feature::NoOffsetIsTold) {
        assert_eq!(take(&start(ConsumeFromWhere::Timestamp(middle)), 1), numbered(1..2));
        let last = start(ConsumeFromWhere::LastOffset);
        // Its place is found before anything is sent.
        eventually(LONG, || match last.queues().unwrap().iter().find(|one| one.queue == queue) {
            Some(found) if found.next_offset == 2 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        send_to(&scene, &queue, &numbered(2..3));
        assert_eq!(take(&last, 1), numbered(2..3));
    }
}

#[test]
fn what_nobody_polls_is_bounded_in_memory() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    send_to(&scene, &queue, &numbered(0..120));
    let consumer = builder(&scene.client, &scene).queue_limits(20, 1 << 20).pull_batch(8).start().unwrap();
    let cached = eventually(LONG, || match consumer.queues().unwrap().into_iter().find(|one| one.queue == queue) {
        Some(found) if found.standing == Some(Standing::FullOfMessages) => Ok(found.cached),
        other => Err(format!("{other:?}")),
    });
    assert!((21..=28).contains(&cached), "{cached}");
    assert_eq!(take(&consumer, 120), numbered(0..120), "they go on once somebody polls");
}

#[test]
fn only_what_the_filter_wants_comes_and_what_a_broker_refuses_is_said_once() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    for (tag, text) in [("a", "1"), ("b", "2"), ("c", "3")] {
        producer.send(Message::builder(&*scene.topic, text.to_owned()).tag(tag)).unwrap();
    }
    let start = |filter: Filter| {
        let builder = scene.client.lite_pull_consumer(unique("group")).subscribe(&*scene.topic, filter);
        builder.consume_from_where(ConsumeFromWhere::FirstOffset).start().unwrap()
    };
    assert_eq!(sorted(take(&start("a || c".into()), 2)), ["1", "3"]);
    let refused = start(Filter::sql("this is no condition"));
    let error = refused.iter().next().unwrap().unwrap_err();
    assert!(matches!(error.code(), Some(ResponseCode::SUBSCRIPTION_PARSE_FAILED)), "{error}");
    assert!(refused.timeout_iter(Duration::from_millis(1500)).next().is_none(), "once, although it is tried again");
}

#[test]
fn wrong_settings_and_a_second_start_are_refused() {
    let client = client_to_nowhere();
    let invalid = |builder: LitePullConsumerBuilder| assert!(matches!(builder.start(), Err(Error::Invalid { .. })));
    let queue = MessageQueue::new("T", "b", 0);
    invalid(client.lite_pull_consumer("a b"));
    invalid(client.lite_pull_consumer("g").subscribe("T", "||"));
    invalid(client.lite_pull_consumer("g").subscribe("T", "*").assign([queue]));
    invalid(client.lite_pull_consumer("g").assign([MessageQueue::new("T", "b", -1)]));
    invalid(client.lite_pull_consumer("g").poll_batch(0));
    invalid(client.lite_pull_consumer("g").pull_batch(1025));
    let consumer = client.lite_pull_consumer("g").subscribe("T", "*").start().unwrap();
    let second = client.lite_pull_consumer("g").subscribe("T", "*").start();
    assert!(matches!(second, Err(Error::GroupInUse { .. })), "{second:?}");
    consumer.close().unwrap();
    client.close().unwrap();
}
