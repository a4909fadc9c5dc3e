//! What a push consumer says about itself: counts, rates, latencies, lag, and how many threads its listeners have.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rocketmq_blocking::{
    ConsumeFromWhere, ConsumeResult, ConsumerStats, MessageView, PushConsumer, PushConsumerBuilder,
};

use crate::support::{PATIENCE, Scene, body, eventually};

/// A first delivery may wait for a rebalance, and for its former owner.
const LONG: Duration = Duration::from_secs(40);

fn consumer(scene: &Scene) -> PushConsumerBuilder {
    let builder = scene.client.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

fn send(scene: &Scene, count: usize) {
    let producer = scene.producer();
    (0..count).for_each(|number| drop(producer.send(scene.message(format!("{number}"))).unwrap()));
}

#[track_caller]
fn wait(consumer: &PushConsumer, until: impl Fn(&ConsumerStats) -> bool) -> ConsumerStats {
    eventually(LONG, || {
        let stats = consumer.stats();
        if until(&stats) { Ok(stats) } else { Err(format!("{stats}")) }
    })
}

/// Holds listeners up until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let _open = self.0.1.wait_while(open, |open| !*open).unwrap();
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A test that fails must not leave listeners behind.
        self.open();
    }
}

#[test]
fn what_became_of_messages_is_counted() {
    let scene = Scene::with_queues(1);
    let consumer = consumer(&scene)
        .max_reconsume_times(1)
        .start(|messages: &[MessageView]| match body(&messages[0]).as_str() {
            "3" => ConsumeResult::RetryAtLevel(1),
            "5" => ConsumeResult::DeadLetter,
            "7" if messages[0].reconsume_times() == 0 => std::panic::resume_unwind(Box::new("the test wants it")),
            _ => ConsumeResult::Success,
        })
        .unwrap();
    send(&scene, 20);
    // Number 3 fails twice and then becomes a dead letter, 5 at once; 7 is consumed the second time.
    let stats = wait(&consumer, |stats| stats.consumed >= 18 && stats.dead_letters >= 2);
    assert_eq!((stats.consumed, stats.failed, stats.panics), (18, 4, 1), "{stats}");
    assert_eq!((stats.handed_back, stats.dead_letters, stats.hand_back_failures), (2, 2, 0), "{stats}");
    assert_eq!((stats.pulled, stats.listeners.count), (22, 22), "{stats}");
    assert!(stats.pulls.count >= 1 && stats.pulls.count <= 22 && stats.pulled_bytes == 30 + 2, "{stats}");
    let of = |topic: &str| stats.topics.iter().find(|counts| &*counts.topic == topic).unwrap();
    assert_eq!((of(&scene.topic).consumed, of(&scene.topic).failed), (17, 3));
    assert!(of(&scene.topic).consumed_per_second > 0.0);
    assert_eq!((of(&format!("%RETRY%{}", scene.group)).consumed, stats.threads.allowed), (1, 20));
    let text = stats.to_string();
    assert!(text.contains("18 consumed, 4 failed") && text.contains("2 dead letters"), "{text}");
    consumer.close().unwrap();
    let last = consumer.stats();
    assert_eq!((last.consumed, last.lags.len(), last.cached), (18, 0, 0), "it goes on answering after closing");
}

#[test]
fn what_is_in_memory_and_how_far_it_is_behind_is_told() {
    let scene = Scene::with_queues(1);
    let gate = Gate::default();
    let held = gate.clone();
    let consumer = consumer(&scene).threads(2).start(move |_: &[MessageView]| held.pass()).unwrap();
    let producer = scene.producer();
    for number in 0..10 {
        producer.prepare(scene.message(format!("{number}"))).queue(&scene.queue()).send().unwrap();
    }
    let stats = wait(&consumer, |stats| stats.cached == 10 && stats.running == 2);
    assert_eq!((stats.cached_bytes, stats.consumed), (10, 0));
    assert_eq!(wait(&consumer, |stats| stats.lag() == 10).lags.iter().filter(|(_, lag)| *lag == Some(10)).count(), 1);
    gate.open();
    let stats = wait(&consumer, |stats| stats.consumed == 10 && stats.lag() == 0);
    assert_eq!((stats.cached, stats.running), (0, 0));
    assert!(stats.listeners.max > Duration::ZERO);
}

#[test]
fn threads_become_more_while_messages_wait_and_every_change_is_counted() {
    let scene = Scene::with_queues(1);
    let gate = Gate::default();
    let held = gate.clone();
    let consumer = consumer(&scene).threads(1..=6).start(move |_: &[MessageView]| held.pass()).unwrap();
    assert_eq!(consumer.stats().threads.allowed, 1);
    send(&scene, 20);
    let stats = wait(&consumer, |stats| stats.threads.allowed == 6 && stats.running == 6);
    assert!((2..=5).contains(&stats.threads.grown), "{stats}");
    gate.open();
    wait(&consumer, |stats| stats.consumed == 20);
    // Some of them have nothing to do from now on.
    let stats = wait(&consumer, |stats| stats.threads.shrunk >= 1);
    assert!(stats.threads.allowed < 6, "{stats}");
}

#[test]
fn threads_out_of_range_are_refused() {
    let scene = Scene::with_queues(1);
    #[allow(clippy::reversed_empty_ranges, reason = "a user's mistake")]
    for threads in [0..=4, 8..=4, 1..=1001] {
        let refused = consumer(&scene).threads(threads).start(|_: &[MessageView]| {}).unwrap_err();
        assert!(refused.to_string().contains("threads"), "{refused}");
    }
}

#[test]
fn a_fixed_number_of_threads_stays() {
    let scene = Scene::with_queues(1);
    let consumer = consumer(&scene).threads(3).start(|_: &[MessageView]| {}).unwrap();
    send(&scene, 30);
    let threads = wait(&consumer, |stats| stats.consumed == 30).threads;
    assert_eq!((threads.allowed, threads.grown, threads.shrunk), (3, 0, 0));
    assert!(consumer.stats().listeners.p99 < PATIENCE);
}
