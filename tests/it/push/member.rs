//! Members of a group, each with a client of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rocketmq_blocking::{Client, MessageView, PushConsumer};

use crate::support::{Cable, Inbox, LONG, Scene, eventually};

pub(super) struct Member {
    pub(super) consumer: PushConsumer,
    pub(super) inbox: Inbox,
    dead: Arc<AtomicBool>,
    cable: Cable,
    _client: Client,
}

impl Member {
    pub(super) fn join(scene: &Scene) -> Member {
        let cable = Cable::new();
        let client = cable.builder(scene.cluster).build().expect("a client");
        let (inbox, dead) = (Inbox::default(), Arc::new(AtomicBool::new(false)));
        let (listener, is_dead) = (inbox.clone(), dead.clone());
        let consumer = scene
            .push_of(&client)
            .start(move |messages: &[MessageView]| {
                if !is_dead.load(Ordering::SeqCst) {
                    listener.take_in(messages);
                }
            })
            .expect("a push consumer");
        Member { consumer, inbox, dead, cable, _client: client }
    }

    /// From now on it does nothing, and nobody hears of it.
    pub(super) fn crash(&self) {
        self.cable.cut();
        self.dead.store(true, Ordering::SeqCst);
    }

    /// How many queues of the topic it consumes.
    fn queues(&self, topic: &str) -> usize {
        let queues = self.consumer.queues().expect("it is open");
        queues.iter().filter(|one| one.queue.topic() == topic && one.standing.is_none()).count()
    }

    /// How many of these it got.
    pub(super) fn part(&self, bodies: &[String]) -> usize {
        self.inbox.bodies().iter().filter(|body| bodies.contains(body)).count()
    }
}

/// Waits until the members together consume all queues of the topic, none of them more than one queue more than another.
#[track_caller]
pub(super) fn shared_out(scene: &Scene, members: &[&Member]) {
    let all = scene.queues().len();
    eventually(LONG, || {
        let queues: Vec<usize> = members.iter().map(|member| member.queues(&scene.topic)).collect();
        let even = queues.iter().all(|count| *count == all / queues.len() || *count == all.div_ceil(queues.len()));
        if even && queues.iter().sum::<usize>() == all { Ok(()) } else { Err(format!("{queues:?} of {all}")) }
    });
}

/// Everything that the members got, sorted.
pub(super) fn together(members: &[&Member]) -> Vec<String> {
    let mut all: Vec<String> = members.iter().flat_map(|member| member.inbox.bodies()).collect();
    all.sort();
    all
}

/// Sends without pause, until it is stopped.
pub(super) struct Sending {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Sending {
    /// The bodies are `kind` and a number from 0.
    pub(super) fn start(scene: &Scene, kind: &'static str) -> Sending {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (producer, topic) = (scene.producer(), scene.topic.clone());
        let (stopped, count) = (stop.clone(), sent.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let text = format!("{kind}{:05}", count.load(Ordering::SeqCst));
                producer.send(rocketmq_blocking::Message::new(&*topic, text)).expect("a broker stores it");
                count.fetch_add(1, Ordering::SeqCst);
                // A few hundred a second are enough to be under way at any time.
                std::thread::sleep(std::time::Duration::from_millis(4));
            }
        });
        Sending { stop, sent, thread }
    }

    /// Waits until so many more were sent.
    pub(super) fn more(&self, count: usize) {
        let until = self.sent.load(Ordering::SeqCst) + count;
        eventually(LONG, || if self.sent.load(Ordering::SeqCst) < until { Err("it takes too long") } else { Ok(()) });
    }

    /// Ends, and returns all that were sent.
    pub(super) fn stop(self, kind: &str) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("all were stored");
        (0..self.sent.load(Ordering::SeqCst)).map(|number| format!("{kind}{number:05}")).collect()
    }
}
