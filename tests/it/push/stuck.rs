//! Listeners that do not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::{MessageView, PushConsumer};

use crate::support::{Inbox, LONG, Scene, body, eventually, numbered};

/// Its listener never returns from the first delivery of `0001` until `free` is set.
fn start(scene: &Scene, timeout: Duration, free: &Arc<AtomicBool>) -> (PushConsumer, Inbox) {
    let (inbox, free) = (Inbox::default(), free.clone());
    let listener = inbox.clone();
    let consumer = scene.push().threads(3).consume_timeout(timeout).start(move |messages: &[MessageView]| {
        listener.take_in(messages);
        while body(&messages[0]) == "0001" && messages[0].reconsume_times() == 0 && !free.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    (consumer.unwrap(), inbox)
}

#[test]
fn what_a_listener_holds_for_too_long_is_delivered_again_and_its_late_answer_does_not_count() {
    let (scene, free) = (Scene::hasty(1), Arc::new(AtomicBool::new(false)));
    scene.send(&numbered(6));
    let (consumer, inbox) = start(&scene, Duration::from_secs(1), &free);
    // A second until it is too long, then the first retry's time.
    inbox.wait(7);
    assert_eq!(inbox.times("0001"), [0, 1]);
    let committed = || {
        let queues = consumer.queues().unwrap();
        let own = queues.iter().filter(|one| one.queue.topic() == scene.topic);
        own.map(|one| one.commit_offset).sum::<i64>()
    };
    assert_eq!(committed(), 6, "the broker has it back, so nothing holds up the queue");
    free.store(true, Ordering::SeqCst);
    consumer.close().unwrap();
    assert_eq!(inbox.len(), 7, "six once, one twice");
}

#[test]
fn closing_leaves_a_listener_that_never_returns_behind_and_says_so() {
    let (scene, free) = (Scene::with_queues(1), Arc::new(AtomicBool::new(false)));
    scene.send(&numbered(6));
    let (consumer, inbox) = start(&scene, Duration::from_secs(60), &free);
    inbox.wait(6);
    let began = Instant::now();
    let report = consumer.close_within(Duration::from_millis(500)).unwrap();
    assert!(!report.complete && report.abandoned == 1, "{report}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    free.store(true, Ordering::SeqCst);
    // It was not finished, so the group's next member gets it, and what came after it in its queue.
    let other = scene.cluster.builder().build().unwrap();
    let (_next, again) = crate::support::collect(scene.push_of(&other));
    again.wait(1);
    eventually(
        LONG,
        || if again.bodies().contains(&"0001".to_owned()) { Ok(()) } else { Err(again.bodies().join(" ")) },
    );
}
