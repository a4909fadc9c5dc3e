use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::md5::md5;
use super::{Allocation, Situation};
use crate::error::Result;
use crate::message::MessageQueue;

/// A function that places a name on the ring.
type HashFunction = Arc<dyn Fn(&str) -> i64 + Send + Sync>;

/// Places members and queues on a ring; a queue belongs to the next member on it, so that few queues change hands when a
/// member comes or goes (Java: `AllocateMessageQueueConsistentHash`).
#[derive(Clone)]
pub struct ConsistentHash {
    virtual_nodes: usize,
    hash: HashFunction,
}

impl ConsistentHash {
    /// Places each member at `virtual_nodes` places, from 1; more divide more evenly. Java's default is 10.
    pub fn new(virtual_nodes: usize) -> ConsistentHash {
        ConsistentHash { virtual_nodes: virtual_nodes.max(1), hash: Arc::new(java_hash) }
    }

    /// Replaces the hash function, which must be the same for all members.
    pub fn hash(mut self, hash: impl Fn(&str) -> i64 + Send + Sync + 'static) -> ConsistentHash {
        self.hash = Arc::new(hash);
        self
    }

    /// The members by their places. A client id that is there twice gets further places, as in Java.
    fn ring<'a>(&self, members: &'a [Arc<str>]) -> BTreeMap<i64, &'a str> {
        let (mut ring, mut placed) = (BTreeMap::new(), BTreeMap::<&str, usize>::new());
        for member in members {
            let first = placed.entry(member).or_default();
            for node in *first..*first + self.virtual_nodes {
                ring.insert((self.hash)(&format!("{member}-{node}")), &**member);
            }
            *first += self.virtual_nodes;
        }
        ring
    }
}

impl Default for ConsistentHash {
    fn default() -> ConsistentHash {
        ConsistentHash::new(10)
    }
}

impl Allocation for ConsistentHash {
    fn name(&self) -> &str {
        "CONSISTENT_HASH"
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        if situation.position().is_none() {
            return Ok(Vec::new());
        }
        let ring = self.ring(situation.members);
        let owner = |queue: &MessageQueue| {
            let place = (self.hash)(&java_text(queue));
            ring.range(place..).next().or_else(|| ring.iter().next()).map(|(_, member)| *member)
        };
        let mine = situation.queues.iter().filter(|queue| owner(queue) == Some(situation.client_id));
        Ok(mine.cloned().collect())
    }
}

/// How Java prints a queue.
fn java_text(queue: &MessageQueue) -> String {
    let (topic, broker_name, queue_id) = (queue.topic(), queue.broker_name(), queue.queue_id());
    format!("MessageQueue [topic={topic}, brokerName={broker_name}, queueId={queue_id}]")
}

/// The first four bytes of the MD5 digest, as a number without sign.
fn java_hash(text: &str) -> i64 {
    let [a, b, c, d, ..] = md5(text.as_bytes());
    i64::from(u32::from_be_bytes([a, b, c, d]))
}

impl fmt::Debug for ConsistentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsistentHash").field("virtual_nodes", &self.virtual_nodes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_javas() {
        assert_eq!(java_hash("10.0.0.1@1#1-0"), 3_944_618_363);
        assert_eq!(java_hash(&java_text(&MessageQueue::new("TopicTest", "broker-a", 0))), 1_987_926_524);
    }

    #[test]
    fn few_queues_change_hands_when_a_member_leaves() {
        let queues: Vec<_> = (0..64).map(|id| MessageQueue::new("T", "b", id)).collect();
        let members: Vec<Arc<str>> = (0..8).map(|id| format!("10.0.0.{id}@1").into()).collect();
        let owned = |members: &[Arc<str>], client_id: &str| {
            let situation = Situation { group: "g", client_id, queues: &queues, members };
            ConsistentHash::default().allocate(&situation).unwrap()
        };
        let (gone, left) = members.split_last().unwrap();
        for member in left {
            let (before, after) = (owned(&members, member), owned(left, member));
            assert!(before.iter().all(|queue| after.contains(queue)), "{member} lost a queue though {gone} left");
        }
    }
}
