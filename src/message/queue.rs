use std::fmt;
use std::sync::Arc;

use crate::error::QueueCommit;

/// One queue of a topic on one broker; the unit in which messages are ordered and consumed.
///
/// Queues sort by topic, broker name and number, as Java sorts them, so hashes over a sorted list agree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageQueue {
    topic: Arc<str>,
    broker_name: Arc<str>,
    queue_id: i32,
}

impl MessageQueue {
    /// Names a queue; whether it exists is found out when it is used.
    pub fn new(topic: impl Into<Arc<str>>, broker_name: impl Into<Arc<str>>, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: topic.into(), broker_name: broker_name.into(), queue_id }
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the name of the broker that holds the queue.
    pub fn broker_name(&self) -> &str {
        &self.broker_name
    }

    /// Returns the queue's number on its broker, from 0.
    pub fn queue_id(&self) -> i32 {
        self.queue_id
    }

    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn shared_broker_name(&self) -> &Arc<str> {
        &self.broker_name
    }
}

impl From<&QueueCommit> for MessageQueue {
    fn from(commit: &QueueCommit) -> MessageQueue {
        MessageQueue::new(commit.topic.clone(), commit.broker_name.clone(), commit.queue_id)
    }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.broker_name, self.queue_id)
    }
}
