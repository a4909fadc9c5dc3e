use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_blocking::{Client, ConsumeFromWhere, MessageView, PushConsumer, PushConsumerBuilder};

use super::{Scene, body, eventually};

/// How long a first delivery may take: it may wait for a rebalance, and for the queue's former owner.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// What listeners got, in their order, and when.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<(Instant, MessageView)>>>);

impl Inbox {
    pub(crate) fn take_in(&self, messages: &[MessageView]) {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(messages.iter().map(|message| (now, message.clone())));
    }

    /// All messages, each with the time at which it came.
    pub(crate) fn timed(&self) -> Vec<(Instant, MessageView)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn messages(&self) -> Vec<MessageView> {
        self.timed().into_iter().map(|(_, message)| message).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.messages().iter().map(body).collect()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut bodies = self.bodies();
        bodies.sort();
        bodies
    }

    /// How often what came of a body had been delivered before, in the order in which it came.
    pub(crate) fn times(&self, text: &str) -> Vec<i32> {
        let found = self.messages();
        found.iter().filter(|message| body(message) == text).map(MessageView::reconsume_times).collect()
    }

    /// Waits until `count` messages came, and says what came until then.
    #[track_caller]
    pub(crate) fn wait(&self, count: usize) -> Vec<MessageView> {
        eventually(LONG, || {
            let found = self.messages();
            if found.len() >= count { Ok(found) } else { Err(format!("{} of {count}: {found:?}", found.len())) }
        })
    }

    /// Waits until each of these bodies came at least once.
    #[track_caller]
    pub(crate) fn wait_for(&self, bodies: &[String]) {
        self.wait_longer(LONG, bodies);
    }

    /// The same, until `time` has passed.
    #[track_caller]
    pub(crate) fn wait_longer(&self, time: Duration, bodies: &[String]) {
        eventually(time, || {
            let found = self.bodies();
            let missing: Vec<_> = bodies.iter().filter(|body| !found.contains(body)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} did not come")) }
        });
    }
}

/// The bodies `0000`, `0001`, …
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

impl Scene {
    /// Sends these, one after the other, to the queues in turn.
    pub(crate) fn send(&self, bodies: &[String]) {
        let producer = self.producer();
        for body in bodies {
            producer.send(self.message(body)).expect("a broker stores it");
        }
    }

    /// A push consumer of the scene's group and topic that begins at the first message.
    pub(crate) fn push(&self) -> PushConsumerBuilder {
        self.push_of(&self.client)
    }

    /// The same on another client, as another member.
    pub(crate) fn push_of(&self, client: &Client) -> PushConsumerBuilder {
        let builder = client.push_consumer(&*self.group).subscribe(&*self.topic, "*");
        builder.consume_from_where(ConsumeFromWhere::FirstOffset)
    }

    /// Starts it with a listener that only collects.
    pub(crate) fn collect(&self) -> (PushConsumer, Inbox) {
        collect(self.push())
    }
}

/// Starts a push consumer with a listener that only collects.
pub(crate) fn collect(builder: PushConsumerBuilder) -> (PushConsumer, Inbox) {
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = builder.start(move |messages: &[MessageView]| listener.take_in(messages)).expect("a push consumer");
    (consumer, inbox)
}
