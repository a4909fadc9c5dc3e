//! Memory stays bounded whatever lies in the queues, and a queue that stands still says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_blocking::{MessageView, ProcessQueue, PushConsumer, PushConsumerBuilder, Standing};

use crate::support::{Inbox, LONG, Scene, body, eventually, numbered};

/// What one answer to a pull may bring beyond a bound.
const PULL: usize = 32;

/// Messages of 100 bytes, all in one queue.
fn filled(count: usize) -> (Scene, Vec<String>) {
    let scene = Scene::with_queues(1);
    let (queue, producer) = (scene.queue(), scene.producer());
    let bodies: Vec<String> = numbered(count).iter().map(|text| format!("{text}{}", "x".repeat(96))).collect();
    for part in bodies.chunks(100) {
        let batch: Vec<_> = part.iter().map(|text| scene.message(text)).collect();
        producer.prepare_batch(batch).queue(&queue).send().unwrap();
    }
    (scene, bodies)
}

/// A listener that holds up what it gets until it is let go; those that `passes` names it lets pass.
struct Stuck {
    consumer: PushConsumer,
    inbox: Inbox,
    go_on: Arc<AtomicBool>,
    holds: Arc<AtomicUsize>,
}

impl Stuck {
    fn start(builder: PushConsumerBuilder, passes: impl Fn(&str) -> bool + Send + Sync + 'static) -> Stuck {
        let (inbox, go_on, holds) = (Inbox::default(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (listener, let_go, held) = (inbox.clone(), go_on.clone(), holds.clone());
        let consumer = builder.start(move |messages: &[MessageView]| {
            if !passes(&body(&messages[0])) {
                held.fetch_add(1, Ordering::SeqCst);
                while !let_go.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            listener.take_in(messages);
        });
        Stuck { consumer: consumer.unwrap(), inbox, go_on, holds }
    }

    /// Waits until the queue with the messages stands still for this reason, and looks at it.
    #[track_caller]
    fn stands(&self, scene: &Scene, why: Standing) -> ProcessQueue {
        eventually(LONG, || {
            let queues = self.consumer.queues().unwrap();
            let found = queues.iter().find(|one| one.queue.topic() == scene.topic && one.standing == Some(why));
            found.cloned().ok_or_else(|| format!("{queues:?}"))
        })
    }

    fn let_go(self, bodies: &[String]) {
        self.go_on.store(true, Ordering::SeqCst);
        self.inbox.wait(bodies.len());
        assert_eq!(self.inbox.sorted(), bodies, "each once");
        self.consumer.close().unwrap();
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.go_on.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_stuck_listener_bounds_the_messages_in_memory() {
    let (scene, bodies) = filled(400);
    let stuck = Stuck::start(scene.push().threads(2).queue_limits(100, 1 << 20), |_| false);
    let queue = stuck.stands(&scene, Standing::FullOfMessages);
    assert!((101..=100 + PULL).contains(&queue.cached), "{queue:?}");
    assert_eq!((queue.commit_offset, queue.cached as i64), (0, queue.next_offset));
    eventually(LONG, || if stuck.holds.load(Ordering::SeqCst) == 2 { Ok(()) } else { Err("both threads are busy") });
    stuck.let_go(&bodies);
}

#[test]
fn a_stuck_listener_bounds_the_bytes_in_memory() {
    let (scene, bodies) = filled(200);
    let stuck = Stuck::start(scene.push().threads(1).queue_limits(1000, 5000), |_| false);
    let queue = stuck.stands(&scene, Standing::FullOfBytes);
    assert!((5001..=5000 + PULL * 100).contains(&queue.cached_bytes), "{queue:?}");
    stuck.let_go(&bodies);
}

#[test]
fn one_message_that_is_stuck_bounds_how_far_others_run_ahead() {
    let (scene, bodies) = filled(300);
    let stuck = Stuck::start(scene.push().threads(4).span_limit(100), |text| !text.starts_with("0005"));
    let queue = eventually(LONG, || {
        let queue = stuck.stands(&scene, Standing::WaitsForOne);
        // A listener that has returned counts as running until that has been heard of.
        let all_others = stuck.inbox.len() as i64 + 1 == queue.next_offset && queue.running == 1;
        if all_others { Ok(queue) } else { Err(format!("{queue:?}")) }
    });
    assert_eq!(queue.commit_offset, 5, "what came after the stuck one is not committed: {queue:?}");
    assert!((106..=106 + PULL as i64).contains(&queue.next_offset), "{queue:?}");
    stuck.let_go(&bodies);
}

#[test]
fn the_bounds_of_a_topic_are_divided_among_its_queues() {
    let (scene, bodies) = filled(200);
    // The topic has two queues here, and the group's retry topic one on each broker.
    let stuck = Stuck::start(scene.push().threads(1).topic_limits(80, 1 << 20), |_| false);
    let queue = stuck.stands(&scene, Standing::FullOfMessages);
    assert!(queue.cached > 20 && queue.cached <= 40 + PULL, "{queue:?}");
    stuck.let_go(&bodies);
}
