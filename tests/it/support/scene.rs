use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocketmq_blocking::{Client, Message, MessageQueue, MessageView, Producer, PullConsumer, PullStatus};

use super::{Cluster, PATIENCE, cluster, eventually, hasty_cluster};

/// One test's own client, topic and group, so that tests run in parallel and against a server others use too.
pub(crate) struct Scene {
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    /// Nobody has used this name before; the topic does not exist unless the test makes it.
    pub(crate) topic: String,
    pub(crate) group: String,
}

/// A scene whose topic does not exist.
pub(crate) fn scene() -> Scene {
    scene_in(cluster())
}

fn scene_in(cluster: &'static Cluster) -> Scene {
    let client = cluster.builder().build().expect("a client");
    Scene { cluster, client, topic: unique("topic"), group: unique("group") }
}

/// A name that no other test, process or run has.
pub(crate) fn unique(kind: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    format!("it_{kind}_{millis:x}_{}_{number}", std::process::id())
}

impl Scene {
    /// A scene whose topic has so many queues on each of the two brokers.
    pub(crate) fn with_queues(queues: i32) -> Scene {
        let scene = scene();
        scene.create_topic(queues);
        scene
    }

    /// The same where retries come soon, if the server under test can do that.
    pub(crate) fn hasty(queues: i32) -> Scene {
        let scene = scene_in(hasty_cluster());
        scene.create_topic(queues);
        scene
    }

    /// How long a delay level takes that brokers know as so many seconds.
    pub(crate) fn level(&self, seconds: u64) -> Duration {
        let scale = if self.cluster.is_embedded() && std::ptr::eq(self.cluster, hasty_cluster()) { 10 } else { 1 };
        Duration::from_secs(seconds) / scale
    }

    /// Creates the topic and waits until the name server knows it on both brokers.
    pub(crate) fn create_topic(&self, queues: i32) {
        self.client.create_topic("TBW102", &self.topic, queues).expect("the topic is created");
        eventually(PATIENCE, || match self.client.publish_queues(&self.topic) {
            Ok(all) if all.len() == 2 * queues as usize => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// All queues, sorted by broker and number.
    pub(crate) fn queues(&self) -> Vec<MessageQueue> {
        self.client.subscribe_queues(&self.topic).expect("the topic exists")
    }

    pub(crate) fn queue(&self) -> MessageQueue {
        self.queues().remove(0)
    }

    /// A producer that has patience with a busy machine: a retry would be a second message.
    pub(crate) fn producer(&self) -> Producer {
        self.client.producer(&*self.group).timeout(PATIENCE).start().expect("a producer")
    }

    pub(crate) fn consumer(&self) -> PullConsumer {
        self.client.pull_consumer(&*self.group).start().expect("a pull consumer")
    }

    /// A consumer of another group, for reading back.
    pub(crate) fn reader(&self) -> PullConsumer {
        self.client.pull_consumer(unique("reader")).start().expect("a pull consumer")
    }

    pub(crate) fn message(&self, body: impl Into<String>) -> Message {
        Message::new(&*self.topic, body.into())
    }

    /// Waits until the topic holds so many messages, no more, and returns them by queue and offset.
    #[track_caller]
    pub(crate) fn arrived(&self, count: usize) -> Vec<MessageView> {
        self.arrived_within(PATIENCE, count)
    }

    #[track_caller]
    pub(crate) fn arrived_within(&self, limit: Duration, count: usize) -> Vec<MessageView> {
        let reader = self.reader();
        let found = eventually(limit, || {
            let queues = self.client.subscribe_queues(&self.topic).map_err(|error| error.to_string())?;
            let found: Vec<MessageView> = queues.iter().flat_map(|queue| read_queue(&reader, queue)).collect();
            if found.len() < count { Err(format!("{} of {count} messages arrived", found.len())) } else { Ok(found) }
        });
        assert_eq!(found.len(), count, "more messages arrived than were sent: {found:?}");
        found
    }

    /// Waits until a queue holds so many messages, no more, and returns them in order.
    #[track_caller]
    pub(crate) fn arrived_in(&self, queue: &MessageQueue, count: usize) -> Vec<MessageView> {
        let reader = self.reader();
        let found = eventually(PATIENCE, || {
            let found = read_queue(&reader, queue);
            if found.len() < count { Err(format!("{} of {count} messages arrived", found.len())) } else { Ok(found) }
        });
        assert_eq!(found.len(), count, "more messages arrived than were sent: {found:?}");
        found
    }
}

/// Everything a queue holds now.
pub(crate) fn read_queue(reader: &PullConsumer, queue: &MessageQueue) -> Vec<MessageView> {
    let (mut offset, mut found) = (reader.min_offset(queue).expect("a minimum"), Vec::new());
    loop {
        let pulled = reader.pull(queue, offset).expect("a pull succeeds");
        // A second look at the maximum: the index a pull reads follows the log by a few milliseconds.
        let end = matches!(pulled.status(), PullStatus::NoNewMessage | PullStatus::OffsetIllegal);
        offset = pulled.next_offset();
        found.extend(pulled.into_messages());
        if end {
            return found;
        }
    }
}
